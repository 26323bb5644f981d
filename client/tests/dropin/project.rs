//! A cargo project of its own that holds the programs: made, built and run.
//!
//! Owns where its files lie. Must not know which programs there are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How programs are run.
pub struct Mode {
    pub name: &'static str,
    /// Whether everything that can be lazy is, in chunks of three elements.
    pub lazy: bool,
    /// Worker processes, or none: embedded.
    pub processes: Option<usize>,
}

/// What came of a run.
pub struct Run {
    pub output: String,
    pub passed: usize,
    pub n_tasks: u64,
}

/// A project whose programs use this crate, or ndarray.
pub struct Project {
    dir: PathBuf,
}

/// What each of our programs gets at its end: when the process ends it says how many tasks ran.
const REPORT: &str = r#"
#[cfg(target_os = "linux")]
mod tilework_report {
    #[used]
    #[link_section = ".fini_array"]
    static REPORT: extern "C" fn() = report;

    extern "C" fn report() {
        let Ok(path) = std::env::var("TILEWORK_REPORT") else { return };
        if let Some(session) = tilework::Session::started() {
            std::fs::write(path, session.n_tasks_done().to_string()).unwrap();
        }
    }
}
"#;

const MANIFEST: &str = r#"
[package]
name = "PACKAGE"
version = "0.0.0"
edition = "2021"
publish = false

[features]
default = ["std", "rayon", "approx"]
std = []
rayon = []
approx = []

[dependencies]
DEPENDENCY

[dev-dependencies]
approx = "0.5"
defmac = "0.2"
itertools = { version = "0.13", default-features = false, features = ["use_std"] }
ndarray-rand = "0.16"
ndarray-stats = "0.7"
num-complex = "0.4"
num-traits = "0.2"
quickcheck = { version = "1.0", default-features = false }

[workspace]

PROFILES"#;

/// The features of ours that programs written for ndarray need.
const FEATURES: &str = r#"["approx", "cluster", "serde", "rand"]"#;

fn tmp() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Not the workspace's own: ndarray's examples have names that ours have too, and each would replace the other's.
fn target() -> PathBuf {
    tmp().join("dropin-target")
}

/// The text of the workspace's profiles, with less optimisation: the programs compute little, and to build what they use
/// takes most of the test's time.
fn profiles() -> String {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let text = read(&manifest);
    let at = text.find("[profile.dev]").unwrap_or_else(|| panic!("{} has no profile", manifest.display()));
    text[at..].replace("opt-level = 3", "opt-level = 1")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn cargo(dir: &Path, args: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO"));
    command.args(args).current_dir(dir).env("CARGO_TARGET_DIR", target());
    command.output().unwrap_or_else(|e| panic!("cargo does not start: {e}"))
}

fn succeed(dir: &Path, args: &[&str]) -> String {
    let output = cargo(dir, args);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "cargo {args:?} in {}:\n{}", dir.display(), text(&output.stderr));
    text(&output.stdout)
}

/// Writes a file if it is not as it should be, so that cargo builds no more than it must.
fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return;
    }
    fs::create_dir_all(path.parent().expect("a file in a folder")).unwrap();
    fs::write(path, text).unwrap();
}

/// ndarray's archive, which alone of its versions' has the tests, as cargo unpacks it.
fn archive() -> PathBuf {
    let dir = tmp().join("ndarray-archive");
    let manifest = "[package]\nname = \"ndarray-archive\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n\n\
                    [dependencies]\nndarray = \"=0.17.1\"\n";
    write(&dir.join("Cargo.toml"), manifest);
    write(&dir.join("src/lib.rs"), "");
    let offline = cargo(&dir, &["metadata", "--offline", "--format-version", "1"]);
    let text = match offline.status.success() {
        true => String::from_utf8_lossy(&offline.stdout).into_owned(),
        false => succeed(&dir, &["metadata", "--format-version", "1"]),
    };
    let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ndarray = packages.iter().find(|p| p["name"] == "ndarray").expect("ndarray among the packages");
    Path::new(ndarray["manifest_path"].as_str().unwrap()).parent().unwrap().to_owned()
}

