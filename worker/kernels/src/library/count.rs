//! Counting: elements of each bin of a histogram, of each small number, of each group; with weights or without.

use super::elements::{Answer, Elements, Reader, Writer, plane};
use super::number::{Bounded, Ordered, with_bounded};
use crate::chunk::Plane;
use crate::native::BlockCall;
use crate::ops::versions;
use tilework_expr::{DType, OwnFunction, with_dtype};
use tilework_plan::Temporaries;

/// What bins lie between the edges of a histogram, which rise and come second, as a whole array of `f64`: how many elements of
/// a block are in each, `u64`, or the sum of their weights, which come third, `f64`. The last bin has its upper edge too; what
/// lies beyond, and NaN, is in none.
#[must_use]
pub fn histogram(dtype: DType, weighted: bool) -> OwnFunction {
    let mut inputs = vec![dtype, DType::F64];
    inputs.extend(weighted.then_some(DType::F64));
    let (output, temporaries) = (if weighted { DType::F64 } else { DType::U64 }, Temporaries::NONE);
    OwnFunction { name: "histogram".into(), params: Vec::new(), inputs, output, temporaries }
}

/// How often each number below `n` occurs in a block of integers, `u64`, or the sum of the weights there, `f64`. Negative
/// numbers and greater ones are an error.
#[must_use]
pub fn bincount(dtype: DType, n: usize, weighted: bool) -> OwnFunction {
    let mut inputs = vec![dtype];
    inputs.extend(weighted.then_some(DType::F64));
    let output = if weighted { DType::F64 } else { DType::U64 };
    let params = Writer::default().number(n).done();
    OwnFunction { name: "bincount".into(), params, inputs, output, temporaries: Temporaries::NONE }
}

/// How many elements of a block are true: one number.
#[must_use]
pub fn count_true() -> OwnFunction {
    OwnFunction {
        name: "count_true".into(),
        params: Vec::new(),
        inputs: vec![DType::Bool],
        output: DType::U64,
        temporaries: Temporaries::NONE,
    }
}

/// What is asked of an element and sorted ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Search {
    /// How many are below it, as NumPy's `searchsorted`.
    Below,
    /// How many are not above it.
    NotAbove,
    /// Whether it is among them: 1 or 0.
    Among,
}

impl Search {
    pub(super) fn read(reader: &mut Reader<'_>) -> Answer<Search> {
        match reader.number()? {
            0 => Ok(Search::Below),
            1 => Ok(Search::NotAbove),
            2 => Ok(Search::Among),
            code => Err(format!("kind {code} of search")),
        }
    }

    /// Whether an element that is equal to one of the sorted ones comes behind it.
    pub(super) fn counts_equal(self) -> bool {
        self != Search::Below
    }

    /// The answer for an element among sorted ones that come behind so many others.
    pub(super) fn of<A: Ordered>(self, sorted: &[A], before: usize, v: A) -> u64 {
        let key = v.key();
        let n = sorted.partition_point(|e| e.key() < key || self == Search::NotAbove && e.key() == key);
        match self {
            Search::Among => u64::from(sorted.get(n).is_some_and(|e| e.key() == key)),
            _ => (before + n) as u64,
        }
    }
}

/// What is asked of each element and the sorted ones of a whole array of one axis, which come second: `u64`.
#[must_use]
pub fn searchsorted(dtype: DType, search: Search) -> OwnFunction {
    let params = Writer::default().number(search as usize).done();
    let (inputs, temporaries) = (vec![dtype, dtype], Temporaries::NONE);
    OwnFunction { name: "searchsorted".into(), params, inputs, output: DType::U64, temporaries }
}

/// Which of `n` bins an element falls into.
trait Bins<A>: Copy {
    fn n(self) -> usize;
    fn bin(self, v: A) -> Option<usize>;
}

/// How many elements fall into each bin, and how many into none.
///
/// # Safety
/// It has no demands: this is the form of versions of a loop.
#[inline(always)]
unsafe fn count_body<A: Bounded, B: Bins<A>>(x: &[A], bins: B, counts: &mut [u64]) -> usize {
    let mut beside = 0;
    for v in x {
        match bins.bin(*v) {
            Some(bin) => counts[bin] += 1,
            None => beside += 1,
        }
    }
    beside
}
versions! { wide fn count<A: Bounded, B: Bins<A>>(x: &[A], bins: B, counts: &mut [u64]) -> usize = count_body }

/// Adds up what falls into each bin, and says how many fall into none.
fn added<A: Bounded, B: Bins<A>>(
    x: &[A],
    bins: B,
    weights: Option<&[f64]>,
    shape: &[usize],
) -> Answer<(Plane, usize)> {
    let Some(weights) = weights else {
        let mut counts = vec![0u64; bins.n()];
        // SAFETY: it has no demands.
        let beside = unsafe { count::<A, B>()(x, bins, &mut counts) };
        return Ok((plane(shape, counts)?, beside));
    };
    let (mut sums, mut beside) = (vec![0f64; bins.n()], 0);
    for (v, w) in x.iter().zip(weights) {
        match bins.bin(*v) {
            Some(bin) => sums[bin] += w,
            None => beside += 1,
        }
    }
    Ok((plane(shape, sums)?, beside))
}

