//! Sums over products of arrays whose axes have letters.
//!
//! Knows how subscripts are read, and how a sum over several arrays is taken apart into products of two. Must not know how
//! blocks are multiplied.

use super::super::{cut, stage, undefined};
use super::{constant, of_dims};
use crate::array::{Array, chunks_of};
use crate::error::{Error, Result, or_panic};
use ndarray::Dimension;
use tilework_expr::{
    AUTO_CHUNK_BYTES, Along, BinaryOp, DType, Element, Expr, ExprError, Fold, Read, SliceArg,
};
use tilework_kernels::library::einsum::Pair;
use tilework_plan::{AxisGrid, Grid};

/// The most bytes that a chunk of a product has, unless one of what it is made of has more.
const PRODUCT_BYTES: usize = 4 * AUTO_CHUNK_BYTES;

/// Arrays of one element type and any dimensions: tuples of up to eight references.
pub trait Operands<A> {
    #[doc(hidden)]
    fn leaves(self) -> Result<Vec<Expr>>;
}

macro_rules! operands {
    ($(($($d:ident $i:tt)+))*) => { $(
        impl<A: Element, $($d: Dimension),+> Operands<A> for ($(&Array<A, $d>,)+) {
            fn leaves(self) -> Result<Vec<Expr>> {
                Ok(vec![$(self.$i.leaf()?),+])
            }
        }
    )* };
}
operands! {
    (D0 0)
    (D0 0 D1 1)
    (D0 0 D1 1 D2 2)
    (D0 0 D1 1 D2 2 D3 3)
    (D0 0 D1 1 D2 2 D3 3 D4 4)
    (D0 0 D1 1 D2 2 D3 3 D4 4 D5 5)
    (D0 0 D1 1 D2 2 D3 3 D4 4 D5 5 D6 6)
    (D0 0 D1 1 D2 2 D3 3 D4 4 D5 5 D6 6 D7 7)
}

/// Einstein's sum: each axis of the arrays has a letter; what has the same letter goes along together, and letters that the
/// result lacks are summed over. A lazy array of the dimensions that its type says.
///
/// `"ij,jk->ik"` is the product of two matrices, `"bij,bjk->bik"` that of many, `"ii->i"` a diagonal, `"ij->ji"` a transpose.
/// Without an arrow the result has the letters that occur once, in the alphabet's order, as NumPy's. Axes of one letter have one
/// length.
///
/// An ellipsis stands for all axes that have no letter, `"...ij,...jk->...ik"`: those of several arrays belong together from the
/// last, and are repeated where one array has none or one of length 1. Without an arrow they come first in the result; with one
/// the result has an ellipsis too, unless there are no such axes.
///
/// Several arrays are multiplied two by two, each time those whose product is smallest beside what it is made of. A product
/// that is summed takes each pair of chunks once, and adds up what those come to: no task holds more than three chunks. Of
/// matrices it is [`Array::dot`]; nothing is summed of an outer product, which is elementwise work.
///
/// ```
/// use tilework::linalg::einsum;
/// use tilework::prelude::*;
///
/// let a = Array::from_shape_vec((2, 3), vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap().rechunk(2);
/// let x = arr1(&[1.0, 0.0, -1.0]);
/// let y: Array1<f64> = einsum("ij,j->i", (&a, &x));
/// assert_eq!(y.compute(), ndarray::arr1(&[-2.0, -2.0]));
/// ```
///
/// # Panics
/// Where [`try_einsum`] returns an error.
#[must_use]
#[track_caller]
pub fn einsum<A: Element, D: Dimension>(subscripts: &str, arrays: impl Operands<A>) -> Array<A, D> {
    or_panic(try_einsum(subscripts, arrays))
}

/// [`einsum`] that returns what goes wrong.
///
/// # Errors
/// Subscripts that are none, with the position of what is wrong; another number of letters than of axes, or of terms than of
/// arrays; lengths of one letter that differ; an ellipsis that stands for axes which the result lacks; elements of `bool`;
/// another number of dimensions than the type has.
pub fn try_einsum<A: Element, D: Dimension>(
    subscripts: &str,
    arrays: impl Operands<A>,
) -> Result<Array<A, D>> {
    let mut arrays = arrays.leaves()?;
    let (mut terms, out) = Subscripts(subscripts).parse(&arrays)?;
    unrepeated(&mut arrays, &mut terms)?;
    of_dims("the result of einsum", contracted(&arrays, &terms, &out)?)
}

