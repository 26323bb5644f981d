//! Arrays put together.

use crate::support::check;
use ndarray::array as nd;
use tilework::prelude::*;

#[test]
fn one_after_another_and_on_top() {
    let (b, c) = (nd![[1, 2], [3, 4]], nd![[5, 6]]);
    let (a, d) = (Array::from_ndarray(b.clone(), 1), Array::from(c.clone()));
    check(&tilework::concatenate!(Axis(0), a, d, a), &ndarray::concatenate!(Axis(0), b, c, b));
    check(&tilework::concatenate!(Axis(1), &a, a.t()), &ndarray::concatenate!(Axis(1), b, b.t()));
    for axis in (0..3).map(Axis) {
        check(&tilework::stack!(axis, a, a.t()), &ndarray::stack!(axis, b, b.t()));
    }
    check(&tilework::stack!(Axis(1), arr1(&[1, 2])), &nd![[1], [2]]);
    check(&tilework::try_concatenate(Axis(0), &[d.slice(s![..0, ..]).to_owned(), d]).unwrap(), &c);
}

#[test]
fn what_does_not_fit_is_named() {
    let (a, b) = (Array2::<f64>::zeros((2, 3)), Array2::<f64>::zeros((2, 4)));
    let text = |r: tilework::Result<_>| r.map(|a: Array2<f64>| a.dim()).unwrap_err().to_string();
    let error = text(tilework::try_concatenate(Axis(0), &[a.clone(), b.clone()]));
    assert!(error.contains("array 1 has shape [2, 4]") && error.contains("[2, 3]"), "{error}");
    assert!(
        text(tilework::try_concatenate(Axis(2), &[a.clone(), b.clone()])).contains("axis 2 is out of range")
    );
    assert!(text(tilework::try_concatenate(Axis(0), &[])).contains("of no arrays"));
    assert!(tilework::try_stack(Axis(0), &[a.clone(), b]).is_err());
    assert!(tilework::try_stack(Axis(3), &[a]).is_err());
}
