//! quick
use tilework::*;
fn main() {
    let t = std::time::Instant::now();
    let s = Session::embedded().unwrap();
    println!("session {:?}", t.elapsed());
    let x = Array2::<f64>::ones_chunked((1000, 1000), 100);
    let t = std::time::Instant::now();
    println!("{:?}", x.lazy_sum().try_compute_on(&s));
    println!("{:?}", t.elapsed());
    let a = ndarray::Array2::from_shape_fn((700, 500), |(i, j)| (i * 500 + j) as f64);
    let b = Array::from_ndarray(a.clone(), [64, 500]);
    let c = (&b.t() * 2.0).try_compute_on(&s).unwrap();
    assert_eq!(c, a.t().to_owned() * 2.0);
    let d = b.dot(&b.t()).try_compute_on(&s).unwrap();
    println!("{}", (&d - &a.dot(&a.t())).iter().map(|x| x.abs()).fold(0.0, f64::max));
    for _ in 0..3 {
        let t = std::time::Instant::now();
        Array1::<f64>::ones(10).lazy_sum().try_compute_on(&s).unwrap();
        println!("small {:?}", t.elapsed());
    }
}
