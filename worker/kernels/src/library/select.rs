//! What stands at places of the order of lanes: quantiles by NumPy's rules, the greatest and least elements.

use super::elements::{Answer, Around, Elements, Reader, Writer, of_lanes, plane};
use super::number::{Bounded, OfKey, Ordered, with_bounded};
use crate::chunk::Plane;
use crate::native::BlockCall;
use crate::ops::versions;
use tilework_expr::{DType, OwnFunction, with_dtype};
use tilework_plan::Temporaries;

/// Between which of the sorted elements a quantile lies, and how it is made of them: NumPy's rules under NumPy's names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[allow(missing_docs, reason = "NumPy's names; what each does is said there, after Hyndman and Fan 1996")]
pub enum Interpolation {
    InvertedCdf,
    AveragedInvertedCdf,
    ClosestObservation,
    InterpolatedInvertedCdf,
    Hazen,
    Weibull,
    #[default]
    Linear,
    MedianUnbiased,
    NormalUnbiased,
    Lower,
    Higher,
    Midpoint,
    Nearest,
}

impl Interpolation {
    /// All of them.
    pub const ALL: [Interpolation; 13] = {
        use Interpolation::*;
        [
            InvertedCdf,
            AveragedInvertedCdf,
            ClosestObservation,
            InterpolatedInvertedCdf,
            Hazen,
            Weibull,
            Linear,
            MedianUnbiased,
            NormalUnbiased,
            Lower,
            Higher,
            Midpoint,
            Nearest,
        ]
    };

    /// The places, from 0, of the two sorted elements of `n` between which the quantile `q` lies, and how far it is from the
    /// first to the second.
    ///
    /// # Panics
    /// For no elements.
    #[must_use]
    pub fn place(self, q: f64, n: usize) -> (usize, usize, f64) {
        assert!(n > 0, "a quantile of no elements");
        let (len, last) = (n as f64, n - 1);
        // Hyndman and Fan's two parameters.
        let plotted = |alpha: f64, beta: f64| len * q + (alpha + q * (1.0 - alpha - beta)) - 1.0;
        let at = match self {
            Interpolation::InvertedCdf => return whole((len * q).ceil() - 1.0, last),
            Interpolation::AveragedInvertedCdf => {
                let at = len * q;
                let first = whole(at.ceil() - 1.0, last).0;
                let second = if at == at.floor() { whole(at, last).0 } else { first };
                return (first, second, 0.5);
            }
            Interpolation::ClosestObservation => {
                let at = len * q - 1.5;
                // Of two that are as near, the one whose number, from 1, is even.
                let (floor, halfway) = (at.floor(), at == at.floor() && at.rem_euclid(2.0) == 1.0);
                return whole(if halfway { floor } else { floor + 1.0 }, last);
            }
            Interpolation::InterpolatedInvertedCdf => plotted(0.0, 1.0),
            Interpolation::Hazen => plotted(0.5, 0.5),
            Interpolation::Weibull => plotted(0.0, 0.0),
            Interpolation::MedianUnbiased => plotted(1.0 / 3.0, 1.0 / 3.0),
            Interpolation::NormalUnbiased => plotted(3.0 / 8.0, 3.0 / 8.0),
            Interpolation::Linear => last as f64 * q,
            Interpolation::Lower => return whole((last as f64 * q).floor(), last),
            Interpolation::Higher => return whole((last as f64 * q).ceil(), last),
            Interpolation::Nearest => return whole((last as f64 * q).round_ties_even(), last),
            Interpolation::Midpoint => {
                let at = last as f64 * q;
                let (first, second) = (whole(at.floor(), last).0, whole(at.ceil(), last).0);
                return (first, second, 0.5);
            }
        };
        let floor = at.floor();
        let (first, second) = (whole(floor, last).0, whole(floor + 1.0, last).0);
        (first, second, at - floor)
    }
}

fn whole(at: f64, last: usize) -> (usize, usize, f64) {
    let at = (at.max(0.0) as usize).min(last);
    (at, at, 0.0)
}

/// From one value to another, in the way that is exact at both ends, as NumPy does it.
#[must_use]
pub fn between(a: f64, b: f64, t: f64) -> f64 {
    if a == b || t == 0.0 {
        return a;
    }
    let step = b - a;
    if !step.is_finite() {
        // From or to an infinity, or further than a float goes.
        return a * (1.0 - t) + b * t;
    }
    if t >= 0.5 { b - step * (1.0 - t) } else { a + step * t }
}

