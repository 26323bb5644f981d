//! Random choices, orders and shuffles.
//!
//! Knows of which stages they are made: of random elements, sorts and exchanges, so that they depend on the seed alone. Must
//! not know how those compute.

use crate::array::twins::function_twins;
use crate::array::{Array, Array1, ArrayBase, Data, shape_of};
use crate::error::Result;
use crate::library::{axis_of, exchange, moved, number, same, stage, topped, whole, wrong};
use ndarray::{Axis, Dimension, Ix1, ShapeBuilder};
use tilework_expr::{
    Along, AxisChunks, BinaryOp, Chunks, DType, Dist, Element, Expr, Gives, Read, SliceArg, UnaryOp,
};
use tilework_kernels::library::{count, pick, random as functions};
use tilework_plan::{AxisGrid, Grid};

/// The elements of values at positions, for which each task reads all values.
fn at(values: &Expr, positions: &Expr) -> Result<Expr> {
    let inputs = [(values, Read::Box(vec![Along::All])), (positions, same(positions.ndim()))];
    stage(pick::gather(values.dtype()), &inputs, positions.grid(), positions.grid())
}

fn check_weights(weights: &[f64], n: usize) -> Result<()> {
    if weights.len() != n {
        let got = format!("{} for {n} values", weights.len());
        return Err(wrong("weights of a choice", got, "one for each value"));
    }
    if let Some(weight) = weights.iter().find(|w| !w.is_finite() || **w < 0.0) {
        return Err(wrong("weights of a choice", weight.to_string(), "finite ones of 0 or more"));
    }
    let sum: f64 = weights.iter().sum();
    if n > 0 && sum > 0.0 && sum.is_finite() {
        return Ok(());
    }
    Err(wrong("weights of a choice", format!("a sum of {sum}"), "a finite one above 0"))
}

/// So many positions of all, none of them twice, in the order of keys, the least first.
fn first_of(keys: &Expr, count: usize) -> Result<Expr> {
    let all = |end: usize| SliceArg::Range { start: 0, end: Some(end as isize), step: 1 };
    match count <= keys.grid().chunk_len_max() {
        true => topped(keys, Axis(0), -(count as isize), true),
        // As many are brought together in one task for each chunk that there is.
        false => Ok(whole_order(keys)?.slice(&[all(count)])?),
    }
}

fn distinct(n: usize, count: usize, weights: Option<&[f64]>, seed: u64) -> Result<Expr> {
    if count > n {
        return Err(wrong("number of choices", format!("{count} of {n}"), "no more than there are"));
    }
    let Some(weights) = weights else { return first_of(&keys(n, &Chunks::Auto, seed)?, count) };
    check_weights(weights, n)?;
    let some = weights.iter().filter(|w| **w > 0.0).count();
    if count > some {
        let got = format!("{count} of {some} that have a weight");
        return Err(wrong("number of choices", got, "no more than there are"));
    }
    // Exponential times divided by the weights: who comes first (Efraimidis and Spirakis, "Weighted random sampling with a
    // reservoir", Information Processing Letters 97, 2006).
    let u = Expr::random(&[n], &Chunks::Auto, DType::F64, seed, Dist::Uniform { low: 0.0, high: 1.0 })?;
    let ln = number(DType::F64, 1.0)?.binary(BinaryOp::Sub, &u)?.unary(UnaryOp::Ln)?;
    // 0 divided by 0 would be no number.
    let weights = Array1::from(weights.to_vec()).leaf()?;
    let none = weights.binary(BinaryOp::Eq, &number(DType::F64, 0.0)?)?;
    let times = ln.unary(UnaryOp::Neg)?.binary(BinaryOp::Div, &weights)?;
    first_of(&none.select(&number(DType::F64, f64::INFINITY)?, &times)?, count)
}

/// A random word for each position.
fn keys(n: usize, chunks: &Chunks, seed: u64) -> Result<Expr> {
    Ok(Expr::random(&[n], chunks, DType::U64, seed, Dist::Integers { low: 0, high: 1 << 64 })?)
}

