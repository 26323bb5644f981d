//! The work that is measured, as `peers/array_peers.py` defines it, on Tilework; and a plain read of memory, which is
//! as fast as a sum can be.

use anyhow::Context;
use clap::ValueEnum;
use rayon::prelude::*;
use std::fmt;
use tilework::prelude::*;
use tilework::{Boundary, Chunks, ndarray, random};

/// One computation. Its inputs are uniform random `f64`, and in memory before the clock starts unless its name ends
/// in `_gen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// No Tilework at all: the sum of as many bytes as `sum` reads, in memory, on two threads.
    Read,
    /// `x.sum()`
    Sum,
    /// `(2.5 * x + y).sum()`
    Axpy,
    /// `(sin(x) * 2 + y * y - 0.5 * x).sum()`: elementwise, then a sum
    Fused,
    /// `x.mean(axis=0)`
    #[value(name = "axis_mean")]
    AxisMean,
    /// `(x + x.T).mean(axis=0)`: transpose, add
    Transpose,
    /// `x.std(axis=0)`
    Std,
    /// `x.dot(y).sum()`: matrix product
    Gemm,
    /// Strips of columns become strips of rows; then `.max(axis=1).sum()`
    Rechunk,
    /// `x[::3, 100:-100:2].sum()`
    Slice,
    /// π by n × n pairs of random numbers, which are made while the clock runs
    #[value(name = "mcpi_gen")]
    McpiGen,
    /// 20 sweeps of Jacobi's on a torus, halos exchanged between chunks, then `.sum()`
    Stencil,
    /// The sum of an array of `n` chunks of one element: what a task costs
    Tiny,
    /// `x.cumsum()[-1]` of `n * n` elements
    Cumsum,
    /// `sort(x)[n * n / 2]` of `n * n` elements across chunks
    Sort,
    /// `argsort(x)[0]` of `n * n` elements across chunks, as a share of them
    Argsort,
    /// The 100th greatest of `n * n` elements
    Topk,
    /// Elements of the first of 100 bins of `n * n`, as a share of them
    Histogram,
    /// `median(x, axis=0)[0]`
    Median,
    /// `nanmean(x, axis=0)[0]`
    #[value(name = "nanmean")]
    NanMean,
    /// The first of the means of 12 groups of rows
    #[value(name = "group_mean")]
    GroupMean,
    /// Distinct elements of `n * n` integers of 1000 kinds
    Unique,
    /// `bincount(x)[0]` of the same, as a share of them
    Bincount,
    /// `x[x > 0.5].sum()` of `n * n` elements
    Mask,
    /// `x[positions].sum()`, of a tenth of `n * n` elements in no order
    Take,
    /// `|r[0, 0]|` of the QR of `n * n` elements in 100 columns
    Tsqr,
    /// The greatest singular value of `svd_compressed(x, 10, 1)`
    #[value(name = "svd_compressed")]
    SvdCompressed,
    /// `fft2(x).real.sum()`
    Fft2,
}

/// Kinds of integers that [`Workload::Unique`] and [`Workload::Bincount`] count.
const KINDS: usize = 1000;
/// Columns of [`Workload::Tsqr`].
const COLUMNS: usize = 100;

/// Sweeps of [`Workload::Stencil`].
const SWEEPS: usize = 20;

/// The size of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub struct Problem {
    /// Inputs are n × n.
    #[arg(long)]
    pub n: usize,
    /// They are in chunks of chunk × chunk.
    #[arg(long)]
    pub chunk: usize,
    /// `rechunk` alone: its strips are n × strip.
    #[arg(long)]
    pub strip: usize,
}

impl Problem {
    /// As the peers' script has it: `rechunk` is from 16 strips to 16 strips, whatever the chunk.
    #[must_use]
    pub fn of_peers(n: usize, chunk: usize) -> Problem {
        Problem { n, chunk, strip: (n / 16).max(1) }
    }

    /// With strips that are as large as the chunks, so that `rechunk` has a chunk size too.
    #[must_use]
    pub fn of_chunk_size(n: usize, chunk: usize) -> Problem {
        Problem { n, chunk, strip: (chunk * chunk / n.max(1)).clamp(1, n.max(1)) }
    }

