//! Real processes: their output, their files, their ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod clock;
mod examples;
mod lines;
mod names;
mod own;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A started `tilework`, killed with its handle.
struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tilework"));
    command.args(args).env_remove("TILEWORK_CONNECTION").env("XDG_CONFIG_HOME", "/nowhere");
    command
}

fn output(args: &[&str]) -> (bool, String, String) {
    let Output { status, stdout, stderr } = command(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.success(), text(stdout), text(stderr))
}

impl Process {
    fn start(args: &[&str]) -> Process {
        Process::start_with(args, Stdio::null())
    }

    fn start_with(args: &[&str], stderr: Stdio) -> Process {
        let mut child = command(args).stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Process { child, stdout }
    }

    /// The next line of its output; waits for it.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn signal(&self, signal: i32) {
        // SAFETY: kill has no preconditions; the child was not waited for, so the number is its.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Waits for its end: whether it was clean, and what it still said.
    fn end(mut self) -> (bool, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().success(), rest)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Err: it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Held by a test that makes a session the current one.
fn current_is_mine() -> MutexGuard<'static, ()> {
    static MINE: Mutex<()> = Mutex::new(());
    MINE.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Dir {
    _dir: tempfile::TempDir,
    file: PathBuf,
}

impl Dir {
    fn new() -> Dir {
        let dir = tempfile::tempdir().unwrap();
        Dir { file: dir.path().join("private/connection.json"), _dir: dir }
    }

