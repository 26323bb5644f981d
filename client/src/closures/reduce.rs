//! A user's own reductions: states of blocks, joined in a tree, and the results made of them.
//!
//! Knows of which stages they are made. Must not know how states travel.

use super::blockwise::{BlockPlace, captures_nothing};
use super::elements::accepts;
use super::params::Params;
use super::ship::{conjure, ship};
use super::states::{Around, FAN_IN, FAN_IN_BYTES, Told, of_block, state_bytes, written};
use crate::array::{Array, plane_of_array};
use crate::error::{Error, Result, or_panic};
use crate::library::{same, wrong};
use ndarray::{ArrayView, Axis, Dimension, IxDyn};
use std::any::type_name;
use std::marker::PhantomData;
use std::sync::Arc;
use tilework_expr::{Along, BlockFunction, Blocks, DType, Element, Expr, ExprError, Front, Kernel, Read};
use tilework_kernels::Plane;
use tilework_kernels::native::{BlockCall, Descriptor, Entry, Gives, Takes};
use tilework_plan::{AxisGrid, Grid};

/// A stage of a function of the user's.
pub(super) fn stage(
    (kernel, front): (Kernel, Front),
    inputs: &[(&Expr, Read)],
    space: &Grid,
    out: &Grid,
) -> Result<Expr> {
    let (read, reads) =
        inputs.iter().map(|(expr, read)| ((*expr).clone(), read.clone())).unzip::<_, _, Vec<_>, _>();
    let function = BlockFunction::User(Arc::new(kernel), front);
    Ok(Expr::of_blocks(Blocks { function, reads, space: space.clone(), gives: None }, &read, out)?)
}

/// A grid with an axis behind the last one, in one chunk.
pub(super) fn with_last(axes: &[AxisGrid], len: usize) -> Grid {
    Grid::new([axes, &[AxisGrid::whole(len)]].concat())
}

/// The function that makes states of blocks.
struct Parting<F, A, D, S, E, P>(PhantomData<(F, A, D, S, E, P)>);

impl<F, A: Element, D: Dimension, S: Params, E: Dimension, P: Params> Parting<F, A, D, S, E, P>
where
    F: Fn(BlockPlace<'_>, ArrayView<'_, A, D>, &P) -> ndarray::Array<S, E>,
{
    const DESCRIPTOR: &'static Descriptor = {
        let types = (Takes::Each(&[A::DTYPE]), Gives::Dtype(DType::U8));
        let entry = Entry::Block(Self::conjured);
        // SAFETY: `conjured` looks at the block's dtype; it calls a function that `ship` let pass.
        &unsafe { Descriptor::new(type_name::<F>, types, accepts::<Around<P>>, entry) }
    };

    fn conjured(call: &BlockCall<'_>) -> Told<Plane> {
        // SAFETY: only functions that passed `ship` are named, and only what is named is called.
        of_block(call, unsafe { conjure::<F>() })
    }
}

/// The function that joins states.
pub(super) struct Joining<C, S, P>(PhantomData<(C, S, P)>);

impl<C: Fn(&S, &S, &P) -> S, S: Params, P: Params> Joining<C, S, P> {
    const DESCRIPTOR: &'static Descriptor = {
        let types = (Takes::Each(&[DType::U8]), Gives::Dtype(DType::U8));
        let entry = Entry::Block(Self::conjured);
        // SAFETY: `conjured` looks at the block's dtype; it calls a function that `ship` let pass.
        &unsafe { Descriptor::new(type_name::<C>, types, accepts::<Around<P>>, entry) }
    };

    fn conjured(call: &BlockCall<'_>) -> Told<Plane> {
        let around = Around::<P>::of(call)?;
        // SAFETY: only functions that passed `ship` are named, and only what is named is called.
        let f = unsafe { conjure::<C>() };
        let (_, states) = around.joined::<S>(call.block(0)?, |a, b| f(a, b, &around.params))?;
        written(states, &call.shape())
    }
}

/// The functions that join the last states and make results of them.
struct Finishing<C, G, S, P, B, E>(PhantomData<(C, G, S, P, B, E)>);

impl<C, G, S: Params, P: Params, B: Element, E: Dimension> Finishing<C, G, S, P, B, E>
where
    C: Fn(&S, &S, &P) -> S,
    G: Fn(&S, &P) -> B,
{
    const DESCRIPTOR: &'static Descriptor = {
        let types = (Takes::Each(&[DType::U8]), Gives::Dtype(B::DTYPE));
        let entry = Entry::Block(Self::conjured);
        // SAFETY: `conjured` looks at the block's dtype; it calls functions that `ship` let pass.
        &unsafe { Descriptor::new(type_name::<(C, G)>, types, accepts::<Around<P>>, entry) }
    };

    fn conjured(call: &BlockCall<'_>) -> Told<Plane> {
        let around = Around::<P>::of(call)?;
        // SAFETY: only functions that passed `ship` are named, and only what is named is called.
        let (combine, finish) = unsafe { conjure::<(C, G)>() };
        let (shape, states) = around.joined::<S>(call.block(0)?, |a, b| combine(a, b, &around.params))?;
        let results = states.iter().map(|state| finish(state, &around.params)).collect();
        let array = ndarray::ArrayD::from_shape_vec(IxDyn(&shape), results).map_err(|e| e.to_string())?;
        Ok(plane_of_array(array))
    }
}

