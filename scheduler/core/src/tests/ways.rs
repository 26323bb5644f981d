//! Workers without a way between them, and tasks on both sides that read the same chunk.

use super::*;
use crate::scheduler::range_of;
use tilework_plan::{ChunkIdx, tags_of};

/// Answers a lease as one of two workers that cannot reach one another, each of which has the functions of a build.
fn answer(case: &mut Case, worker: u32, (lease, tasks): &(LeaseId, TaskRange)) -> Vec<Action> {
    let (task, input) = (task(tasks.stage.0, 0), task(0, 0));
    let holder = case.scheduler.holdings().iter().find(|(_, key)| *key == input).map(|(w, _)| *w);
    let (lease, peer) = (*lease, WorkerId(1 - worker));
    if task == input || holder == Some(WorkerId(worker)) {
        return case.done(worker, &(lease, tasks.clone()));
    }
    let why = "no way".to_owned();
    case.report(worker, Report::Unreachable { lease, task, input, peer, away: true, why })
}

#[test]
fn two_sides_read_the_same_chunk_one_after_the_other() {
    for (first, second) in [("a", "b"), ("b", "a")] {
        let mut case = Case::with_workers(0);
        let mut actions: Vec<Action> = of_build(&mut case, 0, "a");
        actions.extend(of_build(&mut case, 1, "b"));
        let x = read("x", 1, 1);
        let both = [first, second].map(|build| x.map_blocks(function(build)).unwrap());
        actions.extend(case.submit(0, &both));
        let (mut n, mut over) = (0, false);
        while !over {
            let all: Vec<_> =
                (0..2).flat_map(|w| leases(&actions, w).into_iter().map(move |lease| (w, lease))).collect();
            assert!(!all.is_empty() && n < 20, "{n} answers: {:?}", updates(&actions));
            n += all.len();
            actions = all.iter().flat_map(|(w, lease)| answer(&mut case, *w, lease)).collect();
            over = updates(&actions).iter().any(|u| matches!(u, Update::Done { .. }));
        }
    }
}

/// Answers a lease as one of two workers that cannot reach one another, whatever the job: each task whose inputs the worker
/// does not have all fails for that.
fn answer_each(case: &mut Case, worker: u32, (lease, tasks): &(LeaseId, TaskRange)) -> Vec<Action> {
    let mut actions = Vec::new();
    for task in tasks.keys() {
        let mut inputs = Vec::new();
        case.scheduler.jobs[&task.job].plan.feeds_of(task.stage, task.chunk, &mut inputs);
        let holder = |&(_, stage, chunk): &(usize, StageIdx, ChunkIdx)| {
            let input = TaskKey { stage, chunk, ..task };
            Some((input, case.scheduler.holder(input)?))
        };
        let away = inputs.iter().filter_map(holder).find(|(_, holder)| *holder != WorkerId(worker));
        let report = match away {
            Some((input, peer)) => {
                let why = "no way".to_owned();
                Report::Unreachable { lease: *lease, task, input, peer, away: true, why }
            }
            None => {
                let tasks = range_of(task);
                Report::Done { lease: *lease, tasks, busy_us: 1, bytes_fetched: 0, sizes: vec![7] }
            }
        };
        actions.extend(case.report(worker, report));
    }
    actions
}

/// One of two workers alone has what the first of some calls needs. The others could be anywhere; the last reads a value that
/// the other worker has, too.
#[test]
fn what_only_one_side_can_make_is_read_on_that_side() {
    for tagged in [0, 1] {
        let mut case = Case { scheduler: Scheduler::new(Limits::in_process()), now_us: 0 };
        let join = |case: &mut Case, w: u32| {
            let tags = tags_of(if w == tagged { "gpu" } else { "" }).unwrap();
            let hello = Hello { tags, ..hello(&format!("w{w}"), 2, 1_000_000) };
            case.event(Event::WorkerJoined { worker: WorkerId(w), hello })
        };
        join(&mut case, 1 - tagged);
        let actions = case.submit(0, &[calls(&[], &[&[]])]);
        leases(&actions, 1 - tagged).iter().for_each(|lease| drop(answer_each(&mut case, 1 - tagged, lease)));
        join(&mut case, tagged);
        // Either is known to have no way to the other.
        for (w, peer) in [(0, 1), (1, 0)] {
            case.scheduler.cut_off(WorkerId(w), WorkerId(peer), "no way");
        }
        let gpu = Terms { tags: tags_of("gpu").unwrap(), ..Terms::default() };
        let begun = calls_on(&gpu, &[], &[&[]]);
        let made = (0..4).fold(begun, |made, _| calls(&[made], &[&[(0, 0)]]));
        let there = Expr::held_values(0, 0, 1, Arc::new(())).unwrap();
        let mut actions = case.submit(1, &[calls(&[made, there], &[&[(0, 0), (1, 0)]])]);
        let mut did = Vec::new();
        let is_done = |a: &Action| matches!(a, Action::Update { job: JobId(1), update: Update::Done { .. } });
        while !actions.iter().any(is_done) {
            let all: Vec<_> =
                (0..2).flat_map(|w| leases(&actions, w).into_iter().map(move |lease| (w, lease))).collect();
            assert!(!all.is_empty() && did.len() < 1000, "{did:?}: {:?}", updates(&actions));
            did.extend(all.iter().map(|(w, _)| *w));
            actions = all.iter().flat_map(|(w, lease)| answer_each(&mut case, *w, lease)).collect();
        }
        // Its six calls, and once more the one whose value the other has.
        assert_eq!(did, [tagged; 7]);
    }
}

