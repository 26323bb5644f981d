//! The worker itself: its parts, and the way an event takes through them.
//!
//! Knows which theme handles which event. Must not know how a theme decides.

use crate::event::{Action, Event};
use crate::exchange::Holders;
use crate::limits::Limits;
use crate::pages::Pages;
use crate::planned::Planned;
use crate::queue::Queue;
use crate::reports::Outgoing;
use crate::store::Store;
use crate::stuck::Threads;
use crate::tasks::{Active, RunnableKey, Stopping};
use crate::weight::Weight;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tilework_plan::{ChunkIdx, JobId, LeaseId, Plan, StageIdx, TaskKey, WorkerId};

/// A job as the worker knows it.
pub(crate) struct Job {
    pub plan: Result<Arc<Plan>, String>,
    /// For each stage, who makes its chunks; nobody known, where an earlier job's record is missing.
    pub canonical: Vec<Option<(JobId, StageIdx)>>,
    /// For each stage, the measured time of a task, microseconds; 0 before one was measured.
    pub mean_us: Vec<u64>,
    /// For each stage, the bytes of its chunks where all are the same.
    pub bytes_each: Vec<Option<u64>>,
    /// For each stage, whether its tasks read blocks.
    pub reads_blocks: Vec<bool>,
    /// Who has the results of stages of which tasks read blocks.
    pub holders: BTreeMap<StageIdx, Holders>,
}

impl Job {
    /// Bytes of a chunk.
    pub fn bytes(&self, plan: &Plan, stage: StageIdx, chunk: ChunkIdx) -> u64 {
        self.bytes_each[stage.0 as usize].unwrap_or_else(|| plan.out_bytes(stage, chunk))
    }
}

/// What a worker's memory and threads are used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WorkerUse {
    /// Bytes of chunks made or put here that are in memory.
    pub bytes_held: u64,
    /// Bytes of those that were written to the disk.
    pub bytes_on_disk: u64,
    /// Bytes that results of admitted tasks will take.
    pub bytes_reserved: u64,
    /// Bytes of chunks fetched or being fetched.
    pub bytes_fetched: u64,
    /// Tasks that the driver has.
    pub running: u32,
    /// Tasks that wait for inputs or for a thread.
    pub staged: usize,
    /// Tasks that were not looked at yet.
    pub queued: u64,
}

impl WorkerUse {
    /// Bytes in use or promised.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes_held + self.bytes_reserved + self.bytes_fetched
    }
}

/// The worker's state machine.
///
/// [`Worker::handle`] takes one event and appends what is to be done; [`Worker::next_wake_us`] says when it wants
/// [`Event::Tick`] at the latest.
pub struct Worker {
    pub(crate) limits: Limits,
    pub(crate) now_us: u64,
    pub(crate) jobs: BTreeMap<JobId, Job>,
    /// Jobs that were planned and not spoken of yet.
    pub(crate) planned: BTreeMap<JobId, Planned>,
    pub(crate) peers: BTreeSet<WorkerId>,
    pub(crate) queue: Queue,
    pub(crate) store: Store,
    /// The next task of the queue and the bytes that it waits for.
    pub(crate) blocked: Option<(LeaseId, TaskKey, u64)>,
    /// Tasks that were admitted.
    pub(crate) active: Pages<Active>,
    /// Those of them that have all inputs and wait for a thread.
    pub(crate) runnable: BTreeSet<RunnableKey>,
    /// Tasks of jobs that are over, which the driver still has.
    pub(crate) stopping: BTreeMap<(LeaseId, TaskKey), Stopping>,
    /// Tasks in `active` that the driver has.
    pub(crate) n_active_running: usize,
    /// Tasks that the driver has, with those that are being stopped.
    pub(crate) n_running: u32,
    /// Estimated time of those, microseconds.
    pub(crate) running_us: u64,
    /// What the process was found to have beyond what it may have, and what follows from that.
    pub(crate) weight: Weight,
    /// What threads are at that do not come back.
    pub(crate) threads: Threads,
    /// Literal chunks that a client will put.
    pub(crate) puts: BTreeMap<TaskKey, LeaseId>,
    /// The latest lease that arrived.
    pub(crate) lease_last: Option<LeaseId>,
    pub(crate) outgoing: Outgoing,
    pub(crate) inputs: Vec<(usize, StageIdx, ChunkIdx)>,
}

impl Worker {
    /// A worker that holds nothing.
    #[must_use]
    pub fn new(limits: Limits) -> Worker {
        Worker {
            limits,
            now_us: 0,
            jobs: BTreeMap::new(),
            planned: BTreeMap::new(),
            peers: BTreeSet::new(),
            queue: Queue::default(),
            store: Store::default(),
            blocked: None,
            active: Pages::default(),
            runnable: BTreeSet::new(),
            stopping: BTreeMap::new(),
            n_active_running: 0,
            n_running: 0,
            running_us: 0,
            weight: Weight::default(),
            threads: Threads::default(),
            puts: BTreeMap::new(),
            lease_last: None,
            outgoing: Outgoing::default(),
            inputs: Vec::new(),
        }
    }

    /// Takes one event and appends what is to be done, in order. Events about jobs, tasks and transfers that are
    /// over free what they brought and change nothing else.
    pub fn handle(&mut self, now_us: u64, event: Event, out: &mut Vec<Action>) {
        self.move_clock(now_us);
        match event {
            Event::Told(instructions) => instructions.into_iter().for_each(|i| self.told(i, out)),
            Event::Planned { job, planned } => drop(self.planned.insert(job, planned)),
            Event::Put { lease, key, bytes, borrowed } => {
                self.put(lease, key, if borrowed { 0 } else { bytes }, out);
            }
            Event::Fetched { fetch, bytes } => self.fetched((fetch, bytes), out),
            Event::FetchFailed { fetch, away, why } => self.fetch_failed(fetch, away, &why, out),
            Event::Finished { lease, task, result, busy_us } => {
                self.finished((lease, task), result, busy_us, out)
            }
            Event::Grew { lease, task, bytes } => self.grew((lease, task), bytes, out),
            Event::Spilled { spill, key, result } => self.spilled((spill, key), result, out),
            Event::Damaged { key } => self.damaged(key),
            Event::Ages(ages) => self.aged(&ages, out),
            Event::Overweight(bytes) => self.weighed(bytes, out),
            Event::Disconnected => self.disconnected(out),
            Event::Tick => self.threads.looked_us = self.now_us,
        }
        self.relieve(out);
        self.advance(out);
        self.report(out);
    }

    /// When [`Event::Tick`] should come at the latest, if nothing else comes before.
    #[must_use]
    pub fn next_wake_us(&self) -> Option<u64> {
        let wake_us = self.outgoing.wake_us(&self.limits);
        let others = [self.relief_us(), self.threads.look_us()];
        Some(others.into_iter().flatten().fold(wake_us, u64::min))
    }

    /// What memory and threads are used for.
    #[must_use]
    pub fn usage(&self) -> WorkerUse {
        WorkerUse {
            bytes_held: self.store.bytes_held,
            bytes_on_disk: self.store.bytes_on_disk,
            bytes_reserved: self.store.bytes_reserved + self.store.bytes_grown,
            bytes_fetched: self.store.bytes_fetched,
            running: self.n_running,
            staged: self.active.len() - self.n_active_running,
            queued: self.queue.n_tasks(),
        }
    }
}
