//! What a plan is to the scheduler before it is submitted: all that follows from the plan alone. To make it takes long for
//! large plans, so whoever takes them in does it, while the scheduler serves others.
//!
//! Knows plans. Must not know workers, other jobs, or what was done.

use crate::blocks::Roots;
use crate::exchange::Exchange;
use crate::job::StageState;
use crate::priority::priorities;
use crate::table::Table;
use std::fmt;
use std::sync::Arc;
use tilework_plan::{AxisGrid, JobId, Origin, Plan, Stage, StageIdx, Tags};

/// Chunks that a task may read at most: who has them is said one by one.
const INPUTS_MAX: u64 = 1 << 17;

/// A plan, ready to be submitted as [`Event::JobSubmitted`](crate::Event::JobSubmitted).
#[derive(Clone)]
pub struct Prepared {
    pub(crate) made: Result<Box<Made>, String>,
}

/// What is made of a plan that can be run.
#[derive(Clone)]
pub(crate) struct Made {
    pub plan: Arc<Plan>,
    /// As they stand before anything is done; chunks of other jobs are not looked for yet.
    pub stages: Vec<StageState>,
    pub roots: Roots,
    /// The stages whose chunks are those of another job, and which of its outputs.
    pub aliases: Vec<(StageIdx, JobId, u32)>,
    /// Chunks of outputs.
    pub outputs_left: u64,
    /// Tasks of its own that some output depends on.
    pub n_needed: u64,
    /// The build whose functions root tasks call.
    pub roots_build: Option<Arc<str>>,
    /// The build whose functions some tasks call.
    pub functions_build: Option<Arc<str>>,
    /// What a worker must have to be given root tasks: whatever any of them needs.
    pub roots_tags: Tags,
    /// Bytes that a root task takes at least, by what was said of it.
    pub roots_memory: u64,
    /// Whether some tasks need a worker that has something.
    pub is_tagged: bool,
    pub largest: Largest,
}

/// The stages each of whose first tasks needs more memory than that of any stage before it, with the bytes.
#[derive(Clone, Default)]
pub(crate) struct Largest {
    /// Of those for workers that can call the job's functions.
    callers: Vec<(StageIdx, u64)>,
    /// Of the others.
    anybody: Vec<(StageIdx, u64)>,
}

impl Largest {
    fn note(&mut self, for_callers: bool, stage: StageIdx, bytes: u64) {
        let of = if for_callers { &mut self.callers } else { &mut self.anybody };
        if of.last().is_none_or(|(_, most)| bytes > *most) {
            of.push((stage, bytes));
        }
    }

    /// The first stage whose tasks need more than the largest worker that may have them has.
    pub fn first_over(&self, memory_of: impl Fn(StageIdx) -> u64) -> Option<(StageIdx, u64)> {
        let first = |of: &[(StageIdx, u64)]| {
            // All stages of a kind are for the same workers.
            let most = memory_of(of.first()?.0);
            let at = of.partition_point(|(_, bytes)| *bytes <= most);
            of.get(at).copied().filter(|_| most > 0)
        };
        first(&self.callers).into_iter().chain(first(&self.anybody)).min()
    }
}

impl Prepared {
    /// Prepares a plan that is to be submitted as `job`. One that cannot be run is prepared too: it is refused when it is
    /// submitted.
    #[must_use]
    pub fn of(job: JobId, plan: Arc<Plan>) -> Prepared {
        Prepared { made: made(job, plan).map(Box::new) }
    }

    /// What has no plan, and will be refused when it is submitted; why, in words.
    #[must_use]
    pub fn refused(why: String) -> Prepared {
        Prepared { made: Err(why) }
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_stages = self.made.as_ref().map(|made| made.stages.len());
        f.debug_struct("Prepared").field("n_stages", &n_stages).finish_non_exhaustive()
    }
}

impl PartialEq for Prepared {
    /// Everything else follows from the plan.
    fn eq(&self, other: &Prepared) -> bool {
        match (&self.made, &other.made) {
            (Ok(a), Ok(b)) => a.plan == b.plan,
            (Err(a), Err(b)) => a == b,
            _ => false,
        }
    }
}

