//! The commands, each one call of a library between settings and output.
//!
//! Owns the end by signals. Must not know arguments.

use crate::output::Output;
use crate::program::Program;
use crate::settings::Settings;
use anyhow::{Context, bail};
use serde_json::json;
use std::time::{Duration, Instant};
use tilework_cluster::connection::ConnectionFile;
use tilework_cluster::signals::told_to_end;
use tilework_scheduler::remote::{self, Monitor};
use tilework_scheduler::{Limits, LinkError};
use tilework_worker::process::WorkerProcess;

/// How long a scheduler may take to answer a question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a scheduler is asked who has joined.
const ASK_INTERVAL: Duration = Duration::from_millis(100);

/// Runs a scheduler.
pub async fn scheduler(settings: &Settings, output: &Output) -> anyhow::Result<()> {
    let restart_count = std::env::var("SLURM_RESTART_COUNT").ok().and_then(|n| n.parse().ok());
    let config = tilework_scheduler::Config {
        connection_file: settings.connection_file()?,
        listen: settings.text("scheduler.listen").to_owned(),
        announce: settings.optional("scheduler.announce"),
        job: std::env::var("SLURM_JOB_ID").ok(),
        restart_count: restart_count.unwrap_or(0),
        limits: Limits::default(),
    };
    let path = config.connection_file.display().to_string();
    let ready = |file: &ConnectionFile| {
        let addresses = file.addresses.join(" ");
        output.say(
            format!("scheduler listens at {addresses}; connection file {path}"),
            &json!({ "addresses": file.addresses, "connection_file": path }),
        );
    };
    Ok(tilework_scheduler::run(config, ready, told_to_end()?).await?)
}

/// Makes this process a worker: of this program, or of the one that the settings name. With `check` it only says whether
/// that can be one.
pub fn worker(settings: &Settings, output: &Output, check: bool) -> anyhow::Result<()> {
    let program = settings.program().map(Program::find).transpose()?;
    if check {
        return Ok(());
    }
    let config = tilework_worker::RunConfig {
        connection_file: settings.connection_file()?,
        wait: settings.seconds("worker.wait")?,
        job: None,
        name: settings.text("worker.name").to_owned(),
        listen: settings.text("worker.listen").to_owned(),
        announce: settings.optional("worker.announce"),
        threads: settings.count("worker.threads")?,
        memory_bytes: settings.bytes("worker.memory")?,
        patience: settings.seconds("worker.patience")?,
    };
    let worker = WorkerProcess { config, prints: output.prints(), log: Some(output.log().to_owned()) };
    match program {
        Some(program) => Err(program.become_worker(&worker)),
        None => Ok(worker.serve()?),
    }
}

/// Shows a cluster.
pub async fn state(settings: &Settings, output: &Output) -> anyhow::Result<()> {
    let file = ConnectionFile::read(&settings.connection_file()?)?;
    output.state(&remote::state(&file, ANSWER_TIMEOUT).await?);
    Ok(())
}

/// Waits until `n` workers have joined.
pub async fn wait(settings: &Settings, n: usize, timeout: Duration, output: &Output) -> anyhow::Result<()> {
    let started = Instant::now();
    let path = settings.connection_file()?;
    let told = told_to_end()?;
    let waited = async {
        let file = ConnectionFile::wait(&path, timeout).await?;
        let left = timeout.saturating_sub(started.elapsed());
        let mut monitor = Monitor::connect(&file, left).await?;
        let mut joined = 0;
        while started.elapsed() < timeout {
            match monitor.state().await {
                Ok(state) => joined = state.workers.len(),
                Err(refused @ LinkError::Refused(_)) => return Err(refused.into()),
                Err(error) => return Err(error).context("the scheduler ended while it was waited for"),
            }
            if joined >= n {
                return Ok(joined);
            }
            tokio::time::sleep(ASK_INTERVAL).await;
        }
        bail!("{joined} of {n} workers joined within {timeout:.0?}")
    };
    let joined = tokio::select! {
        joined = waited => joined?,
        () = told => bail!("interrupted"),
    };
    output.say(format!("{joined} workers joined"), &json!({ "workers": joined }));
    Ok(())
}
