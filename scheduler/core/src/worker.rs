//! What the scheduler keeps of a worker and of a lease.
//!
//! Knows counts and queues. Must not know jobs or plans.

use crate::clock::Term;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};
use tilework_plan::{ChunkIdx, Hello, JobId, LeaseId, StageIdx, TaskKey, WorkerId};

/// A ready task in a worker's queue: higher priorities first, then earlier jobs, then later stages, then lower chunks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ReadyKey {
    pub priority: Reverse<i32>,
    pub job: JobId,
    pub stage: Reverse<StageIdx>,
    pub chunk: ChunkIdx,
}

impl ReadyKey {
    /// The place of a task in a queue.
    pub fn new(key: TaskKey, priority: i32) -> ReadyKey {
        ReadyKey { priority: Reverse(priority), job: key.job, stage: Reverse(key.stage), chunk: key.chunk }
    }

    /// The first place that a job's tasks of one priority can have in a queue, and one behind the last.
    pub fn bounds(job: JobId, priority: i32) -> RangeInclusive<ReadyKey> {
        let place = |stage, chunk| {
            ReadyKey::new(TaskKey { job, stage: StageIdx(stage), chunk: ChunkIdx(chunk) }, priority)
        };
        place(u32::MAX, 0)..=place(0, u64::MAX)
    }

    /// Which task it is.
    pub fn task(self) -> TaskKey {
        TaskKey { job: self.job, stage: self.stage.0, chunk: self.chunk }
    }
}

/// A living worker.
pub(crate) struct WorkerState {
    pub hello: Hello,
    pub joined_us: u64,
    pub last_heard_us: u64,
    /// How long it may still be silent.
    pub term: Term,
    /// What it last said that it has in memory, and on its disk.
    pub bytes_reported: (u64, u64),
    /// The memory that its process last said that it has, bytes.
    pub bytes_resident: u64,
    /// Whether it said goodbye.
    pub leaving: bool,
    /// Threads that go on with tasks that they were told to stop, as it last said.
    pub stuck: u32,
    /// How long the task that runs longest had been running then, microseconds.
    pub longest_us: u64,
    /// The workers that it has no connection to, since when and why.
    pub cut_off: BTreeMap<WorkerId, (u64, String)>,
    /// Ready tasks that will be leased to it.
    pub ready: BTreeSet<ReadyKey>,
    /// Estimated time of the tasks in `ready`, microseconds.
    pub ready_us: u64,
    /// Tasks leased to it that it runs.
    pub leased: u32,
    /// Estimated time of those, microseconds.
    pub leased_us: u64,
    /// The same two of the tasks of each priority.
    pub by_priority: BTreeMap<i32, (u32, u64)>,
    /// The priority of the first task in `ready`, as it was noted.
    pub noted_top: Option<i32>,
    /// Chunks leased to it that clients are to put there, job by job: they wait for the clients, who may not come, and
    /// nothing that it runs waits for them.
    pub puts: BTreeMap<JobId, Puts>,
    /// Leases to it that are not answered for.
    pub leases: BTreeSet<LeaseId>,
    /// Bytes of results that it holds or has a lease to make.
    pub bytes_committed: u64,
    /// Bytes of results that roots may fill beyond their share of memory, and that will then go to its disk.
    pub bytes_beyond: u64,
    /// Jobs that it was told of.
    pub defined: BTreeSet<JobId>,
    /// Results that are read by blocks of which it was told who has them, and when that was, in rounds.
    pub told: BTreeMap<(JobId, StageIdx), u32>,
    /// A request to give back tasks, not answered yet, and for whom they are.
    pub revoking: Option<(LeaseId, WorkerId)>,
}

impl WorkerState {
    pub fn new(hello: Hello, now_us: u64) -> WorkerState {
        WorkerState {
            hello,
            joined_us: now_us,
            last_heard_us: now_us,
            term: Term::new(now_us),
            bytes_reported: (0, 0),
            bytes_resident: 0,
            leaving: false,
            stuck: 0,
            longest_us: 0,
            cut_off: BTreeMap::new(),
            ready: BTreeSet::new(),
            ready_us: 0,
            leased: 0,
            leased_us: 0,
            by_priority: BTreeMap::new(),
            noted_top: None,
            puts: BTreeMap::new(),
            leases: BTreeSet::new(),
            bytes_committed: 0,
            bytes_beyond: 0,
            defined: BTreeSet::new(),
            told: BTreeMap::new(),
            revoking: None,
        }
    }

