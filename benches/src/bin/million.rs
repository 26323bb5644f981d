//! What a task costs: the sum of as many ones as there are chunks, one each, through a real scheduler process and
//! worker processes; and what the scheduler keeps in memory for them.
//!
//! `cargo run --release --bin million`

use clap::Parser;
use std::path::PathBuf;
use std::time::Instant;
use tilework::prelude::*;
use tilework_benches::csv::{Csv, optional};
use tilework_benches::table::{self, Table};
use tilework_benches::timing::median;
use tilework_benches::{SessionKind, machine, memory};

/// Marks the scheduler among the processes that a session starts.
const SCHEDULER: &str = "TILEWORK_ROLE=scheduler";

/// Measures the cost of a task on a scheduler process and worker processes.
#[derive(Parser)]
#[command(name = "million")]
struct Args {
    /// Chunks of one element each.
    #[arg(long, default_value_t = 1_000_000)]
    chunks: usize,
    /// Worker processes.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Timed runs, after a small one to warm up; the median counts.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Where `million.csv` goes.
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    out: PathBuf,
}

impl Args {
    fn command(&self) -> String {
        let options = [
            ("chunks", self.chunks.to_string()),
            ("workers", self.workers.to_string()),
            ("repeats", self.repeats.to_string()),
        ];
        machine::command("million", &options)
    }
}

/// The scheduler's memory, where the system tells it.
struct Scheduler {
    pid: Option<u32>,
    /// Resident before the first run.
    idle: Option<u64>,
}

impl Scheduler {
    /// Finds it among the children of this process.
    fn find() -> Scheduler {
        let children = memory::children(std::process::id());
        let pid = children.into_iter().find(|pid| memory::started_with(*pid, SCHEDULER));
        Scheduler { idle: pid.and_then(|p| memory::status_bytes(p, "VmRSS")), pid }
    }

    fn now(&self) -> Option<u64> {
        memory::status_bytes(self.pid?, "VmRSS")
    }

    fn peak(&self) -> Option<u64> {
        memory::status_bytes(self.pid?, "VmHWM")
    }

    fn peak_above_idle(&self) -> Option<u64> {
        Some(self.peak()?.saturating_sub(self.idle?))
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    anyhow::ensure!(args.chunks > 0, "--chunks: at least 1");
    let (command, facts) = (args.command(), machine::facts());
    println!("{command}\non {facts}\n");
    let _session = SessionKind::Processes(args.workers).open()?;
    let scheduler = Scheduler::find();
    let mut shown = Table::new(1, ["run", "seconds", "µs a chunk", "scheduler's memory"]);
    shown.row(["idle", "", "", &in_bytes(scheduler.idle)]);
    sum_of_ones(args.chunks.min(1000))?;
    let mut seconds = Vec::new();
    let mut after = Vec::new();
    for run in 1..=args.repeats.max(1) {
        let taken = timed(args.chunks)?;
        seconds.push(taken);
        after.push(scheduler.now());
        let memory = in_bytes(scheduler.now());
        shown.row([
            run.to_string(),
            table::seconds(taken),
            table::seconds(micros(taken, args.chunks)),
            memory,
        ]);
    }
    print!("{shown}");
    let middle = median(&seconds);
    println!(
        "\nmedian {} s, {} µs a chunk",
        table::seconds(middle),
        table::seconds(micros(middle, args.chunks))
    );
    println!("scheduler: at most {} above idle", in_bytes(scheduler.peak_above_idle()));
    let csv = args.out.join("million.csv");
    let file = results(
        &args,
        &scheduler,
        seconds.iter().copied().zip(after),
        &[("command", &command), ("machine", &facts)],
    );
    file.write(&csv)?;
    println!("numbers in {}", csv.display());
    tilework::Session::close_current();
    Ok(())
}

fn sum_of_ones(n: usize) -> anyhow::Result<f64> {
    Ok(Array1::<f64>::in_chunks(1).ones(n).try_sum()?)
}

/// Seconds of one run, whose result is checked.
fn timed(n: usize) -> anyhow::Result<f64> {
    let started = Instant::now();
    let sum = sum_of_ones(n)?;
    let seconds = started.elapsed().as_secs_f64();
    anyhow::ensure!(sum == n as f64, "the sum of {n} ones is {sum}");
    Ok(seconds)
}

fn micros(seconds: f64, chunks: usize) -> f64 {
    1e6 * seconds / chunks as f64
}

fn in_bytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "unknown".into(), table::bytes)
}

fn results(
    args: &Args,
    scheduler: &Scheduler,
    runs: impl Iterator<Item = (f64, Option<u64>)>,
    facts: &[(&str, &str)],
) -> Csv {
    let header = [
        "run",
        "chunks",
        "workers",
        "seconds",
        "us_per_chunk",
        "scheduler_idle_bytes",
        "scheduler_after_bytes",
        "scheduler_peak_bytes_of_all_runs",
    ];
    let mut csv = Csv::new(facts, &header);
    for (i, (seconds, after)) in runs.enumerate() {
        csv.row(&[
            (i + 1).to_string(),
            args.chunks.to_string(),
            args.workers.to_string(),
            seconds.to_string(),
            micros(seconds, args.chunks).to_string(),
            optional(scheduler.idle),
            optional(after),
            optional(scheduler.peak()),
        ]);
    }
    csv
}
