//! In the place of `processes` and `remote`, in builds without the feature `cluster`: whoever asks for a session beyond
//! this process is told which feature it takes.

use super::{Session, WorkerSize};
use crate::error::{Error, Result};
use std::convert::Infallible;

pub(super) mod processes {
    use super::{Error, Result, Session};

    pub(in super::super) fn start(_n: usize) -> Result<Session> {
        Err(Error::LeftOut { what: "worker processes", feature: "cluster" })
    }
}

pub(super) mod remote {
    use super::{Error, Infallible, Result, Session, WorkerSize};
    use std::path::Path;

    /// Who works on a cluster, of which there is none.
    pub(in super::super) struct Roster(Infallible);

    impl Roster {
        pub(in super::super) fn workers(&self) -> Result<Vec<WorkerSize>> {
            match self.0 {}
        }
    }

    pub(in super::super) fn connect(_path: &Path, _backing: Box<dyn Send + Sync>) -> Result<Session> {
        Err(Error::LeftOut { what: "a session on a cluster", feature: "cluster" })
    }
}
