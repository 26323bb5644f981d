//! A job as the scheduler keeps it: its plan, where its tasks stand, and what is fixed about each stage when the
//! job is submitted.
//!
//! Knows one job. Must not know workers' records, other jobs' tasks, or who is told what.

use crate::blocks::{Roots, Run};
use crate::exchange::Exchange;
use crate::letting_go::LetGo;
use crate::pace::Pace;
use crate::phase::{ClientPhase, JobPhase};
use crate::prepared::{Largest, Made, Prepared, is_for_callers};
use crate::single::Singles;
use crate::table::{Table, TaskState, Torn};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use tilework_plan::{
    ChunkIdx, ClientId, Figures, Hello, JobId, JobNumber, Need, Origin, Plan, Stage, StageIdx, Tags, WorkerId,
};

/// Where a chunk is really made, once `Held` stages are resolved.
pub(crate) type Canonical = (JobId, StageIdx);

/// What the scheduler keeps of a stage.
#[derive(Clone)]
pub(crate) struct StageState {
    /// Where its tasks stand.
    pub table: Table,
    /// Who makes its chunks: this stage itself but for `Held` ones.
    pub canonical: Canonical,
    /// `Held` stages of other jobs that stand for this one.
    pub aliases: Vec<Canonical>,
    /// Whether it makes an output.
    pub is_output: bool,
    /// Those of its tasks that an output depends on.
    pub need: Need,
    /// How many tasks read one of its chunks at most, or more.
    pub readers_max: u64,
    /// Bytes of any of its chunks, where they are all (nearly) the same.
    pub bytes_each: Option<u64>,
    /// The build whose functions its tasks call.
    pub build: Option<Arc<str>>,
    /// How urgent its tasks are: at least as all that read it.
    pub priority: i32,
    /// Measured time of a task, microseconds; 0 before one was measured.
    pub mean_us: u64,
    /// Bytes of each chunk, where those are known only when it is made; empty before the first one was.
    pub sizes: Vec<u64>,
    /// Whether its only chunk stands for those that it reads.
    pub is_barrier: bool,
    /// Whether its tasks read blocks.
    pub reads_blocks: bool,
    /// What is known of its chunks where they are read by blocks.
    pub exchange: Option<Box<Exchange>>,
}

/// A submitted plan and all that became of it.
pub(crate) struct Job {
    /// Its name for people.
    pub number: JobNumber,
    /// Who submitted it.
    pub client: ClientId,
    /// How far the work is.
    pub phase: JobPhase,
    /// What the client has of it.
    pub client_phase: ClientPhase,
    /// Whether its outputs are kept under a name.
    pub is_published: bool,
    pub plan: Arc<Plan>,
    pub stages: Vec<StageState>,
    /// The stages whose chunks are those of another job.
    pub aliases: Vec<StageIdx>,
    /// The stages whose tasks need most memory.
    pub largest: Largest,
    /// Output chunks that do not exist.
    outputs_left: u64,
    /// Tasks of its own that are done, whatever became of their chunks.
    n_done: u64,
    /// Tasks of its own that some output depends on.
    n_needed: u64,
    /// Tasks that workers have.
    n_leased: u64,
    /// Root tasks that were not handed out yet.
    pub roots: Roots,
    /// The build whose functions root tasks call.
    pub roots_build: Option<Arc<str>>,
    /// The build whose functions some of its tasks call.
    pub functions_build: Option<Arc<str>>,
    /// What a worker must have to be given root tasks.
    pub roots_tags: Tags,
    /// Bytes that a root task takes at least, by what was said of it.
    pub roots_memory: u64,
    /// Whether some of its tasks need a worker that has something.
    pub is_tagged: bool,
    /// Memory of the largest worker that was there meanwhile and can call them, bytes; 0 where there was none.
    pub memory_callable: u64,
    /// Bytes that workers' memory is charged for its results, worker by worker.
    pub committed: BTreeMap<WorkerId, u64>,
    /// The jobs whose outputs it reads.
    pub refs: BTreeSet<JobId>,
    /// Jobs that have this one in `refs`.
    pub n_referrers: u32,
    /// Referrers that may still read its chunks.
    pub n_readers: u32,
    /// Whether it is counted in its refs' `n_readers`.
    pub reads: bool,
    /// Whether some output is a chunk of another job.
    pub has_alias_outputs: bool,
    /// Bytes that its chunks take on workers.
    pub bytes_held: u64,
    /// What it took so far.
    pub figures: Figures,
    /// What is known of its tasks one by one, where they fail alone.
    pub singles: Singles,
    /// Results that its client wants no more.
    pub let_go: LetGo,
    /// When it was submitted.
    pub submitted_us: u64,
    /// How fast its tasks are done.
    pub pace: Pace,
    /// When progress may be reported again.
    pub progress_at_us: u64,
    /// The count last reported.
    pub progress_done: u64,
}

