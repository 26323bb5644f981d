//! Sorting lanes within a block, and across the chunks of an array of one axis so that the result has any chunks that are
//! wished for, without a look at the values beforehand.
//!
//! Each chunk is sorted by itself. Regular samples of all of them bound the rank of each sample from below and from above,
//! so that for each boundary between two chunks of the result two samples are known between which it lies. Every chunk gives
//! what it has between them, a task for each boundary finds how many elements of each chunk come before it, exactly, and
//! then the chunks are cut there, exchanged and merged. All elements are in one order: by value, NaN last, then by chunk,
//! then by position; so that the sort is stable and nothing depends on which task was first.
//!
//! One task looks at the samples of all chunks. Where there are so many chunks that samples enough for all boundaries would
//! be too many, boundaries are found level by level: first a few that lie far apart, exactly; and then those within each
//! segment between two of them, from samples of that segment, by a task for each. A level has a row for each boundary: the
//! first row of a segment is the boundary at which that begins, known already, and rows beyond the last boundary stand for
//! the end.
//!
//! (After "Parallel sorting by regular sampling", Shi and Schaeffer 1992, with exact splitters as in Axtmann et al.,
//! "Practical massively parallel sorting", 2015.)

#[cfg(target_arch = "x86_64")]
pub(super) mod wide;

use super::elements::{
    Answer, Around, Elements, Reader, Writer, bytes_of, elements_of, of_lanes, placed_of, plane, put, value,
};
use super::number::Ordered;
use crate::blocks::BlockWriter;
use crate::chunk::Plane;
use crate::native::BlockCall;
use tilework_expr::{DType, OwnFunction, with_dtype};
use tilework_plan::{AxisGrid, Temporaries};

/// Numbers that say where a boundary lies: what is known of it, and for its lower and its upper bound whether there is one,
/// its chunk, its position and the bits of its value, low and high.
pub const BOUND_NUMBERS: usize = 11;

/// What is known of a boundary: bounds, that its segment begins there, or that it is the end.
const BETWEEN: u64 = 0;
const BEGINS: u64 = 1;
const ENDS: u64 = 2;

/// A level of boundaries between the chunks of a result: there is a row for every `step`th one, and the rows belong to
/// segments, `fanout` to each.
#[derive(Clone, Debug)]
pub struct Level<'a> {
    /// The result's chunks.
    pub out: &'a AxisGrid,
    /// How many chunks of the result lie between one row and the next.
    pub step: usize,
    /// Rows of a segment.
    pub fanout: usize,
}

impl Level<'_> {
    fn write(&self) -> Writer {
        Writer::default().number(self.step).number(self.fanout).axis(self.out)
    }
}

/// A level as it is read: the same, with the grid.
struct Rows {
    out: AxisGrid,
    step: usize,
    fanout: usize,
}

impl Rows {
    fn read(reader: &mut Reader<'_>) -> Answer<Rows> {
        let (step, fanout, out) = (reader.number()?, reader.number()?, reader.axis()?);
        if step == 0 || fanout == 0 {
            return Err("a level without rows".into());
        }
        Ok(Rows { out, step, fanout })
    }

    /// How many elements come before the boundary of a row.
    fn rank(&self, row: usize) -> usize {
        match row.saturating_mul(self.step) {
            chunk if chunk < self.out.n_chunks() => self.out.range(chunk).start,
            _ => self.out.len(),
        }
    }
}

fn own(name: &str, params: Vec<u8>, inputs: Vec<DType>, output: DType) -> OwnFunction {
    OwnFunction { name: name.into(), params, inputs, output, temporaries: Temporaries::NONE }
}

/// Bytes of what elements of a dtype are compared by: as many as theirs, and more for complex ones.
fn key_bytes(dtype: DType) -> u32 {
    with_dtype!(dtype, A => size_of::<<A as Ordered>::Key>() as u32)
}

