//! The commands, each one call of a library between settings and output.
//!
//! Owns the end by signals. Must not know arguments.

use crate::output::{Output, Page};
use crate::program::Program;
use crate::settings::Settings;
use anyhow::{Context, anyhow, bail};
use serde_json::json;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tilework_cluster::connection::ConnectionFile;
use tilework_cluster::signals::{shutdown_signal, told_to_end};
use tilework_cluster::who::Who;
use tilework_scheduler::remote::{self, Monitor};
use tilework_scheduler::{JobNumber, Limits, RunError};
use tilework_worker::process::{Successor, WorkerProcess};

/// How long a scheduler may take to answer a question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The least time after which silence may count: workers give two signs of life a second.
const SILENCE_LIMIT_MIN: Duration = Duration::from_secs(1);
/// How long a scheduler may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// The shortest pause between two pages of what is watched.
const WATCH_PAUSE_MIN: Duration = Duration::from_millis(100);
/// How often a scheduler is asked who has joined.
const ASK_INTERVAL: Duration = Duration::from_millis(100);

/// Runs a scheduler.
pub async fn scheduler(settings: &Settings, replace: bool, output: &Output) -> anyhow::Result<()> {
    let restart_count = std::env::var("SLURM_RESTART_COUNT").ok().and_then(|n| n.parse().ok());
    let silence_limit = settings.seconds("scheduler.silence-limit")?;
    if silence_limit < SILENCE_LIMIT_MIN {
        bail!("scheduler.silence-limit: got {silence_limit:?}, expected at least {SILENCE_LIMIT_MIN:?}");
    }
    let silence_max_us = Some(u64::try_from(silence_limit.as_micros()).unwrap_or(u64::MAX));
    let config = tilework_scheduler::Config {
        connection_file: settings.connection_file()?,
        listen: settings.text("scheduler.listen").to_owned(),
        announce: settings.optional("scheduler.announce"),
        job: std::env::var("SLURM_JOB_ID").ok(),
        restart_count: restart_count.unwrap_or(0),
        replace,
        limits: Limits { silence_max_us, ..Limits::default() },
    };
    let path = config.connection_file.display().to_string();
    let ready = |file: &ConnectionFile| {
        let addresses = file.addresses.join(" ");
        output.say(
            format!("scheduler listens at {addresses}; connection file {path}"),
            &json!({ "addresses": file.addresses, "connection_file": path }),
        );
    };
    match tilework_scheduler::run(config, ready, told_to_end()?).await {
        Err(error @ RunError::Running { .. }) => {
            Err(error).context("use `tilework stop`, another --connection-file, or --replace")
        }
        ended => Ok(ended?),
    }
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
        spill: tilework_worker::Spill {
            dir: settings.optional("worker.spill-dir").map(PathBuf::from),
            limit: settings.bytes_or_none("worker.spill-limit")?,
        },
        tags: settings.tags("worker.tags")?,
        patience: settings.seconds("worker.patience")?,
        task_limit: settings.limit("worker.task-limit")?,
        stop_limit: settings.limit("worker.stop-limit")?,
    };
    let (prints, log) = (output.prints(), Some(output.log().to_owned()));
    let worker = WorkerProcess { config, prints, log, successor: Successor::Itself };
    match program {
        Some(program) => Err(program.become_worker(&worker)),
        None => {
            #[cfg(feature = "dataframe")]
            tilework_worker_tables::install();
            Ok(worker.serve()?)
        }
    }
}

/// The cluster of the settings: its addresses in words, and a connection to look at it and steer it.
async fn cluster(settings: &Settings) -> anyhow::Result<(String, Monitor)> {
    let file = ConnectionFile::read(&settings.connection_file()?)?;
    Ok((file.addresses.join(" or "), Monitor::connect(&file, ANSWER_TIMEOUT).await?))
}

/// Shows a cluster, once or every so many seconds until told to end.
pub async fn look(
    settings: &Settings,
    page: Page,
    watch: Option<f64>,
    output: &Output,
) -> anyhow::Result<()> {
    let pause = watch.map(|s| Duration::try_from_secs_f64(s).ok().filter(|p| *p >= WATCH_PAUSE_MIN));
    let Some(pause) = pause else {
        let (at, mut monitor) = cluster(settings).await?;
        output.page(page, &monitor.state().await?, &at);
        return Ok(());
    };
    let pause =
        pause.with_context(|| format!("--watch: expected at least {} s", WATCH_PAUSE_MIN.as_secs_f32()))?;
    let told = shutdown_signal()?;
    let (at, mut monitor) = cluster(settings).await?;
    let mut screen = output.screen();
    let shown = async {
        loop {
            screen.show(output, page, &monitor.state().await?, &at)?;
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! {
        ended = shown => ended,
        _ = told => Ok(()),
    }
}

/// Ends jobs by their numbers.
pub async fn cancel(settings: &Settings, jobs: &[u64], output: &Output) -> anyhow::Result<()> {
    let (_, mut monitor) = cluster(settings).await?;
    let by = Who::this_process().to_string();
    let mut missing = Vec::new();
    for &job in jobs {
        if monitor.cancel(JobNumber(job), &by).await? {
            output.say(format!("job {job} is cancelled"), &json!({ "cancelled": job }));
        } else {
            missing.push(job.to_string());
        }
    }
    if !missing.is_empty() {
        bail!("no job {}; `tilework jobs` lists those that there are", missing.join(", "));
    }
    Ok(())
}

/// Takes names away.
pub async fn unpublish(settings: &Settings, names: &[String], output: &Output) -> anyhow::Result<()> {
    let file = ConnectionFile::read(&settings.connection_file()?)?;
    for name in names {
        remote::unpublish(&file, name, ANSWER_TIMEOUT).await??;
        output.say(format!("'{name}' is unpublished"), &json!({ "unpublished": name }));
    }
    Ok(())
}

/// Ends a cluster.
pub async fn stop(settings: &Settings, output: &Output) -> anyhow::Result<()> {
    let (at, mut monitor) = cluster(settings).await?;
    monitor.stop(&Who::this_process().to_string()).await?;
    let ended = tokio::time::timeout(STOP_TIMEOUT, monitor.ended()).await;
    ended.map_err(|_| {
        anyhow!("the scheduler at {at} does not end, {} s after it was told to", STOP_TIMEOUT.as_secs())
    })?;
    output.say(format!("the scheduler at {at} has ended"), &json!({ "stopped": at }));
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
                Err(error) => return Err(error.into()),
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
