//! The limits of gathering, each with its unit, in one place.
//!
//! Knows numbers. Must not know how they are enforced.

/// Bounds and intervals of a [`Gather`](crate::Gather).
#[derive(Clone, Debug)]
pub struct Limits {
    /// Requests at a time.
    pub gets_max: usize,
    /// Requests to one worker at a time: one that gives nothing must not take up all of them.
    pub gets_per_worker_max: usize,
    /// Pause before a worker is asked again after a failure, microseconds; it doubles with each one.
    pub pause_us_min: u64,
    /// The longest pause, microseconds.
    pub pause_us_max: u64,
    /// How long a worker that is there for the scheduler may give nothing, microseconds.
    pub patience_us: u64,
    /// A fault to play, for the test that the simulator finds it.
    #[cfg(any(test, feature = "planted-bugs"))]
    pub planted: Option<Bug>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            gets_max: 32,
            gets_per_worker_max: 8,
            pause_us_min: 50_000,
            pause_us_max: 1_000_000,
            patience_us: 15_000_000,
            #[cfg(any(test, feature = "planted-bugs"))]
            planted: None,
        }
    }
}

impl Limits {
    /// Whether a planted fault is to be played.
    #[cfg(any(test, feature = "planted-bugs"))]
    pub(crate) fn plays(&self, bug: Bug) -> bool {
        self.planted == Some(bug)
    }

    /// Whether a planted fault is to be played: never in a build that ships.
    #[cfg(not(any(test, feature = "planted-bugs")))]
    pub(crate) fn plays(&self, _: Bug) -> bool {
        false
    }
}

/// Faults that were made, or could easily be made, in gathering. The simulator must find each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(not(any(test, feature = "planted-bugs")), allow(dead_code, reason = "played in tests only"))]
pub enum Bug {
    /// After a failure only the scheduler's news are waited for, which may have none: the holder lives.
    FailureAwaitsNews,
    /// Whatever the scheduler says of a worker, what was asked of it is waited for until that ends by itself.
    DeadAwaited,
    /// The time in which the client itself was stopped counts as failure of a holder.
    PauseTakenForFailure,
}
