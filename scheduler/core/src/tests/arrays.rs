//! Arrays that are made of values, and calls that read arrays.

use super::*;

/// The array of a value, of which something is made.
fn of_value(values: &Expr, value: u64) -> Expr {
    let calls = Calls {
        kernel: Arc::new(called(DType::F64)),
        params: Arc::from([]),
        ends: Arc::from([0]),
        args: Arc::from([(0, value)]),
        arg_ends: Arc::from([1]),
        line: None,
        terms: None,
        gives: 0,
        takes: false,
    };
    let array = Expr::from_value(calls, values, &[4], DType::F64).unwrap();
    array.binary(BinaryOp::Add, &array).unwrap()
}

fn bad(worker: &mut Case, (lease, tasks): &(LeaseId, TaskRange), chunk: u64) -> Vec<Action> {
    let task = tasks.keys().find(|key| key.chunk.0 == chunk).unwrap();
    let error = TaskError::Operation("no good".to_owned());
    worker.report(0, Report::Failed { lease: *lease, task, error })
}

/// The jobs that ended, and why.
fn ended(actions: &[Action]) -> Vec<(u64, String)> {
    let failed = actions.iter().filter_map(|action| match action {
        Action::Update { job, update: Update::Failed(error) } => Some((job.0, error.to_string())),
        _ => None,
    });
    failed.collect()
}

#[test]
fn an_array_of_a_value_that_fails_ends_with_it_and_others_do_not() {
    let mut case = Case::with_workers(1);
    let values = case.submit(0, &[calls(&[], &[&[][..]; 3])]);
    let lease = leases(&values, 0).remove(0);
    let held = Expr::held_values(0, 0, 3, Arc::new(())).unwrap();
    // Of one that fails, before and after that is known, and of one that does not.
    case.submit(1, &[of_value(&held, 1)]);
    case.submit(2, &[of_value(&held, 2)]);
    let why = ended(&bad(&mut case, &lease, 1));
    assert_eq!(why.len(), 1);
    assert!(why[0].0 == 1 && why[0].1.contains("no good"), "{why:?}");
    let why = ended(&case.submit(3, &[of_value(&held, 1)]));
    assert!(why.len() == 1 && why[0].0 == 3 && why[0].1.contains("no good"), "{why:?}");
    let (id, tasks) = lease;
    let others = TaskRange { chunks: 2..3, ..tasks.clone() };
    let actions = case.report(0, measured(&(id, others), &[8]));
    let made = leases(&actions, 0).remove(0);
    assert_eq!(made.1.job, JobId(2));
    case.done(0, &made);
    // In one job, what is made with the array goes with it.
    let beside = calls(&[], &[&[][..]; 2]);
    let actions = case.submit(4, &[of_value(&beside, 0), calls(&[], &[&[]])]);
    let lease = leases(&actions, 0).into_iter().find(|(_, tasks)| tasks.stage == StageIdx(0)).unwrap();
    let why = ended(&bad(&mut case, &lease, 0));
    assert!(why.len() == 1 && why[0].0 == 4, "{why:?}");
}

#[test]
fn a_value_that_is_made_again_for_an_array_and_fails_then_ends_it() {
    let mut case = Case::with_workers(1);
    let values = case.submit(0, &[calls(&[], &[&[]])]);
    let lease = leases(&values, 0).remove(0);
    case.report(0, measured(&lease, &[8]));
    let held = Expr::held_values(0, 0, 1, Arc::new(())).unwrap();
    let actions = case.submit(1, &[of_value(&held, 0)]);
    let made = leases(&actions, 0).remove(0);
    assert_eq!((made.1.job, made.1.stage), (JobId(1), StageIdx(1)));
    assert_eq!(leases(&case.done(0, &made), 0).len(), 1, "what is made of the array");
    // All is lost with the worker, and the value comes first.
    case.event(Event::WorkerLost { worker: WorkerId(0), why: "killed".to_owned() });
    let again = case.event(Event::WorkerJoined { worker: WorkerId(0), hello: hello("w0", 2, 1_000_000) });
    let again = leases(&again, 0).remove(0);
    assert_eq!(again.1.job, JobId(0));
    let why = ended(&bad(&mut case, &again, 0));
    assert!(why.len() == 1 && why[0].0 == 1, "{why:?}");
}

#[test]
fn a_worker_does_not_begin_with_what_nobody_will_read() {
    let mut case = Case::with_workers(1);
    let first = calls(&[], &[&[], &[], &[]]);
    // All three are read by one call, which fails with the first.
    let last = calls(std::slice::from_ref(&first), &[&[(0, 0), (0, 1), (0, 2)]]);
    let lease = leases(&case.submit(0, &[last]), 0).remove(0);
    assert_eq!(lease.1, tasks(0, 0..3));
    let actions = bad(&mut case, &lease, 0);
    assert!(updates(&actions).iter().any(|u| matches!(u, Update::Done { .. })), "{actions:?}");
    let rest = TaskRange { chunks: 1..3, ..lease.1.clone() };
    assert!(told(&actions, 0).contains(&Instruction::Revoke { lease: lease.0, tasks: rest.clone() }));
    // Neither an answer to that nor a result that came before it is of any use.
    let returned = Report::Returned { lease: lease.0, tasks: TaskRange { chunks: 1..2, ..rest.clone() } };
    assert_eq!(told(&case.report(0, returned), 0), []);
    let made = TaskRange { chunks: 2..3, ..rest };
    let actions = case.report(0, measured(&(lease.0, made.clone()), &[8]));
    assert_eq!(told(&actions, 0), [Instruction::Drop(made)]);
}

#[test]
fn what_fails_with_one_value_is_told_of_at_once() {
    let mut case = Case::with_workers(1);
    let first = calls(&[], &[&[], &[]]);
    let second = calls(std::slice::from_ref(&first), &[&[(0, 0)][..]; 5000]);
    let lease = leases(&case.submit(0, &[second]), 0).remove(0);
    let actions = bad(&mut case, &lease, 0);
    let failed: Vec<_> = updates(&actions)
        .into_iter()
        .filter_map(|update| match update {
            Update::TasksFailed { output, values, .. } => Some((*output, values.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(failed, [(0, 0..5000)]);
}
