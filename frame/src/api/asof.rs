//! Rows joined with those that are nearest before them, or after. Both tables' rows stand in one table, in order, and each
//! row of the left one looks back to the last of the right one: so no table is sent whole to anybody. Must not know of other
//! joins.

use super::Result;
use super::frame::DataFrame;
use super::resolve::{check_column, check_unique, column};
use super::window::running;
use crate::error::FrameError;
use crate::functions;
use crate::place::{PLACE, placed};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions::core::expr_fn::get_field;
use datafusion::functions::core::named_struct;
use datafusion::logical_expr::{
    self as df, LogicalPlan, LogicalPlanBuilder, WindowFrame, WindowFrameBound, WindowFrameUnits, cast, lit,
};

/// Which row of the right table a row of the left one is joined with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AsofSide {
    /// The last whose value is not greater.
    #[default]
    Before,
    /// The first whose value is not less.
    After,
}

/// How [`join_asof_with`](DataFrame::join_asof_with) joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsofOptions {
    /// Which row of the right table is taken.
    pub side: AsofSide,
    /// Columns in which rows must be equal too, of the same names in both tables.
    pub by: Vec<String>,
    /// What is added to the names of the right table's columns that the left one has too.
    pub suffix: String,
}

impl Default for AsofOptions {
    fn default() -> AsofOptions {
        AsofOptions { side: AsofSide::Before, by: Vec::new(), suffix: "_right".to_owned() }
    }
}

/// The column of the value by which rows are in order, of both tables.
const AT: &str = "__asof_at";
/// Of the right table's rows, all of their columns; missing in the left one's.
const ROW: &str = "__asof_row";
/// Whether a row is the left table's. The right one's come first among those that are equal.
const LEFT: &str = "__asof_left";

impl DataFrame {
    /// Each row with the last row of another table whose value in a column is not greater, and which is equal to it in other
    /// columns: a trade with the quote that was in force. Both tables have the column; its values are numbers or times. What
    /// comes of no row is missing. Where there are columns to be equal in, the rows come in an order that is none to rely
    /// on, and each combination of their values is one task's; else all rows are, and keep their order.
    ///
    /// # Errors
    /// [`FrameError::Column`] for a column that is not there, [`FrameError::Types`] for values that cannot be compared.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let trades = from_columns([("t", values([3, 6, 1])), ("n", values([10, 20, 30]))])?;
    /// let quotes = from_columns([("t", values([2, 5, 6])), ("price", values([1.5, 2.5, 3.5]))])?;
    /// let priced = trades.join_asof::<&str>(&quotes, "t", [])?;
    /// assert_eq!(priced.columns(), ["t", "n", "price"]);
    /// assert_eq!(priced.to_vec::<Option<f64>>("price")?, [Some(1.5), Some(3.5), None]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn join_asof<N: AsRef<str>>(
        &self,
        right: &DataFrame,
        on: &str,
        by: impl IntoIterator<Item = N>,
    ) -> Result<DataFrame> {
        let by = by.into_iter().map(|name| name.as_ref().to_owned()).collect();
        self.join_asof_with(right, on, &AsofOptions { by, ..AsofOptions::default() })
    }

    /// As [`join_asof`](DataFrame::join_asof), as these options say.
    ///
    /// # Errors
    /// As there; [`FrameError::Duplicate`] for two columns of one name.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let a = from_columns([("t", values([3, 6])), ("x", values([1, 2]))])?;
    /// let b = from_columns([("t", values([4, 5])), ("x", values([10, 20]))])?;
    /// let next = AsofOptions { side: AsofSide::After, ..AsofOptions::default() };
    /// let joined = a.join_asof_with(&b, "t", &next)?;
    /// assert_eq!(joined.to_vec::<Option<i64>>("x_right")?, [Some(10), None]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn join_asof_with(&self, right: &DataFrame, on: &str, options: &AsofOptions) -> Result<DataFrame> {
        for frame in [self, right] {
            check_column(on, frame.plan.schema())?;
            options.by.iter().try_for_each(|name| check_column(name, frame.plan.schema()))?;
        }
        let at = self.asof_type(right, on)?;
        let taken = right.columns().into_iter().filter(|name| name != on && !options.by.contains(name));
        let taken: Vec<String> = taken.collect();
        let names = self.columns();
        let new = |name: &String| match names.contains(name) {
            true => format!("{name}{}", options.suffix),
            false => name.clone(),
        };
        let added: Vec<String> = taken.iter().map(new).collect();
        check_unique(names.iter().chain(&added).map(String::as_str))?;
        let plan = together(self, right, (on, &at, &taken), &options.by)?;
        let back = looked_back(plan, options)?;
        let left = names.iter().map(|name| column(&side_name(name)).alias(name.clone()));
        let from_row =
            |(name, new): (&String, &String)| get_field(column(ROW), name.clone()).alias(new.clone());
        let columns: Vec<df::Expr> = left.chain(taken.iter().zip(&added).map(from_row)).collect();
        let kept = LogicalPlanBuilder::from(back).filter(column(LEFT))?;
        let kept = if options.by.is_empty() { kept.sort([column(PLACE).sort(true, false)])? } else { kept };
        DataFrame::new(self.on.clone(), kept.project(columns)?.build()?)
    }

    /// The type in which both tables' values are compared.
    fn asof_type(&self, right: &DataFrame, on: &str) -> Result<DataType> {
        let of =
            |frame: &DataFrame| Ok::<_, FrameError>(frame.schema().field_with_name(on)?.data_type().clone());
        let (a, b) = (of(self)?, of(right)?);
        let ordered = |t: &DataType| t.is_numeric() || t.is_temporal();
        let both = super::concat::widened(&a, &b).filter(ordered);
        let types = || FrameError::Types {
            what: format!("column {on:?} of both tables"),
            left: a.to_string(),
            right: b.to_string(),
        };
        both.ok_or_else(types)
    }
}

