//! Workers whose memory is small: what fits, what is refused, and whether what the refusal advises helps.

use tilework::prelude::*;
use tilework::{EmbeddedOptions, Session};

/// Workers of one thread, each with so much memory.
fn workers(n: usize, memory_bytes: u64) -> Session {
    let options = EmbeddedOptions {
        workers: n,
        threads_per_worker: Some(1),
        memory_bytes_per_worker: Some(memory_bytes),
    };
    Session::embedded_with(&options).expect("an embedded session")
}

/// 1000 by 1000 numbers, 8 MB, in ten chunks of rows that are made by tasks of their own.
fn rows() -> Array2<f64> {
    let random: Array2<f64> = tilework::random::in_chunks([100, 1000]).uniform((1000, 1000), 0.0..1.0, 3);
    random.map_blocks(|block| block.mapv(f64::sqrt))
}

#[test]
fn rows_become_columns_on_workers_each_of_which_has_room_for_a_part() {
    let columns = |rows: &Array2<f64>| rows.rechunk([1000, 100]).map_blocks(|block| &block * 2.0);
    let sums = columns(&rows()).sum_axis(Axis(0));
    let want = sums.try_compute_on(&workers(1, 1 << 30)).expect("plenty of memory");
    // All of a column's ten chunks of rows, 8 MB, are more than any of the workers has.
    for (n, memory_bytes) in [(2, 7_000_000), (3, 6_000_000), (4, 4_500_000)] {
        let got =
            sums.try_compute_on(&workers(n, memory_bytes)).unwrap_or_else(|e| panic!("{n} workers: {e}"));
        assert_eq!(got, want, "{n} workers");
    }
    // The same of chunks that are kept.
    let _mine = crate::support::processes_are_mine();
    let session = workers(3, 6_000_000);
    session.make_current();
    let kept = rows().persist();
    assert_eq!(columns(&kept).sum_axis(Axis(0)).compute(), want);
    drop(kept);
    Session::close_current();
}

/// Where this is set, the test below is the program that it runs: without a disk.
const CHILD: &str = "TILEWORK_TEST_FULL_MEMORY";

#[test]
fn what_the_error_for_full_memory_advises_helps() {
    if std::env::var_os(CHILD).is_none() {
        let mut child = std::process::Command::new(std::env::current_exe().expect("this program"));
        child.args(["--exact", "memory::what_the_error_for_full_memory_advises_helps"]);
        child.env(CHILD, "1").env("TILEWORK_SPILL_LIMIT", "0");
        let ended = child.output().expect("it starts");
        return assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    }
    let _mine = crate::support::processes_are_mine();
    const MEMORY: u64 = 4_000_000;
    let small = workers(1, MEMORY);
    let text = rows().try_compute_on(&small).expect_err("twice the memory").to_string();
    assert!(
        text.starts_with("the workers' memory is full: ") && text.contains(" of their 4.00 MB are held"),
        "{text}"
    );
    let want = rows().try_compute_on(&workers(1, 1 << 30)).expect("plenty of memory");

    assert!(text.contains("give the workers more memory or add workers"), "{text}");
    assert_eq!(rows().try_compute_on(&workers(1, 3 * MEMORY)).expect("more memory"), want);
    assert_eq!(rows().try_compute_on(&workers(3, MEMORY)).expect("more workers"), want);

    small.make_current();
    assert!(text.contains("write the result to a Zarr store or reduce it instead of keeping it"), "{text}");
    let dir = tempfile::tempdir().expect("a directory");
    rows().write_zarr(dir.path().join("rows.zarr"), "").expect("written");
    let written: Array2<f64> = Array::read_zarr(dir.path().join("rows.zarr"), "").expect("a store");
    assert_eq!(written.try_compute_on(&workers(1, 1 << 30)).expect("what was written"), want);
    let sums = rows().sum_axis(Axis(0));
    assert_eq!(sums.compute(), sums.try_compute_on(&workers(1, 1 << 30)).expect("plenty of memory"));

    assert!(text.contains("or drop arrays that are persisted"), "{text}");
    let all = rows();
    let half = all.slice(s![..300, ..]);
    let kept = half.persist();
    assert!(
        half.try_compute().expect_err("it is full").to_string().starts_with("the workers' memory is full")
    );
    drop(kept);
    assert_eq!(half.try_compute().expect("there is room"), want.slice(s![..300, ..]));
    Session::close_current();
}
