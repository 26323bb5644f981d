//! Queries on tables on Tilework and on what people use now, on one machine in one run: seconds, processor time, memory.
//!
//! `TILEWORK_PEERS_PYTHON=.venv/bin/python cargo run --release --features tables --bin tables`

use clap::Parser;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tilework_benches::child::{self, PYTHON, Runs};
use tilework_benches::csv::{Csv, optional};
use tilework_benches::table::{self, Table};
use tilework_benches::tables::{self, Answers, Data, Engine, Query, Reading};
use tilework_benches::{comma_separated, machine};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/table_peers.py");

/// Measures Tilework beside DataFusion in one process, and DuckDB and Polars if TILEWORK_PEERS_PYTHON names a Python
/// that has them.
#[derive(Parser)]
#[command(name = "tables")]
struct Args {
    /// The scale of TPC-H and of TPC-DS: at 1 each is a gigabyte.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Rows of the table for group-bys.
    #[arg(long, default_value_t = 10_000_000)]
    rows: u64,
    /// What is asked: q1 to q22, scan-parquet, scan-csv, small, group-1, 3, 5, 7, 10, which are all if nothing is said; and
    /// ds1 to ds99, of TPC-DS, where ds14, 23, 24 and 39 are two each, as ds14a and ds14b.
    #[arg(long, value_delimiter = ',')]
    queries: Vec<Query>,
    /// Timed runs of each, after one to warm up; the one in the middle counts.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Who is asked: `datafusion`, `embedded`, `processes:N`.
    #[arg(long, value_delimiter = ',', default_value = "datafusion,embedded,processes:2")]
    engines: Vec<Engine>,
    /// Who else, where the Python has them.
    #[arg(long, value_delimiter = ',', default_value = "duckdb,polars")]
    peers: Vec<String>,
    /// Where the files are that are read, and made if they are not there.
    #[arg(long, default_value = "target/bench/tables", value_name = "DIR")]
    data: PathBuf,
    /// Where `tables.csv` goes.
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    out: PathBuf,
    /// An engine that takes longer for all queries is given up.
    #[arg(long, default_value_t = 1800, value_name = "SECONDS")]
    timeout: u64,
}

/// An engine, and what it made of the queries.
type Column = (String, Result<Answers, String>);

fn main() -> anyhow::Result<()> {
    if let Some(served) = tables::serve_if_asked() {
        return served;
    }
    let mut args = Args::parse();
    if args.queries.is_empty() {
        args.queries = Query::usual();
    }
    let (command, facts) = (command(&args), machine::facts());
    println!("{command}\non {facts}\n");
    let data = Data::make(&args.data, args.scale, args.rows)?;
    if args.queries.iter().any(|query| matches!(query, Query::Tpcds(_))) {
        data.add_tpcds(args.scale)?;
    }
    let mut columns: Vec<Column> = Vec::new();
    let runs = Runs { repeats: args.repeats, timeout: Duration::from_secs(args.timeout) };
    let dir = data.dir().to_string_lossy().into_owned();
    for engine in &args.engines {
        eprintln!("{engine}");
        columns.push((engine.to_string(), tables::measure(*engine, &args.queries, &dir, &runs)));
        results(&args, &columns, (&command, &facts)).write(&args.out.join("tables.csv"))?;
    }
    if let Some(python) = std::env::var_os(PYTHON) {
        for peer in &args.peers {
            eprintln!("{peer}");
            columns.push((peer.clone(), by_script(&python, peer, &args, &data)?));
            results(&args, &columns, (&command, &facts)).write(&args.out.join("tables.csv"))?;
        }
    }
    print_all(&args, &columns);
    Ok(())
}

fn command(args: &Args) -> String {
    let options = [
        ("scale", args.scale.to_string()),
        ("rows", args.rows.to_string()),
        ("queries", comma_separated(&args.queries)),
        ("repeats", args.repeats.to_string()),
        ("engines", comma_separated(&args.engines)),
    ];
    machine::command("tables", &options).replace("--bin", "--features tables --bin")
}

/// Asks a peer by the script, which reads the queries from a file.
fn by_script(
    python: &std::ffi::OsStr,
    peer: &str,
    args: &Args,
    data: &Data,
) -> anyhow::Result<Result<Answers, String>> {
    let asked = |query: &Query| {
        let (within, tables) = query.tables();
        (query.to_string(), query.sql(), within, tables)
    };
    let asked: Vec<_> = args.queries.iter().map(asked).collect();
    let queries = data.dir().join("queries.json");
    std::fs::write(&queries, serde_json::to_vec(&asked)?)?;
    let mut command = Command::new(python);
    command.arg(SCRIPT).arg(peer).arg(data.dir()).arg(&queries).arg(args.repeats.to_string());
    let ran = child::run::<Answers>(command, Duration::from_secs(args.timeout));
    Ok(ran.map(|(answers, peak)| Answers { peak_bytes: answers.peak_bytes.max(peak), ..answers }))
}

