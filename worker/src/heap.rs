//! The C library's heap, in which functions of the user's have their arrays.
//!
//! Owns how it gives memory back. Must not know chunks, which have memory of their own.

/// Allocations of at least this many bytes, such as the arrays of functions of the user's, are mapped on their own.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MMAP_THRESHOLD_BYTES: libc::c_int = 256 << 10;

/// Has the C library give large freed allocations back to the system at once, in all of this process: one that is a
/// worker's own, or whose memory was limited. It would otherwise take the size of what was freed for one to keep memory
/// for, and hold on to gigabytes.
pub fn give_freed_memory_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: plain numbers; a value that the library does not take changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES);
    }
}
