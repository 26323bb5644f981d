//! Random expressions over small arrays: the same values as ndarray's, and errors where ndarray panics.

use crate::support::{quietly, same};
use ndarray::{ArrayD as NdD, Slice, SliceInfo, SliceInfoElem};
use proptest::collection::vec;
use proptest::prelude::*;
use tilework::prelude::*;
use tilework::{AxisChunks, Boundary, try_where};

/// One step of an expression. Numbers that may fit no axis or shape, so that mistakes are made too.
#[derive(Clone, Debug)]
enum Step {
    Add(usize),
    Mul(usize),
    Maximum(usize),
    WhereLess(usize),
    Neg,
    AddValue(i8),
    Assign(usize),
    Slice(Vec<SliceInfoElem>),
    SliceAxis(usize, Slice),
    IndexAxis(usize, usize),
    Select(usize, Vec<usize>),
    Transpose,
    Permute(Vec<usize>),
    InsertAxis(usize),
    Invert(usize),
    Broadcast(Vec<usize>),
    Flatten,
    Reshape(Vec<usize>),
    Concat(usize, usize),
    Stack(usize, usize),
    Sum(usize),
    Max(usize),
    Rechunk(Vec<i8>),
    ToInt,
    Halve,
    FoldAxis(usize),
    Zip(usize),
    Around(usize, usize),
}

type Ours = ArrayD<f64>;
type Theirs = NdD<f64>;

fn ours(step: &Step, a: &Ours, leaves: &[Ours]) -> tilework::Result<Ours> {
    let leaf = |i: &usize| &leaves[i % leaves.len()];
    Ok(match step {
        Step::Add(i) => a.try_add(leaf(i))?,
        Step::Mul(i) => a.try_mul(leaf(i))?,
        Step::Maximum(i) => a.try_maximum(leaf(i))?,
        Step::WhereLess(i) => try_where(&a.try_less(leaf(i))?, a, leaf(i))?,
        Step::Neg => -a,
        Step::AddValue(x) => f64::from(*x) + a,
        Step::Assign(i) => leaf(i).try_broadcast(a.raw_dim())?,
        Step::Slice(elems) => {
            a.try_slice(SliceInfo::<_, IxDyn, IxDyn>::try_from(elems.clone()).expect("dynamic"))?
        }
        Step::SliceAxis(axis, slice) => a.try_slice_axis(Axis(*axis), *slice)?,
        Step::IndexAxis(axis, i) => a.try_index_axis(Axis(*axis), *i)?,
        Step::Select(axis, indices) => a.try_select(Axis(*axis), indices)?,
        Step::Transpose => a.t().to_owned(),
        Step::Permute(axes) => a.try_permuted_axes(axes.as_slice())?,
        Step::InsertAxis(axis) => a.try_insert_axis(Axis(*axis))?,
        Step::Invert(axis) => {
            let mut a = a.clone();
            a.try_invert_axis(Axis(*axis))?;
            a
        }
        Step::Broadcast(shape) => a.try_broadcast(shape.as_slice())?,
        Step::Flatten => a.flatten().into_owned().into_dyn(),
        Step::Reshape(shape) => a.try_reshape(shape.as_slice())?,
        Step::Concat(axis, i) => tilework::try_concatenate(Axis(*axis), &[a.clone(), leaf(i).clone()])?,
        Step::Stack(axis, i) => tilework::try_stack(Axis(*axis), &[a.clone(), leaf(i).clone()])?,
        Step::Sum(axis) => a.try_sum_axis(Axis(*axis))?,
        Step::Max(axis) => a.try_max_axis(Axis(*axis))?,
        Step::Rechunk(chunks) => {
            let lens = (0..a.ndim()).map(|i| AxisChunks::Len(isize::from(chunks[i % chunks.len()])));
            a.try_rechunk(lens.collect::<Vec<_>>())?
        }
        Step::ToInt => a.try_cast::<i64>()?.try_cast::<f64>()?,
        Step::Halve => a.try_mapv(halve)?,
        Step::FoldAxis(axis) => a.try_fold_axis(Axis(*axis), 1.0, digits)?,
        Step::Zip(i) => tilework::try_map_collect((a, leaf(i)), |x, y| x - y)?,
        Step::Around(axis, depth) => {
            let (axis, mut depths) = (axis % a.ndim().max(1), vec![0; a.ndim()]);
            depths.iter_mut().skip(axis).take(1).for_each(|d| *d = *depth);
            a.try_map_overlap_with(
                &depths[..],
                Boundary::Periodic,
                (axis, *depth),
                |block, &(axis, depth)| {
                    if block.ndim() == 0 {
                        return &block + &block;
                    }
                    let n = block.len_of(Axis(axis));
                    let before = block.slice_axis(Axis(axis), Slice::from(..n - 2 * depth));
                    &before + &block.slice_axis(Axis(axis), Slice::from(2 * depth..))
                },
            )?
        }
    })
}

