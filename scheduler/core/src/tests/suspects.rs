//! Tasks that kill workers, told from those that were granted with them.

use super::*;

/// A worker with one thread joins; what it is given.
fn join(case: &mut Case, worker: u32, build: Option<&str>) -> Vec<Action> {
    let build = build.map(str::to_owned);
    let hello = Hello { incarnation: worker.into(), build, ..hello("w", 1, 1_000_000) };
    case.event(Event::WorkerJoined { worker: WorkerId(worker), hello })
}

fn lose(case: &mut Case, worker: u32) -> Vec<Action> {
    case.event(Event::WorkerLost { worker: WorkerId(worker), why: "signal 6".to_owned() })
}

fn deadly(operation: &str, chunk: u64) -> JobError {
    let (operation, last_words) = (operation.to_owned(), "signal 6".to_owned());
    JobError::Deadly { operation, chunk, deaths: 3, last_words }
}

/// The tasks of the only lease.
fn granted(actions: &[Action], worker: u32) -> (LeaseId, TaskRange) {
    let mut all = leases(actions, worker);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn a_function_that_kills_is_found_though_an_operation_is_open_too() {
    let mut case = Case::with_workers(0);
    case.submit(0, &[read("a", 2, 1).map_blocks(function("own")).unwrap()]);
    for w in 0..3 {
        let actions = join(&mut case, w, Some("own"));
        let (lease, reads) = granted(&actions, w);
        assert_eq!(reads, tasks(0, 0..2));
        let actions = case.done(w, &(lease, tasks(0, 0..1)));
        assert_eq!(granted(&actions, w).1, tasks(1, 0..1));
        let actions = lose(&mut case, w);
        let failed = Update::Failed(deadly("map_blocks", 0));
        assert_eq!(updates(&actions).contains(&&failed), w == 2, "{actions:?}");
    }
}

#[test]
fn a_call_that_kills_is_told_from_those_before_it() {
    const N: u64 = 10;
    const KILLER: u64 = 5;
    let mut case = Case::with_workers(0);
    case.submit(0, &[calls(&[], &[&[][..]; N as usize])]);
    // All that it was granted may have run, and none of it is heard of.
    let actions = join(&mut case, 0, None);
    assert!(granted(&actions, 0).1.chunks.end > KILLER);
    lose(&mut case, 0);
    let mut worker = 1;
    let mut open = leases(&join(&mut case, worker, None), worker);
    let mut n_deaths = 0;
    let (values, why) = loop {
        let (lease, tasks) = open.remove(0);
        assert_eq!((open.len(), tasks.chunks.end - tasks.chunks.start), (0, 1), "more is granted than runs");
        let killed = tasks.chunks.start == KILLER;
        let actions = if killed {
            n_deaths += 1;
            lose(&mut case, worker)
        } else {
            case.report(worker, measured(&(lease, tasks), &[8]))
        };
        let failed = updates(&actions).into_iter().find_map(|u| match u {
            Update::TasksFailed { values, error, .. } => Some((values.clone(), error.to_string())),
            _ => None,
        });
        if let Some(failed) = failed {
            break failed;
        }
        worker += u32::from(killed);
        open = if killed { leases(&join(&mut case, worker, None), worker) } else { leases(&actions, worker) };
    };
    assert_eq!((n_deaths, values), (3, KILLER..KILLER + 1));
    assert_eq!(why, deadly("own", KILLER).to_string());
}