fn reading(column: &Column, query: usize) -> Option<&Reading> {
    column.1.as_ref().ok()?.queries.get(query)?.as_ref().ok()
}

fn print_all(args: &Args, columns: &[Column]) {
    print_readings(args, columns, "seconds, the run in the middle", |r| r.timing.median());
    print_readings(args, columns, "processor time of one run, seconds, of all processes", |r| r.cpu_seconds);
    println!("\nmemory at its peak, over all queries");
    for (engine, answers) in columns {
        match answers {
            Ok(answers) => println!("  {engine}: {}", table::bytes(answers.peak_bytes)),
            Err(why) => println!("  {engine}: failed: {why}"),
        }
    }
    for (at, query) in args.queries.iter().enumerate() {
        print_unlike(columns, at, *query);
    }
}

/// A table of all engines: one row for each query, and the sum of those of TPC-H that all have answered.
fn print_readings(args: &Args, columns: &[Column], title: &str, show: impl Fn(&Reading) -> f64) {
    let mut shown =
        Table::new(1, ["query"].into_iter().chain(columns.iter().map(|(engine, _)| engine.as_str())));
    for (at, query) in args.queries.iter().enumerate() {
        let cell = |column| reading(column, at).map_or("failed".to_owned(), |r| format!("{:.3}", show(r)));
        shown.row([query.to_string()].into_iter().chain(columns.iter().map(cell)));
    }
    let is_tpch = |at: &usize| matches!(args.queries[*at], Query::Tpch(_));
    let tpch = (0..args.queries.len()).filter(is_tpch);
    // Who has answered none is no measure.
    let answers = |column: &&Column| tpch.clone().any(|at| reading(column, at).is_some());
    let answering: Vec<&Column> = columns.iter().filter(answers).collect();
    let by_all = |at: &usize| answering.iter().all(|column| reading(column, *at).is_some());
    let tpch: Vec<usize> = tpch.clone().filter(by_all).collect();
    let sum = |column: &Column| tpch.iter().filter_map(|at| reading(column, *at)).map(&show).sum::<f64>();
    let sums = columns.iter().map(|column| format!("{:.3}", sum(column)));
    shown.row([format!("sum of {} of TPC-H", tpch.len())].into_iter().chain(sums));
    println!("\n{title}\n\n{shown}");
}

/// Says where engines differ in their answer to a query, or have none.
fn print_unlike(columns: &[Column], at: usize, query: Query) {
    let first = columns.iter().find_map(|column| reading(column, at)).map(|r| r.timing.value);
    for (engine, answers) in columns {
        let Ok(answers) = answers else { continue };
        match (answers.queries.get(at), first) {
            (Some(Err(why)), _) => println!("{query} by {engine}: failed: {why}"),
            (Some(Ok(r)), Some(first)) if (r.timing.value - first).abs() > 1e-6 * first.abs().max(1.0) => {
                println!("{query} by {engine}: another answer: {} for {first}", r.timing.value);
            }
            _ => {}
        }
    }
}

fn results(args: &Args, columns: &[Column], (command, facts): (&str, &str)) -> Csv {
    let header = ["query", "engine", "repeats", "median_s", "min_s", "cpu_s", "peak_bytes", "value", "error"];
    let mut csv = Csv::new(&[("command", command), ("machine", facts)], &header);
    for column in columns {
        for (at, query) in args.queries.iter().enumerate() {
            let reading = reading(column, at);
            let error = match &column.1 {
                Err(why) => Some(why),
                Ok(answers) => answers.queries.get(at).and_then(|answer| answer.as_ref().err()),
            };
            csv.row(&[
                query.to_string(),
                column.0.clone(),
                args.repeats.to_string(),
                optional(reading.map(|r| r.timing.median())),
                optional(reading.map(|r| r.timing.min())),
                optional(reading.map(|r| r.cpu_seconds)),
                optional(column.1.as_ref().ok().map(|answers| answers.peak_bytes)),
                optional(reading.map(|r| r.timing.value)),
                error.cloned().unwrap_or_default(),
            ]);
        }
    }
    csv
}
