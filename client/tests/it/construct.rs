//! Sources: filled arrays, ranges, memory, functions of the index.

use crate::support::check;
use ndarray::{Array as Nd, Array1 as Nd1, Array2 as Nd2, Array3 as Nd3};
use tilework::prelude::*;
use tilework::{AxisChunks, Complex};

#[test]
fn filled_arrays() {
    check(&Array2::<f64>::zeros((3, 4)), &Nd2::zeros((3, 4)));
    check(&Array2::<i32>::in_chunks([2, -1]).ones((5, 7)), &Nd2::ones((5, 7)));
    check(
        &Array::in_chunks(2).from_elem(5, Complex::new(1.5f32, -2.0)),
        &Nd::from_elem(5, Complex::new(1.5f32, -2.0)),
    );
    check(&Array1::<bool>::default(3), &Nd1::default(3));
    check(&Array::<u8, _>::from_elem(IxDyn(&[2, 0, 3]), 7), &Nd::from_elem(IxDyn(&[2, 0, 3]), 7));
    check(&Array0::<i64>::from_elem((), -4), &ndarray::arr0(-4));
    assert_eq!(Array2::<f64>::zeros((3, 4).f()).shape(), [3, 4]);
}

#[test]
fn chunks_are_those_asked_for() {
    let lens = vec![AxisChunks::Lens(vec![1, 4, 5]), AxisChunks::Whole];
    assert_eq!(Array2::<f32>::in_chunks(lens).zeros((10, 3)).chunks(), [vec![1, 4, 5], vec![3]]);
    assert_eq!(Array2::<f64>::in_chunks(4).eye(10).chunks(), [vec![4, 4, 2], vec![4, 4, 2]]);
    assert_eq!(Array1::in_chunks(5).linspace(0.0, 1.0, 9).chunks(), [vec![5, 4]]);
    let auto = Array1::<f32>::linspace(0.0, 1.0, 10_000_000).chunks();
    assert_eq!(auto, Array1::<f32>::zeros(10_000_000).chunks());
}

/// Programs that give chunks as one argument of many go on compiling, and mean the same.
#[test]
#[allow(deprecated, reason = "the older forms")]
fn older_forms_are_those_in_chunks() {
    use tilework::random;
    macro_rules! same {
        ($($old:expr, $new:expr;)*) => { $({
            let (old, new) = ($old, $new);
            assert_eq!(old.chunks(), new.chunks());
            check(&old, &new.compute());
        })* };
    }
    let f = |(i, j): (usize, usize)| (i * j) as f64;
    same! {
        Array1::arange_chunked(0, 10, 1, 4), Array::in_chunks(4).arange(0, 10, 1);
        Array1::<f32>::zeros_chunked(10, 3), Array1::<f32>::in_chunks(3).zeros(10);
        Array1::<i64>::ones_chunked(10, 3), Array::in_chunks(3).ones(10);
        Array1::<u8>::default_chunked(10, 3), Array::in_chunks(3).default(10);
        Array1::from_elem_chunked(10, 3, 7), Array::in_chunks(3).from_elem(10, 7);
        Array1::linspace_chunked(2.0, 3.0, 10, 5), Array::in_chunks(5).linspace(2.0, 3.0, 10);
        Array1::range_chunked(0.0, 3.0, 0.5, 2), Array::in_chunks(2).range(0.0, 3.0, 0.5);
        Array1::logspace_chunked(10.0, 0.0, 3.0, 4, 2), Array::in_chunks(2).logspace(10.0, 0.0, 3.0, 4);
        Array2::<f64>::eye_chunked(5, 2), Array::in_chunks(2).eye(5);
        Array2::from_diag_elem_chunked(5, 2, 3), Array::in_chunks(2).from_diag_elem(5, 3);
        Array2::from_shape_fn_chunked((4, 6), [2, 3], f), Array::in_chunks([2, 3]).from_shape_fn((4, 6), f);
        Array2::from_shape_vec_chunked((1, 2), 1, vec![1, 2]).unwrap(),
            Array::in_chunks(1).from_shape_vec((1, 2), vec![1, 2]).unwrap();
        random::uniform_chunked::<f64, _>((4, 4), 2, 0.0..1.0, 3), random::in_chunks(2).uniform((4, 4), 0.0..1.0, 3);
        random::integers_chunked::<i32, _>(4, 2, 0..9, 3), random::in_chunks(2).integers(4, 0..9, 3);
    }
    assert!(
        Array1::<u8>::try_zeros_chunked(10, 0).is_err() && Array1::try_arange_chunked(0, 9, 0, 1).is_err()
    );
}

