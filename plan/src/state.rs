//! A plain picture of a cluster for people and dashboards.
//!
//! Plain data. Must not know how it is taken, nor how it is shown.

use crate::hello::{ClientHello, ClientId, JobNumber};
use crate::task::{StageIdx, WorkerId};
use crate::terms::Tags;

/// A living worker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkerSummary {
    /// Its number.
    pub worker: WorkerId,
    /// Its name.
    pub name: String,
    /// Where its chunk service listens.
    pub addresses: Vec<String>,
    /// Threads that run tasks.
    pub threads: u32,
    /// Bytes that its chunks and tasks may take.
    pub memory_bytes: u64,
    /// Bytes of chunks that it may write to its disk.
    pub spill_bytes: u64,
    /// Bytes that it last said it has in memory.
    pub bytes_held: u64,
    /// Bytes that it last said it has on its disk.
    pub bytes_on_disk: u64,
    /// Tasks leased to it.
    pub leased: u32,
    /// Of those, how many run at most.
    pub running: u32,
    /// Ready tasks that wait for it.
    pub ready: usize,
    /// How long ago it joined, microseconds.
    pub up_us: u64,
    /// How long ago it was last heard of, microseconds.
    pub silent_us: u64,
    /// Whether it said goodbye.
    pub leaving: bool,
    /// Threads that go on with tasks that they were told to stop.
    pub stuck: u32,
    /// How long the task that runs longest has been running, microseconds; 0 where none has been for a while.
    pub longest_us: u64,
    /// The build whose functions it can call; absent where it can call any.
    pub build: Option<String>,
    /// What it has that some tasks need.
    pub tags: Tags,
}

/// A client that is connected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientSummary {
    /// Its number.
    pub client: ClientId,
    /// What it says of itself.
    pub hello: ClientHello,
    /// How long ago it connected, microseconds.
    pub up_us: u64,
}

/// Tasks of one stage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StageCounts {
    /// Its place in the plan.
    pub stage: StageIdx,
    /// What it does, as a formula in which `#3` is stage 3.
    pub operation: String,
    /// Tasks that some output depends on.
    pub total: u64,
    /// Tasks done, whatever became of their chunks.
    pub done: u64,
    /// Tasks that workers have.
    pub leased: u64,
    /// Chunks that exist.
    pub held: u64,
}

/// A job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobState {
    /// Its number for people.
    pub number: JobNumber,
    /// Who submitted it.
    pub client: ClientId,
    /// What it computes, in a line.
    pub title: String,
    /// Whether all its outputs exist.
    pub finished: bool,
    /// Whether its client let go of it, and it is kept for jobs that read it.
    pub dormant: bool,
    /// Tasks in all.
    pub total: u64,
    /// Tasks done.
    pub done: u64,
    /// Tasks that workers have.
    pub leased: u64,
    /// Bytes that its chunks take on workers.
    pub bytes_held: u64,
    /// Time from its submission until now, or until it ended, microseconds.
    pub elapsed_us: u64,
    /// Time that is left by what was measured, microseconds, where anything was.
    pub left_us: Option<u64>,
    /// Tasks done of late,
    pub late_done: u64,
    /// and in how many microseconds.
    pub late_us: u64,
    /// Stages of its plan.
    pub n_stages: u64,
    /// Its stages, but for those of a finished job, and for a large plan only those under way.
    pub stages: Vec<StageCounts>,
}

/// The cluster at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClusterState {
    /// How long the scheduler has been there, microseconds.
    pub up_us: u64,
    /// The living workers.
    pub workers: Vec<WorkerSummary>,
    /// The clients that are connected.
    pub clients: Vec<ClientSummary>,
    /// Jobs in all.
    pub n_jobs: u64,
    /// The jobs, by their numbers; of very many, those that are not finished, and the latest.
    pub jobs: Vec<JobState>,
}
