//! Groups of rows that are equal in keys, and rows of which each is there once. Must not know of other tables.

use super::Result;
use super::expr::{Expr, IntoColumn, col, len};
use super::frame::DataFrame;
use super::resolve::{aggregated, check_column, check_unique, named, resolved};
use super::sort::SortKey;
use crate::error::FrameError;
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn::date_bin;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, lit};

/// A count that is made to filter by.
const COUNT: &str = "__count";

/// A Monday at the begin of a year, in nanoseconds since 1970: 2001-01-01.
const MONDAY: i64 = 978_307_200_000_000_000;

/// A length of time: a number and its unit.
pub(super) fn span(text: &str) -> Result<IntervalMonthDayNano> {
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let wrong =
        || FrameError::argument("every", format!("{text:?} is none of 30s, 15m, 1h, 1d, 1w, 1mo, 1q, 1y"));
    let n: i32 = text[..unit].parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?;
    let seconds =
        |of: i64| i64::from(n).checked_mul(of * 1_000_000_000).map(|n| IntervalMonthDayNano::new(0, 0, n));
    let days = |of: i32| n.checked_mul(of).map(|n| IntervalMonthDayNano::new(0, n, 0));
    let months = |of: i32| n.checked_mul(of).map(|n| IntervalMonthDayNano::new(n, 0, 0));
    let span = match &text[unit..] {
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        "d" => days(1),
        "w" => days(7),
        "mo" => months(1),
        "q" => months(3),
        "y" => months(12),
        _ => None,
    };
    span.ok_or_else(wrong)
}

/// A table by groups; see [`DataFrame::group_by`].
#[derive(Debug, Clone)]
pub struct GroupBy {
    frame: DataFrame,
    keys: Vec<Expr>,
}

/// Which of several rows that are equal is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeepRow {
    /// One of them, the same on each run.
    Any,
    /// The first.
    First,
    /// The last.
    Last,
    /// None: only rows that have no equal are kept.
    None,
}

