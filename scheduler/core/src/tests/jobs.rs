//! Jobs as wholes: kept, released, cancelled, and shown to people.

use super::*;

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
