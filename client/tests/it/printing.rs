//! Arrays as text: ndarray's, and of large lazy ones no more is computed than is printed.

use tilework::prelude::*;
use tilework::{Complex, Element};

/// Every format that ndarray has for the elements, of a lazy array and of its values.
fn check<A: Element + std::fmt::Display, D: tilework::Dimension>(ours: &Array<A, D>) {
    assert!(ours.is_lazy(), "{}", ours.describe());
    let theirs = ours.compute();
    assert_eq!(format!("{ours}"), format!("{theirs}"));
    assert_eq!(format!("{ours:>9.2}"), format!("{theirs:>9.2}"));
    assert_eq!(format!("{}", ours.view()), format!("{}", theirs.view()));
    assert_eq!(format!("{}", ours.t()), format!("{}", theirs.t()));
    assert_eq!(format!("{}", ours.to_shared()), format!("{}", theirs.to_shared()));
    assert_eq!(format!("{}", CowArray::from(ours.view())), format!("{theirs}"));
}

/// A lazy array of more than 1 MiB whose elements tell where they are.
fn numbers<D: tilework::Dimension>(shape: impl ndarray::IntoDimension<Dim = D>) -> Array<f64, D> {
    let shape = shape.into_dimension();
    Array::in_chunks(10_000)
        .range(0.0, shape.size() as f64, 1.0)
        .to_shape(shape)
        .expect("as many elements")
        .to_owned()
}

#[test]
fn large_lazy_arrays_are_printed_as_ndarrays() {
    check(&numbers(200_000));
    check(&numbers((400, 500)));
    check(&numbers((11, 20_000)));
    check(&numbers((20_000, 12)));
    check(&numbers((6, 7, 5000)));
    check(&numbers((60, 70, 50)));
    check(&numbers((7, 8, 9, 10, 40)));
    check(&numbers((2, 3, 4, 5, 11, 110)));
    check(&numbers((400, 500)).into_dyn());
    check(&numbers(2_000_000).mapv(|x| x as u8));
    check(&numbers((600, 700)).mapv(|x| x as i32 - 1000));
    check(&numbers((1200, 1200)).mapv(|x| x > 3.0));
    check(&numbers((400, 400)).mapv(|x| Complex::new(x as f32, -1.0)));
    let x = numbers((600, 700));
    assert_eq!(format!("{x:e} {x:.1E}"), format!("{0:e} {0:.1E}", x.compute()));
    assert_eq!(format!("{x:#}"), format!("{:#}", x.compute()));
    let bits = x.mapv(|x| x as u32);
    assert_eq!(format!("{bits:x} {bits:08b}"), format!("{0:x} {0:08b}", bits.compute()));
}

#[test]
fn what_is_not_printed_is_not_computed() {
    // 80 GB, which no session gathers, and which would take minutes.
    let x = Array1::<f64>::in_chunks(2_000_000).range(0.0, 1e10, 1.0);
    assert_eq!(
        x.to_string(),
        "[0, 1, 2, 3, 4, ..., 9999999995, 9999999996, 9999999997, 9999999998, 9999999999]"
    );
    let y = Array2::<i64>::in_chunks(1000).ones((1_000_000, 100_000));
    let row = "[1, 1, 1, 1, 1, ..., 1, 1, 1, 1, 1]";
    let half = [row; 5].join(",\n ");
    assert_eq!((&y * &y).to_string(), format!("[{half},\n ...,\n {half}]"));
    assert_eq!(y.slice(s![5, ..]).to_string(), row);
}
