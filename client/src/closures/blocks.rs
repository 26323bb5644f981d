//! Functions of blocks: chunks as ndarray's views, with halos or without, and folds along an axis.
//!
//! Owns the way between planes and ndarray's views. Must not know arrays or sessions.

use super::elements::accepts;
use super::params::{Params, params_of};
use super::ship::{conjure, ship};
use crate::array::{dtype_of, plane_of_array, same};
use crate::error::{Error, Result};
use ndarray::{ArrayView, Axis, Dimension, IxDyn, ShapeBuilder};
use std::any::type_name;
use std::marker::PhantomData;
use tilework_expr::{Boundary, Element, Expr, ExprError, Halo, with_dtype};
use tilework_kernels::Plane;
use tilework_kernels::native::{BlockCall, Descriptor, Entry, Gives, Takes};

/// How many positions of their neighbours blocks see along each axis: one number for all axes, or one for each. A pair is
/// how many before a block and how many behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Depths(PerAxis<(usize, usize)>);

/// What lies beyond an array's edges along each axis: one kind for all axes, or one for each.
#[derive(Clone, PartialEq, Debug)]
pub struct Boundaries(PerAxis<Boundary>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum PerAxis<T> {
    All(T),
    Each(Vec<T>),
}

impl Depths {
    /// With what lies beyond the edges, for each of so many axes.
    pub(super) fn halos(
        &self,
        boundaries: &Boundaries,
        ndim: usize,
    ) -> std::result::Result<Vec<Halo>, ExprError> {
        let depths = self.0.of(ndim)?;
        let halo = |((before, after), boundary)| Halo { before, after, boundary };
        Ok(depths.into_iter().zip(boundaries.0.of(ndim)?).map(halo).collect())
    }
}

impl<T: Copy> PerAxis<T> {
    fn of(&self, ndim: usize) -> std::result::Result<Vec<T>, ExprError> {
        match self {
            PerAxis::All(one) => Ok(vec![*one; ndim]),
            PerAxis::Each(all) if all.len() == ndim => Ok(all.clone()),
            PerAxis::Each(all) => {
                let expected = "one depth and one boundary for each axis, or one for all";
                Err(ExprError::Axes { axes: (0..all.len()).collect(), ndim, expected })
            }
        }
    }
}

impl From<usize> for Depths {
    fn from(depth: usize) -> Depths {
        Depths(PerAxis::All((depth, depth)))
    }
}

impl From<(usize, usize)> for Depths {
    fn from(depth: (usize, usize)) -> Depths {
        Depths(PerAxis::All(depth))
    }
}

impl<const N: usize> From<[usize; N]> for Depths {
    fn from(depths: [usize; N]) -> Depths {
        Depths::from(&depths[..])
    }
}

impl<const N: usize> From<[(usize, usize); N]> for Depths {
    fn from(depths: [(usize, usize); N]) -> Depths {
        Depths(PerAxis::Each(depths.to_vec()))
    }
}

impl From<&[usize]> for Depths {
    fn from(depths: &[usize]) -> Depths {
        Depths(PerAxis::Each(depths.iter().map(|&depth| (depth, depth)).collect()))
    }
}

impl From<Boundary> for Boundaries {
    fn from(boundary: Boundary) -> Boundaries {
        Boundaries(PerAxis::All(boundary))
    }
}

impl<const N: usize> From<[Boundary; N]> for Boundaries {
    fn from(boundaries: [Boundary; N]) -> Boundaries {
        Boundaries(PerAxis::Each(boundaries.to_vec()))
    }
}

impl From<&[Boundary]> for Boundaries {
    fn from(boundaries: &[Boundary]) -> Boundaries {
        Boundaries(PerAxis::Each(boundaries.to_vec()))
    }
}

/// How a function `F` is called with a block of `A` and parameters `P`, giving a block of `B`.
pub(super) trait CallBlock<F, A, D, P, B> {
    /// Calls it.
    fn call(f: &mut F, block: ArrayView<'_, A, D>, params: &P) -> ndarray::Array<B, D>;
}

/// `f(block)`
pub(super) struct Block;
/// `f(block, &params)`
pub(super) struct BlockWith;

impl<F, A, D, B> CallBlock<F, A, D, (), B> for Block
where
    F: FnMut(ArrayView<'_, A, D>) -> ndarray::Array<B, D>,
{
    fn call(f: &mut F, block: ArrayView<'_, A, D>, (): &()) -> ndarray::Array<B, D> {
        f(block)
    }
}

impl<F, A, D, P, B> CallBlock<F, A, D, P, B> for BlockWith
where
    F: FnMut(ArrayView<'_, A, D>, &P) -> ndarray::Array<B, D>,
{
    fn call(f: &mut F, block: ArrayView<'_, A, D>, params: &P) -> ndarray::Array<B, D> {
        f(block, params)
    }
}

/// A function of blocks in the executable.
struct Blockwise<S, F, A, D, P, B>(PhantomData<(S, F, A, D, P, B)>);

impl<S: CallBlock<F, A, D, P, B>, F, A: Element, D: Dimension, P: Params, B: Element>
    Blockwise<S, F, A, D, P, B>
{
    const DESCRIPTOR: &'static Descriptor = {
        let types = (Takes::Each(&[A::DTYPE]), Gives::Dtype(B::DTYPE));
        // SAFETY: `conjured` looks at the block's dtype; it calls a function that `ship` let pass.
        &unsafe { Descriptor::new(type_name::<F>, types, accepts::<P>, Entry::Block(Self::conjured)) }
    };

    fn conjured(call: &BlockCall<'_>) -> std::result::Result<Plane, String> {
        let params = params_of(call.params).ok_or("these are not its parameters")?;
        let block = block_of::<A, D>(call, 0)?;
        // SAFETY: only functions that passed `ship` are named, and only what is named is called.
        let mut f = unsafe { conjure::<F>() };
        Ok(plane_of_array(S::call(&mut f, block, &params)))
    }
}

/// The bits of the first value of a fold, its axis, and the parameters of its function.
#[derive(Clone, Copy)]
struct Start<P>(u128, usize, P);

impl<P: Params> Params for Start<P> {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
        self.2.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(Start(Params::read(bytes)?, Params::read(bytes)?, P::read(bytes)?))
    }
}

/// The bits of a value, if its type has a dtype.
fn bits_of<B>(value: &B) -> Option<u128> {
    with_dtype!(dtype_of::<B>()?, T => same::<B, T>(value).map(<T as Element>::to_bits))
}

/// The value with these bits, if its type has a dtype.
fn of_bits<B>(bits: u128) -> Option<B> {
    with_dtype!(dtype_of::<B>()?, T => {
        let value = <T as Element>::from_bits(bits);
        // SAFETY: `T` is the type `B`, and plain data.
        Some(unsafe { std::mem::transmute_copy::<T, B>(&value) })
    })
}

/// How a function `F` is called with a value, an element and parameters `P`, giving the next value.
pub(super) trait CallFold<F, A, P, B> {
    /// Calls it.
    fn call(f: &mut F, value: &B, x: &A, params: &P) -> B;
}

/// `f(&value, &x)`
pub(super) struct Fold;
/// `f(&value, &x, &params)`
pub(super) struct FoldWith;

impl<F: FnMut(&B, &A) -> B, A, B> CallFold<F, A, (), B> for Fold {
    fn call(f: &mut F, value: &B, x: &A, (): &()) -> B {
        f(value, x)
    }
}

impl<F: FnMut(&B, &A, &P) -> B, A, P, B> CallFold<F, A, P, B> for FoldWith {
    fn call(f: &mut F, value: &B, x: &A, params: &P) -> B {
        f(value, x, params)
    }
}

/// A fold in the executable.
struct Folding<S, F, A, P, B>(PhantomData<(S, F, A, P, B)>);

impl<S: CallFold<F, A, P, B>, F, A, P: Params, B: Clone> Folding<S, F, A, P, B> {
    const DESCRIPTOR: &'static Descriptor = {
        let types = (Takes::One(dtype_of::<A>), Gives::Of(dtype_of::<B>));
        let entry = Entry::Block(Self::conjured);
        // SAFETY: `conjured` looks at the block's dtype; it calls a function that `ship` let pass.
        &unsafe { Descriptor::new(type_name::<F>, types, accepts::<Start<P>>, entry) }
    };

    fn conjured(call: &BlockCall<'_>) -> std::result::Result<Plane, String> {
        let Start(bits, axis, params): Start<P> =
            params_of(call.params).ok_or("these are not its parameters")?;
        let start = of_bits::<B>(bits).ok_or("its first value has no dtype")?;
        let block = view_of::<A>(call.block(0)?)?;
        // SAFETY: only functions that passed `ship` are named, and only what is named is called.
        let mut f = unsafe { conjure::<F>() };
        let folded = block.fold_axis(Axis(axis), start, |v, x| S::call(&mut f, v, x, &params));
        Ok(plane_of_array(folded))
    }
}

/// A block of an array as its function sees it.
pub(super) fn block_of<'a, A, D: Dimension>(
    call: &'a BlockCall<'_>,
    slot: usize,
) -> std::result::Result<ArrayView<'a, A, D>, String> {
    view_of::<A>(call.block(slot)?)?.into_dimensionality().map_err(|e| e.to_string())
}

