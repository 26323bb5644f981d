//! Looking elements up among sorted ones that lie in several chunks: each element is sent to the chunk in whose range it is,
//! looked up there, and what was found is sent back. No task needs more than a chunk of either side, the first element of
//! each sorted chunk, and what was sent.

use super::count::Search;
use super::elements::{Answer, Elements, Reader, Writer, bytes_of, elements_of, plane, put, value};
use super::number::Ordered;
use crate::blocks::BlockWriter;
use crate::chunk::Plane;
use crate::native::BlockCall;
use tilework_expr::{DType, OwnFunction, with_dtype};
use tilework_plan::Temporaries;

/// The first element of a block.
#[must_use]
pub fn first(dtype: DType) -> OwnFunction {
    own("range_first", Writer::default(), (vec![dtype], dtype), Temporaries::NONE)
}

/// A block of one axis, in as many blocks as there are ranges that begin with the elements of a second one.
#[must_use]
pub fn send(dtype: DType, search: Search) -> OwnFunction {
    let params = Writer::default().number(search as usize);
    // The range of each element, and what was sent, which grows.
    let temporaries = Temporaries::per_read(size_of::<u64>() as u32 + 2 * dtype.size() as u32);
    own("range_send", params, (vec![dtype, dtype], DType::U8), temporaries)
}

/// What the elements that were sent to a sorted block find there: blocks of `u64` for each block that sent some. The first
/// elements of all sorted blocks come second, the blocks third.
#[must_use]
pub fn look_up(dtype: DType, search: Search) -> OwnFunction {
    let params = Writer::default().number(search as usize);
    own("range_look_up", params, (vec![dtype, dtype, DType::U8], DType::U8), Temporaries::NONE)
}

/// What each element of a block has found, `u64`: in the order in which they were sent to the ranges.
#[must_use]
pub fn returned(dtype: DType, search: Search) -> OwnFunction {
    let params = Writer::default().number(search as usize);
    own("range_returned", params, (vec![dtype, dtype, DType::U8], DType::U64), Temporaries::NONE)
}

fn own(
    name: &str,
    params: Writer,
    (inputs, output): (Vec<DType>, DType),
    temporaries: Temporaries,
) -> OwnFunction {
    OwnFunction { name: name.into(), params: params.done(), inputs, output, temporaries }
}

/// The range that an element is in: the last that begins before it, or with it where those count that are not above it.
fn range_of<A: Ordered>(firsts: &[A], v: A, search: Search) -> usize {
    let key = v.key();
    let n = firsts.partition_point(|f| f.key() < key || search.counts_equal() && f.key() == key);
    n.saturating_sub(1)
}

pub(super) fn range_first(call: &BlockCall<'_>) -> Answer<Plane> {
    let block = call.block(0)?;
    with_dtype!(block.dtype(), A => {
        let x = Elements::<A>::of(block)?;
        plane(&call.shape(), x.first().into_iter().copied().collect())
    })
}

pub(super) fn range_send(call: &BlockCall<'_>) -> Answer<Plane> {
    let search = Search::read(&mut Reader(call.params))?;
    let block = call.block(0)?;
    with_dtype!(block.dtype(), A => {
        let (x, firsts) = (Elements::<A>::of(block)?, Elements::<A>::of(call.block(1)?)?);
        if !firsts.is_sorted_by_key(|e| e.key()) {
            return Err("the edges are not in order".into());
        }
        let mut sent: Vec<Vec<A>> = vec![Vec::new(); firsts.len()];
        x.iter().for_each(|v| sent[range_of(&firsts, *v, search)].push(*v));
        let mut out = BlockWriter::new(sent.len());
        for own in sent {
            put(out.block(), &own);
            out.end();
        }
        value(out.finish())
    })
}

pub(super) fn range_look_up(call: &BlockCall<'_>) -> Answer<Plane> {
    let search = Search::read(&mut Reader(call.params))?;
    let (block, parts) = (call.block(0)?, call.parts(2)?);
    let number = call.place.chunk.first().copied().unwrap_or(0);
    let before = call.place.space.first().map_or(0, |r| r.start);
    with_dtype!(block.dtype(), A => {
        let (x, firsts) = (Elements::<A>::of(block)?, Elements::<A>::of(call.block(1)?)?);
        let next = firsts.get(number + 1).map(|v| v.key());
        let in_order = x.is_sorted_by_key(|e| e.key())
            && x.last().zip(next).is_none_or(|(last, next)| last.key() <= next);
        if !in_order {
            return Err("the edges are not in order".into());
        }
        let mut out = BlockWriter::new(parts.len());
        for part in parts {
            let own = elements_of::<A>(bytes_of(part)?)?;
            let found: Vec<u64> = own.into_iter().map(|v| search.of(&x, before, v)).collect();
            put(out.block(), &found);
            out.end();
        }
        value(out.finish())
    })
}

pub(super) fn range_returned(call: &BlockCall<'_>) -> Answer<Plane> {
    let search = Search::read(&mut Reader(call.params))?;
    let (block, parts) = (call.block(0)?, call.parts(2)?);
    let parts = parts.iter().map(|part| elements_of::<u64>(bytes_of(part)?)).collect::<Answer<Vec<_>>>()?;
    with_dtype!(block.dtype(), A => {
        let (x, firsts) = (Elements::<A>::of(block)?, Elements::<A>::of(call.block(1)?)?);
        if parts.len() != firsts.len() {
            return Err(format!("{} ranges, expected {}", parts.len(), firsts.len()));
        }
        let mut next = vec![0usize; parts.len()];
        let found = x.iter().map(|v| {
            let range = range_of(&firsts, *v, search);
            next[range] += 1;
            parts[range].get(next[range] - 1).copied()
        });
        let found: Option<Vec<u64>> = found.collect();
        plane(&call.shape(), found.ok_or("fewer were returned than were sent")?)
    })
}
