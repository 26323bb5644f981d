//! Functions and traits that are generic in the kind of array, as programs for ndarray have them.

use num_traits::Float;
use std::borrow::Borrow;
use tilework::prelude::*;
use tilework::{
    Data, DataMut, DataOwned, LinalgScalar, NdIndex, OwnedRepr, RawData, RawDataClone, RemoveAxis,
};

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
    // Lazy all through, so that sums are those of chunks.
    assert!(softmax(&lazy).is_lazy() && (softmax(&lazy) - &soft).mapv(f64::abs).max() < 1e-15);
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
fn functions_of_other_crates_take_ours_as_ndarrays() {
    fn by_base<S: ndarray::Data<Elem = f64>>(x: &ndarray::ArrayBase<S, Ix1>) -> f64 {
        x.sum()
    }
    fn by_reference(x: &ndarray::ArrayRef<f64, Ix1>) -> ndarray::Array1<f64> {
        x * 2.0
    }
    let a = array![1.0, 2.0];
    assert_eq!(by_base(&a.view().into_ndarray()) + by_reference(&a).sum(), 9.0);
    assert_eq!(Array::from(by_reference(&a.view())), &a + &a);
    let base: &ArrayBase<OwnedRepr<f64>, Ix1> = &a;
    let copy = base.clone();
    assert_eq!(copy.to_owned() + &copy, array![2.0, 4.0]);
}

fn total<S: Data<Elem = f64>, D: Dimension>(x: ArrayBase<S, D>) -> f64 {
    x.sum()
}

fn raised<S, D>(mut x: ArrayBase<S, D>, by: f64) -> ArrayBase<S, D>
where
    S: DataOwned<Elem = f64> + DataMut,
    D: Dimension,
{
    x += by;
    -x * 2.0
}

fn first_row<S: RawData, D: Dimension + RemoveAxis>(x: ArrayBase<S, D>) -> ArrayBase<S, D::Smaller> {
    x.index_axis_move(Axis(0), 0)
}

fn twice<S: RawDataClone + Data, D: Dimension>(x: &ArrayBase<S, D>) -> [ArrayBase<S, D>; 2] {
    [x.clone(), x.clone()]
}

#[test]
fn functions_take_every_kind_by_value() {
    let a = array![[1.0, 2.0], [3.0, 4.0]];
    let lazy = Array::from_ndarray(a.clone().into_ndarray(), 1);
    assert_eq!(total(a.clone()) + total(a.view()) + total(lazy.view()), 30.0);
    assert_eq!(total(a.clone().view_mut()) + total(a.to_shared()) + total(CowArray::from(&a)), 30.0);

    let want = array![[-4.0, -6.0], [-8.0, -10.0]];
    assert_eq!(raised(a.clone(), 1.0), want);
    assert_eq!(raised(a.to_shared(), 1.0), want);
    assert_eq!(raised(CowArray::from(&a), 1.0), want);
    assert_eq!(raised(CowArray::from(&lazy), 1.0), want);
    let still_lazy = raised(lazy.clone(), 1.0);
    assert!(still_lazy.is_lazy());
    assert_eq!(still_lazy, want);
    assert_eq!(a, lazy);

    let row = array![1.0, 2.0];
    assert_eq!(first_row(a.clone()), row);
    assert_eq!(first_row(a.view()), row);
    assert_eq!(first_row(a.to_shared()), row);
    assert_eq!(first_row(a.clone().view_mut()), row);
    assert!(first_row(lazy.clone()).is_lazy() && first_row(lazy.view()).is_lazy());
    assert_eq!(first_row(lazy.view()), row);
    assert_eq!(twice(&lazy.t()), [a.t(), a.t()]);
    assert_eq!(twice(&a.into_shared())[1], lazy);
}

/// A model as third-party crates have it: it owns or borrows its records.
#[derive(Clone, Debug)]
struct Model<R, T> {
    records: R,
    targets: T,
}

/// What can be records.
trait Records {
    type Elem;
    fn n_samples(&self) -> usize;
}

impl<A, S: Data<Elem = A>, D: Dimension> Records for ArrayBase<S, D> {
    type Elem = A;
    fn n_samples(&self) -> usize {
        self.len_of(Axis(0))
    }
}

impl<R: Records, T> Model<R, T> {
    fn n_samples(&self) -> usize {
        self.records.n_samples()
    }
}

impl<A, S, T> Model<ArrayBase<S, Ix2>, ArrayBase<T, Ix1>>
where
    A: Float + LinalgScalar + num_traits::FromPrimitive,
    S: Data<Elem = A>,
    T: Data<Elem = A>,
{
    fn view(&self) -> Model<ArrayView2<'_, A>, ArrayView1<'_, A>> {
        Model { records: self.records.view(), targets: self.targets.view() }
    }
    fn moments(&self) -> Array1<A> {
        self.records.t().dot(&self.targets)
    }
}

