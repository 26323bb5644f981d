//! What a seed decides before the clock starts: workers, limits, jobs, and which faults will be played.
//!
//! Knows ranges of sizes. Must not know events.

use crate::faults::Fault;
use crate::programs::{self, Earlier};
use crate::reference::VALUE_BYTES_MAX;
use crate::rng::Rng;
use std::sync::Arc;
use tilework_client_core as client;
use tilework_plan::{ChunkIdx, InputMap, Origin, Plan, StageIdx};
use tilework_proto::replay;
use tilework_scheduler_core as scheduler;
use tilework_worker_core as worker;

/// How long clients try a worker that gives nothing, microseconds: less than they are stopped for, and longer than a
/// scheduler that is stopped now and then tells nobody who is gone.
const PATIENCE_US: u64 = 40_000_000;

/// A bug that is played on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Planted {
    /// In the scheduler.
    Scheduler(scheduler::Bug),
    /// In every worker.
    Worker(worker::Bug),
    /// In every client.
    Client(client::Bug),
    /// In both ends of every session.
    Line(replay::Bug),
}

impl Planted {
    /// Those in the scheduler.
    fn in_scheduler() -> Vec<Planted> {
        use scheduler::Bug as S;
        let s = [
            S::MissingNotRestored,
            S::ReleasedTooEarly,
            S::StaleReportAccepted,
            S::DuplicateReportCounted,
            S::LostOutputForgotten,
            S::ReturnedTasksLost,
            S::CreditLeaked,
            S::InputsNotResurrected,
            S::ReadyTasksStranded,
            S::StaleCopyKept,
            S::SilenceIgnored,
            S::RemadeOutputUnannounced,
            S::UnneededReadersRun,
            S::CancelledReadersLeft,
            S::PutFailureIgnored,
            S::GraceIgnored,
            S::WholeInputsCounted,
            S::PublicationForgotten,
            S::PauseTakenForSilence,
            S::JudgedUnheard,
            S::SilenceIsDeath,
            S::ReturnIsDeath,
            S::CutOffIgnored,
            S::MeasureForgotten,
            S::FailedReadersKept,
            S::FailureStaysInJob,
            S::RetriesForgotten,
            S::RetriesUncounted,
            S::TagsIgnored,
            S::LateResultPassedOn,
            S::LetGoKept,
            S::LetGoForgotten,
            S::AnnouncementGoesOn,
            S::LossUnheard,
            S::PutsFillTheQueue,
            S::PublicationIgnored,
            S::PublicationKept,
            S::BarrierStaysOpen,
            S::ReleasedWithFirstReader,
            S::HoldersNotToldAnew,
            S::OldHoldersTold,
            S::FirstOpenBlamed,
            S::PriorityIgnored,
            S::PriorityStaysInJob,
            S::ArrayAwaitsFailed,
        ];
        s.map(Planted::Scheduler).into()
    }

    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Planted> {
        use client::Bug as C;
        let c = [C::FailureAwaitsNews, C::DeadAwaited, C::PauseTakenForFailure];
        let l = [replay::Bug::OneForgotten, replay::Bug::ReceivedRepeated].map(Planted::Line);
        let s = Planted::in_scheduler().into_iter();
        let (w, c) = (of_workers().map(Planted::Worker), c.into_iter().map(Planted::Client));
        s.chain(w).chain(c).chain(l).collect()
    }
}

/// Those in workers.
fn of_workers() -> impl Iterator<Item = worker::Bug> {
    use worker::Bug as W;
    [
        W::RevokeLosesTasks,
        W::CacheFreedInUse,
        W::DropFreesInUse,
        W::CreditLeaked,
        W::FetchFailureSwallowed,
        W::PeerGoneIgnored,
        W::EarlyPutLost,
        W::StoppedChunkKept,
        W::MemoryIgnored,
        W::UnloadedInUse,
        W::LateSpillBelieved,
        W::SpillFailureForgotten,
        W::DamageSwallowed,
        W::WholeInputsCounted,
        W::OverrunIgnored,
        W::StuckIgnored,
        W::OwnLimitIgnored,
        W::DeclaredIgnored,
        W::NextBlockFetched,
        W::OldHolderKept,
        W::PriorityIgnored,
        W::OverweightForgotten,
    ]
    .into_iter()
}

/// A job to submit.
pub(crate) struct JobSetup {
    pub client: u64,
    pub plan: Arc<Plan>,
    /// When it is submitted.
    pub at_us: u64,
    /// When it is released whatever its state, if that was chosen.
    pub cancel_us: Option<u64>,
    /// When it is cancelled by another than its client, if that was chosen.
    pub operator_us: Option<u64>,
    /// How long its outputs are kept after they were read.
    pub hold_us: u64,
    /// A task that always fails.
    pub bad: Option<(StageIdx, ChunkIdx)>,
    /// A task that fails so many times before it does not.
    pub flaky: Option<(StageIdx, ChunkIdx, u32)>,
    /// A task that kills who runs it.
    pub deadly: Option<(StageIdx, ChunkIdx)>,
    /// A task that never ends.
    pub endless: Option<(StageIdx, ChunkIdx)>,
}

