//! Fused elementwise programs: a chain of elementwise operations as one list of values, evaluated element by
//! element over an iteration space.
//!
//! Knows values and their order. Must not know how blocks of elements are computed.

use crate::dtype::{DType, Scalar};
use crate::kernel::Kernel;
use crate::op::{BinaryOp, Dist, UnaryOp};
use std::sync::Arc;

/// A value's place in its [`Fused`] program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ValueIdx(pub u32);

/// How a value is made, for one point of the iteration space.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Def {
    /// The element of the stage's input `slot` that its view names.
    Input {
        /// Position in the stage's list of inputs.
        slot: usize,
    },
    /// The same value everywhere.
    Const(Scalar),
    /// `start + sum(steps[a] * i[a])` as `i64`, where `i` is the point's index in the whole array.
    Index {
        /// Value at the origin.
        start: i64,
        /// Change along each axis of the iteration space.
        steps: Vec<i64>,
    },
    /// The random element at counter `start + sum(steps[a] * i[a])`.
    Random {
        /// The seed.
        key: u64,
        /// The distribution.
        dist: Dist,
        /// Counter at the origin.
        start: i64,
        /// Change along each axis of the iteration space.
        steps: Vec<i64>,
    },
    /// A function of one earlier value.
    Unary(UnaryOp, ValueIdx),
    /// A function of two earlier values of one dtype.
    Binary(BinaryOp, ValueIdx, ValueIdx),
    /// An earlier value converted to this value's dtype, by Rust's `as` (to bool: `!= 0`; real to complex: imaginary 0).
    Cast(ValueIdx),
    /// The second where the first (bool) is true, else the third.
    Select(ValueIdx, ValueIdx, ValueIdx),
    /// A function of the user's of earlier values, called for every element.
    Apply(Arc<Kernel>, Vec<ValueIdx>),
}

/// One value of a fused program.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Value {
    /// How it is made.
    pub def: Def,
    /// Its dtype.
    pub dtype: DType,
}

/// A fused elementwise program. Values come after those they are made of; equal values occur once.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Fused {
    /// All values; the last one is the result.
    pub values: Vec<Value>,
}

impl Fused {
    /// The program that hands on input `slot` unchanged.
    #[must_use]
    pub fn passthrough(slot: usize, dtype: DType) -> Fused {
        Fused { values: vec![Value { def: Def::Input { slot }, dtype }] }
    }

    /// The result's dtype.
    ///
    /// # Panics
    /// If the program is empty.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.values.last().expect("a fused program has a value").dtype
    }

    /// The value at `idx`.
    ///
    /// # Panics
    /// If the program has no such value.
    #[must_use]
    pub fn value(&self, idx: ValueIdx) -> &Value {
        &self.values[idx.0 as usize]
    }

    /// Whether the program only hands on input 0.
    #[must_use]
    pub fn is_passthrough(&self) -> bool {
        matches!(self.values.as_slice(), [Value { def: Def::Input { slot: 0 }, .. }])
    }
}
