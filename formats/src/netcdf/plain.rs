//! Elements that lie in a file, or in its header, as they are: one after another in C order, or record by record.
//!
//! Must not know which format says so.

use super::read_at;
use crate::FormatError;
use crate::region::Runs;
use std::fs::File;
use tilework_plan::{GAP_BYTES_MAX, Steps};

/// The most that is read in one call of several runs.
const BLOCK_BYTES_MAX: u64 = 1024 * 1024;

/// Where the bytes are.
pub(super) enum Bytes {
    /// In the file from a position on; between the beginnings of two positions along the first axis may lie more than
    /// its elements.
    File {
        file: File,
        start: u64,
        record_bytes: Option<u64>,
    },
    Memory(Vec<u8>),
    /// Nowhere: every element is this one.
    Same(Vec<u8>),
}

/// The elements of an array.
pub(super) struct Plain {
    pub(super) bytes: Bytes,
    pub(super) shape: Vec<usize>,
    pub(super) itemsize: usize,
}

impl Plain {
    /// Reads positions, of which there are some.
    pub(super) fn read(&self, path: &str, steps: &[Steps], out: &mut [u8]) -> Result<(), FormatError> {
        let itemsize = self.itemsize;
        match &self.bytes {
            Bytes::Same(element) => {
                out.chunks_exact_mut(itemsize).for_each(|to| to.copy_from_slice(element));
                Ok(())
            }
            Bytes::Memory(bytes) => {
                let runs = Runs::of_steps(&self.shape, steps);
                let run = runs.run_len() * itemsize;
                for (to, start) in out.chunks_exact_mut(run).zip(runs) {
                    to.copy_from_slice(&bytes[start * itemsize..][..run]);
                }
                Ok(())
            }
            Bytes::File { file, start, record_bytes: None } => {
                let runs = Runs::of_steps(&self.shape, steps);
                let run = runs.run_len() * itemsize;
                let offsets = runs.map(|element| start + (element * itemsize) as u64);
                read_runs((path, file), offsets, run, out)
            }
            Bytes::File { file, start, record_bytes: Some(apart) } => {
                let (records, inner) = steps.split_first().expect("records are along an axis");
                let shape = &self.shape[1..];
                let run = Runs::of_steps(shape, inner).run_len() * itemsize;
                let offsets = (0..records.len).flat_map(|i| {
                    let record = start + (records.start + i * records.step) as u64 * apart;
                    Runs::of_steps(shape, inner).map(move |element| record + (element * itemsize) as u64)
                });
                read_runs((path, file), offsets, run, out)
            }
        }
    }
}

/// Reads runs of so many bytes at ascending positions, those that are near to each other together.
fn read_runs(
    (path, file): (&str, &File),
    offsets: impl Iterator<Item = u64>,
    run: usize,
    mut out: &mut [u8],
) -> Result<(), FormatError> {
    let mut offsets = offsets.peekable();
    let (mut starts, mut block) = (Vec::new(), Vec::new());
    while let Some(first) = offsets.next() {
        starts.clear();
        starts.push(first);
        let mut end = first + run as u64;
        while let Some(next) =
            offsets.next_if(|&n| n - end <= GAP_BYTES_MAX as u64 && n + run as u64 - first <= BLOCK_BYTES_MAX)
        {
            starts.push(next);
            end = next + run as u64;
        }
        let (taken, rest) = out.split_at_mut(starts.len() * run);
        out = rest;
        if starts.len() == 1 {
            read_at(path, file, taken, first)?;
            continue;
        }
        block.resize((end - first) as usize, 0);
        read_at(path, file, &mut block, first)?;
        for (to, start) in taken.chunks_exact_mut(run).zip(&starts) {
            to.copy_from_slice(&block[(start - first) as usize..][..run]);
        }
    }
    Ok(())
}
