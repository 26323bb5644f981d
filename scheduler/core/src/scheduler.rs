//! The scheduler itself: its parts, the way an event takes through them, and the outbox.
//!
//! Knows which theme handles which event. Must not know how a theme decides.

use crate::announcing::Announcement;
use crate::attempts::RetryRecord;
use crate::event::{Action, Event};
use crate::index::Index;
use crate::job::{Job, Retired};
use crate::limits::{Bug, Limits};
use crate::publishing::Publication;
use crate::recovery::Loss;
use crate::suspects::Suspects;
use crate::table::TaskState;
use crate::worker::{Lease, ReadyKey, WorkerState};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tilework_plan::{
    ChunkIdx, ClientHello, ClientId, Instruction, JobError, JobId, LeaseId, StageIdx, TaskKey, TaskRange,
    Update, WorkerId,
};

/// The scheduler's state machine.
///
/// [`Scheduler::handle`] takes one event and appends what is to be done; [`Scheduler::next_wake_us`] says when it
/// wants [`Event::Tick`].
pub struct Scheduler {
    pub(crate) limits: Limits,
    pub(crate) now_us: u64,
    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) workers: BTreeMap<WorkerId, WorkerState>,
    pub(crate) leases: BTreeMap<LeaseId, Lease>,
    pub(crate) index: Index,
    pub(crate) next_lease: u64,
    /// The number for people of the job that was submitted last.
    pub(crate) last_number: u64,
    /// The clients that are connected and said who they are, and since when.
    pub(crate) clients: BTreeMap<ClientId, (ClientHello, u64)>,
    pub(crate) retry_records: BTreeMap<TaskKey, RetryRecord>,
    pub(crate) suspects: Suspects,
    /// Ready tasks without a worker.
    pub(crate) unplaced: Vec<TaskKey>,
    /// Whether some of those may find one: tasks became ready, or something ended, since they were looked at.
    pub(crate) may_place: bool,
    /// Barriers all of whose results exist.
    pub(crate) opening: Vec<TaskKey>,
    /// Tasks in workers' queues.
    pub(crate) n_ready: usize,
    /// Workers that may have room for more, to be looked at.
    pub(crate) to_fill: BTreeSet<WorkerId>,
    /// The one of those that is being given something.
    pub(crate) filling: Option<WorkerId>,
    /// Workers that have room and found nothing to do.
    pub(crate) idle: BTreeSet<WorkerId>,
    /// Jobs whose end may have come, or gone again.
    pub(crate) unsettled: BTreeSet<JobId>,
    /// Jobs whose clients are to be told of single results.
    pub(crate) untold: BTreeSet<JobId>,
    /// Jobs that are to fail.
    pub(crate) failing: Vec<(JobId, JobError)>,
    /// Memory of the largest worker that ever joined, bytes.
    pub(crate) memory_seen: u64,
    /// Memory of the smallest worker that there is, bytes.
    pub(crate) memory_least: u64,
    /// When the scheduler wants to be awake next, while anybody's term runs.
    pub(crate) beat_us: u64,
    /// Since when jobs wait without anybody who could do what is left of them.
    pub(crate) alone: BTreeMap<JobId, u64>,
    /// Jobs for whose root tasks nobody is there who has what they need.
    pub(crate) lacking: BTreeSet<JobId>,
    /// Roots for which workers have no memory left, and the bytes of their results.
    pub(crate) refused: Vec<(TaskKey, u64)>,
    /// Names of the workers that ended last, and why they did.
    pub(crate) ends: VecDeque<(String, String)>,
    /// Tasks that fail alone, were done and are to run again, and do not count among the readers of what they read yet.
    pub(crate) reviving: BTreeSet<TaskKey>,
    pub(crate) drops: Vec<(WorkerId, TaskKey)>,
    pub(crate) outbox: BTreeMap<WorkerId, Vec<Instruction>>,
    pub(crate) actions: Vec<Action>,
    /// Jobs of which nobody will be told again, once all is told that was said before.
    pub(crate) forgotten: Vec<JobId>,
    pub(crate) scratch: Scratch,
    /// Chunks whose readers are being told of them.
    pub(crate) publishing: BTreeMap<TaskKey, Publication>,
    /// Lost chunks whose readers are being told so.
    pub(crate) withdrawing: BTreeMap<TaskKey, Publication>,
    /// Jobs whose clients are being told where the outputs are.
    pub(crate) announcing: BTreeMap<JobId, Announcement>,
    /// Chunks that may still be looked at for that with this event.
    pub(crate) announce_left: u64,
    pub(crate) leftovers: Leftovers,
}

/// What is of no use any more: jobs that are gone, and what was known of the tasks of others. To drop it takes long for
/// large jobs, and can be done elsewhere.
#[derive(Default)]
pub struct Leftovers {
    pub(crate) jobs: Vec<Job>,
    pub(crate) retired: Vec<Retired>,
    pub(crate) ready: Vec<BTreeSet<ReadyKey>>,
}

