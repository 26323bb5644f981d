//! The memory of chunks: aligned, shared, immutable once full; large pages for large chunks; freed ones kept for the
//! next chunk of the same size, up to a bound.
//!
//! Must not know dtypes or shapes.

use std::alloc;
use std::any::Any;
use std::fmt;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

/// Owned buffers start at a multiple of this many bytes: a cache line, and the widest vector register.
pub(super) const ALIGN_BYTES: usize = 64;

/// Owned buffers of at least twice this many bytes start at a multiple of it and ask for pages of this size: a buffer
/// that is written once otherwise spends as long in page faults as in its kernel.
const HUGE_PAGE_BYTES: usize = 2 << 20;

enum Owner {
    Heap(alloc::Layout),
    Foreign(#[allow(dead_code, reason = "held so that the memory lives")] Arc<dyn Any + Send + Sync>),
}

/// Immutable bytes: owned and 64-byte aligned, or foreign memory that an owner keeps alive.
pub struct Buffer {
    ptr: NonNull<u8>,
    len: usize,
    owner: Owner,
}

// SAFETY: the bytes are never written while a `Buffer` exists, and the owner is Send + Sync.
unsafe impl Send for Buffer {}
// SAFETY: as above; shared reads only.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `len` zero bytes to write into.
    #[must_use]
    pub fn zeroed(len: usize) -> BufferMut {
        BufferMut { buffer: Buffer::allocate(len, true) }
    }

    /// `len` bytes of unknown content to write into.
    #[must_use]
    pub fn uninit(len: usize) -> UninitBuffer {
        UninitBuffer { buffer: Buffer::allocate(len, false) }
    }

    /// A copy of these bytes.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Buffer {
        let mut buffer = Buffer::uninit(bytes.len());
        // SAFETY: both are `len` bytes long and do not overlap; all bytes are then written.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.as_mut_ptr(), bytes.len());
            buffer.assume_init().freeze()
        }
    }

    /// Memory that belongs to someone else, without a copy.
    ///
    /// # Safety
    /// `ptr..ptr + len` must be initialised, readable, and written by nobody while `owner` or a clone of it lives.
    #[must_use]
    pub unsafe fn foreign(ptr: *const u8, len: usize, owner: Arc<dyn Any + Send + Sync>) -> Buffer {
        let ptr = NonNull::new(ptr.cast_mut()).unwrap_or_else(dangling);
        Buffer { ptr, len, owner: Owner::Foreign(owner) }
    }

    fn allocate(len: usize, zero: bool) -> Buffer {
        let align = if len >= 2 * HUGE_PAGE_BYTES { HUGE_PAGE_BYTES } else { ALIGN_BYTES };
        let layout = alloc::Layout::from_size_align(len, align).expect("a chunk fits the address space");
        if len == 0 {
            return Buffer { ptr: dangling(), len, owner: Owner::Heap(layout) };
        }
        if align == HUGE_PAGE_BYTES
            && let Some(ptr) = Freed::lock().take(len)
        {
            if zero {
                // SAFETY: a buffer of this length that nobody else refers to.
                unsafe { ptr.write_bytes(0, len) };
            }
            return Buffer { ptr, len, owner: Owner::Heap(layout) };
        }
        // SAFETY: the layout's size is not 0.
        let ptr = unsafe { if zero { alloc::alloc_zeroed(layout) } else { alloc::alloc(layout) } };
        let Some(ptr) = NonNull::new(ptr) else { alloc::handle_alloc_error(layout) };
        #[cfg(target_os = "linux")]
        if align == HUGE_PAGE_BYTES {
            // SAFETY: whole huge pages within the allocation; this is advice and leaves their content alone.
            unsafe { libc::madvise(ptr.as_ptr().cast(), len / align * align, libc::MADV_HUGEPAGE) };
        }
        Buffer { ptr, len, owner: Owner::Heap(layout) }
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: `ptr..ptr + len` is initialised and not written while `self` lives.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }

    /// Where the bytes are.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.ptr.as_ptr()
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