    /// Threads that it has for what it gets; one where all are taken, for some may come back.
    pub fn threads(&self) -> u64 {
        u64::from(self.hello.threads.saturating_sub(self.stuck).max(1))
    }

    /// Time until it could start another task, microseconds, by estimates.
    pub fn load_us(&self) -> u64 {
        (self.leased_us + self.ready_us) / self.threads()
    }

    /// The same for one whose threads may be at longer tasks than was estimated, as it last said.
    pub fn wait_us(&self) -> u64 {
        self.load_us() + self.longest_us / self.threads()
    }

    /// The priority of the first task in its queue.
    pub fn top(&self) -> Option<i32> {
        self.ready.first().map(|key| key.priority.0)
    }

    /// Tasks leased to it that are as urgent as this or more, and their estimated time, microseconds.
    pub fn leased_of(&self, priority: i32) -> (u32, u64) {
        let these = self.by_priority.range(priority..);
        these.fold((0, 0), |(n, us), (_, of)| (n + of.0, us + of.1))
    }

    /// All tasks leased to it.
    pub fn n_leased(&self) -> u32 {
        self.leased + self.puts.values().map(|puts| puts.tasks).sum::<u32>()
    }

    /// The chunks that a job's client is to put there.
    pub fn puts(&self, job: JobId) -> Puts {
        self.puts.get(&job).copied().unwrap_or_default()
    }

    /// `n` tasks are leased to it.
    pub fn take(&mut self, each: Each, n: u32) {
        let us = each.est_us * u64::from(n);
        let Some((job, bytes)) = each.put else {
            (self.leased, self.leased_us) = (self.leased + n, self.leased_us + us);
            let of = self.by_priority.entry(each.priority).or_default();
            *of = (of.0 + n, of.1 + us);
            return;
        };
        let puts = self.puts.entry(job).or_default();
        (puts.tasks, puts.us, puts.bytes) = (puts.tasks + n, puts.us + us, puts.bytes + bytes * u64::from(n));
    }

    /// `n` of the tasks leased to it are answered for.
    pub fn answer(&mut self, each: Each, n: u32) {
        let us = each.est_us * u64::from(n);
        let Some((job, bytes)) = each.put else {
            (self.leased, self.leased_us) = (self.leased - n, self.leased_us - us);
            if let Some(of) = self.by_priority.get_mut(&each.priority) {
                *of = (of.0 - n, of.1 - us);
                if of.0 == 0 {
                    self.by_priority.remove(&each.priority);
                }
            }
            return;
        };
        let Some(puts) = self.puts.get_mut(&job) else { return };
        (puts.tasks, puts.us, puts.bytes) = (puts.tasks - n, puts.us - us, puts.bytes - bytes * u64::from(n));
        if puts.tasks == 0 {
            self.puts.remove(&job);
        }
    }

    /// What it was told of a job is of no use any more; whether it knew of the job.
    pub fn forget(&mut self, job: JobId) -> bool {
        let of_job = (job, StageIdx(0))..=(job, StageIdx(u32::MAX));
        while let Some(told) = self.told.range(of_job.clone()).next().map(|(of, _)| *of) {
            self.told.remove(&told);
        }
        self.defined.remove(&job)
    }

    pub fn dequeue(&mut self, key: ReadyKey, est_us: u64) {
        if self.ready.remove(&key) {
            self.ready_us = if self.ready.is_empty() { 0 } else { self.ready_us.saturating_sub(est_us) };
        }
    }

    pub fn enqueue(&mut self, key: ReadyKey, est_us: u64) {
        if self.ready.insert(key) {
            self.ready_us += est_us;
        }
    }
}

/// Neighbouring tasks that one worker was given together.
#[derive(Debug)]
pub(crate) struct Lease {
    pub worker: WorkerId,
    pub job: JobId,
    pub stage: StageIdx,
    pub chunks: Range<u64>,
    /// Tasks that are not answered for.
    pub open: u32,
    /// What each task counts for.
    pub each: Each,
    /// Whether the worker was asked to give back of it already.
    pub fixed: bool,
}

/// What a task of a lease counts for with its worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Each {
    /// What it was estimated to take, microseconds.
    pub est_us: u64,
    /// Where a client is to put its chunk: of which job, and bytes, about.
    pub put: Option<(JobId, u64)>,
    /// How urgent it was when it was granted.
    pub priority: i32,
}

/// Chunks that clients are to put.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Puts {
    /// How many.
    pub tasks: u32,
    /// What that was estimated to take, microseconds.
    pub us: u64,
    /// Their bytes, about.
    pub bytes: u64,
}