impl Leftovers {
    /// Parts beyond which it is worth to drop them elsewhere.
    const MUCH: usize = 1024;

    fn is_much(&self) -> bool {
        let jobs = self.jobs.iter().map(|job| job.stages.len());
        let retired = self.retired.iter().map(Retired::n_parts);
        let ready = self.ready.iter().map(BTreeSet::len);
        jobs.chain(retired).chain(ready).sum::<usize>() > Self::MUCH
    }
}

/// Lists that are used again and again, so that the hot path allocates none.
#[derive(Default)]
pub(crate) struct Scratch {
    pub inputs: Vec<Vec<(usize, StageIdx, ChunkIdx)>>,
    pub consumers: Vec<Vec<(StageIdx, ChunkIdx)>>,
}

impl Scheduler {
    /// A scheduler without workers or jobs.
    #[must_use]
    pub fn new(limits: Limits) -> Scheduler {
        Scheduler {
            limits,
            now_us: 0,
            jobs: BTreeMap::new(),
            workers: BTreeMap::new(),
            leases: BTreeMap::new(),
            index: Index::default(),
            next_lease: 0,
            last_number: 0,
            clients: BTreeMap::new(),
            retry_records: BTreeMap::new(),
            suspects: Suspects::default(),
            unplaced: Vec::new(),
            may_place: false,
            opening: Vec::new(),
            n_ready: 0,
            to_fill: BTreeSet::new(),
            filling: None,
            idle: BTreeSet::new(),
            unsettled: BTreeSet::new(),
            untold: BTreeSet::new(),
            failing: Vec::new(),
            memory_seen: 0,
            memory_least: u64::MAX,
            beat_us: u64::MAX,
            alone: BTreeMap::new(),
            lacking: BTreeSet::new(),
            refused: Vec::new(),
            ends: VecDeque::new(),
            reviving: BTreeSet::new(),
            drops: Vec::new(),
            outbox: BTreeMap::new(),
            actions: Vec::new(),
            forgotten: Vec::new(),
            scratch: Scratch::default(),
            publishing: BTreeMap::new(),
            withdrawing: BTreeMap::new(),
            announcing: BTreeMap::new(),
            announce_left: 0,
            leftovers: Leftovers::default(),
        }
    }

    /// Takes one event and appends what is to be done, in order. Events about workers, jobs and clients that do
    /// not exist (any more) change nothing. The time of [`Event::Tick`] is that by which all that had come is handled.
    pub fn handle(&mut self, now_us: u64, event: Event, out: &mut Vec<Action>) {
        self.move_clock(now_us);
        self.leftovers = Leftovers::default();
        self.announce_left = self.limits.announce_max;
        self.may_place = true;
        // Whatever came before a tick was handled before it: only then it is known who said nothing.
        let judges = event == Event::Tick || self.limits.plays(Bug::JudgedUnheard);
        match event {
            Event::WorkerJoined { worker, hello } => self.join(worker, hello),
            Event::WorkerReported { worker, reports } => self.reported(worker, &reports),
            Event::WorkerLost { worker, why } => {
                let why = self.with_memory(worker, why);
                self.lose(worker, &why, Loss::Died);
            }
            Event::WorkerLeaving { worker } => self.leave(worker),
            Event::JobSubmitted { job, client, prepared } => self.submit(job, client, prepared),
            Event::JobReleased { job } => self.release_job(job),
            Event::ResultsLetGo { job, results } => self.let_go_of(job, &results),
            Event::JobCancelled { job, by } => self.cancel(job, by),
            Event::JobPublished { job } => self.publish_job(job),
            Event::JobUnpublished { job } => self.unpublish_job(job),
            Event::ClientJoined { client, hello } => {
                self.clients.insert(client, (hello, self.now_us));
            }
            Event::PutFailed { lease, task, why } => self.put_failed(lease, task, &why),
            Event::ClientLost { client } => self.client_lost(client),
            Event::Tick => {}
        }
        self.withdraw_some();
        self.publish_some();
        self.announce_some();
        if judges {
            self.find_silent(now_us);
        }
        self.come_to_rest();
        if self.find_alone(judges) {
            self.come_to_rest();
        }
        self.tell_of_singles();
        self.plan_beat();
        self.flush();
        out.append(&mut self.actions);
    }

    /// What the last event left behind, if it is much: to be dropped where nobody waits. The next event drops it
    /// otherwise.
    #[must_use]
    pub fn take_leftovers(&mut self) -> Option<Leftovers> {
        self.leftovers.is_much().then(|| std::mem::take(&mut self.leftovers))
    }

