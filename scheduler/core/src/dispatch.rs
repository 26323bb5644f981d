//! How much a worker gets, and what first: a worker with room is filled step by step, with what is more urgent than its
//! queue, then with its queue, then with roots.
//!
//! Knows queues and room. Must not know why a task became ready, nor what is taken from others.

use crate::limits::Bug;
use crate::priority::Took;
use crate::scheduler::Scheduler;
use crate::worker::ReadyKey;
use tilework_plan::{ChunkIdx, JobId, TaskKey, WorkerId};

impl Scheduler {
    /// Gives a worker that may have room something to do, the same one until it has enough or there is nothing for it;
    /// whether there was one.
    pub(crate) fn fill_next(&mut self) -> bool {
        let Some(worker) = self.filling.take().or_else(|| self.to_fill.pop_first()) else { return false };
        match self.give(worker) {
            Took::Some => self.filling = Some(worker),
            Took::Full => {
                self.idle.remove(&worker);
            }
            Took::Nothing => {
                self.idle.insert(worker);
            }
        }
        true
    }

    /// Gives a worker what is next for it: what is more urgent than its queue, the first of its queue, or roots.
    fn give(&mut self, worker: WorkerId) -> Took {
        if self.workers.get(&worker).is_none_or(|w| w.leaving) {
            return Took::Full;
        }
        let urgent = self.take_more_urgent(worker);
        if urgent != Took::Nothing {
            return urgent;
        }
        if let Some(first) = self.workers[&worker].ready.first().map(|place| place.task()) {
            return self.give_ready(worker, first);
        }
        if self.is_full_beside_roots(worker) {
            return Took::Full;
        }
        if self.lease_roots(worker, (false, None)) == Took::Some {
            return Took::Some;
        }
        match self.room(worker, (self.limits.task_us_guess, i32::MIN)) {
            0 => Took::Full,
            _ => Took::Nothing,
        }
    }

    /// Leases the first ready task of a worker's queue and those right behind it, as far as there is room.
    fn give_ready(&mut self, worker: WorkerId, first: TaskKey) -> Took {
        let TaskKey { job, stage, .. } = first;
        // What clients are to put again must not stand in the way of what is behind it.
        let room = match self.jobs[&job].is_upload(stage) {
            true => u64::MAX,
            false => self.room(worker, (self.est_us(job, stage), self.priority(job, stage))),
        };
        let room = room.min(self.unsuspected_room(worker, first));
        if room == 0 {
            return Took::Full;
        }
        self.lease_ready(worker, first, room);
        Took::Some
    }

    /// Leases a ready task of a worker's queue and those right behind it, `room` at most.
    fn lease_ready(&mut self, worker: WorkerId, first: TaskKey, room: u64) {
        let (est_us, priority) = (self.est_us(first.job, first.stage), self.priority(first.job, first.stage));
        let w = self.workers.get_mut(&worker).expect("a living worker");
        let mut end = first.chunk.0;
        while end - first.chunk.0 < room
            && let place = ReadyKey::new(TaskKey { chunk: ChunkIdx(end), ..first }, priority)
            && w.ready.contains(&place)
        {
            w.dequeue(place, est_us);
            self.n_ready -= 1;
            end += 1;
        }
        self.note_load(worker);
        self.lease(worker, first.job, first.stage, first.chunk.0..end);
    }

    /// How many more tasks of this length and priority a worker should have, beside those that are as urgent or more: it
    /// begins the others later. None rather than a few where it has plenty, so that leases and reports stay large.
    pub(crate) fn room(&self, worker: WorkerId, (est_us, priority): (u64, i32)) -> u64 {
        let w = &self.workers[&worker];
        let (leased, leased_us) = w.leased_of(priority);
        let leased = if self.limits.plays(Bug::PutsFillTheQueue) { w.n_leased() } else { leased };
        let in_all = self.limits.outstanding_max.max(4 * w.hello.threads).saturating_sub(w.leased);
        self.room_beside(worker, est_us, (leased, leased_us)).min(in_all.into())
    }

    /// How many more chunks like the one of `key` a client should be asked to put to a worker. Those that do not come hold
    /// a part of its memory for their job, and leave as much to every other.
    pub(crate) fn room_for_puts(&self, worker: WorkerId, key: TaskKey) -> u64 {
        let w = &self.workers[&worker];
        let puts = w.puts(key.job);
        let free = (self.root_bytes_max(worker) + puts.bytes).saturating_sub(w.bytes_committed);
        let bytes = self.jobs[&key.job].bytes(key.stage, key.chunk).max(1);
        let by_memory = (free / 2).saturating_sub(puts.bytes) / bytes;
        let least = u64::from(self.limits.outstanding_min_per_thread) * w.threads();
        let room = self.room_beside(worker, self.est_us(key.job, key.stage), (puts.tasks, puts.us));
        room.min(by_memory.max(least.saturating_sub(u64::from(puts.tasks))))
    }

    /// Whether a job waits for chunks that its client is to put.
    pub(crate) fn awaits_puts(&self, id: JobId) -> bool {
        self.workers.values().any(|w| w.puts.contains_key(&id))
    }

    /// See [`Scheduler::room`], beside the tasks that are leased already and their time.
    fn room_beside(&self, worker: WorkerId, est_us: u64, (leased, leased_us): (u32, u64)) -> u64 {
        let (l, w) = (&self.limits, &self.workers[&worker]);
        if w.leaving {
            return 0;
        }
        let threads = w.threads();
        let leased = u64::from(leased);
        let least = (u64::from(l.outstanding_min_per_thread) * threads).saturating_sub(leased);
        let ahead = (l.queue_us * threads).saturating_sub(leased_us) / est_us.max(1);
        let ahead = ahead.min(u64::from(l.outstanding_max).saturating_sub(leased));
        let full = (l.queue_us * threads / est_us.max(1)).min(u64::from(l.outstanding_max));
        if ahead * 8 >= full { ahead.max(least) } else { least }
    }
}