fn product<A, S, R>(a: &ArrayBase<S, Ix2>, b: &R) -> <ArrayBase<S, Ix2> as tilework::linalg::Dot<R>>::Output
where
    S: Data<Elem = A>,
    ArrayBase<S, Ix2>: tilework::linalg::Dot<R>,
{
    a.dot(b)
}

#[test]
fn structs_have_arrays_of_every_kind() {
    let (records, targets) = (array![[1.0, 2.0], [3.0, 4.0]], array![1.0, 10.0]);
    let owned = Model { records: records.clone(), targets: targets.clone() };
    let lazy = Model { records: Array::from_ndarray(records.clone().into_ndarray(), 1), targets };
    assert_eq!((owned.n_samples(), lazy.view().n_samples()), (2, 2));
    let want = array![31.0, 42.0];
    assert_eq!(owned.moments(), want);
    assert_eq!(owned.view().moments(), want);
    assert_eq!(lazy.clone().view().moments(), want);
    assert_eq!(product(&owned.records.t(), &owned.targets), want);
    let shared = Model { records: records.to_shared(), targets: CowArray::from(&owned.targets) };
    assert_eq!(shared.moments(), want);
}

trait Smooth<A, D> {
    fn smooth(&self) -> Array<A, D>;
    fn middle(&self) -> ArrayView<'_, A, D>;
}

impl<D: Dimension> Smooth<f64, D> for ArrayRef<f64, D> {
    fn smooth(&self) -> Array<f64, D> {
        let mean = self.sum() / self.len() as f64;
        (self + mean) / 2.0
    }
    fn middle(&self) -> ArrayView<'_, f64, D> {
        self.slice_each_axis(|axis| (1..axis.len as isize - 1).into())
    }
}

fn doubled(x: &ArrayRef1<f64>) -> Array1<f64> {
    let mut out: Array1<f64> = x.to_owned();
    out += x;
    assert_eq!(out, x * 2.0);
    out
}

fn reset<D: Dimension>(x: &mut ArrayRef<f64, D>) {
    x.fill(0.0);
    *x += 1.0;
    x.slice_each_axis_mut(|_| (..1).into()).assign(&arr0(5.0));
}

fn lengths<A, D: Dimension, T: AsRef<tilework::LayoutRef<A, D>> + ?Sized>(x: &T) -> Vec<usize> {
    x.as_ref().shape().to_vec()
}

fn at<D: Dimension, I: NdIndex<D>>(x: &impl Borrow<ArrayRef<f64, D>>, index: I) -> f64 {
    x.borrow()[index]
}

#[test]
fn functions_over_references_to_elements_return_arrays_of_ours() {
    let mut a = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]];
    let mut lazy = Array::from_ndarray(a.clone().into_ndarray(), 2);
    assert_eq!(a.smooth(), (&a + 5.0) / 2.0);
    assert_eq!(lazy.smooth(), a.smooth());
    assert_eq!(a.view().middle(), array![[5.0]]);
    assert_eq!(doubled(&a.row(1)), array![8.0, 10.0, 12.0]);
    assert_eq!(doubled(&lazy.column(0)), array![2.0, 8.0, 14.0]);
    assert_eq!((lengths(&a), lengths(&lazy.slice(s![1.., 0]))), (vec![3, 3], vec![2]));
    assert_eq!(at(&a, [2, 1]) + at(&lazy.t(), [1, 2]), 16.0);
    let elements: &ArrayRef2<f64> = &lazy;
    assert_eq!(elements, &a);
    assert_eq!(format!("{elements}"), format!("{a}"));
    assert_eq!(elements.iter().zip(elements).filter(|(x, y)| x == y).count(), 9);

    let before = &lazy * 1.0;
    reset(&mut lazy);
    reset(&mut a.view_mut());
    assert_eq!(a, lazy);
    assert_eq!((a[[0, 0]], a[[2, 2]], before[[2, 2]]), (5.0, 1.0, 9.0));
}

fn ramp<S: DataOwned<Elem = f64>>(n: usize) -> ArrayBase<S, Ix1> {
    ArrayBase::from_shape_fn(n, |i| i as f64)
}

trait Made: Sized {
    fn made(n: usize) -> Self;
}

impl<S: DataOwned<Elem = f64>> Made for ArrayBase<S, Ix2> {
    fn made(n: usize) -> Self {
        let ones = Self::ones((n, n));
        let copied: Self = Self::from_shape_vec(ones.dim(), ones.iter().copied().collect()).expect("as many");
        assert_eq!(copied, ones);
        Self::from_shape_fn((n, n), |(i, j)| (i * n + j) as f64)
    }
}

