//! What stands on the command line.
//!
//! Owns names, help and examples. Must not know defaults: a flag that is not given is a setting from elsewhere.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Chunked distributed arrays: the scheduler, the workers, and what is needed to look after them.
#[derive(Parser, Debug)]
#[command(name = "tilework", version, after_help = EXAMPLES)]
pub struct Cli {
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value = "human")]
    pub output: Format,
    /// The configuration file [default: $XDG_CONFIG_HOME/tilework/config.toml, where it exists].
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  tilework scheduler --connection-file ~/.tilework/a.json --announce ib0
  tilework worker --connection-file ~/.tilework/a.json --threads 8 --memory 32GiB
  tilework wait --connection-file ~/.tilework/a.json --workers 4 --timeout 120
  tilework state --connection-file ~/.tilework/a.json --watch
  tilework cancel 3

Settings come from flags, else from TILEWORK_* variables, else from the configuration file, else from defaults;
`tilework config show` prints them all and where each came from.";

const WORKER_EXAMPLES: &str = "\
Example:
  tilework worker --program ./my_program --connection-file ~/.tilework/a.json
  tilework worker --name node7-0 --threads 8 --memory 32GiB --wait 120

Functions of your own (mapv, map_blocks, map_overlap, fold_axis, map_collect, from_shape_fn) are part of your program, so
they run on workers that are your program: --program makes this worker one. It never runs the program's `main`. All else
runs on any worker.";

/// How results are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// Text and tables.
    Human,
    /// One JSON value a line.
    Json,
    /// Nothing but errors.
    Quiet,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run a scheduler until Ctrl-C or SIGTERM.
    #[command(after_help = "Example:\n  tilework scheduler --listen 0.0.0.0:0 --announce 10.98.0.0/16")]
    Scheduler(SchedulerArgs),
    /// Run a worker until Ctrl-C, SIGTERM or the end of its scheduler.
    #[command(after_help = WORKER_EXAMPLES)]
    Worker(Box<WorkerArgs>),
    /// Wait until so many workers have joined.
    #[command(after_help = "Example:\n  tilework wait --workers 4 --timeout 120 && ./my_program")]
    Wait(WaitArgs),
    /// Show what a cluster does: jobs with their stages, and workers.
    #[command(
        after_help = "Examples:\n  tilework state --watch\n  tilework state --output json | jq '.workers[].name'"
    )]
    State(WatchArgs),
    /// List the jobs: whose they are, how far, how fast and for how long.
    Jobs(WatchArgs),
    /// List the workers: what they do, hold and may hold, and where they are.
    Workers(WatchArgs),
    /// End jobs by their numbers, whoever submitted them. Their clients get an error that says who did it.
    #[command(after_help = "Example:\n  tilework jobs\n  tilework cancel 3")]
    Cancel(CancelArgs),
    /// Take names away from what programs have published; it goes from the workers once no program has it.
    #[command(after_help = "Example:\n  tilework jobs\n  tilework unpublish climatology")]
    Unpublish(UnpublishArgs),
    /// End the scheduler, and with it the workers and all jobs.
    Stop(StateArgs),
    /// Print the version.
    Version,
    /// The settings.
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// About settings.
#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// Print every setting and where it came from.
    Show,
}

/// The file by which the parts of a cluster find each other.
#[derive(Args, Debug)]
pub struct StateArgs {
    /// The cluster's connection file.
    #[arg(long, value_name = "FILE")]
    pub connection_file: Option<String>,
}

/// Of looking, once or again and again.
#[derive(Args, Debug)]
pub struct WatchArgs {
    /// The cluster's connection file.
    #[arg(long, value_name = "FILE")]
    pub connection_file: Option<String>,
    /// Show it again every so many seconds (1 where no number is given), until Ctrl-C.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1")]
    pub watch: Option<f64>,
}

/// Of cancelling.
#[derive(Args, Debug)]
pub struct CancelArgs {
    /// The jobs' numbers, as `tilework jobs` shows them.
    #[arg(required = true, value_name = "JOB")]
    pub jobs: Vec<u64>,
    /// The cluster's connection file.
    #[arg(long, value_name = "FILE")]
    pub connection_file: Option<String>,
}

/// Of names.
#[derive(Args, Debug)]
pub struct UnpublishArgs {
    /// The names, as `tilework jobs` shows them.
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// The cluster's connection file.
    #[arg(long, value_name = "FILE")]
    pub connection_file: Option<String>,
}