impl Job {
    /// Stages of a plan that are looked at one by one for a picture of it.
    pub const STAGES_LOOKED_AT_MAX: usize = 4096;

    pub fn stage(&self, stage: StageIdx) -> &StageState {
        &self.stages[stage.0 as usize]
    }

    pub fn state(&self, stage: StageIdx, chunk: ChunkIdx) -> TaskState {
        self.stage(stage).table.get(chunk.0)
    }

    pub fn set(&mut self, stage: StageIdx, chunk: ChunkIdx, to: TaskState) -> TaskState {
        let from = self.stages[stage.0 as usize].table.set(chunk.0, to);
        match (from.holder(), to.holder()) {
            (None, Some(holder)) => {
                let bytes = self.bytes(stage, chunk);
                self.bytes_held += bytes;
                self.figures.bytes_held_max = self.figures.bytes_held_max.max(self.bytes_held);
                self.count_done(stage, chunk);
                if let Some(exchange) = &mut self.stages[stage.0 as usize].exchange {
                    exchange.came(chunk, holder, bytes);
                }
            }
            (Some(holder), None) => {
                let bytes = self.bytes(stage, chunk);
                self.bytes_held -= bytes;
                if let Some(exchange) = &mut self.stages[stage.0 as usize].exchange {
                    exchange.went(holder, bytes);
                }
            }
            _ => {}
        }
        let is_leased = |s: TaskState| u64::from(matches!(s, TaskState::Leased { .. }));
        self.n_leased = self.n_leased + is_leased(to) - is_leased(from);
        let by = i64::from(to.is_done()) - i64::from(from.is_done());
        if by != 0 {
            let own = i64::from(!self.stands_for_others(stage));
            self.n_done = self.n_done.saturating_add_signed(by * own);
            let of_output = i64::from(self.stage(stage).is_output);
            self.outputs_left = self.outputs_left.saturating_add_signed(-by * of_output);
        }
        from
    }

    /// Notes that a task was done: its chunk came to exist.
    fn count_done(&mut self, stage: StageIdx, chunk: ChunkIdx) {
        self.figures.n_tasks += 1;
        match self.plan.stage(stage).origin {
            Origin::File(_) => self.figures.bytes_read += self.plan.file_bytes(stage, chunk),
            Origin::Client { .. } => self.figures.bytes_put += self.bytes(stage, chunk),
            Origin::Computed | Origin::Earlier { .. } | Origin::Barrier => {}
        }
    }

    /// Retires every task; returns what may be dropped elsewhere.
    pub fn retire(&mut self) -> Retired {
        self.bytes_held = 0;
        self.stages.iter_mut().filter_map(|s| s.exchange.as_mut()).for_each(|exchange| exchange.clear());
        self.outputs_left = 0;
        self.n_done = self.n_needed;
        self.n_leased = 0;
        self.note_dropped();
        let torn = self.stages.iter_mut().map(|s| s.table.retire_all()).filter(|torn| !torn.is_empty());
        Retired { torn: torn.collect(), roots: self.roots.clear() }
    }

    /// Notes that a worker's memory is charged for one more of its results, or one less.
    pub fn charge(&mut self, worker: WorkerId, bytes: u64) {
        *self.committed.entry(worker).or_default() += bytes;
    }

    /// See [`Job::charge`].
    pub fn uncharge(&mut self, worker: WorkerId, bytes: u64) {
        if let Some(committed) = self.committed.get_mut(&worker) {
            *committed -= bytes;
        }
    }

