//! The same array work on Tilework and on what people use now, on one machine in one run: seconds, ratios, memory.
//!
//! `TILEWORK_PEERS_PYTHON=.venv/bin/python cargo run --release --bin peers`

use clap::Parser;
use serde::Deserialize;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tilework_benches::child::{self, Outcome, PYTHON, Reading, Runs};
use tilework_benches::csv::{Csv, optional};
use tilework_benches::table::{self, Table};
use tilework_benches::timing::Timing;
use tilework_benches::workloads::{Problem, Workload};
use tilework_benches::{SessionKind, comma_separated, machine};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/array_peers.py");
/// Threads of the peers, as their script sets them.
const PEERS_THREADS: usize = 2;

/// Measures Tilework beside NumPy, Dask, numexpr and JAX, if TILEWORK_PEERS_PYTHON names a Python that has them.
#[derive(Parser)]
#[command(name = "peers")]
struct Args {
    /// Inputs are N × N f64.
    #[arg(long, default_value_t = 10_000)]
    n: usize,
    /// They are in chunks of C × C.
    #[arg(long, default_value_t = 2000, value_name = "C")]
    chunk: usize,
    /// What is run. A plain read of memory comes before `sum`; `stencil` is 2/5 N in chunks of C/4, `tiny` has 10 N
    /// chunks of one element.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "sum,axpy,fused,transpose,std,gemm,rechunk,slice,mcpi_gen,stencil,tiny"
    )]
    workloads: Vec<Workload>,
    /// Timed runs of each, after one to warm up; the best counts. The peers' script always makes 3.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Where Tilework runs: `embedded`, `processes:N`.
    #[arg(long, value_delimiter = ',', default_value = "embedded,processes:2")]
    sessions: Vec<SessionKind>,
    /// Where `peers.csv` goes.
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    out: PathBuf,
    /// A measurement that takes longer is given up.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    timeout: u64,
}

impl Args {
    /// The size of a workload.
    fn problem(&self, workload: Workload) -> Problem {
        Problem::of_peers(self.n, self.chunk).for_peers(workload)
    }

    fn command(&self) -> String {
        let options = [
            ("n", self.n.to_string()),
            ("chunk", self.chunk.to_string()),
            ("workloads", comma_separated(&self.workloads)),
            ("repeats", self.repeats.to_string()),
            ("sessions", comma_separated(&self.sessions)),
        ];
        machine::command("peers", &options)
    }
}

/// What the peers' script can run a workload on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Peer {
    Numpy,
    Dask,
    DaskDist,
    Numexpr,
    Jax,
}

impl Peer {
    const ALL: [Peer; 5] = [Peer::Numpy, Peer::Dask, Peer::DaskDist, Peer::Numexpr, Peer::Jax];

    /// The script's word.
    fn name(self) -> &'static str {
        match self {
            Peer::Numpy => "numpy",
            Peer::Dask => "dask",
            Peer::DaskDist => "dask-dist",
            Peer::Numexpr => "numexpr",
            Peer::Jax => "jax",
        }
    }

    /// The Python package that has to be there.
    fn package(self) -> &'static str {
        match self {
            Peer::DaskDist => "distributed",
            _ => self.name(),
        }
    }

    /// Whether the script has this workload for this engine.
    fn has(self, workload: Workload) -> bool {
        use Workload::{Argsort, AxisMean, Axpy, Cumsum, Fused, Gemm, Read, Slice, Sort, Std};
        use Workload::{Sum, Transpose};
        match (self, workload) {
            (_, Read | AxisMean) => false,
            (Peer::Numexpr, _) => matches!(workload, Sum | Axpy | Fused),
            (Peer::Jax, _) => {
                matches!(workload, Sum | Axpy | Fused | Transpose | Std | Gemm | Cumsum | Slice)
            }
            // Dask has no sort across chunks.
            (Peer::Dask | Peer::DaskDist, Sort | Argsort) => false,
            _ => true,
        }
    }
}

/// The Python with the peers, and which of them it has, with their versions.
struct Peers {
    python: Option<OsString>,
    versions: Vec<(Peer, String)>,
}

impl Peers {
    fn find() -> Peers {
        let python = std::env::var_os(PYTHON);
        let installed = |peer: Peer| Some((peer, version(python.as_ref()?, peer.package())?));
        Peers { versions: Peer::ALL.into_iter().filter_map(installed).collect(), python }
    }

    fn measure(&self, peer: Peer, workload: Workload, args: &Args) -> Option<Outcome> {
        let python = self.python.as_ref()?;
        let there = self.versions.iter().any(|(p, _)| *p == peer);
        if !there || !peer.has(workload) {
            return None;
        }
        let mut command = Command::new(python);
        let problem = args.problem(workload);
        command.args([
            SCRIPT,
            &workload.to_string(),
            peer.name(),
            &problem.n.to_string(),
            &problem.chunk.to_string(),
        ]);
        let ran = child::run::<Printed>(command, Duration::from_secs(args.timeout));
        Some(ran.map(|(printed, peak_bytes)| {
            let timing = Timing { seconds: vec![printed.seconds], value: printed.value };
            Reading { timing, peak_bytes }
        }))
    }
}

