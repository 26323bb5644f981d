//! Mistakes that only a run can find, in this process and on worker processes: an error that says what, and a session
//! that goes on.

use ndarray::Array2 as Nd2;
use tilework::prelude::*;
use tilework::{Boundary, EmbeddedOptions, Session, compute_all};

fn numbers() -> Array1<i32> {
    Array::from_vec_chunked(vec![3, 0, -7, 9, 0], 2)
}

/// What each run says; the same whoever runs it.
fn table() -> Vec<(&'static str, Array1<i32>, &'static [&'static str])> {
    let a = numbers();
    let wide = a.rechunk(-1);
    vec![
        ("divided", 1 / &a, &["divide by zero"]),
        ("by one value", &a / 0, &["divide by zero"]),
        ("remainder", &a % &a, &["zero"]),
        ("in a fold", (&a / &a).insert_axis(Axis(0)).sum_axis(Axis(0)), &["divide by zero"]),
        (
            "in a function",
            a.mapv(|x| if x < 0 { panic!("{x} is negative") } else { x }),
            &["-7 is negative", "closure"],
        ),
        ("in a block", a.map_blocks(|_| panic!("no blocks")), &["no blocks"]),
        (
            "a smaller block",
            // The last block, of one element, is right: whichever of the others comes first, the words are the same.
            a.map_blocks(|x| x.slice(ndarray::s![x.len() / 2..]).to_owned()),
            &["shape [1]", "expected i32 of shape [2]"],
        ),
        (
            "a larger block",
            wide.map_overlap(1, Boundary::None, |_| ndarray::Array1::zeros(9)),
            &["shape [9]", "[5]"],
        ),
        ("in a halo", a.map_overlap(2, Boundary::Periodic, |_| panic!("no halo")), &["no halo"]),
        (
            "in an axis' fold",
            a.clone().insert_axis(Axis(0)).fold_axis(Axis(0), 0, |_, _| panic!("no fold")),
            &["no fold"],
        ),
        (
            "by the index",
            Array1::in_chunks(2).from_shape_fn(9, |i| if i > 7 { panic!("no {i}") } else { 1 }),
            &["no 8"],
        ),
        (
            "far too deep",
            Array1::in_chunks(-1).zeros(1 << 40) + 1,
            &["elementwise", "needs 4.40 TB", "would fit"],
        ),
    ]
}

fn check_all(session: &Session) {
    let right = |a: &Array1<i32>| {
        assert_eq!((a + 1).try_compute_on(session).expect("right").to_vec(), [4, 1, -6, 10, 1])
    };
    for (what, mistake, words) in table() {
        if mistake.len() > 1000 {
            session.gather_bytes_max(u64::MAX);
        }
        let error = mistake.try_compute_on(session).expect_err(what).to_string();
        assert!(words.iter().all(|w| error.contains(w)), "{what}: {error}");
        session.gather_bytes_max(tilework::GATHER_BYTES_MAX);
        right(&numbers());
    }
    // Every integer type, and an error of one result does not hang the others.
    macro_rules! by_zero {
        ($($t:ty)*) => { $(
            let x = Array1::<$t>::from_vec_chunked(vec![1, 0, 1], 1);
            assert!((1 / &x).try_compute_on(session).is_err() && (1 % &x).try_compute_on(session).is_err());
        )* };
    }
    by_zero! { i8 i16 i32 i64 u8 u16 u32 u64 }
    session.gather_bytes_max(10);
    let text = numbers().clone().mapv(|x| x).try_compute_on(session).expect_err("too much").to_string();
    assert!(
        text.starts_with("the result has 20 B, and at most 10 B are gathered into this process"),
        "{text}"
    );
    session.gather_bytes_max(tilework::GATHER_BYTES_MAX);
    right(&numbers());
}

#[test]
fn in_this_process() {
    let options = EmbeddedOptions { workers: 2, threads_per_worker: Some(1), memory_bytes_per_worker: None };
    check_all(&Session::embedded_with(&options).expect("a session"));
}

#[test]
fn on_two_processes() {
    let _mine = crate::support::processes_are_mine();
    let session = Session::processes(2).expect("processes");
    // Other tests are not to run on it: they would keep its processes for longer than this one.
    Session::close_current();
    check_all(&session);
}

#[test]
fn a_panicking_twin_says_what_the_other_returns() {
    let _mine = crate::support::processes_are_mine();
    // One chunk alone fails, so that both runs name the same.
    let a = Array1::<i32>::from_vec_chunked(vec![3, 0, -7, 9, 5], 2);
    let divided = 1 / &a;
    let error = divided.try_compute().expect_err("by zero").to_string();
    assert_eq!(crate::support::panic_text(|| divided.compute()), format!("tilework: {error}"));
    assert_eq!(
        crate::support::panic_text(|| divided.persist()),
        format!("tilework: {}", divided.try_persist().unwrap_err())
    );
    let both = (&divided, &a);
    assert!(tilework::try_compute_all(&both).is_err());
    assert!(crate::support::panic_text(|| compute_all(&both)).contains("divide by zero"));
    assert!(divided.try_sum().is_err() && divided.try_max().is_err() && divided.try_argmin().is_err());
    assert!(divided.try_local().is_err() && divided.clone().try_into_ndarray().is_err());
    assert!(divided.lazy_sum().try_into_scalar().is_err());
    assert_eq!(a.sum(), 10);
    // More bytes than a number holds.
    let huge = Array1::<u8>::in_chunks(-1).zeros(isize::MAX as usize);
    let text = tilework::try_compute_all(&[huge.clone(), huge.clone(), huge][..]).unwrap_err().to_string();
    assert!(text.starts_with("the result has 18.4 EB"), "{text}");
}

#[test]
fn sessions_that_cannot_be() {
    let with = |workers, threads, memory| EmbeddedOptions {
        workers,
        threads_per_worker: threads,
        memory_bytes_per_worker: memory,
    };
    for (workers, threads) in [(0, None), (usize::MAX, None), (1, Some(0)), (1, Some(usize::MAX))] {
        let text = Session::embedded_with(&with(workers, threads, None)).expect_err("no session").to_string();
        assert!(text.ends_with("expected 1 to 256 workers of 1 to 1024 threads"), "{text}");
    }
    for n in [0, usize::MAX] {
        let text = Session::processes(n).expect_err("no session").to_string();
        assert_eq!(text, format!("number of worker processes: got {n}, expected 1 to 256"));
    }
    let tiny = Session::embedded_with(&with(1, Some(1), Some(0))).expect("a session");
    assert!((numbers() + 1).try_compute_on(&tiny).expect_err("no memory").to_string().contains("may use 0"));
    let empty = Array2::<f64>::in_chunks(2)
        .zeros((0, 5))
        .map_overlap(usize::MAX, Boundary::Reflect, |x| x.to_owned());
    assert_eq!(empty.compute(), Nd2::<f64>::zeros((0, 5)));
}
