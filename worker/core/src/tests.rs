//! Small cases, with the exact actions that they must bring about.

use crate::{Action, Event, Feed, FetchId, Limits, Planned, Source, Whence, Worker};
use std::sync::Arc;
use tilework_expr::{
    AxisChunks, BinaryOp, Calls, Chunks, DType, Expr, FileKind, FileRef, Fold, Kernel, Lowered, Program,
    SliceArg,
};
use tilework_plan::{
    Holding, Instruction, JobId, LeaseId, Part, Report, StageIdx, Stored, TaskError, TaskKey, TaskRange,
    Terms, WorkerId,
};

fn read(name: &str, len: usize, chunk: isize) -> Expr {
    let file = FileRef { kind: FileKind::Npy, path: name.to_owned(), member: String::new() };
    Expr::read((file, Stored::Rows), &[len], &Chunks::Axes(vec![AxisChunks::Len(chunk)]), DType::F64).unwrap()
}

/// So many calls of a function that read nothing.
fn calls(n: usize, terms: Terms) -> Expr {
    let (build, name) = ("0f".into(), "f".into());
    let kernel = Kernel { offset: 8, build, name, params: vec![], inputs: vec![], output: DType::U8 };
    let calls = Calls {
        kernel: Arc::new(kernel),
        params: Arc::from([]),
        ends: vec![0; n].into(),
        args: Arc::from([]),
        arg_ends: vec![0; n].into(),
        line: Some("main.rs:7:9".into()),
        terms: Some(Arc::new(terms)),
        gives: 0,
        takes: false,
    };
    Expr::calls(calls, &[]).unwrap()
}

/// Three values of a block for each of two calls that take them: stages 0 and 2, and the barrier between.
fn exchange() -> Expr {
    let (build, name) = ("0f".into(), "f".into());
    let kernel =
        Arc::new(Kernel { offset: 8, build, name, params: vec![], inputs: vec![], output: DType::U8 });
    let calls = |n: usize, gives, takes| Calls {
        kernel: kernel.clone(),
        params: Arc::from([]),
        ends: vec![0; n].into(),
        args: Arc::from([]),
        arg_ends: vec![0; n].into(),
        line: None,
        terms: None,
        gives,
        takes,
    };
    let values = Expr::calls(calls(3, 2, false), &[]).unwrap();
    Expr::calls(calls(2, 0, true), &[values]).unwrap()
}

fn tasks(stage: u32, chunks: std::ops::Range<u64>) -> TaskRange {
    TaskRange { job: JobId(0), stage: StageIdx(stage), chunks }
}

fn task(stage: u32, chunk: u64) -> TaskKey {
    tasks(stage, chunk..chunk + 1).keys().next().unwrap()
}

fn lease(id: u64, tasks: TaskRange) -> Instruction {
    Instruction::Lease { lease: LeaseId(id), tasks, elsewhere: vec![], priority: 0 }
}

/// A lease whose inputs, chunks of stage 0, are at worker 7.
fn lease_from(id: u64, tasks: TaskRange, inputs: TaskRange) -> Instruction {
    let elsewhere = vec![Holding { chunks: inputs, worker: WorkerId(7) }];
    Instruction::Lease { lease: LeaseId(id), tasks, elsewhere, priority: 0 }
}

struct Case {
    worker: Worker,
    now_us: u64,
}

impl Case {
    /// A worker that knows job 0 and worker 7.
    fn new(limits: Limits, outputs: &[Expr]) -> Case {
        let mut case = Case { worker: Worker::new(limits), now_us: 0 };
        let lowered = Lowered::of(&Program::new(outputs)).unwrap();
        let planned = Planned::of(lowered.plan);
        case.event(Event::Planned { job: JobId(0), planned });
        case.told(vec![
            Instruction::Define(JobId(0)),
            Instruction::Peer { worker: WorkerId(7), addresses: vec![] },
        ]);
        case
    }

    fn event(&mut self, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        self.now_us += 1;
        self.worker.handle(self.now_us, event, &mut out);
        self.worker.check();
        out
    }

    fn told(&mut self, instructions: Vec<Instruction>) -> Vec<Action> {
        self.event(Event::Told(instructions))
    }

    fn finish(&mut self, id: u64, task: TaskKey) -> Vec<Action> {
        self.event(Event::Finished { lease: LeaseId(id), task, result: Ok(0), busy_us: 5 })
    }
}

