//! Why there is no value, as those are told who wait for it. Must not know who waits.

use crate::error::{ClusterError, Error};
use crate::futures::FutureError;
use tilework_plan::JobError;

/// Why there is no value.
#[derive(Clone)]
pub(crate) enum Failure {
    /// Its task failed, or the task of something that it reads.
    Job(JobError),
    /// All of its job failed.
    AllOfJob(JobError),
    /// The cluster was lost, or a worker cannot be reached.
    Cluster(ClusterError),
    /// It never got to the scheduler; in words, and what is wrong with the cluster, if that is why.
    NotSent(String, Option<ClusterError>),
    /// Nobody wants it any more.
    Cancelled,
}

impl Failure {
    /// It never got to the scheduler, for this reason.
    pub(crate) fn not_sent(why: &Error) -> Failure {
        Failure::NotSent(why.to_string(), why.cluster().cloned())
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Job(JobError::Operation { chunk, message, .. }) => {
                FutureError::Failed { call: chunk, message }.into()
            }
            Failure::Job(JobError::Deadly { operation, chunk, deaths, last_words }) => {
                let died = format!("{deaths} workers died while they ran it; the last one: {last_words}");
                let message = format!("{operation}: {died}");
                FutureError::Failed { call: chunk, message }.into()
            }
            Failure::Job(error) | Failure::AllOfJob(error) => error.into(),
            Failure::Cluster(why) => why.into(),
            Failure::NotSent(why, cluster) => FutureError::NotSent { why, cluster }.into(),
            Failure::Cancelled => FutureError::Cancelled.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_was_not_sent_it_is_known_what_the_cluster_has_to_do_with_it() {
        let lost = ClusterError::Lost("the connection is lost".to_owned());
        let error = Error::from(Failure::not_sent(&lost.clone().into()));
        assert_eq!(error.to_string(), "the task could not be submitted: the connection is lost");
        assert_eq!(error.cluster(), Some(&lost));
        let error = Error::from(Failure::not_sent(&FutureError::OtherSession.into()));
        assert!(matches!(error, Error::Future(FutureError::NotSent { .. })) && error.cluster().is_none());
        assert_eq!(Error::from(Failure::Cluster(lost.clone())).cluster(), Some(&lost));
    }
}
