//! Functions of the user's: on embedded sessions and in other processes, against ndarray.

use crate::support::{check, panic_text};
use ndarray::{Array1 as Nd1, Array2 as Nd2, Array3 as Nd3, ArrayView2, Zip};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use tilework::prelude::*;
use tilework::{Boundary, Complex, EmbeddedOptions, Error, FunctionError, map_collect};

fn cube(x: f64) -> f64 {
    x * x * x
}

fn doubled<T: Copy + std::ops::Add<Output = T>>(x: T) -> T {
    x + x
}

fn data() -> (Nd2<f64>, Array2<f64>) {
    let b = Nd2::from_shape_fn((37, 53), |(i, j)| ((i * 31 + j * 17) % 101) as f64 * 0.25 - 3.0);
    (b.clone(), Array::from_ndarray(b, [10, 20]))
}

#[test]
fn functions_of_elements_give_what_ndarray_gives() {
    let (b, a) = data();
    check(&a.mapv(|x| x * 2.0 + 1.0), &b.mapv(|x| x * 2.0 + 1.0));
    check(&a.mapv(f64::abs), &b.mapv(f64::abs));
    check(&a.mapv(cube), &b.mapv(cube));
    check(&a.mapv(doubled), &b.mapv(doubled));
    let inner = |x: f64| x + 0.5;
    check(&a.mapv(move |x| inner(x) * 2.0), &b.mapv(|x| inner(x) * 2.0));
    check(&a.map(|&x| x as i32), &b.map(|&x| x as i32));
    check(&a.map(|x| x.is_sign_negative()), &b.map(|x| x.is_sign_negative()));
    check(&a.mapv(|x| Complex::new(x as f32, 1.0)), &b.mapv(|x| Complex::new(x as f32, 1.0)));
    check(&a.clone().mapv_into(|x| x - 1.0), &b.clone().mapv_into(|x| x - 1.0));
    check(&a.clone().mapv_into_any(|x| x > 0.0), &b.mapv(|x| x > 0.0));
    let (mut c, mut d) = (a.clone(), b.clone());
    c.mapv_inplace(|x| x * x);
    d.mapv_inplace(|x| x * x);
    c.map_inplace(|x| *x += 1.0);
    d.map_inplace(|x| *x += 1.0);
    check(&c, &d);
    // Through views, of one element for all, into reductions, and of nothing.
    check(&a.t().slice(s![3..20;2, ..;-3]).mapv(cube), &b.t().slice(s![3..20;2, ..;-3]).mapv(cube));
    let ones = Array2::<f64>::in_chunks(2).ones((5, 4)).mapv(doubled);
    check(&ones, &Nd2::from_elem((5, 4), 2.0));
    assert_eq!(a.mapv(|x| x as i64).sum(), b.mapv(|x| x as i64).sum());
    check(&Array2::<f64>::zeros((0, 3)).mapv(cube), &Nd2::zeros((0, 3)));
    check(&arr0(3.0).mapv(cube), &ndarray::arr0(27.0));
}

#[test]
fn values_travel_as_parameters() {
    let (b, a) = data();
    let (k, table, flip) = (2.5, [1i32, 20, 300], true);
    let ours = a.mapv_with((k, table, flip), |x, &(k, table, flip)| {
        let y = x * k + f64::from(table[2]);
        if flip { -y } else { y }
    });
    check(&ours, &b.mapv(|x| -(x * k + 300.0)));
    check(&a.mapv_with((), |x, ()| cube(x)), &b.mapv(cube));
    let folded = a.fold_axis_with(Axis(0), 1.0, 0.5, |v, x, k| v * k + x);
    check(&folded, &b.fold_axis(Axis(0), 1.0, |v, x| v * 0.5 + x));
    let scaled = a.map_blocks_with(k, |block, k| &block * *k);
    check(&scaled, &(&b * k));
    let text = a.try_mapv_with([0u8; 70_000], |x, p| x + f64::from(p[0])).unwrap_err().to_string();
    assert!(text.contains("70000 bytes of parameters, expected at most 65536"), "{text}");
}

