//! What a run will take, found by running the scheduler's and the workers' state machines on a virtual clock, with
//! workers that only count.
//!
//! Owns the clock and the order of events. Must not decide anything that the state machines decide.

use super::Forecast;
use crate::session::WorkerSize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;
use tilework_expr::{Lowered, Node, NodeIdx, Op, Program, Values};
use tilework_plan::{
    ClientId, Figures, Hello, Instruction, JobError, JobId, LeaseId, Part, Plan, Report, TaskKey, Update,
    WorkerId, region_len,
};
use tilework_scheduler_core::{self as scheduler, Scheduler};
use tilework_worker_core::{self as worker, FetchId, SpillId, Worker};

/// Tasks of a plan up to which it is played; a million take about three seconds.
pub(super) const TASKS_MAX: u64 = 1_000_000;
/// Bytes that a task reads and makes in a microsecond.
const TASK_BYTES_PER_US: u64 = 4000;
/// Bytes that a worker fetches in a microsecond.
const FETCH_BYTES_PER_US: u64 = 1000;
/// Bytes that a worker writes to its disk in a microsecond.
const SPILL_BYTES_PER_US: u64 = 500;
/// Events for each task by which a run must have ended.
pub(super) const EVENTS_PER_TASK_MAX: u64 = 100;

/// The job that stands for everything that is held already.
const BEFORE: JobId = JobId(0);
/// The job that is looked at.
const JOB: JobId = JobId(1);

/// Something that will happen.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Ev {
    Ends { node: usize, lease: LeaseId, task: TaskKey, busy_us: u64 },
    Fetched { node: usize, fetch: FetchId, bytes: u64 },
    Spilled { node: usize, spill: SpillId, key: TaskKey },
    Tick { node: usize },
}

/// A worker that only counts.
struct Counting {
    core: Worker,
    threads: u32,
    running: u32,
    /// Tasks that wait for a thread.
    runs: VecDeque<(LeaseId, TaskKey)>,
    tick_at_us: u64,
}

/// What is on its way without taking time.
enum Message {
    ToScheduler(scheduler::Event),
    ToWorker(usize, worker::Event),
}

struct Run {
    now_us: u64,
    seq: u64,
    /// What will happen, with its time; of one time, what was planned first.
    heap: BinaryHeap<Reverse<(u64, u64, Ev)>>,
    scheduler: Scheduler,
    nodes: Vec<Counting>,
    plans: BTreeMap<JobId, Arc<Plan>>,
    messages: VecDeque<Message>,
    /// What became of the jobs.
    ended: BTreeMap<JobId, Result<Figures, JobError>>,
    n_events: u64,
}

/// What running a program on such workers takes.
pub(super) fn forecast(program: &Program, workers: &[WorkerSize], events_per_task_max: u64) -> Forecast {
    let (before, program) = with_stand_ins(program);
    let (of_before, of_program) = match (Lowered::of(&before), Lowered::of(&program)) {
        (Ok(before), Ok(program)) => (before.plan, program.plan),
        (Err(error), _) | (_, Err(error)) => {
            return Forecast::Fails(JobError::Program(error.to_string()).to_string());
        }
    };
    let plans = BTreeMap::from([(BEFORE, of_before), (JOB, of_program)]);
    let n_tasks: u64 = plans.values().map(|p| p.n_tasks_needed()).fold(0, u64::saturating_add);
    if workers.is_empty() {
        return Forecast::NoWorkers;
    }
    if n_tasks > TASKS_MAX {
        return Forecast::TooManyTasks;
    }
    let limits = scheduler::Limits { silence_max_us: None, ..scheduler::Limits::default() };
    let mut run = Run {
        now_us: 0,
        seq: 0,
        heap: BinaryHeap::new(),
        scheduler: Scheduler::new(limits),
        nodes: Vec::with_capacity(workers.len()),
        plans,
        messages: VecDeque::new(),
        ended: BTreeMap::new(),
        n_events: 0,
    };
    workers.iter().for_each(|w| run.join(w));
    let events_max = (n_tasks + 100) * events_per_task_max;
    if !before.outputs.is_empty() {
        run.submit(BEFORE);
        run.until(BEFORE, events_max);
    }
    run.submit(JOB);
    run.until(JOB, events_max);
    match run.ended.remove(&JOB) {
        Some(Ok(figures)) => Forecast::Figures(figures),
        Some(Err(why)) => Forecast::Fails(why.to_string()),
        None => Forecast::Endless(run.n_events),
    }
}