/// How many states along each of some axes are joined at a time, of so many; the last axes first.
fn fan_in(counts: &[usize], mut most: usize) -> Vec<usize> {
    let mut each = vec![1; counts.len()];
    for (of, &n) in each.iter_mut().zip(counts).rev() {
        *of = n.clamp(1, most);
        most /= *of;
    }
    each
}

/// The axes of a reduction, in order.
fn sorted(axes: &[Axis], ndim: usize) -> Result<Vec<usize>> {
    let mut folded: Vec<usize> = axes.iter().map(|axis| axis.index()).collect();
    folded.sort_unstable();
    if let Some(&axis) = folded.iter().find(|axis| **axis >= ndim) {
        return Err(ExprError::AxisOutOfRange { axis, ndim }.into());
    }
    if folded.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(ExprError::Axes { axes: folded, ndim, expected: "each axis at most once" }.into());
    }
    Ok(folded)
}

/// The axes of a reduction, and how many axes and what length of bytes its states have.
struct Tree<'a> {
    folded: &'a [usize],
    n_bytes: usize,
}

impl Tree<'_> {
    /// The states of all blocks as a grid of one chunk each, or of as many as are told.
    fn cut(&self, grid: &Grid, along: impl Fn(usize) -> AxisGrid) -> Grid {
        let axis = |a: usize| if self.folded.contains(&a) { along(a) } else { grid.axes()[a].clone() };
        with_last(&(0..grid.ndim()).map(axis).collect::<Vec<_>>(), self.n_bytes)
    }

    /// States joined until a task may join what is left.
    fn joined(&self, mut states: Expr, grid: &Grid, kernel: &Kernel) -> Result<Expr> {
        let kept: Vec<usize> = (0..grid.ndim()).filter(|a| !self.folded.contains(a)).collect();
        let bytes = grid.select(&kept).chunk_len_max().saturating_mul(self.n_bytes).max(1);
        let most = (FAN_IN_BYTES / bytes).clamp(2, FAN_IN);
        loop {
            let counts: Vec<usize> = self.folded.iter().map(|&a| states.shape()[a]).collect();
            if counts.iter().fold(1, |all: usize, n| all.saturating_mul(*n)) <= most {
                return Ok(states);
            }
            let fan = fan_in(&counts, most);
            let of = |a: usize| self.folded.iter().position(|f| *f == a).expect("a folded axis");
            let space = self.cut(grid, |a| AxisGrid::regular(counts[of(a)], fan[of(a)]));
            let out = self.cut(grid, |a| AxisGrid::regular(counts[of(a)].div_ceil(fan[of(a)]), 1));
            let ndim = states.ndim();
            states = stage((kernel.clone(), Front::ReduceWith), &[(&states, same(ndim))], &space, &out)?;
        }
    }
}

