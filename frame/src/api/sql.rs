//! Queries in SQL. Names follow SQL's rule: letters are small unless they are quoted. Must not know of files.

use super::Result;
use super::execute::{Execute, apart};
use super::frame::DataFrame;
use crate::plan::{PlanOptions, Planner};
use datafusion::datasource::ViewTable;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use std::sync::Arc;

/// The rows that a query in SQL gives, which reads no tables.
///
/// # Errors
/// [`FrameError::Query`](crate::FrameError::Query) if the text is wrong, with the place in it, or asks for something else
/// than rows.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let df = sql(&on, "select x, x * x as square from (values (1), (2)) as t(x)")?;
/// assert_eq!(df.to_vec::<i64>("square")?, [1, 4]);
/// assert!(sql(&on, "selec 1").unwrap_err().to_string().contains("Line: 1, Column: 1"));
/// # Ok::<(), FrameError>(())
/// ```
pub fn sql(on: &Arc<dyn Execute>, query: &str) -> Result<DataFrame> {
    sql_on(on, query, &[])
}

/// The rows that a query in SQL gives on tables, under these names.
///
/// # Errors
/// As [`sql`].
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let df = from_columns(&on, [("k", values(["a", "b", "a"])), ("x", values([1, 2, 3]))])?;
/// let sums = sql_on(&on, "select k, sum(x) as total from t group by k order by k", &[("t", &df)])?;
/// assert_eq!(sums.to_vec::<i64>("total")?, [4, 2]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn sql_on(on: &Arc<dyn Execute>, query: &str, tables: &[(&str, &DataFrame)]) -> Result<DataFrame> {
    let plan: Result<LogicalPlan> = apart(async {
        let planner = Planner::new(PlanOptions::default())?;
        for (name, table) in tables {
            let view = ViewTable::new(table.plan.as_ref().clone(), None);
            let name = datafusion::common::TableReference::bare(*name);
            planner.context().register_table(name, Arc::new(view))?;
        }
        planner.sql(query).await
    })?;
    DataFrame::new(on.clone(), with_unique_names(plan?)?)
}

/// The query with other names for columns that are called as one before: that name and a number.
fn with_unique_names(plan: LogicalPlan) -> Result<LogicalPlan> {
    let names: Vec<String> = plan.schema().fields().iter().map(|f| f.name().clone()).collect();
    let mut unique: Vec<String> = Vec::with_capacity(names.len());
    for name in &names {
        let numbered = (1..).map(|n| format!("{name}_{n}"));
        let mut free = [name.clone()].into_iter().chain(numbered).filter(|name| !unique.contains(name));
        unique.extend(free.next());
    }
    if unique == names {
        return Ok(plan);
    }
    let columns = plan.schema().columns().into_iter().zip(unique);
    let columns: Vec<_> =
        columns.map(|(column, name)| datafusion::logical_expr::Expr::Column(column).alias(name)).collect();
    Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
}

impl DataFrame {
    /// The rows for which a condition in SQL is true.
    ///
    /// # Errors
    /// [`FrameError::Query`](crate::FrameError::Query) if the text is wrong, with the place in it, or names a column that
    /// is not there.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 5, 9]))])?;
    /// assert_eq!(df.filter_sql("x between 2 and 6")?.to_vec::<i64>("x")?, [5]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn filter_sql(&self, condition: &str) -> Result<DataFrame> {
        let schema = self.plan.schema();
        let parsed: Result<_> = apart(async {
            let planner = Planner::new(PlanOptions::default())?;
            Ok(planner.context().state().create_logical_expr(condition, schema)?)
        })?;
        let plan = LogicalPlanBuilder::from(self.plan.as_ref().clone()).filter(parsed?)?.build()?;
        DataFrame::new(self.on.clone(), plan)
    }
}
