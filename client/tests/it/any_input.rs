//! Random programs over any element type, with values at the ends of their types, against ndarray: the same shapes, the
//! same errors, the same values; and never a panic, whatever a `try_` method is given.

use crate::support::{quietly, same};
use ndarray::{ArrayD as NdD, Axis, Slice};
use num_traits::{Bounded, FromPrimitive, One, Zero};
use proptest::collection::vec;
use proptest::prelude::*;
use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Rem, Sub};
use tilework::prelude::*;
use tilework::{AxisChunks, Boundary, Element, Error, try_where};

/// One call, with numbers that may fit nothing.
#[derive(Clone, Debug)]
enum Call {
    Add(usize),
    Sub(usize),
    Mul(usize),
    Div(usize),
    Rem(usize),
    Least(usize),
    Where(usize),
    Clamp(u8, u8),
    Cast(u8),
    Mapv,
    MapBlocks,
    Overlap(Vec<usize>, u8),
    Diff(usize, usize),
    SliceAxis(usize, isize, Option<isize>, isize),
    Select(usize, Vec<usize>),
    Split(usize, usize),
    Swap(usize, usize),
    Remove(usize),
    Dot(usize),
    Fold(u8, usize),
    Folds(u8, Vec<usize>),
    Whole(u8),
    Rechunk(Vec<isize>),
}

/// What a type needs for the calls; all integers and floats have it.
trait Number:
    Element
    + PartialOrd
    + Bounded
    + Zero
    + One
    + FromPrimitive
    + ndarray::LinalgScalar
    + Rem<Output = Self>
    + Debug
{
    /// Values at the ends of the type and around 0.
    fn special(i: usize) -> Self;
    /// Arithmetic as in release builds; `None` where there is no result.
    fn arithmetic(op: u8, a: Self, b: Self) -> Option<Self>;
    const FLOAT: bool;
}

macro_rules! integers {
    ($($t:ident)*) => { $(
        impl Number for $t {
            fn special(i: usize) -> $t {
                [0, 1, 2, 3, $t::MAX, $t::MIN, 7, (0 as $t).wrapping_sub(1)][i % 8]
            }
            fn arithmetic(op: u8, a: $t, b: $t) -> Option<$t> {
                match op {
                    0 => Some(a.wrapping_add(b)),
                    1 => Some(a.wrapping_sub(b)),
                    2 => Some(a.wrapping_mul(b)),
                    3 => (b != 0).then(|| a.wrapping_div(b)),
                    _ => (b != 0).then(|| a.wrapping_rem(b)),
                }
            }
            const FLOAT: bool = false;
        }
    )* };
}
integers! { i8 u8 i16 u32 i64 u64 }

macro_rules! floats {
    ($($t:ident)*) => { $(
        impl Number for $t {
            fn special(i: usize) -> $t {
                [0.0, 1.0, -2.5, 3.0, $t::NAN, $t::INFINITY, -0.0, $t::MIN_POSITIVE, $t::NEG_INFINITY, 1e30][i % 10]
            }
            fn arithmetic(op: u8, a: $t, b: $t) -> Option<$t> {
                Some(match op {
                    0 => Add::add(a, b),
                    1 => Sub::sub(a, b),
                    2 => Mul::mul(a, b),
                    3 => Div::div(a, b),
                    _ => Rem::rem(a, b),
                })
            }
            const FLOAT: bool = true;
        }
    )* };
}
floats! { f32 f64 }

/// What both sides give: nothing where ndarray panics, or where values have no result (then the run fails).
type Theirs<A> = Option<NdD<Option<A>>>;

