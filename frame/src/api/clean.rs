//! What is missing: rows without it, values in its place. Must not know of files.

use super::Result;
use super::expr::{Expr, col};
use super::frame::DataFrame;
use super::resolve::check_column;
use crate::error::FrameError;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{self as df};
use std::collections::{BTreeMap, BTreeSet};

impl DataFrame {
    /// The rows in which none of these columns is missing, or no column at all if none are said.
    ///
    /// # Errors
    /// [`FrameError::Column`] if a column is not there.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(1), None])), ("y", values([None, Some(2)]))])?;
    /// assert_eq!(df.drop_nulls(["x"])?.shape()?.0, 1);
    /// assert_eq!(df.drop_nulls::<&str>([])?.shape()?.0, 0);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn drop_nulls<N: AsRef<str>>(&self, of: impl IntoIterator<Item = N>) -> Result<DataFrame> {
        let names: Vec<String> = of.into_iter().map(|name| name.as_ref().to_owned()).collect();
        let names = if names.is_empty() { self.columns() } else { names };
        let all = names.into_iter().map(|name| col(name).is_not_null()).reduce(Expr::and);
        all.map_or_else(|| Ok(self.clone()), |all| self.filter(all))
    }

    /// The table with this value in the place of what is missing, in columns of its kind: numbers, texts or truths.
    ///
    /// # Errors
    /// [`FrameError::Argument`] if no column is of its kind.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(1), None])), ("s", values([Some("a"), None]))])?;
    /// let filled = df.fill_null(0)?.fill_null("?")?;
    /// assert_eq!(filled.rows::<(i64, String)>()?[1], (0, "?".to_owned()));
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn fill_null(&self, value: impl Into<Expr>) -> Result<DataFrame> {
        let value = value.into();
        let df::Expr::Literal(literal, _) = &value.inner else {
            return Err(FrameError::argument("value", "it is an expression; `with_columns` takes those"));
        };
        let of = literal.data_type();
        let same = |t: &DataType| {
            (t.is_numeric() && of.is_numeric()) || (t.is_string() && of.is_string()) || *t == of
        };
        let schema = self.schema();
        let fields: Vec<_> = schema.fields().iter().filter(|field| same(field.data_type())).collect();
        if fields.is_empty() {
            return Err(FrameError::argument("value", format!("no column holds a value of {of}")));
        }
        self.with_columns(fields.iter().map(|field| {
            let value = match field.data_type().is_integer() && of.is_integer() {
                true => value.clone().cast(field.data_type().clone()),
                false => value.clone(),
            };
            col(field.name()).fill_null(value)
        }))
    }

    /// A row for each element of a list in this column, with the other columns repeated; a list that is empty or missing
    /// gives one row, in which it is missing.
    ///
    /// # Errors
    /// [`FrameError::Column`] if the column is not there, [`FrameError::Types`] if it holds no lists.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("k", values([1, 2])), ("s", values(["a,b", "c"]))])?;
    /// let parts = df.with_columns([col("s").str().split(",")])?.explode("s")?;
    /// assert_eq!(parts.rows::<(i64, String)>()?[1], (1, "b".to_owned()));
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn explode(&self, name: impl AsRef<str>) -> Result<DataFrame> {
        let name = name.as_ref();
        check_column(name, self.plan.schema())?;
        let schema = self.schema();
        let of = schema.field_with_name(name)?.data_type().clone();
        if !matches!(of, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _)) {
            let what = format!("explode of column {name:?}");
            return Err(FrameError::Types { what, left: of.to_string(), right: "a list".to_owned() });
        }
        self.made(0, |plan| {
            let column = datafusion::common::Column::new_unqualified(name);
            let options = datafusion::common::UnnestOptions::new().with_preserve_nulls(true);
            let plan = datafusion::logical_expr::LogicalPlanBuilder::from(plan.clone());
            Ok(plan.unnest_column_with_options(column, options)?.build()?)
        })
    }

    /// The table with several columns as two: for each row and each of these columns a row with the column's name, called
    /// `variable`, and its value, called `value`; the columns of `index` are repeated. All other columns are taken if
    /// none are said.
    ///
    /// # Errors
    /// [`FrameError::Column`] if a column is not there, [`FrameError::Types`] if the values' types do not go together.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("k", values([1])), ("x", values([10])), ("y", values([20]))])?;
    /// let long = df.unpivot::<&str, _>([], ["k"])?;
    /// assert_eq!(long.rows::<(i64, String, i64)>()?[1], (1, "y".to_owned(), 20));
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn unpivot<A: AsRef<str>, B: AsRef<str>>(
        &self,
        of: impl IntoIterator<Item = A>,
        index: impl IntoIterator<Item = B>,
    ) -> Result<DataFrame> {
        let index: Vec<String> = index.into_iter().map(|name| name.as_ref().to_owned()).collect();
        let of: Vec<String> = of.into_iter().map(|name| name.as_ref().to_owned()).collect();
        let others = || self.columns().into_iter().filter(|name| !index.contains(name)).collect();
        let of: Vec<String> = if of.is_empty() { others() } else { of };
        let part = |name: &String| {
            let variable = super::lit(name.as_str()).alias("variable");
            self.select(index.iter().map(col).chain([variable, col(name).alias("value")]))
        };
        super::concat(&of.iter().map(part).collect::<Result<Vec<_>>>()?)
    }

    /// The values of a column as columns: a row for each combination of values in `index`, and for each value of `on`
    /// a column that is called as it is and holds an aggregate of the rows that have both. Runs a query for the values
    /// of `on`, which come in their order.
    ///
    /// # Errors
    /// As [`collect`](DataFrame::collect); [`FrameError::Duplicate`] if a value is called as a column of `index`.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([
    ///     ("k", values(["a", "a", "b"])), ("day", values(["mo", "tu", "mo"])), ("x", values([1, 2, 3])),
    /// ])?;
    /// let wide = df.pivot("day", ["k"], col("x").sum())?.sort(["k"])?;
    /// assert_eq!(wide.columns(), ["k", "mo", "tu"]);
    /// assert_eq!(wide.to_vec::<Option<i64>>("tu")?, [Some(2), None]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn pivot<N: AsRef<str>>(
        &self,
        on: impl AsRef<str>,
        index: impl IntoIterator<Item = N>,
        aggregate: Expr,
    ) -> Result<DataFrame> {
        let on = on.as_ref();
        let index: Vec<String> = index.into_iter().map(|name| name.as_ref().to_owned()).collect();
        let values = self.select([on])?.drop_nulls::<&str>([])?.unique::<&str>([], super::KeepRow::Any)?;
        let values = super::rows::scalars(&values.sort([on])?.collect()?)?;
        let column = |value: datafusion::common::ScalarValue| {
            let name = value.to_string();
            only_where(&aggregate, &col(on).eq(Expr::from(value))).alias(name)
        };
        self.group_by(&index).agg(values.into_iter().map(column))
    }

    /// The table with a column of this name beside the others: in which of `n` intervals with about equally many values a
    /// column's value lies, as a text. Upper bounds belong to their interval, and the least value to the first one. Bounds
    /// are quantiles, between two values where there is none; missing values and NaN lie in none. Runs two queries for
    /// them, which sort the column.
    ///
    /// # Errors
    /// [`FrameError::Column`] if the column is not there; [`FrameError::Argument`] if `n` is 0, there are no values, or so
    /// many are equal that two bounds are; as [`DataFrame::collect`].
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([0.0, 1.0, 2.0, 10.0, 100.0]))])?;
    /// let halves = df.with_qcut("half", "x", 2)?.to_vec::<String>("half")?;
    /// assert_eq!(halves, ["[0, 2]", "[0, 2]", "[0, 2]", "(2, 100]", "(2, 100]"]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn with_qcut(&self, name: impl AsRef<str>, column: impl AsRef<str>, n: usize) -> Result<DataFrame> {
        const ROW: &str = "__row";
        let column = column.as_ref();
        if n == 0 {
            return Err(FrameError::argument("n", "0 intervals, expected at least 1"));
        }
        let values = self.select([col(column).cast(DataType::Float64)])?;
        let values = values.filter(col(column).is_not_null().and(!col(column).is_nan()))?;
        let n_values = values.shape()?.0;
        if n_values == 0 {
            return Err(FrameError::argument("column", format!("'{column}' has no values to be divided")));
        }
        // The bound i is as far between the first and the last value.
        let at = |i: usize| (n_values - 1) as f64 * i as f64 / n as f64;
        let rows: BTreeSet<i64> = (0..=n).flat_map(|i| [at(i).floor() as i64, at(i).ceil() as i64]).collect();
        let sorted = values.sort([column])?.with_row_index(ROW)?;
        let found = sorted.filter(col(ROW).is_in(rows))?.rows::<(i64, f64)>()?;
        let found: BTreeMap<i64, f64> = found.into_iter().collect();
        let bound = |i: usize| {
            let (below, above) = (found[&(at(i).floor() as i64)], found[&(at(i).ceil() as i64)]);
            below + (above - below) * at(i).fract()
        };
        let bounds: Vec<f64> = (0..=n).map(bound).collect();
        if let Some(pair) = bounds.windows(2).find(|pair| pair[0] >= pair[1] && n > 1) {
            let why = format!("'{column}' cannot be divided into {n} intervals: two bounds are {}", pair[0]);
            return Err(FrameError::argument("n", why));
        }
        self.with_column(name, col(column).cast(DataType::Float64).cut_into(&bounds, true))
    }

    /// The table with a column of truths for each value of a column, called as that and the value, in its place. Runs a
    /// query for the values, which come in their order.
    ///
    /// # Errors
    /// As [`collect`](DataFrame::collect).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values(["a", "b"]))])?;
    /// assert_eq!(df.to_dummies("x")?.rows::<(bool, bool)>()?, [(true, false), (false, true)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn to_dummies(&self, name: impl AsRef<str>) -> Result<DataFrame> {
        let name = name.as_ref();
        let values = self.select([name])?.drop_nulls::<&str>([])?.unique::<&str>([], super::KeepRow::Any)?;
        let values = super::rows::scalars(&values.sort([name])?.collect()?)?;
        let dummy = |value: &datafusion::common::ScalarValue| {
            let is = col(name).eq(Expr::from(value.clone())).fill_null(false);
            is.alias(format!("{name}_{value}"))
        };
        let columns = self.columns().into_iter().flat_map(|column| match column == name {
            true => values.iter().map(dummy).collect::<Vec<_>>(),
            false => vec![col(column)],
        });
        self.select(columns.collect::<Vec<_>>())
    }
}

/// The expression with its aggregates made only of rows for which this is true.
fn only_where(expr: &Expr, condition: &Expr) -> Expr {
    use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
    let filter = condition.inner.clone();
    expr.clone().map(|e| {
        let filtered = e.clone().transform_up(|e| match e {
            df::Expr::AggregateFunction(mut aggregate) => {
                aggregate.params.filter = Some(Box::new(match aggregate.params.filter.take() {
                    Some(other) => (*other).and(filter.clone()),
                    None => filter.clone(),
                }));
                Ok(Transformed::yes(df::Expr::AggregateFunction(aggregate)))
            }
            other => Ok(Transformed::no(other)),
        });
        filtered.data().unwrap_or(e)
    })
}
