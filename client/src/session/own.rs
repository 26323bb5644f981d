//! Whether a session's workers have the functions of this program, and what is said where they have not.
//!
//! Must not know how a function travels.

use super::{Place, Session};
use crate::closures::warn_of_index;
use crate::literal::CalledHere;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
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

/// How long a run waits for the first worker, where there is none, to see whether it is this program. No task could begin
/// meanwhile.
pub(super) const FIRST_WORKER_WAIT: Duration = Duration::from_secs(10);
/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Session {
    /// Whether some worker has, or had, the functions of this program. Where the cluster cannot be asked, none has; where
    /// nobody is there for so long, those that come may.
    pub(super) fn has_own_workers(&self, wait: Duration) -> bool {
        if self.0.place != Place::Cluster || self.0.own.seen.load(Ordering::Relaxed) {
            return true;
        }
        let Some(roster) = &self.0.workers.roster else { return false };
        let until = Instant::now() + wait;
        let builds = loop {
            match roster.builds() {
                Ok(builds) if builds.is_empty() && Instant::now() < until => std::thread::sleep(LOOK_EVERY),
                Ok(builds) if builds.is_empty() => return true,
                Ok(builds) => break builds,
                Err(_) => return false,
            }
        };
        let own = |build: Option<String>| build.is_none_or(|build| Some(build.as_str()) == build_id());
        let found = builds.into_iter().any(own);
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
