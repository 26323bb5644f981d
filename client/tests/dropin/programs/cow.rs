use ndarray::CowArray;
use ndarray::prelude::*;
fn f(c: CowArray<f64, Ix2>) -> Array2<f64> {
    c.into_owned()
}
fn main() {
    let a = Array2::<f64>::ones((3, 4));
    println!("{}", f((&a).into()));
    let b: Array1<f64> = a.to_shape(12).unwrap().to_owned();
    let c: Array1<f64> = a.flatten().into_owned();
    println!("{b} {c}");
}
