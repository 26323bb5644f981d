//! Arrays that functions of the user's compute while a task calls them, on all threads of a session at once: nothing waits
//! for what waits for it.

use crate::support::{check, processes_are_mine};
use ndarray::{Array1 as Nd1, ArrayView1};
use std::sync::{LazyLock, Mutex, OnceLock};
use tilework::prelude::*;
use tilework::{EmbeddedOptions, Session};

/// More than a thread computes by itself for anybody else: 40 chunks.
const N: usize = 40_000;

fn session(threads: usize) -> Session {
    let options =
        EmbeddedOptions { workers: 1, threads_per_worker: Some(threads), memory_bytes_per_worker: None };
    Session::embedded_with(&options).expect("a session")
}

/// An array of more chunks than there are threads, with a literal among its inputs.
fn numbers() -> Array1<i64> {
    let literal = Array1::from_vec_chunked((0..N as i64).collect(), 1000);
    &literal * 2 + Array1::<i64>::in_chunks(700).ones(N)
}

/// The sum of [`numbers`].
const SUM: i64 = (N * N) as i64;

/// A lazy array that all tasks share, and that makes itself within one.
static SHARED: LazyLock<Array1<i64>> = LazyLock::new(|| numbers().persist());
/// An array that the workers of another session hold.
static HELD: OnceLock<Array1<i64>> = OnceLock::new();

/// A block after all ways of computing within a task.
fn computes(block: ArrayView1<'_, i64>) -> Nd1<i64> {
    // Whoever has this computes with it, and does nothing else meanwhile that would want it too.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().expect("nobody panicked");
    let a = numbers();
    let k = a.sum() - SUM;
    let on = Session::embedded().expect("a session");
    let persisted_on = |session: Session| numbers().try_persist_on(&session).expect("kept by the task").sum();
    let parts = [
        a.lazy_sum().try_compute_on(&on).expect("on a session")[()],
        a.mapv(|x| x + k).persist().sum(),
        // The session whose threads all run this, where it is in this process.
        Session::started().map_or(SUM, persisted_on),
        a.map_blocks(|x| x.to_owned()).compute().sum(),
        (&*SHARED + 0).sum(),
        HELD.get().map_or(SUM, |held| (held + 0).sum()),
        tilework::compute_all(&(&a, &a)).1.sum(),
        Array1::from_shape_fn(1 << 18, |i| i as i64).slice(s![..2]).sum() - 1 + SUM,
    ];
    assert_eq!(parts, [SUM; 8]);
    block.mapv(|x| x + k)
}

#[test]
fn on_the_threads_of_a_worker() {
    let _mine = processes_are_mine();
    let session = session(2);
    session.make_current();
    HELD.get_or_init(|| numbers().persist());
    let a = Array1::<i64>::in_chunks(10).ones(80);
    check(&a.map_blocks(computes), &Nd1::ones(80));
    // A value that all chunks need and the first makes, whose making is shared with the others.
    static TABLE: LazyLock<i64> =
        LazyLock::new(|| Array1::<i64>::in_chunks(-1).ones(1 << 20).mapv(|x| x).sum());
    assert_eq!(a.mapv(|x| x + *TABLE).sum(), 80 * (1 + (1 << 20)));
    Session::close_current();
}

#[test]
fn on_a_lazy_array_that_somebody_else_computes() {
    static MUCH: LazyLock<Array1<i64>> = LazyLock::new(|| numbers().mapv(|x| x));
    let session = session(1);
    let _mine = processes_are_mine();
    session.make_current();
    let a = Array1::<i64>::in_chunks(1).ones(8).mapv(|x| x + MUCH[0]);
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(a.sum(), 16));
        // Its tasks wait behind those of the other, which look at it.
        assert_eq!(MUCH.iter().sum::<i64>(), SUM);
    });
    Session::close_current();
}

#[test]
fn on_the_threads_that_make_literals() {
    let session = session(1);
    let offset = 1;
    let f = move |i: usize| numbers().sum() - SUM + i as i64 + offset;
    let n = 4 * rayon::current_num_threads();
    let a = Array1::in_chunks(1).from_shape_fn(n, f);
    let got = a.try_compute_on(&session).expect("no thread is left waiting");
    assert_eq!(got, Nd1::from_iter(1..=n as i64));
}

#[test]
fn on_workers_in_processes() {
    let _mine = processes_are_mine();
    let session = Session::processes(2).expect("processes");
    let a = Array1::<i64>::in_chunks(10).ones(80);
    check(&a.map_blocks(computes), &Nd1::ones(80));
    drop(session);
    Session::close_current();
}

#[test]
fn failures_are_the_task_s() {
    let session = session(1);
    let a = Array1::<i64>::in_chunks(2).ones(4);
    let failing = a.map_blocks(|x| {
        let zero = Array1::<i64>::in_chunks(5).zeros(40);
        let error = (numbers().slice(s![..40]).rechunk(7) / &zero).try_compute().expect_err("by zero");
        assert!(error.to_string().contains("divide by zero"), "{error}");
        x.to_owned() + (1 / zero).compute()[0]
    });
    let text = failing.try_compute_on(&session).expect_err("by zero").to_string();
    assert!(text.contains("map_blocks") && text.contains("divide by zero"), "{text}");
}