/// The axes that an ellipsis stands for have these for letters, counted from the first that any array has.
const ELLIPSIS: u8 = 128;

/// A letter as messages have it.
fn named(letter: u8) -> String {
    match letter.checked_sub(ELLIPSIS) {
        Some(axis) => format!("axis {axis} of the ellipsis"),
        None => format!("{:?}", char::from(letter)),
    }
}

/// Takes away axes of an ellipsis that have length 1 where another array has more.
fn unrepeated(arrays: &mut [Expr], terms: &mut [Vec<u8>]) -> Result<()> {
    let of = |array: &Expr, letters: &[u8]| letters.iter().copied().zip(array.shape()).collect::<Vec<_>>();
    let all: Vec<(u8, usize)> = arrays.iter().zip(&*terms).flat_map(|(a, t)| of(a, t)).collect();
    let longer = |letter: u8| all.iter().any(|(l, len)| *l == letter && *len != 1);
    for (array, letters) in arrays.iter_mut().zip(terms) {
        let shape = array.shape();
        let once = |axis: usize| letters[axis] >= ELLIPSIS && shape[axis] == 1 && longer(letters[axis]);
        let axes: Vec<usize> = (0..letters.len().min(shape.len())).filter(|&axis| once(axis)).collect();
        for &axis in axes.iter().rev() {
            *array = cut(array, axis, SliceArg::At(0))?;
            letters.remove(axis);
        }
    }
    Ok(())
}

/// Letters with, where there is an ellipsis, how many stand before it.
#[derive(Default)]
struct Group {
    letters: Vec<u8>,
    ellipsis: Option<usize>,
}

impl Group {
    /// The letters of all axes, of which the ellipsis is so many of `most`.
    fn with(mut self, n: usize, most: usize) -> Vec<u8> {
        if let Some(at) = self.ellipsis {
            self.letters.splice(at..at, (most - n..most).map(|axis| ELLIPSIS + axis as u8));
        }
        self.letters
    }
}

/// What says which axes go together.
struct Subscripts<'a>(&'a str);

impl Subscripts<'_> {
    fn wrong(&self, at: usize, expected: &'static str) -> Error {
        let found = self.0[at..].chars().next().map_or("the end".to_owned(), |c| format!("{c:?}"));
        let got = format!("{found} at position {at} of {:?}", self.0);
        ExprError::Parameter { what: "subscripts of einsum", got, expected }.into()
    }

    /// The letters of each array and of the result, those of ellipses among them.
    fn parse(&self, arrays: &[Expr]) -> Result<(Vec<Vec<u8>>, Vec<u8>)> {
        let (terms, out) = self.groups()?;
        if terms.len() != arrays.len() {
            let got = format!("{} in {:?} for {} arrays", terms.len(), self.0, arrays.len());
            let what = "terms of einsum's subscripts";
            return Err(ExprError::Parameter { what, got, expected: "one for each array" }.into());
        }
        // Too few axes for the letters are an error of theirs.
        let n = |(term, array): (&Group, &Expr)| {
            term.ellipsis.map_or(0, |_| array.ndim().saturating_sub(term.letters.len()))
        };
        let each: Vec<usize> = terms.iter().zip(arrays).map(n).collect();
        let most = each.iter().copied().max().unwrap_or(0);
        let mut out = match out {
            Some(out) => out,
            None => Group { letters: once(&terms), ellipsis: Some(0) },
        };
        match out.ellipsis {
            None if most > 0 => {
                let got = format!("no ellipsis in the result of {:?}, which stands for {most} axes", self.0);
                let (what, expected) = ("subscripts of einsum", "one in the result too");
                return Err(ExprError::Parameter { what, got, expected }.into());
            }
            None => out.ellipsis = Some(0),
            Some(_) => {}
        }
        let terms = terms.into_iter().zip(each).map(|(term, n)| term.with(n, most)).collect();
        Ok((terms, out.with(most, most)))
    }

    /// The groups of letters of the arrays, and that of the result where there is an arrow.
    fn groups(&self) -> Result<(Vec<Group>, Option<Group>)> {
        let mut terms = vec![Group::default()];
        let (mut arrow, mut before, mut dots) = (None, None, 0);
        for (at, c) in self.0.char_indices() {
            if c == '.' {
                let group = terms.last_mut().expect("a term");
                if dots == 0 && group.ellipsis.is_some() {
                    return Err(self.wrong(at, "one ellipsis"));
                }
                group.ellipsis = Some(group.letters.len());
                dots = (dots + 1) % 3;
                continue;
            }
            if dots > 0 {
                return Err(self.wrong(at, "three dots"));
            }
            match (c, arrow) {
                ('>', Some(_)) if before == Some(at - 1) => {}
                (' ', _) if before.is_none() => {}
                (_, _) if before.is_some() => return Err(self.wrong(at, "> after -")),
                ('-', None) => {
                    (arrow, before) = (Some(at), Some(at));
                    terms.push(Group::default());
                    continue;
                }
                (',', None) => terms.push(Group::default()),
                (c, Some(_)) if c.is_ascii_alphabetic() => {
                    let known = terms.iter().rev().skip(1).any(|t| t.letters.contains(&(c as u8)));
                    let letters = &mut terms.last_mut().expect("the result's letters").letters;
                    if letters.contains(&(c as u8)) {
                        return Err(self.wrong(at, "each letter of the result once"));
                    }
                    if !known {
                        return Err(self.wrong(at, "a letter of an array"));
                    }
                    letters.push(c as u8);
                }
                (c, None) if c.is_ascii_alphabetic() => {
                    terms.last_mut().expect("a term").letters.push(c as u8)
                }
                (_, None) => return Err(self.wrong(at, "letters, a comma or ->")),
                (_, Some(_)) => return Err(self.wrong(at, "letters of the result")),
            }
            before = None;
        }
        if before.is_some() {
            return Err(self.wrong(self.0.len(), "> after -"));
        }
        if dots > 0 {
            return Err(self.wrong(self.0.len(), "three dots"));
        }
        let out = if arrow.is_some() { terms.pop() } else { None };
        Ok((terms, out))
    }
}

