use ndarray::prelude::*;
fn lap(v: &ArrayView2<f64>) -> Array2<f64> {
    -4. * &v.slice(s![1..-1, 1..-1]) + v.slice(s![..-2, 1..-1]) + v.slice(s![2.., 1..-1])
}
fn main() {
    let a = Array2::<f64>::ones((4, 4));
    println!("{}", lap(&a.view()));
}
