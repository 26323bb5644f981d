//! What a line costs on arrays of three elements, where nothing but the overhead counts: ours where all is in this
//! process, ours where something is lazy, ndarray's.
//!
//! `cargo run --release -p tilework-benches --bin small`

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
}
