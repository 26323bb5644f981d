//! The picture of the cluster.

use super::{DecodeError, Wire, all_from_wire, all_to_wire, text};
use crate::wire;
use tilework_expr::{JobId, WorkerId};
use tilework_scheduler_core::{ClusterState, JobState, StageCounts, WorkerSummary};

/// The names of stages, as [`tilework_expr::Stage::name`] gives them.
const STAGE_NAMES: [&str; 11] = [
    "literal",
    "read",
    "held",
    "rechunk",
    "elementwise",
    "reduce",
    "combine",
    "matrix product",
    "reshape",
    "concatenate",
    "write",
];
/// What a stage is called whose name only a newer scheduler knows.
const STAGE_UNKNOWN: &str = "operation";

impl Wire for WorkerSummary {
    type Message = wire::WorkerState;

    fn to_wire(&self) -> wire::WorkerState {
        wire::WorkerState {
            worker: self.worker.0,
            name: self.name.clone(),
            threads: self.threads,
            memory_bytes: self.memory_bytes,
            bytes_held: self.bytes_held,
            leased: self.leased,
            running: self.running,
            ready: self.ready as u64,
            last_heard_us: self.last_heard_us,
            leaving: self.leaving,
            build: self.build.clone(),
        }
    }

    fn from_wire(message: wire::WorkerState) -> Result<WorkerSummary, DecodeError> {
        Ok(WorkerSummary {
            worker: WorkerId(message.worker),
            name: text("name", message.name)?,
            threads: message.threads,
            memory_bytes: message.memory_bytes,
            bytes_held: message.bytes_held,
            leased: message.leased,
            running: message.running,
            ready: message.ready as usize,
            last_heard_us: message.last_heard_us,
            leaving: message.leaving,
            build: message.build.map(|build| text("build", build)).transpose()?,
        })
    }
}

impl Wire for StageCounts {
    type Message = wire::StageState;

    fn to_wire(&self) -> wire::StageState {
        let StageCounts { name, total, done, leased, held } = *self;
        wire::StageState { name: name.to_owned(), total, done, leased, held }
    }

    fn from_wire(message: wire::StageState) -> Result<StageCounts, DecodeError> {
        let wire::StageState { name, total, done, leased, held } = message;
        let name = STAGE_NAMES.into_iter().find(|n| *n == name).unwrap_or(STAGE_UNKNOWN);
        Ok(StageCounts { name, total, done, leased, held })
    }
}

impl Wire for JobState {
    type Message = wire::JobState;

    fn to_wire(&self) -> wire::JobState {
        wire::JobState {
            job: self.job.0,
            finished: self.finished,
            dormant: self.dormant,
            stages: all_to_wire(&self.stages),
        }
    }

    fn from_wire(message: wire::JobState) -> Result<JobState, DecodeError> {
        Ok(JobState {
            job: JobId(message.job),
            finished: message.finished,
            dormant: message.dormant,
            stages: all_from_wire(message.stages)?,
        })
    }
}

impl Wire for ClusterState {
    type Message = wire::ClusterState;

    fn to_wire(&self) -> wire::ClusterState {
        wire::ClusterState { workers: all_to_wire(&self.workers), jobs: all_to_wire(&self.jobs) }
    }

    fn from_wire(message: wire::ClusterState) -> Result<ClusterState, DecodeError> {
        Ok(ClusterState { workers: all_from_wire(message.workers)?, jobs: all_from_wire(message.jobs)? })
    }
}
