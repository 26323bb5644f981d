//! Rows in the order of values. Must not know of groups.

use super::Result;
use super::expr::{Expr, col};
use super::frame::DataFrame;
use super::resolve::{column, named, resolved};
use crate::place::{PLACE, placed};
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{self as df, ExprSchemable, LogicalPlan, LogicalPlanBuilder};

/// What rows are sorted by.
#[derive(Debug, Clone, PartialEq)]
pub struct SortKey {
    expr: Expr,
    descending: bool,
}

/// What rows can be sorted by: the name of a column, an expression, or one with a direction.
pub trait IntoSortKey {
    /// The key.
    fn into_sort_key(self) -> SortKey;
}

impl IntoSortKey for SortKey {
    fn into_sort_key(self) -> SortKey {
        self
    }
}

impl IntoSortKey for Expr {
    fn into_sort_key(self) -> SortKey {
        self.asc()
    }
}

impl IntoSortKey for &str {
    fn into_sort_key(self) -> SortKey {
        col(self).asc()
    }
}

impl IntoSortKey for &String {
    fn into_sort_key(self) -> SortKey {
        col(self).asc()
    }
}

impl IntoSortKey for String {
    fn into_sort_key(self) -> SortKey {
        col(self).asc()
    }
}

impl Expr {
    /// A key by which the least comes first; what is missing comes last.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(2), None, Some(1)]))])?;
    /// assert_eq!(df.sort([col("x").asc()])?.to_vec::<Option<i64>>("x")?, [Some(1), Some(2), None]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn asc(self) -> SortKey {
        SortKey { expr: self, descending: false }
    }

    /// A key by which the greatest comes first; what is missing comes last.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(2), None, Some(3)]))])?;
    /// assert_eq!(df.sort([col("x").desc()])?.to_vec::<Option<i64>>("x")?, [Some(3), Some(2), None]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn desc(self) -> SortKey {
        SortKey { expr: self, descending: true }
    }
}

impl DataFrame {
    /// The rows in the order of these keys. What is missing comes last, NaN is greater than all other values, and rows
    /// that are equal in all keys stay in their order.
    ///
    /// # Errors
    /// As [`select`](DataFrame::select).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("k", values(["b", "a", "b"])), ("x", values([1, 2, 3]))])?;
    /// assert_eq!(df.sort(["k"])?.to_vec::<i64>("x")?, [2, 1, 3]);
    /// assert_eq!(df.sort([col("k").asc(), col("x").desc()])?.to_vec::<i64>("x")?, [2, 3, 1]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn sort<K: IntoSortKey>(&self, by: impl IntoIterator<Item = K>) -> Result<DataFrame> {
        self.sorted(by.into_iter().map(IntoSortKey::into_sort_key).collect(), None)
    }

    /// The rows with the greatest values of this, the greatest first, so many of them.
    ///
    /// # Errors
    /// As [`select`](DataFrame::select).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 3, 2]))])?;
    /// assert_eq!(df.top_k(2, "x")?.to_vec::<i64>("x")?, [3, 2]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn top_k(&self, n: usize, by: impl super::IntoColumn) -> Result<DataFrame> {
        self.sorted(vec![by.into_column().desc()], Some(n))
    }

    /// The rows with the least values of this, the least first, so many of them.
    ///
    /// # Errors
    /// As [`select`](DataFrame::select).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 3, 2]))])?;
    /// assert_eq!(df.bottom_k(2, "x")?.to_vec::<i64>("x")?, [1, 2]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn bottom_k(&self, n: usize, by: impl super::IntoColumn) -> Result<DataFrame> {
        self.sorted(vec![by.into_column().asc()], Some(n))
    }

    fn sorted(&self, by: Vec<SortKey>, n: Option<usize>) -> Result<DataFrame> {
        let depth = by.iter().map(|key| key.expr.depth).max().unwrap_or(0);
        self.made(depth, |plan: &LogicalPlan| {
            let key = |key: &SortKey| {
                let resolved = resolved(&key.expr, plan.schema())?;
                let float =
                    matches!(resolved.get_type(plan.schema())?, DataType::Float32 | DataType::Float64);
                let resolved =
                    if float { crate::functions::ordered().call(vec![resolved]) } else { resolved };
                Ok((resolved, !key.descending))
            };
            let keys = by.iter().map(key).collect::<Result<Vec<_>>>()?;
            // Keys that are made become columns, which are left out again.
            let input = placed(plan.clone())?;
            let mut columns: Vec<df::Expr> =
                input.schema().fields().iter().map(|f| column(f.name())).collect();
            let mut order = Vec::new();
            for (i, (key, ascending)) in keys.into_iter().enumerate() {
                let key = match key {
                    df::Expr::Column(_) => key,
                    made => {
                        let name = format!("__key{i}");
                        columns.push(named(made, &name));
                        column(&name)
                    }
                };
                order.push(key.sort(ascending, false));
            }
            order.push(column(PLACE).sort(true, false));
            let sorted = LogicalPlanBuilder::from(input).project(columns)?.sort_with_limit(order, n)?;
            let kept = plan.schema().fields().iter().map(|f| column(f.name()));
            Ok(sorted.project(kept.collect::<Vec<_>>())?.build()?)
        })
    }
}
