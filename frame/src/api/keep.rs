//! Tables whose rows stay where they were made, and tables that are divided anew. Must not know who keeps them.

use super::Result;
use super::execute::Execute;
use super::frame::{DataFrame, with_less};
use super::resolve::check_unique;
use crate::divide::divided;
use crate::error::FrameError;
use crate::place::{PLACE, place_of, placed};
use crate::stored::{Facts, Kept, Stored, StoredTable};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::LogicalPlanBuilder;
use std::sync::Arc;

/// Runs the queries of several tables together and keeps their rows, as [`DataFrame::persist`] does of one; what they have
/// in common is made once. They are computed where the first one is.
///
/// # Errors
/// As [`DataFrame::persist`].
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::doc::prelude::*;
/// let df = from_columns([("k", values(["a", "b", "a"])), ("x", values([1, 2, 3]))])?;
/// let big = df.filter(col("x").gt(1))?;
/// let kept = persist_all(&[&big.group_by(["k"]).len()?, &big.select([col("x").max()])?])?;
/// assert_eq!((kept[0].shape()?, kept[1].to_vec::<i64>("x")?), ((2, 2), vec![3]));
/// # Ok::<(), FrameError>(())
/// ```
pub fn persist_all(tables: &[&DataFrame]) -> Result<Vec<DataFrame>> {
    let Some(first) = tables.first() else { return Ok(Vec::new()) };
    let keep = |times| {
        let queries = tables.iter().map(|table| table.planned_anew(times)).collect::<Result<Vec<_>>>()?;
        Ok((first.on.keep(&queries, false)?, None))
    };
    let (kept, run) = with_less(keep)?;
    tables.iter().for_each(|table| table.note(run.clone()));
    kept.into_iter().map(|kept| of_table(&first.on, StoredTable::of_rows(kept))).collect()
}

/// A table of columns that are stored by themselves, alike in their partitions, of which this is known.
///
/// # Errors
/// [`FrameError::Argument`] for no columns; [`FrameError::Duplicate`] for two of one name.
#[doc(hidden)]
pub fn from_stored(
    on: &Arc<dyn Execute>,
    columns: Vec<(String, DataType, Arc<dyn Stored>)>,
    facts: Vec<Facts>,
) -> Result<DataFrame> {
    check_unique(columns.iter().map(|(name, _, _)| name.as_str()))?;
    if columns.is_empty() {
        return Err(FrameError::argument("columns", "there is none"));
    }
    let fields = columns.iter().map(|(name, data_type, _)| Field::new(name, data_type.clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = columns.into_iter().map(|(_, _, stored)| stored).collect();
    of_table(on, StoredTable::of_columns(schema, columns, facts))
}

/// A table of stored partitions.
pub(crate) fn of_table(on: &Arc<dyn Execute>, table: StoredTable) -> Result<DataFrame> {
    let table: Arc<dyn TableProvider> = Arc::new(table);
    let plan = LogicalPlanBuilder::scan("table", provider_as_source(table), None)?.build()?;
    DataFrame::new(on.clone(), plan)
}

impl DataFrame {
    /// Runs the query and keeps its rows on the workers that made them; the table that is returned reads them there, as many
    /// queries as there are. Rows and bytes of its partitions are known from then on. The rows are let go of when the last
    /// table that reads them is dropped; those that are lost with a worker are made again.
    ///
    /// # Errors
    /// As [`collect`](DataFrame::collect).
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values([1, 2, 3, 4]))])?;
    /// let kept = df.filter(col("x").gt(1))?.persist()?;
    /// assert_eq!(kept.select([col("x").sum()])?.to_vec::<i64>("x")?, [9]);
    /// assert_eq!(kept.select([col("x").max()])?.to_vec::<i64>("x")?, [4]);
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn persist(&self) -> Result<DataFrame> {
        Ok(persist_all(&[self])?.remove(0))
    }

    /// Runs the query, keeps its rows as [`persist`](DataFrame::persist) does, and returns the table in so many partitions,
    /// which are equally long but for a row and keep the order of the rows; in as many as there are rows where these are
    /// fewer, and at least in one.
    ///
    /// # Errors
    /// As [`collect`](DataFrame::collect); [`FrameError::Argument`] for no partitions, or more
    /// than a million.
    ///
    /// ```
    /// # use tilework_frame as tilework;
    /// # use tilework::doc::prelude::*;
    /// let df = from_columns([("x", values(0..10))])?.repartition(3)?;
    /// assert_eq!(df.planned()?.graph.stages.last().unwrap().n_tasks, 3);
    /// assert_eq!(df.to_vec::<i64>("x")?, (0..10).collect::<Vec<_>>());
    /// # Ok::<(), FrameError>(())
    /// ```
    pub fn repartition(&self, n: usize) -> Result<DataFrame> {
        if !(1..=PARTITIONS_MAX).contains(&n) {
            return Err(FrameError::argument("n", format!("{n} partitions, 1 to {PARTITIONS_MAX} can be")));
        }
        let kept = self.kept(false)?;
        let points = points(&kept.facts, n as u64);
        let table = of_table(&self.on, StoredTable::of_rows(kept))?;
        table.made(0, |plan| {
            let divided = divided(placed(plan.clone())?, points);
            DataFrame::without(divided, PLACE)
        })
    }

    /// Runs the query and keeps its rows, for whoever reads them in another way than as a table.
    ///
    /// # Errors
    /// As [`persist`](DataFrame::persist).
    #[doc(hidden)]
    pub fn kept(&self, count_nulls: bool) -> Result<Kept> {
        let keep = |times| Ok((self.on.keep(&[self.planned_anew(times)?], count_nulls)?, None));
        let (mut kept, run) = with_less(keep)?;
        self.note(run);
        Ok(kept.remove(0))
    }
}

/// Partitions that a table is divided into at most.
const PARTITIONS_MAX: usize = 1_000_000;

/// The places of the rows at which partitions begin, but for the first, where so many are equally long.
fn points(facts: &[Facts], n: u64) -> Vec<u64> {
    let n_rows: u64 = facts.iter().map(|f| f.rows).sum();
    let n = n.min(n_rows);
    let (mut points, mut before) = (Vec::new(), 0);
    let mut next = 1;
    for (partition, facts) in facts.iter().enumerate() {
        while next < n {
            let row = (u128::from(n_rows) * u128::from(next)).div_ceil(u128::from(n)) as u64;
            if row >= before + facts.rows {
                break;
            }
            points.push(place_of(partition, row - before));
            next += 1;
        }
        before += facts.rows;
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_equally_long_whatever_they_were() {
        for lens in [&[10_u64, 0, 5, 7][..], &[0, 1, 0, 0, 2], &[0], &[100]] {
            let facts: Vec<Facts> = lens.iter().map(|&rows| Facts { rows, ..Facts::default() }).collect();
            let places: Vec<u64> =
                lens.iter().enumerate().flat_map(|(p, &n)| (0..n).map(move |i| place_of(p, i))).collect();
            for n in 1..25 {
                let points = points(&facts, n);
                assert_eq!(points.len() as u64, n.min(places.len() as u64).max(1) - 1, "{lens:?} {n}");
                let bounds = points.iter().map(|point| places.binary_search(point).unwrap());
                let bounds: Vec<usize> = [0].into_iter().chain(bounds).chain([places.len()]).collect();
                let sizes: Vec<usize> = bounds.windows(2).map(|w| w[1] - w[0]).collect();
                assert!(
                    sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1,
                    "{lens:?} {n}: {sizes:?}"
                );
            }
        }
    }
}