fn run(id: u64, task: TaskKey, feeds: Vec<Feed>) -> Action {
    Action::Run { lease: LeaseId(id), task, feeds }
}

fn done(id: u64, tasks: TaskRange, busy_us: u64) -> Action {
    Action::Report(vec![Report::Done { lease: LeaseId(id), tasks, busy_us, bytes_fetched: 0, sizes: vec![] }])
}

fn fetched(slot: usize, key: TaskKey, id: u64) -> Feed {
    Feed { slot, key, source: Source::Fetched(FetchId(id)) }
}

#[test]
fn as_many_run_as_there_are_threads_and_are_reported_together() {
    let mut case = Case::new(Limits::new(2, 1000), &[read("a", 4, 1)]);
    let actions = case.told(vec![lease(1, tasks(0, 0..4))]);
    assert_eq!(actions, [run(1, task(0, 0), vec![]), run(1, task(0, 1), vec![])]);
    assert_eq!(case.finish(1, task(0, 1)), [run(1, task(0, 2), vec![])]);
    assert_eq!(case.finish(1, task(0, 0)), [run(1, task(0, 3), vec![])]);
    let one = |chunks, busy_us| Report::Done {
        lease: LeaseId(1),
        tasks: tasks(0, chunks),
        busy_us,
        bytes_fetched: 0,
        sizes: vec![],
    };
    assert_eq!(case.finish(1, task(0, 3)), [Action::Report(vec![one(0..2, 10), one(3..4, 5)])]);
    assert_eq!(case.finish(1, task(0, 2)), [done(1, tasks(0, 2..3), 5)]);
    assert_eq!(case.worker.usage().bytes_held, 32);
}

#[test]
fn inputs_are_fetched_once_and_shared() {
    let a = read("a", 4, 4);
    let outputs = [a.reduce_all(Fold::Sum).unwrap(), a.reduce_all(Fold::Prod).unwrap()];
    let mut case = Case::new(Limits::new(1, 1000), &outputs);
    let from = || tasks(0, 0..1);
    let actions =
        case.told(vec![lease_from(1, tasks(1, 0..1), from()), lease_from(2, tasks(2, 0..1), from())]);
    let fetch =
        Action::Fetch { fetch: FetchId(0), from: Whence::Peer(WorkerId(7)), key: task(0, 0), part: None };
    assert_eq!(actions, [fetch]);
    let actions = case.event(Event::Fetched { fetch: FetchId(0), bytes: 0 });
    assert_eq!(actions, [run(2, task(2, 0), vec![fetched(0, task(0, 0), 0)])]);
    let actions = case.finish(2, task(2, 0));
    assert_eq!(actions, [run(1, task(1, 0), vec![fetched(0, task(0, 0), 0)])]);
    case.finish(1, task(1, 0));
    let actions = case.told(vec![Instruction::Forget(JobId(0))]);
    assert_eq!(actions[2], Action::Free(Source::Fetched(FetchId(0))));
    assert_eq!(case.worker.usage(), crate::WorkerUse::default());
}

#[test]
fn only_the_box_that_is_needed_is_fetched() {
    // Of a file that is decoded whole: of another one only the slice would be read.
    let file = FileRef { kind: FileKind::Npy, path: "a".to_owned(), member: String::new() };
    let all = Expr::read((file, Stored::Boxes(vec![100])), &[100], &Chunks::Auto, DType::F64).unwrap();
    let few = all.slice(&[SliceArg::Range { start: 10, end: Some(20), step: 1 }]).unwrap();
    let few = few.binary(BinaryOp::Add, &few).unwrap();
    let mut case = Case::new(Limits::new(1, 10_000), &[few]);
    let actions = case.told(vec![lease_from(1, tasks(1, 0..1), tasks(0, 0..1))]);
    let part = Some(Part::Box(std::iter::once(10..20).collect()));
    assert_eq!(
        actions,
        [Action::Fetch { fetch: FetchId(0), from: Whence::Peer(WorkerId(7)), key: task(0, 0), part }]
    );
}

