//! A program that links this library can be its own scheduler and worker: started again with a role in its
//! environment, it takes the role before `main` and never reaches `main`.
//!
//! Owns that entry. Must not know sessions of the client.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Names the role; a connection file and a worker's name come with it.
const ROLE: &str = "TILEWORK_ROLE";
const FILE: &str = "TILEWORK_ROLE_CONNECTION_FILE";
const NAME: &str = "TILEWORK_ROLE_NAME";
const THREADS: &str = "TILEWORK_ROLE_THREADS";
const MEMORY: &str = "TILEWORK_ROLE_MEMORY_BYTES";

/// How long a worker waits for the scheduler's connection file.
const START_MAX: Duration = Duration::from_secs(60);
/// How long a worker looks for a scheduler that is gone before it ends.
const PATIENCE: Duration = Duration::from_secs(5);

/// A role to take, and what it needs.
pub(crate) enum Role {
    /// Serve as scheduler and write this connection file.
    Scheduler { file: PathBuf },
    /// Serve as worker of the cluster of this connection file.
    Worker { file: PathBuf, name: String, threads: usize, memory_bytes: u64 },
}

impl Role {
    /// The environment that gives a process this role.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        let pair = |k: &str, v: OsString| (OsString::from(k), v);
        match self {
            Role::Scheduler { file } => vec![pair(ROLE, "scheduler".into()), pair(FILE, file.into())],
            Role::Worker { file, name, threads, memory_bytes } => vec![
                pair(ROLE, "worker".into()),
                pair(FILE, file.into()),
                pair(NAME, name.into()),
                pair(THREADS, threads.to_string().into()),
                pair(MEMORY, memory_bytes.to_string().into()),
            ],
        }
    }

    fn from_environment() -> Option<Role> {
        let file = || Some(PathBuf::from(std::env::var_os(FILE)?));
        let number = |key| std::env::var(key).ok()?.parse().ok();
        match std::env::var(ROLE).ok()?.as_str() {
            "scheduler" => Some(Role::Scheduler { file: file()? }),
            "worker" => Some(Role::Worker {
                file: file()?,
                name: std::env::var(NAME).ok()?,
                threads: number(THREADS)? as usize,
                memory_bytes: number(MEMORY)?,
            }),
            _ => None,
        }
    }
}

/// Makes the linker keep [`ENTRY`]: sessions that start processes call this.
pub(crate) fn link() {
    std::hint::black_box(&ENTRY);
}

#[used]
#[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array"))]
static ENTRY: extern "C" fn() = take_role;

/// Runs before `main`, after the C library is set up. Of what Rust's runtime does before `main`, one thing matters for
/// what follows: a connection that the other side has closed must be an error, not the end of the process.
extern "C" fn take_role() {
    let Some(role) = Role::from_environment() else { return };
    // SAFETY: a plain change of what the signal does.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    // SAFETY: no other thread exists before `main`.
    unsafe { std::env::remove_var(ROLE) };
    #[cfg(target_os = "linux")]
    initialise_the_rest();
    let result = std::panic::catch_unwind(|| serve(role));
    let code = match result {
        Ok(Ok(())) => 0,
        Ok(Err(why)) => {
            eprintln!("tilework: {why}");
            1
        }
        Err(_) => 101,
    };
    std::process::exit(code);
}

/// Runs the entries of this executable that would run before `main` and after [`ENTRY`], which never returns: other
/// libraries register what they have to offer there, as the codecs of Zarr do.
#[cfg(target_os = "linux")]
fn initialise_the_rest() {
    unsafe extern "C" {
        static __init_array_start: [extern "C" fn(); 0];
        static __init_array_end: [extern "C" fn(); 0];
    }
    let (start, end) = (&raw const __init_array_start as usize, &raw const __init_array_end as usize);
    let n = end.saturating_sub(start) / size_of::<extern "C" fn()>();
    // SAFETY: the linker puts these symbols around the list of entries, which are functions; nothing writes to it. The
    // C library passes arguments that an entry may take or leave; those that Rust libraries register take none.
    let entries = unsafe { std::slice::from_raw_parts(start as *const extern "C" fn(), n) };
    let ours = entries.iter().position(|&f| std::ptr::fn_addr_eq(f, take_role as extern "C" fn()));
    if let Some(ours) = ours {
        entries[ours + 1..].iter().for_each(|f| f());
    }
}

/// Serves until the parent ends it (or dies: the system then sends the same signal).
fn serve(role: Role) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|e| format!("cannot start a runtime: {e}"))?;
    runtime.block_on(async {
        let stop = tilework_cluster::signals::shutdown_signal().map_err(|e| e.to_string())?;
        let stop = async move {
            stop.await;
        };
        match role {
            Role::Scheduler { file } => {
                let config = tilework_scheduler::Config {
                    connection_file: file,
                    listen: "127.0.0.1:0".into(),
                    announce: None,
                    job: None,
                    restart_count: 0,
                    replace: false,
                    limits: tilework_scheduler::Limits::default(),
                };
                let dir = config.connection_file.parent().map(std::path::Path::to_path_buf);
                let result = tilework_scheduler::run(config, |_| {}, stop).await.map_err(|e| e.to_string());
                // The session's directory is empty now, also where the program that made it was killed.
                if let Some(dir) = dir {
                    let _ = std::fs::remove_dir(dir);
                }
                result
            }
            Role::Worker { file, name, threads, memory_bytes } => {
                let config = tilework_worker::RunConfig {
                    connection_file: file,
                    wait: START_MAX,
                    job: None,
                    name,
                    listen: "127.0.0.1:0".into(),
                    announce: None,
                    threads,
                    memory_bytes,
                    patience: PATIENCE,
                };
                tilework_worker::run(config, |_| {}, stop).await.map_err(|e| e.to_string())
            }
        }
    })
}
