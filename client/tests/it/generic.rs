//! Functions and traits that are generic in the kind of array, as programs for ndarray have them.

use ndarray::{Data, DataMut, OwnedRepr, RawData};
use num_traits::Float;
use tilework::prelude::*;

fn softmax<S, D>(x: &ArrayBase<S, D>) -> Array<f64, D>
where
    S: Data<Elem = f64>,
    D: Dimension,
{
    let e = x.mapv(f64::exp);
    let total = e.sum();
    e / total
}

fn standardized<A, S>(x: &ArrayBase<S, Ix2>) -> Array2<A>
where
    A: Float + num_traits::FromPrimitive + 'static,
    S: Data<Elem = A>,
{
    let mean: Array1<A> = x.mean_axis(Axis(0)).expect("it has rows");
    let spread = x.std_axis(Axis(0), A::zero());
    let centred: Array2<A> = x - &mean;
    centred / &spread
}

fn covariance<S: Data<Elem = f64>>(x: &ArrayBase<S, Ix2>) -> Array2<f64> {
    let centred: Array2<f64> = x - &x.mean_axis(Axis(0)).expect("it has rows");
    let n = x.nrows() as f64;
    centred.t().dot(&centred) / (n - 1.0)
}

fn distance<S, T>(a: &ArrayBase<S, Ix1>, b: &ArrayBase<T, Ix1>) -> f64
where
    S: Data<Elem = f64>,
    T: Data<Elem = f64>,
{
    let difference: Array1<f64> = a - b;
    difference.dot(&difference).sqrt()
}

fn scale<S: DataMut<Elem = f64>, D: Dimension>(x: &mut ArrayBase<S, D>, by: f64) {
    *x *= by;
    x.mapv_inplace(|v| v + 1.0);
}

trait Norms<A> {
    fn l1(&self) -> A;
    fn normalized(&self) -> Array<A, Ix1>;
}

impl<S: Data<Elem = f64>> Norms<f64> for ArrayBase<S, Ix1> {
    fn l1(&self) -> f64 {
        self.fold(0.0, |sum, x| sum + x.abs())
    }
    fn normalized(&self) -> Array1<f64> {
        self / self.l1()
    }
}

fn rows_of<S: Data<Elem = f64>>(x: &ArrayBase<S, Ix2>) -> Vec<ArrayView1<'_, f64>> {
    x.rows().into_iter().collect()
}

fn bytes_of_an_element<S: RawData>(_: &ArrayBase<S, Ix2>) -> usize {
    size_of::<S::Elem>()
}

#[test]
fn functions_over_any_kind_take_all_kinds_and_return_arrays_of_ours() {
    let mut a = array![[1.0, 2.0], [3.0, 6.0], [5.0, 1.0]];
    let lazy = Array::from_ndarray(a.to_owned().into_ndarray(), 2) + 0.0;
    let want = ndarray::arr2(&[[1.0f64, 2.0], [3.0, 6.0], [5.0, 1.0]]);
    let soft = want.mapv(f64::exp) / want.mapv(f64::exp).sum();

    assert_eq!(softmax(&a), soft);
    assert_eq!(softmax(&a.view()), soft);
    assert_eq!(softmax(&a.view_mut()), soft);
    assert_eq!(softmax(&a.to_shared()), soft);
    assert_eq!(softmax(&lazy), soft);
    assert_eq!(softmax(&lazy.slice(s![.., 1])), softmax(&a.slice(s![.., 1])));
    assert_eq!(softmax(&a.to_owned().into_dyn()), soft.clone().into_dyn());

    let centred = &want - &want.mean_axis(Axis(0)).unwrap();
    assert_eq!(standardized(&a), &centred / &want.std_axis(Axis(0), 0.0));
    assert_eq!(standardized(&a.mapv(|x| x as f32)).dim(), (3, 2));
    assert_eq!(covariance(&lazy), centred.t().dot(&centred) / 2.0);
    assert_eq!(distance(&a.row(0), &lazy.row(1)), (4.0f64 + 16.0).sqrt());
    assert_eq!(bytes_of_an_element(&a), 8);
    assert_eq!(rows_of(&a)[1], lazy.row(1));
}