/// The positions of elements in order.
fn whole_order(keys: &Expr) -> Result<Expr> {
    whole(keys, true)
}

/// The rows of an axis at places of a random order.
fn shuffled(expr: &Expr, axis: Axis, seed: u64) -> Result<Expr> {
    let (axis, ndim, dtype) = (axis_of(expr, axis)?, expr.ndim(), expr.dtype());
    if expr.is_empty() {
        return Ok(expr.clone());
    }
    let rows = moved(expr, Axis(axis), Axis(0))?;
    // An exchange is along one axis, so that rows are whole.
    let mut whole = vec![AxisChunks::Whole; ndim];
    whole[0] = AxisChunks::Auto;
    let rows = if ndim == 1 { rows } else { rows.rechunk(&Chunks::Axes(whole))? };
    let mut axes = rows.grid().axes().to_vec();
    let lines = Grid::new(vec![axes[0].clone()]);
    let keys = keys(rows.shape()[0], &Chunks::Auto, seed)?;
    let places = whole_order(&keys)?.on_grid(lines.clone())?;
    axes[0] = AxisGrid::regular(rows.shape()[0], lines.axes()[0].chunk_max());
    let out = Grid::new(axes);
    let n_parts = out.n_chunks() as usize;
    let row_bytes = rows.len() / rows.shape()[0] * dtype.size();
    let bytes_guess = (lines.chunk_len_max() * (row_bytes + 8) + 16 * (n_parts + 1)) as u64;
    let mut of_rows = vec![Along::All; ndim];
    of_rows[0] = Along::same(0);
    let inputs = [(&rows, Read::Box(of_rows)), (&places, same(1))];
    let gives = Gives { n: n_parts as u32, bytes_guess };
    let parts = exchange(functions::parts(dtype, &out.axes()[0]), &inputs, &lines, gives)?;
    let made = stage(functions::merge(dtype), &[(&parts, Read::Block)], &out, &out)?;
    moved(&made, Axis(0), Axis(axis))
}

fn some<S: Data<Elem = A>, A: Element>(values: &ArrayBase<S, Ix1, A>) -> Result<Expr> {
    let expr = values.leaf()?;
    if expr.is_empty() {
        return Err(wrong("values to choose from", "none".into(), "at least one"));
    }
    Ok(expr)
}

