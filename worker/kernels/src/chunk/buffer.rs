//! The memory of chunks: aligned, shared, immutable once full; large pages for large chunks; freed ones kept for the
//! next chunk of the same size, up to a bound. What is not kept goes back to the system at once: a C library keeps what
//! was freed among what was not.
//!
//! Must not know dtypes or shapes.

use std::alloc;
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

/// Owned buffers start at a multiple of this many bytes: a cache line, and the widest vector register.
pub(super) const ALIGN_BYTES: usize = 64;

/// Owned buffers of at least twice this many bytes start at a multiple of it and ask for pages of this size: a buffer
/// that is written once otherwise spends as long in page faults as in its kernel.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Owned buffers of at least this many bytes are mapped apart from all other memory.
const MAPPED_BYTES_MIN: usize = 256 << 10;

enum Owner {
    Heap(alloc::Layout),
    Mapped,
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
        let layout =
            alloc::Layout::from_size_align(len, ALIGN_BYTES).expect("a chunk fits the address space");
        if len >= MAPPED_BYTES_MIN {
            if let Some(ptr) = Freed::lock().take(len) {
                if zero {
                    // SAFETY: a buffer of this length that nobody else refers to.
                    unsafe { ptr.write_bytes(0, len) };
                }
                return Buffer { ptr, len, owner: Owner::Mapped };
            }
            let Some(ptr) = mapped::map(len) else { alloc::handle_alloc_error(layout) };
            return Buffer { ptr, len, owner: Owner::Mapped };
        }
        if len == 0 {
            return Buffer { ptr: dangling(), len, owner: Owner::Heap(layout) };
        }
        // SAFETY: the layout's size is not 0.
        let ptr = unsafe { if zero { alloc::alloc_zeroed(layout) } else { alloc::alloc(layout) } };
        let Some(ptr) = NonNull::new(ptr) else { alloc::handle_alloc_error(layout) };
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
        match self.owner {
            Owner::Heap(layout) if layout.size() > 0 => {
                // SAFETY: allocated in `allocate` with this layout, and freed once.
                unsafe { alloc::dealloc(self.ptr.as_ptr(), layout) }
            }
            Owner::Mapped => Freed::give(self.ptr, self.len),
            Owner::Heap(_) | Owner::Foreign(_) => {}
        }
    }
}

/// Memory of its own for each buffer, from the system and back to it. It is zero at first.
#[cfg(target_os = "linux")]
mod mapped {
    use super::HUGE_PAGE_BYTES;
    use std::ptr::NonNull;

    /// A multiple of a page on every system.
    const PAGE_BYTES: usize = 64 << 10;

    /// At least `len` bytes, from a multiple of a page; none where the system has none.
    pub(super) fn map(len: usize) -> Option<NonNull<u8>> {
        if len < 2 * HUGE_PAGE_BYTES {
            return of_system(len);
        }
        // What lies before the first huge page and behind the last page goes back.
        let whole = len.checked_next_multiple_of(PAGE_BYTES)?;
        let room = whole.checked_add(HUGE_PAGE_BYTES)?;
        let start = of_system(room)?;
        let before = start.as_ptr().align_offset(HUGE_PAGE_BYTES);
        let ptr = NonNull::new(start.as_ptr().wrapping_add(before))?;
        // SAFETY: parts of the mapping that was just made, of which nothing is used yet; the advice changes no content.
        unsafe {
            if before > 0 {
                unmap(start, before);
            }
            if let Some(after) =
                NonNull::new(ptr.as_ptr().wrapping_add(whole)).filter(|_| before < HUGE_PAGE_BYTES)
            {
                unmap(after, room - before - whole);
            }
            let huge = len / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
            libc::madvise(ptr.as_ptr().cast(), huge, libc::MADV_HUGEPAGE);
        }
        Some(ptr)
    }

    fn of_system(len: usize) -> Option<NonNull<u8>> {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the system's choice touches no other memory.
        let ptr = unsafe { libc::mmap(std::ptr::null_mut(), len, access, kind, -1, 0) };
        if ptr == libc::MAP_FAILED { None } else { NonNull::new(ptr.cast()) }
    }