/// Of a scheduler.
#[derive(Args, Debug)]
pub struct SchedulerArgs {
    /// The connection file to write; it holds the cluster's secrets.
    #[arg(long, value_name = "FILE")]
    pub connection_file: Option<String>,
    /// Where to listen; port 0 is any free one, `*` every address.
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Which of this host's addresses others are told: an interface's name, an address or a network.
    #[arg(long, value_name = "NAME|IP|CIDR")]
    pub announce: Option<String>,
    /// How long a worker or a client may be silent, or without a connection, before it is taken for gone.
    #[arg(long, value_name = "SECONDS")]
    pub silence_limit: Option<String>,
    /// Stop a scheduler that serves the connection file already, and take its place.
    #[arg(long)]
    pub replace: bool,
}

/// Of a worker.
#[derive(Args, Debug)]
pub struct WorkerArgs {
    /// The cluster's connection file.
    #[arg(long, value_name = "FILE")]
    pub connection_file: Option<String>,
    /// Its name, unique in the cluster.
    #[arg(long)]
    pub name: Option<String>,
    /// Where its chunk service listens; port 0 is any free one, `*` every address.
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Which of this host's addresses others are told: an interface's name, an address or a network.
    #[arg(long, value_name = "NAME|IP|CIDR")]
    pub announce: Option<String>,
    /// Threads that compute.
    #[arg(long, value_name = "N")]
    pub threads: Option<String>,
    /// Memory for chunks and tasks, as in 4GiB.
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Directory for chunks that memory does not hold, on a disk of this machine; $SLURM_TMPDIR, $TMPDIR or /tmp where
    /// none is named.
    #[arg(long, value_name = "DIR")]
    pub spill_dir: Option<String>,
    /// Bytes of chunks that may be there, as in 40GiB; 0 to keep all in memory.
    #[arg(long, value_name = "SIZE")]
    pub spill_limit: Option<String>,
    /// What this worker has that some tasks need, as in `gpu,big`: those that ask for a tag go to workers with it alone.
    #[arg(long, value_name = "TAG,..")]
    pub tags: Option<String>,
    /// How long to wait for the connection file.
    #[arg(long, value_name = "SECONDS")]
    pub wait: Option<String>,
    /// How long to try to reach a scheduler that is gone.
    #[arg(long, value_name = "SECONDS")]
    pub patience: Option<String>,
    /// How long a task may run before its job fails; `none` for any time [default: 3600].
    #[arg(long, value_name = "SECONDS")]
    pub task_limit: Option<String>,
    /// How long a task may go on after its job has ended before this worker begins again without it, and after this worker
    /// was told to end (then a minute at most); `none` for any time [default: 30].
    #[arg(long, value_name = "SECONDS")]
    pub stop_limit: Option<String>,
    /// The program whose functions run here: your own, built with the library; `none` for this program.
    #[arg(long, value_name = "PATH")]
    pub program: Option<String>,
    /// Only say whether that program can be a worker: exit code 0 if so, 3 if it does not use the library.
    #[arg(long, requires = "program")]
    pub check: bool,
}

/// Of waiting.
#[derive(Args, Debug)]
pub struct WaitArgs {
    /// The cluster's connection file.
    #[arg(long, value_name = "FILE")]
    pub connection_file: Option<String>,
    /// How many workers.
    #[arg(long, value_name = "N")]
    pub workers: usize,
    /// How long to wait.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
}

impl Command {
    /// The settings that stand on the command line.
    pub fn flags(&self) -> Vec<(&'static str, String)> {
        let given: Vec<(&'static str, &Option<String>)> = match self {
            Command::Scheduler(a) => vec![
                ("connection-file", &a.connection_file),
                ("scheduler.listen", &a.listen),
                ("scheduler.announce", &a.announce),
                ("scheduler.silence-limit", &a.silence_limit),
            ],
            Command::Worker(a) => vec![
                ("connection-file", &a.connection_file),
                ("worker.name", &a.name),
                ("worker.listen", &a.listen),
                ("worker.announce", &a.announce),
                ("worker.threads", &a.threads),
                ("worker.memory", &a.memory),
                ("worker.spill-dir", &a.spill_dir),
                ("worker.spill-limit", &a.spill_limit),
                ("worker.tags", &a.tags),
                ("worker.wait", &a.wait),
                ("worker.patience", &a.patience),
                ("worker.task-limit", &a.task_limit),
                ("worker.stop-limit", &a.stop_limit),
                ("worker.program", &a.program),
            ],
            Command::Wait(a) => vec![("connection-file", &a.connection_file)],
            Command::State(a) | Command::Jobs(a) | Command::Workers(a) => {
                vec![("connection-file", &a.connection_file)]
            }
            Command::Cancel(a) => vec![("connection-file", &a.connection_file)],
            Command::Unpublish(a) => vec![("connection-file", &a.connection_file)],
            Command::Stop(a) => vec![("connection-file", &a.connection_file)],
            Command::Version | Command::Config(_) => vec![],
        };
        given.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect()
    }
}
