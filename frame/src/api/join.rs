//! Rows of two tables beside each other. Must not know of groups.

use super::Result;
use super::expr::{col, len};
use super::frame::DataFrame;
use super::resolve::{check_column, check_unique};
use crate::error::FrameError;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, JoinType, NullEquality};
use datafusion::functions::expr_fn::coalesce;
use datafusion::logical_expr::{self as df, LogicalPlan, LogicalPlanBuilder};

/// The names of the two sides in a plan.
const LEFT: &str = "l";
const RIGHT: &str = "r";

/// Which rows a join gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinHow {
    /// Each pair of rows that are equal in the keys.
    Inner,
    /// These, and the rows of the left table that have no equal.
    Left,
    /// These, and the rows of the right table that have no equal.
    Right,
    /// These, and the rows of both tables that have no equal.
    Full,
    /// The rows of the left table that have an equal, each once.
    Semi,
    /// The rows of the left table that have none.
    Anti,
    /// Each pair of rows; there are no keys.
    Cross,
}

/// What is checked of the keys of a join before it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Validate {
    /// Nothing.
    ManyToMany,
    /// That no key is twice in the left table.
    OneToMany,
    /// That no key is twice in the right table.
    ManyToOne,
    /// Both.
    OneToOne,
}

/// How two tables are joined; see [`DataFrame::join_with`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinOptions {
    /// The columns of the left table.
    pub left_on: Vec<String>,
    /// Those of the right one that they are compared with; empty if they have the same names.
    pub right_on: Vec<String>,
    /// Which rows there are.
    pub how: JoinHow,
    /// What is added to the names of the right table's columns that the left one has too.
    pub suffix: String,
    /// What is checked of the keys. It runs a query of its own.
    pub validate: Validate,
    /// Whether keys that are missing are equal, as in pandas; by default they are equal to nothing, as in SQL.
    pub nulls_equal: bool,
}

impl Default for JoinOptions {
    fn default() -> JoinOptions {
        JoinOptions {
            left_on: Vec::new(),
            right_on: Vec::new(),
            how: JoinHow::Inner,
            suffix: "_right".to_owned(),
            validate: Validate::ManyToMany,
            nulls_equal: false,
        }
    }
}

