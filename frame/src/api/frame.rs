//! The table itself: what it is made of, what is known of it before it runs, and its rows. Must not know of the methods
//! that make tables of tables.

use super::Result;
use super::execute::{Execute, Planning, RunFigures, deep, planned};
use super::expr::{Expr, IntoColumn, len};
use super::resolve::{check_column, column};
use super::rows;
use crate::csv::CsvTable;
use crate::error::FrameError;
use crate::files::FilesTable;
use crate::hive::HiveTable;
use crate::plan::{PlanOptions, Planned};
use crate::source::MemoryTable;
use crate::stored::StoredTable;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use serde::de::DeserializeOwned;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// Expressions that are nested deeper are walked on a thread with a large stack.
const DEPTH_MAX: u32 = 40;
/// Those that are nested deeper yet are refused: whoever walks one needs stack for each level.
const NESTED_MAX: u32 = 1000;
/// The least bytes of a partition, unless there are fewer in all.
pub(crate) const PARTITION_BYTES_MIN: u64 = 2 << 20;
/// Bytes of a partition where there are many.
const PARTITION_BYTES_MAX: u64 = 128 << 20;
/// Partitions, where they do not become smaller or larger than that.
const PARTITIONS: u64 = 32;
/// The least that a task may hold,
const GRANT_BYTES_MIN: u64 = 64 << 20;
/// and where that is more than there is: a sort needs so much.
const GRANT_BYTES_LEAST: u64 = 6 << 20;
/// How many times its partition a task that holds little may hold, at least.
const GRANTS_PER_PARTITION: u64 = 6;
/// How often a query is planned anew for want of memory.
const ANEW_MAX: u32 = 2;

/// A table: columns with names, in rows that have an order. It is a plan until its rows are asked for. Clones share it.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::doc::prelude::*;
/// let df = from_columns([("x", values([1, 2, 3]))])?;
/// let squares = df.select([col("x") * col("x")])?;
/// assert_eq!(squares.to_vec::<i64>("x")?, [1, 4, 9]);
/// # Ok::<(), FrameError>(())
/// ```
#[derive(Clone)]
pub struct DataFrame {
    pub(crate) on: Arc<dyn Execute>,
    pub(crate) plan: Arc<LogicalPlan>,
    /// The latest run.
    ran: Arc<Mutex<Option<LastRun>>>,
}

/// What is known of a table's latest run.
#[derive(Debug, Clone)]
pub(crate) struct LastRun {
    pub figures: Option<RunFigures>,
    /// How often it was planned anew for want of memory, and why the last time.
    pub anew: Option<(u32, FrameError)>,
}

