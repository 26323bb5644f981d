//! Constructors: chunks and shapes that make no sense, ranges without an end, distributions without elements, files.

use crate::support::{check, mistakes, panic_text};
use ndarray::Array1 as Nd1;
use tilework::io::ZarrOptions;
use tilework::prelude::*;
use tilework::{AxisChunks, random};

const HUGE: usize = usize::MAX;

fn too_large(shape: &[usize], itemsize: usize) -> String {
    format!(
        "an array of shape {shape:?} with {itemsize}-byte elements has more bytes than an address can hold"
    )
}

#[test]
fn chunks_that_do_not_fit() {
    type A = Array2<f64>;
    let (shape, positive) = ((4, 6), "lengths of at least 1, or -1 for the whole axis");
    let text = |given: &str, expected: &str| format!("chunks {given} for shape [4, 6]: {expected}");
    let lens = |lens: &[usize]| vec![AxisChunks::Lens(lens.to_vec()), AxisChunks::Whole];
    let values = || ndarray::Array2::<f64>::zeros((4, 6));
    let sum = "lengths that add up to the axis' length";
    let a = A::ones(shape);
    mistakes! {
        A::in_chunks(0).try_zeros(shape), A::in_chunks(0).zeros(shape) => text("0", positive);
        A::in_chunks(-2).try_ones(shape), A::in_chunks(-2).ones(shape) => text("-2", positive);
        A::in_chunks(isize::MIN).try_default(shape), A::in_chunks(isize::MIN).default(shape)
            => text("-9223372036854775808", positive);
        A::in_chunks([2, 0]).try_from_elem(shape, 1.0), A::in_chunks([2, 0]).from_elem(shape, 1.0)
            => text("[2, 0]", positive);
        A::in_chunks([2, 2, 2]).try_zeros(shape), A::in_chunks([2, 2, 2]).zeros(shape)
            => text("[2, 2, 2]", "one entry for each axis");
        A::in_chunks(Chunks::Bytes(0)).try_zeros(shape), A::in_chunks(Chunks::Bytes(0)).zeros(shape)
            => text("of 0 B", "at least one byte a chunk");
        A::in_chunks(lens(&[3, 2])).try_zeros(shape), A::in_chunks(lens(&[3, 2])).zeros(shape)
            => text("[[3, 2], -1]", sum);
        A::in_chunks(lens(&[])).try_zeros(shape) => text("[[], -1]", sum);
        A::in_chunks(lens(&[HUGE, 5])).try_zeros(shape) => text("[[18446744073709551615, 5], -1]", sum);
        A::in_chunks(lens(&[4, 0])).try_zeros(shape) => text("[[4, 0], -1]", "lengths of at least 1");
        A::try_from_ndarray(values(), 0), A::from_ndarray(values(), 0) => text("0", positive);
        A::in_chunks(0).from_shape_vec(shape, vec![0.0; 24]) => text("0", positive);
        A::in_chunks(0).try_from_shape_fn(shape, |_| 0.0), A::in_chunks(0).from_shape_fn(shape, |_| 0.0)
            => text("0", positive);
        a.try_rechunk(0), a.rechunk(0) => text("0", positive);
        a.view().try_rechunk([1]), a.view().rechunk([1]) => text("[1]", "one entry for each axis");
        A::in_chunks([1, 2, 3]).try_eye(4), A::in_chunks([1, 2, 3]).eye(4)
            => "chunks [1, 2, 3] for shape [4, 4]: one entry for each axis";
        A::in_chunks(0).try_from_diag_elem(4, 2.0), A::in_chunks(0).from_diag_elem(4, 2.0)
            => "chunks 0 for shape [4, 4]: lengths of at least 1, or -1 for the whole axis";
        Array1::try_from_vec_chunked(vec![1, 2], 0), Array1::from_vec_chunked(vec![1, 2], 0)
            => "chunks 0 for shape [2]: lengths of at least 1, or -1 for the whole axis";
        Array1::in_chunks(0).try_linspace(0.0, 1.0, 2), Array1::in_chunks(0).linspace(0.0, 1.0, 2)
            => "chunks 0 for shape [2]: lengths of at least 1, or -1 for the whole axis";
        Array1::in_chunks(0).try_range(0.0, 2.0, 1.0), Array1::in_chunks(0).range(0.0, 2.0, 1.0)
            => "chunks 0 for shape [2]: lengths of at least 1, or -1 for the whole axis";
        Array1::in_chunks(0).try_logspace(2.0, 0.0, 1.0, 2), Array1::in_chunks(0).logspace(2.0, 0.0, 1.0, 2)
            => "chunks 0 for shape [2]: lengths of at least 1, or -1 for the whole axis";
        Array1::in_chunks(0).try_arange(0, 2, 1), Array1::in_chunks(0).arange(0, 2, 1)
            => "chunks 0 for shape [2]: lengths of at least 1, or -1 for the whole axis";
        Array2::<u8>::in_chunks(1).try_zeros((1 << 20, 1 << 20)), Array2::<u8>::in_chunks(1).zeros((1 << 20, 1 << 20))
            => "number of chunks: got [1048576, 1048576] along the axes, expected at most 2^32; make them larger";
    }
    // Lengths beyond the axis are the axis', and an empty axis has chunks of any length.
    assert_eq!(A::in_chunks(isize::MAX).zeros(shape).chunks(), [[4], [6]]);
    assert_eq!(A::in_chunks(3).zeros((0, 6)).chunks(), [vec![0], vec![3, 3]]);
    assert!(A::in_chunks(lens(&[0])).zeros((0, 6)).sum() == 0.0);
}

