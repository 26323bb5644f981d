//! Chunks of other processes of this machine and user, read straight from their memory: one copy and no network.
//!
//! Both sides speak over the chunk service, with its TLS and its token: the holder says where a chunk lies and keeps
//! it there while the call lasts. The system lets the reader read where both are of one user; where it does not, the
//! chunk goes over the network.
//!
//! Owns the reading. Must not know calls or connections.

use std::io;
use std::sync::OnceLock;
use std::time::Duration;
use tilework_kernels::{Chunk, ChunkWriter, Plane};
use tilework_proto::wire::PlaneMemory;

/// Chunks below this many bytes are sent in the reply: two messages cost more than the copies.
pub(crate) const BYTES_MIN: usize = 64 << 10;
/// Planes whose neighbouring elements lie in shorter runs than this many bytes are made contiguous before.
const RUN_BYTES_MIN: usize = 256;
/// How long a holder keeps a chunk in its place for a reader, at least.
pub(crate) const HOLD: Duration = Duration::from_secs(60);
/// How long a reader takes at most: the rest of [`HOLD`] is for messages on their way.
pub(crate) const READ_MAX: Duration = Duration::from_secs(30);
/// Places that are read by one call of the system.
#[cfg(target_os = "linux")]
const RUNS_MAX: usize = 512;
/// Bytes of one such place.
#[cfg(target_os = "linux")]
const RUN_BYTES_MAX: usize = 256 << 20;

/// This machine since its start, process space and user, in words that no other has; none where memory of other
/// processes cannot be read.
pub(crate) fn here() -> Option<&'static str> {
    static HERE: OnceLock<Option<String>> = OnceLock::new();
    HERE.get_or_init(find_here).as_deref()
}

#[cfg(target_os = "linux")]
fn find_here() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = |name: &str| std::fs::read_link(format!("/proc/self/ns/{name}")).ok();
    let (processes, users) = (space("pid")?, space("user")?);
    let user = rustix::process::geteuid();
    Some(format!("{} {} {} {}", boot.trim(), processes.display(), users.display(), user.as_raw()))
}

#[cfg(not(target_os = "linux"))]
fn find_here() -> Option<String> {
    None
}

/// Lets the siblings of this process read its memory on systems that otherwise allow only ancestors to (Yama).
pub(crate) fn allow_siblings() {
    #[cfg(target_os = "linux")]
    if let Some(parent) = rustix::process::getppid() {
        // Err: the system knows no such option, and needs none.
        let _ = rustix::process::set_ptracer(rustix::process::PTracer::ProcessID(parent));
    }
}

/// Whether a plane can be read where it lies.
pub(crate) fn is_readable(plane: &Plane) -> bool {
    plane.is_empty() || split(plane.shape(), &strides_of(plane), plane.dtype().size()).0 >= RUN_BYTES_MIN
}

/// Where a chunk's planes lie in this process.
pub(crate) fn memory_of(chunk: &Chunk) -> Vec<PlaneMemory> {
    let place =
        |p: &Plane| PlaneMemory { address: p.as_ptr().expose_provenance() as u64, strides: strides_of(p) };
    chunk.planes.iter().map(place).collect()
}

fn strides_of(plane: &Plane) -> Vec<i64> {
    plane.strides().iter().map(|&s| s as i64 * plane.dtype().size() as i64).collect()
}

/// The bytes that lie together, and how many leading axes lead from one such run to the next.
fn split(shape: &[usize], strides: &[i64], itemsize: usize) -> (usize, usize) {
    let (mut run, mut axes) = (itemsize, shape.len());
    while axes > 0 && (shape[axes - 1] == 1 || strides[axes - 1] == run as i64) {
        axes -= 1;
        run *= shape[axes];
    }
    (run, axes)
}

/// Reads a chunk from another process. Its memory is only read; what is written is as large as `writer` says.
///
/// # Errors
/// Where the system does not allow it (`PermissionDenied`, `Unsupported`), the process is gone or has no such memory.
pub(crate) fn read(process: u32, memory: &[PlaneMemory], writer: ChunkWriter) -> io::Result<Chunk> {
    let (shape, sizes) = (writer.shape().to_vec(), writer.item_sizes());
    if memory.len() != sizes.len() || memory.iter().any(|m| m.strides.len() != shape.len()) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the places do not fit the planes"));
    }
    let process = i32::try_from(process).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let plane = |i: usize, to: *mut u8, bytes: usize| {
        if bytes == 0 {
            return Ok(());
        }
        let (run, axes) = split(&shape, &memory[i].strides, sizes[i]);
        let runs = Runs::new(memory[i].address, &shape[..axes], &memory[i].strides[..axes]);
        // SAFETY: promised by the writer; the runs are as many bytes as the plane has.
        unsafe { read_runs(process, runs, run, to) }
    };
    // SAFETY: `read_runs` has written everything where it returns `Ok`.
    unsafe { writer.fill(plane) }
}

