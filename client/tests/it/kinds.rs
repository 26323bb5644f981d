//! What an array is: local or lazy, shared and written, viewed.

use tilework::prelude::*;

fn lazy() -> Array2<f64> {
    Array::from_ndarray(ndarray::Array2::from_shape_fn((4, 6), |(i, j)| (10 * i + j) as f64), 2)
}

#[test]
fn what_was_built_keeps_the_old_elements() {
    let mut a = array![[1.0, 2.0], [3.0, 4.0]];
    let b = Array2::<f64>::in_chunks(1).ones((2, 2)) + &a;
    let view_of_b = b.row(0).to_owned();
    a[[0, 0]] = 50.0;
    a.swap_axes(0, 1);
    assert!(b.is_lazy() && !a.is_lazy());
    assert_eq!(b, array![[2.0, 3.0], [4.0, 5.0]]);
    assert_eq!(view_of_b, array![2.0, 3.0]);
    assert_eq!(a, array![[50.0, 3.0], [2.0, 4.0]]);
}

#[test]
fn a_write_does_not_show_in_clones() {
    let mut a = lazy();
    let b = a.clone();
    a[[1, 1]] = -1.0;
    // The clone shares what was computed for the write, not the write.
    assert!(!a.is_lazy() && !b.is_lazy());
    assert_eq!((a[[1, 1]], b[[1, 1]], a[[3, 5]]), (-1.0, 11.0, 35.0));
    let mut c = &b * 2.0;
    c.row_mut(0).fill(0.0);
    assert_eq!((c[[0, 3]], c[[1, 0]]), (0.0, 20.0));
}

#[test]
fn values_are_computed_once_and_kept() {
    let a = lazy();
    assert_eq!((a.shape(), a.len(), a.dim()), (&[4, 6][..], 24, (4, 6)));
    assert!(a.is_lazy());
    let first = a.as_ptr();
    assert!(!a.is_lazy());
    assert_eq!(a.as_ptr(), first);
    // What is built on it now reads the values that are here.
    assert_eq!((&a + 1.0).sum(), a.sum() + 24.0);
}

#[test]
fn views_of_lazy_arrays_are_lazy() {
    let a = lazy();
    let part = a.slice(s![1..3, ..;-2]);
    assert!(part.is_lazy());
    let (t, row) = (part.t(), part.row(1));
    assert_eq!(row.sum(), 25.0 + 23.0 + 21.0);
    assert!(a.is_lazy() && row.is_lazy() && t.is_lazy());
    assert_eq!(t.iter().copied().collect::<Vec<_>>(), [15.0, 25.0, 13.0, 23.0, 11.0, 21.0]);
    assert_eq!(t.as_slice(), None);
    let sum: Array2<f64> = &part + &part;
    assert_eq!(sum, array![[30.0, 26.0, 22.0], [50.0, 46.0, 42.0]]);
    let wide = a.broadcast((2, 4, 6)).unwrap();
    assert_eq!((wide.dim(), wide[[1, 2, 3]]), ((2, 4, 6), 23.0));
}

#[test]
fn views_are_as_free_as_ndarrays() {
    fn longest<'a>(x: ArrayView1<'a, f64>, y: ArrayView1<'a, f64>) -> ArrayView1<'a, f64> {
        if x.len() < y.len() { y } else { x }
    }
    let a = lazy();
    let kept = {
        let b = array![1.0];
        let x: ArrayView1<'_, f64> = a.row(2);
        let (copy, other) = (x, x);
        assert_eq!(longest(copy, b.view()).len(), 6);
        other
    };
    assert_eq!(kept.to_slice().unwrap()[5], 25.0);
    let mut c = array![[1, 2], [3, 4]];
    let row = c.row(1);
    let sum = row.sum();
    c[[0, 0]] = sum;
    assert_eq!(c, array![[7, 2], [3, 4]]);
}

#[test]
fn other_element_types_are_local() {
    let a = Array2::from_shape_fn((2, 2), |(i, j)| format!("{i}{j}"));
    assert_eq!(a.t().to_owned()[[1, 0]], "01");
    let joined: Array1<String> = a.map_axis(Axis(1), |row| row.iter().cloned().collect());
    assert_eq!(joined, array!["0001".to_owned(), "1011".to_owned()]);
    let wide = array![1u128, 2] + array![3u128, 4];
    assert_eq!(wide.sum(), 10);
}

#[test]
fn the_same_text_as_ndarrays() {
    let (a, b) = (lazy(), lazy().compute());
    assert_eq!(format!("{a:5.1} {a:?}"), format!("{b:5.1} {b:?}"));
    let large = Array2::<f64>::in_chunks(100).zeros((1000, 1000));
    assert_eq!(format!("{large:?}"), "Array(shape [1000, 1000], f64, chunks [100, 100], 100 chunks)");
}

#[test]
fn large_arrays_are_lazy_and_small_ones_are_not() {
    let (small, large) = (Array1::<f64>::zeros(100), Array1::<f64>::zeros(1_000_000));
    assert!(!small.is_lazy() && large.is_lazy());
    assert!(!(&small + 1.0).is_lazy() && (&large + 1.0).is_lazy());
    let mut filled = Array1::from_elem(1_000_000, 2.0).into_ndarray();
    filled[0] = 5.0;
    let mut local = Array::from(filled);
    let doubled = &local * 2.0;
    let part = local.slice(s![..10]).mapv(|x| x);
    local[0] = 7.0;
    assert!(doubled.is_lazy() && !local.is_lazy());
    assert_eq!((doubled[0], part[0], local[0], doubled.sum()), (10.0, 5.0, 7.0, 4_000_006.0));
}

#[test]
fn there_and_back_by_serde() {
    let text = serde_json::to_string(&lazy().slice(s![..2, ..2])).unwrap();
    assert_eq!(text, serde_json::to_string(&ndarray::array![[0.0, 1.0], [10.0, 11.0]]).unwrap());
    let back: Array2<f64> = serde_json::from_str(&text).unwrap();
    assert_eq!(back, array![[0.0, 1.0], [10.0, 11.0]]);
}