#[test]
fn traits_of_the_users_apply_to_all_kinds() {
    let a = array![1.0, -3.0];
    assert_eq!(a.l1(), 4.0);
    assert_eq!(a.view().normalized(), array![0.25, -0.75]);
    assert_eq!((&a + 1.0).normalized(), array![0.5, -0.5]);
    assert_eq!(array![[1.0, -3.0]].row(0).l1(), 4.0);
}

#[test]
fn writing_through_any_kind_leaves_what_was_made_before() {
    let mut a = Array::from_vec_chunked(vec![1.0, 2.0, 3.0], 2);
    let before = &a + 0.0;
    scale(&mut a, 10.0);
    assert_eq!(a, array![11.0, 21.0, 31.0]);
    scale(&mut a.slice_mut(s![1..]), 2.0);
    assert_eq!(a, array![11.0, 43.0, 63.0]);
    assert_eq!(before, array![1.0, 2.0, 3.0]);
    let mut shared = a.to_shared();
    scale(&mut shared, 0.0);
    assert_eq!((shared.sum(), a.sum()), (3.0, 117.0));
}

#[test]
fn operators_of_the_base_take_every_operand() {
    fn all<S: Data<Elem = f64>>(x: &ArrayBase<S, Ix1>) {
        let (a, theirs) = (array![10.0, 20.0], ndarray::array![10.0, 20.0]);
        let want = array![11.0, 22.0];
        assert_eq!(x + &a, want);
        assert_eq!(&a + x, want);
        assert_eq!(a.clone() + x, want);
        assert_eq!(x + a.clone(), want);
        assert_eq!(x + &a.view(), want);
        assert_eq!(&a.view() + x, want);
        assert_eq!(x + &theirs, want);
        assert_eq!(&theirs + x, want);
        assert_eq!(x + x, array![2.0, 4.0]);
        assert_eq!(2.0 * x, array![2.0, 4.0]);
        assert_eq!(x * 2.0, 2.0 * x);
        assert_eq!(-x, array![-1.0, -2.0]);
        assert_eq!(x.dot(&a), 50.0);
        assert_eq!(a.dot(x), 50.0);
        assert_eq!(x.dot(x), 5.0);
        assert_eq!(theirs.dot(&x.to_owned()), 50.0);
        assert_eq!(x, &array![1.0, 2.0]);
        assert_eq!(format!("{x} {x:?}"), format!("{} {:?}", array![1.0, 2.0], array![1.0, 2.0]));
        assert_eq!(x.iter().sum::<f64>() + x.into_iter().sum::<f64>(), 6.0);
        assert_eq!((x[0], x[[1]]), (1.0, 2.0));
        let mut b = array![0.0, 0.0];
        b += x;
        b.assign(x);
        azip!((b in &mut b, &x in x) *b += x);
        assert_eq!(b, array![2.0, 4.0]);
        let view: ArrayView1<f64> = x.into();
        let cow: CowArray<f64, Ix1> = x.view().into();
        assert_eq!(view, cow);
        assert_eq!(Array::from(x), want - &a);
    }
    all(&array![1.0, 2.0]);
    all(&array![[1.0, 2.0]].row(0));
    all(&(Array::from_vec_chunked(vec![0.0, 1.0], 1) + 1.0));
}

#[test]
fn functions_of_other_crates_that_are_generic_in_the_kind_take_ours() {
    fn theirs<S: Data<Elem = f64>>(x: &ndarray::ArrayBase<S, Ix1>) -> f64 {
        x.sum()
    }
    fn passes_on<S: Data<Elem = f64>>(x: &ArrayBase<S, Ix1>) -> f64 {
        theirs(x)
    }
    let a = array![1.0, 2.0];
    assert_eq!(theirs(&a) + passes_on(&a.view()), 6.0);
    let base: &ArrayBase<OwnedRepr<f64>, Ix1> = &a;
    let copy = base.clone();
    assert_eq!(copy.to_owned() + &copy, array![2.0, 4.0]);
}
