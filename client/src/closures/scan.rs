//! A user's own scans along an axis: what blocks come to, what lies before each, and the blocks of the result.
//!
//! Knows of which stages they are made: two passes over the chunks, without a chain from chunk to chunk. Must not know how
//! states travel.

use super::blocks::{block_of, view_of};
use super::blockwise::captures_nothing;
use super::elements::accepts;
use super::params::Params;
use super::reduce::{stage, with_last};
use super::ship::{conjure, ship};
use super::states::{Around, Told, of_block, read, state_bytes, written};
use crate::array::{Array, plane_of_array};
use crate::error::{Error, Result, or_panic};
use crate::library::{axis_of, same};
use ndarray::{ArrayView, Axis, IxDyn, RemoveAxis};
use std::any::type_name;
use std::marker::PhantomData;
use tilework_expr::{Along, DType, Element, Front, Read};
use tilework_kernels::Plane;
use tilework_kernels::native::{BlockCall, Descriptor, Entry, Gives, Takes};
use tilework_plan::{AxisGrid, Grid};

/// The function that says what a block comes to.
struct Totals<F, A, D, S, P>(PhantomData<(F, A, D, S, P)>);

impl<F, A: Element, D: RemoveAxis, S: Params, P: Params> Totals<F, A, D, S, P>
where
    F: Fn(ArrayView<'_, A, D>, &P) -> ndarray::Array<S, D::Smaller>,
{
    const DESCRIPTOR: &'static Descriptor = {
        let types = (Takes::Each(&[A::DTYPE]), Gives::Dtype(DType::U8));
        let entry = Entry::Block(Self::conjured);
        // SAFETY: `conjured` looks at the block's dtype; it calls a function that `ship` let pass.
        &unsafe { Descriptor::new(type_name::<F>, types, accepts::<Around<P>>, entry) }
    };

    fn conjured(call: &BlockCall<'_>) -> Told<Plane> {
        // SAFETY: only functions that passed `ship` are named, and only what is named is called.
        let f = unsafe { conjure::<F>() };
        of_block(call, |_, block, params| f(block, params))
    }
}

/// The function that joins what lies before each block; nothing lies before the first.
struct Carries<C, S, P>(PhantomData<(C, S, P)>);

impl<C: Fn(&S, &S, &P) -> S, S: Params, P: Params> Carries<C, S, P> {
    const DESCRIPTOR: &'static Descriptor = {
        let types = (Takes::Each(&[DType::U8]), Gives::Dtype(DType::U8));
        let entry = Entry::Block(Self::conjured);
        // SAFETY: `conjured` looks at the block's dtype; it calls a function that `ship` let pass.
        &unsafe { Descriptor::new(type_name::<C>, types, accepts::<Around<P>>, entry) }
    };

    fn conjured(call: &BlockCall<'_>) -> Told<Plane> {
        let around = Around::<P>::of(call)?;
        let states = view_of::<u8>(call.block(0)?)?;
        let axis = Axis(around.first_folded());
        // SAFETY: only functions that passed `ship` are named, and only what is named is called.
        let f = unsafe { conjure::<C>() };
        let mut carries = ndarray::ArrayD::<u8>::zeros(IxDyn(&call.shape()));
        let mut before: Option<Vec<S>> = None;
        for (totals, mut to) in states.axis_iter(axis).zip(carries.axis_iter_mut(axis)) {
            if let Some(before) = &before {
                let bytes = written(before.iter().copied(), to.shape())?;
                to.assign(&view_of::<u8>(&bytes)?);
            }
            let totals = read::<S>(totals).collect::<Told<Vec<S>>>()?;
            before = Some(match before {
                None => totals,
                Some(before) => before.iter().zip(&totals).map(|(a, b)| f(a, b, &around.params)).collect(),
            });
        }
        Ok(plane_of_array(carries))
    }
}

