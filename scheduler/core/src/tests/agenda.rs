//! What one event brings about is brought to its end.

use super::*;

#[test]
fn a_worker_that_is_given_the_task_that_ends_a_job_gets_the_next_job() {
    let mut case = Case::with_workers(1);
    // The second chunk is one of which no worker can make another like it.
    let x = read_cut("x", 70_010, AxisChunks::Lens(vec![10, 70_000]));
    let actions = case.submit(0, std::slice::from_ref(&x));
    play(&mut case, actions, 0..1);
    assert!(case.scheduler.state(case.now_us).jobs[0].finished);
    // The worker has enough to do, so that what reads those waits for another, with tasks of the job that it does.
    let actions = case.submit(9, &[read("a", 100, 1)]);
    assert!(!leases(&actions, 0).is_empty());
    let held = Expr::held(0, 0, x.grid().clone(), DType::F64, Arc::new(())).unwrap();
    assert_eq!(case.submit(5, &[held.unary(tilework_expr::UnaryOp::Exp).unwrap()]).len(), 1);
    let actions = case.event(Event::WorkerJoined { worker: WorkerId(1), hello: hello("w1", 2, 1_000_000) });
    let failed = |a: &Action| matches!(a, Action::Update { job: JobId(5), update: Update::Failed(_) });
    assert!(actions.iter().any(failed), "{actions:?}");
    let given = leases(&actions, 1);
    assert!(given.iter().any(|(_, tasks)| tasks.job == JobId(9)), "{given:?}");
}

#[test]
fn a_chunk_that_is_found_to_fit_nowhere_ends_its_job_before_others_are_asked() {
    let mut case = Case::with_workers(2);
    let actions = case.submit(0, &[read_cut("x", 200_010, AxisChunks::Lens(vec![10, 200_000]))]);
    let small = leases(&actions, 0).remove(0);
    assert_eq!((&small.1, leases(&actions, 1)), (&tasks(0, 0..1), vec![]));
    // Nothing else goes on: now the other one is looked at, though there is no room for it.
    let actions = case.done(0, &small);
    let failed = updates(&actions).into_iter().filter(|update| matches!(update, Update::Failed(_)));
    let failed: Vec<&Update> = failed.collect();
    let [Update::Failed(JobError::Memory { needed, limit, .. })] = failed[..] else { panic!("{failed:?}") };
    assert_eq!((*needed, *limit), (1_600_000, 1_000_000));
}