    /// The size of one workload among the peers' of this size: `stencil` is smaller, with chunks to match, and `tiny` is
    /// n × 10 chunks; at n = 10000 in chunks of 2000 that is 4000 in chunks of 500, and 100,000.
    #[must_use]
    pub fn for_peers(&self, workload: Workload) -> Problem {
        match workload {
            Workload::Stencil => Problem::of_peers((self.n * 2 / 5).max(1), (self.chunk / 4).max(1)),
            Workload::Tiny => Problem::of_peers(self.n * 10, 1),
            _ => *self,
        }
    }

    /// Bytes of one full chunk of an input.
    #[must_use]
    pub fn chunk_bytes(&self) -> u64 {
        8 * (self.chunk as u64).pow(2)
    }

    /// The command line that this is parsed from.
    #[must_use]
    pub fn arguments(&self) -> [String; 6] {
        let text = |n: usize| n.to_string();
        ["--n".into(), text(self.n), "--chunk".into(), text(self.chunk), "--strip".into(), text(self.strip)]
    }

    fn input(&self, seed: u64) -> anyhow::Result<Array2<f64>> {
        self.input_in([self.chunk as isize; 2], seed)
    }

    fn input_in(&self, chunks: impl Into<Chunks>, seed: u64) -> anyhow::Result<Array2<f64>> {
        Ok(random::in_chunks(chunks).try_uniform((self.n, self.n), 0.0..1.0, seed)?.try_persist()?)
    }
}

/// What is run against the clock; it returns the workload's value.
pub type Work = Box<dyn FnMut() -> anyhow::Result<f64>>;

impl Workload {
    /// Puts the inputs into the memory of the current session and returns what shall be timed.
    ///
    /// # Errors
    /// Inputs that cannot be made.
    ///
    /// # Panics
    /// Where an expression is refused: `slice` needs n above 200.
    pub fn prepare(self, problem: &Problem) -> anyhow::Result<Work> {
        let p = *problem;
        Ok(match self {
            Workload::Read => read(p.n * p.n),
            Workload::McpiGen => Box::new(move || {
                let (m, chunk) = (p.n * p.n, (p.chunk * p.chunk) as isize);
                let [a, b]: [Array1<f64>; 2] =
                    [0, 1].map(|seed| random::in_chunks(chunk).uniform(m, 0.0..1.0, seed));
                let inside = (&a * &a + &b * &b).less(1.0);
                Ok(4.0 * scalar(&inside.cast::<f64>().lazy_mean())?)
            }),
            Workload::Tiny => Box::new(move || scalar(&Array1::<f64>::in_chunks(1).ones(p.n).lazy_sum())),
            Workload::Stencil => {
                let start = p.input(0)?;
                Box::new(move || {
                    let mut u = start.clone();
                    for _ in 0..SWEEPS {
                        u = u.try_map_overlap(1, Boundary::Periodic, sweep)?;
                    }
                    scalar(&u.lazy_sum())
                })
            }
            Workload::Rechunk => {
                let (whole, strip) = (-1, p.strip as isize);
                let x = p.input_in([whole, strip], 0)?;
                Box::new(move || scalar(&x.rechunk([strip, whole]).max_axis(Axis(1)).lazy_sum()))
            }
            Workload::Cumsum | Workload::Sort | Workload::Argsort | Workload::Topk | Workload::Histogram => {
                let chunk = (p.chunk * p.chunk) as isize;
                let x = random::in_chunks(chunk).try_uniform(p.n * p.n, 0.0..1.0, 0)?.try_persist()?;
                self.of_line(x)
            }
            Workload::Unique | Workload::Bincount => {
                let x = random::in_chunks((p.chunk * p.chunk) as isize);
                let x: Array1<f64> = x.try_uniform(p.n * p.n, 0.0..KINDS as f64, 0)?;
                self.of_integers(x.cast::<i64>().try_persist()?)
            }
            Workload::Mask | Workload::Take => {
                let chunk = (p.chunk * p.chunk) as isize;
                self.of_chosen(random::in_chunks(chunk).try_uniform(p.n * p.n, 0.0..1.0, 0)?.try_persist()?)
            }
            Workload::Tsqr => {
                let rows = (p.chunk * p.chunk / COLUMNS).max(COLUMNS);
                let shape = ((p.n * p.n / COLUMNS).max(COLUMNS), COLUMNS);
                let x: Array2<f64> =
                    random::in_chunks([rows as isize, -1]).try_uniform(shape, 0.0..1.0, 0)?;
                let x = x.try_persist()?;
                Box::new(move || Ok(x.try_qr_r()?.try_compute()?[[0, 0]].abs()))
            }
            Workload::Axpy | Workload::Fused | Workload::Gemm => self.of_two(p.input(0)?, p.input(1)?),
            _ => self.of_one(p.input(0)?),
        })
    }