fn theirs(step: &Step, a: &Theirs, leaves: &[Theirs]) -> Theirs {
    let leaf = |i: &usize| &leaves[i % leaves.len()];
    let pairs = |a: &Theirs, b: &Theirs, f: fn(f64, f64) -> f64| {
        let zero = a * 0.0 + b * 0.0;
        let (a, b) = (a + &zero, b + &zero);
        ndarray::Zip::from(&a).and(&b).map_collect(|&x, &y| f(x, y))
    };
    match step {
        Step::Add(i) => a + leaf(i),
        Step::Mul(i) => a * leaf(i),
        Step::Maximum(i) => pairs(a, leaf(i), |x, y| if x > y { x } else { y }),
        Step::WhereLess(i) => pairs(a, leaf(i), |x, y| if x < y { x } else { y }),
        Step::Neg => -a,
        Step::AddValue(x) => f64::from(*x) + a,
        Step::Assign(i) => leaf(i).broadcast(a.raw_dim()).expect("broadcasts").to_owned(),
        Step::Slice(e) => {
            a.slice(SliceInfo::<_, IxDyn, IxDyn>::try_from(e.clone()).expect("dynamic")).to_owned()
        }
        Step::SliceAxis(axis, slice) => a.slice_axis(Axis(*axis), *slice).to_owned(),
        Step::IndexAxis(axis, i) => a.index_axis(Axis(*axis), *i).to_owned(),
        Step::Select(axis, indices) => a.select(Axis(*axis), indices),
        Step::Transpose => a.t().to_owned(),
        Step::Permute(axes) => {
            assert_eq!(axes.len(), a.ndim());
            a.clone().permuted_axes(axes.as_slice())
        }
        Step::InsertAxis(axis) => a.clone().insert_axis(Axis(*axis)),
        Step::Invert(axis) => {
            let mut a = a.clone();
            a.invert_axis(Axis(*axis));
            a
        }
        Step::Broadcast(shape) => a.broadcast(shape.as_slice()).expect("broadcasts").to_owned(),
        Step::Flatten => a.flatten().to_owned().into_dyn(),
        Step::Reshape(shape) => a.to_shape(shape.as_slice()).expect("the same length").to_owned(),
        Step::Concat(axis, i) => {
            ndarray::concatenate(Axis(*axis), &[a.view(), leaf(i).view()]).expect("equal shapes")
        }
        Step::Stack(axis, i) => {
            ndarray::stack(Axis(*axis), &[a.view(), leaf(i).view()]).expect("equal shapes")
        }
        Step::Sum(axis) => a.sum_axis(Axis(*axis)),
        Step::Max(axis) => {
            assert!(a.len_of(Axis(*axis)) > 0);
            a.map_axis(Axis(*axis), |l| l.fold(f64::NEG_INFINITY, |x, &y| x.max(y)))
        }
        Step::Rechunk(chunks) => {
            assert!((0..a.ndim()).all(|i| chunks[i % chunks.len()] == -1 || chunks[i % chunks.len()] > 0));
            a.clone()
        }
        Step::ToInt => a.mapv(|x| x as i64 as f64),
        Step::Halve => a.mapv(halve),
        Step::FoldAxis(axis) => a.fold_axis(Axis(*axis), 1.0, digits),
        Step::Zip(i) => ndarray::Zip::from(a).and(leaf(i)).map_collect(|x, y| x - y),
        Step::Around(axis, depth) => around(a, axis % a.ndim().max(1), *depth),
    }
}

fn halve(x: f64) -> f64 {
    (x * 0.5).floor()
}

fn digits(value: &f64, x: &f64) -> f64 {
    (value * 3.0 + x) % 1000.0
}

/// The sum of the elements that are `depth` before and behind each element on a ring along an axis.
fn around(a: &Theirs, axis: usize, depth: usize) -> Theirs {
    if a.ndim() == 0 || a.is_empty() {
        return a + a;
    }
    let n = a.len_of(Axis(axis));
    assert!(depth <= n);
    Theirs::from_shape_fn(a.raw_dim(), |at| {
        let (mut before, mut behind) = (at.clone(), at.clone());
        before[axis] = (at[axis] + n - depth) % n;
        behind[axis] = (at[axis] + depth) % n;
        a[before] + a[behind]
    })
}

fn slice() -> impl Strategy<Value = Slice> {
    let step = prop_oneof![Just(1isize), Just(-1), Just(2), Just(-3)];
    (-5isize..6, proptest::option::of(-5isize..6), step).prop_map(|(start, end, step)| Slice {
        start,
        end,
        step,
    })
}

