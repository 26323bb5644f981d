//! The closed set of array operations, and the dtype rules of the elementwise ones.
//!
//! Knows what each operation is called and which dtypes it takes. Must not know graphs, grids or kernels.

use crate::blocks::{BlockFunction, Blocks};
use crate::calls::{Calls, Values};
use crate::dtype::{DType, Scalar};
use crate::kernel::Kernel;
use crate::table::TableStage;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use tilework_plan::{Stored, View};

/// An elementwise function of one value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "named after the methods of the Rust types they call")]
pub enum UnaryOp {
    Neg,
    Not,
    Abs,
    Signum,
    Sqrt,
    Cbrt,
    Exp,
    Exp2,
    ExpM1,
    Ln,
    Log2,
    Log10,
    Ln1p,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    Floor,
    Ceil,
    Round,
    Trunc,
    Fract,
    Recip,
    Square,
    ToDegrees,
    ToRadians,
    IsNan,
    IsFinite,
    IsInfinite,
    Re,
    Im,
    Conj,
    Norm,
    Arg,
}

impl UnaryOp {
    /// Every operation; the position is the wire code.
    pub const ALL: [UnaryOp; 42] = {
        use UnaryOp::*;
        [
            Neg, Not, Abs, Signum, Sqrt, Cbrt, Exp, Exp2, ExpM1, Ln, Log2, Log10, Ln1p, Sin, Cos, Tan, Asin,
            Acos, Atan, Sinh, Cosh, Tanh, Asinh, Acosh, Atanh, Floor, Ceil, Round, Trunc, Fract, Recip,
            Square, ToDegrees, ToRadians, IsNan, IsFinite, IsInfinite, Re, Im, Conj, Norm, Arg,
        ]
    };

    /// The result's dtype for an argument of `d`, or `None` where the operation does not take it.
    #[must_use]
    pub fn result(self, d: DType) -> Option<DType> {
        use UnaryOp::*;
        let signed = matches!(d, DType::I8 | DType::I16 | DType::I32 | DType::I64);
        match self {
            Neg => (signed || d.is_float() || d.is_complex()).then_some(d),
            Not => (d == DType::Bool || d.is_int()).then_some(d),
            Abs | Signum => (signed || d.is_float()).then_some(d),
            Square => (d != DType::Bool).then_some(d),
            IsNan | IsFinite | IsInfinite => (d.is_float() || d.is_complex()).then_some(DType::Bool),
            Re | Im | Norm | Arg => match d {
                DType::C32 => Some(DType::F32),
                DType::C64 => Some(DType::F64),
                _ => None,
            },
            Conj => d.is_complex().then_some(d),
            Sqrt | Exp | Ln | Sin | Cos | Tan | Sinh | Cosh | Tanh | Recip => {
                (d.is_float() || d.is_complex()).then_some(d)
            }
            _ => d.is_float().then_some(d),
        }
    }

    /// Whether one evaluation costs as much as many additions (a library call).
    #[must_use]
    pub fn is_costly(self) -> bool {
        use UnaryOp::*;
        !matches!(
            self,
            Neg | Not
                | Abs
                | Signum
                | Sqrt
                | Floor
                | Ceil
                | Round
                | Trunc
                | Fract
                | Recip
                | Square
                | ToDegrees
                | ToRadians
                | IsNan
                | IsFinite
                | IsInfinite
                | Re
                | Im
                | Conj
        )
    }
}

/// An elementwise function of two values of one dtype.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "named after the operators and methods of the Rust types")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Pow,
    Min,
    Max,
    Atan2,
    Hypot,
    Copysign,
    And,
    Or,
    Xor,
    Shl,
    Shr,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl BinaryOp {
    /// Every operation; the position is the wire code.
    pub const ALL: [BinaryOp; 22] = {
        use BinaryOp::*;
        [
            Add, Sub, Mul, Div, Rem, Pow, Min, Max, Atan2, Hypot, Copysign, And, Or, Xor, Shl, Shr, Eq, Ne,
            Lt, Le, Gt, Ge,
        ]
    };

    /// The result's dtype for two arguments of `d`, or `None` where the operation does not take it.
    #[must_use]
    pub fn result(self, d: DType) -> Option<DType> {
        use BinaryOp::*;
        let ordered = !d.is_complex();
        match self {
            Add | Sub | Mul | Div => (d != DType::Bool).then_some(d),
            Rem => (d != DType::Bool && !d.is_complex()).then_some(d),
            Pow => (d.is_float() || d.is_complex()).then_some(d),
            Min | Max => (ordered && d != DType::Bool).then_some(d),
            Atan2 | Hypot | Copysign => d.is_float().then_some(d),
            And | Or | Xor => (d == DType::Bool || d.is_int()).then_some(d),
            Shl | Shr => d.is_int().then_some(d),
            Eq | Ne => Some(DType::Bool),
            Lt | Le | Gt | Ge => ordered.then_some(DType::Bool),
        }
    }

    /// Whether one evaluation costs as much as many additions (a library call).
    #[must_use]
    pub fn is_costly(self) -> bool {
        matches!(self, BinaryOp::Pow | BinaryOp::Atan2 | BinaryOp::Hypot)
    }
}

