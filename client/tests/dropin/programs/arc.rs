use ndarray::prelude::*;
fn main() {
    let a = Array2::<f64>::ones((3, 4)).into_shared();
    let b = &a + 1.0;
    let c: Array2<f64> = &a + &b;
    let d: ArcArray<f64, Ix2> = a.clone() + &b;
    println!("{c} {d}");
}
