//! Admission: the next task gets its inputs found or fetched and its memory reserved, or it waits, or it cannot be
//! done here.
//!
//! Knows inputs, sizes and who has what. Must not know how tasks are run or reported.

use crate::event::{Action, Feed, FetchId, Source, Whence};
use crate::limits::Bug;
use crate::queue::{Elsewhere, Next};
use crate::reports::Done;
use crate::store::{Arrived, Stage};
use crate::worker::Worker;
use std::cmp::Reverse;
use tilework_plan::{ChunkIdx, JobId, LeaseId, Part, Plan, Report, StageIdx, TaskError, TaskKey, WorkerId};

/// The peer in a report about an input that nobody is known to have.
const NOBODY: WorkerId = WorkerId(u32::MAX);

/// A task that was admitted.
#[derive(Debug)]
pub(crate) struct Active {
    /// The lease that it was admitted, and perhaps started, under.
    pub lease: LeaseId,
    /// The lease that reports about it answer: a later one, where the scheduler gave the first one up.
    pub answers: LeaseId,
    pub feeds: Vec<Feed>,
    /// Feeds that are not here, and one more while an earlier run of the same task is being stopped.
    pub missing: u32,
    /// Bytes of the result.
    pub bytes: u64,
    /// Bytes reserved while it runs: of the result and of temporaries.
    pub reserved: u64,
    /// Bytes of the result beyond those, as far as it is made.
    pub grown: u64,
    /// Bytes that are fetched for it from other workers,
    pub bytes_fetched: u64,
    /// and from anywhere.
    pub fed: u64,
    /// Whether the driver has it.
    pub running: bool,
    /// How long it was expected to run, microseconds.
    pub est_us: u64,
    /// Time in which the worker had been stopped when the driver got it, or when it was admitted, microseconds.
    pub slept_us: u64,
    /// When it was admitted.
    pub since_us: u64,
    /// How long it may run, microseconds, where its job says so.
    pub limit_us: Option<u64>,
    /// How urgent it is.
    pub priority: i32,
}

/// A task whose job is over and which the driver still has.
#[derive(Debug)]
pub(crate) struct Stopping {
    /// When it was told to stop,
    pub since_us: u64,
    /// and for how long the worker had been stopped then, microseconds,
    pub slept_us: u64,
    /// and when the driver got it.
    pub slept_before_us: u64,
    pub feeds: Vec<Feed>,
    /// Bytes reserved while it runs.
    pub reserved: u64,
    pub est_us: u64,
}

/// Where an input is to come from.
enum Origin {
    Here(Source),
    Fetched(Whence, Option<Part>, u64),
}

/// Where all inputs of a task are to come from.
struct Found {
    origins: Vec<(usize, TaskKey, Origin)>,
    /// Bytes that will be reserved or fetched for it.
    bytes: u64,
    /// Of those, the ones that come from other workers.
    moved: u64,
}

impl Found {
    /// What is here already.
    fn here(&self) -> impl Iterator<Item = Source> + '_ {
        self.origins.iter().filter_map(|(_, _, origin)| match origin {
            Origin::Here(source) => Some(*source),
            Origin::Fetched(..) => None,
        })
    }
}

/// What came of looking at the next task.
#[derive(PartialEq)]
pub(crate) enum Pulled {
    /// It left the queue.
    Taken,
    /// It waits for memory.
    Blocked,
}

/// The place of a task among those that wait for a thread: higher priorities first, then earlier jobs, then later stages.
pub(crate) type RunnableKey = (Reverse<i32>, JobId, Reverse<StageIdx>, ChunkIdx);

impl Worker {
    /// Looks at the next task of the queue.
    pub(crate) fn pull(&mut self, next: Next, out: &mut Vec<Action>) -> Pulled {
        let Next { lease, priority, key, elsewhere } = next;
        if self.store.holds(key) {
            self.queue.pop();
            self.outgoing.done(Done::at_once(lease, key, self.measured_bytes(key)), self.now_us);
            return Pulled::Taken;
        }
        if let Some(active) = self.active.get_mut(key) {
            active.answers = active.answers.max(lease);
            self.queue.pop();
            return Pulled::Taken;
        }
        let Some(job) = self.jobs.get(&key.job) else {
            self.queue.pop();
            return Pulled::Taken;
        };
        let plan = match &job.plan {
            Ok(plan) => plan.clone(),
            Err(why) => {
                let error = TaskError::Operation(format!("the worker could not plan the program: {why}"));
                self.queue.pop();
                self.outgoing.other(Report::Failed { lease, task: key, error });
                return Pulled::Taken;
            }
        };
        let mut inputs = std::mem::take(&mut self.inputs);
        inputs.clear();
        match job.reads_blocks[key.stage.0 as usize] {
            true => plan.feeds_of(key.stage, key.chunk, &mut inputs),
            false => plan.inputs_of(key.stage, key.chunk, &mut inputs),
        }
        let pulled = self.admit(&plan, ((lease, priority), key, &elsewhere), &inputs, out);
        self.inputs = inputs;
        pulled
    }

