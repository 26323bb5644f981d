//! The commands that serve: scheduler and worker.

use crate::config::Settings;
use anyhow::Context;
use std::path::PathBuf;
use std::time::Duration;
use tilework_cluster::signals::shutdown_signal;
use tracing::info;

/// The Slurm job that this process belongs to, and how often it was requeued.
fn slurm_job() -> Option<(String, u32)> {
    let job = std::env::var("SLURM_JOB_ID").ok()?;
    let restart = std::env::var("SLURM_RESTART_COUNT").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    Some((job, restart))
}

async fn stopped() -> anyhow::Result<impl Future<Output = ()>> {
    let signal = shutdown_signal().context("cannot wait for signals")?;
    Ok(async move {
        let which = signal.await;
        info!(%which, "ending");
    })
}

pub(crate) async fn scheduler(settings: &Settings) -> anyhow::Result<()> {
    let path = PathBuf::from(settings.text("connection_file"));
    let (job, restart_count) = slurm_job().map_or((None, 0), |(job, n)| (Some(job), n));
    let config = tilework_scheduler::Config {
        connection_file: path.clone(),
        listen: settings.text("scheduler.listen"),
        announce: settings.optional("scheduler.announce"),
        job,
        restart_count,
        limits: tilework_scheduler::Limits::default(),
    };
    let ready = |file: &tilework_cluster::connection::ConnectionFile| {
        info!("connection file {}, addresses {}", path.display(), file.addresses.join(" "));
    };
    Ok(tilework_scheduler::run(config, ready, stopped().await?).await?)
}

pub(crate) async fn worker(settings: &Settings) -> anyhow::Result<()> {
    let name = settings.text("worker.name");
    let config = tilework_worker::RunConfig {
        connection_file: PathBuf::from(settings.text("connection_file")),
        wait: Duration::from_secs(settings.number("worker.wait", 0)?),
        job: slurm_job(),
        name: name.clone(),
        listen: settings.text("worker.listen"),
        announce: settings.optional("worker.announce"),
        threads: settings.number("worker.threads", 1)? as usize,
        memory_bytes: settings.bytes("worker.memory")?,
        patience: Duration::from_secs(settings.number("worker.patience", 0)?),
    };
    info!("worker {name}: {} threads, {} MB", config.threads, config.memory_bytes / 1_000_000);
    Ok(tilework_worker::run(config, |_| info!("joined"), stopped().await?).await?)
}
