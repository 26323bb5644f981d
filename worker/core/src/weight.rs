//! The memory of the whole process, of which chunks and tasks are what was counted: functions of the user's take what they
//! like. Where it is more than it may be, less is begun, and what can go goes.
//!
//! Knows how much is too much, and how many tasks ran then. Must not know who took it.

use crate::event::Action;
use crate::limits::Bug;
use crate::worker::Worker;

/// Tasks that must have ended, for each that may run at a time, before one more may.
const CALM: u32 = 4;

/// What the process was found to have too much, and how many tasks may run at a time since.
#[derive(Debug)]
pub(crate) struct Weight {
    /// Bytes.
    overweight: u64,
    /// Half as many as there were, then one more now and then.
    at_once_max: u32,
    /// Tasks that have ended since that last changed.
    n_calm: u32,
}

impl Default for Weight {
    fn default() -> Weight {
        Weight { overweight: 0, at_once_max: u32::MAX, n_calm: 0 }
    }
}

impl Weight {
    pub(crate) fn is_too_much(&self) -> bool {
        self.overweight > 0
    }

    /// Tasks that the driver may have at a time.
    pub(crate) fn tasks_max(&self) -> u32 {
        if self.is_too_much() { 1 } else { self.at_once_max }
    }

    fn found(&mut self, overweight: u64, n_running: u32) {
        if overweight > 0 && !self.is_too_much() {
            self.at_once_max = (self.at_once_max.min(n_running) / 2).max(1);
            self.n_calm = 0;
        }
        self.overweight = overweight;
    }

    /// A task has ended.
    pub(crate) fn ended(&mut self, threads: u32) {
        if self.at_once_max == u32::MAX || self.is_too_much() {
            return;
        }
        self.n_calm += 1;
        if self.n_calm >= CALM * self.at_once_max {
            self.n_calm = 0;
            self.at_once_max = if self.at_once_max < threads { self.at_once_max + 1 } else { u32::MAX };
        }
    }
}

impl Worker {
    /// The process was found to have more memory than it may have, or no more of late. Until then nothing new begins, but
    /// for one task where there is none, and what can go goes: copies of what others have, and then results to the disk.
    pub(crate) fn weighed(&mut self, overweight: u64, out: &mut Vec<Action>) {
        let found = if self.limits.plays(Bug::OverweightForgotten) { 0 } else { overweight };
        self.weight.found(found, self.n_running);
        if found == 0 {
            return;
        }
        let idle = self.store.bytes_idle;
        self.store.free_idle(out);
        // What was begun before shows only when it has ended.
        if self.store.writes.is_empty() && overweight > idle {
            self.store.spill_over(overweight - idle, &self.limits, out);
        }
    }
}
