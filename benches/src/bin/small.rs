//! What a line costs on arrays of three elements, where nothing but the overhead counts: ours where all is in this
//! process, ours where something is lazy, ndarray's. And what loops over indices cost, an element at a time.
//!
//! `cargo run --release --bin small`

use std::hint::black_box;
use std::time::Instant;
use tilework::prelude::*;
use tilework_benches::machine;

/// Rounds, of which the best counts.
const ROUNDS: usize = 7;

fn time<T>(name: &str, n: u32, mut line: impl FnMut() -> T) {
    let round = |_| {
        let started = Instant::now();
        (0..n).for_each(|_| drop(black_box(line())));
        started.elapsed().as_secs_f64() / f64::from(n)
    };
    let best = (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min);
    println!("{name:34} {:10.1} ns", best * 1e9);
}

/// The side of the square arrays that loops go over.
const SIDE: usize = 2000;

/// Four neighbours' mean, by their indices.
macro_rules! stencil {
    ($name:ident, $from:ty, $to:ty) => {
        #[inline(never)]
        fn $name(from: &$from, to: &mut $to) {
            for i in 1..SIDE - 1 {
                for j in 1..SIDE - 1 {
                    to[[i, j]] =
                        0.25 * (from[[i - 1, j]] + from[[i + 1, j]] + from[[i, j - 1]] + from[[i, j + 1]]);
                }
            }
        }
    };
}
stencil!(stencil_of_theirs, tilework::ndarray::Array2<f64>, tilework::ndarray::Array2<f64>);
stencil!(stencil_of_ours, Array2<f64>, Array2<f64>);
stencil!(stencil_of_views, ArrayView2<f64>, ArrayViewMut2<f64>);

/// The sum, by indices.
macro_rules! total {
    ($name:ident, $from:ty) => {
        #[inline(never)]
        fn $name(from: &$from) -> f64 {
            let mut sum = 0.0;
            for i in 0..SIDE {
                for j in 0..SIDE {
                    sum += from[[i, j]];
                }
            }
            sum
        }
    };
}
total!(total_of_theirs, tilework::ndarray::Array2<f64>);
total!(total_of_ours, Array2<f64>);
total!(total_of_a_view, ArrayView2<f64>);

fn loops() {
    let square = || tilework::ndarray::Array2::from_shape_fn((SIDE, SIDE), |(i, j)| (i * j) as f64);
    let (theirs, mut to_theirs) = (square(), square());
    let (ours, mut to_ours) = (Array::from(square()), Array::from(square()));
    let mut computed = &ours + 0.0;
    black_box(computed[[0, 0]]);
    time("sum by index, ndarray", 3, || total_of_theirs(&theirs));
    time("sum by index", 3, || total_of_ours(&ours));
    time("sum by index, a view", 3, || total_of_a_view(&ours.view()));
    time("sum by index, computed", 3, || total_of_ours(&computed));
    time("stencil by index, ndarray", 3, || stencil_of_theirs(&theirs, &mut to_theirs));
    time("stencil by index", 3, || stencil_of_ours(&ours, &mut to_ours));
    time("stencil by index, views", 3, || stencil_of_views(&ours.view(), &mut to_ours.view_mut()));
    time("stencil by index, computed", 3, || stencil_of_ours(&ours, &mut computed));
}

fn main() {
    println!("{}\non {}\n", machine::command("small", &[]), machine::facts());
    let theirs = tilework::ndarray::arr1(&[1.0, 2.0, 3.0]);
    let ours = arr1(&[1.0, 2.0, 3.0]);
    let lazy = Array1::<f64>::from_vec_chunked(vec![1.0, 2.0, 3.0], -1);
    time("&a + &b, ndarray", 100_000, || &theirs + &theirs);
    time("&a + &b", 100_000, || &ours + &ours);
    time("a.sum(), ndarray", 100_000, || theirs.sum());
    time("a.sum()", 100_000, || ours.sum());
    time("(&lazy + &b).sum()", 1000, || (&lazy + &ours).sum());
    time("(&lazy + 1.0).compute()", 1000, || (&lazy + 1.0).compute());
    loops();
}
