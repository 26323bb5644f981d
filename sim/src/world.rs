//! The virtual clock, the messages under way, and what happens to them.
//!
//! Knows drivers' duties. Must not know the cores' insides.

use crate::client::ClientJob;
use crate::faults::{Fault, FaultCounts};
use crate::lines::{FromWorker, Line, LineId, Stamp, ToClient};
use crate::node::{Conn, Node};
use crate::pauses::Process;
use crate::programs::TAG;
use crate::reference::Reference;
use crate::rng::Rng;
use crate::setup::{Planted, Setup};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;
use tilework_client_core as client;
use tilework_client_core::GetId;
use tilework_plan::{
    Hello, Instruction, JobId, LeaseId, Part, Report, StageIdx, TaskKey, TaskRange, Update, WorkerId,
};
use tilework_scheduler_core as scheduler;
use tilework_scheduler_core::Scheduler;
use tilework_worker_core as worker;
use tilework_worker_core::{FetchId, SpillId, Whence, Worker};

/// Virtual time by which every job must have ended, microseconds.
const DEADLINE_US: u64 = 600_000_000;

/// Who cancels jobs that are not theirs.
pub(crate) const OPERATOR: &str = "the operator";

/// Events by which every run must have ended.
const EVENTS_MAX: u64 = 100_000;

/// Something that will happen.
#[derive(Clone, Debug)]
pub(crate) enum Ev {
    Scheduler(scheduler::Event),
    FromWorker {
        conn: WorkerId,
        stamp: Stamp,
        reports: Vec<Report>,
        /// Results that travel beside them.
        inlined: BTreeMap<TaskKey, u64>,
    },
    ToWorker {
        conn: WorkerId,
        stamp: Stamp,
        instructions: Vec<Instruction>,
    },
    CloseWorker {
        conn: WorkerId,
    },
    Connect {
        node: usize,
        incarnation: u64,
    },
    TaskEnds {
        node: usize,
        incarnation: u64,
        run: u64,
    },
    FetchEnds {
        node: usize,
        incarnation: u64,
        fetch: FetchId,
        from: Whence,
        key: TaskKey,
        part: Option<Part>,
    },
    SpillEnds {
        node: usize,
        incarnation: u64,
        spill: SpillId,
        key: TaskKey,
    },
    Put {
        lease: LeaseId,
        key: TaskKey,
        worker: WorkerId,
        attempt: u32,
    },
    Submit(JobId),
    FromClient {
        stamp: Stamp,
        event: scheduler::Event,
    },
    ClientHears {
        stamp: Stamp,
        job: JobId,
        update: Update,
        /// Results that travel beside it.
        inlined: BTreeMap<TaskKey, u64>,
    },
    ClientLetsGo {
        job: JobId,
    },
    ReadEnds {
        job: JobId,
        get: GetId,
        from: WorkerId,
        key: TaskKey,
    },
    TickClient {
        job: JobId,
    },
    ClientReleases {
        job: JobId,
        n_done: Option<u64>,
    },
    /// What a job made was published, and is to be so no more once all that may read it was submitted.
    Unpublish(JobId),
    TickScheduler,
    TickWorker {
        node: usize,
    },
    /// The scheduler goes on with what waits for it.
    SchedulerWakes,
    /// What came over a connection is known of where it was sent.
    Acknowledged {
        line: LineId,
        way: u64,
        is_up: bool,
        count: u64,
    },
    /// There is another connection after one that broke.
    Resumed {
        line: LineId,
    },
    /// A worker's process has no more memory than it may have.
    Lighter {
        node: usize,
        incarnation: u64,
    },
    /// The end of a process that another one replaces.
    Replaced {
        node: usize,
        incarnation: u64,
    },
}

impl Ev {
    fn is_tick(&self) -> bool {
        matches!(self, Ev::TickScheduler | Ev::TickWorker { .. } | Ev::TickClient { .. })
    }

