//! What neighbouring elements come to: of the windows that go along an axis, and of blocks beside one another.
//!
//! A window is put together of the end of one run of positions and the beginning of the next, where runs lie at multiples of
//! its length: nothing that was added is subtracted again, an element costs the same for any window, and a result does not
//! depend on where chunks begin. (van Herk 1992, for minima and maxima.)

use super::elements::{Answer, Around, Elements, Reader, Writer, of_lanes, plane};
use super::number::{Bounded, with_bounded};
use crate::chunk::Plane;
use crate::native::BlockCall;
use tilework_expr::{DType, Element, OwnFunction};
use tilework_plan::Temporaries;

/// What they come to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Windowed {
    /// The sum; integers wrap.
    Sum,
    /// The least; NaN if any is.
    Min,
    /// The greatest; NaN if any is.
    Max,
    /// The mean.
    Mean,
    /// The variance about the mean, with this `ddof`.
    Var(f64),
    /// The square root of that.
    Std(f64),
}

impl Windowed {
    /// The dtype of what elements of a dtype come to.
    #[must_use]
    pub fn output(self, dtype: DType) -> DType {
        match self {
            Windowed::Sum | Windowed::Min | Windowed::Max => dtype,
            _ if dtype == DType::F32 => DType::F32,
            _ => DType::F64,
        }
    }