/// What a reduction keeps of the elements it folds. Two are equal where their parameters have the same bits.
#[derive(Clone, Copy, Debug)]
pub enum Fold {
    /// Sum, pairwise, of 32-bit floats in 64 bits; integers wrap as ndarray's do in release builds.
    Sum,
    /// Product, of 32-bit floats in 64 bits; integers wrap.
    Prod,
    /// Least element; NaN if any element is NaN (NumPy's rule).
    Min,
    /// Greatest element; NaN if any element is NaN (NumPy's rule).
    Max,
    /// Whether any element is true.
    Any,
    /// Whether all elements are true.
    All,
    /// Sum divided by the number of elements. Sums of integers are made in 128 bits, and divided as integers are.
    Mean,
    /// Variance with the divisor `n - ddof`, in 64 bits, about a mean that is carried with its rounding error.
    Var {
        /// Delta degrees of freedom, 0 for the population.
        ddof: f64,
    },
    /// Square root of [`Fold::Var`].
    Std {
        /// Delta degrees of freedom, 0 for the population.
        ddof: f64,
    },
    /// As [`Fold::Mean`], of floats that are not NaN; NaN of none.
    NanMean,
    /// As [`Fold::Var`], of floats that are not NaN; NaN of no more than `ddof`.
    NanVar {
        /// Delta degrees of freedom, 0 for the population.
        ddof: f64,
    },
    /// Square root of [`Fold::NanVar`].
    NanStd {
        /// Delta degrees of freedom, 0 for the population.
        ddof: f64,
    },
    /// Row-major position of the first least element among the reduced axes (u64); NaN counts as least.
    ArgMin,
    /// Row-major position of the first greatest element among the reduced axes (u64); NaN counts as greatest.
    ArgMax,
}

impl Fold {
    /// What tells one from another.
    fn key(self) -> (std::mem::Discriminant<Fold>, u64) {
        (std::mem::discriminant(&self), self.ddof().map_or(0, f64::to_bits))
    }

    /// The delta degrees of freedom of a variance or a deviation.
    #[must_use]
    pub fn ddof(self) -> Option<f64> {
        match self {
            Fold::Var { ddof } | Fold::Std { ddof } | Fold::NanVar { ddof } | Fold::NanStd { ddof } => {
                Some(ddof)
            }
            _ => None,
        }
    }

    /// The result's dtype over elements of `d`, or `None` where the fold does not take it.
    #[must_use]
    pub fn result(self, d: DType) -> Option<DType> {
        match self {
            Fold::Sum | Fold::Prod | Fold::Mean => (d != DType::Bool).then_some(d),
            Fold::Min | Fold::Max => (!d.is_complex()).then_some(d),
            Fold::Any | Fold::All => (d == DType::Bool).then_some(d),
            Fold::Var { .. }
            | Fold::Std { .. }
            | Fold::NanMean
            | Fold::NanVar { .. }
            | Fold::NanStd { .. } => d.is_float().then_some(d),
            Fold::ArgMin | Fold::ArgMax => (!d.is_complex()).then_some(DType::U64),
        }
    }

    /// The planes of a partial state over elements of `d`: sums and the like hold one value; means of integers the low
    /// and the high half of a sum; variance a mean, its rounding error and a sum of squared deviations; those that leave
    /// NaN out, how many were there besides; positions a value and a `u64`.
    #[must_use]
    pub fn state(self, d: DType) -> Vec<DType> {
        match self {
            Fold::Var { .. } | Fold::Std { .. } => vec![DType::F64; 3],
            Fold::NanVar { .. } | Fold::NanStd { .. } => vec![DType::F64; 4],
            Fold::NanMean => vec![DType::F64; 2],
            Fold::ArgMin | Fold::ArgMax => vec![d, DType::U64],
            Fold::Mean if d.is_int() => vec![DType::U64, DType::I64],
            Fold::Sum | Fold::Prod | Fold::Mean => vec![d.summed()],
            Fold::Min | Fold::Max | Fold::Any | Fold::All => vec![d],
        }
    }

    /// Whether the fold of no elements has no value (least, greatest, mean and their like).
    #[must_use]
    pub fn needs_elements(self) -> bool {
        matches!(self, Fold::Min | Fold::Max | Fold::Mean | Fold::ArgMin | Fold::ArgMax)
    }
}

