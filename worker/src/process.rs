//! A worker process: what it is told in its environment, its log, its threads, what it prints, how it ends.
//!
//! The program `tilework` as a worker and a user's own program as a worker are the same from here on. Owns the names of
//! the variables. Must not know command lines, or what else a process can be. No secret is among the variables: the
//! connection file goes by its path.

use crate::run::{RunConfig, RunError, run};
use crate::spill::Spill;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;
use tilework_cluster::{log, signals};
use tilework_expr::WorkerId;

/// Names what a process is to be instead of what its `main` would be; the settings come with it.
pub const ROLE: &str = "TILEWORK_ROLE";
/// The role of a worker.
pub const ROLE_WORKER: &str = "worker";
/// The role of a process that is only asked whether it can have one: it answers with [`answer`], and ends.
pub const ROLE_ASKED: &str = "asked";
/// The section of an executable that says that it can be a worker, an ELF note of this name's owner.
pub const NOTE_SECTION: &str = ".note.tilework";

/// The path of the connection file.
pub const CONNECTION_FILE: &str = "TILEWORK_ROLE_CONNECTION_FILE";
const NAME: &str = "TILEWORK_ROLE_NAME";
const LISTEN: &str = "TILEWORK_ROLE_LISTEN";
const ANNOUNCE: &str = "TILEWORK_ROLE_ANNOUNCE";
const THREADS: &str = "TILEWORK_ROLE_THREADS";
const MEMORY: &str = "TILEWORK_ROLE_MEMORY_BYTES";
const SPILL_DIR: &str = "TILEWORK_ROLE_SPILL_DIR";
const SPILL_LIMIT: &str = "TILEWORK_ROLE_SPILL_LIMIT_BYTES";
const WAIT: &str = "TILEWORK_ROLE_WAIT_MS";
const PATIENCE: &str = "TILEWORK_ROLE_PATIENCE_MS";
const PRINTS: &str = "TILEWORK_ROLE_PRINTS";
const LOG: &str = "TILEWORK_ROLE_LOG";

/// Threads that move messages and bytes; what computes has its own.
const IO_THREADS: usize = 2;
/// How an answer begins.
const ANSWER: &str = "tilework-worker";

/// What a worker process prints on its standard output when it has joined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Prints {
    /// A line for people.
    Text,
    /// A line of JSON.
    Json,
    /// Nothing.
    Nothing,
}

/// All that a worker process needs to know. It travels in the environment of a process that shall be one.
///
/// ```
/// use std::time::Duration;
/// use tilework_worker::{RunConfig, Spill, process::{Prints, WorkerProcess}};
///
/// let config = RunConfig {
///     connection_file: "/home/me/connection.json".into(),
///     wait: Duration::from_secs(60),
///     job: None,
///     name: "node7-0".into(),
///     listen: "*:0".into(),
///     announce: Some("ib0".into()),
///     threads: 8,
///     memory_bytes: 32 << 30,
///     spill: Spill { dir: Some("/scratch".into()), limit: None },
///     patience: Duration::from_millis(1500),
/// };
/// let process = WorkerProcess { config, prints: Prints::Json, log: Some("warn".into()) };
/// let environment = process.environment();
/// let read = WorkerProcess::read(|name| {
///     environment.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone())
/// });
/// assert_eq!(read.unwrap(), process);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkerProcess {
    /// The worker.
    pub config: RunConfig,
    /// What it prints.
    pub prints: Prints,
    /// What it logs, if the environment does not say otherwise; nothing where absent. See [`log::start`].
    pub log: Option<String>,
}

/// Why a worker process ended.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The system gave it no threads or no signals.
    #[error("cannot start the threads that carry messages")]
    System(#[from] io::Error),
    /// The worker ended.
    #[error(transparent)]
    Worker(#[from] RunError),
}

/// A setting that is missing or malformed: the program that set it is of another release.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{name} is {got}, expected {expected}: a worker's settings come from a `tilework` of the same release"
)]
pub struct SettingError {
    /// The variable.
    pub name: &'static str,
    /// What it says.
    pub got: String,
    /// What it should say.
    pub expected: &'static str,
}

