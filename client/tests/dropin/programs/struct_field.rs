use ndarray::prelude::*;
struct Net {
    w: Array2<f64>,
    b: Array1<f64>,
}
impl Net {
    fn fwd(&self, x: ArrayView1<f64>) -> Array1<f64> {
        (self.w.dot(&x) + &self.b).mapv(f64::tanh)
    }
    fn step(&mut self, x: &Array2<f64>) {
        for r in x.outer_iter() {
            let g = self.fwd(r);
            self.b -= &(&g * 0.1);
            self.b.scaled_add(0.5, &g);
        }
    }
}
fn main() {
    let mut n = Net { w: Array2::eye(3), b: Array1::zeros(3) };
    n.step(&Array2::ones((4, 3)));
    println!("{}", n.b);
}