/// Letters that occur once, in their order.
fn once(terms: &[Group]) -> Vec<u8> {
    let all: Vec<u8> = terms.iter().flat_map(|term| term.letters.iter().copied()).collect();
    let mut found: Vec<u8> =
        all.iter().filter(|l| all.iter().filter(|o| o == l).count() == 1).copied().collect();
    found.sort_unstable();
    found
}

/// An array with its letters.
#[derive(Clone)]
struct Term {
    expr: Expr,
    letters: Vec<u8>,
}

impl Term {
    fn len_of(&self, letter: u8) -> usize {
        let at = self.letters.iter().position(|l| *l == letter);
        at.map_or(1, |axis| self.expr.shape()[axis])
    }

    /// The axes in this order, each letter of which it has.
    fn ordered(&self, order: &[u8]) -> Result<Expr> {
        let at = |letter: &u8| self.letters.iter().position(|l| l == letter).expect("a letter of the term");
        Ok(self.expr.permute(&order.iter().map(at).collect::<Vec<_>>())?)
    }

    /// Of letters that occur twice, the diagonal.
    fn without_repeats(mut self) -> Result<Term> {
        while let Some((a, b)) = repeated(&self.letters) {
            let ndim = self.expr.ndim();
            let index = |axis: usize| -> Result<Expr> {
                let grid = self.expr.grid().select(&[axis]);
                let along = Expr::index(&grid.shape(), &chunks_of(&grid), 0)?;
                (axis + 1..ndim).try_fold(along, |e, _| Ok(e.insert_axis(e.ndim())?))
            };
            let on_diagonal = index(a)?.binary(BinaryOp::Eq, &index(b)?)?;
            let zero = constant(&[], self.expr.dtype(), 0.0)?;
            self.expr = on_diagonal.select(&self.expr, &zero)?.reduce(Fold::Sum, &[b])?;
            self.letters.remove(b);
        }
        Ok(self)
    }

    /// Summed over letters that nobody else has.
    fn summed(self, keep: impl Fn(&u8) -> bool) -> Result<Term> {
        let axes: Vec<usize> = (0..self.letters.len()).filter(|&a| !keep(&self.letters[a])).collect();
        if axes.is_empty() {
            return Ok(self);
        }
        let letters = self.letters.into_iter().filter(keep).collect();
        Ok(Term { expr: self.expr.reduce(Fold::Sum, &axes)?, letters })
    }
}