    /// The first task of the queue cannot be done here.
    fn refuse(&mut self, lease: LeaseId, task: TaskKey, error: TaskError) -> Pulled {
        self.queue.pop();
        self.outgoing.other(Report::Failed { lease, task, error });
        Pulled::Taken
    }

    /// The place of a task among those that wait for a thread.
    pub(crate) fn runnable_key(&self, key: TaskKey, priority: i32) -> RunnableKey {
        let priority = if self.limits.plays(Bug::PriorityIgnored) { 0 } else { priority };
        (Reverse(priority), key.job, Reverse(key.stage), key.chunk)
    }

    /// What a task takes beside what it reads and makes. What blocks hold is in memory twice: as bytes, and as what they say.
    fn scratch_bytes(&self, plan: &Plan, key: TaskKey, inputs: &[(usize, StageIdx, ChunkIdx)]) -> u64 {
        let bytes = plan.scratch_bytes(key.stage, key.chunk, inputs);
        let bytes = bytes.saturating_add(self.block_bytes(plan, key, inputs));
        match self.limits.plays(Bug::DeclaredIgnored) {
            true => bytes - plan.stage(key.stage).terms().memory_bytes,
            false => bytes,
        }
    }

    /// Bytes of the blocks that a task reads.
    fn block_bytes(&self, plan: &Plan, key: TaskKey, inputs: &[(usize, StageIdx, ChunkIdx)]) -> u64 {
        let job = &self.jobs[&key.job];
        if !job.reads_blocks[key.stage.0 as usize] {
            return 0;
        }
        let blocks = inputs.iter().filter(|(slot, ..)| plan.reads_blocks(key.stage, *slot));
        blocks.map(|&(slot, s, c)| job.fed_bytes(plan, (key.stage, slot), (s, c))).sum()
    }

    /// Bytes of memory without which a task cannot be done, of which so many are reserved: its result and temporaries, and what
    /// it is fed with.
    fn needed(
        &self,
        plan: &Plan,
        (key, reserved): (TaskKey, u64),
        inputs: &[(usize, StageIdx, ChunkIdx)],
    ) -> u64 {
        let job = &self.jobs[&key.job];
        let fed =
            |&(slot, s, c): &(usize, StageIdx, ChunkIdx)| job.fed_bytes(plan, (key.stage, slot), (s, c));
        let whole = inputs.iter().map(fed).fold(reserved, u64::saturating_add);
        if whole <= self.limits.memory_bytes || self.limits.plays(Bug::WholeInputsCounted) {
            return whole;
        }
        // Of chunks that are elsewhere no more is fetched than what it reads.
        let blocks = self.block_bytes(plan, key, inputs);
        plan.task_bytes(key.stage, key.chunk).saturating_add(blocks.saturating_mul(2))
    }

    fn admit(
        &mut self,
        plan: &Plan,
        ((lease, priority), key, elsewhere): ((LeaseId, i32), TaskKey, &Elsewhere),
        inputs: &[(usize, StageIdx, ChunkIdx)],
        out: &mut Vec<Action>,
    ) -> Pulled {
        let job = &self.jobs[&key.job];
        let bytes = job.bytes(plan, key.stage, key.chunk);
        let reserved = bytes.saturating_add(self.scratch_bytes(plan, key, inputs));
        let needed = self.needed(plan, (key, reserved), inputs);
        let limit = self.limits.memory_bytes;
        if needed > limit {
            return self.refuse(lease, key, TaskError::Memory { needed, limit });
        }
        let mut found = self.find(plan, (key, reserved), elsewhere, inputs);
        if let Ok(f) = &found
            && !self.claim(f, out)
        {
            if self.is_idle() {
                // What it finds here is not kept any more: where nothing else can leave memory that goes to the disk too,
                // and the parts that it reads are read there.
                self.store.spill_for(f.bytes, &self.limits, out);
            }
            if !self.is_idle() {
                self.blocked = Some((lease, key, f.bytes));
                return Pulled::Blocked;
            }
            if let Some(why) = self.why_no_room(f.bytes) {
                return self.refuse(lease, key, TaskError::Worker(why));
            }
            // Nothing is under way that would give memory back. What is kept of whole chunks makes way for the parts that
            // it reads.
            self.store.free_idle(out);
            found = self.find(plan, (key, reserved), elsewhere, inputs);
            found.iter().flat_map(Found::here).for_each(|s| self.store.acquire(s));
        }
        let Found { origins, bytes: claimed, moved } = match found {
            Ok(found) => found,
            Err((input, peer)) => {
                self.queue.pop();
                let (away, why) = (false, "it is not among the workers".to_owned());
                self.outgoing.other(Report::Unreachable { lease, task: key, input, peer, away, why });
                return Pulled::Taken;
            }
        };
        self.queue.pop();
        let est_us = self.est_us(key);
        let mut task = Active {
            lease,
            answers: lease,
            feeds: Vec::new(),
            missing: 0,
            bytes,
            reserved,
            grown: 0,
            bytes_fetched: moved,
            fed: claimed - reserved,
            running: false,
            est_us,
            slept_us: self.threads.slept_us,
            since_us: self.now_us,
            limit_us: plan.stage(key.stage).terms().limit_us,
            priority,
        };
        self.threads.watch(task.limit_us);
        self.store.bytes_reserved += reserved;
        task.feeds = origins.into_iter().map(|o| self.feed(key, o, &mut task.missing)).collect();
        task.missing += u32::from(self.stopping.keys().any(|(_, k)| *k == key));
        if task.missing == 0 && self.runnable.is_empty() && self.driver_takes(est_us) {
            self.hand_over(key, &mut task, out);
        } else if task.missing == 0 {
            self.runnable.insert(self.runnable_key(key, priority));
        }
        self.active.insert(key, task);
        Pulled::Taken
    }

