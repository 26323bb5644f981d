//! A job as the scheduler keeps it: its plan, where its tasks stand, and what is fixed about each stage when the
//! job is submitted.
//!
//! Knows one job. Must not know workers' records, other jobs' tasks, or who is told what.

use crate::blocks::Roots;
use crate::event::{ClientId, Hello};
use crate::table::{NOBODY, Table, TaskState};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tilework_expr::{
    AxisGrid, AxisMap, ChunkIdx, Figures, Grid, Input, InputMap, JobError, JobId, Plan, Program, Stage,
    StageIdx, StageKind,
};

/// Where a chunk is really made, once `Held` stages are resolved.
pub(crate) type Canonical = (JobId, StageIdx);

/// What the scheduler keeps of a stage.
pub(crate) struct StageState {
    /// Where its tasks stand.
    pub table: Table,
    /// Who makes its chunks: this stage itself but for `Held` ones.
    pub canonical: Canonical,
    /// `Held` stages of other jobs that stand for this one.
    pub aliases: Vec<Canonical>,
    /// Whether it makes an output.
    pub is_output: bool,
    /// Whether every one of its tasks is needed.
    pub whole: bool,
    /// Bytes of any of its chunks, where they are all (nearly) the same.
    pub bytes_each: Option<u64>,
    /// The build whose functions its tasks call.
    pub build: Option<Arc<str>>,
    /// Measured time of a task, microseconds; 0 before one was measured.
    pub mean_us: u64,
}

/// A submitted program and all that became of it.
pub(crate) struct Job {
    /// Who submitted it.
    pub client: ClientId,
    /// Whether the client still wants its outputs.
    pub client_holds: bool,
    pub program: Arc<Program>,
    pub plan: Arc<Plan>,
    pub stages: Vec<StageState>,
    /// Root tasks that were not handed out yet.
    pub roots: Roots,
    /// The build whose functions root tasks call.
    pub roots_build: Option<Arc<str>>,
    /// The build whose functions some of its tasks call.
    pub functions_build: Option<Arc<str>>,
    /// Memory of the largest worker that was there meanwhile and can call them, bytes; 0 where there was none.
    pub memory_callable: u64,
    /// The jobs whose outputs it reads.
    pub refs: BTreeSet<JobId>,
    /// Jobs that have this one in `refs`.
    pub n_referrers: u32,
    /// Referrers that may still read its chunks.
    pub n_readers: u32,
    /// Whether it is counted in its refs' `n_readers`.
    pub reads: bool,
    /// Whether all outputs existed when that was last looked at.
    pub finished: bool,
    /// Whether the client was told so.
    pub announced: bool,
    /// Why it cannot go on; its record is kept for the jobs that refer to it.
    pub failed: Option<JobError>,
    /// Whether some output is a chunk of another job.
    pub has_alias_outputs: bool,
    /// Bytes that its chunks take on workers.
    pub bytes_held: u64,
    /// What it took so far.
    pub figures: Figures,
    /// When it was submitted.
    pub submitted_us: u64,
    /// When progress may be reported again.
    pub progress_at_us: u64,
    /// The count last reported.
    pub progress_done: u64,
}

impl Job {
    pub fn stage(&self, stage: StageIdx) -> &StageState {
        &self.stages[stage.0 as usize]
    }

    pub fn state(&self, stage: StageIdx, chunk: ChunkIdx) -> TaskState {
        self.stage(stage).table.get(chunk.0)
    }

    pub fn set(&mut self, stage: StageIdx, chunk: ChunkIdx, to: TaskState) -> TaskState {
        let from = self.stages[stage.0 as usize].table.set(chunk.0, to);
        match (takes_memory(from), takes_memory(to)) {
            (false, true) => {
                self.bytes_held += self.bytes(stage, chunk);
                self.figures.bytes_held_max = self.figures.bytes_held_max.max(self.bytes_held);
                self.count_done(stage, chunk);
            }
            (true, false) => self.bytes_held -= self.bytes(stage, chunk),
            _ => {}
        }
        from
    }

    /// Notes that a task was done: its chunk came to exist.
    fn count_done(&mut self, stage: StageIdx, chunk: ChunkIdx) {
        self.figures.n_tasks += 1;
        match self.plan.stage(stage).kind {
            StageKind::Read(_) => self.figures.bytes_read += self.bytes(stage, chunk),
            StageKind::Literal { .. } => self.figures.bytes_put += self.bytes(stage, chunk),
            _ => {}
        }
    }