/// A program that makes as many chunks as are held already, and the program with those in their place.
fn with_stand_ins(program: &Program) -> (Program, Program) {
    let mut before = Program::default();
    let mut program = program.clone();
    let mut known: Vec<(u64, u32)> = Vec::new();
    for node in &mut program.nodes {
        let (Op::Held { job, output } | Op::Values(Values::Job { job, output })) = node.op else { continue };
        let at = known.iter().position(|k| *k == (job, output)).unwrap_or_else(|| {
            known.push((job, output));
            before.outputs.push(NodeIdx(before.nodes.len() as u32));
            before.nodes.push(stand_in(known.len(), node));
            known.len() - 1
        });
        let (job, output) = (BEFORE.0, at as u32);
        node.op = match node.op {
            Op::Held { .. } => Op::Held { job, output },
            _ => Op::Values(Values::Job { job, output }),
        };
    }
    (before, program)
}

/// A source of as many chunks, unlike any other.
fn stand_in(n: usize, node: &Node) -> Node {
    let id = u64::MAX - n as u64;
    let op = match node.op {
        Op::Held { .. } => Op::Literal { id },
        _ => Op::Values(Values::Client { id }),
    };
    Node { op, inputs: Vec::new(), grid: node.grid.clone(), dtype: node.dtype }
}

impl Run {
    fn join(&mut self, size: &WorkerSize) {
        let n = self.nodes.len();
        let hello = Hello {
            name: n.to_string(),
            incarnation: n as u64,
            threads: size.threads,
            memory_bytes: size.memory_bytes,
            spill_bytes: size.spill_bytes,
            addresses: Vec::new(),
            build: None,
            tags: tilework_plan::Tags::new(),
        };
        self.nodes.push(Counting {
            core: Worker::new(worker::Limits {
                spill_bytes: size.spill_bytes,
                ..worker::Limits::new(size.threads, size.memory_bytes)
            }),
            threads: size.threads,
            running: 0,
            runs: VecDeque::new(),
            tick_at_us: u64::MAX,
        });
        let joined = scheduler::Event::WorkerJoined { worker: WorkerId(n as u32), hello };
        self.messages.push_back(Message::ToScheduler(joined));
        self.deliver();
    }

    fn submit(&mut self, job: JobId) {
        let prepared = scheduler::Prepared::of(job, self.plans[&job].clone());
        let submitted = scheduler::Event::JobSubmitted { job, client: ClientId(0), prepared };
        self.messages.push_back(Message::ToScheduler(submitted));
        self.deliver();
    }

    /// Lets time pass until a job has ended.
    fn until(&mut self, job: JobId, events_max: u64) {
        while !self.ended.contains_key(&job) && self.n_events < events_max {
            let Some(Reverse((at, _, ev))) = self.heap.pop() else { return };
            self.now_us = at;
            self.n_events += 1;
            match ev {
                Ev::Ends { node, lease, task, busy_us } => {
                    self.nodes[node].running -= 1;
                    let bytes = self.plans[&task.job].out_bytes(task.stage, task.chunk);
                    let finished = worker::Event::Finished { lease, task, result: Ok(bytes), busy_us };
                    self.messages.push_back(Message::ToWorker(node, finished));
                }
                Ev::Fetched { node, fetch, bytes } => {
                    let fetched = worker::Event::Fetched { fetch, bytes };
                    self.messages.push_back(Message::ToWorker(node, fetched));
                }
                Ev::Spilled { node, spill, key } => {
                    let spilled = worker::Event::Spilled { spill, key, result: Ok(()) };
                    self.messages.push_back(Message::ToWorker(node, spilled));
                }
                // An earlier one took its place.
                Ev::Tick { node } if at != self.nodes[node].tick_at_us => {}
                Ev::Tick { node } => {
                    self.nodes[node].tick_at_us = u64::MAX;
                    self.messages.push_back(Message::ToWorker(node, worker::Event::Tick));
                }
            }
            self.deliver();
        }
    }

    fn at(&mut self, at_us: u64, ev: Ev) {
        self.seq += 1;
        self.heap.push(Reverse((at_us, self.seq, ev)));
    }

    /// Hands over messages until none is left.
    fn deliver(&mut self) {
        loop {
            let more = || self.scheduler.next_wake_us().filter(|at| *at <= self.now_us);
            let tick = || more().map(|_| Message::ToScheduler(scheduler::Event::Tick));
            let Some(message) = self.messages.pop_front().or_else(tick) else { return };
            match message {
                Message::ToScheduler(event) => {
                    let mut actions = Vec::new();
                    self.scheduler.handle(self.now_us, event, &mut actions);
                    actions.into_iter().for_each(|a| self.scheduler_asks(a));
                }
                Message::ToWorker(node, event) => {
                    let mut actions = Vec::new();
                    self.nodes[node].core.handle(self.now_us, event, &mut actions);
                    actions.into_iter().for_each(|a| self.worker_asks(node, a));
                    self.begin(node);
                    self.plan_tick(node);
                }
            }
        }
    }

