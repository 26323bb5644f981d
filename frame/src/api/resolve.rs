//! What expressions mean for a table: their columns are looked for, quotients of whole numbers are floats, and what
//! depends on the rows around a row is told their order. Must not know which method asks.

use super::Result;
use super::expr::Expr;
use super::window::{asks_for_places, ordered_by, over};
use crate::error::FrameError;
use crate::place::{PLACE, placed};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::utils::{find_aggregate_exprs, find_window_exprs};
use datafusion::logical_expr::{
    self as df, BinaryExpr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, cast,
};
use std::collections::HashSet;

/// Names that an error lists.
const NEAREST_MAX: usize = 3;

/// The column of this name.
pub(crate) fn column(name: &str) -> df::Expr {
    df::Expr::Column(Column::new_unqualified(name))
}

/// The error of a name that no column has.
pub(crate) fn no_column(name: &str, schema: &DFSchema) -> FrameError {
    let names = schema.fields().iter().map(|field| field.name().as_str());
    FrameError::Column { name: name.to_owned(), nearest: nearest(name, names) }
}

/// Those of some names that are most like one that is not among them, the nearest first.
pub(crate) fn nearest<'a>(name: &str, among: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut near: Vec<(usize, &str)> = among
        .into_iter()
        .map(|there| {
            let (asked, has) = (name.to_lowercase(), there.to_lowercase());
            let within = has.contains(&asked) || asked.contains(&has);
            let distance = strsim::damerau_levenshtein(&asked, &has);
            (if within { distance.min(1) } else { distance }, there)
        })
        .filter(|(distance, _)| *distance <= 2.max(name.chars().count() / 2))
        .collect();
    near.sort();
    near.into_iter().take(NEAREST_MAX).map(|(_, name)| name.to_owned()).collect()
}

/// The error of a name that no column has, if none has it.
pub(crate) fn check_column(name: &str, schema: &DFSchema) -> Result<()> {
    match schema.index_of_column_by_name(None, name) {
        Some(_) => Ok(()),
        None => Err(no_column(name, schema)),
    }
}

/// The error of a name that two of these have, if two have one.
pub(crate) fn check_unique<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let mut seen = HashSet::new();
    match names.into_iter().find(|name| !seen.insert(*name)) {
        Some(name) => Err(FrameError::Duplicate { name: name.to_owned() }),
        None => Ok(()),
    }
}

