//! Which columns and rows a table has of another one. Must not know of groups or of other tables.

use super::Result;
use super::expr::{Expr, IntoColumn, col};
use super::frame::DataFrame;
use super::resolve::{check_column, check_unique, column, projected, resolved};
use crate::error::FrameError;
use crate::place::{PLACE, placed};
use datafusion::arrow::datatypes::DataType;
use datafusion::functions_window::expr_fn as window;
use datafusion::logical_expr::utils::{find_aggregate_exprs, find_window_exprs};
use datafusion::logical_expr::{self as df, LogicalPlanBuilder};
use std::collections::{HashMap, HashSet};

/// A column that is made to filter by.
const KEPT: &str = "__kept";

impl DataFrame {
    /// A column for each expression. Aggregates give one row, where there are no columns beside them; beside columns they
    /// have the same value in each row.
    ///
    /// # Errors
    /// [`FrameError::Column`] for a column that is not there, [`FrameError::Duplicate`] for two of one name,
    /// [`FrameError::Query`] for types that do not fit.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2])), ("y", values([10, 20]))])?;
    /// assert_eq!(df.select(["y"])?.columns(), ["y"]);
    /// assert_eq!(df.select([col("x") + col("y"), col("y").sum()])?.rows::<(i64, i64)>()?, [(11, 30), (22, 30)]);
    /// assert_eq!(df.select([col("x").sum(), col("y").max()])?.rows::<(i64, i64)>()?, [(3, 20)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn select<E: IntoColumn>(&self, exprs: impl IntoIterator<Item = E>) -> Result<DataFrame> {
        let exprs: Vec<Expr> = exprs.into_iter().map(IntoColumn::into_column).collect();
        self.made(DataFrame::depth(&exprs), |plan| projected(plan, &exprs, false))
    }

    /// All columns, and these: in the place of those that have their names, or after them.
    ///
    /// # Errors
    /// As [`select`](DataFrame::select).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2]))])?;
    /// let df = df.with_columns([col("x") * 10, (col("x") + 1).alias("next")])?;
    /// assert_eq!(df.rows::<(i64, i64)>()?, [(10, 2), (20, 3)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn with_columns(&self, exprs: impl IntoIterator<Item = Expr>) -> Result<DataFrame> {
        let exprs: Vec<Expr> = exprs.into_iter().collect();
        check_unique(exprs.iter().map(Expr::output_name))?;
        let mut all = self.all();
        for expr in exprs {
            match all.iter_mut().find(|old| old.output_name() == expr.output_name()) {
                Some(old) => *old = expr,
                None => all.push(expr),
            }
        }
        self.made(DataFrame::depth(&all), |plan| projected(plan, &all, true))
    }

    /// All columns, and one of this name: in the place of the one that has it, or after them.
    ///
    /// # Errors
    /// As [`select`](DataFrame::select).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2]))])?;
    /// assert_eq!(df.with_column("y", col("x") * 2)?.columns(), ["x", "y"]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn with_column(&self, name: impl AsRef<str>, expr: impl Into<Expr>) -> Result<DataFrame> {
        self.with_columns([expr.into().alias(name)])
    }

    /// The rows for which this is true; those for which it is missing are left out.
    ///
    /// # Errors
    /// As [`select`](DataFrame::select).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(1), Some(5), None]))])?;
    /// assert_eq!(df.filter(col("x").gt(2))?.to_vec::<i64>("x")?, [5]);
    /// assert_eq!(df.filter(col("x").eq(col("x").max()))?.to_vec::<i64>("x")?, [5]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn filter(&self, condition: impl Into<Expr>) -> Result<DataFrame> {
        let condition = condition.into();
        self.made(condition.depth, |plan| {
            let resolved = resolved(&condition, plan.schema())?;
            if find_window_exprs([&resolved]).is_empty() && find_aggregate_exprs([&resolved]).is_empty() {
                return Ok(LogicalPlanBuilder::from(plan.clone()).filter(resolved)?.build()?);
            }
            let mut all = self.all();
            all.push(condition.clone().alias(KEPT));
            let with = projected(plan, &all, true)?;
            let kept = LogicalPlanBuilder::from(with).filter(column(KEPT))?.build()?;
            DataFrame::without(kept, KEPT)
        })
    }

    /// The table without these columns.
    ///
    /// # Errors
    /// [`FrameError::Column`] if one is not there.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1])), ("y", values([2]))])?;
    /// assert_eq!(df.drop(["x"])?.columns(), ["y"]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn drop<N: AsRef<str>>(&self, names: impl IntoIterator<Item = N>) -> Result<DataFrame> {
        let mut dropped = HashSet::new();
        for name in names {
            check_column(name.as_ref(), self.plan.schema())?;
            dropped.insert(name.as_ref().to_owned());
        }
        self.select(self.columns().into_iter().filter(|name| !dropped.contains(name)))
    }

    /// The table with other names for columns: pairs of an old and a new one.
    ///
    /// # Errors
    /// [`FrameError::Column`] if an old one is not there, [`FrameError::Duplicate`] if two would have one name.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1])), ("y", values([2]))])?;
    /// assert_eq!(df.rename([("x", "y"), ("y", "x")])?.columns(), ["y", "x"]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn rename<A: AsRef<str>, B: AsRef<str>>(
        &self,
        names: impl IntoIterator<Item = (A, B)>,
    ) -> Result<DataFrame> {
        let mut new = HashMap::new();
        for (old, name) in names {
            check_column(old.as_ref(), self.plan.schema())?;
            new.insert(old.as_ref().to_owned(), name.as_ref().to_owned());
        }
        let renamed = |old: String| match new.get(&old) {
            Some(name) => col(&old).alias(name),
            None => col(&old),
        };
        self.select(self.columns().into_iter().map(renamed))
    }

    /// The table with columns as other types: pairs of a name and a type. What that cannot hold is an error.
    ///
    /// # Errors
    /// [`FrameError::Column`] if one is not there.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values(["1", "2"]))])?;
    /// assert_eq!(df.cast([("x", DataType::Int64)])?.to_vec::<i64>("x")?, [1, 2]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn cast<N: AsRef<str>>(&self, types: impl IntoIterator<Item = (N, DataType)>) -> Result<DataFrame> {
        self.with_columns(types.into_iter().map(|(name, data_type)| col(name).cast(data_type)))
    }

    /// The columns of types for which this is true.
    ///
    /// # Errors
    /// As [`select`](DataFrame::select).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1])), ("s", values(["a"]))])?;
    /// assert_eq!(df.select_types(|data_type| data_type.is_numeric())?.columns(), ["x"]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn select_types(&self, is: impl Fn(&DataType) -> bool) -> Result<DataFrame> {
        let schema = self.schema();
        self.select(
            schema.fields().iter().filter(|field| is(field.data_type())).map(|field| col(field.name())),
        )
    }

    /// The table with the number of each row, from 0, as its first column. Takes all rows through one task.
    ///
    /// # Errors
    /// [`FrameError::Duplicate`] if there is such a column.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values(["a", "b"]))])?;
    /// assert_eq!(df.with_row_index("n")?.rows::<(i64, String)>()?[1], (1, "b".to_owned()));
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn with_row_index(&self, name: impl AsRef<str>) -> Result<DataFrame> {
        let number = Expr::leaf(window::row_number(), None).cast(DataType::Int64) - lit_i64(1);
        let mut all = vec![number.alias(name)];
        all.extend(self.all());
        self.made(0, |plan| projected(plan, &all, true))
    }

    /// The first rows.
    ///
    /// # Errors
    /// [`FrameError::Query`] if there cannot be so many.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 3]))])?;
    /// assert_eq!(df.head(2)?.to_vec::<i64>("x")?, [1, 2]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn head(&self, n: usize) -> Result<DataFrame> {
        self.slice(0, n)
    }

    /// So many rows after an offset.
    ///
    /// # Errors
    /// [`FrameError::Query`] if there cannot be so many.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 3, 4]))])?;
    /// assert_eq!(df.slice(1, 2)?.to_vec::<i64>("x")?, [2, 3]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn slice(&self, offset: usize, n: usize) -> Result<DataFrame> {
        self.made(0, |plan| Ok(LogicalPlanBuilder::from(plan.clone()).limit(offset, Some(n))?.build()?))
    }

    /// The last rows, in their order. Reads all of them.
    ///
    /// # Errors
    /// [`FrameError::Query`] if there cannot be so many.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 3]))])?;
    /// assert_eq!(df.tail(2)?.to_vec::<i64>("x")?, [2, 3]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn tail(&self, n: usize) -> Result<DataFrame> {
        self.made(0, |plan| {
            let by = |ascending: bool| [column(PLACE).sort(ascending, false)];
            let last = LogicalPlanBuilder::from(placed(plan.clone())?).sort_with_limit(by(false), Some(n))?;
            DataFrame::without(last.sort(by(true))?.build()?, PLACE)
        })
    }

    /// A sample of the rows, in their order: each with this chance, from 0 to 1, the same ones for the same seed and table.
    ///
    /// # Errors
    /// [`FrameError::Argument`] if the chance is none.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values(0..1000))])?;
    /// let sample = df.sample(0.1, 7)?.to_vec::<i64>("x")?;
    /// assert!((50..200).contains(&sample.len()));
    /// assert_eq!(df.sample(0.1, 7)?.to_vec::<i64>("x")?, sample);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn sample(&self, chance: f64, seed: u64) -> Result<DataFrame> {
        if !(0.0..=1.0).contains(&chance) {
            return Err(FrameError::argument("chance", format!("{chance} is not from 0 to 1")));
        }
        self.made(0, |plan| {
            let drawn = crate::functions::drawn().call(vec![column(PLACE), df::lit(seed)]);
            let kept = LogicalPlanBuilder::from(placed(plan.clone())?).filter(drawn.lt(df::lit(chance)))?;
            DataFrame::without(kept.build()?, PLACE)
        })
    }

    /// One row with an aggregate of each column that it is made of: `sum`, `mean` and the like of all columns of numbers.
    fn each(&self, is: impl Fn(&DataType) -> bool, aggregate: impl Fn(Expr) -> Expr) -> Result<DataFrame> {
        let schema = self.schema();
        let columns = schema.fields().iter().filter(|field| is(field.data_type())).map(|f| col(f.name()));
        let aggregates: Vec<Expr> = columns.map(aggregate).collect();
        if aggregates.is_empty() {
            return Err(FrameError::argument("columns", "none is of a type that this can be made of"));
        }
        self.select(aggregates)
    }

    /// The sum of each column of numbers, in one row.
    ///
    /// # Errors
    /// [`FrameError::Argument`] if there is none.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2])), ("s", values(["a", "b"]))])?;
    /// assert_eq!(df.sum()?.rows::<(i64,)>()?, [(3,)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn sum(&self) -> Result<DataFrame> {
        self.each(DataType::is_numeric, Expr::sum)
    }

    /// The mean of each column of numbers, in one row.
    ///
    /// # Errors
    /// [`FrameError::Argument`] if there is none.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2]))])?;
    /// assert_eq!(df.mean()?.rows::<(f64,)>()?, [(1.5,)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn mean(&self) -> Result<DataFrame> {
        self.each(DataType::is_numeric, Expr::mean)
    }

    /// The standard deviation of each column of numbers, in one row.
    ///
    /// # Errors
    /// [`FrameError::Argument`] if there is none.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 3]))])?;
    /// assert_eq!(df.std()?.rows::<(f64,)>()?, [(1.0,)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn std(&self) -> Result<DataFrame> {
        self.each(DataType::is_numeric, Expr::std)
    }

    /// The median of each column of numbers, in one row.
    ///
    /// # Errors
    /// [`FrameError::Argument`] if there is none.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 9]))])?;
    /// assert_eq!(df.median()?.rows::<(f64,)>()?, [(2.0,)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn median(&self) -> Result<DataFrame> {
        self.each(DataType::is_numeric, Expr::median)
    }

    /// The least value of each column, in one row.
    ///
    /// # Errors
    /// [`FrameError::Argument`] if there is no column that has an order.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2])), ("s", values(["a", "b"]))])?;
    /// assert_eq!(df.min()?.rows::<(i64, String)>()?, [(1, "a".to_owned())]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn min(&self) -> Result<DataFrame> {
        self.each(|t| !t.is_nested(), Expr::min)
    }

    /// The greatest value of each column, in one row.
    ///
    /// # Errors
    /// [`FrameError::Argument`] if there is no column that has an order.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2])), ("s", values(["a", "b"]))])?;
    /// assert_eq!(df.max()?.rows::<(i64, String)>()?, [(2, "b".to_owned())]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn max(&self) -> Result<DataFrame> {
        self.each(|t| !t.is_nested(), Expr::max)
    }

    /// How many values of each column are not missing, in one row.
    ///
    /// # Errors
    /// [`FrameError::Argument`] if there is no column.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(1), None])), ("s", values(["a", "b"]))])?;
    /// assert_eq!(df.count()?.rows::<(i64, i64)>()?, [(1, 2)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn count(&self) -> Result<DataFrame> {
        self.each(|_| true, Expr::count)
    }

    /// How many different values each column has, in one row; those that are missing are left out.
    ///
    /// # Errors
    /// [`FrameError::Argument`] if there is no column.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 1])), ("s", values(["a", "b"]))])?;
    /// assert_eq!(df.n_unique()?.rows::<(i64, i64)>()?, [(1, 2)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn n_unique(&self) -> Result<DataFrame> {
        self.each(|_| true, Expr::n_unique)
    }

    /// The count, the missing, the mean, the standard deviation, the least, the quartiles and the greatest of each column
    /// of numbers, a row each; the first column says which.
    ///
    /// # Errors
    /// [`FrameError::Argument`] if there is no column of numbers; else as [`collect`](DataFrame::collect): it runs.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 3]))])?;
    /// let described = df.describe()?;
    /// assert_eq!(described.rows::<(String, f64)>()?[2], ("mean".to_owned(), 2.0));
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn describe(&self) -> Result<DataFrame> {
        type Statistic = (&'static str, fn(Expr) -> Expr);
        let statistics: [Statistic; 9] = [
            ("count", Expr::count),
            ("null_count", Expr::null_count),
            ("mean", Expr::mean),
            ("std", Expr::std),
            ("min", Expr::min),
            ("25%", |e| e.quantile(0.25)),
            ("50%", |e| e.quantile(0.5)),
            ("75%", |e| e.quantile(0.75)),
            ("max", Expr::max),
        ];
        let numbers = self.select_types(DataType::is_numeric)?.columns();
        if numbers.is_empty() {
            return Err(FrameError::argument("columns", "none is of numbers"));
        }
        // A query for each column: one task holds all of its values for the quartiles, and not those of all columns.
        let of = |name: &String| {
            let all = statistics.iter().map(|(what, f)| f(col(name)).cast(DataType::Float64).alias(what));
            Ok(super::rows::floats(&self.select(all)?.collect()?))
        };
        let columns = numbers.iter().map(of).collect::<Result<Vec<_>>>()?;
        let names = super::values(statistics.iter().map(|(what, _)| *what));
        let columns = numbers.iter().zip(columns);
        let columns = columns.map(|(name, values)| (name.as_str(), super::values(values)));
        super::from_columns(&self.on, [("statistic", names)].into_iter().chain(columns))
    }
}

fn lit_i64(n: i64) -> Expr {
    Expr::leaf(df::lit(n), None)
}