#[test]
fn a_block_of_each_value_is_fetched_of_whoever_is_said_to_have_it() {
    let mut case = Case::new(Limits::new(2, 10_000), &[exchange()]);
    case.told(vec![lease(1, tasks(0, 2..3))]);
    case.event(Event::Finished { lease: LeaseId(1), task: task(0, 2), result: Ok(200), busy_us: 5 });
    let told = |chunks, worker| Instruction::Holders {
        job: JobId(0),
        stage: StageIdx(0),
        bytes: 600,
        holders: vec![Holding { chunks: tasks(0, chunks), worker: WorkerId(worker) }],
    };
    let fetch = |fetch, worker, chunk, block| Action::Fetch {
        fetch: FetchId(fetch),
        from: Whence::Peer(WorkerId(worker)),
        key: task(0, chunk),
        part: Some(Part::Block(block)),
    };
    let actions = case.told(vec![told(0..2, 7), lease(2, tasks(2, 1..2))]);
    assert_eq!(actions, [fetch(0, 7, 0, 1), fetch(1, 7, 1, 1)]);
    // Half of a third of what all values have; then what the blocks have.
    assert_eq!(case.worker.usage().bytes_fetched, 200);
    assert_eq!(case.event(Event::Fetched { fetch: FetchId(0), bytes: 7 }), []);
    let actions = case.event(Event::Fetched { fetch: FetchId(1), bytes: 300 });
    assert_eq!(case.worker.usage().bytes_fetched, 307);
    let here = Feed { slot: 0, key: task(0, 2), source: Source::Held(task(0, 2)) };
    let feeds = vec![fetched(0, task(0, 0), 0), fetched(0, task(0, 1), 1), here];
    assert_eq!(actions, [run(2, task(2, 1), feeds)]);
    // One of them is made again elsewhere.
    let peer = Instruction::Peer { worker: WorkerId(9), addresses: vec![] };
    let actions = case.told(vec![peer, told(1..2, 9), lease(3, tasks(2, 0..1))]);
    assert_eq!(actions, [fetch(2, 7, 0, 0), fetch(3, 9, 1, 0)]);
}

#[test]
fn blocks_that_turn_out_larger_than_memory_end_their_task_and_no_other() {
    let mut case = Case::new(Limits::new(2, 1000), &[exchange()]);
    let holders = vec![Holding { chunks: tasks(0, 0..3), worker: WorkerId(7) }];
    let told = Instruction::Holders { job: JobId(0), stage: StageIdx(0), bytes: 600, holders };
    case.told(vec![told, lease(2, tasks(2, 0..1))]);
    // A hundred bytes for each of three blocks, and as much again for what they say.
    let blocks = case.worker.usage();
    assert_eq!((blocks.bytes_fetched, blocks.bytes_reserved >= 300), (300, true));
    assert_eq!(case.event(Event::Fetched { fetch: FetchId(0), bytes: 150 }), []);
    let actions = case.event(Event::Fetched { fetch: FetchId(1), bytes: 900 });
    let too_large = |r: &Report| match r {
        Report::Failed { error: TaskError::Memory { limit: 1000, needed }, lease: LeaseId(2), .. } => {
            *needed == blocks.bytes_reserved + 150 + 900 + 100
        }
        _ => false,
    };
    assert!(reported(&actions).iter().any(too_large), "{actions:?}");
    case.event(Event::Fetched { fetch: FetchId(2), bytes: 100 });
    assert_eq!(case.worker.usage(), crate::WorkerUse::default());
}

#[test]
fn tasks_whose_transfers_would_only_wait_are_not_looked_at() {
    for (fetches_max, staged) in [(1, 1), (2, 2)] {
        let mut case = Case::new(Limits { fetches_max, ..Limits::new(2, 100_000) }, &[exchange()]);
        let holders = vec![Holding { chunks: tasks(0, 0..3), worker: WorkerId(7) }];
        let told = Instruction::Holders { job: JobId(0), stage: StageIdx(0), bytes: 600, holders };
        case.told(vec![told, lease(2, tasks(2, 0..2))]);
        assert_eq!(case.worker.usage().staged, staged);
    }
}

