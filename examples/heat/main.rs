//! Heat that spreads on a torus: a stencil with halo exchange, written for one block.

use clap::Parser;
use std::f64::consts::TAU;
use std::time::Instant;
use tilework::prelude::*;
use tilework::{Boundary, ndarray};
use tilework_examples::{Where, result};

/// Computes how a wave of heat on a torus decays, and compares it with what the mathematics say.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    place: Where,
    /// Cells along either side.
    #[arg(long, default_value_t = 1024)]
    n: usize,
    /// Cells along either side of a chunk.
    #[arg(long, default_value_t = 256)]
    chunk: usize,
    /// Steps of time.
    #[arg(long, default_value_t = 50)]
    steps: i32,
}

/// The share of the difference to a neighbour that flows in one step.
const FLOW: f64 = 0.2;

/// One step: every cell moves towards the mean of its four neighbours. A block comes with one more cell on each side,
/// whoever holds it.
#[allow(clippy::reversed_empty_ranges, reason = "ndarray counts negative ends from the end")]
fn step(block: ndarray::ArrayView2<'_, f64>) -> ndarray::Array2<f64> {
    let inner = block.slice(s![1..-1, 1..-1]);
    let neighbours = [
        block.slice(s![..-2, 1..-1]),
        block.slice(s![2.., 1..-1]),
        block.slice(s![1..-1, ..-2]),
        block.slice(s![1..-1, 2..]),
    ];
    let mut next = &inner * (1.0 - 4.0 * FLOW);
    for side in neighbours {
        next.scaled_add(FLOW, &side);
    }
    next
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let session = args.place.open()?;
    let started = Instant::now();
    let cells = Array2::<i64>::in_chunks(args.chunk as isize)
        .from_shape_fn((args.n, args.n), |(i, j)| (i as i64) << 32 | j as i64);
    let wave = 2.0 * TAU / args.n as f64;
    // A plane wave from corner to corner; the parameter travels with the function.
    let start =
        cells.mapv_with(wave, |cell, wave| (wave * (cell >> 32) as f64 + wave * (cell as i32) as f64).sin());
    let mut heat = start.clone();
    for _ in 0..args.steps {
        heat = heat.try_map_overlap(1, Boundary::Periodic, step)?;
    }
    // Such a wave keeps its form and loses the same share in every step.
    let kept = (1.0 - 4.0 * FLOW * (1.0 - wave.cos())).powi(args.steps);
    let (error, total) = ((&heat - &(&start * kept)).abs().lazy_max(), heat.abs().lazy_sum());
    let (error, total) = tilework::try_compute_all(&(&error, &total))?;
    let (error, total) = (error[()], total[()]);
    result(&format!("error {error:e}, {total} in all"));
    let (workers, seconds) = (session.n_workers(), started.elapsed().as_secs_f64());
    println!(
        "after {} steps {:.3} % is left, error {error:.1e} ({workers} workers, {seconds:.2} s)",
        args.steps,
        kept * 100.0
    );
    anyhow::ensure!(error < 1e-10, "the wave should have kept {kept} of its height");
    Ok(())
}
