//! What a user can get wrong when an expression is built. One error for each act, with what was given and what
//! was expected.

use crate::dtype::DType;

tilework_plan::debug_is_display!(ExprError);

/// A mistake in an expression, found when it is built.
#[derive(Clone, PartialEq, thiserror::Error)]
pub enum ExprError {
    /// Two shapes that no broadcasting brings together.
    #[error("shapes {left:?} and {right:?} cannot be broadcast together")]
    Broadcast {
        /// First shape.
        left: Vec<usize>,
        /// Second shape.
        right: Vec<usize>,
    },
    /// A shape that does not broadcast to another.
    #[error("an array of shape {from:?} cannot be broadcast to shape {to:?}")]
    BroadcastTo {
        /// The array's shape.
        from: Vec<usize>,
        /// The wanted shape.
        to: Vec<usize>,
    },
    /// Operands of different dtypes.
    #[error("{op}: the operands are {left} and {right}, expected one dtype; convert one of them first")]
    MixedDTypes {
        /// The operation.
        op: String,
        /// First operand.
        left: DType,
        /// Second operand.
        right: DType,
    },
    /// An operation that a dtype does not have.
    #[error("{op} is not defined for elements of {dtype}")]
    Undefined {
        /// The operation.
        op: String,
        /// The dtype.
        dtype: DType,
    },
    /// An axis that the array does not have.
    #[error("axis {axis} is out of range for an array of {ndim} dimensions")]
    AxisOutOfRange {
        /// Given.
        axis: usize,
        /// Dimensions there are.
        ndim: usize,
    },
    /// A list of axes that is not what the operation takes.
    #[error("axes {axes:?} of an array of {ndim} dimensions: expected {expected}")]
    Axes {
        /// Given.
        axes: Vec<usize>,
        /// Dimensions there are.
        ndim: usize,
        /// In words.
        expected: &'static str,
    },
    /// Elements or bytes beyond what an address can name.
    #[error(
        "an array of shape {shape:?} with {itemsize}-byte elements has more bytes than an address can hold"
    )]
    TooLarge {
        /// Given.
        shape: Vec<usize>,
        /// Bytes of an element.
        itemsize: usize,
    },
    /// Chunks that do not fit the shape.
    #[error("chunks {chunks} for shape {shape:?}: {expected}")]
    Chunks {
        /// Given.
        chunks: String,
        /// The array's shape.
        shape: Vec<usize>,
        /// What was expected, in words.
        expected: &'static str,
    },
    /// A slice beyond the axis.
    #[error("slice {given} of axis {axis}, which has length {len}: {expected}")]
    Slice {
        /// The slice.
        given: String,
        /// The axis.
        axis: usize,
        /// Its length.
        len: usize,
        /// What was expected, in words.
        expected: &'static str,
    },
    /// A shape with another number of elements.
    #[error(
        "an array of shape {from:?} ({} elements) cannot have shape {to:?} ({} elements)",
        len(from),
        len(to)
    )]
    Reshape {
        /// The array's shape.
        from: Vec<usize>,
        /// The wanted shape.
        to: Vec<usize>,
    },
    /// Operands of a matrix product that do not match.
    #[error("matrix product of shapes {left:?} and {right:?}: inner lengths must be equal")]
    MatMul {
        /// First shape.
        left: Vec<usize>,
        /// Second shape.
        right: Vec<usize>,
    },
    /// Arrays that cannot be put after one another.
    #[error(
        "array {at} has shape {got:?}; along every axis but {axis} it must agree with the first, {first:?}"
    )]
    Concat {
        /// Position of the odd one.
        at: usize,
        /// The axis of concatenation.
        axis: usize,
        /// Its shape.
        got: Vec<usize>,
        /// The first one's shape.
        first: Vec<usize>,
    },
    /// No arrays were given.
    #[error("{op} of no arrays")]
    NoArrays {
        /// The operation.
        op: &'static str,
    },
    /// The fold of no elements has no value.
    #[error("{fold} of an array of shape {shape:?} along axes {axes:?}: there are no elements")]
    NoElements {
        /// The fold.
        fold: String,
        /// The array's shape.
        shape: Vec<usize>,
        /// The axes.
        axes: Vec<usize>,
    },
    /// A parameter outside its range.
    #[error("{what}: got {got}, expected {expected}")]
    Parameter {
        /// Which.
        what: &'static str,
        /// Given.
        got: String,
        /// In words.
        expected: &'static str,
    },
    /// A program that no client of ours makes.
    #[error("node {node} of the program: {why}")]
    Program {
        /// Its place.
        node: u32,
        /// In words.
        why: String,
    },
}

fn len(shape: &[usize]) -> u128 {
    shape.iter().fold(1u128, |n, &l| n.saturating_mul(l as u128))
}