/// The public functions in the files of ndarray's that hold its arrays' methods.
pub fn public_functions() -> Vec<String> {
    let files =
        ["impl_methods", "impl_constructors", "impl_owned_array", "impl_1d", "impl_2d", "impl_dyn", "tri"];
    let more = [
        "impl_views/conversions",
        "impl_views/splitting",
        "numeric/impl_numeric",
        "parallel/impl_par_methods",
    ];
    let archive = archive();
    let mut names = Vec::new();
    for file in files.iter().chain(&more) {
        let text = read(&archive.join(format!("src/{file}.rs")));
        for line in text.lines().map(str::trim_start) {
            let rest = line.strip_prefix("pub ").and_then(|l| l.strip_prefix("unsafe ").or(Some(l)));
            let Some(rest) = rest.and_then(|l| l.strip_prefix("fn ")) else { continue };
            names.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    assert!(names.len() > 150, "{names:?}");
    names
}

/// The text with the import changed.
fn imported(text: &str) -> String {
    // Annotated: a crate behind ours (serde_json) compares integers with its own type too, so that the type of an
    // empty array's elements is ambiguous; so it is with ndarray where that crate is used.
    let text = text.replace(".shape(), &[]);", ".shape(), &[0usize; 0]);");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("ndarray") {
        let (before, after) = (&rest[..at], &rest[at + "ndarray".len()..]);
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let is_import = after.starts_with("::") || before.ends_with("extern crate ");
        let name = if is_import && !is_word(before.chars().last()) { "tilework" } else { "ndarray" };
        out.push_str(before);
        out.push_str(name);
        rest = after;
    }
    out + rest
}

impl Project {
    fn new(package: &str, dependency: &str) -> Project {
        let dir = tmp().join(package);
        let manifest = MANIFEST.replace("PACKAGE", package).replace("DEPENDENCY", dependency);
        let manifest = manifest.replace("PROFILES", &profiles());
        write(&dir.join("Cargo.toml"), &manifest);
        write(&dir.join("src/lib.rs"), "");
        // The versions that the workspace uses, so that what it has fetched is enough as far as possible.
        let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
        if !dir.join("Cargo.lock").exists() && lock.exists() {
            fs::copy(lock, dir.join("Cargo.lock")).unwrap();
        }
        Project { dir }
    }

    /// The programs with the import changed.
    pub fn ours(tests: &[&str], examples: &[&str], programs: &[&str]) -> Project {
        let client = env!("CARGO_MANIFEST_DIR");
        let project = Project::new(
            "dropin-ours",
            // What ndarray has not is not built.
            &format!("tilework = {{ path = {client:?}, default-features = false, features = {FEATURES} }}"),
        );
        let archive = archive();
        for name in tests {
            let text = imported(&read(&archive.join(format!("tests/{name}.rs"))));
            write(&project.dir.join(format!("tests/{name}.rs")), &(text + REPORT));
        }
        project.examples(&archive, examples, programs, |text| imported(text) + REPORT);
        project
    }

    /// The programs as they are.
    pub fn theirs(examples: &[&str], programs: &[&str]) -> Project {
        let ndarray = "ndarray = { version = \"0.17.2\", features = [\"rayon\", \"approx\"] }";
        let project = Project::new("dropin-theirs", ndarray);
        project.examples(&archive(), examples, programs, str::to_owned);
        project
    }

    fn examples(
        &self,
        archive: &Path,
        examples: &[&str],
        programs: &[&str],
        change: impl Fn(&str) -> String,
    ) {
        write(&self.dir.join("examples/life.txt"), &read(&archive.join("examples/life.txt")));
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dropin/programs");
        let theirs = examples.iter().map(|name| (name, archive.join(format!("examples/{name}.rs"))));
        let ours = programs.iter().map(|name| (name, own.join(format!("{name}.rs"))));
        for (name, from) in theirs.chain(ours) {
            write(&self.dir.join(format!("examples/{name}.rs")), &change(&read(&from)));
        }
    }

    /// Cuts a module out of a test file.
    pub fn cut(&self, file: &str, module: &str, why: &str) {
        let path = self.dir.join(format!("tests/{file}.rs"));
        let text = read(&path);
        let start =
            text.find(&format!("mod {module}")).unwrap_or_else(|| panic!("{file}: no module {module}"));
        let open = start + text[start..].find('{').expect("a module's body");
        let mut depth = 0;
        let body = text[open..].char_indices().find(|&(_, c)| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            depth == 0
        });
        let end = open + body.expect("a module's end").0 + 1;
        let cut = format!("{}mod {module} {{}} // cut: {why}{}", &text[..start], &text[end..]);
        write(&path, &cut);
    }

    /// Builds everything.
    pub fn build(&self) {
        succeed(&self.dir, &["build", "--tests", "--examples"]);
    }

    /// Runs the tests of a file.
    pub fn run_tests(&self, name: &str, mode: &Mode) -> Run {
        let mut run = self.run(&["test", "--test", name, "--", "--test-threads=2"], mode);
        let passed = run.output.lines().find_map(|l| l.strip_prefix("test result: ok. ")?.split(' ').next());
        run.passed = passed.and_then(|n| n.parse().ok()).unwrap_or(0);
        run
    }

    /// Runs an example or program; its output is what it prints.
    pub fn run_example(&self, name: &str, mode: &Mode) -> Run {
        self.run(&["run", "--quiet", "--example", name], mode)
    }

    fn run(&self, args: &[&str], mode: &Mode) -> Run {
        let report = self.dir.join("tasks");
        let _ = fs::remove_file(&report);
        let mut command = Command::new(env!("CARGO"));
        command.args(args).current_dir(&self.dir).env("TILEWORK_REPORT", &report);
        command.env("CARGO_TARGET_DIR", target());
        for variable in ["TILEWORK_CONNECTION", "TILEWORK_PROCESSES", "TILEWORK_EAGER_BYTES_MAX"] {
            command.env_remove(variable);
        }
        if mode.lazy {
            command.env("TILEWORK_EAGER_BYTES_MAX", "0").env("TILEWORK_CHUNK_LEN", "3");
        }
        if let Some(n) = mode.processes {
            command.env("TILEWORK_PROCESSES", n.to_string());
        }
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // A failed program's own words are worth more than that it differs.
        let failed = if output.status.success() { String::new() } else { text(&output.stderr) };
        let n_tasks = fs::read_to_string(&report).ok().and_then(|n| n.parse().ok()).unwrap_or(0);
        Run { output: text(&output.stdout) + &failed, passed: 0, n_tasks }
    }
}