#[test]
fn a_failed_transfer_is_reported_and_nothing_stays() {
    let sum = read("a", 4, 4).reduce_all(Fold::Sum).unwrap();
    let mut case = Case::new(Limits::new(1, 1000), &[sum]);
    case.told(vec![lease_from(1, tasks(1, 0..1), tasks(0, 0..1))]);
    let failed = Event::FetchFailed { fetch: FetchId(0), away: true, why: "refused".to_owned() };
    let actions = case.event(failed);
    let report = |id, away, why: &str| {
        let (task, input, why) = (task(1, 0), task(0, 0), why.to_owned());
        let (lease, peer) = (LeaseId(id), WorkerId(7));
        Action::Report(vec![Report::Unreachable { lease, task, input, peer, away, why }])
    };
    assert_eq!(actions, [report(1, true, "refused")]);
    assert_eq!(case.worker.usage(), crate::WorkerUse::default());
    // The same where the peer is gone, or unknown.
    case.told(vec![lease_from(2, tasks(1, 0..1), tasks(0, 0..1))]);
    assert_eq!(case.told(vec![Instruction::PeerGone(WorkerId(7))]), [report(2, false, "it is gone")]);
    assert_eq!(
        case.told(vec![lease_from(3, tasks(1, 0..1), tasks(0, 0..1))]),
        [report(3, false, "it is not among the workers")]
    );
}

#[test]
fn memory_is_reserved_before_a_task_runs() {
    // Each task makes 80 bytes; two fit.
    let mut case = Case::new(Limits::new(4, 200), &[read("a", 40, 10)]);
    let actions = case.told(vec![lease(1, tasks(0, 0..4))]);
    assert_eq!(actions, [run(1, task(0, 0), vec![]), run(1, task(0, 1), vec![])]);
    case.finish(1, task(0, 0));
    // What is held leaves no room, but something must run when nothing else does.
    assert_eq!(case.finish(1, task(0, 1))[0], run(1, task(0, 2), vec![]));
    assert_eq!(case.worker.usage().queued, 1);
    let actions = case.told(vec![Instruction::Drop(tasks(0, 0..2))]);
    assert_eq!(actions[2], run(1, task(0, 3), vec![]));
}

#[test]
fn a_task_that_is_too_large_is_refused() {
    let mut case = Case::new(Limits::new(1, 79), &[read("a", 10, 10)]);
    let error = TaskError::Memory { needed: 80, limit: 79 };
    let report = Report::Failed { lease: LeaseId(1), task: task(0, 0), error };
    assert_eq!(case.told(vec![lease(1, tasks(0, 0..1))]), [Action::Report(vec![report])]);
}

#[test]
fn what_was_not_started_is_given_back() {
    let mut case = Case::new(Limits::new(1, 1000), &[read("a", 8, 1)]);
    case.told(vec![lease(1, tasks(0, 0..8))]);
    let returned = |chunks| {
        let tasks = tasks(0, chunks);
        Action::Report(vec![Report::Returned { lease: LeaseId(1), tasks }])
    };
    let revoke = |chunks| Instruction::Revoke { lease: LeaseId(1), tasks: tasks(0, chunks) };
    assert_eq!(case.told(vec![revoke(5..8)]), [returned(5..8)]);
    assert_eq!(case.told(vec![revoke(5..8)]), [returned(5..5)]);
}

#[test]
fn a_task_that_is_leased_anew_answers_the_later_lease() {
    let mut case = Case::new(Limits::new(1, 1000), &[read("a", 8, 1)]);
    case.told(vec![lease(1, tasks(0, 0..1)), lease(2, tasks(0, 0..1))]);
    assert_eq!(case.finish(1, task(0, 0)), [done(2, tasks(0, 0..1), 5)]);
    assert_eq!(case.told(vec![lease(3, tasks(0, 0..1))]), [done(3, tasks(0, 0..1), 0)]);
}

#[test]
fn literal_chunks_may_come_before_their_lease() {
    let chunks = Chunks::Axes(vec![AxisChunks::Len(1)]);
    let literal = Expr::literal(&[2], &chunks, DType::F64, 5, Arc::new(())).unwrap();
    let mut case = Case::new(Limits::new(1, 1000), &[literal]);
    let put = |id, chunk| Event::Put { lease: LeaseId(id), key: task(0, chunk), bytes: 8, borrowed: false };
    assert_eq!(case.event(put(4, 0)), []);
    assert_eq!(case.told(vec![lease(4, tasks(0, 0..2))]), [done(4, tasks(0, 0..1), 0)]);
    assert_eq!(case.event(put(3, 1)), [Action::Free(Source::Held(task(0, 1)))]);
    assert_eq!(case.event(put(4, 1)), [done(4, tasks(0, 1..2), 0)]);
}

