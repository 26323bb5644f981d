//! Files as tables: which files a pattern means, what columns they have together, and how they are cut into partitions.
//! Must not know how a format is decoded.

use super::Result;
use super::concat::widened;
use super::execute::{Execute, apart};
use super::frame::{DataFrame, partitions_for};
use crate::csv::{CsvOptions, CsvTable, found};
use crate::error::FrameError;
use crate::plan::{PlanOptions, Planner};
use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::datasource::physical_plan::{FileGroupPartitioner, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::provider_as_source;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableProviderFilterPushDown, TableType};
use datafusion::object_store::ObjectStoreExt;
use datafusion::physical_plan::ExecutionPlan;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a pattern has in it that a path has not.
const GLOB: [char; 3] = ['*', '?', '['];

/// How many partitions so many bytes of files have, for a session that plans.
pub(crate) fn partitions_of(bytes: u64, session: &dyn Session) -> usize {
    let n = session.config().target_partitions();
    match session.config_options().optimizer.repartition_file_min_size {
        0 => n,
        _ => n.min(partitions_for(bytes)),
    }
}

/// The files that a path or a pattern means, in the order of their names: a file, those in a directory whose names end
/// so, or those that match. Names that begin with a dot or an underscore are left out of directories.
fn files(path: &str, ending: &str) -> Result<Vec<PathBuf>> {
    if let Some((scheme, _)) = path.split_once("://") {
        return Err(FrameError::argument("path", format!("{scheme} is not read; files of this machine are")));
    }
    let none = || FrameError::NoFile { path: path.to_owned() };
    let hidden = |file: &Path| {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.starts_with(['.', '_'])
    };
    let given = Path::new(path);
    let mut files: Vec<PathBuf> = if given.is_file() {
        vec![given.to_owned()]
    } else if given.is_dir() {
        let entries = std::fs::read_dir(given).map_err(|e| FrameError::file(given, e))?;
        let entries = entries.collect::<std::io::Result<Vec<_>>>().map_err(|e| FrameError::file(given, e))?;
        let ends = |file: &PathBuf| {
            let name = file.to_string_lossy();
            file.is_file() && name.trim_end_matches(".gz").ends_with(ending) && !hidden(file)
        };
        entries.into_iter().map(|entry| entry.path()).filter(ends).collect()
    } else if path.contains(GLOB) {
        let found = glob::glob(path).map_err(|e| FrameError::argument("path", e.to_string()))?;
        let found = found.collect::<std::result::Result<Vec<_>, _>>();
        let found = found.map_err(|e| FrameError::file(e.path(), std::io::Error::from(e.error().kind())))?;
        found.into_iter().filter(|file| file.is_file()).collect()
    } else {
        Vec::new()
    };
    files.sort();
    if files.is_empty() {
        return Err(none());
    }
    files.iter().map(|file| std::path::absolute(file).map_err(|e| FrameError::file(file, e))).collect()
}

/// A table of CSV files: a path, a directory or a pattern. Types are found on the head, the middle and the end of each
/// file, if `dtypes` does not say them; texts that stand for what is missing are those of pandas. Files whose names end in
/// `.gz` are decompressed, each by one task.
///
/// # Errors
/// [`FrameError::NoFile`] if there is no file, [`FrameError::Drift`] if types of a column in two files do not go together.
/// A value that does not fit, farther into a file, is an error when rows are read, a [`CsvError`](crate::CsvError) that
/// says file, line, column and text.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let dir = tempfile::tempdir().unwrap();
/// std::fs::write(dir.path().join("a.csv"), "city,km\nRome,12.5\nOslo,NA\n").unwrap();
/// let df = read_csv(&on, dir.path().join("*.csv").to_str().unwrap(), &CsvOptions::default())?;
/// assert_eq!(df.to_vec::<Option<f64>>("km")?, [Some(12.5), None]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn read_csv(on: &Arc<dyn Execute>, path: &str, options: &CsvOptions) -> Result<DataFrame> {
    let found = found(files(path, ".csv")?, options)?;
    table(on, Arc::new(CsvTable::new(found, options.clone())))
}

/// A table of Parquet files: a path, a directory or a pattern. Files may have different columns, which are missing in the
/// rows of others, and types that can be widened.
///
/// # Errors
/// [`FrameError::NoFile`] if there is no file, [`FrameError::File`] if one is no Parquet file, [`FrameError::Drift`] if
/// types of a column in two files do not go together.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("a.parquet").to_str().unwrap().to_owned();
/// from_columns(&on, [("x", values([1, 2]))])?.write_parquet(&path, &WriteOptions::default())?;
/// assert_eq!(read_parquet(&on, &path)?.to_vec::<i64>("x")?, [1, 2]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn read_parquet(on: &Arc<dyn Execute>, path: &str) -> Result<DataFrame> {
    listed(on, path, ".parquet", Arc::new(ParquetFormat::default()))
}

/// A table of files with an object of JSON on each line: a path, a directory or a pattern.
///
/// # Errors
/// As [`read_parquet`].
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("a.json").to_str().unwrap().to_owned();
/// std::fs::write(&path, "{\"x\": 1}\n{\"x\": 2}\n").unwrap();
/// assert_eq!(read_json(&on, &path)?.to_vec::<i64>("x")?, [1, 2]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn read_json(on: &Arc<dyn Execute>, path: &str) -> Result<DataFrame> {
    listed(on, path, ".json", Arc::new(JsonFormat::default()))
}

