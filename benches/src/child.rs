//! One measurement in a process of its own: how it is asked for, run, watched and answered.
//!
//! A process that measures prints one line of JSON. This very program does so when started as
//! `PROGRAM measure --workload …`; the peers' script does so too.

use crate::SessionKind;
use crate::memory::PeakOfTree;
use crate::timing::Timing;
use crate::workloads::{Problem, Workload};
use anyhow::Context;
use clap::Parser;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The variable that names the Python which has the peers.
pub const PYTHON: &str = "TILEWORK_PEERS_PYTHON";

/// The first argument of a program that shall measure and do nothing else.
const MEASURE: &str = "measure";
/// Time between two looks at a running measurement: a look takes some 0.1 ms, which may be measured with it.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long output may take to arrive once its writer has ended.
const OUTPUT_WAIT: Duration = Duration::from_secs(1);
/// The most that is told of an error, in characters.
const REASON_MAX: usize = 300;

/// A measurement to make.
#[derive(Clone, Debug, Parser)]
pub struct Request {
    /// What is run.
    #[arg(long)]
    workload: Workload,
    /// Where it runs.
    #[arg(long)]
    session: SessionKind,
    /// Its size.
    #[command(flatten)]
    problem: Problem,
    /// Timed runs.
    #[arg(long)]
    repeats: usize,
}

/// What a measurement found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The runs.
    pub timing: Timing,
    /// Memory at its peak, of the measuring process and all that it started; see [`PeakOfTree`].
    pub peak_bytes: u64,
}

/// A measurement, or why there is none.
pub type Outcome = Result<Reading, String>;

/// Where this process was started as a measuring one: does so.
#[must_use]
pub fn serve_if_asked() -> Option<anyhow::Result<()>> {
    let asked = std::env::args().nth(1).is_some_and(|a| a == MEASURE);
    asked.then(|| serve(&Request::parse_from(std::env::args().skip(1))))
}

fn serve(request: &Request) -> anyhow::Result<()> {
    let session = match request.workload {
        Workload::Read => None,
        _ => Some(request.session.open()?),
    };
    let work = request.workload.prepare(&request.problem)?;
    let timing = Timing::measure(request.repeats, work)?;
    let mut peak = PeakOfTree::default();
    peak.sample(std::process::id());
    println!("{}", serde_json::to_string(&Reading { timing, peak_bytes: peak.bytes() })?);
    tilework::Session::close_current();
    drop(session);
    Ok(())
}

/// Measures a workload of ours in a new process of this program.
///
/// # Errors
/// As [`run`].
pub fn measure(workload: Workload, session: SessionKind, problem: &Problem, runs: &Runs) -> Outcome {
    let program = std::env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;

    let mut command = Command::new(program);
    command.arg(MEASURE);
    command.args(["--workload", &workload.to_string(), "--session", &session.to_string()]);
    command.args(problem.arguments());
    command.args(["--repeats", &runs.repeats.to_string()]);
    let (reading, peak_bytes) = run::<Reading>(command, runs.timeout)?;
    Ok(Reading { peak_bytes: reading.peak_bytes.max(peak_bytes), ..reading })
}

/// How often, and how long at most.
#[derive(Clone, Copy, Debug)]
pub struct Runs {
    /// Timed runs of each measurement.
    pub repeats: usize,
    /// A measuring process is killed after this time.
    pub timeout: Duration,
}

/// Runs a command to its end and returns the line of JSON it printed, and its peak of memory in bytes.
///
/// # Errors
/// Why there is no such line: the command does not start, ends with an error (its last words), says something else,
/// or takes longer than `timeout`, in which case it and all that it started are killed.
pub fn run<T: DeserializeOwned>(mut command: Command, timeout: Duration) -> Result<(T, u64), String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|e| format!("cannot start {program}: {e}"))?;
    let stdout = Captured::of(child.stdout.take());
    let stderr = Captured::of(child.stderr.take());
    let mut peak = PeakOfTree::default();
    let ended = watch(&mut child, timeout, &mut peak)
        .with_context(|| format!("cannot wait for {program}"))
        .map_err(|e| format!("{e:#}"))?;
    let Some(status) = ended else { return Err(format!("no result after {} s", timeout.as_secs_f64())) };
    let (stdout, stderr) = (stdout.text(), stderr.text());
    if !status.success() {
        return Err(reason(&stderr).unwrap_or_else(|| status.to_string()));
    }
    let line = stdout.lines().rev().find(|l| l.starts_with('{'));
    let line = line.ok_or_else(|| "it printed no result".to_string())?;
    let value = serde_json::from_str(line).map_err(|e| format!("it printed {line:?}: {e}"))?;
    Ok((value, peak.bytes()))
}