#[test]
fn a_chunk_that_is_put_again_before_its_lease_is_not_dropped_for_the_one_before() {
    let chunks = Chunks::Axes(vec![AxisChunks::Len(1)]);
    let literal = Expr::literal(&[2], &chunks, DType::F64, 5, Arc::new(())).unwrap();
    let limits = Limits { spill_bytes: 1000, spill_bytes_min: 1, ..Limits::new(1, 10) };
    let mut case = Case::new(limits, &[literal]);
    let put = |id, chunk| Event::Put { lease: LeaseId(id), key: task(0, chunk), bytes: 8, borrowed: false };
    case.told(vec![lease(1, tasks(0, 0..2))]);
    case.event(put(1, 0));
    let actions = case.event(put(1, 1));
    let spill = actions.iter().find_map(|a| match a {
        Action::Spill { spill, key } if *key == task(0, 0) => Some(*spill),
        _ => None,
    });
    let spill = spill.unwrap_or_else(|| panic!("nothing is written: {actions:?}"));
    // The driver has the chunk anew.
    assert_eq!(case.event(put(2, 0)), []);
    let written = case.event(Event::Spilled { spill, key: task(0, 0), result: Ok(()) });
    let goes =
        |a: &Action| matches!(a, Action::Unload(k) | Action::Free(Source::Held(k)) if *k == task(0, 0));
    assert!(!written.iter().any(goes), "{written:?}");
    let again = case.told(vec![Instruction::Drop(tasks(0, 0..1)), lease(2, tasks(0, 0..1))]);
    assert!(!again.iter().any(goes), "{again:?}");
    assert!(case.worker.store.holds(task(0, 0)) && !case.worker.store.is_on_disk(task(0, 0)));
}

#[test]
fn what_runs_keeps_its_inputs_and_is_stopped_when_its_job_is_over() {
    let sum = read("a", 4, 4).reduce_all(Fold::Sum).unwrap();
    let mut case = Case::new(Limits::new(1, 1000), &[sum]);
    case.told(vec![lease(1, tasks(0, 0..1))]);
    case.finish(1, task(0, 0));
    let feed = Feed { slot: 0, key: task(0, 0), source: Source::Held(task(0, 0)) };
    assert_eq!(case.told(vec![lease(2, tasks(1, 0..1))]), [run(2, task(1, 0), vec![feed])]);
    assert_eq!(case.told(vec![Instruction::Drop(tasks(0, 0..1))]), []);
    assert_eq!(case.told(vec![Instruction::Forget(JobId(0))]), [Action::Stop(task(1, 0))]);
    let freed = [task(0, 0), task(1, 0)].map(|k| Action::Free(Source::Held(k)));
    assert_eq!(case.finish(2, task(1, 0)), freed);
}

#[test]
fn signs_of_life_come_in_time() {
    let mut case = Case::new(Limits::new(1, 1000), &[read("a", 8, 1)]);
    assert_eq!(case.worker.next_wake_us(), Some(500_001));
    case.now_us = 500_000;
    assert_eq!(
        case.event(Event::Tick),
        [Action::Report(vec![Report::Alive { bytes_held: 0, bytes_on_disk: 0, bytes_resident: 0 }])]
    );
}

/// A worker of one thread at a task of job 0, which stands as having run for `age_us` when it is asked.
fn at_work(limits: Limits) -> (Case, impl Fn(u64) -> Event) {
    let mut case = Case::new(limits, &[read("a", 4, 4)]);
    assert_eq!(case.told(vec![lease(1, tasks(0, 0..1))]), [run(1, task(0, 0), vec![])]);
    (case, |age_us| Event::Ages(vec![(LeaseId(1), task(0, 0), age_us)]))
}

/// The reports of some actions but for signs of life.
fn reported(actions: &[Action]) -> Vec<Report> {
    let reports = actions.iter().filter_map(|a| match a {
        Action::Report(reports) => Some(reports.clone()),
        _ => None,
    });
    reports.flatten().filter(|r| !matches!(r, Report::Alive { .. })).collect()
}

/// Lets time pass as it does for a worker that is not stopped.
fn pass(case: &mut Case, us: u64) -> Vec<Report> {
    let end_us = case.now_us + us;
    let mut reports = Vec::new();
    while case.now_us < end_us {
        case.now_us = (case.now_us + 400_000).min(end_us);
        reports.extend(reported(&case.event(Event::Tick)));
    }
    reports
}