    /// Whether chunks may come or go by it.
    fn is_moving(&self) -> bool {
        let others = matches!(
            self,
            Ev::Submit(_)
                | Ev::ReadEnds { .. }
                | Ev::ClientLetsGo { .. }
                | Ev::ClientReleases { .. }
                | Ev::Unpublish(_)
                | Ev::Acknowledged { .. }
        );
        !self.is_tick() && !others && !matches!(self, Ev::SchedulerWakes)
    }
}

/// What came of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Events that the cores handled.
    pub events: u64,
    /// Tasks that were run.
    pub tasks: u64,
    /// Times that workers' chunks were compared with what the scheduler thinks they hold.
    pub compared: u64,
    /// Faults played.
    pub faults: FaultCounts,
}

/// Everything.
pub(crate) struct World {
    pub rng: Rng,
    pub setup: Setup,
    pub now_us: u64,
    pub heap: BinaryHeap<Reverse<(u64, u64)>>,
    pub pending: BTreeMap<u64, Ev>,
    pub seq: u64,
    /// Events under way that are not mere ticks.
    pub n_real: u64,
    /// Of those, the ones that are messages, tasks or transfers.
    pub n_moving: u64,
    pub scheduler: Scheduler,
    pub process: Process,
    /// The clients are stopped until then.
    pub clients_until_us: u64,
    /// Time for which processes were stopped, one after another, microseconds.
    pub stopped_us: u64,
    /// Nodes without a way from the first to the second.
    pub no_way: BTreeSet<(usize, usize)>,
    pub tick_at_us: u64,
    pub nodes: Vec<Node>,
    pub conns: BTreeMap<WorkerId, Conn>,
    /// The clients' connection.
    pub clients: Line<scheduler::Event, ToClient>,
    /// Jobs of which nobody is to be told again.
    pub(crate) forgotten: BTreeSet<JobId>,
    pub jobs: Vec<ClientJob>,
    pub reference: Reference,
    pub counts: FaultCounts,
    pub client_us: u64,
    pub n_ids: u64,
    pub n_faults: u64,
    /// Workers that died or were cut off.
    pub n_losses: u64,
    /// The most of them that were dead at once, and may have died of a task.
    pub dead_most: u64,
    /// Of those, the ones that a task killed.
    pub n_killed_by_task: u64,
    pub events: u64,
    pub tasks: u64,
    pub n_compared: u64,
    /// How often tasks of each stage were run.
    pub n_runs: BTreeMap<(JobId, StageIdx), u64>,
    /// Of how many results, that blocks are read of, each worker was told who has them.
    pub n_told: BTreeMap<(WorkerId, JobId, StageIdx), u64>,
    pub trace: bool,
}

/// Plays a seed to its end.
///
/// # Panics
/// If an invariant of a core does not hold, a result is wrong, a job does not end, or something is left behind.
#[must_use]
pub fn run(seed: u64, planted: Option<Planted>, trace: bool) -> Outcome {
    let mut world = World::new(seed, planted, trace);
    world.play();
    world.finish();
    Outcome { events: world.events, tasks: world.tasks, compared: world.n_compared, faults: world.counts }
}

