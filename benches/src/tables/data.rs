//! The files that queries read: TPC-H, a thousand rows of it, the table of the H2O database benchmark's group-bys, and
//! TPC-DS where it is asked for. Made once, each under its final name when it is complete. Must not know queries.

use super::query::TPCDS;
use crate::{tpcds, tpch};
use anyhow::Context;
use datafusion::arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::csv::WriterBuilder;
use datafusion::parquet::arrow::ArrowWriter;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of one batch of what is made here.
const BATCH_ROWS: u64 = 1 << 16;
/// Rows of the small table.
const SMALL_ROWS: usize = 1000;

/// A directory of such files.
#[derive(Clone, Debug)]
pub struct Data(PathBuf);

impl Data {
    /// The files in this directory.
    #[must_use]
    pub fn of(dir: &Path) -> Data {
        Data(dir.to_owned())
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// The file of a table in a directory of this one; in itself, if that has no name.
    #[must_use]
    pub fn path(&self, within: &str, table: &str) -> PathBuf {
        let kind = if table.ends_with("_csv") { "csv" } else { "parquet" };
        self.0.join(within).join(format!("{table}.{kind}"))
    }

    /// Makes what is not there of TPC-DS of this scale.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn add_tpcds(&self, scale: f64) -> anyhow::Result<()> {
        fs::create_dir_all(self.0.join(TPCDS))?;
        for table in tpcds::TABLES {
            let path = self.path(TPCDS, table);
            if !path.exists() {
                write(&path, tpcds::rows(table, scale))?;
            }
        }
        Ok(())
    }

    /// Makes what is not there: TPC-H of this scale, and so many rows for group-bys.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn make(dir: &Path, scale: f64, h2o_rows: u64) -> anyhow::Result<Data> {
        let data = Data(dir.join(format!("scale-{scale}-rows-{h2o_rows}")));
        fs::create_dir_all(&data.0)?;
        let path = |table: &str| data.path("", table);
        for table in tpch::TABLES {
            let csv = (table == "lineitem").then(|| path("lineitem_csv"));
            if path(table).exists() && csv.as_ref().is_none_or(|csv| csv.exists()) {
                continue;
            }
            let rows = tpch::rows(table, scale);
            write(&path(table), rows.iter().cloned())?;
            if let Some(csv) = csv {
                write(&csv, rows.iter().cloned())?;
                write(&path("small"), [rows[0].slice(0, SMALL_ROWS.min(rows[0].num_rows()))])?;
            }
        }
        if !path("h2o").exists() {
            write(&path("h2o"), (0..h2o_rows.div_ceil(BATCH_ROWS)).map(|batch| h2o(batch, h2o_rows)))?;
        }
        Ok(data)
    }
}

/// Writes a table under its final name once it is complete.
fn write(path: &Path, rows: impl IntoIterator<Item = RecordBatch>) -> anyhow::Result<()> {
    let mut rows = rows.into_iter().peekable();
    let part = path.with_extension("part");
    let file = File::create(&part).with_context(|| format!("cannot write {}", part.display()))?;
    let schema = rows.peek().context("a table has rows")?.schema();
    if path.extension().is_some_and(|kind| kind == "csv") {
        let mut writer = WriterBuilder::new().build(file);
        rows.try_for_each(|batch| writer.write(&batch))?;
    } else {
        let mut writer = ArrowWriter::try_new(file, schema, None)?;
        rows.try_for_each(|batch| writer.write(&batch))?;
        writer.close()?;
    }
    Ok(fs::rename(part, path)?)
}

/// Some rows of the table of group-bys: three keys of 100, 100 and `rows / 100` texts, three of as many numbers, and values.
fn h2o(batch: u64, rows: u64) -> RecordBatch {
    let range = batch * BATCH_ROWS..rows.min((batch + 1) * BATCH_ROWS);
    let many = (rows / 100).max(1);
    let drawn = |column: u64, n: u64| range.clone().map(move |row| mixed(row * 16 + column) % n + 1);
    let text = |column, n, digits| -> ArrayRef {
        Arc::new(drawn(column, n).map(|i| Some(format!("id{i:0digits$}"))).collect::<StringArray>())
    };
    let number = |column, n| -> ArrayRef {
        Arc::new(drawn(column, n).map(|i| Some(i as i64)).collect::<Int64Array>())
    };
    let v3: Float64Array = drawn(8, 100_000_000).map(|i| Some(i as f64 / 1e6)).collect();
    let columns: [(&str, ArrayRef); 9] = [
        ("id1", text(0, 100, 3)),
        ("id2", text(1, 100, 3)),
        ("id3", text(2, many, 10)),
        ("id4", number(3, 100)),
        ("id5", number(4, 100)),
        ("id6", number(5, many)),
        ("v1", number(6, 5)),
        ("v2", number(7, 15)),
        ("v3", Arc::new(v3)),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// A number in which every bit depends on every one of `x`: the finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
fn mixed(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
