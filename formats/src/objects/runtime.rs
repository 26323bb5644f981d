//! The threads on which requests run.
//!
//! Must not know what is asked of whom.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, sync_channel};
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads that send requests and take the answers: encryption is what they do.
const N_THREADS: usize = 2;

/// The runtime of all requests of this process.
pub(super) fn handle() -> &'static Handle {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        let builder = builder.worker_threads(N_THREADS).thread_name("tilework-objects").enable_all();
        builder.build().expect("two threads can be started")
    });
    runtime.handle()
}

/// Begins a future on the runtime of requests; its answer comes to whoever waits, on any thread but that runtime's own.
///
/// # Panics
/// Where the system gives no threads.
pub fn begin<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = sync_channel(1);
    handle().spawn(async move {
        // Who has stopped waiting does not mind.
        let _ = sender.send(future.await);
    });
    receiver
}

/// The same, waited for.
pub(super) fn block_on<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    begin(future).recv().expect("a request does not panic")
}
