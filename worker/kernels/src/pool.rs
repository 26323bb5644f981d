//! What kernels share to run on several threads: pointers that may cross threads, scratch memory that each thread
//! keeps, when parts of a task are worth other threads, and the flag that stops a task.
//!
//! Must not know arithmetic or chunks.

use crate::KernelError;
use crate::chunk::{Buffer, UninitBuffer};
use rayon::prelude::*;
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};

/// A pointer into memory of which threads write disjoint parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendPtr(*mut u8);

// SAFETY: a plain address; whoever dereferences it promises that the parts are disjoint.
unsafe impl Send for SendPtr {}
// SAFETY: as above.
unsafe impl Sync for SendPtr {}

impl SendPtr {
    pub(crate) fn new(ptr: *mut u8) -> SendPtr {
        SendPtr(ptr)
    }

    pub(crate) fn get(self) -> *mut u8 {
        self.0
    }

    pub(crate) fn offset(self, bytes: isize) -> SendPtr {
        SendPtr(self.0.wrapping_offset(bytes))
    }

    pub(crate) fn add(self, bytes: usize) -> *mut u8 {
        self.0.wrapping_add(bytes)
    }
}

/// The most scratch memory that a thread keeps between uses.
const KEPT_BYTES: usize = 8 << 20;

thread_local! {
    static SCRATCH: RefCell<Vec<UninitBuffer>> = const { RefCell::new(Vec::new()) };
}

/// Aligned memory of at least `bytes` bytes for the time of a call. Calls may nest.
pub(crate) fn with_scratch<R>(bytes: usize, f: impl FnOnce(*mut u8) -> R) -> R {
    let kept = SCRATCH.with(|s| s.borrow_mut().pop());
    let mut buffer = match kept {
        Some(b) if b.len() >= bytes => b,
        _ => Buffer::uninit(bytes.next_multiple_of(4096)),
    };
    let result = f(buffer.as_mut_ptr());
    if buffer.len() <= KEPT_BYTES {
        SCRATCH.with(|s| {
            let mut kept = s.borrow_mut();
            if kept.len() < 2 {
                kept.push(buffer);
            }
        });
    }
    result
}

/// Elements of a task below which its parts are not shared among threads.
pub(crate) const SHARED_MIN: usize = 64 << 10;

thread_local! {
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Calls `f`, during which kernels on this thread share no work with others. A thread of a pool that waits for others
/// does other work of the pool meanwhile, which may need what the caller of `f` holds: a lock, a value that is being
/// made.
pub fn alone<R>(f: impl FnOnce() -> R) -> R {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }
    let _before = Before(ALONE.replace(true));
    f()
}

/// Calls both, on two threads of the pool where that is allowed.
pub(crate) fn join<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    if ALONE.get() { (a(), b()) } else { rayon::join(a, b) }
}

/// Calls `f` with `0..n`, the parts of work over so many elements: on the threads of the pool, or on this one alone
/// where that is little. So a caller that must not wait for the pool can have small work done.
///
/// # Errors
/// As `f`.
pub(crate) fn for_each(
    n: usize,
    elements: usize,
    f: impl Fn(usize) -> Result<(), KernelError> + Send + Sync,
) -> Result<(), KernelError> {
    if elements <= SHARED_MIN || ALONE.get() {
        (0..n).try_for_each(f)
    } else {
        (0..n).into_par_iter().try_for_each(f)
    }
}

/// `Err` once the task has been told to stop.
pub(crate) fn check(stop: &AtomicBool) -> Result<(), KernelError> {
    if stop.load(Ordering::Relaxed) { Err(KernelError::Stopped) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    #[test]
    fn alone_nothing_is_shared() {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        let seen = Mutex::new(BTreeSet::new());
        let note = || {
            seen.lock().unwrap().insert(rayon::current_thread_index());
            std::hint::black_box((0..1000).fold(0u64, |sum, x| sum.wrapping_mul(31) + x));
        };
        threads
            .install(|| {
                alone(|| {
                    for_each(2000, usize::MAX, |_| {
                        join(note, note);
                        Ok(())
                    })
                })
            })
            .unwrap();
        assert_eq!(seen.lock().unwrap().len(), 1);
        assert!(!ALONE.get());
    }
}
