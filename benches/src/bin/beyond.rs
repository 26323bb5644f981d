//! Arrays larger than memory: what a session with little memory takes for them, in time, at its peak, and on the disk; and
//! whether the bits are those of a session that has enough.
//!
//! `cargo run --release --bin beyond`

use anyhow::Context;
use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tilework::io::{IfExists, ZarrCodec, ZarrOptions};
use tilework::prelude::*;
use tilework::{Boundary, ndarray, random};
use tilework_benches::csv::{Csv, optional};
use tilework_benches::table::{self, Table};
use tilework_benches::{SessionKind, child, comma_separated, machine, memory};

/// The first argument of a process that shall measure and do nothing else.
const MEASURE: &str = "measure";
/// Marks workers among the processes that a session starts.
const WORKER: &str = "TILEWORK_ROLE=worker";

/// What is computed. Inputs are n × n `f64` in square chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Workload {
    /// `(x - x.mean(axis=0)).std(axis=0)` of a Zarr array
    Centre,
    /// Each day less its mean over the years, of a Zarr array of days × places, by reshape
    Climatology,
    /// `(x - min) / (max - min)` by columns, of chunks that a function has made
    Minmax,
    /// `(x + x.T).std(axis=0)`, of the same
    Transpose,
    /// Strips of rows, which a function has made, become strips of columns
    Rechunk,
    /// The same array is kept, then read twice
    Persist,
    /// Four sweeps of a stencil
    Stencil,
    /// `x.dot(y)`, of chunks that a function has made, of 4/7 of n
    Product,
}

/// Measures computations on arrays larger than the memory of their workers.
#[derive(Clone, Debug, Parser)]
#[command(name = "beyond")]
struct Args {
    /// Rows and columns.
    #[arg(long, default_value_t = 14_000)]
    n: usize,
    /// Rows and columns of a chunk.
    #[arg(long, default_value_t = 1000)]
    chunk: usize,
    /// Memory of each worker, MiB; 0 for as much as there is.
    #[arg(long, default_value_t = 256)]
    limit: u64,
    /// What to compute.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "centre,climatology,minmax,transpose,rechunk,persist,stencil,product"
    )]
    workloads: Vec<Workload>,
    /// Where.
    #[arg(long, value_delimiter = ',', default_value = "embedded,processes:2")]
    sessions: Vec<SessionKind>,
    /// Seconds after which a measurement is given up.
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// The directory for the stored array and, below it, the results.
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    out: PathBuf,
}

/// What a measuring process found.
#[derive(Debug, Serialize, Deserialize)]
struct Reading {
    seconds: f64,
    /// The peak of the worker that took most; of the whole process where it is embedded.
    peak_bytes: u64,
    spilled_bytes: u64,
    /// Of the bits of the result.
    hash: u64,
}

impl Args {
    fn store(&self) -> PathBuf {
        self.out.join("beyond.zarr")
    }

    fn command(&self) -> String {
        let names: Vec<String> = self.workloads.iter().map(|w| name(*w)).collect();
        let options = [
            ("n", self.n.to_string()),
            ("chunk", self.chunk.to_string()),
            ("limit", self.limit.to_string()),
            ("workloads", names.join(",")),
            ("sessions", comma_separated(&self.sessions)),
        ];
        machine::command("beyond", &options)
    }

    fn chunks(&self) -> [isize; 2] {
        [self.chunk as isize; 2]
    }

    fn noise(&self, n: usize, seed: u64) -> anyhow::Result<Array2<f64>> {
        Ok(random::in_chunks(self.chunks()).try_uniform((n, n), 0.0..1.0, seed)?)
    }

    /// Chunks that cannot be made again for nothing.
    fn made(&self, n: usize, seed: u64) -> anyhow::Result<Array2<f64>> {
        Ok(self.noise(n, seed)?.try_map_blocks(|block| block.mapv(f64::sqrt))?)
    }

    fn stored(&self) -> anyhow::Result<Array2<f64>> {
        Ok(Array::read_zarr(self.store(), "x")?)
    }
}

fn name(workload: Workload) -> String {
    workload.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
}

#[allow(clippy::reversed_empty_ranges, reason = "negative ends count from the end")]
fn step(block: ndarray::ArrayView2<'_, f64>) -> ndarray::Array2<f64> {
    let inner = block.slice(s![1..-1, 1..-1]);
    &inner * 0.5 + &block.slice(s![..-2, 1..-1]) * 0.25 + &block.slice(s![2.., 1..-1]) * 0.25
}

/// Days of a year.
const DAYS: usize = 365;