#[test]
fn what_captures_runs_here_or_is_refused() {
    let (b, a) = data();
    let k = 3.0;
    check(&a.mapv(|x| x * k), &b.mapv(|x| x * k));
    check(&a.map(|x| x * k), &b.map(|x| x * k));
    check(&a.mapv(cube as fn(f64) -> f64), &b.mapv(cube));
    let mut n = 0;
    let numbered = a.mapv(|_| {
        n += 1;
        n
    });
    let mut m = 0;
    check(
        &numbered,
        &b.mapv(|_| {
            m += 1;
            m
        }),
    );
    assert_eq!(n, 37 * 53);
    check(&a.fold_axis(Axis(1), k, |v, x| v + x * k), &b.fold_axis(Axis(1), k, |v, x| v + x * k));
    check(&map_collect((&a, &a), |x, y| x + y * k), &b.mapv(|x| x + x * k));
    let mut c = a.clone();
    c.map_inplace(|x| *x *= k);
    check(&c, &b.mapv(|x| x * k));
    assert_eq!(a.mapv(|x| x * k).chunks(), a.chunks());

    let refused = a.try_mapv_with((), move |x, ()| x * k).unwrap_err();
    assert!(matches!(refused, Error::Function(FunctionError::Captures { bytes: 8, .. })), "{refused}");
    let text = a.try_map_blocks(move |x| x.mapv(|x| x * k)).unwrap_err().to_string();
    assert!(text.contains("captures 8 bytes") && text.contains("mapv_with"), "{text}");
    assert!(a.try_map_overlap(1, Boundary::None, move |x| x.mapv(|x| x * k)).is_err());
    let panics = panic_text(|| a.mapv(|x| if x > 1e9 { k } else { panic!("{x} is too much") }));
    assert!(panics.contains("too much"), "{panics}");
}

#[test]
fn several_arrays_are_taken_together() {
    let (b, a) = data();
    let (b2, a2) = (b.mapv(|x| x as i64), Array::from_ndarray(b.mapv(|x| x as i64), [37, 5]));
    let ours = map_collect((&a, &a2), |&x, &y| x * y as f64);
    check(&ours, &Zip::from(&b).and(&b2).map_collect(|&x, &y| x * y as f64));
    let ours = map_collect((&a, &a2, &a, &a2, &a, &a2), |a, b, c, d, e, f| a + c - e * (b + d - f) as f64);
    let theirs = Zip::from(&b).and(&b2).map_collect(|&x, &y| x + x - x * (y + y - y) as f64);
    check(&ours, &theirs);
    let text = panic_text(|| map_collect((&a, &a.t().to_owned()), |x, y| x + y));
    assert!(text.contains("[37, 53] and [53, 37]"), "{text}");
}

#[test]
fn blocks_are_the_arrays_own_chunks() {
    let (b, a) = data();
    let ours = a.map_blocks(|block| {
        let most = block.fold(f64::MIN, |m, &x| m.max(x));
        block.mapv(|_| most)
    });
    let mut theirs = b.clone();
    for mut chunk in theirs.exact_chunks_mut((1, 1)) {
        chunk.fill(0.0);
    }
    for (i, j) in ndarray::indices((4, 3)) {
        let at = s![i * 10..(i * 10 + 10).min(37), j * 20..(j * 20 + 20).min(53)];
        let most = b.slice(at).fold(f64::MIN, |m, &x| m.max(x));
        theirs.slice_mut(at).fill(most);
    }
    check(&ours, &theirs);
    let wrong = a.map_blocks(|block| block.slice(s![1.., ..]).to_owned());
    let text = wrong.try_compute().unwrap_err().to_string();
    assert!(text.contains("gave a block of f64 of shape [") && text.contains("map_blocks, chunk "), "{text}");
}

/// What is in the place of an element beyond the edges, by another way than the kernel's.
fn at(b: &Nd2<f64>, i: isize, j: isize, boundary: Boundary) -> Option<f64> {
    let inside = |p: isize, n: usize| -> Option<usize> {
        let n = n as isize;
        if (0..n).contains(&p) {
            return Some(p as usize);
        }
        Some(match boundary {
            Boundary::Periodic => p.rem_euclid(n),
            Boundary::Reflect if p < 0 => -p - 1,
            Boundary::Reflect => 2 * n - p - 1,
            Boundary::Nearest => p.clamp(0, n - 1),
            _ => return None,
        } as usize)
    };
    match (inside(i, b.nrows()), inside(j, b.ncols()), boundary) {
        (Some(i), Some(j), _) => Some(b[[i, j]]),
        (_, _, Boundary::Constant(value)) => value.get(),
        _ => None,
    }
}