#[test]
fn ranges_are_ndarrays_bit_for_bit() {
    check(&Array1::in_chunks(4).range(0.1, 5.0, 0.3), &Nd1::range(0.1, 5.0, 0.3));
    check(&Array1::range(5.0f32, -5.0, -0.7), &Nd1::range(5.0f32, -5.0, -0.7));
    check(&Array1::range(1.0, 0.5, 1.0), &Nd1::range(1.0, 0.5, 1.0));
}

/// Those of ndarray's, but that they end where they are told to.
#[test]
fn evenly_spaced_elements_end_at_their_end() {
    fn ending<A: Copy>(mut of: Nd1<A>, end: A) -> Nd1<A> {
        if of.len() > 1 {
            *of.last_mut().unwrap() = end;
        }
        of
    }
    let mut differ = 0;
    for n in [0, 1, 2, 3, 7, 11, 50, 1001] {
        for (start, end) in [(-0.3, 1.7), (0.1, 0.7), (5.0, 0.1), (1e-3, 1e300), (0.0, 1.0)] {
            let theirs = ending(Nd1::linspace(start, end, n), end);
            differ += usize::from(theirs != Nd1::linspace(start, end, n));
            check(&Array1::in_chunks(100).linspace(start, end, n), &theirs);
            check(&Array1::linspace(start, end, n), &theirs);
        }
        check(&Array1::in_chunks(3).linspace(5.0f32, 0.1, n), &ending(Nd1::linspace(5.0f32, 0.1, n), 0.1));
        for base in [10.0, -2.5f64] {
            let theirs = Nd1::logspace(base, -2.1, 3.3, n);
            let theirs = ending(theirs, base.signum() * base.abs().powf(3.3));
            check(&Array1::in_chunks(4).logspace(base, -2.1, 3.3, n), &theirs);
            check(&Array1::logspace(base, -2.1, 3.3, n), &theirs);
        }
        let theirs = ending(Nd1::geomspace(0.3, 70.7, n).unwrap(), 70.7);
        let ours = Array1::geomspace(0.3, 70.7, n).unwrap();
        assert!(n == 0 || ours[0] == 0.3);
        check(&ours.slice(s![n.min(1)..]), &theirs.slice(ndarray::s![n.min(1)..]).to_owned());
    }
    assert!(differ > 5, "rounding has moved no end");
    let large = Array1::linspace(0.1f64, 0.7, 1_000_001);
    assert!(large.is_lazy() && large.slice(s![1_000_000..]).compute()[0] == 0.7);
}

#[test]
fn integer_ranges() {
    check(&Array1::in_chunks(2).arange(-3i64, 4, 2), &ndarray::array![-3, -1, 1, 3]);
    check(&Array1::arange(10u8, 250, 60), &ndarray::array![10u8, 70, 130, 190]);
    check(&Array1::arange(100i8, -128, -100), &ndarray::array![100i8, 0, -100]);
    check(&Array1::arange(5, 5, 1), &Nd1::from_vec(Vec::<i32>::new()));
    check(&Array1::arange(5, 6, -1), &Nd1::from_vec(Vec::<i32>::new()));
    let wide = Array1::arange(-100i8, 101, 1);
    check(&wide, &(-100i8..101).collect());
}

#[test]
fn identities() {
    check(&Array2::<f64>::in_chunks(3).eye(7), &Nd2::eye(7));
    check(&Array2::<Complex<f64>>::eye(3), &Nd2::eye(3));
    check(&Array2::<u16>::eye(0), &Nd2::eye(0));
    check(&Array2::in_chunks([2, 3]).from_diag_elem(5, 2.5), &Nd2::from_diag_elem(5, 2.5));
}

