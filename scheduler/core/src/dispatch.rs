//! Grants: which tasks a worker gets, how many ahead of need, and what is taken back for an idle one.
//!
//! Knows queues, roots and memory credit. Must not know why a task became ready.

use crate::blocks::Run;
use crate::lifecycle::push_holding;
use crate::limits::Bug;
use crate::priority::Took;
use crate::scheduler::Scheduler;
use crate::table::TaskState;
use crate::worker::{Each, Lease, ReadyKey};
use std::cmp::Reverse;
use std::ops::Bound::{Excluded, Unbounded};
use std::ops::Range;
use tilework_plan::{
    ChunkIdx, Holding, Instruction, JobId, LeaseId, Origin, StageIdx, TaskKey, TaskRange, Update, WorkerId,
};

impl Scheduler {
    /// Gives every worker that has room what there is for it.
    pub(crate) fn dispatch(&mut self) {
        loop {
            while let Some(worker) = self.to_fill.pop_first() {
                self.fill(worker);
                self.place_all();
                if !self.failing.is_empty() || !self.unsettled.is_empty() {
                    return;
                }
            }
            if !self.feed_idle() {
                return;
            }
            self.place_all();
            if !self.failing.is_empty() || !self.unsettled.is_empty() {
                return;
            }
        }
    }

    /// Tries again for the workers without work, now at others' cost; whether anything changed.
    fn feed_idle(&mut self) -> bool {
        if self.idle.is_empty() {
            return false;
        }
        if self.any_roots() {
            let idle: Vec<WorkerId> = self.idle.iter().copied().collect();
            if idle.iter().any(|w| self.steal_roots(*w, false)) {
                return true;
            }
            if idle.iter().any(|w| self.make_room(*w)) {
                return true;
            }
            // Nothing else can make progress: one root more than memory should hold, where most is free. What clients
            // are to put is progress of their own jobs alone.
            let nothing_goes_on = self.n_ready == 0 && self.workers.values().all(|w| w.leased == 0);
            let stuck = nothing_goes_on && self.rooted().into_iter().any(|id| !self.awaits_puts(id));
            if stuck && self.force_root(idle) {
                return true;
            }
        }
        if self.n_ready > 0 {
            let mut next = self.idle.first().copied();
            while let Some(w) = next {
                next = self.idle.range((Excluded(w), Unbounded)).next().copied();
                if self.room(w, (self.limits.task_us_guess, i32::MIN)) > 0 {
                    if self.steal_ready(w) {
                        self.to_fill.insert(w);
                    } else if !self.some_are_choosy() {
                        break;
                    }
                }
            }
            if !self.to_fill.is_empty() {
                return true;
            }
        }
        self.revoke_for_idle();
        false
    }

    /// Whether some tasks may not go to every worker, so that what is nothing for one may be something for the next.
    fn some_are_choosy(&self) -> bool {
        !self.index.choosy.is_empty()
    }

    /// Gives root tasks of others' blocks to a worker that is about to run out of work.
    pub(crate) fn steal_roots(&mut self, worker: WorkerId, force: bool) -> bool {
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
        self.lease_roots(worker, (force, None)) == Took::Some
    }

    fn fill(&mut self, worker: WorkerId) {
        loop {
            let Some(w) = self.workers.get(&worker) else { return };
            if w.leaving {
                return;
            }
            match self.take_more_urgent(worker) {
                Took::Some => {
                    self.place_all();
                    if !self.failing.is_empty() {
                        return;
                    }
                    continue;
                }
                Took::Full => {
                    self.idle.remove(&worker);
                    return;
                }
                Took::Nothing => {}
            }
            let w = &self.workers[&worker];
            if let Some(first) = w.ready.first().map(|place| place.task()) {
                let TaskKey { job, stage, .. } = first;
                // What clients are to put again must not stand in the way of what is behind it.
                let is_put = self.jobs[&job].is_upload(stage);
                let takes = (self.est_us(job, stage), self.priority(job, stage));
                let room = if is_put { u64::MAX } else { self.room(worker, takes) };
                let room = room.min(self.unsuspected_room(worker, first));
                if room == 0 {
                    self.idle.remove(&worker);
                    return;
                }
                self.lease_ready(worker, first, room);
                continue;
            }
            if self.is_full_beside_roots(worker) {
                self.idle.remove(&worker);
                return;
            }
            if self.lease_roots(worker, (false, None)) == Took::Some {
                self.place_all();
                if !self.failing.is_empty() {
                    return;
                }
                continue;
            }
            if self.room(worker, (self.limits.task_us_guess, i32::MIN)) == 0 {
                self.idle.remove(&worker);
                return;
            }
            self.idle.insert(worker);
            return;
        }
    }

