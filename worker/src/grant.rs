//! What this process lets others read of its memory, written where they see that it is this process which lets them.
//!
//! A reader reads with its own rights, so whoever names a process and an address could have it read whatever belongs to
//! its user. Therefore the owner of a chunk that is read in its place writes into its own memory what may be read, and by
//! whom: the reader's nonce, and the first and last byte of each plane. Before a reader reads anything else it looks
//! there. A peer that names another process has nothing to point at: the table lies in the data of an executable, and
//! what comes over the network is put on the heap.
//!
//! Owns the table and its check. Must not know chunks' transfers.

use std::io;
use std::ops::Range;
use std::sync::OnceLock;
use tilework_kernels::{Chunk, Plane};
use tilework_proto::limits::PLANES_MAX;

/// Grants at once; what is given away beyond goes over the network.
const GRANTS_MAX: usize = 512;
/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = 32;
const NONCE_WORDS: usize = NONCE_BYTES / 8;
/// Words of a grant: the nonce, then the bounds of each plane.
const WORDS: usize = NONCE_WORDS + 2 * PLANES_MAX;

/// Random bytes by which grants for this process are told from those for others; none where it reads no memory of others.
pub(crate) fn nonce() -> Option<&'static [u8; NONCE_BYTES]> {
    static NONCE: OnceLock<Option<[u8; NONCE_BYTES]>> = OnceLock::new();
    NONCE.get_or_init(|| tilework_cluster::security::random_bytes().ok()).as_ref()
}

/// The bytes from the first to the last of a plane; an empty range where it has no element, and none where there can be
/// no such plane in memory.
pub(crate) fn span(address: u64, shape: &[usize], strides: &[i64], itemsize: usize) -> Option<Range<u64>> {
    if shape.contains(&0) {
        return Some(0..0);
    }
    let (mut first, mut last) = (i128::from(address), i128::from(address));
    for (&len, &stride) in shape.iter().zip(strides) {
        let reach = i128::from(stride).checked_mul(len as i128 - 1)?;
        let end = if stride < 0 { &mut first } else { &mut last };
        *end = end.checked_add(reach)?;
    }
    Some(u64::try_from(first).ok()?..u64::try_from(last + itemsize as i128).ok()?)
}

/// Where the planes of a chunk lie.
fn spans(chunk: &Chunk) -> Option<Vec<Range<u64>>> {
    let of_plane = |p: &Plane| {
        let itemsize = p.dtype().size();
        let strides: Vec<i64> = p.strides().iter().map(|&s| s as i64 * itemsize as i64).collect();
        span(p.as_ptr().expose_provenance() as u64, p.shape(), &strides, itemsize)
    };
    chunk.planes.iter().map(of_plane).collect()
}

#[cfg(target_os = "linux")]
pub(crate) use table::{Grant, check};

#[cfg(not(target_os = "linux"))]
pub(crate) use nowhere::{Grant, check};

#[cfg(not(target_os = "linux"))]
mod nowhere {
    use super::{Chunk, Range, io};

    /// Nothing is read in its place on this system.
    pub(crate) enum Grant {}

    impl Grant {
        pub(crate) fn of(_: &Chunk, _: &[u8]) -> Option<Grant> {
            None
        }

        pub(crate) fn address(&self) -> u64 {
            match *self {}
        }
    }

    pub(crate) fn check(_: i32, _: u64, _: &[Range<u64>]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(target_os = "linux")]
mod table {
    use super::{Chunk, GRANTS_MAX, NONCE_BYTES, NONCE_WORDS, PLANES_MAX, Range, WORDS, io, nonce, spans};
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

    /// What a word is while it says nothing. Not 0, so that the table lies in the part of the executable that is a file's.
    const UNUSED: u64 = 1;
    /// Processes of which is remembered where their data lie.
    const SEEN_MAX: usize = 1024;

    static TABLE: [[AtomicU64; WORDS]; GRANTS_MAX] =
        [const { [const { AtomicU64::new(UNUSED) }; WORDS] }; GRANTS_MAX];
    /// Rows of the table that say nothing.
    static FREE: LazyLock<Mutex<Vec<usize>>> = LazyLock::new(|| Mutex::new((0..GRANTS_MAX).collect()));

    fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets whoever has a nonce read a chunk of this process, until it is dropped.
    #[derive(Debug)]
    pub(crate) struct Grant(usize);