    #[expect(clippy::reversed_empty_ranges, reason = "a negative end counts from the end of the axis")]
    fn of_one(self, x: Array2<f64>) -> Work {
        Box::new(move || match self {
            Workload::AxisMean => mean_of_columns(&x),
            Workload::Transpose => mean_of_columns(&(&x + &x.t())),
            Workload::Std => first(&x.std_axis(Axis(0), 0.0)),
            Workload::Median => first(&x.median_axis(Axis(0))),
            Workload::NanMean => first(&x.nanmean_axis(Axis(0))),
            Workload::GroupMean => {
                let month = Array1::<i64>::in_chunks(-1).arange(0, x.nrows() as i64, 1) % 12;
                Ok(x.group_by(Axis(0), &month, 12).mean().try_compute()?[[0, 0]])
            }
            Workload::SvdCompressed => Ok(x.try_svd_compressed(10, 1, 0)?.1.try_compute()?[0]),
            Workload::Fft2 => scalar(&tilework::fft::try_fft2(&x)?.re().lazy_sum()),
            Workload::Slice => scalar(&x.slice(s![..;3, 100..-100;2]).lazy_sum()),
            _ => scalar(&x.lazy_sum()),
        })
    }

    fn of_line(self, x: Array1<f64>) -> Work {
        let n = x.len();
        let at = |x: Array1<f64>, i: usize| scalar(&x.slice(s![i..=i]).lazy_sum());
        Box::new(move || match self {
            Workload::Sort => at(x.sort(Axis(0)), n / 2),
            Workload::Argsort => Ok(x.argsort(Axis(0)).slice(s![..1]).try_compute()?[0] as f64 / n as f64),
            Workload::Topk => at(x.topk(Axis(0), 100), 99),
            Workload::Histogram => {
                let edges: Vec<f64> = (0..=100).map(|i| f64::from(i) / 100.0).collect();
                Ok(x.histogram(&edges).try_compute()?[0] as f64 / n as f64)
            }
            _ => at(x.cumsum(Axis(0)), n - 1),
        })
    }

    fn of_integers(self, x: Array1<i64>) -> Work {
        let n = x.len() as f64;
        Box::new(move || match self {
            Workload::Unique => Ok(x.try_unique()?.try_compute()?.len() as f64),
            _ => Ok(x.try_bincount(KINDS)?.try_compute()?[0] as f64 / n),
        })
    }

    fn of_chosen(self, x: Array1<f64>) -> Work {
        let n = x.len() as u64;
        let positions = (0..n / 10).map(|i| (uniform(i) * n as f64) as u64).collect::<Vec<_>>();
        let positions = Array1::from_vec(positions);
        Box::new(move || match self {
            Workload::Mask => scalar(&x.try_extract(&x.greater(0.5))?.lazy_sum()),
            _ => scalar(&x.try_take(Axis(0), &positions)?.lazy_sum()),
        })
    }