/// Everything that is fixed before the clock starts.
pub(crate) struct Setup {
    pub limits: scheduler::Limits,
    pub worker_limits: worker::Limits,
    pub client_limits: client::Limits,
    pub n_workers: u64,
    pub jobs: Vec<JobSetup>,
    /// Faults that may happen.
    pub faults: Vec<Fault>,
    /// Faults that happen at most.
    pub faults_max: u64,
    /// One event in so many is followed by a fault.
    pub fault_every: u64,
    /// Typical time of a message, microseconds.
    pub latency_us: u64,
    /// Typical time of a task, microseconds.
    pub task_us: u64,
    /// Bytes that the largest task needs.
    pub task_bytes_max: u64,
    /// Whether some workers may be too small for some tasks.
    pub uneven: bool,
    /// Whether nobody comes where nobody is left.
    pub deserted: bool,
    /// Whether some workers are of another program, and cannot call the jobs' functions.
    pub mixed: bool,
    /// Whether workers have disks.
    pub spilling: bool,
    /// Whether what clients put are the clients' own bytes.
    pub borrowing: bool,
    /// Whether clients let go of values one by one.
    pub letting_go: bool,
    /// A fault of sessions to play.
    pub line_bug: Option<replay::Bug>,
}

impl Setup {
    pub fn new(rng: &mut Rng, planted: Option<Planted>) -> Setup {
        let latency_us = *rng.pick(&[20, 200, 2000]);
        let task_us = *rng.pick(&[20, 500, 5000, 30_000]);
        let jobs = jobs(rng, task_us);
        let task_bytes = |p: &Arc<Plan>| largest_task(p);
        let task_bytes_max = jobs.iter().map(|j| task_bytes(&j.plan)).max().unwrap_or(1).max(1);
        let faulty = !rng.one_in(4);
        let all = [
            Fault::Killed,
            Fault::KilledSilently,
            Fault::Cut,
            Fault::Broken,
            Fault::Partitioned,
            Fault::Joined,
            Fault::NameTaken,
            Fault::Left,
            Fault::Duplicated,
            Fault::FetchFailed,
            Fault::TaskFailedOnWorker,
            Fault::PutFailed,
            Fault::ReadFailed,
            Fault::SpillFailed,
            Fault::LoadFailed,
            Fault::Damaged,
            Fault::SchedulerStopped,
            Fault::SchedulerSlow,
            Fault::WorkerStopped,
            Fault::Overweight,
            Fault::AllStopped,
            Fault::ClientsStopped,
            Fault::NoWay,
        ];
        let faults = all.into_iter().filter(|_| faulty && rng.one_in(2)).collect();
        Setup {
            limits: scheduler_limits(rng, planted),
            worker_limits: worker_limits(rng, planted),
            client_limits: client_limits(rng, planted),
            n_workers: rng.within(0, 4),
            jobs,
            faults,
            faults_max: rng.within(1, 8),
            fault_every: *rng.pick(&[8, 25, 60]),
            latency_us,
            task_us,
            task_bytes_max,
            uneven: rng.one_in(12),
            deserted: rng.one_in(50),
            mixed: rng.one_in(6),
            spilling: rng.one_in(2),
            borrowing: rng.one_in(4),
            letting_go: rng.one_in(2),
            line_bug: match planted {
                Some(Planted::Line(bug)) => Some(bug),
                _ => None,
            },
        }
    }

    /// Bytes that a new worker may write to its disk.
    pub fn spill_bytes(&self, rng: &mut Rng) -> u64 {
        match rng.below(4) {
            _ if !self.spilling => 0,
            0 => 0,
            1 => self.task_bytes_max * rng.within(1, 4),
            _ => self.task_bytes_max * 10_000,
        }
    }

    /// Memory of a new worker.
    pub fn memory_bytes(&self, rng: &mut Rng) -> u64 {
        if self.uneven && rng.one_in(2) {
            return rng.within(1, self.task_bytes_max);
        }
        match rng.below(4) {
            0 => self.task_bytes_max,
            1 => self.task_bytes_max * rng.within(1, 4),
            _ => self.task_bytes_max * 100,
        }
    }
}

