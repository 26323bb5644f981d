//! Workers that come, fall silent, come back, leave and are lost.

use super::*;

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
