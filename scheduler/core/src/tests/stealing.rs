//! What idle workers get of what others have to do.

use super::*;

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