impl DataFrame {
    /// The rows of both tables that are equal in columns of these names, beside each other. The keys are there once, also
    /// where only one of the tables has the row; other columns of the right table that the left one has too are called
    /// `_right`. The order of the rows is none to rely on.
    ///
    /// # Errors
    /// [`FrameError::Column`] if a column is not there, [`FrameError::Types`] if keys cannot be compared,
    /// [`FrameError::Duplicate`] if two columns would have one name.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let a = from_columns([("k", values([1, 2])), ("x", values(["a", "b"]))])?;
    /// let b = from_columns([("k", values([2, 3])), ("y", values([20, 30]))])?;
    /// let both = a.join(&b, ["k"], JoinHow::Full)?.sort(["k"])?;
    /// assert_eq!(both.columns(), ["k", "x", "y"]);
    /// assert_eq!(both.to_vec::<i64>("k")?, [1, 2, 3]);
    /// assert_eq!(a.join(&b, ["k"], JoinHow::Anti)?.to_vec::<i64>("k")?, [1]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn join<N: AsRef<str>>(
        &self,
        right: &DataFrame,
        on: impl IntoIterator<Item = N>,
        how: JoinHow,
    ) -> Result<DataFrame> {
        let left_on = on.into_iter().map(|name| name.as_ref().to_owned()).collect();
        self.join_with(right, &JoinOptions { left_on, how, ..JoinOptions::default() })
    }

    /// Each row of this table beside each one of the other.
    ///
    /// # Errors
    /// [`FrameError::Duplicate`] if two columns would have one name.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let a = from_columns([("x", values([1, 2]))])?;
    /// let b = from_columns([("y", values([10, 20, 30]))])?;
    /// assert_eq!(a.cross_join(&b)?.shape()?, (6, 2));
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn cross_join(&self, right: &DataFrame) -> Result<DataFrame> {
        self.join_with(right, &JoinOptions { how: JoinHow::Cross, ..JoinOptions::default() })
    }

    /// The rows of both tables that are equal in keys, as [`join`](DataFrame::join), with all that may be said of it. A
    /// key of the right table that has another name is left out, for it is equal.
    ///
    /// # Errors
    /// As [`join`](DataFrame::join); [`FrameError::Argument`] if the keys are not as many, or are not what `validate`
    /// says.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let a = from_columns([("id", values([1, 2])), ("x", values([5, 6]))])?;
    /// let b = from_columns([("key", values([2, 2])), ("x", values([7, 8]))])?;
    /// let mut options = JoinOptions { left_on: vec!["id".into()], right_on: vec!["key".into()], ..JoinOptions::default() };
    /// options.suffix = "_b".into();
    /// assert_eq!(a.join_with(&b, &options)?.columns(), ["id", "x", "x_b"]);
    /// options.validate = Validate::OneToOne;
    /// assert!(a.join_with(&b, &options).unwrap_err().to_string().contains("twice"));
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn join_with(&self, right: &DataFrame, options: &JoinOptions) -> Result<DataFrame> {
        let keys = self.keys(right, options)?;
        let (left_once, right_once) = match options.validate {
            Validate::ManyToMany => (false, false),
            Validate::OneToMany => (true, false),
            Validate::ManyToOne => (false, true),
            Validate::OneToOne => (true, true),
        };
        for (frame, once, side) in [(self, left_once, "left"), (right, right_once, "right")] {
            let names = keys.iter().map(|(l, r)| if side == "left" { l } else { r });
            if once {
                frame.check_once(&names.collect::<Vec<_>>(), side)?;
            }
        }
        let columns = self.joined_columns(right, &keys, options)?;
        check_unique(columns.iter().map(|(_, name)| name.as_str()))?;
        let plan = joined(&self.plan, &right.plan, &keys, options)?;
        let columns = columns.into_iter().map(|(e, name)| e.alias(name));
        let plan = LogicalPlanBuilder::from(plan).project(columns.collect::<Vec<_>>())?.build()?;
        DataFrame::new(self.on.clone(), plan)
    }

    /// The pairs of keys.
    fn keys(&self, right: &DataFrame, options: &JoinOptions) -> Result<Vec<(String, String)>> {
        let right_on = if options.right_on.is_empty() { &options.left_on } else { &options.right_on };
        let (n_left, n_right) = (options.left_on.len(), right_on.len());
        if n_left != n_right {
            let reason = format!("{n_left} of the left table are compared with {n_right} of the right one");
            return Err(FrameError::argument("keys", reason));
        }
        if (n_left == 0) != (options.how == JoinHow::Cross) {
            let reason =
                if n_left == 0 { "a join needs some, except a cross join" } else { "a cross join has none" };
            return Err(FrameError::argument("keys", reason));
        }
        let pairs: Vec<_> = options.left_on.iter().cloned().zip(right_on.iter().cloned()).collect();
        let (left, right) = (self.plan.schema(), right.plan.schema());
        for (l, r) in &pairs {
            check_column(l, left)?;
            check_column(r, right)?;
            let of = |schema: &datafusion::common::DFSchema, name: &str| {
                schema.field_with_unqualified_name(name).map(|field| field.data_type().clone())
            };
            let (a, b) = (of(left, l)?, of(right, r)?);
            if !comparable(&a, &b) {
                let what = if l == r { format!("key {l:?}") } else { format!("keys {l:?} and {r:?}") };
                return Err(FrameError::Types { what, left: a.to_string(), right: b.to_string() });
            }
        }
        Ok(pairs)
    }

    fn check_once(&self, names: &[&String], side: &str) -> Result<()> {
        let counted = self.group_by(names.iter().copied()).agg([len().alias("__count")])?;
        let (twice, _) = counted.filter(col("__count").gt(1))?.head(1)?.shape()?;
        if twice == 0 {
            return Ok(());
        }
        let names = names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        Err(FrameError::argument("validate", format!("a key of {names} is twice in the {side} table")))
    }

    /// The columns of the joined table, of which sides, and their names.
    fn joined_columns(
        &self,
        right: &DataFrame,
        keys: &[(String, String)],
        options: &JoinOptions,
    ) -> Result<Vec<(df::Expr, String)>> {
        let of = |side: &str, name: &str| df::Expr::Column(Column::new(Some(side), name));
        let left_names = self.columns();
        let mut columns = Vec::new();
        for name in &left_names {
            let key = keys.iter().find(|(l, _)| l == name).map(|(_, r)| of(RIGHT, r));
            let expr = match (key, options.how) {
                (Some(right), JoinHow::Right) => right,
                (Some(right), JoinHow::Full) => coalesce(vec![of(LEFT, name), right]),
                _ => of(LEFT, name),
            };
            columns.push((expr, name.clone()));
        }
        if matches!(options.how, JoinHow::Semi | JoinHow::Anti) {
            return Ok(columns);
        }
        for name in right.columns().iter().filter(|name| !keys.iter().any(|(_, r)| r == *name)) {
            let taken = left_names.contains(name);
            let new = if taken { format!("{name}{}", options.suffix) } else { name.clone() };
            columns.push((of(RIGHT, name), new));
        }
        Ok(columns)
    }
}

/// Both tables joined, with the names of their sides.
fn joined(
    left: &LogicalPlan,
    right: &LogicalPlan,
    keys: &[(String, String)],
    options: &JoinOptions,
) -> Result<LogicalPlan> {
    let left = LogicalPlanBuilder::from(left.clone()).alias(LEFT)?;
    let right = LogicalPlanBuilder::from(right.clone()).alias(RIGHT)?.build()?;
    let how = match options.how {
        JoinHow::Inner => JoinType::Inner,
        JoinHow::Left => JoinType::Left,
        JoinHow::Right => JoinType::Right,
        JoinHow::Full => JoinType::Full,
        JoinHow::Semi => JoinType::LeftSemi,
        JoinHow::Anti => JoinType::LeftAnti,
        JoinHow::Cross => return Ok(left.cross_join(right)?.build()?),
    };
    let of = |side: &str, name: &String| Column::new(Some(side), name);
    let on = (
        keys.iter().map(|(l, _)| of(LEFT, l)).collect::<Vec<_>>(),
        keys.iter().map(|(_, r)| of(RIGHT, r)).collect::<Vec<_>>(),
    );
    let nulls =
        if options.nulls_equal { NullEquality::NullEqualsNull } else { NullEquality::NullEqualsNothing };
    Ok(left.join_detailed(right, how, on, None, nulls)?.build()?)
}

/// Whether values of two types can be equal: numbers with numbers, texts with texts, times with times.
fn comparable(a: &DataType, b: &DataType) -> bool {
    let value = |t: &DataType| match t {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        other => other.clone(),
    };
    let (a, b) = (value(a), value(b));
    let time = |t: &DataType| matches!(t, DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64);
    a == b
        || a.is_null()
        || b.is_null()
        || (a.is_numeric() && b.is_numeric())
        || (a.is_string() && b.is_string())
        || (a.is_binary() && b.is_binary())
        || (time(&a) && time(&b))
}
