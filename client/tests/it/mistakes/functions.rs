//! Functions of the user's: depths, boundaries, parameters, captured variables.

use crate::support::mistakes;
use tilework::prelude::*;
use tilework::{Boundary, map_collect, try_map_collect};

#[test]
fn depths_and_boundaries() {
    let a = Array2::<f64>::in_chunks(2).ones((3, 4));
    let same = |x: ndarray::ArrayView2<'_, f64>| x.to_owned();
    let deep = |depth: usize, len: usize| {
        format!("depth of a halo: got {depth} along an axis of length {len}, expected at most its length")
    };
    let each = |axes: &str| {
        format!(
            "axes {axes} of an array of 2 dimensions: expected one depth and one boundary for each axis, or one for all"
        )
    };
    let none = Boundary::None;
    mistakes! {
        a.try_map_overlap(4, none, same), a.map_overlap(4, none, same) => deep(4, 3);
        a.try_map_overlap([0, usize::MAX], none, same), a.map_overlap([0, usize::MAX], none, same)
            => deep(usize::MAX, 4);
        a.try_map_overlap([1], none, same), a.map_overlap([1], none, same) => each("[0]");
        a.try_map_overlap(1, [none; 3], same), a.map_overlap(1, [none; 3], same) => each("[0, 1, 2]");
        a.try_map_overlap(1, Boundary::constant(0u8), same), a.map_overlap(1, Boundary::constant(0u8), same)
            => "the value of a boundary: the operands are f64 and u8, expected one dtype; convert one of them first";
        a.try_map_overlap_with(9, none, 1u8, |x, _| x.to_owned()), a.map_overlap_with(9, none, 1u8, |x, _| x.to_owned())
            => deep(9, 3);
        try_map_collect((&a, &a.t().to_owned()), |x, y| x + y), map_collect((&a, &a.t().to_owned()), |x, y| x + y)
            => "shapes [3, 4] and [4, 3] cannot be broadcast together";
    }
    // Deeper than a chunk, and as deep as the axis.
    for boundary in [none, Boundary::Periodic, Boundary::Reflect, Boundary::Nearest, Boundary::constant(2.0)]
    {
        assert_eq!(a.map_overlap([3, 4], boundary, same).compute(), ndarray::Array2::<f64>::ones((3, 4)));
    }
}

#[test]
fn what_does_not_travel() {
    let a = Array2::<f64>::in_chunks(2).ones((3, 4));
    let k = 2.0;
    let says = |error: tilework::Error| {
        let text = error.to_string();
        assert!(text.contains("captures 8 bytes of variables") && text.contains("map_expr"), "{text}");
    };
    says(a.try_mapv_with((), move |x, ()| x * k).unwrap_err());
    says(a.try_fold_axis_with(Axis(0), 0.0, (), move |v, x, ()| v + x * k).unwrap_err());
    says(a.try_map_blocks(move |x| x.mapv(|x| x * k)).unwrap_err());
    says(a.try_map_blocks_with((), move |x, ()| x.mapv(|x| x * k)).unwrap_err());
    says(a.try_map_overlap(1, Boundary::None, move |x| x.mapv(|x| x * k)).unwrap_err());
    says(a.try_map_overlap_with(1, Boundary::None, (), move |x, ()| x.mapv(|x| x * k)).unwrap_err());
    let large = [0u8; 70_000];
    for error in [
        a.try_mapv_with(large, |x, _| x).unwrap_err(),
        a.try_map_blocks_with(large, |x, _| x.to_owned()).unwrap_err(),
        a.try_fold_axis_with(Axis(0), 0.0, large, |v, _, _| *v).map(|_: Array1<f64>| ()).unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(
            text.contains("bytes of parameters, expected at most 65536: make an array of them"),
            "{text}"
        );
    }
}