impl fmt::Display for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.versions.is_empty() {
            return write!(f, "none");
        }
        let versions: Vec<String> =
            self.versions.iter().map(|(p, v)| format!("{} {v}", p.package())).collect();
        f.write_str(&versions.join(", "))
    }
}

/// What the peers' script prints, as far as it matters here.
#[derive(Deserialize)]
struct Printed {
    seconds: f64,
    value: f64,
}

/// The version of a package that this Python can import.
fn version(python: &OsString, package: &str) -> Option<String> {
    let ask = format!("import {package}; print({package}.__version__)");
    let output = Command::new(python).args(["-c", &ask]).output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?.trim().to_string();
    (output.status.success() && !version.is_empty()).then_some(version)
}

/// One workload: what each of our sessions and each of the peers made of it; nothing where it was not run.
struct Row {
    workload: Workload,
    ours: Vec<Option<Outcome>>,
    peers: Vec<Option<Outcome>>,
}

fn main() -> anyhow::Result<()> {
    if let Some(served) = child::serve_if_asked() {
        return served;
    }
    let args = Args::parse();
    let peers = Peers::find();
    let (command, facts) = (args.command(), machine::facts());
    println!("{command}\non {facts}\npeers: {peers}\n");
    if peers.python.is_none() {
        println!("{PYTHON} does not name the peers' Python: their columns stay empty\n");
    }
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if threads != PEERS_THREADS {
        println!(
            "this process has {threads} cores and the peers use {PEERS_THREADS} threads: compare under `taskset -c 0,1`\n"
        );
    }
    let csv = args.out.join("peers.csv");
    let mut rows = Vec::new();
    for workload in with_read(&args.workloads) {
        rows.push(measure(&args, &peers, workload));
        // Whatever ends a long run, what was measured by then is there.
        results(&args, &peers, &rows, (&command, &facts)).write(&csv)?;
    }
    print_all(&args, &rows);
    println!("\nnumbers in {}", csv.display());
    Ok(())
}

/// A plain read of memory belongs right before the sum that it is compared with.
fn with_read(workloads: &[Workload]) -> Vec<Workload> {
    let asked = workloads.contains(&Workload::Read);
    let each = workloads.iter().flat_map(|w| match w {
        Workload::Sum if !asked => vec![Workload::Read, Workload::Sum],
        w => vec![*w],
    });
    each.collect()
}

fn measure(args: &Args, peers: &Peers, workload: Workload) -> Row {
    let runs = Runs { repeats: args.repeats, timeout: Duration::from_secs(args.timeout) };
    let problem = args.problem(workload);
    let ours = args.sessions.iter().enumerate().map(|(i, session)| {
        // A plain read knows no session: it is measured once.
        let wanted = workload != Workload::Read || i == 0;
        let place = format!("tilework {session}");
        wanted.then(|| told(workload, place, child::measure(workload, *session, &problem, &runs)))
    });
    let ours = ours.collect();
    let peers = Peer::ALL.iter().map(|p| Some(told(workload, p.name(), peers.measure(*p, workload, args)?)));
    Row { workload, ours, peers: peers.collect() }
}

fn told(workload: Workload, place: impl fmt::Display, outcome: Outcome) -> Outcome {
    match &outcome {
        Ok(r) => eprintln!("{workload} on {place}: {} s", table::seconds(r.timing.min())),
        Err(why) => eprintln!("{workload} on {place}: failed: {why}"),
    }
    outcome
}

/// A table of all engines: one row for each workload.
fn print_engines(args: &Args, rows: &[Row], title: &str, show: impl Fn(&Reading) -> String) {
    let sessions = args.sessions.iter().map(|s| format!("tilework {s}"));
    let header =
        ["workload".to_string()].into_iter().chain(sessions).chain(Peer::ALL.map(|p| p.name().to_string()));
    let mut shown = Table::new(1, header);
    for row in rows {
        let cells = row.ours.iter().chain(&row.peers).map(|outcome| match outcome {
            None => String::new(),
            Some(Err(_)) => "failed".into(),
            Some(Ok(reading)) => show(reading),
        });
        shown.row([row.workload.to_string()].into_iter().chain(cells));
    }
    println!("\n{title}\n\n{shown}");
}

fn print_all(args: &Args, rows: &[Row]) {
    let (n, chunk, repeats) = (args.n, args.chunk, args.repeats);
    let seconds = format!(
        "seconds, best of {repeats} (peers: of 3); {n} × {n} f64 in chunks of {chunk} × {chunk} (stencil, tiny: see --help)"
    );
    print_engines(args, rows, &seconds, |r| table::seconds(r.timing.min()));
    print_ratios(args, rows);
    print_engines(args, rows, "memory at its peak, all processes together", |r| table::bytes(r.peak_bytes));
    print_engines(args, rows, "values (inputs are random: they agree, they are not equal)", |r| {
        format!("{:.6e}", r.timing.value)
    });
    print_read(args, rows);
}

