//! Sessions: where programs run. In this process (the default), on processes of this machine, on a cluster.
//!
//! Owns the way from expressions to chunks: `route` decides where they are computed, `run` does what follows, `jobs` and
//! `values` take in what comes of it. Must not know element types or shapes' meaning.

mod at_once;
mod board;
mod data;
mod embedded;
mod fetch;
pub(crate) mod gather;
mod held;
mod jobs;
#[cfg(not(feature = "cluster"))]
mod left_out;
mod line;
mod names;
mod own;
mod planned;
#[cfg(feature = "cluster")]
mod processes;
mod progress;
mod putting;
#[cfg(feature = "cluster")]
mod remote;
mod route;
mod run;
mod runs;
mod size;
mod tiny;
mod values;
mod wait;

use crate::error::{Error, Result};
use crate::futures::Desk;
use data::DataPlane;
#[cfg(feature = "dataframe")]
pub(crate) use held::brought;
use jobs::Jobs;
#[cfg(not(feature = "cluster"))]
use left_out::{processes, remote};
pub(crate) use planned::Planned;
use progress::Setting;
pub(crate) use route::session_for;
pub(crate) use run::{execute, persist, run};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tilework_plan::quantities::counted;
use tilework_plan::{Tags, tags_of};
pub(crate) use values::{Failure, Interest, Reads, Values, ValuesJob, What};

/// Results above this many bytes are not gathered into the client unless it says so: see
/// [`Session::gather_bytes_max`].
pub const GATHER_BYTES_MAX: u64 = 8 << 30;

/// As how many processes of this machine the session runs that starts by itself.
const PROCESSES: &str = "TILEWORK_PROCESSES";
/// Workers that a session starts at most, in this process or as processes of this machine.
const WORKERS_MAX: usize = 256;
/// Threads of each worker of an embedded session at most.
const THREADS_MAX: usize = 1024;

/// The workers of an embedded session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EmbeddedOptions {
    /// How many.
    pub workers: usize,
    /// Threads of each; all processors that this process may use, divided among them, where absent.
    pub threads_per_worker: Option<usize>,
    /// Bytes that each one's chunks and tasks may take; what `TILEWORK_MEMORY` says, else what this process may use,
    /// divided, where absent. Where it is said, large allocations of this process that are freed go back to the system at
    /// once.
    pub memory_bytes_per_worker: Option<u64>,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        EmbeddedOptions { workers: 1, threads_per_worker: None, memory_bytes_per_worker: None }
    }
}

/// A place where programs run. Cheap to clone; it ends when the last clone (and the last array it holds) is dropped.
///
/// Creating a session by [`Session::processes`] or [`Session::connect`] makes it the current one, on which
/// `compute` runs; without any, an embedded session starts by itself.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

/// A session that does not live by this.
pub(crate) struct WeakSession(Weak<Inner>);

impl WeakSession {
    pub(crate) fn upgrade(&self) -> Option<Session> {
        self.0.upgrade().map(Session)
    }
}

pub(crate) struct Inner {
    jobs: Arc<Jobs>,
    data: Arc<dyn DataPlane>,
    gather_bytes_max: AtomicU64,
    progress: Mutex<Setting>,
    workers: Workers,
    place: Place,
    own: own::Own,
    desk: Desk,
    kept: Arc<values::Kept>,
    /// Dropped last: ends what the session started.
    _backing: Box<dyn Send + Sync>,
}

/// Where a session's workers are.
#[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "all are in this process then"))]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// In this process.
    Here,
    /// In processes of this executable.
    OwnProcesses,
    /// In processes of which that is not known.
    Cluster,
}

/// What a worker may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WorkerSize {
    /// Threads that run tasks.
    pub threads: u32,
    /// Bytes that its chunks and tasks may take.
    pub memory_bytes: u64,
    /// Bytes of chunks that it may write to its disk.
    pub spill_bytes: u64,
}