impl Workload {
    /// What is computed last, and bytes that were written to disks before.
    fn expression(self, args: &Args) -> anyhow::Result<(Array1<f64>, u64)> {
        let n = args.n;
        let of_columns = |x: Array2<f64>| x.std_axis(Axis(0), 0.0);
        let last = match self {
            Workload::Centre => {
                let x = args.stored()?;
                of_columns(&x - &x.mean_axis(Axis(0)).context("rows")?)
            }
            Workload::Climatology => {
                let years = n / DAYS;
                let days = args.stored()?.slice(s![..years * DAYS, ..]).to_owned();
                let x = days.to_shape((years, DAYS, n))?.to_owned();
                let anomaly = &x - &x.mean_axis(Axis(0)).context("years")?;
                anomaly.std_axis(Axis(0), 0.0).sum_axis(Axis(0))
            }
            Workload::Minmax => {
                let x = args.made(n, 1)?;
                let (min, max) = (x.min_axis(Axis(0)), x.max_axis(Axis(0)));
                of_columns((&x - &min) / (&max - &min))
            }
            Workload::Transpose => {
                let x = args.made(n, 1)?;
                of_columns(&x + &x.t())
            }
            Workload::Rechunk => {
                let strip = (args.chunk * args.chunk / n).max(1) as isize;
                let rows = random::in_chunks([strip, -1]).try_uniform((n, n), 0.0..1.0, 1)?;
                let rows: Array2<f64> = rows.try_map_blocks(|block| block.mapv(f64::sqrt))?;
                rows.try_rechunk([-1, strip])?.try_map_blocks(|block| block.mapv(f64::exp))?.sum_axis(Axis(0))
            }
            Workload::Persist => {
                let kept = args.made(n, 1)?;
                let held = kept.try_persist()?;
                let spilled = kept.try_explain()?.run().map_or(0, |f| f.bytes_spilled);
                std::hint::black_box(held.sum_axis(Axis(1)).try_compute()?);
                return Ok((held.sum_axis(Axis(0)), spilled));
            }
            Workload::Stencil => {
                let mut x = args.made(n, 1)?;
                for _ in 0..4 {
                    x = x.try_map_overlap(1, Boundary::Periodic, step)?;
                }
                x.sum_axis(Axis(0))
            }
            Workload::Product => {
                let n = n * 4 / 7;
                args.made(n, 1)?.try_dot(&args.made(n, 2)?)?.sum_axis(Axis(0))
            }
        };
        Ok((last, 0))
    }
}

fn measure(args: &Args) -> anyhow::Result<()> {
    let session = args.sessions[0].open()?;
    let started = Instant::now();
    let (last, before) = args.workloads[0].expression(args)?;
    let result = last.try_compute()?;
    let seconds = started.elapsed().as_secs_f64();
    let spilled_bytes = before + last.try_explain()?.run().map_or(0, |f| f.bytes_spilled);
    let me = std::process::id();
    let workers = memory::children(me).into_iter().filter(|pid| memory::started_with(*pid, WORKER));
    let workers: Vec<u32> = workers.collect();
    let pids = if workers.is_empty() { vec![me] } else { workers };
    let peak_bytes = pids.iter().filter_map(|pid| memory::status_bytes(*pid, "VmHWM")).max().unwrap_or(0);
    let mix = |h: u64, v: &f64| (h ^ v.to_bits()).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(5);
    let hash = result.iter().fold(0, mix);
    println!("{}", serde_json::to_string(&Reading { seconds, peak_bytes, spilled_bytes, hash })?);
    tilework::Session::close_current();
    drop(session);
    Ok(())
}

/// Measures in a new process.
fn in_child(args: &Args, workload: Workload, session: SessionKind, limit: u64) -> Result<Reading, String> {
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = Command::new(program);
    command.arg(MEASURE).args(["--n", &args.n.to_string(), "--chunk", &args.chunk.to_string()]);
    command.args(["--workloads", &name(workload), "--sessions", &session.to_string()]);
    command.arg("--out").arg(&args.out);
    if limit > 0 {
        command.env("TILEWORK_MEMORY", format!("{limit}MiB"));
    }
    child::run::<Reading>(command, Duration::from_secs(args.timeout)).map(|(reading, _)| reading)
}

fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).is_some_and(|a| a == MEASURE) {
        return measure(&Args::parse_from(std::env::args().skip(1)));
    }
    let args = Args::parse();
    let (command, facts) = (args.command(), machine::facts());
    println!("{command}\non {facts}\n");
    std::fs::create_dir_all(&args.out)?;
    let options = ZarrOptions { codec: ZarrCodec::None, if_exists: IfExists::Replace, ..Default::default() };
    args.noise(args.n, 7)?.write_zarr_with(args.store(), "x", &options)?;
    let heads = ["workload", "session", "roomy s", "s", "peak", "to disk", "bits"];
    let mut shown = Table::new(2, heads);
    let header = [
        "workload",
        "session",
        "limit_mib",
        "roomy_s",
        "s",
        "peak_bytes",
        "spilled_bytes",
        "same_bits",
        "error",
    ];
    let mut file = Csv::new(&[("command", &command), ("machine", &facts)], &header);
    for &workload in &args.workloads {
        for &session in &args.sessions {
            let roomy = in_child(&args, workload, session, 0);
            let tight = in_child(&args, workload, session, args.limit);
            let same = matches!((&roomy, &tight), (Ok(a), Ok(b)) if a.hash == b.hash);
            let seconds = |r: &Result<Reading, String>| r.as_ref().ok().map(|r| r.seconds);
            let of = |f: fn(&Reading) -> u64| tight.as_ref().ok().map(f);
            let error = [&roomy, &tight].iter().find_map(|r| r.as_ref().err().cloned()).unwrap_or_default();
            let text = |v: Option<f64>| v.map_or_else(|| "failed".into(), table::seconds);
            let bytes = |v: Option<u64>| v.map_or_else(String::new, table::bytes);
            shown.row([
                name(workload),
                session.to_string(),
                text(seconds(&roomy)),
                text(seconds(&tight)),
                bytes(of(|r| r.peak_bytes)),
                bytes(of(|r| r.spilled_bytes)),
                if same { "same".to_owned() } else { format!("no: {error}") },
            ]);
            println!("{} on {session}: {} {error}", name(workload), text(seconds(&tight)));
            file.row(&[
                name(workload),
                session.to_string(),
                args.limit.to_string(),
                optional(seconds(&roomy)),
                optional(seconds(&tight)),
                optional(of(|r| r.peak_bytes)),
                optional(of(|r| r.spilled_bytes)),
                same.to_string(),
                error,
            ]);
        }
    }
    std::fs::remove_dir_all(args.store())?;
    print!("\n{shown}");
    let csv = args.out.join("beyond.csv");
    file.write(&csv)?;
    println!("numbers in {}", csv.display());
    Ok(())
}
