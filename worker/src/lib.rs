//! Internal to tilework: the worker's edges: the task that owns the state machine, the store of chunks, the threads
//! that compute, files, and the transfers between workers.
//!
//! Owns memory, threads and connections. Must not decide what to fetch, run, keep or drop: that stands in
//! `tilework-worker-core`. What kernels compute stands in `tilework-kernels`.
//!
//! - [`WorkerHandle`] is a worker, in a process of its own or in the client's.
//! - [`LocalPeers`] and [`ChunkClient`] are its ways to other workers' chunks; [`serve_chunks`] is theirs to its.
//! - [`GrpcLink`] is its way to a scheduler in another process; in process that is the scheduler's handle.
//! - [`run`] is the whole life of a worker; [`process`] that of a process which is nothing else.
//! - [`Sources::perform_here`] does one task on the calling thread, which [`runs_tasks`] tells of.

mod crew;
mod driver;
mod engine;
#[cfg(feature = "grpc")]
mod frame;
#[cfg(feature = "grpc")]
mod grant;
mod handle;
mod heap;
mod inline;
#[cfg(feature = "grpc")]
mod link;
#[cfg(feature = "grpc")]
mod near;
#[cfg(feature = "grpc")]
mod outgoing;
#[cfg(feature = "grpc")]
mod peer;
mod peers;
mod planning;
mod plans;
mod pool;
#[cfg(feature = "grpc")]
pub mod process;
#[cfg(feature = "grpc")]
mod run;
#[cfg(feature = "grpc")]
mod serve;
mod source;
mod spill;
mod store;

pub use driver::WorkerError;
pub use engine::{Engine, EngineTask, Grew, Kept, Made, Output, Read, Stopped, install_engine};
pub use handle::{Config, PutError, StartError, WorkerHandle};
pub use heap::give_freed_memory_back;
#[cfg(feature = "grpc")]
pub use link::GrpcLink;
#[cfg(feature = "grpc")]
pub use peer::{CONNECT_TIMEOUT, ChunkClient, STALL_TIMEOUT, TransferError};
pub use peers::{LocalPeers, Missed, Peers, Shelf, Wanted};
pub use pool::{mark_task_thread, runs_tasks, spill_space};
#[cfg(feature = "grpc")]
pub use run::{RunConfig, RunError, run};
#[cfg(feature = "grpc")]
pub use serve::{ChunkService, ServeError, serve_chunks};
pub use source::Sources;
pub use spill::{SpaceFull, Spill, SpillError, SpillSpace};
