//! What `explain` says before a run, and that runs take what it says.

use tilework::prelude::*;
use tilework::{EmbeddedOptions, Explain, Session, explain_all, random};

fn uniform(n: usize, chunk: isize, seed: u64) -> Array2<f64> {
    random::in_chunks(chunk).uniform((n, n), 0.0..1.0, seed)
}

fn operations(plan: &Explain) -> Vec<&str> {
    plan.stages().iter().map(|s| s.operation.as_str()).collect()
}

#[test]
fn stages_are_formulas() {
    let x = uniform(40, 10, 1);
    let y = uniform(40, 20, 2);
    let plan = ((&x + &y) * 2.0 - x.t()).sin().mean_axis(Axis(0)).unwrap().explain();
    let fused = "mean(sin((uniform(0..1) + uniform(0..1)) * 2 - uniform(0..1))) over axis 0 of each chunk";
    assert_eq!(operations(&plan), [fused, "mean of partial results #0 over axis 0"]);
    assert_eq!(plan.stages().iter().map(|s| s.n_tasks).collect::<Vec<_>>(), [16, 4]);
    assert_eq!((&plan.stages()[0].shape[..], &plan.stages()[0].chunk[..]), (&[40, 40][..], &[10, 10][..]));

    let long = (0..20).fold(x.clone(), |sum, i| sum + f64::from(i)).explain();
    assert!(operations(&long)[0].ends_with(" + 10 + 11 + 12 + 1 …"), "{long}");

    let a = Array2::from_ndarray(ndarray::Array2::<f64>::ones((40, 40)), 10);
    let product = a.dot(&a.slice(s![.., ..;2])).explain();
    assert_eq!(operations(&product), ["array of the client, f64", "matrix product #0 · #0"]);
    let parts = a.slice(s![1.., ..]).rechunk([-1, 5]);
    let parts = (&parts + &parts.t().to_owned().t().sum_axis(Axis(0))).explain();
    assert!(operations(&parts).iter().any(|o| o.contains("slice(#0)")), "{parts}");
    let halves = a.map_overlap(1, tilework::Boundary::Periodic, |b| b.to_owned()).explain();
    assert!(operations(&halves)[1].starts_with("map_overlap(#0, depth [1, 1], "), "{halves}");
}

/// A session of so many workers.
fn session(n: usize) -> Session {
    let options = EmbeddedOptions { workers: n, threads_per_worker: Some(1), memory_bytes_per_worker: None };
    Session::embedded_with(&options).expect("a session")
}

#[test]
fn a_run_takes_what_is_planned() {
    for session in [session(1), session(2)] {
        let a = Array2::from_ndarray(ndarray::Array2::<f64>::ones((64, 64)), 16);
        let b = uniform(64, 16, 3);
        let columns = (&a + &b.t()).sum_axis(Axis(0));
        let before = columns.try_explain_on(&session).unwrap();
        assert_eq!(before.run(), None);
        let planned = *before.forecast().unwrap();
        let tasks: u64 = before.stages().iter().map(|s| s.n_tasks).sum();
        assert_eq!((planned.n_tasks, planned.bytes_put, planned.bytes_read), (tasks, 64 * 64 * 8, 0));
        let _ = columns.try_compute_on(&session).unwrap();
        let after = columns.try_explain_on(&session).unwrap();
        let run = after.run().unwrap();
        assert_eq!((run.n_tasks, run.bytes_put, run.bytes_read), (tasks, 64 * 64 * 8, 0));
        for figures in [&planned, run] {
            let held = figures.bytes_held_max;
            assert!(held >= 16 * 16 * 8 && held <= 64 * 64 * 8 + tasks * 128, "{after}");
        }
        assert!(run.elapsed_us > 0, "{after}");
    }
}

#[test]
fn what_has_to_move_is_foreseen() {
    let strips = || Array2::from_ndarray(ndarray::Array2::<f64>::ones((64, 64)), [64, 8]);
    for n in [1, 2] {
        let session = session(n);
        let others = strips().rechunk([8, 64]);
        let _ = others.try_compute_on(&session).unwrap();
        let plan = others.try_explain_on(&session).unwrap();
        let (planned, run) = (plan.forecast().unwrap(), plan.run().unwrap());
        // Of n workers each has one n-th of the strips, and needs as much of every other's.
        let expected = 64 * 64 * 8 * (n as u64 - 1) / n as u64;
        assert_eq!(planned.bytes_moved, expected, "{plan}");
        // Which worker runs a task depends on what else the machine does.
        assert!(run.bytes_moved <= 64 * 64 * 8 && (n > 1 || run.bytes_moved == 0), "{plan}");
    }
}

#[test]
fn several_arrays_share_stages() {
    let x = uniform(40, 10, 5).persist();
    let (least, greatest) = (x.min_axis(Axis(0)), x.max_axis(Axis(1)));
    let plan = explain_all(&(&least, &greatest));
    assert_eq!((operations(&plan)[0], plan.stages()[0].n_tasks), ("held by the workers", 0), "{plan}");
    let held = operations(&plan).iter().filter(|o| o.starts_with("held")).count();
    assert_eq!((held, plan.stages().len()), (1, 5), "{plan}");
    assert!(plan.forecast().is_some(), "{plan}");
}

#[test]
fn what_cannot_work_is_said() {
    let options =
        EmbeddedOptions { workers: 1, threads_per_worker: Some(1), memory_bytes_per_worker: Some(1 << 20) };
    let session = Session::embedded_with(&options).unwrap();
    let plan = uniform(1000, -1, 6).try_explain_on(&session).unwrap();
    assert!(plan.failure().unwrap().contains("the largest worker may use 1.05 MB"), "{plan}");
    assert_eq!(plan.forecast(), None);
    assert!(plan.to_string().contains("would fail: "), "{plan}");
    // Chunks that fit one by one, and not together: `explain` says what the run says.
    let kept = uniform(1000, 100, 6);
    let plan = kept.try_explain_on(&session).unwrap();
    let error = kept.try_compute_on(&session).unwrap_err().to_string();
    assert!(
        error.contains("the workers' memory is full: ") && error.contains(" of their 1.05 MB are held"),
        "{error}"
    );
    assert_eq!(plan.failure(), Some(error.as_str()));
    assert!(kept.sum_axis(Axis(0)).try_explain_on(&session).unwrap().forecast().is_some());
}

#[test]
fn the_page() {
    let x = uniform(4000, 1000, 7);
    let plan = (&x + 1.0).sum_axis(Axis(1)).explain();
    let text = plan.to_string();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("#1: 4000 f64, 32.0 kB, in 4 chunks of 1000, 8.00 kB"));
    assert_eq!(lines.next(), Some(""));
    let stages: Vec<&str> = lines.by_ref().take_while(|l| !l.is_empty()).collect();
    let expected = [
        "stage         over    chunks of  tasks     reads     makes  operation",
        "   #0  4000 × 4000  1000 × 1000     16       0 B    128 kB  sum(uniform(0..1) + 1) over axis 1 of each chunk",
        "   #1     4000 × 1     1000 × 1      4    128 kB   32.0 kB  sum of partial results #0 over axis 1",
    ];
    let squeezed = |s: &&str| s.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        stages.iter().map(squeezed).collect::<Vec<_>>(),
        expected.iter().map(squeezed).collect::<Vec<_>>()
    );
    assert!(text.contains("held at the peak") && text.contains("latest run"), "{text}");
}