#[test]
fn a_task_that_runs_for_too_long_fails_once_and_says_so() {
    let (mut case, aged) = at_work(Limits { task_us_max: Some(10_000_000), ..Limits::new(1, 1000) });
    pass(&mut case, 9_000_000);
    assert_eq!(case.event(aged(9_000_000)), []);
    pass(&mut case, 2_000_000);
    let actions = case.event(aged(11_000_000));
    let [Report::Failed { lease: LeaseId(1), error: TaskError::Operation(why), .. }] =
        &reported(&actions)[..]
    else {
        panic!("{actions:?}")
    };
    assert!(
        why.starts_with("it has been running for 11.0 s, and the worker lets a task run for 10.0 s"),
        "{why}"
    );
    assert_eq!(reported(&case.event(aged(12_000_000))), []);
}

#[test]
fn a_thread_that_does_not_come_back_is_counted_told_and_given_up() {
    let (mut case, aged) = at_work(Limits { stop_us_max: Some(10_000_000), ..Limits::new(1, 1000) });
    case.told(vec![Instruction::Forget(JobId(0))]);
    pass(&mut case, 3_000_000);
    case.event(aged(3_000_000));
    let told = pass(&mut case, 1_000_000);
    assert_eq!(told, [Report::Threads { stuck: 1, longest_us: 3_000_000 }]);
    pass(&mut case, 7_000_000);
    let actions = case.event(aged(11_000_000));
    let [Action::Replace(why)] = &actions[..] else { panic!("{actions:?}") };
    assert!(
        why.starts_with("1 thread of 1 taken by tasks that go on though they were told to stop"),
        "{why}"
    );
    assert_eq!(case.event(aged(12_000_000)), []);
    // One that ends all the same is told of, too.
    case.finish(1, task(0, 0));
    case.event(Event::Ages(vec![]));
    assert_eq!(pass(&mut case, 1_000_000).last(), Some(&Report::Threads { stuck: 0, longest_us: 0 }));
}

#[test]
fn time_in_which_the_worker_is_stopped_counts_for_no_task() {
    let limits =
        Limits { task_us_max: Some(10_000_000), stop_us_max: Some(10_000_000), ..Limits::new(1, 1000) };
    let (mut case, aged) = at_work(limits.clone());
    case.now_us += 3_600_000_000;
    assert_eq!(reported(&case.event(aged(3_600_000_000))), []);
    let (mut case, aged) = at_work(limits);
    case.told(vec![Instruction::Forget(JobId(0))]);
    case.now_us += 3_600_000_000;
    let actions = case.event(aged(3_600_000_000));
    assert!(!actions.iter().any(|a| matches!(a, Action::Replace(_))), "{actions:?}");
}

/// Why tasks failed, in these actions.
fn failures(actions: &[Action]) -> Vec<(LeaseId, String)> {
    let why = |report| match report {
        Report::Failed { lease, error: TaskError::Operation(why), .. } => Some((lease, why)),
        _ => None,
    };
    reported(actions).into_iter().filter_map(why).collect()
}

#[test]
fn a_task_that_runs_for_longer_than_its_job_lets_it_fails_in_time() {
    let limit = |us| Terms { limit_us: Some(us), ..Terms::default() };
    let mut case = Case::new(Limits::new(2, 1000), &[calls(1, limit(200_000)), calls(1, limit(60_000_000))]);
    let alive_us = case.worker.next_wake_us().unwrap();
    case.told(vec![lease(1, tasks(0, 0..1)), lease(2, tasks(1, 0..1))]);
    // While it runs, somebody looks, more often than for a sign of life.
    let look_us = case.worker.next_wake_us().unwrap();
    assert!(look_us < alive_us && look_us <= 25_000, "{look_us}");
    assert_eq!(case.worker.long_us(), 200_000);
    case.now_us += 200_000;
    let ages =
        |first, second| Event::Ages(vec![(LeaseId(1), task(0, 0), first), (LeaseId(2), task(1, 0), second)]);
    assert_eq!(failures(&case.event(ages(199_999, 199_999))), []);
    let why = failures(&case.event(ages(200_000, 200_000)));
    assert_eq!(
        why,
        [(
            LeaseId(1),
            "f (submitted at main.rs:7:9) has been running for 200.0 ms, and its time limit is 200.0 ms"
                .to_owned()
        )]
    );
    // Of the other, that is soon enough.
    assert_eq!(case.worker.long_us(), 1_000_000);
    case.finish(1, task(0, 0));
    case.finish(2, task(1, 0));
    case.told(vec![Instruction::Forget(JobId(0))]);
    case.event(Event::Tick);
    assert!(case.worker.next_wake_us().unwrap() >= alive_us);
}

