//! Memory of results: how much of it roots may fill, what is dropped to make room because it can be made again, what goes
//! to the workers' disks because it cannot, and when a job is ended because there is no room there either.
//!
//! Knows bytes of chunks. Must not know queues.

use crate::limits::Limits;
use crate::scheduler::Scheduler;
use crate::table::TaskState;
use crate::worker::WorkerState;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use tilework_plan::{ChunkIdx, JobError, JobId, StageIdx, TaskKey, WorkerId};

/// Of the memory that roots may fill, what is made room for at a time, per cent.
const ROOM_PERCENT: u64 = 25;
/// Of the same memory, what may go to the disk more at a time, per cent.
const BEYOND_PERCENT: u64 = 25;

impl Scheduler {
    /// Bytes of results that a worker may have or make before roots wait.
    pub(crate) fn root_bytes_max(&self, worker: WorkerId) -> u64 {
        self.root_share(worker) + self.workers[&worker].bytes_beyond
    }

    /// The same, where nothing goes to the disk.
    fn root_share(&self, worker: WorkerId) -> u64 {
        self.part_of_memory(worker, self.limits.root_memory_percent)
    }

    /// Takes back what a worker was allowed beyond its memory, as far as it is not used.
    pub(crate) fn shrink_beyond(&mut self, worker: WorkerId) {
        let share = self.root_share(worker);
        let Some(w) = self.workers.get_mut(&worker) else { return };
        if w.bytes_beyond > 0 && w.bytes_committed <= share {
            w.bytes_beyond = 0;
        }
    }

    /// Allows workers without anything to do more results than their memory holds, where they have a disk for them;
    /// whether any can go on by that.
    fn go_beyond(&mut self, idle: &[WorkerId]) -> bool {
        let mut any = false;
        for &worker in idle {
            let share = self.root_share(worker);
            let w = self.workers.get_mut(&worker).expect("a worker that waits lives");
            let step = (share * BEYOND_PERCENT / 100).max(1);
            let most = w.hello.spill_bytes;
            if w.leaving || w.bytes_committed + step > share + most {
                continue;
            }
            let before = w.bytes_beyond;
            w.bytes_beyond = (w.bytes_committed + step).saturating_sub(share).max(before).min(most);
            any |= w.bytes_beyond > before && self.steal_roots_for(worker, false);
        }
        any
    }

    fn part_of_memory(&self, worker: WorkerId, percent: u64) -> u64 {
        let memory = u128::from(self.workers[&worker].hello.memory_bytes);
        (memory * u128::from(percent) / 100) as u64
    }

    /// How many roots of a stage a worker may take before their results fill its share of memory.
    pub(crate) fn credit(&self, worker: WorkerId, key: TaskKey) -> u64 {
        let left = self.root_bytes_max(worker).saturating_sub(self.workers[&worker].bytes_committed);
        match self.jobs[&key.job].stage(key.stage).bytes_each {
            Some(each) => left.checked_div(each).unwrap_or(u64::MAX),
            None => u64::from(self.jobs[&key.job].bytes(key.stage, key.chunk) <= left),
        }
    }

    /// Whether a worker may take one root more where nothing else can go on.
    pub(crate) fn credit_when_stuck(&mut self, worker: WorkerId, key: TaskKey) -> u64 {
        let needed = self.jobs[&key.job].plan.out_bytes(key.stage, key.chunk);
        let fits = needed <= self.free_when_stuck(worker);
        if !fits && self.workers[&worker].bytes_committed > 0 {
            self.refused.push((key, needed));
        }
        u64::from(fits || self.workers[&worker].bytes_committed == 0)
    }

    pub(crate) fn free_when_stuck(&self, worker: WorkerId) -> u64 {
        let most = self.part_of_memory(worker, Limits::HELD_MEMORY_PERCENT);
        let most = most.saturating_add(self.workers[&worker].hello.spill_bytes);
        most.saturating_sub(self.workers[&worker].bytes_committed)
    }

