//! Small cases, with the exact actions that they must bring about.

mod arrays;
mod priority;
mod puts;
mod suspects;
mod tags;
mod ways;

use crate::{Action, Event, JobEnd, Limits, Prepared, Scheduler};
use std::sync::Arc;
use tilework_expr::{
    AxisChunks, BinaryOp, Calls, Chunks, DType, Expr, FileKind, FileRef, Fold, Kernel, Lowered, Program,
};
use tilework_plan::{ClientHello, ClientId, Hello, JobNumber};
use tilework_plan::{
    Figures, Holding, Instruction, JobError, JobId, LeaseId, Report, StageIdx, Stored, Tags, TaskError,
    TaskKey, TaskRange, Terms, Update, WorkerId,
};

fn read(name: &str, len: usize, chunk: isize) -> Expr {
    let file = FileRef { kind: FileKind::Npy, path: name.to_owned(), member: String::new() };
    Expr::read((file, Stored::Rows), &[len], &Chunks::Axes(vec![AxisChunks::Len(chunk)]), DType::F64).unwrap()
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

#[test]
fn a_sum_runs_drops_and_ends() {
    let mut case = Case::with_workers(1);
    let sum = read("a", 4, 1).reduce_all(Fold::Sum).unwrap();
    let actions = case.submit(0, &[sum]);
    let instructions = told(&actions, 0);
    assert!(matches!(instructions[0], Instruction::Define(JobId(0))));
    let first = (LeaseId(0), tasks(0, 0..4));
    assert_eq!(leases(&actions, 0), std::slice::from_ref(&first));
    let reduce = leases(&case.done(0, &first), 0);
    assert_eq!(reduce, [(LeaseId(1), tasks(1, 0..4))]);
    let actions = case.done(0, &reduce[0]);
    assert_eq!(
        told(&actions, 0),
        [
            Instruction::Drop(tasks(0, 0..4)),
            Instruction::Lease { lease: LeaseId(2), tasks: tasks(2, 0..1), elsewhere: vec![], priority: 0 },
        ]
    );
    let actions = case.done(0, &(LeaseId(2), tasks(2, 0..1)));
    let outputs = vec![vec![Holding { chunks: tasks(2, 0..1), worker: WorkerId(0) }]];
    let addresses = vec![(WorkerId(0), vec!["w0:1".to_owned()])];
    // Three leases of one microsecond; the chunks of the source are all there when the first state is made.
    let figures = Figures {
        n_tasks: 9,
        bytes_read: 32,
        bytes_held_max: 32 + 8,
        busy_us: 3,
        elapsed_us: 30,
        ..Figures::default()
    };
    assert_eq!(updates(&actions).last(), Some(&&Update::Done { outputs, addresses, figures }));
    assert_eq!(told(&actions, 0), [Instruction::Drop(tasks(1, 0..4))]);
    let actions = case.event(Event::JobReleased { job: JobId(0) });
    assert_eq!(told(&actions, 0), [Instruction::Forget(JobId(0))]);
    assert!(case.scheduler.state(case.now_us).jobs.is_empty());
}

#[test]
fn operands_are_made_where_they_meet() {
    let mut case = Case::with_workers(2);
    let sum = read("a", 8, 1).binary(BinaryOp::Add, &read("b", 8, 1)).unwrap();
    let actions = case.submit(0, &[sum]);
    assert_eq!(leases(&actions, 0), [(LeaseId(0), tasks(0, 0..4)), (LeaseId(1), tasks(1, 0..4))]);
    assert_eq!(leases(&actions, 1), [(LeaseId(2), tasks(0, 4..8)), (LeaseId(3), tasks(1, 4..8))]);
    case.done(0, &(LeaseId(0), tasks(0, 0..4)));
    let actions = case.done(0, &(LeaseId(1), tasks(1, 0..4)));
    let elsewhere = vec![];
    let lease = Instruction::Lease { lease: LeaseId(4), tasks: tasks(2, 0..4), elsewhere, priority: 0 };
    assert_eq!(told(&actions, 0), [lease]);
}

#[test]
fn holders_of_inputs_are_named() {
    let mut case = Case::with_workers(2);
    let flipped = read("a", 4, 1).reduce_all(Fold::Sum).unwrap();
    let actions = case.submit(0, &[flipped]);
    for w in 0..2 {
        let root = leases(&actions, w).remove(0);
        let reduce = leases(&case.done(w, &root), w).remove(0);
        let actions = case.done(w, &reduce);
        if w == 1 {
            let combine = told(&actions, 0).into_iter().chain(told(&actions, 1)).find_map(|i| match i {
                Instruction::Lease { elsewhere, tasks, .. } if tasks.stage == StageIdx(2) => Some(elsewhere),
                _ => None,
            });
            let elsewhere = combine.unwrap();
            assert_eq!(elsewhere.len(), 1);
            assert!([tasks(1, 0..2), tasks(1, 2..4)].contains(&elsewhere[0].chunks));
        }
    }
}

#[test]
fn roots_wait_for_memory() {
    let mut case = Case { scheduler: Scheduler::new(Limits::default()), now_us: 0 };
    // 60 % of 1000 bytes are room for 7 chunks of 80 bytes.
    case.event(Event::WorkerJoined { worker: WorkerId(0), hello: hello("w", 4, 1000) });
    let kept = [read("a", 100, 10), read("b", 100, 10)];
    let sums: Vec<Expr> = kept.iter().map(|e| e.reduce_all(Fold::Sum).unwrap()).collect();
    let actions = case.submit(0, &sums);
    let n: u64 = leases(&actions, 0).iter().map(|(_, t)| t.chunks.end - t.chunks.start).sum();
    assert_eq!(n, 7);
}

#[test]
fn what_fits_nowhere_is_refused_at_once() {
    let mut case = Case::with_workers(1);
    let actions = case.submit(0, &[read("a", 1_000_000, -1)]);
    let [Update::Failed(JobError::Memory { needed, limit, fits, .. })] = updates(&actions)[..] else {
        panic!("{actions:?}")
    };
    assert_eq!((*needed, *limit, *fits), (8_000_000, 1_000_000, 125_000));
}

#[test]
fn late_reports_change_nothing_and_leave_nothing() {
    let mut case = Case::with_workers(2);
    let actions = case.submit(0, &[read("a", 2, 1)]);
    let first = leases(&actions, 0).remove(0);
    assert_eq!(first.1, tasks(0, 0..1));
    case.done(0, &first);
    assert_eq!(case.done(0, &first), []);
    // A copy under a lease that is nobody's.
    let actions = case.done(1, &(LeaseId(77), tasks(0, 0..1)));
    assert_eq!(told(&actions, 1), [Instruction::Drop(tasks(0, 0..1))]);
}

#[test]
fn lost_chunks_are_made_again_with_what_they_need() {
    let mut case = Case::with_workers(1);
    let product = read("a", 2, 1).binary(BinaryOp::Mul, &read("b", 2, 1)).unwrap();
    let actions = case.submit(0, &[product]);
    for lease in leases(&actions, 0) {
        let actions = case.done(0, &lease);
        for lease in leases(&actions, 0) {
            case.done(0, &lease);
        }
    }
    assert!(case.scheduler.state(case.now_us).jobs[0].finished);
    case.event(Event::WorkerJoined { worker: WorkerId(1), hello: hello("w1", 2, 1_000_000) });
    let actions = case.event(Event::WorkerLost { worker: WorkerId(0), why: "killed".to_owned() });
    assert!(told(&actions, 1).contains(&Instruction::PeerGone(WorkerId(0))));
    let again: Vec<TaskRange> = leases(&actions, 1).into_iter().map(|(_, t)| t).collect();
    assert_eq!(again, [tasks(1, 0..2), tasks(0, 0..2)]);
}

#[test]
fn a_task_that_kills_is_found() {
    let mut case = Case::with_workers(0);
    case.submit(0, &[read("a", 1, 1)]);
    for w in 0..3 {
        let hello = Hello { incarnation: w.into(), ..hello("w", 1, 1000) };
        case.event(Event::WorkerJoined { worker: WorkerId(w), hello });
        let actions = case.event(Event::WorkerLost { worker: WorkerId(w), why: format!("signal {w}") });
        let failed = JobError::Deadly {
            operation: "read".to_owned(),
            chunk: 0,
            deaths: 3,
            last_words: "signal 2".to_owned(),
        };
        assert_eq!(updates(&actions).contains(&&Update::Failed(failed)), w == 2);
    }
}

#[test]
fn failures_of_workers_are_tried_elsewhere() {
    let mut case = Case::with_workers(2);
    let actions = case.submit(0, &[read("a", 1, 1)]);
    let at = u32::from(leases(&actions, 0).is_empty());
    let (lease, _) = leases(&actions, at).remove(0);
    let error = TaskError::Worker("disk full".to_owned());
    let actions = case.report(at, Report::Failed { lease, task: task(0, 0), error });
    assert_eq!(leases(&actions, 1 - at).len(), 1, "{actions:?}");
    let error = TaskError::Operation("no such file".to_owned());
    let (lease, _) = leases(&actions, 1 - at).remove(0);
    let actions = case.report(1 - at, Report::Failed { lease, task: task(0, 0), error });
    let failed =
        JobError::Operation { operation: "read".to_owned(), chunk: 0, message: "no such file".to_owned() };
    assert_eq!(updates(&actions), [&Update::Failed(failed)]);
}

#[test]
fn names_are_taken_once() {
    let mut case = Case::with_workers(1);
    let other = Hello { incarnation: 2, ..hello("w0", 1, 1) };
    let actions = case.event(Event::WorkerJoined { worker: WorkerId(8), hello: other });
    let why = "another worker is called 'w0'; give this one another name".to_owned();
    assert_eq!(actions, [Action::Refuse { worker: WorkerId(8), why }]);
    let back = hello("w0", 2, 1_000_000);
    let actions = case.event(Event::WorkerJoined { worker: WorkerId(9), hello: back });
    assert!(matches!(&actions[0], Action::Disconnect { worker: WorkerId(0), .. }));
    let workers: Vec<WorkerId> = case.scheduler.state(case.now_us).workers.iter().map(|w| w.worker).collect();
    assert_eq!(workers, [WorkerId(9)]);
}

#[test]
fn silence_is_death() {
    let mut case = Case::with_workers(1);
    let (after_us, actions) = case.quiet();
    assert!((3_000_000..=3_250_000).contains(&after_us), "{after_us}");
    let why = "nothing was heard of it for 3.0 s".to_owned();
    assert_eq!(actions, [Action::Disconnect { worker: WorkerId(0), why }]);
    assert_eq!(case.scheduler.next_wake_us(), None);
}

#[test]
fn time_in_which_the_scheduler_was_stopped_is_no_silence() {
    let mut case = Case::with_workers(1);
    assert_eq!(case.pass(2_900_000), []);
    // Stopped; the worker's messages wait, and so does the tick.
    case.now_us += 60_000_000;
    assert_eq!(case.event(Event::Tick), []);
    let (after_us, actions) = case.quiet();
    assert!((3_000_000..=3_250_000).contains(&after_us), "{after_us}");
    assert!(matches!(actions[..], [Action::Disconnect { .. }]));
    // One that is stopped again and again finds the dead in the end.
    let mut case = Case::with_workers(1);
    let stopped = (0..1000).find(|_| {
        case.now_us += 5_000_000;
        !case.event(Event::Tick).is_empty()
    });
    assert!(stopped.is_some());
}

#[test]
fn nobody_is_judged_before_what_had_come_was_heard() {
    let mut case = Case::with_workers(2);
    // Slow: each event takes a while, and the second worker's message stands far behind.
    for _ in 0..8 {
        case.now_us += 600_000;
        assert_eq!(case.report(0, Report::Alive { bytes_held: 0, bytes_on_disk: 0, bytes_resident: 0 }), []);
    }
    assert_eq!(case.report(1, Report::Alive { bytes_held: 0, bytes_on_disk: 0, bytes_resident: 0 }), []);
    assert_eq!(case.event(Event::Tick), []);
}

#[test]
fn silence_is_no_death_and_one_that_comes_back_did_not_die() {
    let mut case = Case::with_workers(0);
    case.submit(0, &[read("a", 1, 1)]);
    let join = |case: &mut Case, n: u32, incarnation| {
        let hello = Hello { incarnation, ..hello("w", 1, 1000) };
        assert_eq!(leases(&case.event(Event::WorkerJoined { worker: WorkerId(n), hello }), n).len(), 1);
    };
    for n in 0..10 {
        join(&mut case, n, 7);
        assert!(updates(&case.quiet().1).iter().all(|u| matches!(u, Update::Lost { .. })));
    }
    for n in 10..20 {
        join(&mut case, n, 7);
        let lost = case.event(Event::WorkerLost { worker: WorkerId(n), why: "reset".to_owned() });
        assert!(updates(&lost).iter().all(|u| matches!(u, Update::Lost { .. })), "{lost:?}");
    }
    // A task that stops whoever runs it does not go round for ever.
    let failed = (20..200).find(|n| {
        join(&mut case, *n, u64::from(*n));
        updates(&case.quiet().1).iter().any(|u| matches!(u, Update::Failed(JobError::Deadly { .. })))
    });
    assert_eq!(failed, Some(29), "after 20 silences");
}

#[test]
fn idle_workers_get_tasks_back_from_busy_ones() {
    let mut case = Case::with_workers(1);
    case.submit(0, &[read("a", 16, 1)]);
    let actions = case.event(Event::WorkerJoined { worker: WorkerId(1), hello: hello("w1", 2, 1_000_000) });
    let revoke = Instruction::Revoke { lease: LeaseId(0), tasks: tasks(0, 9..15) };
    let told = told(&actions, 0);
    assert!(matches!(told[..], [Instruction::Peer { .. }]) || told.contains(&revoke), "{told:?}");
}

#[test]
fn idle_workers_leave_tasks_that_end_before_what_they_read_could_come() {
    // Elements of a chunk and time of a task, microseconds, beside whether another worker takes some over.
    for (len, busy_us, taken) in
        [(4_000_000, 1_000, false), (4_000_000, 100_000, true), (1_000, 10_000, true)]
    {
        let mut case = Case { scheduler: Scheduler::new(Limits::default()), now_us: 0 };
        for w in 0..2 {
            let hello = hello(&format!("w{w}"), 2, 1 << 40);
            case.event(Event::WorkerJoined { worker: WorkerId(w), hello });
        }
        let finish = |case: &mut Case, workers: &[u32], actions: &[Action], busy_us: u64| {
            let leases_of = |actions: &[Action], w: u32| {
                leases(actions, w).into_iter().map(move |lease| (w, lease)).collect::<Vec<_>>()
            };
            let mut open: Vec<_> = workers.iter().flat_map(|w| leases_of(actions, *w)).collect();
            let mut revoked = false;
            while let Some((worker, (lease, tasks))) = open.pop() {
                let busy_us = busy_us * (tasks.chunks.end - tasks.chunks.start);
                let done = Report::Done { lease, tasks, busy_us, bytes_fetched: 0, sizes: vec![] };
                let actions = case.report(worker, done);
                let all = (0..2).flat_map(|w| told(&actions, w));
                revoked |= all.into_iter().any(|i| matches!(i, Instruction::Revoke { .. }));
                open.extend(workers.iter().flat_map(|w| leases_of(&actions, *w)));
            }
            revoked
        };
        let a = read("a", 16 * len, len as isize);
        let actions = case.submit(0, std::slice::from_ref(&a));
        finish(&mut case, &[0, 1], &actions, 10_000);
        let held = Expr::held(0, 0, a.grid().clone(), DType::F64, Arc::new(())).unwrap();
        let actions = case.submit(1, &[held.reduce_all(Fold::Sum).unwrap()]);
        assert!(leases(&actions, 0).len() + leases(&actions, 1).len() >= 2, "{actions:?}");
        // One does all that it has while the other reports nothing.
        assert_eq!(finish(&mut case, &[1], &actions, busy_us), taken, "{len} elements, {busy_us} us");
    }
}

#[test]
fn a_worker_that_leaves_gives_back_and_goes() {
    let mut case = Case::with_workers(2);
    let actions = case.submit(0, &[read("a", 2, 1)]);
    let mine = leases(&actions, 0).remove(0);
    assert_eq!(mine.1, tasks(0, 0..1));
    let actions = case.event(Event::WorkerLeaving { worker: WorkerId(0) });
    assert_eq!(told(&actions, 0), [Instruction::Revoke { lease: mine.0, tasks: mine.1.clone() }]);
    let actions = case.report(0, Report::Returned { lease: mine.0, tasks: mine.1 });
    assert!(actions.contains(&Action::Disconnect { worker: WorkerId(0), why: "it has left".to_owned() }));
    assert_eq!(leases(&actions, 1).len(), 1);
}

#[test]
fn results_of_a_released_job_are_kept_for_its_reader_and_no_longer() {
    let mut case = Case::with_workers(1);
    let actions = case.submit(0, &[read("a", 2, 1)]);
    case.done(0, &leases(&actions, 0)[0]);
    let grid = read("a", 2, 1).grid().clone();
    let held = Expr::held(0, 0, grid, DType::F64, Arc::new(())).unwrap();
    let actions = case.submit(1, &[held.reduce_all(Fold::Sum).unwrap()]);
    assert_eq!(told(&case.event(Event::JobReleased { job: JobId(0) }), 0), []);
    let mut open = leases(&actions, 0);
    let mut last = Vec::new();
    while let Some(lease) = open.pop() {
        last = case.done(0, &lease);
        open.extend(leases(&last, 0));
    }
    assert!(told(&last, 0).contains(&Instruction::Forget(JobId(0))));
    let state = case.scheduler.state(case.now_us);
    assert!(state.jobs[0].dormant && state.jobs[1].finished);
}

/// What is said in the log of jobs: the numbers of those that began, and how those ended that did.
fn said(actions: &[Action]) -> Vec<(u64, Option<JobEnd>)> {
    let said = actions.iter().filter_map(|a| match a {
        Action::Began { number, .. } => Some((number.0, None)),
        Action::Ended { number, end, .. } => Some((number.0, Some(end.clone()))),
        _ => None,
    });
    said.collect()
}

#[test]
fn a_cancelled_job_ends_with_those_that_read_it_and_says_by_whom() {
    let mut case = Case::with_workers(1);
    let actions = case.submit(7, &[read("a", 2, 1)]);
    assert_eq!(said(&actions), [(1, None)]);
    let actions = case.done(0, &leases(&actions, 0)[0]);
    assert_eq!(said(&actions), [(1, Some(JobEnd::Computed))]);
    let grid = read("a", 2, 1).grid().clone();
    let held = Expr::held(7, 0, grid, DType::F64, Arc::new(())).unwrap();
    let sum = held.reduce_all(Fold::Sum).unwrap();
    case.submit(8, std::slice::from_ref(&sum));
    let job = JobId(7);
    let actions = case.event(Event::JobCancelled { job, by: "anna".to_owned() });
    let error = JobError::Cancelled { by: "anna".to_owned() };
    assert_eq!(error.to_string(), "the job was cancelled by anna");
    let failed = Update::Failed(error.clone());
    assert_eq!(updates(&actions), [&failed, &failed]);
    let end = Some(JobEnd::Failed(error));
    assert_eq!(said(&actions), [(1, end.clone()), (2, end)]);
    assert!(told(&actions, 0).contains(&Instruction::Forget(JobId(7))));
    assert!(case.scheduler.state(case.now_us).jobs.is_empty());
    let actions = case.submit(9, &[sum]);
    let gone = "it reads an array of an earlier job, which does not exist any more";
    assert_eq!(updates(&actions), [&Update::Failed(JobError::Program(gone.to_owned()))]);
    let [(3, Some(JobEnd::Failed(JobError::Program(_))))] = said(&actions)[..] else { panic!("{actions:?}") };
}

#[test]
fn a_picture_tells_whose_job_does_what_how_fast_and_for_how_long() {
    let mut case = Case::with_workers(1);
    let hello = ClientHello { program: "p".into(), pid: 5, user: "anna".into(), host: "h".into() };
    case.event(Event::ClientJoined { client: ClientId(1), hello: hello.clone() });
    let actions = case.submit(0, &[read("a", 40, 1).reduce_all(Fold::Sum).unwrap()]);
    let (lease, tasks) = leases(&actions, 0)[0].clone();
    let half = TaskRange { chunks: tasks.chunks.start..tasks.chunks.start + 2, ..tasks.clone() };
    case.now_us += 3_000_000;
    let busy_us = 2_000_000;
    let actions =
        case.report(0, Report::Done { lease, tasks: half, busy_us, bytes_fetched: 0, sizes: vec![] });
    assert!(said(&actions).is_empty());
    let state = case.scheduler.state(case.now_us + 1_000_000);
    assert_eq!((state.clients[0].client, &state.clients[0].hello), (ClientId(1), &hello));
    let (job, stages) = (&state.jobs[0], &state.jobs[0].stages);
    assert_eq!((job.number, job.client, &*job.title), (JobNumber(1), ClientId(1), "combine"));
    assert_eq!(
        (job.done, job.total, job.n_stages),
        (2, stages.iter().map(|s| s.total).sum(), stages.len() as u64)
    );
    assert_eq!((&*stages[0].operation, stages[0].done), ("read", 2));
    assert_eq!((job.late_done, job.late_us / 1_000_000), (2, 3));
    assert_eq!(job.elapsed_us / 1_000_000, 4);
    // Two tasks took two seconds of four; the other tasks are taken to be as long.
    assert_eq!(job.left_us, Some(job.elapsed_us * (job.total - 2) / 2));
    assert_eq!(state.workers[0].build.as_deref(), Some("0f"));
    let actions = case.event(Event::ClientLost { client: ClientId(1) });
    assert_eq!(said(&actions), [(1, Some(JobEnd::ClientLost))]);
    assert!(case.scheduler.state(case.now_us).clients.is_empty());
}

#[test]
fn a_picture_of_many_jobs_and_stages_is_bounded() {
    let mut case = Case::with_workers(0);
    let program = Program::new(&[read("a", 2, 1).unary(tilework_expr::UnaryOp::Sin).unwrap()]);
    let plan = Lowered::of(&program).unwrap().plan;
    for job in 0..1100 {
        let (job, client) = (JobId(job), ClientId(1));
        let prepared = Prepared::of(job, plan.clone());
        case.scheduler.handle(1, Event::JobSubmitted { job, client, prepared }, &mut Vec::new());
    }
    let state = case.scheduler.state(case.now_us);
    assert_eq!((state.n_jobs, state.jobs.len(), state.jobs[0].number), (1100, 1000, JobNumber(101)));
    assert_eq!(state.jobs.iter().map(|j| j.stages.len()).sum::<usize>(), 256);
}

/// The number of the worker to which the literal's only chunk is to be put, and the lease.
fn upload(actions: &[Action]) -> Option<(u32, LeaseId)> {
    updates(actions).iter().find_map(|u| match u {
        Update::Upload { worker, lease, .. } => Some((worker.0, *lease)),
        _ => None,
    })
}

#[test]
fn a_chunk_that_cannot_be_put_goes_elsewhere_and_then_the_worker_is_named() {
    let mut case = Case::with_workers(2);
    let every = Chunks::Every(AxisChunks::Whole);
    let literal = Expr::literal(&[4], &every, DType::F64, 7, Arc::new(())).unwrap();
    let actions = case.submit(0, &[literal]);
    let (first, lease) = upload(&actions).unwrap();
    let why = || "connection refused".to_owned();
    let failed = |lease| Event::PutFailed { lease, task: task(0, 0), why: why() };
    let actions = case.event(failed(lease));
    assert_eq!(told(&actions, first), [Instruction::Revoke { lease, tasks: tasks(0, 0..1) }]);
    let (second, again) = upload(&actions).unwrap();
    assert_eq!(second, 1 - first);
    // What is said of a lease that is over changes nothing.
    assert_eq!(case.event(failed(lease)), []);
    let actions = case.event(failed(again));
    let message = format!("it cannot be put to worker 'w{second}' at w{second}:1: connection refused");
    let error = JobError::Operation { operation: "literal".to_owned(), chunk: 0, message };
    assert_eq!(updates(&actions), [&Update::Failed(error)]);
}

#[test]
fn clients_are_told_of_a_worker_that_is_gone_before_what_follows() {
    let mut case = Case::with_workers(2);
    let every = Chunks::Every(AxisChunks::Whole);
    let literal = Expr::literal(&[4], &every, DType::F64, 7, Arc::new(())).unwrap();
    let (first, _) = upload(&case.submit(0, &[literal])).unwrap();
    let actions = case.event(Event::WorkerLost { worker: WorkerId(first), why: "killed".to_owned() });
    let told = updates(&actions);
    assert_eq!(told[0], &Update::Lost { worker: WorkerId(first) });
    assert!(matches!(told[1], Update::Upload { worker, .. } if worker.0 == 1 - first));
}

#[test]
fn a_job_that_nobody_is_there_to_do_fails_after_a_time_and_says_how_the_workers_ended() {
    let grace_us = Limits::default().grace_us;
    let mut case = Case::with_workers(1);
    case.submit(0, &[read("a", 4, 1)]);
    let actions = case.event(Event::WorkerLost { worker: WorkerId(0), why: "it aborted".to_owned() });
    assert_eq!(updates(&actions), [&Update::Lost { worker: WorkerId(0) }]);
    // Somebody in time.
    assert_eq!(case.pass(grace_us / 2), []);
    case.event(Event::WorkerJoined { worker: WorkerId(1), hello: hello("w1", 2, 1_000_000) });
    case.event(Event::WorkerLost { worker: WorkerId(1), why: "killed".to_owned() });
    assert_eq!(case.pass(grace_us / 2), []);
    // Nor does it count how long the scheduler itself was stopped.
    case.now_us += 10 * grace_us;
    assert_eq!(case.event(Event::Tick), []);
    let (after_us, actions) = case.quiet();
    assert!((grace_us / 2..=grace_us / 2 + 500_000).contains(&after_us), "{after_us}");
    let error = JobError::NoWorker {
        waiting: "0 of 4 tasks are done".to_owned(),
        waited_s: grace_us / 1_000_000,
        ended: "the last to end: 'w0' (it aborted), 'w1' (killed)".to_owned(),
    };
    assert_eq!(updates(&actions), [&Update::Failed(error)]);
}

#[test]
fn a_worker_that_was_lost_with_its_memory_full_is_said_to_be() {
    let text = |bytes_resident| {
        let mut case = Case::with_workers(1);
        case.submit(0, &[read("a", 4, 1)]);
        case.report(0, Report::Alive { bytes_held: 100, bytes_on_disk: 0, bytes_resident });
        case.event(Event::WorkerLost { worker: WorkerId(0), why: "its connection closed".to_owned() });
        let (_, actions) = case.quiet();
        let [Update::Failed(error)] = updates(&actions)[..] else { panic!("{actions:?}") };
        error.to_string()
    };
    let full = "'w0' (its connection closed; its process had 950 kB when it was last heard of, and may use 1.00 MB: the \
                system may have killed it for memory)";
    assert!(text(950_000).ends_with(full), "{}", text(950_000));
    assert!([0, 500_000].into_iter().all(|bytes| text(bytes).ends_with("'w0' (its connection closed)")));
}

#[test]
fn a_task_for_a_worker_that_is_gone_fails_after_a_time_and_says_what_it_needs() {
    let mut case = Case { scheduler: Scheduler::new(Limits::in_process()), now_us: 0 };
    case.event(Event::WorkerJoined { worker: WorkerId(0), hello: hello("small", 2, 1_000_000) });
    case.event(Event::WorkerJoined { worker: WorkerId(1), hello: hello("large", 2, 100_000_000) });
    case.event(Event::WorkerLost { worker: WorkerId(1), why: "it left".to_owned() });
    case.submit(0, &[read("a", 1_000_000, -1)]);
    let (after_us, actions) = case.quiet();
    assert!(after_us >= Limits::default().grace_us - 10, "{after_us}");
    assert!(matches!(updates(&actions)[..], [Update::Failed(JobError::NoWorker { .. })]), "{actions:?}");
}

/// A square of `n` by `n` chunks of 128 bytes, with its mean along an axis, or of all, taken from it and reduced.
fn centred(n: usize, axis: Option<usize>) -> Expr {
    let file = FileRef { kind: FileKind::Npy, path: "x".to_owned(), member: String::new() };
    let n = 4 * n;
    let x =
        Expr::read((file, Stored::Rows), &[n, n], &Chunks::Every(AxisChunks::Len(4)), DType::F64).unwrap();
    let mean = match axis {
        Some(axis) => x.reduce(Fold::Mean, &[axis]).unwrap(),
        None => x.reduce_all(Fold::Mean).unwrap(),
    };
    let spread = x.binary(BinaryOp::Sub, &mean.broadcast_to(&[n, n]).unwrap()).unwrap();
    spread.reduce_all(Fold::Sum).unwrap()
}

/// What running a job to its end took: the chunks of the first stage in the order in which they were leased, the most
/// bytes held, and the update that it ended with.
fn run_to_end(memory_bytes: u64, n_workers: u32, output: Expr) -> (Vec<u64>, u64, Update) {
    let mut case = Case { scheduler: Scheduler::new(Limits::default()), now_us: 0 };
    for w in 0..n_workers {
        case.event(Event::WorkerJoined {
            worker: WorkerId(w),
            hello: hello(&format!("w{w}"), 1, memory_bytes),
        });
    }
    let mut actions = case.submit(0, &[output]);
    let (mut roots, mut open) = (Vec::new(), std::collections::VecDeque::new());
    loop {
        for worker in 0..n_workers {
            for lease in leases(&actions, worker) {
                if lease.1.stage == StageIdx(0) {
                    roots.extend(lease.1.chunks.clone());
                }
                open.push_back((worker, lease));
            }
        }
        if let Some(end) =
            updates(&actions).iter().find(|u| matches!(u, Update::Done { .. } | Update::Failed(_)))
        {
            let held = match end {
                Update::Done { figures, .. } => figures.bytes_held_max,
                _ => 0,
            };
            return (roots, held, (**end).clone());
        }
        let (worker, (lease, tasks)) = open.pop_front().expect("something is under way until the job ends");
        // So long that few are handed out ahead of need.
        let busy_us = 10_000 * (tasks.chunks.end - tasks.chunks.start);
        actions =
            case.report(worker, Report::Done { lease, tasks, busy_us, bytes_fetched: 0, sizes: vec![] });
    }
}

#[test]
fn what_waits_for_a_mean_of_columns_is_read_by_columns() {
    let (roots, held, end) = run_to_end(100_000, 1, centred(16, Some(0)));
    assert!(matches!(end, Update::Done { .. }), "{end:?}");
    let by_columns: Vec<u64> = (0..256).map(|p| p % 16 * 16 + p / 16).collect();
    assert_eq!(roots, by_columns);
    assert!(held < 32_768 / 4, "{held} bytes of 32768 are held at a time");
    // Along rows, the order is that of the numbers.
    let (roots, ..) = run_to_end(100_000, 1, centred(16, Some(1)));
    assert_eq!(roots, (0..256).collect::<Vec<u64>>());
}

#[test]
fn what_does_not_fit_until_a_mean_of_all_is_known_is_read_twice() {
    // All of it fits, and then less than a third.
    let (roots, _, end) = run_to_end(100_000, 1, centred(16, None));
    assert!(matches!(end, Update::Done { .. }) && roots.len() == 256, "{end:?}");
    for workers in [1, 3] {
        let memory = 10_800 / u64::from(workers);
        let (roots, held, end) = run_to_end(memory, workers, centred(16, None));
        assert!(matches!(end, Update::Done { .. }), "{end:?}");
        assert!(held <= 10_800, "{held} bytes are held of 10800");
        assert!((257..=512).contains(&roots.len()), "{} chunks are read for 256", roots.len());
    }
}

#[test]
fn what_is_kept_is_spread_by_free_memory_and_refused_with_numbers_where_it_does_not_fit() {
    let (_, _, end) = run_to_end(500, 2, read("a", 100, 1));
    let Update::Done { outputs, .. } = &end else { panic!("{end:?}") };
    let mine = outputs[0].iter().filter(|h| h.worker == WorkerId(0));
    let held: u64 = mine.map(|h| h.chunks.chunks.end - h.chunks.chunks.start).sum();
    assert!((45..=55).contains(&held), "{held} of 100 chunks are on one worker");
    let (_, _, end) = run_to_end(500, 2, read("a", 200, 1));
    let Update::Failed(JobError::Full { operation, needed, held, limit }) = end else { panic!("{end:?}") };
    assert_eq!((operation.as_str(), needed, limit), ("read", 8, 1000));
    assert!((880..=900).contains(&held), "{held}");
}

#[test]
fn a_task_needs_what_it_reads_of_chunks_and_not_the_chunks() {
    let file = FileRef { kind: FileKind::Npy, path: "x".to_owned(), member: String::new() };
    let chunks = |rows, columns| Chunks::Axes([rows, columns].map(AxisChunks::Len).to_vec());
    // 6400 bytes in ten chunks of rows, which are read by two: by columns, of 640 bytes each, and by themselves.
    let rows = Expr::read((file, Stored::Rows), &[40, 20], &chunks(4, 20), DType::F64).unwrap();
    let rows = rows.map_blocks(function("0f")).unwrap();
    let columns = rows.rechunk(&chunks(40, 2)).unwrap().map_blocks(function("0f")).unwrap();
    for (workers, memory) in [(1, 8000), (2, 4500), (3, 3200), (4, 2400)] {
        let (_, _, end) = run_to_end(memory, workers, columns.reduce_all(Fold::Sum).unwrap());
        assert!(matches!(end, Update::Done { .. }), "{workers} workers: {end:?}");
    }
    // A column's parts and its result are too much for any number of workers.
    let (_, _, end) = run_to_end(1200, 10, columns);
    assert!(
        matches!(end, Update::Failed(JobError::Memory { limit: 1200, needed, .. }) if needed < 2000),
        "{end:?}"
    );
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

#[test]
fn functions_go_to_workers_of_their_build() {
    let mut case = Case::with_workers(0);
    for (worker, build) in [(0, "other"), (1, "own"), (2, "other")] {
        of_build(&mut case, worker, build);
    }
    // A function of ready tasks: the read is anybody's.
    let x = read("a", 40, 1);
    let mapped = x.map_blocks(function("own")).unwrap();
    let actions = case.submit(0, std::slice::from_ref(&mapped));
    let did = play(&mut case, actions, 0..3);
    assert!(did.iter().any(|&(w, stage)| w != 1 && stage == 0), "{did:?}");
    assert!(did.iter().all(|&(w, stage)| w == 1 || stage == 0), "{did:?}");
    // A function of root tasks: only those get any.
    let axes = Chunks::Axes(vec![AxisChunks::Len(1)]);
    let kernel = Kernel { inputs: vec![DType::I64], ..function("own") };
    let index = Expr::from_index(kernel, &[40], &axes, Arc::new(())).unwrap();
    let mut case = Case::with_workers(0);
    for (worker, build) in [(0, "other"), (1, "own"), (2, "other")] {
        of_build(&mut case, worker, build);
    }
    let actions = case.submit(0, &[index]);
    let mut actions_after = of_build(&mut case, 3, "own");
    actions_after.splice(0..0, actions);
    let did = play(&mut case, actions_after, 0..4);
    assert!(!did.is_empty() && did.iter().all(|&(w, _)| w == 1 || w == 3), "{did:?}");
    assert!(case.scheduler.state(case.now_us).jobs[0].finished);
}

#[test]
fn functions_that_no_worker_has_end_their_job() {
    let foreign = |workers| JobError::Foreign { function: "own".into(), build: "own".into(), workers };
    let mapped = || read("a", 4, 1).map_blocks(function("own")).unwrap();
    let mut case = Case::with_workers(0);
    of_build(&mut case, 0, "other");
    let failed = Update::Failed(foreign(1));
    assert_eq!(updates(&case.submit(0, &[mapped()])), [&failed]);
    // The same where the first worker comes later; where one was there that has them, the job waits for another.
    let mut case = Case::with_workers(0);
    assert!(updates(&case.submit(0, &[mapped()])).is_empty());
    assert_eq!(updates(&of_build(&mut case, 0, "other")), [&failed]);
    let mut case = Case::with_workers(0);
    of_build(&mut case, 0, "other");
    of_build(&mut case, 1, "own");
    let mut actions = case.submit(0, &[mapped()]);
    actions.extend(case.event(Event::WorkerLost { worker: WorkerId(1), why: "killed".into() }));
    play(&mut case, actions, 0..1);
    assert!(!case.scheduler.state(case.now_us).jobs[0].finished);
    let actions = of_build(&mut case, 2, "own");
    assert!(updates(&actions).is_empty());
    let mut left = play(&mut case, actions, 0..3);
    left.retain(|&(w, _)| w == 0);
    assert!(case.scheduler.state(case.now_us).jobs[0].finished, "{left:?}");
}

#[test]
fn memory_that_only_others_have_is_none_for_functions() {
    let mut case = Case::with_workers(0);
    of_build(&mut case, 0, "other");
    let small = Hello { build: Some("own".into()), ..hello("small", 2, 100) };
    case.event(Event::WorkerJoined { worker: WorkerId(1), hello: small });
    let mapped = |len, chunk| read("a", len, chunk).map_blocks(function("own")).unwrap();
    let actions = case.submit(0, &[mapped(400, 200)]);
    assert!(
        matches!(updates(&actions)[..], [Update::Failed(JobError::Memory { limit: 100, needed: 3200, .. })]),
        "{actions:?}"
    );
    let actions = case.submit(1, &[mapped(10, 5)]);
    assert!(updates(&actions).is_empty());
    play(&mut case, actions, 0..2);
    assert!(case.scheduler.state(case.now_us).jobs.iter().any(|j| j.number == JobNumber(2) && j.finished));
}

/// Two workers that have no connection to one another, each with a chunk that the same task reads.
#[test]
fn a_task_whose_inputs_are_out_of_reach_has_them_made_nearer() {
    let mut case = Case::with_workers(2);
    let sum = read("a", 2, 1).reduce_all(Fold::Sum).unwrap();
    let mut actions = case.submit(0, &[sum]);
    // Until the task that reads two chunks is at one of them.
    let (mut at, mut combine) = (0, None);
    for _ in 0..20 {
        let next = (0..2).find_map(|w| leases(&actions, w).first().cloned().map(|l| (w, l)));
        let Some((w, lease)) = next else { break };
        if lease.1.stage == StageIdx(2) {
            (at, combine) = (w, Some(lease));
            break;
        }
        let others: Vec<Action> = actions.clone();
        actions = case.done(w, &lease);
        let rest = (0..2).flat_map(|v| leases(&others, v).into_iter().map(move |l| (v, l)));
        for (v, l) in rest.filter(|(_, l)| *l != lease) {
            actions.extend(case.done(v, &l));
        }
    }
    let (lease, combined) = combine.expect("the states are put together");
    let key = combined.keys().next().unwrap();
    let elsewhere =
        (0..2).map(|c| task(1, c)).find(|k| case.scheduler.holdings().contains(&(WorkerId(1 - at), *k)));
    let input = elsewhere.expect("one of the states is at the other worker");
    let missed = Report::Unreachable {
        lease,
        task: key,
        input,
        peer: WorkerId(1 - at),
        away: true,
        why: "refused".to_owned(),
    };
    let actions = case.report(at, missed);
    // The other could reach all, for all that is known.
    let (lease, again) = leases(&actions, 1 - at).remove(0);
    assert_eq!(again, combined);
    let input = (0..2).map(|c| task(1, c)).find(|k| *k != input).unwrap();
    let missed = Report::Unreachable {
        lease,
        task: key,
        input,
        peer: WorkerId(at),
        away: true,
        why: "refused".to_owned(),
    };
    let actions = case.report(1 - at, missed);
    let first = leases(&actions, 0);
    assert!(
        !first.is_empty() && leases(&actions, 1).is_empty(),
        "all is made at the first worker: {actions:?}"
    );
    let mut todo = first;
    while let Some(lease) = todo.pop() {
        let actions = case.done(0, &lease);
        assert!(leases(&actions, 1).is_empty());
        todo.extend(leases(&actions, 0));
    }
    assert!(case.scheduler.state(case.now_us).jobs[0].finished);
}

#[test]
fn transfers_that_fail_for_good_end_with_who_where_and_why() {
    let mut case = Case::with_workers(2);
    let sum = read("a", 1, 1).reduce_all(Fold::Sum).unwrap();
    let mut actions = case.submit(0, &[sum]);
    let mut failed = None;
    for _ in 0..500 {
        let all: Vec<_> = (0..2).flat_map(|w| leases(&actions, w).into_iter().map(move |l| (w, l))).collect();
        actions.clear();
        for (w, (lease, tasks)) in all {
            let task = tasks.keys().next().unwrap();
            let report = if task.stage == StageIdx(0) {
                Report::Done { lease, tasks, busy_us: 1, bytes_fetched: 0, sizes: vec![] }
            } else {
                let input = TaskKey { stage: StageIdx(0), ..task };
                let held = case.scheduler.holdings().iter().find(|(_, k)| *k == input).map(|(w, _)| *w);
                let (peer, away, why) = (held.unwrap(), false, "it says no".to_owned());
                Report::Unreachable { lease, task, input, peer, away, why }
            };
            actions.extend(case.report(w, report));
        }
        let mut errors = updates(&actions).into_iter().filter_map(|u| match u {
            Update::Failed(JobError::Operation { message, .. }) => Some(message.clone()),
            _ => None,
        });
        failed = failed.or(errors.next());
    }
    let why = failed.expect("it fails");
    assert!(why.contains("could not get one from worker 'w") && why.ends_with(":1: it says no"), "{why}");
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

#[test]
fn a_call_that_fails_fails_those_that_read_its_value_and_nothing_else() {
    let mut case = Case::with_workers(1);
    let first = calls(&[], &[&[], &[], &[]]);
    let second = calls(std::slice::from_ref(&first), &[&[(0, 0)], &[(0, 1), (0, 0)], &[]]);
    let actions = case.submit(0, &[first, second]);
    let mut open = leases(&actions, 0);
    let mut failed = Vec::new();
    let mut made = 0;
    while let Some((lease, tasks)) = open.pop() {
        for key in tasks.keys() {
            let report = match (key.stage.0, key.chunk.0) {
                (0, 1) => {
                    let error = TaskError::Operation("no".into());
                    Report::Failed { lease, task: key, error }
                }
                _ => measured(
                    &(lease, TaskRange { chunks: key.chunk.0..key.chunk.0 + 1, ..tasks.clone() }),
                    &[7],
                ),
            };
            let actions = case.report(0, report);
            open.extend(leases(&actions, 0));
            for update in updates(&actions) {
                match update {
                    Update::TasksFailed { output, values, error } => {
                        assert_eq!(error.to_string(), "call, chunk 1: no");
                        failed.push((*output, values.clone()));
                    }
                    Update::Made { outputs, .. } => made += outputs.iter().map(Vec::len).sum::<usize>(),
                    Update::Done { outputs, .. } => {
                        let n = |o: &Vec<Holding>| o.iter().map(|h| h.chunks.keys().count()).sum::<usize>();
                        assert_eq!(outputs.iter().map(n).collect::<Vec<_>>(), [2, 2]);
                    }
                    other => assert!(matches!(other, Update::Progress { .. }), "{other:?}"),
                }
            }
        }
    }
    failed.sort_by_key(|(output, _)| *output);
    assert_eq!(failed, [(0, 1..2), (1, 1..2)]);
    // The last value comes with the announcement of all.
    assert_eq!(made, 3);
    assert_eq!(case.scheduler.holdings().len(), 4);
}

#[test]
fn results_are_charged_by_what_they_turn_out_to_be() {
    let mut case = Case::with_workers(1);
    let actions = case.submit(0, &[calls(&[], &[&[], &[]])]);
    let [lease] = &leases(&actions, 0)[..] else { panic!("{actions:?}") };
    let actions = case.report(0, measured(lease, &[1_000_000, 3]));
    assert!(updates(&actions).iter().any(|u| matches!(u, Update::Done { .. })));
    assert_eq!(case.scheduler.state(case.now_us).jobs[0].bytes_held, 1_000_003);
    // The sums of what workers hold are checked after each event.
    case.event(Event::JobReleased { job: JobId(0) });
}

#[test]
fn a_job_that_reads_values_of_another_that_failed_is_told_which() {
    let mut case = Case::with_workers(1);
    let actions = case.submit(0, &[calls(&[], &[&[], &[]])]);
    let [(lease, _)] = leases(&actions, 0)[..] else { panic!("{actions:?}") };
    let error = TaskError::Operation("no".into());
    case.report(0, Report::Failed { lease, task: task(0, 1), error });
    let held = Expr::held_values(0, 0, 2, Arc::new(())).unwrap();
    let mut actions = case.submit(1, &[calls(&[held], &[&[(0, 1)], &[(0, 0)]])]);
    actions.extend(case.report(0, measured(&(lease, tasks(0, 0..1)), &[7])));
    let failed: Vec<_> = updates(&actions)
        .into_iter()
        .filter_map(|u| match u {
            Update::TasksFailed { values, error, .. } => Some((values.clone(), error.to_string())),
            _ => None,
        })
        .collect();
    assert_eq!(failed, [(0..1, "call, chunk 1: no".to_owned())]);
    let [of_second] = &leases(&actions, 0)[..] else { panic!("{actions:?}") };
    let actions = case.report(0, measured(of_second, &[9]));
    assert!(updates(&actions).iter().any(|u| matches!(u, Update::Done { .. })), "{actions:?}");
}

#[test]
fn what_waits_behind_a_task_that_takes_long_is_given_to_an_idle_worker() {
    let limits = Limits { steal_us_min: 1_000_000, ..Limits::default() };
    let mut case = Case { scheduler: Scheduler::new(limits), now_us: 0 };
    case.event(Event::WorkerJoined { worker: WorkerId(0), hello: hello("w0", 1, 1_000_000) });
    let actions = case.submit(0, &[calls(&[], &[&[], &[], &[], &[]])]);
    let (lease, granted) = leases(&actions, 0)[0].clone();
    // They are short, as far as is known.
    let first = TaskRange { chunks: 0..1, ..granted.clone() };
    case.report(0, measured(&(lease, first), &[1]));
    let actions = case.event(Event::WorkerJoined { worker: WorkerId(1), hello: hello("w1", 1, 1_000_000) });
    let revoked = |actions: &[Action]| {
        let told = actions.iter().filter_map(|a| match a {
            Action::Tell { instructions, .. } => Some(instructions),
            _ => None,
        });
        told.flatten().any(|i| matches!(i, Instruction::Revoke { .. }))
    };
    assert!(!revoked(&actions), "{actions:?}");
    let actions = case.report(0, Report::Threads { stuck: 0, longest_us: 2_000_000 });
    assert!(revoked(&actions), "{actions:?}");
}

fn failed(lease: LeaseId, key: TaskKey, why: &str) -> Report {
    Report::Failed { lease, task: key, error: TaskError::Operation(why.to_owned()) }
}

/// Which worker was given tasks, and under which lease.
fn given(actions: &[Action]) -> Vec<(u32, LeaseId)> {
    (0..2).flat_map(|w| leases(actions, w).into_iter().map(move |(lease, _)| (w, lease))).collect()
}

#[test]
fn a_task_is_tried_again_elsewhere_and_says_what_each_attempt_said() {
    let terms = Terms { retries: 2, ..Terms::default() };
    let mut case = Case::with_workers(2);
    let actions = case.submit(0, &[calls_on(&terms, &[], &[&[]])]);
    let [(first, lease)] = given(&actions)[..] else { panic!("{actions:?}") };
    let actions = case.report(first, failed(lease, task(0, 0), "no"));
    let [(second, lease)] = given(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!(second, 1 - first);
    let actions = case.report(second, failed(lease, task(0, 0), "nor here"));
    let [(third, lease)] = given(&actions)[..] else { panic!("{actions:?}") };
    let actions = case.report(third, failed(lease, task(0, 0), "no more"));
    let why = updates(&actions).into_iter().find_map(|u| match u {
        Update::TasksFailed { error: JobError::Operation { message, .. }, .. } => Some(message.clone()),
        _ => None,
    });
    assert_eq!(
        why.expect("it fails"),
        format!(
            "it failed in each of 3 attempts:\n  1, on 'w{first}': no\n  2, on 'w{second}': nor here\n  3, on \
             'w{third}': no more"
        )
    );
}

#[test]
fn a_task_that_succeeds_when_it_is_tried_again_is_done() {
    let terms = Terms { retries: 1, ..Terms::default() };
    let mut case = Case::with_workers(1);
    let actions = case.submit(0, &[calls_on(&terms, &[], &[&[]])]);
    let [(_, lease)] = given(&actions)[..] else { panic!("{actions:?}") };
    // The only worker there is gets it again.
    let actions = case.report(0, failed(lease, task(0, 0), "no"));
    let again = leases(&actions, 0).remove(0);
    let actions = case.report(0, measured(&again, &[7]));
    assert!(updates(&actions).iter().any(|u| matches!(u, Update::Done { .. })), "{actions:?}");
}
