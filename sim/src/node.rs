//! A worker's process: its state machine, its store, its threads, its connection to the scheduler.
//!
//! Knows what a driver does with each action. Must not know the scheduler.

use crate::lines::{FromWorker, Line};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tilework_plan::{Instruction, LeaseId, Part, Tags, TaskKey, WorkerId};
use tilework_worker_core::{Feed, FetchId, Source, SpillId, Worker};

/// A task that the driver was given.
pub(crate) struct Run {
    pub id: u64,
    pub lease: LeaseId,
    pub task: TaskKey,
    pub feeds: Vec<Feed>,
    pub stopped: bool,
    /// When it began.
    pub started_us: Option<u64>,
}

/// A worker's process.
pub(crate) struct Node {
    pub name: String,
    pub incarnation: u64,
    pub threads: u32,
    pub memory_bytes: u64,
    pub spill_bytes: u64,
    /// The build whose functions it can call; any where absent.
    pub build: Option<String>,
    /// What it has that some tasks need.
    pub tags: Tags,
    pub core: Worker,
    /// What is in memory.
    pub store: BTreeMap<Source, u64>,
    /// Of what was fetched, that of which only a part was.
    pub parts: BTreeMap<FetchId, Part>,
    /// What is on the disk.
    pub disk: BTreeMap<TaskKey, u64>,
    /// Of what is on the disk, what cannot be read.
    pub damaged: BTreeSet<TaskKey>,
    /// Chunks in memory that are being written to the disk.
    pub writing: BTreeMap<TaskKey, SpillId>,
    /// Tasks in the order in which they came; the first `threads` run.
    pub runs: VecDeque<Run>,
    /// The number under which it is connected.
    pub conn: Option<WorkerId>,
    pub alive: bool,
    /// Whether it said goodbye.
    pub leaving: bool,
    /// The next tick that is planned.
    pub tick_at_us: u64,
    /// It is stopped until then.
    pub until_us: u64,
    /// Whether its process has more memory than it may have.
    pub is_overweight: bool,
    /// Whether it was stopped while others were not, on its connection.
    pub was_stopped: bool,
    /// Whether its core was told that some tasks take long.
    pub some_take_long: bool,
    /// Whether another process is to take its place.
    pub replaced: bool,
    /// Whether a connection of it was cut.
    pub was_cut: bool,
}

/// One connection between a worker and the scheduler.
pub(crate) struct Conn {
    pub node: usize,
    pub open: bool,
    /// Nothing passes any more and nobody was told.
    pub blackhole: bool,
    /// What either end remembers.
    pub line: Line<FromWorker, Vec<Instruction>>,
    /// When the last message to the worker arrives.
    pub to_worker_us: u64,
    /// When the last message to the scheduler arrives.
    pub to_scheduler_us: u64,
}

impl Node {
    /// A chunk came into memory.
    pub fn keep(&mut self, key: TaskKey, value: u64) {
        self.store.insert(Source::Held(key), value);
        self.leave_disk(key);
    }

    /// A chunk is no longer on the disk, nor on its way there; whether it was there.
    pub fn leave_disk(&mut self, key: TaskKey) -> bool {
        self.writing.remove(&key);
        self.damaged.remove(&key);
        self.disk.remove(&key).is_some()
    }

    /// A chunk that is held, wherever it is.
    pub fn held(&self, key: TaskKey) -> Option<u64> {
        self.store.get(&Source::Held(key)).or_else(|| self.disk.get(&key)).copied()
    }

    /// Runs that have a thread and were not begun.
    pub fn begin_next(&mut self) -> Option<&mut Run> {
        let threads = self.threads as usize;
        self.runs.iter_mut().take(threads).find(|r| r.started_us.is_none())
    }
}