fn pairs<A: Number>(a: &NdD<Option<A>>, b: &NdD<Option<A>>, f: impl Fn(A, A) -> Option<A>) -> Theirs<A> {
    let n = a.ndim().max(b.ndim());
    let at = |s: &[usize], i: usize| (i + s.len()).checked_sub(n).map_or(1, |i| s[i]);
    let shape: Option<Vec<usize>> = (0..n)
        .map(|i| match (at(a.shape(), i), at(b.shape(), i)) {
            (l, r) if l == r || r == 1 => Some(l),
            (1, r) => Some(r),
            _ => None,
        })
        .collect();
    let shape = shape?;
    let (a, b) = (a.broadcast(&shape[..])?, b.broadcast(&shape[..])?);
    Some(ndarray::Zip::from(a).and(b).map_collect(|x, y| x.zip(*y).and_then(|(x, y)| f(x, y))))
}

fn twice<A: Number>(x: A) -> A {
    if x > A::one() { A::one() } else { x }
}

/// ndarray's answer to calls that keep the type.
fn theirs<A: Number>(call: &Call, a: &NdD<Option<A>>, b: &[NdD<Option<A>>]) -> Theirs<A> {
    let leaf = |i: &usize| &b[i % b.len()];
    let len = |axis: usize| a.shape().get(axis).copied();
    match call {
        Call::Add(i) => pairs(a, leaf(i), |x, y| A::arithmetic(0, x, y)),
        Call::Sub(i) => pairs(a, leaf(i), |x, y| A::arithmetic(1, x, y)),
        Call::Mul(i) => pairs(a, leaf(i), |x, y| A::arithmetic(2, x, y)),
        Call::Div(i) => pairs(a, leaf(i), |x, y| A::arithmetic(3, x, y)),
        Call::Rem(i) => pairs(a, leaf(i), |x, y| A::arithmetic(4, x, y)),
        Call::Where(i) => pairs(a, leaf(i), |x, y| Some(if x < y { x } else { y })),
        Call::Clamp(l, h) => {
            let (l, h) = (A::special(usize::from(*l)), A::special(usize::from(*h)));
            let clamp = |x: A| {
                if x < l {
                    l
                } else if x > h {
                    h
                } else {
                    x
                }
            };
            (l <= h).then(|| a.mapv(|x| x.map(clamp)))
        }
        Call::Mapv | Call::MapBlocks | Call::Overlap(..) => {
            let fits = match call {
                Call::Overlap(depths, _) => {
                    let fits = |(d, l): (&usize, &usize)| a.is_empty() || d <= l;
                    depths.len() == a.ndim() && depths.iter().zip(a.shape()).all(fits)
                }
                _ => true,
            };
            fits.then(|| a.mapv(|x| x.map(twice)))
        }
        Call::SliceAxis(axis, start, end, step) => {
            let slice = Slice { start: *start, end: *end, step: *step };
            quietly(|| a.slice_axis(Axis(*axis), slice).to_owned()).ok()
        }
        Call::Select(axis, at) => quietly(|| a.select(Axis(*axis), at)).ok(),
        // ndarray's own `split_at` gives parts without elements that its debug builds cannot copy.
        Call::Split(axis, at) => (*at <= len(*axis)?)
            .then(|| a.slice_axis(Axis(*axis), Slice::new(*at as isize, None, 1)).to_owned()),
        Call::Swap(x, y) => {
            let (mut a, fits) = (a.clone(), len(*x).is_some() && len(*y).is_some());
            fits.then(|| {
                a.swap_axes(*x, *y);
                a
            })
        }
        Call::Remove(axis) => (len(*axis)? > 0).then(|| a.clone().remove_axis(Axis(*axis))),
        Call::Rechunk(lens) => {
            (lens.len() == a.ndim() && lens.iter().all(|l| *l > 0 || *l == -1)).then(|| a.clone())
        }
        _ => unreachable!("another call"),
    }
}

