//! Files of the formats that DataFusion decodes, as a table that is cut into partitions by its bytes. Must not know how a
//! format is decoded, nor which files there are.

use super::File;
use super::schemas::schema_of;
use crate::api::{Result, apart, partitions_of, partitions_of_group, widened};
use crate::error::FrameError;
use crate::hive::FileGroups;
use crate::objects::{Door, Pin, Pinned, Pins};
use crate::plan::{PlanOptions, Planner};
use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Statistics, internal_err, project_schema};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::datasource::physical_plan::{
    FileGroup, FileGroupPartitioner, FileScanConfig, FileScanConfigBuilder,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::object_store::path::Path as Location;
use datafusion::object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use futures::{FutureExt, StreamExt, TryStreamExt};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Objects whose schemas, or whose statistics, are read at a time.
const N_AT_ONCE: usize = 16;

/// Files of a format that DataFusion reads, with the columns that they have together.
pub(crate) fn files_table(files: Vec<File>, format: Arc<dyn FileFormat>) -> Result<FilesTable> {
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for file in files {
        match file {
            File::Here(path) => here.push(path),
            File::There(url, pin) => there.push((url, pin)),
        }
    }
    match (here.is_empty(), there.is_empty()) {
        (_, true) => apart(of_files(here, format))?,
        (true, false) => apart(of_objects(there, format))?,
        (false, false) => Err(FrameError::argument(
            "paths",
            "files and objects make two tables, which `concat` puts together",
        )),
    }
}

/// Files of this machine.
async fn of_files(files: Vec<PathBuf>, format: Arc<dyn FileFormat>) -> Result<FilesTable> {
    let planner = Planner::new(PlanOptions::default())?;
    let state = planner.context().state();
    let mut known: Vec<(SchemaRef, String)> = Vec::with_capacity(files.len());
    let (mut urls, mut locations, mut bytes) = (Vec::with_capacity(files.len()), Vec::new(), 0);
    for file in &files {
        let url = ListingTableUrl::parse(url_of(file))?;
        let store = planner.context().runtime_env().object_store(&url)?;
        let failed = |e: DataFusionError| FrameError::file(file, e);
        let object = store.head(url.prefix()).await.map_err(|e| failed(e.into()))?;
        bytes += object.size;
        let schema = format.infer_schema(&state, &store, &[object]).await.map_err(failed)?;
        known.push((schema, file.display().to_string()));
        locations.push(url.prefix().clone());
        urls.push(url);
    }
    let options = ListingOptions::new(format.clone()).with_file_extension("");
    let config = ListingTableConfig::new_with_multi_paths(urls);
    let config = config.with_listing_options(options).with_schema(together(&known)?);
    Ok(FilesTable { from: From::Here(Box::new(ListingTable::try_new(config)?), files), locations, bytes })
}

/// Objects of one store.
async fn of_objects(objects: Vec<(String, Pin)>, format: Arc<dyn FileFormat>) -> Result<FilesTable> {
    let doors = objects.iter().map(|(url, _)| Ok(Door::open(url)?)).collect::<Result<Vec<_>>>()?;
    of_doors(&doors, &objects, format).await
}

async fn of_doors(
    doors: &[Door],
    objects: &[(String, Pin)],
    format: Arc<dyn FileFormat>,
) -> Result<FilesTable> {
    let door = doors.first().ok_or_else(|| FrameError::argument("paths", "no path is said"))?;
    if let Some(other) = doors.iter().find(|other| other.store_url != door.store_url) {
        let reason = format!(
            "{} and {} are stores of their own; `concat` puts tables of them together",
            door.store_url, other.store_url
        );
        return Err(FrameError::argument("paths", reason));
    }
    let planner = Planner::new(PlanOptions::default())?;
    let state = planner.context().state();
    let pins: Pins =
        doors.iter().zip(objects).map(|(d, (_, pin))| (d.path.to_string(), pin.clone())).collect();
    let pinned = Arc::new(Pinned::new(door.store.clone(), &door.store_url, Arc::new(pins)));
    let store: Arc<dyn ObjectStore> = pinned.clone();
    let metas: Vec<_> =
        doors.iter().zip(objects).map(|(door, (_, pin))| pin.meta(door.path.clone())).collect();
    // Readers of formats lose the types of what a store says.
    let failed = |url: &str, error: DataFusionError| match pinned.refused() {
        Some(why) => why.into(),
        None => FrameError::file(url, error),
    };
    let (state, store, failed) = (&state, &store, &failed);
    let found = |(meta, url): (ObjectMeta, String)| {
        let format = format.clone();
        let of_one = async move {
            let schema = match schema_of(&*format, &url, Pin::of(&meta)).await {
                Some(schema) => schema?,
                None => format.infer_schema(state, store, &[meta]).await.map_err(|e| failed(&url, e))?,
            };
            Ok::<_, FrameError>((schema, url))
        };
        of_one.boxed()
    };
    let each = || metas.iter().cloned().zip(objects.iter().map(|(url, _)| url.clone()));
    let schemas: Vec<_> = each().map(found).collect();
    let known: Vec<_> = futures::stream::iter(schemas).buffered(N_AT_ONCE).try_collect().await?;
    let schema = together(&known)?;
    let file_of = |(meta, url): (ObjectMeta, String)| {
        let (format, schema) = (format.clone(), schema.clone());
        let of_one = async move {
            let known = format.infer_stats(state, store, schema, &meta).await.map_err(|e| failed(&url, e))?;
            Ok::<_, FrameError>(PartitionedFile::new_from_meta(meta).with_statistics(Arc::new(known)))
        };
        of_one.boxed()
    };
    let files: Vec<_> = each().map(file_of).collect();
    let files = futures::stream::iter(files).buffered(N_AT_ONCE).try_collect().await?;
    let objects = Objects { door: door.clone(), format, schema: schema.clone(), files };
    Ok(FilesTable {
        bytes: metas.iter().map(|meta| meta.size).sum(),
        locations: metas.into_iter().map(|meta| meta.location).collect(),
        from: From::There(Box::new(objects)),
    })
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
fn together(files: &[(SchemaRef, String)]) -> Result<SchemaRef> {
    let mut columns: Vec<(String, DataType, &str)> = Vec::new();
    for (schema, file) in files {
        for field in schema.fields() {
            let Some((name, known, first)) = columns.iter_mut().find(|(name, _, _)| name == field.name())
            else {
                columns.push((field.name().clone(), field.data_type().clone(), file));
                continue;
            };
            *known = widened(known, field.data_type()).ok_or_else(|| FrameError::Drift {
                column: name.clone(),
                first_file: (*first).to_owned(),
                first: known.to_string(),
                second_file: file.clone(),
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
    from: From,
    /// The files, as DataFusion names them.
    locations: Vec<Location>,
    bytes: u64,
}

/// Where files are.
#[derive(Debug)]
enum From {
    /// In directories, which are looked at again for each plan; with those that there were.
    Here(Box<ListingTable>, Vec<PathBuf>),
    There(Box<Objects>),
}

/// Objects of a store, as they were when they were found.
#[derive(Debug)]
struct Objects {
    door: Door,
    format: Arc<dyn FileFormat>,
    schema: SchemaRef,
    /// With what is known of their columns.
    files: Vec<PartitionedFile>,
}

impl Objects {
    /// These columns of all of them.
    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let url = ObjectStoreUrl::parse(&self.door.store_url)?;
        let runtime = session.runtime_env();
        // A session of DataFusion's own does not know it.
        if runtime.object_store(&url).is_err() {
            runtime.register_object_store(url.as_ref(), self.door.store.clone());
        }
        let files: Vec<_> = self.files.iter().filter(|file| file.object_meta.size > 0).cloned().collect();
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&self.schema, projection)?)));
        }
        let known = files.iter().filter_map(|file| file.statistics.as_deref());
        let known = Statistics::try_merge_iter(known, &self.schema)?;
        let source = self.format.file_source(TableSchema::from(self.schema.clone()));
        let scan = FileScanConfigBuilder::new(url, source)
            .with_file_groups(vec![FileGroup::new(files)])
            .with_statistics(known)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        self.format.create_physical_plan(session, scan).await
    }
}

