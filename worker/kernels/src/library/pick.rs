//! Elements at positions that values say, and elements put there. Across chunks each task of positions asks the chunks that
//! have them, or sends them what is to be put there, by an exchange, so that nobody has more than a chunk and what it asked
//! for.

use super::elements::{
    Answer, Around, Elements, Reader, Writer, bytes_of, elements_of, placed_of, plane, put, value,
};
use crate::blocks::BlockWriter;
use crate::chunk::Plane;
use crate::native::BlockCall;
use tilework_expr::{DType, Element, OwnFunction, with_dtype};
use tilework_plan::{AxisGrid, Temporaries};

/// Positions of an axis of `len`, from its end where they are negative, as what they are from its start.
#[must_use]
pub fn within(len: usize) -> OwnFunction {
    let params = Writer::default().number(len).done();
    OwnFunction {
        name: "index".into(),
        params,
        inputs: vec![DType::I64],
        output: DType::U64,
        temporaries: Temporaries::NONE,
    }
}

pub(super) fn within_of(call: &BlockCall<'_>) -> Answer<Plane> {
    let len = Reader(call.params).number()?;
    let at = Elements::<i64>::of(call.block(0)?)?;
    let resolved = at.iter().map(|&at| {
        let from_start = i128::from(at) + if at < 0 { len as i128 } else { 0 };
        let inside = (0..len as i128).contains(&from_start);
        inside.then_some(from_start as u64).ok_or_else(|| format!("got position {at}, expected one of {len}"))
    });
    plane(&call.shape(), resolved.collect::<Answer<Vec<u64>>>()?)
}

/// Positions that were found in lanes, if so many others there are in each that one could be.
#[must_use]
pub fn some() -> OwnFunction {
    OwnFunction {
        name: "some".into(),
        params: Vec::new(),
        inputs: vec![DType::U64; 2],
        output: DType::U64,
        temporaries: Temporaries::NONE,
    }
}

pub(super) fn some_of(call: &BlockCall<'_>) -> Answer<Plane> {
    let (at, counts) = (Elements::<u64>::of(call.block(0)?)?, Elements::<u64>::of(call.block(1)?)?);
    match counts.contains(&0) {
        true => Err("got a lane of nothing but NaN, expected at least one number".into()),
        false => plane(&call.shape(), at.to_vec()),
    }
}

/// The chunk that has a position, and where it stands there.
fn place(axis: &AxisGrid, at: u64) -> Answer<(usize, usize)> {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    if at >= axis.len() {
        return Err(format!("got position {at}, expected one of {}", axis.len()));
    }
    let chunk = axis.chunk_of(at);
    Ok((chunk, at - axis.range(chunk).start))
}

/// The elements at positions of an array of one axis, which is given whole.
#[must_use]
pub fn gather(dtype: DType) -> OwnFunction {
    OwnFunction {
        name: "gather".into(),
        params: Vec::new(),
        inputs: vec![dtype, DType::U64],
        output: dtype,
        temporaries: Temporaries::NONE,
    }
}

pub(super) fn gathered(call: &BlockCall<'_>) -> Answer<Plane> {
    let (block, at) = (call.block(0)?, Elements::<u64>::of(call.block(1)?)?);
    with_dtype!(block.dtype(), A => {
        let x = Elements::<A>::of(block)?;
        let found = at.iter().map(|&i| x.get(i as usize).copied()).collect::<Option<Vec<A>>>();
        plane(&call.shape(), found.ok_or("a position beyond the array")?)
    })
}

fn across(name: &str, params: Writer, (inputs, output): (Vec<DType>, DType)) -> OwnFunction {
    OwnFunction {
        name: name.into(),
        params: params.done(),
        inputs,
        output,
        temporaries: Temporaries::per_read(24),
    }
}

/// For each chunk of an array of one axis, cut so, where in it the positions are that it has: a value of blocks.
#[must_use]
pub fn asks(axis: &AxisGrid) -> OwnFunction {
    across("gather_asks", Writer::default().axis(axis), (vec![DType::U64], DType::U8))
}

