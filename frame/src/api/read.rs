//! Files as tables: which files a pattern means, what columns they have together, and how they are cut into partitions.
//! Must not know how a format is decoded.

use super::Result;
use super::concat::widened;
use super::execute::{Execute, apart};
use super::frame::{DataFrame, partitions_for};
use crate::csv::{CsvOptions, CsvTable, found};
use crate::error::FrameError;
use crate::hive::{FileGroups, HiveTable, Keys};
use crate::plan::{PlanOptions, Planner};
use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Statistics, internal_err};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::datasource::physical_plan::{
    FileGroup, FileGroupPartitioner, FileScanConfig, FileScanConfigBuilder,
};
use datafusion::datasource::provider_as_source;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, TableProviderFilterPushDown, TableType};
use datafusion::object_store::ObjectStoreExt;
use datafusion::object_store::path::Path as Location;
use datafusion::physical_plan::ExecutionPlan;
use std::collections::HashMap;
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

/// How many of all partitions a group of files has that takes so many of all bytes: one at the least.
pub(crate) fn partitions_of_group(bytes: u64, (all_bytes, n): (u64, usize)) -> usize {
    let share = (n as u128 * u128::from(bytes)).div_ceil(u128::from(all_bytes.max(1)));
    usize::try_from(share).unwrap_or(usize::MAX).max(1)
}

/// How files are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadOptions {
    /// Whether the directories below a path name columns: `year=2024/month=1/..`. Of a column, all values are whole
    /// numbers, dates or texts.
    pub hive: bool,
}

/// All files below a directory whose names end so, in the order of their paths, and the directory.
fn files_below(path: &str, ending: &str) -> Result<(PathBuf, Vec<PathBuf>)> {
    let root = std::path::absolute(path).map_err(|e| FrameError::file(path, e))?;
    if !root.is_dir() {
        return Err(FrameError::NoFile { path: path.to_owned() });
    }
    let (mut found, mut dirs) = (Vec::new(), vec![root.clone()]);
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).map_err(|e| FrameError::file(&dir, e))? {
            let path = entry.map_err(|e| FrameError::file(&dir, e))?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            // A directory of values of a column may begin as the column does.
            let of_values = name.contains('=') && !name.starts_with('.') && path.is_dir();
            match name.starts_with(['.', '_']) && !of_values {
                true => {}
                false if path.is_dir() => dirs.push(path),
                false if name.trim_end_matches(".gz").ends_with(ending) => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(FrameError::NoFile { path: path.to_owned() });
    }
    Ok((root, found))
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
    if options.hive {
        let (root, files) = files_below(path, ".csv")?;
        let keys = Keys::of(&root, &files)?;
        let files = Arc::new(CsvTable::new(found(files, options)?, options.clone()));
        return table(on, Arc::new(HiveTable::new(files, keys)?));
    }
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
    read_parquet_with(on, path, &ReadOptions::default())
}

/// As [`read_parquet`], as these options say.
///
/// # Errors
/// As [`read_parquet`]; with `hive`, [`FrameError::Argument`] for directories that do not name the same columns, and
/// [`FrameError::Duplicate`] for a column that files have too.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("t");
/// let df = from_columns(&on, [("k", values(["a", "b", "a"])), ("x", values([1, 2, 3]))])?;
/// df.write_parquet(&path, &WriteOptions { partition_by: vec!["k".to_owned()], ..WriteOptions::default() })?;
/// let back = read_parquet_with(&on, path.to_str().unwrap(), &ReadOptions { hive: true })?;
/// assert_eq!(back.filter(col("k").eq("a"))?.to_vec::<i64>("x")?, [1, 3]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn read_parquet_with(on: &Arc<dyn Execute>, path: &str, options: &ReadOptions) -> Result<DataFrame> {
    listed(on, (path, ".parquet"), Arc::new(ParquetFormat::default()), options)
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
    read_json_with(on, path, &ReadOptions::default())
}

/// As [`read_json`], with the options of [`read_parquet_with`].
///
/// # Errors
/// As there.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let dir = tempfile::tempdir().unwrap();
/// std::fs::create_dir(dir.path().join("day=2024-02-29")).unwrap();
/// std::fs::write(dir.path().join("day=2024-02-29/a.json"), "{\"x\": 1}\n").unwrap();
/// let df = read_json_with(&on, dir.path().to_str().unwrap(), &ReadOptions { hive: true })?;
/// assert_eq!(df.select([col("day").dt().month()])?.to_vec::<i64>("day")?, [2]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn read_json_with(on: &Arc<dyn Execute>, path: &str, options: &ReadOptions) -> Result<DataFrame> {
    listed(on, (path, ".json"), Arc::new(JsonFormat::default()), options)
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
    read_ipc_with(on, path, &ReadOptions::default())
}

