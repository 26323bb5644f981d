//! The virtual clock, the messages under way, and what happens to them.
//!
//! Knows drivers' duties. Must not know the cores' insides.

use crate::client::ClientJob;
use crate::faults::{Fault, FaultCounts};
use crate::node::{Conn, Node, Run};
use crate::reference::{Reference, made};
use crate::rng::Rng;
use crate::setup::{Planted, Setup};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use tilework_expr::{
    ChunkIdx, Instruction, JobError, JobId, LeaseId, Report, TaskError, TaskKey, Update, WorkerId,
};
use tilework_scheduler_core as scheduler;
use tilework_scheduler_core::{Hello, Scheduler};
use tilework_worker_core as worker;
use tilework_worker_core::{FetchId, Source, Worker};

/// Virtual time by which every job must have ended, microseconds.
const DEADLINE_US: u64 = 600_000_000;

/// Events by which every run must have ended.
const EVENTS_MAX: u64 = 100_000;

/// Something that will happen.
#[derive(Clone, Debug)]
pub(crate) enum Ev {
    Scheduler(scheduler::Event),
    FromWorker { conn: WorkerId, reports: Vec<Report> },
    ToWorker { conn: WorkerId, instructions: Vec<Instruction> },
    CloseWorker { conn: WorkerId },
    Connect { node: usize, incarnation: u64 },
    TaskEnds { node: usize, incarnation: u64, run: u64 },
    FetchEnds { node: usize, incarnation: u64, fetch: FetchId, from: WorkerId, key: TaskKey },
    Put { lease: LeaseId, key: TaskKey, worker: WorkerId },
    Submit(JobId),
    ClientHears { job: JobId, update: Update },
    ClientReads { job: JobId, n_done: u64 },
    ClientReleases { job: JobId, n_done: Option<u64> },
    TickScheduler,
    TickWorker { node: usize },
}

impl Ev {
    fn is_tick(&self) -> bool {
        matches!(self, Ev::TickScheduler | Ev::TickWorker { .. })
    }

