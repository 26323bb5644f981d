//! Where a ready task goes: by earliest finish, over the workers that hold its inputs and a few that are idle.
//!
//! Knows sizes, holders and loads. Must not know leases.

use crate::exchange::Exchange;
use crate::job::Job;
use crate::limits::Bug;
use crate::makers::Makers;
use crate::scheduler::Scheduler;
use crate::table::TaskState;
use crate::worker::{ReadyKey, WorkerState};
use tilework_plan::{Hello, JobError, JobId, StageIdx, TaskKey, WorkerId, region_len};

/// Idle workers that are looked at for one task.
const IDLE_MAX: usize = 4;

/// What a task needs, and where that is.
#[derive(Default)]
struct Needs {
    /// Bytes of its inputs and its result.
    total: u64,
    /// Bytes of its inputs.
    inputs: u64,
    /// Bytes of inputs at each holder, but for those that it reads blocks of.
    at: Vec<(WorkerId, u64)>,
    /// The stages of whose results it reads blocks.
    blocks_of: Vec<StageIdx>,
    /// Bytes of those blocks, on the average.
    blocks: u64,
}

impl Needs {
    /// What is known of those results, as far as there are any.
    fn exchanges<'a>(&'a self, job: &'a Job) -> impl Iterator<Item = &'a Exchange> {
        self.blocks_of.iter().filter_map(|of| job.stage(*of).exchange.as_deref())
    }
}

/// What became of a ready task.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It stands in a worker's queue.
    Queue,
    /// No worker has a way to all of its inputs.
    OutOfReach,
    /// It fits nowhere.
    Nowhere,
}

impl Scheduler {
    /// Chooses a worker for every ready task that has none; whether there was any that may find one.
    pub(crate) fn place_ready(&mut self) -> bool {
        if !std::mem::take(&mut self.may_place) || self.unplaced.is_empty() || !self.somebody_stays() {
            return false;
        }
        let mut far = Vec::new();
        let mut tasks = std::mem::take(&mut self.unplaced);
        // The stage that was looked at last of those for whose tasks nobody has what they need: there may be many of it.
        let mut lacking = None;
        tasks.retain(|key| {
            let stage = Some((key.job, key.stage));
            if self.task(*key) != (TaskState::Ready { worker: None }) {
                return false;
            }
            if lacking != stage && self.nobody_has_tags(*key) {
                lacking = stage;
            }
            lacking == stage || self.place(*key, &mut far) == Place::Nowhere
        });
        self.unplaced.append(&mut tasks);
        if !far.is_empty() {
            self.place_far(far);
        }
        true
    }

    /// Puts a ready task into the queue of the best worker, or on the list of those whose inputs are in nobody's reach.
    fn place(&mut self, key: TaskKey, far: &mut Vec<TaskKey>) -> Place {
        let needs = self.needs(key);
        match self.choose(key, &needs, |_, _| false) {
            Some((worker, in_reach)) if in_reach || self.limits.plays(Bug::CutOffIgnored) => {
                self.enqueue(key, worker);
                Place::Queue
            }
            Some(_) => {
                far.push(key);
                Place::OutOfReach
            }
            None => {
                self.fail_for_memory(key, needs.total);
                Place::Nowhere
            }
        }
    }

    /// Has the inputs of tasks made nearer that are in nobody's reach, or lets them wait for those who are to read these
    /// where they are.
    fn place_far(&mut self, tasks: Vec<TaskKey>) {
        let (in_use, mut makers) = (self.chunks_in_use(), Makers::default());
        // Where whoever takes their inputs away finds them.
        self.unplaced.extend(&tasks);
        for key in tasks {
            // What was taken for another may be missing now.
            if self.task(key) != (TaskState::Ready { worker: None }) {
                continue;
            }
            let needs = self.needs(key);
            let read = self.find_makers(key, &mut makers);
            let in_vain = |id, w: &WorkerState| !self.could_be_near((id, w), &read, &makers);
            match self.choose(key, &needs, in_vain) {
                Some((worker, true)) => self.enqueue(key, worker),
                Some((worker, false)) => self.bring_nearer(key, worker, &in_use),
                None => {}
            }
        }
        let mut left = std::mem::take(&mut self.unplaced);
        left.retain(|key| self.task(*key) == (TaskState::Ready { worker: None }));
        self.unplaced = left;
    }

    /// The place of a ready task in a queue.
    pub(crate) fn ready_key(&self, key: TaskKey) -> ReadyKey {
        ReadyKey::new(key, self.priority(key.job, key.stage))
    }

    /// Puts a ready task into a worker's queue.
    pub(crate) fn enqueue(&mut self, key: TaskKey, worker: WorkerId) {
        let (est_us, place) = (self.est_us(key.job, key.stage), self.ready_key(key));
        self.set(key, TaskState::Ready { worker: Some(worker) });
        self.workers.get_mut(&worker).expect("tasks go to living workers").enqueue(place, est_us);
        self.n_ready += 1;
        self.to_fill.insert(worker);
        self.note_load(worker);
    }

