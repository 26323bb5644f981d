//! Small cases, with the exact actions that they must bring about.

mod agenda;
mod alone;
mod arrays;
mod failures;
mod functions;
mod jobs;
mod memory;
mod priority;
mod puts;
mod running;
mod stealing;
mod suspects;
mod tags;
mod ways;
mod workers;

use crate::{Action, Event, JobEnd, Limits, Prepared, Scheduler};
use std::sync::Arc;
use tilework_expr::{
    AxisChunks, BinaryOp, Calls, Chunks, DType, Expr, FileKind, FileRef, Fold, Kernel, Lowered, Program,
    TableHow, TableRead, TableStage,
};
use tilework_plan::{ClientHello, ClientId, Hello, JobNumber};
use tilework_plan::{
    Figures, Holding, Instruction, JobError, JobId, LeaseId, Report, StageIdx, Stored, Tags, TaskError,
    TaskKey, TaskRange, Terms, Update, WorkerId,
};

fn read(name: &str, len: usize, chunk: isize) -> Expr {
    read_cut(name, len, AxisChunks::Len(chunk))
}

fn read_cut(name: &str, len: usize, chunks: AxisChunks) -> Expr {
    let file = FileRef { kind: FileKind::Npy, path: name.to_owned(), member: String::new() };
    Expr::read((file, Stored::Rows), &[len], &Chunks::Axes(vec![chunks]), DType::F64).unwrap()
}

fn hello(name: &str, threads: u32, memory_bytes: u64) -> Hello {
    let addresses = vec![format!("{name}:1")];
    Hello {
        name: name.to_owned(),
        incarnation: 1,
        threads,
        memory_bytes,
        spill_bytes: 0,
        addresses,
        build: Some("0f".to_owned()),
        tags: Tags::new(),
    }
}

/// A scheduler and what it said last.
struct Case {
    scheduler: Scheduler,
    now_us: u64,
}

impl Case {
    /// One with workers `0..n` of 2 threads and 1 MB.
    fn with_workers(n: u32) -> Case {
        let mut case = Case { scheduler: Scheduler::new(Limits::default()), now_us: 0 };
        for w in 0..n {
            case.event(Event::WorkerJoined {
                worker: WorkerId(w),
                hello: hello(&format!("w{w}"), 2, 1_000_000),
            });
        }
        case
    }

    fn event(&mut self, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        self.now_us += 10;
        self.scheduler.handle(self.now_us, event, &mut out);
        self.scheduler.check();
        out
    }

    /// Lets time pass as it does for a scheduler that is awake; what it asks for at the end of it.
    fn pass(&mut self, us: u64) -> Vec<Action> {
        let end_us = self.now_us + us;
        loop {
            let at_us = self.scheduler.next_wake_us().filter(|at| *at < end_us).unwrap_or(end_us);
            self.now_us = at_us;
            let mut out = Vec::new();
            self.scheduler.handle(at_us, Event::Tick, &mut out);
            self.scheduler.check();
            if at_us == end_us || !out.is_empty() {
                return out;
            }
        }
    }

    /// How long the scheduler says nothing while nobody is heard of, to a beat, microseconds; and what it says then.
    fn quiet(&mut self) -> (u64, Vec<Action>) {
        let from_us = self.now_us;
        let said = self.pass(3_600_000_000);
        (self.now_us - from_us, said)
    }

    fn submit(&mut self, job: u64, outputs: &[Expr]) -> Vec<Action> {
        let lowered = Lowered::of(&Program::new(outputs)).unwrap();
        let job = JobId(job);
        self.event(Event::JobSubmitted {
            job,
            client: ClientId(1),
            prepared: Prepared::of(job, lowered.plan),
        })
    }

    fn report(&mut self, worker: u32, report: Report) -> Vec<Action> {
        self.event(Event::WorkerReported { worker: WorkerId(worker), reports: vec![report] })
    }

