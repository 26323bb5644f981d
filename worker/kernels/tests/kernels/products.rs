//! Matrix products against naive sums.

use crate::harness::{check, check_near, digits, floats, literal};
use crate::views::chunks;
use ndarray::{ArrayD, Axis, Ix2, IxDyn};
use proptest::prelude::*;
use tilework_expr::{Complex, DType, Element, SliceArg, with_dtype};

/// Products of small integers are exact in every type (wrapping in the small ones).
fn product<A: Element>((m, n, k): (usize, usize, usize), cut: &[usize], flip: bool) {
    let a: ArrayD<A> = digits(&[m, k], 1);
    let b: ArrayD<A> = digits(&[n, k], 2);
    let (ea, eb) = (literal(&a, &chunks(&cut[..2])), literal(&b, &chunks(&cut[2..4])));
    let (mut bt, mut ebt) = (b.reversed_axes(), eb.reversed_axes().unwrap());
    if flip {
        bt.invert_axis(Axis(1));
        let all = SliceArg::Range { start: 0, end: None, step: 1 };
        ebt = ebt.slice(&[all, SliceArg::Range { start: 0, end: None, step: -1 }]).unwrap();
    }
    let expected = ArrayD::from_shape_fn(IxDyn(&[m, n]), |at| {
        let terms = (0..k).map(|p| (a[[at[0], p]].to_bits(), bt[[p, at[1]]].to_bits()));
        A::from_bits(dot(A::DTYPE, terms))
    });
    check(&ea.dot(&ebt).unwrap(), &expected);
}

fn dot(d: DType, terms: impl Iterator<Item = (u128, u128)>) -> u128 {
    match d {
        DType::F32 => Element::to_bits(
            terms.map(|(x, y)| <f32 as Element>::from_bits(x) * <f32 as Element>::from_bits(y)).sum::<f32>(),
        ),
        DType::F64 => Element::to_bits(
            terms.map(|(x, y)| <f64 as Element>::from_bits(x) * <f64 as Element>::from_bits(y)).sum::<f64>(),
        ),
        DType::C32 => terms
            .map(|(x, y)| Complex::<f32>::from_bits(x) * Complex::<f32>::from_bits(y))
            .sum::<Complex<f32>>()
            .to_bits(),
        DType::C64 => terms
            .map(|(x, y)| Complex::<f64>::from_bits(x) * Complex::<f64>::from_bits(y))
            .sum::<Complex<f64>>()
            .to_bits(),
        // The low bits of a product are those of the product of the low bits.
        _ => terms.fold(0u128, |s, (x, y)| s.wrapping_add(x.wrapping_mul(y))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn small_products(
        m in 0usize..40, n in 0usize..40, k in 0usize..40,
        cut in prop::collection::vec(1usize..30, 4), flip: bool,
        dtype in prop::sample::select(vec![DType::I8, DType::U32, DType::I64, DType::F32, DType::F64, DType::C32, DType::C64]),
    ) {
        with_dtype!(dtype, T => product::<T>((m, n, k), &cut, flip));
    }
}

#[test]
fn vectors_and_long_inner_axes() {
    product::<f64>((1, 300, 1200), &[1, 500, 100, 700], false);
    product::<f32>((300, 1, 1200), &[90, 1200, 1, 1200], true);
    product::<f64>((9, 11, 3000), &[9, 1100, 11, 900], false);
    product::<Complex<f64>>((40, 50, 700), &[40, 700, 50, 700], false);
    product::<i16>((40, 50, 700), &[40, 300, 50, 200], true);
    product::<f64>((600, 530, 40), &[600, 40, 530, 40], false);
}

#[test]
fn rounding_does_not_depend_on_layout_or_threads() {
    for (m, n, k) in [(130, 70, 1100), (1, 90, 900), (90, 1, 900), (12, 13, 900), (600, 3, 520), (2, 2, 2000)]
    {
        let (a, b) = (floats(&[m, k], 1), floats(&[k, n], 2));
        let product = |x: &ArrayD<f64>, y: &ArrayD<f64>| {
            let (x, y) = (x.clone().into_dimensionality::<Ix2>(), y.clone().into_dimensionality::<Ix2>());
            x.unwrap().dot(&y.unwrap()).into_dyn()
        };
        let (ea, eb) = (
            literal(&a.mapv(|x| x + 2.0), &chunks(&[m, 400])),
            literal(&b.mapv(|x| x + 2.0), &chunks(&[300, n])),
        );
        check_near(&ea.dot(&eb).unwrap(), &product(&a.mapv(|x| x + 2.0), &b.mapv(|x| x + 2.0)), 1e-12);
    }
}
