//! Results and what memory holds of them.

use super::*;

#[test]
fn roots_wait_for_memory() {
    let mut case = Case { scheduler: Scheduler::new(Limits::default()), now_us: 0 };
    // 60 % of 1000 bytes are room for 7 chunks of 80 bytes.
    case.event(Event::WorkerJoined { worker: WorkerId(0), hello: hello("w", 4, 1000) });
    let kept = [read("a", 100, 10), read("b", 100, 10)];
    let sums: Vec<Expr> = kept.iter().map(|e| e.reduce_all(Fold::Sum).unwrap()).collect();
    let actions = case.submit(0, &sums);
    let n: u64 = leases(&actions, 0).iter().map(|(_, t)| t.chunks.end - t.chunks.start).sum();
    assert_eq!(n, 7);
}

#[test]
fn what_fits_nowhere_is_refused_at_once() {
    let mut case = Case::with_workers(1);
    let actions = case.submit(0, &[read("a", 1_000_000, -1)]);
    let [Update::Failed(JobError::Memory { needed, limit, fits, .. })] = updates(&actions)[..] else {
        panic!("{actions:?}")
    };
    assert_eq!((*needed, *limit, *fits), (8_000_000, 1_000_000, 125_000));
}

/// A square of `n` by `n` chunks of 128 bytes, with its mean along an axis, or of all, taken from it and reduced.
fn centred(n: usize, axis: Option<usize>) -> Expr {
    let file = FileRef { kind: FileKind::Npy, path: "x".to_owned(), member: String::new() };
    let n = 4 * n;
    let x =
        Expr::read((file, Stored::Rows), &[n, n], &Chunks::Every(AxisChunks::Len(4)), DType::F64).unwrap();
    let mean = match axis {
        Some(axis) => x.reduce(Fold::Mean, &[axis]).unwrap(),
        None => x.reduce_all(Fold::Mean).unwrap(),
    };
    let spread = x.binary(BinaryOp::Sub, &mean.broadcast_to(&[n, n]).unwrap()).unwrap();
    spread.reduce_all(Fold::Sum).unwrap()
}

/// What running a job to its end took: the chunks of the first stage in the order in which they were leased, the most
/// bytes held, and the update that it ended with.
fn run_to_end(memory_bytes: u64, n_workers: u32, output: Expr) -> (Vec<u64>, u64, Update) {
    let mut case = Case { scheduler: Scheduler::new(Limits::default()), now_us: 0 };
    for w in 0..n_workers {
        case.event(Event::WorkerJoined {
            worker: WorkerId(w),
            hello: hello(&format!("w{w}"), 1, memory_bytes),
        });
    }
    let mut actions = case.submit(0, &[output]);
    let (mut roots, mut open) = (Vec::new(), std::collections::VecDeque::new());
    loop {
        for worker in 0..n_workers {
            for lease in leases(&actions, worker) {
                if lease.1.stage == StageIdx(0) {
                    roots.extend(lease.1.chunks.clone());
                }
                open.push_back((worker, lease));
            }
        }
        if let Some(end) =
            updates(&actions).iter().find(|u| matches!(u, Update::Done { .. } | Update::Failed(_)))
        {
            let held = match end {
                Update::Done { figures, .. } => figures.bytes_held_max,
                _ => 0,
            };
            return (roots, held, (**end).clone());
        }
        let (worker, (lease, tasks)) = open.pop_front().expect("something is under way until the job ends");
        // So long that few are handed out ahead of need.
        let busy_us = 10_000 * (tasks.chunks.end - tasks.chunks.start);
        actions =
            case.report(worker, Report::Done { lease, tasks, busy_us, bytes_fetched: 0, sizes: vec![] });
    }
}

