//! Child processes of this host that do not outlive us.
//!
//! Owns: starting a command so that it ends when we end, however we end, and stopping it within a bounded
//! time. Must not know: what the command is. A secret never goes into `args` or `env` (both can be read by
//! others while it runs): give the path of the connection file.

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, getpid, getppid, kill_process, kill_process_group, set_parent_process_death_signal,
};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long a process has between SIGTERM and SIGKILL where its handle is dropped.
pub const DROP_GRACE: Duration = Duration::from_secs(2);
/// How long a process may take to vanish after SIGKILL before it is given up (it hangs in the kernel).
pub const KILL_WAIT: Duration = Duration::from_secs(5);

const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// Where a process writes its standard output and error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Where ours go.
    #[default]
    Inherit,
    /// To the end of this file, made with mode 0600 if it is not there.
    File(PathBuf),
}

/// What to start.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// A short name for messages: `worker 3`.
    pub name: String,
    /// The program; without a slash it is looked for in `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables to set beside our own.
    pub env: Vec<(OsString, OsString)>,
    /// Where it writes.
    pub output: Output,
}

/// Why a process was not started or not stopped.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program did not start.
    #[error("cannot start {name}, program {program}")]
    Spawn {
        /// Which one.
        name: String,
        /// What was started.
        program: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file for its output cannot be opened.
    #[error("cannot open {path} for the output of {name}")]
    Output {
        /// Which process.
        name: String,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The operating system did not say how it is.
    #[error("cannot ask for the state of {name}, process {pid}")]
    Wait {
        /// Which process.
        name: String,
        /// Its id.
        pid: u32,
        /// The cause.
        source: io::Error,
    },
    /// SIGKILL did not end it.
    #[error("{name}, process {pid}, is still there {waited:?} after SIGKILL: it hangs in the kernel")]
    Hangs {
        /// Which process.
        name: String,
        /// Its id.
        pid: u32,
        /// [`KILL_WAIT`].
        waited: Duration,
    },
}

/// A child process, in its own process group (Ctrl-C reaches us, and we stop it), ended with its handle.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tilework_cluster::process::{LocalProcess, Spec};
///
/// let spec = Spec { name: "sleeper".into(), program: "sleep".into(), args: vec!["1000".into()], ..Spec::default() };
/// let mut sleeper = LocalProcess::spawn(&spec)?;
/// assert!(sleeper.status()?.is_none());
/// sleeper.stop(Duration::from_secs(5))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct LocalProcess {
    name: String,
    child: Child,
}

impl LocalProcess {
    /// Starts a process with an empty standard input.
    ///
    /// # Errors
    /// [`ProcessError::Spawn`], [`ProcessError::Output`].
    pub fn spawn(spec: &Spec) -> Result<Self, ProcessError> {
        let mut command = Command::new(&spec.program);
        command.args(&spec.args).envs(spec.env.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null()).process_group(0);
        if let Output::File(path) = &spec.output {
            let open = || {
                let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
                Ok((file.try_clone()?, file))
            };
            let (out, err) = open().map_err(|source| ProcessError::Output {
                name: spec.name.clone(),
                path: path.clone(),
                source,
            })?;
            command.stdout(out).stderr(err);
        }
        end_with_parent(&mut command);
        let child = spawn_from_lasting_thread(command).map_err(|source| ProcessError::Spawn {
            name: spec.name.clone(),
            program: spec.program.clone(),
            source,
        })?;
        Ok(Self { name: spec.name.clone(), child })
    }

    /// The name given to it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; `None` while it runs.
    ///
    /// # Errors
    /// [`ProcessError::Wait`].
    pub fn status(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        self.child.try_wait().map_err(|source| ProcessError::Wait {
            name: self.name.clone(),
            pid: self.child.id(),
            source,
        })
    }

    /// Sends it SIGTERM, waits up to `grace`, then SIGKILL to it and all of its group; says how it ended.
    /// Blocks meanwhile.
    ///
    /// # Errors
    /// [`ProcessError::Wait`], [`ProcessError::Hangs`].
    pub fn stop(&mut self, grace: Duration) -> Result<ExitStatus, ProcessError> {
        self.terminate()?;
        self.end_by(Instant::now() + grace)
    }

    /// As [`LocalProcess::stop`] for many, with one time of grace for all of them together.
    ///
    /// # Errors
    /// The first error; all of them are stopped nonetheless.
    pub fn stop_all(processes: &mut [Self], grace: Duration) -> Result<(), ProcessError> {
        let mut first = Ok(());
        for process in processes.iter_mut() {
            first = first.and(process.terminate());
        }
        let deadline = Instant::now() + grace;
        for process in processes {
            first = first.and(process.end_by(deadline).map(|_| ()));
        }
        first
    }