/// Sorts the lanes of a block along an axis.
#[must_use]
pub fn sort_lanes(axis: usize, dtype: DType) -> OwnFunction {
    // A copy of a lane, which may be the block, its keys, and room to sort those; the lanes before they are put in their places.
    let size = dtype.size() as u32;
    let temporaries = Temporaries { per_read: size + 2 * key_bytes(dtype), per_made: size, fixed: 0 };
    OwnFunction { temporaries, ..own("sort", Writer::default().number(axis).done(), vec![dtype], dtype) }
}

/// The positions along an axis at which the sorted elements of each lane are: `u64`.
#[must_use]
pub fn argsort_lanes(axis: usize, dtype: DType) -> OwnFunction {
    // A copy of a lane, which may be the block, and its keys with their positions; the lanes before they are put in their
    // places.
    let pairs = key_bytes(dtype) + size_of::<u64>() as u32;
    let per_made = size_of::<u64>() as u32;
    let temporaries = Temporaries { per_read: dtype.size() as u32 + pairs, per_made, fixed: 0 };
    let params = Writer::default().number(axis).done();
    OwnFunction { temporaries, ..own("argsort", params, vec![dtype], DType::U64) }
}

/// At most so many regular samples of each of the segments of a sorted block, for each segment a block. Where they begin come
/// second, if there is more than one: the level above.
#[must_use]
pub fn samples(dtype: DType, n_samples: usize, n_segments: usize) -> OwnFunction {
    let params = Writer::default().number(n_samples).number(n_segments).done();
    own("sort_samples", params, with_cuts(vec![dtype], n_segments), DType::U8)
}

/// The inputs of a function that needs to know where segments begin if there is more than one.
fn with_cuts(mut inputs: Vec<DType>, n_segments: usize) -> Vec<DType> {
    inputs.extend((n_segments > 1).then_some(DType::U8));
    inputs
}

/// From all samples of a segment where the boundaries of its rows lie; there are so many samples at most.
#[must_use]
pub fn bounds(dtype: DType, level: &Level<'_>, samples_max: usize) -> OwnFunction {
    // A sample as an element, a key with its place, and bounds of its rank.
    let each = 2 * dtype.size() as u64 + u64::from(key_bytes(dtype)) + 8 + 16;
    let temporaries = Temporaries { fixed: each * samples_max as u64, ..Temporaries::NONE };
    let params = level.write().dtype(dtype).done();
    OwnFunction { temporaries, ..own("sort_bounds", params, vec![DType::U8], DType::U64) }
}

/// What a sorted block has between the bounds of each row. Where segments begin come third, if there is more than one.
#[must_use]
pub fn windows(dtype: DType, fanout: usize, n_segments: usize) -> OwnFunction {
    let params = Writer::default().number(fanout).number(n_segments).done();
    own("sort_windows", params, with_cuts(vec![dtype, DType::U64], n_segments), DType::U8)
}

/// How many elements of each chunk come before the boundary of a row.
#[must_use]
pub fn cuts(dtype: DType, level: &Level<'_>) -> OwnFunction {
    // The dtype is a parameter, for windows are bytes.
    own("sort_cuts", level.write().dtype(dtype).done(), vec![DType::U8], DType::U8)
}

/// A sorted block, cut at all boundaries, whose rows come last. With positions, which come second, those are sent along.
#[must_use]
pub fn parts(dtype: DType, with_positions: bool, n_parts: usize) -> OwnFunction {
    let mut inputs = vec![dtype];
    inputs.extend(with_positions.then_some(DType::U64));
    inputs.extend((n_parts > 1).then_some(DType::U8));
    let params = Writer::default().number(usize::from(with_positions)).number(n_parts).done();
    own("sort_parts", params, inputs, DType::U8)
}

/// What the parts for a chunk of the result are merged to: elements, or the positions that came with them.
#[must_use]
pub fn merge(dtype: DType, with_positions: bool) -> OwnFunction {
    let params = Writer::default().dtype(dtype).number(usize::from(with_positions)).done();
    let output = if with_positions { DType::U64 } else { dtype };
    // Keys and room to merge them; with positions they are pairs, and the result is made of them.
    let pair = key_bytes(dtype) + size_of::<u64>() as u32;
    let per_made = if with_positions { 2 * pair } else { 2 * key_bytes(dtype) + dtype.size() as u32 };
    let temporaries = Temporaries { per_made, ..Temporaries::NONE };
    OwnFunction { temporaries, ..own("sort_merge", params, vec![DType::U8], output) }
}