    /// Where the inputs of a task are for which `reserved` bytes will be reserved; of the first that cannot be had, its name
    /// and who should have had it.
    fn find(
        &self,
        plan: &Plan,
        (key, reserved): (TaskKey, u64),
        elsewhere: &Elsewhere,
        inputs: &[(usize, StageIdx, ChunkIdx)],
    ) -> Result<Found, (TaskKey, WorkerId)> {
        let mut found = Found { origins: Vec::with_capacity(inputs.len()), bytes: reserved, moved: 0 };
        let job = &self.jobs[&key.job];
        for &(slot, stage, chunk) in inputs {
            let made = self.made(key.job, stage, chunk);
            let bytes = job.fed_bytes(plan, (key.stage, slot), (stage, chunk));
            let block =
                if job.reads_blocks[key.stage.0 as usize] { self.block_of(plan, key, slot) } else { None };
            let part = || match block {
                Some(block) => Some((Part::Block(block), bytes)),
                None => {
                    let part = plan.fetch_box((key.stage, key.chunk), slot, (stage, chunk));
                    part.map(|(region, bytes)| (Part::Box(region), bytes))
                }
            };
            let holder = || match block {
                Some(_) => job.holder(stage, chunk),
                None => elsewhere.find(made),
            };
            let origin = self.origin(made, bytes, holder, part).map_err(|peer| (made, peer))?;
            if let Origin::Fetched(from, _, bytes) = origin {
                found.bytes = found.bytes.saturating_add(bytes);
                found.moved += if from == Whence::Disk { 0 } else { bytes };
            }
            found.origins.push((slot, made, origin));
        }
        Ok(found)
    }

    /// Makes room for what a task will take, and keeps what it finds here; nothing is kept where there is no room.
    fn claim(&mut self, found: &Found, out: &mut Vec<Action>) -> bool {
        // What is here already must outlive the making of room.
        found.here().for_each(|s| self.store.acquire(s));
        let fits = self.store.make_room(found.bytes, &self.limits, out);
        if !fits {
            found.here().for_each(|s| self.store.release(s, &self.limits, out));
        }
        fits
    }

    /// The name of a stage's chunk by its maker.
    fn made(&self, job: JobId, stage: StageIdx, chunk: ChunkIdx) -> TaskKey {
        let canonical = self.jobs.get(&job).and_then(|j| j.canonical[stage.0 as usize]);
        let (job, stage) = canonical.unwrap_or((job, stage));
        TaskKey { job, stage, chunk }
    }

    /// Where an input, whose maker calls it `made`, is; who should have had it, where it cannot be had. `holder` is who has
    /// it elsewhere, and `part` the part of it that the task reads, where the rest is not worth fetching.
    fn origin(
        &self,
        made: TaskKey,
        bytes: u64,
        holder: impl FnOnce() -> Option<WorkerId>,
        part: impl FnOnce() -> Option<(Part, u64)>,
    ) -> Result<Origin, WorkerId> {
        let on_disk = self.store.is_on_disk(made);
        if self.store.holds(made) && !on_disk {
            return Ok(Origin::Here(Source::Held(made)));
        }
        if let Some(id) = self.store.whole.get(&made) {
            return Ok(Origin::Here(Source::Fetched(*id)));
        }
        let from = if on_disk {
            Whence::Disk
        } else {
            let peer = holder().ok_or(NOBODY)?;
            if !self.peers.contains(&peer) {
                return Err(peer);
            }
            Whence::Peer(peer)
        };
        Ok(match part() {
            Some((part, bytes)) => Origin::Fetched(from, Some(part), bytes),
            None => Origin::Fetched(from, None, bytes),
        })
    }

