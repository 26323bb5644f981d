//! The product of two small matrices: the `gemm` crate for floats and complex numbers, own loops for vectors and
//! for integers.
//!
//! Owns the choice of loop, which depends on the shape alone (the crate chooses some by strides, which the same task
//! may not have on every worker). Must not know chunks.

use crate::copy::{Layout, copy_box};
use crate::pool::with_scratch;
use tilework_expr::{Complex, DType};

/// A matrix in memory: its first element, and the elements between neighbours along the result's axis and along
/// the inner one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix {
    pub ptr: *const u8,
    pub outer: isize,
    pub inner: isize,
}

// SAFETY: a plain address; whoever reads through it keeps the memory.
unsafe impl Send for Matrix {}
// SAFETY: as above.
unsafe impl Sync for Matrix {}

/// Rows, columns and inner length.
type Shape = (usize, usize, usize);

/// Writes (or adds, where the flag is set) the product of two matrices to a row-major block whose rows are that many
/// elements apart.
///
/// # Safety
/// The matrices have the shape's elements, the block has room for the product, the three do not overlap.
pub(crate) type PanelFn = unsafe fn(Shape, (Matrix, Matrix), (*mut u8, usize), bool);

/// The loop for elements of this dtype, if they have products.
pub(crate) fn panel_fn(dtype: DType) -> Option<PanelFn> {
    Some(match dtype {
        DType::Bool => return None,
        DType::I8 | DType::U8 => integers::<u8>,
        DType::I16 | DType::U16 => integers::<u16>,
        DType::I32 | DType::U32 => integers::<u32>,
        DType::I64 | DType::U64 => integers::<u64>,
        DType::F32 => floats::<f32>,
        DType::F64 => floats::<f64>,
        DType::C32 => floats::<Complex<f32>>,
        DType::C64 => floats::<Complex<f64>>,
    })
}

/// Elements of a product below which the crate may choose another order of addition, by strides.
const SMALL: usize = 256;

trait Float: Copy + Default + std::ops::Add<Output = Self> + std::ops::Mul<Output = Self> + 'static {
    const ONE: Self;
}
impl Float for f32 {
    const ONE: f32 = 1.0;
}
impl Float for f64 {
    const ONE: f64 = 1.0;
}
impl Float for Complex<f32> {
    const ONE: Self = Complex { re: 1.0, im: 0.0 };
}
impl Float for Complex<f64> {
    const ONE: Self = Complex { re: 1.0, im: 0.0 };
}

/// # Safety
/// As for [`PanelFn`].
unsafe fn floats<T: Float>(
    (m, n, k): Shape,
    (a, b): (Matrix, Matrix),
    (out, row): (*mut u8, usize),
    add: bool,
) {
    // SAFETY: promised by the caller.
    unsafe {
        if m == 1 || n == 1 {
            let (vector, matrix, step) = if m == 1 { (a, b, 1) } else { (b, a, row) };
            return dots::<T>((m.max(n), k), matrix, vector, (out.cast(), step), add);
        }
        // The crate runs the inner axis backwards where the second matrix does.
        if m * n > SMALL && b.inner >= 0 {
            return product::<T>((m, n, k), (a, b), (out, row), add);
        }
        let size = std::mem::size_of::<T>();
        with_scratch(n * k * size, |room| {
            let layout = Layout { shape: &[k, n], from: &[b.inner, b.outer], to: &[n as isize, 1] };
            copy_box(size, &layout, b.ptr, room);
            product::<T>((m, n, k), (a, Matrix { ptr: room, outer: 1, inner: n as isize }), (out, row), add);
        });
    }
}

/// # Safety
/// As for [`PanelFn`].
unsafe fn product<T: Float>(
    (m, n, k): Shape,
    (a, b): (Matrix, Matrix),
    (out, row): (*mut u8, usize),
    add: bool,
) {
    let (dst, lhs, rhs) = (out.cast::<T>(), a.ptr.cast::<T>(), b.ptr.cast::<T>());
    let none = gemm::Parallelism::None;
    // SAFETY: promised by the caller.
    unsafe {
        #[rustfmt::skip]
        gemm::gemm(
            m, n, k, dst, 1, row as isize, add, lhs, a.inner, a.outer, rhs, b.outer, b.inner, T::ONE, T::ONE,
            false, false, false, none,
        );
    }
}

/// Rows of a matrix that are copied together before they are multiplied by a vector.
const DOT_ROWS: usize = 16;
/// Interleaved partial sums of a dot product.
const LANES: usize = 16;