/// The function that makes blocks of the result, of an axis in several chunks or in one.
struct Scanning<F, A, D, S, P, B, const CARRIED: bool>(PhantomData<(F, A, D, S, P, B)>);

impl<F, A: Element, D: RemoveAxis, S: Params, P: Params, B: Element, const CARRIED: bool>
    Scanning<F, A, D, S, P, B, CARRIED>
where
    F: Fn(ArrayView<'_, A, D>, Option<ArrayView<'_, S, D::Smaller>>, &P) -> ndarray::Array<B, D>,
{
    const DESCRIPTOR: &'static Descriptor = {
        let takes: &[DType] = if CARRIED { &[A::DTYPE, DType::U8] } else { &[A::DTYPE] };
        let entry = Entry::Block(Self::conjured);
        let types = (Takes::Each(takes), Gives::Dtype(B::DTYPE));
        // SAFETY: `conjured` looks at the blocks' dtypes; it calls a function that `ship` let pass.
        &unsafe { Descriptor::new(type_name::<F>, types, accepts::<Around<P>>, entry) }
    };

    fn conjured(call: &BlockCall<'_>) -> Told<Plane> {
        let around = Around::<P>::of(call)?;
        let axis = Axis(around.first_folded());
        let before = match CARRIED && call.place.chunk[axis.index()] > 0 {
            false => None,
            true => {
                let states = view_of::<u8>(call.block(1)?)?.index_axis_move(axis, 0);
                let shape = states.shape()[..states.ndim() - 1].to_vec();
                let states = read::<S>(states).collect::<Told<Vec<S>>>()?;
                let states =
                    ndarray::ArrayD::from_shape_vec(IxDyn(&shape), states).map_err(|e| e.to_string())?;
                Some(states.into_dimensionality::<D::Smaller>().map_err(|e| e.to_string())?)
            }
        };
        // SAFETY: only functions that passed `ship` are named, and only what is named is called.
        let f = unsafe { conjure::<F>() };
        let before = before.as_ref().map(|before| before.view());
        Ok(plane_of_array(f(block_of(call, 0)?, before, &around.params)))
    }
}

