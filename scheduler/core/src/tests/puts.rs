//! Chunks that clients are to put, and do not put: what others have to do goes on.

use super::*;

/// A literal of `n` chunks of 8 kB.
fn literal(n: usize) -> Expr {
    literal_of(n, 1000)
}

/// A literal of `n` chunks of so many elements.
fn literal_of(n: usize, len: usize) -> Expr {
    let chunks = Chunks::Axes(vec![AxisChunks::Len(len as isize)]);
    Expr::literal(&[n * len], &chunks, DType::F64, 7, Arc::new(())).unwrap()
}

/// A stored array of `n` chunks of 8 kB.
fn stored(n: usize) -> Expr {
    read("b", n * 1000, 1000)
}

/// Bytes of chunks that a client is asked to put.
fn asked_for(actions: &[Action]) -> u64 {
    let asked = updates(actions).into_iter().map(|u| match u {
        Update::Upload { tasks, .. } => (tasks.chunks.end - tasks.chunks.start) * 8000,
        _ => 0,
    });
    asked.sum()
}

/// Runs the tasks of one job to its end, and nothing of others.
fn run_only(case: &mut Case, job: u64, mut actions: Vec<Action>, workers: u32) -> bool {
    loop {
        let ended = |a: &Action| {
            let done = |u: &Update| matches!(u, Update::Done { .. });
            matches!(a, Action::Update { job: of, update } if *of == JobId(job) && done(update))
        };
        if actions.iter().any(ended) {
            return true;
        }
        let all = (0..workers).flat_map(|w| leases(&actions, w).into_iter().map(move |l| (w, l)));
        let mine: Vec<_> = all.filter(|(_, (_, tasks))| tasks.job == JobId(job)).collect();
        if mine.is_empty() {
            return false;
        }
        actions = mine.into_iter().flat_map(|(w, lease)| case.done(w, &lease)).collect();
    }
}

#[test]
fn a_client_that_puts_nothing_keeps_nobody_from_running() {
    let mut case = Case::with_workers(2);
    let asked = asked_for(&case.submit(0, &[literal(1000)]));
    assert!(asked > 0 && asked <= 600_000, "half of what roots may fill on two workers: {asked}");
    let actions = case.submit(1, &[stored(60).reduce_all(Fold::Sum).unwrap()]);
    assert!(run_only(&mut case, 1, actions, 2));
    // Nor from putting.
    let actions = case.submit(2, &[literal(1000)]);
    let asked = asked_for(&actions);
    assert!(asked > 0 && asked <= 300_000, "half of what is left: {asked}");
    assert!(asked_for(&case.submit(3, &[literal(1000)])) > 0);
    // When chunks come after all, more are asked for.
    let lease = leases(&actions, 0).into_iter().find(|(_, tasks)| tasks.job == JobId(2)).unwrap();
    assert!(asked_for(&case.done(0, &lease)) > 0);
}

#[test]
fn memory_that_waits_for_puts_is_no_end_of_what_others_hold() {
    // 600 kB are for roots, and 300 more where nothing else can go on; 320 wait for puts, and 544 are kept.
    let mut case = Case::with_workers(1);
    case.submit(0, &[literal_of(10, 10_000)]);
    assert_eq!(case.scheduler.workers[&WorkerId(0)].bytes_committed, 320_000);
    let actions = case.submit(1, &[stored(68)]);
    assert!(run_only(&mut case, 1, actions, 1));
    // What does not fit beside waits for room, and does not fail: what is put may leave again.
    let actions = case.submit(2, &[stored(10)]);
    assert!(!run_only(&mut case, 2, actions, 1));
    assert_eq!(case.scheduler.state(case.now_us).jobs.len(), 3);
    let actions = case.event(Event::JobReleased { job: JobId(0) });
    assert!(run_only(&mut case, 2, actions, 1));
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
