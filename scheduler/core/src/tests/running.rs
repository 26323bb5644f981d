//! Tasks run where what they read is, and what is read goes.

use super::*;

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
