//! Steps of factorisations of matrices in chunks: what names them, and which function a worker has for each.
//!
//! Each step is one task's work on one thread, so that its bits are the same however many threads there are. A step that has two
//! results packs them into one block, of which readers take what they need. Owns the layout of packed blocks. Must not know
//! of which steps a factorisation is made.

use super::Function;
#[cfg(not(feature = "linalg"))]
use super::elements::Answer;
use super::elements::Writer;
#[cfg(not(feature = "linalg"))]
use crate::native::BlockCall;
use tilework_expr::{DType, OwnFunction};
use tilework_plan::Temporaries;

#[cfg(feature = "linalg")]
mod dense;
#[cfg(feature = "linalg")]
mod householder;
#[cfg(feature = "linalg")]
mod lu;
#[cfg(feature = "linalg")]
mod spectral;
#[cfg(feature = "linalg")]
mod triangular;

/// Columns of reflectors that are applied together.
const REFLECTORS: usize = 32;

/// Rows that a packed block of a QR step has below its matrix: as many as reflectors are applied together.
#[must_use]
pub fn qr_rows(n_columns: usize) -> usize {
    n_columns.clamp(1, REFLECTORS)
}

/// Columns that a packed block of an LU step has beside its matrix: from which row each one was taken, and which one it was at
/// first.
pub const LU_COLUMNS: usize = 2;

/// Rows of which the numbers can be told from one another in a column of such elements.
#[must_use]
pub fn lu_rows_max(dtype: DType) -> usize {
    match dtype {
        DType::F32 | DType::C32 => 1 << f32::MANTISSA_DIGITS,
        _ => 1 << f64::MANTISSA_DIGITS,
    }
}

macro_rules! steps {
    ($($(#[$doc:meta])* $step:ident $name:literal $module:ident $function:ident $inputs:literal,)*) => {
        /// A step of a factorisation.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Step {
            $($(#[$doc])* $step,)*
        }

        impl Step {
            fn name(self) -> (&'static str, usize) {
                match self {
                    $(Step::$step => ($name, $inputs),)*
                }
            }
        }

        #[cfg(feature = "linalg")]
        pub(super) const TABLE: &[(&str, Function)] = &[$(($name, $module::$function),)*];
        #[cfg(not(feature = "linalg"))]
        pub(super) const TABLE: &[(&str, Function)] = &[$(($name, left_out),)*];
    };
}

steps! {
    /// Of a block of m rows: R, below it the reflectors, and below those [`qr_rows`] rows of their factors.
    QrFactor "qr" householder factor 1,
    /// Of a block, R alone, of as many rows as the result has; the flag makes its diagonal real and not negative.
    QrFactorR "qr_r" householder factor_r 1,
    /// Of a packed block, R, likewise.
    QrR "qr_r_of" householder r_of 1,
    /// Of a packed block, Q, for the R whose diagonal is not negative.
    QrQ "qr_q_of" householder q_of 1,
    /// Of a packed block and another one, Q times the other one, above which are so many rows of zeros, and others below.
    QrApply "qr_apply" householder apply 2,
    /// The same with the adjoint of Q, for the R whose diagonal is not negative.
    QrAdjoint "qr_adjoint" householder adjoint 2,
    /// Of a block of columns and the numbers of its rows: both triangles, and [`LU_COLUMNS`] columns beside them.
    LuPanel "lu" lu panel 2,
    /// Of a packed block and one beside it, that one with its rows in the new order, solved by the lower triangle and less
    /// what that makes of the rows below.
    LuUpdate "lu_update" lu update 2,
    /// Of a packed block and the order of rows at the end, its part of L.
    LuLower "lu_lower" lu lower 2,
    /// Of a packed block: the sign of the determinant of its square, the logarithm of its absolute value, and itself.
    LuDet "lu_det" lu det 1,
    /// The lower triangle of a block; the parameter is the number of its first row, for messages.
    Cholesky "cholesky" triangular cholesky 1,
    /// Of a lower triangle L and a block A, the X of X·Lᴴ = A.
    CholeskyBelow "cholesky_below" triangular cholesky_below 2,
    /// Of blocks C, A and B, C less A·Bᴴ; where it lies above the diagonal, C.
    CholeskyUpdate "cholesky_update" triangular cholesky_update 3,
    /// Of a triangle T and a block B, the X of T·X = B. The parameters: whether it is the lower one, whether its diagonal
    /// is of ones, and the number of its first row, for messages.
    SolveTriangle "solve_triangular" triangular solve 2,
    /// Of blocks C, A and B, C less A·B.
    LessProduct "less_product" triangular less_product 3,
    /// Of a block of n by n: n rows of U, one of singular values, falling, and n rows of Vᴴ.
    Svd "svd" spectral svd 1,
    /// Of a block of n by n: the singular values, falling, as one row.
    SvdValues "svdvals" spectral svd_values 1,
    /// Of a block of n by n that is its own adjoint: one row of eigenvalues, rising, and n rows with an eigenvector in each
    /// column.
    Eigh "eigh" spectral eigh 1,
    /// The same: the eigenvalues alone.
    EighValues "eigvalsh" spectral eigh_values 1,
}

impl Step {
    /// What names it for blocks of a dtype, with its parameters.
    #[must_use]
    pub fn of(self, dtype: DType, params: &[usize]) -> OwnFunction {
        let (name, n) = self.name();
        let params = params.iter().fold(Writer::default(), |w, p| w.number(*p)).done();
        // Of what it reads it has some copies.
        let temporaries = Temporaries::per_read(self.copies() * dtype.size() as u32);
        OwnFunction { name: name.into(), params, inputs: vec![dtype; n], output: dtype, temporaries }
    }

    /// How often a task has in memory what it reads, beside that and its result, at most.
    fn copies(self) -> u32 {
        match self {
            Step::QrFactor | Step::QrFactorR | Step::LuPanel | Step::Cholesky => 1,
            // Column by column, and what is applied together.
            Step::QrR | Step::QrQ | Step::QrApply | Step::QrAdjoint => 2,
            Step::Svd => 12,
            Step::SvdValues | Step::Eigh => 8,
            Step::EighValues => 4,
            Step::LuUpdate | Step::LuLower | Step::LuDet | Step::CholeskyBelow => 0,
            Step::CholeskyUpdate | Step::SolveTriangle | Step::LessProduct => 0,
        }
    }
}

/// What stands for every step where they are left out.
#[cfg(not(feature = "linalg"))]
fn left_out(_: &BlockCall<'_>) -> Answer {
    Err("this worker was built without linalg".into())
}

#[cfg(all(test, not(feature = "linalg")))]
mod tests {
    use super::*;
    use crate::native::Place;

    #[test]
    fn what_is_left_out_says_so() {
        let place = Place { chunk: vec![], counts: vec![], space: vec![], region: vec![], shape: vec![] };
        let call = BlockCall { inputs: &[], params: &[], place: &place };
        let error = crate::library::call(&Step::Svd.of(DType::F64, &[]), &call).unwrap_err().to_string();
        assert!(error.contains("svd") && error.contains("built without linalg"), "{error}");
    }
}
