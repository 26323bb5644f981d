use ndarray::prelude::*;
fn main() {
    let a = array![[1., 2.], [3., 4.]];
    let b = arr2(&[[1., 0.], [0., 1.]]);
    let c: Array2<f64> = &a + &b;
    let d: Array2<f64> = a.clone() * 2.0;
    let e: Array2<f64> = 2.0 * &a;
    let mut m: Array2<f64> = &a - &b.row(0);
    m += &b;
    m *= 3.0;
    let n: Array2<f64> = -&a;
    let k: Array2<f64> = &a.t() * &b;
    let p: Array2<f64> = a.dot(&b.t());
    let q: Array1<f64> = a.dot(&array![1., 2.]);
    let z: Array2<f64> = (&a * 2.0 + 1.0) / (&b + 1.0);
    println!("{c} {d} {e} {m} {n} {k} {p} {q} {z} {}", a == b);
    let s: f64 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
    println!("{s} {}", a[[0, 1]]);
}