/// The first two axes of one letter.
fn repeated(letters: &[u8]) -> Option<(usize, usize)> {
    let again = |a: usize| letters[a + 1..].iter().position(|l| *l == letters[a]).map(|b| (a, a + 1 + b));
    (0..letters.len()).find_map(again)
}

/// The product of the arrays, summed over the letters that the result lacks.
pub(super) fn contracted(arrays: &[Expr], terms: &[Vec<u8>], out: &[u8]) -> Result<Expr> {
    check(arrays, terms)?;
    let made = arrays
        .iter()
        .zip(terms)
        .map(|(expr, letters)| Term { expr: expr.clone(), letters: letters.clone() }.without_repeats());
    let mut terms = made.collect::<Result<Vec<Term>>>()?;
    while terms.len() > 1 {
        let (i, j) = cheapest(&terms, out);
        let (right, left) = (terms.remove(j), terms.remove(i));
        let keep = |l: &u8| out.contains(l) || terms.iter().any(|t| t.letters.contains(l));
        let left = left.summed(|l| keep(l) || right.letters.contains(l))?;
        let right = right.summed(|l| keep(l) || left.letters.contains(l))?;
        let product = product(&left, &right, &|l| keep(l))?;
        terms.insert(i, product);
    }
    terms.remove(0).summed(|l| out.contains(l))?.ordered(out)
}

/// Every letter has one length, every axis a letter, and all elements one dtype that has sums.
fn check(arrays: &[Expr], terms: &[Vec<u8>]) -> Result<()> {
    let mut lens: Vec<(u8, usize)> = Vec::new();
    let dtype = arrays[0].dtype();
    for (i, (array, letters)) in arrays.iter().zip(terms).enumerate() {
        if array.dtype() != dtype {
            let (op, left, right) = ("einsum".into(), dtype, array.dtype());
            return Err(ExprError::MixedDTypes { op, left, right }.into());
        }
        if array.ndim() != letters.len() {
            let got = format!("{} for the {} dimensions of array {i}", letters.len(), array.ndim());
            let (what, expected) = ("letters of an array", "one for each of its axes");
            return Err(ExprError::Parameter { what, got, expected }.into());
        }
        for (&letter, len) in letters.iter().zip(array.shape()) {
            match lens.iter().find(|(l, _)| *l == letter) {
                Some(&(_, first)) if first != len => {
                    let got = format!("{first} and {len} of {}", named(letter));
                    let (what, expected) = ("lengths of one letter", "equal ones");
                    return Err(ExprError::Parameter { what, got, expected }.into());
                }
                Some(_) => {}
                None => lens.push((letter, len)),
            }
        }
    }
    if dtype == DType::Bool { Err(undefined("einsum", dtype)) } else { Ok(()) }
}

/// The two whose product is smallest beside what it is made of; the first of such pairs.
fn cheapest(terms: &[Term], out: &[u8]) -> (usize, usize) {
    let size = |letters: &[u8], of: &[&Term]| -> f64 {
        let len = |l: &u8| of.iter().map(|t| t.len_of(*l)).max().unwrap_or(1) as f64;
        letters.iter().map(len).product()
    };
    let cost = |i: usize, j: usize| {
        let (a, b) = (&terms[i], &terms[j]);
        let others = || terms.iter().enumerate().filter(move |(k, _)| *k != i && *k != j);
        let kept = |l: &u8| out.contains(l) || others().any(|(_, t)| t.letters.contains(l));
        let right = b.letters.iter().filter(|l| !a.letters.contains(l));
        let made: Vec<u8> = a.letters.iter().chain(right).filter(|l| kept(l)).copied().collect();
        size(&made, &[a, b]) - size(&a.letters, &[a]) - size(&b.letters, &[b])
    };
    let pairs = (0..terms.len()).flat_map(|i| (i + 1..terms.len()).map(move |j| (i, j)));
    pairs.min_by(|&(a, b), &(c, d)| cost(a, b).total_cmp(&cost(c, d))).expect("two terms")
}

