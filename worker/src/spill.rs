//! Chunks on the worker's disk: written one after another by one thread, read as a whole or in boxes, checked by sums.
//!
//! Owns the file and its space. It has no name: whatever ends the worker, the system takes it back. Must not know why a
//! chunk goes to the disk or when it is needed again.

mod place;
mod read;
mod space;

pub(crate) use place::{Room, open};
pub use place::{Spill, SpillError};
pub use space::{SpaceFull, SpillSpace};

use crate::store::Content;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use tilework_expr::DType;
use tilework_kernels::Chunk;
use tilework_plan::TaskKey;
use tilework_worker_core::SpillId;

/// Bytes that are checked together: what is read for the sake of a few bytes.
pub(crate) const BLOCK_BYTES: usize = 4096;
/// Bytes after which a new file is begun, so that the space of the old one is given back where parts of a file cannot be.
const FILE_BYTES: u64 = 4 << 30;

/// The place for chunks: files in one directory.
#[derive(Debug)]
pub(crate) struct Disk {
    space: Arc<SpillSpace>,
    current: Mutex<Option<(Arc<File>, u64)>>,
}

/// A chunk on the disk. Its space is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Spilled {
    file: Arc<File>,
    /// The first of its bytes in the file, and behind the last.
    start: u64,
    end: u64,
    planes: Vec<PlaneAt>,
    space: Arc<SpillSpace>,
}

/// One plane of it, in row-major order.
#[derive(Debug)]
struct PlaneAt {
    dtype: DType,
    shape: Vec<usize>,
    /// Where it begins, a multiple of [`BLOCK_BYTES`].
    at: u64,
    bytes: usize,
    /// The sum of each block.
    sums: Vec<u32>,
}

impl Drop for Spilled {
    fn drop(&mut self) {
        place::give_back(&self.file, self.start, self.end - self.start);
        self.space.give_back(self.end - self.start);
    }
}

fn blocks(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes.chunks(BLOCK_BYTES).map(crc32fast::hash)
}

impl Disk {
    pub(crate) fn new(room: Room) -> Disk {
        Disk { space: Arc::new(SpillSpace::new(room)), current: Mutex::new(None) }
    }

    /// The directory and the count of what is there, for tasks that write there by themselves.
    pub(crate) fn space(&self) -> &Arc<SpillSpace> {
        &self.space
    }

    /// A place for so many bytes, in the present file or a new one.
    fn place(&self, bytes: u64) -> io::Result<(Arc<File>, u64)> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_none_or(|(_, at)| *at >= FILE_BYTES) {
            *current = Some((Arc::new(tempfile::tempfile_in(self.space.dir())?), 0));
        }
        let (file, at) = current.as_mut().expect("it was just made");
        let start = *at;
        *at = (start + bytes).next_multiple_of(BLOCK_BYTES as u64);
        Ok((Arc::clone(file), start))
    }

    /// Writes a chunk.
    pub(crate) fn write(&self, chunk: &Chunk) -> io::Result<Spilled> {
        let each = |p: &tilework_kernels::Plane| (p.bytes() as u64).next_multiple_of(BLOCK_BYTES as u64);
        let bytes = chunk.planes.iter().map(each).sum();
        self.space.take(bytes)?;
        let (file, start) = self.place(bytes).inspect_err(|_| self.space.give_back(bytes))?;
        // From here on what was written is given back where the rest cannot be.
        let space = Arc::clone(&self.space);
        let mut spilled = Spilled { file, start, end: start + bytes, planes: Vec::new(), space };
        let mut at = start;
        for plane in &chunk.planes {
            let dense = plane.to_contiguous();
            let bytes = dense.contiguous_bytes().expect("it was just made so");
            spilled.file.write_all_at(bytes, at)?;
            let sums = blocks(bytes).collect();
            let (dtype, shape) = (plane.dtype(), plane.shape().to_vec());
            spilled.planes.push(PlaneAt { dtype, shape, at, bytes: bytes.len(), sums });
            at += each(plane);
        }
        Ok(spilled)
    }
}

