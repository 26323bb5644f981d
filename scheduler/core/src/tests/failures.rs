//! Tasks that fail: what is tried again, how often, and what ends with them.

use super::*;

#[test]
fn a_task_that_kills_is_found() {
    let mut case = Case::with_workers(0);
    case.submit(0, &[read("a", 1, 1)]);
    for w in 0..3 {
        let hello = Hello { incarnation: w.into(), ..hello("w", 1, 1000) };
        case.event(Event::WorkerJoined { worker: WorkerId(w), hello });
        let actions = case.event(Event::WorkerLost { worker: WorkerId(w), why: format!("signal {w}") });
        let failed = JobError::Deadly {
            operation: "read".to_owned(),
            chunk: 0,
            deaths: 3,
            last_words: "signal 2".to_owned(),
        };
        assert_eq!(updates(&actions).contains(&&Update::Failed(failed)), w == 2);
    }
}

#[test]
fn failures_of_workers_are_tried_elsewhere() {
    let mut case = Case::with_workers(2);
    let actions = case.submit(0, &[read("a", 1, 1)]);
    let at = u32::from(leases(&actions, 0).is_empty());
    let (lease, _) = leases(&actions, at).remove(0);
    let error = TaskError::Worker("disk full".to_owned());
    let actions = case.report(at, Report::Failed { lease, task: task(0, 0), error });
    assert_eq!(leases(&actions, 1 - at).len(), 1, "{actions:?}");
    let error = TaskError::Operation("no such file".to_owned());
    let (lease, _) = leases(&actions, 1 - at).remove(0);
    let actions = case.report(1 - at, Report::Failed { lease, task: task(0, 0), error });
    let failed =
        JobError::Operation { operation: "read".to_owned(), chunk: 0, message: "no such file".to_owned() };
    assert_eq!(updates(&actions), [&Update::Failed(failed)]);
}

fn failed(lease: LeaseId, key: TaskKey, why: &str) -> Report {
    Report::Failed { lease, task: key, error: TaskError::Operation(why.to_owned()) }
}

/// Which worker was given tasks, and under which lease.
fn given(actions: &[Action]) -> Vec<(u32, LeaseId)> {
    (0..2).flat_map(|w| leases(actions, w).into_iter().map(move |(lease, _)| (w, lease))).collect()
}

#[test]
fn a_task_is_tried_again_elsewhere_and_says_what_each_attempt_said() {
    let terms = Terms { retries: 2, ..Terms::default() };
    let mut case = Case::with_workers(2);
    let actions = case.submit(0, &[calls_on(&terms, &[], &[&[]])]);
    let [(first, lease)] = given(&actions)[..] else { panic!("{actions:?}") };
    let actions = case.report(first, failed(lease, task(0, 0), "no"));
    let [(second, lease)] = given(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!(second, 1 - first);
    let actions = case.report(second, failed(lease, task(0, 0), "nor here"));
    let [(third, lease)] = given(&actions)[..] else { panic!("{actions:?}") };
    let actions = case.report(third, failed(lease, task(0, 0), "no more"));
    let why = updates(&actions).into_iter().find_map(|u| match u {
        Update::TasksFailed { error: JobError::Operation { message, .. }, .. } => Some(message.clone()),
        _ => None,
    });
    assert_eq!(
        why.expect("it fails"),
        format!(
            "it failed in each of 3 attempts:\n  1, on 'w{first}': no\n  2, on 'w{second}': nor here\n  3, on \
             'w{third}': no more"
        )
    );
}

#[test]
fn a_task_that_succeeds_when_it_is_tried_again_is_done() {
    let terms = Terms { retries: 1, ..Terms::default() };
    let mut case = Case::with_workers(1);
    let actions = case.submit(0, &[calls_on(&terms, &[], &[&[]])]);
    let [(_, lease)] = given(&actions)[..] else { panic!("{actions:?}") };
    // The only worker there is gets it again.
    let actions = case.report(0, failed(lease, task(0, 0), "no"));
    let again = leases(&actions, 0).remove(0);
    let actions = case.report(0, measured(&again, &[7]));
    assert!(updates(&actions).iter().any(|u| matches!(u, Update::Done { .. })), "{actions:?}");
}

#[test]
fn a_call_that_fails_fails_those_that_read_its_value_and_nothing_else() {
    let mut case = Case::with_workers(1);
    let first = calls(&[], &[&[], &[], &[]]);
    let second = calls(std::slice::from_ref(&first), &[&[(0, 0)], &[(0, 1), (0, 0)], &[]]);
    let actions = case.submit(0, &[first, second]);
    let mut open = leases(&actions, 0);
    let mut failed = Vec::new();
    let mut made = 0;
    while let Some((lease, tasks)) = open.pop() {
        for key in tasks.keys() {
            let report = match (key.stage.0, key.chunk.0) {
                (0, 1) => {
                    let error = TaskError::Operation("no".into());
                    Report::Failed { lease, task: key, error }
                }
                _ => measured(
                    &(lease, TaskRange { chunks: key.chunk.0..key.chunk.0 + 1, ..tasks.clone() }),
                    &[7],
                ),
            };
            let actions = case.report(0, report);
            open.extend(leases(&actions, 0));
            for update in updates(&actions) {
                match update {
                    Update::TasksFailed { output, values, error } => {
                        assert_eq!(error.to_string(), "call, chunk 1: no");
                        failed.push((*output, values.clone()));
                    }
                    Update::Made { outputs, .. } => made += outputs.iter().map(Vec::len).sum::<usize>(),
                    Update::Done { outputs, .. } => {
                        let n = |o: &Vec<Holding>| o.iter().map(|h| h.chunks.keys().count()).sum::<usize>();
                        assert_eq!(outputs.iter().map(n).collect::<Vec<_>>(), [2, 2]);
                    }
                    other => assert!(matches!(other, Update::Progress { .. }), "{other:?}"),
                }
            }
        }
    }
    failed.sort_by_key(|(output, _)| *output);
    assert_eq!(failed, [(0, 1..2), (1, 1..2)]);
    // The last value comes with the announcement of all.
    assert_eq!(made, 3);
    assert_eq!(case.scheduler.holdings().len(), 4);
}

#[test]
fn a_job_that_reads_values_of_another_that_failed_is_told_which() {
    let mut case = Case::with_workers(1);
    let actions = case.submit(0, &[calls(&[], &[&[], &[]])]);
    let [(lease, _)] = leases(&actions, 0)[..] else { panic!("{actions:?}") };
    let error = TaskError::Operation("no".into());
    case.report(0, Report::Failed { lease, task: task(0, 1), error });
    let held = Expr::held_values(0, 0, 2, Arc::new(())).unwrap();
    let mut actions = case.submit(1, &[calls(&[held], &[&[(0, 1)], &[(0, 0)]])]);
    actions.extend(case.report(0, measured(&(lease, tasks(0, 0..1)), &[7])));
    let failed: Vec<_> = updates(&actions)
        .into_iter()
        .filter_map(|u| match u {
            Update::TasksFailed { values, error, .. } => Some((values.clone(), error.to_string())),
            _ => None,
        })
        .collect();
    assert_eq!(failed, [(0..1, "call, chunk 1: no".to_owned())]);
    let [of_second] = &leases(&actions, 0)[..] else { panic!("{actions:?}") };
    let actions = case.report(0, measured(of_second, &[9]));
    assert!(updates(&actions).iter().any(|u| matches!(u, Update::Done { .. })), "{actions:?}");
}
