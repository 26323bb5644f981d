//! Which values of a fused program are computed in one loop with one of their arguments.
//!
//! Knows values. Must not know where they lie.

use crate::ops::{PairFns, pair_fns};
use tilework_expr::{BinaryOp, Def, Fused, Value, ValueIdx};

/// A value that is computed in one loop with one of its arguments, which nobody else reads.
pub(crate) struct Pair {
    pub f: PairFns,
    /// That argument: the value of the first function.
    pub first: usize,
    /// The arguments of the first function; one that is constant comes second where that changes nothing.
    pub args: [usize; 2],
    /// The other argument of the second function.
    pub other: usize,
    /// Whether the first function's value is the second argument.
    pub after: bool,
}

/// For each value, the pair whose second function makes it, if there is one.
pub(crate) fn pairs(fused: &Fused) -> Vec<Option<Pair>> {
    let n = fused.values.len();
    let mut n_readers = vec![0; n];
    for value in &fused.values {
        arguments(&value.def).for_each(|v| n_readers[v.0 as usize] += 1);
    }
    let mut found: Vec<Option<Pair>> = Vec::with_capacity(n);
    for value in &fused.values {
        let fits = |v: ValueIdx| n_readers[v.0 as usize] == 1 && found[v.0 as usize].is_none();
        found.push(match value.def {
            Def::Binary(_, a, b) => [(a, false), (b, true)]
                .into_iter()
                .filter(|&(v, _)| fits(v))
                .find_map(|(_, after)| pair(fused, value, after)),
            _ => None,
        });
    }
    found
}

/// The pair of a value and its first argument, or its second one, if there are loops for both functions.
fn pair(fused: &Fused, outer: &Value, after: bool) -> Option<Pair> {
    let Def::Binary(then, x, y) = outer.def else { return None };
    let (first, other) = if after { (y, x) } else { (x, y) };
    let inner = fused.value(first);
    let Def::Binary(op, a, b) = inner.def else { return None };
    let f = pair_fns(op, then, after, outer.dtype).filter(|_| inner.dtype == outer.dtype)?;
    let is_const = |v: ValueIdx| matches!(fused.value(v).def, Def::Const(_));
    let swaps = is_const(a) && !is_const(b) && op != BinaryOp::Sub;
    let args = if swaps { [b, a] } else { [a, b] }.map(|v| v.0 as usize);
    Some(Pair { f, first: first.0 as usize, args, other: other.0 as usize, after })
}

/// The values that a value is computed from.
pub(crate) fn arguments(def: &Def) -> impl Iterator<Item = ValueIdx> {
    let (some, more): ([Option<ValueIdx>; 3], &[ValueIdx]) = match def {
        Def::Unary(_, a) | Def::Cast(a) => ([Some(*a), None, None], &[]),
        Def::Binary(_, a, b) => ([Some(*a), Some(*b), None], &[]),
        Def::Select(c, a, b) => ([Some(*c), Some(*a), Some(*b)], &[]),
        Def::Apply(_, args) => ([None; 3], args),
        Def::Input { .. } | Def::Const(_) | Def::Index { .. } | Def::Random { .. } => ([None; 3], &[]),
    };
    some.into_iter().flatten().chain(more.iter().copied())
}