impl FilesTable {
    /// What the files take.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The scan of all files, in any partitions.
    async fn all(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        (filters, limit): (&[Expr], Option<usize>),
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        match &self.from {
            From::Here(listing, _) => listing.scan(session, projection, filters, limit).await,
            From::There(objects) => objects.scan(session, projection, limit).await,
        }
    }

    /// A file that is gone since would be one without rows. Of an object the task that reads it says so.
    fn check_there(&self, mut of: impl Iterator<Item = usize>) -> DataFusionResult<()> {
        let From::Here(_, paths) = &self.from else { return Ok(()) };
        let Some(gone) = of.find_map(|at| paths.get(at).filter(|path| !path.exists())) else {
            return Ok(());
        };
        Err(DataFusionError::External(Box::new(FrameError::no_file(gone.display().to_string()))))
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
        let plan = self.all(session, Some(&projection.to_vec()), (filters, None)).await?;
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
        match &self.from {
            From::Here(listing, _) => listing.schema(),
            From::There(objects) => objects.schema.clone(),
        }
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
        self.check_there(0..self.locations.len())?;
        let plan = self.all(session, projection, (filters, limit)).await?;
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
        // Row groups and pages of what may hold are read whole.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    fn statistics(&self) -> Option<Statistics> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{AsArray, Int64Array, RecordBatch};
    use datafusion::arrow::datatypes::Int64Type;
    use datafusion::datasource::file_format::parquet::ParquetFormat;
    use datafusion::datasource::provider_as_source;
    use datafusion::execution::context::SessionContext;
    use datafusion::logical_expr::LogicalPlanBuilder;
    use datafusion::object_store::PutPayload;
    use datafusion::object_store::memory::InMemory;
    use datafusion::parquet::arrow::ArrowWriter;

    /// An object with these numbers.
    async fn put(door: &Door, x: std::ops::Range<i64>) -> Pin {
        let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]));
        let rows =
            RecordBatch::try_new(schema.clone(), vec![Arc::new(Int64Array::from_iter_values(x))]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).unwrap();
        writer.write(&rows).unwrap();
        let bytes = PutPayload::from(writer.into_inner().unwrap());
        door.store.put(&door.path, bytes).await.unwrap();
        Pin::of(&door.store.head(&door.path).await.unwrap())
    }

    #[tokio::test]
    async fn objects_are_read_in_a_session_of_datafusions_own_too() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let door = |name: &str| Door {
            store: store.clone(),
            path: Location::from(name),
            url: format!("s3://bucket/{name}"),
            store_url: "s3://bucket".to_owned(),
            can_list: true,
            can_write: true,
        };
        let doors = [door("a"), door("b")];
        let pins = [put(&doors[0], 0..10).await, put(&doors[1], 10..30).await];
        let objects: Vec<_> = doors.iter().zip(pins).map(|(door, pin)| (door.url.clone(), pin)).collect();
        let table = of_doors(&doors, &objects, Arc::new(ParquetFormat::default())).await.unwrap();
        assert_eq!(table.bytes(), objects.iter().map(|(_, pin)| pin.bytes).sum::<u64>());
        let plan = LogicalPlanBuilder::scan("t", provider_as_source(Arc::new(table)), None).unwrap();
        let plan = plan.build().unwrap();
        let context = SessionContext::new();
        let rows = context.execute_logical_plan(plan.clone()).await.unwrap().collect().await.unwrap();
        let x = rows.iter().flat_map(|rows| rows.column(0).as_primitive::<Int64Type>().values().to_vec());
        let mut x: Vec<i64> = x.collect();
        x.sort_unstable();
        assert_eq!(x, (0..30).collect::<Vec<_>>());
        // Whoever plans asks nobody: another session finds the same objects, which are there no more.
        doors[0].store.delete(&doors[0].path).await.unwrap();
        let again = SessionContext::new().execute_logical_plan(plan).await.unwrap();
        assert!(again.clone().create_physical_plan().await.is_ok());
        let error = again.collect().await.unwrap_err().to_string();
        assert!(error.contains('a') && error.contains("not found"), "{error}");
    }
}