    impl Grant {
        /// None where the nonce is none, the chunk has too many planes, or too many grants are given.
        pub(crate) fn of(chunk: &Chunk, nonce: &[u8]) -> Option<Grant> {
            if nonce.len() != NONCE_BYTES || chunk.planes.len() > PLANES_MAX {
                return None;
            }
            let spans = spans(chunk)?;
            let row = lock(&FREE).pop()?;
            let bounds = spans.iter().flat_map(|s| [s.start, s.end]);
            for (word, value) in TABLE[row][NONCE_WORDS..].iter().zip(bounds.chain(std::iter::repeat(0))) {
                word.store(value, Ordering::Relaxed);
            }
            for (word, value) in TABLE[row].iter().zip(words(nonce)) {
                word.store(value, Ordering::Release);
            }
            Some(Grant(row))
        }

        /// Where it is written.
        pub(crate) fn address(&self) -> u64 {
            TABLE[self.0].as_ptr().expose_provenance() as u64
        }
    }

    impl Drop for Grant {
        fn drop(&mut self) {
            TABLE[self.0].iter().for_each(|word| word.store(UNUSED, Ordering::Release));
            lock(&FREE).push(self.0);
        }
    }

    fn words(nonce: &[u8]) -> impl Iterator<Item = u64> {
        nonce.chunks_exact(8).map(|w| u64::from_ne_bytes([w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]]))
    }

