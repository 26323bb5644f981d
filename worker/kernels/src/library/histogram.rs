//! Counts of points in bins of several axes.

use super::count::Between;
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
    let axes = edges.iter().map(|edges| Between::of(edges)).collect::<Answer<Vec<_>>>()?;
    let bin_of = |i: usize| {
        let mut all = 0;
        for (axis, x) in axes.iter().zip(&points) {
            all = all * axis.n_bins() + axis.bin_of(x[i])?;
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