impl PartialEq for Fold {
    fn eq(&self, other: &Fold) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Fold {}

impl Hash for Fold {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// A distribution of random elements. Element `e` of an array is a function of the key and of `e` alone.
/// Two are equal where their parameters have the same bits.
#[derive(Clone, Copy, Debug)]
pub enum Dist {
    /// Uniform in `low..high` (f32, f64).
    Uniform {
        /// Least value.
        low: f64,
        /// Bound, not reached.
        high: f64,
    },
    /// Normal (f32, f64).
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// Uniform integers in `low..high` (integer dtypes).
    Integers {
        /// Least value.
        low: i128,
        /// Bound, not reached.
        high: i128,
    },
}

impl Dist {
    /// What tells one from another.
    fn key(self) -> (std::mem::Discriminant<Dist>, [i128; 2]) {
        let of = match self {
            Dist::Uniform { low: a, high: b } | Dist::Normal { mean: a, std: b } => {
                [a, b].map(|x| i128::from(x.to_bits()))
            }
            Dist::Integers { low, high } => [low, high],
        };
        (std::mem::discriminant(&self), of)
    }
}

impl PartialEq for Dist {
    fn eq(&self, other: &Dist) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Dist {}

impl Hash for Dist {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// The file formats that arrays are read from and written to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FileKind {
    /// NumPy's `.npy`.
    Npy,
    /// A member of NumPy's `.npz`.
    Npz,
    /// A Zarr V2 store.
    Zarr2,
    /// A Zarr V3 store (reading tells V2 from V3 by itself).
    Zarr3,
    /// A NetCDF or HDF5 file, which is only read.
    Netcdf,
}

/// An array in a file or store, by name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FileRef {
    /// The format.
    pub kind: FileKind,
    /// The path of the file or of the store's root.
    pub path: String,
    /// The member of an `.npz`, the array's path within a Zarr store, a NetCDF or HDF5 file; empty for `.npy`.
    pub member: String,
}

/// One array operation. Shapes, grid and dtype of the result stand in the node that holds it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// Every element is this value.
    Full(Scalar),
    /// The element's own index along an axis, as `i64`. `arange`, `linspace` and `eye` are built on it.
    Index {
        /// The axis.
        axis: usize,
    },
    /// Random elements: Philox4x64-10, the counter being the element's row-major position in the whole array.
    Random {
        /// The seed.
        key: u64,
        /// The distribution.
        dist: Dist,
    },
    /// Chunks that the client provides on demand.
    Literal {
        /// The client's name for it, unique in a program.
        id: u64,
    },
    /// Chunks read from a file, which holds the array so.
    Read(FileRef, Stored),
    /// An output of an earlier job that the cluster still holds.
    Held {
        /// The job.
        job: u64,
        /// Which of the job's outputs.
        output: u32,
    },
    /// A function of one input's elements.
    Unary(UnaryOp),
    /// A function of two inputs' elements; shapes and dtypes are equal.
    Binary(BinaryOp),
    /// Conversion to the node's dtype, by Rust's `as`.
    Cast,
    /// The second input where the first is true, else the third; shapes are equal.
    Select,
    /// A function of the user's of the elements of any number of inputs of the node's shape.
    Apply(Arc<Kernel>),
    /// A function of blocks, of the user's or of the library's own: of chunks, with their neighbours or without, of whole
    /// axes, of what was exchanged.
    Blocks(Arc<Blocks>),
    /// Slices, permutations, flips, broadcasting.
    View(View),
    /// The same elements on the node's grid.
    Rechunk,
    /// The same elements in row-major order in the node's shape.
    Reshape,
    /// The inputs one after another along an axis.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// The input's positions of an axis that are listed, in that order; the other axes are cut as the input's.
    Take {
        /// The axis.
        axis: usize,
        /// The positions.
        positions: Arc<[usize]>,
    },
    /// A reduction over axes, which the result does not have.
    Reduce {
        /// What is kept.
        fold: Fold,
        /// The axes, rising.
        axes: Vec<usize>,
    },
    /// The matrix product of two 2-d inputs.
    MatMul,
    /// Writes the input's chunks to a file; the result has the input's grid and no bytes.
    Write(FileRef),
    /// A batch of calls of a function of the user's, each of which gives one value.
    Calls(Arc<Calls>),
    /// Values that calls may read.
    Values(Values),
    /// An array in one chunk, which a function of the client's makes of a value: the only call of a batch.
    FromValue(Arc<Calls>),
    /// A stage of a query on tables, each of whose tasks gives one value, or the chunk of an array.
    Table(Arc<TableStage>),
}

impl Op {
    /// Whether it gives values, and not elements.
    #[must_use]
    pub fn gives_values(&self) -> bool {
        match self {
            Op::Calls(_) | Op::Values(_) => true,
            Op::Table(stage) => stage.gives > 0,
            Op::Blocks(blocks) => blocks.gives.is_some(),
            _ => false,
        }
    }

    /// The user's function that it calls, if it calls one.
    #[must_use]
    pub fn kernel(&self) -> Option<&Arc<Kernel>> {
        match self {
            Op::Apply(kernel) => Some(kernel),
            Op::Blocks(blocks) => match &blocks.function {
                BlockFunction::User(kernel, _) => Some(kernel),
                BlockFunction::Own(_) => None,
            },
            Op::Calls(calls) | Op::FromValue(calls) => Some(&calls.kernel),
            Op::Table(stage) => stage.kernel.as_ref(),
            _ => None,
        }
    }
}
