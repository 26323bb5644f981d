//! The command line program: starts schedulers and workers, waits for them, shows and steers them.
//!
//! Owns arguments, settings, output and exit codes. Must not decide anything about a cluster: every command is one
//! call of a library. A secret never stands in an argument or in the environment, only the path of its file.

mod args;
mod commands;
mod output;
mod pages;
mod program;
mod settings;

use args::{Cli, Command, ConfigCommand};
use clap::Parser;
use output::{Output, Page};
use settings::Settings;
use std::process::ExitCode;

/// The exit code where a program that should be a worker does not use the library.
const EX_FOREIGN: u8 = 3;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tilework: {error:#}");
            let foreign = matches!(error.downcast_ref(), Some(program::NoWorker::Foreign(_)));
            if foreign { ExitCode::from(EX_FOREIGN) } else { ExitCode::FAILURE }
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let output = Output::new(cli.output);
    output.start_log();
    let settings = Settings::load(cli.config.as_deref(), &cli.command.flags(), &settings::environment())?;
    match cli.command {
        Command::Scheduler(a) => runtime()?.block_on(commands::scheduler(&settings, a.replace, &output)),
        Command::Worker(worker) => commands::worker(&settings, &output, worker.check),
        Command::Wait(wait) => {
            let timeout = std::time::Duration::from_secs(wait.timeout);
            runtime()?.block_on(commands::wait(&settings, wait.workers, timeout, &output))
        }
        Command::State(a) => runtime()?.block_on(commands::look(&settings, Page::State, a.watch, &output)),
        Command::Jobs(a) => runtime()?.block_on(commands::look(&settings, Page::Jobs, a.watch, &output)),
        Command::Workers(a) => {
            runtime()?.block_on(commands::look(&settings, Page::Workers, a.watch, &output))
        }
        Command::Cancel(a) => runtime()?.block_on(commands::cancel(&settings, &a.jobs, &output)),
        Command::Unpublish(a) => runtime()?.block_on(commands::unpublish(&settings, &a.names, &output)),
        Command::Stop(_) => runtime()?.block_on(commands::stop(&settings, &output)),
        Command::Version => {
            output.version();
            Ok(())
        }
        Command::Config(ConfigCommand::Show) => {
            output.settings(&settings);
            Ok(())
        }
    }
}

/// Threads that move messages and bytes; what computes has its own.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    const IO_THREADS: usize = 2;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(IO_THREADS).thread_name("tilework-io").enable_all().build()?)
}