fn jobs(rng: &mut Rng, task_us: u64) -> Vec<JobSetup> {
    let mut jobs: Vec<JobSetup> = Vec::new();
    let mut earlier: Vec<Earlier> = Vec::new();
    let mut at_us = 0;
    for id in 0..*rng.pick(&[1, 1, 1, 2, 2, 3]) {
        let lowered = programs::random(rng, &earlier);
        let plan = lowered.plan.clone();
        for (output, &stage) in plan.outputs.iter().enumerate() {
            let s = plan.stage(stage);
            let (grid, dtype) = (s.out_grid.clone(), lowered.dtype(stage));
            let has_values = s.is_measured();
            earlier.push(Earlier { job: id, output: output as u32, grid, dtype, has_values });
        }
        let any = |rng: &mut Rng| {
            let own = plan.stages.iter().enumerate();
            let own: Vec<_> = own.filter(|(_, s)| !s.stands_for_others() && !s.is_upload()).collect();
            let (i, s) = own.get(rng.below(own.len() as u64) as usize)?;
            Some((StageIdx(*i as u32), ChunkIdx(rng.below(s.grid.n_chunks()))))
        };
        let alone = |rng: &mut Rng| {
            let all = plan.stages.iter().enumerate();
            let all: Vec<_> = all.filter(|(_, s)| s.fails_alone && s.origin == Origin::Computed).collect();
            let (i, s) = all.get(rng.below(all.len() as u64) as usize)?;
            Some((StageIdx(*i as u32), ChunkIdx(rng.below(s.grid.n_chunks()))))
        };
        jobs.push(JobSetup {
            client: if rng.one_in(2) { 0 } else { id + 1 },
            at_us,
            cancel_us: rng.one_in(12).then(|| at_us + rng.below(task_us * 40)),
            operator_us: rng.one_in(16).then(|| at_us + rng.below(task_us * 60)),
            hold_us: if rng.one_in(2) { rng.below(task_us * 10) } else { rng.below(task_us * 200) },
            bad: if rng.one_in(20) { any(rng) } else { None },
            flaky: if rng.one_in(6) {
                alone(rng).map(|(s, c)| (s, c, rng.within(1, 3) as u32))
            } else {
                None
            },
            deadly: if rng.one_in(30) { any(rng) } else { None },
            endless: if rng.one_in(30) { any(rng) } else { None },
            plan,
        });
        at_us += rng.below(task_us * 30);
    }
    jobs
}

fn largest_task(plan: &Plan) -> u64 {
    let stages = (0..plan.stages.len()).map(|i| StageIdx(i as u32));
    let tasks = stages.flat_map(|s| (0..plan.n_tasks(s)).map(move |c| (s, ChunkIdx(c))));
    // Values, and blocks of them, may have more than what they are taken to have: a value up to this much, and a block up to
    // twice what its value's have on the average. Blocks are charged once more for what they say.
    let blocks = |s: StageIdx| {
        let read = plan.stage(s).inputs.iter().filter(|input| input.map == InputMap::Blocks);
        let bytes = |of: StageIdx| plan.block_share(s, plan.n_tasks(of) * VALUE_BYTES_MAX);
        read.map(|input| 3 * bytes(plan.behind(input.stage))).sum::<u64>()
    };
    let values = |s: StageIdx, c: ChunkIdx| {
        let mut inputs = Vec::new();
        plan.inputs_of(s, c, &mut inputs);
        let measured = inputs.iter().filter(|(_, from, _)| plan.stage(*from).is_measured());
        measured.count() as u64 * VALUE_BYTES_MAX
    };
    tasks.map(|(s, c)| plan.task_bytes(s, c) + blocks(s) + values(s, c)).max().unwrap_or(0)
}

fn scheduler_limits(rng: &mut Rng, planted: Option<Planted>) -> scheduler::Limits {
    let limits = scheduler::Limits {
        outstanding_max: *rng.pick(&[4, 16, 4096]),
        ready_max: *rng.pick(&[16, 32, 4096]),
        queue_us: *rng.pick(&[100, 5000, 75_000]),
        steal_us_min: *rng.pick(&[0, 0, 1000, 10_000]),
        unreachable_max: *rng.pick(&[1, 3]),
        deaths_max: *rng.pick(&[1, 2, 2, 3]),
        root_memory_percent: *rng.pick(&[20, 60]),
        publish_max: *rng.pick(&[1, 1, 2, 3, 20, 5_000]),
        planted: match planted {
            Some(Planted::Scheduler(bug)) => Some(bug),
            _ => None,
        },
        ..scheduler::Limits::default()
    };
    // As small pieces of the one as of the other.
    scheduler::Limits { announce_max: limits.publish_max, ..limits }
}

fn worker_limits(rng: &mut Rng, planted: Option<Planted>) -> worker::Limits {
    worker::Limits {
        fetches_max: *rng.pick(&[1, 2, 32]),
        batch_max: *rng.pick(&[1, 8, 1024]),
        backlog_per_thread: *rng.pick(&[1, 4, 64]),
        spill_bytes_min: *rng.pick(&[1, 100]),
        spill_pause_us: *rng.pick(&[1000, 5_000_000]),
        task_us_max: Some(15_000_000),
        stop_us_max: Some(5_000_000),
        planted: match planted {
            Some(Planted::Worker(bug)) => Some(bug),
            _ => None,
        },
        ..worker::Limits::new(1, 1)
    }
}

fn client_limits(rng: &mut Rng, planted: Option<Planted>) -> client::Limits {
    client::Limits {
        gets_max: *rng.pick(&[1, 4, 32]),
        gets_per_worker_max: *rng.pick(&[1, 2, 8]),
        patience_us: PATIENCE_US,
        planted: match planted {
            Some(Planted::Client(bug)) => Some(bug),
            _ => None,
        },
        ..client::Limits::default()
    }
}
