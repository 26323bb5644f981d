//! A program of the user's as a worker: whether it can be one, and becoming it.
//!
//! Owns looking at executables. Must not know settings. A program that was not built with the library is never run: what
//! says that it was is a note in the file.

use anyhow::{Context, bail};
use object::{Object, ObjectSection, ReadCache};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tilework_worker::process::{NOTE_SECTION, ROLE, ROLE_ASKED, WorkerProcess, release_in};

/// How long a program may take until it says that it can be a worker; it is loaded from a network, perhaps.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// How long a program that answered nothing may take to end by itself.
const END_MAX: Duration = Duration::from_secs(1);
/// Between two looks whether it has.
const END_PAUSE: Duration = Duration::from_millis(5);
/// The most that is read of an answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 512;
/// The exit code of a program whose libraries are not there.
const EX_NOT_LOADED: i32 = 127;

/// Why a program is no worker.
#[derive(Debug, thiserror::Error)]
pub enum NoWorker {
    /// It does not use the library: scripts, other programs.
    #[error("{0} is no program built with the library tilework, so it cannot be a worker")]
    Foreign(String),
    /// It does, and its `main` runs where it should be a worker.
    #[error(
        "{name} does not become a worker: its `main` runs instead. Make `tilework::init();` the first line of its \
         `main`. It said: {said:?}"
    )]
    NoEntry {
        /// The program.
        name: String,
        /// The first line of its standard error.
        said: String,
    },
    /// Its library is of another release.
    #[error("{name} was built with tilework {got}, expected {expected}: use the same release everywhere")]
    Release {
        /// The program.
        name: String,
        /// Its release.
        got: String,
        /// Ours.
        expected: &'static str,
    },
}

/// A program that can be a worker.
#[derive(Debug)]
pub struct Program(PathBuf);

impl Program {
    /// Looks for a program as a shell does, and whether it can be a worker.
    ///
    /// # Errors
    /// [`NoWorker`]; a file that is not there or cannot be run.
    pub fn find(name: &str) -> anyhow::Result<Program> {
        let path = found(name)?;
        if !has_note(&path) {
            return Err(NoWorker::Foreign(name.to_owned()).into());
        }
        let expected = env!("CARGO_PKG_VERSION");
        match ask(&path).with_context(|| format!("cannot run {name}"))? {
            Answer::Release(release) if release == expected => Ok(Program(path)),
            Answer::Release(got) => Err(NoWorker::Release { name: name.to_owned(), got, expected }.into()),
            Answer::Other(said) => Err(NoWorker::NoEntry { name: name.to_owned(), said }.into()),
            Answer::Broken(said) => bail!("{name} does not start: {said}"),
        }
    }

    /// Makes this process a worker of the program. It returns only where that fails.
    pub fn become_worker(&self, worker: &WorkerProcess) -> anyhow::Error {
        // The arguments are for whoever lists processes: nothing reads them.
        let mut command = Command::new(&self.0);
        command.args(["tilework-worker", &worker.config.name]).envs(worker.environment());
        anyhow::Error::new(command.exec()).context(format!("cannot run {}", self.0.display()))
    }
}

fn found(name: &str) -> anyhow::Result<PathBuf> {
    let is_program = |path: &Path| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        let path = PathBuf::from(name);
        if !is_program(&path) {
            bail!("no program at {name}, or not one that may be run");
        }
        return Ok(path);
    }
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    let all = std::env::split_paths(&dirs).map(|dir| dir.join(name)).find(|path| is_program(path));
    all.with_context(|| format!("no program {name} in PATH; one in this directory is called ./{name}"))
}

/// Whether an executable says that it can be a worker.
fn has_note(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let parts = ReadCache::new(file);
    object::File::parse(&parts).is_ok_and(|executable| {
        executable.section_by_name(NOTE_SECTION).is_some_and(|section| section.size() > 0)
    })
}

/// What a program said when it was asked.
enum Answer {
    /// It can be a worker, of this release.
    Release(String),
    /// Something else; this is the first line on its standard error.
    Other(String),
    /// It could not be loaded.
    Broken(String),
}

/// Starts a program to be asked whether it can be a worker.
fn ask(path: &Path) -> std::io::Result<Answer> {
    let mut command = Command::new(path);
    command.env(ROLE, ROLE_ASKED).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut asked = Asked(command.process_group(0).spawn()?);
    let (output, errors) = (asked.0.stdout.take(), asked.0.stderr.take());
    let answer = first_line(output.expect("the output was asked for"));
    let error = first_line(errors.expect("the output was asked for"));
    let line = answer.recv_timeout(ANSWER_MAX);
    if let Some(release) = line.as_deref().ok().and_then(release_in) {
        return Ok(Answer::Release(release.to_owned()));
    }
    if line.is_ok_and(|line| line.is_empty()) {
        // It has ended, or is about to: how, is worth a moment.
        asked.wait_for_end(END_MAX)?;
    }
    let status = asked.end();
    let said = error.recv_timeout(ANSWER_MAX).unwrap_or_default().trim_end().to_owned();
    let is_broken = status.is_ok_and(|status| status.code() == Some(EX_NOT_LOADED));
    Ok(if is_broken { Answer::Broken(said) } else { Answer::Other(said) })
}

/// The first line of what a program writes, once it is there; nothing where that is no text.
fn first_line(output: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (said, answer) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut line = String::new();
        // Err: it is no text.
        let _ = BufReader::new(output.take(ANSWER_BYTES_MAX)).read_line(&mut line);
        // Err: nobody waits any more.
        let _ = said.send(line);
    });
    answer
}

/// A program that was asked. It ends with this: its `main` may be running.
struct Asked(Child);

impl Asked {
    /// Waits a while for its own end.
    fn wait_for_end(&mut self, longest: Duration) -> std::io::Result<()> {
        let started = Instant::now();
        while self.0.try_wait()?.is_none() && started.elapsed() < longest {
            std::thread::sleep(END_PAUSE);
        }
        Ok(())
    }

    fn end(&mut self) -> std::io::Result<ExitStatus> {
        if self.0.try_wait()?.is_none()
            && let Ok(group) = i32::try_from(self.0.id())
        {
            // SAFETY: kill has no preconditions on memory; the child was not waited for, so that the number is its.
            unsafe { libc::kill(-group, libc::SIGKILL) };
        }
        self.0.wait()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        // Err: there is nobody to tell.
        let _ = self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_program_of_the_library_is_never_run() {
        let dir = tempfile::tempdir().unwrap();
        let trace = dir.path().join("ran");
        let script = dir.path().join("script");
        std::fs::write(&script, format!("#!/bin/sh\ntouch {}\n", trace.display())).unwrap();
        let why = || Program::find(script.to_str().unwrap()).unwrap_err().to_string();
        assert!(why().contains("or not one that may be run"), "{}", why());
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        assert!(why().contains("no program built with the library"), "{}", why());
        assert!(!trace.exists());
        assert!(matches!(
            Program::find("sh").unwrap_err().downcast_ref(),
            Some(NoWorker::Foreign(name)) if name == "sh"
        ));
        let error = Program::find("no-such-program").unwrap_err().to_string();
        assert!(error.contains("./no-such-program"), "{error}");
    }
}