fn ours<A: Number>(call: &Call, a: &ArrayD<A>, b: &[ArrayD<A>]) -> tilework::Result<ArrayD<A>> {
    let leaf = |i: &usize| &b[i % b.len()];
    match call {
        Call::Add(i) => a.try_add(leaf(i)),
        Call::Sub(i) => a.try_sub(leaf(i)),
        Call::Mul(i) => a.try_mul(leaf(i)),
        Call::Div(i) => a.try_div(leaf(i)),
        Call::Rem(i) => a.try_rem(leaf(i)),
        Call::Where(i) => try_where(&a.try_less(leaf(i))?, a, leaf(i)),
        Call::Clamp(l, h) => a.try_clamp(A::special(usize::from(*l)), A::special(usize::from(*h))),
        Call::Mapv => a.try_mapv(twice),
        Call::MapBlocks => a.try_map_blocks(|x| x.mapv(twice)),
        Call::Overlap(depths, boundary) => {
            let all = [
                Boundary::None,
                Boundary::Periodic,
                Boundary::Reflect,
                Boundary::Nearest,
                Boundary::constant(A::one()),
            ];
            a.try_map_overlap(&depths[..], all[usize::from(*boundary) % 5], |x| x.mapv(twice))
        }
        Call::SliceAxis(axis, start, end, step) => {
            a.try_slice_axis(Axis(*axis), Slice { start: *start, end: *end, step: *step })
        }
        Call::Select(axis, at) => a.try_select(Axis(*axis), at),
        Call::Split(axis, at) => Ok(a.try_split_at(Axis(*axis), *at)?.1),
        Call::Swap(x, y) => {
            let mut a = a.clone();
            a.try_swap_axes(*x, *y).map(|()| a)
        }
        Call::Remove(axis) => a.try_remove_axis(Axis(*axis)),
        Call::Rechunk(lens) => a.try_rechunk(lens.iter().map(|&l| AxisChunks::Len(l)).collect::<Vec<_>>()),
        _ => unreachable!("another call"),
    }
}

/// Calls whose results have other types: that they do not panic, and are errors where the axes or elements are not there.
fn asked<A: Number>(call: &Call, a: &ArrayD<A>, b: &[ArrayD<A>]) -> Option<Result<(), Error>> {
    let leaf = |i: &usize| &b[i % b.len()];
    fn ran<A: Element, D: ndarray::Dimension>(a: tilework::Result<Array<A, D>>) -> Result<(), Error> {
        // The run may fail, by the values, but not panic.
        a.map(|a| drop(a.try_compute()))
    }
    Some(match call {
        Call::Least(i) => ran(a.try_minimum(leaf(i)).and_then(|x| x.try_maximum(leaf(i)))),
        Call::Cast(to) => match to % 5 {
            0 => ran(a.try_cast::<i8>()),
            1 => ran(a.try_cast::<u64>()),
            2 => ran(a.try_cast::<bool>()),
            3 => ran(a.try_cast::<f32>()),
            _ => ran(a.try_cast::<tilework::Complex<f64>>()),
        },
        Call::Diff(n, axis) => ran(a.try_diff(*n, Axis(*axis))),
        Call::Dot(i) => ran(a.try_dot(leaf(i))),
        Call::Fold(kind, axis) => match kind % 8 {
            0 => ran(a.try_sum_axis(Axis(*axis))),
            1 => ran(a.try_product_axis(Axis(*axis))),
            2 => ran(a.try_min_axis(Axis(*axis))),
            3 => ran(a.try_max_axis(Axis(*axis))),
            4 => ran(a.try_argmin_axis(Axis(*axis))),
            5 => ran(a.try_argmax_axis(Axis(*axis))),
            6 => a.try_mean_axis(Axis(*axis)).map(|m| drop(m.map(|m| m.try_compute()))),
            _ => ran(a.try_equal(a).and_then(|e| e.try_all_axis(Axis(*axis)))),
        },
        Call::Folds(kind, axes) => {
            let axes: Vec<Axis> = axes.iter().copied().map(Axis).collect();
            match kind % 4 {
                0 => ran(a.try_sum_axes(&axes)),
                1 => ran(a.try_min_axes(&axes)),
                2 => ran(a.try_not_equal(a).and_then(|e| e.try_any_axes(&axes))),
                _ => a.try_mean_axes(&axes).map(|m| drop(m.map(|m| m.try_compute()))),
            }
        }
        Call::Whole(kind) => match kind % 6 {
            0 => a.try_sum().map(drop),
            1 => a.try_product().map(drop),
            2 => a.try_min().map(drop),
            3 => a.try_argmax().map(drop),
            4 => a.try_mean().map(drop),
            _ => a.try_axis_iter(Axis(0)).map(drop),
        },
        _ => return None,
    })
}

