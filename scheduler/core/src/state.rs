//! A plain picture of the cluster for people and dashboards.
//!
//! Knows what to show. Must not know how it is shown.

use crate::scheduler::Scheduler;
use crate::table::{NOBODY, TaskState};
use tilework_expr::{ChunkIdx, JobId, StageIdx, TaskKey, WorkerId};

/// A living worker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkerSummary {
    /// Its number.
    pub worker: WorkerId,
    /// Its name.
    pub name: String,
    /// Threads that run tasks.
    pub threads: u32,
    /// Bytes that its chunks and tasks may take.
    pub memory_bytes: u64,
    /// Bytes that it last said it holds.
    pub bytes_held: u64,
    /// Tasks leased to it.
    pub leased: u32,
    /// Of those, how many run at most.
    pub running: u32,
    /// Ready tasks that wait for it.
    pub ready: usize,
    /// When it was last heard of, microseconds.
    pub last_heard_us: u64,
    /// Whether it said goodbye.
    pub leaving: bool,
    /// The build whose functions it can call; absent where it can call any.
    pub build: Option<String>,
}

/// Tasks of one stage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StageCounts {
    /// The operation in a word.
    pub name: &'static str,
    /// Tasks in all.
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
    /// Its number.
    pub job: JobId,
    /// Whether all its outputs exist.
    pub finished: bool,
    /// Whether its client was told to go, and only its record is kept for jobs that read it.
    pub dormant: bool,
    /// Its stages.
    pub stages: Vec<StageCounts>,
}

/// The cluster at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ClusterState {
    /// The living workers.
    pub workers: Vec<WorkerSummary>,
    /// The jobs.
    pub jobs: Vec<JobState>,
}

impl Scheduler {
    /// Every chunk that is taken to exist, and where; for tests that compare it with what workers really have.
    #[doc(hidden)]
    #[must_use]
    pub fn holdings(&self) -> Vec<(WorkerId, TaskKey)> {
        let mut all = Vec::new();
        for (job, j) in &self.jobs {
            for (i, s) in j.stages.iter().enumerate() {
                all.extend(s.table.live().filter_map(|(chunk, state)| match state {
                    TaskState::Held { holder, .. } if holder != NOBODY => Some((
                        holder,
                        TaskKey { job: *job, stage: StageIdx(i as u32), chunk: ChunkIdx(chunk) },
                    )),
                    _ => None,
                }));
            }
        }
        all
    }

    /// A picture of all workers and jobs.
    #[must_use]
    pub fn state(&self) -> ClusterState {
        let workers = self.workers.iter().map(|(id, w)| WorkerSummary {
            worker: *id,
            name: w.hello.name.clone(),
            threads: w.hello.threads,
            memory_bytes: w.hello.memory_bytes,
            bytes_held: w.bytes_reported,
            leased: w.leased,
            running: w.leased.min(w.hello.threads),
            ready: w.ready.len(),
            last_heard_us: w.last_heard_us,
            leaving: w.leaving,
            build: w.hello.build.clone(),
        });
        let jobs = self.jobs.iter().map(|(id, j)| JobState {
            job: *id,
            finished: j.finished,
            dormant: !j.wanted(),
            stages: (j.stages.iter().enumerate())
                .map(|(i, s)| StageCounts {
                    name: j.plan.stage(StageIdx(i as u32)).name(),
                    total: s.table.n_tasks(),
                    done: s.table.n_done(),
                    leased: s.table.counts().leased,
                    held: s.table.counts().held,
                })
                .collect(),
        });
        ClusterState { workers: workers.collect(), jobs: jobs.collect() }
    }
}