/// The workers of a session.
struct Workers {
    at_start: Vec<WorkerSize>,
    /// Who knows the workers of now, where they come and go.
    roster: Option<remote::Roster>,
    /// What each has that some tasks need, where the session has started them and no other will join.
    tags: Option<Vec<Tags>>,
}

static CURRENT: Mutex<Option<Session>> = Mutex::new(None);

impl Session {
    /// Starts a session inside this process, with as many threads as this process may use. No port is opened.
    ///
    /// # Errors
    /// [`Error::System`] where its threads cannot be started, [`Error::Setting`] for what the environment says of workers
    /// and makes no sense.
    pub fn embedded() -> Result<Session> {
        embedded::start(&EmbeddedOptions::default())
    }

    /// Starts a session inside this process with other workers than one of all threads: for tests of what must not
    /// depend on them, or to leave room for others.
    ///
    /// # Errors
    /// [`Error::Expr`] for no or too many workers or threads; as [`embedded`](Session::embedded).
    pub fn embedded_with(options: &EmbeddedOptions) -> Result<Session> {
        let threads = options.threads_per_worker.unwrap_or(1);
        if !(1..=WORKERS_MAX).contains(&options.workers) || !(1..=THREADS_MAX).contains(&threads) {
            let error = tilework_expr::ExprError::Parameter {
                what: "embedded session",
                got: in_words(options),
                expected: "1 to 256 workers of 1 to 1024 threads",
            };
            return Err(error.into());
        }
        embedded::start(options)
    }

    /// Starts a scheduler and `n` workers as processes of this machine and makes that the current session. They are
    /// this same executable started again, and end with the session.
    ///
    /// # Errors
    /// [`Error::Expr`] for no or more than 256 workers; [`Error::Start`] and [`Error::System`] where they cannot be started,
    /// [`ClusterError::Late`](crate::ClusterError::Late) and [`NotStarted`](crate::ClusterError::NotStarted) where they do
    /// not come up, [`Error::Setting`] for what the environment says of workers and makes no sense.
    pub fn processes(n: usize) -> Result<Session> {
        let session = processes::start(n)?;
        session.make_current();
        Ok(session)
    }

    /// As [`processes`](Session::processes), a worker for each list of tags, as in `["gpu,big", ""]`: tasks that ask for one
    /// ([`Tasks::tag`](crate::Tasks::tag)) go to workers that have it alone.
    ///
    /// ```no_run
    /// let session = tilework::Session::processes_with_tags(&["gpu", "", ""])?;
    /// let on_the_first = session.tasks().tag("gpu").submit(|x: f32| x * 2.0, (1.5,))?;
    /// # Ok::<(), tilework::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there; [`Error::Setting`] for what is no list of tags.
    pub fn processes_with_tags(tags: &[&str]) -> Result<Session> {
        let wrong = |list: &str| size::wrong_tags("the list of a worker's tags", format_args!("{list:?}"));
        let read = |list: &&str| tags_of(list).ok_or_else(|| wrong(list));
        let session = processes::start_with(tags.iter().map(read).collect::<Result<_>>()?)?;
        session.make_current();
        Ok(session)
    }

    /// What each worker has that some tasks need, where no other can join.
    pub(crate) fn tags(&self) -> Option<&[Tags]> {
        self.0.workers.tags.as_deref()
    }

    /// Connects to a running cluster by its connection file and makes that the current session. Functions of the program's
    /// own run on workers that are this program (`tilework worker --program ./my_program`); a computation with some, where
    /// there are only others, is refused with an error that says so.
    ///
    /// # Errors
    /// [`Error::Cluster`] where the file is missing or readable by others, nobody answers, or another release: the
    /// [kind](crate::ClusterError) says which, and the text which address was tried.
    pub fn connect(connection_file: impl AsRef<Path>) -> Result<Session> {
        let session = remote::connect(connection_file.as_ref(), Box::new(()))?;
        session.make_current();
        Ok(session)
    }