    /// Takes a ready task out of the queue in which it stands.
    pub(crate) fn dequeue(&mut self, key: TaskKey, worker: Option<WorkerId>) {
        let (est_us, place) = (self.est_us(key.job, key.stage), self.ready_key(key));
        if let Some(id) = worker
            && let Some(w) = self.workers.get_mut(&id)
        {
            w.dequeue(place, est_us);
            self.n_ready -= 1;
            self.note_load(id);
        }
    }

    fn needs(&mut self, key: TaskKey) -> Needs {
        self.with_inputs(key, |me, inputs| {
            let job = &me.jobs[&key.job];
            let declared = job.plan.stage(key.stage).terms().memory_bytes;
            let total = job.bytes(key.stage, key.chunk).saturating_add(declared);
            let mut needs = Needs { total, ..Needs::default() };
            for &(_, stage, chunk) in inputs {
                if job.stage(stage).is_barrier {
                    let behind = job.plan.behind(stage);
                    let Some(exchange) = &job.stage(behind).exchange else { continue };
                    let bytes = job.plan.block_share(key.stage, exchange.bytes());
                    needs.inputs += bytes;
                    needs.blocks += bytes;
                    needs.blocks_of.push(behind);
                    continue;
                }
                let bytes = job.bytes(stage, chunk);
                needs.inputs += bytes;
                if let Some(holder) = me.holder(TaskKey { stage, chunk, ..key }) {
                    match needs.at.iter_mut().find(|(w, _)| *w == holder) {
                        Some((_, b)) => *b += bytes,
                        None => needs.at.push((holder, bytes)),
                    }
                }
            }
            // What blocks hold is in memory twice: as bytes, and as what they say.
            needs.total = needs.total.saturating_add(needs.inputs).saturating_add(needs.blocks);
            // Those are bounds; where they do not fit everywhere, the parts that the task reads decide.
            if me.memory_least < needs.total && !me.limits.plays(Bug::WholeInputsCounted) {
                needs.total =
                    job.plan.task_bytes(key.stage, key.chunk).saturating_add(needs.blocks.saturating_mul(2));
            }
            needs
        })
    }

    /// Bytes of the blocks that a task reads, on the average.
    pub(crate) fn bytes_of_blocks(&mut self, key: TaskKey) -> u64 {
        self.needs(key).blocks
    }

    /// The worker where the task would end first, and whether all inputs are in its reach; none where it fits nowhere.
    /// `in_vain` says of one without a way to some of the inputs whether these cannot be made any nearer to it either.
    fn choose(
        &self,
        key: TaskKey,
        needs: &Needs,
        in_vain: impl Fn(WorkerId, &WorkerState) -> bool,
    ) -> Option<(WorkerId, bool)> {
        let record = self.retry_records.get(&key);
        let job = &self.jobs[&key.job];
        let may = |hello: &Hello| match self.limits.plays(Bug::TagsIgnored) {
            true => hello.calls(job.build(key.stage)),
            false => job.stage_for(key.stage, hello),
        };
        let fits = |w: &WorkerState| {
            !w.leaving
                && may(&w.hello)
                && w.hello.memory_bytes >= needs.total
                && record.is_none_or(|t| w.hello.memory_bytes > t.memory_over)
        };
        let avoided = |w: WorkerId| record.is_some_and(|t| t.avoid.contains(&w));
        // Where neither a worker in reach nor one that did not fail is any good, the other may be.
        let attempts = record.map_or(0, |t| t.transfers_failed);
        let (by_turns, from_last) = (attempts % 2 == 1, attempts / 8 % 2 == 1);
        let finish = |id: WorkerId| {
            let w = self.workers.get(&id).filter(|w| fits(w))?;
            let transfer = self.transfer_us(key, needs, id);
            let cut_off = self.is_cut_off_from(key.job, needs, w);
            // Of those that are all cut off always the same one, and another where that did not help for long: all readers
            // of blocks where most of these are.
            let load_us = match cut_off {
                true if from_last => u64::from(u32::MAX - id.0),
                true => self.far_blocks(key.job, needs, w).min(u32::MAX.into()) << 32 | u64::from(id.0),
                false => w.load_us() + transfer,
            };
            let (first, second) = if by_turns { (cut_off, avoided(id)) } else { (avoided(id), cut_off) };
            Some(((cut_off && in_vain(id, w), first, second, load_us), (id, cut_off)))
        };
        let holders = needs.exchanges(job).flat_map(|exchange| exchange.some_holders(key.chunk));
        let near = needs.at.iter().map(|(w, _)| *w).chain(holders);
        let near = near.chain(self.idle.iter().copied().take(IDLE_MAX));
        let best = near.filter_map(finish).min();
        let best = match best {
            Some(((false, false, false, _), (w, _))) => return Some((w, true)),
            other => other,
        };
        // Nobody near: look at everyone.
        let all = self.workers.keys().copied().filter_map(finish).min();
        all.or(best).map(|(_, (w, cut_off))| (w, !cut_off))
    }