/// Waits for a process and looks at its memory now and then; kills it and its tree when the time is over.
fn watch(
    child: &mut Child,
    timeout: Duration,
    peak: &mut PeakOfTree,
) -> std::io::Result<Option<std::process::ExitStatus>> {
    let started = Instant::now();
    let mut looked = started;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() >= timeout {
            let pids = peak.processes().map(|pid| pid.to_string());
            // Those that have ended meanwhile make `kill` complain; what matters is that the rest ends.
            let _ = Command::new("kill").arg("-KILL").args(pids).stderr(Stdio::null()).status();
            let _ = child.kill();
            child.wait()?;
            return Ok(None);
        }
        if looked == started || looked.elapsed() >= LOOK_EVERY {
            peak.sample(child.id());
            looked = Instant::now();
        }
        std::thread::sleep(LOOK_EVERY / 10);
    }
}

/// What a process writes, collected while it runs.
struct Captured {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Captured {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Captured {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&bytes);
        let reader = pipe.map(|mut pipe| {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                    sink.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..n]);
                }
            })
        });
        Captured { bytes, reader }
    }

    /// The text, once the process has ended. What it started and left behind may keep the pipe open: that is not
    /// waited for longer than [`OUTPUT_WAIT`].
    fn text(self) -> String {
        let ended = Instant::now();
        while self.reader.as_ref().is_some_and(|r| !r.is_finished()) && ended.elapsed() < OUTPUT_WAIT {
            std::thread::sleep(Duration::from_millis(1));
        }
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// The line of an error output that says what was wrong, in one line.
fn reason(stderr: &str) -> Option<String> {
    let lines: Vec<&str> =
        stderr.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with("note:")).collect();
    let panic = lines.iter().position(|l| l.contains("panicked at")).and_then(|i| lines.get(i + 1));
    let error = lines.iter().find(|l| l.starts_with("Error:")).or(panic).or(lines.last())?;
    let text: String = error.trim_start_matches("Error:").trim().chars().take(REASON_MAX).collect();
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Duration) -> Result<Timing, String> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run::<Timing>(command, timeout).map(|(timing, _)| timing)
    }

    #[test]
    fn the_last_line_of_json_counts() {
        let json =
            r#"echo hello; echo '{"a":1}'; echo '{"seconds":[0.5],"value":2.0}'; echo bye >&2; echo bye"#;
        let timing = shell(json, Duration::from_secs(60)).unwrap();
        assert_eq!(timing, Timing { seconds: vec![0.5], value: 2.0 });
    }

    #[test]
    fn failures_say_why() {
        let long = Duration::from_secs(60);
        assert_eq!(shell("echo 'Error: no memory' >&2; exit 1", long).unwrap_err(), "no memory");
        assert!(shell("exit 3", long).unwrap_err().contains('3'));
        assert_eq!(shell("true", long).unwrap_err(), "it printed no result");
        assert!(shell("echo '{}'", long).unwrap_err().contains("{}"));
        let missing = run::<Timing>(Command::new("/nowhere/at/all"), long).unwrap_err();
        assert!(missing.contains("/nowhere/at/all"), "{missing}");
    }

    #[test]
    fn a_hang_is_ended_with_all_that_it_started() {
        let error = shell("sleep 600", Duration::from_millis(100)).unwrap_err();
        assert_eq!(error, "no result after 0.1 s");

        let mut peak = PeakOfTree::default();
        let mut child = Command::new("sh").args(["-c", "sleep 600 & sleep 600"]).spawn().unwrap();
        while crate::memory::children(child.id()).len() < 2 {
            std::thread::yield_now();
        }
        assert!(watch(&mut child, Duration::from_millis(100), &mut peak).unwrap().is_none());
        let processes: Vec<u32> = peak.processes().collect();
        assert_eq!(processes.len(), 3);
        // What is killed keeps no memory, though it may wait for somebody to ask for its end.
        while processes.iter().any(|p| crate::memory::status_bytes(*p, "VmRSS").is_some()) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_reason_is_found_in_each_dialect() {
        let python = "Traceback (most recent call last):\n  File \"x\"\nValueError: bad chunks\n";
        assert_eq!(reason(python).unwrap(), "ValueError: bad chunks");
        let rust =
            "thread 'main' panicked at src/x.rs:1:2:\ntilework: lost\nnote: run with `RUST_BACKTRACE=1`\n";
        assert_eq!(reason(rust).unwrap(), "tilework: lost");
        let anyhow = "warning\nError: cannot open\n\nCaused by:\n    0: no such file\n";
        assert_eq!(reason(anyhow).unwrap(), "cannot open");
        assert_eq!(reason("\n\n"), None);
    }
}
