use ndarray::prelude::*;
use ndarray_rand::{RandomExt, rand_distr::Uniform};
fn main() {
    let a: Array2<f64> = Array::random((3, 3), Uniform::new(0., 1.).unwrap());
    println!("{:?}", a.dim());
}
