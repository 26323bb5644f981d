//! Tables larger than memory: what a worker with a part of their size as its memory takes for queries of each kind, in time,
//! at its peak and on the disk; and whether the rows are those of one that has enough.
//!
//! `cargo run --release -p tilework-benches --features tables --bin tables-beyond`

use anyhow::{Context, ensure};
use clap::Parser;
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use tilework::Session;
use tilework::dataframe::{DataFrame, FrameError, WriteOptions, col};
use tilework_benches::{memory, tpch};

/// The first argument of a process that shall measure and do nothing else.
const MEASURE: &str = "measure";
/// Marks workers among the processes that a session starts.
const WORKER: &str = "TILEWORK_ROLE=worker";

const QUERIES: [(&str, &str); 6] = [
    (
        "join",
        "select count(*) as n, max(b.l_comment) as m from t join t as b on t.l_orderkey = b.l_orderkey and \
         t.l_linenumber = b.l_linenumber",
    ),
    (
        "aggregate",
        "select l_comment, sum(l_quantity) as q from t group by l_comment order by l_comment limit 100",
    ),
    ("sort", "select * from (select l_comment, l_orderkey from t order by l_comment, l_orderkey) limit 1000"),
    (
        "window",
        "select sum(d) as d from (select l_partkey - lag(l_partkey) over (partition by l_suppkey order by l_orderkey, \
         l_linenumber) as d from t)",
    ),
    ("distinct", "select count(*) as n from (select distinct l_partkey, l_suppkey, l_comment from t)"),
    (
        "median",
        "select l_returnflag, median(l_extendedprice) as m from t group by l_returnflag order by l_returnflag",
    ),
];

/// Measures queries on a table larger than the memory of the worker.
#[derive(Clone, Debug, Parser)]
#[command(name = "tables-beyond")]
struct Args {
    /// The scale of TPC-H's lineitem: of 1 it is 6 million rows.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Memory of the worker, as a part of the rows' bytes.
    #[arg(long, default_value_t = 10)]
    part: u64,
    /// The directory for the stored table.
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    out: PathBuf,
}

/// What a query took.
#[derive(Debug, Serialize, Deserialize)]
struct Took {
    /// Of the rows, which are few.
    digest: u64,
    seconds: f64,
    /// The worker's peak, bytes.
    rss: Option<u64>,
    spilled: u64,
    anew: bool,
}

fn main() -> anyhow::Result<()> {
    let told: Vec<String> = std::env::args().skip(1).collect();
    if let [first, path, text] = told.as_slice()
        && first == MEASURE
    {
        println!("{}", serde_json::to_string(&measured(path, text)?)?);
        return Ok(());
    }
    let args = Args::parse();
    std::fs::create_dir_all(&args.out)?;
    let path = args.out.join(format!("lineitem-{}.parquet", args.scale)).display().to_string();
    let bytes = stored(&path, args.scale)?;
    let limit = bytes / args.part;
    println!(
        "lineitem of scale {}: {} MiB of rows, a worker of {} MiB",
        args.scale,
        bytes >> 20,
        limit >> 20
    );
    println!("query             s  enough s    RSS MiB   disk MiB  planned anew");
    for (name, text) in QUERIES.iter().copied().chain([("pivot", "")]) {
        let enough = asked(&path, text, None)?;
        let few = match asked(&path, text, Some(limit)) {
            Ok(few) => few,
            Err(error) => {
                println!("{name:<10} {error:#}");
                continue;
            }
        };
        ensure!(few.digest == enough.digest, "{name}: other rows with less memory");
        let rss = few.rss.map_or_else(|| "-".to_owned(), |rss| (rss >> 20).to_string());
        let (disk, anew) = (few.spilled >> 20, few.anew);
        println!("{name:<10} {:>8.2}  {:>8.2} {rss:>10} {disk:>10}  {anew}", few.seconds, enough.seconds);
    }
    Ok(())
}

/// A query in a process of its own, whose worker has so much memory; as much as there is where that is not said.
fn asked(path: &str, text: &str, limit: Option<u64>) -> anyhow::Result<Took> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([MEASURE, path, text]).env_remove("TILEWORK_MEMORY");
    if let Some(bytes) = limit {
        command.env("TILEWORK_MEMORY", bytes.to_string());
    }
    let output = command.output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{}", err.lines().next_back().unwrap_or("no word"));
    serde_json::from_str(out.lines().next_back().unwrap_or_default()).context("what a measuring process says")
}

/// Writes the table where it is not there, and returns the bytes of its rows.
fn stored(path: &str, scale: f64) -> anyhow::Result<u64> {
    let rows = tpch::rows("lineitem", scale);
    let bytes = rows.iter().map(|batch| batch.get_array_memory_size() as u64).sum();
    if !std::path::Path::new(path).exists() {
        let session = Session::embedded()?;
        session.gather_bytes_max(u64::MAX);
        session.from_record_batches(rows)?.write_parquet(path, &WriteOptions::default())?;
    }
    Ok(bytes)
}

/// A query on a worker process; a pivot where there is no text.
fn measured(path: &str, text: &str) -> anyhow::Result<Took> {
    let session = Session::processes(1)?;
    let table = session.read_parquet(path)?;
    let started = Instant::now();
    let df = if text.is_empty() { pivot(&table)? } else { session.sql_on(text, &[("t", &table)])? };
    let rows = df.collect()?;
    let seconds = started.elapsed().as_secs_f64();
    let mut digest = DefaultHasher::new();
    format!("{rows:?}").hash(&mut digest);
    let children = memory::children(std::process::id());
    let workers = children.into_iter().filter(|pid| memory::started_with(*pid, WORKER));
    let rss = workers.filter_map(|pid| memory::status_bytes(pid, "VmHWM")).max();
    let spilled = df.last_run().map_or(0, |took| took.bytes_spilled);
    let anew = df.explain()?.contains("planned anew");
    Ok(Took { digest: digest.finish(), seconds, rss, spilled, anew })
}

fn pivot(table: &DataFrame) -> Result<DataFrame, FrameError> {
    table.pivot("l_shipmode", ["l_partkey"], col("l_quantity").sum())?.sort(["l_partkey"])?.head(1000)
}
