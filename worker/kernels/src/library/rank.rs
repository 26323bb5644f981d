//! What stands at a place of the order of all elements of an array, found in rounds: the elements are in the order of some
//! bits, and each round finds out the next of these from the highest down. It counts, chunk by chunk, how many of the
//! elements that have the bits found so far have each value of the next ones; the counts of all chunks are added up, and say
//! which value the element at the place has. Nothing is moved or sorted, and no task needs more than a chunk.
//!
//! Two elements are found at once, between which a quantile lies. (After "selection by radix": Blum et al. 1973 for rounds of
//! narrowing; here the pivots are digits.)

use super::elements::{Answer, Elements, Reader, Writer, plane};
use super::number::{Bounded, OfKey, with_bounded};
use super::select::{Interpolation, between};
use crate::chunk::Plane;
use crate::native::BlockCall;
use tilework_expr::{DType, OwnFunction};
use tilework_plan::Temporaries;

/// Numbers of what is known between rounds: how many elements count, whether there is an answer, and of each of two elements
/// its bits so far and its place among those that have them.
pub const STATE_NUMBERS: usize = 6;

/// The quantile that is asked for: between 0 and 1, by which rule, and whether NaN is left out.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Asked {
    /// Which.
    pub q: f64,
    /// By which rule.
    pub rule: Interpolation,
    /// Whether NaN is left out.
    pub skip_nan: bool,
}

impl Asked {
    fn write(self) -> Writer {
        Writer::default().float(self.q).number(self.rule as usize).number(usize::from(self.skip_nan))
    }

    fn read(reader: &mut Reader<'_>) -> Answer<Asked> {
        let (q, code, skip_nan) = (reader.float()?, reader.number()?, reader.number()? == 1);
        let rule = *Interpolation::ALL.get(code).ok_or_else(|| format!("rule {code} of quantiles"))?;
        Ok(Asked { q, rule, skip_nan })
    }
}

/// A round: which bits it finds out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Round {
    /// How many lower ones there are.
    pub below: u32,
    /// How many it finds out.
    pub bits: u32,
}

impl Round {
    /// The rounds for elements of a dtype, each of so many bits at most.
    #[must_use]
    pub fn all(dtype: DType, bits: u32) -> Vec<Round> {
        let (mut left, mut rounds) = (8 * dtype.size() as u32, Vec::new());
        while left > 0 {
            let bits = bits.clamp(1, left);
            left -= bits;
            rounds.push(Round { below: left, bits });
        }
        rounds
    }

    /// How many numbers a chunk's counts are: of each value for each of both elements, and of what is NaN.
    #[must_use]
    pub fn n_counts(self) -> usize {
        (2 << self.bits) + 1
    }

    fn write(self, writer: Writer) -> Writer {
        writer.number(self.below as usize).number(self.bits as usize)
    }

    fn read(reader: &mut Reader<'_>) -> Answer<Round> {
        let (below, bits) = (reader.number()?, reader.number()?);
        match (u32::try_from(below), u32::try_from(bits)) {
            (Ok(below), Ok(bits @ 1..=24)) if below <= 64 - bits => Ok(Round { below, bits }),
            _ => Err(format!("a round of {bits} bits above {below}")),
        }
    }
}

/// How many elements of a block have each value of the bits of a round; what is known so far comes second, but in the first
/// round.
#[must_use]
pub fn counts(dtype: DType, round: Round, is_first: bool) -> OwnFunction {
    let mut inputs = vec![dtype];
    inputs.extend((!is_first).then_some(DType::U64));
    let params = round.write(Writer::default()).done();
    let (output, temporaries) = (DType::U64, Temporaries::NONE);
    OwnFunction { name: "rank_counts".into(), params, inputs, output, temporaries }
}

/// What is known after a round, from the counts of all chunks and what was known before.
#[must_use]
pub fn narrowed(round: Round, is_first: bool, asked: Asked) -> OwnFunction {
    let mut inputs = vec![DType::U64];
    inputs.extend((!is_first).then_some(DType::U64));
    let params = round.write(asked.write()).done();
    let (output, temporaries) = (DType::U64, Temporaries::NONE);
    OwnFunction { name: "rank_narrowed".into(), params, inputs, output, temporaries }
}

/// The quantile of elements of a dtype, when all bits are known: in `f64`, or `f32` of such elements.
#[must_use]
pub fn found(dtype: DType, asked: Asked) -> OwnFunction {
    let output = if dtype == DType::F32 { DType::F32 } else { DType::F64 };
    let params = asked.write().dtype(dtype).done();
    let (inputs, temporaries) = (vec![DType::U64], Temporaries::NONE);
    OwnFunction { name: "rank_found".into(), params, inputs, output, temporaries }
}