#[test]
fn shapes_beyond_any_memory() {
    type A = Array2<f64>;
    let (flat, big) = ((HUGE, 2), 1usize << 40);
    let auto = Chunks::Auto;
    mistakes! {
        A::try_zeros(flat), A::in_chunks(auto.clone()).zeros(flat) => too_large(&[HUGE, 2], 8);
        A::try_ones(flat), A::in_chunks(auto.clone()).ones(flat) => too_large(&[HUGE, 2], 8);
        A::try_default(flat), A::in_chunks(auto.clone()).default(flat) => too_large(&[HUGE, 2], 8);
        A::try_from_elem(flat, 1.0), A::in_chunks(auto.clone()).from_elem(flat, 1.0) => too_large(&[HUGE, 2], 8);
        A::try_zeros((0, HUGE)) => too_large(&[0, HUGE], 8);
        A::try_from_shape_fn(flat, |_| 0.0), A::in_chunks(1).from_shape_fn(flat, |_| 0.0) => too_large(&[HUGE, 2], 8);
        A::try_from_shape_fn((big, big), |_| 0.0) => too_large(&[big, big], 8);
        A::try_eye(big), A::in_chunks(1).eye(big) => too_large(&[big, big], 8);
        A::try_from_diag_elem(big, 1.0), A::in_chunks(1).from_diag_elem(big, 1.0) => too_large(&[big, big], 8);
        A::try_from_diag(&Array1::zeros(1 << 35)) => too_large(&[1 << 35, 1 << 35], 8);
        Array1::try_linspace(0.0, 1.0, HUGE), Array1::linspace(0.0, 1.0, HUGE) => too_large(&[HUGE], 8);
        Array1::try_logspace(2.0f32, 0.0, 1.0, HUGE), Array1::logspace(2.0f32, 0.0, 1.0, HUGE)
            => too_large(&[HUGE], 4);
        Array1::try_range(0.0, 1e19, 1.0), Array1::range(0.0, 1e19, 1.0) => too_large(&[10_000_000_000_000_000_000], 8);
        Array1::try_arange(i64::MIN, i64::MAX, 1), Array1::arange(i64::MIN, i64::MAX, 1) => too_large(&[HUGE], 8);
        random::try_uniform::<f64, _>(flat, 0.0..1.0, 1), random::uniform::<f64, _>(flat, 0.0..1.0, 1)
            => too_large(&[HUGE, 2], 8);
        random::try_standard_normal::<f32, _>(HUGE, 1), random::standard_normal::<f32, _>(HUGE, 1)
            => too_large(&[HUGE], 4);
        random::try_normal(HUGE, 0.0, 1.0, 1), random::normal(HUGE, 0.0, 1.0, 1) => too_large(&[HUGE], 8);
        random::try_integers(HUGE, 0i16..5, 1), random::integers(HUGE, 0i16..5, 1) => too_large(&[HUGE], 2);
        ArrayD::<f64>::try_zeros(vec![1; 33]), ArrayD::<f64>::in_chunks(auto.clone()).zeros(vec![1; 33])
            => format!("chunks auto for shape {:?}: at most 32 dimensions", [1; 33]);
    }
    let like_try = |text: String| assert_eq!(text, format!("tilework: {}", too_large(&[HUGE, 2], 8)));
    like_try(panic_text(|| A::zeros(flat)));
    like_try(panic_text(|| A::ones(flat)));
    like_try(panic_text(|| A::from_elem(flat, 1.0)));
    like_try(panic_text(|| A::default(flat)));
    assert_eq!(panic_text(|| A::eye(big)), format!("tilework: {}", too_large(&[big, big], 8)));
    // Described, not filled: the order of elements that nobody computes is known at once.
    assert!(Array2::<f64>::zeros((1 << 20, 1 << 30)).is_lazy());
}