    /// Retires every task, and returns those that were not yet finished with, stage by stage.
    pub fn retire(&mut self) -> Vec<(StageIdx, Vec<(u64, TaskState)>)> {
        self.bytes_held = 0;
        let stages = self.stages.iter_mut().enumerate();
        let all = stages.map(|(i, s)| {
            let live = s.table.live().collect();
            s.table.retire_all();
            (StageIdx(i as u32), live)
        });
        all.collect()
    }

    /// Whether the output chunks must be kept.
    pub fn wanted(&self) -> bool {
        self.client_holds || self.n_readers > 0
    }

    /// Whether a stage's chunks are those of another job.
    pub fn is_alias(&self, stage: StageIdx) -> bool {
        matches!(self.plan.stage(stage).kind, StageKind::Held { .. })
    }

    /// Whether a stage's chunks come from the client.
    pub fn is_literal(&self, stage: StageIdx) -> bool {
        matches!(self.plan.stage(stage).kind, StageKind::Literal { .. })
    }

    /// Output chunks that do not exist.
    pub fn outputs_left(&self) -> u64 {
        let outputs = self.stages.iter().filter(|s| s.is_output);
        outputs.map(|s| s.table.n_tasks() - s.table.n_done()).sum()
    }

    /// Whether nothing of it exists or is being made.
    pub fn is_dormant(&self) -> bool {
        self.roots.n_left() == 0 && self.stages.iter().all(|s| s.table.counts().released == s.table.n_tasks())
    }

    /// Bytes of a chunk.
    pub fn bytes(&self, stage: StageIdx, chunk: ChunkIdx) -> u64 {
        self.stage(stage).bytes_each.unwrap_or_else(|| self.plan.out_bytes(stage, chunk))
    }

    /// The build whose functions the tasks of a stage call.
    pub fn build(&self, stage: StageIdx) -> Option<&str> {
        self.stage(stage).build.as_deref()
    }

    /// Whether the tasks of a stage are for workers that can call its functions alone.
    pub fn is_for_callers(&self, stage: StageIdx) -> bool {
        let is_root = self.plan.stage(stage).inputs.is_empty();
        self.build(stage).is_some() || is_root && self.roots_build.is_some()
    }

    /// Whether a worker may have root tasks.
    pub fn roots_for(&self, worker: &Hello) -> bool {
        worker.calls(self.roots_build.as_deref())
    }

    /// Whether an output depends on a task.
    pub fn needed(&self, stage: StageIdx, chunk: ChunkIdx) -> bool {
        if self.stage(stage).whole {
            return true;
        }
        let mut consumers = Vec::new();
        self.plan.consumers_of(stage, chunk, &mut consumers);
        consumers.iter().any(|&(s, c)| self.needed(s, c))
    }

    /// Tasks done, and tasks in all.
    pub fn progress(&self) -> (u64, u64) {
        let own = (0..self.stages.len()).filter(|&i| !self.is_alias(StageIdx(i as u32)));
        own.fold((0, 0), |(done, all), i| {
            let t = &self.stages[i].table;
            (done + t.n_done(), all + t.n_tasks())
        })
    }
}

/// Whether a chunk exists on a worker under its own name.
fn takes_memory(state: TaskState) -> bool {
    matches!(state, TaskState::Held { holder, .. } if holder != NOBODY)
}

/// The job of a program that was just submitted.
///
/// # Errors
/// In words, where the program cannot be planned or refers to what does not exist.
pub(crate) fn submit(
    job: JobId,
    client: ClientId,
    program: Arc<Program>,
    (now_us, jobs): (u64, &BTreeMap<JobId, Job>),
) -> Result<Job, String> {
    let plan = Arc::new(Plan::of(&program).map_err(|e| e.to_string())?);
    let whole = whole_stages(&plan);
    let mut stages = Vec::with_capacity(plan.stages.len());
    let mut refs = BTreeSet::new();
    for (i, stage) in plan.stages.iter().enumerate() {
        let own = (job, StageIdx(i as u32));
        let canonical = if let StageKind::Held { job: of, output } = stage.kind {
            refs.insert(JobId(of));
            resolve(jobs, JobId(of), output, stage)?
        } else {
            own
        };
        refs.extend((canonical != own).then_some(canonical.0));
        stages.push(StageState {
            table: Table::new(stage.grid.n_chunks()),
            canonical,
            aliases: Vec::new(),
            is_output: plan.is_output(own.1),
            whole: whole[i],
            bytes_each: bytes_each(stage),
            build: stage.kernel().map(|kernel| kernel.build.as_str().into()),
            mean_us: 0,
        });
    }
    let functions_build = stages.iter().find_map(|s| s.build.clone());
    let is_alias = |s: &StageIdx| matches!(plan.stage(*s).kind, StageKind::Held { .. });
    let has_alias_outputs = plan.outputs.iter().any(is_alias);
    let roots = Roots::new(&plan);
    let roots_build = roots.stages().find_map(|stage| stages[stage.0 as usize].build.clone());
    Ok(Job {
        client,
        client_holds: true,
        program,
        plan,
        stages,
        roots,
        roots_build,
        functions_build,
        memory_callable: 0,
        refs,
        n_referrers: 0,
        n_readers: 0,
        reads: false,
        finished: false,
        announced: false,
        failed: None,
        has_alias_outputs,
        bytes_held: 0,
        figures: Figures::default(),
        submitted_us: now_us,
        progress_at_us: 0,
        progress_done: 0,
    })
}

