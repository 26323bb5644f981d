//! Workers that have room and found nothing to do: what they are given at others' cost, from the cheapest on.
//!
//! Knows who has too little and who has more than it runs. Must not know what fits into memory.

use crate::priority::Took;
use crate::scheduler::Scheduler;
use crate::worker::ReadyKey;
use std::cmp::Reverse;
use std::ops::Bound::{Excluded, Unbounded};
use tilework_plan::{ChunkIdx, Instruction, JobId, StageIdx, TaskKey, TaskRange, WorkerId};

impl Scheduler {
    /// The first worker that found nothing to do, or the next one after another.
    pub(crate) fn next_idle(&self, after: Option<WorkerId>) -> Option<WorkerId> {
        self.idle.range((after.map_or(Unbounded, Excluded), Unbounded)).next().copied()
    }

    /// Gives an idle worker root tasks of others' blocks; whether there were any.
    pub(crate) fn steal_roots(&mut self) -> bool {
        if self.idle.is_empty() || !self.any_roots() {
            return false;
        }
        let mut next = self.next_idle(None);
        while let Some(worker) = next {
            if self.steal_roots_for(worker, false) {
                return true;
            }
            next = self.next_idle(next);
        }
        false
    }

    /// Gives root tasks of others' blocks to a worker that is about to run out of work; whether there were any, if only one
    /// whose job is to fail.
    pub(crate) fn steal_roots_for(&mut self, worker: WorkerId, force: bool) -> bool {
        let w = &self.workers[&worker];
        let enough = self.limits.outstanding_min_per_thread * w.hello.threads;
        if w.leased >= enough || (w.bytes_committed >= self.root_bytes_max(worker) && !force) {
            return false;
        }
        for id in self.rooted() {
            let w = &self.workers[&worker];
            if w.puts(id).tasks >= enough || !self.jobs[&id].roots_for(&w.hello) {
                continue;
            }
            self.share_out(id);
            self.jobs.get_mut(&id).expect("a job with roots").roots.steal(worker);
        }
        self.lease_roots(worker, (force, None)) == Took::Some || !self.failing.is_empty()
    }

    /// Moves ready tasks from others' queues to idle workers; whether there were any.
    pub(crate) fn steal_ready(&mut self) -> bool {
        let (mut any, mut next) = (false, self.next_idle(None).filter(|_| self.n_ready > 0));
        while let Some(worker) = next {
            if self.room(worker, (self.limits.task_us_guess, i32::MIN)) > 0 {
                let stolen = self.steal_ready_for(worker);
                any |= stolen;
                // What is nothing for one may be something for the next only where some tasks may not go to every worker.
                if !stolen && self.index.choosy.is_empty() {
                    break;
                }
            }
            next = self.next_idle(next);
        }
        any
    }

    /// Moves ready tasks from the queue of the busiest worker to one that has nothing, as long as what they read is there
    /// before they would begin where they are.
    fn steal_ready_for(&mut self, thief: WorkerId) -> bool {
        let queued = self.index.queued.iter().filter(|w| **w != thief);
        let queues = queued.map(|w| (w, &self.workers[w]));
        let Some((_, Reverse(victim))) = queues.map(|(w, s)| (s.wait_us(), Reverse(*w))).max() else {
            return false;
        };
        let v = &self.workers[&victim];
        if v.wait_us() < self.limits.steal_us_min {
            return false;
        }
        self.move_ready((victim, v.wait_us()), thief)
    }

    /// Moves the last of the most urgent tasks of a worker's queue to another, as long as what they read is there before they
    /// would begin where they are, after `left_us`.
    pub(crate) fn move_ready(&mut self, (victim, mut left_us): (WorkerId, u64), thief: WorkerId) -> bool {
        let v = &self.workers[&victim];
        let Some(priority) = v.top() else { return false };
        let half = v.ready.len().div_ceil(2);
        let n = half.min(self.room(thief, (self.limits.task_us_guess, priority)) as usize);
        let last = ReadyKey {
            priority: Reverse(priority),
            job: JobId(u64::MAX),
            stage: Reverse(StageIdx(0)),
            chunk: ChunkIdx(u64::MAX),
        };
        let urgent = v.ready.range(..=last).rev();
        let mut keys: Vec<TaskKey> = urgent.take(n).map(|place| place.task()).collect();
        if keys.len() < n {
            // Where those are few, some stay.
            keys.truncate(keys.len().div_ceil(2));
        }
        keys.retain(|&key| {
            let detour_us = self.detour_us(key, victim, thief);
            let gains = detour_us < left_us && self.may_go(key, thief);
            left_us -= if gains { detour_us } else { 0 };
            gains
        });
        for &key in &keys {
            self.dequeue(key, Some(victim));
            self.enqueue(key, thief);
        }
        !keys.is_empty()
    }

    /// Asks busy workers for tasks back for idle ones that run nothing. Nothing follows from that before somebody reports.
    pub(crate) fn revoke_for_idle(&mut self) -> bool {
        let mut next = self.index.unoccupied.first().copied();
        while let Some(thief) = next.filter(|_| !self.index.laden.is_empty()) {
            next = self.index.unoccupied.range((Excluded(thief), Unbounded)).next().copied();
            if self.idle.contains(&thief) && !self.revoke_for(thief) {
                break;
            }
        }
        false
    }

    /// Asks the busiest worker for tasks back for another, unless what they read takes longer to come there than they wait;
    /// whether anybody has so much to do that it may be worth it.
    fn revoke_for(&mut self, thief: WorkerId) -> bool {
        let busy = self.index.laden.iter().map(|w| (w, &self.workers[w]));
        let busiest = busy.map(|(w, s)| (s.wait_us(), Reverse(*w))).max();
        let busiest = busiest.filter(|(load, _)| *load >= self.limits.steal_us_min);
        let Some((load, Reverse(victim))) = busiest else { return false };
        let v = &self.workers[&victim];
        let (threads, waiting) = (v.threads(), u64::from(v.leased - v.hello.threads));
        let mut last = v.leases.iter().rev().map(|id| (*id, &self.leases[id]));
        let Some((lease, l)) = last.find(|(_, l)| !l.fixed && l.each.put.is_none()) else { return false };
        let (job, stage, leased) = (l.job, l.stage, l.chunks.clone());
        let key = TaskKey { job, stage, chunk: ChunkIdx(leased.end - 1) };
        // What the tasks take may be known by now; it was not when they were handed out.
        let over_us = l.each.est_us.saturating_sub(self.est_us(job, stage)) * u64::from(l.open) / threads;
        let wait_us = load.saturating_sub(over_us);
        let detour_us = self.detour_us(key, victim, thief);
        // What the thief may not have would come straight back, and be asked for again.
        if detour_us >= wait_us || !self.may_go(key, thief) {
            return true;
        }
        let n = waiting.div_ceil(2).min(wait_us.checked_div(detour_us).unwrap_or(u64::MAX));
        let chunks = leased.end.saturating_sub(n).max(leased.start)..leased.end;
        self.workers.get_mut(&victim).expect("the victim was just found").revoking = Some((lease, thief));
        self.note_load(victim);
        self.tell(victim, Instruction::Revoke { lease, tasks: TaskRange { job, stage, chunks } });
        true
    }
}