    /// Where nothing else can go on, gives one root more than memory should hold to the worker with the most that is free;
    /// where none has room for it, its job fails. Whether there was any.
    pub(crate) fn force_root(&mut self) -> bool {
        let nothing_runs = self.n_ready == 0 && self.index.unoccupied.len() == self.workers.len();
        if !nothing_runs || self.idle.is_empty() {
            return false;
        }
        // What clients are to put is progress of their own jobs alone.
        if self.rooted().into_iter().all(|id| self.awaits_puts(id)) {
            return false;
        }
        let mut idle: Vec<WorkerId> = self.idle.iter().copied().collect();
        if self.go_beyond(&idle) {
            return true;
        }
        idle.sort_by_key(|w| Reverse(self.free_when_stuck(*w)));
        self.refused.clear();
        if idle.into_iter().any(|w| self.steal_roots_for(w, true)) {
            return true;
        }
        let refused = std::mem::take(&mut self.refused);
        let hopeless = |(key, needed): &(TaskKey, u64)| {
            let declared = self.jobs[&key.job].plan.stage(key.stage).terms().memory_bytes;
            !self.puts_may_free(key.job, needed.saturating_add(declared))
        };
        let Some((key, needed)) = refused.into_iter().find(hopeless) else { return false };
        let operation = self.in_words(key);
        let job = &self.jobs[&key.job];
        let there = self.workers.values().filter(|w| !w.leaving && job.roots_for(&w.hello));
        let (held, limit) = there.fold((0, 0), |(held, limit), w| {
            let room = w.hello.memory_bytes.saturating_add(w.hello.spill_bytes);
            (held + w.bytes_committed, limit + room)
        });
        self.failing.push((key.job, JobError::Full { operation, needed, held, limit }));
        true
    }

    /// Whether a job, or one that it reads, waits for chunks that its client is to put.
    pub(crate) fn hangs_on_puts(&self, id: JobId) -> bool {
        self.with_all_it_reads(id).into_iter().any(|of| self.awaits_puts(of))
    }

    /// Whether memory that a job could have comes free when clients have put what they are to put, on workers that have as
    /// much at all as a root of it needs.
    pub(crate) fn puts_may_free(&self, id: JobId, needed: u64) -> bool {
        let job = &self.jobs[&id];
        let may = |w: &WorkerState| !w.leaving && job.roots_for(&w.hello) && w.hello.memory_bytes >= needed;
        let takers: Vec<WorkerId> = self.workers.iter().filter(|(_, w)| may(w)).map(|(w, _)| *w).collect();
        let has_some = |of: &JobId| {
            let committed = self.jobs.get(of).map(|j| &j.committed);
            committed.is_some_and(|c| takers.iter().any(|w| c.get(w).is_some_and(|bytes| *bytes > 0)))
        };
        let hanging = self.jobs.keys().filter(|other| self.hangs_on_puts(**other));
        hanging.flat_map(|other| self.with_all_it_reads(*other)).any(|of| has_some(&of))
    }

    /// A job and all that it reads, and that those read.
    pub(crate) fn with_all_it_reads(&self, id: JobId) -> BTreeSet<JobId> {
        let (mut all, mut open) = (BTreeSet::from([id]), vec![id]);
        while let Some(job) = open.pop().and_then(|of| self.jobs.get(&of)) {
            open.extend(job.refs.iter().filter(|of| all.insert(**of)));
        }
        all
    }

    /// Makes room on an idle worker that has nothing to do: drops chunks that wait for a fold to which roots are still
    /// missing, and that can be made again for nothing but their own cost; whether there were any.
    pub(crate) fn make_room(&mut self) -> bool {
        if self.idle.is_empty() || !self.any_roots() {
            return false;
        }
        let mut next = self.next_idle(None);
        while let Some(worker) = next {
            if self.make_room_on(worker) {
                return true;
            }
            next = self.next_idle(next);
        }
        false
    }