#[test]
fn what_waits_for_a_mean_of_columns_is_read_by_columns() {
    let (roots, held, end) = run_to_end(100_000, 1, centred(16, Some(0)));
    assert!(matches!(end, Update::Done { .. }), "{end:?}");
    let by_columns: Vec<u64> = (0..256).map(|p| p % 16 * 16 + p / 16).collect();
    assert_eq!(roots, by_columns);
    assert!(held < 32_768 / 4, "{held} bytes of 32768 are held at a time");
    // Along rows, the order is that of the numbers.
    let (roots, ..) = run_to_end(100_000, 1, centred(16, Some(1)));
    assert_eq!(roots, (0..256).collect::<Vec<u64>>());
}

#[test]
fn what_does_not_fit_until_a_mean_of_all_is_known_is_read_twice() {
    // All of it fits, and then less than a third.
    let (roots, _, end) = run_to_end(100_000, 1, centred(16, None));
    assert!(matches!(end, Update::Done { .. }) && roots.len() == 256, "{end:?}");
    for workers in [1, 3] {
        let memory = 10_800 / u64::from(workers);
        let (roots, held, end) = run_to_end(memory, workers, centred(16, None));
        assert!(matches!(end, Update::Done { .. }), "{end:?}");
        assert!(held <= 10_800, "{held} bytes are held of 10800");
        assert!((257..=512).contains(&roots.len()), "{} chunks are read for 256", roots.len());
    }
}

#[test]
fn what_is_kept_is_spread_by_free_memory_and_refused_with_numbers_where_it_does_not_fit() {
    let (_, _, end) = run_to_end(500, 2, read("a", 100, 1));
    let Update::Done { outputs, .. } = &end else { panic!("{end:?}") };
    let mine = outputs[0].iter().filter(|h| h.worker == WorkerId(0));
    let held: u64 = mine.map(|h| h.chunks.chunks.end - h.chunks.chunks.start).sum();
    assert!((45..=55).contains(&held), "{held} of 100 chunks are on one worker");
    let (_, _, end) = run_to_end(500, 2, read("a", 200, 1));
    let Update::Failed(JobError::Full { operation, needed, held, limit }) = end else { panic!("{end:?}") };
    assert_eq!((operation.as_str(), needed, limit), ("read", 8, 1000));
    assert!((880..=900).contains(&held), "{held}");
}

#[test]
fn a_task_needs_what_it_reads_of_chunks_and_not_the_chunks() {
    let file = FileRef { kind: FileKind::Npy, path: "x".to_owned(), member: String::new() };
    let chunks = |rows, columns| Chunks::Axes([rows, columns].map(AxisChunks::Len).to_vec());
    // 6400 bytes in ten chunks of rows, which are read by two: by columns, of 640 bytes each, and by themselves.
    let rows = Expr::read((file, Stored::Rows), &[40, 20], &chunks(4, 20), DType::F64).unwrap();
    let rows = rows.map_blocks(function("0f")).unwrap();
    let columns = rows.rechunk(&chunks(40, 2)).unwrap().map_blocks(function("0f")).unwrap();
    for (workers, memory) in [(1, 8000), (2, 4500), (3, 3200), (4, 2400)] {
        let (_, _, end) = run_to_end(memory, workers, columns.reduce_all(Fold::Sum).unwrap());
        assert!(matches!(end, Update::Done { .. }), "{workers} workers: {end:?}");
    }
    // A column's parts and its result are too much for any number of workers.
    let (_, _, end) = run_to_end(1200, 10, columns);
    assert!(
        matches!(end, Update::Failed(JobError::Memory { limit: 1200, needed, .. }) if needed < 2000),
        "{end:?}"
    );
}

#[test]
fn results_are_charged_by_what_they_turn_out_to_be() {
    let mut case = Case::with_workers(1);
    let actions = case.submit(0, &[calls(&[], &[&[], &[]])]);
    let [lease] = &leases(&actions, 0)[..] else { panic!("{actions:?}") };
    let actions = case.report(0, measured(lease, &[1_000_000, 3]));
    assert!(updates(&actions).iter().any(|u| matches!(u, Update::Done { .. })));
    assert_eq!(case.scheduler.state(case.now_us).jobs[0].bytes_held, 1_000_003);
    // The sums of what workers hold are checked after each event.
    case.event(Event::JobReleased { job: JobId(0) });
}
