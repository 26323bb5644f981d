//! The commands that look at a running cluster.

use crate::args::Output;
use crate::config::Settings;
use anyhow::bail;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tilework_cluster::connection::ConnectionFile;
use tilework_scheduler::{ClusterState, remote};

/// How long one question to the scheduler may take.
const ASK_MAX: Duration = Duration::from_secs(10);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Waits until `workers` workers have joined.
pub(crate) async fn wait(settings: &Settings, workers: usize, timeout_s: u64) -> anyhow::Result<()> {
    let (started, timeout) = (Instant::now(), Duration::from_secs(timeout_s));
    let left = || timeout.saturating_sub(started.elapsed());
    let file = ConnectionFile::wait(&PathBuf::from(settings.text("connection_file")), timeout).await?;
    loop {
        let state = remote::state(&file, left().min(ASK_MAX)).await;
        let found = state.as_ref().map_or(0, |s| s.workers.len());
        if found >= workers {
            return Ok(());
        }
        if left().is_zero() {
            match state {
                Err(error) => bail!("no answer within {timeout_s} s: {error}"),
                Ok(_) => bail!("{found} of {workers} workers have joined after {timeout_s} s"),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Prints the workers and jobs.
pub(crate) async fn state(settings: &Settings, output: Output) -> anyhow::Result<()> {
    let file = ConnectionFile::read(&PathBuf::from(settings.text("connection_file")))?;
    let state = remote::state(&file, ASK_MAX).await?;
    match output {
        Output::Quiet => {}
        Output::Json => println!("{}", serde_json::to_string_pretty(&json(&state))?),
        Output::Human => print!("{}", table(&state)),
    }
    Ok(())
}

fn json(state: &ClusterState) -> serde_json::Value {
    let workers = state.workers.iter().map(|w| {
        serde_json::json!({
            "name": w.name, "threads": w.threads, "memory_bytes": w.memory_bytes, "bytes_held": w.bytes_held,
            "tasks_leased": w.leased,
        })
    });
    let jobs = state.jobs.iter().map(|j| {
        let (done, total) = progress(j);
        serde_json::json!({ "job": j.job.0, "tasks_done": done, "tasks_total": total })
    });
    serde_json::json!({ "workers": workers.collect::<Vec<_>>(), "jobs": jobs.collect::<Vec<_>>() })
}

fn progress(job: &tilework_scheduler_core::JobState) -> (u64, u64) {
    job.stages.iter().fold((0, 0), |(done, total), s| (done + s.done, total + s.total))
}

fn table(state: &ClusterState) -> String {
    let mut text = format!("{} workers\n", state.workers.len());
    for w in &state.workers {
        let (held, of) = (w.bytes_held / 1_000_000, w.memory_bytes / 1_000_000);
        text += &format!("  {:<24} {:>3} threads  {held:>8} of {of} MB held  {:>5} tasks leased\n", w.name, w.threads, w.leased);
    }
    text += &format!("{} jobs\n", state.jobs.len());
    for j in &state.jobs {
        let (done, total) = progress(j);
        text += &format!("  {:<24} {done} of {total} tasks done\n", j.job.0);
    }
    text
}
