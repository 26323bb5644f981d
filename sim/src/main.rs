//! `tilework-sim`: plays many seeds on all cores and sums up; plays one with its trace; or checks that every
//! planted bug is found.
//!
//! Knows the command line. Must not know the simulation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;
use tilework_sim::{Fault, FaultCounts, Outcome, Planted, run};

const USAGE: &str = "usage: tilework-sim [--seeds N] [--first N] [--trace SEED] [--planted]";

struct Args {
    seeds: u64,
    first: u64,
    trace: Option<u64>,
    planted: bool,
}

fn args() -> Result<Args, String> {
    let mut args = Args { seeds: 1000, first: 0, trace: None, planted: false };
    let mut rest = std::env::args().skip(1);
    while let Some(arg) = rest.next() {
        let mut number =
            || rest.next().and_then(|n| n.parse().ok()).ok_or(format!("{arg} takes a number\n{USAGE}"));
        match arg.as_str() {
            "--seeds" => args.seeds = number()?,
            "--first" => args.first = number()?,
            "--trace" => args.trace = Some(number()?),
            "--planted" => args.planted = true,
            _ => return Err(USAGE.to_owned()),
        }
    }
    Ok(args)
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(seed) = args.trace {
        let outcome = run(seed, None, true);
        println!("seed {seed}: {} events\n{}", outcome.events, outcome.faults);
        return ExitCode::SUCCESS;
    }
    if args.planted { planted(args.seeds.max(40_000)) } else { all(&args) }
}

/// Plays seeds until all are done or one fails; the sum, and the first failure.
fn play(first: u64, seeds: u64, planted: Option<Planted>) -> (Outcome, Option<(u64, String)>) {
    let next = AtomicU64::new(first);
    let failed = AtomicBool::new(false);
    let failure: Mutex<Option<(u64, String)>> = Mutex::new(None);
    let total: Mutex<Outcome> = Mutex::new(Outcome::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut mine = Outcome::default();
                while !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        break;
                    }
                    match catch_unwind(AssertUnwindSafe(|| run(seed, planted, false))) {
                        Ok(outcome) => add(&mut mine, &outcome),
                        Err(panic) => {
                            failed.store(true, Ordering::Relaxed);
                            let text = panic.downcast_ref::<String>().cloned();
                            let text = text.or(panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
                            let mut slot = failure.lock().expect("nobody panics with the lock");
                            if slot.as_ref().is_none_or(|(s, _)| seed < *s) {
                                *slot = Some((seed, text.unwrap_or_default()));
                            }
                        }
                    }
                }
                add(&mut total.lock().expect("nobody panics with the lock"), &mine);
            });
        }
    });
    (total.into_inner().expect("all threads ended"), failure.into_inner().expect("all threads ended"))
}

fn add(sum: &mut Outcome, one: &Outcome) {
    sum.events += one.events;
    sum.tasks += one.tasks;
    sum.compared += one.compared;
    sum.faults.merge(&one.faults);
}

fn all(args: &Args) -> ExitCode {
    let start = Instant::now();
    let (sum, failure) = play(args.first, args.seeds, None);
    let seconds = start.elapsed().as_secs_f64();
    let Outcome { events, tasks, compared, faults } = sum;
    println!("{} seeds, {events} events, {tasks} tasks, {compared} comparisons, {seconds:.1} s", args.seeds);
    println!("faults:\n{faults}");
    if let Some((seed, why)) = failure {
        println!("seed {seed} failed: {why}\nsee it with --trace {seed}");
        return ExitCode::FAILURE;
    }
    never_fired(args.seeds, &sum.faults)
}

/// A fault that is never played tests nothing.
fn never_fired(seeds: u64, faults: &FaultCounts) -> ExitCode {
    let missing: Vec<&str> = Fault::ALL.iter().filter(|f| faults.of(**f) == 0).map(|f| f.name()).collect();
    if seeds >= 1000 && !missing.is_empty() {
        println!("never happened: {}", missing.join("; "));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn planted(seeds: u64) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = 0;
    for bug in Planted::all() {
        match play(0, seeds, Some(bug)).1 {
            Some((seed, why)) => {
                println!(
                    "{:<40} found at seed {seed:>6}: {}",
                    format!("{bug:?}"),
                    why.lines().next().unwrap_or("")
                );
            }
            None => {
                println!("{:<40} NOT FOUND in {seeds} seeds", format!("{bug:?}"));
                missed += 1;
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
