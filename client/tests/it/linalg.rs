//! Linear algebra: products and norms against naive forms, factorisations by residual and orthogonality, over chunkings,
//! element types and conditions up to 10¹².

use crate::draws::words;
use ndarray::{Array2 as Local2, Axis, IxDyn};
use std::fmt::Debug;
use tilework::linalg::{Field, MatrixNorm, Norm, Triangle, einsum, try_einsum};
use tilework::prelude::*;

type C32 = Complex<f32>;
type C64 = Complex<f64>;

/// An element type with what these tests need of it.
trait Tested: Field + Debug + std::ops::Neg<Output = Self> {
    const UNIT: f64;
    fn make(re: f64, im: f64) -> Self;
    fn size(self) -> f64;
    fn conjugate(self) -> Self;
    fn of_real(value: Self::Real) -> f64;
}

macro_rules! tested {
    ($($t:ident)*) => { $(
        impl Tested for $t {
            const UNIT: f64 = $t::EPSILON as f64;
            fn make(re: f64, _: f64) -> Self { re as $t }
            fn size(self) -> f64 { f64::from(self.abs()) }
            fn conjugate(self) -> Self { self }
            fn of_real(value: $t) -> f64 { f64::from(value) }
        }
        impl Tested for Complex<$t> {
            const UNIT: f64 = $t::EPSILON as f64;
            fn make(re: f64, im: f64) -> Self { Complex { re: re as $t, im: im as $t } }
            fn size(self) -> f64 { f64::from(self.norm()) }
            fn conjugate(self) -> Self { self.conj() }
            fn of_real(value: $t) -> f64 { f64::from(value) }
        }
    )* };
}
tested! { f32 f64 }