pub(super) fn gather_asks(call: &BlockCall<'_>) -> Answer<Plane> {
    let axis = Reader(call.params).axis()?;
    let at = Elements::<u64>::of(call.block(0)?)?;
    let mut asked = vec![Vec::new(); axis.n_chunks()];
    for &position in at.iter() {
        let (chunk, within) = place(&axis, position)?;
        asked[chunk].push(within as u64);
    }
    blocks(asked.len(), |chunk, out| put(out, &asked[chunk]))
}

/// A value of so many blocks.
fn blocks(n: usize, mut each: impl FnMut(usize, &mut Vec<u8>)) -> Answer<Plane> {
    let mut out = BlockWriter::new(n);
    for i in 0..n {
        each(i, out.block());
        out.end();
    }
    value(out.finish())
}

/// For each of those who asked a chunk, the elements that they asked for.
#[must_use]
pub fn answers(dtype: DType) -> OwnFunction {
    OwnFunction {
        name: "gather_answers".into(),
        params: Vec::new(),
        inputs: vec![dtype, DType::U8],
        output: DType::U8,
        temporaries: Temporaries::NONE,
    }
}

pub(super) fn gather_answers(call: &BlockCall<'_>) -> Answer<Plane> {
    let (block, asked) = (call.block(0)?, call.parts(1)?);
    with_dtype!(block.dtype(), A => {
        let x = Elements::<A>::of(block)?;
        let of = |part: &&Plane| -> Answer<Vec<A>> {
            let at = elements_of::<u64>(bytes_of(part)?)?;
            let found = at.iter().map(|&i| x.get(i as usize).copied()).collect::<Option<Vec<A>>>();
            found.ok_or_else(|| "a position beyond the chunk".to_owned())
        };
        let found = asked.iter().map(of).collect::<Answer<Vec<Vec<A>>>>()?;
        blocks(found.len(), |i, out| put(out, &found[i]))
    })
}

/// What the chunks, cut so, answered to those positions, each in its place.
#[must_use]
pub fn placed(axis: &AxisGrid, dtype: DType) -> OwnFunction {
    let params = Writer::default().axis(axis).dtype(dtype);
    across("gather_placed", params, (vec![DType::U64, DType::U8], dtype))
}

pub(super) fn gather_placed(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (axis, dtype) = (reader.axis()?, reader.dtype()?);
    let (at, answered) = (Elements::<u64>::of(call.block(0)?)?, call.parts(1)?);
    with_dtype!(dtype, A => {
        let parts = answered.iter().map(|part| elements_of::<A>(bytes_of(part)?));
        let mut parts = parts.map(|part| part.map(Vec::into_iter)).collect::<Answer<Vec<_>>>()?;
        let mut next = |position: &u64| -> Answer<A> {
            let (chunk, _) = place(&axis, *position)?;
            parts.get_mut(chunk).and_then(Iterator::next).ok_or_else(|| "fewer answers than positions".to_owned())
        };
        plane(&call.shape(), at.iter().map(&mut next).collect::<Answer<Vec<A>>>()?)
    })
}

/// For each chunk of an array of one axis, cut so, what is to be put there: where, and then the elements.
#[must_use]
pub fn sends(axis: &AxisGrid, dtype: DType) -> OwnFunction {
    across("scatter_sends", Writer::default().axis(axis), (vec![DType::U64, dtype], DType::U8))
}

pub(super) fn scatter_sends(call: &BlockCall<'_>) -> Answer<Plane> {
    let axis = Reader(call.params).axis()?;
    let (at, block) = (Elements::<u64>::of(call.block(0)?)?, call.block(1)?);
    with_dtype!(block.dtype(), A => {
        let x = Elements::<A>::of(block)?;
        let mut sent = vec![(Vec::<u64>::new(), Vec::<A>::new()); axis.n_chunks()];
        for (&position, &v) in at.iter().zip(x.iter()) {
            let (chunk, within) = place(&axis, position)?;
            sent[chunk].0.push(within as u64);
            sent[chunk].1.push(v);
        }
        blocks(sent.len(), |chunk, out| {
            put(out, &sent[chunk].0);
            put(out, &sent[chunk].1);
        })
    })
}

/// A chunk with what was sent to it: of several elements for one position the last.
#[must_use]
pub fn takes(dtype: DType) -> OwnFunction {
    OwnFunction {
        name: "scatter_takes".into(),
        params: Vec::new(),
        inputs: vec![dtype, DType::U8],
        output: dtype,
        temporaries: Temporaries::NONE,
    }
}