    /// The current session: the one made current last, else the one that `TILEWORK_CONNECTION` names, else as many
    /// worker processes of this machine as `TILEWORK_PROCESSES` says, else an embedded one; started by the first
    /// call.
    ///
    /// # Errors
    /// Where that session cannot be started; [`Error::Setting`] for a `TILEWORK_PROCESSES` that is no number.
    pub fn current() -> Result<Session> {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = &*current {
            return Ok(session.clone());
        }
        let session = match (std::env::var_os("TILEWORK_CONNECTION"), std::env::var_os(PROCESSES)) {
            (Some(file), _) => remote::connect(Path::new(&file), Box::new(()))?,
            (None, Some(n)) => processes::start(number_of_processes(&n)?)?,
            (None, None) => Session::embedded()?,
        };
        *current = Some(session.clone());
        Ok(session)
    }

    /// The current session, if one was started or made current.
    #[must_use]
    pub fn started() -> Option<Session> {
        CURRENT.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes this the session on which `compute` runs, in the whole process.
    pub fn make_current(&self) {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        let _earlier = current.replace(self.clone());
        drop(current);
    }

    /// Ends the current session (once no array holds it); the next `compute` starts an embedded one.
    pub fn close_current() {
        let earlier = CURRENT.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(earlier);
    }

    /// Sets how many bytes of results are gathered into this process at most; [`GATHER_BYTES_MAX`] at first.
    pub fn gather_bytes_max(&self, bytes: u64) {
        self.0.gather_bytes_max.store(bytes, Ordering::Relaxed);
    }

    /// Shows the progress of every run of more than a second, or of none: a bar on a terminal, a plain line every few
    /// seconds in a log file. Without this, and without `TILEWORK_PROGRESS=on` or `off`, there is a bar on a terminal and
    /// nothing elsewhere.
    pub fn show_progress(&self, show: bool) {
        let setting = if show { Setting::On } else { Setting::Off };
        *self.0.progress.lock().unwrap_or_else(PoisonError::into_inner) = setting;
    }

    /// How many tasks of this session's jobs the workers have done, jobs that failed not counted.
    #[must_use]
    pub fn n_tasks_done(&self) -> u64 {
        self.0.jobs.n_tasks_done()
    }

    /// How many workers the session had when it started.
    #[must_use]
    pub fn n_workers(&self) -> usize {
        self.0.workers.at_start.len()
    }

    /// The workers that the session has now.
    pub(crate) fn workers(&self) -> Result<Vec<WorkerSize>> {
        match &self.0.workers.roster {
            Some(roster) => roster.workers(),
            None => Ok(self.0.workers.at_start.clone()),
        }
    }

    fn new(
        jobs: Arc<Jobs>,
        data: Arc<dyn DataPlane>,
        place: Place,
        workers: Workers,
        backing: Box<dyn Send + Sync>,
    ) -> Session {
        Session(Arc::new(Inner {
            jobs,
            data,
            gather_bytes_max: AtomicU64::new(GATHER_BYTES_MAX),
            progress: Mutex::new(Setting::from_environment()),
            workers,
            place,
            own: own::Own::default(),
            desk: Desk::default(),
            kept: Arc::default(),
            _backing: backing,
        }))
    }

    pub(crate) fn is(&self, other: &Session) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Where its tasks are submitted.
    pub(crate) fn desk(&self) -> &Desk {
        &self.0.desk
    }

    /// The session, as long as others hold it.
    pub(crate) fn downgrade(&self) -> WeakSession {
        WeakSession(Arc::downgrade(&self.0))
    }
}

fn in_words(options: &EmbeddedOptions) -> String {
    let threads = options.threads_per_worker.map(|n| format!(" of {}", counted(n as u64, "thread")));
    format!("{}{}", counted(options.workers as u64, "worker"), threads.unwrap_or_default())
}

fn number_of_processes(n: &std::ffi::OsStr) -> Result<usize> {
    let number = n.to_str().and_then(|n| n.trim().parse().ok());
    let wrong = || Error::setting(PROCESSES, n.display(), "a number");
    number.ok_or_else(wrong)
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({} workers)", self.n_workers())
    }
}