/// Whether building the call is an error, where that depends on the shape alone.
fn refused(call: &Call, shape: &[usize], mean_max: usize) -> Option<bool> {
    let missing = |axis: &usize| *axis >= shape.len();
    let n = |axes: &[usize]| axes.iter().map(|&a| shape[a]).product::<usize>();
    Some(match call {
        Call::Cast(_) => false,
        Call::Diff(n, axis) => missing(axis) || *n > 0 && *n >= shape[*axis],
        Call::Fold(kind, axis) => {
            let needs = matches!(kind % 8, 2..=5);
            missing(axis) || needs && shape[*axis] == 0 || kind % 8 == 6 && shape[*axis] > mean_max
        }
        Call::Folds(kind, axes) => {
            let mut once = axes.clone();
            once.sort_unstable();
            once.dedup();
            let wrong = once.len() < axes.len() || axes.iter().any(missing);
            wrong
                || kind % 4 == 1 && n(axes) == 0 && axes.iter().any(|&a| shape[a] == 0)
                || kind % 4 == 3 && n(axes) > mean_max
        }
        _ => return None,
    })
}

fn call() -> impl Strategy<Value = Call> {
    let axis = || prop_oneof![8 => 0usize..3, 1 => Just(usize::MAX), 1 => 3usize..5];
    let leaf = || 0usize..3;
    let position = || prop_oneof![6 => -5isize..6, 1 => Just(isize::MIN), 1 => Just(isize::MAX)];
    let place = || prop_oneof![8 => 0usize..5, 1 => Just(usize::MAX)];
    prop_oneof![
        leaf().prop_map(Call::Add),
        leaf().prop_map(Call::Sub),
        leaf().prop_map(Call::Mul),
        leaf().prop_map(Call::Div),
        leaf().prop_map(Call::Rem),
        leaf().prop_map(Call::Least),
        leaf().prop_map(Call::Where),
        any::<(u8, u8)>().prop_map(|(l, h)| Call::Clamp(l, h)),
        any::<u8>().prop_map(Call::Cast),
        Just(Call::Mapv),
        Just(Call::MapBlocks),
        (vec(place(), 0..4), any::<u8>()).prop_map(|(d, b)| Call::Overlap(d, b)),
        (place(), axis()).prop_map(|(n, a)| Call::Diff(n, a)),
        (axis(), position(), proptest::option::of(position()), position())
            .prop_map(|(a, s, e, step)| Call::SliceAxis(a, s, e, step)),
        (axis(), vec(place(), 0..4)).prop_map(|(a, i)| Call::Select(a, i)),
        (axis(), place()).prop_map(|(a, i)| Call::Split(a, i)),
        (axis(), axis()).prop_map(|(x, y)| Call::Swap(x, y)),
        axis().prop_map(Call::Remove),
        leaf().prop_map(Call::Dot),
        (any::<u8>(), axis()).prop_map(|(k, a)| Call::Fold(k, a)),
        (any::<u8>(), vec(axis(), 0..3)).prop_map(|(k, a)| Call::Folds(k, a)),
        any::<u8>().prop_map(Call::Whole),
        vec(-2isize..4, 0..4).prop_map(Call::Rechunk),
    ]
}

type Leaf = (Vec<usize>, Vec<isize>, usize);