/// As [`read_ipc`], with the options of [`read_parquet_with`].
///
/// # Errors
/// As there.
///
/// ```
/// # use tilework_frame as tilework;
/// # use tilework::prelude::*;
/// # let on = LocalExecute::start()?;
/// let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("t");
/// let df = from_columns(&on, [("k", values([Some(1), None])), ("x", values([1, 2]))])?;
/// df.write_ipc(&path, &WriteOptions { partition_by: vec!["k".to_owned()], ..WriteOptions::default() })?;
/// let back = read_ipc_with(&on, path.to_str().unwrap(), &ReadOptions { hive: true })?;
/// assert_eq!(back.filter(col("k").is_null())?.to_vec::<i64>("x")?, [2]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn read_ipc_with(on: &Arc<dyn Execute>, path: &str, options: &ReadOptions) -> Result<DataFrame> {
    listed(on, (path, ".arrow"), Arc::new(ArrowFormat), options)
}

fn table(on: &Arc<dyn Execute>, table: Arc<dyn TableProvider>) -> Result<DataFrame> {
    let plan = LogicalPlanBuilder::scan("table", provider_as_source(table), None)?.build()?;
    DataFrame::new(on.clone(), plan)
}

/// A table of files of a format that DataFusion reads.
fn listed(
    on: &Arc<dyn Execute>,
    (path, ending): (&str, &str),
    format: Arc<dyn FileFormat>,
    options: &ReadOptions,
) -> Result<DataFrame> {
    if options.hive {
        let (root, files) = files_below(path, ending)?;
        let keys = Keys::of(&root, &files)?;
        return table(on, Arc::new(HiveTable::new(Arc::new(files_table(files, format)?), keys)?));
    }
    table(on, Arc::new(files_table(files(path, ending)?, format)?))
}

/// Files of a format that DataFusion reads, with the columns that they have together.
fn files_table(files: Vec<PathBuf>, format: Arc<dyn FileFormat>) -> Result<FilesTable> {
    apart(async {
        let planner = Planner::new(PlanOptions::default())?;
        let state = planner.context().state();
        let mut known: Vec<(SchemaRef, &PathBuf)> = Vec::with_capacity(files.len());
        let (mut urls, mut locations, mut bytes) = (Vec::with_capacity(files.len()), Vec::new(), 0);
        for file in &files {
            let url = ListingTableUrl::parse(url_of(file))?;
            let store = planner.context().runtime_env().object_store(&url)?;
            let failed = |e: DataFusionError| FrameError::file(file, e);
            let object = store.head(url.prefix()).await.map_err(|e| failed(e.into()))?;
            bytes += object.size;
            known.push((format.infer_schema(&state, &store, &[object]).await.map_err(failed)?, file));
            locations.push(url.prefix().clone());
            urls.push(url);
        }
        let options = ListingOptions::new(format.clone()).with_file_extension("");
        let config = ListingTableConfig::new_with_multi_paths(urls);
        let config = config.with_listing_options(options).with_schema(together(&known)?);
        Ok::<_, FrameError>(FilesTable {
            files: ListingTable::try_new(config)?,
            paths: files,
            locations,
            bytes,
        })
    })?
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
    /// The same, as DataFusion names them.
    locations: Vec<Location>,
    bytes: u64,
}

impl FilesTable {
    /// What the files take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A file that is gone since would be one without rows.
    fn check_there(&self, mut of: impl Iterator<Item = usize>) -> DataFusionResult<()> {
        let Some(gone) = of.find_map(|at| self.paths.get(at).filter(|path| !path.exists())) else {
            return Ok(());
        };
        let error = FrameError::NoFile { path: gone.display().to_string() };
        Err(DataFusionError::External(Box::new(error)))
    }
}

#[async_trait]
impl FileGroups for FilesTable {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    async fn scan_groups(
        &self,
        session: &dyn Session,
        projection: &[usize],
        filters: &[Expr],
        groups: &[&[usize]],
    ) -> DataFusionResult<(Arc<dyn ExecutionPlan>, Vec<usize>)> {
        self.check_there(groups.iter().flat_map(|group| group.iter().copied()))?;
        let plan = self.files.scan(session, Some(&projection.to_vec()), filters, None).await?;
        let scan = plan.downcast_ref::<DataSourceExec>();
        let Some(scan) = scan.and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>()) else {
            return internal_err!("files are read by {}", plan.name());
        };
        let all = scan.file_groups.iter().flat_map(|group| group.files().iter().cloned());
        let by_location: HashMap<Location, PartitionedFile> =
            all.map(|file| (file.object_meta.location.clone(), file)).collect();
        let n = partitions_of(self.bytes, session);
        let (mut divided, mut n_each) = (Vec::new(), Vec::with_capacity(groups.len()));
        for group in groups {
            // Files that cannot have rows that are asked for are left out already.
            let files = group.iter().filter_map(|at| by_location.get(&self.locations[*at]).cloned());
            let files: Vec<PartitionedFile> = files.collect();
            let bytes: u64 = files.iter().map(|file| file.object_meta.size).sum();
            let whole = [FileGroup::new(files)];
            let parts = FileGroupPartitioner::new()
                .with_target_partitions(partitions_of_group(bytes, (self.bytes, n)))
                .with_repartition_file_min_size(0)
                .repartition_file_groups(&whole);
            let parts = parts.unwrap_or_else(|| whole.to_vec());
            n_each.push(parts.len());
            divided.extend(parts);
        }
        let scan = FileScanConfigBuilder::from(scan.clone()).with_file_groups(divided).build();
        Ok((DataSourceExec::from_data_source(scan), n_each))
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
        self.check_there(0..self.paths.len())?;
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