impl World {
    fn new(seed: u64, planted: Option<Planted>, trace: bool) -> World {
        let mut rng = Rng::new(seed);
        let mut setup = Setup::new(&mut rng, planted);
        let line_bug = setup.line_bug;
        let jobs = std::mem::take(&mut setup.jobs).into_iter().map(ClientJob::new).collect();
        let mut world = World {
            scheduler: Scheduler::new(setup.limits.clone()),
            rng,
            setup,
            now_us: 0,
            heap: BinaryHeap::new(),
            pending: BTreeMap::new(),
            seq: 0,
            n_real: 0,
            n_moving: 0,
            process: Process::default(),
            clients_until_us: 0,
            stopped_us: 0,
            no_way: BTreeSet::new(),
            tick_at_us: u64::MAX,
            nodes: Vec::new(),
            conns: BTreeMap::new(),
            clients: Line::planted(line_bug),
            forgotten: BTreeSet::new(),
            jobs,
            reference: Reference::default(),
            counts: FaultCounts::default(),
            client_us: 0,
            n_ids: 0,
            n_faults: 0,
            n_losses: 0,
            dead_most: 0,
            n_killed_by_task: 0,
            events: 0,
            tasks: 0,
            n_compared: 0,
            n_runs: BTreeMap::new(),
            n_told: BTreeMap::new(),
            trace,
        };
        for _ in 0..world.setup.n_workers {
            let at = world.rng.below(2000);
            world.add_worker(at, false);
        }
        if (world.setup.n_workers == 0 || world.setup.uneven) && !world.setup.deserted {
            // Nobody, or nobody large enough, at first.
            let at = world.rng.below(200_000);
            world.add_worker(at, true);
        }
        for (i, job) in world
            .jobs
            .iter()
            .enumerate()
            .map(|(i, j)| (i, (j.setup.at_us, j.setup.cancel_us, j.setup.operator_us)))
            .collect::<Vec<_>>()
        {
            world.at(job.0 + 500, Ev::Submit(JobId(i as u64)));
            if let Some(at) = job.2 {
                let cancelled =
                    scheduler::Event::JobCancelled { job: JobId(i as u64), by: OPERATOR.to_owned() };
                world.at(at + 500, Ev::Scheduler(cancelled));
            }
            if let Some(at) = job.1 {
                world.at(at + 500, Ev::ClientReleases { job: JobId(i as u64), n_done: None });
            }
        }
        world
    }

    pub(crate) fn at(&mut self, at_us: u64, ev: Ev) {
        self.seq += 1;
        self.count(&ev, 1);
        self.heap.push(Reverse((at_us.max(self.now_us), self.seq)));
        self.pending.insert(self.seq, ev);
    }

    /// More, or less, of what is under way.
    pub(crate) fn count(&mut self, ev: &Ev, more: i64) {
        let add = |n: u64, counts: bool| n.checked_add_signed(if counts { more } else { 0 });
        self.n_real = add(self.n_real, !ev.is_tick()).expect("what ends was under way");
        self.n_moving = add(self.n_moving, ev.is_moving()).expect("what ends was under way");
    }

    pub(crate) fn id(&mut self) -> u64 {
        self.n_ids += 1;
        self.n_ids
    }

    /// A new process that will connect.
    pub(crate) fn add_worker(&mut self, at_us: u64, large: bool) -> usize {
        let threads = self.rng.within(1, 3) as u32;
        let memory_bytes =
            if large { self.setup.task_bytes_max * 100 } else { self.setup.memory_bytes(&mut self.rng) };
        let spill_bytes = self.setup.spill_bytes(&mut self.rng);
        let limits =
            worker::Limits { threads, memory_bytes, spill_bytes, ..self.setup.worker_limits.clone() };
        let incarnation = self.rng.next();
        let foreign = !large && self.setup.mixed && incarnation.is_multiple_of(3);
        let tagged = large || self.rng.one_in(2);
        self.nodes.push(Node {
            name: format!("w{}", self.nodes.len()),
            incarnation,
            threads,
            memory_bytes,
            spill_bytes,
            build: foreign.then(|| "another program".to_owned()),
            tags: [TAG].into_iter().filter(|_| tagged).map(Arc::from).collect(),
            core: Worker::new(limits),
            store: BTreeMap::new(),
            parts: BTreeMap::new(),
            disk: BTreeMap::new(),
            damaged: std::collections::BTreeSet::new(),
            writing: BTreeMap::new(),
            runs: VecDeque::new(),
            conn: None,
            alive: true,
            leaving: false,
            tick_at_us: u64::MAX,
            until_us: 0,
            is_overweight: false,
            was_stopped: false,
            some_take_long: false,
            replaced: false,
            was_cut: false,
        });
        let node = self.nodes.len() - 1;
        self.at(at_us, Ev::Connect { node, incarnation });
        node
    }