impl DataFrame {
    /// The rows in groups of those that are equal in these keys, to be aggregated. Keys that are missing are equal.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("k", values([Some("a"), None, Some("a")])), ("x", values([1, 2, 3]))])?;
    /// let sums = df.group_by(["k"]).agg([col("x").sum(), col("x").max().alias("most")])?.sort(["k"])?;
    /// assert_eq!(sums.rows::<(Option<String>, i64, i64)>()?, [(Some("a".to_owned()), 4, 3), (None, 2, 2)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn group_by<E: IntoColumn>(&self, keys: impl IntoIterator<Item = E>) -> GroupBy {
        GroupBy { frame: self.clone(), keys: keys.into_iter().map(IntoColumn::into_column).collect() }
    }

    /// The rows in groups by the span of time that they lie in, each so long (`15m`, `1h`, `1d`, `1w`, `1mo`, `1q`, `1y`),
    /// and by other keys: the span's begin takes the place of the time. Weeks begin on Mondays. Spans without rows are
    /// none; a join with a [`date_range`](crate::date_range) brings them in.
    ///
    /// # Errors
    /// [`FrameError::Column`](crate::FrameError::Column) if there is no such column,
    /// [`FrameError::Types`](crate::FrameError::Types) if it holds no times,
    /// [`FrameError::Argument`](crate::FrameError::Argument) if the length is none.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("t", values(["2024-01-01 10:10", "2024-01-01 10:50", "2024-01-01 11:00"]))])?;
    /// let df = df.with_columns([col("t").str().to_datetime(None, true)])?;
    /// let hours = df.group_by_dynamic::<&str>("t", "1h", [])?.len()?.sort(["t"])?;
    /// assert_eq!(hours.to_vec::<i64>("len")?, [2, 1]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn group_by_dynamic<E: IntoColumn>(
        &self,
        time: &str,
        every: &str,
        by: impl IntoIterator<Item = E>,
    ) -> Result<GroupBy> {
        check_column(time, self.plan.schema())?;
        let schema = self.schema();
        let of = schema.field_with_name(time)?.data_type().clone();
        let times = match of {
            DataType::Timestamp(_, _) => col(time),
            DataType::Date32 => col(time).cast(DataType::Timestamp(TimeUnit::Microsecond, None)),
            other => {
                let what = format!("spans of column {time:?}");
                return Err(FrameError::Types { what, left: other.to_string(), right: "a time".to_owned() });
            }
        };
        let every = span(every)?;
        let begin = times.map(|e| {
            let (every, origin) = (
                ScalarValue::IntervalMonthDayNano(Some(every)),
                ScalarValue::TimestampNanosecond(Some(MONDAY), None),
            );
            date_bin(lit(every), e, lit(origin))
        });
        let keys = std::iter::once(begin).chain(by.into_iter().map(IntoColumn::into_column));
        Ok(GroupBy { frame: self.clone(), keys: keys.collect() })
    }

    /// The rows that differ in these columns, one of those that are equal; in all columns if none are said. Their order
    /// is none to rely on.
    ///
    /// # Errors
    /// [`FrameError::Column`](crate::FrameError::Column) if a column is not there.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("k", values(["a", "a", "b"])), ("x", values([1, 2, 3]))])?;
    /// let first = df.unique(["k"], KeepRow::First)?.sort(["k"])?;
    /// assert_eq!(first.to_vec::<i64>("x")?, [1, 3]);
    /// assert_eq!(df.unique(["k"], KeepRow::None)?.to_vec::<i64>("x")?, [3]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn unique<N: AsRef<str>>(&self, by: impl IntoIterator<Item = N>, keep: KeepRow) -> Result<DataFrame> {
        let by: Vec<String> = by.into_iter().map(|name| name.as_ref().to_owned()).collect();
        by.iter().try_for_each(|name| check_column(name, self.plan.schema()))?;
        let by = if by.is_empty() { self.columns() } else { by };
        let others: Vec<String> = self.columns().into_iter().filter(|name| !by.contains(name)).collect();
        if others.is_empty() && keep != KeepRow::None {
            return self.made(0, |plan| Ok(LogicalPlanBuilder::from(plan.clone()).distinct()?.build()?));
        }
        let kept = |name: &String| match keep {
            KeepRow::Last => col(name).last(),
            _ => col(name).first(),
        };
        let mut aggregates: Vec<Expr> = others.iter().map(kept).collect();
        if keep == KeepRow::None {
            aggregates.push(len().alias(COUNT));
        }
        let grouped = self.group_by(&by).agg(aggregates)?;
        let grouped = if keep == KeepRow::None { grouped.filter(col(COUNT).eq(1))? } else { grouped };
        grouped.select(self.columns())
    }

    /// For each row whether another one is equal to it in these columns, or in all columns if none are said: a column of
    /// this name beside the others. The rows come in an order that is none to rely on.
    ///
    /// # Errors
    /// [`FrameError::Column`](crate::FrameError::Column) if a column is not there.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 1]))])?;
    /// let again = df.with_duplicated("again", ["x"])?.sort(["x"])?;
    /// assert_eq!(again.to_vec::<bool>("again")?, [true, true, false]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn with_duplicated<N: AsRef<str>>(
        &self,
        name: impl AsRef<str>,
        by: impl IntoIterator<Item = N>,
    ) -> Result<DataFrame> {
        let by: Vec<String> = by.into_iter().map(|name| name.as_ref().to_owned()).collect();
        let by = if by.is_empty() { self.columns() } else { by };
        self.with_column(name, len().over(&by).gt(1))
    }

    /// How many rows there are of each combination of values in these columns, called `count`: the most first, those that
    /// are equally many by their values.
    ///
    /// # Errors
    /// [`FrameError::Column`](crate::FrameError::Column) if a column is not there.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values(["b", "a", "b"]))])?;
    /// assert_eq!(df.value_counts(["x"])?.rows::<(String, i64)>()?[0], ("b".to_owned(), 2));
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn value_counts<N: AsRef<str>>(&self, by: impl IntoIterator<Item = N>) -> Result<DataFrame> {
        let by: Vec<String> = by.into_iter().map(|name| name.as_ref().to_owned()).collect();
        let by = if by.is_empty() { self.columns() } else { by };
        let counted = self.group_by(&by).agg([len().alias("count")])?;
        let order = [col("count").desc()].into_iter().chain(by.iter().map(|name| col(name).asc()));
        counted.sort(order.collect::<Vec<SortKey>>())
    }
}

