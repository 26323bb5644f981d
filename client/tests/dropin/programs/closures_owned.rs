use ndarray::prelude::*;
fn main() {
    let a = Array2::<f64>::ones((3, 4));
    let v: Vec<Array1<f64>> = a.outer_iter().map(|r| r.to_owned()).collect();
    let w: Vec<Array1<f64>> = a.outer_iter().map(|r| &r * 2.0).collect();
    println!("{} {}", v.len(), w.len());
    let m: Array2<f64> = a.map_axis(Axis(1), |r| r.sum()).insert_axis(Axis(1));
    println!("{m}");
}
