//! What the examples share: choosing a session from the command line, and what a run used.
//!
//! Must not know any single example.

use anyhow::{Context, bail};
use std::path::PathBuf;
use tilework::Session;

/// Where an example runs. The same program runs in each place.
#[derive(Clone, Debug, clap::Args)]
pub struct Where {
    /// `embedded` (in this process) or `processes:N` (N worker processes of this machine).
    #[arg(long, default_value = "embedded", value_name = "KIND")]
    session: String,
    /// Connection file of a running cluster.
    #[arg(long, value_name = "FILE")]
    connect: Option<PathBuf>,
}

impl Where {
    /// Starts the session or connects to it, and makes it the current one.
    ///
    /// # Errors
    /// An unknown kind; a session that does not start.
    pub fn open(&self) -> anyhow::Result<Session> {
        if let Some(file) = &self.connect {
            return Ok(Session::connect(file)?);
        }
        match self.session.split_once(':') {
            Some(("processes", n)) => {
                let n = n.parse().with_context(|| format!("--session processes:{n}: expected a number"))?;
                Ok(Session::processes(n)?)
            }
            None if self.session == "embedded" => {
                // A cluster that the environment names comes first, as it does for any program.
                Ok(Session::current()?)
            }
            _ => bail!("--session {}: expected `embedded` or `processes:N`", self.session),
        }
    }
}

/// Prints what a run found: the same wherever it ran.
pub fn result(text: &str) {
    println!("result: {text}");
}

/// The most memory that this process has had, in bytes, as Linux counts it (`VmHWM`); 0 elsewhere.
#[must_use]
pub fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
