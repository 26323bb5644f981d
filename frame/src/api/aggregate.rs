//! Aggregates of columns. Must not know of tables.

use super::expr::Expr;
use crate::functions;
use datafusion::arrow::datatypes::DataType;
use datafusion::functions_aggregate::approx_distinct::approx_distinct;
use datafusion::functions_aggregate::approx_percentile_cont::approx_percentile_cont;
use datafusion::functions_aggregate::expr_fn as agg;
use datafusion::functions_aggregate::first_last::{first_value_udaf, last_value_udaf};
use datafusion::functions_aggregate::percentile_cont::percentile_cont;
use datafusion::logical_expr::{self as df, AggregateUDF, cast};
use std::sync::Arc;

impl Expr {
    fn aggregate(self, udaf: Arc<AggregateUDF>) -> Expr {
        self.map(|e| udaf.call(vec![e]))
    }

    /// The sum of the values that are not missing. One of whole numbers that does not fit its type is an error; that of
    /// none is missing.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("k", values(["a", "a", "b"])), ("x", values([1, 2, 3]))])?;
    /// assert_eq!(df.select([col("x").sum()])?.to_vec::<i64>("x")?, [6]);
    /// let huge = from_columns([("x", values([i64::MAX, 1]))])?;
    /// assert!(huge.select([col("x").sum()])?.collect().is_err());
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn sum(self) -> Expr {
        self.aggregate(functions::sum())
    }