fn leaf() -> impl Strategy<Value = Leaf> {
    let len = prop_oneof![4 => Just(3usize), 2 => Just(1), 1 => 0usize..5];
    let chunk = prop_oneof![1isize..4, Just(-1)];
    (0usize..4).prop_flat_map(move |n| (vec(len.clone(), n), vec(chunk.clone(), n), 0usize..97))
}

fn run<A: Number>(leaves: &[Leaf], calls: &[Call], mean_max: usize) -> Result<(), TestCaseError> {
    let values = |(shape, _, seed): &Leaf| {
        let mut n = *seed;
        NdD::from_shape_simple_fn(&shape[..], || {
            n = (n * 31 + 7) % 101;
            A::special(n)
        })
    };
    let us: Vec<ArrayD<A>> = leaves
        .iter()
        .map(|l| Array::from_ndarray(values(l), l.1.iter().map(|&c| AxisChunks::Len(c)).collect::<Vec<_>>()))
        .collect();
    let them: Vec<NdD<Option<A>>> = leaves.iter().map(|l| values(l).mapv(Some)).collect();
    let (mut a, mut b) = (us[0].clone(), them[0].clone());
    for call in calls {
        let Ok(asked) = quietly(|| asked(call, &a, &us)) else { return fail(call, &a, "panics") };
        if let Some(result) = asked {
            // Where values have no result, a run may fail as well.
            let defined = b.iter().all(Option::is_some);
            match refused(call, a.shape(), mean_max) {
                Some(refused) if result.is_err() != refused => {
                    return fail(call, &a, &format!("gives {result:?}"));
                }
                None if defined && matches!(result, Err(Error::Job(_))) => {
                    return fail(call, &a, &format!("gives {result:?}"));
                }
                _ => continue,
            }
        }
        let Ok(ours) = quietly(|| ours(call, &a, &us)) else { return fail(call, &a, "panics") };
        match (ours, theirs(call, &b, &them)) {
            (Ok(x), Some(y)) if y.len() > 10_000 => drop((x, y)),
            (Ok(x), Some(y)) => (a, b) = (x, y),
            (Err(_), None) => {}
            (Ok(_), None) => return fail(call, &a, "is an error in ndarray"),
            (Err(e), Some(_)) => return fail(call, &a, &e.to_string()),
        }
    }
    prop_assert_eq!(a.shape(), b.shape());
    let Ok(got) = quietly(|| a.try_compute()) else { return fail(&calls[0], &a, "its run panics") };
    match got {
        Ok(got) => {
            for (&x, y) in got.iter().zip(&b) {
                // What a slice has left out may have been without a result.
                prop_assert!(y.is_some_and(|y| same(x, y)), "{:?} instead of {:?}", x, y);
            }
        }
        Err(e) => {
            prop_assert!(!A::FLOAT && e.to_string().contains("zero"), "{}", e);
        }
    }
    // The session goes on.
    prop_assert!(us[0].try_add(A::one()).and_then(|x| x.try_compute()).is_ok());
    Ok(())
}

fn fail<A: Number>(call: &Call, a: &ArrayD<A>, what: &str) -> Result<(), TestCaseError> {
    Err(TestCaseError::fail(format!("{call:?} of {}: {what}", a.describe())))
}

proptest! {
    #[test]
    fn of_any_type_is_ndarrays(
        leaves in vec(leaf(), 1..4),
        calls in vec(call(), 1..8),
        which in 0usize..8,
    ) {
        match which {
            0 => run::<i8>(&leaves, &calls, i8::MAX as usize)?,
            1 => run::<u8>(&leaves, &calls, u8::MAX.into())?,
            2 => run::<i16>(&leaves, &calls, usize::MAX)?,
            3 => run::<u32>(&leaves, &calls, usize::MAX)?,
            4 => run::<i64>(&leaves, &calls, usize::MAX)?,
            5 => run::<u64>(&leaves, &calls, usize::MAX)?,
            6 => run::<f32>(&leaves, &calls, usize::MAX)?,
            _ => run::<f64>(&leaves, &calls, usize::MAX)?,
        }
    }
}
