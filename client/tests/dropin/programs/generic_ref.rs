use ndarray::Data;
use ndarray::prelude::*;
fn f<S: Data<Elem = f64>>(v: &ArrayBase<S, Ix2>) -> f64 {
    v.sum()
}
fn main() {
    let a = Array2::<f64>::ones((4, 4));
    println!("{} {}", f(&a), f(&a.slice(s![..2, ..])));
}