/// The product of two, summed over letters that are not kept, which both have.
fn product(left: &Term, right: &Term, keep: &dyn Fn(&u8) -> bool) -> Result<Term> {
    let (shared, rows): (Vec<u8>, Vec<u8>) = left.letters.iter().partition(|l| right.letters.contains(l));
    let (batch, summed): (Vec<u8>, Vec<u8>) = shared.into_iter().partition(|l| keep(l));
    let columns: Vec<u8> = right.letters.iter().filter(|l| !left.letters.contains(l)).copied().collect();
    let letters = [&batch[..], &rows, &columns].concat();
    if summed.is_empty() {
        return Ok(Term { expr: side_by_side(left, right, (&batch, &rows, &columns))?, letters });
    }
    if batch.is_empty() && rows.len() == 1 && columns.len() == 1 && summed.len() == 1 {
        let a = left.ordered(&[rows[0], summed[0]])?;
        let expr = a.dot(&right.ordered(&[summed[0], columns[0]])?)?;
        return Ok(Term { expr, letters });
    }
    let pair = Pair { left: left.letters.clone(), right: right.letters.clone(), out: letters.clone() };
    Ok(Term { expr: by_chunks((left, right), &pair, &summed)?, letters })
}

/// A product of which nothing is summed: elementwise, with an axis of 1 for each letter that one of them lacks.
fn side_by_side(left: &Term, right: &Term, (batch, rows, columns): (&[u8], &[u8], &[u8])) -> Result<Expr> {
    let mut a = left.ordered(&[batch, rows].concat())?;
    for _ in columns {
        a = a.insert_axis(a.ndim())?;
    }
    let mut b = right.ordered(&[batch, columns].concat())?;
    for _ in rows {
        b = b.insert_axis(batch.len())?;
    }
    Ok(a.binary(BinaryOp::Mul, &b)?)
}

/// A product chunk by chunk: one task for each chunk of the result and of the letters that are summed.
fn by_chunks((left, right): (&Term, &Term), pair: &Pair, summed: &[u8]) -> Result<Expr> {
    let dtype = left.expr.dtype();
    let axis = |letter: &u8| -> AxisGrid {
        let of = if left.letters.contains(letter) { left } else { right };
        let at = of.letters.iter().position(|l| l == letter).expect("a letter of one of them");
        of.expr.grid().axes()[at].clone()
    };
    let mut out: Vec<AxisGrid> = pair.out.iter().map(axis).collect();
    if left.expr.is_empty() || right.expr.is_empty() {
        return constant(&out.iter().map(AxisGrid::len).collect::<Vec<_>>(), dtype, 0.0);
    }
    let operands = left.expr.grid().chunk_len_max().max(right.expr.grid().chunk_len_max());
    let most = operands.max(PRODUCT_BYTES / dtype.size());
    while Grid::new(out.clone()).chunk_len_max() > most {
        let longest =
            out.iter_mut().max_by_key(|a| a.chunk_max()).expect("a chunk that is too long has axes");
        *longest = longest.halved();
    }
    let along: Vec<AxisGrid> = summed.iter().map(axis).collect();
    let letters = [&pair.out[..], summed].concat();
    let space = [&out[..], &along[..]].concat();
    let place = |letter: &u8| letters.iter().position(|l| l == letter).expect("every letter has an axis");
    let read = |of: &Term| -> Result<(Expr, Read)> {
        let axes = of.letters.iter().map(|l| space[place(l)].clone()).collect();
        let reads = of.letters.iter().map(|l| Along::same(place(l))).collect();
        Ok((of.expr.on_grid(Grid::new(axes))?, Read::Box(reads)))
    };
    let (a, b) = (read(left)?, read(right)?);
    let n_chunks: Vec<usize> = along.iter().map(AxisGrid::n_chunks).collect();
    out.extend(n_chunks.iter().map(|&n| AxisGrid::regular(n, 1)));
    let inputs = [(&a.0, a.1), (&b.0, b.1)];
    let parts = stage(pair.function(dtype), &inputs, &Grid::new(space), &Grid::new(out))?;
    let n = pair.out.len();
    if n_chunks.iter().all(|&n| n == 1) {
        let mut args = vec![SliceArg::Range { start: 0, end: None, step: 1 }; n];
        args.extend(vec![SliceArg::At(0); summed.len()]);
        return Ok(parts.slice(&args)?);
    }
    Ok(parts.reduce(Fold::Sum, &(n..n + summed.len()).collect::<Vec<_>>())?)
}
