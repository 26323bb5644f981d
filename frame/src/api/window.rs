//! What a row has of the rows around it. Must not know of tables.

use super::expr::{Expr, null, when};
use crate::functions;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::functions_window::expr_fn as window;
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{
    self as df, AggregateUDF, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};
use std::sync::Arc;

/// Which rows a value is made of, relative to its own.
#[derive(Debug, Clone, Copy)]
enum Rows {
    /// All up to it.
    UpTo,
    /// It, and all after it, the last first.
    From,
    /// So many, the last of which is it.
    Last(u64),
}

impl Rows {
    fn frame(self) -> WindowFrame {
        let all = ScalarValue::UInt64(None);
        let current = WindowFrameBound::CurrentRow;
        let (start, end) = match self {
            Rows::UpTo => (WindowFrameBound::Preceding(all), current),
            Rows::From => (current, WindowFrameBound::Following(all)),
            Rows::Last(n) => {
                (WindowFrameBound::Preceding(ScalarValue::UInt64(Some(n.saturating_sub(1)))), current)
            }
        };
        WindowFrame::new_bounds(WindowFrameUnits::Rows, start, end)
    }
}

/// The frame of all rows.
fn whole_frame() -> WindowFrame {
    let all = ScalarValue::UInt64(None);
    let (start, end) = (WindowFrameBound::Preceding(all.clone()), WindowFrameBound::Following(all));
    WindowFrame::new_bounds(WindowFrameUnits::Rows, start, end)
}

/// An aggregate of rows around each row, in this order; in that of the rows if none is said.
pub(crate) fn running(
    fun: Arc<AggregateUDF>,
    args: Vec<df::Expr>,
    window_frame: WindowFrame,
    order_by: Vec<df::SortExpr>,
) -> df::Expr {
    let fun = WindowFunctionDefinition::AggregateUDF(fun);
    let params = WindowFunctionParams {
        args,
        partition_by: Vec::new(),
        order_by,
        window_frame,
        filter: None,
        null_treatment: None,
        distinct: false,
    };
    df::Expr::WindowFunction(Box::new(WindowFunction { fun, params }))
}

/// The expression with its aggregates made of the rows that are equal in the keys, and one for each row.
pub(crate) fn over(expr: df::Expr, keys: &[df::Expr]) -> datafusion::error::Result<df::Expr> {
    let within = |expr: df::Expr| match expr {
        df::Expr::AggregateFunction(AggregateFunction { func, params }) => {
            let params = WindowFunctionParams {
                args: params.args,
                partition_by: keys.to_vec(),
                order_by: params.order_by,
                window_frame: whole_frame(),
                filter: params.filter,
                null_treatment: params.null_treatment,
                distinct: params.distinct,
            };
            let fun = WindowFunctionDefinition::AggregateUDF(func);
            Ok(Transformed::yes(df::Expr::WindowFunction(Box::new(WindowFunction { fun, params }))))
        }
        df::Expr::WindowFunction(mut window) if window.params.partition_by.is_empty() => {
            window.params.partition_by = keys.to_vec();
            Ok(Transformed::yes(df::Expr::WindowFunction(window)))
        }
        other => Ok(Transformed::no(other)),
    };
    expr.transform_up(within).data()
}

/// The window over rows in the order of a column. One from a row on goes from the last row to it: what comes to a window
/// must not leave it.
pub(crate) fn ordered_by(mut window: Box<WindowFunction>, place: df::Expr) -> Box<WindowFunction> {
    let reversed = matches!(window.params.window_frame.start_bound, WindowFrameBound::CurrentRow);
    if reversed {
        window.params.window_frame = Rows::UpTo.frame();
    }
    window.params.order_by = vec![place.sort(!reversed, false)];
    window
}

/// Whether the value of a window depends on the order of rows, which it does not say.
pub(crate) fn asks_for_places(window: &WindowFunction) -> bool {
    let whole = window.params.window_frame.start_bound.is_unbounded()
        && window.params.window_frame.end_bound.is_unbounded();
    let any_order = matches!(&window.fun, WindowFunctionDefinition::AggregateUDF(f)
        if whole && !matches!(f.name(), "first_value" | "last_value"));
    window.params.order_by.is_empty() && !any_order
}

/// How rows that are equal share ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RankMethod {
    /// All have the least of their ranks: 1, 2, 2, 4.
    Min,
    /// The least, and the next ones follow without a gap: 1, 2, 2, 3.
    Dense,
    /// Each has its own, in the order of the rows: 1, 2, 3, 4.
    Ordinal,
}