    /// # Safety
    /// Whole pages of a mapping that nobody uses any more.
    unsafe fn unmap(ptr: NonNull<u8>, len: usize) {
        // SAFETY: as the caller promised.
        unsafe { libc::munmap(ptr.as_ptr().cast(), len) };
    }

    /// # Safety
    /// `ptr` came from `map(len)`, and nobody uses it any more.
    pub(super) unsafe fn give_back(ptr: NonNull<u8>, len: usize) {
        let whole = if len < 2 * HUGE_PAGE_BYTES { len } else { len.next_multiple_of(PAGE_BYTES) };
        // SAFETY: as the caller promised; what `map` made of `len` bytes.
        unsafe { unmap(ptr, whole) };
    }
}

/// The same from the allocator, where mappings are made in other ways.
#[cfg(not(target_os = "linux"))]
mod mapped {
    use super::{ALIGN_BYTES, HUGE_PAGE_BYTES};
    use std::alloc::{self, Layout};
    use std::ptr::NonNull;

    fn layout(len: usize) -> Option<Layout> {
        let align = if len >= 2 * HUGE_PAGE_BYTES { HUGE_PAGE_BYTES } else { ALIGN_BYTES };
        Layout::from_size_align(len, align).ok()
    }

    pub(super) fn map(len: usize) -> Option<NonNull<u8>> {
        // SAFETY: no buffer that is mapped is empty.
        NonNull::new(unsafe { alloc::alloc_zeroed(layout(len)?) })
    }

    /// # Safety
    /// `ptr` came from `map(len)`, and nobody uses it any more.
    pub(super) unsafe fn give_back(ptr: NonNull<u8>, len: usize) {
        let layout = layout(len).expect("it was mapped with this layout");
        // SAFETY: as the caller promised.
        unsafe { alloc::dealloc(ptr.as_ptr(), layout) }
    }
}

/// Buffers that were freed and wait to be used again: memory fresh from the system is cleared first, which costs as much
/// as writing it.
struct Freed {
    bytes_max: usize,
    bytes: usize,
    /// By size; each with a number that rises with time, oldest first.
    kept: BTreeMap<usize, VecDeque<(u64, NonNull<u8>)>>,
    n_given: u64,
}

// SAFETY: memory that nobody else refers to.
unsafe impl Send for Freed {}

static FREED: Mutex<Freed> = Mutex::new(Freed { bytes_max: 0, bytes: 0, kept: BTreeMap::new(), n_given: 0 });

impl Freed {
    fn lock() -> std::sync::MutexGuard<'static, Freed> {
        FREED.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A kept buffer of exactly this length, the one that was used last.
    fn take(&mut self, len: usize) -> Option<NonNull<u8>> {
        let of_size = self.kept.get_mut(&len)?;
        let (_, ptr) = of_size.pop_back()?;
        if of_size.is_empty() {
            self.kept.remove(&len);
        }
        self.bytes -= len;
        Some(ptr)
    }

    /// Keeps a mapped buffer that nobody uses any more, in place of older ones if need be, or gives it back.
    fn give(ptr: NonNull<u8>, len: usize) {
        let mut freed = Freed::lock();
        if len <= freed.bytes_max {
            freed.n_given += 1;
            let at = freed.n_given;
            freed.kept.entry(len).or_default().push_back((at, ptr));
            freed.bytes += len;
            freed.shrink();
        } else {
            drop(freed);
            // SAFETY: mapped with this length, kept by nobody, given back once.
            unsafe { mapped::give_back(ptr, len) }
        }
    }

    fn shrink(&mut self) {
        while self.bytes > self.bytes_max {
            let oldest = self.kept.iter().filter_map(|(len, all)| Some((all.front()?.0, *len))).min();
            let (_, len) = oldest.expect("bytes are kept in buffers");
            let of_size = self.kept.get_mut(&len).expect("a size was just found");
            let Some((_, ptr)) = of_size.pop_front() else { continue };
            if of_size.is_empty() {
                self.kept.remove(&len);
            }
            self.bytes -= len;
            // SAFETY: mapped with this length, kept by nobody else, given back once.
            unsafe { mapped::give_back(ptr, len) }
        }
    }
}

/// Memory that freed buffers of at least 256 KiB may go on taking, for chunks of the same size to come. The
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
        let kind = if matches!(self.owner, Owner::Foreign(_)) { "foreign" } else { "owned" };
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