fn slices() -> impl Strategy<Value = Vec<SliceInfoElem>> {
    let whole = Slice { start: 0, end: None, step: 1 };
    let elem = prop_oneof![
        3 => Just(SliceInfoElem::from(whole)),
        2 => slice().prop_map(SliceInfoElem::from),
        1 => (-4isize..4).prop_map(SliceInfoElem::Index),
        1 => Just(SliceInfoElem::NewAxis),
    ];
    vec(elem, 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    let axis = || 0usize..4;
    let leaf = || 0usize..3;
    prop_oneof![
        leaf().prop_map(Step::Add),
        leaf().prop_map(Step::Mul),
        leaf().prop_map(Step::Maximum),
        leaf().prop_map(Step::WhereLess),
        Just(Step::Neg),
        any::<i8>().prop_map(Step::AddValue),
        leaf().prop_map(Step::Assign),
        slices().prop_map(Step::Slice),
        (axis(), slice()).prop_map(|(a, s)| Step::SliceAxis(a, s)),
        (axis(), 0usize..5).prop_map(|(a, i)| Step::IndexAxis(a, i)),
        (axis(), vec(0usize..5, 0..5)).prop_map(|(a, i)| Step::Select(a, i)),
        Just(Step::Transpose),
        Just(vec![0, 1, 2]).prop_shuffle().prop_map(Step::Permute),
        axis().prop_map(Step::InsertAxis),
        axis().prop_map(Step::Invert),
        vec(1usize..5, 0..4).prop_map(Step::Broadcast),
        Just(Step::Flatten),
        vec(1usize..5, 0..4).prop_map(Step::Reshape),
        (axis(), leaf()).prop_map(|(a, i)| Step::Concat(a, i)),
        (axis(), leaf()).prop_map(|(a, i)| Step::Stack(a, i)),
        axis().prop_map(Step::Sum),
        axis().prop_map(Step::Max),
        vec(-2i8..5, 1..4).prop_map(Step::Rechunk),
        Just(Step::ToInt),
        Just(Step::Halve),
        axis().prop_map(Step::FoldAxis),
        leaf().prop_map(Step::Zip),
        (axis(), 0usize..5).prop_map(|(a, d)| Step::Around(a, d)),
    ]
}

/// An array of small integers and the lengths of its chunks. Lengths are often equal or 1, so that shapes
/// fit.
fn leaf() -> impl Strategy<Value = (Vec<usize>, Vec<isize>)> {
    let len = prop_oneof![4 => Just(4usize), 2 => Just(1), 1 => 0usize..6];
    let chunk = prop_oneof![1isize..5, Just(-1)];
    (0usize..4).prop_flat_map(move |n| (vec(len.clone(), n), vec(chunk.clone(), n)))
}

fn values(shape: &[usize], seed: usize) -> Theirs {
    let mut n = seed;
    NdD::from_shape_simple_fn(shape, || {
        n = (n * 31 + 7) % 101;
        n as f64 - 50.0
    })
}

proptest! {
    #[test]
    fn expressions_are_ndarrays(leaves in vec(leaf(), 1..4), steps in vec(step(), 1..12)) {
        let them: Vec<Theirs> = leaves.iter().enumerate().map(|(i, (shape, _))| values(shape, i)).collect();
        let us: Vec<Ours> = them.iter().zip(&leaves).map(|(values, (_, chunks))| {
            let chunks: Vec<_> = chunks.iter().map(|&l| AxisChunks::Len(l)).collect();
            Array::from_ndarray(values.clone(), chunks)
        }).collect();
        let (mut a, mut b) = (us[0].clone(), them[0].clone());
        let mut done = Vec::new();
        for step in &steps {
            match (ours(step, &a, &us), quietly(|| theirs(step, &b, &them))) {
                (Ok(x), Ok(y)) => {
                    prop_assert_eq!(x.shape(), y.shape(), "{:?}", step);
                    if y.len() > 100_000 {
                        break;
                    }
                    (a, b) = (x, y);
                    done.push(step);
                }
                // The mistake changes nothing, and building goes on.
                (Err(_), Err(_)) => {}
                (Ok(_), Err(_)) => prop_assert!(false, "{:?} of {:?} is an error in ndarray", step, a),
                (Err(e), Ok(_)) => prop_assert!(false, "{:?} of {:?}: {}", step, a, e),
            }
        }
        let got = a.try_compute().expect("a computation without errors");
        prop_assert_eq!(got.shape(), b.shape());
        for (&x, &y) in got.iter().zip(&b) {
            prop_assert!(same(x, y) || x == 0.0 && y == 0.0, "{:?}: {} instead of {}", done, x, y);
        }
    }
}