    /// Whether the output chunks must be kept.
    pub fn wanted(&self) -> bool {
        self.client_phase.holds() || self.is_published || self.n_readers > 0
    }

    /// Whether the chunks of other jobs must be kept for it.
    pub fn should_read(&self) -> bool {
        self.wanted() && (self.is_running() || self.has_alias_outputs)
    }

    /// Whether a stage's chunks are those of another job.
    pub fn is_alias(&self, stage: StageIdx) -> bool {
        self.plan.stage(stage).is_alias()
    }

    /// Whether no task runs for a stage's chunks: they are others'.
    pub fn stands_for_others(&self, stage: StageIdx) -> bool {
        self.plan.stage(stage).stands_for_others()
    }

    /// Whether a stage's chunks come from the client.
    pub fn is_upload(&self, stage: StageIdx) -> bool {
        self.plan.stage(stage).is_upload()
    }

    /// Tasks that workers have.
    pub fn n_leased(&self) -> u64 {
        self.n_leased
    }

    /// Output chunks that do not exist.
    pub fn outputs_left(&self) -> u64 {
        self.outputs_left
    }

    /// Whether nothing of it exists or is being made.
    pub fn has_nothing(&self) -> bool {
        self.roots.n_left() == 0 && self.stages.iter().all(|s| s.table.counts().released == s.table.n_tasks())
    }

    /// Bytes of a chunk.
    pub fn bytes(&self, stage: StageIdx, chunk: ChunkIdx) -> u64 {
        let s = self.stage(stage);
        match s.sizes.get(chunk.0 as usize) {
            Some(measured) => *measured,
            None => s.bytes_each.unwrap_or_else(|| self.plan.out_bytes(stage, chunk)),
        }
    }

    /// Notes the bytes of a chunk that was made; what it was taken to have before.
    pub fn measure(&mut self, stage: StageIdx, chunk: ChunkIdx, bytes: u64) -> u64 {
        let before = self.bytes(stage, chunk);
        let s = &mut self.stages[stage.0 as usize];
        if s.sizes.is_empty() {
            s.sizes = vec![before; s.table.n_tasks() as usize];
        }
        s.sizes[chunk.0 as usize] = bytes;
        before
    }

    /// The numbers of the first of some root tasks: of one at least, and of more where they follow one another.
    pub fn root_chunks(&self, run: &Run) -> Range<u64> {
        let root = self.roots.root(run.root);
        let Range { start, end } = run.tasks;
        match &root.order {
            _ if run.again.is_some() => start..end,
            None => self.stage(root.stage).need.run(start..end),
            Some(order) => {
                let first = order.chunk(start);
                let n = (1..end - start).take_while(|n| order.chunk(start + n) == first + n).count() as u64;
                first..first + n + 1
            }
        }
    }

    /// The build whose functions the tasks of a stage call.
    pub fn build(&self, stage: StageIdx) -> Option<&str> {
        self.stage(stage).build.as_deref()
    }

    /// Whether the tasks of a stage are for workers that can call its functions alone.
    pub fn is_for_callers(&self, stage: StageIdx) -> bool {
        is_for_callers(self.plan.stage(stage), self.stage(stage), self.roots_build.is_some())
    }

    /// How urgent its root tasks are, all of them alike.
    pub fn roots_priority(&self) -> i32 {
        self.roots.stages().next().map_or(0, |stage| self.stage(stage).priority)
    }

    /// The priorities that stages have.
    pub fn priorities(&self) -> BTreeSet<i32> {
        self.stages.iter().map(|s| s.priority).collect()
    }

    /// Whether some of its tasks are not for every worker.
    pub fn is_choosy(&self) -> bool {
        self.functions_build.is_some() || self.is_tagged
    }

    /// Whether a worker may have the tasks of a stage, by what it can call and what it has.
    pub fn stage_for(&self, stage: StageIdx, worker: &Hello) -> bool {
        worker.calls(self.build(stage)) && worker.has(&self.plan.stage(stage).terms().tags)
    }

