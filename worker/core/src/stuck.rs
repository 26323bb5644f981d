//! Tasks that do not come back: a function may run for ever, and no thread can be made to leave it. Its job fails after a
//! time, and a thread that goes on long after that is given up with its whole process.
//!
//! Knows how long tasks have been running while the worker itself was not stopped. Must not know what replaces it.

use crate::event::Action;
use crate::limits::Bug;
use crate::worker::Worker;
use tilework_plan::quantities::{counted, time_us};
use tilework_plan::{LeaseId, Report, TaskError, TaskKey};

/// A longer time between two events, microseconds, is one in which the worker itself was stopped.
const GAP_US: u64 = 2_000_000;

/// What threads are at that do not come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Threads {
    /// Threads that go on with tasks that they were told to stop.
    stuck: u32,
    /// How long the task that runs longest has been running, microseconds.
    longest_us: u64,
    /// What of this was told last.
    told: (u32, u64),
    /// Whether the worker was told to have itself replaced.
    replaced: bool,
    /// Time in which the worker itself was stopped, microseconds.
    pub slept_us: u64,
}

impl Threads {
    /// What is to be told of them.
    pub fn news(&mut self) -> Option<Report> {
        let now = (self.stuck, self.longest_us);
        let (stuck, longest_us) = now;
        (std::mem::replace(&mut self.told, now) != now).then_some(Report::Threads { stuck, longest_us })
    }

    /// What was told is forgotten with whom it was told.
    pub fn untold(&mut self) {
        self.told = (0, 0);
    }
}

impl Worker {
    /// Moves the clock.
    pub(crate) fn move_clock(&mut self, now_us: u64) {
        let gap_us = now_us.saturating_sub(self.now_us);
        self.now_us = self.now_us.max(now_us);
        self.threads.slept_us += if gap_us > GAP_US { gap_us } else { 0 };
    }

    /// Looks at the tasks that threads have been at for a while.
    pub(crate) fn aged(&mut self, ages: &[(LeaseId, TaskKey, u64)], out: &mut Vec<Action>) {
        (self.threads.stuck, self.threads.longest_us) = (0, 0);
        let mut lost = None;
        for &(lease, key, age_us) in ages {
            let slept_us = self.threads.slept_us;
            let awake = |us: u64, slept_before_us: u64| us.saturating_sub(slept_us - slept_before_us);
            if let Some(stopping) = self.stopping.get(&(lease, key)) {
                let for_us = awake(self.now_us - stopping.since_us, stopping.slept_us);
                self.threads.longest_us =
                    self.threads.longest_us.max(awake(age_us, stopping.slept_before_us));
                self.threads.stuck += 1;
                if self.limits.stop_us_max.is_some_and(|max| for_us >= max) {
                    lost = lost.max(Some((for_us, key)));
                }
            } else if let Some(task) = self.active.get(key).filter(|a| a.running && a.lease == lease) {
                let age_us = awake(age_us, task.slept_us);
                self.threads.longest_us = self.threads.longest_us.max(age_us);
                if self.limits.task_us_max.is_some_and(|max| age_us >= max) {
                    self.overran(key, age_us, out);
                }
            }
        }
        if let Some((for_us, key)) = lost
            && !self.limits.plays(Bug::StuckIgnored)
            && !std::mem::replace(&mut self.threads.replaced, true)
        {
            out.push(Action::Replace(self.why_replaced(for_us, key)));
        }
    }

    /// A task has been running for longer than it may: it fails, and is told to stop.
    fn overran(&mut self, key: TaskKey, age_us: u64, out: &mut Vec<Action>) {
        let task = self.active.get(key).filter(|_| !self.limits.plays(Bug::OverrunIgnored));
        let Some(task) = task else { return };
        let (lease, limit) = (task.answers, self.limits.task_us_max.unwrap_or_default());
        let message = format!(
            "it has been running for {}, and the worker lets a task run for {}: does the function return at all? \
             `tilework worker --task-limit` gives tasks more time, and smaller chunks take less",
            time_us(age_us),
            time_us(limit)
        );
        self.outgoing.other(Report::Failed { lease, task: key, error: TaskError::Operation(message) });
        self.stop(key, out);
    }

    fn why_replaced(&self, for_us: u64, key: TaskKey) -> String {
        format!(
            "{} of {} taken by tasks that go on though they were told to stop, one of them for {} (stage {}, chunk {}): another process takes this worker's place",
            counted(self.threads.stuck.into(), "thread"),
            self.limits.threads,
            time_us(for_us),
            key.stage.0,
            key.chunk.0
        )
    }
}
