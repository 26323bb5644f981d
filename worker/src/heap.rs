//! The memory of this process, and the C library's heap in it, in which functions of the user's have their arrays.
//!
//! Owns how the heap gives memory back. Must not know chunks, which have memory of their own.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process' heap is to be kept small.
static KEPT_SMALL: AtomicBool = AtomicBool::new(false);
/// Whether this process is a worker and nothing else.
static OWN_PROCESS: AtomicBool = AtomicBool::new(false);

/// Has the C library give freed allocations back to the system, in all of this process: one that is a worker's own, or
/// whose memory was limited to so many bytes. The library would otherwise keep gigabytes of them, between those that are
/// in use.
pub fn give_freed_memory_back(memory_bytes: u64) {
    library::set_thresholds(memory_bytes);
    KEPT_SMALL.store(true, Ordering::Relaxed);
}

/// Whether this process' heap is to be kept small.
pub(crate) fn is_kept_small() -> bool {
    KEPT_SMALL.load(Ordering::Relaxed)
}

/// Says that this process is a worker and nothing else: all of its memory is the worker's.
#[cfg(feature = "grpc")]
pub(crate) fn is_all_of_a_worker() {
    OWN_PROCESS.store(true, Ordering::Relaxed);
}

/// What the process of a worker may have beyond what chunks and tasks may take: what it had before there were any, and what
/// the heap keeps between them.
#[derive(Debug)]
pub(crate) struct Scales {
    may_have: u64,
    /// What it had too much when it was weighed last.
    overweight: u64,
}

impl Scales {
    /// What the heap may keep, bytes: this part of the memory that may be used, and no less than that.
    const SLACK: (u64, u64) = (16, 64 << 20);

    /// Of a worker that begins; absent where others share its process.
    pub(crate) fn of(memory_bytes: u64) -> Option<Scales> {
        let bare = bytes_resident().filter(|_| OWN_PROCESS.load(Ordering::Relaxed))?;
        let (part, least) = Scales::SLACK;
        let slack = (memory_bytes / part).max(least);
        Some(Scales { may_have: memory_bytes.saturating_add(bare).saturating_add(slack), overweight: 0 })
    }

    /// What the process has too much now, where that is more than nothing, or was.
    pub(crate) fn weigh(&mut self) -> Option<u64> {
        let overweight = bytes_resident()?.saturating_sub(self.may_have);
        let before = std::mem::replace(&mut self.overweight, overweight);
        (before > 0 || overweight > 0).then_some(overweight)
    }

    /// Whether it had too much when it was weighed last.
    pub(crate) fn show_too_much(&self) -> bool {
        self.overweight > 0
    }
}

/// Gives back what is free in the heap.
pub(crate) fn trim() {
    library::trim();
}

/// The memory of this process that is in use, by Linux's count.
pub(crate) fn bytes_resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    kib.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod library {
    /// Allocations of this part of the memory that may be used are mapped on their own, and go back when they are freed;
    /// no more than that part stays free at the end of the heap. Less would cost time: what is mapped anew for each task
    /// costs as much as a light function.
    const PART: u64 = 64;
    /// The least and the most of the former, bytes: the latter is what the library would come to by itself.
    const MAPPED_BYTES: (u64, u64) = (256 << 10, 32 << 20);
    /// The same of the latter.
    const KEPT_BYTES: (u64, u64) = (1 << 20, 64 << 20);

    pub(super) fn set_thresholds(memory_bytes: u64) {
        let part = |(least, most)| (memory_bytes / PART).clamp(least, most) as libc::c_int;
        // SAFETY: plain numbers; a value that the library does not take changes nothing.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, part(MAPPED_BYTES));
            libc::mallopt(libc::M_TRIM_THRESHOLD, part(KEPT_BYTES));
        }
    }

    pub(super) fn trim() {
        // SAFETY: it touches nothing that is in use.
        unsafe {
            libc::malloc_trim(0);
        }
    }
}

/// Other libraries are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod library {
    pub(super) fn set_thresholds(_: u64) {}

    pub(super) fn trim() {}
}