/// The order in which the elements of a slice come, equal ones as they stand.
fn order<A: Ordered>(x: &[A]) -> Answer<Vec<u64>> {
    let n = u32::try_from(x.len()).map_err(|_| format!("a lane of {} elements", x.len()))?;
    let mut pairs: Vec<(A::Key, u32)> = x.iter().map(|v| v.key()).zip(0..n).collect();
    pairs.sort_unstable();
    Ok(pairs.into_iter().map(|(_, i)| u64::from(i)).collect())
}

pub(super) fn sort(call: &BlockCall<'_>) -> Answer<Plane> {
    let (block, axis) = (call.block(0)?, Reader(call.params).number()?);
    with_dtype!(block.dtype(), A => {
        let (x, around) = (Elements::<A>::of(block)?, Around::of(block.shape(), axis)?);
        let sorted = of_lanes((&x, around), around.len, |_, lane, sorted| {
            let first = sorted.len();
            sorted.extend_from_slice(lane);
            A::sort(&mut sorted[first..]);
            Ok(())
        });
        plane(&call.shape(), sorted?)
    })
}

pub(super) fn argsort(call: &BlockCall<'_>) -> Answer<Plane> {
    let (block, axis) = (call.block(0)?, Reader(call.params).number()?);
    with_dtype!(block.dtype(), A => {
        let (x, around) = (Elements::<A>::of(block)?, Around::of(block.shape(), axis)?);
        let sorted = of_lanes((&x, around), around.len, |_, lane, sorted| {
            sorted.extend(order::<A>(lane)?);
            Ok(())
        });
        plane(&call.shape(), sorted?)
    })
}

/// Where the `j`th of `n_samples` samples of a block of `len` elements stands.
fn sample_at(j: usize, n_samples: usize, len: usize) -> usize {
    (((j + 1) as u128 * len as u128 / n_samples as u128) as usize).saturating_sub(1)
}

/// Where the segments of a block begin: at the cuts of the level above, or there is only one.
fn begins(call: &BlockCall<'_>, slot: usize, n_segments: usize) -> Answer<Vec<usize>> {
    match n_segments {
        0 | 1 => Ok(vec![0]),
        n => cuts_read(call, slot, n),
    }
}

/// The first `n` of the cuts of a block.
fn cuts_read(call: &BlockCall<'_>, slot: usize, n: usize) -> Answer<Vec<usize>> {
    let parts = call.parts(slot)?;
    let parts = parts.get(..n).ok_or_else(|| format!("{} cuts, expected {n}", parts.len()))?;
    let place = |part: &&Plane| -> Answer<usize> {
        let bytes = bytes_of(part)?.first_chunk::<8>().ok_or("a cut without a place")?;
        Ok(u64::from_le_bytes(*bytes) as usize)
    };
    parts.iter().map(place).collect()
}

pub(super) fn sort_samples(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (n_samples, n_segments) = (reader.number()?, reader.number()?);
    let (block, begins) = (call.block(0)?, begins(call, 1, n_segments)?);
    with_dtype!(block.dtype(), A => {
        let x = Elements::<A>::of(block)?;
        let mut out = BlockWriter::new(begins.len());
        for (i, &start) in begins.iter().enumerate() {
            let end = begins.get(i + 1).copied().unwrap_or(x.len());
            let segment = x.get(start..end).ok_or("segments that are not in order")?;
            let n = n_samples.min(segment.len());
            put(out.block(), &[start as u64, segment.len() as u64]);
            out.block().reserve(n * size_of::<A>());
            (0..n).for_each(|j| put(out.block(), &[segment[sample_at(j, n, segment.len())]]));
            out.end();
        }
        value(out.finish())
    })
}

/// Regular samples of a segment of a chunk: where it begins, how long it is, and the samples.
struct Samples<A> {
    start: usize,
    len: usize,
    values: Vec<A>,
}

