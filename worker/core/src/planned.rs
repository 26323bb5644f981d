//! What a job is to a worker: its plan, and what follows from that alone. It is there before the job is spoken of.
//!
//! Knows plans. Must not know other jobs, or what was done.

use std::sync::Arc;
use tilework_plan::{AxisGrid, ChunkIdx, Plan, Stage, StageIdx};

/// A job's plan.
#[derive(Clone, PartialEq, Debug)]
pub struct Planned {
    pub(crate) plan: Result<Arc<Plan>, String>,
    /// For each stage, the bytes of its chunks where all are the same.
    pub(crate) bytes_each: Vec<Option<u64>>,
    /// For each stage, whether its tasks read blocks.
    pub(crate) reads_blocks: Vec<bool>,
}

impl Planned {
    /// Takes a plan.
    #[must_use]
    pub fn of(plan: Arc<Plan>) -> Planned {
        let bytes_each = bytes_each(&plan);
        let reads_blocks = plan.stages.iter().map(Stage::reads_blocks).collect();
        Planned { plan: Ok(plan), bytes_each, reads_blocks }
    }

    /// What could not be planned; why, in words.
    #[must_use]
    pub fn failed(why: String) -> Planned {
        Planned { plan: Err(why), bytes_each: Vec::new(), reads_blocks: Vec::new() }
    }

    /// The plan.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn plan(&self) -> Result<&Arc<Plan>, &str> {
        self.plan.as_ref().map_err(String::as_str)
    }
}

fn bytes_each(plan: &Plan) -> Vec<Option<u64>> {
    let even = |a: &AxisGrid| match a {
        AxisGrid::Regular { len, chunk } => len % chunk == 0,
        AxisGrid::Explicit { .. } => false,
    };
    let each = |(i, stage): (usize, &Stage)| {
        stage.grid.axes().iter().all(even).then(|| plan.out_bytes(StageIdx(i as u32), ChunkIdx(0)))
    };
    plan.stages.iter().enumerate().map(each).collect()
}
