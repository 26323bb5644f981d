//! Expressions that start a graph: values, indices, random numbers, files, a client's chunks, held results.

use crate::chunks::Chunks;
use crate::dtype::{DType, Scalar};
use crate::error::ExprError;
use crate::graph::{Attachment, Expr};
use crate::op::{Dist, FileRef, Op};
use tilework_plan::{Grid, Stored};

impl Expr {
    /// Every element is `value`.
    ///
    /// # Errors
    /// Chunks that do not fit the shape; a shape that is too large.
    pub fn full(shape: &[usize], chunks: &Chunks, value: Scalar) -> Result<Expr, ExprError> {
        Expr::make(Op::Full(value), vec![], chunks.grid(shape, value.dtype())?, value.dtype())
    }

    /// Every element is its own index along `axis`, as `i64`.
    ///
    /// # Errors
    /// Chunks that do not fit the shape; an axis out of range.
    pub fn index(shape: &[usize], chunks: &Chunks, axis: usize) -> Result<Expr, ExprError> {
        if axis >= shape.len() {
            return Err(ExprError::AxisOutOfRange { axis, ndim: shape.len() });
        }
        Expr::make(Op::Index { axis }, vec![], chunks.grid(shape, DType::I64)?, DType::I64)
    }

    /// Random elements, each a function of the key and of its position alone.
    ///
    /// # Errors
    /// Chunks that do not fit the shape; a distribution that the dtype does not have or whose bounds are wrong.
    pub fn random(
        shape: &[usize],
        chunks: &Chunks,
        dtype: DType,
        key: u64,
        dist: Dist,
    ) -> Result<Expr, ExprError> {
        let bad = |expected| {
            Err(ExprError::Parameter { what: "random distribution", got: dist.to_string(), expected })
        };
        match dist {
            Dist::Uniform { .. } | Dist::Normal { .. } if !dtype.is_float() => {
                return Err(ExprError::Undefined { op: "a continuous distribution".into(), dtype });
            }
            Dist::Integers { .. } if !dtype.is_int() => {
                return Err(ExprError::Undefined { op: "random integers".into(), dtype });
            }
            Dist::Uniform { low, high } if !(low.is_finite() && high.is_finite() && low <= high) => {
                return bad("finite bounds with low <= high");
            }
            Dist::Uniform { low, high } if !has_width(low, high, dtype) => {
                return bad("bounds whose distance is finite too");
            }
            Dist::Normal { mean, std } if !(mean.is_finite() && std.is_finite() && std >= 0.0) => {
                return bad("a finite mean and a finite standard deviation of at least 0");
            }
            Dist::Integers { low, high } if low >= high => return bad("low < high"),
            _ => {}
        }
        Expr::make(Op::Random { key, dist }, vec![], chunks.grid(shape, dtype)?, dtype)
    }

    /// Chunks that the client provides on demand under the name `id`, from what is attached.
    ///
    /// # Errors
    /// Chunks that do not fit the shape.
    pub fn literal(
        shape: &[usize],
        chunks: &Chunks,
        dtype: DType,
        id: u64,
        data: Attachment,
    ) -> Result<Expr, ExprError> {
        Expr::source(Op::Literal { id }, chunks.grid(shape, dtype)?, dtype, data)
    }

    /// An array in a file, which the caller has opened to learn its shape, its dtype and how it is stored.
    ///
    /// # Errors
    /// Chunks that do not fit the shape.
    pub fn read(
        (file, stored): (FileRef, Stored),
        shape: &[usize],
        chunks: &Chunks,
        dtype: DType,
    ) -> Result<Expr, ExprError> {
        Expr::make(Op::Read(file, stored), vec![], chunks.grid(shape, dtype)?, dtype)
    }

    /// An output of an earlier job that the cluster still holds, as long as `guard` lives.
    ///
    /// # Errors
    /// None in practice: the grid is one that was built before.
    pub fn held(
        job: u64,
        output: u32,
        grid: Grid,
        dtype: DType,
        guard: Attachment,
    ) -> Result<Expr, ExprError> {
        Expr::source(Op::Held { job, output }, grid, dtype, guard)
    }

    /// Writes the array to a file chunk by chunk; the result has the array's grid and no bytes.
    ///
    /// # Errors
    /// None in practice: the grid is the array's.
    pub fn write(&self, file: FileRef) -> Result<Expr, ExprError> {
        Expr::make(Op::Write(file), vec![self.clone()], self.grid().clone(), self.dtype())
    }
}

/// Whether the distance of two floats is a float of this dtype: uniform elements are made by it.
fn has_width(low: f64, high: f64, dtype: DType) -> bool {
    match dtype {
        DType::F32 => (high as f32 - low as f32).is_finite(),
        _ => (high - low).is_finite(),
    }
}