    fn code(self) -> (usize, f64) {
        match self {
            Windowed::Sum => (0, 0.0),
            Windowed::Min => (1, 0.0),
            Windowed::Max => (2, 0.0),
            Windowed::Mean => (3, 0.0),
            Windowed::Var(ddof) => (4, ddof),
            Windowed::Std(ddof) => (5, ddof),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Answer<Windowed> {
        let (code, ddof) = (reader.number()?, reader.float()?);
        Ok(match code {
            0 => Windowed::Sum,
            1 => Windowed::Min,
            2 => Windowed::Max,
            3 => Windowed::Mean,
            4 => Windowed::Var(ddof),
            5 => Windowed::Std(ddof),
            _ => return Err(format!("kind {code} of what windows come to")),
        })
    }

    fn own(self, name: &str, dtype: DType, numbers: &[usize]) -> OwnFunction {
        let (code, ddof) = self.code();
        let params = Writer::default().number(code).float(ddof);
        let params = numbers.iter().fold(params, |all, n| all.number(*n)).done();
        OwnFunction {
            name: name.into(),
            params,
            inputs: vec![dtype],
            output: self.output(dtype),
            temporaries: Temporaries::NONE,
        }
    }

    /// Of windows of so many positions along an axis, one for each position of a block at which one begins.
    #[must_use]
    pub fn rolling(self, dtype: DType, axis: usize, window: usize) -> OwnFunction {
        self.own("rolling", dtype, &[axis, window])
    }

    /// Of boxes that are so long along each axis.
    #[must_use]
    pub fn coarsen(self, dtype: DType, lens: &[usize]) -> OwnFunction {
        self.own("coarsen", dtype, lens)
    }
}

/// Which elements come to one.
enum Which {
    Windows { axis: usize, window: usize, first: usize },
    Boxes(Vec<usize>),
}

pub(super) fn rolling_of(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let what = Windowed::read(&mut reader)?;
    let (axis, window) = (reader.number()?, reader.number()?);
    let first = call.place.space.get(axis).ok_or("windows along an axis that is not there")?.start;
    if window == 0 {
        return Err("windows of no positions".into());
    }
    come_to(call, what, &Which::Windows { axis, window, first })
}

pub(super) fn coarsened(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let what = Windowed::read(&mut reader)?;
    let lens = call.block(0)?.shape().iter().map(|_| reader.number()).collect::<Answer<Vec<usize>>>()?;
    if lens.contains(&0) {
        return Err("boxes of no positions".into());
    }
    come_to(call, what, &Which::Boxes(lens))
}

/// How many, their mean, and the squares of their distances from it added up.
#[derive(Clone, Copy)]
struct Spread(f64, f64, f64);

impl Spread {
    fn of(x: f64) -> Spread {
        Spread(1.0, x, 0.0)
    }

    /// Chan, Golub and LeVeque 1983.
    fn merge(a: Spread, b: Spread) -> Spread {
        let (n, away) = (a.0 + b.0, b.1 - a.1);
        Spread(n, a.1 + away * (b.0 / n), a.2 + b.2 + away * away * (a.0 * b.0 / n))
    }

    fn var(self, ddof: f64) -> f64 {
        if self.0 > ddof { self.2 / (self.0 - ddof) } else { f64::NAN }
    }
}

fn come_to(call: &BlockCall<'_>, what: Windowed, which: &Which) -> Answer<Plane> {
    let block = call.block(0)?;
    with_bounded!(block.dtype(), A => of_elements(call, &Elements::<A>::of(block)?, what, which))
}

fn of_elements<A: Bounded>(call: &BlockCall<'_>, x: &[A], what: Windowed, which: &Which) -> Answer<Plane> {
    let spread = |x: A| Spread::of(x.as_f64());
    match what {
        Windowed::Sum => each(call, x, which, (A::widen, A::add, A::narrow)),
        Windowed::Min => each(call, x, which, (|x| x, A::lesser, |x: A| x)),
        Windowed::Max => each(call, x, which, (|x| x, A::greater, |x: A| x)),
        Windowed::Mean => {
            let add = |a: (f64, f64), b: (f64, f64)| (a.0 + b.0, a.1 + b.1);
            floats(call, x, which, (|x: A| (x.as_f64(), 1.0), add, |(sum, n)| sum / n))
        }
        Windowed::Var(ddof) => floats(call, x, which, (spread, Spread::merge, |s: Spread| s.var(ddof))),
        Windowed::Std(ddof) => {
            floats(call, x, which, (spread, Spread::merge, |s: Spread| s.var(ddof).sqrt()))
        }
    }
}

/// As `each`, of a result in `f64`, or `f32` of such elements.
fn floats<A: Bounded, S: Copy>(
    call: &BlockCall<'_>,
    x: &[A],
    which: &Which,
    (lift, merge, finish): (impl Fn(A) -> S, impl Fn(S, S) -> S, impl Fn(S) -> f64),
) -> Answer<Plane> {
    match A::DTYPE {
        DType::F32 => each(call, x, which, (lift, merge, |s| finish(s) as f32)),
        _ => each(call, x, which, (lift, merge, finish)),
    }
}

fn each<A: Bounded, S: Copy, B: Element>(
    call: &BlockCall<'_>,
    x: &[A],
    which: &Which,
    (lift, merge, finish): (impl Fn(A) -> S, impl Fn(S, S) -> S, impl Fn(S) -> B),
) -> Answer<Plane> {
    let shape = call.block(0)?.shape();
    match which {
        Which::Windows { axis, window, first } => {
            let around = Around::of(shape, *axis)?;
            let n = (around.len + 1).saturating_sub(*window);
            let found = of_lanes((x, around), n, |_, lane, found| {
                rolled(lane, (*window, *first), (&lift, &merge), |s| found.push(finish(s)));
                Ok(())
            });
            plane(&call.shape(), found?)
        }
        Which::Boxes(lens) => {
            let states = boxes(x, shape, lens, (&lift, &merge));
            plane(&call.shape(), states.into_iter().flatten().map(finish).collect())
        }
    }
}

/// What each window of a lane comes to, whose first element is at this position of the array.
fn rolled<A: Copy, S: Copy>(
    lane: &[A],
    (window, first): (usize, usize),
    (lift, merge): (impl Fn(A) -> S, impl Fn(S, S) -> S),
    mut found: impl FnMut(S),
) {
    let (mut at, mut ends) = (0, Vec::<S>::with_capacity(window.min(lane.len())));
    // Run by run: where one begins in the lane, and where the next does.
    while at + window <= lane.len() {
        let next = at + window - (first + at) % window;
        let last = (lane.len() - window).min(next - 1);
        ends.clear();
        for &x in lane[at..next].iter().rev() {
            let x = lift(x);
            ends.push(ends.last().map_or(x, |end| merge(x, *end)));
        }
        let join = |begun: Option<S>, x: A| {
            let x = lift(x);
            Some(begun.map_or(x, |begun| merge(begun, x)))
        };
        // A lane that begins within a run has its first window reach further into the next.
        let within = lane.get(next..at + window - 1).unwrap_or(&[]);
        let mut begun: Option<S> = within.iter().fold(None, |begun, x| join(begun, *x));
        for begin in at..=last {
            // Of the run from here to its end, and of the next what the window reaches.
            let end = ends[next - 1 - begin];
            if begin + window > next {
                begun = join(begun, lane[begin + window - 1]);
            }
            found(begun.map_or(end, |begun| merge(end, begun)));
        }
        at = next;
    }
}

/// What each box comes to, in row-major order of the boxes.
fn boxes<A: Copy, S: Copy>(
    x: &[A],
    shape: &[usize],
    lens: &[usize],
    (lift, merge): (impl Fn(A) -> S, impl Fn(S, S) -> S),
) -> Vec<Option<S>> {
    let counts: Vec<usize> = shape.iter().zip(lens).map(|(n, len)| n / len).collect();
    let mut states: Vec<Option<S>> = vec![None; counts.iter().product()];
    let Some((&last, outer)) = shape.split_last() else {
        return x.iter().map(|v| Some(lift(*v))).collect();
    };
    let mut at = vec![0; outer.len()];
    for row in x.chunks_exact(last.max(1)) {
        let first = at.iter().zip(lens).zip(&counts).fold(0, |all, ((i, len), n)| all * n + i / len);
        let of_row = &mut states[first * counts[outer.len()]..][..counts[outer.len()]];
        for (part, state) in row.chunks(lens[outer.len()]).zip(of_row) {
            for &v in part {
                let v = lift(v);
                *state = Some(state.map_or(v, |state| merge(state, v)));
            }
        }
        for axis in (0..outer.len()).rev() {
            at[axis] += 1;
            if at[axis] < outer[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_the_same_wherever_a_lane_is_cut() {
        let x: Vec<f64> = (0..40).map(|i| (i * i % 17) as f64 / 7.0 + 1e6).collect();
        for window in [1, 2, 3, 7, 40] {
            let of = |from: usize| {
                let mut found = Vec::new();
                rolled(&x[from..], (window, from), (|v| v, |a: f64, b: f64| a + b), |s| {
                    found.push(s.to_bits())
                });
                found
            };
            let all = of(0);
            assert_eq!(all.len(), x.len() - window + 1);
            for from in 0..=x.len() - window {
                assert_eq!(of(from), all[from..], "{window} {from}");
            }
        }
    }
}
