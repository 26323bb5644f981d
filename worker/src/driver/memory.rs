//! The memory of the worker's process: what freed chunks may keep of it, and whether it has more than it may have.
//!
//! Owns when that is looked at. Must not know what the state machine makes of it.

use super::Driver;
use crate::heap;
use std::time::{Duration, Instant};
use tilework_plan::Report;
use tilework_plan::quantities::bytes;
use tilework_worker_core::Event;
use tracing::warn;

/// The part of the worker's memory that freed chunks may keep for the next ones, while nobody needs it.
const FREED_PART: usize = 8;
/// And the most bytes of it.
const FREED_BYTES_MAX: usize = 1 << 30;
/// The part of the worker's memory that its process may have beside what is in use before the heap is trimmed.
const HEAP_PART: u64 = 8;
/// How long a worker without anything to do keeps freed chunks, and what its calls have made of a value.
pub(super) const FREED_IDLE: Duration = Duration::from_secs(1);

impl Driver {
    /// Whether the process may have more memory than before, or has too much.
    pub(super) fn is_to_be_weighed(&self) -> bool {
        self.scales.as_ref().is_some_and(|s| s.show_too_much() || !self.running.is_empty())
    }

    /// Tells the state machine what memory the process has beyond what it may have.
    pub(super) fn weigh(&mut self) {
        let Some(scales) = &mut self.scales else { return };
        let had = scales.show_too_much();
        let Some(overweight) = scales.weigh() else { return };
        if overweight > 0 && !had {
            warn!("the process has {} more memory than it may have: one task at a time", bytes(overweight));
            // It takes a while, and nobody waits for it.
            tokio::task::spawn_blocking(heap::trim);
        }
        self.handle([Event::Overweight(overweight)]);
    }

    /// Lets freed chunks keep what is left of the worker's memory, up to a part of it.
    pub(super) fn share_freed(&mut self) {
        let used = self.core.usage();
        if used.running > 0 {
            self.busy_at = Instant::now();
        } else if self.busy_at.elapsed() > FREED_IDLE {
            return self.freed.set(0);
        }
        let left = self.memory_bytes.saturating_sub(usize::try_from(used.bytes()).unwrap_or(usize::MAX));
        self.freed.set(left.min(self.memory_bytes / FREED_PART).min(FREED_BYTES_MAX));
    }
}

/// A sign of life says what memory this process has. Where that is much more than what is in use, what is free goes back.
pub(super) fn with_memory(report: Report, memory_bytes: u64) -> Report {
    match report {
        Report::Alive { bytes_held, bytes_on_disk, .. } => {
            let bytes_resident = heap::bytes_resident().unwrap_or(0);
            if heap::is_kept_small() && bytes_resident > bytes_held + memory_bytes / HEAP_PART {
                // It takes a while, and nobody waits for it.
                tokio::task::spawn_blocking(heap::trim);
            }
            Report::Alive { bytes_held, bytes_on_disk, bytes_resident }
        }
        report => report,
    }
}
