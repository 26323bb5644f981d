//! Workers without a way between them, and tasks on both sides that read the same chunk.

use super::*;

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
