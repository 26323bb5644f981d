//! The simulator as a test: some seeds without faults of ours, and some of the planted bugs that few seeds suffice to find.
//! All of it, with 20,000 seeds: `cargo run --release -p tilework-sim -- --seeds 20000`, then with `--planted`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use tilework_sim::{Fault, FaultCounts, Planted, run};

#[test]
fn every_seed_ends_well() {
    let mut faults = FaultCounts::default();
    for seed in 0..400 {
        faults.merge(&run(seed, None, false).faults);
    }
    for often in [
        Fault::Killed,
        Fault::Cut,
        Fault::Left,
        Fault::Duplicated,
        Fault::FetchFailed,
        Fault::Revoked,
        Fault::Cancelled,
        Fault::SchedulerStopped,
        Fault::WorkerStopped,
        Fault::AllStopped,
        Fault::CameBack,
        Fault::Replaced,
    ] {
        assert!(faults.of(often) > 0, "{} never happened", often.name());
    }
}

#[test]
fn a_seed_plays_the_same_every_time() {
    let (a, b) = (run(17, None, false), run(17, None, false));
    assert_eq!((a.events, a.tasks, a.faults), (b.events, b.tasks, b.faults));
}

#[test]
fn planted_bugs_are_found() {
    use tilework_client_core::Bug as C;
    use tilework_scheduler_core::Bug as S;
    use tilework_worker_core::Bug as W;
    let scheduler = [
        S::MissingNotRestored,
        S::ReleasedTooEarly,
        S::DuplicateReportCounted,
        S::InputsNotResurrected,
        S::UnneededReadersRun,
        S::PutFailureIgnored,
        S::PauseTakenForSilence,
        S::SilenceIsDeath,
    ];
    let worker = [W::CacheFreedInUse, W::CreditLeaked, W::MemoryIgnored, W::OverrunIgnored, W::StuckIgnored];
    std::panic::set_hook(Box::new(|_| {}));
    let found =
        |bug| (0..500).any(|seed| catch_unwind(AssertUnwindSafe(|| run(seed, Some(bug), false))).is_err());
    let all = scheduler.map(Planted::Scheduler).into_iter().chain(worker.map(Planted::Worker));
    let all = all.chain([Planted::Client(C::FailureAwaitsNews)]);
    let missed: Vec<Planted> = all.filter(|b| !found(*b)).collect();
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "not found: {missed:?}");
}
