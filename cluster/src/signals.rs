//! Being asked to stop.
//!
//! Owns: SIGINT and SIGTERM. Must not know: what is done about them.

use std::fmt;
use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Which way a process was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// SIGINT: a user pressed Ctrl-C.
    Interrupt,
    /// SIGTERM: Slurm before the walltime ends, or whoever started us.
    Terminate,
}

impl fmt::Display for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        })
    }
}

/// A future that completes at the next SIGINT or SIGTERM.
///
/// The signals are caught from this call on, not from the first poll: one that comes between is not lost.
/// From then on neither ends the process by itself, even after the future has completed.
///
/// # Errors
/// If the handlers cannot be installed.
///
/// # Panics
/// Outside a tokio runtime.
pub fn shutdown_signal() -> io::Result<impl Future<Output = Shutdown> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => Shutdown::Interrupt,
            _ = terminate.recv() => Shutdown::Terminate,
        }
    })
}

/// A future that completes at the first SIGINT or SIGTERM, after a line in the log; a second one then ends the process
/// at once.
///
/// # Errors
/// If the handlers cannot be installed.
///
/// # Panics
/// Outside a tokio runtime.
pub fn told_to_end() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let first = shutdown_signal()?;
    Ok(async move {
        let signal = first.await;
        tracing::info!(%signal, "ending");
        if let Ok(second) = shutdown_signal() {
            tokio::spawn(async move {
                second.await;
                std::process::exit(1);
            });
        }
    })
}