/// A plane as ndarray's view.
pub(super) fn view_of<A>(plane: &Plane) -> std::result::Result<ArrayView<'_, A, IxDyn>, String> {
    let dtype = dtype_of::<A>().ok_or("got a block, expected elements that do not travel")?;
    if plane.dtype() != dtype {
        return Err(format!("got a block of {}, expected {dtype}", plane.dtype()));
    }
    let (shape, strides) = (plane.shape(), plane.strides());
    if plane.is_empty() {
        return ArrayView::from_shape(IxDyn(shape), &[]).map_err(|e| e.to_string());
    }
    // ndarray takes memory by its lowest address and steps upwards; axes that run backwards are turned afterwards.
    let below: isize =
        shape.iter().zip(strides).map(|(&l, &s)| if s < 0 { s * (l as isize - 1) } else { 0 }).sum();
    let upwards: Vec<usize> = strides.iter().map(|s| s.unsigned_abs()).collect();
    let lowest = plane.as_ptr().wrapping_offset(below * size_of::<A>() as isize).cast::<A>();
    // SAFETY: all elements lie within the plane's memory, which is shared and outlives the view; they are aligned, and
    // of the type that the dtype says.
    let mut view = unsafe { ArrayView::from_shape_ptr(IxDyn(shape).strides(IxDyn(&upwards)), lowest) };
    for (a, _) in strides.iter().enumerate().filter(|(_, s)| **s < 0) {
        view.invert_axis(Axis(a));
    }
    Ok(view)
}