/// # Scans of your own
impl<A: Element, D: RemoveAxis> Array<A, D> {
    /// Your own running results along an axis: a lazy array of the same shape and chunks. Dask's `cumreduction`.
    ///
    /// * `total(block, &params)` says what a block comes to: a state for each position of the other axes, a value of one size
    ///   that travels ([`Params`]).
    /// * `combine(&before, &total, &params)` joins what lies before a block and what it comes to.
    /// * `scan(block, before, &params)` makes the block of the result, of the states of all that lies before it; of a first
    ///   block there are none.
    ///
    /// Chunks are read twice, all of them side by side; what is joined in order are the states alone.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// // A balance that begins at 100 and bears interest before each payment: a factor and a sum for each block.
    /// let payments = Array::from_vec_chunked(vec![10.0, -20.0, 0.0, 50.0, 4.0], 2);
    /// let balances = payments.scan_with(Axis(0), 1.5, (
    ///     |block, rate| ndarray::arr0(block.iter().fold((1.0, 0.0), |(f, sum), x| (f * rate, sum * rate + x))),
    ///     |a, b, _| (a.0 * b.0, a.1 * b.0 + b.1),
    ///     |block, before, rate| {
    ///         let mut balance = before.map_or(100.0, |b| 100.0 * b[()].0 + b[()].1);
    ///         block.mapv(|x| { balance = balance * rate + x; balance })
    ///     },
    /// ));
    /// assert_eq!(balances.compute(), ndarray::arr1(&[160.0, 220.0, 330.0, 545.0, 821.5]));
    /// ```
    ///
    /// Functions capture nothing, and run on workers that are this program: see [`Array::mapv_with`].
    ///
    /// # Panics
    /// Where [`Array::try_scan_with`] returns an error.
    #[must_use]
    #[track_caller]
    pub fn scan_with<P, S, B, F, C, G>(&self, axis: Axis, params: P, functions: (F, C, G)) -> Array<B, D>
    where
        P: Params,
        S: Params,
        B: Element,
        F: Fn(ArrayView<'_, A, D>, &P) -> ndarray::Array<S, D::Smaller> + Send + Sync + 'static,
        C: Fn(&S, &S, &P) -> S + Send + Sync + 'static,
        G: Fn(ArrayView<'_, A, D>, Option<ArrayView<'_, S, D::Smaller>>, &P) -> ndarray::Array<B, D>
            + Send
            + Sync
            + 'static,
    {
        captures_nothing!((F, C, G));
        or_panic(self.try_scan_with(axis, params, functions))
    }

    /// [`Array::scan_with`] that returns what goes wrong.
    ///
    /// # Errors
    /// An axis out of range; states of no bytes or more than 64 KiB, or of which zeros are none; [`Error::Function`] for
    /// functions that capture variables. The computation fails where a block has another shape, another number of states than
    /// positions, or a state another size.
    pub fn try_scan_with<P, S, B, F, C, G>(
        &self,
        axis: Axis,
        params: P,
        (total, combine, scan): (F, C, G),
    ) -> Result<Array<B, D>>
    where
        P: Params,
        S: Params,
        B: Element,
        F: Fn(ArrayView<'_, A, D>, &P) -> ndarray::Array<S, D::Smaller> + Send + Sync + 'static,
        C: Fn(&S, &S, &P) -> S + Send + Sync + 'static,
        G: Fn(ArrayView<'_, A, D>, Option<ArrayView<'_, S, D::Smaller>>, &P) -> ndarray::Array<B, D>
            + Send
            + Sync
            + 'static,
    {
        let expr = self.leaf()?;
        let (axis, grid, n_bytes) = (axis_of(&expr, axis)?, expr.grid(), state_bytes::<S>()?);
        let around = Around::new(&expr, &[axis], params);
        let totals = ship(Totals::<F, A, D, S, P>::DESCRIPTOR, &total, vec![A::DTYPE], &around);
        let carries = ship(Carries::<C, S, P>::DESCRIPTOR, &combine, vec![DType::U8], &around);
        let (totals, carries) = (totals.map_err(Error::Function)?, carries.map_err(Error::Function)?);
        let own = (&expr, same(expr.ndim()));
        let (front, n_chunks) = (Front::ScanWith, grid.axes()[axis].n_chunks());
        if n_chunks == 1 || expr.is_empty() {
            let alone = Scanning::<G, A, D, S, P, B, false>::DESCRIPTOR;
            let alone = ship(alone, &scan, vec![A::DTYPE], &around).map_err(Error::Function)?;
            return Ok(Array::of_expr(stage((alone, front), &[own], grid, grid)?));
        }
        let cut = |along: AxisGrid| {
            let mut axes = grid.axes().to_vec();
            axes[axis] = along;
            with_last(&axes, n_bytes)
        };
        let space: Grid = with_last(grid.axes(), 1);
        let each = cut(AxisGrid::regular(n_chunks, 1));
        let totals = stage((totals, front), std::slice::from_ref(&own), &space, &each)?;
        let together = cut(AxisGrid::whole(n_chunks));
        let all = same(totals.ndim());
        let carries = stage((carries, front), &[(&totals, all)], &together, &together)?;
        let along = |a: usize| match a {
            a if a == axis => Along::Number { axis },
            a if a == grid.ndim() => Along::All,
            a => Along::same(a),
        };
        let before = Read::Box((0..=grid.ndim()).map(along).collect());
        let carried = Scanning::<G, A, D, S, P, B, true>::DESCRIPTOR;
        let carried = ship(carried, &scan, vec![A::DTYPE, DType::U8], &around).map_err(Error::Function)?;
        Ok(Array::of_expr(stage((carried, front), &[own, (&carries, before)], grid, grid)?))
    }
}
