//! Functions of the user's go to workers that have them.

use super::*;

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

#[test]
fn roots_among_tasks_that_read_something_fit_where_roots_go() {
    let small = Hello { build: Some("own".into()), ..hello("small", 2, 1000) };
    let mut case = Case::with_workers(0);
    of_build(&mut case, 0, "other");
    case.event(Event::WorkerJoined { worker: WorkerId(1), hello: small });
    // All roots go to workers that have the function of one of them, also a stage's first task, which alone reads nothing.
    let kernel = Kernel { inputs: vec![DType::I64], ..function("own") };
    let axes = Chunks::Axes(vec![AxisChunks::Len(1)]);
    let index = Expr::from_index(kernel, &[4], &axes, Arc::new(())).unwrap();
    let stage = TableStage {
        payload: Arc::from([1]),
        gives: 1,
        reads: Arc::from([TableRead::of(TableHow::Same, 1..2)]),
        bytes_guess: 3200,
        name: "rows".into(),
        terms: None,
        kernel: None,
    };
    let table = Expr::table(stage, 2, &[Expr::values(1, 7, Arc::new(())).unwrap()]).unwrap();
    let mut actions = case.submit(0, &[index, table]);
    let mut said = Vec::new();
    while !actions.is_empty() {
        said.extend(updates(&actions).into_iter().cloned());
        let open: Vec<_> =
            (0..2).flat_map(|w| leases(&actions, w).into_iter().map(move |l| (w, l))).collect();
        actions = open.iter().flat_map(|(w, lease)| case.done(*w, lease)).collect();
    }
    assert!(
        said.iter().any(|u| matches!(u, Update::Failed(JobError::Memory { limit: 1000, needed: 3200, .. }))),
        "{said:?}"
    );
}