/// Weighted sums over windows of 2 by 3 neighbours on either side; what is beyond a block counts as nothing.
fn window(block: ArrayView2<'_, f64>) -> Nd2<f64> {
    Nd2::from_shape_fn(block.dim(), |(i, j)| {
        let mut sum = 0.0;
        for (di, dj) in ndarray::indices((5, 7)) {
            let x = (i + di).checked_sub(2).zip((j + dj).checked_sub(3)).and_then(|at| block.get(at));
            sum += x.copied().unwrap_or(0.0) * (di * 7 + dj + 1) as f64;
        }
        sum
    })
}

#[test]
fn halos_reach_over_chunks_and_edges() {
    let (b, _) = data();
    for boundary in
        [Boundary::Periodic, Boundary::Reflect, Boundary::Nearest, Boundary::None, Boundary::constant(0.5)]
    {
        let theirs = Nd2::from_shape_fn(b.dim(), |(i, j)| {
            let mut sum = 0.0;
            for (di, dj) in ndarray::indices((5, 7)) {
                let x = at(&b, (i + di) as isize - 2, (j + dj) as isize - 3, boundary).unwrap_or(0.0);
                sum += x * (di * 7 + dj + 1) as f64;
            }
            sum
        });
        for chunks in [[10, 20], [1, 2], [37, 53], [2, 7]] {
            let a = Array::from_ndarray(b.clone(), chunks);
            check(&a.map_overlap([2, 3], boundary, window), &theirs);
        }
    }
    let cube = Nd3::from_shape_fn((5, 6, 7), |(i, j, k)| (i * 49 + j * 7 + k) as i64);
    let a = Array::from_ndarray(cube.clone(), [2, 3, 7]);
    let ours = a.map_overlap([0, 1, 0], [Boundary::None, Boundary::Periodic, Boundary::None], |x| {
        &x.slice(s![.., 2.., ..]) + &x.slice(s![.., ..-2, ..])
    });
    let theirs =
        Nd3::from_shape_fn(cube.dim(), |(i, j, k)| cube[[i, (j + 1) % 6, k]] + cube[[i, (j + 5) % 6, k]]);
    check(&ours, &theirs);
    let text = panic_text(|| a.map_overlap(6, Boundary::Reflect, |x| x.to_owned()));
    assert!(text.contains("depth of a halo: got 6 along an axis of length 5"), "{text}");
    let text = panic_text(|| a.map_overlap([1, 1], Boundary::Reflect, |x| x.to_owned()));
    assert!(text.contains("one for all"), "{text}");
}

#[test]
fn axes_are_folded_in_order() {
    let (b, a) = data();
    for axis in [Axis(0), Axis(1)] {
        let f = |v: &f64, x: &f64| v * 0.9 + x;
        check(&a.fold_axis(axis, 1.5, f), &b.fold_axis(axis, 1.5, f));
        check(
            &a.t().fold_axis(axis, 0, |v, x| v * 3 % 1000 + *x as i64),
            &b.t().fold_axis(axis, 0, |v, x| v * 3 % 1000 + *x as i64),
        );
    }
    check(&Array1::<f64>::zeros(0).fold_axis(Axis(0), 7u8, |v, _| *v), &ndarray::arr0(7));
    let text = panic_text(|| a.fold_axis(Axis(2), 0, |v: &i32, _| *v));
    assert!(text.contains("axis 2"), "{text}");
}