function_twins! {
    /// Values chosen one by one, each as likely as the others and as often as it comes: a lazy array of this shape, in
    /// automatic chunks. Each of its tasks reads all values, so that those must fit into memory; positions are chosen from
    /// `Array::from_iter(0..n)`, or are [`integers`](super::integers).
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let dice = random::choice((20, 30), &arr1(&[1, 2, 3, 4, 5, 6]), 7);
    /// assert_eq!((dice.shape(), dice.min(), dice.max()), (&[20, 30][..], 1, 6));
    /// ```
    choice try_choice [S: Data<Elem = A>, A: Element, Sh: ShapeBuilder]
        (shape: Sh, values: &ArrayBase<S, Ix1, A>, seed: u64) -> Array<A, Sh::Dim>,
    errors "No values; a shape that is too large." {
        let values = some(values)?;
        let dist = Dist::Integers { low: 0, high: values.len() as i128 };
        let positions = Expr::random(&shape_of(shape), &Chunks::Auto, DType::U64, seed, dist)?;
        Ok(Array::of_expr(at(&values, &positions)?))
    }

    /// As [`choice`], each value as likely as its weight says; the weights need not add up to 1.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let sides = random::choice_weighted(10_000, &arr1(&[0i64, 1]), &[1.0, 3.0], 7);
    /// assert!((sides.sum() - 7500).abs() < 200);
    /// ```
    choice_weighted try_choice_weighted [S: Data<Elem = A>, A: Element, Sh: ShapeBuilder]
        (shape: Sh, values: &ArrayBase<S, Ix1, A>, weights: &[f64], seed: u64) -> Array<A, Sh::Dim>,
    errors "No values; weights that are not one for each value, below 0, not finite or all 0; a shape that is too large." {
        let values = some(values)?;
        check_weights(weights, values.len())?;
        let upto = |sum: &mut f64, weight: &f64| {
            *sum += weight;
            Some(*sum)
        };
        let upto: Vec<f64> = weights.iter().scan(0.0, upto).collect();
        // The greatest product is below the sum of all weights, rounded as it may be.
        let high = 1.0 - f64::EPSILON;
        let dist = Dist::Uniform { low: 0.0, high };
        let u = Expr::random(&shape_of(shape), &Chunks::Auto, DType::F64, seed, dist)?;
        let u = u.binary(BinaryOp::Mul, &number(DType::F64, upto[upto.len() - 1])?)?;
        let upto = Array1::from(upto).leaf()?;
        let inputs = [(&u, same(u.ndim())), (&upto, Read::Box(vec![Along::All]))];
        let positions = stage(count::searchsorted(DType::F64, count::Search::NotAbove), &inputs, u.grid(), u.grid())?;
        Ok(Array::of_expr(at(&values, &positions)?))
    }

    /// So many of the values, none of them twice, in random order: a lazy array of one axis.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let balls = random::choice_distinct(6, &Array::from_iter(1..50), 7).compute();
    /// assert_eq!(balls.iter().collect::<std::collections::HashSet<_>>().len(), 6);
    /// ```
    choice_distinct try_choice_distinct [S: Data<Elem = A>, A: Element]
        (count: usize, values: &ArrayBase<S, Ix1, A>, seed: u64) -> Array1<A>,
    errors "More than there are." {
        let values = values.leaf()?;
        Ok(Array::of_expr(at(&values, &distinct(values.len(), count, None, seed)?)?))
    }

    /// As [`choice_distinct`], one after another, each of those that are left as likely as its weight says.
    choice_distinct_weighted try_choice_distinct_weighted [S: Data<Elem = A>, A: Element]
        (count: usize, values: &ArrayBase<S, Ix1, A>, weights: &[f64], seed: u64) -> Array1<A>,
    errors "More than have a weight; weights that are not one for each value, below 0, not finite or all 0." {
        let values = values.leaf()?;
        Ok(Array::of_expr(at(&values, &distinct(values.len(), count, Some(weights), seed)?)?))
    }

    /// The numbers `0..n` in random order, each order as likely as another: a lazy array of one axis. It is the order of
    /// random words, which are sorted across chunks.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let order = random::permutation(100, 7);
    /// assert_eq!(order.sort(Axis(0)).compute(), ndarray::Array::from_iter(0..100));
    /// ```
    permutation try_permutation [] (n: usize, seed: u64) -> Array1<u64>,
    errors "More numbers than an array can have." {
        Ok(Array::of_expr(whole_order(&keys(n, &Chunks::Auto, seed)?)?))
    }

    /// The positions of an axis in random order, as NumPy's `Generator.shuffle`: rows, or whatever lies across the axis, stay
    /// together. A lazy array of the same shape, which depends on the seed and on the length of the axis, and not on chunks.
    /// What lies across the axis at one position is in one chunk.
    ///
    /// ```
    /// use tilework::prelude::*;
    ///
    /// let x = Array::from_iter(0..20).into_shape_with_order((5, 4)).unwrap();
    /// let y = random::shuffle(&x, Axis(0), 7);
    /// assert_eq!(y.sort(Axis(0)).compute(), x.compute());
    /// ```
    shuffle try_shuffle [S: Data<Elem = A>, A: Element, D: Dimension]
        (array: &ArrayBase<S, D, A>, axis: Axis, seed: u64) -> Array<A, D>,
    errors "An axis out of range." {
        Ok(Array::of_expr(shuffled(&array.leaf()?, axis, seed)?))
    }
}
