//! A worker process: what it is told in its environment, its log, its threads, what it prints, how it ends.
//!
//! The program `tilework` as a worker and a user's own program as a worker are the same from here on. Owns the names of
//! the variables. Must not know command lines, or what else a process can be. No secret is among the variables: the
//! connection file goes by its path.

use crate::WorkerError;
use crate::run::{RunConfig, RunError, run};
use crate::spill::Spill;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tilework_cluster::{log, signals};
use tilework_plan::{WorkerId, tags_of};

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
const TAGS: &str = "TILEWORK_ROLE_TAGS";
const WAIT: &str = "TILEWORK_ROLE_WAIT_MS";
const PATIENCE: &str = "TILEWORK_ROLE_PATIENCE_MS";
const TASK_MAX: &str = "TILEWORK_ROLE_TASK_LIMIT_MS";
const STOP_MAX: &str = "TILEWORK_ROLE_STOP_LIMIT_MS";
const SUCCESSOR: &str = "TILEWORK_ROLE_SUCCESSOR";
const PRINTS: &str = "TILEWORK_ROLE_PRINTS";
const LOG: &str = "TILEWORK_ROLE_LOG";

/// How long a task may run, if nobody says otherwise.
pub const TASK_LIMIT: Duration = Duration::from_secs(3600);
/// How long a task may go on after it was told to stop, if nobody says otherwise.
pub const STOP_LIMIT: Duration = Duration::from_secs(30);
/// The exit code of a worker of whose threads some did not come back, and which whoever started it is to replace.
pub const STUCK_EXIT_CODE: i32 = 75;
/// This executable, even if the file it came from was built anew since.
const SELF: &str = "/proc/self/exe";
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

/// Who takes the place of a worker of whose threads some do not come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Successor {
    /// The process begins again, under its number.
    Itself,
    /// Whoever started it starts another: the process ends with [`STUCK_EXIT_CODE`].
    Parent,
}

/// A time limit as a setting says it: seconds, or `none`. Nothing where it is neither.
///
/// ```
/// use std::time::Duration;
/// use tilework_worker::process::limit;
///
/// assert_eq!(limit("1.5"), Some(Some(Duration::from_millis(1500))));
/// assert_eq!(limit("none"), Some(None));
/// assert_eq!(limit("soon"), None);
/// ```
#[must_use]
pub fn limit(text: &str) -> Option<Option<Duration>> {
    if text == "none" {
        return Some(None);
    }
    text.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok()).map(Some)
}

/// All that a worker process needs to know. It travels in the environment of a process that shall be one.
///
/// ```
/// use std::time::Duration;
/// use tilework_worker::{RunConfig, Spill, process::{Prints, Successor, WorkerProcess}};
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
///     tags: ["gpu", "big"].map(Into::into).into(),
///     patience: Duration::from_millis(1500),
///     task_limit: None,
///     stop_limit: Some(Duration::from_secs(30)),
/// };
/// let (prints, successor) = (Prints::Json, Successor::Itself);
/// let process = WorkerProcess { config, prints, log: Some("warn".into()), successor };
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
    /// Who takes its place where threads do not come back.
    pub successor: Successor,
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
        let ms = |limit: Option<Duration>| limit.map(|l| l.as_millis().to_string()).unwrap_or_default();
        let successor = match self.successor {
            Successor::Itself => "itself",
            Successor::Parent => "parent",
        };
        let pairs: [(&str, OsString); 17] = [
            (ROLE, ROLE_WORKER.into()),
            (CONNECTION_FILE, c.connection_file.clone().into()),
            (NAME, c.name.clone().into()),
            (LISTEN, c.listen.clone().into()),
            (ANNOUNCE, c.announce.clone().unwrap_or_default().into()),
            (THREADS, c.threads.to_string().into()),
            (MEMORY, c.memory_bytes.to_string().into()),
            (SPILL_DIR, c.spill.dir.clone().unwrap_or_default().into()),
            (SPILL_LIMIT, c.spill.limit.map(|b| b.to_string()).unwrap_or_default().into()),
            (TAGS, c.tags.iter().map(|tag| &**tag).collect::<Vec<&str>>().join(",").into()),
            (WAIT, c.wait.as_millis().to_string().into()),
            (PATIENCE, c.patience.as_millis().to_string().into()),
            (TASK_MAX, ms(c.task_limit).into()),
            (STOP_MAX, ms(c.stop_limit).into()),
            (SUCCESSOR, successor.into()),
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
        let limit = |name| match text(name)?.as_str() {
            "" => Ok(None),
            _ => Ok(Some(Duration::from_millis(number(name)?))),
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
            tags: tags_of(&text(TAGS)?).ok_or_else(|| wrong(TAGS, var(TAGS).as_deref(), "a list of tags"))?,
            patience: Duration::from_millis(number(PATIENCE)?),
            task_limit: limit(TASK_MAX)?,
            stop_limit: limit(STOP_MAX)?,
        };
        let successor = match text(SUCCESSOR)?.as_str() {
            "itself" => Successor::Itself,
            "parent" => Successor::Parent,
            _ => return Err(wrong(SUCCESSOR, var(SUCCESSOR).as_deref(), "itself or parent")),
        };
        let prints = match text(PRINTS)?.as_str() {
            "text" => Prints::Text,
            "json" => Prints::Json,
            "nothing" => Prints::Nothing,
            _ => return Err(wrong(PRINTS, var(PRINTS).as_deref(), "text, json or nothing")),
        };
        Ok(WorkerProcess { config, prints, log: some(LOG)?, successor })
    }

    /// Is this worker until it is told to end (SIGTERM, SIGINT: it leaves first) or its scheduler is gone. Where threads do
    /// not come back the process begins again, or ends with [`STUCK_EXIT_CODE`].
    ///
    /// # Errors
    /// [`ProcessError`].
    pub fn serve(self) -> Result<(), ProcessError> {
        let successor = self.successor;
        let again = begin_again(self.environment());
        match self.live() {
            Err(ProcessError::Worker(RunError::Worker(WorkerError::Stuck(_)))) => match successor {
                // All threads end with this, also those that would not.
                Successor::Itself => Err(ProcessError::System(again())),
                Successor::Parent => std::process::exit(STUCK_EXIT_CODE),
            },
            ended => ended,
        }
    }

    fn live(self) -> Result<(), ProcessError> {
        log::start(self.log.as_deref());
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(IO_THREADS).thread_name("tilework-io").enable_all().build()?;
        let (name, prints) = (self.config.name.clone(), self.prints);
        let ended = runtime.block_on(async {
            let told = signals::told_to_end()?;
            Ok(run(self.config, |worker| joined(prints, &name, worker), told).await?)
        });
        // A read of a file may never return, and the process must end all the same.
        runtime.shutdown_background();
        ended
    }
}

/// What makes this process begin again as what it was, with these variables; it returns only where that fails.
fn begin_again(environment: Vec<(OsString, OsString)>) -> impl FnOnce() -> io::Error {
    let mut arguments = std::env::args_os();
    let mut command = Command::new(SELF);
    command.arg0(arguments.next().unwrap_or_else(|| SELF.into())).args(arguments).envs(environment);
    move || command.exec()
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
