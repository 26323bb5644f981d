//! Medians that hold no group in memory: rows are sorted by key and value and numbered, which goes to the disk where memory
//! is short, and the median is taken of the one or two in the middle of each group. Must not know when that is better.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, JoinType, NullEquality};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{count, median};
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{
    Aggregate, Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, cast, lit, when,
};

/// The query with such medians, wherever groups of rows have one.
pub(crate) fn sorted(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| match &node {
        LogicalPlan::Aggregate(aggregate) => match of_groups(aggregate)? {
            Some(sorted) => Ok(Transformed::yes(sorted)),
            None => Ok(Transformed::no(node)),
        },
        _ => Ok(Transformed::no(node)),
    })
    .data()
}

/// The values whose median an expression is; those that are left out are missing.
fn values(expr: &Expr) -> Result<Option<Expr>> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = expr.clone().unalias() else {
        return Ok(None);
    };
    if func.name() != "median" || params.distinct {
        return Ok(None);
    }
    let [values] = params.args.as_slice() else { return Ok(None) };
    Ok(Some(match params.filter {
        Some(filter) => when(*filter, values.clone()).end()?,
        None => values.clone(),
    }))
}

fn name(of: &str, i: usize) -> String {
    format!("__{of}{i}")
}

fn column(of: &str, i: usize) -> Expr {
    Expr::Column(Column::new_unqualified(name(of, i)))
}

/// Joins by keys of these names, missing ones included.
fn joined(
    (left, right): (LogicalPlan, LogicalPlan),
    how: JoinType,
    keys: (Vec<Column>, Vec<Column>),
) -> Result<LogicalPlanBuilder> {
    let nulls = NullEquality::NullEqualsNull;
    LogicalPlanBuilder::from(left).join_detailed(right, how, keys, None, nulls)
}

/// Of groups whose keys and numbers of values are known the medians of these values, with the keys once more.
fn medians_of(
    (keyed, groups): (LogicalPlan, LogicalPlan),
    n_keys: usize,
    (i, of): (usize, &str),
) -> Result<LogicalPlan> {
    let keys = |of: &str| (0..n_keys).map(|k| Column::new_unqualified(name(of, k))).collect::<Vec<_>>();
    let value = Expr::Column(Column::new_unqualified("__value"));
    let number = row_number()
        .partition_by((0..n_keys).map(|k| column("key", k)).collect())
        .order_by(vec![value.clone().sort(true, false)])
        .build()?;
    let rows = LogicalPlanBuilder::from(keyed).filter(value.clone().is_not_null())?;
    let numbered = rows.window([number.alias("__number")])?.build()?;
    let counted = (0..n_keys).map(|k| column("key", k).alias(name("of", k)));
    let counted = counted.chain([column("other", i).alias("__n")]).collect::<Vec<_>>();
    let counted = LogicalPlanBuilder::from(groups).project(counted)?.build()?;
    let number = cast(Expr::Column(Column::new_unqualified("__number")), DataType::Int64);
    let n = Expr::Column(Column::new_unqualified("__n"));
    let middle = |more: i64| number.clone().eq((n.clone() + lit(more)) / lit(2_i64));
    let keys_again = (0..n_keys).map(|k| column("key", k).alias(name(of, k)));
    joined((numbered, counted), JoinType::Inner, (keys("key"), keys("of")))?
        .filter(middle(1).or(middle(2)))?
        .aggregate(keys_again.collect::<Vec<_>>(), [median(value).alias(name("median", i))])?
        .build()
}

fn of_groups(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let medians = aggregate.aggr_expr.iter().map(values).collect::<Result<Vec<_>>>()?;
    let sets = aggregate.group_expr.iter().any(|key| matches!(key, Expr::GroupingSet(_)));
    if sets || medians.iter().all(Option::is_none) {
        return Ok(None);
    }
    let mut keys = aggregate.group_expr.clone();
    let n_given = keys.len();
    if keys.is_empty() {
        // All rows are one group.
        keys.push(lit(1_i8));
    }
    let n_keys = keys.len();
    let key = |(i, key): (usize, &Expr)| key.clone().unalias().alias(name("key", i));
    let keyed = || keys.iter().enumerate().map(key);

    // The other values of each group, and how many have a median.
    let input = || LogicalPlanBuilder::from(aggregate.input.clone());
    let given = aggregate.group_expr.iter().enumerate().map(key);
    let others = aggregate.aggr_expr.iter().zip(&medians).enumerate().map(|(i, (expr, median))| {
        median.clone().map_or_else(|| expr.clone().unalias(), count).alias(name("other", i))
    });
    let groups = input().aggregate(given.collect::<Vec<_>>(), others.collect::<Vec<_>>())?;
    let of_group =
        (0..n_keys).map(|i| if i < n_given { column("key", i) } else { lit(1_i8).alias(name("key", i)) });
    let of_group = of_group.chain((0..medians.len()).map(|i| column("other", i)));
    let groups = groups.project(of_group.collect::<Vec<_>>())?.build()?;

    let mut all = groups.clone();
    for (i, values) in medians.iter().enumerate() {
        let Some(values) = values else { continue };
        let rows = input().project(keyed().chain([values.clone().alias("__value")]).collect::<Vec<_>>())?;
        let of = format!("key_of_median{i}_");
        let of_values = medians_of((rows.build()?, groups.clone()), n_keys, (i, &of))?;
        let keys = |of: &str| (0..n_keys).map(|k| Column::new_unqualified(name(of, k))).collect();
        all = joined((all, of_values), JoinType::Left, (keys("key"), keys(&of)))?.build()?;
    }
    let of_key = (0..n_given).map(|i| column("key", i));
    let of_value = medians.iter().enumerate().map(|(i, median)| match median {
        Some(_) => column("median", i),
        None => column("other", i),
    });
    let named = of_key.chain(of_value).zip(aggregate.schema.iter());
    let named = named.map(|(expr, (table, field))| expr.alias_qualified(table.cloned(), field.name()));
    Ok(Some(LogicalPlanBuilder::from(all).project(named.collect::<Vec<_>>())?.build()?))
}
