//! Chunks that memory does not hold: on the disk, between workers, to the client, and when the disk loses them.

use crate::support::{Build, Cluster, MODES, Mode};
use std::os::unix::fs::FileExt;
use tilework_expr::{DType, Dist, Op, Program, UnaryOp};
use tilework_plan::{AxisMap, Grid, JobError, Update, View};
use tilework_worker::Spill;

/// Bytes of each chunk of [`program`], of which there are 64.
const CHUNK: u64 = 100 * 100 * 8;

/// An array of 5 MB; with `turned`, added to its transpose.
fn program(turned: bool) -> Program {
    let grid = Grid::regular(&[800, 800], &[100, 100]);
    let mut b = Build::default();
    let dist = Dist::Uniform { low: 0.0, high: 1.0 };
    let noise = b.node(Op::Random { key: 5, dist }, &[], &grid, DType::F64);
    let root = b.node(Op::Unary(UnaryOp::Sqrt), &[noise], &grid, DType::F64);
    if !turned {
        return b.output(root);
    }
    let other =
        b.node(Op::View(View { axes: vec![AxisMap::same(1), AxisMap::same(0)] }), &[root], &grid, DType::F64);
    let sum = b.node(Op::Binary(tilework_expr::BinaryOp::Add), &[root, other], &grid, DType::F64);
    b.output(sum)
}

fn on(dir: &std::path::Path) -> Spill {
    Spill { dir: Some(dir.to_owned()), limit: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_larger_than_memory_are_the_same_and_leave_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for turned in [false, true] {
        let program = program(turned);
        let expected = Cluster::start(Mode::Direct, 1).await.compute(&program).await.unwrap();
        for mode in MODES {
            let mut cluster = Cluster::start_with(mode, 2, None, 12 * CHUNK, &on(dir.path())).await;
            let job = cluster.submit(&program).await;
            let outputs = cluster.finish(&program, job).await.unwrap();
            assert!(outputs == expected, "{mode:?}: other bits");
            let on_disk =
                |c: &Cluster| c.workers.iter().map(tilework_worker::WorkerHandle::bytes_held).sum::<u64>();
            assert!(on_disk(&cluster) <= 2 * 12 * CHUNK, "{mode:?}: more in memory than may be");
            cluster.session.link.release(job).await.unwrap();
        }
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing has a name there");
}

/// Writes over all that is on the disk in a directory, by way of the descriptors of this process.
fn spoil(dir: &std::path::Path) -> usize {
    let mut n = 0;
    for entry in std::fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let target = std::fs::read_link(entry.path()).unwrap_or_default();
        if target.starts_with(dir) {
            let file = std::fs::File::options().write(true).open(entry.path()).unwrap();
            let len = file.metadata().unwrap().len();
            file.write_all_at(&vec![0x55; len as usize], 0).unwrap();
            n += 1;
        }
    }
    n
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_disk_has_lost_is_made_again() {
    let program = program(false);
    let expected = Cluster::start(Mode::Direct, 1).await.compute(&program).await.unwrap();
    for mode in [Mode::Direct, Mode::Grpc] {
        let dir = tempfile::tempdir().unwrap();
        let mut cluster = Cluster::start_with(mode, 2, None, 12 * CHUNK, &on(dir.path())).await;
        let job = cluster.submit(&program).await;
        let mut done = None;
        while done.is_none() {
            match cluster.next_update(&program, job).await {
                Update::Done { outputs, addresses, .. } => done = Some((outputs, addresses)),
                Update::Failed(why) => panic!("{why}"),
                _ => {}
            }
        }
        assert!(spoil(dir.path()) > 0, "{mode:?}: nothing is on the disk");
        let (outputs, addresses) = done.unwrap();
        let addresses = addresses.into_iter().collect();
        // The first try finds out, and the scheduler names others.
        assert!(cluster.gather(&program, &outputs, &addresses).await.is_none(), "{mode:?}");
        assert!(cluster.finish(&program, job).await.unwrap() == expected, "{mode:?}: other bits");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_too_small_is_an_error_with_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let spill = Spill { limit: Some(8 * CHUNK), ..on(dir.path()) };
    let mut cluster = Cluster::start_with(Mode::Direct, 1, None, 12 * CHUNK, &spill).await;
    let error = cluster.compute(&program(false)).await.unwrap_err();
    let JobError::Full { needed, held, limit, .. } = error else { panic!("{error}") };
    assert_eq!((needed, limit), (CHUNK, 20 * CHUNK));
    assert!(held > 10 * CHUNK && held <= limit, "{held} bytes");
    let spill = Spill { limit: Some(0), ..spill };
    let mut cluster = Cluster::start_with(Mode::Direct, 1, None, 12 * CHUNK, &spill).await;
    assert!(
        matches!(cluster.compute(&program(false)).await, Err(JobError::Full { limit, .. }) if limit == 12 * CHUNK)
    );
}