impl<A: Ordered> Samples<A> {
    fn read(part: &Plane) -> Answer<Samples<A>> {
        let (head, rest) = bytes_of(part)?.split_at_checked(16).ok_or("samples without a place")?;
        let (head, values) = (elements_of::<u64>(head)?, elements_of::<A>(rest)?);
        Ok(Samples { start: head[0] as usize, len: head[1] as usize, values })
    }

    /// Where a sample stands in the segment.
    fn at(&self, j: usize) -> usize {
        sample_at(j, self.values.len(), self.len)
    }

    /// Of a segment of which so many samples come no later than a value: how many elements certainly do, up to the last of
    /// those.
    fn least(&self, seen: usize) -> usize {
        seen.checked_sub(1).map_or(0, |last| self.at(last) + 1)
    }

    /// And how many may, up to the next.
    fn most(&self, seen: usize) -> usize {
        if seen < self.values.len() { self.at(seen) } else { self.len }
    }
}

pub(super) fn sort_bounds(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (rows, dtype) = (Rows::read(&mut reader)?, reader.dtype()?);
    let segment = call.place.chunk.first().copied().unwrap_or(0);
    let parts = call.parts(0)?;
    with_dtype!(dtype, A => {
        let samples = parts.iter().map(|part| Samples::<A>::read(part)).collect::<Answer<Vec<_>>>()?;
        plane(&call.shape(), bounds_of::<A>(&samples, &rows, segment)?)
    })
}

/// For each row of a segment the last sample that certainly comes before its boundary, and the first that certainly does
/// not.
fn bounds_of<A: Ordered>(chunks: &[Samples<A>], rows: &Rows, segment: usize) -> Answer<Vec<u64>> {
    let numbered = (0..).zip(chunks);
    let mut samples: Vec<(A::Key, u32, u32)> =
        Vec::with_capacity(chunks.iter().map(|c| c.values.len()).sum());
    for (chunk, of) in numbered {
        samples.extend((0..).zip(&of.values).map(|(j, v)| (v.key(), chunk, j)));
    }
    samples.sort_unstable();
    let mut seen = vec![0usize; chunks.len()];
    let (mut least, mut most) = (0, chunks.iter().map(|c| c.most(0)).sum::<usize>());
    let mut ranked = Vec::with_capacity(samples.len());
    for &(_, chunk, j) in &samples {
        let (of, now) = (&chunks[chunk as usize], &mut seen[chunk as usize]);
        (least, most) = (least - of.least(*now), most - of.most(*now));
        *now += 1;
        // Of its own chunk it is known how many come no later.
        let own = of.at(j as usize) + 1;
        ranked.push((least + of.least(*now), most + own));
        (least, most) = (least + of.least(*now), most + of.most(*now));
    }
    let before: usize = chunks.iter().map(|c| c.start).sum();
    let mut out = Vec::with_capacity(rows.fanout * BOUND_NUMBERS);
    for row in 0..rows.fanout {
        let rank = rows.rank(segment * rows.fanout + row);
        let known = match row {
            0 => BEGINS,
            _ if rank == rows.out.len() => ENDS,
            _ => BETWEEN,
        };
        out.push(known);
        let rank = rank.checked_sub(before).ok_or("a segment that begins beyond its rows")?;
        let low = ranked.partition_point(|&(_, most)| most <= rank).checked_sub(1);
        let high = Some(ranked.partition_point(|&(least, _)| least < rank)).filter(|&i| i < samples.len());
        for bound in [low, high] {
            let Some((_, chunk, j)) = bound.map(|i| samples[i]) else {
                out.extend([0; BOUND_NUMBERS / 2]);
                continue;
            };
            let of = &chunks[chunk as usize];
            let bits = of.values[j as usize].to_bits();
            out.extend([
                1,
                chunk.into(),
                (of.start + of.at(j as usize)) as u64,
                bits as u64,
                (bits >> 64) as u64,
            ]);
        }
    }
    Ok(out)
}