/// `n` dot products of length `k` with one vector, to elements `step` apart.
///
/// # Safety
/// As for [`PanelFn`].
unsafe fn dots<T: Float>(
    (n, k): (usize, usize),
    matrix: Matrix,
    vector: Matrix,
    (out, step): (*mut T, usize),
    add: bool,
) {
    let size = std::mem::size_of::<T>();
    with_scratch((DOT_ROWS + 1) * k * size, |room| {
        let rows_room = room.wrapping_add(k * size);
        // SAFETY: the scratch has room for the vector and for some rows; the rest is promised by the caller.
        unsafe {
            let line = |from: isize, src: *const u8, dst: *mut u8| {
                copy_box(size, &Layout { shape: &[k], from: &[from], to: &[1] }, src, dst);
            };
            line(vector.inner, vector.ptr, room);
            let x = std::slice::from_raw_parts(room.cast::<T>(), k);
            for start in (0..n).step_by(DOT_ROWS) {
                let rows = DOT_ROWS.min(n - start);
                let first = matrix.ptr.wrapping_offset(matrix.outer * start as isize * size as isize);
                let (base, stride) = if matrix.inner == 1 {
                    (first, matrix.outer)
                } else {
                    let from = [matrix.outer, matrix.inner];
                    copy_box(
                        size,
                        &Layout { shape: &[rows, k], from: &from, to: &[k as isize, 1] },
                        first,
                        rows_room,
                    );
                    (rows_room.cast_const(), k as isize)
                };
                for i in 0..rows {
                    let row = std::slice::from_raw_parts(base.cast::<T>().offset(i as isize * stride), k);
                    let (sum, place) = (dot(row, x), out.add((start + i) * step));
                    place.write(if add { place.read() + sum } else { sum });
                }
            }
        }
    });
}

/// The sum of products, in [`LANES`] interleaved parts that are then added by halves.
fn dot<T: Float>(a: &[T], b: &[T]) -> T {
    let mut lanes = [T::default(); LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (x, y) in a.iter().zip(b) {
        for l in 0..LANES {
            lanes[l] = lanes[l] + x[l] * y[l];
        }
    }
    for (l, (&x, &y)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *l = *l + x * y;
    }
    let mut half = LANES / 2;
    while half > 0 {
        for l in 0..half {
            lanes[l] = lanes[l] + lanes[l + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// Wrapping arithmetic, which is the same for signed and unsigned integers of one size.
trait Wrapping: Copy {
    const ZERO: Self;
    fn mul_add(self, x: Self, y: Self) -> Self;
}
macro_rules! wrapping { ($($t:ident)*) => { $(
    impl Wrapping for $t {
        const ZERO: $t = 0;
        #[inline(always)]
        fn mul_add(self, x: $t, y: $t) -> $t { self.wrapping_add(x.wrapping_mul(y)) }
    }
)* }; }
wrapping!(u8 u16 u32 u64);

crate::ops::versions! {
    fn integer_loop<T: Wrapping>(shape: Shape, a: Matrix, b: *const u8, out: (*mut u8, usize)) = integer_body
}

/// # Safety
/// As for [`PanelFn`]; `b` is row-major.
#[inline(always)]
unsafe fn integer_body<T: Wrapping>((m, n, k): Shape, a: Matrix, b: *const u8, (out, row): (*mut u8, usize)) {
    // SAFETY: promised by the caller.
    unsafe {
        let a_at =
            |i: usize, p: usize| a.ptr.cast::<T>().offset(a.outer * i as isize + a.inner * p as isize).read();
        let b_row = |p: usize| std::slice::from_raw_parts(b.cast::<T>().add(p * n), n);
        for i in 0..m {
            let c = std::slice::from_raw_parts_mut(out.cast::<T>().add(i * row), n);
            let whole = k / 4 * 4;
            for p in (0..whole).step_by(4) {
                let x = [a_at(i, p), a_at(i, p + 1), a_at(i, p + 2), a_at(i, p + 3)];
                let y = [b_row(p), b_row(p + 1), b_row(p + 2), b_row(p + 3)];
                for (j, c) in c.iter_mut().enumerate() {
                    *c = c
                        .mul_add(x[0], y[0][j])
                        .mul_add(x[1], y[1][j])
                        .mul_add(x[2], y[2][j])
                        .mul_add(x[3], y[3][j]);
                }
            }
            for p in whole..k {
                let x = a_at(i, p);
                c.iter_mut().zip(b_row(p)).for_each(|(c, &y)| *c = c.mul_add(x, y));
            }
        }
    }
}

/// # Safety
/// As for [`PanelFn`].
unsafe fn integers<T: Wrapping>(
    (m, n, k): Shape,
    (a, b): (Matrix, Matrix),
    (out, row): (*mut u8, usize),
    add: bool,
) {
    let size = std::mem::size_of::<T>();
    // SAFETY: promised by the caller.
    unsafe {
        if !add {
            for i in 0..m {
                (0..n).for_each(|j| out.cast::<T>().add(i * row + j).write(T::ZERO));
            }
        }
        with_scratch(n * k * size, |room| {
            let layout = Layout { shape: &[k, n], from: &[b.inner, b.outer], to: &[n as isize, 1] };
            copy_box(size, &layout, b.ptr, room);
            integer_loop::<T>()((m, n, k), a, room, (out, row));
        });
    }
}