    /// Whether chunks may come or go by it.
    fn is_moving(&self) -> bool {
        !self.is_tick() && !matches!(self, Ev::Submit(_) | Ev::ClientReads { .. } | Ev::ClientReleases { .. })
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
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    pending: BTreeMap<u64, Ev>,
    seq: u64,
    /// Events under way that are not mere ticks.
    n_real: u64,
    /// Of those, the ones that are messages, tasks or transfers.
    n_moving: u64,
    scheduler: Scheduler,
    tick_at_us: u64,
    pub nodes: Vec<Node>,
    pub conns: BTreeMap<WorkerId, Conn>,
    pub jobs: Vec<ClientJob>,
    pub reference: Reference,
    pub counts: FaultCounts,
    client_us: u64,
    n_ids: u64,
    n_faults: u64,
    /// Workers that died or were cut off.
    n_losses: u64,
    events: u64,
    tasks: u64,
    n_compared: u64,
    trace: bool,
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
            tick_at_us: u64::MAX,
            nodes: Vec::new(),
            conns: BTreeMap::new(),
            jobs,
            reference: Reference::default(),
            counts: FaultCounts::default(),
            client_us: 0,
            n_ids: 0,
            n_faults: 0,
            n_losses: 0,
            events: 0,
            tasks: 0,
            n_compared: 0,
            trace,
        };
        for _ in 0..world.setup.n_workers {
            let at = world.rng.below(2000);
            world.add_worker(at, false);
        }
        if world.setup.n_workers == 0 || world.setup.uneven {
            // Nobody, or nobody large enough, at first.
            let at = world.rng.below(200_000);
            world.add_worker(at, true);
        }
        for (i, job) in world.jobs.iter().enumerate().map(|(i, j)| (i, (j.setup.at_us, j.setup.cancel_us))).collect::<Vec<_>>() {
            world.at(job.0 + 500, Ev::Submit(JobId(i as u64)));
            if let Some(at) = job.1 {
                world.at(at + 500, Ev::ClientReleases { job: JobId(i as u64), n_done: None });
            }
        }
        world
    }

    pub(crate) fn at(&mut self, at_us: u64, ev: Ev) {
        self.seq += 1;
        self.n_real += u64::from(!ev.is_tick());
        self.n_moving += u64::from(ev.is_moving());
        self.heap.push(Reverse((at_us.max(self.now_us), self.seq)));
        self.pending.insert(self.seq, ev);
    }

    fn id(&mut self) -> u64 {
        self.n_ids += 1;
        self.n_ids
    }

    /// A new process that will connect.
    fn add_worker(&mut self, at_us: u64, large: bool) -> usize {
        let threads = self.rng.within(1, 3) as u32;
        let memory_bytes =
            if large { self.setup.task_bytes_max * 100 } else { self.setup.memory_bytes(&mut self.rng) };
        let limits = worker::Limits { threads, memory_bytes, ..self.setup.worker_limits.clone() };
        let incarnation = self.rng.next();
        self.nodes.push(Node {
            name: format!("w{}", self.nodes.len()),
            incarnation,
            threads,
            memory_bytes,
            core: Worker::new(limits),
            store: BTreeMap::new(),
            runs: VecDeque::new(),
            conn: None,
            alive: true,
            leaving: false,
            tick_at_us: u64::MAX,
        });
        let node = self.nodes.len() - 1;
        self.at(at_us, Ev::Connect { node, incarnation });
        node
    }

    fn play(&mut self) {
        while let Some(Reverse((at_us, seq))) = self.heap.pop() {
            let ev = self.pending.remove(&seq).expect("every entry has its event");
            let tick = ev.is_tick();
            self.n_real -= u64::from(!tick);
            self.n_moving -= u64::from(ev.is_moving());
            let over = self.jobs.iter().all(|j| j.submitted && j.is_over());
            if over && tick && self.n_real == 0 {
                return;
            }
            self.now_us = at_us;
            assert!(self.seq < EVENTS_MAX, "the cluster does not come to rest");
            assert!(at_us < DEADLINE_US, "a job does not end: {:?}", self.scheduler.state().jobs);
            if self.trace {
                eprintln!("{at_us:>10} {ev:?}");
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

    fn happen(&mut self, ev: Ev) {
        match ev {
            Ev::Scheduler(event) => self.scheduler_handles(event),
            Ev::FromWorker { conn, reports } => self.from_worker(conn, reports),
            Ev::ToWorker { conn, instructions } => {
                let open = self.conns.get(&conn).filter(|c| c.open && !c.blackhole);
                if let Some(node) = open.map(|c| c.node).filter(|n| self.nodes[*n].conn == Some(conn)) {
                    if instructions.iter().any(|i| matches!(i, Instruction::Revoke { .. })) {
                        self.counts.add(Fault::Revoked);
                    }
                    self.worker_handles(node, worker::Event::Told(instructions));
                }
            }
            Ev::CloseWorker { conn } => self.close_worker(conn),
            Ev::Connect { node, incarnation } => self.connect(node, incarnation),
            Ev::TaskEnds { node, incarnation, run } => self.task_ends(node, incarnation, run),
            Ev::FetchEnds { node, incarnation, fetch, from, key } => {
                self.fetch_ends((node, incarnation), fetch, from, key);
            }
            Ev::Put { lease, key, worker } => self.put(lease, key, worker),
            Ev::Submit(job) => self.client_submits(job),
            Ev::ClientHears { job, update } => self.client_hears(job, update),
            Ev::ClientReads { job, n_done } => self.client_reads(job, n_done),
            Ev::ClientReleases { job, n_done } => self.client_releases(job, n_done),
            Ev::TickScheduler => {
                if self.tick_at_us <= self.now_us {
                    self.tick_at_us = u64::MAX;
                    self.scheduler_handles(scheduler::Event::Tick);
                }
            }
            Ev::TickWorker { node } => {
                if self.nodes[node].tick_at_us <= self.now_us {
                    self.nodes[node].tick_at_us = u64::MAX;
                    if self.nodes[node].alive {
                        self.worker_handles(node, worker::Event::Tick);
                    }
                }
            }
        }
    }

    /// Where nothing moves, workers have exactly the chunks that the scheduler thinks they have.
    pub(crate) fn check_holdings(&mut self) {
        if self.n_moving > 0 {
            return;
        }
        self.n_compared += 1;
        let mut want: BTreeMap<WorkerId, Vec<TaskKey>> = BTreeMap::new();
        self.scheduler.holdings().into_iter().for_each(|(w, k)| want.entry(w).or_default().push(k));
        for (i, n) in self.nodes.iter().enumerate().filter(|(_, n)| n.alive && !self.deaf(n)) {
            let Some(conn) = n.conn else { continue };
            let held = n.store.keys().filter_map(|s| match s {
                Source::Held(key) => Some(*key),
                Source::Fetched(_) => None,
            });
            let held: Vec<TaskKey> = held.collect();
            assert_eq!(held, want.remove(&conn).unwrap_or_default(), "chunks that worker {i} holds");
        }
    }

    /// A message of a client on its way to the scheduler: they arrive in order.
    pub(crate) fn to_scheduler(&mut self, event: scheduler::Event) {
        self.client_us = self.client_us.max(self.now_us + self.setup.latency_us);
        let at = self.client_us;
        self.at(at, Ev::Scheduler(event));
    }

    fn scheduler_handles(&mut self, event: scheduler::Event) {
        self.events += 1;
        let mut actions = Vec::new();
        let dormant = |s: &Scheduler| s.state().jobs.iter().filter(|j| j.dormant).count();
        let before = if self.jobs.len() > 1 { dormant(&self.scheduler) } else { 0 };
        let released = matches!(event, scheduler::Event::JobReleased { .. } | scheduler::Event::ClientLost { .. });
        self.scheduler.handle(self.now_us, event, &mut actions);
        self.scheduler.check();
        if self.jobs.len() > 1 && !released && dormant(&self.scheduler) < before {
            self.counts.add(Fault::Revived);
        }
        for action in actions {
            if self.trace {
                eprintln!("           -> {action:?}");
            }
            match action {
                scheduler::Action::Tell { worker, instructions } => self.tell(worker, instructions),
                scheduler::Action::Update { job, update } => {
                    self.client_us = self.client_us.max(self.now_us + self.setup.latency_us);
                    let at = self.client_us;
                    self.at(at, Ev::ClientHears { job, update });
                }
                scheduler::Action::Disconnect { worker, .. } => {
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

    fn tell(&mut self, conn: WorkerId, instructions: Vec<Instruction>) {
        let delay = self.rng.delay_us(self.setup.latency_us);
        let now_us = self.now_us;
        let Some(c) = self.conns.get_mut(&conn) else { return };
        c.to_worker_us = c.to_worker_us.max(now_us + delay);
        let at = c.to_worker_us;
        self.at(at, Ev::ToWorker { conn, instructions });
    }

    fn from_worker(&mut self, conn: WorkerId, reports: Vec<Report>) {
        if self.conns[&conn].blackhole {
            return;
        }
        if !self.conns[&conn].open {
            self.counts.add(Fault::LateReport);
        }
        self.scheduler_handles(scheduler::Event::WorkerReported { worker: conn, reports });
    }

    pub(crate) fn worker_handles(&mut self, node: usize, event: worker::Event) {
        self.events += 1;
        let mut actions = Vec::new();
        let n = &mut self.nodes[node];
        n.core.handle(self.now_us, event, &mut actions);
        n.core.check();
        for action in actions {
            if self.trace {
                eprintln!("           {node}: {action:?}");
            }
            self.worker_acts(node, action);
        }
        self.begin_runs(node);
        let n = &mut self.nodes[node];
        if let Some(at) = n.core.next_wake_us().filter(|at| *at < n.tick_at_us) {
            n.tick_at_us = at;
            self.at(at, Ev::TickWorker { node });
        }
    }

    fn worker_acts(&mut self, node: usize, action: worker::Action) {
        let incarnation = self.nodes[node].incarnation;
        match action {
            worker::Action::Fetch { fetch, from, key, .. } => {
                let at = self.now_us + 2 * self.rng.delay_us(self.setup.latency_us);
                self.at(at, Ev::FetchEnds { node, incarnation, fetch, from, key });
            }
            worker::Action::Run { lease, task, feeds } => {
                let id = self.id();
                let run = Run { id, lease, task, feeds, stopped: false, started: false };
                self.nodes[node].runs.push_back(run);
            }
            worker::Action::Stop(task) => {
                self.nodes[node].runs.iter_mut().filter(|r| r.task == task).for_each(|r| r.stopped = true);
            }
            worker::Action::Free(source) => {
                let freed = self.nodes[node].store.remove(&source);
                assert!(freed.is_some(), "worker {node} frees {source:?}, which it does not have");
            }
            worker::Action::Report(reports) => self.report(node, reports),
        }
    }

    fn report(&mut self, node: usize, reports: Vec<Report>) {
        let Some(conn) = self.nodes[node].conn else { return };
        let delay = self.rng.delay_us(self.setup.latency_us);
        if delay > 16 * self.setup.latency_us {
            self.counts.add(Fault::Delayed);
        }
        let now_us = self.now_us;
        let Some(c) = self.conns.get_mut(&conn).filter(|c| c.open) else { return };
        c.to_scheduler_us = c.to_scheduler_us.max(now_us + delay);
        let at = c.to_scheduler_us;
        if self.setup.faults.contains(&Fault::Duplicated) && self.rng.one_in(10) {
            self.counts.add(Fault::Duplicated);
            let later = at + self.rng.delay_us(self.setup.latency_us * 4);
            self.at(later, Ev::FromWorker { conn, reports: reports.clone() });
        }
        self.at(at, Ev::FromWorker { conn, reports });
    }

    /// Gives threads to the tasks that are first.
    fn begin_runs(&mut self, node: usize) {
        let base = self.setup.task_us;
        while let Some(run) = self.nodes[node].begin_next() {
            run.started = true;
            let (id, task, feeds) = (run.id, run.task, run.feeds.clone());
            let incarnation = self.nodes[node].incarnation;
            let stop = run_is_stopped(&self.nodes[node], id);
            let missing = feeds.iter().find(|f| !self.nodes[node].store.contains_key(&f.source));
            assert!(missing.is_none(), "worker {node} starts {task:?} without {missing:?}");
            let at = self.now_us + if stop { 1 } else { self.rng.delay_us(base) };
            self.at(at, Ev::TaskEnds { node, incarnation, run: id });
            let deadly = self.jobs.get(task.job.0 as usize).and_then(|j| j.setup.deadly);
            if deadly == Some((task.stage, task.chunk)) && !stop {
                self.kill(node, Fault::Killed);
                return;
            }
        }
    }

    fn task_ends(&mut self, node: usize, incarnation: u64, run: u64) {
        let n = &mut self.nodes[node];
        if !n.alive || n.incarnation != incarnation {
            return;
        }
        let at = n.runs.iter().position(|r| r.id == run).expect("a task that runs is known");
        let run = n.runs.remove(at).expect("it was just found");
        let busy_us = self.rng.within(1, self.setup.task_us);
        let bad = self.jobs[run.task.job.0 as usize].setup.bad == Some((run.task.stage, run.task.chunk));
        let may_fail = self.setup.faults.contains(&Fault::TaskFailedOnWorker);
        let result = if run.stopped && self.rng.one_in(2) {
            Err(TaskError::Worker("stopped".to_owned()))
        } else if bad {
            Err(TaskError::Operation("it is bad".to_owned()))
        } else if may_fail && self.counts.of(Fault::TaskFailedOnWorker) < 2 && self.rng.one_in(12) {
            self.counts.add(Fault::TaskFailedOnWorker);
            Err(TaskError::Worker("a disk is full".to_owned()))
        } else {
            self.compute(node, &run);
            Ok(())
        };
        self.tasks += 1;
        let (lease, task) = (run.lease, run.task);
        self.worker_handles(node, worker::Event::Finished { lease, task, result, busy_us });
    }

    fn compute(&mut self, node: usize, run: &Run) {
        let want = self.reference.inputs(run.task);
        let got: Vec<(usize, TaskKey)> = run.feeds.iter().map(|f| (f.slot, f.key)).collect();
        assert_eq!(got, want, "{:?}: inputs", run.task);
        let n = &mut self.nodes[node];
        let content = |f: &worker::Feed| {
            let v = n.store.get(&f.source);
            (f.slot, *v.unwrap_or_else(|| panic!("worker {node}: {f:?} of {:?} was freed while it ran", run.task)))
        };
        let value = made(run.task, run.feeds.iter().map(content));
        n.store.insert(Source::Held(run.task), value);
    }

    fn fetch_ends(&mut self, (node, incarnation): (usize, u64), fetch: FetchId, from: WorkerId, key: TaskKey) {
        if !self.nodes[node].alive || self.nodes[node].incarnation != incarnation {
            return;
        }
        let peer = self.conns.get(&from).map(|c| &self.nodes[c.node]).filter(|p| p.alive);
        if peer.is_none() && self.rng.one_in(2) {
            // Nobody answers, and nothing says so; that the worker is gone will be heard of another way.
            return self.counts.add(Fault::FetchHung);
        }
        let mut value = peer.and_then(|p| p.store.get(&Source::Held(key)).copied());
        if self.setup.faults.contains(&Fault::FetchFailed) && self.counts.of(Fault::FetchFailed) < 12 && self.rng.one_in(8) {
            self.counts.add(Fault::FetchFailed);
            value = None;
        }
        match value {
            Some(v) => {
                self.nodes[node].store.insert(Source::Fetched(fetch), v);
                self.worker_handles(node, worker::Event::Fetched { fetch });
            }
            None => self.worker_handles(node, worker::Event::FetchFailed { fetch, why: "not there".to_owned() }),
        }
    }

    fn put(&mut self, lease: LeaseId, key: TaskKey, worker: WorkerId) {
        let Some(node) = self.conns.get(&worker).map(|c| c.node) else { return };
        if !self.nodes[node].alive || self.nodes[node].conn != Some(worker) {
            return;
        }
        let value = self.reference.value(key);
        let bytes = self.reference.plan(key.job).out_bytes(key.stage, key.chunk);
        self.nodes[node].store.insert(Source::Held(key), value);
        self.worker_handles(node, worker::Event::Put { lease, key, bytes });
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
            addresses: vec![format!("host{node}:1")],
        };
        let worker = WorkerId(self.id() as u32);
        self.nodes[node].conn = Some(worker);
        let now_us = self.now_us;
        let conn = Conn { node, open: true, blackhole: false, to_worker_us: now_us, to_scheduler_us: now_us };
        self.conns.insert(worker, conn);
        self.scheduler_handles(scheduler::Event::WorkerJoined { worker, hello });
    }

    /// The scheduler closed a connection.
    fn close_worker(&mut self, conn: WorkerId) {
        let Some(c) = self.conns.get_mut(&conn) else { return };
        c.open = false;
        let node = c.node;
        if self.nodes[node].conn != Some(conn) || !self.nodes[node].alive {
            return;
        }
        self.nodes[node].conn = None;
        if self.nodes[node].leaving {
            self.nodes[node].alive = false;
            return;
        }
        self.worker_handles(node, worker::Event::Disconnected);
        let taken = (0..self.nodes.len()).any(|n| n != node && self.nodes[n].name == self.nodes[node].name);
        if taken {
            self.nodes[node].alive = false;
        } else {
            self.rejoin(node);
        }
    }

    fn rejoin(&mut self, node: usize) {
        self.counts.add(Fault::Rejoined);
        let (incarnation, at) = (self.nodes[node].incarnation, self.now_us + self.rng.delay_us(5000));
        self.at(at, Ev::Connect { node, incarnation });
    }

    /// Somebody large enough must be there in the end.
    fn keep_one_worker(&mut self) {
        let large = self.setup.task_bytes_max;
        let there = |n: &Node| n.alive && !n.leaving && n.memory_bytes >= large && !self.deaf(n);
        if !self.nodes.iter().any(there) {
            let at = self.now_us + self.rng.delay_us(20_000);
            self.add_worker(at, true);
        }
    }

    fn deaf(&self, node: &Node) -> bool {
        node.conn.is_some_and(|c| self.conns[&c].blackhole)
    }

    fn kill(&mut self, node: usize, how: Fault) {
        self.counts.add(how);
        self.n_losses += 1;
        let n = &mut self.nodes[node];
        n.alive = false;
        n.runs.clear();
        let Some(conn) = n.conn.take() else { return };
        if let Some(c) = self.conns.get_mut(&conn) {
            c.open = false;
        }
        if how == Fault::Killed {
            let at = self.now_us + self.rng.delay_us(self.setup.latency_us);
            let why = "the connection closed".to_owned();
            self.at(at, Ev::Scheduler(scheduler::Event::WorkerLost { worker: conn, why }));
        }
    }

    /// Plays one of the faults that were chosen.
    fn fault(&mut self) {
        let fault = *self.rng.pick(&self.setup.faults.clone());
        let living: Vec<usize> =
            (0..self.nodes.len()).filter(|n| self.nodes[*n].alive && self.nodes[*n].conn.is_some()).collect();
        self.n_faults += 1;
        if fault == Fault::Joined {
            self.counts.add(fault);
            let now_us = self.now_us;
            self.add_worker(now_us, false);
            return;
        }
        if living.is_empty() {
            return;
        }
        let node = *self.rng.pick(&living);
        if self.trace {
            eprintln!("           !! {fault:?} {node}");
        }
        match fault {
            Fault::Killed | Fault::KilledSilently => self.kill(node, fault),
            Fault::Cut => self.cut(node),
            Fault::Partitioned => {
                self.counts.add(fault);
                self.n_losses += 1;
                let conn = self.nodes[node].conn.expect("a living worker is connected");
                self.conns.get_mut(&conn).expect("a connection is known").blackhole = true;
            }
            Fault::NameTaken => {
                self.counts.add(fault);
                let now_us = self.now_us;
                let new = self.add_worker(now_us, false);
                self.nodes[new].name = self.nodes[node].name.clone();
            }
            Fault::Left if !self.nodes[node].leaving => {
                self.counts.add(fault);
                self.nodes[node].leaving = true;
                let worker = self.nodes[node].conn.expect("a living worker is connected");
                let at = self.now_us + self.setup.latency_us;
                self.at(at, Ev::Scheduler(scheduler::Event::WorkerLeaving { worker }));
            }
            _ => {}
        }
    }

    /// The connection breaks; what was under way to the worker is lost, and what was under way from it perhaps.
    fn cut(&mut self, node: usize) {
        self.counts.add(Fault::Cut);
        self.n_losses += 1;
        let conn = self.nodes[node].conn.take().expect("a living worker is connected");
        let late = self.rng.one_in(2);
        let c = self.conns.get_mut(&conn).expect("a connection is known");
        c.open = false;
        c.blackhole = !late;
        let at = self.now_us + self.rng.delay_us(self.setup.latency_us * 2);
        let why = "the connection broke".to_owned();
        self.at(at, Ev::Scheduler(scheduler::Event::WorkerLost { worker: conn, why }));
        self.worker_handles(node, worker::Event::Disconnected);
        if self.nodes[node].leaving {
            self.nodes[node].alive = false;
        } else {
            self.rejoin(node);
        }
    }

    /// Every job ended as it should have, and nothing is left anywhere.
    fn finish(&mut self) {
        for i in 0..self.jobs.len() {
            self.check_end(i);
        }
        let state = self.scheduler.state();
        assert!(state.jobs.is_empty(), "jobs are left: {:?}", state.jobs);
        for (i, n) in self.nodes.iter().enumerate().filter(|(_, n)| n.alive && n.conn.is_some() && !self.deaf(n)) {
            assert!(n.store.is_empty(), "worker {i} keeps {:?}", n.store.keys().collect::<Vec<_>>());
            assert!(n.runs.is_empty(), "worker {i} still runs tasks");
            let used = n.core.usage();
            assert_eq!((used.bytes_held, used.bytes_reserved, used.bytes_fetched), (0, 0, 0), "worker {i}");
        }
    }

    fn check_end(&mut self, i: usize) {
        let job = &self.jobs[i];
        let plan = self.reference.plan(JobId(i as u64));
        let Some(error) = job.failed.clone() else {
            let bad = job.setup.bad.filter(|&(s, c)| is_needed(&plan, s, c));
            assert!(bad.is_none() || !job.read, "job {i} has a bad task and a result");
            return;
        };
        let any_bad = self.jobs.iter().any(|j| j.setup.bad.is_some());
        let any_deadly = self.jobs.iter().any(|j| j.setup.deadly.is_some());
        match error {
            JobError::Operation { message, .. } if message == "it is bad" => {
                assert!(any_bad);
                self.counts.add(Fault::BadOperation);
            }
            JobError::Operation { message, .. } if message.contains("had released it") => {
                assert!(self.n_losses > 0 || self.counts.of(Fault::Left) > 0 || self.counts.of(Fault::FetchFailed) > 0);
            }
            JobError::Operation { message, .. } if message.contains("client released it before") => {
                assert!(self.jobs.iter().any(|j| j.released));
            }
            JobError::Deadly { .. } => {
                assert!(any_deadly || self.n_losses >= 3, "job {i} was ended by {} losses", self.n_losses);
                self.counts.add(Fault::DeadlyTask);
            }
            JobError::Memory { needed, limit, .. } => {
                assert!(self.setup.uneven && needed > limit, "job {i}: {needed} of {limit} bytes");
                self.counts.add(Fault::TooLarge);
            }
            JobError::Program(_) if self.jobs[..i].iter().any(|j| j.failed.is_some()) => {}
            other => panic!("job {i} failed: {other}"),
        }
    }
}

fn run_is_stopped(node: &Node, id: u64) -> bool {
    node.runs.iter().any(|r| r.id == id && r.stopped)
}

fn is_needed(plan: &tilework_expr::Plan, stage: tilework_expr::StageIdx, chunk: ChunkIdx) -> bool {
    let mut consumers = Vec::new();
    plan.consumers_of(stage, chunk, &mut consumers);
    plan.is_output(stage) || consumers.iter().any(|&(s, c)| is_needed(plan, s, c))
}
