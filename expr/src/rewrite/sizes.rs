//! What it takes to make a value once more: the values that are made for its sake alone.
//!
//! A value is made for the sake of another if every way from it to an output, or to a stage, leads through that one
//! (which *dominates* it). Values that somebody else needs as well are not counted: whoever makes this one again finds
//! them, or reads them. So the sum of a long chain counts the chain, however often its parts are shared within it, and
//! one of the coupled variables of a solver counts what it does not have in common with the others. Constants and
//! indices cost nothing and are not counted.
//!
//! Dominators are found in one walk from users to inputs: the one of a node is the nearest common ancestor of its users
//! in the tree of dominators made so far, for in a graph without cycles all users come first. (Cooper, Harvey and
//! Kennedy, "A simple, fast dominance algorithm"; ancestors by Myers' "An applicative random-access stack".)
//!
//! Knows nodes and who uses them. Must not know what is done with the sizes.

use super::is_inline;
use crate::op::Op;
use crate::program::Program;

/// For each node, what making it again takes.
pub(super) struct Sizes {
    /// Values, itself and what it reads included.
    pub values: Vec<usize>,
    /// Whether some of them cost as much as many additions.
    pub costly: Vec<bool>,
}

impl Sizes {
    /// The sizes where the nodes in `staged` have stages of their own. A value of more than `values_max` is taken to
    /// get one too: its users count it as one.
    pub fn of(program: &Program, (live, staged): (&[bool], &[bool]), values_max: usize) -> Sizes {
        let n = program.nodes.len();
        let dominator = dominators(program, (live, staged));
        let mut sizes = Sizes { values: vec![1; n], costly: vec![false; n] };
        let mut is_constant = vec![false; n];
        for (i, node) in program.nodes.iter().enumerate() {
            sizes.costly[i] |= is_costly(&node.op);
            is_constant[i] = match &node.op {
                Op::Full(_) | Op::Index { .. } => !staged[i],
                Op::View(_) | Op::Rechunk => !staged[i] && is_constant[node.inputs[0].0 as usize],
                _ => false,
            };
            if is_constant[i] {
                sizes.values[i] = 0;
                continue;
            }
            for (at, input) in node.inputs.iter().enumerate() {
                let j = input.0 as usize;
                let counted = is_constant[j] || node.inputs[..at].contains(input);
                if dominator[j] as usize != i && !counted {
                    sizes.values[i] = sizes.values[i].saturating_add(1);
                }
            }
            let above = dominator[i] as usize;
            if is_inline(&node.op) && !staged[i] && above < n {
                let (own, costly) = (sizes.values[i], sizes.costly[i]);
                let cut = own > values_max;
                sizes.values[above] = sizes.values[above].saturating_add(if cut { 1 } else { own });
                sizes.costly[above] |= costly && !cut;
            }
        }
        sizes
    }
}

fn is_costly(op: &Op) -> bool {
    match op {
        Op::Unary(u) => u.is_costly(),
        Op::Binary(b) => b.is_costly(),
        // Nobody knows what it costs.
        Op::Apply(_) => true,
        _ => false,
    }
}

/// For each live node the one that dominates it: the number of nodes where none does, as for stages.
fn dominators(program: &Program, (live, staged): (&[bool], &[bool])) -> Vec<u32> {
    let n = program.nodes.len();
    let root = n as u32;
    let mut tree = Tree::new(n);
    for (i, node) in program.nodes.iter().enumerate().rev() {
        if !live[i] {
            continue;
        }
        if staged[i] || tree.parent[i] == UNKNOWN {
            tree.parent[i] = root;
        }
        tree.hang(i as u32);
        for input in &node.inputs {
            let j = input.0 as usize;
            tree.parent[j] = match tree.parent[j] {
                UNKNOWN => i as u32,
                above => tree.common(above, i as u32),
            };
        }
    }
    tree.parent.truncate(n);
    tree.parent
}

const UNKNOWN: u32 = u32::MAX;