#[test]
fn ranges_and_distributions() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let range =
        |given: &str| format!("range: got {given}, expected a step that leads from the first to the second");
    let dist = |given: &str, expected: &str| format!("random distribution: got {given}, expected {expected}");
    let bounds = "finite bounds with low <= high";
    let spread = "a finite mean and a finite standard deviation of at least 0";
    mistakes! {
        Array1::try_range(0.0, 1.0, 0.0), Array1::range(0.0, 1.0, 0.0) => range("0.0 to 1.0 in steps of 0.0");
        Array1::try_range(0.0, 2.0, -1.0), Array1::range(0.0, 2.0, -1.0) => range("0.0 to 2.0 in steps of -1.0");
        Array1::try_range(0.0, inf, 1.0), Array1::range(0.0, inf, 1.0) => range("0.0 to inf in steps of 1.0");
        Array1::try_range(nan, 1.0, 1.0), Array1::range(nan, 1.0, 1.0) => range("NaN to 1.0 in steps of 1.0");
        Array1::try_range(0.0, 1.0, nan), Array1::range(0.0, 1.0, nan) => range("0.0 to 1.0 in steps of NaN");
        Array1::try_arange(0, 1, 0), Array1::arange(0, 1, 0)
            => "range: got 0 to 1 in steps of 0, expected a step that is not 0";
        random::try_uniform::<f64, _>(2, 1.0..0.0, 1), random::uniform::<f64, _>(2, 1.0..0.0, 1)
            => dist("uniform(1..0)", bounds);
        random::try_uniform::<f64, _>(2, 0.0..inf, 1) => dist("uniform(0..inf)", bounds);
        random::try_uniform::<f64, _>(2, nan..1.0, 1) => dist("uniform(NaN..1)", bounds);
        random::try_uniform::<f64, _>(2, f64::MIN..f64::MAX, 1)
            => dist(&format!("uniform({}..{})", f64::MIN, f64::MAX), "bounds whose distance is finite too");
        random::in_chunks(1).try_uniform::<f32, _>(2, f32::MIN..f32::MAX, 1), random::in_chunks(1).uniform::<f32, _>(2, f32::MIN..f32::MAX, 1)
            => dist(&format!("uniform({}..{})", f64::from(f32::MIN), f64::from(f32::MAX)), "bounds whose distance is finite too");
        random::try_normal(2, 0.0, -1.0, 1), random::normal(2, 0.0, -1.0, 1)
            => dist("normal(0, -1)", spread);
        random::in_chunks(1).try_normal(2, nan, 1.0, 1), random::in_chunks(1).normal(2, nan, 1.0, 1)
            => dist("normal(NaN, 1)", spread);
        random::try_integers(2, 5..5, 1), random::integers(2, 5..5, 1)
            => dist("integers(5..5)", "low < high");
        random::in_chunks(1).try_integers(2, 5u8..3, 1), random::in_chunks(1).integers(2, 5u8..3, 1)
            => dist("integers(5..3)", "low < high");
        random::in_chunks(0).try_standard_normal::<f64, _>(2, 1), random::in_chunks(0).standard_normal::<f64, _>(2, 1)
            => "chunks 0 for shape [2]: lengths of at least 1, or -1 for the whole axis";
    }
    let wide: Array1<f64> = random::uniform(1000, f64::MIN / 2.0..f64::MAX / 2.0, 1);
    assert!(wide.is_finite().all());
    assert_eq!(random::uniform::<f64, _>(3, 2.0..2.0, 1).compute(), ndarray::arr1(&[2.0; 3]));
}