#[test]
fn another_attempt_waits_for_one_that_does_not_stop_no_longer_than_it_may_run() {
    let terms = Terms { limit_us: Some(200_000), retries: 5, ..Terms::default() };
    let mut case = Case::new(Limits::new(2, 1000), &[calls(1, terms)]);
    case.told(vec![lease(1, tasks(0, 0..1))]);
    let ages = |us| Event::Ages(vec![(LeaseId(1), task(0, 0), us)]);
    case.now_us += 200_000;
    assert_eq!(failures(&case.event(ages(200_000))).len(), 1);
    assert_eq!(case.told(vec![lease(2, tasks(0, 0..1))]), []);
    case.now_us += 150_000;
    assert_eq!(failures(&case.event(ages(350_000))), []);
    case.now_us += 50_000;
    let why = failures(&case.event(ages(400_000)));
    let [(LeaseId(2), why)] = &why[..] else { panic!("{why:?}") };
    assert!(why.contains("waiting for 200.0 ms for its last attempt, which does not stop"), "{why}");
    // The next one runs where the first one has ended in time.
    assert_eq!(case.told(vec![lease(3, tasks(0, 0..1))]), []);
    case.now_us += 50_000;
    let actions = case.finish(1, task(0, 0));
    assert!(actions.contains(&run(3, task(0, 0), vec![])), "{actions:?}");
}

#[test]
fn no_more_tasks_run_than_there_is_memory_for_by_what_they_are_said_to_take() {
    let terms = Terms { memory_bytes: 600, ..Terms::default() };
    let mut case = Case::new(
        Limits::new(2, 2000),
        &[calls(2, terms.clone()), calls(1, Terms { memory_bytes: 5000, ..terms })],
    );
    let actions = case.told(vec![lease(1, tasks(0, 0..2))]);
    let runs = |actions: &[Action]| actions.iter().filter(|a| matches!(a, Action::Run { .. })).count();
    assert_eq!(runs(&actions), 2);
    let terms = Terms { memory_bytes: 1200, ..Terms::default() };
    let mut case = Case::new(
        Limits::new(2, 2000),
        &[calls(2, terms.clone()), calls(1, Terms { memory_bytes: 5000, ..terms })],
    );
    assert_eq!(runs(&case.told(vec![lease(1, tasks(0, 0..2))])), 1);
    assert_eq!(runs(&case.finish(1, task(0, 0))), 1);
    let actions = case.told(vec![lease(2, tasks(1, 0..1))]);
    case.finish(1, task(0, 1));
    let actions = [actions, case.event(Event::Tick)].concat();
    let too_large = |r: &Report| match r {
        Report::Failed { error: TaskError::Memory { limit: 2000, needed }, .. } => *needed > 5000,
        _ => false,
    };
    assert!(reported(&actions).iter().any(too_large), "{actions:?}");
}

#[test]
fn a_process_that_has_too_much_memory_begins_one_task_at_a_time() {
    let mut case = Case::new(Limits::new(2, 1000), &[read("a", 6, 1)]);
    let runs = |actions: &[Action]| actions.iter().filter(|a| matches!(a, Action::Run { .. })).count();
    assert_eq!(runs(&case.told(vec![lease(1, tasks(0, 0..6))])), 2);
    assert_eq!(runs(&case.event(Event::Overweight(500))), 0);
    assert_eq!(runs(&case.finish(1, task(0, 0))), 0);
    assert_eq!(runs(&case.finish(1, task(0, 1))), 1);
    assert_eq!(runs(&case.event(Event::Overweight(300))), 0);
    // Half as many as there were, which is one, until four have ended.
    assert_eq!(runs(&case.event(Event::Overweight(0))), 0);
    let mut case = Case::new(Limits::new(2, 1000), &[read("a", 20, 1)]);
    case.told(vec![lease(1, tasks(0, 0..20))]);
    for bytes in [500, 300, 0] {
        assert_eq!(runs(&case.event(Event::Overweight(bytes))), 0);
    }
    let begun: Vec<usize> = (0..8).map(|chunk| runs(&case.finish(1, task(0, chunk)))).collect();
    assert_eq!(begun, [0, 1, 1, 2, 1, 1, 1, 1]);
}