/// How many partitions so many bytes have.
pub(crate) fn partitions_for(bytes: u64) -> usize {
    let n = if bytes > PARTITIONS * PARTITION_BYTES_MAX {
        bytes.div_ceil(PARTITION_BYTES_MAX)
    } else {
        (bytes / PARTITION_BYTES_MIN).clamp(1, PARTITIONS)
    };
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl DataFrame {
    /// A table of a plan, with columns that no table's name is part of.
    pub(crate) fn new(on: Arc<dyn Execute>, plan: LogicalPlan) -> Result<DataFrame> {
        let qualified = plan.schema().iter().any(|(table, _)| table.is_some());
        let plan = if qualified {
            let plain = plan.schema().columns().into_iter().map(|column| {
                let name = column.name.clone();
                datafusion::logical_expr::Expr::Column(column).alias(name)
            });
            let plain: Vec<_> = plain.collect();
            LogicalPlanBuilder::from(plan).project(plain)?.build()?
        } else {
            plan
        };
        Ok(DataFrame { on, plan: Arc::new(plan), ran: Arc::default() })
    }

    /// The table that is made of this one, with expressions that are nested so deep.
    pub(crate) fn made(
        &self,
        depth: u32,
        make: impl FnOnce(&LogicalPlan) -> Result<LogicalPlan> + Send,
    ) -> Result<DataFrame> {
        if depth > NESTED_MAX {
            let what = format!("an expression that is nested {depth} levels deep");
            let reason = format!("{NESTED_MAX} at most; `with_column` gives a part of it a name");
            return Err(FrameError::Unsupported { what, reason });
        }
        let plan = if depth > DEPTH_MAX { deep(|| make(&self.plan))?? } else { make(&self.plan)? };
        DataFrame::new(self.on.clone(), plan)
    }

    /// The depth of the deepest of these.
    pub(crate) fn depth(exprs: &[Expr]) -> u32 {
        exprs.iter().map(|e| e.depth).max().unwrap_or(0)
    }

    /// The column of this name, if there is one; else an error with the names that are most like it.
    ///
    /// # Errors
    /// [`FrameError::Column`] if there is none.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("price", values([1.5]))])?;
    /// assert!(df.col("price").is_ok());
    /// let error = df.col("Price").unwrap_err();
    /// assert_eq!(error.to_string(), "there is no column \"Price\"; did you mean \"price\"?");
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn col(&self, name: impl AsRef<str>) -> Result<Expr> {
        check_column(name.as_ref(), self.plan.schema())?;
        Ok(super::expr::col(name))
    }

    /// The columns with their types.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1.5]))])?;
    /// assert_eq!(df.schema().field(0).data_type(), &DataType::Float64);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.plan.schema().inner().clone()
    }

    /// The names of the columns.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1])), ("y", values([2]))])?;
    /// assert_eq!(df.columns(), ["x", "y"]);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        self.plan.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// How many rows and columns there are. Counts the rows.
    ///
    /// # Errors
    /// As [`collect`](DataFrame::collect).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 3]))])?;
    /// assert_eq!(df.shape()?, (3, 1));
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn shape(&self) -> Result<(usize, usize)> {
        let counted = self.select([len()])?.to_vec::<u64>("len")?;
        let n_rows = counted.first().map_or(0, |n| usize::try_from(*n).unwrap_or(usize::MAX));
        Ok((n_rows, self.plan.schema().fields().len()))
    }

    /// Runs the query and returns the rows, in their order.
    ///
    /// # Errors
    /// [`FrameError::Query`] or [`FrameError::Unsupported`] if it cannot be planned; what the executor says if it cannot
    /// be run.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 3]))])?;
    /// let batches = df.filter(col("x").gt(1))?.collect()?;
    /// assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 2);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn collect(&self) -> Result<Vec<RecordBatch>> {
        Ok(self.partitions()?.1.into_iter().flatten().collect())
    }

    /// Runs the query and returns the rows by partition, with their schema.
    pub(crate) fn partitions(&self) -> Result<(SchemaRef, Vec<Vec<RecordBatch>>)> {
        let run = |planned: Planned| {
            let (rows, figures) = self.on.run_measured(&planned)?;
            Ok(((planned.schema, rows), figures))
        };
        let (ran, run) = with_less(|times| run(self.planned_anew(times)?))?;
        self.note(run);
        Ok(ran)
    }

    /// Runs the query as it is planned first, for what it does more than for its rows.
    pub(crate) fn run_once(&self) -> Result<Vec<Vec<RecordBatch>>> {
        let (rows, figures) = self.on.run_measured(&self.planned_anew(0)?)?;
        self.note(LastRun { figures, anew: None });
        Ok(rows)
    }

    pub(crate) fn note(&self, run: LastRun) {
        *self.ran.lock().unwrap_or_else(PoisonError::into_inner) = Some(run);
    }

    /// What the latest run of this table, or of a clone of it, took; none where there was none, or that is not known.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 3]))])?;
    /// assert!(df.last_run().is_none());
    /// df.collect()?;
    /// assert!(df.last_run().is_some_and(|took| took.n_tasks > 0));
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn last_run(&self) -> Option<RunFigures> {
        self.latest().and_then(|run| run.figures)
    }

    pub(crate) fn latest(&self) -> Option<LastRun> {
        self.ran.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs the query and returns each row as a value of this type: a struct whose fields are named as columns, or a
    /// tuple of them in their order.
    ///
    /// # Errors
    /// As [`collect`](DataFrame::collect); [`FrameError::Row`] if a row is no such value.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// #[derive(serde::Deserialize, PartialEq, Debug)]
    /// struct City { name: String, people: Option<u32> }
    /// let df = from_columns([("name", values(["Rome", "Ys"])), ("people", values([Some(2_755_309), None]))])?;
    /// let cities: Vec<City> = df.rows()?;
    /// assert_eq!(cities[1], City { name: "Ys".to_owned(), people: None });
    /// assert_eq!(df.rows::<(String, Option<i64>)>()?[0].0, "Rome");
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn rows<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        rows::rows(&self.collect()?)
    }

    /// Runs the query for one column and returns its values.
    ///
    /// # Errors
    /// As [`collect`](DataFrame::collect); [`FrameError::Row`] if a value is not of this type.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([Some(1.5), None]))])?;
    /// assert_eq!(df.to_vec::<Option<f64>>("x")?, [Some(1.5), None]);
    /// assert!(df.to_vec::<f64>("x").is_err());
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn to_vec<T: DeserializeOwned>(&self, name: impl IntoColumn) -> Result<Vec<T>> {
        rows::values(&self.select([name])?.collect()?)
    }

    /// The query as stages, for whoever runs it.
    ///
    /// # Errors
    /// [`FrameError::Query`] or [`FrameError::Unsupported`] if it cannot be planned.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("k", values([1, 2, 1]))])?;
    /// assert!(!df.unique(["k"], KeepRow::Any)?.planned()?.graph.stages.is_empty());
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn planned(&self) -> Result<Planned> {
        self.planned_anew(0)
    }

    /// The same for less memory: each time with a quarter of it.
    pub(crate) fn planned_anew(&self, times: u32) -> Result<Planned> {
        let options = for_less(plan_options(&self.plan, &self.on.planning())?, times);
        planned(self.plan.as_ref().clone(), options)
    }

    /// DataFusion's plan of the query, not optimised: for `SessionContext::execute_logical_plan`, which runs it in one
    /// process. Functions of ours that it names must be registered there.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1]))])?;
    /// assert_eq!(df.into_datafusion().schema().fields().len(), 1);
    /// # Ok::<(), FrameError>(())
    /// ```
    #[must_use]
    pub fn into_datafusion(&self) -> LogicalPlan {
        self.plan.as_ref().clone()
    }

    /// The columns as they are.
    pub(crate) fn all(&self) -> Vec<Expr> {
        self.columns().iter().map(super::expr::col).collect()
    }

    /// These columns, each of which is there.
    pub(crate) fn named<K: IntoColumn>(&self, names: impl IntoIterator<Item = K>) -> Result<Vec<Expr>> {
        let exprs: Vec<Expr> = names.into_iter().map(IntoColumn::into_column).collect();
        for expr in &exprs {
            if let datafusion::logical_expr::Expr::Column(column) = &expr.inner {
                check_column(&column.name, self.plan.schema())?;
            }
        }
        Ok(exprs)
    }

    /// The table without a column of ours.
    pub(crate) fn without(plan: LogicalPlan, hidden: &str) -> Result<LogicalPlan> {
        let names = plan.schema().fields().iter().map(|f| f.name().clone()).filter(|name| name != hidden);
        let kept: Vec<_> = names.map(|name| column(&name)).collect();
        Ok(LogicalPlanBuilder::from(plan).project(kept)?.build()?)
    }
}

