//! Functions of elements: how many inputs one takes, whether it takes them by value, by reference or with parameters,
//! and the loop that calls it for a run of elements.
//!
//! The loop is compiled once for each function and lies in the executable behind a [`Descriptor`]. Must not know
//! arrays or sessions.

use super::params::{Params, params_of};
use super::ship::{FunctionError, conjure, ship};
use crate::array::{dim_of, dtype_of};
use crate::error::{Error, Result};
use ndarray::Dimension;
use std::any::type_name;
use std::marker::PhantomData;
use tilework_expr::{Attachment, Chunks, DType, Element, Expr, Kernel};
use tilework_kernels::native::{Descriptor, Entry, Gives, Lane, Lanes, Takes};

/// The inputs of a function of elements.
///
/// # Safety
/// `dense` and `strided` read elements of the dtypes that `TAKES` tells, and no others.
pub(crate) unsafe trait Inputs {
    /// The dtypes of the inputs.
    const TAKES: Takes;
    /// One element of each.
    type Values;
    /// Where the elements are.
    type Places: Copy;

    /// Where the elements are.
    fn places(lanes: &[Lane]) -> Self::Places;
    /// The elements at a position of inputs that are all runs.
    ///
    /// # Safety
    /// There are more than `i` elements of each input, of the dtypes that it takes.
    unsafe fn dense(places: Self::Places, i: usize) -> Self::Values;
    /// The elements at a position.
    ///
    /// # Safety
    /// As for [`Inputs::dense`]; the places are those of the lanes.
    unsafe fn strided(places: Self::Places, lanes: &[Lane], i: usize) -> Self::Values;
}

macro_rules! tuples {
    ($(($($a:ident $i:tt)+))*) => { $(
        // SAFETY: input `i` is read as the type whose dtype stands at `i`.
        unsafe impl<$($a: Element),+> Inputs for ($($a,)+) {
            const TAKES: Takes = Takes::Each(&[$($a::DTYPE),+]);
            type Values = Self;
            type Places = ($(*const $a,)+);

            fn places(lanes: &[Lane]) -> Self::Places {
                ($(lanes[$i].ptr.cast::<$a>(),)+)
            }
            unsafe fn dense(places: Self::Places, i: usize) -> Self {
                // SAFETY: promised by the caller.
                unsafe { ($(places.$i.add(i).read(),)+) }
            }
            unsafe fn strided(places: Self::Places, lanes: &[Lane], i: usize) -> Self {
                // SAFETY: promised by the caller; a step of 0 stays at the first element.
                unsafe { ($(places.$i.add(i * lanes[$i].step).read(),)+) }
            }
        }
    )* };
}
tuples! {
    (A 0)
    (A 0 B 1)
    (A 0 B 1 C 2)
    (A 0 B 1 C 2 D 3)
    (A 0 B 1 C 2 D 3 E 4)
    (A 0 B 1 C 2 D 3 E 4 F 5)
}

/// An index into an array of dimension `D`, as one `i64` for each axis.
pub(crate) struct Index<D>(PhantomData<D>);

// SAFETY: every input is read as i64.
unsafe impl<D: Dimension> Inputs for Index<D> {
    const TAKES: Takes = Takes::Index;
    type Values = D;
    type Places = usize;

    fn places(lanes: &[Lane]) -> usize {
        lanes.len()
    }
    unsafe fn dense(_: usize, _: usize) -> D {
        unreachable!("an index is read by lanes")
    }
    unsafe fn strided(n: usize, lanes: &[Lane], i: usize) -> D {
        let mut at = D::zeros(n);
        for (p, lane) in at.slice_mut().iter_mut().zip(lanes) {
            // SAFETY: promised by the caller.
            *p = unsafe { lane.ptr.cast::<i64>().add(i * lane.step).read() } as usize;
        }
        at
    }
}

/// One input, of a type that may have no dtype.
pub(crate) struct One<A>(PhantomData<A>);

// SAFETY: the input is read as `A`, and is of its dtype.
unsafe impl<A> Inputs for One<A> {
    const TAKES: Takes = Takes::One(dtype_of::<A>);
    type Values = A;
    type Places = *const A;

    fn places(lanes: &[Lane]) -> *const A {
        lanes[0].ptr.cast()
    }
    unsafe fn dense(place: *const A, i: usize) -> A {
        // SAFETY: promised by the caller; types that have a dtype are plain data.
        unsafe { place.add(i).read() }
    }
    unsafe fn strided(place: *const A, lanes: &[Lane], i: usize) -> A {
        // SAFETY: promised by the caller; a step of 0 stays at the first element.
        unsafe { place.add(i * lanes[0].step).read() }
    }
}

/// How a function `F` is called with elements of inputs `I` and parameters `P`, giving `B`.
pub(crate) trait Call<F, I: Inputs, P, B> {
    /// Calls it.
    fn call(f: &mut F, values: I::Values, params: &P) -> B;
    /// Whether the inputs may be read as runs.
    const RUNS: bool = true;
}

/// `f(x)`
pub(crate) struct ByValue;
/// `f(&x)`, `f(&x, &y)` and so on
pub(crate) struct ByRef;
/// `f(x, &params)`
pub(crate) struct With;
/// `f(index)`, as ndarray's patterns
pub(crate) struct AtIndex;

impl<F: FnMut(A) -> B, A: Element, B> Call<F, (A,), (), B> for ByValue {
    fn call(f: &mut F, (x,): (A,), (): &()) -> B {
        f(x)
    }
}

