//! Tasks that do not come back: a function may run for ever, and no thread can be made to leave it. Its job fails after a
//! time, and a thread that goes on long after that is given up with its whole process.
//!
//! Knows how long tasks have been running while the worker itself was not stopped. Must not know what replaces it.

use crate::event::Action;
use crate::limits::Bug;
use crate::worker::Worker;
use std::collections::BTreeMap;
use tilework_plan::quantities::{counted, time_us};
use tilework_plan::{LeaseId, Report, TaskError, TaskKey};

/// A longer time between two events, microseconds, is one in which the worker itself was stopped.
const GAP_US: u64 = 2_000_000;
/// A task that a thread has been at for longer, microseconds, takes long.
const LONG_US: u64 = 1_000_000;
/// While a job lets its tasks run for so long, they are looked at this many times within that time,
const LOOKS: u64 = 8;
/// but not more often, microseconds,
const LOOK_US_MIN: u64 = 5_000;
/// nor less often.
const LOOK_US_MAX: u64 = 250_000;

/// What threads are at that do not come back.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
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
    /// How long jobs let those of the admitted tasks run for which they say it, microseconds, and how many tasks each is for.
    own_limits: BTreeMap<u64, u32>,
    /// When time was last looked at.
    pub looked_us: u64,
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

    /// A task was admitted that may run for so long.
    pub fn watch(&mut self, limit_us: Option<u64>) {
        if let Some(limit_us) = limit_us {
            *self.own_limits.entry(limit_us).or_default() += 1;
        }
    }

    /// Such a task is admitted no more.
    pub fn forget(&mut self, limit_us: Option<u64>) {
        if let Some(limit_us) = limit_us
            && let Some(n) = self.own_limits.get_mut(&limit_us)
        {
            *n -= 1;
            if *n == 0 {
                self.own_limits.remove(&limit_us);
            }
        }
    }

    fn least_limit_us(&self) -> Option<u64> {
        self.own_limits.first_key_value().map(|(limit_us, _)| *limit_us)
    }

    /// The limits that are kept are those of the tasks that are admitted.
    pub fn check(&self, limits_us: impl Iterator<Item = u64>) {
        let mut own_limits = BTreeMap::new();
        limits_us.for_each(|limit_us| *own_limits.entry(limit_us).or_default() += 1);
        assert_eq!(self.own_limits, own_limits, "how long admitted tasks may run");
    }

    /// When tasks that may run for a certain time are to be looked at again.
    pub fn look_us(&self) -> Option<u64> {
        let step_us = |limit_us: u64| (limit_us / LOOKS).clamp(LOOK_US_MIN, LOOK_US_MAX);
        self.least_limit_us().map(|limit_us| self.looked_us + step_us(limit_us))
    }
}

impl Worker {
    /// How long a thread has been at a task, microseconds, of which [`Event::Ages`](crate::Event::Ages) is to tell.
    #[must_use]
    pub fn long_us(&self) -> u64 {
        self.threads.least_limit_us().map_or(LONG_US, |limit_us| limit_us.min(LONG_US))
    }

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
                self.waited(key, out);
            } else if let Some(task) = self.active.get(key).filter(|a| a.running && a.lease == lease) {
                let age_us = awake(age_us, task.slept_us);
                let own_us = task.limit_us.filter(|_| !self.limits.plays(Bug::OwnLimitIgnored));
                self.threads.longest_us = self.threads.longest_us.max(age_us);
                if own_us.is_some_and(|max| age_us >= max) {
                    self.overran(key, format!("has been running for {}", time_us(age_us)), out);
                } else if self.limits.task_us_max.is_some_and(|max| age_us >= max) {
                    self.overran_here(key, age_us, out);
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

    /// A task that its job lets run for a certain time has gone on for longer: it fails, and is told to stop where it runs.
    fn overran(&mut self, key: TaskKey, how: String, out: &mut Vec<Action>) {
        let Some((lease, Some(limit_us))) = self.active.get(key).map(|a| (a.answers, a.limit_us)) else {
            return;
        };
        let plan = self.jobs.get(&key.job).and_then(|job| job.plan.as_ref().ok());
        let stage = plan.map(|plan| plan.stage(key.stage));
        let called = stage.and_then(|stage| stage.calls.as_ref()).map(|function| function.in_words());
        let what = called.unwrap_or_else(|| stage.map_or("it", |stage| stage.name).to_owned());
        let message = format!("{what} {how}, and its time limit is {}", time_us(limit_us));
        self.outgoing.other(Report::Failed { lease, task: key, error: TaskError::Operation(message) });
        if !self.stop(key, out) {
            self.give_up(key, out);
        }
    }

    /// An earlier attempt at a task was told to stop, and goes on: another one waits for that no longer than it may run.
    fn waited(&mut self, key: TaskKey, out: &mut Vec<Action>) {
        let Some(task) = self.active.get(key).filter(|a| !a.running) else { return };
        let for_us = (self.now_us - task.since_us).saturating_sub(self.threads.slept_us - task.slept_us);
        if task.limit_us.is_some_and(|max| for_us >= max) {
            let how =
                format!("has been waiting for {} for its last attempt, which does not stop", time_us(for_us));
            self.overran(key, how, out);
        }
    }

    /// A task has been running for longer than this worker lets any: it fails, and is told to stop.
    fn overran_here(&mut self, key: TaskKey, age_us: u64, out: &mut Vec<Action>) {
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