    fn not_granted(why: &str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, why)
    }

    /// Looks whether a process lets this one read planes that lie there.
    ///
    /// # Errors
    /// `InvalidData` where it does not; otherwise what the system says.
    pub(crate) fn check(process: i32, grant: u64, spans: &[Range<u64>]) -> io::Result<()> {
        let nonce = nonce().ok_or(io::ErrorKind::Unsupported)?;
        let row = grant..grant.checked_add(8 * WORDS as u64).ok_or_else(|| not_granted("no such address"))?;
        if !in_data(process, &row)? {
            return Err(not_granted("what it points at is not in the data of that process' executable"));
        }
        let found = read(process, grant)?;
        if !words(nonce).eq(found[..NONCE_WORDS].iter().copied()) {
            return Err(not_granted("that process has not granted it"));
        }
        let granted = found[NONCE_WORDS..].chunks_exact(2);
        let fits = |(span, bounds): (&Range<u64>, &[u64])| {
            span.is_empty() || (bounds[0] <= span.start && span.end <= bounds[1])
        };
        if spans.len() > PLANES_MAX || !spans.iter().zip(granted).all(fits) {
            return Err(not_granted("that process has granted other memory"));
        }
        Ok(())
    }

    fn read(process: i32, address: u64) -> io::Result<[u64; WORDS]> {
        let mut words = [0u64; WORDS];
        let bytes = size_of_val(&words);
        let local = libc::iovec { iov_base: words.as_mut_ptr().cast(), iov_len: bytes };
        let remote =
            libc::iovec { iov_base: std::ptr::with_exposed_provenance_mut(address as usize), iov_len: bytes };
        // SAFETY: `words` has room for these bytes; the other process' memory is only read.
        let got = unsafe { libc::process_vm_readv(process, &raw const local, 1, &raw const remote, 1, 0) };
        match usize::try_from(got) {
            Ok(n) if n == bytes => Ok(words),
            Ok(_) => Err(not_granted("that process has no such memory")),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }

    /// Whether that is memory which holds data of an executable or a library: it was mapped from a file, and is written
    /// for that process alone.
    fn in_data(process: i32, place: &Range<u64>) -> io::Result<bool> {
        static SEEN: LazyLock<Mutex<HashMap<i32, Range<u64>>>> = LazyLock::new(Mutex::default);
        let holds = |r: &Range<u64>| r.start <= place.start && place.end <= r.end;
        if lock(&SEEN).get(&process).is_some_and(holds) {
            return Ok(true);
        }
        let Some(found) = data_that_holds(&std::fs::read_to_string(format!("/proc/{process}/maps"))?, place)
        else {
            return Ok(false);
        };
        let mut seen = lock(&SEEN);
        if seen.len() >= SEEN_MAX {
            seen.clear();
        }
        seen.insert(process, found);
        Ok(true)
    }

    /// The mapping of data that holds a place, in the words of `/proc/PID/maps`.
    fn data_that_holds(maps: &str, place: &Range<u64>) -> Option<Range<u64>> {
        maps.lines().find_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let (range, rights, inode) = (fields.next()?, fields.next()?, fields.nth(2)?);
            let (start, end) = range.split_once('-')?;
            let range = u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?;
            let is_data = rights == "rw-p" && inode != "0";
            (is_data && range.start <= place.start && place.end <= range.end).then_some(range)
        })
    }

    #[cfg(test)]
    mod tests {
        use super::super::span;
        use super::*;
        use tilework_expr::DType;

        fn ours() -> i32 {
            i32::try_from(std::process::id()).unwrap()
        }

        fn chunk() -> Chunk {
            Chunk::from_bytes(&[DType::U8, DType::F64], &[100], &[7; 900]).unwrap()
        }

        fn why(grant: u64, spans: &[Range<u64>]) -> String {
            let error = check(ours(), grant, spans).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
            error.to_string()
        }

        #[test]
        fn what_is_granted_may_be_read_and_nothing_else() {
            let chunk = chunk();
            let spans = spans(&chunk).unwrap();
            let grant = Grant::of(&chunk, nonce().unwrap()).unwrap();
            let at = grant.address();
            check(ours(), at, &spans).unwrap();
            check(ours(), at, &[spans[0].start + 1..spans[0].end - 1, 0..0]).unwrap();
            for other in [
                [spans[0].start - 1..spans[0].end, spans[1].clone()],
                [spans[0].clone(), spans[1].start..spans[1].end + 1],
                [spans[1].clone(), spans[0].clone()],
            ] {
                assert!(why(at, &other).contains("other memory"));
            }
            // As many planes as it has, and not of another process' memory at the same place.
            assert!(why(at, &vec![spans[0].clone(); 3]).contains("other memory"));
            assert!(why(at + 8, &spans).contains("has not granted"));
            drop(grant);
            assert!(why(at, &spans).contains("has not granted"));
        }

        #[test]
        fn a_grant_is_for_one_reader() {
            let chunk = chunk();
            let grant = Grant::of(&chunk, &[3; NONCE_BYTES]).unwrap();
            assert!(why(grant.address(), &spans(&chunk).unwrap()).contains("has not granted"));
            assert!(Grant::of(&chunk, &[]).is_none() && Grant::of(&chunk, &[3; 31]).is_none());
        }

        /// What a peer would have to do: have the bytes of a grant put where it knows the address.
        #[test]
        fn what_lies_where_chunks_lie_grants_nothing() {
            let secret = chunk();
            let spans = spans(&secret).unwrap();
            let mut forged: Vec<u64> = words(nonce().unwrap()).collect();
            forged.extend([0, u64::MAX].repeat(PLANES_MAX));
            for row in [forged.clone(), [forged, vec![0; 1 << 17]].concat()] {
                assert!(why(row.as_ptr() as u64, &spans).contains("not in the data"));
            }
            for nowhere in [0, 8, u64::MAX, u64::MAX - 8 * WORDS as u64] {
                assert_eq!(check(ours(), nowhere, &spans).unwrap_err().kind(), io::ErrorKind::InvalidData);
            }
        }

        #[test]
        fn grants_are_counted_and_given_back() {
            let chunk = chunk();
            let all: Vec<Grant> = std::iter::from_fn(|| Grant::of(&chunk, &[9; NONCE_BYTES])).collect();
            assert!((GRANTS_MAX - 8..=GRANTS_MAX).contains(&all.len()), "{}", all.len());
            drop(all);
            assert!(Grant::of(&chunk, &[9; NONCE_BYTES]).is_some());
        }

        #[test]
        fn data_are_told_from_heaps_and_code() {
            let maps = "55d0c000-55d0d000 r-xp 00001000 fd:00 1311 /bin/x\n\
                55d0d000-55d0f000 rw-p 00002000 fd:00 1311 /bin/x (deleted)\n\
                55d0f000-55d30000 rw-p 00000000 00:00 0 [heap]\n\
                7f000000-7f100000 rw-s 00000000 fd:00 99 /shared\nnonsense\n";
            assert_eq!(data_that_holds(maps, &(0x55d0_d010..0x55d0_d020)), Some(0x55d0_d000..0x55d0_f000));
            for other in [
                0x55d0_c010..0x55d0_c020,
                0x55d0_eff8..0x55d0_f008,
                0x55d0_f010..0x55d0_f020,
                0x7f00_0010..0x7f00_0020,
            ] {
                assert_eq!(data_that_holds(maps, &other), None, "{other:x?}");
            }
        }

        #[test]
        fn bounds_of_planes_do_not_overflow() {
            assert_eq!(span(1000, &[3, 4], &[32, 8], 8), Some(1000..1096));
            assert_eq!(span(1000, &[3, 4], &[-32, 8], 8), Some(936..1032));
            assert_eq!(span(u64::MAX, &[0, 9], &[1, 1], 8), Some(0..0));
            assert_eq!(span(1000, &[usize::MAX, 2], &[i64::MAX, i64::MIN], 8), None);
            assert_eq!(span(8, &[2], &[-16], 8), None);
            assert_eq!(span(u64::MAX, &[1], &[0], 8), None);
        }
    }
}
