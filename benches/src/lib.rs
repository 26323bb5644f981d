//! What the benchmarks share: workloads, a process for each measurement, and how results are shown.
//!
//! Every measurement runs in a process of its own ([`child`]), so that none starts with the memory of the one
//! before, and so that a crash or a hang is one failed cell of a table. Must not know a single benchmark's options.

pub mod child;
pub mod csv;
pub mod machine;
pub mod memory;
pub mod plot;
pub mod table;
#[cfg(feature = "tables")]
pub mod tables;
pub mod timing;
#[cfg(feature = "tables")]
pub mod tpcds;
#[cfg(feature = "tables")]
pub mod tpch;
pub mod verdict;
pub mod workloads;

use anyhow::bail;
use std::fmt;
use std::str::FromStr;
use tilework::Session;

/// Where a workload runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// Inside the measuring process.
    Embedded,
    /// On a scheduler and so many worker processes of this machine.
    Processes(usize),
}

impl SessionKind {
    /// Starts such a session and makes it the current one.
    ///
    /// # Errors
    /// A session that does not start.
    pub fn open(self) -> anyhow::Result<Session> {
        let session = match self {
            SessionKind::Embedded => Session::embedded()?,
            SessionKind::Processes(n) => Session::processes(n)?,
        };
        session.make_current();
        Ok(session)
    }
}

impl fmt::Display for SessionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionKind::Embedded => write!(f, "embedded"),
            SessionKind::Processes(n) => write!(f, "processes:{n}"),
        }
    }
}

impl FromStr for SessionKind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<SessionKind> {
        if text == "embedded" {
            return Ok(SessionKind::Embedded);
        }
        match text.strip_prefix("processes:").map(str::parse) {
            Some(Ok(n)) if n > 0 => Ok(SessionKind::Processes(n)),
            _ => bail!("got {text:?}, expected `embedded` or `processes:N` with N at least 1"),
        }
    }
}

/// A list as one argument of a command line.
pub fn comma_separated<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_kinds_survive_the_way_through_text() {
        for kind in [SessionKind::Embedded, SessionKind::Processes(1), SessionKind::Processes(12)] {
            assert_eq!(kind.to_string().parse::<SessionKind>().unwrap(), kind);
        }
        for wrong in ["", "processes", "processes:", "processes:0", "processes:-1", "embedded:2", "slurm"] {
            let error = wrong.parse::<SessionKind>().unwrap_err().to_string();
            assert!(error.contains(&format!("{wrong:?}")) && error.contains("processes:N"), "{error}");
        }
    }

    #[test]
    fn lists_have_commas() {
        assert_eq!(comma_separated(&[250, 500]), "250,500");
        assert_eq!(comma_separated::<u8>(&[]), "");
    }
}