/// A table of files of Arrow's IPC format, also called Feather: a path, a directory or a pattern.
///
/// # Errors
/// As [`read_parquet`].
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("a.arrow").to_str().unwrap().to_owned();
/// from_columns(&on, [("x", values([1, 2]))])?.write_ipc(&path, &WriteOptions::default())?;
/// assert_eq!(read_ipc(&on, &path)?.to_vec::<i64>("x")?, [1, 2]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn read_ipc(on: &Arc<dyn Execute>, path: &str) -> Result<DataFrame> {
    listed(on, path, ".arrow", Arc::new(ArrowFormat))
}

fn table(on: &Arc<dyn Execute>, table: Arc<dyn TableProvider>) -> Result<DataFrame> {
    let plan = LogicalPlanBuilder::scan("table", provider_as_source(table), None)?.build()?;
    DataFrame::new(on.clone(), plan)
}

/// A table of files of a format that DataFusion reads.
fn listed(on: &Arc<dyn Execute>, path: &str, ending: &str, format: Arc<dyn FileFormat>) -> Result<DataFrame> {
    let files = files(path, ending)?;
    let made = apart(async {
        let planner = Planner::new(PlanOptions::default())?;
        let state = planner.context().state();
        let mut known: Vec<(SchemaRef, &PathBuf)> = Vec::with_capacity(files.len());
        let (mut urls, mut bytes) = (Vec::with_capacity(files.len()), 0);
        for file in &files {
            let url = ListingTableUrl::parse(url_of(file))?;
            let store = planner.context().runtime_env().object_store(&url)?;
            let failed = |e: DataFusionError| FrameError::file(file, e);
            let object = store.head(url.prefix()).await.map_err(|e| failed(e.into()))?;
            bytes += object.size;
            known.push((format.infer_schema(&state, &store, &[object]).await.map_err(failed)?, file));
            urls.push(url);
        }
        let options = ListingOptions::new(format.clone()).with_file_extension("");
        let config = ListingTableConfig::new_with_multi_paths(urls);
        let config = config.with_listing_options(options).with_schema(together(&known)?);
        Ok::<_, FrameError>(FilesTable { files: ListingTable::try_new(config)?, paths: files, bytes })
    })?;
    table(on, Arc::new(made?))
}

/// The address of a file, in which no letter has a meaning.
fn url_of(file: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'~');
    let letter = |b: &u8| if plain(b) { char::from(*b).to_string() } else { format!("%{b:02X}") };
    let path: String = file.as_os_str().as_bytes().iter().map(letter).collect();
    format!("file://{path}")
}

/// The columns that files have together, with types that hold those of all.
fn together(files: &[(SchemaRef, &PathBuf)]) -> Result<SchemaRef> {
    let mut columns: Vec<(String, DataType, &PathBuf)> = Vec::new();
    for (schema, file) in files {
        for field in schema.fields() {
            let Some((name, known, first)) = columns.iter_mut().find(|(name, _, _)| name == field.name())
            else {
                columns.push((field.name().clone(), field.data_type().clone(), file));
                continue;
            };
            *known = widened(known, field.data_type()).ok_or_else(|| FrameError::Drift {
                column: name.clone(),
                first_file: first.display().to_string(),
                first: known.to_string(),
                second_file: file.display().to_string(),
                second: field.data_type().to_string(),
            })?;
        }
    }
    let fields = columns.into_iter().map(|(name, data_type, _)| Field::new(name, data_type, true));
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// Files that DataFusion reads, cut into partitions by their bytes.
#[derive(Debug)]
pub(crate) struct FilesTable {
    files: ListingTable,
    /// Those that there were.
    paths: Vec<PathBuf>,
    bytes: u64,
}

impl FilesTable {
    /// What the files take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[async_trait]
impl TableProvider for FilesTable {
    fn schema(&self) -> SchemaRef {
        self.files.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        // One that is gone since would be one without rows.
        if let Some(gone) = self.paths.iter().find(|path| !path.exists()) {
            let error = FrameError::NoFile { path: gone.display().to_string() };
            return Err(DataFusionError::External(Box::new(error)));
        }
        let plan = self.files.scan(session, projection, filters, limit).await?;
        let scan = plan.downcast_ref::<DataSourceExec>();
        let Some(scan) = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>()) else {
            return Ok(plan);
        };
        let divided = FileGroupPartitioner::new()
            .with_target_partitions(partitions_of(self.bytes, session))
            .with_repartition_file_min_size(0)
            .repartition_file_groups(&scan.file_groups);
        let groups = divided.unwrap_or_else(|| scan.file_groups.clone());
        Ok(DataSourceExec::from_data_source(
            FileScanConfigBuilder::from(scan.clone()).with_file_groups(groups).build(),
        ))
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        self.files.supports_filters_pushdown(filters)
    }

    fn statistics(&self) -> Option<Statistics> {
        self.files.statistics()
    }
}
