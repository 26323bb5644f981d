//! How far a run is, on a terminal or in a log file.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between two lines in a log file.
const LOG_EVERY: Duration = Duration::from_secs(5);
/// Runs shorter than this show nothing.
const QUIET_FOR: Duration = Duration::from_millis(400);

pub(super) enum Progress {
    Off,
    Terminal(ProgressBar, Instant),
    Log { started: Instant, last: Instant },
}

impl Progress {
    pub(super) fn new(show: bool) -> Progress {
        let now = Instant::now();
        match (show, std::io::stderr().is_terminal()) {
            (false, _) => Progress::Off,
            (true, false) => Progress::Log { started: now, last: now },
            (true, true) => {
                let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
                let style = ProgressStyle::with_template(
                    "{bar:40} {percent:>3} %  {pos}/{len} tasks  {elapsed}, {eta} left",
                );
                Progress::Terminal(
                    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())),
                    now,
                )
            }
        }
    }

    pub(super) fn show(&mut self, done: u64, total: u64) {
        match self {
            Progress::Off => {}
            Progress::Terminal(bar, started) => {
                if bar.is_hidden() && started.elapsed() > QUIET_FOR {
                    bar.set_draw_target(ProgressDrawTarget::stderr());
                }
                bar.set_length(total);
                bar.set_position(done);
            }
            Progress::Log { started, last } => {
                if last.elapsed() > LOG_EVERY {
                    *last = Instant::now();
                    eprintln!("tilework: {done} of {total} tasks after {} s", started.elapsed().as_secs());
                }
            }
        }
    }

    pub(super) fn finish(&mut self) {
        if let Progress::Terminal(bar, _) = self {
            bar.finish_and_clear();
        }
    }
}
