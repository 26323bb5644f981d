//! Whether a session's workers have the functions of this program, and what is said where they have not.
//!
//! Must not know how a function travels.

use super::{Place, Session};
use crate::closures::warn_of_index;
use crate::literal::CalledHere;
use std::sync::atomic::{AtomicBool, Ordering};
use tilework_kernels::native::build_id;

/// Says how workers come to have this program's functions.
const OTHER_PROGRAM: &str = "the workers are not this program; start them with `tilework worker --program ./my_program` \
                             (tilework.sbatch does so by itself)";

/// What is known of the workers' functions.
#[derive(Default)]
pub(super) struct Own {
    /// Whether there was a worker that is this program.
    seen: AtomicBool,
}

impl Session {
    /// Whether some worker has, or had, the functions of this program. Where the cluster cannot be asked, none has.
    pub(super) fn has_own_workers(&self) -> bool {
        if self.0.place != Place::Cluster || self.0.own.seen.load(Ordering::Relaxed) {
            return true;
        }
        let builds = self.0.workers.roster.as_ref().and_then(|roster| roster.builds().ok());
        let own = |build: Option<String>| build.is_none_or(|build| Some(build.as_str()) == build_id());
        let found = builds.is_some_and(|builds| builds.into_iter().any(own));
        self.0.own.seen.store(found, Ordering::Relaxed);
        found
    }

    /// Whether its workers are other processes.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.0.place != Place::Here
    }

    /// Warns of a function of the index that this process calls, where there are workers elsewhere.
    pub(crate) fn called_here(&self, function: &CalledHere) {
        if !self.is_elsewhere() {
            return;
        }
        match &function.why {
            Some(why) => warn_of_index(function.at, why),
            None => warn_of_index(function.at, &OTHER_PROGRAM),
        }
    }
}
