//! Processes that stand still and go on, and functions that never return.

use crate::own::{own_worker_logging, own_worker_with};
use crate::{Dir, Process, current_is_mine, output, scheduler, watch_until, worker};
use std::sync::mpsc;
use tilework::prelude::*;

/// The state of a cluster as JSON; nothing where its scheduler does not answer.
fn state(file: &str) -> Option<String> {
    let (ok, json, _) = output(&["state", "--connection-file", file, "--output", "json"]);
    ok.then_some(json)
}

fn signal_all(processes: &[&Process], signal: i32) {
    processes.iter().for_each(|p| p.signal(signal));
}

#[test]
fn an_idle_worker_that_was_stopped_comes_back() {
    let dir = Dir::new();
    let _scheduler = scheduler(dir.file());
    let mut idle = worker(dir.file(), "idle");
    assert_eq!(idle.line(), "worker idle joined");
    let look = ["state", "--connection-file", dir.file()];
    idle.signal(libc::SIGSTOP);
    watch_until(&look, |json| json.contains(r#""workers":[]"#));
    idle.signal(libc::SIGCONT);
    watch_until(&look, |json| json.contains(r#""name":"idle""#));
    assert!(idle.child.try_wait().unwrap().is_none(), "it has ended");
}

#[test]
fn a_cluster_that_is_suspended_goes_on_as_if_nothing_had_been() {
    let dir = Dir::new();
    let scheduler = scheduler(dir.file());
    let mut workers = [worker(dir.file(), "a"), worker(dir.file(), "b")];
    workers.iter_mut().for_each(|worker| assert!(worker.line().ends_with("joined")));
    let numbers = |json: &str| -> Vec<String> {
        let pieces = json.split(r#""worker":"#).skip(1);
        pieces.map(|p| p.split([',', '}']).next().unwrap().to_owned()).collect()
    };
    let before = numbers(&state(dir.file()).unwrap());
    assert_eq!(before.len(), 2);
    let all = [&scheduler, &workers[0], &workers[1]];
    signal_all(&all, libc::SIGSTOP);
    // For longer than any worker may be silent.
    assert_eq!(state(dir.file()), None);
    signal_all(&all, libc::SIGCONT);
    let asked = std::time::Instant::now();
    // They are the same, also when the next silence would be found.
    while asked.elapsed() < std::time::Duration::from_secs(4) {
        assert_eq!(numbers(&state(dir.file()).unwrap()), before);
    }
    // The scheduler alone is no different.
    scheduler.signal(libc::SIGSTOP);
    assert_eq!(state(dir.file()), None);
    scheduler.signal(libc::SIGCONT);
    assert_eq!(numbers(&state(dir.file()).unwrap()), before);
}

/// What a sum of endless elements comes to.
fn endless(file: &str) -> mpsc::Receiver<Result<f64, String>> {
    let (tell, told) = mpsc::channel();
    let session = Session::connect(file).unwrap();
    std::thread::spawn(move || {
        let x = Array1::<f64>::in_chunks(10).ones(10).map_blocks(|block| {
            while block.len() > 1 {
                std::hint::spin_loop();
            }
            block.to_owned()
        });
        let sum = x.sum_axis(Axis(0)).try_compute_on(&session);
        // Err: nobody waits for it.
        let _ = tell.send(sum.map(|sum| sum[()]).map_err(|e| e.to_string()));
    });
    told
}

#[test]
fn a_worker_whose_threads_do_not_come_back_begins_again() {
    let _mine = current_is_mine();
    let dir = Dir::new();
    let _scheduler = scheduler(dir.file());
    let mut own = own_worker_with(dir.file(), "own", &["--stop-limit", "2"]);
    assert_eq!(own.line(), "worker own joined");
    let result = endless(dir.file());
    let look = ["state", "--connection-file", dir.file()];
    watch_until(&look, |json| !json.contains(r#""task_longest_s":0.0"#));
    let (ok, said, error) = output(&["cancel", "1", "--connection-file", dir.file()]);
    assert!(ok && said == "job 1 is cancelled\n", "{said} {error}");
    assert!(result.recv().unwrap().unwrap_err().contains("cancelled"));
    watch_until(&look, |json| json.contains(r#""threads_stuck":1"#));
    // The same process, as another worker.
    assert_eq!(own.line(), "worker own joined");
    assert!(own.child.try_wait().unwrap().is_none(), "it has ended");
    let session = Session::connect(dir.file()).unwrap();
    let twice = Array1::<f64>::in_chunks(10).ones(20).mapv(|x| x + 1.0).sum_axis(Axis(0));
    assert_eq!(twice.try_compute_on(&session).unwrap()[()], 40.0);
    drop(session);
    Session::close_current();
    own.signal(libc::SIGTERM);
    assert!(own.end().0);
}

#[test]
fn a_function_that_never_returns_fails_its_job_after_a_time() {
    let _mine = current_is_mine();
    let dir = Dir::new();
    let _scheduler = scheduler(dir.file());
    let mut own = own_worker_with(dir.file(), "own", &["--task-limit", "1", "--stop-limit", "1"]);
    assert_eq!(own.line(), "worker own joined");
    let error = endless(dir.file()).recv().unwrap().unwrap_err();
    assert!(error.contains("it has been running for ") && error.contains("--task-limit"), "{error}");
    assert_eq!(own.line(), "worker own joined");
    Session::close_current();
}

#[test]
fn a_worker_that_is_told_to_end_waits_for_no_endless_task() {
    let _mine = current_is_mine();
    let dir = Dir::new();
    let _scheduler = scheduler(dir.file());
    let log = dir.file.with_file_name("log");
    let logged = std::fs::File::create(&log).unwrap();
    let mut own = own_worker_logging(dir.file(), "own", &["--stop-limit", "2"], logged.into());
    assert_eq!(own.line(), "worker own joined");
    let result = endless(dir.file());
    let look = ["state", "--connection-file", dir.file()];
    watch_until(&look, |json| !json.contains(r#""task_longest_s":0.0"#));
    own.signal(libc::SIGTERM);
    assert!(own.end().0, "it ends well, with the task of a job that goes on");
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("told to end 2s ago, and tasks go on"), "{said}");
    // The job goes on without it, until somebody ends it.
    drop(output(&["cancel", "1", "--connection-file", dir.file()]));
    assert!(result.recv().unwrap().is_err());
    Session::close_current();
}

/// Where this is set, the test below is the program that it runs.
const CHILD: &str = "TILEWORK_TEST_NEVER_RETURNS";

#[test]
fn a_session_starts_another_worker_where_threads_do_not_come_back() {
    if std::env::var_os(CHILD).is_none() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "clock::a_session_starts_another_worker_where_threads_do_not_come_back"]);
        // The session's own word counts before that for any worker.
        child.env(CHILD, "1").env("TILEWORK_TASK_LIMIT", "1").env("TILEWORK_WORKER_TASK_LIMIT", "none");
        child.env("TILEWORK_WORKER_STOP_LIMIT", "1");
        let ended = child.output().unwrap();
        return assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    }
    let session = Session::processes(1).unwrap();
    let x = Array1::<f64>::in_chunks(10).ones(10);
    let stays = x.map_blocks(|block| {
        while block.len() > 1 {
            std::hint::spin_loop();
        }
        block.to_owned()
    });
    let error = stays.sum_axis(Axis(0)).try_compute_on(&session).unwrap_err().to_string();
    assert!(error.contains("it has been running for "), "{error}");
    // Only another process has a thread for it.
    let twice = x.map_blocks(|block| &block + 1.0).sum_axis(Axis(0));
    assert_eq!(twice.try_compute_on(&session).unwrap()[()], 20.0);
}