impl WorkerProcess {
    /// The variables that make a process such a worker, where its program can be one.
    #[must_use]
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        let c = &self.config;
        let prints = match self.prints {
            Prints::Text => "text",
            Prints::Json => "json",
            Prints::Nothing => "nothing",
        };
        let pairs: [(&str, OsString); 13] = [
            (ROLE, ROLE_WORKER.into()),
            (CONNECTION_FILE, c.connection_file.clone().into()),
            (NAME, c.name.clone().into()),
            (LISTEN, c.listen.clone().into()),
            (ANNOUNCE, c.announce.clone().unwrap_or_default().into()),
            (THREADS, c.threads.to_string().into()),
            (MEMORY, c.memory_bytes.to_string().into()),
            (SPILL_DIR, c.spill.dir.clone().unwrap_or_default().into()),
            (SPILL_LIMIT, c.spill.limit.map(|b| b.to_string()).unwrap_or_default().into()),
            (WAIT, c.wait.as_millis().to_string().into()),
            (PATIENCE, c.patience.as_millis().to_string().into()),
            (PRINTS, prints.into()),
            (LOG, self.log.clone().unwrap_or_default().into()),
        ];
        pairs.into_iter().map(|(name, value)| (name.into(), value)).collect()
    }

    /// The same from variables, as `var` knows them.
    ///
    /// # Errors
    /// [`SettingError`].
    pub fn read(var: impl Fn(&str) -> Option<OsString>) -> Result<WorkerProcess, SettingError> {
        let text = |name: &'static str| {
            let value = var(name);
            let text = value.as_deref().and_then(OsStr::to_str).map(str::to_owned);
            text.ok_or_else(|| wrong(name, value.as_deref(), "text"))
        };
        let some = |name| text(name).map(|t| Some(t).filter(|t| !t.is_empty()));
        let number = |name| {
            let number = text(name)?.parse::<u64>();
            number.map_err(|_| wrong(name, var(name).as_deref(), "a number"))
        };
        let file = var(CONNECTION_FILE).ok_or_else(|| wrong(CONNECTION_FILE, None, "a path"))?;
        let config = RunConfig {
            connection_file: PathBuf::from(file),
            wait: Duration::from_millis(number(WAIT)?),
            job: None,
            name: text(NAME)?,
            listen: text(LISTEN)?,
            announce: some(ANNOUNCE)?,
            threads: usize::try_from(number(THREADS)?).unwrap_or(usize::MAX),
            memory_bytes: number(MEMORY)?,
            spill: Spill {
                dir: var(SPILL_DIR).filter(|dir| !dir.is_empty()).map(PathBuf::from),
                limit: some(SPILL_LIMIT)?.map(|_| number(SPILL_LIMIT)).transpose()?,
            },
            patience: Duration::from_millis(number(PATIENCE)?),
        };
        let prints = match text(PRINTS)?.as_str() {
            "text" => Prints::Text,
            "json" => Prints::Json,
            "nothing" => Prints::Nothing,
            _ => return Err(wrong(PRINTS, var(PRINTS).as_deref(), "text, json or nothing")),
        };
        Ok(WorkerProcess { config, prints, log: some(LOG)? })
    }

    /// Is this worker until it is told to end (SIGTERM, SIGINT: it leaves first) or its scheduler is gone.
    ///
    /// # Errors
    /// [`ProcessError`].
    pub fn serve(self) -> Result<(), ProcessError> {
        log::start(self.log.as_deref());
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(IO_THREADS).thread_name("tilework-io").enable_all().build()?;
        let (name, prints) = (self.config.name.clone(), self.prints);
        runtime.block_on(async {
            let told = signals::told_to_end()?;
            Ok(run(self.config, |worker| joined(prints, &name, worker), told).await?)
        })
    }
}

fn wrong(name: &'static str, got: Option<&OsStr>, expected: &'static str) -> SettingError {
    let got = got.map_or_else(|| "not set".to_owned(), |got| format!("{got:?}"));
    SettingError { name, got, expected }
}

fn joined(prints: Prints, name: &str, worker: WorkerId) {
    match prints {
        Prints::Text => print(&format!("worker {name} joined")),
        Prints::Json => print(&serde_json::json!({ "name": name, "worker": worker.0 }).to_string()),
        Prints::Nothing => {}
    }
}

/// A line to standard output. A reader that has gone (`| head`) is no error.
fn print(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Prints that this process can be a worker, and of which release; nothing may be printed before.
pub fn answer() {
    print(&format!("{ANSWER} {}", env!("CARGO_PKG_VERSION")));
}

/// The release in the line that [`answer`] printed; `None` for any other line.
///
/// ```
/// assert_eq!(tilework_worker::process::release_in("tilework-worker 1.2.3\n"), Some("1.2.3"));
/// assert_eq!(tilework_worker::process::release_in("hello\n"), None);
/// ```
#[must_use]
pub fn release_in(line: &str) -> Option<&str> {
    line.strip_prefix(ANSWER)?.strip_prefix(' ')?.strip_suffix('\n')
}