#[test]
fn constructors_make_every_kind_that_owns_its_elements() {
    let a: Array1<f64> = ramp(4);
    let shared: ArcArray<f64, Ix1> = ramp(4);
    let cow: CowArray<'_, f64, Ix1> = ramp(4);
    assert_eq!(a, shared);
    assert_eq!(a, cow);
    assert_eq!(Array2::made(2), array![[0.0, 1.0], [2.0, 3.0]]);
    assert_eq!(ArcArray::<f64, Ix2>::made(2), Array2::made(2));
    let large: ArcArray<f64, Ix1> = ArcArray::zeros(1 << 20);
    assert!(!large.is_lazy() && ramp::<OwnedRepr<f64>>(3).len() == 3);
    let written = Array1::<f64>::uninit(3);
    assert_eq!(written.len(), 3);
}

/// What has arrays and views may live shorter than they do, as with ndarray's.
struct Borrowed<'a> {
    view: ArrayView2<'a, f64>,
    either: CowArray<'a, f64, Ix1>,
    names: Array1<&'a str>,
    shared: ArcArray<&'a str, Ix1>,
}

fn shorter<'b, 'a: 'b>(long: Borrowed<'a>) -> Borrowed<'b> {
    long
}

#[test]
fn arrays_are_covariant_and_may_be_sent_as_ndarrays() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    let a = array![[1.0, 2.0]];
    let names = array!["x"];
    let mut long = Borrowed { view: a.view(), either: a.row(0).into(), shared: names.to_shared(), names };
    is_shared(&(&long.view, &long.either, &long.names, &long.shared));
    {
        let name = String::from("short");
        let short = shorter(Borrowed { names: array![&*name], ..long });
        assert_eq!(short.names[0], "short");
        assert_eq!((short.view.sum(), short.either.sum(), short.shared.len()), (3.0, 3.0, 1));
        long = Borrowed {
            view: a.view(),
            either: a.row(0).into(),
            shared: ArcArray::default(0),
            names: array![],
        };
    }
    assert_eq!(long.view[[0, 1]] + long.either[0], 3.0);
}

const TABLE: ArrayView2<'static, f64> = aview2(&[[1.0, 2.0], [3.0, 4.0]]);

#[test]
fn constants_are_views() {
    assert_eq!(TABLE, array![[1.0, 2.0], [3.0, 4.0]]);
    assert_eq!(TABLE.t().row(1), array![2.0, 4.0]);
    assert_eq!((&TABLE + 1.0).sum(), 14.0);
}

#[test]
fn owned_arrays_go_to_ndarray_and_back_wherever_their_elements_lie() {
    let text = |a: &[[u32; 3]; 3]| ndarray::arr2(a).mapv(|x| x.to_string());
    let all = [[1, 2, 3], [4, 5, 6], [7, 8, 9]];
    let whole = text(&all);
    let parts = [s![.., ..;-1], s![1.., 1..], s![..;-2, ..], s![..;-1, 1..;-1], s![1..1, ..]];
    for part in parts {
        let want = whole.slice(part).to_owned();
        let ours = Array::from(whole.clone()).slice_move(part);
        assert_eq!(ours, want);
        let copy = ours.clone();
        assert_eq!(copy.clone().into_ndarray(), want);
        let (values, first) = ours.into_raw_vec_and_offset();
        assert_eq!((values.len(), first.map(|i| values[i].clone())), (9, want.first().cloned()));
        assert_eq!(copy.t().to_owned().into_ndarray(), want.t());
        assert_eq!(copy.into_iter().collect::<Vec<_>>(), want.iter().cloned().collect::<Vec<_>>());
    }
    let mut grown = Array::from(whole).slice_move(s![1.., ..]);
    grown.push_row(array!["a".into(), "b".into(), "c".into()].view()).expect("as long");
    assert_eq!((grown.dim(), &*grown[[0, 0]], &*grown[[2, 2]]), ((3, 3), "4", "c"));
    let none = array![(), (), ()].slice_move(s![1..;-1]);
    assert_eq!((none.clone().into_ndarray().len(), none.into_iter().count()), (2, 2));
}

#[test]
fn a_write_to_one_kind_does_not_show_in_another() {
    let whole = Array1::from_shape_fn(400_000, |i| i as f64).into_ndarray();
    let mut a = Array::from(whole).slice_move(s![..;-1]);
    let (mut b, expression) = (a.clone(), &a + 0.0);
    let shared = a.to_shared();
    let mut cow = CowArray::from(&b);
    cow[1] = -1.0;
    assert!(cow.is_owned());
    let cow = cow.into_owned();
    a[0] = -2.0;
    b[2] = -3.0;
    assert_eq!((a[0], a[1], a[2]), (-2.0, 399_998.0, 399_997.0));
    assert_eq!((b[0], b[1], b[2]), (399_999.0, 399_998.0, -3.0));
    assert_eq!((cow[0], cow[1], cow[2]), (399_999.0, -1.0, 399_997.0));
    assert_eq!(
        (shared[0], shared[399_999], expression[0], expression[2]),
        (399_999.0, 0.0, 399_999.0, 399_997.0)
    );
    let mut other = shared.clone();
    other += 1.0;
    assert_eq!((other[0], shared[0], other.sum() - shared.sum()), (400_000.0, 399_999.0, 400_000.0));
}