    fn terminate(&mut self) -> Result<(), ProcessError> {
        if self.status()?.is_none() {
            // Not waited for yet: until then the system gives its id to no other. Err: it has just ended.
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
        Ok(())
    }

    fn end_by(&mut self, deadline: Instant) -> Result<ExitStatus, ProcessError> {
        if let Some(status) = self.wait_until(deadline)? {
            return Ok(status);
        }
        // With all that it started. Err: it has just ended.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        self.wait_until(Instant::now() + KILL_WAIT)?.ok_or_else(|| ProcessError::Hangs {
            name: self.name.clone(),
            pid: self.child.id(),
            waited: KILL_WAIT,
        })
    }

    fn wait_until(&mut self, deadline: Instant) -> Result<Option<ExitStatus>, ProcessError> {
        let mut pause = PAUSE_MIN;
        loop {
            let status = self.status()?;
            if status.is_some() || Instant::now() >= deadline {
                return Ok(status);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

impl Drop for LocalProcess {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.stop(DROP_GRACE);
    }
}

/// Has the system send SIGTERM to the child when we end, be it by SIGKILL.
///
/// The other way, a pipe that we hold open and the child reads, needs a child that takes part, and any
/// forked process that holds a copy of the pipe defeats it. This works for every program. Two traps: the
/// signal comes when the *thread* that forked ends, hence [`spawn_from_lasting_thread`]; and we may end
/// before the child asked for the signal, hence the look at its parent.
#[cfg(target_os = "linux")]
fn end_with_parent(command: &mut Command) {
    let our_pid = getpid();
    let ask = move || {
        set_parent_process_death_signal(Some(Signal::TERM))?;
        if getppid() != Some(our_pid) { Err(Errno::SRCH.into()) } else { Ok(()) }
    };
    // SAFETY: `ask` runs between fork and exec: it makes two system calls, allocates nothing, takes no lock.
    unsafe { command.pre_exec(ask) };
}

/// Elsewhere a child ends with its handle only.
#[cfg(not(target_os = "linux"))]
fn end_with_parent(_command: &mut Command) {}

type SpawnJob = (Command, mpsc::SyncSender<io::Result<Child>>);

/// Forks from a thread that lives as long as the process, whichever thread asks.
fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<SpawnJob>> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let jobs = if let Some(jobs) = SPAWNER.get() {
        jobs
    } else {
        let _one_at_a_time = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = SPAWNER.get() {
            jobs
        } else {
            let (jobs, taken) = mpsc::channel::<SpawnJob>();
            std::thread::Builder::new().name("tilework-spawn".to_owned()).spawn(move || {
                for (mut command, reply) in taken {
                    // Err: whoever asked is gone; the child is dropped and runs on, as with Command::spawn.
                    let _ = reply.send(command.spawn());
                }
            })?;
            SPAWNER.get_or_init(|| jobs)
        }
    };
    let gone = || io::Error::other("the thread that starts processes is gone");
    let (reply, child) = mpsc::sync_channel(1);
    jobs.send((command, reply)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn sh(script: &str, output: Output) -> Spec {
        let args = vec!["-c".into(), script.into()];
        Spec {
            name: "test".into(),
            program: "sh".into(),
            args,
            output,
            env: vec![("GIVEN".into(), "7".into())],
        }
    }

    #[test]
    fn output_goes_to_the_file_and_the_status_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut process = LocalProcess::spawn(&sh(
            "cat; echo to-out $GIVEN; echo to-err >&2; exit 3",
            Output::File(path.clone()),
        ))
        .unwrap();
        let status = process.wait_until(Instant::now() + LONG).unwrap().unwrap();
        assert_eq!(status.code(), Some(3));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "to-out 7\nto-err\n");
        // Stopping what has ended says how it ended.
        assert_eq!(process.stop(LONG).unwrap().code(), Some(3));
    }

    #[test]
    fn a_process_is_asked_first_and_killed_after_the_grace() {
        let mut obeys = LocalProcess::spawn(&sh("exec sleep 1000", Output::Inherit)).unwrap();
        assert_eq!(obeys.stop(LONG).unwrap().signal(), Some(libc::SIGTERM));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let stubborn =
            sh("trap '' TERM; echo ready; while :; do sleep 1000; done", Output::File(path.clone()));
        let mut stubborn = [LocalProcess::spawn(&stubborn).unwrap()];
        while std::fs::read_to_string(&path).unwrap() != "ready\n" {
            std::thread::yield_now();
        }
        LocalProcess::stop_all(&mut stubborn, Duration::ZERO).unwrap();
        assert_eq!(stubborn[0].status().unwrap().unwrap().signal(), Some(libc::SIGKILL));
    }

    #[test]
    fn a_process_outlives_the_thread_that_asked_for_it() {
        let spawn = || LocalProcess::spawn(&sh("exec sleep 1000", Output::Inherit)).unwrap();
        let mut process = std::thread::spawn(spawn).join().unwrap();
        // Had the thread's end sent SIGTERM, that would be its last signal, not this.
        process.child.kill().unwrap();
        let status = process.wait_until(Instant::now() + LONG).unwrap().unwrap();
        assert_eq!(status.signal(), Some(libc::SIGKILL));
    }

    #[test]
    fn what_cannot_start_is_named() {
        let spec = Spec { name: "worker 3".into(), program: "/no/such/program".into(), ..Spec::default() };
        let text = LocalProcess::spawn(&spec).unwrap_err().to_string();
        assert_eq!(text, "cannot start worker 3, program /no/such/program");
    }
}