/// The same aggregate of each column that is no key and that it can be made of.
macro_rules! of_each {
    ($($name:ident $is:expr, $doc:literal $gives:literal;)*) => {$(
        #[doc = $doc]
        ///
        /// # Errors
        /// As [`agg`](GroupBy::agg).
        ///
        /// ```
        /// # use tilework_frame as tilework;
        /// # use tilework::doc::prelude::*;
        /// let df = from_columns([("k", values(["a", "b", "a"])), ("x", values([1, 5, 3]))])?;
        #[doc = concat!("let groups = df.group_by([\"k\"]).", stringify!($name), "()?.sort([\"k\"])?;")]
        #[doc = concat!("assert_eq!(groups.to_vec::<Option<f64>>(\"x\")?[0], Some(", $gives, "));")]
        /// # Ok::<(), FrameError>(())
        /// ```
        pub fn $name(&self) -> Result<DataFrame> {
            self.each($is, Expr::$name)
        }
    )*};
}

impl GroupBy {
    /// A row for each group: the keys and these aggregates. Their order is none to rely on.
    ///
    /// # Errors
    /// As [`DataFrame::select`]; [`FrameError::Argument`](crate::FrameError::Argument) if a column is no key and not
    /// within an aggregate.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("k", values(["a", "b", "a"])), ("x", values([1, 5, 3]))])?;
    /// let spans = df.group_by(["k"]).agg([(col("x").max() - col("x").min()).alias("span")])?.sort(["k"])?;
    /// assert_eq!(spans.to_vec::<i64>("span")?, [2, 0]);
    /// assert!(df.group_by(["k"]).agg([col("x")]).is_err());
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn agg(&self, aggregates: impl IntoIterator<Item = Expr>) -> Result<DataFrame> {
        let aggregates: Vec<Expr> = aggregates.into_iter().collect();
        check_unique(self.keys.iter().chain(&aggregates).map(Expr::output_name))?;
        let depth = DataFrame::depth(&self.keys).max(DataFrame::depth(&aggregates));
        self.frame.made(depth, |plan: &LogicalPlan| {
            let key = |key: &Expr| Ok((resolved(key, plan.schema())?, key.output_name().to_owned()));
            let keys = self.keys.iter().map(key).collect::<Result<Vec<_>>>()?;
            let aggregate = |e: &Expr| Ok(named(resolved(e, plan.schema())?, e.output_name()));
            let aggregates = aggregates.iter().map(aggregate).collect::<Result<Vec<_>>>()?;
            aggregated(plan.clone(), keys, aggregates)
        })
    }

    fn each(
        &self,
        is: fn(&datafusion::arrow::datatypes::DataType) -> bool,
        f: fn(Expr) -> Expr,
    ) -> Result<DataFrame> {
        let schema = self.frame.schema();
        let keys: Vec<&str> = self.keys.iter().map(Expr::output_name).collect();
        let fields = schema.fields().iter();
        let columns = fields.filter(|field| !keys.contains(&field.name().as_str()) && is(field.data_type()));
        self.agg(columns.map(|field| f(col(field.name()))))
    }

    /// How many rows each group has, called `len`.
    ///
    /// # Errors
    /// As [`agg`](GroupBy::agg).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("k", values(["a", "b", "a"]))])?;
    /// assert_eq!(df.group_by(["k"]).len()?.sort(["k"])?.to_vec::<i64>("len")?, [2, 1]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn len(&self) -> Result<DataFrame> {
        self.agg([len()])
    }

    of_each! {
        sum |t| t.is_numeric(), "The sum of each column of numbers." "4.0";
        mean |t| t.is_numeric(), "The mean of each column of numbers." "2.0";
        median |t| t.is_numeric(), "The median of each column of numbers." "2.0";
        min |t| !t.is_nested(), "The least value of each column." "1.0";
        max |t| !t.is_nested(), "The greatest value of each column." "3.0";
        count |_| true, "How many values of each column are not missing." "2.0";
        n_unique |_| true, "How many different values each column has." "2.0";
        first |_| true, "The first value of each column, in the order of the rows." "1.0";
        last |_| true, "The last value of each column, in the order of the rows." "3.0";
        std |t| t.is_numeric(), "The standard deviation of each column of numbers." "2.0_f64.sqrt()";
    }
}