/// A tree that grows at its leaves, in which common ancestors are found in logarithmic time.
struct Tree {
    parent: Vec<u32>,
    depth: Vec<u32>,
    /// An ancestor further up.
    jump: Vec<u32>,
}

impl Tree {
    /// A tree of its root, which is `n`.
    fn new(n: usize) -> Tree {
        let mut tree =
            Tree { parent: vec![UNKNOWN; n + 1], depth: vec![0; n + 1], jump: vec![n as u32; n + 1] };
        tree.parent[n] = n as u32;
        tree
    }

    /// Takes a node in whose parent is known and in.
    fn hang(&mut self, node: u32) {
        let p = self.parent[node as usize];
        let near = self.jump[p as usize];
        let far = self.jump[near as usize];
        let depth = |v: u32| self.depth[v as usize];
        let jump = if depth(p) - depth(near) == depth(near) - depth(far) { far } else { p };
        self.depth[node as usize] = depth(p) + 1;
        self.jump[node as usize] = jump;
    }

    /// The nearest common ancestor of two nodes.
    fn common(&self, a: u32, b: u32) -> u32 {
        let depth = |v: u32| self.depth[v as usize];
        let (mut a, mut b) = if depth(a) < depth(b) { (b, a) } else { (a, b) };
        while depth(a) > depth(b) {
            let far = self.jump[a as usize];
            a = if depth(far) >= depth(b) { far } else { self.parent[a as usize] };
        }
        while a != b {
            let far = (self.jump[a as usize], self.jump[b as usize]);
            (a, b) = if far.0 == far.1 { (self.parent[a as usize], self.parent[b as usize]) } else { far };
        }
        a
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BinaryOp, Chunks, DType, Expr, UnaryOp};

    #[test]
    fn common_ancestors_are_those_of_a_walk() {
        let n = 300u32;
        let mut tree = Tree::new(n as usize);
        for v in (0..n).rev() {
            // A parent among the later ones, now near, now far; often the root.
            let above = v + 1 + v * 7919 % (n - v).min(1 + v % 40);
            tree.parent[v as usize] = above.min(n);
            tree.hang(v);
        }
        let walk = |mut v: u32| {
            let mut up = vec![v];
            while v != n {
                v = tree.parent[v as usize];
                up.push(v);
            }
            up
        };
        for a in 0..=n {
            let up = walk(a);
            for b in (0..=n).step_by(7) {
                let want = *walk(b).iter().find(|v| up.contains(v)).unwrap();
                assert_eq!(tree.common(a, b), want, "{a} {b}");
            }
        }
    }

    #[test]
    fn a_value_counts_what_is_made_for_it_alone() {
        let x = Expr::literal(&[8], &Chunks::Auto, DType::F64, 1, std::sync::Arc::new(())).unwrap();
        let add = |a: &Expr, b: &Expr| a.binary(BinaryOp::Add, b).unwrap();
        let shared = x.unary(UnaryOp::Exp).unwrap();
        let left = add(&shared, &x);
        let right = add(&shared, &add(&x, &x));
        let both = add(&left, &right);
        let program = Program::new(&[both.clone(), left.unary(UnaryOp::Neg).unwrap()]);
        let n = program.nodes.len();
        let mut staged = vec![false; n];
        program.outputs.iter().for_each(|o| staged[o.0 as usize] = true);
        staged[0] = true;
        let sizes = Sizes::of(&program, (&vec![true; n], &staged), 400);
        // x, exp, left, x + x, right, both, -left: `exp` is nobody's alone, `x + x` is for `right`.
        assert_eq!(sizes.values, [1, 2, 3, 2, 4, 6, 2]);
        assert_eq!(sizes.costly, [false, true, false, false, false, false, false]);
        let alone = Program::new(&[both]);
        let sizes = Sizes::of(&alone, (&[true; 6], &[true, false, false, false, false, true]), 400);
        assert_eq!((sizes.values[5], sizes.costly[5]), (10, true));
    }
}