#[test]
fn functions_of_the_index_are_sources_like_others() {
    let f = |(i, j): (usize, usize)| (i * 100 + j) as f64;
    let a = Array2::in_chunks([7, 16]).from_shape_fn((30, 40), f);
    let b = Nd2::from_shape_fn((30, 40), f);
    check(&a, &b);
    check(&a.slice(s![3..;4, ..;-1]).t(), &b.slice(s![3..;4, ..;-1]).t().to_owned());
    check(
        &a.mapv(cube).sum_axis(Axis(1)).mapv(|x| x as i64),
        &b.mapv(cube).sum_axis(ndarray::Axis(1)).mapv(|x| x as i64),
    );
    check(&Array0::from_shape_fn((), |()| 4i32), &ndarray::arr0(4));
    let dynamic = |at: ndarray::IxDyn| at[0] as i32 * 10 + at[2] as i32;
    let shape = IxDyn(&[3, 2, 5]);
    check(
        &ArrayD::in_chunks(2).from_shape_fn(shape.clone(), dynamic),
        &ndarray::ArrayD::from_shape_fn(shape, dynamic),
    );
    let offset = 5;
    check(&Array1::from_shape_fn(9, move |i| (i + offset) as u64), &Nd1::from_iter(5..14u64));
}

#[test]
fn traced_functions_are_expressions() {
    let (b, a) = data();
    let (k, v) = (3.0, [0.5, 0.25]);
    let f = |x: f64| (x * x * k + v[0]).sqrt() * 2.0 - 1.0 / (x.powi(2) + v[1]);
    check(&a.map_expr(|x| (x * x * k + v[0]).sqrt() * 2.0 - 1.0 / (x.powi(2) + v[1])), &b.mapv(f));
    let ours = a.map_expr(|x| (x.gt(0.0) & x.lt(k)).select(x.cast::<i32>(), -1));
    check(&ours, &b.mapv(|x| if x > 0.0 && x < k { x as i32 } else { -1 }));
    check(&a.map_expr(doubled), &b.mapv(doubled));
    check(
        &a.map_expr(|x| {
            let mut y = x;
            y += x.floor().abs();
            y %= 7.0;
            y.max(1.0)
        }),
        &b.mapv(|x| ((x + x.floor().abs()) % 7.0).max(1.0)),
    );
    let constant = a.map_expr(|_| 4u8.into());
    check(&constant, &b.mapv(|_| 4));
    assert_eq!(constant.chunks(), a.chunks());
    // Traces within traces, of other arrays.
    let sum = a.map_expr(|x| x + arr0(2.0).map_expr(|y| y * 3.0).compute()[()]);
    check(&sum, &b.mapv(|x| x + 6.0));
    let mut escaped = None;
    let _ = a.map_expr(|x| {
        escaped = Some(x);
        x
    });
    let text = crate::support::quietly(|| escaped.map(|x| x.sqrt())).unwrap_err();
    assert_eq!(text.downcast_ref::<&str>(), Some(&"tilework: a traced value outlives its function"));
}

#[test]
fn a_panic_names_the_function_and_the_session_goes_on() {
    let (b, a) = data();
    let text = a
        .mapv(|x| if x > 5.0 { panic!("{x} is too much") } else { x })
        .try_compute()
        .unwrap_err()
        .to_string();
    assert!(text.contains("is too much") && text.contains("a_panic_names_the_function"), "{text}");
    let text = a.map_blocks(|_| panic!("no blocks")).mapv(cube).try_compute().unwrap_err().to_string();
    assert!(text.contains("no blocks") && text.contains("{{closure}}"), "{text}");
    check(&a.mapv(cube), &b.mapv(cube));
}

