//! Elementwise operations: shapes, types, and values at the ends of their types.

use crate::support::{check, mistakes};
use ndarray::Array1 as Nd1;
use tilework::prelude::*;
use tilework::{Complex, try_where, where_};

fn lazy<A: tilework::Element>(values: &[A]) -> Array1<A> {
    Array::from_vec_chunked(values.to_vec(), 2)
}

#[test]
fn shapes_that_do_not_broadcast() {
    let (a, b) = (Array2::<f64>::in_chunks(2).ones((3, 4)), Array1::<f64>::in_chunks(2).ones(5));
    let shapes = "shapes [3, 4] and [5] cannot be broadcast together";
    let mask = a.greater(0.0);
    macro_rules! pairs {
        ($($try_name:ident $name:ident)*) => { $(
            mistakes! {
                a.$try_name(&b), a.$name(&b) => shapes;
                a.view().$try_name(b.view()), a.view().$name(b.view()) => shapes;
            }
        )* };
    }
    pairs! {
        try_equal equal try_not_equal not_equal try_less less try_less_equal less_equal try_greater greater
        try_greater_equal greater_equal try_minimum minimum try_maximum maximum try_powf powf try_atan2 atan2
        try_hypot hypot try_copysign copysign
    }
    let to = "an array of shape [5] cannot be broadcast to shape [3, 4]";
    mistakes! {
        a.try_add(&b), &a + &b => shapes;
        a.try_sub(&b), &a - &b => shapes;
        a.try_mul(&b), a.clone() * &b => shapes;
        a.try_div(&b), &a / &b => shapes;
        a.try_rem(&b), &a % &b => shapes;
        try_where(&mask, &b, 0.0), where_(&mask, &b, 0.0) => shapes;
        try_where(&mask, 1.0, &b), where_(&mask, 1.0, &b) => shapes;
        tilework::try_map_collect((&a, &a.t().to_owned()), |x, y| x + y), tilework::map_collect((&a, &a.t().to_owned()), |x, y| x + y)
            => "shapes [3, 4] and [4, 3] cannot be broadcast together";
    }
    let says = |text: String| assert_eq!(text, format!("tilework: {to}"));
    says(crate::support::panic_text(|| a.clone().assign(&b)));
    says(crate::support::panic_text(|| a.clone().scaled_add(2.0, &b)));
    let mut c = a.clone();
    says(crate::support::panic_text(|| c += &b));
}

#[test]
fn types_and_parameters() {
    let (z, yes) = (lazy(&[Complex::new(1.0, 2.0)]), lazy(&[true, false]));
    let clamp = |given: &str| format!("clamp: got {given}, expected a minimum of at most the maximum");
    let (a, nan) = (lazy(&[1.0, 2.0]), f64::NAN);
    mistakes! {
        z.try_cast::<f64>(), z.cast::<f64>() => "conversion to f64 is not defined for elements of Complex64";
        z.try_cast::<bool>(), z.cast::<bool>() => "conversion to bool is not defined for elements of Complex64";
        yes.try_minimum(false), yes.minimum(false) => "min is not defined for elements of bool";
        yes.try_maximum(&yes), yes.maximum(&yes) => "max is not defined for elements of bool";
        a.try_clamp(2.0, 1.0), a.clamp(2.0, 1.0) => clamp("2.0 to 1.0");
        a.try_clamp(nan, 1.0), a.clamp(nan, 1.0) => clamp("NaN to 1.0");
        a.try_clamp(1.0, nan), a.view().clamp(1.0, nan) => clamp("1.0 to NaN");
        Array1::<u8>::in_chunks(-1).zeros(isize::MAX as usize).try_cast::<i16>()
            => format!("an array of shape [{}] with 2-byte elements has more bytes than an address can hold", isize::MAX);
    }
}

#[test]
fn values_at_the_ends_of_their_types() {
    let ends = [i64::MIN, -1, 0, i64::MAX];
    let a = lazy(&ends);
    check(&(&a + 1), &Nd1::from_iter(ends.map(|x| x.wrapping_add(1))));
    check(&(&a * 3), &Nd1::from_iter(ends.map(|x| x.wrapping_mul(3))));
    check(&-&a, &Nd1::from_iter(ends.map(i64::wrapping_neg)));
    check(&(&a / -1), &Nd1::from_iter(ends.map(|x| x.wrapping_div(-1))));
    check(&(&a % -1), &Nd1::from_iter(ends.map(|x| x.wrapping_rem(-1))));
    for by in [0, 1, 63, 64, 65, -1, i64::MIN] {
        check(&(&a << by), &Nd1::from_iter(ends.map(|x| x.wrapping_shl(by as u32))));
        check(&(&a >> by), &Nd1::from_iter(ends.map(|x| x.wrapping_shr(by as u32))));
    }
    for by in [7u8, 8, 9, 255] {
        check(&(lazy(&[1u8, 200]) << by), &Nd1::from_iter([1u8, 200].map(|x| x.wrapping_shl(by.into()))));
    }
    // Rust's `as`: no number is 0, what is beyond the ends is the end.
    let floats = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300, 300.7, -0.0];
    let a = lazy(&floats);
    check(&a.cast::<i64>(), &Nd1::from_iter(floats.map(|x| x as i64)));
    check(&a.cast::<u8>(), &Nd1::from_iter(floats.map(|x| x as u8)));
    check(&a.cast::<f32>(), &Nd1::from_iter(floats.map(|x| x as f32)));
    check(&a.cast::<bool>(), &Nd1::from_iter(floats.map(|x| x != 0.0)));
    check(&(&a % 0.0), &Nd1::from_iter(floats.map(|x| x % 0.0)));
    check(&(&a / 0.0), &Nd1::from_iter(floats.map(|x| x / 0.0)));
    check(&a.powi(i32::MIN), &Nd1::from_iter(floats.map(|x| x.powi(i32::MIN))));
    check(&a.clamp(-1.0, 1.0), &Nd1::from_iter(floats.map(|x| x.clamp(-1.0, 1.0))));
}

#[test]
fn more_dimensions_than_expressions_have() {
    let a = ArrayD::<f64>::ones(vec![1; 33]);
    let text = format!("chunks auto for shape {:?}: at most 32 dimensions", [1; 33]);
    mistakes! {
        a.try_add(1.0) => text;
        a.try_sum() => text;
        a.try_mapv(|x| x), a.map_blocks(|x| x.to_owned()) => text;
        a.try_map(|x| *x), a.mapv_with((), |x, ()| x) => text;
        a.try_fold_axis(Axis(0), 0.0, |v, x| v + x), a.map_expr(|x| x) => text;
        a.try_map_overlap(0, tilework::Boundary::None, |x| x.to_owned()) => text;
        tilework::try_map_collect((&a, &a), |x, y| x + y) => text;
        tilework::try_compute_all(&(&a, &a)), tilework::compute_all(&[a.clone()][..]) => text;
        a.try_persist(), a.persist() => text;
        a.try_rechunk(1), a.rechunk(1) => text;
    }
    // What ndarray does is done here.
    assert_eq!((a.sum(), a.chunks().len(), (&a + 1.0).ndim()), (1.0, 33, 33));
    assert_eq!(a.try_compute().unwrap().ndim(), 33);
}