impl fmt::Debug for DataFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataFrame({})", self.columns().join(", "))
    }
}

/// Runs what is planned for less memory each time that it is told to, until that is enough: a few times.
pub(crate) fn with_less<T>(run: impl Fn(u32) -> Result<(T, Option<RunFigures>)>) -> Result<(T, LastRun)> {
    let mut anew = None;
    loop {
        let times = anew.as_ref().map_or(0, |(times, _)| *times);
        match run(times) {
            Ok((ran, figures)) => return Ok((ran, LastRun { figures, anew })),
            Err(error) if error.is_of_memory() && times < ANEW_MAX => anew = Some((times + 1, error)),
            Err(error) => return Err(error),
        }
    }
}

/// How a plan is divided: by the bytes of what it reads, and nothing of the machine.
fn plan_options(plan: &LogicalPlan, planning: &Planning) -> Result<(PlanOptions, u64)> {
    let mut bytes = 0u64;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(table) = source_as_provider(&scan.source)
        {
            bytes = bytes.saturating_add(bytes_of(table.as_ref()));
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(FrameError::from)?;
    let n_by_bytes = NonZeroUsize::new(partitions_for(bytes)).unwrap_or(NonZeroUsize::MIN);
    let n_partitions = planning.n_partitions.unwrap_or(n_by_bytes);
    let partition_bytes = bytes.div_ceil(n_partitions.get() as u64);
    let scan_bytes_min = if planning.n_partitions.is_some() { 0 } else { PARTITION_BYTES_MIN };
    let options = PlanOptions {
        n_partitions,
        prefer_hash_join: planning.prefer_hash_join,
        gather_medians: true,
        broadcast_bytes_max: planning.broadcast_bytes_max,
        grant_bytes: GRANT_BYTES_MIN.max(partition_bytes.saturating_mul(3)),
        scan_bytes_min: Some(scan_bytes_min),
    };
    Ok((options, bytes))
}

/// How the same, of so many bytes, is divided for tasks that hold less: four times as many partitions each time, up to where
/// a task holds some of its own, and joins that sort both sides, which can put them to the disk.
fn for_less((options, bytes): (PlanOptions, u64), times: u32) -> PlanOptions {
    if times == 0 {
        return options;
    }
    let factor = 4_usize.saturating_pow(times);
    let grant_bytes = (options.grant_bytes / factor as u64).max(GRANT_BYTES_LEAST);
    let enough = bytes.saturating_mul(GRANTS_PER_PARTITION).div_ceil(grant_bytes);
    let enough = usize::try_from(enough).unwrap_or(usize::MAX).max(options.n_partitions.get());
    let n = options.n_partitions.get().saturating_mul(factor).min(enough);
    PlanOptions {
        n_partitions: NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN),
        prefer_hash_join: false,
        gather_medians: false,
        broadcast_bytes_max: options.broadcast_bytes_max / factor,
        grant_bytes,
        scan_bytes_min: options.scan_bytes_min.map(|bytes| bytes / factor as u64),
    }
}

