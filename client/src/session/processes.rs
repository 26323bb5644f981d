//! Sessions on processes of this machine: a scheduler and workers, each this same executable started again. A worker that
//! ends while the session lasts is started again, up to a number of times.
//!
//! Owns the processes and how each ended. Must not know what jobs are.

use super::jobs::Jobs;
use super::{Session, WORKERS_MAX, remote, size};
use crate::error::{ClusterError, Error, Result, chain};
use crate::role::{self, Role};
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tilework_cluster::connection;
use tilework_cluster::process::{LocalProcess, Output, Spec};
use tilework_plan::Tags;
use tilework_worker::RunConfig;
use tilework_worker::process::{self, Prints, Successor, WorkerProcess};

/// How long the processes may take to come up.
const START_MAX: Duration = Duration::from_secs(60);
/// How long a worker looks for a scheduler that is gone before it ends.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long they get to end by themselves.
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Time between two looks at the processes.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Times that workers are started again within [`RESTARTS_WITHIN`] at most, for each worker of the session: more than it
/// takes the scheduler to find the task that ends them.
const RESTARTS_MAX: usize = 5;
/// See [`RESTARTS_MAX`].
const RESTARTS_WITHIN: Duration = Duration::from_secs(60);
/// Processes of which is remembered how they ended.
const ENDS_MAX: usize = 4;

/// This executable, even if the file it came from was built anew since.
const SELF: &str = "/proc/self/exe";

/// One of the session's workers.
struct Member {
    name: String,
    role: Role,
    /// None where it ended and is not started again.
    process: Option<LocalProcess>,
}

/// The processes of a session.
struct State {
    scheduler: LocalProcess,
    workers: Vec<Member>,
    dir: PathBuf,
    /// How workers ended, the latest last.
    ends: VecDeque<String>,
    /// When workers were started again.
    restarts: VecDeque<Instant>,
    ending: bool,
}

/// The processes of a session, which are looked after while it lasts.
pub(super) struct Processes {
    state: Mutex<State>,
    /// Told when the session ends.
    ended: Condvar,
}

/// What ends with the session.
struct Backing(Arc<Processes>);

impl Drop for Backing {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.ending = true;
        self.0.ended.notify_all();
        // Workers first: they have nothing to hand over, and the scheduler would only look for their chunks.
        let mut workers: Vec<LocalProcess> = state.workers.drain(..).filter_map(|w| w.process).collect();
        // A process that does not end is killed; there is nobody to tell.
        let _ = LocalProcess::stop_all(&mut workers, STOP_GRACE);
        let _ = state.scheduler.stop(STOP_GRACE);
        let _ = std::fs::remove_dir_all(&state.dir);
    }
}

impl Processes {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error where one of the processes has ended before the session began.
    fn all_run(&self) -> Result<()> {
        let mut state = self.lock();
        let State { scheduler, workers, .. } = &mut *state;
        for process in std::iter::once(scheduler).chain(workers.iter_mut().filter_map(|w| w.process.as_mut()))
        {
            if let Ok(Some(status)) = process.status() {
                let why = format!(
                    "{} of the session ended while it started ({status}); what it said is on standard error. If that \
                     was this program's own `main`, `tilework::init();` must be its first line",
                    process.name()
                );
                return Err(ClusterError::NotStarted(why).into());
            }
        }
        Ok(())
    }

    /// How the workers that ended last did so, in words; nothing where none did.
    pub(super) fn how_they_ended(&self) -> Option<String> {
        let mut state = self.lock();
        state.look();
        state.how_they_ended()
    }

    /// The same of the last one alone.
    pub(super) fn how_the_last_ended(&self) -> Option<String> {
        let mut state = self.lock();
        state.look();
        state.ends.back().cloned()
    }

    /// Looks after the processes until the session ends, or no worker is left, of which its jobs are told.
    pub(super) fn look_after(self: &Arc<Self>, jobs: Weak<Jobs>) -> Result<()> {
        let processes = Arc::clone(self);
        let body = move || {
            let mut state = processes.lock();
            while !state.ending {
                state.look();
                if state.workers.iter().all(|w| w.process.is_none()) {
                    let why = ClusterError::NoWorkers(state.why_none_is_left());
                    drop(state);
                    return jobs.upgrade().map_or((), |jobs| jobs.close(&why));
                }
                let waited = processes.ended.wait_timeout(state, LOOK_EVERY);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        };
        let thread = std::thread::Builder::new().name("tilework-processes".into()).spawn(body);
        thread.map(drop).map_err(|e| Error::system("start a thread", e))
    }
}

impl State {
    /// Looks at each worker; those that have ended are started again.
    fn look(&mut self) {
        let restarts_max = RESTARTS_MAX * self.workers.len();
        for member in &mut self.workers {
            let ended = member.process.as_mut().and_then(|p| p.status().ok().flatten());
            let Some(status) = ended.filter(|_| !self.ending) else { continue };
            if self.ends.len() == ENDS_MAX {
                self.ends.pop_front();
            }
            self.ends.push_back(format!("{} ({})", member.name, in_words(status)));
            self.restarts.retain(|at| at.elapsed() < RESTARTS_WITHIN);
            member.process = None;
            if self.restarts.len() < restarts_max {
                self.restarts.push_back(Instant::now());
                match spawn(member.name.clone(), &member.role) {
                    Ok(process) => member.process = Some(process),
                    Err(error) => self.ends.push_back(format!("{} ({error})", member.name)),
                }
            }
        }
    }

    fn how_they_ended(&self) -> Option<String> {
        let ends: Vec<&str> = self.ends.iter().map(String::as_str).collect();
        (!ends.is_empty()).then(|| ends.join(", "))
    }