    /// When [`Event::Tick`] should come, whatever else comes before; what came before it is to be handled before it.
    #[must_use]
    pub fn next_wake_us(&self) -> Option<u64> {
        let beat = Some(self.beat_us).filter(|at| *at != u64::MAX);
        let more = self.has_more_to_tell().then_some(self.now_us);
        beat.into_iter().chain(more).min()
    }

    /// Whether something was cut into pieces that are to go on with the next event.
    pub(crate) fn has_more_to_tell(&self) -> bool {
        !self.withdrawing.is_empty() || !self.announcing.is_empty() || self.wants_to_publish()
    }

    /// Queues an instruction; chunks dropped before come first.
    pub(crate) fn tell(&mut self, worker: WorkerId, instruction: Instruction) {
        self.flush_drops();
        self.outbox.entry(worker).or_default().push(instruction);
    }

    pub(crate) fn update(&mut self, job: JobId, update: Update) {
        self.actions.push(Action::Update { job, update });
    }

    fn flush_drops(&mut self) {
        let mut drops = std::mem::take(&mut self.drops);
        drops.sort_unstable();
        for (worker, key) in drops.drain(..) {
            if !self.workers.contains_key(&worker) {
                continue;
            }
            let queue = self.outbox.entry(worker).or_default();
            match queue.last_mut() {
                Some(Instruction::Drop(r))
                    if (r.job, r.stage) == (key.job, key.stage) && r.chunks.end == key.chunk.0 =>
                {
                    r.chunks.end += 1;
                }
                _ => queue.push(Instruction::Drop(range_of(key))),
            }
        }
        self.drops = drops;
    }

    fn flush(&mut self) {
        self.flush_drops();
        while let Some((worker, instructions)) = self.outbox.pop_first() {
            if self.workers.contains_key(&worker) {
                self.actions.push(Action::Tell { worker, instructions });
            }
        }
        self.actions.extend(self.forgotten.drain(..).map(Action::Forget));
    }

    /// Where a task stands; finished with, where its job is gone.
    pub(crate) fn task(&self, key: TaskKey) -> TaskState {
        self.jobs.get(&key.job).map_or(TaskState::Released, |j| j.state(key.stage, key.chunk))
    }

    pub(crate) fn set(&mut self, key: TaskKey, to: TaskState) {
        if let Some(job) = self.jobs.get_mut(&key.job) {
            job.set(key.stage, key.chunk, to);
        }
        if !matches!(to, TaskState::Waiting { .. } | TaskState::Ready { .. } | TaskState::Leased { .. }) {
            self.suspects.clear(key);
        }
    }

    /// The chunk's name where it was really made.
    pub(crate) fn canonical(&self, key: TaskKey) -> TaskKey {
        let (job, stage) = self.jobs[&key.job].stage(key.stage).canonical;
        TaskKey { job, stage, ..key }
    }

    /// Who holds a chunk.
    pub(crate) fn holder(&self, key: TaskKey) -> Option<WorkerId> {
        self.task(self.canonical(key)).holder()
    }

    /// How long a task is expected to run, microseconds.
    pub(crate) fn est_us(&self, job: JobId, stage: StageIdx) -> u64 {
        match self.jobs[&job].stage(stage).mean_us {
            0 => self.limits.task_us_guess,
            us => us,
        }
    }

    /// Calls `f` with the inputs of a task.
    pub(crate) fn with_inputs<R>(
        &mut self,
        key: TaskKey,
        f: impl FnOnce(&mut Self, &[(usize, StageIdx, ChunkIdx)]) -> R,
    ) -> R {
        let mut inputs = self.scratch.inputs.pop().unwrap_or_default();
        inputs.clear();
        self.jobs[&key.job].plan.inputs_of(key.stage, key.chunk, &mut inputs);
        let result = f(self, &inputs);
        self.scratch.inputs.push(inputs);
        result
    }

    /// Calls `f` with the needed readers of a chunk.
    pub(crate) fn with_consumers<R>(
        &mut self,
        key: TaskKey,
        f: impl FnOnce(&mut Self, &[(StageIdx, ChunkIdx)]) -> R,
    ) -> R {
        let mut consumers = self.scratch.consumers.pop().unwrap_or_default();
        consumers.clear();
        let job = &self.jobs[&key.job];
        job.plan.consumers_of(key.stage, key.chunk, &mut consumers);
        if !self.limits.plays(Bug::UnneededReadersRun) {
            consumers.retain(|&(s, c)| job.needed(s, c));
        }
        let result = f(self, &consumers);
        self.scratch.consumers.push(consumers);
        result
    }
}

/// The range of one task.
pub(crate) fn range_of(key: TaskKey) -> TaskRange {
    TaskRange { job: key.job, stage: key.stage, chunks: key.chunk.0..key.chunk.0 + 1 }
}