/// What a column of the left table is called beside the right one's rows.
fn side_name(name: &str) -> String {
    format!("__asof_of_{name}")
}

/// The rows of both tables: the left one's columns, missing in the right one's, what both have, and the right one's rows.
fn together(
    left: &DataFrame,
    right: &DataFrame,
    (on, at, taken): (&str, &DataType, &[String]),
    by: &[String],
) -> Result<LogicalPlan> {
    let both = |is_left: bool| {
        let keys = by.iter().map(|name| column(name).alias(format!("__asof_by_{name}")));
        [cast(column(on), at.clone()).alias(AT), lit(is_left).alias(LEFT), column(PLACE)]
            .into_iter()
            .chain(keys)
    };
    // A row is there though all that is taken of it is missing.
    let fields = taken.iter().flat_map(|name| [lit(name.clone()), column(name)]);
    let row = named_struct().call([lit("__there"), lit(true)].into_iter().chain(fields).collect());
    let own: Vec<df::Expr> = left.columns().iter().map(|name| column(name).alias(side_name(name))).collect();
    let of_right = LogicalPlanBuilder::from(placed(right.plan.as_ref().clone())?)
        .project(both(false).chain([row.alias(ROW)]).collect::<Vec<_>>())?
        .build()?;
    let row_type = of_right.schema().field_with_unqualified_name(ROW)?.data_type().clone();
    let no_row = lit(ScalarValue::try_new_null(&row_type)?).alias(ROW);
    let of_left = LogicalPlanBuilder::from(placed(left.plan.as_ref().clone())?)
        .project(own.into_iter().chain(both(true)).chain([no_row]).collect::<Vec<_>>())?
        .build()?;
    let mut missing = Vec::new();
    for field in left.schema().fields() {
        missing.push(lit(ScalarValue::try_new_null(field.data_type())?).alias(side_name(field.name())));
    }
    let names: Vec<String> = of_right.schema().fields().iter().map(|field| field.name().clone()).collect();
    let of_right = LogicalPlanBuilder::from(of_right)
        .project(missing.into_iter().chain(names.iter().map(|name| column(name))).collect::<Vec<_>>())?
        .build()?;
    Ok(LogicalPlanBuilder::from(of_left).union(of_right)?.build()?)
}

/// The rows, each with the right one's row that is in force there.
fn looked_back(plan: LogicalPlan, options: &AsofOptions) -> Result<LogicalPlan> {
    let forward = options.side == AsofSide::After;
    // Of the right table's rows that are equal, the last that is come to counts: the table's last, or its first.
    let order = vec![
        column(AT).sort(!forward, false),
        column(LEFT).sort(true, false),
        column(PLACE).sort(!forward, false),
    ];
    let all = WindowFrameBound::Preceding(ScalarValue::UInt64(None));
    let frame = WindowFrame::new_bounds(WindowFrameUnits::Rows, all, WindowFrameBound::CurrentRow);
    let window = running(functions::last_known(), vec![column(ROW)], frame, order);
    let by: Vec<df::Expr> = options.by.iter().map(|name| column(&format!("__asof_by_{name}"))).collect();
    let window = if by.is_empty() { window } else { super::window::over(window, &by)? };
    let names: Vec<String> = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
    let kept = names.iter().filter(|name| *name != ROW).map(|name| column(name));
    // What is missing is in no order.
    let found = df::when(column(AT).is_not_null(), window.clone()).end()?.alias(ROW);
    let columns: Vec<df::Expr> = kept.chain([found]).collect();
    Ok(LogicalPlanBuilder::from(LogicalPlanBuilder::window_plan(plan, vec![window])?)
        .project(columns)?
        .build()?)
}
