//! Random elements that take draws of their own number, and rows that are sent to other places.
//!
//! Must not know how elements are made of words (`crate::random`), nor where places come from.

use super::elements::{Answer, Elements, Reader, Writer, placed_of, plane, put, value};
use crate::blocks::BlockWriter;
use crate::chunk::Plane;
use crate::native::BlockCall;
pub use crate::random::samplers::Sampler;
use crate::random::samplers::Samples;
use tilework_expr::{DType, OwnFunction, with_dtype};
use tilework_plan::{AxisGrid, Temporaries};

/// Elements of a distribution as `f64`, each a function of the key and of its row-major number in the whole array.
#[must_use]
pub fn samples(key: u64, of: Sampler) -> OwnFunction {
    let (code, a, b) = match of {
        Sampler::Gamma { shape, scale } => (0, shape, scale),
        Sampler::Beta { a, b } => (1, a, b),
        Sampler::Binomial { n, p } => (2, n, p),
        Sampler::Poisson { mean } => (3, mean, 0.0),
    };
    let params = Writer::default().number(code).float(a).float(b).number(key as usize).done();
    let temporaries = Temporaries::NONE;
    OwnFunction { name: "random_samples".into(), params, inputs: Vec::new(), output: DType::F64, temporaries }
}

/// Rows, which lie along the first axis, sent to the places that a second input says: of each block what goes to each chunk
/// of an axis as long.
#[must_use]
pub fn parts(dtype: DType, out: &AxisGrid) -> OwnFunction {
    let params = Writer::default().axis(out).done();
    let (inputs, temporaries) = (vec![dtype, DType::U64], Temporaries::per_read(16));
    OwnFunction { name: "shuffle_parts".into(), params, inputs, output: DType::U8, temporaries }
}

/// The rows that were sent to a chunk, at their places.
#[must_use]
pub fn merge(dtype: DType) -> OwnFunction {
    let params = Writer::default().dtype(dtype).done();
    let temporaries = Temporaries { per_made: 16, ..Temporaries::NONE };
    OwnFunction { name: "shuffle_merge".into(), params, inputs: vec![DType::U8], output: dtype, temporaries }
}

pub(super) fn random_samples(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (code, a, b) = (reader.number()?, reader.float()?, reader.float()?);
    let key = reader.number()? as u64;
    let of = match code {
        0 => Sampler::Gamma { shape: a, scale: b },
        1 => Sampler::Beta { a, b },
        2 => Sampler::Binomial { n: a, p: b },
        3 => Sampler::Poisson { mean: a },
        _ => return Err(format!("distribution {code}, expected at most 3")),
    };
    let (samples, shape) = (Samples::new(key, of), call.shape());
    let n: usize = shape.iter().product();
    let mut made = Vec::with_capacity(n);
    let row = shape.last().copied().unwrap_or(1);
    let mut at: Vec<usize> = call.place.region.iter().map(|r| r.start).collect();
    while made.len() < n {
        let first = at.iter().zip(&call.place.shape).fold(0u64, |e, (i, len)| e * *len as u64 + *i as u64);
        made.extend((0..row as u64).map(|i| samples.element(first + i)));
        // The next row: the last axis but one counts first.
        for (at, range) in at.iter_mut().zip(&call.place.region).rev().skip(1) {
            *at += 1;
            if *at < range.end {
                break;
            }
            *at = range.start;
        }
    }
    plane(&shape, made)
}

pub(super) fn shuffle_parts(call: &BlockCall<'_>) -> Answer<Plane> {
    let out = Reader(call.params).axis()?;
    let (block, places) = (call.block(0)?, Elements::<u64>::of(call.block(1)?)?);
    if block.shape().first() != Some(&places.len()) || places.iter().any(|&p| p as usize >= out.len()) {
        return Err(format!("{} places of {} rows {:?}", places.len(), out.len(), block.shape()));
    }
    let row = block.shape()[1..].iter().product::<usize>();
    let mut of_chunk: Vec<Vec<u32>> = vec![Vec::new(); out.n_chunks()];
    for (i, &place) in places.iter().enumerate() {
        let i = u32::try_from(i).map_err(|_| format!("{} rows in a block", places.len()))?;
        of_chunk[out.chunk_of(place as usize)].push(i);
    }
    with_dtype!(block.dtype(), A => {
        let x = Elements::<A>::of(block)?;
        let mut parts = BlockWriter::new(out.n_chunks());
        for (chunk, rows) in of_chunk.iter().enumerate() {
            let start = out.range(chunk).start as u64;
            let within: Vec<u64> = rows.iter().map(|&i| places[i as usize] - start).collect();
            put(parts.block(), &within);
            for &i in rows {
                put(parts.block(), &x[i as usize * row..][..row]);
            }
            parts.end();
        }
        value(parts.finish())
    })
}

pub(super) fn shuffle_merge(call: &BlockCall<'_>) -> Answer<Plane> {
    let dtype = Reader(call.params).dtype()?;
    let (shape, parts) = (call.shape(), call.parts(0)?);
    let row = shape[1..].iter().product::<usize>();
    with_dtype!(dtype, A => {
        let mut rows: Vec<Option<(usize, usize)>> = vec![None; shape[0]];
        let mut elements: Vec<Vec<A>> = Vec::with_capacity(parts.len());
        for (part, n) in parts.iter().enumerate() {
            let (places, sent) = placed_of::<A>(n, row)?;
            for (i, place) in places.into_iter().enumerate() {
                *rows.get_mut(place as usize).ok_or("a place beyond the chunk")? = Some((part, i));
            }
            elements.push(sent);
        }
        let mut made = Vec::with_capacity(rows.len() * row);
        for found in rows {
            let (part, i) = found.ok_or("a place that no row was sent to")?;
            made.extend_from_slice(elements[part].get(i * row..(i + 1) * row).ok_or("rows that are cut off")?);
        }
        plane(&shape, made)
    })
}