/// The addresses of all runs, in row-major order.
struct Runs<'a> {
    shape: &'a [usize],
    strides: &'a [i64],
    at: Vec<usize>,
    next: Option<u64>,
}

impl<'a> Runs<'a> {
    fn new(address: u64, shape: &'a [usize], strides: &'a [i64]) -> Runs<'a> {
        Runs { shape, strides, at: vec![0; shape.len()], next: Some(address) }
    }
}

impl Iterator for Runs<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let address = self.next?;
        let mut following = address;
        self.next = None;
        for axis in (0..self.shape.len()).rev() {
            self.at[axis] += 1;
            following = following.wrapping_add_signed(self.strides[axis]);
            if self.at[axis] < self.shape[axis] {
                self.next = Some(following);
                break;
            }
            following = following.wrapping_add_signed(-self.strides[axis] * self.shape[axis] as i64);
            self.at[axis] = 0;
        }
        Some(address)
    }
}

/// # Safety
/// Room for all the runs' bytes at `to`.
#[cfg(target_os = "linux")]
unsafe fn read_runs(process: i32, runs: Runs<'_>, run: usize, mut to: *mut u8) -> io::Result<()> {
    let pieces = runs.flat_map(|address| {
        let starts = (0..run).step_by(RUN_BYTES_MAX);
        starts.map(move |at| libc::iovec {
            iov_base: std::ptr::with_exposed_provenance_mut(address as usize + at),
            iov_len: RUN_BYTES_MAX.min(run - at),
        })
    });
    let mut pieces = pieces.peekable();
    let mut remote = Vec::with_capacity(RUNS_MAX);
    while pieces.peek().is_some() {
        remote.clear();
        let mut bytes = 0;
        while let Some(piece) =
            pieces.next_if(|p| remote.len() < RUNS_MAX && bytes + p.iov_len <= RUN_BYTES_MAX)
        {
            bytes += piece.iov_len;
            remote.push(piece);
        }
        let local = libc::iovec { iov_base: to.cast(), iov_len: bytes };
        // SAFETY: `to` has room for these bytes, as the caller promised; the other process' memory is only read.
        let got = unsafe {
            libc::process_vm_readv(process, &raw const local, 1, remote.as_ptr(), remote.len() as u64, 0)
        };
        if got < 0 {
            return Err(io::Error::last_os_error());
        }
        if got as usize != bytes {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the other process has no such memory"));
        }
        to = to.wrapping_add(bytes);
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
unsafe fn read_runs(_: i32, _: Runs<'_>, _: usize, _: *mut u8) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether an error says that this way is closed for good.
pub(crate) fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
        || error.raw_os_error().is_some_and(|code| code == libc::ENOSYS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilework_expr::DType;

    fn copy(chunk: &Chunk) -> io::Result<Chunk> {
        let dtypes: Vec<DType> = chunk.planes.iter().map(Plane::dtype).collect();
        let writer = ChunkWriter::new(&dtypes, chunk.planes[0].shape()).unwrap();
        read(std::process::id(), &memory_of(chunk), writer)
    }

    fn bytes(chunk: &Chunk) -> Vec<Vec<u8>> {
        chunk.planes.iter().map(|p| p.to_contiguous().contiguous_bytes().unwrap().to_vec()).collect()
    }

    #[test]
    fn chunks_and_boxes_are_read_as_they_are() {
        assert!(here().is_some());
        let data: Vec<u8> = (0..3 * 700 * 5 * 9u32).map(|i| (i * 7 % 251) as u8).collect();
        let chunk = Chunk::from_bytes(&[DType::F64, DType::Bool], &[3, 700, 5], &data).unwrap();
        let boxes = [
            vec![0..3, 0..700, 0..5],
            vec![1..3, 13..690, 0..5],
            vec![0..3, 0..700, 2..3],
            vec![0..3, 5..5, 0..5],
        ];
        for region in boxes {
            let part = chunk.slice(&region);
            assert_eq!(bytes(&copy(&part).unwrap()), bytes(&part), "{region:?}");
        }
        assert!(is_readable(&chunk.planes[0]) && !is_readable(&chunk.slice(&[0..3, 0..700, 2..3]).planes[0]));
    }

    #[test]
    fn memory_that_is_not_there_is_an_error() {
        let writer = || ChunkWriter::new(&[DType::U8], &[100]).unwrap();
        let place = |address, n| vec![PlaneMemory { address, strides: vec![1] }; n];
        for (process, memory) in [
            (std::process::id(), place(8, 1)),
            (u32::MAX, place(8, 1)),
            (i32::MAX as u32, place(8, 1)),
            (std::process::id(), place(8, 2)),
            (std::process::id(), vec![PlaneMemory { address: 8, strides: vec![] }]),
        ] {
            assert!(!is_closed(&read(process, &memory, writer()).unwrap_err()));
        }
    }
}
