//! Which chunk size is fastest? Workloads over chunk sizes and sessions: a table, a CSV file, a plot, and the answer.
//!
//! `cargo run --release --bin chunk-size [-- --n 4000 --chunks 250,500,1000,2000]`

use anyhow::Context;
use clap::Parser;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tilework_benches::child::{self, Outcome, Runs};
use tilework_benches::csv::{Csv, optional};
use tilework_benches::plot::{self, Line, Panel, Point};
use tilework_benches::table::{self, Table};
use tilework_benches::verdict::{Verdict, scores, verdict};
use tilework_benches::workloads::{Problem, Workload};
use tilework_benches::{SessionKind, comma_separated, machine};

/// Sizes do not matter where their times differ from the best by no more than this share.
const TOLERANCE: f64 = 0.1;

/// Measures workloads over chunk sizes and sessions, and says which size wins.
#[derive(Parser)]
#[command(name = "chunk-size")]
struct Args {
    /// Inputs are N × N f64.
    #[arg(long, default_value_t = 4000)]
    n: usize,
    /// Sides of the square chunks.
    #[arg(long, value_delimiter = ',', default_value = "250,500,1000,2000")]
    chunks: Vec<usize>,
    /// Where they run: `embedded`, `processes:N`.
    #[arg(long, value_delimiter = ',', default_value = "embedded,processes:2")]
    sessions: Vec<SessionKind>,
    /// What is run.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "fused,axis_mean,gemm,transpose,rechunk")]
    workloads: Vec<Workload>,
    /// Timed runs of each, after one to warm up; the median counts.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Where `chunk_size.csv` and `chunk_size.png` go.
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    out: PathBuf,
    /// A measurement that takes longer is given up.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    timeout: u64,
}

impl Args {
    fn command(&self) -> String {
        let options = [
            ("n", self.n.to_string()),
            ("chunks", comma_separated(&self.chunks)),
            ("sessions", comma_separated(&self.sessions)),
            ("workloads", comma_separated(&self.workloads)),
            ("repeats", self.repeats.to_string()),
        ];
        machine::command("chunk-size", &options)
    }
}

/// One workload on one session: an outcome for each chunk size.
struct Row {
    workload: Workload,
    session: SessionKind,
    outcomes: Vec<Outcome>,
}

impl Row {
    fn medians(&self) -> Vec<Option<f64>> {
        self.outcomes.iter().map(|o| o.as_ref().ok().map(|r| r.timing.median())).collect()
    }
}

fn main() -> anyhow::Result<()> {
    if let Some(served) = child::serve_if_asked() {
        return served;
    }
    let mut args = Args::parse();
    args.chunks.sort_unstable();
    args.chunks.dedup();
    anyhow::ensure!(args.chunks.first() != Some(&0), "--chunks: a chunk has at least one element");
    let command = args.command();
    let facts = machine::facts();
    println!("{command}\non {facts}\n");
    let rows = measure(&args);
    print_table(&args, &rows);
    print_failures(&args, &rows);
    print_verdicts(&args, &rows);
    let csv = args.out.join("chunk_size.csv");
    results(&args, &rows, &command, &facts).write(&csv)?;
    let png = args.out.join("chunk_size.png");
    draw(&args, &rows, &png).with_context(|| format!("cannot draw {}", png.display()))?;
    println!("\nnumbers in {}, plot in {}", csv.display(), png.display());
    Ok(())
}

fn measure(args: &Args) -> Vec<Row> {
    let runs = Runs { repeats: args.repeats, timeout: Duration::from_secs(args.timeout) };
    let mut rows = Vec::new();
    for &session in &args.sessions {
        for &workload in &args.workloads {
            let outcomes = args.chunks.iter().map(|&chunk| {
                let outcome =
                    child::measure(workload, session, &Problem::of_chunk_size(args.n, chunk), &runs);
                let shown = outcome
                    .as_ref()
                    .map_or("failed".into(), |r| format!("{} s", table::seconds(r.timing.median())));
                eprintln!("{workload} on {session} in chunks of {chunk}: {shown}");
                outcome
            });
            rows.push(Row { workload, session, outcomes: outcomes.collect() });
        }
    }
    rows
}

/// Bytes of a chunk of an input, given its side; the side is at most the array's.
fn bytes(args: &Args, chunk: usize) -> u64 {
    Problem::of_chunk_size(args.n, chunk.min(args.n)).chunk_bytes()
}

fn size(args: &Args, i: usize) -> String {
    table::bytes(bytes(args, args.chunks[i]))
}

