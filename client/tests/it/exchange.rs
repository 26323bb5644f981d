//! Arrays as arguments of tasks, and arrays that are made of tasks' values, on threads and on processes.

use crate::futures::{embedded, on_each};
use crate::support::{check, processes_are_mine};
use ndarray::{Array1 as Nd1, Array2 as Nd2};
use std::sync::atomic::{AtomicBool, Ordering};
use tilework::prelude::*;
use tilework::{EmbeddedOptions, Error, Future, FutureError, JobError, Session, gather, random};

/// A lazy array of several chunks.
fn lazy() -> Array2<f64> {
    let x: Array2<f64> = random::in_chunks([100, 70]).uniform((300, 200), 0.0..1.0, 5);
    &x.sin() * 2.0 + 1.0
}

/// The elements of an array in order, so that two are told apart by any bit.
fn bits(of: Nd2<f64>) -> Vec<u64> {
    of.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn a_task_gets_the_whole_of_an_array() {
    on_each(|session| {
        let x = lazy();
        let expected = bits(x.try_compute_on(session).unwrap());
        let held = x.try_persist_on(session).unwrap();
        for array in [&x, &held] {
            assert_eq!(session.submit(bits, (array,)).unwrap().result().unwrap(), expected);
        }
        let transposed = held.t();
        let got = session.submit(bits, (&transposed.slice(s![.., ..;3]),)).unwrap().result().unwrap();
        let here = x.try_compute_on(session).unwrap();
        assert_eq!(got, bits(here.t().slice(ndarray::s![.., ..;3]).to_owned()));
        // In memory, small and large, and without elements.
        let shape = |a: Nd2<i32>| (a.dim(), a.iter().map(|x| i64::from(*x)).sum::<i64>());
        for (rows, columns) in [(3, 2), (500, 300), (0, 7)] {
            let a = Array2::from_shape_fn((rows, columns), |(i, j)| (i * columns + j) as i32);
            let n = (rows * columns) as i64;
            let sum = n * (n - 1).max(0) / 2;
            assert_eq!(session.submit(shape, (&a,)).unwrap().result().unwrap(), ((rows, columns), sum));
            assert_eq!(session.submit(shape, (a.t().t().to_owned(),)).unwrap().result().unwrap().1, sum);
        }
        // As an array of ours, as a vector, beside other arguments.
        let of_ours = |a: Array2<f64>, k: f64| (a.is_lazy(), (&a * k).sum());
        let (is_lazy, sum) = session.submit(of_ours, (&held, 2.0)).unwrap().result().unwrap();
        assert!(!is_lazy && sum == (&Array::from(here.clone()) * 2.0).sum());
        let first = held.row(0);
        let vector: Vec<f64> = session.submit(|v: Vec<f64>| v, (&first,)).unwrap().result().unwrap();
        assert_eq!(vector, here.row(0).to_vec());
    });
}

#[test]
fn all_calls_of_a_map_may_have_one_and_each_its_own() {
    on_each(|session| {
        let x = lazy();
        let here = x.try_compute_on(session).unwrap();
        let row = |i: usize, a: &Nd2<f64>| a.row(i).sum();
        let sums = gather(session.map_with(row, &x, 0..300).unwrap()).unwrap();
        assert_eq!(sums, here.rows().into_iter().map(|row| row.sum()).collect::<Vec<_>>());
        // One that is small enough to go with each call.
        let small = Array2::from_shape_fn((10, 9), |(i, j)| (i + j) as f64);
        let sums = gather(session.map_with(row, &small, 0..10).unwrap()).unwrap();
        assert_eq!(sums, small.rows().into_iter().map(|row| row.sum()).collect::<Vec<_>>());
        let columns: Vec<_> = (0..20).map(|j| x.column(j)).collect();
        let lens = session.map(|column: Nd1<f64>| column.len(), &columns).unwrap();
        assert_eq!(gather(lens).unwrap(), [300; 20]);
    });
}

#[test]
fn an_array_that_cannot_be_made_fails_its_task_and_no_other() {
    on_each(|session| {
        let fails = |x: f64| if x < 10.0 { panic!("no good") } else { x };
        let bad = lazy().mapv(fails);
        let of_bad = session.submit(bits, (&bad,)).unwrap();
        let other = session.submit(|x: u64| x + 1, (1,)).unwrap();
        let error = of_bad.result().unwrap_err();
        assert!(matches!(&error, Error::Job(JobError::Operation { .. })), "{error}");
        assert!(error.to_string().contains("no good"), "{error}");
        assert_eq!(other.result().unwrap(), 2);
    });
}

#[test]
fn an_array_larger_than_a_worker_is_an_error_with_numbers() {
    let options =
        EmbeddedOptions { workers: 2, threads_per_worker: Some(1), memory_bytes_per_worker: Some(64 << 20) };
    let session = Session::embedded_with(&options).unwrap();
    let x: Array2<f64> = random::in_chunks([500, 1000]).uniform((10_000, 1000), 0.0..1.0, 5);
    let error = session.submit(|a: Nd2<f64>| a.sum(), (&x,)).unwrap().result().unwrap_err();
    let text = error.to_string();
    assert!(matches!(&error, Error::Job(JobError::Memory { .. })), "{text}");
    assert!(text.contains("67.1 MB"), "{text}");
}

#[test]
fn a_task_may_submit_with_arrays() {
    on_each(|session| {
        let outer = |n: usize| {
            let x = Array2::<f64>::in_chunks(10).ones((n, 50)) * 2.0;
            let sum = tilework::submit(|a: Nd2<f64>| a.sum(), (&x,)).expect("it is submitted").result();
            let rows = |i: usize, a: &Nd2<f64>| a.row(i).sum();
            let shared = gather(tilework::map_with(rows, &x, 0..3).expect("they are submitted"));
            (sum.expect("it has a sum"), shared.expect("they have sums"))
        };
        assert_eq!(session.submit(outer, (40,)).unwrap().result().unwrap(), (4000.0, vec![100.0; 3]));
    });
}

/// A block of a picture: far enough from any other to be told apart.
fn block(n: usize) -> Nd2<f64> {
    Nd2::from_shape_fn((4, 3), |(i, j)| (n * 100 + i * 10 + j) as f64)
}

#[test]
fn an_array_is_made_of_values() {
    on_each(|session| {
        let futures = session.map(block, 0..6).unwrap();
        let blocks: Vec<Array2<f64>> = futures.iter().map(|f| Array::from_future(f, (4, 3))).collect();
        assert!(blocks.iter().all(Array::is_lazy));
        // The handles go, and the values stay as long as the arrays.
        drop(futures);
        let views: Vec<_> = blocks.iter().map(|b| b.view()).collect();
        let all = concatenate(Axis(0), &views).unwrap();
        let here: Vec<Nd2<f64>> = (0..6).map(block).collect();
        let here: Vec<_> = here.iter().map(|b| b.view()).collect();
        let here = ndarray::concatenate(ndarray::Axis(0), &here).unwrap();
        assert_eq!(all.try_compute_on(session).unwrap(), here);
        let mean = (&all * 2.0).mean_axis(Axis(0)).unwrap().try_compute_on(session).unwrap();
        assert_eq!(mean, (&here * 2.0).mean_axis(ndarray::Axis(0)).unwrap());
        let page = all.explain().to_string();
        assert!(page.contains("from_future(#0)") && page.contains("concatenate("), "{page}");
        // Of a vector, of a number, of an array of ours; and round, through tasks and arrays by turns.
        let vector = session.submit(|n: i64| (0..n).collect::<Vec<i64>>(), (5,)).unwrap();
        let vector = Array1::from_future(&vector, 5).try_persist_on(session).unwrap();
        check(&vector, &Nd1::from_iter(0..5));
        let number = session.submit(|n: f32| n / 4.0, (1.0f32,)).unwrap();
        let number: Array0<f32> = Array::from_future(&number, ());
        assert_eq!(number.try_compute_on(session).unwrap()[()], 0.25);
        let ours = session.submit(|a: Nd2<f64>| Array2::from(a) + 1.0, (&all,)).unwrap();
        let again = Array2::from_future(&ours, (24, 3));
        let sum = session.submit(|a: Nd2<f64>| a.sum(), (&(&again + &all),)).unwrap();
        assert_eq!(sum.result().unwrap(), (&here + 1.0 + &here).sum());
    });
}

#[test]
fn a_value_of_another_shape_is_an_error_that_names_the_line() {
    on_each(|session| {
        let future = session.submit(block, (1,)).unwrap();
        let (wrong, line) = (Array2::<f64>::from_future(&future, (3, 4)), line!());
        let error = wrong.try_compute_on(session).unwrap_err();
        let text = error.to_string();
        assert!(matches!(&error, Error::Job(JobError::Operation { .. })), "{text}");
        let expected = "is f64 of shape [4, 3], expected f64 of shape [3, 4] (`from_future` at ";
        assert!(text.contains(expected) && text.contains(&format!("exchange.rs:{line}:")), "{text}");
        // And whatever reads it.
        let sum = session.submit(|a: Nd2<f64>| a.sum(), (&(&wrong + 1.0),)).unwrap();
        assert!(sum.result().unwrap_err().to_string().contains(expected));
        // The value is as good as before.
        assert_eq!(future.result().unwrap(), block(1));
    });
}

#[test]
fn what_failed_or_was_given_up_becomes_no_array() {
    on_each(|session| {
        let cancelled = session.submit(block, (1,)).unwrap();
        cancelled.cancel();
        let error = Array2::<f64>::try_from_future(&cancelled, (4, 3)).unwrap_err();
        assert!(matches!(error, Error::Future(FutureError::Cancelled)), "{error}");
        let failing = |n: usize| if n > 0 { Err("no block") } else { Ok(block(n)) };
        let failed: Future<Nd2<f64>> = session.try_submit(failing, (1,)).unwrap();
        // Before it is known, the array fails.
        let early = Array2::<f64>::try_from_future(&failed, (4, 3));
        let text = early.and_then(|a| a.try_compute_on(session)).unwrap_err().to_string();
        assert!(text.contains("no block"), "{text}");
        failed.result().unwrap_err();
        let text = Array2::<f64>::try_from_future(&failed, (4, 3)).unwrap_err().to_string();
        assert!(text.contains("no block"), "{text}");
        let text = crate::support::panic_text(|| Array2::<f64>::from_future(&failed, (4, 3)));
        assert!(text.contains("no block"), "{text}");
        // One that is given up later is still read.
        let future = session.submit(block, (2,)).unwrap();
        let array = Array2::<f64>::from_future(&future, (4, 3));
        future.cancel();
        assert_eq!(array.try_compute_on(session).unwrap(), block(2));
    });
}

#[test]
fn an_array_of_a_value_whose_whole_job_failed_says_why() {
    static GO: AtomicBool = AtomicBool::new(false);
    let session = embedded(1, 1);
    let wait = |n: usize| {
        while !GO.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        n
    };
    let number = session.submit(wait, (1,)).unwrap();
    // No worker has so much.
    let future = session.tasks().memory(1 << 60).submit(block, (&number,)).unwrap();
    let array = Array2::<f64>::try_from_future(&future, (4, 3));
    GO.store(true, Ordering::Relaxed);
    future.result().unwrap_err();
    let error = array.and_then(|a| a.try_compute_on(&session)).unwrap_err();
    assert!(matches!(&error, Error::Job(JobError::Memory { .. })), "{error}");
}

#[test]
fn arrays_and_values_of_another_session_are_fetched_from_it() {
    let (one, other) = (embedded(1, 1), embedded(2, 1));
    let held = lazy().try_persist_on(&one).unwrap();
    let expected = bits(held.try_compute_on(&one).unwrap());
    assert_eq!(other.submit(bits, (&held,)).unwrap().result().unwrap(), expected);
    let array = Array2::<f64>::from_future(&one.submit(block, (3,)).unwrap(), (4, 3));
    assert_eq!((&array + 1.0).try_compute_on(&other).unwrap(), block(3) + 1.0);
    let sum = other.submit(|a: Nd2<f64>| a.sum(), (&array,)).unwrap();
    assert_eq!(sum.result().unwrap(), block(3).sum());
}

#[test]
fn a_worker_that_is_killed_loses_neither() {
    let _mine = processes_are_mine();
    let session = Session::processes(2).unwrap();
    let pids = session.map(|_: u32| std::process::id(), 0..64).unwrap();
    let pids = gather(&pids).unwrap();
    let held = lazy().try_persist_on(&session).unwrap();
    let futures = session.map(block, 0..40).unwrap();
    let blocks: Vec<Array2<f64>> = futures.iter().map(|f| Array::from_future(f, (4, 3))).collect();
    let sum = session.submit(|a: Nd2<f64>| a.sum(), (&held,)).unwrap();
    tilework::wait(&futures, tilework::When::All, None).unwrap();
    let before = sum.result().unwrap();
    // SAFETY: a worker of this session's own.
    assert_eq!(unsafe { libc::kill(pids[0] as i32, libc::SIGKILL) }, 0);
    assert_eq!(session.submit(|a: Nd2<f64>| a.sum(), (&held,)).unwrap().result().unwrap(), before);
    for (n, array) in blocks.iter().enumerate() {
        assert_eq!(array.try_compute_on(&session).unwrap(), block(n));
    }
    drop(session);
    Session::close_current();
}
