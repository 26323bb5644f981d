//! Tasks that need a worker that has something.

use super::*;
use tilework_plan::tags_of;

fn with_tags(tags: &str) -> Terms {
    Terms { tags: tags_of(tags).unwrap(), ..Terms::default() }
}

/// A scheduler that waits for nobody's sign of life, and a worker for each list of tags.
fn case(tags: &[&str]) -> Case {
    let mut case = Case { scheduler: Scheduler::new(Limits::in_process()), now_us: 0 };
    (0..).zip(tags).for_each(|(w, tags)| drop(join(&mut case, w, tags)));
    case
}

fn join(case: &mut Case, worker: u32, tags: &str) -> Vec<Action> {
    let hello = Hello { tags: tags_of(tags).unwrap(), ..hello(&format!("w{worker}"), 2, 1_000_000) };
    case.event(Event::WorkerJoined { worker: WorkerId(worker), hello })
}

/// Who was given tasks.
fn who(actions: &[Action]) -> Vec<u32> {
    (0..9).filter(|w| !leases(actions, *w).is_empty()).collect()
}

/// Calls that read nothing.
fn roots(n: usize, tags: &str) -> Expr {
    calls_on(&with_tags(tags), &[], &vec![&[][..]; n])
}

fn why(actions: &[Action]) -> String {
    let [Update::Failed(error @ JobError::NoWorker { .. })] = updates(actions)[..] else {
        panic!("{actions:?}")
    };
    error.to_string()
}

#[test]
fn tasks_go_to_workers_that_have_what_they_need_alone() {
    let mut case = case(&["", "gpu", "big,gpu", "big"]);
    // Enough for all, were they for all.
    assert_eq!(who(&case.submit(0, &[roots(1000, "gpu")])), [1, 2]);
    assert_eq!(who(&case.submit(1, &[roots(1000, "big")])), [3]);
    // One that joins takes its part, and nobody else does.
    assert_eq!(who(&join(&mut case, 4, "gpu")), [4]);
    assert_eq!(who(&join(&mut case, 5, "")), Vec::<u32>::new());
}

#[test]
fn tasks_that_read_go_where_what_they_need_is() {
    let mut case = case(&["", "gpu"]);
    let made = calls(&[], &[&[]]);
    let read = calls_on(&with_tags("gpu"), &[made], &[&[(0, 0)]]);
    let actions = case.submit(0, &[read]);
    let worker = who(&actions)[0];
    let lease = leases(&actions, worker).remove(0);
    assert_eq!(who(&case.report(worker, measured(&lease, &[7]))), [1]);
}

#[test]
fn what_no_worker_has_is_waited_for_and_then_said_with_what_there_is() {
    let mut case = case(&["", "big"]);
    // Others have something to do all the time.
    assert_eq!(who(&case.submit(0, &[roots(1000, "")])), [0, 1]);
    assert_eq!(who(&case.submit(1, &[roots(10, "gpu")])), Vec::<u32>::new());
    let (after_us, actions) = case.quiet();
    let grace_us = Limits::default().grace_us;
    assert!((grace_us - 10..=grace_us + 500_000).contains(&after_us), "{after_us}");
    let text = why(&actions);
    assert!(
        text.contains("no worker that is there has the tag 'gpu'; there are workers with 'big'"),
        "{text}"
    );
    // And in time.
    assert_eq!(who(&case.submit(2, &[roots(10, "gpu,big")])), Vec::<u32>::new());
    assert_eq!(case.pass(grace_us / 2), []);
    assert_eq!(who(&join(&mut case, 2, "gpu,big")), [2]);
    assert_eq!(case.pass(2 * grace_us), []);
}

#[test]
fn a_task_whose_only_worker_is_lost_waits_for_another() {
    let mut case = case(&["", "gpu"]);
    let made = calls(&[], &[&[]]);
    let read = calls_on(&with_tags("gpu"), &[made], &[&[(0, 0)][..]; 10]);
    case.submit(0, &[read]);
    // What it was given is for the other as well.
    let actions = case.event(Event::WorkerLost { worker: WorkerId(1), why: "killed".to_owned() });
    let lease = leases(&actions, 0).remove(0);
    assert_eq!(who(&case.report(0, measured(&lease, &[7]))), Vec::<u32>::new());
    assert_eq!(who(&join(&mut case, 2, "gpu")), [2]);
    case.event(Event::WorkerLost { worker: WorkerId(2), why: "killed".to_owned() });
    let (_, actions) = case.quiet();
    let text = why(&actions);
    assert!(text.contains("has the tag 'gpu'; none has any tag"), "{text}");
}

fn with_memory(memory_bytes: u64, tags: &str) -> Expr {
    calls_on(&Terms { memory_bytes, ..with_tags(tags) }, &[], &[&[][..]; 10])
}

#[test]
fn what_tasks_are_said_to_take_must_be_there() {
    let mut case = case(&["gpu"]);
    let hello = Hello { tags: tags_of("").unwrap(), ..hello("large", 2, 10_000_000) };
    case.event(Event::WorkerJoined { worker: WorkerId(1), hello });
    assert_eq!(who(&case.submit(0, &[with_memory(5_000_000, "")])), [1]);
    // More than any has.
    let actions = case.submit(1, &[with_memory(50_000_000, "")]);
    let [Update::Failed(error @ JobError::Memory { fits: 0, .. })] = updates(&actions)[..] else {
        panic!("{actions:?}")
    };
    let text = error.to_string();
    assert!(text.contains("one task needs 50.0 MB, and the largest worker may use 10.0 MB"), "{text}");
    // More than those have that have the tag, while others have something to do.
    assert_eq!(who(&case.submit(2, &[with_memory(5_000_000, "gpu")])), Vec::<u32>::new());
    let (_, actions) = case.quiet();
    let text = why(&actions);
    let expected =
        "each of its tasks needs 5.00 MB, and the largest worker that may have them may use 1.00 MB";
    assert!(text.contains(expected), "{text}");
}
