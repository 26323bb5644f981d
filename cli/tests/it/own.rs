//! Workers that are the user's own program, which here is this very test; alone, and beside plain ones.

use crate::{Dir, Process, current_is_mine, output, scheduler, worker};
use tilework::prelude::*;
use tilework::{Boundary, ndarray};

/// This test, as a program of the user's.
fn this_program() -> String {
    std::env::current_exe().unwrap().to_str().unwrap().to_owned()
}

fn own_worker(file: &str, name: &str) -> Process {
    own_worker_with(file, name, &[])
}

/// The same with more arguments.
pub fn own_worker_with(file: &str, name: &str, more: &[&str]) -> Process {
    own_worker_logging(file, name, more, std::process::Stdio::null())
}

/// The same, with its log.
pub fn own_worker_logging(file: &str, name: &str, more: &[&str], log: std::process::Stdio) -> Process {
    let program = this_program();
    let args = ["worker", "--program", &program, "--connection-file", file, "--name", name];
    let usual = ["--listen", "localhost:0", "--threads", "1", "--memory", "256MiB"];
    Process::start_with(&[&args[..], &usual, more].concat(), log)
}

/// Every kind of function of one's own, and what ndarray makes of them.
fn functions(session: &Session) {
    let x = Array1::<f64>::in_chunks(7).from_shape_fn(40, |i| (i * i % 11) as f64);
    let want = ndarray::Array1::from_shape_fn(40, |i| (i * i % 11) as f64);
    assert_eq!(x.try_compute_on(session).unwrap(), want);
    let plan = x.try_explain_on(session).unwrap();
    assert_eq!(plan.run().map(|run| run.bytes_put), Some(0), "made by the client: {plan}");
    assert_eq!(x.mapv(|x| x + 0.5).try_compute_on(session).unwrap(), want.mapv(|x| x + 0.5));
    let with = x.mapv_with(2.5, |x, k| x * k).try_compute_on(session).unwrap();
    assert_eq!(with, want.mapv(|x| x * 2.5));
    let folded = x.try_fold_axis(Axis(0), 0.0, |sum, x| sum * 0.5 + x).unwrap();
    assert_eq!(
        folded.try_compute_on(session).unwrap(),
        want.fold_axis(ndarray::Axis(0), 0.0, |sum, x| sum * 0.5 + x)
    );
    let both = tilework::map_collect((&x, &x.mapv(|x| -x)), |&x, &y| x - y);
    assert_eq!(both.try_compute_on(session).unwrap(), want.mapv(|x| x + x));
    let turned = x.map_blocks(|block| block.mapv(|x| x * x));
    assert_eq!(turned.try_compute_on(session).unwrap(), want.mapv(|x| x * x));
    let steps = x.map_overlap(1, Boundary::Periodic, |x| &x.slice(s![2..]) - &x.slice(s![..-2]));
    let around = ndarray::Array1::from_shape_fn(40, |i| want[(i + 1) % 40] - want[(i + 39) % 40]);
    assert_eq!(steps.try_compute_on(session).unwrap(), around);
    // An array for a task, and an array of its value.
    let half = x.mapv(|x| x + 0.5);
    let sum = session.submit(|a: ndarray::Array1<f64>| a.sum(), (&half,)).unwrap();
    let sum: Array0<f64> = Array::from_future(&sum, ());
    let twice = (&sum + &sum).try_compute_on(session).unwrap();
    assert_eq!(twice[()], want.mapv(|x| x + 0.5).sum() * 2.0);
}

