//! Running sums, products and extremes along an axis, in two passes without a chain over chunks: what each chunk comes to,
//! what all chunks before each one come to, and the elements of each chunk after that.
//!
//! What is added up is in the wide type of the elements, also from chunk to chunk.

use super::elements::{Answer, Around, Elements, Reader, Writer, plane};
use super::number::{Bounded, Number, with_bounded, with_number};
use crate::chunk::Plane;
use crate::native::BlockCall;
use tilework_expr::{DType, OwnFunction};
use tilework_plan::Temporaries;

/// What is carried along.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scan {
    /// The sum.
    Sum,
    /// The product.
    Prod,
    /// The sum, to which NaN adds nothing.
    NanSum,
    /// The product, which NaN does not change.
    NanProd,
    /// The greatest; NaN from the first one on.
    Max,
    /// The least; NaN from the first one on.
    Min,
}

const ALL: [Scan; 6] = [Scan::Sum, Scan::Prod, Scan::NanSum, Scan::NanProd, Scan::Max, Scan::Min];

impl Scan {
    /// Whether elements of a dtype have it.
    #[must_use]
    pub fn takes(self, dtype: DType) -> bool {
        dtype != DType::Bool && !(dtype.is_complex() && matches!(self, Scan::Max | Scan::Min))
    }

    fn own(self, name: &str, axis: usize, (inputs, output): (Vec<DType>, DType)) -> OwnFunction {
        let params = Writer::default().number(self as usize).number(axis).done();
        // Beside the result no more than a row of it.
        OwnFunction { name: name.into(), params, inputs, output, temporaries: Temporaries::NONE }
    }

    /// What each lane of a block comes to: one element along the axis, in the wide type.
    #[must_use]
    pub fn totals(self, axis: usize, dtype: DType) -> OwnFunction {
        self.own("scan_totals", axis, (vec![dtype], dtype.summed()))
    }

    /// For each total along the axis, what those before it come to.
    #[must_use]
    pub fn carries(self, axis: usize, dtype: DType) -> OwnFunction {
        self.own("scan_carries", axis, (vec![dtype.summed()], dtype.summed()))
    }

    /// The running results of a block, from nothing or, with two arguments, from what the chunks before come to.
    #[must_use]
    pub fn along(self, axis: usize, dtype: DType, carried: bool) -> OwnFunction {
        let mut inputs = vec![dtype];
        inputs.extend(carried.then_some(dtype.summed()));
        self.own("scan", axis, (inputs, dtype))
    }
}

fn params(bytes: &[u8]) -> Answer<(Scan, usize)> {
    let mut reader = Reader(bytes);
    let code = reader.number()?;
    let scan = *ALL.get(code).ok_or_else(|| format!("kind {code} of scan"))?;
    Ok((scan, reader.number()?))
}

/// One step: from what there is and an element to what there is then.
trait Step<A: Number> {
    const START: A::Wide;
    /// Whether steps from nothing over a few elements may be made apart from those before, and added to them: of floats the
    /// last bits may be others then, and so they are made wherever the elements lie next to each other.
    const IN_PARTS: bool = false;
    fn step(state: A::Wide, x: A) -> A::Wide;
}

/// Elements whose sums are made apart from those before: so that one addition waits for another once in as many.
const PART: usize = 8;

struct Sum;
struct Prod;
struct NanSum;
struct NanProd;
struct Max;
struct Min;

impl<A: Number> Step<A> for Sum {
    const START: A::Wide = A::ZERO;
    const IN_PARTS: bool = true;
    fn step(state: A::Wide, x: A) -> A::Wide {
        A::add(state, x.widen())
    }
}
impl<A: Number> Step<A> for Prod {
    const START: A::Wide = A::ONE;
    fn step(state: A::Wide, x: A) -> A::Wide {
        A::mul(state, x.widen())
    }
}
impl<A: Number> Step<A> for NanSum {
    const START: A::Wide = A::ZERO;
    fn step(state: A::Wide, x: A) -> A::Wide {
        if x.is_nan() { state } else { A::add(state, x.widen()) }
    }
}
impl<A: Number> Step<A> for NanProd {
    const START: A::Wide = A::ONE;
    fn step(state: A::Wide, x: A) -> A::Wide {
        if x.is_nan() { state } else { A::mul(state, x.widen()) }
    }
}
impl<A: Number<Wide: Bounded>> Step<A> for Max {
    const START: A::Wide = <A::Wide as Bounded>::LEAST;
    fn step(state: A::Wide, x: A) -> A::Wide {
        Bounded::greater(state, x.widen())
    }
}
impl<A: Number<Wide: Bounded>> Step<A> for Min {
    const START: A::Wide = <A::Wide as Bounded>::GREATEST;
    fn step(state: A::Wide, x: A) -> A::Wide {
        Bounded::lesser(state, x.widen())
    }
}

/// What is done with a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Totals,
    Carries,
    Along,
}

