//! What is printed, for people or for programs.
//!
//! Owns stdout; what goes on is logged to stderr. Must not know where it comes from.

use crate::args::Format;
use crate::settings::Settings;
use crate::values::show_bytes;
use serde_json::json;
use std::fmt::Write;
use tilework_scheduler::ClusterState;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Which messages are logged: a level, or levels of modules as in `warn,tilework=debug`.
const LOG_VARIABLE: &str = "TILEWORK_LOG";

/// The way to stdout.
pub struct Output {
    format: Format,
}

impl Output {
    pub fn new(format: Format) -> Output {
        Output { format }
    }

    /// Logs to stderr from now on.
    pub fn start_log(&self) {
        let default = if self.format == Format::Quiet { "error" } else { "warn,tilework=info" };
        let asked = std::env::var(LOG_VARIABLE).ok().and_then(|asked| asked.parse::<Targets>().ok());
        let filter = asked.unwrap_or_else(|| default.parse().expect("the default is levels of modules"));
        let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
        tracing_subscriber::registry().with(log.with_ansi(false).with_filter(filter)).init();
    }

    /// Prints text for people, or the value for programs.
    pub fn say(&self, text: impl AsRef<str>, value: &serde_json::Value) {
        match self.format {
            Format::Human => print(text.as_ref()),
            Format::Json => print(&value.to_string()),
            Format::Quiet => {}
        }
    }

    pub fn version(&self) {
        let version = env!("CARGO_PKG_VERSION");
        self.say(format!("tilework {version}"), &json!({ "version": version }));
    }

    pub fn settings(&self, settings: &Settings) {
        let mut rows = vec![["setting", "value", "from"].map(str::to_owned)];
        let mut values = serde_json::Map::new();
        for (key, value, origin) in settings.all() {
            rows.push([key.to_owned(), value.to_owned(), origin.to_string()]);
            values.insert(key.into(), json!({ "value": value, "from": origin.to_string() }));
        }
        self.say(table(&rows), &values.into());
    }

    pub fn state(&self, state: &ClusterState) {
        self.say(state_text(state), &state_json(state));
    }
}

/// A line to stdout. A reader that has gone (`| head`) is no error.
fn print(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}

fn state_text(state: &ClusterState) -> String {
    let mut workers =
        vec![["worker", "threads", "memory", "held", "leased", "running", "ready", ""].map(str::to_owned)];
    for w in &state.workers {
        workers.push([
            w.name.clone(),
            w.threads.to_string(),
            show_bytes(w.memory_bytes),
            show_bytes(w.bytes_held),
            w.leased.to_string(),
            w.running.to_string(),
            w.ready.to_string(),
            if w.leaving { "leaving".into() } else { String::new() },
        ]);
    }
    let mut jobs = vec![["job", "stage", "done", "total", "leased", "held", ""].map(str::to_owned)];
    for j in &state.jobs {
        let kind = match (j.dormant, j.finished) {
            (true, _) => "released",
            (_, true) => "finished",
            _ => "running",
        };
        for (i, s) in j.stages.iter().enumerate() {
            let (job, kind) = if i == 0 { (j.job.0.to_string(), kind) } else { (String::new(), "") };
            let numbers = [s.done, s.total, s.leased, s.held].map(|n| n.to_string());
            let [done, total, leased, held] = numbers;
            jobs.push([job, s.name.into(), done, total, leased, held, kind.into()]);
        }
    }
    let mut text = table(&workers);
    if jobs.len() > 1 {
        text.push('\n');
        text.push_str(&table(&jobs));
    }
    text
}

fn state_json(state: &ClusterState) -> serde_json::Value {
    let workers = state.workers.iter().map(|w| {
        json!({
            "worker": w.worker.0,
            "name": w.name,
            "threads": w.threads,
            "memory_bytes": w.memory_bytes,
            "bytes_held": w.bytes_held,
            "tasks_leased": w.leased,
            "tasks_running": w.running,
            "tasks_ready": w.ready,
            "leaving": w.leaving,
        })
    });
    let jobs = state.jobs.iter().map(|j| {
        let stages = j.stages.iter().map(|s| {
            json!({ "name": s.name, "total": s.total, "done": s.done, "leased": s.leased, "held": s.held })
        });
        json!({
            "job": j.job.0,
            "finished": j.finished,
            "released": j.dormant,
            "stages": stages.collect::<Vec<_>>(),
        })
    });
    json!({ "workers": workers.collect::<Vec<_>>(), "jobs": jobs.collect::<Vec<_>>() })
}

/// Columns as wide as their widest entry.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |c: usize| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            write!(line, "{cell:width$}  ").expect("a string takes all");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
