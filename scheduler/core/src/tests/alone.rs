//! Jobs that nobody is there to do.

use super::*;

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