fn numbers_of_workers(file: &str) -> usize {
    let (ok, json, error) = output(&["state", "--connection-file", file, "--output", "json"]);
    assert!(ok, "{error}");
    json.matches(r#""name":"#).count()
}

#[test]
fn workers_of_the_program_itself_call_its_functions_and_end_as_plain_ones_do() {
    let _mine = current_is_mine();
    let dir = Dir::new();
    let scheduler = scheduler(dir.file());
    let mut workers = [own_worker(dir.file(), "a"), own_worker(dir.file(), "b")];
    for (worker, name) in workers.iter_mut().zip(["a", "b"]) {
        assert_eq!(worker.line(), format!("worker {name} joined"));
    }
    let session = Session::connect(dir.file()).unwrap();
    functions(&session);
    drop(session);
    Session::close_current();
    let [a, b] = workers;
    a.signal(libc::SIGTERM);
    assert_eq!(a.end(), (true, String::new()));
    assert_eq!(numbers_of_workers(dir.file()), 1);
    scheduler.signal(libc::SIGINT);
    assert!(scheduler.end().0);
    assert!(b.end().0, "a worker ends with its scheduler");
}

#[test]
fn beside_plain_workers_functions_go_to_those_that_have_them() {
    let _mine = current_is_mine();
    let dir = Dir::new();
    let _scheduler = scheduler(dir.file());
    let mut plain = [worker(dir.file(), "plain-0"), worker(dir.file(), "plain-1")];
    let mut own = own_worker(dir.file(), "own");
    assert_eq!(own.line(), "worker own joined");
    plain.iter_mut().for_each(|worker| assert!(worker.line().ends_with("joined")));
    let session = Session::connect(dir.file()).unwrap();
    for _ in 0..3 {
        functions(&session);
    }
    // Random numbers are made, and sums computed, by any worker; a function between them by one.
    let x: Array2<f64> = tilework::random::in_chunks([10, 30]).uniform((100, 90), 0.0..1.0, 5);
    let sums = (x.persist() * 2.0).mapv(f64::sqrt).sum_axis(Axis(1));
    let here = Session::embedded().unwrap();
    let want = (x * 2.0).mapv(f64::sqrt).sum_axis(Axis(1)).try_compute_on(&here).unwrap();
    assert_eq!(sums.try_compute_on(&session).unwrap(), want);
    drop(sums);
    Session::close_current();
}

#[test]
fn a_function_of_the_index_waits_for_the_first_worker_to_see_whether_it_has_it() {
    let _mine = current_is_mine();
    let dir = Dir::new();
    let _scheduler = scheduler(dir.file());
    let session = Session::connect(dir.file()).unwrap();
    let x = Array1::<f64>::in_chunks(7).from_shape_fn(40, |i| (i * i % 13) as f64);
    // Looked at, it waits for nobody.
    let plan = x.try_explain_on(&session).unwrap();
    assert!(plan.run().is_none(), "{plan}");
    let sum = std::thread::scope(|scope| {
        let sum = scope.spawn(|| x.sum_axis(Axis(0)).try_compute_on(&session).unwrap());
        let mut own = own_worker(dir.file(), "late");
        assert_eq!(own.line(), "worker late joined");
        let sum = sum.join().unwrap();
        let run = x.sum_axis(Axis(0)).try_explain_on(&session).unwrap();
        assert_eq!(run.run().map(|run| run.bytes_put), Some(0), "made by the client: {run}");
        sum
    });
    assert_eq!(sum[()], (0..40).map(|i| (i * i % 13) as f64).sum::<f64>());
    Session::close_current();
}

#[test]
fn a_program_that_is_no_worker_is_told_apart_without_being_run() {
    let (ok, said, error) = output(&["worker", "--program", &this_program(), "--check"]);
    assert!(ok && said.is_empty(), "{said} {error}");
    let (ok, _, error) = output(&["worker", "--program", "/bin/sh", "--check"]);
    let expected =
        "tilework: /bin/sh is no program built with the library tilework, so it cannot be a worker\n";
    assert!(!ok && error == expected, "{error}");
    let (ok, _, error) = output(&["worker", "--program", env!("CARGO_BIN_EXE_tilework"), "--check"]);
    assert!(!ok && error.contains("is no program built with the library"), "{error}");
    let (ok, _, error) = output(&["worker", "--check"]);
    assert!(!ok && error.contains("--program <PATH>"), "{error}");
}

/// The name of the worker process that calls this.
fn whoami(_: u64) -> String {
    std::env::var("TILEWORK_ROLE_NAME").expect("a worker process knows its name")
}

#[test]
fn tasks_go_to_the_worker_with_their_tag_when_it_joins() {
    let _mine = current_is_mine();
    let dir = Dir::new();
    let _scheduler = scheduler(dir.file());
    let mut plain = own_worker(dir.file(), "plain");
    assert_eq!(plain.line(), "worker plain joined");
    let session = Session::connect(dir.file()).unwrap();
    let tagged = session.tasks().tag("gpu").map(whoami, 0..10).unwrap();
    assert_eq!(session.submit(whoami, (0,)).unwrap().result().unwrap(), "plain");
    assert!(tagged.iter().all(|future| !future.is_done()));
    let mut other = own_worker_with(dir.file(), "other", &["--tags", "big,gpu"]);
    assert_eq!(other.line(), "worker other joined");
    assert_eq!(tilework::gather(&tagged).unwrap(), vec!["other"; 10]);
    let (ok, page, error) = output(&["workers", "--connection-file", dir.file()]);
    let tags: Vec<bool> = page.lines().map(|line| line.contains("big,gpu")).collect();
    assert!(ok && page.lines().next().is_some_and(|head| head.contains("tags")), "{page} {error}");
    assert_eq!(tags, [false, false, true], "{page}");
    drop((tagged, session));
    Session::close_current();
}

#[test]
fn what_is_no_list_of_tags_is_an_error_that_names_the_setting() {
    let dir = Dir::new();
    let (ok, _, error) = output(&["worker", "--connection-file", dir.file(), "--tags", "two words"]);
    assert!(
        !ok && error.contains("worker.tags (flag)") && error.contains("expected a list as in gpu,big"),
        "{error}"
    );
}