/// Two workers that have no connection to one another, each with a chunk that the same task reads.
#[test]
fn a_task_whose_inputs_are_out_of_reach_has_them_made_nearer() {
    let mut case = Case::with_workers(2);
    let sum = read("a", 2, 1).reduce_all(Fold::Sum).unwrap();
    let mut actions = case.submit(0, &[sum]);
    // Until the task that reads two chunks is at one of them.
    let (mut at, mut combine) = (0, None);
    for _ in 0..20 {
        let next = (0..2).find_map(|w| leases(&actions, w).first().cloned().map(|l| (w, l)));
        let Some((w, lease)) = next else { break };
        if lease.1.stage == StageIdx(2) {
            (at, combine) = (w, Some(lease));
            break;
        }
        let others: Vec<Action> = actions.clone();
        actions = case.done(w, &lease);
        let rest = (0..2).flat_map(|v| leases(&others, v).into_iter().map(move |l| (v, l)));
        for (v, l) in rest.filter(|(_, l)| *l != lease) {
            actions.extend(case.done(v, &l));
        }
    }
    let (lease, combined) = combine.expect("the states are put together");
    let key = combined.keys().next().unwrap();
    let elsewhere =
        (0..2).map(|c| task(1, c)).find(|k| case.scheduler.holdings().contains(&(WorkerId(1 - at), *k)));
    let input = elsewhere.expect("one of the states is at the other worker");
    let missed = Report::Unreachable {
        lease,
        task: key,
        input,
        peer: WorkerId(1 - at),
        away: true,
        why: "refused".to_owned(),
    };
    let actions = case.report(at, missed);
    // The other could reach all, for all that is known.
    let (lease, again) = leases(&actions, 1 - at).remove(0);
    assert_eq!(again, combined);
    let input = (0..2).map(|c| task(1, c)).find(|k| *k != input).unwrap();
    let missed = Report::Unreachable {
        lease,
        task: key,
        input,
        peer: WorkerId(at),
        away: true,
        why: "refused".to_owned(),
    };
    let actions = case.report(1 - at, missed);
    let first = leases(&actions, 0);
    assert!(
        !first.is_empty() && leases(&actions, 1).is_empty(),
        "all is made at the first worker: {actions:?}"
    );
    let mut todo = first;
    while let Some(lease) = todo.pop() {
        let actions = case.done(0, &lease);
        assert!(leases(&actions, 1).is_empty());
        todo.extend(leases(&actions, 0));
    }
    assert!(case.scheduler.state(case.now_us).jobs[0].finished);
}

#[test]
fn transfers_that_fail_for_good_end_with_who_where_and_why() {
    let mut case = Case::with_workers(2);
    let sum = read("a", 1, 1).reduce_all(Fold::Sum).unwrap();
    let mut actions = case.submit(0, &[sum]);
    let mut failed = None;
    for _ in 0..500 {
        let all: Vec<_> = (0..2).flat_map(|w| leases(&actions, w).into_iter().map(move |l| (w, l))).collect();
        actions.clear();
        for (w, (lease, tasks)) in all {
            let task = tasks.keys().next().unwrap();
            let report = if task.stage == StageIdx(0) {
                Report::Done { lease, tasks, busy_us: 1, bytes_fetched: 0, sizes: vec![] }
            } else {
                let input = TaskKey { stage: StageIdx(0), ..task };
                let held = case.scheduler.holdings().iter().find(|(_, k)| *k == input).map(|(w, _)| *w);
                let (peer, away, why) = (held.unwrap(), false, "it says no".to_owned());
                Report::Unreachable { lease, task, input, peer, away, why }
            };
            actions.extend(case.report(w, report));
        }
        let mut errors = updates(&actions).into_iter().filter_map(|u| match u {
            Update::Failed(JobError::Operation { message, .. }) => Some(message.clone()),
            _ => None,
        });
        failed = failed.or(errors.next());
    }
    let why = failed.expect("it fails");
    assert!(why.contains("could not get one from worker 'w") && why.ends_with(":1: it says no"), "{why}");
}