fn bytes_of(table: &dyn datafusion::catalog::TableProvider) -> u64 {
    let memory = table.downcast_ref::<MemoryTable>().map(MemoryTable::bytes);
    let csv = || table.downcast_ref::<CsvTable>().map(CsvTable::bytes);
    let files = || table.downcast_ref::<FilesTable>().map(FilesTable::bytes);
    let stored = || table.downcast_ref::<StoredTable>().map(StoredTable::bytes);
    let hive = || table.downcast_ref::<HiveTable>().map(HiveTable::bytes);
    memory.or_else(csv).or_else(files).or_else(stored).or_else(hive).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_less_memory_there_are_more_partitions_and_joins_that_sort() {
        let first = PlanOptions {
            n_partitions: NonZeroUsize::new(3).unwrap(),
            scan_bytes_min: Some(PARTITION_BYTES_MIN),
            ..PlanOptions::default()
        };
        let (much, some) = (1 << 40, 15 << 20);
        assert_eq!(for_less((first.clone(), much), 0), first);
        let (once, twice) = (for_less((first.clone(), much), 1), for_less((first.clone(), much), 2));
        assert_eq!((once.n_partitions.get(), once.grant_bytes, once.prefer_hash_join), (12, 16 << 20, false));
        assert_eq!((twice.n_partitions.get(), twice.grant_bytes), (48, GRANT_BYTES_LEAST));
        assert_eq!(for_less((first, some), 2).n_partitions.get(), 15);
        assert_eq!(twice.scan_bytes_min, Some(PARTITION_BYTES_MIN / 16));
    }

    #[test]
    fn partitions_are_set_by_bytes() {
        let mib = 1 << 20;
        let cases = [
            (0, 1),
            (3 * mib, 1),
            (4 * mib, 2),
            (64 * mib, 32),
            (4096 * mib, 32),
            (4097 * mib, 33),
            (8192 * mib, 64),
        ];
        for (bytes, n) in cases {
            assert_eq!(partitions_for(bytes), n, "{bytes}");
        }
    }
}