    fn file(&self) -> &str {
        self.file.to_str().unwrap()
    }
}

fn scheduler(file: &str) -> Process {
    scheduler_with(file, &[])
}

fn scheduler_with(file: &str, more: &[&str]) -> Process {
    let args = ["scheduler", "--connection-file", file, "--listen", "localhost:0", "--output", "json"];
    let mut process = Process::start(&[&args[..], more].concat());
    let line = process.line();
    assert!(line.contains(r#""addresses":["127.0.0.1:"#), "{line}");
    process
}

fn worker(file: &str, name: &str) -> Process {
    let args = ["worker", "--connection-file", file, "--name", name, "--listen", "localhost:0"];
    let more = ["--threads", "1", "--memory", "256MiB"];
    Process::start(&[&args[..], &more].concat())
}

#[test]
fn a_cluster_comes_up_is_seen_and_goes() {
    let dir = Dir::new();
    let scheduler = scheduler(dir.file());
    let mut workers = [worker(dir.file(), "a"), worker(dir.file(), "b")];
    assert_eq!(workers[0].line(), "worker a joined");
    let (ok, said, error) = output(&["wait", "--connection-file", dir.file(), "--workers", "2"]);
    assert!(ok && said == "2 workers joined\n", "{said} {error}");
    let (ok, table, _) = output(&["state", "--connection-file", dir.file()]);
    let row = table.lines().find(|l| l.starts_with("a ")).unwrap_or_else(|| panic!("{table}"));
    assert!(ok && row.contains("0 B of 268 MB") && row.contains("127.0.0.1:"), "{table}");
    assert!(
        table.starts_with("scheduler at 127.0.0.1:") && table.contains(": 2 workers, 2 threads, "),
        "{table}"
    );
    let (ok, listed, _) = output(&["workers", "--connection-file", dir.file()]);
    assert!(ok && listed.starts_with("worker ") && listed.lines().count() == 3, "{listed}");
    let (ok, jobs, _) = output(&["jobs", "--connection-file", dir.file()]);
    assert!(ok && jobs == "no jobs\n", "{jobs}");
    let (ok, json, _) = output(&["state", "--connection-file", dir.file(), "--output", "json"]);
    assert!(ok && json.contains(r#""name":"b""#) && json.contains(r#""memory_bytes":268435456"#), "{json}");
    let [a, b] = workers;
    a.signal(libc::SIGTERM);
    assert_eq!(a.end(), (true, String::new()));
    let (_, json, _) = output(&["state", "--connection-file", dir.file(), "--output", "json"]);
    assert!(!json.contains(r#""name":"a""#), "{json}");
    scheduler.signal(libc::SIGINT);
    assert!(scheduler.end().0);
    assert!(!dir.file.exists(), "the connection file stays");
    let (ok, _) = b.end();
    assert!(ok, "a worker ends with its scheduler");
}

#[test]
fn a_worker_waits_for_the_connection_file() {
    let dir = Dir::new();
    let mut early = worker(dir.file(), "early");
    let scheduler = scheduler(dir.file());
    assert_eq!(early.line(), "worker early joined");
    drop(scheduler);
}

#[test]
fn waiting_in_vain_fails_and_says_how_many_came() {
    let dir = Dir::new();
    let (ok, _, error) =
        output(&["wait", "--connection-file", dir.file(), "--workers", "1", "--timeout", "0"]);
    assert!(!ok && error.contains("is the scheduler running?"), "{error}");
    let scheduler = scheduler(dir.file());
    let (ok, _, error) =
        output(&["wait", "--connection-file", dir.file(), "--workers", "3", "--timeout", "1"]);
    assert!(!ok && error.contains("0 of 3 workers joined within 1s"), "{error}");
    drop(scheduler);
}

/// The pages that a command shows again and again, up to one that is wanted.
fn watch_until(args: &[&str], wanted: impl Fn(&str) -> bool) -> String {
    let mut process = Process::start(&[args, &["--watch", "0.1", "--output", "json"]].concat());
    loop {
        let line = process.line();
        assert!(!line.is_empty(), "{args:?} ends");
        if wanted(&line) {
            process.signal(libc::SIGINT);
            assert!(process.end().0, "it ends well when it is told to");
            return line;
        }
    }
}

#[test]
fn jobs_are_seen_and_cancelled_and_the_log_says_so() {
    use tilework::prelude::*;

    let dir = Dir::new();
    let log = dir.file.with_file_name("log");
    std::fs::create_dir(log.parent().unwrap()).unwrap();
    let logged = std::fs::File::create(&log).unwrap();
    let args = ["scheduler", "--connection-file", dir.file(), "--listen", "localhost:0"];
    let mut scheduler = Process::start_with(&args, logged.into());
    let at = scheduler.line();
    let at = at.strip_prefix("scheduler listens at ").and_then(|l| l.split(';').next()).unwrap().to_owned();
    let session = Session::connect(dir.file()).unwrap();
    // Nobody is there to do it.
    let waiting = std::thread::spawn(move || {
        let x = Array2::<f64>::in_chunks(10).ones((40, 40));
        (&x.sin() + 1.0).mean_axis(Axis(0)).unwrap().try_compute_on(&session).map(drop).unwrap_err()
    });
    let file = ["--connection-file", dir.file()];
    let seen = watch_until(&[&["jobs"], &file[..]].concat(), |page| page.contains(r#""job":1"#));
    let who = format!(r#""pid":{}"#, std::process::id());
    assert!(seen.contains(&who) && seen.contains(r#""is":"waiting for workers""#), "{seen}");
    let (_, state, _) = output(&[&["state"], &file[..]].concat());
    assert!(state.contains("job 1 of it-") && state.contains("mean(sin(1) + 1) over axis 0"), "{state}");
    let (ok, said, error) = output(&[&["cancel", "1", "7"], &file[..]].concat());
    assert!(!ok && said == "job 1 is cancelled\n", "{said}");
    assert_eq!(error, "tilework: no job 7; `tilework jobs` lists those that there are\n");
    let by = tilework_cluster::who::Who::this_process();
    let error = waiting.join().unwrap();
    assert_eq!(error.to_string(), format!("the job was cancelled by {by}"));
    assert_eq!(format!("{error:?}"), error.to_string());
    Session::close_current();
    let (ok, said, error) = output(&[&["stop"], &file[..]].concat());
    assert!(ok && said == format!("the scheduler at {at} has ended\n"), "{said} {error}");
    assert!(scheduler.end().0 && !dir.file.exists());
    let log = std::fs::read_to_string(log).unwrap();
    let expected = [
        " connected".to_owned(),
        "job 1 began: mean(sin(1) + 1) over axis 0, ".to_owned(),
        "job 1 ended after ".to_owned(),
        format!(" and 0 tasks: the job was cancelled by {by}"),
        format!("stopped by {by}"),
    ];
    expected.iter().for_each(|line| assert!(log.contains(line), "no {line:?} in\n{log}"));
}

#[test]
fn a_lost_scheduler_is_named_with_its_address() {
    use tilework::prelude::*;

    let dir = Dir::new();
    let args = ["scheduler", "--connection-file", dir.file(), "--listen", "localhost:0"];
    let mut scheduler = Process::start(&args);
    let at = scheduler.line();
    let at = at.strip_prefix("scheduler listens at ").and_then(|l| l.split(';').next()).unwrap().to_owned();
    let session = Session::connect(dir.file()).unwrap();
    let own = session.clone();
    let waiting = std::thread::spawn(move || {
        let x = Array2::<f64>::in_chunks(10).ones((40, 40));
        x.sin().try_compute_on(&own).map(drop).unwrap_err().to_string()
    });
    watch_until(&["jobs", "--connection-file", dir.file()], |page| page.contains(r#""job":1"#));
    let (ok, _, error) = output(&args);
    let refused = format!("a scheduler already serves {}, at {at}: stop it first", dir.file());
    assert!(!ok && error.contains(&refused) && error.contains("--replace"), "{error}");
    scheduler.signal(libc::SIGKILL);
    let closed = "the connection was closed: its process ended or was killed";
    let lost = format!("the scheduler at {at} ended or cannot be reached ({closed})");
    assert_eq!(waiting.join().unwrap(), lost);
    let again = Array2::<f64>::in_chunks(10).ones((40, 40)).sin().try_compute_on(&session).map(drop);
    // The next run looks for it again, and says what became of that too.
    let again = again.unwrap_err().to_string();
    let twice = format!(
        "{lost}; it cannot be reached again: the scheduler at {at} ended or cannot be reached (connection refused"
    );
    assert!(again.starts_with(&twice), "{again}");
    Session::close_current();
    let (ok, _, error) = output(&["state", "--connection-file", dir.file()]);
    let nobody = format!("the scheduler at {at} ended or cannot be reached (connection refused");
    assert!(!ok && error.contains(&nobody), "{error}");
}

#[test]
fn functions_of_another_executable_are_refused_and_traced_ones_run() {
    use tilework::prelude::*;

    let _mine = current_is_mine();
    let dir = Dir::new();
    let _scheduler = scheduler(dir.file());
    let mut worker = worker(dir.file(), "w0");
    assert_eq!(worker.line(), "worker w0 joined");
    let session = Session::connect(dir.file()).unwrap();
    let x = Array1::<f64>::in_chunks(4).linspace(0.0, 9.0, 10);
    let text = x.mapv(|x| x + 1.0).try_compute_on(&session).unwrap_err().to_string();
    let own = tilework_kernels::native::build_id().unwrap();
    assert!(text.contains(&format!("build {own}")) && text.contains("tilework worker --program"), "{text}");
    assert!(text.contains("functions_of_another_executable") && text.contains("map_expr"), "{text}");
    // Traced ones run there, and those of the index here.
    let k = 2.0;
    let y = x.map_expr(|x| x * k) + Array1::in_chunks(4).from_shape_fn(10, |i| i as f64);
    let computed = y.try_compute_on(&session).unwrap();
    let plan = y.try_explain_on(&session).unwrap();
    assert_eq!(plan.run().map(|run| run.bytes_put), plan.forecast().map(|run| run.bytes_put), "{plan}");
    assert!(plan.run().is_some_and(|run| run.bytes_put >= 80), "{plan}");
    assert_eq!(computed, tilework::ndarray::Array1::from_shape_fn(10, |i| i as f64 * 3.0));
    Session::close_current();
}

#[test]
fn a_killed_worker_is_missed_at_once() {
    let dir = Dir::new();
    let scheduler = scheduler(dir.file());
    let mut victim = worker(dir.file(), "victim");
    victim.line();
    victim.signal(libc::SIGKILL);
    assert!(!victim.end().0);
    let mut after = worker(dir.file(), "victim");
    assert_eq!(after.line(), "worker victim joined", "the name is free again");
    drop(scheduler);
}

#[test]
fn settings_say_where_they_came_from() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, "[worker]\nthreads = 3\n").unwrap();
    let show = |path: &Path| {
        let config = path.to_str().unwrap();
        let mut command = command(&["config", "show", "--config", config]);
        command.env("TILEWORK_WORKER_MEMORY", "2GiB").output().unwrap()
    };
    let shown = String::from_utf8(show(&path).stdout).unwrap();
    let row = |key: &str| shown.lines().find(|l| l.starts_with(key)).unwrap().to_owned();
    assert!(row("worker.threads").ends_with(&format!("file {}", path.display())), "{shown}");
    assert!(row("worker.memory").ends_with("environment TILEWORK_WORKER_MEMORY"), "{shown}");
    assert!(row("scheduler.listen").ends_with("default"), "{shown}");
    std::fs::write(&path, "[worker]\nthread = 3\n").unwrap();
    let refused = show(&path);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && error.contains("unknown key worker.thread, expected one of"),
        "{error}"
    );
}

#[test]
fn version_help_and_mistakes() {
    for flag in ["--version", "-V"] {
        assert_eq!(output(&[flag]).1, format!("tilework {}\n", env!("CARGO_PKG_VERSION")));
    }
    assert_eq!(output(&["version"]).1, format!("tilework {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(output(&["version", "--output", "quiet"]).1, "");
    let (ok, help, _) = output(&["worker", "--help"]);
    assert!(ok && help.contains("Example:") && help.contains("--memory <SIZE>"), "{help}");
    let (ok, _, error) = output(&["worker", "--memory", "4 apples", "--connection-file", "/nowhere"]);
    let expected = "tilework: worker.memory (flag): got \"4 apples\", expected a size as in 4GiB\n";
    assert!(!ok && error == expected, "{error}");
    let (ok, _, error) = output(&["state", "--connection-file", "/nowhere/c.json"]);
    assert!(!ok && error.contains("no connection file at /nowhere/c.json"), "{error}");
}
