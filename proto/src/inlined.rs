//! Small results that travel with the news of them, so that nobody has to ask for them: from the worker that made them
//! beside its report, and through the scheduler, which keeps none, beside its word to the client.
//!
//! Owns their form and bounds. Must not know who wants them.

use std::ops::Range;
use tilework_expr::DType;
use tilework_plan::TaskRange;

/// Bytes of a result that travels so, at most.
pub const RESULT_BYTES_MAX: usize = 1 << 10;
/// Bytes of all results that travel beside one message.
pub const MESSAGE_INLINED_BYTES_MAX: usize = 64 << 10;

/// The results of neighbouring tasks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inlined {
    /// Whose.
    pub tasks: TaskRange,
    /// Their elements' types, one a plane.
    pub dtypes: Vec<DType>,
    /// The shape of each; nothing where they are values, of which each has as many bytes as it takes.
    pub shape: Vec<usize>,
    /// Where each one's bytes end.
    pub ends: Vec<u32>,
    /// One after another: the planes one after another, each in row-major order, little-endian.
    pub bytes: Vec<u8>,
}

impl Inlined {
    /// The bytes of one of them, by its chunk's number.
    ///
    /// ```
    /// use tilework_plan::{JobId, StageIdx, TaskRange};
    /// use tilework_proto::Inlined;
    ///
    /// let tasks = TaskRange { job: JobId(1), stage: StageIdx(0), chunks: 7..9 };
    /// let dtypes = vec![tilework_expr::DType::U8];
    /// let two = Inlined { tasks, dtypes, shape: vec![], ends: vec![2, 5], bytes: vec![1, 2, 3, 4, 5] };
    /// assert_eq!(two.of(8), Some(&[3, 4, 5][..]));
    /// assert_eq!(two.of(9), None);
    /// ```
    #[must_use]
    pub fn of(&self, chunk: u64) -> Option<&[u8]> {
        let i = usize::try_from(chunk.checked_sub(self.tasks.chunks.start)?).ok()?;
        let end = *self.ends.get(i)? as usize;
        let start = i.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.bytes.get(start..end)
    }

    /// Those of a part of the tasks.
    ///
    /// # Panics
    /// If it is no part of them.
    #[must_use]
    pub fn part(&self, chunks: Range<u64>) -> Inlined {
        let first = self.tasks.chunks.start;
        let (from, to) = ((chunks.start - first) as usize, (chunks.end - first) as usize);
        let start = from.checked_sub(1).map_or(0, |before| self.ends[before]);
        let ends: Vec<u32> = self.ends[from..to].iter().map(|end| end - start).collect();
        let len = ends.last().copied().unwrap_or(0);
        let bytes = self.bytes[start as usize..(start + len) as usize].to_vec();
        let tasks = TaskRange { chunks, ..self.tasks.clone() };
        Inlined { tasks, dtypes: self.dtypes.clone(), shape: self.shape.clone(), ends, bytes }
    }

    /// Whether the bytes of each of them are where they are said to be.
    #[cfg(feature = "wire")]
    pub(crate) fn is_whole(&self) -> bool {
        let n = self.tasks.chunks.end - self.tasks.chunks.start;
        let rising = self.ends.windows(2).all(|w| w[0] <= w[1]);
        let ends = self.ends.last().copied().unwrap_or(0) as usize;
        self.ends.len() as u64 == n && rising && ends == self.bytes.len() && !self.dtypes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tilework_plan::{JobId, StageIdx};

    #[test]
    fn a_part_has_the_bytes_of_its_tasks() {
        let tasks = TaskRange { job: JobId(1), stage: StageIdx(2), chunks: 10..14 };
        let (dtypes, ends) = (vec![DType::U8], vec![1, 1, 4, 6]);
        let all = Inlined { tasks, dtypes, shape: vec![], ends, bytes: (0..6).collect() };
        for (from, to) in [(10, 14), (10, 11), (11, 13), (12, 14), (12, 12)] {
            let part = all.part(from..to);
            assert_eq!(part.tasks.chunks, from..to);
            for chunk in 9..15 {
                let there = (from..to).contains(&chunk);
                assert_eq!(part.of(chunk), all.of(chunk).filter(|_| there), "{chunk} of {from}..{to}");
            }
        }
        assert_eq!(all.of(11), Some(&[][..]));
        assert_eq!(all.of(13), Some(&[4, 5][..]));
        assert_eq!(all.of(14), None);
    }
}