/// Runs a block with the type of a kind of scan over elements of a dtype.
fn dispatch(call: &BlockCall<'_>, part: Part) -> Answer {
    let (scan, axis) = params(call.params)?;
    let dtype = call.block(0)?.dtype();
    match scan {
        Scan::Sum => with_number!(dtype, A => run::<A, Sum>(call, axis, part)),
        Scan::Prod => with_number!(dtype, A => run::<A, Prod>(call, axis, part)),
        // Totals are of no element that was left out: NaN among them is of what was added.
        Scan::NanSum if part == Part::Carries => with_number!(dtype, A => run::<A, Sum>(call, axis, part)),
        Scan::NanProd if part == Part::Carries => with_number!(dtype, A => run::<A, Prod>(call, axis, part)),
        Scan::NanSum => with_number!(dtype, A => run::<A, NanSum>(call, axis, part)),
        Scan::NanProd => with_number!(dtype, A => run::<A, NanProd>(call, axis, part)),
        Scan::Max => with_bounded!(dtype, A => run::<A, Max>(call, axis, part)),
        Scan::Min => with_bounded!(dtype, A => run::<A, Min>(call, axis, part)),
    }
}

fn run<A: Number, S: Step<A>>(call: &BlockCall<'_>, axis: usize, part: Part) -> Answer {
    let (block, shape) = (call.block(0)?, call.shape());
    let (x, around) = (Elements::<A>::of(block)?, Around::of(block.shape(), axis)?);
    match part {
        Part::Totals => plane(&shape, totals::<A, S>(&x, around)),
        Part::Carries => plane(&shape, carries::<A, S>(&x, around)),
        Part::Along => {
            let carry = call.inputs.get(1).map(|_| Elements::<A::Wide>::of(call.block(1)?)).transpose()?;
            let n = around.n_lanes();
            if carry.as_ref().is_some_and(|c| c.len() != n) {
                return Err(format!("another number of carries than of lanes, {n}"));
            }
            plane(&shape, along::<A, S>(&x, around, carry.as_deref()))
        }
    }
}

/// Goes along a lane of elements that lie next to each other, from a state to the last one, which are all given to `each`.
fn lane<A: Number, S: Step<A>>(block: &[A], state: &mut A::Wide, mut each: impl FnMut(A::Wide)) {
    let (parts, rest) = if S::IN_PARTS { block.as_chunks::<PART>() } else { (&[][..], block) };
    for part in parts {
        let mut own = [part[0].widen(); PART];
        for i in 1..PART {
            own[i] = A::add(own[i - 1], part[i].widen());
        }
        let before = *state;
        own.iter().for_each(|v| each(A::add(before, *v)));
        *state = A::add(before, own[PART - 1]);
    }
    for &v in rest {
        *state = S::step(*state, v);
        each(*state);
    }
}

fn totals<A: Number, S: Step<A>>(x: &[A], Around { outer, len, inner }: Around) -> Vec<A::Wide> {
    let mut all = Vec::with_capacity(outer * inner);
    for block in (0..outer).map(|o| &x[o * len * inner..(o + 1) * len * inner]) {
        if inner == 1 {
            let mut state = S::START;
            lane::<A, S>(block, &mut state, |_| ());
            all.push(state);
            continue;
        }
        let first = all.len();
        all.resize(first + inner, S::START);
        for row in block.chunks_exact(inner) {
            all[first..].iter_mut().zip(row).for_each(|(state, &v)| *state = S::step(*state, v));
        }
    }
    all
}

/// Of totals in the wide type, those of all before each one.
fn carries<A: Number, S: Step<A>>(x: &[A], Around { outer, len, inner }: Around) -> Vec<A> {
    let mut all = Vec::with_capacity(x.len());
    for block in (0..outer).map(|o| &x[o * len * inner..(o + 1) * len * inner]) {
        let mut states = vec![S::START; inner];
        for row in block.chunks_exact(inner.max(1)) {
            for (state, &v) in states.iter_mut().zip(row) {
                all.push(A::narrow(*state));
                *state = S::step(*state, v);
            }
        }
    }
    all
}

fn along<A: Number, S: Step<A>>(
    x: &[A],
    Around { outer, len, inner }: Around,
    carry: Option<&[A::Wide]>,
) -> Vec<A> {
    let mut all = Vec::with_capacity(x.len());
    for o in 0..outer {
        let block = &x[o * len * inner..(o + 1) * len * inner];
        let start = |k: usize| carry.map_or(S::START, |c| c[o * inner + k]);
        if inner == 1 {
            let mut state = start(0);
            lane::<A, S>(block, &mut state, |v| all.push(A::narrow(v)));
            continue;
        }
        let mut states: Vec<A::Wide> = (0..inner).map(start).collect();
        for row in block.chunks_exact(inner.max(1)) {
            all.extend(states.iter_mut().zip(row).map(|(state, &v)| {
                *state = S::step(*state, v);
                A::narrow(*state)
            }));
        }
    }
    all
}

pub(super) fn scan_totals(call: &BlockCall<'_>) -> Answer<Plane> {
    dispatch(call, Part::Totals)
}

pub(super) fn scan_carries(call: &BlockCall<'_>) -> Answer<Plane> {
    dispatch(call, Part::Carries)
}

pub(super) fn scan(call: &BlockCall<'_>) -> Answer<Plane> {
    dispatch(call, Part::Along)
}