#[test]
fn ranges_at_the_ends_of_their_types_are_ndarrays() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    for n in [0, 1, 2, 5] {
        for (start, end) in [(0.0, 1.0), (1.0, 0.0), (3.0, 3.0), (0.0, inf), (nan, 1.0), (f64::MIN, f64::MAX)]
        {
            // The last element is the end itself, also where the others are no numbers.
            let mut theirs = Nd1::linspace(start, end, n);
            if n > 1 {
                theirs[n - 1] = end;
            }
            check(&Array1::in_chunks(2).linspace(start, end, n), &theirs);
        }
    }
    for (start, end, step) in
        [(0.0, 0.0, 1.0), (0.0, 1.0, 0.3), (1.0, 0.0, -0.3), (0.0, 1.0, inf), (0.0, 0.5, -1.0)]
    {
        check(&Array1::in_chunks(2).range(start, end, step), &Nd1::range(start, end, step));
    }
    let all = |from: i64, to: i64, by: i64| {
        let n = if by > 0 { (to - from + by - 1) / by } else { (to - from + by + 1) / by }.max(0);
        (0..n).map(|i| from + i * by).collect::<Vec<_>>()
    };
    for (from, to, by) in [(0, 255, 1), (255, 0, -1), (0, 255, 254), (5, 5, 1), (5, 4, 1), (250, 255, 100)] {
        let ours = Array1::<u8>::arange(from as u8, to as u8, if by > 0 { by as u8 } else { 1 });
        if by > 0 {
            assert_eq!(ours.compute().mapv(i64::from).to_vec(), all(from, to, by));
        }
    }
    assert_eq!(Array1::<i8>::arange(i8::MIN, i8::MAX, i8::MAX).compute().to_vec(), [-128, -1, 126]);
    assert_eq!(Array1::<i64>::arange(i64::MAX, i64::MIN, i64::MIN).compute().to_vec(), [i64::MAX, -1]);
    assert!(
        Array1::<f64>::geomspace(0.0, 1.0, 3).is_none() && Array1::<f64>::geomspace(-1.0, 1.0, 3).is_none()
    );
}

#[test]
fn shapes_with_other_numbers_of_elements() {
    let values = || vec![1, 2, 3];
    mistakes! {
        Array2::in_chunks(1).from_shape_vec((2, 2), values())
            => "an array of shape [3] (3 elements) cannot have shape [2, 2] (4 elements)";
        Array2::in_chunks(1).from_shape_vec((HUGE, HUGE), values())
            => format!("an array of shape [3] (3 elements) cannot have shape [{HUGE}, {HUGE}] ({} elements)", (HUGE as u128) * (HUGE as u128));
    }
    assert!(Array2::from_shape_vec((2, 2), values()).is_err());
    assert!(Array2::from_shape_vec((HUGE, 2), values()).is_err());
}

#[test]
fn files() {
    let dir = tempfile::tempdir().expect("a directory");
    let (npy, store) = (dir.path().join("a.npy"), dir.path().join("store"));
    let a = Array2::<f64>::in_chunks(2).ones((4, 6));
    a.write_npy(&npy).expect("written");
    a.write_zarr(&store, "a").expect("written");
    std::fs::write(dir.path().join("short.npy"), &std::fs::read(&npy).expect("read")[..140])
        .expect("written");
    std::fs::write(dir.path().join("text.npy"), "no array").expect("written");
    std::fs::create_dir(dir.path().join("empty")).expect("made");
    let at = |name: &str| dir.path().join(name);
    let with = |options: ZarrOptions| a.write_zarr_with(&store, "b", &options).map(|()| a.clone());
    let default = ZarrOptions::default;
    let says: [(tilework::Result<Array2<f64>>, &[&str]); 14] = [
        (Array2::read_npy(at("none.npy")), &["none.npy", "no such file"]),
        (Array2::read_npy(at("short.npy")), &["short.npy"]),
        (Array2::read_npy(at("text.npy")), &["text.npy"]),
        (Array2::read_npy(dir.path()), &[]),
        (Array2::read_npy_chunked(&npy, [1, 2, 3]), &["one entry for each axis"]),
        (Array2::read_npz(&npy, "x"), &["a.npy"]),
        (Array2::read_npz_chunked(&npy, "x", 2), &["a.npy"]),
        (Array2::read_zarr(&store, "none"), &["none"]),
        (Array2::read_zarr(at("empty"), ""), &["empty"]),
        (Array2::read_zarr_chunked(&store, "a", 0), &["lengths of at least 1"]),
        (with(ZarrOptions { chunks: Some(vec![2]), ..default() }), &["got chunks [2], expected 2 lengths"]),
        (
            with(ZarrOptions { chunks: Some(vec![2, 2]), shards: Some(vec![3, 3]), ..default() }),
            &["[3, 3]", "[2, 2]"],
        ),
        (with(ZarrOptions { shards: Some(vec![0, 3]), ..default() }), &["[0, 3]"]),
        (with(ZarrOptions { axis_names: vec!["x".into()], ..default() }), &["x"]),
    ];
    for (i, (result, words)) in says.into_iter().enumerate() {
        let text = result.err().unwrap_or_else(|| panic!("row {i}: no error")).to_string();
        assert!(words.iter().all(|w| text.contains(w)), "row {i}: {text}");
    }
    assert!(a.write_npy(dir.path()).is_err() && a.write_npy(at("no/a.npy")).is_err());
    assert!(a.write_zarr(&npy, "a").is_err());
    check(&Array2::<f64>::read_zarr(&store, "a").expect("still there"), &ndarray::Array2::ones((4, 6)));
}