    /// The mean of the values that are not missing.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(1), Some(2), None]))])?;
    /// assert_eq!(df.select([col("x").mean()])?.to_vec::<f64>("x")?, [1.5]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn mean(self) -> Expr {
        self.map(agg::avg)
    }

    /// The least value. NaN is greater than all others.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([3.0, 1.0, f64::NAN]))])?;
    /// assert_eq!(df.select([col("x").min()])?.to_vec::<f64>("x")?, [1.0]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn min(self) -> Expr {
        self.aggregate(functions::min())
    }

    /// The greatest value. NaN is greater than all others, in groups too.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([3.0, 1.0, f64::NAN]))])?;
    /// assert!(df.select([col("x").max()])?.to_vec::<f64>("x")?[0].is_nan());
    /// assert_eq!(df.select([col("x").fill_nan(null()).max()])?.to_vec::<f64>("x")?, [3.0]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn max(self) -> Expr {
        self.aggregate(functions::max())
    }

    /// How many values are not missing.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(1), Some(2), None]))])?;
    /// assert_eq!(df.select([col("x").count()])?.to_vec::<i64>("x")?, [2]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn count(self) -> Expr {
        self.map(agg::count)
    }

    /// How many values are missing.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(1), Some(2), None]))])?;
    /// assert_eq!(df.select([col("x").null_count()])?.to_vec::<i64>("x")?, [1]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn null_count(self) -> Expr {
        self.map(|e| agg::count(datafusion::functions::expr_fn::nullif(e.is_null(), df::lit(false))))
    }

    /// How many different values there are, those that are missing left out.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(1), Some(1), Some(2), None]))])?;
    /// assert_eq!(df.select([col("x").n_unique()])?.to_vec::<i64>("x")?, [2]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn n_unique(self) -> Expr {
        self.map(agg::count_distinct)
    }

    /// About how many different values there are, in little memory.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 1, 2]))])?;
    /// assert_eq!(df.select([col("x").approx_n_unique()])?.to_vec::<i64>("x")?, [2]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn approx_n_unique(self) -> Expr {
        self.map(approx_distinct)
    }

    /// The standard deviation of a sample: divided by one less than how many values there are.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1.0, 2.0, 3.0]))])?;
    /// assert_eq!(df.select([col("x").std()])?.to_vec::<f64>("x")?, [1.0]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn std(self) -> Expr {
        self.map(agg::stddev)
    }

    /// The variance of a sample: divided by one less than how many values there are.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1.0, 3.0]))])?;
    /// assert_eq!(df.select([col("x").var()])?.to_vec::<f64>("x")?, [2.0]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn var(self) -> Expr {
        self.map(agg::var_sample)
    }

    /// The product of the values that are not missing. One of whole numbers that does not fit its type is an error; that of
    /// none is missing.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(2), Some(-3), None]))])?;
    /// assert_eq!(df.select([col("x").product()])?.to_vec::<i64>("x")?, [-6]);
    /// let huge = from_columns([("x", values([i64::MAX, 2]))])?;
    /// assert!(huge.select([col("x").product()])?.collect().is_err());
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn product(self) -> Expr {
        self.aggregate(functions::product())
    }

    /// The skewness: how far the values lean to one side, 0 where they do to none. With `bias` it is that of the values
    /// (SciPy's and Polars' way), without an estimate for what they were drawn from (pandas' way), missing of fewer than
    /// three. NaN where all values are equal.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 2, 9]))])?;
    /// let skew = |bias| df.select([col("x").skew(bias)])?.to_vec::<f64>("x");
    /// assert!((skew(true)?[0] - 1.09703).abs() < 1e-5);
    /// assert!((skew(false)?[0] - 1.90010).abs() < 1e-5);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn skew(self, bias: bool) -> Expr {
        self.aggregate(functions::skew(bias))
    }

    /// The kurtosis: how much of the values lies far out. With `fisher` it is what exceeds that of a normal distribution,
    /// which is 3. With `bias` it is that of the values (SciPy's and Polars' way), without an estimate for what they were
    /// drawn from, missing of fewer than four; pandas' is `kurtosis(true, false)`. NaN where all values are equal.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 2, 9]))])?;
    /// let kurtosis = |fisher, bias| df.select([col("x").kurtosis(fisher, bias)])?.to_vec::<f64>("x");
    /// assert!((kurtosis(true, true)?[0] + 0.70553).abs() < 1e-5);
    /// assert!((kurtosis(false, true)?[0] - 2.29447).abs() < 1e-5);
    /// assert!((kurtosis(true, false)?[0] - 3.70851).abs() < 1e-5);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn kurtosis(self, fisher: bool, bias: bool) -> Expr {
        let excess = self.aggregate(functions::kurtosis(bias));
        if fisher { excess } else { excess.map(|e| e + df::lit(3.0)) }
    }

    /// The value that there is most often, the least of several; missing ones are not counted. All different values of a
    /// group are held in memory.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some("b"), Some("a"), Some("b"), None, None, None]))])?;
    /// assert_eq!(df.select([col("x").mode()])?.to_vec::<String>("x")?, ["b"]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn mode(self) -> Expr {
        self.aggregate(functions::mode())
    }

    /// The median, exactly: the mean of the two in the middle where there is none.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 10, 20]))])?;
    /// assert_eq!(df.select([col("x").median()])?.to_vec::<f64>("x")?, [6.0]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn median(self) -> Expr {
        self.map(|e| agg::median(cast(e, DataType::Float64)))
    }

    /// The value below which this share of the values lies, from 0 to 1, exactly, between two values where there is none.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([0, 10, 20, 30, 40]))])?;
    /// assert_eq!(df.select([col("x").quantile(0.25)])?.to_vec::<f64>("x")?, [10.0]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn quantile(self, share: f64) -> Expr {
        self.map(|e| percentile_cont(cast(e, DataType::Float64).sort(true, false), df::lit(share)))
    }

    /// About the value below which this share of the values lies, from 0 to 1, in little memory. How near it is depends on
    /// how rows are divided.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([0, 10, 20, 30, 40]))])?;
    /// assert_eq!(df.select([col("x").approx_quantile(0.5)])?.to_vec::<f64>("x")?, [20.0]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn approx_quantile(self, share: f64) -> Expr {
        let of = |e| cast(e, DataType::Float64).sort(true, false);
        self.map(|e| approx_percentile_cont(of(e), df::lit(share), None))
    }

    /// The first value in the order of the rows.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([3, 1, 2]))])?;
    /// assert_eq!(df.select([col("x").first()])?.to_vec::<i64>("x")?, [3]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn first(self) -> Expr {
        self.aggregate(first_value_udaf())
    }

    /// The last value in the order of the rows.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([3, 1, 2]))])?;
    /// assert_eq!(df.select([col("x").last()])?.to_vec::<i64>("x")?, [2]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn last(self) -> Expr {
        self.aggregate(last_value_udaf())
    }

    /// The value where another one is greatest.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("name", values(["a", "b", "c"])), ("x", values([1, 7, 3]))])?;
    /// assert_eq!(df.select([col("name").arg_max(col("x"))])?.to_vec::<String>("name")?, ["b"]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn arg_max(self, by: impl Into<Expr>) -> Expr {
        self.at_first(by.into(), false)
    }

    /// The value where another one is least.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("name", values(["a", "b", "c"])), ("x", values([1, 7, 3]))])?;
    /// assert_eq!(df.select([col("name").arg_min(col("x"))])?.to_vec::<String>("name")?, ["a"]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn arg_min(self, by: impl Into<Expr>) -> Expr {
        self.at_first(by.into(), true)
    }

    fn at_first(self, by: Expr, ascending: bool) -> Expr {
        let order = vec![by.inner.sort(ascending, false)];
        self.map(|e| agg::first_value(e, order))
    }

    /// Whether one is true.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2]))])?;
    /// assert_eq!(df.select([col("x").gt(1).any()])?.to_vec::<bool>("x")?, [true]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn any(self) -> Expr {
        self.map(agg::bool_or)
    }

    /// Whether all are true.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2]))])?;
    /// assert_eq!(df.select([col("x").gt(1).all()])?.to_vec::<bool>("x")?, [false]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn all(self) -> Expr {
        self.map(agg::bool_and)
    }

    /// The correlation with another one, after Pearson.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1.0, 2.0, 3.0])), ("y", values([2.0, 4.0, 6.0]))])?;
    /// assert_eq!(df.select([col("x").corr(col("y"))])?.to_vec::<f64>("x")?, [1.0]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn corr(self, other: impl Into<Expr>) -> Expr {
        Expr::of_many(vec![self, other.into()], |mut two| {
            let second = two.pop().unwrap_or_default();
            agg::corr(two.pop().unwrap_or_default(), second)
        })
    }

    /// The covariance of a sample with another one.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1.0, 3.0])), ("y", values([1.0, 5.0]))])?;
    /// assert_eq!(df.select([col("x").cov(col("y"))])?.to_vec::<f64>("x")?, [4.0]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn cov(self, other: impl Into<Expr>) -> Expr {
        Expr::of_many(vec![self, other.into()], |mut two| {
            let second = two.pop().unwrap_or_default();
            agg::covar_samp(two.pop().unwrap_or_default(), second)
        })
    }
}
