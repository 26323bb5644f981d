//! What is asked of a query before it is planned: that it says nothing that tasks would answer differently, or that would
//! be lost on the way to them. Must not know of physical plans.

use crate::error::FrameError;
use crate::function::MapElements;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::functions_aggregate::first_last::{first_value_udaf, last_value_udaf};
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::expr::{NullTreatment, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, Operator, Volatility, WindowFunctionDefinition,
};
use std::collections::HashSet;
use std::sync::Arc;

/// The functions that every task knows, by name.
pub(crate) struct Known(HashSet<String>);

impl Known {
    /// Those of a session that nobody has registered others with.
    pub(crate) fn of(state: &SessionState) -> Known {
        let scalar = state.scalar_functions().keys();
        let others = state.aggregate_functions().keys().chain(state.window_functions().keys());
        Known(scalar.chain(others).cloned().collect())
    }

    fn refused(&self, name: &str) -> Option<FrameError> {
        let reason = "it is known in this process alone";
        (!self.0.contains(name)).then(|| unsupported(format!("the function {name}"), reason))
    }
}

fn unsupported(what: impl Into<String>, reason: &str) -> FrameError {
    FrameError::Unsupported { what: what.into(), reason: reason.to_owned() }
}

/// The query as it can be planned.
///
/// # Errors
/// [`FrameError::Unsupported`] if it cannot be run as tasks.
pub(crate) fn prepared(plan: LogicalPlan, known: &Known) -> Result<LogicalPlan, FrameError> {
    let mut refused = None;
    plan.apply_with_subqueries(|node| {
        refused = node_refused(node);
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                refused = refused.take().or_else(|| expr_refused(expr, known));
                Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })?;
        Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    match refused {
        Some(error) => Err(error),
        None => {
            let plan = plan.transform_up_with_subqueries(ignoring_nulls).data()?;
            let mut n_named = 0;
            Ok(plan.transform_up_with_subqueries(|plan| named_apart(plan, &mut n_named)).data()?)
        }
    }
}

fn node_refused(node: &LogicalPlan) -> Option<FrameError> {
    match node {
        LogicalPlan::RecursiveQuery(query) => Some(unsupported(
            format!("the recursive query {}", query.name),
            "each step reads all of the one before; `into_datafusion` runs it in one process",
        )),
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => {
            Some(unsupported("EXPLAIN", "plans are explained by `explain`"))
        }
        LogicalPlan::Dml(_) | LogicalPlan::Ddl(_) | LogicalPlan::Copy(_) | LogicalPlan::Statement(_) => {
            Some(unsupported(node.display().to_string(), "a query only reads"))
        }
        _ => None,
    }
}

fn expr_refused(expr: &Expr, known: &Known) -> Option<FrameError> {
    let function = |name: &str, volatility: Volatility| {
        let reason = "it gives other values when a task runs again";
        let volatile = || unsupported(format!("the function {name}"), reason);
        known.refused(name).or_else(|| (volatility == Volatility::Volatile).then(volatile))
    };
    match expr {
        Expr::BinaryExpr(_) => constant(expr).and_then(Result::err),
        Expr::ScalarFunction(call) if MapElements::of(&call.func).is_some() => None,
        Expr::ScalarFunction(call) => function(call.func.name(), call.func.signature().volatility),
        Expr::AggregateFunction(call) => function(call.func.name(), call.func.signature().volatility),
        Expr::WindowFunction(call) => {
            let name = call.fun.name();
            let lost = ignores_nulls(call) && as_aggregate(name).is_none();
            let reason = "IGNORE NULLS is lost on the way to the tasks; first_value and last_value have it";
            let lost = lost.then(|| unsupported(format!("the window function {name}"), reason));
            lost.or_else(|| function(name, call.fun.signature().volatility))
        }
        _ => None,
    }
}