fn print_ratios(args: &Args, rows: &[Row]) {
    let header = ["workload", "tilework on"].into_iter().chain(Peer::ALL.map(Peer::name));
    let mut shown = Table::new(2, header);
    for row in rows {
        for (session, ours) in args.sessions.iter().zip(&row.ours) {
            let Some(ours) = best(ours.as_ref()) else { continue };
            if row.workload == Workload::Read {
                continue;
            }
            let ratio = |peer: &Option<Outcome>| {
                best(peer.as_ref()).map_or(String::new(), |p| table::ratio(p / ours))
            };
            let names = [row.workload.to_string(), session.to_string()];
            shown.row(names.into_iter().chain(row.peers.iter().map(ratio)));
        }
    }
    println!("\npeer's seconds / Tilework's: above 1 Tilework is faster\n\n{shown}");
}

/// Compares the sum with a plain read of the same memory.
fn print_read(args: &Args, rows: &[Row]) {
    let find = |workload| rows.iter().find(|r: &&Row| r.workload == workload);
    let Some(read) = find(Workload::Read).and_then(|r| best(r.ours.first()?.as_ref())) else { return };
    let bytes = 8.0 * (args.n as f64).powi(2);
    println!("\na plain read on 2 threads: {} s, {:.1} GB/s", table::seconds(read), bytes / read / 1e9);
    let Some(sum) = find(Workload::Sum) else { return };
    for (session, ours) in args.sessions.iter().zip(&sum.ours) {
        if let Some(ours) = best(ours.as_ref()) {
            println!("sum on {session}: {:.2} × that", ours / read);
        }
    }
}

fn best(outcome: Option<&Outcome>) -> Option<f64> {
    Some(outcome?.as_ref().ok()?.timing.min())
}

fn results(args: &Args, peers: &Peers, rows: &[Row], (command, facts): (&str, &str)) -> Csv {
    let peers = peers.to_string();
    let facts = [("command", command), ("machine", facts), ("peers", &peers)];
    let header = [
        "workload",
        "engine",
        "session",
        "n",
        "chunk",
        "repeats",
        "best_s",
        "peak_bytes",
        "value",
        "error",
        "over_first",
    ];
    let mut csv = Csv::new(&facts, &header);
    for row in rows {
        let ours = args.sessions.iter().map(|s| ("tilework", s.to_string())).zip(&row.ours);
        let peers = Peer::ALL.iter().map(|p| (p.name(), String::new())).zip(&row.peers);
        let plain = row.workload == Workload::Read;
        let problem = args.problem(row.workload);
        let first = row.ours.first().filter(|_| !plain).and_then(|o| best(o.as_ref()));
        for ((engine, session), outcome) in ours.chain(peers) {
            let Some(outcome) = outcome else { continue };
            let repeats = if engine == "tilework" { args.repeats.max(1) } else { 3 };
            let seconds = best(Some(outcome));
            let reading = outcome.as_ref().ok();
            csv.row(&[
                row.workload.to_string(),
                if plain { "plain".into() } else { engine.into() },
                if plain { String::new() } else { session },
                problem.n.to_string(),
                problem.chunk.to_string(),
                repeats.to_string(),
                optional(seconds),
                optional(reading.map(|r| r.peak_bytes)),
                optional(reading.map(|r| r.timing.value)),
                outcome.as_ref().err().cloned().unwrap_or_default(),
                optional(seconds.zip(first).map(|(s, r)| format!("{:.3}", s / r))),
            ]);
        }
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_comes_right_before_the_sum() {
        use Workload::{Axpy, Read, Sum};
        assert_eq!(with_read(&[Axpy, Sum]), [Axpy, Read, Sum]);
        assert_eq!(with_read(&[Sum, Read]), [Sum, Read]);
        assert_eq!(with_read(&[Axpy]), [Axpy]);
    }

    #[test]
    fn the_script_has_what_it_is_asked_for() {
        let script = std::fs::read_to_string(SCRIPT).unwrap();
        for peer in Peer::ALL {
            assert!(
                script.contains(&format!("\"{}\"", peer.name())) || peer == Peer::DaskDist,
                "{}",
                peer.name()
            );
        }
        use Workload::{Axpy, Fused, Gemm, McpiGen, Rechunk, Slice, Std, Stencil, Sum, Tiny, Transpose};
        for workload in [Sum, Axpy, Fused, Transpose, Std, Gemm, Rechunk, Slice, McpiGen, Stencil, Tiny] {
            assert!(
                Peer::Dask.has(workload) && script.contains(&format!("w == \"{workload}\"")),
                "{workload}"
            );
        }
        assert!(!Peer::Numexpr.has(Gemm) && !Peer::Jax.has(McpiGen));
    }
}
