//! How long workers may be silent and jobs may wait, on a clock that may stand still: the scheduler's own process is
//! stopped now and then (a batch system suspends a job, a machine is out of memory, one event takes long), and what
//! nobody was there to hear is no silence. While there is anything to wait for the scheduler wants to be woken at short
//! intervals, its beat. After a gap in that, everybody's term begins anew.
//!
//! Knows the beat and the terms. Must not know what follows from the end of one.

use crate::limits::Bug;
use crate::scheduler::Scheduler;
use crate::worker::WorkerState;
use tilework_plan::WorkerId;

/// Time from one beat to the next, microseconds.
const BEAT_US: u64 = 250_000;
/// A longer time between two events is a gap, microseconds.
const GAP_US: u64 = 4 * BEAT_US;
/// New terms for a worker of which nothing was heard in between: a scheduler that is stopped again and again must find
/// the dead in the end.
const TERMS_MAX: u32 = 16;

/// A worker's term: how long it may still be silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term {
    /// When it began.
    from_us: u64,
    /// Times that it began anew since the worker was heard of.
    renewed: u32,
}

impl Term {
    /// One that begins now, with a sign of life.
    pub fn new(now_us: u64) -> Term {
        Term { from_us: now_us, renewed: 0 }
    }

    fn renew(&mut self, now_us: u64) {
        if self.renewed < TERMS_MAX {
            *self = Term { from_us: now_us, renewed: self.renewed + 1 };
        }
    }
}

impl Scheduler {
    /// Moves the clock. Time since the last event in which nobody was awake counts for nothing.
    pub(crate) fn move_clock(&mut self, now_us: u64) {
        let gap_us = now_us.saturating_sub(self.now_us);
        self.now_us = self.now_us.max(now_us);
        // Without a beat nobody waits for anything, and any time may pass between two events.
        if gap_us <= GAP_US || self.beat_us == u64::MAX || self.limits.plays(Bug::PauseTakenForSilence) {
            return;
        }
        self.workers.values_mut().for_each(|w| w.term.renew(now_us));
        self.alone.values_mut().for_each(|since_us| *since_us += gap_us);
    }

    /// Plans the next beat.
    pub(crate) fn plan_beat(&mut self) {
        let watches = self.limits.silence_max_us.is_some() && !self.workers.is_empty();
        if !watches && self.alone.is_empty() {
            self.beat_us = u64::MAX;
        } else if self.beat_us == u64::MAX || self.beat_us <= self.now_us {
            self.beat_us = self.now_us + BEAT_US;
        }
    }

    /// The workers that had been silent for so long at some time.
    pub(crate) fn silent(&self, max_us: u64, at_us: u64) -> Vec<WorkerId> {
        let is_silent = |w: &WorkerState| w.term.from_us.saturating_add(max_us) <= at_us;
        self.workers.iter().filter(|(_, w)| is_silent(w)).map(|(id, _)| *id).collect()
    }
}
