//! Counts of points in bins of several axes.

use super::elements::{Answer, Elements, Reader, Writer, plane};
use crate::chunk::Plane;
use crate::native::BlockCall;
use tilework_expr::{DType, OwnFunction};
use tilework_plan::Temporaries;

/// How many points lie in each bin, in row-major order of the bins, or the sums of their weights; each axis has its edges and an
/// array of coordinates, in `f64`, and the weights come last.
#[must_use]
pub fn points(edges: &[&[f64]], weighted: bool) -> OwnFunction {
    let params = Writer::default().number(edges.len()).number(usize::from(weighted));
    let params = edges.iter().fold(params, |all, edges| all.floats(edges)).done();
    let inputs = vec![DType::F64; edges.len() + usize::from(weighted)];
    let output = if weighted { DType::F64 } else { DType::U64 };
    OwnFunction { name: "histogram_points".into(), params, inputs, output, temporaries: Temporaries::NONE }
}

/// The bin that has a coordinate: with its lower edge, the last one with its upper edge too.
fn bin(edges: &[f64], x: f64) -> Option<usize> {
    let (first, last) = (edges.first()?, edges.last()?);
    if !(*first <= x && x <= *last) {
        return None;
    }
    Some((edges.partition_point(|e| *e <= x) - 1).min(edges.len().checked_sub(2)?))
}

pub(super) fn histogram_points(call: &BlockCall<'_>) -> Answer<Plane> {
    let mut reader = Reader(call.params);
    let (n_axes, weighted) = (reader.number()?, reader.number()? == 1);
    let edges = (0..n_axes).map(|_| reader.floats()).collect::<Answer<Vec<_>>>()?;
    let points = (0..n_axes).map(|i| Elements::<f64>::of(call.block(i)?)).collect::<Answer<Vec<_>>>()?;
    let weights = if weighted { Some(Elements::<f64>::of(call.block(n_axes)?)?) } else { None };
    let n = points.first().map_or(0, |x| x.len());
    if points.iter().chain(&weights).any(|x| x.len() != n) {
        return Err("another number of coordinates along one axis".into());
    }
    let bin_of = |i: usize| {
        let mut all = 0;
        for (edges, x) in edges.iter().zip(&points) {
            all = all * (edges.len() - 1) + bin(edges, x[i])?;
        }
        Some(all)
    };
    let n_bins = call.shape().iter().product::<usize>();
    match weights {
        None => {
            let mut counts = vec![0u64; n_bins];
            for at in (0..n).filter_map(bin_of) {
                *counts.get_mut(at).ok_or("more bins than the result has")? += 1;
            }
            plane(&call.shape(), counts)
        }
        Some(weights) => {
            let mut sums = vec![0f64; n_bins];
            for (i, at) in (0..n).filter_map(|i| bin_of(i).map(|at| (i, at))) {
                *sums.get_mut(at).ok_or("more bins than the result has")? += weights[i];
            }
            plane(&call.shape(), sums)
        }
    }
}