fn made(job: JobId, plan: Arc<Plan>) -> Result<Made, String> {
    let mut is_output = vec![false; plan.stages.len()];
    plan.outputs.iter().for_each(|o| is_output[o.0 as usize] = true);
    let needs = plan.needs();
    let roots = Roots::new(&plan, &needs);
    let priorities = priorities(&plan, &roots.stages().collect::<Vec<_>>());
    let mut stages = Vec::with_capacity(plan.stages.len());
    let mut aliases = Vec::new();
    let (mut outputs_left, mut n_needed) = (0, 0);
    for (i, (stage, need)) in plan.stages.iter().zip(needs).enumerate() {
        let own = (job, StageIdx(i as u32));
        match stage.origin {
            Origin::Earlier { job: of, output } => aliases.push((own.1, of, output)),
            Origin::Barrier => {}
            _ => n_needed += need.n_tasks(),
        }
        outputs_left += if is_output[i] { stage.grid.n_chunks() } else { 0 };
        stages.push(StageState {
            table: Table::new(stage.grid.n_chunks()),
            canonical: own,
            aliases: Vec::new(),
            is_output: is_output[i],
            need,
            readers_max: plan.readers_max(own.1),
            bytes_each: bytes_each(stage),
            build: stage.build().cloned(),
            priority: priorities[i],
            mean_us: 0,
            sizes: Vec::new(),
            is_barrier: stage.is_barrier(),
            reads_blocks: stage.reads_blocks(),
            exchange: Exchange::of(&plan, own.1).map(Box::new),
        });
    }
    let functions_build = stages.iter().find_map(|s| s.build.clone());
    let roots_build = roots.stages().find_map(|stage| stages[stage.0 as usize].build.clone());
    let largest = largest(&plan, &stages, roots_build.is_some())?;
    let roots_tags: Tags = roots.stages().flat_map(|s| plan.stage(s).terms().tags.iter().cloned()).collect();
    let declared = |s: StageIdx| plan.stage(s).terms().memory_bytes;
    let roots_memory = roots.stages().map(declared).min().unwrap_or(0);
    let is_tagged = plan.stages.iter().any(|s| !s.terms().tags.is_empty());
    Ok(Made {
        plan,
        stages,
        roots,
        aliases,
        outputs_left,
        n_needed,
        roots_build,
        functions_build,
        roots_tags,
        roots_memory,
        is_tagged,
        largest,
    })
}

/// What the first task of each stage needs.
///
/// # Errors
/// Where one reads more chunks than a task may.
fn largest(plan: &Plan, stages: &[StageState], roots_call: bool) -> Result<Largest, String> {
    let mut largest = Largest::default();
    for (i, state) in stages.iter().enumerate() {
        let (idx, stage) = (StageIdx(i as u32), &plan.stages[i]);
        if state.need.n_tasks() == 0 || stage.stands_for_others() {
            continue;
        }
        let chunk = state.need.nth(0);
        let n = plan.n_inputs_at_most(idx, chunk);
        if n > INPUTS_MAX {
            return Err(format!(
                "{}: one chunk of it is made of {n} chunks, and at most {INPUTS_MAX} can be; larger ones would do",
                stage.name
            ));
        }
        let for_callers = is_for_callers(stage, state, roots_call);
        largest.note(for_callers, idx, plan.task_bytes(idx, chunk));
    }
    Ok(largest)
}

/// Whether the tasks of a stage are for workers that can call its functions alone: those of root stages are where any of
/// the job's roots calls one.
pub(crate) fn is_for_callers(stage: &Stage, state: &StageState, roots_call: bool) -> bool {
    state.build.is_some() || stage.inputs.is_empty() && roots_call
}

/// Bytes of a stage's chunks where the grid is regular (the last ones, which may be smaller, are charged in full).
fn bytes_each(stage: &Stage) -> Option<u64> {
    if stage.grid.axes().iter().any(|a| matches!(a, AxisGrid::Explicit { .. })) {
        return None;
    }
    Some(stage.chunk_bytes_max())
}
