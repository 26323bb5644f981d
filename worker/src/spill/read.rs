//! Reading what is on the disk: the blocks that hold a box, each checked against its sum.
//!
//! Owns which bytes are read together. Must not know who wants them.

use super::{BLOCK_BYTES, PlaneAt, Spilled};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use tilework_expr::DType;
use tilework_kernels::{Chunk, ChunkWriter, NoBlock, block_range};
use tilework_plan::{Part, Region};

/// Blocks that are read by one call of the system, at most.
const SPAN_BLOCKS: usize = 256;
/// Blocks that nobody wants between two that somebody does, which are read all the same: a call costs more.
const GAP_BLOCKS: usize = 4;

impl Spilled {
    /// Bytes of the chunk, or of a box of it.
    pub(crate) fn bytes_of(&self, region: Option<&Region>) -> usize {
        let len = |p: &PlaneAt| match region {
            Some(region) => region.iter().map(ExactSizeIterator::len).product::<usize>() * p.dtype.size(),
            None => p.bytes,
        };
        self.planes.iter().map(len).sum()
    }

    /// Where a block lies in a value.
    ///
    /// # Errors
    /// Where the disk fails, what it gives is not what was written, or there is no such block.
    pub(crate) fn block(&self, number: u64) -> io::Result<Region> {
        let [plane] = self.planes.as_slice() else { return Err(NoBlock::Malformed.into()) };
        if plane.shape.len() != 1 || plane.dtype != DType::U8 {
            return Err(NoBlock::Malformed.into());
        }
        let read = |range| {
            let chunk = self.read(Some(&std::iter::once(range).collect()))?;
            let bytes = chunk.planes.first().and_then(|plane| plane.contiguous_bytes());
            Ok::<_, io::Error>(bytes.unwrap_or_default().to_vec())
        };
        Ok(std::iter::once(block_range(number, plane.bytes, read)?).collect())
    }

    /// The chunk, or a part of it: a box in its own coordinates, or a block.
    ///
    /// # Errors
    /// As [`Spilled::block`].
    pub(crate) fn read_part(&self, part: Option<&Part>) -> io::Result<Chunk> {
        match part {
            None => self.read(None),
            Some(Part::Box(region)) => self.read(Some(region)),
            Some(Part::Block(number)) => self.read(Some(&self.block(*number)?)),
        }
    }

    /// The chunk, or a box of it in its own coordinates.
    ///
    /// # Errors
    /// Where the disk fails, or what it gives is not what was written.
    pub(crate) fn read(&self, region: Option<&Region>) -> io::Result<Chunk> {
        let dtypes: Vec<_> = self.planes.iter().map(|p| p.dtype).collect();
        let Some(first) = self.planes.first() else { return Ok(Chunk { planes: Vec::new() }) };
        let whole: Region = first.shape.iter().map(|&l| 0..l).collect();
        let region = region.unwrap_or(&whole);
        let shape: Vec<usize> = region.iter().map(ExactSizeIterator::len).collect();
        let mut writer = ChunkWriter::new(&dtypes, &shape).map_err(io::Error::other)?;
        let mut span = Vec::new();
        for plane in &self.planes {
            self.read_plane(plane, region, &mut span, &mut writer)?;
        }
        writer.finish().map_err(io::Error::other)
    }

    fn read_plane(
        &self,
        plane: &PlaneAt,
        region: &Region,
        span: &mut Vec<u8>,
        writer: &mut ChunkWriter,
    ) -> io::Result<()> {
        let mut runs = Runs::new(plane, region).peekable();
        while let Some(first) = runs.peek() {
            let begin = first.start / BLOCK_BYTES;
            let mut end = begin;
            let mut wanted: Vec<Range<usize>> = Vec::new();
            // A run may be longer than a span: then it is read in parts.
            while let Some(run) = runs.peek_mut() {
                let from = run.start / BLOCK_BYTES;
                if from > end + GAP_BLOCKS || from >= begin + SPAN_BLOCKS {
                    break;
                }
                let upto = run.end.min((begin + SPAN_BLOCKS) * BLOCK_BYTES);
                wanted.push(run.start..upto);
                end = upto.div_ceil(BLOCK_BYTES);
                if upto < run.end {
                    run.start = upto;
                    break;
                }
                runs.next();
            }
            let bytes = begin * BLOCK_BYTES..(end * BLOCK_BYTES).min(plane.bytes);
            span.resize(bytes.len(), 0);
            self.file.read_exact_at(span, plane.at + bytes.start as u64)?;
            let sums = &plane.sums[begin..end];
            if super::blocks(span).ne(sums.iter().copied()) {
                let what = "a part of a chunk on the disk is not what was written there";
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            for run in wanted {
                let run = run.start - bytes.start..run.end - bytes.start;
                writer.write(&span[run]).map_err(io::Error::other)?;
            }
        }
        Ok(())
    }
}

/// The ranges of bytes of a row-major plane in which a box lies, in order.
struct Runs {
    /// Bytes from one position to the next along each outer axis, and the box along it.
    outer: Vec<(usize, Range<usize>)>,
    /// Where each outer axis stands; none where nothing is left.
    at: Option<Vec<usize>>,
    /// The first byte of the innermost run, and its bytes.
    run: (usize, usize),
}

impl Runs {
    fn new(plane: &PlaneAt, region: &Region) -> Runs {
        // Inner axes of which all is wanted belong to the run, and the first of which a part is.
        let mut bytes = plane.dtype.size();
        let mut axis = plane.shape.len();
        let (mut start, mut len) = (0, bytes);
        while axis > 0 {
            axis -= 1;
            let part = &region[axis];
            start = part.start * bytes;
            len = part.len() * bytes;
            bytes *= plane.shape[axis];
            if part.len() != plane.shape[axis] {
                break;
            }
        }
        let mut outer: Vec<(usize, Range<usize>)> = Vec::new();
        for axis in (0..axis).rev() {
            outer.push((bytes, region[axis].clone()));
            bytes *= plane.shape[axis];
        }
        outer.reverse();
        let empty = len == 0 || region.iter().any(Range::is_empty);
        let at = (!empty).then(|| outer.iter().map(|(_, part)| part.start).collect());
        Runs { outer, at, run: (start, len) }
    }
}

impl Iterator for Runs {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let at = self.at.as_mut()?;
        let start = self.run.0 + at.iter().zip(&self.outer).map(|(i, (step, _))| i * step).sum::<usize>();
        let mut axis = at.len();
        loop {
            if axis == 0 {
                self.at = None;
                break;
            }
            axis -= 1;
            at[axis] += 1;
            if at[axis] < self.outer[axis].1.end {
                break;
            }
            at[axis] = self.outer[axis].1.start;
        }
        Some(start..start + self.run.1)
    }
}