fn dangling() -> NonNull<u8> {
    NonNull::new(std::ptr::without_provenance_mut(ALIGN_BYTES)).expect("64 is not 0")
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Owner::Heap(layout) = self.owner
            && layout.size() > 0
        {
            if layout.align() == HUGE_PAGE_BYTES && Freed::lock().keep(self.ptr, layout) {
                return;
            }
            // SAFETY: allocated in `allocate` with this layout, and freed once.
            unsafe { alloc::dealloc(self.ptr.as_ptr(), layout) }
        }
    }
}

/// Large buffers that were freed and wait to be used again: memory fresh from the system is cleared first, which
/// costs as much as writing it.
struct Freed {
    bytes_max: usize,
    bytes: usize,
    /// Oldest first.
    kept: Vec<(NonNull<u8>, alloc::Layout)>,
}

// SAFETY: memory that nobody else refers to.
unsafe impl Send for Freed {}

static FREED: Mutex<Freed> = Mutex::new(Freed { bytes_max: 0, bytes: 0, kept: Vec::new() });

impl Freed {
    fn lock() -> std::sync::MutexGuard<'static, Freed> {
        FREED.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A kept buffer of exactly this length.
    fn take(&mut self, len: usize) -> Option<NonNull<u8>> {
        let at = self.kept.iter().rposition(|(_, l)| l.size() == len)?;
        self.bytes -= len;
        Some(self.kept.remove(at).0)
    }

    /// Keeps a buffer, in place of older ones if need be; `false` where it is larger than the bound.
    fn keep(&mut self, ptr: NonNull<u8>, layout: alloc::Layout) -> bool {
        if layout.size() > self.bytes_max {
            return false;
        }
        self.kept.push((ptr, layout));
        self.bytes += layout.size();
        self.shrink();
        true
    }

    fn shrink(&mut self) {
        while self.bytes > self.bytes_max {
            let (ptr, layout) = self.kept.remove(0);
            self.bytes -= layout.size();
            // SAFETY: allocated with this layout, kept by nobody else, freed once.
            unsafe { alloc::dealloc(ptr.as_ptr(), layout) }
        }
    }
}

/// Memory that freed large buffers (of at least 4 MiB) may go on taking, for chunks of the same size to come. The
/// process keeps as many bytes as all shares say together; without any, all are given back at once. Whoever bounds
/// this process' memory counts a share as used.
#[derive(Debug, Default)]
pub struct FreedShare {
    bytes: usize,
}

impl FreedShare {
    /// Makes the share this large. What is kept above the bound goes back to the system, oldest first.
    pub fn set(&mut self, bytes: usize) {
        if bytes == self.bytes {
            return;
        }
        let mut freed = Freed::lock();
        freed.bytes_max = freed.bytes_max - self.bytes + bytes;
        freed.shrink();
        self.bytes = bytes;
    }
}

impl Drop for FreedShare {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if matches!(self.owner, Owner::Heap(_)) { "owned" } else { "foreign" };
        write!(f, "Buffer({kind}, {} bytes)", self.len)
    }
}

/// Bytes that only their holder sees, to be written and then frozen.
#[derive(Debug)]
pub struct BufferMut {
    buffer: Buffer,
}

impl BufferMut {
    /// The bytes.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: initialised, and `self` is the only holder.
        unsafe { std::slice::from_raw_parts_mut(self.buffer.ptr.as_ptr(), self.buffer.len) }
    }

    /// The bytes, from now on immutable.
    #[must_use]
    pub fn freeze(self) -> Buffer {
        self.buffer
    }
}

/// Bytes of unknown content that only their holder sees.
#[derive(Debug)]
pub struct UninitBuffer {
    buffer: Buffer,
}

impl UninitBuffer {
    /// Where the bytes are; valid for writes of the buffer's length.
    #[must_use]
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.buffer.ptr.as_ptr()
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.len == 0
    }

    /// The buffer, now that it is full.
    ///
    /// # Safety
    /// Every byte must have been written.
    #[must_use]
    pub unsafe fn assume_init(self) -> BufferMut {
        BufferMut { buffer: self.buffer }
    }
}