/// A chunk to be written.
pub(crate) struct Order {
    pub spill: SpillId,
    pub key: TaskKey,
    pub content: Content,
}

/// The thread that writes, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Writer {
    orders: mpsc::Sender<Order>,
}

impl Writer {
    /// Starts it; `done` is called after each write.
    pub(crate) fn start(
        disk: Arc<Disk>,
        done: impl Fn(SpillId, TaskKey, Result<Spilled, String>) + Send + 'static,
    ) -> io::Result<Writer> {
        let (orders, next) = mpsc::channel::<Order>();
        let body = move || {
            for Order { spill, key, content } in next {
                let write = |chunk: Chunk| disk.write(&chunk).map_err(|e| disk.space.room().in_words(&e));
                let written = content.into_chunk().and_then(write);
                done(spill, key, written);
            }
        };
        std::thread::Builder::new().name("tilework-spill".into()).spawn(body)?;
        Ok(Writer { orders })
    }

    /// Writes a chunk after those that came before.
    pub(crate) fn write(&self, order: Order) {
        // Err: the thread has ended, which it does only with this.
        let _ = self.orders.send(order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilework_plan::Region;

    fn disk() -> (tempfile::TempDir, Disk) {
        let dir = tempfile::tempdir().unwrap();
        let room = open(&Spill { dir: Some(dir.path().to_owned()), limit: None }).unwrap().unwrap();
        (dir, Disk::new(room))
    }

    fn chunk(dtypes: &[DType], shape: &[usize]) -> Chunk {
        let n = shape.iter().product::<usize>() * dtypes.iter().map(|d| d.size()).sum::<usize>();
        let bytes: Vec<u8> = (0..n).map(|i| (i * 31 % 251) as u8).collect();
        Chunk::from_bytes(dtypes, shape, &bytes).unwrap()
    }

    fn bytes(chunk: &Chunk) -> Vec<Vec<u8>> {
        chunk.planes.iter().map(|p| p.to_contiguous().contiguous_bytes().unwrap().to_vec()).collect()
    }

    #[test]
    fn chunks_and_boxes_come_back_as_they_were() {
        let (dir, disk) = disk();
        for shape in [vec![], vec![0], vec![1], vec![4096], vec![70, 40, 9], vec![300, 1000], vec![2, 0, 5]] {
            let chunk = chunk(&[DType::F64, DType::I32], &shape);
            let spilled = disk.write(&chunk).unwrap();
            assert_eq!(bytes(&spilled.read(None).unwrap()), bytes(&chunk), "{shape:?}");
            let boxes: Vec<Region> = vec![
                shape.iter().map(|&l| 0..l).collect(),
                shape.iter().map(|&l| l / 3..l - l / 4).collect(),
                shape
                    .iter()
                    .enumerate()
                    .map(|(a, &l)| if a == 0 { 0..l } else { l / 2..l / 2 + l.min(1) })
                    .collect(),
                shape.iter().map(|&l| l / 2..l / 2).collect(),
            ];
            for region in boxes {
                let part = spilled.read(Some(&region)).unwrap();
                assert_eq!(bytes(&part), bytes(&chunk.slice(&region)), "{shape:?} {region:?}");
            }
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing has a name");
    }

    #[test]
    fn planes_that_are_strided_are_written_as_what_they_show() {
        let (_dir, disk) = disk();
        let part = chunk(&[DType::F64], &[64, 64]).slice(&[3..60, 5..9]);
        assert_eq!(bytes(&disk.write(&part).unwrap().read(None).unwrap()), bytes(&part));
    }

    #[test]
    fn a_bit_that_has_changed_is_found_and_others_are_read() {
        let (_dir, disk) = disk();
        let chunk = chunk(&[DType::F64], &[100, 512]);
        let spilled = disk.write(&chunk).unwrap();
        let at = spilled.planes[0].at + 17 * BLOCK_BYTES as u64 + 5;
        let mut byte = [0];
        spilled.file.read_exact_at(&mut byte, at).unwrap();
        spilled.file.write_all_at(&[byte[0] ^ 4], at).unwrap();
        assert!(spilled.read(None).unwrap_err().to_string().contains("is not what was written"));
        // A row is a block.
        assert!(spilled.read(Some(&vec![17..18, 0..512])).is_err());
        let rest = vec![18..100, 0..512];
        assert_eq!(bytes(&spilled.read(Some(&rest)).unwrap()), bytes(&chunk.slice(&rest)));
        spilled.file.set_len(at).unwrap();
        assert!(spilled.read(Some(&rest)).is_err());
    }

    #[test]
    fn of_a_value_that_is_made_of_blocks_one_is_read() {
        use tilework_kernels::BlockWriter;
        use tilework_plan::Part;
        let (_dir, disk) = disk();
        let mut value = BlockWriter::new(1000);
        for i in 0..1000usize {
            value.block().extend(vec![i as u8; i * 7 % 50]);
            value.end();
        }
        let value = value.finish();
        let spilled = disk.write(&Chunk::from_bytes(&[DType::U8], &[value.len()], &value).unwrap()).unwrap();
        let block = |number| spilled.read_part(Some(&Part::Block(number)));
        for i in [0usize, 1, 7, 511, 512, 999] {
            assert_eq!(bytes(&block(i as u64).unwrap()), [vec![i as u8; i * 7 % 50]], "{i}");
        }
        assert_eq!(block(1000).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        // What is damaged is found by who reads it: a part of the table, or a block.
        let plane = &spilled.planes[0];
        let flip = |at: u64| {
            let mut byte = [0];
            spilled.file.read_exact_at(&mut byte, plane.at + at).unwrap();
            spilled.file.write_all_at(&[byte[0] ^ 1], plane.at + at).unwrap();
        };
        flip(plane.bytes as u64 - 1);
        assert_eq!(block(999).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(bytes(&block(1).unwrap()), [vec![1; 7]]);
        flip(4096 + 9);
        assert_eq!(block(600).unwrap_err().kind(), io::ErrorKind::InvalidData);
        // Neither its place nor it lies beside what is damaged.
        assert_eq!(bytes(&block(301).unwrap()), [vec![45; 7]]);
    }

    #[test]
    fn what_tasks_have_put_there_leaves_less_for_chunks() {
        let dir = tempfile::tempdir().unwrap();
        let limited = Spill { dir: Some(dir.path().to_owned()), limit: Some(3 * BLOCK_BYTES as u64) };
        let disk = Disk::new(open(&limited).unwrap().unwrap());
        let one = chunk(&[DType::F64], &[512]);
        let kept = disk.write(&one).unwrap();
        disk.space().take(2 * BLOCK_BYTES as u64).unwrap();
        let full = disk.write(&one).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        drop(kept);
        let again = disk.write(&one).unwrap();
        assert_eq!(disk.space().used_bytes(), 3 * BLOCK_BYTES as u64);
        drop(again);
        assert_eq!(disk.space().used_bytes(), 2 * BLOCK_BYTES as u64);
    }

    #[test]
    fn space_is_given_back() {
        use std::os::unix::fs::MetadataExt;
        let (_dir, disk) = disk();
        let kept = disk.write(&chunk(&[DType::F64], &[512])).unwrap();
        let large = disk.write(&chunk(&[DType::F64], &[512, 512])).unwrap();
        let blocks = |s: &Spilled| s.file.metadata().unwrap().blocks() * 512;
        assert!(blocks(&large) > 2 << 20);
        drop(large);
        assert!(blocks(&kept) < 1 << 20, "{} bytes are taken", blocks(&kept));
    }
}
