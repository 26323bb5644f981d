//! What an own task costs: calls of a function that does nothing, in one batch and one after another, through a real
//! scheduler and workers.
//!
//! `cargo run --release --bin tasks`

use clap::Parser;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tilework::{Session, When, gather, wait};
use tilework_benches::csv::Csv;
use tilework_benches::table::{self, Table};
use tilework_benches::timing::median;
use tilework_benches::{SessionKind, machine};

/// Measures the cost of an own task.
#[derive(Parser)]
#[command(name = "tasks")]
struct Args {
    /// Calls of one batch.
    #[arg(long, default_value_t = 100_000)]
    calls: usize,
    /// Calls one after another, each of which waits for the result of the one before.
    #[arg(long, default_value_t = 2_000)]
    turns: usize,
    /// Worker processes.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Timed runs, after one to warm up; the median counts.
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// Where `tasks.csv` goes.
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    out: PathBuf,
}

impl Args {
    fn command(&self) -> String {
        let options = [
            ("calls", self.calls.to_string()),
            ("turns", self.turns.to_string()),
            ("workers", self.workers.to_string()),
            ("repeats", self.repeats.to_string()),
        ];
        machine::command("tasks", &options)
    }
}

/// What one kind of session takes, seconds.
struct Taken {
    /// From the submission of a batch until all its values exist.
    all_made: f64,
    /// Until all of them are here.
    all_here: f64,
    /// From the first of as many submissions, one by one, until all values are here; all futures live until then.
    singly: f64,
    /// From one submission until its result is here.
    turn: f64,
    /// The same for a task that reads the value of the one before.
    link: f64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    anyhow::ensure!(args.calls > 0 && args.turns > 9, "--calls: at least 1, --turns: at least 10");
    let (command, facts) = (args.command(), machine::facts());
    println!("{command}\non {facts}\n");
    let header = [
        "session",
        "calls",
        "made_s",
        "gathered_s",
        "calls_per_s",
        "singly_s",
        "round_trip_us",
        "chained_us",
    ];
    let mut file = Csv::new(&[("command", &command), ("machine", &facts)], &header);
    let header = [
        "session",
        "all made, s",
        "calls a second",
        "all here, s",
        "one by one, s",
        "round trip, µs",
        "chained, µs",
    ];
    let mut shown = Table::new(1, header);
    for kind in [SessionKind::Embedded, SessionKind::Processes(args.workers)] {
        let session = kind.open()?;
        let taken = measure(&session, &args)?;
        let rate = args.calls as f64 / taken.all_made;
        let us = |s: f64| format!("{:.0}", s * 1e6);
        let (made, here) = (table::seconds(taken.all_made), table::seconds(taken.all_here));
        let (turn, link) = (us(taken.turn), us(taken.link));
        let (rate, singly) = (format!("{rate:.0}"), table::seconds(taken.singly));
        shown.row([kind.to_string(), made, rate.clone(), here, singly, turn.clone(), link.clone()]);
        let (made, here) = (format!("{:.4}", taken.all_made), format!("{:.4}", taken.all_here));
        let (calls, singly) = (args.calls.to_string(), format!("{:.4}", taken.singly));
        file.row(&[kind.to_string(), calls, made, here, rate, singly, turn, link]);
        tilework::Session::close_current();
    }
    print!("{shown}");
    let csv = args.out.join("tasks.csv");
    file.write(&csv)?;
    println!("numbers in {}", csv.display());
    Ok(())
}

fn measure(session: &Session, args: &Args) -> anyhow::Result<Taken> {
    let (mut made, mut here, mut turns, mut links) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut singles = Vec::new();
    for run in 0..=args.repeats {
        let start = Instant::now();
        let futures = session.map(|x: u64| x, 0..args.calls as u64)?;
        let waited = wait(&futures, When::All, Some(Duration::from_secs(600)))?;
        anyhow::ensure!(waited.not_done.is_empty(), "calls that do not end");
        let all_made = start.elapsed().as_secs_f64();
        let values = gather(futures)?;
        anyhow::ensure!(values.iter().copied().eq(0..args.calls as u64), "wrong values");
        let all_here = start.elapsed().as_secs_f64();
        let (mut of_turns, mut of_links) = (Vec::new(), Vec::new());
        for n in 0..args.turns as u64 {
            let start = Instant::now();
            anyhow::ensure!(session.submit(|x: u64| x + 1, (n,))?.result()? == n + 1, "a wrong value");
            of_turns.push(start.elapsed().as_secs_f64());
        }
        let mut last = session.submit(|x: u64| x + 1, (0,))?;
        last.result()?;
        for _ in 0..args.turns / 10 {
            let start = Instant::now();
            last = session.submit(|x: u64| x + 1, (&last,))?;
            last.result()?;
            of_links.push(start.elapsed().as_secs_f64());
        }
        let start = Instant::now();
        let futures: Vec<_> = (0..args.calls as u64)
            .map(|n| session.submit(|x: u64| x + 1, (n,)))
            .collect::<tilework::Result<_>>()?;
        let values = gather(futures)?;
        anyhow::ensure!(values.iter().copied().eq(1..=args.calls as u64), "wrong values");
        let singly = start.elapsed().as_secs_f64();
        if run > 0 {
            made.push(all_made);
            here.push(all_here);
            singles.push(singly);
            turns.push(median(&of_turns));
            links.push(median(&of_links));
        }
    }
    Ok(Taken {
        all_made: median(&made),
        all_here: median(&here),
        singly: median(&singles),
        turn: median(&turns),
        link: median(&links),
    })
}