impl Expr {
    /// The expression with its aggregates, and what it has of other rows, made of the rows that are equal in these keys:
    /// one value for each row, beside the others of its row. The rows come by keys, in an order that is none to rely on.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("k", values(["a", "b", "a"])), ("x", values([1, 5, 3]))])?;
    /// let shares = df.with_column("share", col("x") / col("x").sum().over(["k"]))?.sort(["x"])?;
    /// assert_eq!(shares.to_vec::<f64>("share")?, [0.25, 0.75, 1.0]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn over<K: super::IntoColumn>(self, keys: impl IntoIterator<Item = K>) -> Expr {
        let keys: Vec<df::Expr> = keys.into_iter().map(|key| key.into_column().inner).collect();
        self.map(|e| over(e.clone(), &keys).unwrap_or(e))
    }

    /// The value so many rows before, or after where it is negative; missing where there is no such row.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 3]))])?;
    /// assert_eq!(df.select([col("x").shift(1)])?.to_vec::<Option<i64>>("x")?, [None, Some(1), Some(2)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn shift(self, n: i64) -> Expr {
        self.map(|e| match n {
            0 => e,
            n if n > 0 => window::lag(e, Some(n), None),
            n => window::lead(e, Some(n.saturating_neg()), None),
        })
    }

    /// The difference to the value so many rows before.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 4, 9]))])?;
    /// assert_eq!(df.select([col("x").diff(1)])?.to_vec::<Option<i64>>("x")?, [None, Some(3), Some(5)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn diff(self, n: i64) -> Expr {
        self.clone() - self.shift(n)
    }

    /// The change since so many rows before, as a share of the value then.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([2, 3]))])?;
    /// assert_eq!(df.select([col("x").pct_change(1)])?.to_vec::<Option<f64>>("x")?, [None, Some(0.5)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn pct_change(self, n: i64) -> Expr {
        let before = self.clone().shift(n);
        (self - before.clone()) / before
    }

    /// The value, or the last one before it that is not missing.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([None, Some(1), None, Some(2)]))])?;
    /// let filled = df.select([col("x").forward_fill()])?.to_vec::<Option<i64>>("x")?;
    /// assert_eq!(filled, [None, Some(1), Some(1), Some(2)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn forward_fill(self) -> Expr {
        self.map(|e| running(functions::last_known(), vec![e], Rows::UpTo.frame(), Vec::new()))
    }

    /// The value, or the next one after it that is not missing.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([None, Some(1), None]))])?;
    /// let filled = df.select([col("x").backward_fill()])?.to_vec::<Option<i64>>("x")?;
    /// assert_eq!(filled, [Some(1), Some(1), None]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn backward_fill(self) -> Expr {
        self.map(|e| running(functions::last_known(), vec![e], Rows::From.frame(), Vec::new()))
    }

    /// The value, or one on the line between the last before it and the next after it that are not missing, as a float:
    /// rows are taken for equally far from one another. What has no value on both sides stays missing.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([None, Some(1), None, None, Some(7), None]))])?;
    /// let filled = df.select([col("x").interpolate()])?.to_vec::<Option<f64>>("x")?;
    /// assert_eq!(filled, [None, Some(1.0), Some(3.0), Some(5.0), Some(7.0), None]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn interpolate(self) -> Expr {
        let name = self.name.clone();
        let of = |fun: Arc<AggregateUDF>, rows: Rows| {
            self.clone().map(|e| running(fun, vec![e], rows.frame(), Vec::new())).cast(DataType::Float64)
        };
        let (before, after) =
            (of(functions::last_known(), Rows::UpTo), of(functions::last_known(), Rows::From));
        let since = of(functions::rows_since_known(), Rows::UpTo);
        let until = of(functions::rows_since_known(), Rows::From);
        let between = before.clone() + (after - before) * (since.clone() / (since + until));
        let known = self.clone().is_not_null();
        Expr { name, ..when(known, self.cast(DataType::Float64)).otherwise(between) }
    }

    /// The sum of all values up to this row.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 3]))])?;
    /// assert_eq!(df.select([col("x").cum_sum()])?.to_vec::<i64>("x")?, [1, 3, 6]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn cum_sum(self) -> Expr {
        self.map(|e| running(functions::sum(), vec![e], Rows::UpTo.frame(), Vec::new()))
    }

    /// The greatest of all values up to this row.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 3, 2]))])?;
    /// assert_eq!(df.select([col("x").cum_max()])?.to_vec::<i64>("x")?, [1, 3, 3]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn cum_max(self) -> Expr {
        self.map(|e| running(functions::max(), vec![e], Rows::UpTo.frame(), Vec::new()))
    }

    /// The least of all values up to this row.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([2, 3, 1]))])?;
    /// assert_eq!(df.select([col("x").cum_min()])?.to_vec::<i64>("x")?, [2, 2, 1]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn cum_min(self) -> Expr {
        self.map(|e| running(functions::min(), vec![e], Rows::UpTo.frame(), Vec::new()))
    }

    /// How many values up to this row are not missing.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(2), None, Some(1)]))])?;
    /// assert_eq!(df.select([col("x").cum_count()])?.to_vec::<i64>("x")?, [1, 1, 2]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn cum_count(self) -> Expr {
        self.map(|e| running(agg_count(), vec![e], Rows::UpTo.frame(), Vec::new()))
    }

    /// The mean of the last rows, so many of them; missing where there are fewer values.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1.0, 2.0, 6.0]))])?;
    /// let means = df.select([col("x").rolling_mean(2)])?.to_vec::<Option<f64>>("x")?;
    /// assert_eq!(means, [None, Some(1.5), Some(4.0)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn rolling_mean(self, n_rows: u64) -> Expr {
        self.rolling(datafusion::functions_aggregate::average::avg_udaf(), n_rows)
    }

    /// The sum of the last rows, so many of them; missing where there are fewer values.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 6]))])?;
    /// assert_eq!(df.select([col("x").rolling_sum(2)])?.to_vec::<Option<i64>>("x")?, [None, Some(3), Some(8)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn rolling_sum(self, n_rows: u64) -> Expr {
        self.rolling(functions::sum(), n_rows)
    }

    /// The least of the last rows, so many of them; missing where there are fewer values.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([3, 2, 6]))])?;
    /// assert_eq!(df.select([col("x").rolling_min(2)])?.to_vec::<Option<i64>>("x")?, [None, Some(2), Some(2)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn rolling_min(self, n_rows: u64) -> Expr {
        self.rolling(functions::min(), n_rows)
    }

    /// The greatest of the last rows, so many of them; missing where there are fewer values.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([3, 2, 6]))])?;
    /// assert_eq!(df.select([col("x").rolling_max(2)])?.to_vec::<Option<i64>>("x")?, [None, Some(3), Some(6)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn rolling_max(self, n_rows: u64) -> Expr {
        self.rolling(functions::max(), n_rows)
    }

    /// The standard deviation of the last rows, so many of them; missing where there are fewer values.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1.0, 1.0, 3.0]))])?;
    /// let std = df.select([col("x").rolling_std(2)])?.to_vec::<Option<f64>>("x")?;
    /// assert_eq!(std[1], Some(0.0));
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn rolling_std(self, n_rows: u64) -> Expr {
        self.rolling(datafusion::functions_aggregate::stddev::stddev_udaf(), n_rows)
    }

    fn rolling(self, fun: Arc<AggregateUDF>, n_rows: u64) -> Expr {
        let rows = Rows::Last(n_rows);
        let n_values = self.clone().map(|e| running(agg_count(), vec![e], rows.frame(), Vec::new()));
        let value = self.map(|e| running(fun, vec![e], rows.frame(), Vec::new()));
        when(n_values.gt_eq(i64::try_from(n_rows).unwrap_or(i64::MAX)), value).otherwise(null())
    }

    /// The place of the value among all, from 1, the least first; missing where the value is.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(10), Some(5), Some(10), None]))])?;
    /// let ranks = df.select([col("x").rank(RankMethod::Min)])?.to_vec::<Option<i64>>("x")?;
    /// assert_eq!(ranks, [Some(2), Some(1), Some(2), None]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn rank(self, method: RankMethod) -> Expr {
        let order = vec![self.inner.clone().sort(true, false)];
        let ranked = self.clone().map(|_| {
            let mut rank = match method {
                RankMethod::Min => window::rank(),
                RankMethod::Dense => window::dense_rank(),
                RankMethod::Ordinal => window::row_number(),
            };
            if let df::Expr::WindowFunction(window) = &mut rank {
                window.params.order_by = order;
            }
            rank
        });
        when(self.is_not_null(), ranked).otherwise(null())
    }
}

fn agg_count() -> Arc<AggregateUDF> {
    datafusion::functions_aggregate::count::count_udaf()
}
