//! Workers that die in the middle of queries.

use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;
use tilework::Session;
use tilework_benches::tpch::{QUERIES, on, query};

/// Queries for which one session's workers are killed: it does not start others for ever.
const PER_SESSION: usize = 8;

#[test]
fn a_worker_killed_in_each_query_changes_no_bit() {
    let calm = Session::embedded().unwrap();
    let want = on(&calm, 0.01);
    let mut n_killed = 0;
    for queries in QUERIES.collect::<Vec<_>>().chunks(PER_SESSION) {
        let session = Session::processes(3).unwrap();
        let tables = on(&session, 0.01);
        for &n in queries {
            let want = want.ask(&calm, query(n)).unwrap();
            let pids = session.map(|_: u32| std::process::id(), 0..64).unwrap();
            let pids = tilework::gather(&pids).unwrap();
            let victim = Pid::from_raw(pids[n * 7 % pids.len()] as i32).unwrap();
            let got = std::thread::scope(|scope| {
                let asked = scope.spawn(|| tables.ask(&session, query(n)));
                std::thread::sleep(Duration::from_millis(n as u64 * 37 % 150));
                n_killed += u32::from(kill_process(victim, Signal::KILL).is_ok());
                asked.join().unwrap().unwrap_or_else(|e| panic!("query {n}: {e}"))
            });
            assert_eq!(got, want, "query {n}");
        }
    }
    assert_eq!(n_killed as usize, QUERIES.count());
}
