//! What rows have of the rows before them in time, times in zones, and times that are missing among rows. Must not know how
//! times are written.

use super::Result;
use super::expr::{Expr, IntoColumn, col};
use super::frame::DataFrame;
use super::group::span;
use super::join::{JoinHow, JoinOptions};
use super::memory::date_range;
use super::resolve::check_column;
use super::text::Time;
use super::window::running;
use crate::error::FrameError;
use crate::functions;
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate as aggregate;
use datafusion::logical_expr::{
    self as df, AggregateUDF, WindowFrame, WindowFrameBound, WindowFrameUnits, cast,
};
use std::sync::Arc;

/// Nanoseconds of what times are counted in here.
const MICROSECOND: i64 = 1000;

/// Aggregates of the rows of the last time.
macro_rules! rolling_by {
    ($($name:ident $fun:expr, $doc:literal $gives:literal;)*) => {
        impl Expr {$(
            #[doc = $doc]
            /// That is of the rows whose times are later than so long before this row's (`30s`, `15m`, `1h`, `7d`, `1w`,
            /// `1mo`) and not after it: of rows of one time all or none. Missing where there is no value. The rows may come
            /// in any order; [`over`](Expr::over) makes it of those that are equal in keys.
            ///
            /// # Errors
            /// [`FrameError::Argument`] for what is no length of time. That the column holds no times is found when the
            /// expression is put into a table.
            ///
            /// ```
            /// # use tilework_frame as tilework;
            /// # use tilework::doc::prelude::*;
            /// let t = values(["2024-01-01", "2024-01-02", "2024-01-09"]);
            /// let df = from_columns([("t", t), ("x", values([1.0, 2.0, 6.0]))])?;
            /// let df = df.with_columns([col("t").str().to_datetime(None, true)])?;
            #[doc = concat!("let rolled = df.select([col(\"x\").", stringify!($name), "(\"t\", \"7d\")?])?;")]
            #[doc = concat!("assert_eq!(rolled.to_vec::<f64>(\"x\")?, [", $gives, "]);")]
            /// # Ok::<(), FrameError>(())
            /// ```
            pub fn $name(self, time: impl IntoColumn, window: &str) -> Result<Expr> {
                self.rolling_by($fun, time.into_column(), window)
            }
        )*}
    };
}
rolling_by! {
    rolling_mean_by aggregate::average::avg_udaf(), "The mean." "1.0, 1.5, 6.0";
    rolling_sum_by functions::sum(), "The sum." "1.0, 3.0, 6.0";
    rolling_min_by functions::min(), "The least value." "1.0, 1.0, 6.0";
    rolling_max_by functions::max(), "The greatest value." "1.0, 2.0, 6.0";
    rolling_count_by aggregate::count::count_udaf(), "How many values are not missing." "1.0, 2.0, 1.0";
}

impl Expr {
    fn rolling_by(self, fun: Arc<AggregateUDF>, time: Expr, window: &str) -> Result<Expr> {
        let IntervalMonthDayNano { months, days, nanoseconds } = span(window)?;
        // The row that is just so long ago is none of them.
        let back = IntervalMonthDayNano::new(months, days, nanoseconds - MICROSECOND);
        let start = WindowFrameBound::Preceding(ScalarValue::IntervalMonthDayNano(Some(back)));
        let frame = WindowFrame::new_bounds(WindowFrameUnits::Range, start, WindowFrameBound::CurrentRow);
        let (depth, name) = (self.depth.max(time.depth) + 1, self.name.clone());
        let time = cast(time.inner, DataType::Timestamp(TimeUnit::Microsecond, None));
        let inner = running(fun, vec![self.inner], frame, vec![time.sort(true, false)]);
        Ok(Expr { inner, name, depth })
    }

