//! Sessions: where programs run. In this process (the default), on processes of this machine, on a cluster.
//!
//! Owns the way from expressions to chunks: submit, wait, gather. Must not know element types or shapes' meaning.

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
#[cfg(feature = "cluster")]
mod processes;
mod progress;
#[cfg(feature = "cluster")]
mod remote;
mod size;
mod tiny;
mod values;
mod wait;

use crate::array::chunks_of;
use crate::error::{Error, Result};
use crate::futures::{Desk, HeldValue};
use crate::literal::{InMemory, Literal};
use data::DataPlane;
use held::Held;
use jobs::Jobs;
#[cfg(not(feature = "cluster"))]
use left_out::{processes, remote};
use progress::{Progress, Setting};
use std::cell::OnceCell;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tilework_expr::{Expr, Lowered, Op, Program};
use tilework_kernels::Chunk;
use tilework_plan::quantities::counted;
use tilework_plan::{Figures, TAG_IN_WORDS, Tags, tags_of};
use tilework_worker::runs_tasks;
pub(crate) use values::{Failure, Interest, Reads, Values, ValuesJob, What};

/// Results above this many bytes are not gathered into the client unless it says so: see
/// [`Session::gather_bytes_max`].
pub const GATHER_BYTES_MAX: u64 = 8 << 30;

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

/// [`Session::run`] on the current session.
pub(crate) fn run(outputs: &[Expr]) -> Result<Vec<Vec<Chunk>>> {
    if runs_tasks() { run_within_task(outputs) } else { Session::current()?.run(outputs) }
}

/// [`Session::execute`] on the current session.
pub(crate) fn execute(outputs: &[Expr]) -> Result<()> {
    if runs_tasks() { run_within_task(outputs).map(drop) } else { Session::current()?.execute(outputs) }
}

/// [`Session::persist`] on the current session.
pub(crate) fn persist(outputs: &[Expr]) -> Result<Vec<Expr>> {
    if runs_tasks() { persist_within_task(outputs) } else { Session::current()?.persist(outputs) }
}

/// Computes what a user's function asks for while a task calls it: on this thread, without any session. A worker whose
/// threads waited for arrays would have none left to compute them.
fn run_within_task(outputs: &[Expr]) -> Result<Vec<Vec<Chunk>>> {
    let (program, literals) = program(outputs, None, Duration::ZERO)?;
    Ok(at_once::compute(&Lowered::of(&program)?, &literals)?.0)
}

/// The same, kept in this process.
fn persist_within_task(outputs: &[Expr]) -> Result<Vec<Expr>> {
    let kept = outputs.iter().zip(run_within_task(outputs)?).map(|(e, chunks)| {
        let (id, data) = Literal::attach(InMemory { grid: e.grid().clone(), chunks });
        Ok(Expr::literal(&e.shape(), &chunks_of(e.grid()), e.dtype(), id, data)?)
    });
    kept.collect()
}

/// The program that computes the expressions on a session, or on none, and its literals. Where no worker is there of whom it
/// depends what becomes of functions, it waits so long for one.
///
/// # Errors
/// Where an array that the session's workers kept is lost.
fn program(outputs: &[Expr], on: Option<&Session>, wait: Duration) -> Result<(Program, jobs::Literals)> {
    let (mut literals, mut lost) = (Vec::new(), None);
    let has_own_workers = OnceCell::new();
    let foreign = |s: &Session| !has_own_workers.get_or_init(|| s.has_own_workers(wait));
    let program = Program::replacing(outputs, |e| {
        let attachment = e.attachment()?;
        if let Some(value) = attachment.downcast_ref::<HeldValue>() {
            if on.is_some_and(|session| value.is_of(session)) {
                lost = lost.take().or_else(|| value.lost().map(|why| Error::from(why).to_string()));
                return None;
            }
            let id = value.literal().id;
            literals.push(Arc::clone(value.literal()));
            return Some(Op::Values(tilework_expr::Values::Client { id }));
        }
        if let (Op::Values(_), Some(literal)) = (e.op(), Literal::of(attachment)) {
            literals.push(literal);
            return None;
        }
        let literal = match (e.op(), attachment.downcast_ref::<Held>()) {
            (Op::Held { .. }, Some(held)) if on.is_none_or(|session| !held.is_of(session)) => {
                Arc::clone(held.literal())
            }
            (Op::Held { .. }, Some(held)) => {
                lost = lost.take().or_else(|| held.lost());
                return None;
            }
            (Op::Literal { .. }, _) => Literal::of(attachment)?,
            // A function of the index gives the same chunks here, where the workers do not have it.
            _ if e.op().kernel().is_some() && on.is_some_and(foreign) => Literal::of(attachment)?,
            _ => return None,
        };
        if let (Some(session), Some(function)) = (on, literal.function()) {
            session.called_here(function);
        }
        let id = literal.id;
        literals.push(literal);
        Some(Op::Literal { id })
    });
    match lost {
        None => Ok((program, literals)),
        Some(why) => Err(Error::Cluster(format!(
            "an array that the workers kept (`persist`) went with the connection to the scheduler ({why}): make it again"
        ))),
    }
}

impl Session {
    /// Starts a session inside this process, with as many threads as this process may use. No port is opened.
    ///
    /// # Errors
    /// [`Error::Cluster`] where its threads cannot be started.
    pub fn embedded() -> Result<Session> {
        embedded::start(&EmbeddedOptions::default())
    }

