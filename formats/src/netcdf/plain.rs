//! Elements that lie in a file, or in its header, as they are: one after another in C order, or record by record.
//!
//! Must not know which format says so.

use super::read_at;
use crate::FormatError;
use crate::elements;
use crate::region::{Near, Runs};
use std::fs::File;
use tilework_plan::Steps;

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
                elements::fill(out, element);
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
                let near = Near::of(Runs::of_steps(&self.shape, steps), itemsize);
                near.gather(out, |to, first| read_at(path, file, to, start + (first * itemsize) as u64))
            }
            Bytes::File { file, start, record_bytes: Some(apart) } => {
                let (records, inner) = steps.split_first().expect("records are along an axis");
                let shape = &self.shape[1..];
                let run = Runs::of_steps(shape, inner).run_len() * itemsize;
                // Positions are of bytes, for records may begin at any.
                let offsets = (0..records.len).flat_map(|i| {
                    let record = (records.start + i * records.step) * *apart as usize;
                    Runs::of_steps(shape, inner).map(move |element| record + element * itemsize)
                });
                let near = Near::new(offsets, run, 1);
                near.gather(out, |to, first| read_at(path, file, to, start + first as u64))
            }
        }
    }
}
