//! What is urgent goes first.

use super::*;
use tilework_plan::tags_of;

/// A scheduler that waits for nobody's sign of life, and so many workers of one thread.
fn case(n_workers: u32) -> Case {
    let mut case = Case { scheduler: Scheduler::new(Limits::in_process()), now_us: 0 };
    for w in 0..n_workers {
        let hello = hello(&format!("w{w}"), 1, 1_000_000);
        case.event(Event::WorkerJoined { worker: WorkerId(w), hello });
    }
    case
}

fn urgent(priority: i32, inputs: &[Expr], args: &[&[(u32, u64)]]) -> Expr {
    calls_on(&Terms { priority, ..Terms::default() }, inputs, args)
}

/// Calls that read nothing.
fn roots(n: usize, priority: i32) -> Expr {
    urgent(priority, &[], &vec![&[][..]; n])
}

/// The jobs that a worker was given tasks of, with their priorities, in order.
fn given(actions: &[Action], worker: u32) -> Vec<(u64, i32)> {
    let leases = told(actions, worker).into_iter().filter_map(|i| match i {
        Instruction::Lease { tasks, priority, .. } => Some((tasks.job.0, priority)),
        _ => None,
    });
    leases.collect()
}

/// A value of another job.
fn held(job: u64, n: usize) -> Expr {
    Expr::held_values(job, 0, n, Arc::new(())).unwrap()
}

/// All tasks of a lease are done.
fn all_done(case: &mut Case, worker: u32, lease: &(LeaseId, TaskRange)) -> Vec<Action> {
    let n = (lease.1.chunks.end - lease.1.chunks.start) as usize;
    case.report(worker, measured(lease, &vec![1; n]))
}

#[test]
fn what_is_urgent_overtakes_what_waits() {
    let mut case = case(1);
    // A worker that has enough to do is given more where that is more urgent, and nothing else.
    let submitted = [(1000, 0, 1), (1, -1, 0), (1000, 0, 0), (2, 10, 1), (1000, 5, 1), (1, 5, 0)];
    let mut open = Vec::new();
    for (job, (n, priority, n_leases)) in (0..).zip(submitted) {
        let actions = case.submit(job, &[roots(n, priority)]);
        assert_eq!(given(&actions, 0), vec![(job, priority); n_leases]);
        open.extend(leases(&actions, 0));
    }
    // What comes next is the most urgent, and then the earliest, until nothing is left.
    let mut order = Vec::new();
    while let Some(lease) = open.pop() {
        let actions = all_done(&mut case, 0, &lease);
        order.extend(given(&actions, 0));
        open.extend(leases(&actions, 0));
    }
    order.dedup();
    assert_eq!(order, [(4, 5), (5, 5), (0, 0), (2, 0), (1, -1)]);
}

#[test]
fn what_an_urgent_task_waits_for_is_as_urgent() {
    let mut case = case(1);
    case.submit(0, &[roots(1000, 0)]);
    // Of the same job, whatever was said of it.
    let made = roots(1, -5);
    let read = urgent(7, &[made], &[&[(0, 0)]]);
    assert_eq!(given(&case.submit(1, &[read]), 0), [(1, 7)]);
    // Of others, which nothing was done of yet, through as many as there are.
    assert_eq!(given(&case.submit(2, &[roots(2, 0)]), 0), []);
    assert_eq!(given(&case.submit(3, &[urgent(0, &[held(2, 2)], &[&[(0, 0)]])]), 0), []);
    assert_eq!(given(&case.submit(4, &[roots(1, 0)]), 0), []);
    let actions = case.submit(5, &[urgent(9, &[held(3, 1)], &[&[(0, 0)]])]);
    assert_eq!(given(&actions, 0), [(2, 9)]);
    // What is less urgent raises nothing.
    assert_eq!(given(&case.submit(6, &[urgent(-1, &[held(4, 1)], &[&[(0, 0)]])]), 0), []);
}