    /// How many more tasks of this length and priority a worker should have, beside those that are as urgent or more: it
    /// begins the others later. None rather than a few where it has plenty, so that grants and reports stay large.
    pub(crate) fn room(&self, worker: WorkerId, (est_us, priority): (u64, i32)) -> u64 {
        let w = &self.workers[&worker];
        let (leased, leased_us) = w.leased_of(priority);
        let leased = if self.limits.plays(Bug::PutsFillTheQueue) { w.n_leased() } else { leased };
        let in_all = self.limits.outstanding_max.max(4 * w.hello.threads).saturating_sub(w.leased);
        self.room_beside(worker, est_us, (leased, leased_us)).min(in_all.into())
    }

    /// How many more chunks like the one of `key` a client should be asked to put to a worker. Those that do not come hold
    /// a part of its memory for their job, and leave as much to every other.
    fn room_for_puts(&self, worker: WorkerId, key: TaskKey) -> u64 {
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

    /// Leases the first ready task of a worker's queue and those right behind it.
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

    /// Grants tasks that are ready and in no queue.
    fn lease(&mut self, worker: WorkerId, job: JobId, stage: StageIdx, chunks: Range<u64>) {
        self.check_urgency(worker, (job, stage));
        let lease = LeaseId(self.next_lease);
        self.next_lease += 1;
        let n = (chunks.end - chunks.start) as u32;
        let mut elsewhere = Vec::new();
        let mut bytes = 0;
        for chunk in chunks.clone() {
            let key = TaskKey { job, stage, chunk: ChunkIdx(chunk) };
            self.set(key, TaskState::Leased { lease });
            bytes += self.jobs[&job].bytes(stage, key.chunk);
            self.inputs_elsewhere(key, worker, &mut elsewhere);
        }
        let put = self.jobs[&job].is_upload(stage).then(|| (job, bytes / u64::from(n.max(1))));
        let priority = self.priority(job, stage);
        let each = Each { est_us: self.est_us(job, stage), put, priority };
        let w = self.workers.get_mut(&worker).expect("a living worker");
        w.take(each, n);
        w.bytes_committed += bytes;
        self.jobs.get_mut(&job).expect("the job of a lease").charge(worker, bytes);
        let granted = Lease { worker, job, stage, chunks: chunks.clone(), open: n, each, fixed: false };
        self.open_lease(lease, granted);
        self.note_load(worker);
        self.define(worker, job);
        self.tell_holders(worker, job, stage);
        let tasks = TaskRange { job, stage, chunks };
        let elsewhere = coalesced(elsewhere);
        self.tell(worker, Instruction::Lease { lease, tasks: tasks.clone(), elsewhere, priority });
        if let Origin::Client { id } = self.jobs[&job].plan.stage(stage).origin {
            let addresses = self.workers[&worker].hello.addresses.clone();
            self.update(job, Update::Upload { lease, tasks, literal: id, worker, addresses });
        }
    }

    fn inputs_elsewhere(&mut self, key: TaskKey, worker: WorkerId, out: &mut Vec<(TaskKey, WorkerId)>) {
        self.with_inputs(key, |me, inputs| {
            for &(_, stage, chunk) in inputs {
                let made = me.canonical(TaskKey { stage, chunk, ..key });
                // Who has what a barrier stands for is told once for all tasks.
                if let Some(holder) = me.task(made).holder().filter(|holder| *holder != worker) {
                    out.push((made, holder));
                }
            }
        });
    }

    /// Gives a worker the next root tasks of the first job that has any in its block, or puts results of earlier jobs
    /// to use. What is less urgent than roots for which it has no room now waits with them. `force` passes over memory credit for one; `above` is the priority of what it would be
    /// given else.
    pub(crate) fn lease_roots(&mut self, worker: WorkerId, (force, above): (bool, Option<i32>)) -> Took {
        let (mut from, mut full) = (Unbounded, None);
        while let Some(at) = self.index.rooted.range((from, Unbounded)).next().copied() {
            let (Reverse(priority), id) = at;
            if full.is_some_and(|full| priority < full) || above.is_some_and(|above| priority <= above) {
                break;
            }
            from = Excluded(at);
            let job = self.jobs.get(&id).filter(|j| j.roots.n_left() > 0);
            let Some(job) = job else {
                self.index.rooted.remove(&at);
                continue;
            };
            if !job.roots_for(&self.workers[&worker].hello) || (force && self.awaits_puts(id)) {
                continue;
            }
            self.share_out(id);
            let goes_before = self.goes_before(priority, above);
            if goes_before {
                self.jobs.get_mut(&id).expect("a job with roots").roots.steal(worker);
            }
            if self.lease_roots_of(id, worker, force) {
                return Took::Some;
            }
            if goes_before && self.has_no_room_for_roots(worker, id) {
                full = Some(priority);
            }
        }
        if full.is_some() { Took::Full } else { Took::Nothing }
    }

    /// Gives each worker its block of a job's roots, unless that was done.
    fn share_out(&mut self, id: JobId) {
        let job = &self.jobs[&id];
        if !job.roots.unshared() {
            return;
        }
        let takers = self.workers.iter().filter(|(_, w)| !w.leaving && job.roots_for(&w.hello));
        let takers: Vec<(WorkerId, u64)> = takers.map(|(id, w)| (*id, u64::from(w.hello.threads))).collect();
        self.jobs.get_mut(&id).expect("a job with roots").roots.share_out(&takers);
    }

    fn lease_roots_of(&mut self, id: JobId, worker: WorkerId, force: bool) -> bool {
        let mut passed_over = false;
        loop {
            let job = &self.jobs[&id];
            // Where all that was left of its block was passed over, there may be more in others'.
            let Some(run) = job.roots.next(worker, u64::MAX) else { return passed_over };
            let root = job.roots.root(run.root);
            let (stage, mixed) = (root.stage, root.mixed);
            let mut chunks = job.root_chunks(&run);
            if mixed && run.again.is_none() {
                // Some of these are no roots: those at the front are passed over.
                let room = self.room(worker, (self.est_us(id, stage), self.priority(id, stage))).max(1);
                let mut end = chunks.start;
                while end < chunks.end && end - chunks.start < room && self.is_root_task(id, stage, end) {
                    end += 1;
                }
                if end == chunks.start {
                    self.take_roots(worker, id, &run, 1);
                    passed_over = true;
                    continue;
                }
                chunks.end = end;
            }
            return self.lease_root_run(worker, (id, &run), chunks, force);
        }
    }

    /// Whether a task at a root cursor reads nothing.
    fn is_root_task(&mut self, job: JobId, stage: StageIdx, chunk: u64) -> bool {
        self.with_inputs(TaskKey { job, stage, chunk: ChunkIdx(chunk) }, |_, inputs| inputs.is_empty())
    }

    fn take_roots(&mut self, worker: WorkerId, id: JobId, run: &Run, n: u64) {
        self.jobs.get_mut(&id).expect("a job with roots").roots.take(worker, run, n);
    }

    /// Leases the first of some root tasks, as many as there is room and memory for; whether any.
    fn lease_root_run(
        &mut self,
        worker: WorkerId,
        (id, run): (JobId, &Run),
        chunks: Range<u64>,
        force: bool,
    ) -> bool {
        let stage = self.jobs[&id].roots.root(run.root).stage;
        if self.jobs[&id].is_alias(stage) {
            return self.read_aliases(worker, (id, run), chunks);
        }
        let first = TaskKey { job: id, stage, chunk: ChunkIdx(chunks.start) };
        let is_put = self.jobs[&id].is_upload(stage);
        let room = match is_put {
            true => self.room_for_puts(worker, first),
            false => self.room(worker, (self.est_us(id, stage), self.priority(id, stage))),
        };
        let room = room.max(u64::from(force)).min(self.unsuspected_room(worker, first));
        let Some(fair) = self.fair_share(worker, id, room.max(1)) else { return false };
        let credit = if force { self.credit_when_stuck(worker, first) } else { self.credit(worker, first) };
        let n = (chunks.end - chunks.start).min(fair).min(credit).min(room);
        if n == 0 || !self.fits(first, worker) {
            return false;
        }
        self.take_roots(worker, id, run, n);
        self.lease(worker, id, stage, chunks.start..chunks.start + n);
        if !is_put {
            // What is put gives it nothing to do.
            self.idle.remove(&worker);
        }
        true
    }

    /// Puts some results of an earlier job to use, while not too many tasks are ready.
    fn read_aliases(&mut self, worker: WorkerId, (id, run): (JobId, &Run), chunks: Range<u64>) -> bool {
        if self.n_ready >= self.limits.ready_max {
            return false;
        }
        let Some(fair) = self.fair_share(worker, id, (self.limits.ready_max as u64 / 16).max(1)) else {
            return false;
        };
        let n = (chunks.end - chunks.start).min(fair);
        let stage = self.jobs[&id].roots.root(run.root).stage;
        self.take_roots(worker, id, run, n);
        for chunk in chunks.start..chunks.start + n {
            self.read_alias(TaskKey { job: id, stage, chunk: ChunkIdx(chunk) });
        }
        true
    }

    /// How many tasks of the next root stage to take where `room` are to be taken of all that go in step.
    fn fair_share(&self, worker: WorkerId, id: JobId, room: u64) -> Option<u64> {
        let run = self.jobs[&id].roots.next(worker, room)?;
        Some(run.tasks.end - run.tasks.start)
    }

    /// Whether a root's result fits into a worker; the job fails where it fits into none.
    fn fits(&mut self, key: TaskKey, worker: WorkerId) -> bool {
        let plan = &self.jobs[&key.job].plan;
        let needed =
            plan.out_bytes(key.stage, key.chunk).saturating_add(plan.stage(key.stage).terms().memory_bytes);
        self.fail_for_memory(key, needed);
        self.workers[&worker].hello.memory_bytes >= needed
    }

    /// Moves ready tasks from the queue of the busiest worker to one that has nothing, as long as what they read is there
    /// before they would begin where they are.
    fn steal_ready(&mut self, thief: WorkerId) -> bool {
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

    /// Asks the busiest worker for tasks back where another has none, unless what they read takes longer to come there than
    /// they wait.
    fn revoke_for_idle(&mut self) {
        let mut next = self.index.unoccupied.first().copied();
        while let Some(thief) = next.filter(|_| !self.index.laden.is_empty()) {
            next = self.index.unoccupied.range((Excluded(thief), Unbounded)).next().copied();
            if !self.idle.contains(&thief) {
                continue;
            }
            let busy = self.index.laden.iter().map(|w| (w, &self.workers[w]));
            let Some((load, Reverse(victim))) = busy.map(|(w, s)| (s.wait_us(), Reverse(*w))).max() else {
                return;
            };
            if load < self.limits.steal_us_min {
                return;
            }
            let v = &self.workers[&victim];
            let (threads, waiting) = (v.threads(), u64::from(v.leased - v.hello.threads));
            let mut last = v.leases.iter().rev().map(|id| (*id, &self.leases[id]));
            let Some((lease, l)) = last.find(|(_, l)| !l.fixed && l.each.put.is_none()) else { return };
            let (job, stage, leased) = (l.job, l.stage, l.chunks.clone());
            let key = TaskKey { job, stage, chunk: ChunkIdx(leased.end - 1) };
            // What the tasks take may be known by now; it was not when they were handed out.
            let over_us = l.each.est_us.saturating_sub(self.est_us(job, stage)) * u64::from(l.open) / threads;
            let wait_us = load.saturating_sub(over_us);
            let detour_us = self.detour_us(key, victim, thief);
            // What the thief may not have would come straight back, and be asked for again.
            if detour_us >= wait_us || !self.may_go(key, thief) {
                continue;
            }
            let n = waiting.div_ceil(2).min(wait_us.checked_div(detour_us).unwrap_or(u64::MAX));
            let chunks = leased.end.saturating_sub(n).max(leased.start)..leased.end;
            self.workers.get_mut(&victim).expect("the victim was just found").revoking = Some((lease, thief));
            self.note_load(victim);
            self.tell(victim, Instruction::Revoke { lease, tasks: TaskRange { job, stage, chunks } });
        }
    }

    /// `n` tasks of a lease were answered for.
    pub(crate) fn worker_answered(&mut self, worker: WorkerId, each: Each, n: u32) {
        if let Some(w) = self.workers.get_mut(&worker) {
            w.answer(each, n);
            self.to_fill.insert(worker);
            self.note_load(worker);
        }
    }

    /// One task of a lease ends without a chunk.
    pub(crate) fn close_one(&mut self, lease: LeaseId, key: TaskKey) {
        let Some(worker) = self.leases.get(&lease).map(|l| l.worker) else { return };
        if !self.limits.plays(Bug::CreditLeaked) {
            self.uncharge(worker, key.job, key.stage, key.chunk);
        }
        self.answer(lease, 1);
    }

    /// `n` tasks of a lease were answered for.
    pub(crate) fn answer(&mut self, lease: LeaseId, n: u32) {
        let Some(l) = self.leases.get_mut(&lease) else { return };
        l.open -= n;
        let (worker, each, closed) = (l.worker, l.each, l.open == 0);
        if closed {
            self.close_lease(lease);
            self.end_revoke(worker, lease);
        }
        self.worker_answered(worker, each, n);
    }

    /// A worker has nothing (more) to give back of a lease; returns who waits for it.
    pub(crate) fn end_revoke(&mut self, worker: WorkerId, lease: LeaseId) -> Option<WorkerId> {
        let w = self.workers.get_mut(&worker)?;
        let (_, thief) = w.revoking.take_if(|(l, _)| *l == lease)?;
        self.note_load(worker);
        Some(thief)
    }
}

fn coalesced(mut elsewhere: Vec<(TaskKey, WorkerId)>) -> Vec<Holding> {
    elsewhere.sort_unstable();
    elsewhere.dedup();
    let mut list = Vec::new();
    elsewhere.into_iter().for_each(|(key, worker)| push_holding(&mut list, key, worker));
    list
}
