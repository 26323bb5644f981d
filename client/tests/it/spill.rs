//! More data than memory: what does not fit goes to the disk and comes back, and the bits are those of a roomy session.

use tilework::prelude::*;
use tilework::{Boundary, EmbeddedOptions, Session};

const MIB: u64 = 1 << 20;

fn session(workers: usize, mib: Option<u64>) -> Session {
    let memory_bytes_per_worker = mib.map(|mib| mib * MIB);
    Session::embedded_with(&EmbeddedOptions { workers, threads_per_worker: Some(1), memory_bytes_per_worker })
        .expect("an embedded session")
}

/// 32 MB in chunks of 500 kB.
fn noise(seed: u64) -> Array2<f64> {
    tilework::random::in_chunks([250, 250]).uniform((2000, 2000), 0.0..1.0, seed)
}

/// The same as chunks that cannot be made again for nothing.
fn staged(seed: u64) -> Array2<f64> {
    noise(seed).map_blocks(|block| block.mapv(f64::sqrt))
}

#[allow(clippy::reversed_empty_ranges, reason = "negative ends count from the end")]
fn step(block: ndarray::ArrayView2<'_, f64>) -> ndarray::Array2<f64> {
    let inner = block.slice(s![1..-1, 1..-1]);
    &inner * 0.5 + &block.slice(s![..-2, 1..-1]) * 0.25 + &block.slice(s![2.., 1..-1]) * 0.25
}

/// What is computed, as one row of numbers whose last bits depend on every element.
fn workloads() -> Vec<(&'static str, Array1<f64>)> {
    let (x, y) = (staged(1), staged(2));
    let centred = &x - &x.mean_axis(Axis(0)).expect("rows");
    let range = &x.max_axis(Axis(0)) - &x.min_axis(Axis(0));
    let scaled = (&x - &x.min_axis(Axis(0))) / range;
    let strips = x.try_rechunk([-1, 100]).expect("a rechunk").map_blocks(|block| block.mapv(f64::exp));
    let swept = x.map_overlap(1, Boundary::Periodic, step).map_overlap(1, Boundary::Periodic, step);
    vec![
        ("less its mean", centred.map_blocks(|b| b.mapv(f64::abs)).sum_axis(Axis(1))),
        ("scaled", scaled.sum_axis(Axis(1))),
        ("plus its transpose", (&x + &x.t()).std_axis(Axis(0), 0.0)),
        ("rechunked", strips.sum_axis(Axis(0))),
        ("swept", swept.sum_axis(Axis(0))),
        ("product", x.dot(&y).sum_axis(Axis(0))),
    ]
}

fn bits(a: &ndarray::Array1<f64>) -> Vec<u64> {
    a.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn the_same_bits_in_a_third_of_the_memory() {
    let (roomy, tight) = (session(1, None), session(1, Some(12)));
    let two = session(2, Some(12));
    for (name, expr) in workloads() {
        let want = bits(&expr.try_compute_on(&roomy).expect(name));
        assert_eq!(bits(&expr.try_compute_on(&tight).expect(name)), want, "{name}");
        assert_eq!(bits(&expr.try_compute_on(&two).expect(name)), want, "{name} on two workers");
    }
}

#[test]
fn what_is_persisted_may_be_larger_than_memory() {
    let tight = session(1, Some(8));
    let want = bits(&staged(3).sum_axis(Axis(0)).try_compute_on(&session(1, None)).expect("a sum"));
    let kept = staged(3).try_persist_on(&tight).expect("on the disk");
    for _ in 0..2 {
        assert_eq!(bits(&kept.sum_axis(Axis(0)).try_compute_on(&tight).expect("a sum")), want);
    }
    let corner = kept.slice(s![1990.., 1990..]).to_owned().try_compute_on(&tight).expect("a corner");
    assert_eq!(corner.dim(), (10, 10));
    let whole = kept.try_compute_on(&tight).expect("all of it");
    assert_eq!(whole.slice(s![1990.., 1990..]), corner);
}

#[test]
fn what_goes_to_the_disk_is_forecast() {
    let tight = session(1, Some(8));
    let kept = staged(4);
    let plan = kept.try_explain_on(&tight).expect("a plan");
    let spilled = plan.forecast().expect("a forecast").bytes_spilled;
    assert!(spilled > 16 * MIB && spilled < 64 * MIB, "{plan}");
    assert!(plan.to_string().contains("written to disks"), "{plan}");
    kept.try_compute_on(&tight).expect("all of it");
    let run = spilled_by_run(&tight, &kept);
    assert!(run > 16 * MIB && run < 64 * MIB, "{run} bytes");
    let roomy = kept.try_explain_on(&session(1, None)).expect("a plan");
    assert_eq!(roomy.forecast().expect("a forecast").bytes_spilled, 0);
}

fn spilled_by_run(session: &Session, expr: &Array2<f64>) -> u64 {
    expr.try_explain_on(session).expect("a plan").run().expect("it has run").bytes_spilled
}
