//! What boxes need of the chunks of an array in an object store, asked for together: each request takes its time, and
//! `zarrs` reads chunk after chunk.
//!
//! Chunks are fetched whole, some at a time, in the order in which they will be read. Of a shard of which a part is
//! needed, its index is fetched first and then those of its chunks. What is not here when `zarrs` asks for it is asked
//! for then, so that this is about time alone.
//!
//! Owns which bytes those are. Must not know elements.

use super::chunks::{ENTRY_BYTES, Objects, Sharding, failed, whole_range};
use crate::objects::{Part, Place};
use crate::zarr::storage::Storage;
use crate::{ArrayMeta, FormatError, region};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use tilework_plan::Region;
use zarrs::array::codec::api::CodecTraits;
use zarrs::array::{Array, ArraySubset};
use zarrs::storage::byte_range::ByteRange;
use zarrs::storage::{Bytes, MaybeBytes, MaybeBytesIterator, StorageError, StoreKey};

/// The most bytes of elements whose chunks are here at a time, and the most chunks.
const BYTES_MAX: usize = 64 << 20;
const CHUNKS_MAX: usize = 64;
/// Larger chunks are not fetched whole where bytes of them can be read.
const WHOLE_BYTES_MAX: usize = 1 << 20;
/// Ranges that lie so near to each other are asked for as one.
const GAP_BYTES_MAX: u64 = 64 << 10;
/// The most bytes that are asked for as one.
const RANGE_BYTES_MAX: u64 = 8 << 20;

/// What is needed of one chunk.
#[derive(Debug)]
struct Want {
    key: StoreKey,
    /// Of a shard, the numbers of the chunks in it; all of it where absent.
    inner: Option<Vec<u64>>,
}

/// What is here of one chunk.
#[derive(Debug)]
enum Got {
    Whole(MaybeBytes),
    /// Pieces by where they begin, and the end of the object.
    Pieces(Vec<(u64, Bytes)>, Bytes),
    Failed(FormatError),
}

/// Objects, some of which are here already.
#[derive(Debug)]
pub(crate) struct Ahead {
    objects: Objects,
    /// In the order in which they will be asked for.
    wants: Vec<Want>,
    numbers: HashMap<StoreKey, usize>,
    /// How many are fetched at a time.
    window: usize,
    /// Chunks of a shard.
    n_inner: u64,
    here: Mutex<HashMap<StoreKey, Got>>,
}

/// The array with what boxes of it need fetched ahead; `None` where that saves nothing.
pub(crate) fn of_boxes(array: &Array<Storage>, meta: &ArrayMeta, boxes: &[Region]) -> Option<Array<Storage>> {
    let storage = array.storage();
    let Storage::Objects(objects) = &*storage else { return None };
    let chunk_bytes = region::n_bytes(&meta.chunks, meta.dtype.size()).unwrap_or(usize::MAX);
    let in_parts = chunk_bytes > WHOLE_BYTES_MAX && array.codecs().partial_decoder_capability().partial_read;
    let inner = objects.sharding.as_ref().map(|s| &s.chunks).filter(|_| in_parts);
    let (mut wants, mut numbers, mut n_inner) = (Vec::<Want>::new(), HashMap::new(), 0);
    for region in boxes {
        let ranges: Vec<Range<u64>> = region.iter().map(|r| r.start as u64..r.end as u64).collect();
        let subset = ArraySubset::new_with_ranges(&ranges);
        for index in array.chunks_in_array_subset(&subset).ok()??.indices() {
            let whole = array.chunk_subset(&index).ok()?;
            let needed = whole.overlap(&subset).ok()?;
            let of_shard = if needed == whole || !in_parts {
                None
            } else if let Some(inner) = inner {
                let (touched, of) = inner_chunks(&whole, &needed, inner);
                n_inner = of;
                Some(touched)
            } else {
                // Bytes of it are read when they are needed.
                continue;
            };
            let key = array.chunk_key(&index);
            let &mut number = numbers.entry(key.clone()).or_insert(wants.len());
            if number == wants.len() {
                wants.push(Want { key, inner: Some(Vec::new()) });
            }
            let want = &mut wants[number];
            want.inner = want.inner.take().zip(of_shard).map(|(so_far, more)| [so_far, more].concat());
        }
    }
    for want in &mut wants {
        // Most of a shard is read as one.
        want.inner.as_mut().map(|inner| (inner.sort_unstable(), inner.dedup()));
        want.inner.take_if(|inner| 2 * inner.len() as u64 > n_inner);
    }
    if wants.len() < 2 && wants.iter().all(|want| want.inner.is_none()) {
        return None;
    }
    let window = (BYTES_MAX / chunk_bytes.max(1)).clamp(1, CHUNKS_MAX);
    let here = Mutex::default();
    let ahead = Ahead { objects: objects.clone(), wants, numbers, window, n_inner, here };
    Some(array.with_storage(Arc::new(Storage::Ahead(ahead))))
}