    /// Whether a worker may have root tasks.
    pub fn roots_for(&self, worker: &Hello) -> bool {
        worker.calls(self.roots_build.as_deref()) && worker.has(&self.roots_tags)
    }

    /// Whether root tasks ask for something that not every worker has: a tag, or memory beside their results.
    pub fn roots_are_choosy(&self) -> bool {
        !self.roots_tags.is_empty() || self.roots_memory > 0
    }

    /// Whether the task of a root stage was not handed out, or is to be run again, for checks.
    pub fn is_root_left(&self, stage: StageIdx, chunk: ChunkIdx) -> bool {
        self.roots.is_left(stage, chunk.0, self.stage(stage).need.n_before(chunk))
    }

    /// Whether an output depends on a task.
    pub fn needed(&self, stage: StageIdx, chunk: ChunkIdx) -> bool {
        self.stage(stage).need.contains(chunk)
    }

    /// Tasks done, and tasks that are needed.
    pub fn progress(&self) -> (u64, u64) {
        (self.n_done, self.n_needed)
    }
}

/// What the tasks and roots of a job that is over leave behind.
pub(crate) struct Retired {
    torn: Vec<Torn>,
    roots: Roots,
}

impl Retired {
    /// Pieces of memory that it has, about.
    pub fn n_parts(&self) -> usize {
        self.torn.iter().map(Torn::n_pages).sum::<usize>() + self.roots.n_turns()
    }
}

/// The job of a plan that was just submitted. Takes time for what it reads of other jobs alone.
///
/// # Errors
/// In words, where the plan cannot be run or refers to what does not exist.
pub(crate) fn submit(
    client: ClientId,
    prepared: Prepared,
    (now_us, jobs): (u64, &BTreeMap<JobId, Job>),
) -> Result<Job, String> {
    let made = *prepared.made?;
    let Made { plan, mut stages, roots, aliases, outputs_left, n_needed, largest, .. } = made;
    let mut refs = BTreeSet::new();
    for &(stage, of, output) in &aliases {
        refs.insert(of);
        let canonical = resolve(jobs, of, output, plan.stage(stage))?;
        refs.insert(canonical.0);
        stages[stage.0 as usize].canonical = canonical;
    }
    let has_alias_outputs = aliases.iter().any(|(stage, ..)| stages[stage.0 as usize].is_output);
    Ok(Job {
        number: JobNumber(0),
        client,
        phase: JobPhase::Running,
        client_phase: ClientPhase::Waits,
        is_published: false,
        plan,
        stages,
        aliases: aliases.into_iter().map(|(stage, ..)| stage).collect(),
        largest,
        outputs_left,
        n_done: 0,
        n_needed,
        n_leased: 0,
        roots,
        roots_build: made.roots_build,
        functions_build: made.functions_build,
        roots_tags: made.roots_tags,
        roots_memory: made.roots_memory,
        is_tagged: made.is_tagged,
        memory_callable: 0,
        committed: BTreeMap::new(),
        refs,
        n_referrers: 0,
        n_readers: 0,
        reads: false,
        has_alias_outputs,
        bytes_held: 0,
        figures: Figures::default(),
        singles: Singles::default(),
        let_go: LetGo::default(),
        submitted_us: now_us,
        pace: Pace::new(now_us),
        progress_at_us: 0,
        progress_done: 0,
    })
}

fn resolve(jobs: &BTreeMap<JobId, Job>, of: JobId, output: u32, stage: &Stage) -> Result<Canonical, String> {
    let named = jobs.get(&of).ok_or("it reads an array of an earlier job, which does not exist any more")?;
    let number = named.number.0;
    if let Some(error) = named.failed() {
        return Err(format!("it reads job {number}, which failed: {error}"));
    }
    let Some(&out) = named.plan.outputs.get(output as usize) else {
        let n = named.plan.outputs.len();
        return Err(format!("it reads output {output} of job {number}, which has {n} outputs"));
    };
    let (want, have) = (stage.grid.n_chunks(), named.plan.n_tasks(out));
    if want != have {
        return Err(format!("it reads {want} chunks of output {output} of job {number}, which has {have}"));
    }
    Ok(named.stage(out).canonical)
}
