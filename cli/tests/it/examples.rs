//! The examples, each in every place where it can run: what they find is the same.

use crate::{Dir, Process, output, scheduler};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::time::SystemTime;

const NAMES: [&str; 6] = ["futures", "heat", "land_area", "life", "monte_carlo", "slurm_demo"];

/// The examples' programs, built where they are older than the sources.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    let built = Path::new(env!("CARGO_BIN_EXE_tilework")).parent().unwrap();
    let (dir, root) = (built.join("examples"), Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap());
    let time =
        |path: &Path| path.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let oldest = NAMES.iter().map(|name| time(&dir.join(name))).min().unwrap();
    if newest_source(root) > oldest {
        let mut cargo = Command::new(env!("CARGO"));
        // Of the whole workspace, so that features are those of the tests' build, which is reused.
        cargo.current_dir(root).args(["build", "--workspace"]);
        cargo.args(NAMES.iter().flat_map(|name| ["--example", *name]));
        cargo.args(if cfg!(debug_assertions) { vec![] } else { vec!["--release"] });
        let target = built.parent().unwrap();
        assert!(cargo.env("CARGO_TARGET_DIR", target).status().unwrap().success());
    }
    dir
});

fn newest_source(root: &Path) -> SystemTime {
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut dirs: Vec<PathBuf> =
        ["client", "cluster", "examples", "expr", "formats", "plan", "proto/src", "scheduler", "worker"]
            .map(|dir| root.join(dir))
            .into();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let (path, meta) = (entry.as_ref().unwrap().path(), entry.unwrap().metadata().unwrap());
            if meta.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "rs" || e == "toml") {
                newest = newest.max(meta.modified().unwrap());
            }
        }
    }
    newest
}

fn program(name: &str) -> String {
    PROGRAMS.join(name).to_str().unwrap().to_owned()
}

fn run(name: &str, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program(name));
    command.args(args).envs(variables.iter().copied());
    command.env_remove("TILEWORK_CONNECTION").env_remove("TILEWORK_PROCESSES");
    command.output().unwrap()
}

/// The lines that a program that succeeds begins with `result:`, and what it says on stderr.
fn result(name: &str, args: &[&str]) -> (Vec<String>, String) {
    let Output { status, stdout, stderr } = run(name, args, &[]);
    let (said, error) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{name} {args:?}: {said}{error}");
    let lines: Vec<String> = said.lines().filter(|l| l.starts_with("result:")).map(str::to_owned).collect();
    assert!(!lines.is_empty(), "{name}: {said}");
    (lines, error)
}

/// A worker that is a program.
fn worker_of(name: &str, file: &str, place: &str) -> Process {
    let program = program(name);
    let args = ["worker", "--program", &program, "--connection-file", file, "--name", place];
    let mut worker = Process::start(
        &[&args[..], &["--listen", "localhost:0", "--threads", "1", "--memory", "512MiB"]].concat(),
    );
    assert_eq!(worker.line(), format!("worker {place} joined"));
    worker
}

/// Runs a program in this process, on processes, and on a cluster of its own.
fn same_everywhere(name: &str, args: &[&str]) {
    let (here, _) = result(name, args);
    let (processes, error) = result(name, &[args, &["--session", "processes:2"]].concat());
    assert_eq!(processes, here, "{name} on processes");
    assert!(!error.contains("called in this process"), "{error}");
    let dir = Dir::new();
    let _scheduler = scheduler(dir.file());
    let _workers = [worker_of(name, dir.file(), "w0"), worker_of(name, dir.file(), "w1")];
    let (cluster, error) = result(name, &[args, &["--connect", dir.file()]].concat());
    assert_eq!(cluster, here, "{name} on a cluster");
    assert!(!error.contains("called in this process"), "{error}");
}

#[test]
fn the_mandelbrot_set_is_the_same_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let picture = dir.path().join("picture.png");
    let path = picture.to_str().unwrap();
    same_everywhere("futures", &["--width", "200", "--steps", "300", "--picture", path]);
    assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn heat_is_the_same_everywhere() {
    same_everywhere("heat", &["--n", "128", "--chunk", "32", "--steps", "10"]);
}