/// What is known between rounds.
#[derive(Clone, Copy)]
struct State {
    n: u64,
    has_answer: bool,
    bits: [u64; 2],
    at: [u64; 2],
}

impl State {
    fn read(plane: &Plane) -> Answer<State> {
        match *Elements::<u64>::of(plane)? {
            [n, has_answer, a, b, at_a, at_b] => {
                Ok(State { n, has_answer: has_answer == 1, bits: [a, b], at: [at_a, at_b] })
            }
            ref other => Err(format!("{} numbers between rounds, expected {STATE_NUMBERS}", other.len())),
        }
    }

    fn numbers(self) -> Vec<u64> {
        let ([a, b], [at_a, at_b]) = (self.bits, self.at);
        vec![self.n, u64::from(self.has_answer), a, b, at_a, at_b]
    }
}

pub(super) fn rank_counts(call: &BlockCall<'_>) -> Answer<Plane> {
    let round = Round::read(&mut Reader(call.params))?;
    let block = call.block(0)?;
    let known = call.inputs.get(1).map(|_| State::read(call.block(1)?)).transpose()?;
    with_bounded!(block.dtype(), A => {
        let x = Elements::<A>::of(block)?;
        plane(&call.shape(), counted::<A>(&x, round, known))
    })
}

fn counted<A: OfKey>(x: &[A], round: Round, known: Option<State>) -> Vec<u64> {
    let mut all = vec![0u64; round.n_counts()];
    let size = 1usize << round.bits;
    let (first, rest) = all.split_at_mut(size);
    let (second, missing) = rest.split_at_mut(size);
    let digit = |bits: u64| (bits >> round.below) as usize & (size - 1);
    let Some(known) = known else {
        for v in x {
            first[digit(v.to_radix())] += 1;
            missing[0] += u64::from(v.is_missing());
        }
        return all;
    };
    let above = round.below + round.bits;
    let [a, b] = known.bits;
    for bits in x.iter().map(|v| v.to_radix()) {
        let high = bits >> above;
        if high == a {
            first[digit(bits)] += 1;
        } else if high == b {
            second[digit(bits)] += 1;
        }
    }
    all
}

pub(super) fn rank_narrowed(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (asked, round) = (Asked::read(&mut reader)?, Round::read(&mut reader)?);
    let counts = Elements::<u64>::of(call.block(0)?)?;
    if counts.len() != round.n_counts() {
        return Err(format!("{} counts, expected {}", counts.len(), round.n_counts()));
    }
    let size = 1usize << round.bits;
    let known = match call.inputs.get(1) {
        Some(_) => State::read(call.block(1)?)?,
        None => {
            let (all, missing) = (counts[..size].iter().sum::<u64>(), counts[2 * size]);
            let n = all - missing.min(all);
            let has_answer = n > 0 && (asked.skip_nan || missing == 0);
            let places = if has_answer { asked.rule.place(asked.q, n as usize) } else { (0, 0, 0.0) };
            State { n, has_answer, bits: [0; 2], at: [places.0 as u64, places.1 as u64] }
        }
    };
    if !known.has_answer {
        return plane(&call.shape(), known.numbers());
    }
    let mut next = known;
    for i in 0..2 {
        // Both have the same bits so far, or each has counts of its own.
        let own = if known.bits[i] == known.bits[0] { &counts[..size] } else { &counts[size..2 * size] };
        let (digit, before) = digit_at(own, known.at[i]).ok_or("a place beyond the elements")?;
        next.bits[i] = known.bits[i] << round.bits | digit;
        next.at[i] = known.at[i] - before;
    }
    plane(&call.shape(), next.numbers())
}

/// The digit of the element at a place, and how many have a lower one.
fn digit_at(counts: &[u64], at: u64) -> Option<(u64, u64)> {
    let mut before = 0;
    for (digit, n) in (0..).zip(counts) {
        if at < before + n {
            return Some((digit, before));
        }
        before += n;
    }
    None
}

pub(super) fn rank_found(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (asked, dtype) = (Asked::read(&mut reader)?, reader.dtype()?);
    let state = State::read(call.block(0)?)?;
    let found = match state.has_answer {
        false => f64::NAN,
        true => with_bounded!(dtype, A => {
            let [a, b] = state.bits.map(|bits| A::of_radix(bits).as_f64());
            Ok::<f64, String>(between(a, b, asked.rule.place(asked.q, state.n as usize).2))
        })?,
    };
    match dtype {
        DType::F32 => plane(&call.shape(), vec![found as f32]),
        _ => plane(&call.shape(), vec![found]),
    }
}
