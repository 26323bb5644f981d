//! π by throwing darts: the share of random points of a square that lie within the quarter of a circle.

use clap::Parser;
use std::time::Instant;
use tilework::prelude::*;
use tilework_examples::{Where, result};

/// Estimates π from random points.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    place: Where,
    /// How many points.
    #[arg(long, default_value_t = 100_000_000)]
    n: usize,
    /// The seed: another one gives other points.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let session = args.place.open()?;
    let started = Instant::now();
    let x: Array1<f64> = tilework::random::uniform(args.n, 0.0..1.0, args.seed);
    let y: Array1<f64> = tilework::random::uniform(args.n, 0.0..1.0, args.seed + 1);
    // Nothing of this is ever in memory as a whole: a chunk of points is made, tested and counted at a time.
    let squares = &x * &x + &y * &y;
    let inside = squares.mapv(|square| i64::from(square <= 1.0)).try_sum()?;
    let pi = 4.0 * inside as f64 / args.n as f64;
    result(&format!("π ≈ {pi}, {inside} of {} points", args.n));
    println!("{} workers, {:.2?}", session.n_workers(), started.elapsed());
    // Five standard deviations.
    anyhow::ensure!((pi - std::f64::consts::PI).abs() < 5.0 * 1.65 / (args.n as f64).sqrt(), "π is not {pi}");
    Ok(())
}
