//! A program that links this library can be its own scheduler and worker: started with a role in its environment, it
//! takes the role before `main` and never reaches `main`, or in [`init`], where nothing of the library runs before.
//!
//! Owns that entry. Must not know sessions of the client.

use crate::error::{ClusterError, Result, chain};
use std::ffi::OsString;
use std::path::PathBuf;
use tilework_worker::process::{self, CONNECTION_FILE, ROLE, ROLE_ASKED, ROLE_WORKER, WorkerProcess};

/// The role of a scheduler.
const ROLE_SCHEDULER: &str = "scheduler";
/// Where it says `init`, the role is taken by [`init`] alone.
const ENTRY_VARIABLE: &str = "TILEWORK_ENTRY";

/// A role to take, and what it needs.
pub(crate) enum Role {
    /// Serve as scheduler and write this connection file.
    Scheduler { file: PathBuf },
    /// Serve as worker.
    Worker(Box<WorkerProcess>),
    /// Say that roles can be taken.
    Asked,
}

impl Role {
    /// The environment that gives a process this role.
    pub(crate) fn environment(&self) -> Vec<(OsString, OsString)> {
        let role = |role: &str| (OsString::from(ROLE), OsString::from(role));
        match self {
            Role::Scheduler { file } => vec![role(ROLE_SCHEDULER), (CONNECTION_FILE.into(), file.into())],
            Role::Worker(worker) => worker.environment(),
            Role::Asked => vec![role(ROLE_ASKED)],
        }
    }

    /// The role in this process' environment.
    fn from_environment() -> Option<std::result::Result<Role, String>> {
        let worker = || WorkerProcess::read(|name| std::env::var_os(name)).map_err(|e| e.to_string());
        let file =
            || std::env::var_os(CONNECTION_FILE).ok_or_else(|| format!("{CONNECTION_FILE} is not set"));
        match std::env::var(ROLE).ok()?.as_str() {
            ROLE_SCHEDULER => Some(file().map(|file| Role::Scheduler { file: file.into() })),
            ROLE_WORKER => Some(worker().map(Box::new).map(Role::Worker)),
            ROLE_ASKED => Some(Ok(Role::Asked)),
            _ => None,
        }
    }
}

/// Makes the linker keep [`ENTRY`]: whatever starts a session calls this.
pub(crate) fn link() {
    std::hint::black_box(&ENTRY);
}

/// Makes this process a worker where it was started to be one, and then does not return; else it does nothing.
///
/// A program that uses this library can be started as a worker: by [`Session::processes`](crate::Session::processes), by
/// `tilework worker --program ./my_program`, and by the script for Slurm. It becomes one before `main`, so that most
/// programs need no call. Where that does not work (a C library that does not call the entries of `.init_array`, or
/// libraries of which one must be set up by `main` before functions of yours run), this must be the first line of
/// `main`; `TILEWORK_ENTRY=init` in the environment leaves it to this call. A program that forgets it ends with an error
/// that names it.
///
/// ```
/// // In `main`:
/// tilework::init();
/// // What the program does: a worker never comes here.
/// ```
pub fn init() {
    link();
    // What other libraries register was registered before `main`.
    take_role(|| {});
}

/// Refuses to go on in a process that was started to have a role, where nothing took it: `main` runs.
pub(crate) fn is_ours() -> Result<()> {
    link();
    if Role::from_environment().is_none() {
        return Ok(());
    }
    let why = "this process was started to be a worker of a cluster, and its `main` began instead: make `tilework::init();` \
               the first line of `main` (elsewhere that is done before `main`; this build does not do it)";
    Err(ClusterError::NotStarted(why.to_owned()).into())
}

#[used]
#[cfg_attr(target_os = "linux", unsafe(link_section = ".init_array"))]
static ENTRY: extern "C" fn() = enter;

/// Tells whoever looks into the executable that it can be a worker, without running it: a note as ELF files have them.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".note.tilework")]
static NOTE: Note =
    Note { name_len: 9, description_len: 4, kind: 1, name: *b"Tilework\0\0\0\0", description: 1 };

#[cfg(target_os = "linux")]
#[repr(C, align(4))]
struct Note {
    name_len: u32,
    description_len: u32,
    kind: u32,
    name: [u8; 12],
    description: u32,
}

/// Runs before `main`, after the C library is set up.
extern "C" fn enter() {
    #[cfg(target_os = "linux")]
    std::hint::black_box(&NOTE);
    if std::env::var_os(ENTRY_VARIABLE).is_none_or(|entry| entry != "init") {
        take_role(initialise_the_rest);
    }
}

/// Takes the role in the environment, and ends the process with it. Of what Rust's runtime does before `main`, one thing
/// matters for what follows: a connection that the other side has closed must be an error, not the end of the process.
fn take_role(prepare: fn()) {
    let Some(role) = Role::from_environment() else { return };
    // SAFETY: a plain change of what the signal does.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    // SAFETY: no other thread exists before `main`, nor at its first line.
    unsafe { std::env::remove_var(ROLE) };
    let result = std::panic::catch_unwind(|| {
        prepare();
        serve(role?)
    });
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
fn initialise_the_rest() {
    #[cfg(target_os = "linux")]
    {
        unsafe extern "C" {
            static __init_array_start: [extern "C" fn(); 0];
            static __init_array_end: [extern "C" fn(); 0];
        }
        let (start, end) = (&raw const __init_array_start as usize, &raw const __init_array_end as usize);
        let n = end.saturating_sub(start) / size_of::<extern "C" fn()>();
        // SAFETY: the linker puts these symbols around the list of entries, which are functions; nothing writes to it.
        // The C library passes arguments that an entry may take or leave; those that Rust libraries register take none.
        let entries = unsafe { std::slice::from_raw_parts(start as *const extern "C" fn(), n) };
        let ours = entries.iter().position(|&f| std::ptr::fn_addr_eq(f, enter as extern "C" fn()));
        if let Some(ours) = ours {
            entries[ours + 1..].iter().for_each(|f| f());
        }
    }
}

/// Serves until the parent ends it (or dies: the system then sends the same signal).
fn serve(role: Role) -> std::result::Result<(), String> {
    match role {
        Role::Scheduler { file } => serve_as_scheduler(file),
        Role::Worker(worker) => {
            #[cfg(feature = "dataframe")]
            crate::dataframe::install();
            worker.serve().map_err(|e| chain(&e))
        }
        Role::Asked => {
            process::answer();
            Ok(())
        }
    }
}

fn serve_as_scheduler(file: PathBuf) -> std::result::Result<(), String> {
    // One client and few workers, beside it on this machine: what two threads would wake each other for takes longer than
    // what they could share.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("cannot start a runtime: {e}"))?;
    let dir = file.parent().map(std::path::Path::to_path_buf);
    let config = tilework_scheduler::Config {
        connection_file: file,
        listen: "127.0.0.1:0".into(),
        announce: None,
        job: None,
        restart_count: 0,
        replace: false,
        limits: tilework_scheduler::Limits::default(),
    };
    let result = runtime.block_on(async {
        // A program's threads end one after another, and each hands its children on: the signal may come twice. What
        // follows the first is not to be cut short by the second.
        let told = tilework_cluster::signals::shutdown_signal().map_err(|e| e.to_string())?;
        let stop = async move {
            told.await;
        };
        tilework_scheduler::run(config, |_| {}, stop).await.map_err(|e| chain(&e))
    });
    // The session's directory is empty now, also where the program that made it was killed.
    if let Some(dir) = dir {
        let _ = std::fs::remove_dir(dir);
    }
    result
}
