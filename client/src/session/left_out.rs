//! In the place of `processes` and `remote`, in builds without the feature `cluster`: whoever asks for a session beyond
//! this process is told which feature it takes.

use super::{Session, WorkerSize};
use crate::error::{Error, Result};
use std::convert::Infallible;

pub(super) mod processes {
    use super::{Error, Infallible, Result, Session};
    use tilework_plan::Tags;

    /// The processes of a session, of which there are none.
    pub(in super::super) struct Processes(Infallible);

    impl Processes {
        pub(in super::super) fn how_they_ended(&self) -> Option<String> {
            match self.0 {}
        }

        pub(in super::super) fn how_the_last_ended(&self) -> Option<String> {
            match self.0 {}
        }
    }

    pub(in super::super) fn start_with(_tags: Vec<Tags>) -> Result<Session> {
        start(1)
    }

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

        pub(in super::super) fn builds(&self) -> Result<Vec<Option<String>>> {
            match self.0 {}
        }
    }

    pub(in super::super) fn connect(_path: &Path, _backing: Box<dyn Send + Sync>) -> Result<Session> {
        Err(Error::LeftOut { what: "a session on a cluster", feature: "cluster" })
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn what_is_left_out_is_an_error_that_names_the_feature_and_the_rest_computes() {
        for (session, what) in [
            (Session::processes(2), "worker processes"),
            (Session::connect("x.json"), "a session on a cluster"),
        ] {
            let expected = format!(
                "{what} needs the feature `cluster` of the crate tilework, which this program was built without"
            );
            assert_eq!(session.unwrap_err().to_string(), expected);
        }
        let a = Array2::<f64>::in_chunks([100, 300]).ones((1000, 700));
        let sums = (&a + 1.0).sum_axis(Axis(0));
        let session = Session::embedded().unwrap();
        session.make_current();
        assert_eq!(sums.compute().to_vec(), vec![2000.0; 700]);
        assert!(session.n_tasks_done() > 1);
    }
}