/// The weights of `n` elements, which come last, if there are any.
fn weights(call: &BlockCall<'_>, slot: usize, n: usize) -> Answer<Option<Elements<f64>>> {
    let given = call.inputs.get(slot).map(|_| Elements::<f64>::of(call.block(slot)?)).transpose()?;
    match given.as_ref().map(|w| w.len()) {
        Some(got) if got != n => Err(format!("{got} weights of {n} elements")),
        _ => Ok(given),
    }
}

pub(super) fn histogram_of(call: &BlockCall<'_>) -> Answer<Plane> {
    let edges = Elements::<f64>::of(call.block(1)?)?;
    let between = Between::of(&edges)?;
    let block = call.block(0)?;
    with_bounded!(block.dtype(), A => {
        let x = Elements::<A>::of(block)?;
        let weights = weights(call, 2, x.len())?;
        Ok(added::<A, _>(&x, between, weights.as_deref(), &call.shape())?.0)
    })
}

/// Bins between edges, of which there are two or more, in order: each has its lower edge, the last one its upper edge too.
#[derive(Clone, Copy)]
pub(super) struct Between<'a> {
    edges: &'a [f64],
    low: f64,
    high: f64,
    /// Bins of a unit, if they were regular.
    scale: f64,
}

impl<'a> Between<'a> {
    /// # Errors
    /// Fewer than two edges; edges that are not in order.
    pub(super) fn of(edges: &'a [f64]) -> Answer<Between<'a>> {
        let (Some(&low), Some(&high)) = (edges.first(), edges.last()) else {
            return Err("a histogram without edges".into());
        };
        if edges.len() < 2 || !edges.is_sorted() {
            return Err("edges of a histogram that do not rise".into());
        }
        Ok(Between { edges, low, high, scale: (edges.len() as f64 - 1.0) / (high - low) })
    }

    /// How many bins there are.
    #[inline(always)]
    pub(super) fn n_bins(self) -> usize {
        self.edges.len() - 1
    }

    /// The bin of a number; of what lies beyond, and of NaN, there is none.
    #[inline(always)]
    pub(super) fn bin_of(self, v: f64) -> Option<usize> {
        if !(self.low <= v && v <= self.high) {
            return None;
        }
        // Where the edges are regular the bin is nearly known.
        let last = self.edges.len() - 2;
        let at = (((v - self.low) * self.scale) as usize).min(last);
        if self.edges[at] <= v && v < self.edges[at + 1] {
            return Some(at);
        }
        Some(self.edges.partition_point(|e| *e <= v).saturating_sub(1).min(last))
    }
}

impl<A: Bounded> Bins<A> for Between<'_> {
    #[inline(always)]
    fn n(self) -> usize {
        self.n_bins()
    }

    #[inline(always)]
    fn bin(self, v: A) -> Option<usize> {
        self.bin_of(v.as_f64())
    }
}

/// The numbers from 0 on.
#[derive(Clone, Copy)]
struct Numbers(usize);

impl<A: Bounded> Bins<A> for Numbers {
    #[inline(always)]
    fn n(self) -> usize {
        self.0
    }

    #[inline(always)]
    fn bin(self, v: A) -> Option<usize> {
        let v = v.as_f64();
        (0.0 <= v && v < self.0 as f64).then_some(v as usize)
    }
}

pub(super) fn bincount_of(call: &BlockCall<'_>) -> Answer<Plane> {
    let (n, block) = (Reader(call.params).number()?, call.block(0)?);
    if n > call.shape().iter().product() {
        return Err(format!("{n} numbers for a block of shape {:?}", call.shape()));
    }
    with_bounded!(block.dtype(), A => {
        let x = Elements::<A>::of(block)?;
        let weights = weights(call, 1, x.len())?;
        let (found, beside) = added::<A, _>(&x, Numbers(n), weights.as_deref(), &call.shape())?;
        if beside > 0 {
            let bad = x.iter().find(|v| Bins::<A>::bin(Numbers(n), **v).is_none());
            let bad = bad.map_or_else(String::new, |v| format!("{v:?}"));
            return Err(format!("got {bad}, expected numbers from 0 to {}", n.saturating_sub(1)));
        }
        Ok(found)
    })
}

pub(super) fn count_true_of(call: &BlockCall<'_>) -> Answer<Plane> {
    let n = Elements::<bool>::of(call.block(0)?)?.iter().filter(|b| **b).count();
    plane(&call.shape(), vec![n as u64])
}

pub(super) fn searched(call: &BlockCall<'_>) -> Answer<Plane> {
    let (search, block) = (Search::read(&mut Reader(call.params))?, call.block(0)?);
    with_dtype!(block.dtype(), A => {
        let (x, edges) = (Elements::<A>::of(block)?, Elements::<A>::of(call.block(1)?)?);
        if !edges.is_sorted_by_key(|e| e.key()) {
            return Err("the edges are not in order".into());
        }
        plane(&call.shape(), x.iter().map(|v| search.of(&edges, 0, *v)).collect())
    })
}
