//! The plans of the stages whose tasks run here: read once a stage and not once a task, since a plan may list as many files
//! as there are tasks. Must not know how a plan runs.

use crate::codec;
use crate::error::TaskError;
use bytes::Bytes;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Plans that are kept, at most.
const PLANS_MAX: usize = 64;
/// Bytes of those, encoded, of which the latest may have any number.
const BYTES_MAX: usize = 32 << 20;

/// Plans that were read of late, the latest last.
#[derive(Default)]
pub(crate) struct Plans {
    kept: Mutex<VecDeque<Arc<Kept>>>,
    n_decoded: AtomicU64,
    bytes_decoded: AtomicU64,
}

struct Kept {
    payload: Bytes,
    /// Read by the first task that asks; others wait for it.
    plan: Mutex<Option<Arc<dyn ExecutionPlan>>>,
}

/// Whether these are the same bytes, and not only equal ones: that costs the same for any number of them.
fn same(a: &Bytes, b: &Bytes) -> bool {
    a.as_ptr() == b.as_ptr() && a.len() == b.len()
}

impl Plans {
    /// The plan that these bytes stand for, in a state in which no task has run it: plans keep state while they run.
    pub(crate) fn of(
        &self,
        payload: &Bytes,
        context: &TaskContext,
    ) -> Result<Arc<dyn ExecutionPlan>, TaskError> {
        let kept = self.kept(payload);
        let mut plan = kept.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let decoded = match &*plan {
            Some(plan) => plan.clone(),
            None => {
                let decoded = codec::decode(payload, context)?;
                self.n_decoded.fetch_add(1, Ordering::Relaxed);
                self.bytes_decoded.fetch_add(payload.len() as u64, Ordering::Relaxed);
                plan.insert(decoded).clone()
            }
        };
        drop(plan);
        // Operators that are made anew forget what the wire has no field for.
        reset_plan_states(decoded)
            .and_then(codec::steady)
            .map_err(|e| TaskError::Payload(e.strip_backtrace()))
    }

    fn kept(&self, payload: &Bytes) -> Arc<Kept> {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = all.iter().position(|kept| same(&kept.payload, payload))
            && let Some(kept) = all.remove(at)
        {
            all.push_back(kept.clone());
            return kept;
        }
        // As long as these bytes are kept, no others are where they are.
        let new = Arc::new(Kept { payload: payload.clone(), plan: Mutex::new(None) });
        all.push_back(new.clone());
        let mut bytes: usize = all.iter().map(|kept| kept.payload.len()).sum();
        while all.len() > 1 && (all.len() > PLANS_MAX || bytes > BYTES_MAX) {
            bytes -= all.pop_front().map_or(0, |kept| kept.payload.len());
        }
        new
    }

    /// How many plans were read, and of how many bytes.
    pub(crate) fn decoded(&self) -> (u64, u64) {
        (self.n_decoded.load(Ordering::Relaxed), self.bytes_decoded.load(Ordering::Relaxed))
    }
}
