//! The memory that a task may take: exactly its grant, shared fairly by the operators that can spill. Must not know of
//! tasks.

use crate::error::TaskError;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A pool that remembers the most that was taken and what it refused last.
#[derive(Debug)]
pub(crate) struct GrantPool {
    inner: FairSpillPool,
    grant_bytes: usize,
    peak_bytes: AtomicUsize,
    refused: Mutex<Option<Refused>>,
}

#[derive(Debug, Clone)]
struct Refused {
    consumer: String,
    asked_bytes: usize,
    held_bytes: usize,
}

impl GrantPool {
    pub(crate) fn new(grant_bytes: usize) -> GrantPool {
        let (peak_bytes, refused) = (AtomicUsize::new(0), Mutex::new(None));
        GrantPool { inner: FairSpillPool::new(grant_bytes), grant_bytes, peak_bytes, refused }
    }

    pub(crate) fn grant_bytes(&self) -> usize {
        self.grant_bytes
    }

    /// The most that was taken at once.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.peak_bytes.load(Ordering::Relaxed) as u64
    }

    /// The error of a task that failed because the grant was too small.
    pub(crate) fn error(&self, reason: String) -> TaskError {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (consumer, asked, held) = refused.map_or_else(
            || ("an operator".to_owned(), 0, self.inner.reserved()),
            |r| (r.consumer, r.asked_bytes, r.held_bytes),
        );
        TaskError::Memory {
            consumer,
            asked_bytes: asked as u64,
            held_bytes: held as u64,
            grant_bytes: self.grant_bytes as u64,
            reason,
        }
    }

    fn took(&self) {
        self.peak_bytes.fetch_max(self.inner.reserved(), Ordering::Relaxed);
    }
}

impl MemoryPool for GrantPool {
    fn name(&self) -> &str {
        "grant"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.inner.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.inner.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.inner.grow(reservation, additional);
        self.took();
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.inner.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        match self.inner.try_grow(reservation, additional) {
            Ok(()) => {
                self.took();
                Ok(())
            }
            Err(error) => {
                let refused = Refused {
                    consumer: reservation.consumer().name().to_owned(),
                    asked_bytes: additional,
                    held_bytes: self.inner.reserved(),
                };
                *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
                Err(error)
            }
        }
    }

    fn reserved(&self) -> usize {
        self.inner.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.inner.memory_limit()
    }
}

impl fmt::Display for GrantPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "grant of {} bytes", self.grant_bytes)
    }
}