    fn play(&mut self) {
        while let Some(Reverse((at_us, seq))) = self.heap.pop() {
            let ev = self.pending.remove(&seq).expect("every entry has its event");
            let tick = ev.is_tick();
            self.count(&ev, -1);
            let over = self.jobs.iter().all(|j| j.submitted && j.is_over());
            if over && tick && self.n_real == 0 && !self.somebody_runs() {
                return;
            }
            self.now_us = at_us;
            assert!(self.seq < EVENTS_MAX, "the cluster does not come to rest");
            assert!(at_us < DEADLINE_US, "a job does not end: {:?}", self.scheduler.state(at_us).jobs);
            if self.trace {
                eprintln!("{at_us:>10} {ev:?}");
            }
            if let Some(until) = self.stopped_until(&ev) {
                if let Ev::CloseWorker { conn } = ev {
                    // The other end is closed all the same.
                    self.conns.get_mut(&conn).expect("a connection is known").open = false;
                }
                self.at(until, ev);
                continue;
            }
            self.happen(ev);
            if !tick && !over && !self.setup.faults.is_empty() && self.n_faults < self.setup.faults_max {
                let every = self.setup.fault_every;
                if self.rng.one_in(every) {
                    self.fault();
                }
            }
            self.keep_one_worker();
        }
    }

    /// Whether a worker has tasks that it could be told to stop.
    fn somebody_runs(&self) -> bool {
        self.nodes.iter().any(|n| n.alive && n.conn.is_some() && !self.deaf(n) && !n.runs.is_empty())
    }

    /// What came to the scheduler at `came_us` is handled now.
    pub(crate) fn handle_for_scheduler(&mut self, came_us: u64, ev: Ev) {
        match ev {
            Ev::Scheduler(event) => self.scheduler_handles(self.now_us, event, None),
            Ev::FromClient { stamp, event } => self.client_said(stamp, event),
            Ev::FromWorker { conn, stamp, reports, inlined } => {
                self.worker_reports(conn, stamp, (reports, inlined));
            }
            Ev::Resumed { line } => self.resumed(line),
            Ev::TickScheduler if self.tick_at_us <= self.now_us => {
                self.tick_at_us = u64::MAX;
                // What came before was handled before; what came since was not.
                self.scheduler_handles(came_us, scheduler::Event::Tick, None);
            }
            _ => {}
        }
    }

    fn happen(&mut self, ev: Ev) {
        match ev {
            Ev::Scheduler(_)
            | Ev::FromClient { .. }
            | Ev::FromWorker { .. }
            | Ev::Resumed { .. }
            | Ev::TickScheduler => self.comes_to_scheduler(ev),
            Ev::Acknowledged { line, way, is_up, count } => self.acknowledged(line, way, is_up, count),
            Ev::SchedulerWakes => self.scheduler_wakes(),
            Ev::Lighter { node, incarnation } => self.lighter(node, incarnation),
            Ev::Replaced { node, incarnation } => self.replaced(node, incarnation),
            Ev::ToWorker { conn, stamp, instructions } => {
                let open = self.conns.get(&conn).filter(|c| c.open && !c.blackhole);
                let node = open.map(|c| c.node).filter(|n| self.nodes[*n].conn == Some(conn));
                if let Some(node) = node.filter(|_| self.arrives(Some(conn), false, stamp)) {
                    if instructions.iter().any(|i| matches!(i, Instruction::Revoke { .. })) {
                        self.counts.add(Fault::Revoked);
                    }
                    for job in instructions.iter().filter_map(Instruction::defines) {
                        let planned = worker::Planned::of(self.reference.plan(job));
                        self.worker_handles(node, worker::Event::Planned { job, planned });
                    }
                    self.worker_handles(node, worker::Event::Told(instructions));
                }
            }
            Ev::CloseWorker { conn } => self.close_worker(conn),
            Ev::Connect { node, incarnation } => self.connect(node, incarnation),
            Ev::TaskEnds { node, incarnation, run } => self.task_ends(node, incarnation, run),
            Ev::FetchEnds { node, incarnation, fetch, from, key, part } => {
                self.fetch_ends((node, incarnation), (fetch, from), key, part);
            }
            Ev::SpillEnds { node, incarnation, spill, key } => {
                self.spill_ends((node, incarnation), spill, key);
            }
            Ev::Put { lease, key, worker, attempt } => self.put(lease, key, worker, attempt),
            Ev::Submit(job) => self.client_submits(job),
            Ev::ClientHears { stamp, job, update, inlined } => {
                if self.arrives(None, false, stamp) {
                    self.client_hears(job, update, &inlined);
                }
            }
            Ev::ReadEnds { job, get, from, key } => self.read_ends(job, get, from, key),
            Ev::TickClient { job } => self.client_gathers(job, client::Event::Tick),
            Ev::ClientLetsGo { job } => self.client_lets_go(job),
            Ev::ClientReleases { job, n_done } => self.client_releases(job, n_done),
            Ev::Unpublish(job) => self.unpublish(job),
            Ev::TickWorker { node } => {
                if self.nodes[node].tick_at_us <= self.now_us {
                    self.nodes[node].tick_at_us = u64::MAX;
                    if self.nodes[node].alive {
                        self.worker_ages(node);
                        self.worker_handles(node, worker::Event::Tick);
                    }
                }
            }
        }
    }