/// The numbers of the chunks of a shard that a box touches, and how many it has.
fn inner_chunks(shard: &ArraySubset, needed: &ArraySubset, chunk: &[u64]) -> (Vec<u64>, u64) {
    let axes = shard.start().iter().zip(shard.shape()).zip(chunk);
    let counts: Vec<u64> = axes.map(|((_, len), chunk)| len.div_ceil(*chunk)).collect();
    let mut numbers = vec![0];
    for (axis, (&count, &chunk)) in counts.iter().zip(chunk).enumerate() {
        let start = needed.start()[axis] - shard.start()[axis];
        let touched = start / chunk..(start + needed.shape()[axis]).div_ceil(chunk);
        numbers = numbers.iter().flat_map(|&n| touched.clone().map(move |i| n * count + i)).collect();
    }
    (numbers, counts.iter().product())
}

impl Ahead {
    pub(crate) fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Looks at what is here of a chunk, and fetches it with those that come next if nothing is.
    fn look<T>(&self, key: &StoreKey, f: impl FnOnce(&Got) -> T) -> Option<T> {
        let &number = self.numbers.get(key)?;
        let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        if !here.contains_key(key) {
            *here = self.fetch(&self.wants[number..self.wants.len().min(number + self.window)]);
        }
        here.get(key).map(f)
    }

    /// What is wanted of some chunks.
    fn fetch(&self, wants: &[Want]) -> HashMap<StoreKey, Got> {
        let places: Vec<Option<Place>> = wants.iter().map(|want| self.objects.at(&want.key).ok()).collect();
        let known = self.objects.sharding.as_ref();
        let first = wants.iter().zip(&places).filter_map(|(want, place)| {
            let part = match (&want.inner, known) {
                (Some(_), Some(sharding)) => sharding.index(self.n_inner),
                _ => Part::Whole,
            };
            Some((want, place.clone()?, part))
        });
        let (asked, parts): (Vec<_>, Vec<_>) =
            first.map(|(want, place, part)| ((want, place.clone()), (place, part))).unzip();
        let mut here = HashMap::new();
        // Which ranges of which chunk are still to come, after its index.
        let mut later = Vec::new();
        for ((want, place), got) in asked.into_iter().zip(Place::get_many(parts, self.objects.bytes_max())) {
            let got = match (got, &want.inner, known) {
                (Ok(Some(index)), Some(numbers), Some(_)) => {
                    later.extend(ranges(&index, numbers).into_iter().map(|r| (want, place.clone(), r)));
                    self.index_piece(index)
                }
                (Ok(whole), ..) => Got::Whole(whole),
                (Err(error), ..) => Got::Failed(error),
            };
            here.insert(want.key.clone(), got);
        }
        let parts = later.iter().map(|(_, place, r)| (place.clone(), Part::Range(r.clone()))).collect();
        for ((want, _, range), got) in later.iter().zip(Place::get_many(parts, self.objects.bytes_max())) {
            // What has failed is asked for once more, and says why then.
            if let (Ok(Some(bytes)), Some(Got::Pieces(pieces, _))) = (got, here.get_mut(&want.key)) {
                pieces.push((range.start, bytes));
            }
        }
        here
    }

    /// What is here of a shard whose index alone is.
    fn index_piece(&self, index: Bytes) -> Got {
        match self.objects.sharding.as_ref().map(|s: &Sharding| s.index(self.n_inner)) {
            Some(Part::Last(_)) => Got::Pieces(Vec::new(), index),
            _ => Got::Pieces(vec![(0, index)], Bytes::new()),
        }
    }

    pub(crate) fn get(&self, key: &StoreKey) -> Result<MaybeBytes, StorageError> {
        let whole = self.look(key, |got| match got {
            Got::Whole(bytes) => Some(Ok(bytes.clone())),
            Got::Failed(error) => error.again().map(|error| Err(failed(error))),
            Got::Pieces(..) => None,
        });
        whole.flatten().unwrap_or_else(|| self.objects.get(key))
    }