impl<F: FnMut(A) -> B, A, B> Call<F, One<A>, (), B> for ByValue {
    fn call(f: &mut F, x: A, (): &()) -> B {
        f(x)
    }
}

impl<F: FnMut(A, &P) -> B, A: Element, P, B> Call<F, (A,), P, B> for With {
    fn call(f: &mut F, (x,): (A,), params: &P) -> B {
        f(x, params)
    }
}

impl<F: FnMut(D::Pattern) -> B, D: Dimension, B> Call<F, Index<D>, (), B> for AtIndex {
    fn call(f: &mut F, at: D, (): &()) -> B {
        f(at.into_pattern())
    }
    const RUNS: bool = false;
}

macro_rules! by_ref {
    ($(($($a:ident $x:ident)+))*) => { $(
        impl<Func: FnMut($(&$a),+) -> Out, $($a: Element,)+ Out> Call<Func, ($($a,)+), (), Out> for ByRef {
            fn call(f: &mut Func, ($($x,)+): ($($a,)+), (): &()) -> Out {
                f($(&$x),+)
            }
        }
    )* };
}
by_ref! {
    (A a)
    (A a B b)
    (A a B b C c)
    (A a B b C c D d)
    (A a B b C c D d E e)
    (A a B b C c D d E e F f2)
}

/// A function of elements in the executable.
struct Elementwise<S, F, I, P, B>(PhantomData<(S, F, I, P, B)>);

impl<S: Call<F, I, P, B>, F, I: Inputs, P: Params, B> Elementwise<S, F, I, P, B> {
    const DESCRIPTOR: &'static Descriptor = {
        let entry = Entry::Elements(Self::conjured);
        let types = (I::TAKES, Gives::Of(dtype_of::<B>));
        // SAFETY: `conjured` reads and writes what `I` and `B` say; it calls a function that `ship` let pass.
        &unsafe { Descriptor::new(type_name::<F>, types, accepts::<P>, entry) }
    };

    /// The entry on workers.
    ///
    /// # Safety
    /// The lanes are of the dtypes that `I` and `B` say; the function passed [`ship`].
    unsafe fn conjured(lanes: &Lanes<'_>) {
        let params = params_of(lanes.params).expect("the parameters were looked at before the call");
        // SAFETY: promised by the caller.
        unsafe { run::<S, F, I, P, B>(&mut conjure::<F>(), &params, lanes) }
    }
}

pub(super) fn accepts<P: Params>(bytes: &[u8]) -> bool {
    params_of::<P>(bytes).is_some()
}

/// Calls a function for each element.
///
/// # Safety
/// The lanes are of the dtypes that `I` and `B` say and have as many elements as they say; the results overlap none
/// of the inputs.
pub(super) unsafe fn run<S: Call<F, I, P, B>, F, I: Inputs, P, B>(f: &mut F, params: &P, lanes: &Lanes<'_>) {
    let (places, out) = (I::places(lanes.inputs), lanes.out.cast::<B>());
    if S::RUNS && lanes.inputs.iter().all(|l| l.step == 1) {
        for i in 0..lanes.n {
            // SAFETY: promised by the caller.
            unsafe { out.add(i).write(S::call(f, I::dense(places, i), params)) }
        }
        return;
    }
    for i in 0..lanes.n {
        // SAFETY: promised by the caller.
        unsafe { out.add(i).write(S::call(f, I::strided(places, lanes.inputs, i), params)) }
    }
}

/// Names a function of elements.
pub(super) fn kernel<S: Call<F, I, P, B>, F, I: Inputs, P: Params, B>(
    f: &F,
    inputs: Vec<DType>,
    params: &P,
) -> std::result::Result<Kernel, FunctionError> {
    ship(Elementwise::<S, F, I, P, B>::DESCRIPTOR, f, inputs, params)
}

/// The array of what a function gives for the elements of arrays of one shape; an error where it does not travel.
pub(super) fn apply<S: Call<F, I, P, B>, F, I: Inputs, P: Params, B>(
    arrays: &[Expr],
    f: &F,
    params: &P,
) -> Result<Expr> {
    let inputs = arrays.iter().map(Expr::dtype).collect();
    Ok(Expr::apply(kernel::<S, F, I, P, B>(f, inputs, params)?, arrays)?)
}

/// The array of what a function gives for the elements of an array of `A`; an error where it does not travel.
pub(crate) fn on_each<A, B, F: FnMut(A) -> B>(array: &Expr, f: &F) -> Result<Expr> {
    apply::<ByValue, F, One<A>, (), B>(std::slice::from_ref(array), f, &())
}

/// The array whose elements a function gives for their indices. Where it does not travel that is an error; where the
/// workers may be of another executable, the session uses `provider`, a literal, in its place.
pub(crate) fn from_index<A, D: Dimension, F: FnMut(D::Pattern) -> A>(
    f: &F,
    shape: &[usize],
    chunks: &Chunks,
    provider: impl FnOnce() -> Attachment,
) -> Result<Expr> {
    debug_assert!(D::NDIM.is_none_or(|n| n == dim_of::<D>(shape).ndim()));
    let kernel = kernel::<AtIndex, F, Index<D>, (), A>(f, vec![DType::I64; shape.len()], &());
    let kernel = kernel.map_err(Error::Function)?;
    Ok(Expr::from_index(kernel, shape, chunks, provider())?)
}