    /// `came`: the results that came beside a worker's report.
    fn scheduler_handles(
        &mut self,
        at_us: u64,
        event: scheduler::Event,
        came: Option<(WorkerId, BTreeMap<TaskKey, u64>)>,
    ) {
        self.events += 1;
        let mut actions = Vec::new();
        let before = self.scheduler.n_dormant();
        use scheduler::Event::{ClientLost, JobCancelled, JobReleased};
        let released = matches!(event, JobReleased { .. } | JobCancelled { .. } | ClientLost { .. });
        let is_loss = matches!(event, scheduler::Event::WorkerLost { .. });
        self.scheduler.handle(at_us, event, &mut actions);
        self.scheduler.check();
        if is_loss {
            self.note_deaths();
        }
        if !released && self.scheduler.n_dormant() < before {
            self.counts.add(Fault::Revived);
        }
        for action in actions {
            if self.trace {
                eprintln!("           -> {action:?}");
            }
            let is_silence =
                matches!(&action, scheduler::Action::Disconnect { why, .. } if why.contains("heard"));
            match action {
                scheduler::Action::Tell { worker, instructions } => self.tell(worker, instructions),
                scheduler::Action::Unpublished { job, .. } => self.jobs[job.0 as usize].failed_there = true,
                scheduler::Action::Update { job, update } => {
                    self.check_deaths(&update);
                    self.jobs[job.0 as usize].failed_there |= matches!(update, Update::Failed(_));
                    let inlined = self.passed_on(&update, came.as_ref());
                    let message = (job, update.clone(), inlined.clone());
                    if let Some(stamp) = self.clients.send_down(message) {
                        self.client_way(Ev::ClientHears { stamp, job, update, inlined });
                    }
                }
                scheduler::Action::Forget(job) => {
                    assert!(self.forgotten.insert(job), "{job:?} is forgotten a second time");
                }
                scheduler::Action::Began { .. } | scheduler::Action::Ended { .. } => {}
                scheduler::Action::Disconnect { worker, .. } | scheduler::Action::Refuse { worker, .. } => {
                    if is_silence {
                        self.check_silence(worker, at_us);
                    }
                    let at = self.now_us + self.setup.latency_us;
                    self.at(at, Ev::CloseWorker { conn: worker });
                }
            }
        }
        if let Some(at) = self.scheduler.next_wake_us().filter(|at| *at < self.tick_at_us) {
            self.tick_at_us = at;
            self.at(at, Ev::TickScheduler);
        }
    }