    fn done(&mut self, worker: u32, (lease, tasks): &(LeaseId, TaskRange)) -> Vec<Action> {
        self.report(
            worker,
            Report::Done { lease: *lease, tasks: tasks.clone(), busy_us: 1, bytes_fetched: 0, sizes: vec![] },
        )
    }
}

fn tasks(stage: u32, chunks: std::ops::Range<u64>) -> TaskRange {
    TaskRange { job: JobId(0), stage: StageIdx(stage), chunks }
}

fn task(stage: u32, chunk: u64) -> TaskKey {
    tasks(stage, chunk..chunk + 1).keys().next().unwrap()
}

/// The instructions for a worker.
fn told(actions: &[Action], to: u32) -> Vec<Instruction> {
    let mine = actions.iter().filter_map(|a| match a {
        Action::Tell { worker, instructions } if *worker == WorkerId(to) => Some(instructions.clone()),
        _ => None,
    });
    mine.flatten().collect()
}

/// The leases for a worker, without what is elsewhere.
fn leases(actions: &[Action], to: u32) -> Vec<(LeaseId, TaskRange)> {
    let leases = told(actions, to).into_iter().filter_map(|i| match i {
        Instruction::Lease { lease, tasks, .. } => Some((lease, tasks)),
        _ => None,
    });
    leases.collect()
}

fn updates(actions: &[Action]) -> Vec<&Update> {
    let updates = actions.iter().filter_map(|a| match a {
        Action::Update { update, .. } => Some(update),
        _ => None,
    });
    updates.collect()
}

fn function(build: &str) -> Kernel {
    let (name, inputs, output) = ("own".to_owned(), vec![DType::F64], DType::F64);
    Kernel { offset: 8, build: build.to_owned(), name, params: vec![], inputs, output }
}

/// A worker of 2 threads that can call the functions of a build.
fn of_build(case: &mut Case, worker: u32, build: &str) -> Vec<Action> {
    let hello = Hello { build: Some(build.to_owned()), ..hello(&format!("w{worker}"), 2, 1_000_000) };
    case.event(Event::WorkerJoined { worker: WorkerId(worker), hello })
}

/// Does all leased tasks until no more are; returns who did tasks of each stage.
fn play(case: &mut Case, mut actions: Vec<Action>, workers: std::ops::Range<u32>) -> Vec<(u32, u32)> {
    let mut did = Vec::new();
    loop {
        let open: Vec<_> = workers
            .clone()
            .flat_map(|w| leases(&actions, w).into_iter().map(move |lease| (w, lease)))
            .collect();
        if open.is_empty() {
            return did;
        }
        actions.clear();
        for (w, lease) in open {
            did.push((w, lease.1.stage.0));
            actions.extend(case.done(w, &lease));
        }
    }
}

/// A function of values.
fn called(output: DType) -> Kernel {
    Kernel { inputs: vec![], output, ..function("0f") }
}

/// Calls, each of which reads some values of the inputs.
fn calls(inputs: &[Expr], args: &[&[(u32, u64)]]) -> Expr {
    calls_on(&Terms::default(), inputs, args)
}

/// The same on some terms.
fn calls_on(terms: &Terms, inputs: &[Expr], args: &[&[(u32, u64)]]) -> Expr {
    let arg_ends = (1..=args.len()).map(|n| args[..n].iter().map(|a| a.len() as u64).sum());
    let calls = Calls {
        kernel: Arc::new(called(DType::U8)),
        params: Arc::from([]),
        ends: vec![0; args.len()].into(),
        args: args.concat().into(),
        arg_ends: arg_ends.collect(),
        line: None,
        terms: Some(Arc::new(terms.clone())),
        gives: 0,
        takes: false,
    };
    Expr::calls(calls, inputs).unwrap()
}

fn measured(worker: &(LeaseId, TaskRange), sizes: &[u64]) -> Report {
    let (lease, tasks) = worker.clone();
    Report::Done { lease, tasks, busy_us: 1, bytes_fetched: 0, sizes: sizes.to_vec() }
}
