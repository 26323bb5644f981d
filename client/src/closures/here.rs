//! Functions that cannot travel: called in this process, at once, after one warning for each line that asks for it.
//!
//! Must not know why a function does not travel.

use super::elements::{Call, Inputs, run};
use super::ship::FunctionError;
use crate::array::chunks_of;
use crate::error::Result;
use crate::session::gather;
use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::{Mutex, PoisonError};
use tilework_expr::{Element, Expr, ExprError, with_dtype};
use tilework_kernels::native::{Lane, Lanes, Takes};

/// Says on stderr that a line's function runs in this process. Once for each line of the program.
pub(crate) fn warn(at: &'static Location<'static>, why: &FunctionError) {
    if first_time(at) {
        eprintln!("tilework: {at}: the array is computed and the function called in this process: {why}");
    }
}

/// Says on stderr that a line's function of the index is called in this process for workers elsewhere. Once for each
/// line of the program.
pub(crate) fn warn_of_index(at: &'static Location<'static>, why: &dyn std::fmt::Display) {
    if first_time(at) {
        eprintln!(
            "tilework: {at}: the function is called in this process for all elements, by no worker: {why}"
        );
    }
}

/// Says on stderr that a line's method of ndarray brings an array from the workers to call its function here. Once for
/// each line of the program.
pub(crate) fn warn_of_method(at: &'static Location<'static>, method: &str) {
    if first_time(at) {
        eprintln!(
            "tilework: {at}: the array is computed and brought to this process, where `{method}` calls the function: \
             `mapv`, `map_blocks` and `fold_axis` run on the workers"
        );
    }
}

fn first_time(at: &'static Location<'static>) -> bool {
    static SEEN: Mutex<BTreeSet<(&str, u32, u32)>> = Mutex::new(BTreeSet::new());
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    seen.insert((at.file(), at.line(), at.column()))
}

/// Elements of an array in this process, in row-major order.
trait Values {
    fn lane(&self) -> Lane;
}

impl<T: Element> Values for Vec<T> {
    fn lane(&self) -> Lane {
        Lane { ptr: self.as_ptr().cast(), step: 1 }
    }
}

/// What a function gives for the elements of arrays of one shape, one after another in row-major order, as an array
/// in this process.
pub(super) fn apply<S: Call<F, I, (), B>, F, I: Inputs, B: Element>(
    arrays: &[Expr],
    mut f: F,
) -> Result<Expr> {
    let first = arrays.first().ok_or(ExprError::NoArrays { op: "a function of elements" })?;
    if let Some(other) = arrays.iter().find(|a| a.shape() != first.shape()) {
        return Err(ExprError::Broadcast { left: first.shape(), right: other.shape() }.into());
    }
    let dtypes: Vec<_> = arrays.iter().map(Expr::dtype).collect();
    assert!(matches!(I::TAKES, Takes::Each(all) if *all == *dtypes), "{dtypes:?} for {:?}", I::TAKES);
    let chunks = crate::session::run(arrays)?;
    let values: Vec<Box<dyn Values>> = (arrays.iter().zip(chunks))
        .map(|(array, chunks)| -> Box<dyn Values> {
            with_dtype!(array.dtype(), T => Box::new(gather::values::<T>(array.grid(), chunks)))
        })
        .collect();
    let lanes: Vec<Lane> = values.iter().map(|v| v.lane()).collect();
    let n = first.len();
    let mut out: Vec<B> = Vec::with_capacity(n);
    let lanes = Lanes { n, inputs: &lanes, params: &[], out: out.as_mut_ptr().cast() };
    // SAFETY: the values are of the types that `I` says, each `n` elements in memory of its own; all of the results are
    // written.
    unsafe {
        run::<S, F, I, (), B>(&mut f, &(), &lanes);
        out.set_len(n);
    }
    let result = ndarray::ArrayD::from_shape_vec(first.shape(), out);
    let result = result.expect("as many results as elements");
    Ok(crate::array::Array::try_from_ndarray(result, chunks_of(first.grid()))?.expr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn ask() -> bool {
        first_time(Location::caller())
    }

    #[test]
    fn each_line_warns_once() {
        let asked: Vec<bool> = (0..3).map(|_| ask()).collect();
        assert_eq!(asked, [true, false, false]);
        assert!(ask());
    }
}