/// How many elements of a sorted block come no later than a bound, which is absent where there is none.
fn no_later<A: Ordered>(x: &[A], chunk: usize, bound: &[u64]) -> Option<usize> {
    let &[1, of, at, low, high] = bound else { return None };
    let key = A::from_bits(u128::from(low) | u128::from(high) << 64).key();
    Some(match chunk.cmp(&(of as usize)) {
        std::cmp::Ordering::Less => x.partition_point(|v| v.key() <= key),
        std::cmp::Ordering::Equal => (at as usize + 1).min(x.len()),
        std::cmp::Ordering::Greater => x.partition_point(|v| v.key() < key),
    })
}

pub(super) fn sort_windows(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (fanout, n_segments) = (reader.number()?.max(1), reader.number()?);
    let (block, bounds) = (call.block(0)?, Elements::<u64>::of(call.block(1)?)?);
    let begins = begins(call, 2, n_segments)?;
    let chunk = call.place.chunk.first().copied().unwrap_or(0);
    with_dtype!(block.dtype(), A => {
        let x = Elements::<A>::of(block)?;
        let mut out = BlockWriter::new(bounds.len() / BOUND_NUMBERS);
        for (row, bound) in bounds.chunks_exact(BOUND_NUMBERS).enumerate() {
            let segment = row / fanout;
            let begin = *begins.get(segment).ok_or("a row of no segment")?;
            let end = begins.get(segment + 1).copied().unwrap_or(x.len());
            let (low, high) = bound[1..].split_at(BOUND_NUMBERS / 2);
            let (start, end) = match bound[0] {
                BETWEEN => {
                    let start = no_later::<A>(&x, chunk, low).map_or(begin, |n| n.clamp(begin, end));
                    (start, no_later::<A>(&x, chunk, high).map_or(end, |n| n.clamp(start, end)))
                }
                BEGINS => (begin, begin),
                _ => (x.len(), x.len()),
            };
            put(out.block(), &[start as u64]);
            put(out.block(), x.get(start..end).ok_or("segments that are not in order")?);
            out.end();
        }
        value(out.finish())
    })
}

pub(super) fn sort_cuts(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (rows, dtype) = (Rows::read(&mut reader)?, reader.dtype()?);
    let rank = rows.rank(call.place.chunk.first().copied().unwrap_or(0));
    let parts = call.parts(0)?;
    let cut = with_dtype!(dtype, A => cut_at::<A>(parts, rank))?;
    let mut out = BlockWriter::new(cut.len());
    for n in cut {
        put(out.block(), &[n as u64]);
        out.end();
    }
    value(out.finish())
}

/// Of each chunk, how many of its elements are among the first so many of all: what stands before its window, and some of
/// that.
fn cut_at<A: Ordered>(parts: &[&Plane], rank: usize) -> Answer<Vec<usize>> {
    let mut cut = Vec::with_capacity(parts.len());
    let mut all: Vec<(A::Key, u32)> = Vec::new();
    for (chunk, part) in parts.iter().enumerate() {
        let (start, rest) = bytes_of(part)?.split_first_chunk::<8>().ok_or("a window without a place")?;
        cut.push(u64::from_le_bytes(*start) as usize);
        let chunk = u32::try_from(chunk).map_err(|_| "too many chunks")?;
        all.extend(elements_of::<A>(rest)?.into_iter().map(|v| (v.key(), chunk)));
    }
    let before: usize = cut.iter().sum();
    let wanted = rank.checked_sub(before).filter(|&n| n <= all.len());
    let wanted = wanted
        .ok_or_else(|| format!("a boundary at {rank}, expected it among {before} and {}", all.len()))?;
    if wanted > 0 && wanted < all.len() {
        // Elements of one chunk that are equal are cut by their number alone, so that their positions need not be told.
        all.select_nth_unstable(wanted);
    }
    for (_, chunk) in &all[..wanted] {
        cut[*chunk as usize] += 1;
    }
    Ok(cut)
}