    fn make_room_on(&mut self, worker: WorkerId) -> bool {
        let w = &self.workers[&worker];
        if w.leased > 0 || !w.ready.is_empty() || w.bytes_committed == 0 {
            return false;
        }
        let target = w.bytes_committed.saturating_sub(self.root_share(worker) * ROOM_PERCENT / 100);
        let mut any = false;
        for id in self.rooted() {
            let (job, w) = (&self.jobs[&id], &self.workers[&worker]);
            let waits = job.roots_for(&w.hello) && job.roots.remakes().next().is_some();
            if waits && !self.awaits_puts(id) && self.next_root_waits(id, worker) {
                any |= self.make_room_in(id, worker, target);
            }
        }
        any
    }

    /// Whether a job has a root for a worker that has no memory left for it.
    fn next_root_waits(&mut self, id: JobId, worker: WorkerId) -> bool {
        let roots = &mut self.jobs.get_mut(&id).expect("a job with roots").roots;
        if !roots.unshared() {
            roots.steal(worker);
        }
        let Some(run) = roots.next(worker, 1) else { return false };
        let (stage, chunk) = (roots.root(run.root).stage, ChunkIdx(self.jobs[&id].root_chunks(&run).start));
        self.credit(worker, TaskKey { job: id, stage, chunk }) == 0
    }

    /// Drops such chunks of a job until a worker has no more than `target` bytes; whether there were any.
    fn make_room_in(&mut self, id: JobId, worker: WorkerId, target: u64) -> bool {
        let job = &self.jobs[&id];
        let Some(lowest) = job.roots.lowest_wave() else { return false };
        let roots: Vec<(usize, StageIdx)> = job.roots.remakes().collect();
        let mut any = false;
        for (root, stage) in roots {
            let held = self.jobs[&id].stage(stage).table.live();
            let mine = held.filter(|(_, s)| s.holder() == Some(worker));
            let mut mine: Vec<u64> = mine.map(|(chunk, _)| chunk).collect();
            while self.workers[&worker].bytes_committed > target
                && let Some(chunk) = mine.pop()
            {
                let key = TaskKey { job: id, stage, chunk: ChunkIdx(chunk) };
                if let Some(wave) = self.awaited_by(key).filter(|wave| *wave > lowest) {
                    self.put_off(key, worker);
                    let job = self.jobs.get_mut(&id).expect("a job with roots");
                    job.roots.make_again(root, wave, chunk);
                    self.note_rooted(id);
                    any = true;
                }
            }
        }
        any
    }

    /// The least wave of the tasks that are yet to read a chunk, if all of those wait for something else too.
    fn awaited_by(&mut self, key: TaskKey) -> Option<u32> {
        if self.publishing.contains_key(&key) {
            return None;
        }
        self.with_consumers(key, |me, consumers| {
            let mut least = None;
            for &(stage, chunk) in consumers {
                match me.task(TaskKey { stage, chunk, ..key }) {
                    TaskState::Untouched | TaskState::Waiting { .. } => {
                        let wave = me.jobs[&key.job].roots.wave_of(stage);
                        least = Some(least.map_or(wave, |w: u32| w.min(wave)));
                    }
                    // All that it stands for is about to be read.
                    TaskState::Held { .. } if me.is_barrier(TaskKey { stage, chunk, ..key }) => return None,
                    TaskState::Held { .. } | TaskState::Released | TaskState::Failed => {}
                    TaskState::Ready { .. } | TaskState::Leased { .. } => return None,
                }
            }
            least
        })
    }

    /// A chunk is dropped, as if it had not been made yet.
    fn put_off(&mut self, key: TaskKey, holder: WorkerId) {
        self.uncharge(holder, key.job, key.stage, key.chunk);
        self.drops.push((holder, key));
        self.set(key, TaskState::Untouched);
        self.unpublish(key);
    }
}