/// # Reductions of your own
impl<A: Element, D: Dimension> Array<A, D> {
    /// What your own functions make of the elements along some axes: a lazy array without them, of the dimensions that the first
    /// function's blocks have. Dask's `reduction`.
    ///
    /// * `chunk(place, block, &params)` makes the states of a block: one for each position of the axes that are kept. A state is a
    ///   value of one size that travels ([`Params`]): numbers, and tuples and arrays of them. The place tells which positions
    ///   of the array the block is.
    /// * `combine(&a, &b, &params)` joins the states of two neighbours. Up to 32 are joined by a task, in the order of the
    ///   blocks, and what they make by others, so that no task reads all chunks; the tree depends on the chunks alone, and
    ///   results are the same to the last bit on every session. It must not matter where parentheses are; nor, along
    ///   several axes, which of the two comes first.
    /// * `finish(&state, &params)` makes the element of the result.
    ///
    /// An axis without elements has one block without elements; `chunk` is called with it.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x = Array::from_shape_vec((2, 3), vec![3.0f64, 4.0, 12.0, 1.0, 2.0, 2.0]).unwrap().rechunk(2);
    /// let norms = x.reduce_with(&[Axis(1)], (), (
    ///     |_, block, ()| block.map_axis(Axis(1), |row| row.dot(&row)),
    ///     |a, b, ()| a + b,
    ///     |sum, ()| sum.sqrt(),
    /// ));
    /// assert_eq!(norms.compute(), ndarray::arr1(&[13.0, 3.0]));
    ///
    /// // The geometric mean of what is above a number, in one pass: a sum and a count.
    /// let mean = x.reduce_with(&[Axis(0), Axis(1)], 1.5, (
    ///     |_, block, least| {
    ///         let above = block.iter().filter(|x| *x > least);
    ///         ndarray::arr0(above.fold((0.0f64, 0u64), |(sum, n), x| (sum + x.ln(), n + 1)))
    ///     },
    ///     |a, b, _| (a.0 + b.0, a.1 + b.1),
    ///     |(sum, n), _| (sum / *n as f64).exp(),
    /// ));
    /// assert!((mean.sum() - 576f64.powf(0.2)).abs() < 1e-12);
    /// ```
    ///
    /// Functions capture nothing, and run on workers that are this program: see [`Array::mapv_with`].
    ///
    /// # Panics
    /// Where [`Array::try_reduce_with`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn reduce_with<P, S, B, E, F, C, G>(
        &self,
        axes: &[Axis],
        params: P,
        functions: (F, C, G),
    ) -> Array<B, E>
    where
        P: Params,
        S: Params,
        B: Element,
        E: Dimension,
        F: Fn(BlockPlace<'_>, ArrayView<'_, A, D>, &P) -> ndarray::Array<S, E> + Send + Sync + 'static,
        C: Fn(&S, &S, &P) -> S + Send + Sync + 'static,
        G: Fn(&S, &P) -> B + Send + Sync + 'static,
    {
        captures_nothing!((F, C, G));
        or_panic(self.try_reduce_with(axes, params, functions))
    }

    /// [`Array::reduce_with`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range or given twice; blocks of states of another number of dimensions than axes are kept; states of no
    /// bytes or more than 64 KiB, or of which zeros are none; [`Error::Function`] for functions that capture variables. The
    /// computation fails where a block has another number of states than it has kept positions, or a state another size.
    pub fn try_reduce_with<P, S, B, E, F, C, G>(
        &self,
        axes: &[Axis],
        params: P,
        (chunk, combine, finish): (F, C, G),
    ) -> Result<Array<B, E>>
    where
        P: Params,
        S: Params,
        B: Element,
        E: Dimension,
        F: Fn(BlockPlace<'_>, ArrayView<'_, A, D>, &P) -> ndarray::Array<S, E> + Send + Sync + 'static,
        C: Fn(&S, &S, &P) -> S + Send + Sync + 'static,
        G: Fn(&S, &P) -> B + Send + Sync + 'static,
    {
        let expr = self.leaf()?;
        let (ndim, grid) = (expr.ndim(), expr.grid());
        let folded = sorted(axes, ndim)?;
        let kept: Vec<usize> = (0..ndim).filter(|a| !folded.contains(a)).collect();
        if E::NDIM.is_some_and(|n| n != kept.len()) {
            let got = format!("{} axes", E::NDIM.unwrap_or(0));
            return Err(wrong("blocks of states", got, "as many axes as are kept"));
        }
        let around = Around::new(&expr, &folded, params);
        let tree = Tree { folded: &folded, n_bytes: state_bytes::<S>()? };
        let part = ship(Parting::<F, A, D, S, E, P>::DESCRIPTOR, &chunk, vec![A::DTYPE], &around);
        let join = ship(Joining::<C, S, P>::DESCRIPTOR, &combine, vec![DType::U8], &around);
        let finished = Finishing::<C, G, S, P, B, E>::DESCRIPTOR;
        let finish = ship(finished, &(combine, finish), vec![DType::U8], &around).map_err(Error::Function)?;

        let space = with_last(grid.axes(), 1);
        let each = tree.cut(grid, |a| AxisGrid::regular(grid.axes()[a].n_chunks(), 1));
        let part = (part.map_err(Error::Function)?, Front::ReduceWith);
        let states = stage(part, &[(&expr, same(ndim))], &space, &each)?;
        let states = tree.joined(states, grid, &join.map_err(Error::Function)?)?;
        let along = |a: usize| kept.iter().position(|k| *k == a).map_or(Along::All, Along::same);
        let read = Read::Box((0..=ndim).map(along).collect());
        let out = grid.select(&kept);
        Ok(Array::of_expr(stage((finish, Front::ReduceWith), &[(&states, read)], &out, &out)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_at_a_time_has_a_bound() {
        assert_eq!(fan_in(&[100], 32), [32]);
        assert_eq!(fan_in(&[100, 5], 32), [6, 5]);
        assert_eq!(fan_in(&[3, 100], 32), [1, 32]);
        assert_eq!(fan_in(&[100, 7, 2], 32), [2, 7, 2]);
        assert_eq!(fan_in(&[], 32), Vec::<usize>::new());
    }
}