#[test]
fn a_process_that_has_too_much_memory_keeps_what_it_must() {
    let limits = Limits { spill_bytes: 10_000, spill_bytes_min: 1, ..Limits::new(1, 1000) };
    let mut case = Case::new(limits, &[read("a", 20, 10)]);
    case.told(vec![lease(1, tasks(0, 0..2))]);
    case.finish(1, task(0, 0));
    case.finish(1, task(0, 1));
    // Of two results of 80 bytes, one is enough.
    let actions = case.event(Event::Overweight(60));
    let Some(Action::Spill { spill, key }) = actions.first() else { panic!("{actions:?}") };
    let (spill, key) = (*spill, *key);
    // While it is being written, that it is there all the same tells nothing.
    assert_eq!(case.event(Event::Overweight(60)), []);
    let actions = case.event(Event::Spilled { spill, key, result: Ok(()) });
    assert!(actions.contains(&Action::Unload(key)), "{actions:?}");
    assert_eq!(case.event(Event::Overweight(0)), []);
}

#[test]
fn what_is_urgent_gets_the_next_thread() {
    let mut case = Case::new(Limits::new(1, 1000), &[read("a", 9, 1)]);
    let urgent = |id, chunks, priority| {
        let (lease, tasks) = (LeaseId(id), tasks(0, chunks));
        Instruction::Lease { lease, tasks, elsewhere: vec![], priority }
    };
    let actions = case.told(vec![urgent(1, 0..4, 0)]);
    assert_eq!(actions, [run(1, task(0, 0), vec![])]);
    // What runs goes on, and what was looked at already waits.
    assert_eq!(case.told(vec![urgent(2, 4..6, -3), urgent(3, 6..8, 8), urgent(4, 8..9, 9)]), []);
    let order = [(4, 8), (3, 6), (3, 7), (1, 1), (1, 2), (1, 3), (2, 4), (2, 5)];
    let mut running = (1, 0);
    for (id, chunk) in order {
        // They are so long that a thread gets one at a time.
        let (lease, task_done) = (LeaseId(running.0), task(0, running.1));
        let actions =
            case.event(Event::Finished { lease, task: task_done, result: Ok(0), busy_us: 1_000_000 });
        assert!(actions.contains(&run(id, task(0, chunk), vec![])), "{id}, {chunk}: {actions:?}");
        running = (id, chunk);
    }
}

#[test]
fn what_a_result_takes_counts_while_it_is_made() {
    let limits = Limits { spill_bytes: 1 << 30, ..Limits::new(2, 1 << 20) };
    let mut case = Case::new(limits, &[calls(3, Terms { memory_bytes: 400 << 10, ..Terms::default() })]);
    case.told(vec![lease(1, tasks(0, 0..3))]);
    let reserved = case.worker.usage().bytes_reserved;
    assert_eq!(case.worker.usage().running, 2);
    let grew = |chunk, bytes| Event::Grew { lease: LeaseId(1), task: task(0, chunk), bytes };
    case.event(grew(0, 600 << 10));
    let more = case.worker.usage().bytes_reserved - reserved;
    assert!((500 << 10..=600 << 10).contains(&more), "{more}");
    // Less is no news, nor is what is heard of another lease.
    case.event(grew(0, 100 << 10));
    case.event(Event::Grew { lease: LeaseId(9), task: task(0, 1), bytes: 1 << 20 });
    assert_eq!(case.worker.usage().bytes_reserved, reserved + more);
    // The first goes to the disk for the third, which waits until there is room.
    let finished = |chunk, bytes| Event::Finished {
        lease: LeaseId(1),
        task: task(0, chunk),
        result: Ok(bytes),
        busy_us: 1,
    };
    let actions = case.event(finished(0, 700 << 10));
    assert!(
        actions.iter().any(|a| matches!(a, Action::Spill { key, .. } if *key == task(0, 0))),
        "{actions:?}"
    );
    assert!(!actions.iter().any(|a| matches!(a, Action::Run { .. })), "{actions:?}");
    let used = case.worker.usage();
    assert_eq!((used.bytes_held, used.running), (700 << 10, 1));
    case.event(finished(1, 8));
    let used = case.worker.usage();
    assert_eq!(used.bytes_held, (700 << 10) + 8);
    assert!(used.bytes_reserved < reserved + more);
}
