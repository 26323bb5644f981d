//! Elements in the chunks of an HDF5 dataset.
//!
//! The index of chunks is read as a whole, once, when the first element is asked for; a chunk is decoded where a box
//! touches it, one at a time.
//!
//! Must not know headers.

use super::corrupt;
use super::hdf5::failed;
use crate::region::{self, Runs};
use crate::{FormatError, elements};
use hdf5_reader::btree_v1::{BTreeV1Key, collect_btree_v1_leaves_storage};
use hdf5_reader::chunk_index::{ChunkEntry, collect_v2_chunk_entries_storage};
use hdf5_reader::extensible_array::collect_extensible_array_chunk_entries_storage;
use hdf5_reader::filters::apply_pipeline_with_limit;
use hdf5_reader::fixed_array::collect_fixed_array_chunk_entries_storage;
use hdf5_reader::messages::filter_pipeline::FilterDescription;
use hdf5_reader::messages::layout::ChunkIndexing;
use hdf5_reader::{FilterRegistry, Hdf5File};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use tilework_plan::Steps;

/// Where a chunk is, as it is stored.
#[derive(Clone, Copy)]
pub(super) struct Place {
    address: u64,
    bytes: u64,
    /// Filters that were left out.
    skipped: u32,
}

/// The chunks that were written, by their numbers in C order.
pub(super) struct Index(Vec<(u64, Place)>);

/// A dataset's chunks.
pub(super) struct Chunked {
    pub(super) file: Hdf5File,
    pub(super) indexing: Option<ChunkIndexing>,
    pub(super) address: u64,
    /// The lengths that the dataset itself has, and may have at most.
    pub(super) stored: Vec<u64>,
    pub(super) stored_max: Option<Vec<u64>>,
    pub(super) chunks: Vec<u32>,
    pub(super) filters: Vec<FilterDescription>,
    pub(super) registry: FilterRegistry,
    pub(super) itemsize: usize,
    /// The bytes of a chunk that is decoded.
    pub(super) chunk_bytes: usize,
    /// The element that was never written.
    pub(super) fill: Vec<u8>,
    pub(super) index: Mutex<Option<Arc<Index>>>,
}

impl Chunked {
    /// Reads positions, of which there are some.
    pub(super) fn read(&self, path: &str, steps: &[Steps], out: &mut [u8]) -> Result<(), FormatError> {
        let index = self.index(path)?;
        let out_shape: Vec<usize> = steps.iter().map(|s| s.len).collect();
        let chunk_shape: Vec<usize> = self.chunks.iter().map(|&n| n as usize).collect();
        let spans: Vec<Vec<(u64, Range<usize>)>> =
            (0..steps.len()).map(|axis| self.spans(axis, steps[axis])).collect();
        let n_found: usize = spans.iter().map(|s| s.iter().map(|(_, r)| r.len()).sum::<usize>()).product();
        if n_found * self.itemsize < out.len() {
            // Behind what is stored.
            elements::fill(out, &self.fill);
        }
        if n_found == 0 {
            return Ok(());
        }
        let mut at = vec![0; spans.len()];
        loop {
            let here: Vec<&(u64, Range<usize>)> = spans.iter().zip(&at).map(|(s, &i)| &s[i]).collect();
            let number = self.number(here.iter().map(|(chunk, _)| *chunk));
            let to: Vec<Steps> = here.iter().map(|(_, numbers)| Steps::all(numbers)).collect();
            match index.place(number) {
                Some(place) => {
                    let bytes = self.decoded(path, place)?;
                    let from: Vec<Steps> = (0..steps.len())
                        .map(|axis| {
                            let (chunk, numbers) = here[axis];
                            let part = steps[axis].part(numbers);
                            Steps { start: part.start - *chunk as usize * chunk_shape[axis], ..part }
                        })
                        .collect();
                    region::copy((&bytes, &chunk_shape, &from), (out, &out_shape, &to), self.itemsize);
                }
                None => {
                    let runs = Runs::of_steps(&out_shape, &to);
                    let run = runs.run_len() * self.itemsize;
                    for start in runs {
                        elements::fill(&mut out[start * self.itemsize..][..run], &self.fill);
                    }
                }
            }
            if !advance(&mut at, &spans) {
                return Ok(());
            }
        }
    }