    fn why_none_is_left(&self) -> String {
        format!(
            "all worker processes of the session have ended, after they were started again {} times within {} s; the \
             last to end: {}",
            self.restarts.len(),
            RESTARTS_WITHIN.as_secs(),
            self.how_they_ended().unwrap_or_default()
        )
    }
}

/// How a process ended.
fn in_words(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(libc::SIGKILL), _) => {
            "killed by signal 9: by somebody, or by the system, which does so where memory runs out"
                .to_owned()
        }
        (Some(libc::SIGABRT), _) => "ended by signal 6: it aborted".to_owned(),
        (Some(libc::SIGSEGV), _) => {
            "ended by signal 11: an invalid access to memory, or a stack that overflowed".to_owned()
        }
        (Some(signal), _) => format!("ended by signal {signal}"),
        (None, Some(process::STUCK_EXIT_CODE)) => {
            "replaced: threads of it went on with tasks that they had been told to stop".to_owned()
        }
        (None, code) => format!("ended with exit code {}", code.unwrap_or_default()),
    }
}

/// Starts `n` workers with the tags that the environment says.
pub(super) fn start(n: usize) -> Result<Session> {
    check(n)?;
    start_with(vec![size::tags()?; n])
}

/// Whether there can be so many workers.
fn check(n: usize) -> Result<()> {
    if (1..=WORKERS_MAX).contains(&n) {
        return Ok(());
    }
    let error = tilework_expr::ExprError::Parameter {
        what: "number of worker processes",
        got: n.to_string(),
        expected: "1 to 256",
    };
    Err(error.into())
}

/// Starts a worker for each set of tags.
pub(super) fn start_with(tags: Vec<Tags>) -> Result<Session> {
    let n = tags.len();
    check(n)?;
    role::is_ours()?;
    let task_limit = limit("TASK_LIMIT", process::TASK_LIMIT)?;
    let stop_limit = limit("STOP_LIMIT", process::STOP_LIMIT)?;
    let dir = private_dir()?;
    let file = dir.join("connection.json");
    let state = State {
        scheduler: spawn("scheduler".into(), &Role::Scheduler { file: file.clone() })?,
        workers: Vec::with_capacity(n),
        dir,
        ends: VecDeque::new(),
        restarts: VecDeque::new(),
        ending: false,
    };
    let processes = Arc::new(Processes { state: Mutex::new(state), ended: Condvar::new() });
    let backing = Box::new(Backing(Arc::clone(&processes)));
    let threads = (tilework_cluster::limits::cpus() / n).max(1);
    let memory_bytes = size::memory_bytes()?;
    let memory_bytes =
        memory_bytes.unwrap_or_else(|| tilework_cluster::limits::memory_bytes() / (n as u64 + 1));
    let spill = size::spill()?;
    for (i, tags) in tags.iter().enumerate() {
        let name = format!("worker-{i}");
        let config = RunConfig {
            connection_file: file.clone(),
            wait: START_MAX,
            job: None,
            name: name.clone(),
            listen: "127.0.0.1:0".into(),
            announce: None,
            threads,
            memory_bytes,
            spill: spill.clone(),
            tags: tags.clone(),
            patience: PATIENCE,
            task_limit,
            stop_limit,
        };
        let (prints, successor) = (Prints::Nothing, Successor::Parent);
        let role = Role::Worker(Box::new(WorkerProcess { config, prints, log: None, successor }));
        let process = Some(spawn(name.clone(), &role)?);
        processes.lock().workers.push(Member { name, role, process });
    }
    let io = remote::Io::start()?;
    let file = io.run_while(remote::joined(file, n, START_MAX), || processes.all_run())??;
    remote::open(file, io, remote::Of::Processes(processes, tags), backing)
}

/// A time limit for tasks: what the environment says of sessions' workers, else what it says of any `tilework worker`, else
/// `default`.
fn limit(name: &str, default: Duration) -> Result<Option<Duration>> {
    let variables = [format!("TILEWORK_{name}"), format!("TILEWORK_WORKER_{name}")];
    let value = |variable: String| Some((std::env::var_os(&variable).filter(|v| !v.is_empty())?, variable));
    let Some((text, variable)) = variables.into_iter().find_map(value) else { return Ok(Some(default)) };
    let wrong = || Error::setting(&variable, text.display(), "a number of seconds, or `none`");
    text.to_str().and_then(process::limit).ok_or_else(wrong)
}

fn spawn(name: String, role: &Role) -> Result<LocalProcess> {
    let program = PathBuf::from(SELF);
    let spec = Spec {
        name,
        program: program.clone(),
        env: role.environment(),
        output: Output::Inherit,
        args: vec![],
    };
    LocalProcess::spawn(&spec).map_err(|e| Error::Start {
        what: "a process of the session",
        path: program,
        why: chain(&e),
    })
}

/// A new directory that only this user can enter. Its name was never used before: process numbers come again, and a
/// process that was killed may have left its directory.
fn private_dir() -> Result<PathBuf> {
    let cannot =
        |path: &Path, e: &dyn std::error::Error| Error::system(format!("use {}", path.display()), chain(e));
    let base = connection::default_dir().map_err(|e| ClusterError::ConnectionFile(chain(&e)))?;
    let dir = base.join(format!("session-{}-{:016x}", std::process::id(), RandomState::new().hash_one(0)));
    connection::create_private_dir(&base).map_err(|e| cannot(&base, &e))?;
    connection::create_private_dir(&dir).map_err(|e| cannot(&dir, &e))?;
    Ok(dir)
}