/// The whole number that an expression of literals is, with its type; an error if it does not fit that. The optimizer
/// computes such expressions before a task could find it out, and lets them wrap.
fn constant(expr: &Expr) -> Option<Result<(i128, DataType), FrameError>> {
    let expr = match expr {
        Expr::Literal(value, _) => {
            let number: i128 = match value {
                ScalarValue::Int8(n) => (*n)?.into(),
                ScalarValue::Int16(n) => (*n)?.into(),
                ScalarValue::Int32(n) => (*n)?.into(),
                ScalarValue::Int64(n) => (*n)?.into(),
                ScalarValue::UInt8(n) => (*n)?.into(),
                ScalarValue::UInt16(n) => (*n)?.into(),
                ScalarValue::UInt32(n) => (*n)?.into(),
                ScalarValue::UInt64(n) => (*n)?.into(),
                _ => return None,
            };
            return Some(Ok((number, value.data_type())));
        }
        Expr::BinaryExpr(expr) => expr,
        _ => return None,
    };
    let ((a, left), (b, right)) = match (constant(&expr.left)?, constant(&expr.right)?) {
        (Ok(a), Ok(b)) => (a, b),
        (Err(error), _) | (_, Err(error)) => return Some(Err(error)),
    };
    let result = match expr.op {
        Operator::Plus => a.checked_add(b),
        Operator::Minus => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        _ => return None,
    };
    let data_type = BinaryTypeCoercer::new(&left, &expr.op, &right).get_result_type().ok()?;
    let bits = data_type.primitive_width()? as u32 * 8;
    let (least, most) = match data_type.is_unsigned_integer() {
        true => (0, (1_i128 << bits) - 1),
        false => (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1),
    };
    if !data_type.is_integer() {
        return None;
    }
    let text = || format!("overflow: {a} {} {b} does not fit {data_type}", expr.op);
    let fits = result.filter(|n| (least..=most).contains(n));
    Some(fits.map(|n| (n, data_type.clone())).ok_or_else(|| DataFusionError::Plan(text()).into()))
}

/// Whether it is a window function proper, of which DataFusion's wire format drops IGNORE NULLS; that of an aggregate it
/// keeps.
fn ignores_nulls(call: &WindowFunction) -> bool {
    matches!(call.fun, WindowFunctionDefinition::WindowUDF(_))
        && call.params.null_treatment == Some(NullTreatment::IgnoreNulls)
}

/// The aggregate that does the same as a window function.
fn as_aggregate(name: &str) -> Option<WindowFunctionDefinition> {
    match name {
        "first_value" => Some(WindowFunctionDefinition::AggregateUDF(first_value_udaf())),
        "last_value" => Some(WindowFunctionDefinition::AggregateUDF(last_value_udaf())),
        _ => None,
    }
}

/// Window functions that ignore nulls become the aggregates that do.
fn ignoring_nulls(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>, DataFusionError> {
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = expr.transform_up(|expr| match expr {
            Expr::WindowFunction(mut call) if ignores_nulls(&call) => {
                let fun = as_aggregate(call.fun.name());
                call.fun = fun.unwrap_or(call.fun);
                Ok(Transformed::yes(Expr::WindowFunction(call)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })
}

/// Subqueries of one value get columns with names of their own: they become joins, and DataFusion refuses one whose column
/// has the name of an aggregate on the other side.
fn named_apart(plan: LogicalPlan, n_named: &mut usize) -> Result<Transformed<LogicalPlan>, DataFusionError> {
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = expr.transform_up(|expr| match expr {
            Expr::ScalarSubquery(query) if query.outer_ref_columns.is_empty() => {
                *n_named += 1;
                let value = Expr::from(query.subquery.schema().qualified_field(0));
                let value = value.alias(format!("__value_{n_named}"));
                let plan = LogicalPlanBuilder::from(query.subquery.clone()).project([value])?.build()?;
                Ok(Transformed::yes(Expr::ScalarSubquery(query.with_plan(Arc::new(plan)))))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })
}