    /// Whether a worker has no connection to one that has something of what a task needs.
    fn is_cut_off_from(&self, job: JobId, needs: &Needs, worker: &WorkerState) -> bool {
        let job = &self.jobs[&job];
        let has_results = |peer: WorkerId| needs.exchanges(job).any(|exchange| exchange.is_at(peer));
        needs.at.iter().any(|(h, _)| self.is_cut_off(worker, *h))
            || self.cut_off_peers(worker).any(has_results)
    }

    /// Bytes of the results, of which a task reads blocks, that are out of a worker's reach.
    fn far_blocks(&self, job: JobId, needs: &Needs, worker: &WorkerState) -> u64 {
        let job = &self.jobs[&job];
        let at = |peer: WorkerId| needs.exchanges(job).map(move |exchange| exchange.bytes_at(peer));
        self.cut_off_peers(worker).flat_map(at).sum()
    }

    /// How long what a task reads is under way to a worker, microseconds.
    fn transfer_us(&self, key: TaskKey, needs: &Needs, worker: WorkerId) -> u64 {
        let job = &self.jobs[&key.job];
        let blocks =
            needs.exchanges(job).map(|exchange| job.plan.block_share(key.stage, exchange.bytes_at(worker)));
        let at = needs.at.iter().find(|(h, _)| *h == worker).map_or(0, |(_, b)| *b);
        match needs.inputs.saturating_sub(blocks.fold(at, u64::saturating_add)) {
            0 => 0,
            missing => self.limits.transfer_us + missing / self.limits.bytes_per_us,
        }
    }

    /// How much longer what a task reads is under way to `thief` than to the worker that has the task, microseconds.
    pub(crate) fn detour_us(&mut self, key: TaskKey, victim: WorkerId, thief: WorkerId) -> u64 {
        let needs = self.needs(key);
        self.transfer_us(key, &needs, thief).saturating_sub(self.transfer_us(key, &needs, victim))
    }

    /// Whether a task may go to a worker at all.
    pub(crate) fn may_go(&mut self, key: TaskKey, worker: WorkerId) -> bool {
        let needs = self.needs(key);
        let record = self.retry_records.get(&key);
        self.workers.get(&worker).is_some_and(|w| {
            self.jobs[&key.job].stage_for(key.stage, &w.hello)
                && w.hello.memory_bytes >= needs.total
                && !self.is_cut_off_from(key.job, &needs, w)
                && record.is_none_or(|t| w.hello.memory_bytes > t.memory_over && !t.avoid.contains(&worker))
        })
    }

    /// Notes the workers that can call a job's functions. Where there are none among the workers, it fails; where there
    /// were some, and are lost, it waits for others.
    pub(crate) fn note_callers(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id).filter(|j| j.failed().is_none()) else { return };
        let Some(build) = job.functions_build.clone() else { return };
        let callers = self.workers.values().filter(|w| w.hello.calls(Some(&build)));
        let most = callers.map(|w| w.hello.memory_bytes).max().unwrap_or(0);
        job.memory_callable = job.memory_callable.max(most);
        if job.memory_callable > 0 || self.workers.is_empty() {
            return;
        }
        let called = job.plan.stages.iter().find_map(|s| s.calls.as_ref());
        let function = called.expect("the job has functions");
        let (function, build) = (function.name.to_string(), function.build.to_string());
        self.failing.push((id, JobError::Foreign { function, build, workers: self.workers.len() as u32 }));
    }

    /// Memory of the largest worker that was there and may have the tasks of a stage, bytes.
    pub(crate) fn memory_seen_for(&self, job: JobId, stage: StageIdx) -> u64 {
        let job = &self.jobs[&job];
        if job.is_for_callers(stage) { job.memory_callable } else { self.memory_seen }
    }

    /// A task needs more memory than any worker has. Where one was there that had enough, and is lost, the task
    /// waits for another: a lost worker is no mistake of the user's.
    pub(crate) fn fail_for_memory(&mut self, key: TaskKey, needed: u64) {
        self.fail_beyond(self.memory_seen_for(key.job, key.stage), key, needed);
    }

    /// The same of a root task. All of a job's root tasks go to the same workers, also those of a stage whose other tasks
    /// read something and may go to any.
    pub(crate) fn fail_root_for_memory(&mut self, key: TaskKey, needed: u64) {
        let job = &self.jobs[&key.job];
        let limit = if job.roots_build.is_some() { job.memory_callable } else { self.memory_seen };
        self.fail_beyond(limit, key, needed);
    }

    fn fail_beyond(&mut self, limit: u64, key: TaskKey, needed: u64) {
        let over = self.retry_records.get(&key).map_or(0, |t| t.memory_over);
        if needed <= limit && over < limit {
            return;
        }
        let job = &self.jobs[&key.job];
        let stage = job.plan.stage(key.stage);
        let len = region_len(&stage.grid.region(key.chunk)) as u128;
        let fits = match stage.is_measured() {
            true => 0,
            false => (len * u128::from(limit) / u128::from(needed.max(1))) as u64,
        };
        let operation = stage.in_words();
        let error = JobError::Memory { operation, needed, limit, fits };
        // A root that is still to be handed out would be.
        match self.task(key) {
            TaskState::Untouched => self.failing.push((key.job, error)),
            _ => self.fail_task(key, error),
        }
    }
}