fn resolve(jobs: &BTreeMap<JobId, Job>, of: JobId, output: u32, stage: &Stage) -> Result<Canonical, String> {
    let named =
        jobs.get(&of).ok_or_else(|| format!("it reads job {}, which does not exist any more", of.0))?;
    if let Some(error) = &named.failed {
        return Err(format!("it reads job {}, which failed: {error}", of.0));
    }
    let Some(&out) = named.plan.outputs.get(output as usize) else {
        let n = named.plan.outputs.len();
        return Err(format!("it reads output {output} of job {}, which has {n} outputs", of.0));
    };
    let (want, have) = (stage.grid.n_chunks(), named.plan.n_tasks(out));
    if want != have {
        return Err(format!("it reads {want} chunks of output {output} of job {}, which has {have}", of.0));
    }
    Ok(named.stage(out).canonical)
}

/// Bytes of a stage's chunks where the grid is regular (the last ones, which may be smaller, are charged in full).
fn bytes_each(stage: &Stage) -> Option<u64> {
    if stage.grid.axes().iter().any(|a| matches!(a, AxisGrid::Explicit { .. })) {
        return None;
    }
    if matches!(stage.kind, StageKind::Write(_)) {
        return Some(0);
    }
    let folded = stage.folded_axes().unwrap_or(&[]);
    let kept = stage.grid.axes().iter().enumerate().filter(|(a, _)| !folded.contains(a));
    let len: usize = kept.map(|(_, a)| a.chunk_max()).product();
    let element: usize = stage.planes.iter().map(|d| d.size()).sum();
    Some(len as u64 * element as u64)
}

/// For each stage, whether all of its tasks are needed: those of outputs, and those that such a stage reads all
/// of. For other stages it is looked up task by task.
fn whole_stages(plan: &Plan) -> Vec<bool> {
    let mut whole: Vec<bool> = (0..plan.stages.len()).map(|i| plan.is_output(StageIdx(i as u32))).collect();
    for i in (0..plan.stages.len()).rev() {
        let from = &plan.stages[i];
        let covered = |&(to, slot): &(StageIdx, usize)| {
            whole[to.0 as usize] && covers(plan.stage(to), &plan.stage(to).inputs[slot], from)
        };
        whole[i] = whole[i] || plan.consumers[i].iter().any(covered);
    }
    whole
}

/// Whether every chunk of `from` is read through `input` by some task of `to`; false where that is hard to say.
fn covers(to: &Stage, input: &Input, from: &Stage) -> bool {
    match &input.map {
        InputMap::Group { .. } => true,
        InputMap::Flat => !has_empty_chunks(&from.out_grid),
        // Every position is read by the task over it.
        InputMap::Halo(_) => !has_empty_chunks(&from.out_grid) && !has_empty_chunks(&to.grid),
        InputMap::View { clip: Some(_), .. } => false,
        InputMap::View { view, clip: None } => {
            let out: Vec<_> = to.grid.axes().iter().map(|a| 0..a.len()).collect();
            let image = view.image(&out);
            let axes = view.axes.iter().zip(from.out_grid.axes()).zip(&image);
            let all = |((map, axis), hull): ((&AxisMap, &AxisGrid), &std::ops::Range<usize>)| match map {
                AxisMap::At(_) => axis.n_chunks() == 1,
                AxisMap::Along { step, .. } => step.unsigned_abs() == 1 && *hull == (0..axis.len()),
            };
            !has_empty_chunks(&from.out_grid)
                && out.iter().all(|r| !r.is_empty())
                && axes.into_iter().all(all)
        }
    }
}

/// Whether some chunk of a grid has no elements.
pub(crate) fn has_empty_chunks(grid: &Grid) -> bool {
    grid.axes().iter().any(|axis| match axis {
        AxisGrid::Regular { len, .. } => *len == 0,
        AxisGrid::Explicit { bounds } => bounds.windows(2).any(|w| w[0] == w[1]),
    })
}
