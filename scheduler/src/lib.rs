//! Internal to tilework: the scheduler's edges: the task that owns the state machine, the handle by which everything
//! reaches it, and the services by which other processes do.
//!
//! Owns connections, numbers of workers and clients, clocks and timers. Must not know chunks' bytes, and must not
//! decide: what to do stands in `tilework-scheduler-core`.
//!
//! - [`SchedulerHandle`] is the transport in one process: sessions are queues of domain messages.
//! - [`grpc`] serves the same over TLS; [`remote`] is a client's end of it.
//! - [`run`] is the whole life of a scheduler process.

mod catalog;
mod driver;
#[cfg(feature = "grpc")]
pub mod grpc;
mod handle;
mod journal;
mod leases;
mod planner;
#[cfg(feature = "grpc")]
pub mod remote;
#[cfg(feature = "grpc")]
mod run;
#[cfg(feature = "grpc")]
mod sessions;
mod transport;
mod works;

pub use handle::{SchedulerHandle, StoppedError};
#[cfg(feature = "grpc")]
pub use run::{Config, RunError, run};
pub use tilework_plan::{
    ClientHello, ClientId, ClientSummary, ClusterState, Hello, JobNumber, JobState, StageCounts,
    WorkerSummary,
};
pub use tilework_proto::{ClientLink, ClientSession, LinkError, WorkerLink, WorkerSession};
pub use tilework_scheduler_core::Limits;
pub use transport::Transport;
