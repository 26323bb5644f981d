use ndarray::prelude::*;
use ndarray::{Zip, azip};
fn main() {
    let mut a = Array2::<f64>::zeros((3, 4));
    let b = Array2::<f64>::ones((3, 4));
    azip!((x in &mut a, &y in &b) *x = y + 1.0);
    Zip::from(&mut a).and(&b).for_each(|x, &y| *x += y);
    Zip::from(a.rows_mut()).and(b.rows()).for_each(|mut r, q| r += &q);
    let c: Array2<f64> = Zip::from(&a).and(&b).map_collect(|x, y| x * y);
    let d: Array1<f64> = Zip::from(a.rows()).map_collect(|r| r.sum());
    println!("{c} {d}");
}
