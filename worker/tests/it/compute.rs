//! Right results over every transport, and errors that say what is wrong.

use crate::support::{Build, Cluster, MODES, Mode, f64s, of_f64s};
use tilework_expr::{BinaryOp, DType, FileKind, FileRef, Fold, NodeIdx, Op, Program, Scalar, UnaryOp};
use tilework_formats::{ArraySource, IfExists, ZarrSpec, ZarrTarget, ZarrVersion, write_npy};
use tilework_kernels::Chunk;
use tilework_plan::{Grid, JobError, Stored, region_shape};

fn sum_of(build: &mut Build, node: NodeIdx) -> NodeIdx {
    let ndim = build.0.node(node).grid.ndim();
    let op = Op::Reduce { fold: Fold::Sum, axes: (0..ndim).collect() };
    build.node(op, &[node], &Grid::new(vec![]), DType::F64)
}

/// `(ones * 3).sum()` over 100 chunks.
fn sum_of_threes() -> Program {
    let grid = Grid::regular(&[1000, 1000], &[100, 100]);
    let mut b = Build::default();
    let ones = b.node(Op::Full(Scalar::new(1.0f64)), &[], &grid, DType::F64);
    let three = b.node(Op::Full(Scalar::new(3.0f64)), &[], &grid, DType::F64);
    let product = b.node(Op::Binary(BinaryOp::Mul), &[ones, three], &grid, DType::F64);
    let sum = sum_of(&mut b, product);
    b.output(sum)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sum_over_many_chunks() {
    for mode in MODES {
        for n_workers in [1, 3] {
            let mut cluster = Cluster::start(mode, n_workers).await;
            let outputs = cluster.compute(&sum_of_threes()).await.unwrap();
            assert_eq!(f64s(&outputs[0]), [3e6], "{mode:?} {n_workers}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_result_comes_with_the_news_of_it() {
    for mode in MODES {
        let mut cluster = Cluster::start(mode, 2).await;
        assert_eq!(f64s(&cluster.compute(&sum_of_threes()).await.unwrap()[0]), [3e6]);
        let [came] = &cluster.inlined[..] else { panic!("{:?}: {:?}", mode, cluster.inlined) };
        assert_eq!((&came.dtypes[..], &came.shape[..]), (&[DType::F64][..], &[][..]));
        assert_eq!(f64s(came.of(0).unwrap()), [3e6], "{mode:?}");
        // Of two chunks, the one that is done last comes so; of more bytes, or many chunks, none do.
        for (len, chunk, least, most) in [(2, 1, 1, 2), (200, 200, 0, 0), (17, 1, 0, 0)] {
            let grid = Grid::regular(&[len], &[chunk]);
            let mut b = Build::default();
            let three = b.node(Op::Full(Scalar::new(3.0f64)), &[], &grid, DType::F64);
            let program = b.output(three);
            assert_eq!(f64s(&cluster.compute(&program).await.unwrap()[0]), vec![3.0; len]);
            let came = cluster.inlined.len();
            assert!((least..=most).contains(&came), "{mode:?}: {came} of {len} by {chunk}");
        }
    }
}

fn element(i: usize, j: usize) -> f64 {
    ((i * 31 + j * 17) % 13) as f64 - 6.0
}

fn literal(region: &[std::ops::Range<usize>]) -> Chunk {
    let values: Vec<f64> =
        region[0].clone().flat_map(|i| region[1].clone().map(move |j| element(i, j))).collect();
    of_f64s(&values, &region_shape(region))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_matrix_product_of_literals() {
    let (n, m, k) = (70, 50, 60);
    let (left, right) = (Grid::regular(&[n, k], &[32, 16]), Grid::regular(&[k, m], &[25, 20]));
    let out = Grid::new(vec![left.axes()[0].clone(), right.axes()[1].clone()]);
    let mut b = Build::default();
    let x = b.node(Op::Literal { id: 7 }, &[], &left, DType::F64);
    let y = b.node(Op::Literal { id: 8 }, &[], &right, DType::F64);
    let product = b.node(Op::MatMul, &[x, y], &out, DType::F64);
    let program = b.output(product);
    let at = |i, j| (0..k).map(|l| element(i, l) * element(l, j)).sum::<f64>();
    let expected: Vec<f64> = (0..n).flat_map(|i| (0..m).map(move |j| at(i, j))).collect();
    for mode in MODES {
        let mut cluster = Cluster::start(mode, 2).await;
        cluster.literals.extend([(7, literal as fn(&[_]) -> _), (8, literal)]);
        let outputs = cluster.compute(&program).await.unwrap();
        assert_eq!(f64s(&outputs[0]), expected, "{mode:?}");
    }
}

fn read(path: &std::path::Path, kind: FileKind) -> Op {
    let file = FileRef { kind, path: path.display().to_string(), member: String::new() };
    Op::Read(file, Stored::Rows)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_read_by_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let values: Vec<f64> = (0..60 * 40).map(f64::from).collect();
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    write_npy(&path, &[60, 40], DType::F64, &bytes).unwrap();
    let grid = Grid::regular(&[60, 40], &[7, 9]);
    let mut b = Build::default();
    let a = b.node(read(&path, FileKind::Npy), &[], &grid, DType::F64);
    let root = b.node(Op::Unary(UnaryOp::Sqrt), &[a], &grid, DType::F64);
    let program = b.output(root);
    let expected: Vec<f64> = values.iter().map(|v| v.sqrt()).collect();
    for mode in [Mode::Direct, Mode::Grpc] {
        let mut cluster = Cluster::start(mode, 3).await;
        let outputs = cluster.compute(&program).await.unwrap();
        assert_eq!(f64s(&outputs[0]), expected, "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_written_by_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.zarr");
    let target = ZarrTarget { path: path.clone(), array: String::new(), version: ZarrVersion::V3 };
    target.create(&ZarrSpec::new(&[20, 30], DType::I64, &[8, 30]), IfExists::Fail).unwrap();
    let grid = Grid::regular(&[20, 30], &[8, 30]);
    let mut b = Build::default();
    let index = b.node(Op::Index { axis: 0 }, &[], &grid, DType::I64);
    let file = FileRef { kind: FileKind::Zarr3, path: path.display().to_string(), member: String::new() };
    let written = b.node(Op::Write(file), &[index], &grid, DType::I64);
    let program = b.output(written);
    let mut cluster = Cluster::start(Mode::Direct, 2).await;
    let job = cluster.submit(&program).await;
    loop {
        match cluster.next_update(&program, job).await {
            tilework_plan::Update::Done { .. } => break,
            tilework_plan::Update::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
    let reader = ArraySource::zarr(&path, "").open().unwrap();
    let mut bytes = vec![0; 20 * 30 * 8];
    reader.read(&[0..20, 0..30], &mut bytes).unwrap();
    let rows: Vec<i64> = bytes.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect();
    assert!(rows.iter().enumerate().all(|(i, &v)| v == (i / 30) as i64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_jobs_output_is_used_where_it_lies() {
    for mode in MODES {
        let mut cluster = Cluster::start(mode, 2).await;
        let grid = Grid::regular(&[100], &[10]);
        let mut b = Build::default();
        let index = b.node(Op::Index { axis: 0 }, &[], &grid, DType::I64);
        let floats = b.node(Op::Cast, &[index], &grid, DType::F64);
        let first = b.output(floats);
        let job = cluster.submit(&first).await;
        cluster.finish(&first, job).await.unwrap();
        let mut b = Build::default();
        let held = b.node(Op::Held { job: job.0, output: 0 }, &[], &grid, DType::F64);
        let sum = sum_of(&mut b, held);
        let outputs = cluster.compute(&b.output(sum)).await.unwrap();
        assert_eq!(f64s(&outputs[0]), [4950.0], "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_file_fails_the_job_with_its_name() {
    for mode in [Mode::Direct, Mode::Grpc] {
        let mut cluster = Cluster::start(mode, 2).await;
        let grid = Grid::regular(&[10], &[5]);
        let mut b = Build::default();
        let a = b.node(read("/nowhere/a.npy".as_ref(), FileKind::Npy), &[], &grid, DType::F64);
        let error = cluster.compute(&b.output(a)).await.unwrap_err();
        let JobError::Operation { operation, message, .. } = error else { panic!("{error:?}") };
        assert_eq!(
            (operation.as_str(), message.as_str()),
            ("read", "/nowhere/a.npy: no such file, store or array")
        );
        // The cluster goes on.
        assert_eq!(f64s(&cluster.compute(&sum_of_threes()).await.unwrap()[0]), [3e6]);
    }
}