    fn of_two(self, x: Array2<f64>, y: Array2<f64>) -> Work {
        Box::new(move || match self {
            Workload::Axpy => scalar(&(2.5 * &x + &y).lazy_sum()),
            Workload::Gemm => scalar(&x.dot(&y).lazy_sum()),
            _ => scalar(&(x.sin() * 2.0 + &y * &y - 0.5 * &x).lazy_sum()),
        })
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |v| v.get_name()))
    }
}

fn scalar(a: &Array0<f64>) -> anyhow::Result<f64> {
    Ok(a.try_compute()?.into_scalar())
}

/// Every cell becomes the mean of its neighbours; the block has one more cell on each side.
#[expect(clippy::reversed_empty_ranges, reason = "a negative end counts from the end of the axis")]
fn sweep(u: ndarray::ArrayView2<'_, f64>) -> ndarray::Array2<f64> {
    ndarray::Zip::from(u.slice(s![..-2, 1..-1]))
        .and(u.slice(s![2.., 1..-1]))
        .and(u.slice(s![1..-1, ..-2]))
        .and(u.slice(s![1..-1, 2..]))
        .map_collect(|above, below, left, right| 0.25 * (above + below + left + right))
}

/// Computes all of the array and returns its first element.
fn first(a: &Array1<f64>) -> anyhow::Result<f64> {
    Ok(a.try_compute()?[0])
}

/// The mean along the first axis.
fn mean_of_columns(a: &Array2<f64>) -> anyhow::Result<f64> {
    first(&a.mean_axis(Axis(0)).context("there are no rows")?)
}

/// Threads of a plain read: those that the peers have.
const READ_THREADS: usize = 2;
/// Sums side by side within a thread: enough that additions never wait for each other.
const LANES: usize = 32;

/// Sums `n` numbers in memory on [`READ_THREADS`] threads of rayon, in pieces that stay in the first-level cache.
fn read(n: usize) -> Work {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(READ_THREADS).build();
    let numbers: Vec<f64> = (0..n).into_par_iter().map(|i| uniform(i as u64)).collect();
    Box::new(move || {
        let pool = pool.as_ref().map_err(|e| anyhow::anyhow!("cannot start threads: {e}"))?;
        let share = numbers.len().div_ceil(READ_THREADS * 16).max(1);
        Ok(pool.install(|| numbers.par_chunks(share).map(sum).sum()))
    })
}

fn sum(numbers: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (groups, rest) = numbers.as_chunks::<LANES>();
    for group in groups {
        for (lane, x) in lanes.iter_mut().zip(group) {
            *lane += x;
        }
    }
    lanes.iter().chain(rest).sum()
}

