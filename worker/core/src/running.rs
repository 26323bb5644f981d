//! What the driver has: how much is handed to it, and what becomes of what it ends.
//!
//! Knows threads and estimates. Must not know where inputs come from.

use crate::event::Action;
use crate::limits::Bug;
use crate::reports::Done;
use crate::tasks::{Active, Pulled, Stopping};
use crate::worker::Worker;
use std::cmp::Reverse;
use tilework_plan::{LeaseId, Report, TaskError, TaskKey};

impl Worker {
    /// Starts what can be started: tasks, transfers, and looks at queued tasks while it is worth it.
    pub(crate) fn advance(&mut self, out: &mut Vec<Action>) {
        loop {
            let urgent = self.is_next_urgent();
            if !urgent {
                self.start_runnable(out);
            }
            let staged = self.active.len() - self.n_active_running;
            let fetching = staged - self.runnable.len();
            let enough = self.runnable.len() >= self.limits.threads as usize && !urgent;
            let fetches_max = self.limits.fetches_max;
            if enough || fetching >= fetches_max || self.store.has_enough_to_fetch(fetches_max, out) {
                break;
            }
            if self.is_blocked() || (self.weight.is_too_much() && !self.is_idle()) {
                break;
            }
            let Some(next) = self.queue.first() else { break };
            if self.pull(next, out) == Pulled::Blocked {
                break;
            }
        }
        self.start_runnable(out);
        self.store.start_fetches(self.limits.fetches_max, out);
    }

    /// Whether the next task of the queue is more urgent than all that wait for a thread.
    fn is_next_urgent(&self) -> bool {
        let waiting = self.runnable.first().map(|&(Reverse(priority), ..)| priority);
        waiting.is_some_and(|waiting| self.queue.priority() > Some(waiting))
    }

    /// Hands tasks that have all inputs to the driver, as many as it takes.
    fn start_runnable(&mut self, out: &mut Vec<Action>) {
        while let Some(&(_, job, Reverse(stage), chunk)) = self.runnable.first() {
            let key = TaskKey { job, stage, chunk };
            let est_us = self.active.get(key).map_or(0, |a| a.est_us);
            if !self.driver_takes(est_us) {
                break;
            }
            let mut task = self.active.remove(key).expect("a runnable task was admitted");
            self.runnable.pop_first();
            self.check_order(task.priority);
            self.hand_over(key, &mut task, out);
            self.active.insert(key, task);
        }
    }

    /// Whether the next task was seen to wait for memory, and still does.
    fn is_blocked(&mut self) -> bool {
        let Some((lease, key, bytes)) = self.blocked else { return false };
        let same = self.queue.first().is_some_and(|n| (n.lease, n.key) == (lease, key));
        let waits =
            !self.store.could_fit(bytes, &self.limits) && !self.store.could_spill_for(bytes, &self.limits);
        let blocked = same && !self.is_idle() && waits;
        if !blocked {
            self.blocked = None;
        }
        blocked
    }

    /// Whether nothing is under way whose end would give memory back.
    pub(crate) fn is_idle(&self) -> bool {
        self.active.is_empty()
            && self.stopping.is_empty()
            && self.store.in_flight == 0
            && self.store.writes.is_empty()
    }

    /// Whether the driver should have one more task: it has a free thread, or its tasks are so short that it
    /// needs some ahead.
    pub(crate) fn driver_takes(&self, est_us: u64) -> bool {
        let l = &self.limits;
        if self.n_running >= self.weight.tasks_max() {
            return false;
        }
        if self.n_running < l.threads {
            return true;
        }
        self.n_running < l.threads * l.backlog_per_thread
            && self.running_us + est_us <= l.backlog_us * u64::from(l.threads)
    }

    pub(crate) fn hand_over(&mut self, key: TaskKey, task: &mut Active, out: &mut Vec<Action>) {
        task.running = true;
        task.slept_us = self.threads.slept_us;
        self.n_active_running += 1;
        self.n_running += 1;
        self.running_us += task.est_us;
        out.push(Action::Run { lease: task.lease, task: key, feeds: task.feeds.clone() });
    }

    pub(crate) fn finished(
        &mut self,
        (lease, key): (LeaseId, TaskKey),
        result: Result<u64, TaskError>,
        busy_us: u64,
        out: &mut Vec<Action>,
    ) {
        if let Some(s) = self.stopping.remove(&(lease, key)) {
            return self.stopped(key, s, result.is_ok(), out);
        }
        if self.active.get(key).is_none_or(|a| a.lease != lease || !a.running) {
            return;
        }
        let task = self.active.remove(key).expect("it was just there");
        self.threads.forget(task.limit_us);
        self.n_active_running -= 1;
        self.n_running -= 1;
        self.running_us -= task.est_us;
        self.store.bytes_reserved -= task.reserved;
        self.store.bytes_grown -= task.grown;
        self.weight.ended(self.limits.threads);
        task.feeds.iter().for_each(|f| self.store.release(f.source, &self.limits, out));
        match result {
            Ok(made) => {
                let bytes = if self.is_measured(key) { made } else { task.bytes };
                self.store.insert(key, bytes, &self.limits);
                self.timed(key, busy_us);
                let (lease, bytes_fetched) = (task.answers, task.bytes_fetched);
                let bytes = self.measured_bytes(key);
                self.outgoing.done(Done { lease, key, busy_us, bytes_fetched, bytes }, self.now_us);
            }
            Err(error) => self.outgoing.other(Report::Failed { lease: task.answers, task: key, error }),
        }
    }

    /// The result of a task that runs takes more than it was taken to. It is counted from now on: other results go to the
    /// disk for it, and what is next waits.
    pub(crate) fn grew(&mut self, (lease, key): (LeaseId, TaskKey), bytes: u64, out: &mut Vec<Action>) {
        // One that is to stop ends soon.
        let Some(task) = self.active.get_mut(key).filter(|a| a.lease == lease && a.running) else { return };
        let more = bytes.saturating_sub(task.bytes).saturating_sub(task.grown);
        task.grown += more;
        self.store.bytes_grown += more;
        // What cannot be made room for is counted all the same: it is there.
        self.store.make_room(0, &self.limits, out);
    }

    /// Whether the bytes of a task's chunk are known only when it is made.
    fn is_measured(&self, key: TaskKey) -> bool {
        let plan = self.jobs.get(&key.job).and_then(|job| job.plan.as_ref().ok());
        plan.is_some_and(|plan| plan.stage(key.stage).is_measured())
    }

    fn timed(&mut self, key: TaskKey, busy_us: u64) {
        if let Some(job) = self.jobs.get_mut(&key.job) {
            let mean = &mut job.mean_us[key.stage.0 as usize];
            *mean = if *mean == 0 { busy_us } else { (7 * *mean + busy_us) / 8 }.max(1);
        }
    }

    /// A task of a job that is over has ended.
    fn stopped(&mut self, key: TaskKey, task: Stopping, made: bool, out: &mut Vec<Action>) {
        self.n_running -= 1;
        self.running_us -= task.est_us;
        self.store.bytes_reserved -= task.reserved;
        task.feeds.iter().for_each(|f| self.store.release(f.source, &self.limits, out));
        if made && !self.limits.plays(Bug::StoppedChunkKept) {
            self.store.free_held(key, out);
        }
        if self.active.contains(key) && !self.stopping.keys().any(|(_, k)| *k == key) {
            // The same task was leased again meanwhile and waited for this.
            self.one_came(key);
        }
    }
}