pub(super) fn sort_parts(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (with_positions, n_parts) = (reader.number()? == 1, reader.number()?);
    let block = call.block(0)?;
    let positions = with_positions.then(|| Elements::<u64>::of(call.block(1)?)).transpose()?;
    let mut at = begins(call, 1 + usize::from(with_positions), n_parts)?;
    at.push(block.len());
    if !at.is_sorted() {
        return Err("boundaries that are not in order".into());
    }
    let first = call.place.space.first().map_or(0, |r| r.start) as u64;
    with_dtype!(block.dtype(), A => {
        let x = Elements::<A>::of(block)?;
        let mut out = BlockWriter::new(at.len() - 1);
        for ends in at.windows(2) {
            if let Some(positions) = &positions {
                // The numbers come first, so that their own number need not be said.
                let of_all: Vec<u64> = positions[ends[0]..ends[1]].iter().map(|p| first + p).collect();
                put(out.block(), &of_all);
            }
            put(out.block(), &x[ends[0]..ends[1]]);
            out.end();
        }
        value(out.finish())
    })
}

pub(super) fn sort_merge(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (dtype, with_positions) = (reader.dtype()?, reader.number()? == 1);
    let parts = call.parts(0)?;
    with_dtype!(dtype, A => match with_positions {
        true => plane(&call.shape(), merged_positions::<A>(parts)?),
        false => plane(&call.shape(), merged::<A>(parts)?),
    })
}

fn merged<A: Ordered>(parts: &[&Plane]) -> Answer<Vec<A>> {
    let runs = parts.iter().map(|part| elements_of::<A>(bytes_of(part)?));
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    let mut all = Vec::with_capacity(bytes / size_of::<A>());
    for run in runs {
        all.extend_from_slice(&run?);
    }
    A::merge(&mut all);
    Ok(all)
}

fn merged_positions<A: Ordered>(parts: &[&Plane]) -> Answer<Vec<u64>> {
    let mut all: Vec<(A::Key, u64)> = Vec::new();
    for part in parts {
        let (positions, values) = placed_of::<A>(part, 1)?;
        all.extend(values.iter().map(|v| v.key()).zip(positions));
    }
    // Of equal elements the first comes first, by the chunks and in them.
    all.sort();
    Ok(all.into_iter().map(|(_, at)| at).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bounds are right whatever the values: the elements up to the lower one are no more than the rank, those up to the
    /// upper one no fewer.
    #[test]
    fn bounds_hold_what_they_are_of() {
        let mut seed = 7u64;
        let mut draw = |n: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % n
        };
        for (lens, n_samples, kinds) in
            [(vec![5, 9, 1], 3, 4), (vec![40, 40, 40, 7], 8, 1000), (vec![30, 2, 30], 16, 1)]
        {
            let mut chunks: Vec<Vec<i32>> =
                lens.iter().map(|&n| (0..n).map(|_| draw(kinds) as i32).collect()).collect();
            chunks.iter_mut().for_each(|c| c.sort_unstable());
            let of = |c: &Vec<i32>| {
                let n = n_samples.min(c.len());
                let values = (0..n).map(|j| c[sample_at(j, n, c.len())]).collect();
                Samples { start: 0, len: c.len(), values }
            };
            let samples: Vec<Samples<i32>> = chunks.iter().map(of).collect();
            let len: usize = lens.iter().sum();
            let rows = Rows { out: AxisGrid::regular(len, 1), step: 1, fanout: len + 1 };
            let bounds = bounds_of::<i32>(&samples, &rows, 0).unwrap();
            for (rank, bound) in bounds.chunks_exact(BOUND_NUMBERS).enumerate() {
                let (bound, known) = (&bound[1..], bound[0]);
                assert_eq!(
                    known,
                    if rank == 0 {
                        BEGINS
                    } else if rank == len {
                        ENDS
                    } else {
                        BETWEEN
                    }
                );
                let upto = |bound: &[u64], none: fn(&Vec<i32>) -> usize| -> usize {
                    chunks
                        .iter()
                        .enumerate()
                        .map(|(i, c)| no_later::<i32>(c, i, bound).unwrap_or(none(c)))
                        .sum()
                };
                let (low, high) = (upto(&bound[..5], |_| 0), upto(&bound[5..], Vec::len));
                assert!(low <= rank && rank <= high, "{low} {rank} {high} of {lens:?}");
                assert!(high - low <= 3 * (lens.iter().map(|l| l / n_samples + 1).sum::<usize>() + 1));
            }
        }
    }
}