pub(super) fn scatter_takes(call: &BlockCall<'_>) -> Answer<Plane> {
    let (block, sent) = (call.block(0)?, call.parts(1)?);
    with_dtype!(block.dtype(), A => {
        let mut x = Elements::<A>::of(block)?.to_vec();
        for part in sent {
            let (at, values) = placed_of::<A>(part, 1)?;
            for (at, v) in at.into_iter().zip(values) {
                *x.get_mut(at as usize).ok_or("a position beyond the chunk")? = v;
            }
        }
        plane(&call.shape(), x)
    })
}

/// The positions of an axis at which a mask is true.
#[must_use]
pub fn compress(axis: usize, dtype: DType) -> OwnFunction {
    let params = Writer::default().number(axis).done();
    OwnFunction {
        name: "compress_axis".into(),
        params,
        inputs: vec![dtype, DType::Bool],
        output: dtype,
        temporaries: Temporaries::NONE,
    }
}

/// The elements of rows that a mask chooses of each, `n` in all. Each is written, and the next over it if it was not chosen: to
/// decide would take longer.
fn each_chosen<A: Element>(x: &[A], mask: &[bool], n: usize) -> Answer<Vec<A>> {
    let Some(&any) = x.first() else { return Ok(Vec::new()) };
    // And room for one that is not chosen.
    let (mut kept, mut at) = (vec![any; n + 1], 0);
    for row in x.chunks_exact(mask.len().max(1)) {
        for (v, chosen) in row.iter().zip(mask) {
            *kept.get_mut(at).ok_or("a mask that chooses more than it did")? = *v;
            at += usize::from(*chosen);
        }
    }
    kept.truncate(at);
    Ok(kept)
}

pub(super) fn compressed(call: &BlockCall<'_>) -> Answer<Plane> {
    let (axis, block) = (Reader(call.params).number()?, call.block(0)?);
    let (mask, Around { outer, len, inner }) =
        (Elements::<bool>::of(call.block(1)?)?, Around::of(block.shape(), axis)?);
    if mask.len() != len {
        return Err(format!("a mask of {} for {len} positions", mask.len()));
    }
    with_dtype!(block.dtype(), A => {
        let x = Elements::<A>::of(block)?;
        // With room for what is known to be chosen: to grow would take twice the memory.
        let n = call.shape().iter().product();
        if inner == 1 {
            return plane(&call.shape(), each_chosen::<A>(&x, &mask, n)?);
        }
        let mut kept = Vec::with_capacity(n);
        for o in 0..outer {
            for (i, _) in mask.iter().enumerate().filter(|(_, kept)| **kept) {
                let first = (o * len + i) * inner;
                kept.extend_from_slice(&x[first..first + inner]);
            }
        }
        plane(&call.shape(), kept)
    })
}

/// Of each lane along an axis, which is given whole, the elements at the positions of a lane of others.
#[must_use]
pub fn take_along(axis: usize, dtype: DType) -> OwnFunction {
    let params = Writer::default().number(axis).done();
    OwnFunction {
        name: "take_along_axis".into(),
        params,
        inputs: vec![dtype, DType::U64],
        output: dtype,
        temporaries: Temporaries::NONE,
    }
}

pub(super) fn taken_along(call: &BlockCall<'_>) -> Answer<Plane> {
    let (axis, block, at) = (Reader(call.params).number()?, call.block(0)?, call.block(1)?);
    let (from, to) = (Around::of(block.shape(), axis)?, Around::of(at.shape(), axis)?);
    if (from.outer, from.inner) != (to.outer, to.inner) {
        return Err(format!("positions of shape {:?} for a block of {:?}", at.shape(), block.shape()));
    }
    let at = Elements::<u64>::of(at)?;
    with_dtype!(block.dtype(), A => {
        let x = Elements::<A>::of(block)?;
        let found = at.iter().enumerate().map(|(n, &i)| {
            let (o, k) = (n / (to.len * to.inner), n % to.inner);
            let i = usize::try_from(i).ok().filter(|i| *i < from.len)?;
            Some(x[(o * from.len + i) * from.inner + k])
        });
        plane(&call.shape(), found.collect::<Option<Vec<A>>>().ok_or("a position beyond the axis")?)
    })
}