    pub(crate) fn get_partial_many<'a>(
        &self,
        key: &StoreKey,
        ranges: Vec<ByteRange>,
    ) -> Result<MaybeBytesIterator<'a>, StorageError> {
        let here = self.look(key, |got| match got {
            Got::Whole(None) => Some(Ok(None)),
            Got::Failed(error) => error.again().map(|error| Err(failed(error))),
            got => {
                let pieces = ranges.iter().map(|range| got.piece(range)).collect::<Option<Vec<_>>>()?;
                Some(Ok(Some(pieces)))
            }
        });
        match here.flatten() {
            Some(Ok(None)) => Ok(None),
            Some(Ok(Some(pieces))) => Ok(Some(Box::new(
                pieces.into_iter().zip(ranges).map(|(bytes, range)| whole_range(bytes, &range)),
            ))),
            Some(Err(error)) => Err(error),
            None => self.objects.get_partial_many(key, ranges),
        }
    }
}

impl Got {
    /// A range of the chunk, if it is here.
    fn piece(&self, range: &ByteRange) -> Option<Bytes> {
        match (self, range) {
            (Got::Whole(Some(whole)), range) => {
                let len = whole.len() as u64;
                let (start, end) = match *range {
                    ByteRange::FromStart(start, None) => (start, len),
                    ByteRange::FromStart(start, Some(n)) => (start, start.saturating_add(n)),
                    ByteRange::Suffix(n) => (len.saturating_sub(n), len),
                };
                // What is short is seen to be so.
                Some(whole.slice(start.min(len) as usize..end.min(len) as usize))
            }
            (Got::Pieces(_, last), &ByteRange::Suffix(n)) => {
                let from = last.len().checked_sub(usize::try_from(n).ok()?)?;
                Some(last.slice(from..))
            }
            (Got::Pieces(pieces, _), &ByteRange::FromStart(start, Some(n))) => {
                pieces.iter().find_map(|(at, bytes)| {
                    let from = usize::try_from(start.checked_sub(*at)?).ok()?;
                    let to = from.checked_add(usize::try_from(n).ok()?)?;
                    (to <= bytes.len()).then(|| bytes.slice(from..to))
                })
            }
            _ => None,
        }
    }
}

/// Where chunks of a shard lie, by its index, with near ones put together.
fn ranges(index: &[u8], numbers: &[u64]) -> Vec<Range<u64>> {
    let entry = |&number: &u64| {
        let at = usize::try_from(number.checked_mul(ENTRY_BYTES)?).ok()?;
        let word = |at: usize| Some(u64::from_le_bytes(index.get(at..at + 8)?.try_into().ok()?));
        let (start, len) = (word(at)?, word(at + 8)?);
        // A chunk of the fill value alone is not there.
        Some(start..start.checked_add(len)?)
    };
    let mut all: Vec<Range<u64>> = numbers.iter().filter_map(entry).filter(|r| !r.is_empty()).collect();
    all.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::new();
    for range in all {
        match joined.last_mut() {
            Some(last)
                if range.start <= last.end.saturating_add(GAP_BYTES_MAX)
                    && range.end.max(last.end) - last.start <= RANGE_BYTES_MAX =>
            {
                last.end = last.end.max(range.end);
            }
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chunks_of_a_shard_are_found_by_its_index() {
        let shard = ArraySubset::new_with_ranges(&[8..16, 0..6]);
        let needed = ArraySubset::new_with_ranges(&[11..14, 2..3]);
        assert_eq!(inner_chunks(&shard, &needed, &[2, 2]), (vec![4, 7], 12));
        let mut index = Vec::new();
        for (start, len) in [(0u64, 10u64), (500_000, 5), (10, 20), (u64::MAX, u64::MAX)] {
            index.extend(start.to_le_bytes().into_iter().chain(len.to_le_bytes()));
        }
        assert_eq!(ranges(&index, &[2, 0, 3]), [0..30]);
        assert_eq!(ranges(&index, &[1, 2, 9]), [10..30, 500_000..500_005]);
    }

    #[test]
    fn pieces_are_cut_out_of_what_is_here() {
        let got = Got::Pieces(vec![(100, Bytes::from_static(b"abcdef"))], Bytes::from_static(b"xyz"));
        assert_eq!(got.piece(&ByteRange::FromStart(102, Some(3))).unwrap(), "cde");
        assert_eq!(got.piece(&ByteRange::Suffix(2)).unwrap(), "yz");
        for not_here in
            [ByteRange::FromStart(104, Some(3)), ByteRange::Suffix(4), ByteRange::FromStart(0, None)]
        {
            assert_eq!(got.piece(&not_here), None);
        }
        let whole = Got::Whole(Some(Bytes::from_static(b"abc")));
        assert_eq!(whole.piece(&ByteRange::FromStart(1, None)).unwrap(), "bc");
    }
}