    /// The mean of the values up to this row, of which each weighs `1 - alpha` times as much as the one after it. What is
    /// missing has a place, and no weight; the first rows weigh as if nothing were before them. Of a span of `n` rows,
    /// `alpha` is `2 / (n + 1)`.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(1.0), Some(2.0), None, Some(4.0)]))])?;
    /// let means = df.select([col("x").ewm_mean(0.5)])?.to_vec::<f64>("x")?;
    /// assert_eq!(means[1], (0.5 * 1.0 + 2.0) / 1.5);
    /// assert_eq!(means[3], (0.125 * 1.0 + 0.25 * 2.0 + 4.0) / 1.375);
    /// assert!(df.select([col("x").ewm_mean(0.0)])?.collect().is_err());
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn ewm_mean(self, alpha: f64) -> Expr {
        let all = WindowFrameBound::Preceding(ScalarValue::UInt64(None));
        let frame = WindowFrame::new_bounds(WindowFrameUnits::Rows, all, WindowFrameBound::CurrentRow);
        self.map(|e| running(functions::ewm_mean(), vec![e, df::lit(alpha)], frame, Vec::new()))
    }
}

impl Time {
    /// A time without a zone as the same time on a clock of this one (`Europe/Berlin`, `+02:00`). A time that clocks there
    /// skip, or show twice, is an error when rows are asked for.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let times = |text: &str| -> Result<DataFrame, FrameError> {
    ///     let df = from_columns([("t", values([text]))])?;
    ///     df.select([col("t").str().to_datetime(None, true).dt().replace_tz("Europe/Berlin")])
    /// };
    /// let summer = times("2024-07-01 12:00")?.select([col("t").dt().convert_tz("UTC").dt().hour()])?;
    /// assert_eq!(summer.to_vec::<i64>("t")?, [10]);
    /// // At two the clocks went to three.
    /// assert!(times("2024-03-31 02:30")?.collect().is_err());
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn replace_tz(self, zone: &str) -> Expr {
        let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()));
        self.0.cast(DataType::Timestamp(TimeUnit::Microsecond, None)).cast(zoned)
    }

    /// The same moment as clocks of this zone show it; of a time without a zone, as if it were of UTC.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("t", values(["2024-07-01 12:00"]))])?;
    /// let utc = df.select([col("t").str().to_datetime(None, true).dt().replace_tz("UTC")])?;
    /// let there = utc.select([col("t").dt().convert_tz("Asia/Tokyo").dt().hour()])?;
    /// assert_eq!(there.to_vec::<i64>("t")?, [21]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn convert_tz(self, zone: &str) -> Expr {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        self.0.cast(utc).cast(DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into())))
    }
}

impl DataFrame {
    /// The rows with one for each time that is missing among them, from the first to the last: every so long (`15m`, `1h`,
    /// `1d`, `1mo`) after the first. What other columns such a row has is missing. So groups of
    /// [`group_by_dynamic`](DataFrame::group_by_dynamic) have those of spans without rows. In the order of the times. Runs a
    /// query for the first and the last time.
    ///
    /// # Errors
    /// [`FrameError::Column`] if there is no such column, [`FrameError::Types`] if it holds no times,
    /// [`FrameError::Argument`] for what is no length of time, or more than 100 million times.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("t", values(["2024-01-01 10:10", "2024-01-01 12:50"]))])?;
    /// let df = df.with_columns([col("t").str().to_datetime(None, true)])?;
    /// let hours = df.group_by_dynamic::<&str>("t", "1h", [])?.len()?.upsample("t", "1h")?;
    /// assert_eq!(hours.to_vec::<Option<i64>>("len")?, [Some(1), None, Some(1)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn upsample(&self, time: &str, every: &str) -> Result<DataFrame> {
        check_column(time, self.plan.schema())?;
        let of = self.schema().field_with_name(time)?.data_type().clone();
        if !matches!(of, DataType::Timestamp(_, None) | DataType::Date32) {
            let (what, right) = (format!("column {time:?}"), "times without a zone".to_owned());
            return Err(FrameError::Types { what, left: of.to_string(), right });
        }
        let text = || col(time).cast(DataType::Timestamp(TimeUnit::Microsecond, None)).cast(DataType::Utf8);
        let ends = self.select([text().min().alias("first"), text().max().alias("last")])?;
        let ends = ends.rows::<(Option<String>, Option<String>)>()?;
        let Some((Some(first), Some(last))) = ends.into_iter().next() else {
            span(every)?;
            return Ok(self.clone());
        };
        let all = date_range(&self.on, time, &first, &last, every)?.cast([(time, of)])?;
        let options =
            JoinOptions { left_on: vec![time.to_owned()], how: JoinHow::Full, ..JoinOptions::default() };
        all.join_with(self, &options)?.sort([col(time)])?.select(self.columns())
    }
}