#[test]
fn diagonals_and_triangles() {
    let diagonal = ndarray::array![1.0, f64::NAN, 3.0];
    check(&Array2::from_diag(&Array::from_ndarray(diagonal.clone(), 2)), &Nd2::from_diag(&diagonal));
    let b = Nd3::from_shape_fn((2, 4, 5), |(i, j, k)| (100 * i + 10 * j + k) as i32 + 1);
    let a = Array::from_ndarray(b.clone(), [1, 3, 2]);
    for k in [0, 1, -1, 3, -3, 9, -9, isize::MAX, isize::MIN] {
        check(&a.triu(k), &b.triu(k));
        check(&a.tril(k), &b.tril(k));
    }
    check(&arr1(&[1, 2]).triu(1), &ndarray::array![1, 2]);
}

#[test]
fn memory_of_any_layout() {
    let a = Nd3::from_shape_fn((4, 5, 6), |(i, j, k)| (100 * i + 10 * j + k) as i32);
    check(&Array::from_ndarray(a.clone(), 2), &a);
    let transposed = a.clone().reversed_axes();
    check(&Array::from_ndarray(transposed.clone(), [4, 2, 3]), &transposed);
    let mut reversed = a.clone().slice_move(s![1.., ..;2, 1..;3]);
    reversed.invert_axis(Axis(0));
    assert!(reversed.as_slice_memory_order().is_none());
    check(&Array::from_ndarray(reversed.clone(), [2, 1, 1]), &reversed);
    check(&Array::from(a.slice(s![.., 2, ..])), &a.slice(s![.., 2, ..]).to_owned());
    let broadcast = Nd2::from_shape_fn((3, 1), |(i, _)| i % 2 == 0);
    check(&Array::from_ndarray(broadcast.clone(), 1), &broadcast);
    let empty = Nd2::<f64>::zeros((0, 4));
    check(&Array::from_ndarray(empty.clone(), 2), &empty);
    check(&arr0(3u64), &ndarray::arr0(3u64));
    check(&Array::from(vec![[1, 2], [3, 4], [5, 6]]), &ndarray::array![[1, 2], [3, 4], [5, 6]]);
    check(&Array::from([[1, 2], [3, 4]]), &ndarray::array![[1, 2], [3, 4]]);
    check(&tilework::array![[1.0, 2.0], [3.0, 4.0]], &ndarray::array![[1.0, 2.0], [3.0, 4.0]]);
    check(&(0..10).map(|i| i * i).collect::<Array1<i64>>(), &(0..10).map(|i| i * i).collect());
}

#[test]
fn memory_is_shared_and_kept() {
    let a = {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        Array1::from_vec_chunked(values, 64)
    };
    assert_eq!(a.sum(), 499_500.0);
    assert_eq!(a.sum(), 499_500.0);
}

#[test]
fn shapes_of_vectors() {
    let values: Vec<i32> = (0..6).collect();
    check(
        &Array::from_shape_vec((2, 3), values.clone()).unwrap(),
        &Nd::from_shape_vec((2, 3), values.clone()).unwrap(),
    );
    let column = Array::in_chunks([1, 2]).from_shape_vec((2, 3).f(), values.clone()).unwrap();
    check(&column, &Nd::from_shape_vec((2, 3).f(), values.clone()).unwrap());
    let error = Array::in_chunks(-1).from_shape_vec((2, 2), values.clone()).unwrap_err().to_string();
    assert_eq!(error, "an array of shape [6] (6 elements) cannot have shape [2, 2] (4 elements)");
    assert!(Array::from_shape_vec((usize::MAX, 3), values).is_err());
}

#[test]
fn functions_of_the_index() {
    let f = |(i, j): (usize, usize)| (i * 100 + j) as f64;
    check(&Array2::in_chunks([3, 4]).from_shape_fn((7, 9), f), &Nd2::from_shape_fn((7, 9), f));
    check(&Array1::from_shape_fn(4, |i| i as u8), &Nd1::from_shape_fn(4, |i| i as u8));
    let g = |index: IxDyn| index[0] as i64 - index[2] as i64;
    let shape = IxDyn(&[3, 2, 4]);
    check(&Array::in_chunks(2).from_shape_fn(shape.clone(), g), &Nd::from_shape_fn(shape, g));
    check(&Array2::in_chunks(2).from_shape_fn((3, 0), f), &Nd2::from_shape_fn((3, 0), f));
    let scale = 2.5;
    let captured = Array1::from_shape_fn(3, move |i| i as f64 * scale);
    check(&captured, &ndarray::array![0.0, 2.5, 5.0]);
}
