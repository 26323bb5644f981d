//! Which values of a fused program are computed in one loop with one of their arguments.
//!
//! Knows values. Must not know where they lie.

use crate::ops::{PairFns, pair_fns};
use tilework_expr::{BinaryOp, Def, Fused, ValueIdx};

/// For each value that is computed in one loop with one of its arguments, that argument.
pub(crate) fn pairs(fused: &Fused) -> Vec<Option<usize>> {
    let n = fused.values.len();
    let mut n_readers = vec![0; n];
    for value in &fused.values {
        arguments(&value.def).iter().for_each(|v| n_readers[v.0 as usize] += 1);
    }
    let mut firsts: Vec<Option<usize>> = vec![None; n];
    for i in 0..n {
        let Def::Binary(_, a, b) = &fused.values[i].def else { continue };
        let fits = |v: &&ValueIdx| {
            let at = v.0 as usize;
            n_readers[at] == 1 && firsts[at].is_none() && pair(fused, at, i).is_some()
        };
        firsts[i] = [a, b].into_iter().find(fits).map(|v| v.0 as usize);
    }
    firsts
}

/// The loops for value `second` and its argument `first`, the arguments of the first function, and the other argument
/// of the second one; an argument of the first that is constant comes second where that changes nothing.
pub(crate) fn pair(fused: &Fused, first: usize, second: usize) -> Option<(PairFns, [usize; 2], usize)> {
    let (inner, outer) = (&fused.values[first], &fused.values[second]);
    let (Def::Binary(op, a, b), Def::Binary(then, x, y)) = (&inner.def, &outer.def) else { return None };
    let after = x.0 as usize != first;
    let f = pair_fns(*op, *then, after, outer.dtype).filter(|_| inner.dtype == outer.dtype)?;
    let other = if after { x } else { y };
    let is_const = |v: &ValueIdx| matches!(fused.value(*v).def, Def::Const(_));
    let swaps = is_const(a) && !is_const(b) && *op != BinaryOp::Sub;
    let [a, b] = if swaps { [b, a] } else { [a, b] };
    Some((f, [a.0 as usize, b.0 as usize], other.0 as usize))
}

/// The values that a value is computed from.
pub(crate) fn arguments(def: &Def) -> Vec<ValueIdx> {
    match def {
        Def::Unary(_, a) | Def::Cast(a) => vec![*a],
        Def::Binary(_, a, b) => vec![*a, *b],
        Def::Select(c, a, b) => vec![*c, *a, *b],
        Def::Apply(_, args) => args.clone(),
        Def::Input { .. } | Def::Const(_) | Def::Index { .. } | Def::Random { .. } => Vec::new(),
    }
}