/// Numbers between -1 and 1.
fn draws(n: usize, seed: u64) -> Vec<f64> {
    let words = words(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    words.take(n).map(|word| (word >> 11) as f64 / (1u64 << 52) as f64 - 1.0).collect()
}

fn matrix<A: Tested>((m, n): (usize, usize), seed: u64) -> Local2<A> {
    let (re, im) = (draws(m * n, seed), draws(m * n, seed + 1000));
    Local2::from_shape_fn((m, n), |(i, j)| A::make(re[i * n + j], im[i * n + j]))
}

fn adjoint<A: Tested>(a: &Local2<A>) -> Local2<A> {
    a.t().mapv(A::conjugate)
}

fn size<A: Tested>(a: &Local2<A>) -> f64 {
    a.iter().map(|v| v.size().powi(2)).sum::<f64>().sqrt()
}

/// Orthonormal columns, by Gram and Schmidt, twice.
fn orthonormal<A: Tested>(mut a: Local2<A>) -> Local2<A> {
    for j in 0..a.ncols() {
        for _ in 0..2 {
            for k in 0..j {
                let (p, q) = (a.column(k).to_owned(), a.column(j).to_owned());
                let by = p.iter().zip(&q).fold(A::zero(), |s, (p, q)| s + p.conjugate() * *q);
                a.column_mut(j).zip_mut_with(&p, |q, p| *q = *q - by * *p);
            }
        }
        let length = a.column(j).iter().map(|v| v.size().powi(2)).sum::<f64>().sqrt();
        a.column_mut(j).mapv_inplace(|v| v * A::make(1.0 / length, 0.0));
    }
    a
}

/// A matrix of this condition.
fn conditioned<A: Tested>((m, n): (usize, usize), condition: f64, seed: u64) -> Local2<A> {
    let k = m.min(n);
    let (u, v) = (orthonormal(matrix::<A>((m, k), seed)), orthonormal(matrix::<A>((n, k), seed + 7)));
    let values = (0..k).map(|i| condition.powf(-(i as f64) / (k.max(2) - 1) as f64));
    let mut scaled = u;
    for (mut column, value) in scaled.columns_mut().into_iter().zip(values) {
        column.mapv_inplace(|x| x * A::make(value, 0.0));
    }
    scaled.dot(&adjoint(&v))
}

fn cut<A: Element, D: Dimension>(a: &ndarray::Array<A, D>, chunks: &[usize]) -> Array<A, D> {
    Array::from(a.clone()).rechunk(chunks.iter().map(|len| *len as isize).collect::<Vec<_>>())
}

/// How far the columns are from orthonormal ones.
fn skew<A: Tested>(q: &Local2<A>) -> f64 {
    size(&(adjoint(q).dot(q) - Local2::<A>::eye(q.ncols())))
}

#[track_caller]
fn small(what: &str, got: f64, bound: f64) {
    assert!(got <= bound, "{what}: {got:e}, expected at most {bound:e}");
}

/// Shapes with ways to cut them: tall, square, wide, of one row or column, chunks of one.
fn cases() -> Vec<((usize, usize), [usize; 2])> {
    vec![
        ((60, 7), [60, 7]),
        ((60, 7), [13, 3]),
        ((61, 7), [8, 7]),
        ((200, 3), [4, 3]),
        ((12, 12), [12, 12]),
        ((40, 40), [9, 11]),
        ((7, 30), [3, 8]),
        ((1, 5), [1, 2]),
        ((5, 1), [1, 1]),
        ((1, 1), [1, 1]),
        ((9, 4), [1, 1]),
    ]
}

fn qr_of<A: Tested>() {
    for ((m, n), chunks) in cases() {
        for condition in [1.0, 1e6, 1e12] {
            let a = conditioned::<A>((m, n), condition, 5);
            let (q, r) = cut(&a, &chunks).qr();
            let (q, r) = (q.compute(), r.compute());
            let what = format!("{} {m} by {n} in {chunks:?}, {condition:e}", A::DTYPE);
            assert_eq!((q.dim(), r.dim()), ((m, m.min(n)), (m.min(n), n)), "{what}");
            let unit = A::UNIT * 8.0 * (m + n) as f64;
            small(&what, size(&(&a - &q.dot(&r))), unit * size(&a));
            small(&what, skew(&q), unit);
            for ((i, j), v) in r.indexed_iter() {
                assert!(i <= j || *v == A::zero(), "{what}: {v:?} below the diagonal");
                assert!(i != j || *v == A::make(v.size(), 0.0), "{what}: {v:?} on the diagonal");
            }
            let alone = cut(&a, &chunks).qr_r().compute();
            small(&what, size(&(adjoint(&alone).dot(&alone) - adjoint(&a).dot(&a))), unit * size(&a).powi(2));
        }
    }
}

#[test]
fn qr_is_of_orthonormal_columns_whose_product_is_the_matrix() {
    qr_of::<f64>();
    qr_of::<f32>();
    qr_of::<C64>();
    qr_of::<C32>();
}

#[test]
fn qr_of_matrices_that_have_no_full_rank_is_orthonormal() {
    let mut a = matrix::<f64>((50, 6), 3);
    let first = a.column(0).to_owned();
    a.column_mut(3).assign(&first);
    a.column_mut(5).fill(0.0);
    for chunks in [[50, 6], [11, 2], [7, 6]] {
        let (q, r) = cut(&a, &chunks).qr();
        let (q, r) = (q.compute(), r.compute());
        small("orthogonality", skew(&q), 1e-14 * 50.0);
        small("residual", size(&(&a - &q.dot(&r))), 1e-13);
    }
    // Columns with nothing below the diagonal, also of complex elements.
    let mut diagonal = Local2::<C64>::eye(9);
    diagonal[[0, 0]] = C64::new(0.0, 2.0);
    diagonal[[0, 5]] = C64::new(1.0, -3.0);
    for chunks in [[9, 9], [4, 3]] {
        let (q, r) = cut(&diagonal, &chunks).qr();
        let (q, r) = (q.compute(), r.compute());
        small("orthogonality of complex columns", skew(&q), 1e-14);
        small("residual of complex columns", size(&(&diagonal - &q.dot(&r))), 1e-14);
    }
    let zeros = Local2::<f64>::zeros((30, 4));
    let (q, r) = cut(&zeros, &[8, 2]).qr();
    small("orthogonality of nothing", skew(&q.compute()), 1e-15);
    assert_eq!(r.compute(), Local2::<f64>::zeros((4, 4)));
    for shape in [(0, 3), (3, 0), (0, 0)] {
        let (q, r) = Array2::<f64>::zeros(shape).qr();
        assert_eq!((q.compute().dim(), r.compute().dim()), ((shape.0, 0), (0, shape.1)));
    }
}

#[test]
fn r_does_not_depend_on_the_chunks() {
    let a = matrix::<f64>((90, 8), 4);
    let want = cut(&a, &[90, 8]).qr_r().compute();
    for chunks in [[8, 8], [17, 3], [45, 8]] {
        small("R", size(&(cut(&a, &chunks).qr_r().compute() - &want)), 1e-13);
        small("R with Q", size(&(cut(&a, &chunks).qr().1.compute() - &want)), 1e-13);
    }
}

fn cholesky_of<A: Tested>() {
    for (n, chunk) in [(1, 1), (12, 12), (30, 7), (30, 1), (23, 11)] {
        for condition in [1.0f64, 1e3, if A::UNIT < 1e-10 { 1e12 } else { 1e5 }] {
            let u = orthonormal(matrix::<A>((n, n), 2));
            let mut scaled = u.clone();
            for (i, mut column) in scaled.columns_mut().into_iter().enumerate() {
                let value = condition.powf(-(i as f64) / (n.max(2) - 1) as f64);
                column.mapv_inplace(|x| x * A::make(value, 0.0));
            }
            let a = scaled.dot(&adjoint(&u));
            // The upper triangle is not looked at.
            let given = Local2::from_shape_fn(
                (n, n),
                |(i, j)| if i < j { A::make(f64::NAN, 0.0) } else { a[[i, j]] },
            );
            let l = cut(&given, &[chunk, chunk]).cholesky().compute();
            let what = format!("{} {n} in {chunk}, {condition:e}", A::DTYPE);
            small(&what, size(&(&a - &l.dot(&adjoint(&l)))), A::UNIT * 8.0 * n as f64 * size(&a));
            assert!(l.indexed_iter().all(|((i, j), v)| i >= j || *v == A::zero()), "{what}");
        }
    }
}

#[test]
fn cholesky_is_the_lower_factor() {
    cholesky_of::<f64>();
    cholesky_of::<f32>();
    cholesky_of::<C64>();
    let mut a = Local2::<f64>::eye(9);
    a[[6, 6]] = -1.0;
    for chunk in [9, 4, 1] {
        let error = cut(&a, &[chunk, chunk]).cholesky().try_compute().unwrap_err().to_string();
        assert!(error.contains("cholesky") && error.contains("order 7"), "{error}");
    }
    assert!(Array2::<f64>::ones((3, 4)).try_cholesky().unwrap_err().to_string().contains("3 by 4"));
    assert_eq!(Array2::<f64>::zeros((0, 0)).cholesky().compute().dim(), (0, 0));
}

fn lu_of<A: Tested>() {
    for ((m, n), chunks) in cases() {
        let a = matrix::<A>((m, n), 9);
        let (order, l, u) = cut(&a, &chunks).lu();
        let (order, l, u) = (order.compute(), l.compute(), u.compute());
        let what = format!("{} {m} by {n} in {chunks:?}", A::DTYPE);
        let rows: Vec<usize> = order.iter().map(|i| *i as usize).collect();
        let unit = A::UNIT * 16.0 * (m + n) as f64;
        small(&what, size(&(a.select(Axis(0), &rows) - l.dot(&u))), unit * size(&a));
        assert_eq!((l.dim(), u.dim()), ((m, m.min(n)), (m.min(n), n)), "{what}");
        // Complex ones are compared by the sum of their parts' absolute values.
        let most = if A::DTYPE.is_complex() { 2f64.sqrt() } else { 1.0 };
        assert!(l.iter().all(|v| v.size() <= most + 1e-6), "{what}: pivots");
        let shaped = |(i, j): (usize, usize), v: A| i > j || (i == j && v == A::one()) || v == A::zero();
        assert!(l.indexed_iter().all(|(at, v)| shaped(at, *v)), "{what}");
        assert!(u.indexed_iter().all(|((i, j), v)| i <= j || *v == A::zero()), "{what}");
    }
}

#[test]
fn lu_is_of_rows_in_the_order_of_pivots() {
    lu_of::<f64>();
    lu_of::<f32>();
    lu_of::<C64>();
    let (order, l, u) = Array2::<f64>::zeros((3, 0)).lu();
    assert_eq!(
        (order.compute().to_vec(), l.compute().dim(), u.compute().dim()),
        (vec![0, 1, 2], (3, 0), (0, 0))
    );
}

fn solve_of<A: Tested>() {
    for (n, chunks) in [(1, [1, 1]), (12, [12, 12]), (40, [9, 11]), (23, [4, 23]), (23, [23, 4]), (9, [1, 1])]
    {
        for condition in [1.0, 1e6, 1e12] {
            let a = conditioned::<A>((n, n), condition, 11);
            let b = matrix::<A>((n, 3), 12);
            let x = cut(&a, &chunks).solve(&cut(&b, &[chunks[1], 2])).compute();
            let what = format!("{} {n} in {chunks:?}, {condition:e}", A::DTYPE);
            // Backward stable: whatever the condition.
            let bound = A::UNIT * 32.0 * n as f64 * (size(&a) * size(&x) + size(&b));
            small(&what, size(&(a.dot(&x) - &b)), bound);
            let vector = b.column(1).to_owned();
            let of_vector = cut(&a, &chunks).solve(&Array::from(vector)).compute();
            assert!(of_vector.iter().all(|v| v.size().is_finite()), "{what}");
            if condition == 1.0 {
                let inverse = cut(&a, &chunks).inv().compute();
                small(&what, size(&(a.dot(&inverse) - Local2::<A>::eye(n))), A::UNIT * 64.0 * n as f64);
            }
        }
    }
}

#[test]
fn systems_are_solved() {
    solve_of::<f64>();
    solve_of::<f32>();
    solve_of::<C64>();
    let singular =
        Local2::from_shape_fn((6, 6), |(i, j)| if j == 4 { 0.0 } else { (i * j % 5) as f64 + 0.5 });
    for chunk in [6, 2] {
        let error = cut(&singular, &[chunk, chunk]).inv().try_compute().unwrap_err().to_string();
        assert!(error.contains("solve_triangular") && error.contains("singular"), "{error}");
    }
    let a = Array2::<f64>::eye(3);
    assert!(a.try_solve(&arr1(&[1.0, 2.0])).unwrap_err().to_string().contains("shape [2] for 3 rows"));
    let wrong = Array3::<f64>::zeros((3, 1, 1));
    assert!(a.try_solve(&wrong).unwrap_err().to_string().contains("[3, 1, 1]"));
    let wide = Array2::<f64>::ones((2, 3));
    assert!(wide.try_solve(&arr1(&[1.0, 2.0])).unwrap_err().to_string().contains("2 by 3"));
    assert!(wide.try_inv().unwrap_err().to_string().contains("a square one"));
    assert!(wide.try_det().is_err() && wide.try_slogdet().is_err() && wide.try_matrix_power(2).is_err());
    assert_eq!(Array2::<f64>::zeros((0, 0)).inv().compute().dim(), (0, 0));
}

#[test]
fn triangles_are_solved() {
    let (n, b) = (17, matrix::<f64>((17, 4), 3));
    let a = matrix::<f64>((n, n), 4) + Local2::<f64>::eye(n) * 4.0;
    let of = |keep: fn(usize, usize) -> bool, unit: bool| {
        Local2::from_shape_fn((n, n), |(i, j)| match (i == j && unit, keep(i, j)) {
            (true, _) => 1.0,
            (_, true) => a[[i, j]],
            _ => 0.0,
        })
    };
    let below: fn(usize, usize) -> bool = |i, j| i >= j;
    let above: fn(usize, usize) -> bool = |i, j| i <= j;
    let cases = [
        (Triangle::Lower, of(below, false)),
        (Triangle::Upper, of(above, false)),
        (Triangle::UnitLower, of(below, true)),
        (Triangle::UnitUpper, of(above, true)),
    ];
    for (which, t) in cases {
        for chunks in [[17, 17], [5, 4], [1, 17]] {
            let x = cut(&a, &chunks).solve_triangular(which, &cut(&b, &[6, 3])).compute();
            small(&format!("{which:?}"), size(&(t.dot(&x) - &b)), 1e-12 * (1.0 + size(&x)) * size(&t));
        }
    }
    let error = Array2::<f64>::zeros((2, 2)).solve_triangular(Triangle::Upper, &arr1(&[1.0, 1.0]));
    assert!(error.try_compute().unwrap_err().to_string().contains("singular"));
}

#[test]
fn determinants_are_products_of_pivots() {
    // By the formula of Leibniz, of integers exactly.
    fn leibniz(a: &Local2<f64>) -> f64 {
        if a.nrows() == 0 {
            return 1.0;
        }
        let minor = |j: usize| {
            let columns: Vec<usize> = (0..a.ncols()).filter(|c| *c != j).collect();
            a.slice(s![1.., ..]).select(Axis(1), &columns)
        };
        (0..a.ncols()).map(|j| [1.0, -1.0][j % 2] * a[[0, j]] * leibniz(&minor(j))).sum()
    }
    for n in 0..7 {
        let a = matrix::<f64>((n, n), n as u64 + 1).mapv(|v| (v * 5.0).round());
        let want = leibniz(&a);
        for chunk in [1, 2, 7] {
            let x = cut(&a, &[chunk, chunk]);
            small("det", (x.det().sum() - want).abs(), 1e-12 * want.abs().max(1.0));
            let (sign, logarithm) = x.slogdet();
            let (sign, logarithm) = (sign.sum(), logarithm.sum());
            if want == 0.0 {
                assert!(sign == 0.0 && logarithm == f64::NEG_INFINITY || logarithm < -20.0);
            } else {
                assert_eq!(sign, want.signum());
                small("logarithm", (logarithm - want.abs().ln()).abs(), 1e-12);
            }
        }
    }
    let i = C64::new(0.0, 1.0);
    let a = Local2::from_diag(&ndarray::arr1(&[i, i, i]));
    assert_eq!(cut(&a, &[2, 2]).det().sum(), -i);
    assert_eq!(cut(&a, &[2, 2]).slogdet().0.sum(), -i);
    // Beyond what a number holds.
    let (sign, logarithm) = (Array2::<f64>::in_chunks(30).eye(100) * -1e9).slogdet();
    assert_eq!(sign.sum(), 1.0);
    small("a large one", (logarithm.sum() - 900.0 * 10f64.ln()).abs(), 1e-10);
}

#[test]
fn powers_are_products() {
    let a = matrix::<f64>((6, 6), 8) + Local2::<f64>::eye(6) * 2.0;
    let x = cut(&a, &[4, 2]);
    assert_eq!(x.matrix_power(0).compute(), Local2::<f64>::eye(6));
    let want = a.dot(&a).dot(&a).dot(&a).dot(&a);
    small("5", size(&(x.matrix_power(5).compute() - &want)), 1e-12 * size(&want));
    small("-5", size(&(x.matrix_power(-5).compute().dot(&want) - Local2::<f64>::eye(6))), 1e-9);
}

#[test]
fn least_squares_leave_nothing_along_the_columns() {
    for ((m, n), chunks) in cases() {
        let (a, b) = (conditioned::<f64>((m, n), 1e4, 6), matrix::<f64>((m, 2), 7));
        let found = cut(&a, &chunks).lstsq(&cut(&b, &[5, 1]));
        let (x, residuals) = (found.solution.compute(), found.residuals.compute());
        let away = &b - &a.dot(&x);
        small("normal equations", size(&a.t().dot(&away)), 1e-9);
        let want: Vec<f64> = away.columns().into_iter().map(|c| c.dot(&c)).collect();
        assert!(residuals.iter().zip(&want).all(|(r, w)| (r - w).abs() < 1e-9), "{residuals} {want:?}");
        if m < n {
            // The shortest: nothing of it is orthogonal to the rows.
            let p = cut(&a, &chunks).pinv(None).compute();
            small("the shortest", size(&(p.dot(&b) - &x)), 1e-7 * size(&x));
        }
    }
    let a = arr2(&[[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]);
    let error = a.lstsq(&arr1(&[1.0, 1.0, 1.0])).solution.try_compute().unwrap_err().to_string();
    assert!(error.contains("singular"), "{error}");
    assert!(a.try_lstsq(&arr1(&[1.0])).unwrap_err().to_string().contains("for 3 rows"));
}

fn svd_of<A: Tested>() {
    for ((m, n), chunks) in cases() {
        for condition in [1.0, 1e6, 1e12] {
            let a = conditioned::<A>((m, n), condition, 21);
            let (u, s, vt) = cut(&a, &chunks).svd();
            let (u, s, vt) = (u.compute(), s.compute(), vt.compute());
            let what = format!("{} {m} by {n} in {chunks:?}, {condition:e}", A::DTYPE);
            let unit = A::UNIT * 16.0 * (m + n) as f64;
            let mut scaled = u.clone();
            for (mut column, value) in scaled.columns_mut().into_iter().zip(&s) {
                column.mapv_inplace(|x| x * A::make(A::of_real(*value), 0.0));
            }
            small(&what, size(&(&a - &scaled.dot(&vt))), unit * size(&a));
            small(&what, skew(&u).max(skew(&adjoint(&vt))), unit);
            let falling: Vec<f64> = s.iter().map(|v| A::of_real(*v)).collect();
            assert!(falling.windows(2).all(|w| w[0] >= w[1]) && falling.iter().all(|v| *v >= 0.0), "{what}");
            let k = m.min(n);
            for (i, got) in falling.iter().enumerate() {
                let want = condition.powf(-(i as f64) / (k.max(2) - 1) as f64);
                small(&what, (got - want).abs(), unit * 4.0);
            }
            let alone = cut(&a, &chunks).svdvals().compute();
            assert!(alone.iter().zip(&falling).all(|(a, b)| (A::of_real(*a) - b).abs() <= unit), "{what}");
        }
    }
}

#[test]
fn svd_is_of_the_known_singular_values() {
    svd_of::<f64>();
    svd_of::<f32>();
    svd_of::<C64>();
}

#[test]
fn what_singular_values_tell() {
    let mut a = conditioned::<f64>((30, 6), 100.0, 1);
    let x = cut(&a, &[7, 3]);
    small("condition", (x.cond().sum() - 100.0).abs(), 1e-9);
    assert_eq!(x.matrix_rank().sum(), 6);
    small("2-norm", (x.matrix_norm(MatrixNorm::Two).sum() - 1.0).abs(), 1e-13);
    small("least", (x.matrix_norm(MatrixNorm::MinTwo).sum() - 0.01).abs(), 1e-13);
    let nuclear: f64 = (0..6).map(|i| 100f64.powf(-(i as f64) / 5.0)).sum();
    small("nuclear", (x.matrix_norm(MatrixNorm::Nuclear).sum() - nuclear).abs(), 1e-12);
    let p = x.pinv(None).compute();
    small("pseudo-inverse", size(&(a.dot(&p).dot(&a) - &a)), 1e-13);
    small("of it", size(&(p.dot(&a).dot(&p) - &p)), 1e-10);
    let last = a.column(1).to_owned();
    a.column_mut(4).assign(&last);
    let x = cut(&a, &[7, 3]);
    assert_eq!(x.matrix_rank().sum(), 5);
    let p = x.pinv(None).compute();
    small("of lesser rank", size(&(a.dot(&p).dot(&a) - &a)), 1e-13);
    assert!(x.try_pinv(Some(-1.0)).unwrap_err().to_string().contains("-1"));
    assert_eq!(Array2::<f64>::zeros((4, 3)).matrix_rank().sum(), 0);
    assert_eq!(Array2::<f64>::zeros((4, 0)).matrix_rank().sum(), 0);
    assert_eq!(Array2::<f64>::zeros((4, 0)).pinv(None).compute().dim(), (0, 4));
    assert!(Array2::<f64>::zeros((4, 0)).try_cond().is_err());
    let error = arr2(&[[1.0, f64::NAN], [0.0, 1.0]]).svdvals().try_compute().unwrap_err().to_string();
    assert!(error.contains("svdvals") && error.contains("NaN"), "{error}");
}

#[test]
fn a_random_sketch_finds_what_is_there() {
    // Values that fall by half: what is left out is as large as the first one that is.
    let a = conditioned::<f64>((120, 60), 2f64.powi(59), 31);
    let (k, l, m) = (5, 15.0, 60.0f64);
    for (chunks, iterations) in [([30, 60], 0), ([50, 17], 2)] {
        let (u, s, vt) = cut(&a, &chunks).svd_compressed(k, iterations, 42);
        let (u, s, vt) = (u.compute(), s.compute(), vt.compute());
        assert_eq!((u.dim(), s.len(), vt.dim()), ((120, k), k, (k, 60)));
        small("orthogonality", skew(&u).max(skew(&adjoint(&vt))), 1e-13);
        let left_out = 2f64.powi(-(l as i32));
        let factor = (1.0 + 4.0 * (l * m).sqrt() / 9.0).powf(1.0 / (2.0 * iterations as f64 + 1.0));
        for (i, value) in s.iter().enumerate() {
            small("value", (value - 2f64.powi(-(i as i32))).abs(), factor * left_out);
        }
        let away = size(&(&a - &(&u * &s).dot(&vt)));
        small("distance", away, 2f64.powi(-(k as i32)) * 2.0 + factor * left_out);
    }
    let x = cut(&a, &[30, 60]);
    assert!(x.try_svd_compressed(0, 0, 1).unwrap_err().to_string().contains("0 of a matrix of 120 by 60"));
    assert!(x.try_svd_compressed(61, 0, 1).is_err());
    let same = |seed| x.svd_compressed(3, 0, seed).1.compute();
    assert_eq!(same(7), same(7));
    assert_ne!(same(7), same(8));
}

fn eigh_of<A: Tested>() {
    for (n, chunks) in [(1, [1, 1]), (12, [5, 12]), (40, [9, 11])] {
        let q = orthonormal(matrix::<A>((n, n), 41));
        let want: Vec<f64> = (0..n).map(|i| i as f64 - 5.0).collect();
        let mut scaled = q.clone();
        for (mut column, value) in scaled.columns_mut().into_iter().zip(&want) {
            column.mapv_inplace(|x| x * A::make(*value, 0.0));
        }
        let a = scaled.dot(&adjoint(&q));
        let (values, vectors) = cut(&a, &chunks).eigh();
        let (values, vectors) = (values.compute(), vectors.compute());
        let unit = A::UNIT * 32.0 * n as f64;
        let what = format!("{} {n} in {chunks:?}", A::DTYPE);
        small(&what, skew(&vectors), unit);
        let mut turned = vectors.clone();
        for (mut column, value) in turned.columns_mut().into_iter().zip(&values) {
            column.mapv_inplace(|x| x * A::make(A::of_real(*value), 0.0));
        }
        small(&what, size(&(a.dot(&vectors) - turned)), unit * size(&a).max(1.0));
        let alone = cut(&a, &chunks).eigvalsh().compute();
        for ((got, alone), want) in values.iter().zip(&alone).zip(&want) {
            small(&what, (A::of_real(*got) - want).abs().max((A::of_real(*alone) - want).abs()), unit * 40.0);
        }
    }
}

#[test]
fn eigenvalues_are_the_known_ones() {
    eigh_of::<f64>();
    eigh_of::<f32>();
    eigh_of::<C64>();
    assert!(Array2::<f64>::ones((3, 4)).try_eigh().unwrap_err().to_string().contains("3 by 4"));
    let (values, vectors) = Array2::<f64>::zeros((0, 0)).eigh();
    assert_eq!((values.compute().len(), vectors.compute().dim()), (0, (0, 0)));
    let error = (Array2::<f64>::eye(3) * f64::INFINITY).eigvalsh().try_compute().unwrap_err().to_string();
    assert!(error.contains("eigvalsh"), "{error}");
}

/// The sum over letters, element by element.
fn naive(spec: (&[&str], &str), arrays: &[&ndarray::ArrayD<i64>]) -> ndarray::ArrayD<i64> {
    let (terms, out) = spec;
    let mut lens = std::collections::BTreeMap::new();
    for (term, array) in terms.iter().zip(arrays) {
        term.chars().zip(array.shape()).for_each(|(c, l)| _ = lens.insert(c, *l));
    }
    let letters: Vec<char> = lens.keys().copied().collect();
    let shape: Vec<usize> = lens.values().copied().collect();
    let at = |term: &str, index: &[usize]| -> Vec<usize> {
        term.chars().map(|c| index[letters.iter().position(|l| *l == c).expect("a letter")]).collect()
    };
    let of_out: Vec<usize> = out.chars().map(|c| lens[&c]).collect();
    let mut made = ndarray::ArrayD::zeros(IxDyn(&of_out));
    for index in ndarray::indices(IxDyn(&shape)) {
        let index: Vec<usize> = (0..letters.len()).map(|a| index[a]).collect();
        let product: i64 = terms.iter().zip(arrays).map(|(t, a)| a[IxDyn(&at(t, &index))]).product();
        made[IxDyn(&at(out, &index))] += product;
    }
    made
}

fn whole_numbers(shape: &[usize], seed: u64) -> ndarray::ArrayD<i64> {
    let values = draws(shape.iter().product(), seed).into_iter().map(|v| (v * 10.0) as i64).collect();
    ndarray::ArrayD::from_shape_vec(IxDyn(shape), values).expect("as many numbers")
}

#[test]
fn einsum_is_that_of_a_loop() {
    let specs: [(&[&str], &str); 14] = [
        (&["ij", "jk"], "ik"),
        (&["ij", "jk"], "ki"),
        (&["bij", "bjk"], "bik"),
        (&["ij", "ij"], ""),
        (&["ij", "ij"], "ij"),
        (&["ijk", "jl"], "lki"),
        (&["ijkl", "klj"], "ji"),
        (&["ij", "kl"], "iljk"),
        (&["ii"], "i"),
        (&["iji"], "j"),
        (&["ij"], "j"),
        (&["ij", "jk", "kl"], "il"),
        (&["ij", "jk", "ki", "l"], "l"),
        (&["ij", "ik"], "jk"),
    ];
    let lens = |c: char| match c {
        'i' => 5,
        'j' => 4,
        'k' => 3,
        'l' => 2,
        _ => 6,
    };
    for (terms, out) in specs {
        let arrays: Vec<_> = (terms.iter().zip(1..))
            .map(|(t, seed)| whole_numbers(&t.chars().map(lens).collect::<Vec<_>>(), seed))
            .collect();
        let want = naive((terms, out), &arrays.iter().collect::<Vec<_>>());
        let subscripts = format!("{} -> {out}", terms.join(", "));
        for chunk in [1, 2, 6] {
            let x: Vec<ArrayD<i64>> =
                arrays.iter().map(|a| Array::from(a.clone()).rechunk(vec![chunk; a.ndim()])).collect();
            let got: ArrayD<i64> = match x.as_slice() {
                [a] => einsum(&subscripts, (a,)),
                [a, b] => einsum(&subscripts, (a, b)),
                [a, b, c] => einsum(&subscripts, (a, b, c)),
                [a, b, c, d] => einsum(&subscripts, (a, b, c, d)),
                _ => unreachable!(),
            };
            assert_eq!(got.compute(), want, "{subscripts} in {chunk}");
        }
    }
    // Without an arrow: the letters that occur once, in order.
    let (a, b) = (whole_numbers(&[2, 3], 1), whole_numbers(&[3, 2], 2));
    let got: ArrayD<i64> = einsum("zj,ja", (&Array::from(a.clone()), &Array::from(b.clone())));
    assert_eq!(got.compute(), naive((&["zj", "ja"], "az"), &[&a, &b]));
    let nothing: Array2<f64> =
        einsum("bij,bjk->ik", (&Array3::<f64>::zeros((2, 3, 0)), &Array3::<f64>::zeros((2, 0, 4))));
    assert_eq!(nothing.compute(), Local2::<f64>::zeros((3, 4)));
}

#[test]
fn an_ellipsis_stands_for_axes_that_belong_together_from_the_last() {
    // Terms, shapes, the result; and the same with letters of its own for the axes of ellipses, where x has length 2, y 3.
    type Case = (&'static str, &'static [&'static [usize]], &'static [&'static str], &'static str);
    let cases: [Case; 9] = [
        ("...ij,...jk->...ik", &[&[2, 3, 5, 4], &[2, 3, 4, 6]], &["xyij", "xyjk"], "xyik"),
        ("...ij,...jk", &[&[2, 3, 5, 4], &[3, 4, 6]], &["xyij", "yjk"], "xyik"),
        ("...ij,jk->...ik", &[&[3, 5, 4], &[4, 6]], &["yij", "jk"], "yik"),
        ("i...j,j...->...i", &[&[5, 2, 1, 4], &[4, 1, 3]], &["ixj", "jy"], "xyi"),
        ("i...->...", &[&[5, 2, 3]], &["ixy"], "xy"),
        ("...", &[&[2, 3]], &["xy"], "xy"),
        ("b...a", &[&[6, 2, 3, 5]], &["bxya"], "xyab"),
        ("...i,...i,...->...", &[&[2, 3, 5], &[1, 5], &[3]], &["xyi", "i", "y"], "xy"),
        ("ij...,jk->ik...", &[&[5, 4], &[4, 6]], &["ij", "jk"], "ik"),
    ];
    for (spec, shapes, terms, out) in cases {
        let arrays: Vec<_> = shapes.iter().zip(1..).map(|(shape, seed)| whole_numbers(shape, seed)).collect();
        // Axes that are repeated are no axes of the terms.
        let once = |(a, term): (&ndarray::ArrayD<i64>, &&str)| {
            let ones = a.shape().iter().filter(|len| **len != 1).copied().collect::<Vec<_>>();
            let shape = if a.ndim() > term.len() { ones } else { a.shape().to_vec() };
            a.clone().into_shape_with_order(shape).unwrap()
        };
        let squeezed: Vec<_> = arrays.iter().zip(terms).map(once).collect();
        let want = naive((terms, out), &squeezed.iter().collect::<Vec<_>>());
        for chunk in [1, 2, 6] {
            let x: Vec<ArrayD<i64>> =
                arrays.iter().map(|a| Array::from(a.clone()).rechunk(vec![chunk; a.ndim()])).collect();
            let got: ArrayD<i64> = match x.as_slice() {
                [a] => einsum(spec, (a,)),
                [a, b] => einsum(spec, (a, b)),
                [a, b, c] => einsum(spec, (a, b, c)),
                _ => unreachable!(),
            };
            assert_eq!(got.compute(), want, "{spec} in {chunk}");
        }
    }
    let (none, one) = (Array3::<f64>::zeros((0, 2, 3)), Array3::<f64>::ones((1, 3, 2)));
    let products: Array3<f64> = einsum("...ij,...jk->...ik", (&none, &one));
    assert_eq!(products.compute().dim(), (0, 2, 2));
}

#[test]
fn what_is_wrong_of_subscripts_is_said_with_its_position() {
    let (a, b) = (Array2::<f64>::ones((2, 3)), Array2::<f64>::ones((3, 2)));
    let error = |spec: &str| try_einsum::<f64, IxDyn>(spec, (&a, &b)).unwrap_err().to_string();
    for (spec, words) in [
        ("ij,j1->i", "'1' at position 4"),
        ("ij,jk-i", "'i' at position 6"),
        ("ij,jk-", "the end at position 6"),
        ("ij,jk->ix", "'x' at position 8"),
        ("ij,jk->ii", "'i' at position 8"),
        ("ij,jk->i,k", "',' at position 8"),
        ("ij,j..", "the end at position 6"),
        ("ij,j.k", "'k' at position 5"),
        ("ij,....j", "'.' at position 6"),
        ("...j...,jk", "'.' at position 4"),
        ("i...,jk->i", "no ellipsis in the result of"),
        ("...i,...k->...ik", "2 and 3 of axis 0 of the ellipsis"),
        ("ij...k,jk->i...", "3 for the 2 dimensions of array 0"),
        ("ij,jk->i>k", "'>' at position 8"),
        ("ij->ij", "1 in \"ij->ij\" for 2 arrays"),
        ("ij,jkl->i", "3 for the 2 dimensions of array 1"),
        ("ij,ik->jk", "2 and 3 of 'i'"),
    ] {
        let error = error(spec);
        assert!(error.contains(words), "{spec}: {error}");
    }
    let error = try_einsum::<f64, Ix2>("ij,jk->i", (&a, &b)).unwrap_err().to_string();
    assert!(error.contains("1 dimensions, expected 2"), "{error}");
    let bools = Array2::from_elem((2, 2), true);
    assert!(
        try_einsum::<bool, Ix2>("ij,jk->ik", (&bools, &bools)).unwrap_err().to_string().contains("einsum")
    );
}

#[test]
fn products_along_axes() {
    let (a, b) = (whole_numbers(&[3, 4, 5], 1), whole_numbers(&[5, 3, 2], 2));
    let (x, y) =
        (Array::from(a.clone()).rechunk(&[2, 3, 2][..]), Array::from(b.clone()).rechunk(&[3, 2, 1][..]));
    let got: Array2<i64> = x.tensordot(&y, (&[Axis(2), Axis(0)], &[Axis(0), Axis(1)]));
    assert_eq!(got.compute().into_dyn(), naive((&["ijk", "kil"], "jl"), &[&a, &b]));
    let got: ArrayD<i64> = x.tensordot(&y, (&[], &[]));
    assert_eq!(got.compute(), naive((&["ijk", "lmn"], "ijklmn"), &[&a, &b]));
    let error = |axes: (&[Axis], &[Axis])| x.try_tensordot::<_, _, IxDyn>(&y, axes).unwrap_err().to_string();
    assert!(error((&[Axis(0)], &[])).contains("1 and 0"));
    assert!(error((&[Axis(3)], &[Axis(0)])).contains("axis 3"));
    assert!(error((&[Axis(0)], &[Axis(0)])).contains("equal ones"));
    assert!(error((&[Axis(0), Axis(0)], &[Axis(1), Axis(1)])).contains("at most once"));
    let batches = [
        (vec![6, 3, 4], vec![6, 4, 2]),
        (vec![1, 3, 4], vec![6, 4, 2]),
        (vec![2, 3, 3, 4], vec![2, 1, 4, 2]),
        (vec![3, 4], vec![4, 2]),
    ];
    for (left, right) in batches {
        let (a, b) = (whole_numbers(&left, 1), whole_numbers(&right, 2));
        let n = left.len();
        let lens: Vec<usize> = (0..n - 2).map(|i| left[i].max(right[i])).collect();
        let shape = [&lens[..], &[3, 2]].concat();
        let want = ndarray::ArrayD::from_shape_fn(IxDyn(&shape), |at| {
            let place = |lens: &[usize], last: [usize; 2]| -> Vec<usize> {
                (0..n - 2).map(|i| at[i].min(lens[i] - 1)).chain(last).collect()
            };
            (0..4)
                .map(|k| a[IxDyn(&place(&left, [at[n - 2], k]))] * b[IxDyn(&place(&right, [k, at[n - 1]]))])
                .sum::<i64>()
        });
        for chunk in [1, 2, 6] {
            let cut = |a: &ndarray::ArrayD<i64>| Array::from(a.clone()).rechunk(vec![chunk; n]);
            assert_eq!(cut(&a).matmul(&cut(&b)).compute(), want, "{left:?} {right:?} in {chunk}");
        }
    }
    let ones = |shape| Array3::<f64>::ones(shape);
    assert!(ones((2, 3, 4)).try_matmul(&ones((3, 4, 2))).unwrap_err().to_string().contains("broadcast"));
    assert!(ones((2, 3, 4)).try_matmul(&ones((2, 3, 2))).unwrap_err().to_string().contains("inner lengths"));
    let outer = Array::from_vec_chunked(vec![1.0f32, 2.0, 3.0], 2).outer(&arr1(&[4.0, 5.0]));
    assert_eq!(outer.compute(), ndarray::arr2(&[[4.0, 5.0], [8.0, 10.0], [12.0, 15.0]]));
}

#[test]
fn traces_are_sums_of_diagonals() {
    for (shape, chunks) in [((7, 7), [3, 2]), ((9, 4), [4, 4]), ((4, 9), [1, 5]), ((1, 1), [1, 1])] {
        let a = matrix::<f64>(shape, 3).mapv(|v| (v * 9.0).round());
        let want: f64 = a.diag().sum();
        assert_eq!(cut(&a, &chunks).trace().sum(), want);
        assert_eq!(cut(&a.mapv(|v| v as i16), &chunks).trace().sum(), want as i16);
        assert_eq!(cut(&a.mapv(|v| C32::new(v as f32, 1.0)), &chunks).trace().sum().re, want as f32);
    }
    assert_eq!(Array2::<i32>::zeros((0, 3)).trace().sum(), 0);
    assert!(Array2::from_elem((2, 2), true).try_trace().unwrap_err().to_string().contains("trace"));
}

#[test]
fn norms_are_those_of_their_formulas() {
    let a = matrix::<C64>((13, 5), 2);
    let sizes = a.mapv(|v| v.norm());
    let close = |got: f64, want: f64| small("norm", (got - want).abs(), 1e-13 * want.max(1.0));
    for chunks in [[13, 5], [4, 2]] {
        let x = cut(&a, &chunks);
        close(x.vector_norm(Norm::L1).sum(), sizes.sum());
        close(x.vector_norm(Norm::L2).sum(), sizes.mapv(|v| v * v).sum().sqrt());
        close(x.vector_norm(Norm::P(3.0)).sum(), sizes.mapv(|v| v.powi(3)).sum().cbrt());
        close(x.vector_norm(Norm::Max).sum(), sizes.iter().copied().fold(0.0, f64::max));
        close(x.vector_norm(Norm::Min).sum(), sizes.iter().copied().fold(9.0, f64::min));
        close(x.vector_norm(Norm::Zero).sum(), 65.0);
        close(x.matrix_norm(MatrixNorm::Frobenius).sum(), sizes.mapv(|v| v * v).sum().sqrt());
        let (columns, rows) = (sizes.sum_axis(Axis(0)), sizes.sum_axis(Axis(1)));
        close(x.matrix_norm(MatrixNorm::One).sum(), columns.iter().copied().fold(0.0, f64::max));
        close(x.matrix_norm(MatrixNorm::Inf).sum(), rows.iter().copied().fold(0.0, f64::max));
        close(x.matrix_norm(MatrixNorm::MinOne).sum(), columns.iter().copied().fold(99.0, f64::min));
        close(x.matrix_norm(MatrixNorm::MinInf).sum(), rows.iter().copied().fold(99.0, f64::min));
        let along = x.vector_norm_axis(Axis(1), Norm::L2).compute();
        along.iter().zip(sizes.rows()).for_each(|(got, row)| close(*got, row.dot(&row).sqrt()));
    }
    let x = arr1(&[1.0f32, 0.0, -2.0]);
    assert_eq!(x.vector_norm(Norm::Zero).sum(), 2.0);
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(x.try_vector_norm(Norm::P(wrong)).unwrap_err().to_string().contains("order of a norm"));
    }
    assert!(x.try_vector_norm_axis(Axis(1), Norm::L2).unwrap_err().to_string().contains("axis 1"));
    assert_eq!(Array1::<f64>::zeros(0).vector_norm(Norm::L2).sum(), 0.0);
    assert!(Array1::<f64>::zeros(0).try_vector_norm(Norm::Max).is_err());
}

#[cfg(feature = "cluster")]
#[test]
fn processes_give_the_same_bits() {
    let _mine = crate::support::processes_are_mine();
    let a: Array2<f64> = random::in_chunks([50, 6]).normal((400, 12), 0.0, 1.0, 3);
    let b = a.t().dot(&a);
    let (q, r) = a.qr();
    let (order, l, u) = b.lu();
    let (u3, s3, _) = a.svd_compressed(3, 1, 5);
    let matrices =
        [q, r, l, u, b.cholesky(), b.solve(&b.inv()), u3, b.tensordot(&a, (&[Axis(0)], &[Axis(1)]))];
    let all = |session: &Session| -> Vec<u64> {
        let matrices = matrices.iter().flat_map(|x| x.try_compute_on(session).unwrap().into_iter());
        let vectors = [&s3, &b.eigvalsh()].map(|x| x.try_compute_on(session).unwrap());
        let mut bits: Vec<u64> = matrices.chain(vectors.into_iter().flatten()).map(f64::to_bits).collect();
        bits.extend(order.try_compute_on(session).unwrap());
        bits
    };
    let want = all(&workers(1, 3, 1 << 30));
    assert_eq!(all(&workers(3, 1, 1 << 30)), want);
    assert_eq!(all(&Session::processes(2).expect("processes")), want);
}

fn workers(n: usize, n_threads: usize, memory_bytes: u64) -> Session {
    let options = EmbeddedOptions {
        workers: n,
        threads_per_worker: Some(n_threads),
        memory_bytes_per_worker: Some(memory_bytes),
    };
    Session::embedded_with(&options).expect("an embedded session")
}

#[test]
fn a_matrix_that_no_worker_holds_is_refused() {
    let session = workers(1, 1, 8 << 20);
    let a = Array2::<f64>::in_chunks(100).eye(600);
    for error in [a.svdvals().try_compute_on(&session), a.eigvalsh().try_compute_on(&session)] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains("task needs") && error.contains("8.39 MB"), "{error}");
    }
    // What is done in chunks, or in columns of them, has room.
    let x = a.solve(&Array1::<f64>::ones(600));
    assert_eq!(x.try_compute_on(&session).unwrap(), ndarray::Array1::<f64>::ones(600));
    assert_eq!(a.cholesky().try_compute_on(&session).unwrap(), Local2::<f64>::eye(600));
}

#[test]
fn the_page_for_people_who_come_from_dask_has_every_name_of_its_linear_algebra() {
    let page = include_str!("../../../docs/dask.md");
    let names = "cholesky compression_level compression_matrix inv lstsq lu norm qr sfqr solve solve_triangular svd \
                 svd_compressed tsqr";
    let missing = names.split_whitespace().filter(|name| !page.contains(&format!("| `linalg.{name}` | ")));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&str>::new());
    let rows = page.lines().filter(|line| line.starts_with("| `linalg."));
    assert_eq!(rows.count(), names.split_whitespace().count());
}