/// A number in [0, 1) that looks random, from its position (SplitMix64).
fn uniform(i: u64) -> f64 {
    let mut z = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Workload] = &[
        Workload::Read,
        Workload::Sum,
        Workload::Axpy,
        Workload::Fused,
        Workload::AxisMean,
        Workload::Transpose,
        Workload::Std,
        Workload::Gemm,
        Workload::Rechunk,
        Workload::Slice,
        Workload::McpiGen,
        Workload::Stencil,
        Workload::Tiny,
        Workload::Cumsum,
        Workload::Sort,
        Workload::Argsort,
        Workload::Topk,
        Workload::Histogram,
        Workload::Median,
        Workload::NanMean,
        Workload::GroupMean,
        Workload::Unique,
        Workload::Bincount,
        Workload::Mask,
        Workload::Take,
        Workload::Tsqr,
        Workload::SvdCompressed,
        Workload::Fft2,
    ];

    #[test]
    fn names_are_those_of_the_peers() {
        let names: Vec<String> = ALL.iter().map(Workload::to_string).collect();
        let expected = "read sum axpy fused axis_mean transpose std gemm rechunk slice mcpi_gen stencil tiny \
            cumsum sort argsort topk histogram median nanmean group_mean unique bincount mask take tsqr \
            svd_compressed fft2";
        assert_eq!(names.join(" "), expected);
        for (name, workload) in names.iter().zip(ALL) {
            assert_eq!(Workload::from_str(name, false).unwrap(), *workload);
        }
    }

    #[test]
    fn strips_are_as_large_as_chunks() {
        assert_eq!(Problem::of_chunk_size(4000, 1000).strip, 250);
        assert_eq!(Problem::of_chunk_size(4000, 4000).strip, 4000);
        assert_eq!(Problem::of_chunk_size(4000, 10).strip, 1);
        assert_eq!(Problem::of_chunk_size(4000, 9000).strip, 4000);
        assert_eq!(Problem::of_peers(10_000, 2000).strip, 625);
        assert_eq!(Problem::of_peers(4, 2).strip, 1);
        assert_eq!(Problem::of_peers(10, 1000).chunk_bytes(), 8_000_000);
        let peers = Problem::of_peers(10_000, 2000);
        let of = |w| Some(peers.for_peers(w)).map(|p| (p.n, p.chunk)).unwrap();
        assert_eq!(
            [Workload::Stencil, Workload::Tiny, Workload::Sum].map(of),
            [(4000, 500), (100_000, 1), (10_000, 2000)]
        );
    }

    /// The mean of a workload's value over random inputs, and how far from it a sound result can be.
    fn expected(workload: Workload, n: f64) -> (f64, f64) {
        let cells = n * n;
        match workload {
            Workload::Read | Workload::Sum => (cells / 2.0, 4.0 * n * 0.3),
            Workload::Axpy => (cells * 1.75, 4.0 * n),
            // The mean of sin over [0, 1) is 1 - cos(1).
            Workload::Fused => (cells * (2.0 * (1.0 - 1f64.cos()) + 1.0 / 3.0 - 0.25), 4.0 * n),
            Workload::AxisMean => (0.5, 0.2),
            Workload::Transpose => (1.0, 0.2),
            Workload::Std => ((1.0 / 12f64).sqrt(), 0.1),
            Workload::Gemm => (n * cells / 4.0, n * cells / 40.0),
            Workload::Rechunk => (n, 0.05 * n),
            Workload::Slice => ((n / 3.0).ceil() * ((n - 200.0) / 2.0) / 2.0, 0.05 * cells),
            Workload::McpiGen => (std::f64::consts::PI, 0.05),
            // A sweep keeps the sum.
            Workload::Stencil => (cells / 2.0, 4.0 * n * 0.3),
            Workload::Cumsum => (cells / 2.0, 4.0 * n * 0.3),
            Workload::Sort => (0.5, 0.05),
            Workload::Argsort => (0.5, 0.5),
            Workload::Topk => (1.0, 0.05),
            Workload::Histogram => (0.01, 0.003),
            Workload::Median | Workload::NanMean | Workload::GroupMean => (0.5, 0.3),
            Workload::Unique => (KINDS as f64, f64::MIN_POSITIVE),
            Workload::Bincount => (1.0 / KINDS as f64, 0.001),
            // Half of the elements, above a half.
            Workload::Mask => (cells * 0.375, cells * 0.02),
            Workload::Take => (cells / 20.0, cells / 200.0),
            // The length of a column.
            Workload::Tsqr => ((cells / 100.0 / 3.0).sqrt(), 1.5),
            // Nearly all of it is the mean.
            Workload::SvdCompressed => (n / 2.0, 0.05 * n),
            // All coefficients together are as many times the first element.
            Workload::Fft2 => (cells / 2.0, cells / 2.0),
            // Exactly.
            Workload::Tiny => (n, f64::MIN_POSITIVE),
        }
    }

    #[test]
    fn each_workload_gives_a_value_that_random_inputs_can_give() {
        for &workload in ALL {
            for chunk in [64, 256] {
                let value = workload.prepare(&Problem::of_peers(256, chunk)).unwrap()().unwrap();
                let (mean, tolerance) = expected(workload, 256.0);
                assert!((value - mean).abs() < tolerance, "{workload} in {chunk}: {value}, expected {mean}");
            }
        }
    }

    #[test]
    fn the_plain_sum_is_a_sum() {
        let numbers: Vec<f64> = (0..1000).map(f64::from).collect();
        assert_eq!(sum(&numbers), 499_500.0);
        assert_eq!(sum(&[]), 0.0);
    }
}
