//! Small results travel beside the report that they exist: which do, and their bytes. The scheduler hands them to the
//! client, which need not ask for them.
//!
//! Must not know who wants them.

use crate::plans::Plans;
use crate::store::{Store, Stored};
use std::collections::HashSet;
use tilework_kernels::Chunk;
use tilework_plan::{Plan, Report, StageIdx, TaskRange};
use tilework_proto::Inlined;
use tilework_proto::inlined::{MESSAGE_INLINED_BYTES_MAX, RESULT_BYTES_MAX};

/// Chunks of a job's arrays with which its results travel: of more, the last alone would be told of in time.
const CHUNKS_MAX: u64 = 16;

/// The stages of a plan whose results travel so: those that the client is told of one by one, and few in all.
pub(crate) fn stages(plan: &Plan) -> HashSet<StageIdx> {
    let n = |s: &StageIdx| plan.n_tasks(*s);
    let are_few = plan.outputs.iter().map(n).fold(0, u64::saturating_add) <= CHUNKS_MAX;
    let travel = |s: &&StageIdx| plan.stage(**s).fails_alone || are_few;
    plan.outputs.iter().filter(travel).copied().collect()
}

/// The results that travel with these reports.
pub(crate) fn of(reports: &[Report], plans: &Plans, store: &Store) -> Vec<Inlined> {
    let mut picked = Picked { bytes: 0, all: Vec::new() };
    for report in reports {
        let Report::Done { tasks, sizes, .. } = report else { continue };
        let Some(are_values) = plans.inlines(tasks) else { continue };
        if sizes.iter().all(|bytes| *bytes > RESULT_BYTES_MAX as u64) && !sizes.is_empty() {
            continue;
        }
        store.read_held(tasks, |chunk, stored| picked.take(tasks, chunk, stored, are_values));
        if picked.bytes >= MESSAGE_INLINED_BYTES_MAX {
            break;
        }
    }
    picked.all
}

struct Picked {
    bytes: usize,
    all: Vec<Inlined>,
}

impl Picked {
    fn take(&mut self, tasks: &TaskRange, number: u64, stored: &Stored, are_values: bool) {
        if stored.content.written_bytes() > RESULT_BYTES_MAX as u64 {
            return;
        }
        // Err: it cannot be written, which whoever asks for it is told.
        let Ok(chunk) = stored.content.clone().into_chunk() else { return };
        let Chunk { planes } = &chunk;
        let bytes = chunk.bytes();
        if bytes > RESULT_BYTES_MAX || self.bytes + bytes > MESSAGE_INLINED_BYTES_MAX || planes.is_empty() {
            return;
        }
        self.bytes += bytes;
        let continues = |last: &Inlined| {
            (last.tasks.job, last.tasks.stage, last.tasks.chunks.end) == (tasks.job, tasks.stage, number)
        };
        if !are_values || !self.all.last().is_some_and(continues) {
            self.all.push(Inlined {
                tasks: TaskRange { chunks: number..number, ..tasks.clone() },
                dtypes: planes.iter().map(|p| p.dtype()).collect(),
                shape: if are_values { Vec::new() } else { planes[0].shape().to_vec() },
                ends: Vec::new(),
                bytes: Vec::new(),
            });
        }
        let last = self.all.last_mut().expect("there is one now");
        for plane in planes {
            match plane.contiguous_bytes() {
                Some(bytes) => last.bytes.extend_from_slice(bytes),
                None => last.bytes.extend(plane.to_contiguous().contiguous_bytes().unwrap_or(&[])),
            }
        }
        last.tasks.chunks.end = number + 1;
        last.ends.push(last.bytes.len() as u32);
    }
}