/// The array of the chunks that a function gives for the chunks of an array.
pub(super) fn map_blocks<S, F, A, D, P, B>(array: &Expr, f: &F, params: &P) -> Result<Expr>
where
    S: CallBlock<F, A, D, P, B>,
    A: Element,
    D: Dimension,
    P: Params,
    B: Element,
{
    let kernel = ship(Blockwise::<S, F, A, D, P, B>::DESCRIPTOR, f, vec![A::DTYPE], params);
    Ok(array.map_blocks(kernel.map_err(Error::Function)?)?)
}

/// The array of the chunks that a function gives for the chunks of an array and what is around them.
pub(super) fn map_overlap<S, F, A, D, P, B>(
    array: &Expr,
    (depths, boundaries): (Depths, Boundaries),
    f: &F,
    params: &P,
) -> Result<Expr>
where
    S: CallBlock<F, A, D, P, B>,
    A: Element,
    D: Dimension,
    P: Params,
    B: Element,
{
    let halo = depths.halos(&boundaries, array.ndim())?;
    let kernel = ship(Blockwise::<S, F, A, D, P, B>::DESCRIPTOR, f, vec![A::DTYPE], params);
    Ok(array.map_overlap(kernel.map_err(Error::Function)?, &halo)?)
}

/// The array with an axis folded by a function, from a first value. `A` and `B` have dtypes.
pub(super) fn fold_axis<S, F, A, P, B>(
    array: &Expr,
    axis: usize,
    f: &F,
    (start, params): (&B, P),
) -> Result<Expr>
where
    S: CallFold<F, A, P, B>,
    P: Params,
    B: Clone,
{
    let start = Start(bits_of(start).expect("a fold's value has a dtype"), axis, params);
    let kernel = ship(Folding::<S, F, A, P, B>::DESCRIPTOR, f, vec![array.dtype()], &start);
    Ok(array.fold_axis(kernel.map_err(Error::Function)?, axis)?)
}

/// [`fold_axis`] for a function without parameters.
pub(crate) fn fold<A, B: Clone, F: FnMut(&B, &A) -> B>(
    array: &Expr,
    axis: usize,
    f: &F,
    start: &B,
) -> Result<Expr> {
    fold_axis::<Fold, F, A, (), B>(array, axis, f, (start, ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_are_views_whatever_their_strides() {
        let base = ndarray::Array3::from_shape_fn((4, 5, 6), |(i, j, k)| (100 * i + 10 * j + k) as i32);
        let sliced = base.clone().slice_move(ndarray::s![..;-1, 1.., ..;-2]).permuted_axes([2, 0, 1]);
        for array in [base, sliced] {
            let plane = plane_of_array(array.clone());
            assert_eq!(view_of::<i32>(&plane).unwrap(), array.view().into_dyn());
            assert!(view_of::<u32>(&plane).unwrap_err().contains("got a block of i32, expected u32"));
        }
        let empty = plane_of_array(ndarray::Array2::<f64>::zeros((0, 3)));
        assert_eq!(view_of::<f64>(&empty).unwrap().shape(), [0, 3]);
    }
}