#[test]
fn life_is_the_same_everywhere() {
    same_everywhere("life", &["--n", "128", "--chunk", "32", "--generations", "10"]);
}

#[test]
fn monte_carlo_is_the_same_everywhere() {
    same_everywhere("monte_carlo", &["--n", "2000000"]);
}

#[test]
fn a_sum_is_the_same_everywhere() {
    same_everywhere("slurm_demo", &["--n", "4000000"]);
}

#[test]
fn the_land_is_the_same_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let plot = dir.path().join("plot.png");
    same_everywhere("land_area", &["--rows", "1200", "--plot", plot.to_str().unwrap()]);
}

#[test]
fn a_glider_comes_home() {
    let board = |generations: &str| {
        let args = ["--start", "glider", "--n", "16", "--chunk", "5", "--generations", generations];
        let said = String::from_utf8(run("life", &args, &[]).stdout).unwrap();
        said.lines().filter(|line| line.starts_with(['.', '#'])).map(str::to_owned).collect::<Vec<_>>()
    };
    let start = board("0");
    assert_eq!(start.iter().map(|row| row.matches('#').count()).sum::<usize>(), 5);
    let later = board("4");
    let moved: Vec<String> = (0..16)
        .map(|i| (0..16).map(|j| start[(i + 15) % 16].as_bytes()[(j + 15) % 16] as char).collect())
        .collect();
    assert_eq!(later, moved);
    assert_eq!(board("64"), start);
}

#[test]
fn on_plain_workers_an_error_says_how_to_start_others_and_the_rest_runs() {
    let dir = Dir::new();
    let _scheduler = scheduler(dir.file());
    let mut plain = crate::worker(dir.file(), "plain");
    assert_eq!(plain.line(), "worker plain joined");
    let args = ["--n", "64", "--chunk", "32", "--generations", "2", "--connect", dir.file()];
    let failed = run("life", &args, &[]);
    let error = String::from_utf8(failed.stderr).unwrap();
    assert!(failed.status.code() == Some(1) && error.contains("tilework worker --program"), "{error}");
    assert!(error.contains("map_expr") && error.contains("the function life::"), "{error}");
    result("slurm_demo", &["--n", "4000000", "--connect", dir.file()]);
}

#[test]
fn what_is_called_in_the_client_is_said_once_with_its_line() {
    let dir = Dir::new();
    let _scheduler = scheduler(dir.file());
    let mut plain = crate::worker(dir.file(), "plain");
    assert_eq!(plain.line(), "worker plain joined");
    let args = ["--start", "glider", "--n", "16", "--chunk", "5", "--generations", "0"];
    let (_, error) = result("life", &[&args[..], &["--connect", dir.file()]].concat());
    let warned: Vec<&str> = error.lines().filter(|l| l.contains("called in this process")).collect();
    assert!(matches!(warned[..], [line] if line.contains("life/main.rs:")), "{error}");
    assert!(warned[0].contains("tilework worker --program"), "{error}");
}

#[test]
fn without_an_entry_before_main_the_first_line_of_main_must_be_init() {
    let check = |name: &str| {
        let mut command = crate::command(&["worker", "--program", &program(name), "--check"]);
        let Output { status, stderr, .. } = command.env("TILEWORK_ENTRY", "init").output().unwrap();
        (status.code(), String::from_utf8(stderr).unwrap())
    };
    let (code, error) = check("life");
    assert!(
        code == Some(1) && error.contains("Make `tilework::init();` the first line of its `main`"),
        "{error}"
    );
    assert_eq!(check("slurm_demo"), (Some(0), String::new()));
    let entry = [("TILEWORK_ENTRY", "init")];
    let processes = ["--n", "4000000", "--session", "processes:2"];
    let said = run("slurm_demo", &processes, &entry);
    assert!(said.status.success() && String::from_utf8_lossy(&said.stdout).contains("workers=2"));
    let failed = run("life", &["--session", "processes:2"], &entry);
    let error = String::from_utf8(failed.stderr).unwrap();
    assert!(
        failed.status.code() == Some(1) && error.contains("`tilework::init();` must be its first line"),
        "{error}"
    );
    let (ok, _, help) = output(&["worker", "--program", "/nowhere/life"]);
    assert!(!ok && help.contains("no program at /nowhere/life"), "{help}");
}