    fn scheduler_asks(&mut self, action: scheduler::Action) {
        match action {
            scheduler::Action::Tell { worker, instructions } => {
                for job in instructions.iter().filter_map(Instruction::defines) {
                    let planned = worker::Planned::of(self.plans[&job].clone());
                    let planned = worker::Event::Planned { job, planned };
                    self.messages.push_back(Message::ToWorker(worker.0 as usize, planned));
                }
                let told = worker::Event::Told(instructions);
                self.messages.push_back(Message::ToWorker(worker.0 as usize, told));
            }
            scheduler::Action::Update { update: Update::Upload { lease, tasks, worker, .. }, .. } => {
                for key in tasks.keys() {
                    let bytes = self.plans[&key.job].out_bytes(key.stage, key.chunk);
                    let put = worker::Event::Put { lease, key, bytes, borrowed: false };
                    self.messages.push_back(Message::ToWorker(worker.0 as usize, put));
                }
            }
            scheduler::Action::Update { job, update: Update::Done { figures, .. } } => {
                self.ended.insert(job, Ok(figures));
            }
            scheduler::Action::Update { job, update: Update::Failed(error) } => {
                self.ended.insert(job, Err(error));
            }
            scheduler::Action::Update {
                update:
                    Update::Progress { .. }
                    | Update::Lost { .. }
                    | Update::ChunksLost { .. }
                    | Update::Made { .. }
                    | Update::TasksFailed { .. },
                ..
            }
            | scheduler::Action::Disconnect { .. }
            | scheduler::Action::Refuse { .. }
            | scheduler::Action::Unpublished { .. }
            | scheduler::Action::Forget(_)
            | scheduler::Action::Began { .. }
            | scheduler::Action::Ended { .. } => {}
        }
    }

    fn worker_asks(&mut self, node: usize, action: worker::Action) {
        match action {
            worker::Action::Fetch { fetch, key, part, .. } => {
                let plan = &self.plans[&key.job];
                let bytes = match part {
                    Some(Part::Box(r)) => region_len(&r) as u64 * plan.stage(key.stage).element_bytes as u64,
                    Some(Part::Block(_)) => {
                        let readers =
                            plan.barrier_of(key.stage).map_or(1, |barrier| plan.readers_max(barrier));
                        plan.out_bytes(key.stage, key.chunk).div_ceil(readers.max(1))
                    }
                    None => plan.out_bytes(key.stage, key.chunk),
                };
                self.at(self.now_us + bytes / FETCH_BYTES_PER_US + 1, Ev::Fetched { node, fetch, bytes });
            }
            worker::Action::Spill { spill, key } => {
                let bytes = self.plans[&key.job].out_bytes(key.stage, key.chunk);
                self.at(self.now_us + bytes / SPILL_BYTES_PER_US + 1, Ev::Spilled { node, spill, key });
            }
            worker::Action::Run { lease, task, .. } => self.nodes[node].runs.push_back((lease, task)),
            worker::Action::Report(reports) => {
                let busy = |r: &Report| !matches!(r, Report::Alive { .. });
                if reports.iter().any(busy) {
                    let worker = WorkerId(node as u32);
                    let event = scheduler::Event::WorkerReported { worker, reports };
                    self.messages.push_back(Message::ToScheduler(event));
                }
            }
            // Nothing is stopped here, no chunk has bytes to free, and all tasks end.
            worker::Action::Stop(_)
            | worker::Action::Free(_)
            | worker::Action::Unload(_)
            | worker::Action::Replace(_) => {}
        }
    }

    /// Gives threads to the tasks that are first.
    fn begin(&mut self, node: usize) {
        while self.nodes[node].running < self.nodes[node].threads {
            let Some((lease, task)) = self.nodes[node].runs.pop_front() else { return };
            self.nodes[node].running += 1;
            let bytes = self.plans[&task.job].task_bytes(task.stage, task.chunk);
            let busy_us = bytes / TASK_BYTES_PER_US + 1;
            self.at(self.now_us + busy_us, Ev::Ends { node, lease, task, busy_us });
        }
    }

    fn plan_tick(&mut self, node: usize) {
        let n = &mut self.nodes[node];
        let wake = n.core.next_wake_us().map(|at| at.max(self.now_us));
        let Some(at) = wake.filter(|at| *at < n.tick_at_us) else { return };
        n.tick_at_us = at;
        self.at(at, Ev::Tick { node });
    }
}
