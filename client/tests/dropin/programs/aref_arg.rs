use ndarray::prelude::*;
fn f(v: &ArrayRef2<f64>) -> f64 {
    v.sum()
}
fn main() {
    let a = Array2::<f64>::ones((4, 4));
    println!("{} {}", f(&a), f(&a.slice(s![..2, ..])));
}
