//! Functions as data: of the user's program, where a compiled function stands in the executable; of the library, its name;
//! and what blocks see of their neighbours.
//!
//! Knows names, offsets and geometry. Must not know how a function is found again or called.

use crate::dtype::{DType, Element, Scalar};
use tilework_plan::{Edge, Reach, Temporaries};

/// The most bytes of parameters that travel with a function of the user's.
pub const PARAMS_BYTES_MAX: usize = 64 << 10;

/// The same of one of the library's own, for which tables are written.
pub const OWN_PARAMS_BYTES_MAX: usize = 1 << 20;

/// The most inputs of such a function: an index of as many axes as an array may have.
pub const ARGUMENTS_MAX: usize = crate::check::NDIM_MAX;

/// A function of the user's program, compiled for the types that it is used with. It can be called by every process
/// of the same executable.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Kernel {
    /// Where its descriptor is: bytes from a fixed place of the same image.
    pub offset: i64,
    /// Which executable it was compiled into, as hexadecimal digits.
    pub build: String,
    /// The type of the function, as the compiler names it.
    pub name: String,
    /// Values that travel with it.
    pub params: Vec<u8>,
    /// The dtypes of the inputs.
    pub inputs: Vec<DType>,
    /// The result's dtype.
    pub output: DType,
}

/// A function of the library's own, known by its name: every worker of the same release has it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct OwnFunction {
    /// Its name in the workers' table.
    pub name: String,
    /// Its parameters, which it alone reads.
    pub params: Vec<u8>,
    /// The dtypes of the inputs.
    pub inputs: Vec<DType>,
    /// The result's dtype.
    pub output: DType,
    /// What it takes of memory besides what it reads and gives.
    pub temporaries: Temporaries,
}

/// What lies beyond an edge of an array, for blocks that see their neighbours. For an axis with elements `a b c d` and
/// a depth of 2:
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Boundary {
    /// Nothing: blocks at the edge are smaller there.
    None,
    /// The other end: `c d | a b c d | a b`.
    Periodic,
    /// The mirror image: `b a | a b c d | d c`.
    Reflect,
    /// The last element: `a a | a b c d | d d`.
    Nearest,
    /// This value: `x x | a b c d | x x`.
    Constant(Scalar),
}

impl Boundary {
    /// This value beyond the edges.
    #[must_use]
    pub fn constant<A: Element>(value: A) -> Boundary {
        Boundary::Constant(Scalar::new(value))
    }
}

/// What blocks see of their neighbours along one axis.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Halo {
    /// Positions before a block.
    pub before: usize,
    /// Positions behind it.
    pub after: usize,
    /// What they see beyond the edges.
    pub boundary: Boundary,
}

impl Halo {
    /// Nothing.
    pub const NONE: Halo = Halo { before: 0, after: 0, boundary: Boundary::None };

    /// As many positions on either side.
    #[must_use]
    pub fn even(depth: usize, boundary: Boundary) -> Halo {
        Halo { before: depth, after: depth, boundary }
    }

    /// Whether what lies beyond the ends can be made of what is read: a mirror image is, where it reaches as far on either
    /// side.
    #[must_use]
    pub fn mirrors(&self) -> bool {
        self.boundary != Boundary::Reflect || self.before == self.after
    }

    /// Whether it reaches beyond the block.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.before == 0 && self.after == 0
    }

    /// How far it reaches.
    #[must_use]
    pub fn reach(&self) -> Reach {
        let edge = match self.boundary {
            Boundary::None => Edge::Cut,
            Boundary::Periodic => Edge::Wrapped,
            Boundary::Reflect | Boundary::Nearest | Boundary::Constant(_) => Edge::Filled,
        };
        Reach { before: self.before, after: self.after, edge }
    }
}