    /// One input of a task that is being admitted.
    fn feed(
        &mut self,
        task: TaskKey,
        (slot, key, origin): (usize, TaskKey, Origin),
        missing: &mut u32,
    ) -> Feed {
        let source = match origin {
            Origin::Here(source) => source,
            Origin::Fetched(from, part, bytes) => {
                // Another input of the same task may have begun the transfer.
                let shared = self.store.whole.get(&key).copied().filter(|_| part.is_none());
                let id = shared.unwrap_or_else(|| self.store.fetch(key, from, (part, bytes)));
                let source = Source::Fetched(id);
                self.store.acquire(source);
                source
            }
        };
        if let Source::Fetched(id) = source
            && let Some(f) = self.store.fetches.get_mut(&id).filter(|f| f.stage != Stage::Here)
        {
            f.waiting.push(task);
            *missing += 1;
        }
        Feed { slot, key, source }
    }

    pub(crate) fn est_us(&self, key: TaskKey) -> u64 {
        match self.jobs.get(&key.job).map_or(0, |j| j.mean_us[key.stage.0 as usize]) {
            0 => self.limits.backlog_us * u64::from(self.limits.threads),
            us => us,
        }
    }

    pub(crate) fn fetched(&mut self, fetch: (FetchId, u64), out: &mut Vec<Action>) {
        let arrived = self.store.arrived(fetch, out);
        let mut last = None;
        for task in &arrived.waiting {
            if arrived.bytes != arrived.foreseen && last != Some(task) {
                self.fed_otherwise(*task, &arrived, out);
            }
            last = Some(task);
            self.one_came(*task);
        }
    }

    /// A task is fed with more or less than was foreseen; it ends where that is more than the worker's memory.
    fn fed_otherwise(&mut self, task: TaskKey, arrived: &Arrived, out: &mut Vec<Action>) {
        let Some(t) = self.active.get_mut(task) else { return };
        let corrected = |bytes: u64| (bytes + arrived.bytes).saturating_sub(arrived.foreseen);
        t.fed = corrected(t.fed);
        if arrived.is_moved {
            t.bytes_fetched = corrected(t.bytes_fetched);
        }
        let (needed, limit, lease) = (t.reserved.saturating_add(t.fed), self.limits.memory_bytes, t.answers);
        if needed > limit && !self.limits.plays(Bug::MemoryIgnored) {
            self.give_up(task, out);
            let error = TaskError::Memory { needed, limit };
            self.outgoing.other(Report::Failed { lease, task, error });
        }
    }

    /// One thing less for a task to wait for.
    pub(crate) fn one_came(&mut self, task: TaskKey) {
        if let Some(t) = self.active.get_mut(task) {
            t.missing -= 1;
            let (is_here, priority) = (t.missing == 0, t.priority);
            if is_here {
                self.runnable.insert(self.runnable_key(task, priority));
            }
        }
    }

    /// The tasks that wait for a transfer cannot be done with what is known here.
    pub(crate) fn fetch_failed(&mut self, fetch: FetchId, away: bool, why: &str, out: &mut Vec<Action>) {
        let Some(f) = self.store.fetches.get_mut(&fetch) else { return };
        let (input, from, mut waiting) = (f.key, f.from, std::mem::take(&mut f.waiting));
        let peer = match from {
            Whence::Peer(peer) => peer,
            Whence::Disk => NOBODY,
        };
        waiting.sort_unstable();
        waiting.dedup();
        for task in waiting {
            let lease = self.active.get(task).map(|a| a.answers);
            self.give_up(task, out);
            if let Some(lease) = lease.filter(|_| !self.limits.plays(Bug::FetchFailureSwallowed)) {
                let why = why.to_owned();
                self.outgoing.other(Report::Unreachable { lease, task, input, peer, away, why });
            }
        }
        self.store.remove_fetch(fetch, out);
    }

    /// Ends an admitted task that the driver does not have.
    pub(crate) fn give_up(&mut self, task: TaskKey, out: &mut Vec<Action>) {
        let Some(t) = self.active.remove(task) else { return };
        self.threads.forget(t.limit_us);
        self.runnable.remove(&self.runnable_key(task, t.priority));
        if !self.limits.plays(Bug::CreditLeaked) {
            self.store.bytes_reserved -= t.reserved;
        }
        for feed in &t.feeds {
            if let Source::Fetched(id) = feed.source
                && let Some(f) = self.store.fetches.get_mut(&id)
            {
                f.waiting.retain(|w| *w != task);
            }
            self.store.release(feed.source, &self.limits, out);
        }
    }
}