/// Quantiles of the lanes along an axis, in `f64`, or `f32` of such elements; NaN of a lane that has one, unless those are
/// left out.
#[must_use]
pub fn quantiles(
    axis: usize,
    dtype: DType,
    (qs, rule, skip_nan): (&[f64], Interpolation, bool),
) -> OwnFunction {
    let params =
        Writer::default().number(axis).number(rule as usize).number(usize::from(skip_nan)).floats(qs);
    let output = if dtype == DType::F32 { DType::F32 } else { DType::F64 };
    // A copy of a lane, which may be the block, and its bits; and what was found, in `f64` and before lanes are put in their
    // places.
    let per_read = dtype.size() as u32 + size_of::<u64>() as u32;
    let temporaries = Temporaries { per_made: 16, ..Temporaries::per_read(per_read) };
    let (params, inputs) = (params.done(), vec![dtype]);
    OwnFunction { name: "quantiles".into(), params, inputs, output, temporaries }
}

pub(super) fn quantiles_of(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (axis, code, skip_nan) = (reader.number()?, reader.number()?, reader.number()? == 1);
    let rule = *Interpolation::ALL.get(code).ok_or_else(|| format!("rule {code} of quantiles"))?;
    let (qs, block) = (reader.floats()?, call.block(0)?);
    with_bounded!(block.dtype(), A => {
        let (x, around) = (Elements::<A>::of(block)?, Around::of(block.shape(), axis)?);
        let found = of_lanes((&x, around), qs.len(), |_, lane, found| {
            quantiles_of_lane(lane, (&qs, rule, skip_nan), found);
            Ok(())
        })?;
        match block.dtype() {
            DType::F32 => plane(&call.shape(), found.into_iter().map(|v| v as f32).collect()),
            _ => plane(&call.shape(), found),
        }
    })
}

/// Elements are compared by their bits, which is faster than by their keys.
fn quantiles_of_lane<A: Bounded + OfKey>(
    lane: &[A],
    (qs, rule, skip_nan): (&[f64], Interpolation, bool),
    found: &mut Vec<f64>,
) {
    let there = lane.iter().filter(|v| !v.is_missing());
    let mut all: Vec<u64> = Vec::with_capacity(lane.len());
    all.extend(there.map(|v| v.to_radix()));
    if all.is_empty() || !skip_nan && all.len() < lane.len() {
        found.extend(qs.iter().map(|_| f64::NAN));
        return;
    }
    let value = |bits: u64| A::of_radix(bits).as_f64();
    for &q in qs {
        let (first, second, t) = rule.place(q, all.len());
        let (_, at, above) = all.select_nth_unstable(first);
        let a = value(*at);
        let b = if second == first { a } else { above.iter().min().map_or(a, |v| value(*v)) };
        found.push(between(a, b, t));
    }
}

/// The so many greatest elements of the lanes along an axis, greatest first, or least; or, as `u64`, their positions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Top {
    /// How many.
    pub n: usize,
    /// Whether the greatest are wanted.
    pub greatest: bool,
    /// Along which axis.
    pub axis: usize,
}

impl Top {
    /// The elements.
    #[must_use]
    pub fn elements(self, dtype: DType) -> OwnFunction {
        self.own(vec![dtype], dtype)
    }

    /// The positions along the axis of the array, of a block that has them in order from its own first, or of elements with
    /// their positions.
    #[must_use]
    pub fn positions(self, dtype: DType, given: bool) -> OwnFunction {
        let mut inputs = vec![dtype];
        inputs.extend(given.then_some(DType::U64));
        // A lane's positions, too.
        let own = self.own(inputs, DType::U64);
        let per_read = own.temporaries.per_read + size_of::<u64>() as u32;
        OwnFunction {
            name: "top_positions".into(),
            temporaries: Temporaries { per_read, ..own.temporaries },
            ..own
        }
    }

    fn own(self, inputs: Vec<DType>, output: DType) -> OwnFunction {
        let params = Writer::default().number(self.n).number(usize::from(self.greatest)).number(self.axis);
        // A copy of a lane, which may be the block; places of twice as many as are wanted, and the lanes before they are put
        // in their places.
        let per_made = (2 * size_of::<usize>() + output.size()) as u32;
        let temporaries = Temporaries { per_read: inputs[0].size() as u32, per_made, fixed: 1024 };
        OwnFunction { name: "top".into(), params: params.done(), inputs, output, temporaries }
    }