    /// The chunks that positions along an axis lie in, each with the numbers of those within it; without those behind
    /// what is stored.
    fn spans(&self, axis: usize, steps: Steps) -> Vec<(u64, Range<usize>)> {
        let (chunk, stored) = (self.chunks[axis] as usize, self.stored[axis] as usize);
        let mut spans = Vec::new();
        let mut from = 0;
        while from < steps.len {
            let first = steps.start + from * steps.step;
            if first >= stored {
                break;
            }
            let number = first / chunk;
            let end = ((number + 1) * chunk).min(stored);
            let to = (end - steps.start).div_ceil(steps.step).min(steps.len);
            spans.push((number as u64, from..to));
            from = to;
        }
        spans
    }

    /// How many chunks there are along each axis.
    fn n_chunks(&self) -> impl Iterator<Item = u64> {
        self.stored.iter().zip(&self.chunks).map(|(&n, &c)| n.div_ceil(u64::from(c)))
    }

    /// The number of a chunk in C order.
    fn number(&self, chunk: impl Iterator<Item = u64>) -> u64 {
        chunk.zip(self.n_chunks()).fold(0, |number, (chunk, n)| number * n + chunk)
    }

    fn index(&self, path: &str) -> Result<Arc<Index>, FormatError> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = &*index {
            return Ok(index.clone());
        }
        let read = Arc::new(self.read_index(path)?);
        *index = Some(read.clone());
        Ok(read)
    }

    fn read_index(&self, path: &str) -> Result<Index, FormatError> {
        let entries = self.entries(path)?;
        let mut places = Vec::with_capacity(entries.len());
        for entry in entries {
            let chunk = entry.offsets.iter().zip(&self.chunks);
            if entry.offsets.len() != self.chunks.len()
                || chunk.clone().any(|(&at, &n)| at % u64::from(n) != 0)
            {
                return Err(corrupt(
                    path,
                    format!("a chunk at {:?} of chunks of {:?}", entry.offsets, self.chunks),
                ));
            }
            // What an array that became smaller has left.
            if entry.offsets.iter().zip(&self.stored).any(|(at, n)| at >= n) {
                continue;
            }
            let number = self.number(chunk.map(|(&at, &n)| at / u64::from(n)));
            let bytes = if entry.size == 0 { self.chunk_bytes as u64 } else { entry.size };
            places.push((number, Place { address: entry.address, bytes, skipped: entry.filter_mask }));
        }
        places.sort_by_key(|(number, _)| *number);
        if let Some(twice) = places.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(corrupt(path, format!("chunk {} is there twice", twice[0].0)));
        }
        Ok(Index(places))
    }

    /// The chunks as the file lists them.
    fn entries(&self, path: &str) -> Result<Vec<ChunkEntry>, FormatError> {
        let superblock = self.file.superblock();
        let (storage, at) = (self.file.storage(), self.address);
        let sizes = (superblock.offset_size, superblock.length_size);
        let n_axes = self.chunks.len();
        if self.address == undefined(sizes.0) {
            return Ok(Vec::new());
        }
        let entries = match &self.indexing {
            None => {
                let axes = Some(n_axes as u32);
                collect_btree_v1_leaves_storage(storage, at, sizes.0, sizes.1, axes, &self.chunks, None)
                    .map(|leaves| leaves.into_iter().filter_map(|leaf| of_leaf(leaf, n_axes)).collect())
            }
            Some(ChunkIndexing::SingleChunk { filtered_size, filters }) => Ok(vec![ChunkEntry {
                address: at,
                size: *filtered_size,
                filter_mask: *filters,
                offsets: vec![0; n_axes],
            }]),
            Some(ChunkIndexing::Implicit) => return self.one_after_another(path),
            Some(ChunkIndexing::BTreeV2) => {
                let n_axes = n_axes as u32;
                collect_v2_chunk_entries_storage(storage, at, sizes.0, sizes.1, n_axes, &self.chunks, None)
            }
            Some(ChunkIndexing::FixedArray { .. }) => collect_fixed_array_chunk_entries_storage(
                storage,
                at,
                sizes.0,
                sizes.1,
                &self.stored,
                &self.chunks,
                None,
            ),
            Some(ChunkIndexing::ExtensibleArray { .. }) => collect_extensible_array_chunk_entries_storage(
                storage,
                at,
                sizes.0,
                sizes.1,
                &self.stored,
                self.stored_max.as_deref(),
                &self.chunks,
                None,
            ),
        };
        entries.map_err(|e| failed(path, e))
    }

    /// Chunks that lie one after another, all of them.
    fn one_after_another(&self, path: &str) -> Result<Vec<ChunkEntry>, FormatError> {
        let n_chunks: Vec<u64> = self.n_chunks().collect();
        let bytes = self.chunk_bytes as u64;
        let total = n_chunks.iter().try_fold(1u64, |product, &n| product.checked_mul(n));
        let end = total.and_then(|n| n.checked_mul(bytes)?.checked_add(self.address));
        let got = self.file.storage().len();
        let (Some(total), Some(..)) = (total, end.filter(|&end| end <= got)) else {
            return Err(FormatError::Truncated {
                path: path.to_owned(),
                expected: end.unwrap_or(u64::MAX),
                got,
            });
        };
        let entry = |number: u64| {
            let mut offsets = vec![0; n_chunks.len()];
            let mut rest = number;
            for axis in (0..n_chunks.len()).rev() {
                offsets[axis] = rest % n_chunks[axis] * u64::from(self.chunks[axis]);
                rest /= n_chunks[axis];
            }
            ChunkEntry { address: self.address + number * bytes, size: 0, filter_mask: 0, offsets }
        };
        Ok((0..total).map(entry).collect())
    }

    /// The elements of a chunk.
    fn decoded(&self, path: &str, place: Place) -> Result<Vec<u8>, FormatError> {
        let wrong = |got: usize| {
            let Place { address, .. } = place;
            corrupt(
                path,
                format!("the chunk at byte {address} has {got} bytes, expected {}", self.chunk_bytes),
            )
        };
        let stored_bytes = usize::try_from(place.bytes).map_err(|_| wrong(usize::MAX))?;
        let stored =
            self.file.storage().read_range(place.address, stored_bytes).map_err(|e| failed(path, e))?;
        let bytes = if self.filters.is_empty() {
            stored.to_vec()
        } else {
            apply_pipeline_with_limit(
                &stored,
                &self.filters,
                place.skipped,
                self.itemsize,
                Some(&self.registry),
                Some(self.chunk_bytes + 1),
            )
            .map_err(|e| {
                let FormatError::Corrupt { reason, .. } = failed(path, e) else { return wrong(0) };
                corrupt(path, format!("the chunk at byte {}: {reason}", place.address))
            })?
        };
        if bytes.len() == self.chunk_bytes { Ok(bytes) } else { Err(wrong(bytes.len())) }
    }
}

impl Index {
    fn place(&self, number: u64) -> Option<Place> {
        let found = self.0.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(self.0[found].1)
    }
}

fn of_leaf((key, address): (BTreeV1Key, u64), n_axes: usize) -> Option<ChunkEntry> {
    let BTreeV1Key::RawData { chunk_size, filter_mask, mut offsets } = key else { return None };
    // Behind the axes' stands one of the bytes of an element.
    offsets.truncate(n_axes);
    Some(ChunkEntry { address, size: u64::from(chunk_size), filter_mask, offsets })
}

/// The address of what is not there.
pub(super) fn undefined(offset_size: u8) -> u64 {
    match offset_size {
        2 => 0xFFFF,
        4 => 0xFFFF_FFFF,
        _ => u64::MAX,
    }
}

/// The next combination, the last axis fastest; `false` behind the last one.
fn advance(at: &mut [usize], spans: &[Vec<(u64, Range<usize>)>]) -> bool {
    for axis in (0..at.len()).rev() {
        at[axis] += 1;
        if at[axis] < spans[axis].len() {
            return true;
        }
        at[axis] = 0;
    }
    false
}
