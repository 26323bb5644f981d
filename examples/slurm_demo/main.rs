//! A program for a cluster job: computes a sum whose value is known and says how many workers there were.
//!
//! `sbatch -N3 deploy/slurm/tilework.sbatch ./slurm_demo`; the cluster is named by `TILEWORK_CONNECTION`.

use clap::Parser;
use std::io::Write;
use std::time::{Duration, Instant};
use tilework::prelude::*;
use tilework_examples::{Where, result};

/// Sums the integers below a number, chunk by chunk, on the cluster.
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    place: Where,
    /// How many integers.
    #[arg(long, default_value_t = 40_000_000)]
    n: i64,
    /// Say `started`, then go on computing for at least five seconds.
    #[arg(long)]
    slow: bool,
    /// End with exit code 3.
    #[arg(long)]
    fail: bool,
}

fn main() -> anyhow::Result<()> {
    // Only needed where a process cannot become a worker before `main`; it does no harm elsewhere.
    tilework::init();
    let args = Args::parse();
    let session = args.place.open()?;
    let started = Instant::now();
    if args.slow {
        println!("started");
        std::io::stdout().flush()?;
    }
    // The integers are kept on the workers, so that a worker that dies takes a part of them along.
    let numbers = Array1::<i64>::in_chunks(1_000_000).try_arange(0, args.n, 1)?.try_persist()?;
    let expected = args.n * (args.n - 1) / 2;
    let mut sum = numbers.try_sum()?;
    while args.slow && started.elapsed() < Duration::from_secs(6) {
        sum = numbers.try_sum()?;
        anyhow::ensure!(sum == expected, "the sum is {sum}, expected {expected}");
    }
    if args.fail {
        eprintln!("asked to fail");
        std::process::exit(3);
    }
    anyhow::ensure!(sum == expected, "the sum is {sum}, expected {expected}");
    result(&format!("sum {sum}"));
    println!("OK workers={} sum={sum}", session.n_workers());
    Ok(())
}