fn print_table(args: &Args, rows: &[Row]) {
    println!(
        "\nmedian seconds of {} runs, {n} × {n} f64, by bytes per chunk (* best)\n",
        args.repeats,
        n = args.n
    );
    let names = ["workload".to_string(), "session".to_string()];
    let mut shown =
        Table::new(2, names.into_iter().chain((0..args.chunks.len()).map(|i| size(args, i) + " ")));
    let sides = args.chunks.iter().map(|c| format!("{c}² "));
    shown.row([String::new(), String::new()].into_iter().chain(sides));
    for row in rows {
        let medians = row.medians();
        let best = verdict(&medians, TOLERANCE).map(|v| v.best);
        let cells = medians.iter().enumerate().map(|(i, m)| match m {
            Some(s) => format!("{}{}", table::seconds(*s), if best == Some(i) { "*" } else { " " }),
            None => "failed ".into(),
        });
        let names = [row.workload.to_string(), row.session.to_string()];
        shown.row(names.into_iter().chain(cells));
    }
    print!("{shown}");
}

fn print_failures(args: &Args, rows: &[Row]) {
    for row in rows {
        for (i, outcome) in row.outcomes.iter().enumerate() {
            if let Err(why) = outcome {
                println!(
                    "failed: {} on {} in chunks of {}: {why}",
                    row.workload, row.session, args.chunks[i]
                );
            }
        }
    }
}

fn print_verdicts(args: &Args, rows: &[Row]) {
    println!(
        "\nwhich chunk size wins, and where it does not matter (within {:.0} % of the best):",
        100.0 * TOLERANCE
    );
    for row in rows {
        let name = format!("{} on {}", row.workload, row.session);
        match verdict(&row.medians(), TOLERANCE) {
            Some(v) => println!("  {name}: {}", in_words(args, v)),
            None => println!("  {name}: every size failed"),
        }
    }
    let scores = scores(&rows.iter().map(Row::medians).collect::<Vec<_>>());
    match verdict(&scores, TOLERANCE) {
        Some(v) => {
            let times = scores[v.best].unwrap_or(f64::NAN);
            println!("  over all: {} ({times:.2} × the best of each row, on average)", in_words(args, v));
        }
        None => println!("  over all: no size succeeded everywhere"),
    }
}

fn in_words(args: &Args, v: Verdict) -> String {
    let best = format!("{} ({}²) wins", size(args, v.best), args.chunks[v.best]);
    if v.first == v.last {
        return format!("{best}, and no other size comes near");
    }
    format!("{best}; no matter from {} to {}", size(args, v.first), size(args, v.last))
}

fn results(args: &Args, rows: &[Row], command: &str, facts: &str) -> Csv {
    let header = [
        "workload",
        "session",
        "n",
        "chunk",
        "chunk_bytes",
        "repeats",
        "median_s",
        "min_s",
        "max_s",
        "peak_bytes",
        "value",
        "error",
    ];
    let mut csv = Csv::new(&[("command", command), ("machine", facts)], &header);
    for row in rows {
        for (outcome, &chunk) in row.outcomes.iter().zip(&args.chunks) {
            let reading = outcome.as_ref().ok();
            let timing = reading.map(|r| &r.timing);
            csv.row(&[
                row.workload.to_string(),
                row.session.to_string(),
                args.n.to_string(),
                chunk.to_string(),
                bytes(args, chunk).to_string(),
                timing.map_or(0, |t| t.seconds.len()).to_string(),
                optional(timing.map(|t| t.median())),
                optional(timing.map(|t| t.min())),
                optional(timing.map(|t| t.max())),
                optional(reading.map(|r| r.peak_bytes)),
                optional(timing.map(|t| t.value)),
                outcome.as_ref().err().cloned().unwrap_or_default(),
            ]);
        }
    }
    csv
}

fn draw(args: &Args, rows: &[Row], file: &Path) -> anyhow::Result<()> {
    let panels = args.sessions.iter().map(|session| {
        let rows = rows.iter().filter(|r| r.session == *session);
        Panel { title: session.to_string(), lines: rows.map(|r| line(args, r)).collect() }
    });
    let title = format!("Which chunk size? {n} × {n} f64, median seconds", n = args.n);
    let filled = format!("filled points: within {:.0} % of the best", 100.0 * TOLERANCE);
    plot::draw(file, &title, &format!("{}; {filled}", machine::facts()), &panels.collect::<Vec<_>>())
}

fn line(args: &Args, row: &Row) -> Line {
    let medians = row.medians();
    let good = verdict(&medians, TOLERANCE);
    let points = medians.iter().enumerate().filter_map(|(i, median)| {
        let good = good.is_some_and(|v| (v.first..=v.last).contains(&i));
        Some(Point { bytes: bytes(args, args.chunks[i]), seconds: (*median)?, good })
    });
    Line { label: row.workload.to_string(), points: points.collect() }
}
