use ndarray::prelude::*;
use ndarray_stats::CorrelationExt;
fn main() {
    let a = array![[1.0, 2.0], [3.0, 5.0]];
    let c: Array2<f64> = a.cov(1.).unwrap();
    println!("{}", c);
}