/// The expression as it is meant for a table with these columns.
pub(crate) fn resolved(expr: &Expr, schema: &DFSchema) -> Result<df::Expr> {
    let mut unknown = None;
    expr.inner.apply(|e| {
        if let df::Expr::Column(column) = e {
            unknown = check_column(&column.name, schema).err();
        }
        Ok(if unknown.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if let Some(unknown) = unknown {
        return Err(unknown);
    }
    let quotient = |e: df::Expr| match e {
        df::Expr::BinaryExpr(BinaryExpr { left, op: Operator::Divide, right })
            if left.get_type(schema)?.is_integer() && right.get_type(schema)?.is_integer() =>
        {
            let float = |e: Box<df::Expr>| Box::new(cast(*e, DataType::Float64));
            let (left, right) = (float(left), float(right));
            Ok(Transformed::yes(df::Expr::BinaryExpr(BinaryExpr { left, op: Operator::Divide, right })))
        }
        other => Ok(Transformed::no(other)),
    };
    Ok(expr.inner.clone().transform_up(quotient).data()?)
}

/// The expression under its name.
pub(crate) fn named(expr: df::Expr, name: &str) -> df::Expr {
    match &expr {
        df::Expr::Column(column) if column.name == name => expr,
        _ => expr.alias(name),
    }
}

fn has_aggregate(expr: &df::Expr) -> bool {
    !find_aggregate_exprs([expr]).is_empty()
}

/// The columns of an expression that are not within its aggregates.
fn bare_columns(expr: &df::Expr) -> Result<Vec<String>> {
    let mut columns = Vec::new();
    expr.apply(|e| {
        Ok(match e {
            df::Expr::AggregateFunction(_) => TreeNodeRecursion::Jump,
            df::Expr::Column(column) => {
                columns.push(column.name.clone());
                TreeNodeRecursion::Continue
            }
            _ => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(columns)
}

/// A column for each expression. Aggregates give one row where there is nothing beside them but values of none, else the
/// same value for each row; `always_rows` takes the latter in any case.
pub(crate) fn projected(input: &LogicalPlan, exprs: &[Expr], always_rows: bool) -> Result<LogicalPlan> {
    check_unique(exprs.iter().map(Expr::output_name))?;
    let schema = input.schema();
    let resolved: Vec<df::Expr> = exprs.iter().map(|e| resolved(e, schema)).collect::<Result<_>>()?;
    let names = exprs.iter().map(Expr::output_name);
    if !always_rows && resolved.iter().any(has_aggregate) {
        let mut bare = false;
        for expr in &resolved {
            bare |= !bare_columns(expr)?.is_empty();
        }
        if !bare {
            let aggregates = resolved.into_iter().zip(names).map(|(e, name)| named(e, name)).collect();
            return aggregated(input.clone(), Vec::new(), aggregates);
        }
    }
    let resolved = resolved.into_iter().map(|e| Ok(over(e, &[])?)).collect::<Result<Vec<_>>>()?;
    let (input, resolved) = in_order(input.clone(), resolved)?;
    let windows = find_window_exprs(&resolved);
    let columns: Vec<_> = resolved.into_iter().zip(names).map(|(e, name)| named(e, name)).collect();
    if windows.is_empty() {
        return Ok(LogicalPlanBuilder::from(input).project(columns)?.build()?);
    }
    let back = windows.iter().any(sorts_all);
    let plan = LogicalPlanBuilder::from(LogicalPlanBuilder::window_plan(input, windows)?);
    if !back {
        return Ok(plan.project(columns)?.build()?);
    }
    let kept: Vec<_> = exprs.iter().map(|e| column(e.output_name())).collect();
    let with_places = plan.project(columns.into_iter().chain([column(PLACE)]))?;
    Ok(with_places.sort([column(PLACE).sort(true, false)])?.project(kept)?.build()?)
}

/// Whether it is a window over all rows that sorts them. They are in one task then, which sorts them back.
fn sorts_all(expr: &df::Expr) -> bool {
    matches!(expr, df::Expr::WindowFunction(w) if w.params.partition_by.is_empty() && !w.params.order_by.is_empty())
}

/// The table with its rows' places, if an expression sorts them all or depends on their order, and the expressions with
/// that order where they say none.
fn in_order(input: LogicalPlan, exprs: Vec<df::Expr>) -> Result<(LogicalPlan, Vec<df::Expr>)> {
    let asks = |e: &df::Expr| {
        sorts_all(e) || matches!(e, df::Expr::WindowFunction(window) if asks_for_places(window))
    };
    if !find_window_exprs(&exprs).iter().any(asks) {
        return Ok((input, exprs));
    }
    let ordered = |e: df::Expr| match e {
        df::Expr::WindowFunction(window) if asks_for_places(&window) => {
            Ok(Transformed::yes(df::Expr::WindowFunction(ordered_by(window, column(PLACE)))))
        }
        other => Ok(Transformed::no(other)),
    };
    let exprs = exprs.into_iter().map(|e| Ok(e.transform_up(ordered).data()?)).collect::<Result<_>>()?;
    Ok((placed(input)?, exprs))
}

/// A row for each group of rows that are equal in the keys: these and the aggregates, which have their names.
pub(crate) fn aggregated(
    input: LogicalPlan,
    keys: Vec<(df::Expr, String)>,
    aggregates: Vec<df::Expr>,
) -> Result<LogicalPlan> {
    let names: HashSet<&str> = keys.iter().map(|(_, name)| name.as_str()).collect();
    for aggregate in &aggregates {
        if let Some(column) = bare_columns(aggregate)?.into_iter().find(|c| !names.contains(c.as_str())) {
            let reason =
                format!("column {column:?} has many values in a group, of which an aggregate makes one");
            return Err(FrameError::argument("aggregates", reason));
        }
    }
    let (input, aggregates) = firsts_in_order(input, aggregates)?;
    let found = find_aggregate_exprs(&aggregates);
    let by: Vec<df::Expr> = keys.iter().map(|(key, _)| key.clone()).collect();
    let plan = LogicalPlanBuilder::from(input).aggregate(by, found)?;
    let columns = keys.into_iter().map(|(key, name)| named(key, &name)).chain(aggregates);
    Ok(plan.project(columns.collect::<Vec<_>>())?.build()?)
}

/// The table with its rows' places, if an aggregate is of a first or a last row, and the aggregates with that order where
/// they say none. Rows come in their order, but groups that are written to the disk do not come back in it.
fn firsts_in_order(input: LogicalPlan, aggregates: Vec<df::Expr>) -> Result<(LogicalPlan, Vec<df::Expr>)> {
    let asks = |e: &df::Expr| {
        matches!(e, df::Expr::AggregateFunction(f)
            if f.params.order_by.is_empty() && matches!(f.func.name(), "first_value" | "last_value"))
    };
    if !find_aggregate_exprs(&aggregates).iter().any(asks) {
        return Ok((input, aggregates));
    }
    let ordered = |e: df::Expr| match e {
        df::Expr::AggregateFunction(mut f) if asks(&df::Expr::AggregateFunction(f.clone())) => {
            f.params.order_by = vec![column(PLACE).sort(true, false)];
            Ok(Transformed::yes(df::Expr::AggregateFunction(f)))
        }
        other => Ok(Transformed::no(other)),
    };
    let aggregates =
        aggregates.into_iter().map(|e| Ok(e.transform_up(ordered).data()?)).collect::<Result<_>>()?;
    Ok((placed(input)?, aggregates))
}
