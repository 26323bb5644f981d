//! How far a run is, on a terminal or in a log file.
//!
//! Owns when and how it is shown. Must not know what runs.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use tilework_plan::quantities::{count, time};

/// Time between two lines in a log file.
const LOG_EVERY: Duration = Duration::from_secs(5);
/// Runs shorter than this show nothing.
const QUIET_FOR: Duration = Duration::from_secs(1);
/// How often a bar's times are drawn anew where no task ends.
const TICK: Duration = Duration::from_millis(500);
/// Says whether progress is shown, where the program does not.
const VARIABLE: &str = "TILEWORK_PROGRESS";

/// Bars of jobs that run at the same time, one below another.
static BARS: LazyLock<MultiProgress> =
    LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));

/// Whether progress is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Setting {
    /// On a terminal.
    #[default]
    Auto,
    /// On a terminal, and as lines elsewhere.
    On,
    /// Never.
    Off,
}

impl Setting {
    /// What `TILEWORK_PROGRESS` says.
    pub(super) fn from_environment() -> Setting {
        let Some(value) = std::env::var_os(VARIABLE) else { return Setting::Auto };
        Setting::named(&value.to_string_lossy()).unwrap_or_else(|| {
            eprintln!("tilework: {VARIABLE} is {}, expected on, off or auto", value.display());
            Setting::Auto
        })
    }

    fn named(name: &str) -> Option<Setting> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "auto" => Some(Setting::Auto),
            "1" | "on" | "true" | "yes" => Some(Setting::On),
            "0" | "off" | "false" | "no" => Some(Setting::Off),
            _ => None,
        }
    }
}

/// The progress of one run. What it drew is gone when it is dropped.
pub(super) enum Progress {
    Off,
    Terminal { bar: Option<ProgressBar>, started: Instant },
    Log { started: Instant, last: Instant },
}

impl Progress {
    pub(super) fn new(setting: Setting) -> Progress {
        Progress::on(setting, std::io::stderr().is_terminal())
    }

    fn on(setting: Setting, is_terminal: bool) -> Progress {
        let started = Instant::now();
        match (setting, is_terminal) {
            (Setting::Off, _) | (Setting::Auto, false) => Progress::Off,
            (Setting::On, false) => Progress::Log { started, last: started },
            (Setting::On | Setting::Auto, true) => Progress::Terminal { bar: None, started },
        }
    }

    pub(super) fn show(&mut self, done: u64, total: u64) {
        match self {
            Progress::Off => {}
            Progress::Terminal { bar, started } => {
                if bar.is_none() && started.elapsed() > QUIET_FOR {
                    *bar = Some(new_bar(*started));
                }
                if let Some(bar) = bar {
                    bar.set_length(total);
                    bar.set_position(done);
                }
            }
            Progress::Log { started, last } => {
                if last.elapsed() > LOG_EVERY {
                    *last = Instant::now();
                    let (done, total) = (count(done), count(total));
                    eprintln!("tilework: {done} of {total} tasks after {}", time(started.elapsed()));
                }
            }
        }
    }

    pub(super) fn finish(&mut self) {
        if let Progress::Terminal { bar, .. } = self
            && let Some(bar) = bar.take()
        {
            bar.finish_and_clear();
            BARS.remove(&bar);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn new_bar(started: Instant) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{bar:40} {percent:>3} %  {human_pos}/{human_len} tasks  {elapsed} so far, about {eta} left",
    );
    let bar = ProgressBar::hidden().with_elapsed(started.elapsed());
    let bar = BARS.add(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())));
    bar.enable_steady_tick(TICK);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_on_by_default_on_a_terminal_alone() {
        let shown = |setting, is_terminal| match Progress::on(setting, is_terminal) {
            Progress::Off => "off",
            Progress::Terminal { .. } => "bar",
            Progress::Log { .. } => "lines",
        };
        assert_eq!([true, false].map(|t| shown(Setting::Auto, t)), ["bar", "off"]);
        assert_eq!([true, false].map(|t| shown(Setting::On, t)), ["bar", "lines"]);
        assert_eq!([true, false].map(|t| shown(Setting::Off, t)), ["off", "off"]);
        let named = ["on", "1", " OFF", "auto", ""].map(|n| Setting::named(n).unwrap());
        assert_eq!(named, [Setting::On, Setting::On, Setting::Off, Setting::Auto, Setting::Auto]);
        assert_eq!(Setting::named("perhaps"), None);
    }

    #[test]
    fn a_short_run_shows_nothing_and_a_long_one_a_bar_until_it_ends() {
        let mut short = Progress::on(Setting::Auto, true);
        short.show(1, 2);
        assert!(matches!(short, Progress::Terminal { bar: None, .. }));
        let started = Instant::now().checked_sub(2 * QUIET_FOR).unwrap();
        let mut long = Progress::Terminal { bar: None, started };
        long.show(1, 2);
        let Progress::Terminal { bar: Some(bar), .. } = &long else { panic!("no bar") };
        assert_eq!((bar.position(), bar.length()), (1, Some(2)));
        let bar = bar.clone();
        drop(long);
        assert!(bar.is_finished(), "a run that failed leaves no bar");
    }
}