#[test]
fn functions_run_in_other_processes_of_this_executable() {
    let (b, a) = data();
    let _mine = crate::support::processes_are_mine();
    let session = Session::processes(2).expect("processes");
    let me = std::process::id();
    let ids = a.mapv(|_| std::process::id()).try_compute_on(&session).expect("the ids of the workers");
    let workers: BTreeSet<u32> = ids.iter().copied().collect();
    assert!(!workers.contains(&me) && (1..=2).contains(&workers.len()), "{workers:?} and {me}");
    let everywhere = |ids: Vec<u32>| {
        let others = ids.iter().all(|id| workers.contains(id));
        assert!(others && !ids.is_empty(), "{ids:?} of {workers:?}");
    };
    let ids = |a: &Array2<u32>| a.try_compute_on(&session).expect("computed").into_raw_vec_and_offset().0;
    everywhere(ids(&a.map_blocks(|x| x.mapv(|_| std::process::id()))));
    everywhere(ids(&a.map_overlap(1, Boundary::Periodic, |x| x.mapv(|_| std::process::id()))));
    everywhere(ids(&map_collect((&a, &a), |_, _| std::process::id())));
    everywhere(ids(&a.mapv_with(3u8, |_, _| std::process::id())));
    everywhere(ids(&Array2::in_chunks(10).from_shape_fn((40, 40), |_| std::process::id())));
    // Each process has loaded the executable somewhere else, where the system does that.
    static PLACE: u8 = 1;
    let places = a.mapv(|_| &raw const PLACE as u64).try_compute_on(&session).expect("places");
    let random =
        std::fs::read_to_string("/proc/sys/kernel/randomize_va_space").is_ok_and(|s| s.trim() != "0");
    let other = places.iter().all(|&p| p != &raw const PLACE as u64);
    assert!(other || !random, "the same place in every process");
    let folded = a.fold_axis(Axis(0), 0, |_, _| std::process::id());
    everywhere(folded.try_compute_on(&session).expect("folded").to_vec());

    let same = |ours: &Array2<f64>, theirs: Nd2<f64>| {
        assert_eq!(ours.try_compute_on(&session).expect("computed"), theirs);
    };
    same(&a.mapv(|x| x.sin() + 1.0), b.mapv(|x| x.sin() + 1.0));
    same(&a.mapv_with((2.5, 1i8), |x, p| x * p.0 + f64::from(p.1)), b.mapv(|x| x * 2.5 + 1.0));
    let local = Session::embedded_with(&EmbeddedOptions::default()).expect("embedded");
    let blurred = a.map_overlap([2, 3], Boundary::Reflect, window);
    same(&blurred, blurred.try_compute_on(&local).expect("embedded"));
    let text = a.mapv(|x| if x > 5.0 { panic!("{x} is too much") } else { x }).try_compute_on(&session);
    let text = text.unwrap_err().to_string();
    assert!(text.contains("is too much") && text.contains("{{closure}}"), "{text}");
    // Without chunks given, where it is large: on the current session, which these processes are.
    everywhere(ids(&Array2::from_shape_fn((600, 600), |_| std::process::id())));
    drop(session);
    Session::close_current();
}

#[test]
fn a_large_array_of_a_function_is_made_once_by_the_workers() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let _mine = crate::support::processes_are_mine();
    let session = Session::embedded_with(&EmbeddedOptions::default()).expect("embedded");
    session.make_current();
    let a = Array2::from_shape_fn((300, 700), |_| CALLS.fetch_add(1, Ordering::Relaxed) as u64);
    assert!(a.is_lazy() && session.n_tasks_done() > 0);
    assert_eq!(CALLS.load(Ordering::Relaxed), 300 * 700);
    // Whatever reads it reads the same elements.
    assert_eq!((&a - &a.clone()).sum(), 0);
    assert_eq!(a.sum(), (0..300 * 700).sum::<u64>());
    assert_eq!(CALLS.load(Ordering::Relaxed), 300 * 700);

    let (b, theirs) = (Array2::from_shape_fn((300, 700), place), Nd2::from_shape_fn((300, 700), place));
    check(&b, &theirs);
    let k = 2.0;
    let here = Array2::from_shape_fn((300, 700), |at| place(at) * k);
    assert!(!here.is_lazy());
    check(&here, &(theirs * k));
    drop((a, b, here, session));
    Session::close_current();
}

fn place((i, j): (usize, usize)) -> f64 {
    (i * 1000 + j) as f64
}

#[test]
fn a_session_may_end_while_chunks_of_a_failed_job_are_on_their_way() {
    let b = Nd2::from_shape_fn((400, 400), |(i, j)| (i + j) as f64);
    for _ in 0..20 {
        let session = Session::embedded_with(&EmbeddedOptions::default()).expect("embedded");
        let a = Array::from_ndarray(b.clone(), [10, 10]);
        let failed = a.map_blocks(|_| panic!("no blocks")).mapv(cube).try_compute_on(&session);
        assert!(failed.unwrap_err().to_string().contains("no blocks"));
    }
}