    /// The results that go on beside an update.
    fn passed_on(
        &mut self,
        update: &Update,
        came: Option<&(WorkerId, BTreeMap<TaskKey, u64>)>,
    ) -> BTreeMap<TaskKey, u64> {
        let Some((worker, came)) = came else { return BTreeMap::new() };
        let mut tasks: Vec<TaskRange> = Vec::new();
        for TaskKey { job, stage, chunk } in came.keys().copied() {
            match tasks.last_mut() {
                Some(t) if (t.job, t.stage, t.chunks.end) == (job, stage, chunk.0) => t.chunks.end += 1,
                _ => tasks.push(TaskRange { job, stage, chunks: chunk.0..chunk.0 + 1 }),
            }
        }
        let named = self.scheduler.passes_on(update, *worker, &tasks);
        let ranges = named.into_iter().map(|(i, chunks)| TaskRange { chunks, ..tasks[i].clone() });
        let passed: BTreeMap<TaskKey, u64> =
            ranges.flat_map(|range| range.keys()).map(|key| (key, came[&key])).collect();
        let (Update::Made { outputs, .. } | Update::Done { outputs, .. }) = update else {
            assert!(passed.is_empty(), "{passed:?} beside {update:?}");
            return passed;
        };
        let named = |key: &TaskKey| {
            let held = outputs.iter().flatten().filter(|h| h.worker == *worker);
            held.clone().any(|h| h.chunks.keys().any(|k| k == *key))
        };
        let stray = passed.keys().find(|key| !named(key));
        assert!(stray.is_none(), "{stray:?} of {worker:?} is passed on, and not named");
        passed
    }

    fn tell(&mut self, conn: WorkerId, instructions: Vec<Instruction>) {
        let late =
            instructions.iter().filter_map(Instruction::defines).find(|job| self.forgotten.contains(job));
        assert!(late.is_none(), "{conn:?} is told of {late:?}, which was forgotten");
        instructions.iter().for_each(|instruction| self.check_told(conn, instruction));
        let Some(c) = self.conns.get_mut(&conn) else { return };
        if let Some(stamp) = c.line.send_down(instructions.clone()) {
            self.worker_way(conn, Ev::ToWorker { conn, stamp, instructions });
        }
    }

    fn client_said(&mut self, stamp: Stamp, event: scheduler::Event) {
        if self.arrives(None, true, stamp) {
            self.scheduler_handles(self.now_us, event, None);
        }
    }

    fn worker_reports(&mut self, conn: WorkerId, stamp: Stamp, (reports, inlined): FromWorker) {
        if self.conns[&conn].blackhole || !self.arrives(Some(conn), true, stamp) {
            return;
        }
        if !self.conns[&conn].open {
            self.counts.add(Fault::LateReport);
        }
        let event = scheduler::Event::WorkerReported { worker: conn, reports };
        self.scheduler_handles(self.now_us, event, Some((conn, inlined)));
    }

    fn connect(&mut self, node: usize, incarnation: u64) {
        let n = &self.nodes[node];
        if !n.alive || n.incarnation != incarnation || n.conn.is_some() {
            return;
        }
        let hello = Hello {
            name: n.name.clone(),
            incarnation,
            threads: n.threads,
            memory_bytes: n.memory_bytes,
            spill_bytes: n.spill_bytes,
            addresses: vec![format!("host{node}:1")],
            build: n.build.clone(),
            tags: n.tags.clone(),
        };
        let worker = WorkerId(self.id() as u32);
        self.nodes[node].conn = Some(worker);
        self.nodes[node].was_stopped = false;
        let now_us = self.now_us;
        let conn = Conn {
            node,
            open: true,
            blackhole: false,
            line: Line::planted(self.setup.line_bug),
            to_worker_us: now_us,
            to_scheduler_us: now_us,
        };
        self.conns.insert(worker, conn);
        self.comes_to_scheduler(Ev::Scheduler(scheduler::Event::WorkerJoined { worker, hello }));
        // As the driver does, so that signs of life begin.
        self.worker_handles(node, worker::Event::Tick);
    }

    /// The scheduler closed a connection.
    pub(crate) fn close_worker(&mut self, conn: WorkerId) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        c.open = false;
        if c.line.is_broken {
            // It hears of it when it wants to go on.
            return;
        }
        let node = c.node;
        if self.nodes[node].conn != Some(conn) || !self.nodes[node].alive {
            return;
        }
        self.nodes[node].conn = None;
        if self.nodes[node].leaving {
            return self.process_ends(node);
        }
        if self.nodes[node].was_stopped {
            self.counts.add(Fault::CameBack);
        }
        self.worker_handles(node, worker::Event::Disconnected);
        let taken = (0..self.nodes.len()).any(|n| n != node && self.nodes[n].name == self.nodes[node].name);
        if taken {
            self.nodes[node].alive = false;
        } else {
            self.rejoin(node);
        }
    }
}
