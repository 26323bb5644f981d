//! The C library's heap, in which functions of the user's have their arrays.
//!
//! Owns how it gives memory back. Must not know chunks, which have memory of their own.

use std::sync::atomic::{AtomicBool, Ordering};

/// Allocations of this part of the memory that may be used are mapped on their own, and go back when they are freed. Less
/// would cost time: what is mapped anew for each task costs as much as a light function.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MMAP_PART: u64 = 64;
/// The least and the most of that, bytes: the latter is what the library would come to by itself.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MMAP_BYTES: (u64, u64) = (256 << 10, 32 << 20);
/// The same for free bytes at the end of the heap that are kept.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const TRIM_PART: u64 = 64;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const TRIM_BYTES: (u64, u64) = (1 << 20, 64 << 20);

/// Whether this process' heap is to be kept small.
static KEPT_SMALL: AtomicBool = AtomicBool::new(false);

/// Has the C library give freed allocations back to the system, in all of this process: one that is a worker's own, or
/// whose memory was limited to so many bytes. The library would otherwise keep gigabytes of them, between those that are in use.
#[cfg_attr(
    not(all(target_os = "linux", target_env = "gnu")),
    allow(unused_variables, reason = "for that library")
)]
pub fn give_freed_memory_back(memory_bytes: u64) {
    KEPT_SMALL.store(true, Ordering::Relaxed);
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    let (map_from, keep) = {
        let map_from = (memory_bytes / MMAP_PART).clamp(MMAP_BYTES.0, MMAP_BYTES.1);
        (map_from as libc::c_int, (memory_bytes / TRIM_PART).clamp(TRIM_BYTES.0, TRIM_BYTES.1) as libc::c_int)
    };
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: plain numbers; a value that the library does not take changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, map_from);
        libc::mallopt(libc::M_TRIM_THRESHOLD, keep);
    }
}

/// Gives back what is free in the heap, where it is to be kept small.
pub(crate) fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if KEPT_SMALL.load(Ordering::Relaxed) {
        // SAFETY: it touches nothing that is in use.
        unsafe {
            libc::malloc_trim(0);
        }
    }
}
