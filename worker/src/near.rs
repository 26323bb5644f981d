//! Chunks of other processes of this machine and user, read straight from their memory: one copy and no network.
//!
//! Both sides speak over the chunk service, with its TLS and its token: the holder says where a chunk lies and keeps
//! it there while the call lasts, and that it may be read (see [`crate::grant`]). The system lets the reader read where
//! both are of one user; where it does not, the chunk goes over the network.
//!
//! Owns the reading. Must not know calls or connections.

use crate::grant;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;
use tilework_kernels::{Chunk, ChunkWriter, Plane};
use tilework_proto::wire::{ChunkHeader, PlaneMemory};

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
    let users = std::fs::read_link("/proc/self/ns/user").ok()?;
    let user = rustix::process::geteuid();
    Some(format!("{} {} {}", tilework_cluster::who::machine()?, users.display(), user.as_raw()))
}

#[cfg(not(target_os = "linux"))]
fn find_here() -> Option<String> {
    None
}

/// A chunk in the memory of another process.
#[derive(Debug)]
pub(crate) struct Place {
    /// The machine, process space and user of that process, in its own words.
    pub host: String,
    process: u32,
    /// Where it says that the chunk may be read.
    grant: u64,
    memory: Vec<PlaneMemory>,
}

impl Place {
    /// The place that a header names, where no data follow it.
    pub(crate) fn of(header: &mut ChunkHeader) -> Option<Place> {
        let memory = std::mem::take(&mut header.memory);
        let (host, process, grant) = (std::mem::take(&mut header.host), header.process, header.grant);
        (!memory.is_empty()).then_some(Place { host, process, grant, memory })
    }
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

/// Reads a chunk from another process, if that has granted it. Its memory is only read; what is written is as large as
/// `writer` says.
///
/// # Errors
/// Where the system does not allow it (`PermissionDenied`, `Unsupported`), the process does not (`InvalidData`), or it is
/// gone or has no such memory.
pub(crate) fn read(place: &Place, writer: ChunkWriter) -> io::Result<Chunk> {
    let (shape, sizes) = (writer.shape().to_vec(), writer.item_sizes());
    let memory = &place.memory;
    let invalid = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    if memory.len() != sizes.len() || memory.iter().any(|m| m.strides.len() != shape.len()) {
        return Err(invalid("the places do not fit the planes"));
    }
    let process = i32::try_from(place.process).map_err(|_| invalid("no such process"))?;
    let spans = memory.iter().zip(&sizes).map(|(m, &size)| grant::span(m.address, &shape, &m.strides, size));
    let spans: Vec<_> = spans.collect::<Option<_>>().ok_or_else(|| invalid("no such memory"))?;
    let runs = memory.iter().zip(&sizes).map(|(m, &size)| split(&shape, &m.strides, size).0);
    if !shape.contains(&0) && runs.min().is_some_and(|run| run < RUN_BYTES_MIN) {
        return Err(invalid("a chunk in too many pieces"));
    }
    grant::check(process, place.grant, &spans)?;
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
            let back = self.strides[axis].wrapping_mul(self.shape[axis] as i64);
            following = following.wrapping_sub(back as u64);
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
    use crate::grant::Grant;
    use tilework_expr::DType;

    fn copy(chunk: &Chunk) -> io::Result<Chunk> {
        let dtypes: Vec<DType> = chunk.planes.iter().map(Plane::dtype).collect();
        let writer = ChunkWriter::new(&dtypes, chunk.planes[0].shape()).unwrap();
        let grant = Grant::of(chunk, grant::nonce().unwrap()).unwrap();
        read(&place(std::process::id(), grant.address(), memory_of(chunk)), writer)
    }

    fn place(process: u32, grant: u64, memory: Vec<PlaneMemory>) -> Place {
        Place { host: String::new(), process, grant, memory }
    }

    fn bytes(chunk: &Chunk) -> Vec<Vec<u8>> {
        chunk.planes.iter().map(|p| p.to_contiguous().contiguous_bytes().unwrap().to_vec()).collect()
    }

    #[test]
    fn chunks_and_boxes_are_read_as_they_are() {
        assert!(here().is_some());
        let data: Vec<u8> = (0..3 * 700 * 5 * 9u32).map(|i| (i * 7 % 251) as u8).collect();
        let chunk = Chunk::from_bytes(&[DType::F64, DType::Bool], &[3, 700, 5], &data).unwrap();
        let boxes = [vec![0..3, 0..700, 0..5], vec![1..3, 13..690, 0..5], vec![0..3, 5..5, 0..5]];
        for region in boxes {
            let part = chunk.slice(&region);
            assert_eq!(bytes(&copy(&part).unwrap()), bytes(&part), "{region:?}");
        }
        // Pieces too short to be read one by one are neither offered nor read.
        let scattered = chunk.slice(&[0..3, 0..700, 2..3]);
        assert!(is_readable(&chunk.planes[0]) && !is_readable(&scattered.planes[0]));
        assert_eq!(copy(&scattered).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn memory_that_is_not_there_or_not_granted_is_an_error() {
        let chunk = Chunk::from_bytes(&[DType::U8], &[1000], &[3; 1000]).unwrap();
        let grant = Grant::of(&chunk, grant::nonce().unwrap()).unwrap();
        let (good, at) = (memory_of(&chunk), grant.address());
        let writer = || ChunkWriter::new(&[DType::U8], &[1000]).unwrap();
        let ours = std::process::id();
        assert_eq!(bytes(&read(&place(ours, at, good.clone()), writer()).unwrap()), bytes(&chunk));
        let moved = |by: i64, stride| {
            vec![PlaneMemory { address: good[0].address.wrapping_add_signed(by), strides: vec![stride] }]
        };
        for (process, grant, memory) in [
            (ours, at, moved(1, 1)),
            (ours, at, moved(-1, 1)),
            (ours, at, moved(0, 2)),
            (ours, at, moved(0, i64::MIN)),
            (ours, at, moved(i64::MIN, i64::MAX)),
            (ours, at, [good.clone(), good.clone()].concat()),
            (ours, at, vec![PlaneMemory { address: good[0].address, strides: vec![] }]),
            (ours, 8, good.clone()),
            (u32::MAX, at, good.clone()),
            (i32::MAX as u32, at, good.clone()),
        ] {
            assert!(!is_closed(&read(&place(process, grant, memory), writer()).unwrap_err()));
        }
        drop(grant);
        let error = read(&place(ours, at, good), writer()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
