//! What can be wrong with a cluster, or with the way to it.
//!
//! Owns the kinds that a program may want to tell apart. Must not know who finds them.

use tilework_plan::debug_is_display;
use tilework_proto::LinkError;

/// What is wrong with a cluster, or with the way to it. Printed, it says what was found where: addresses, times, causes.
///
/// A program tells by the kind what may help: to try again, to connect anew, to make something again.
///
/// ```
/// use tilework::{ClusterError, Error, Session};
///
/// let error = Session::connect("/nowhere/connection.json").unwrap_err();
/// match error.cluster() {
///     Some(ClusterError::ConnectionFile(why)) => println!("is there a cluster? {why}"),
///     Some(ClusterError::Unreachable(why)) => println!("to be tried again later: {why}"),
///     _ => println!("{error}"),
/// }
/// # #[cfg(feature = "cluster")]
/// # assert!(matches!(error, Error::Cluster(ClusterError::ConnectionFile(_))));
/// ```
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The connection file is missing, is none, or is not for this user's eyes alone. Nothing was tried.
    #[error("{0}")]
    ConnectionFile(String),
    /// No scheduler answers where one should: it has ended, or cannot be reached. It may be there later.
    #[error("{0}")]
    Unreachable(String),
    /// The scheduler does not want this program, or another one answers in its place: a wrong token, certificate or release.
    /// To try again gives the same.
    #[error("{0}")]
    Refused(String),
    /// The connection that there was is lost, and with it what was under way and what the workers kept for this program. What
    /// is run next makes a new one; where that cannot be made, the text says why.
    #[error("{0}")]
    Lost(String),
    /// A process of the session ended while it started, or began this program's `main`.
    #[error("{0}")]
    NotStarted(String),
    /// The processes of the session were not all there in time.
    #[error("{0}")]
    Late(String),
    /// The processes that are the session's workers have all ended, however often they were started again. What is run next
    /// on this session has the same error.
    #[error("{0}")]
    NoWorkers(String),
    /// A result, or a value, is on a worker that the scheduler reaches and this program does not; or on one that ended with
    /// its session.
    #[error("{0}")]
    OutOfReach(String),
    /// What was to be read is not on the workers any more: it is to be made again.
    #[error("{0}")]
    Gone(String),
    /// What came is not what was asked for.
    #[error("{0}")]
    Malformed(String),
    /// The program is larger than what a scheduler takes.
    #[error("{0}")]
    TooLarge(String),
    /// The session has ended meanwhile.
    #[error("{0}")]
    Ended(String),
}

debug_is_display!(ClusterError);

impl From<LinkError> for ClusterError {
    fn from(error: LinkError) -> ClusterError {
        let why = error.to_string();
        match error {
            LinkError::Unreachable(_) | LinkError::Replaced => ClusterError::Unreachable(why),
            LinkError::Refused(_) => ClusterError::Refused(why),
            LinkError::Closed => ClusterError::Lost(why),
            LinkError::TooLarge(_) => ClusterError::TooLarge(why),
        }
    }
}