    /// Starts a session inside this process with other workers than one of all threads: for tests of what must not
    /// depend on them, or to leave room for others.
    ///
    /// # Errors
    /// [`Error::Expr`] for no or too many workers or threads, [`Error::Cluster`] where its threads cannot be started.
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
    /// [`Error::Expr`] for no or more than 256 workers; [`Error::Start`] where they cannot be started,
    /// [`Error::Cluster`] where they do not come up.
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
    /// As there; [`Error::Cluster`] for what is no list of tags.
    pub fn processes_with_tags(tags: &[&str]) -> Result<Session> {
        let read = |list: &&str| {
            let wrong = || {
                Error::Cluster(format!("tags: got {list:?}, expected a list as in gpu,big: {TAG_IN_WORDS}"))
            };
            tags_of(list).ok_or_else(wrong)
        };
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
    /// [`Error::Cluster`] where the file is missing, readable by others or stale, or nobody answers: the text says
    /// which address was tried for how long.
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
    /// Where that session cannot be started; [`Error::Cluster`] for a `TILEWORK_PROCESSES` that is no number.
    pub fn current() -> Result<Session> {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = &*current {
            return Ok(session.clone());
        }
        let session = match (std::env::var_os("TILEWORK_CONNECTION"), std::env::var_os("TILEWORK_PROCESSES"))
        {
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

    /// The program that computes the expressions on this session.
    pub(crate) fn program(&self, outputs: &[Expr]) -> Result<Program> {
        Ok(program(outputs, Some(self), Duration::ZERO)?.0)
    }

    /// The same with its literals, for what is submitted and not waited for.
    pub(crate) fn program_of(&self, outputs: &[Expr]) -> Result<(Program, jobs::Literals)> {
        program(outputs, Some(self), own::FIRST_WORKER_WAIT)
    }

    /// What the latest run of the program took; `None` where it did not run, or many others ran since.
    pub(crate) fn figures_of(&self, program: &Program) -> Option<Figures> {
        self.0.jobs.figures_of(program)
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

    /// Computes the expressions and returns the chunks of each, in order.
    pub(crate) fn run(&self, outputs: &[Expr]) -> Result<Vec<Vec<Chunk>>> {
        if runs_tasks() {
            return run_within_task(outputs);
        }
        let bytes = outputs.iter().map(|e| e.len() as u64 * e.dtype().size() as u64);
        let bytes = bytes.fold(0, u64::saturating_add);
        let limit = self.0.gather_bytes_max.load(Ordering::Relaxed);
        if bytes > limit {
            return Err(Error::TooLargeToGather { bytes, limit });
        }
        let (program, literals) = program(outputs, Some(self), own::FIRST_WORKER_WAIT)?;
        let program = Arc::new(program);
        match self.at_once(&program, &literals)? {
            Some(chunks) => Ok(chunks),
            None => self.start(program, literals)?.gather(self.0.data.as_ref()),
        }
    }

    /// The chunks of a program that is worth no worker, computed by this thread.
    fn at_once(&self, program: &Arc<Program>, literals: &jobs::Literals) -> Result<Option<Vec<Vec<Chunk>>>> {
        let roomy = |w: &WorkerSize| w.memory_bytes > 4 * at_once::BYTES_MAX;
        if self.0.place != Place::Here || !self.0.workers.at_start.iter().all(roomy) {
            return Ok(None);
        }
        let started = Instant::now();
        let Some(lowered) = at_once::small(program) else { return Ok(None) };
        let (chunks, n_tasks) = at_once::compute(&lowered, literals)?;
        let elapsed_us = started.elapsed().as_micros() as u64;
        let figures = Figures { n_tasks, elapsed_us, busy_us: elapsed_us, ..Figures::default() };
        self.0.jobs.ran(program, figures);
        Ok(Some(chunks))
    }

    /// Computes the expressions for their effect (files written) alone.
    fn execute(&self, outputs: &[Expr]) -> Result<()> {
        self.submit_all(outputs)?.wait()
    }

    /// Computes the expressions, leaves their chunks on the workers, and returns expressions that read them there.
    pub(crate) fn persist(&self, outputs: &[Expr]) -> Result<Vec<Expr>> {
        let job = self.submit_all(outputs)?;
        job.wait()?;
        let id = job.id();
        let held = Held::outputs(job, self, outputs.iter().map(|e| e.grid().clone()));
        let held = outputs.iter().zip(held).enumerate().map(|(i, (e, held))| {
            Ok(Expr::held(id.0, i as u32, e.grid().clone(), e.dtype(), Arc::new(held))?)
        });
        held.collect()
    }

    fn submit_all(&self, outputs: &[Expr]) -> Result<jobs::Job> {
        let (program, literals) = program(outputs, Some(self), own::FIRST_WORKER_WAIT)?;
        self.start(Arc::new(program), literals)
    }

    fn start(&self, program: Arc<Program>, literals: jobs::Literals) -> Result<jobs::Job> {
        let progress = Progress::new(*self.0.progress.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.jobs.submit(program, literals, progress)
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
    let wrong = || Error::Cluster(format!("TILEWORK_PROCESSES is {}, expected a number", n.display()));
    number.ok_or_else(wrong)
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({} workers)", self.n_workers())
    }
}