#[test]
fn what_is_ready_in_a_queue_is_raised_where_it_stands() {
    let mut case = case(1);
    let value = case.submit(0, &[roots(1, 0)]);
    case.report(0, measured(&leases(&value, 0)[0], &[1]));
    // More than a worker is given ahead, all ready.
    let many = |priority| urgent(priority, &[held(0, 1)], &[&[(0, 0)][..]; 100]);
    assert_eq!(given(&case.submit(1, &[many(0)]), 0), [(1, 0)]);
    assert_eq!(given(&case.submit(2, &[many(0)]), 0), []);
    let actions = case.submit(3, &[urgent(4, &[held(2, 100)], &[&[(0, 99)]])]);
    assert_eq!(given(&actions, 0), [(2, 4)]);
    // And goes with its job.
    case.event(Event::JobCancelled { job: JobId(2), by: "me".to_owned() });
    case.event(Event::JobReleased { job: JobId(2) });
}

#[test]
fn who_is_free_first_takes_the_most_urgent_of_others() {
    let mut case = case(2);
    let first = case.submit(0, &[roots(1000, 0)]);
    // Tasks that stand in the queue of the one that holds what they read.
    let value = leases(&first, 0).remove(0);
    all_done(&mut case, 0, &value);
    let many = vec![[(0u32, value.1.chunks.start)]; 400];
    let many: Vec<&[(u32, u64)]> = many.iter().map(|args| &args[..]).collect();
    let actions = case.submit(1, &[urgent(10, &[held(0, 1000)], &many)]);
    assert!(given(&actions, 0).contains(&(1, 10)));
    let mine = leases(&first, 1).remove(0);
    let actions = all_done(&mut case, 1, &mine);
    assert_eq!(given(&actions, 1).first(), Some(&(1, 10)));
}

#[test]
fn a_root_goes_to_whoever_has_room_and_not_to_whose_block_it_is_in() {
    let mut case = case(2);
    let first = case.submit(0, &[roots(1000, 0)]);
    // One that has all that it may have of this priority.
    let tags = tags_of("full").unwrap();
    let full = Hello { tags: tags.clone(), ..hello("full", 1, 1_000_000) };
    case.event(Event::WorkerJoined { worker: WorkerId(2), hello: full });
    let terms = Terms { priority: 5, tags, ..Terms::default() };
    assert_eq!(given(&case.submit(1, &[calls_on(&terms, &[], &[&[][..]; 1000])]), 2), [(1, 5)]);
    case.event(Event::WorkerLeaving { worker: WorkerId(1) });
    // All workers that stay have a part of the next job, and one of them is busy with what is as urgent.
    let mut open = vec![leases(&first, 0).remove(0)];
    let mut n_given = 0;
    let mut actions = case.submit(2, &[roots(60, 5)]);
    while n_given < 60 {
        for (lease, tasks) in leases(&actions, 0) {
            assert_eq!(tasks.job, JobId(2), "{n_given} of 60 were given");
            n_given += tasks.chunks.end - tasks.chunks.start;
            open.push((lease, tasks));
        }
        assert_eq!(given(&actions, 2), []);
        let next = open.pop().expect("it goes on");
        actions = all_done(&mut case, 0, &next);
    }
}

#[test]
fn what_is_made_again_is_as_urgent_as_those_that_read_it() {
    let mut case = case(1);
    let value = case.submit(0, &[roots(1, 0)]);
    case.report(0, measured(&leases(&value, 0)[0], &[1]));
    let actions = case.submit(1, &[urgent(6, &[held(0, 1)], &[&[(0, 0)]])]);
    assert_eq!(given(&actions, 0), [(1, 6)]);
    let hello = hello("other", 1, 1_000_000);
    case.event(Event::WorkerJoined { worker: WorkerId(7), hello });
    let actions = case.event(Event::WorkerLost { worker: WorkerId(0), why: "killed".to_owned() });
    assert_eq!(given(&actions, 7), [(0, 6)]);
}
