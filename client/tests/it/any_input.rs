//! Random programs over any element type, with values at the ends of their types, against ndarray: the same shapes, the
//! same errors, the same values (`values` says which of floats' sums are the same); and never a panic, whatever a `try_`
//! method is given.

mod types;

use crate::support::{quietly, same};
use crate::values::Fault;
use ndarray::{ArrayD as NdD, Axis, Slice};
use proptest::collection::vec;
use proptest::prelude::*;
use tilework::prelude::*;
use tilework::{AxisChunks, Boundary, Complex};
use types::{Asked, Value};

/// One call, with numbers that may fit nothing.
#[derive(Clone, Debug)]
pub enum Call {
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
    Spread(u8, usize),
    Whole(u8),
    Rechunk(Vec<isize>),
}

/// What both sides give: nothing where ndarray panics, or where values have no result (then the run fails).
type Theirs<A> = Option<NdD<Option<A>>>;

fn pairs<A: Value>(a: &NdD<Option<A>>, b: &NdD<Option<A>>, f: impl Fn(A, A) -> Option<A>) -> Theirs<A> {
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

/// ndarray's answer to calls that keep the type.
fn theirs<A: Value>(call: &Call, a: &NdD<Option<A>>, b: &[NdD<Option<A>>]) -> Theirs<A> {
    let leaf = |i: &usize| &b[i % b.len()];
    let len = |axis: usize| a.shape().get(axis).copied();
    match call {
        Call::Add(i) => pairs(a, leaf(i), |x, y| A::paired(0, x, y)),
        Call::Sub(i) => pairs(a, leaf(i), |x, y| A::paired(1, x, y)),
        Call::Mul(i) => pairs(a, leaf(i), |x, y| A::paired(2, x, y)),
        Call::Div(i) => pairs(a, leaf(i), |x, y| A::paired(3, x, y)),
        Call::Rem(i) => pairs(a, leaf(i), |x, y| A::paired(4, x, y)),
        Call::Where(i) => pairs(a, leaf(i), |x, y| Some(A::chosen(x, y))),
        Call::Clamp(l, h) => {
            let (l, h) = (A::special(usize::from(*l)), A::special(usize::from(*h)));
            A::clamped(l, l, h)?;
            Some(a.mapv(|x| x.and_then(|x| A::clamped(x, l, h))))
        }
        Call::Mapv | Call::MapBlocks | Call::Overlap(..) => {
            let fits = match call {
                Call::Overlap(depths, _) => {
                    let fits = |(d, l): (&usize, &usize)| a.is_empty() || d <= l;
                    depths.len() == a.ndim() && depths.iter().zip(a.shape()).all(fits)
                }
                _ => true,
            };
            fits.then(|| a.mapv(|x| x.map(A::twice)))
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

fn ours<A: Value>(call: &Call, a: &ArrayD<A>, b: &[ArrayD<A>]) -> tilework::Result<ArrayD<A>> {
    let leaf = |i: &usize| &b[i % b.len()];
    match call {
        Call::Add(i) => A::pair(0, a, leaf(i)),
        Call::Sub(i) => A::pair(1, a, leaf(i)),
        Call::Mul(i) => A::pair(2, a, leaf(i)),
        Call::Div(i) => A::pair(3, a, leaf(i)),
        Call::Rem(i) => A::pair(4, a, leaf(i)),
        Call::Where(i) => A::choose(a, leaf(i)),
        Call::Clamp(l, h) => A::clamp(a, A::special(usize::from(*l)), A::special(usize::from(*h))),
        Call::Mapv => a.try_mapv(A::twice),
        Call::MapBlocks => a.try_map_blocks(|x| x.mapv(A::twice)),
        Call::Overlap(depths, boundary) => {
            let all = [
                Boundary::None,
                Boundary::Periodic,
                Boundary::Reflect,
                Boundary::Nearest,
                Boundary::constant(A::special(1)),
            ];
            a.try_map_overlap(&depths[..], all[usize::from(*boundary) % 5], |x| x.mapv(A::twice))
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

fn call() -> impl Strategy<Value = Call> {
    let axis = || prop_oneof![8 => 0usize..3, 1 => Just(usize::MAX), 1 => 3usize..5];
    let leaf = || 0usize..3;
    let position = || prop_oneof![6 => -5isize..6, 1 => Just(isize::MIN), 1 => Just(isize::MAX)];
    let place = || prop_oneof![8 => 0usize..5, 1 => Just(usize::MAX)];
    prop_oneof![
        1 => leaf().prop_map(Call::Add),
        1 => leaf().prop_map(Call::Sub),
        1 => leaf().prop_map(Call::Mul),
        1 => leaf().prop_map(Call::Div),
        1 => leaf().prop_map(Call::Rem),
        1 => leaf().prop_map(Call::Least),
        1 => leaf().prop_map(Call::Where),
        1 => any::<(u8, u8)>().prop_map(|(l, h)| Call::Clamp(l, h)),
        1 => any::<u8>().prop_map(Call::Cast),
        1 => Just(Call::Mapv),
        1 => Just(Call::MapBlocks),
        1 => (vec(place(), 0..4), any::<u8>()).prop_map(|(d, b)| Call::Overlap(d, b)),
        1 => (place(), axis()).prop_map(|(n, a)| Call::Diff(n, a)),
        1 => (axis(), position(), proptest::option::of(position()), position())
            .prop_map(|(a, s, e, step)| Call::SliceAxis(a, s, e, step)),
        1 => (axis(), vec(place(), 0..4)).prop_map(|(a, i)| Call::Select(a, i)),
        1 => (axis(), place()).prop_map(|(a, i)| Call::Split(a, i)),
        1 => (axis(), axis()).prop_map(|(x, y)| Call::Swap(x, y)),
        1 => axis().prop_map(Call::Remove),
        1 => leaf().prop_map(Call::Dot),
        1 => (any::<u8>(), axis()).prop_map(|(k, a)| Call::Fold(k, a)),
        1 => (any::<u8>(), vec(axis(), 0..3)).prop_map(|(k, a)| Call::Folds(k, a)),
        3 => (any::<u8>(), axis()).prop_map(|(k, a)| Call::Spread(k, a)),
        1 => any::<u8>().prop_map(Call::Whole),
        1 => vec(-2isize..4, 0..4).prop_map(Call::Rechunk),
    ]
}

type Leaf = (Vec<usize>, Vec<isize>, usize);

fn leaf() -> impl Strategy<Value = Leaf> {
    let len = prop_oneof![4 => Just(3usize), 2 => Just(1), 1 => 0usize..5];
    let chunk = prop_oneof![1isize..4, Just(-1)];
    let small = (0usize..4).prop_flat_map(move |n| (vec(len.clone(), n), vec(chunk.clone(), n), 0usize..97));
    // Long enough for kernels that take many elements at a time.
    let long = (LONG..400, 20isize..200, 0usize..4, 0usize..97).prop_map(|(n, chunk, at, seed)| match at {
        0 => (vec![n], vec![chunk], seed),
        1 => (vec![3, n], vec![2, chunk], seed),
        2 => (vec![n, 3], vec![chunk, -1], seed),
        _ => (vec![2, n, 2], vec![1, chunk, 1], seed),
    });
    prop_oneof![9 => small, 1 => long]
}

/// The length from which an axis is long. Such arrays have ordinary elements, as have half of the others: of many, one is
/// always NaN else.
const LONG: usize = 20;

fn run<A: Value>(leaves: &[Leaf], calls: &[Call]) -> Result<(), TestCaseError> {
    let values = |(shape, _, seed): &Leaf| {
        let (mut n, ordinary) = (*seed, seed % 2 == 0 || shape.iter().any(|l| *l >= LONG));
        NdD::from_shape_simple_fn(&shape[..], || {
            n = (n * 31 + 7) % 101;
            A::special(if ordinary { [10, 1, 2, 3][n % 4] } else { n })
        })
    };
    let us: Vec<ArrayD<A>> = leaves
        .iter()
        .map(|l| Array::from_ndarray(values(l), l.1.iter().map(|&c| AxisChunks::Len(c)).collect::<Vec<_>>()))
        .collect();
    let plain: Vec<NdD<A>> = leaves.iter().map(values).collect();
    let them: Vec<NdD<Option<A>>> = plain.iter().map(|l| l.mapv(Some)).collect();
    let (mut a, mut b) = (us[0].clone(), them[0].clone());
    for call in calls {
        let known: Option<Vec<A>> = b.iter().copied().collect();
        let known = known.map(|all| NdD::from_shape_vec(b.shape(), all).expect("as many"));
        let i = match call {
            Call::Least(i) | Call::Dot(i) => i % us.len(),
            _ => 0,
        };
        let of = Asked { a: &a, known: known.as_ref(), other: &us[i], other_known: &plain[i] };
        let Ok(asked) = quietly(|| A::asked(call, &of)) else { return fail(call, &a, "panics") };
        if let Some(result) = asked {
            let refused = A::refused(call, a.shape());
            match result {
                Err(Fault::Wrong(what)) => return fail(call, &a, &what),
                // Where values have no result, a run may fail as well; so it may for what a slice has left out.
                Err(Fault::Failed(e)) if A::TOTAL || known.is_some() && !e.to_string().contains("zero") => {
                    return fail(call, &a, &e.to_string());
                }
                Err(Fault::Refused(e)) if refused == Some(false) => return fail(call, &a, &e.to_string()),
                Ok(()) if refused == Some(true) => return fail(call, &a, "is no error"),
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
            prop_assert!(!A::TOTAL && e.to_string().contains("zero"), "{}", e);
        }
    }
    // The session goes on.
    prop_assert!(A::pair(0, &us[0], &us[0]).and_then(|x| x.try_compute()).is_ok());
    Ok(())
}

fn fail<A: Value>(call: &Call, a: &ArrayD<A>, what: &str) -> Result<(), TestCaseError> {
    Err(TestCaseError::fail(format!("{call:?} of {}: {what}", a.describe())))
}

proptest! {
    // There are thirteen types, and as many kinds of calls again whose values are looked at.
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn of_any_type_is_ndarrays(
        leaves in vec(leaf(), 1..4),
        calls in vec(call(), 1..8),
        which in 0usize..13,
    ) {
        match which {
            0 => run::<i8>(&leaves, &calls)?,
            1 => run::<u8>(&leaves, &calls)?,
            2 => run::<i16>(&leaves, &calls)?,
            3 => run::<u16>(&leaves, &calls)?,
            4 => run::<i32>(&leaves, &calls)?,
            5 => run::<u32>(&leaves, &calls)?,
            6 => run::<i64>(&leaves, &calls)?,
            7 => run::<u64>(&leaves, &calls)?,
            8 => run::<f32>(&leaves, &calls)?,
            9 => run::<f64>(&leaves, &calls)?,
            10 => run::<bool>(&leaves, &calls)?,
            11 => run::<Complex<f32>>(&leaves, &calls)?,
            _ => run::<Complex<f64>>(&leaves, &calls)?,
        }
    }
}