    fn read(bytes: &[u8]) -> Answer<Top> {
        let mut reader = Reader(bytes);
        Ok(Top { n: reader.number()?, greatest: reader.number()? == 1, axis: reader.number()? })
    }

    /// Where in a lane they are: in order, of equal ones the first first. NaN is less than all, for the greatest, and greater
    /// for the least.
    fn of_lane<A: Ordered>(self, lane: &[A], at: impl Fn(usize) -> u64) -> Vec<usize> {
        let before = |a: &usize, b: &usize| {
            let (x, y) = (lane[*a], lane[*b]);
            let (kx, ky) = if self.greatest { (y.key(), x.key()) } else { (x.key(), y.key()) };
            (x.is_missing().cmp(&y.is_missing())).then(kx.cmp(&ky)).then(at(*a).cmp(&at(*b)))
        };
        let n = self.n.min(lane.len());
        if n == 0 {
            return Vec::new();
        }
        // Twice as many are kept, and what comes after the last that is surely wanted is not looked at again.
        let room = n.saturating_mul(2).saturating_add(64).min(lane.len());
        let (mut order, mut last) = (Vec::with_capacity(room), None);
        let may_come = may_come::<A>();
        for (block, values) in lane.chunks(LOOKED_AT).enumerate() {
            let bound = last.map(|last: usize| lane[last]).filter(|v| !v.is_missing());
            // SAFETY: it has no demands.
            if bound.is_some_and(|bound| unsafe { !may_come(values, bound.key(), self.greatest) }) {
                continue;
            }
            for i in (block * LOOKED_AT..).take(values.len()) {
                if last.is_some_and(|last| before(&i, &last).is_gt()) {
                    continue;
                }
                order.push(i);
                if order.len() == room && room > n {
                    order.select_nth_unstable_by(n - 1, before);
                    order.truncate(n);
                    last = order.last().copied();
                }
            }
        }
        if order.len() > n {
            order.select_nth_unstable_by(n - 1, before);
            order.truncate(n);
        }
        order.sort_unstable_by(before);
        order
    }
}

/// Elements that are looked at together for one that is wanted.
const LOOKED_AT: usize = 256;

/// Whether the key of any does not come after that of a bound. That of NaN is the greatest.
///
/// # Safety
/// It has no demands: this is the form of versions of a loop.
#[inline(always)]
unsafe fn any_may_come<A: Ordered>(values: &[A], bound: A::Key, greatest: bool) -> bool {
    match greatest {
        true => values.iter().fold(false, |any, v| any | (v.key() >= bound)),
        false => values.iter().fold(false, |any, v| any | (v.key() <= bound)),
    }
}
versions! { wide fn may_come<A: Ordered>(values: &[A], bound: <A as Ordered>::Key, greatest: bool) -> bool = any_may_come }

pub(super) fn top(call: &BlockCall<'_>) -> Answer<Plane> {
    let (top, block) = (Top::read(call.params)?, call.block(0)?);
    with_dtype!(block.dtype(), A => {
        let (x, around) = (Elements::<A>::of(block)?, Around::of(block.shape(), top.axis)?);
        let found = of_lanes((&x, around), top.n.min(around.len), |_, lane, found| {
            found.extend(top.of_lane(lane, |i| i as u64).into_iter().map(|i| lane[i]));
            Ok(())
        });
        plane(&call.shape(), found?)
    })
}

pub(super) fn top_positions(call: &BlockCall<'_>) -> Answer<Plane> {
    let (top, block) = (Top::read(call.params)?, call.block(0)?);
    let given = call.inputs.get(1).map(|_| Elements::<u64>::of(call.block(1)?)).transpose()?;
    let first = call.place.space.get(top.axis).map_or(0, |r| r.start) as u64;
    with_dtype!(block.dtype(), A => {
        let (x, around) = (Elements::<A>::of(block)?, Around::of(block.shape(), top.axis)?);
        // Where none are given, those of all lanes are alike.
        let mut at: Vec<u64> = (0..around.len as u64).map(|i| first + i).collect();
        let found = of_lanes((&x, around), top.n.min(around.len), |n, lane, found| {
            if let Some(given) = &given {
                around.read(given, n, &mut at);
            }
            found.extend(top.of_lane(lane, |i| at[i]).into_iter().map(|i| at[i]));
            Ok(())
        });
        plane(&call.shape(), found?)
    })
}
