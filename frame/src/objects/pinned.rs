//! Objects read as they were when a table was made of them: a task that finds one changed, or gone, says so. What they were
//! travels beside the scan that reads them, which names them by their paths alone. Must not know formats.

use super::refused::Refused;
use super::stores::Only;
use crate::error::TaskError;
use crate::operator::one_input;
use async_trait::async_trait;
use chrono::DateTime;
use datafusion::common::internal_datafusion_err;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileScanConfig, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as StoreResult,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use tilework_formats::objects::is_url;

/// What an object was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    pub bytes: u64,
    /// The store's mark of this version of it, if the store gives any.
    pub tag: Option<String>,
    /// When it was written, seconds: that is what all answers of a store say.
    pub at_s: i64,
}

impl Pin {
    pub(crate) fn of(meta: &ObjectMeta) -> Pin {
        // Lists and answers may quote it differently.
        let bare = |tag: &String| tag.trim_start_matches("W/").trim_matches('"').to_owned();
        Pin { bytes: meta.size, tag: meta.e_tag.as_ref().map(bare), at_s: meta.last_modified.timestamp() }
    }

    /// The same as a store says it.
    pub(crate) fn meta(&self, location: Path) -> ObjectMeta {
        let last_modified = DateTime::from_timestamp(self.at_s, 0).unwrap_or_default();
        ObjectMeta { location, last_modified, size: self.bytes, e_tag: self.tag.clone(), version: None }
    }

    /// Whether it is the same now.
    pub(super) fn is(&self, meta: &ObjectMeta) -> bool {
        let now = Pin::of(meta);
        match (&self.tag, &now.tag) {
            (Some(was), Some(is)) => was == is,
            _ => self.bytes == now.bytes && self.at_s == now.at_s,
        }
    }
}

/// What the objects of a scan were, by their paths.
pub(crate) type Pins = HashMap<String, Pin>;

/// A store of which these objects alone are read, as they were.
#[derive(Debug)]
pub(crate) struct Pinned {
    store: Arc<dyn ObjectStore>,
    /// The store's URL.
    url: String,
    pins: Arc<Pins>,
    /// The first failure, whose type readers of formats lose.
    refused: Mutex<Option<Refused>>,
}

impl Pinned {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, url: &str, pins: Arc<Pins>) -> Pinned {
        Pinned { store, url: url.trim_end_matches('/').to_owned(), pins, refused: Mutex::new(None) }
    }

    /// Why something was not read.
    pub(crate) fn refused(&self) -> Option<Refused> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn refuse(&self, why: Refused) -> Error {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| why.clone());
        why.into_store_error()
    }

    fn only_reads(&self) -> Error {
        Error::NotImplemented { operation: "writing".to_owned(), implementer: self.to_string() }
    }
}

impl fmt::Display for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} objects of {}", self.pins.len(), self.url)
    }
}

#[async_trait]
impl ObjectStore for Pinned {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        let url = || format!("{}/{location}", self.url);
        let got = self.store.get_opts(location, options).await;
        let got = got.map_err(|error| self.refuse(Refused::of(&url(), &error)))?;
        match self.pins.get(location.as_ref()) {
            Some(pin) if !pin.is(&got.meta) => Err(self.refuse(Refused::Changed { url: url() })),
            _ => Ok(got),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> StoreResult<PutResult> {
        Err(self.only_reads())
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        Err(self.only_reads())
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, StoreResult<Path>>,
    ) -> BoxStream<'static, StoreResult<Path>> {
        let none = self.only_reads();
        Box::pin(futures::stream::once(async move { Err(none) }))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> StoreResult<()> {
        Err(self.only_reads())
    }
}

/// Reads objects as they were.
#[derive(Debug)]
pub(crate) struct PinnedExec {
    input: Arc<dyn ExecutionPlan>,
    pub pins: Arc<Pins>,
}

impl PinnedExec {
    /// Of a scan of objects.
    pub(crate) fn new(input: Arc<dyn ExecutionPlan>, pins: Arc<Pins>) -> PinnedExec {
        PinnedExec { input, pins }
    }
}

fn scan_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    plan.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref::<FileScanConfig>()
}

/// The plan whose scans of objects say what these were.
pub(crate) fn pinned(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let Some(scan) = scan_of(&node).filter(|scan| is_url(scan.object_store_url.as_str())) else {
            return Ok(Transformed::no(node));
        };
        let files = scan.file_groups.iter().flat_map(|group| group.files());
        let pin = |meta: &ObjectMeta| (meta.location.to_string(), Pin::of(meta));
        let pins: Pins = files.map(|file| pin(&file.object_meta)).collect();
        Ok(Transformed::yes(Arc::new(PinnedExec::new(node, Arc::new(pins))) as _))
    })
    .data()
}

impl DisplayAs for PinnedExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let store = scan_of(&self.input).map_or("", |scan| scan.object_store_url.as_str());
        let bytes: u64 = self.pins.values().map(|pin| pin.bytes).sum();
        write!(f, "PinnedExec: objects={} bytes={bytes} of {store}", self.pins.len())
    }
}

impl ExecutionPlan for PinnedExec {
    fn name(&self) -> &str {
        "PinnedExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    one_input!(|this: &PinnedExec, input| PinnedExec::new(input, this.pins.clone()));

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let scan =
            scan_of(&self.input).ok_or_else(|| internal_datafusion_err!("objects that nobody reads"))?;
        let runtime = context.runtime_env();
        let store = runtime.object_store(&scan.object_store_url)?;
        let store = Arc::new(Pinned::new(store, scan.object_store_url.as_str(), self.pins.clone()));
        let rows = reading(scan, &store, &runtime).execute(partition, seeing(&context, &runtime, &store))?;
        let schema = rows.schema();
        let typed = rows.map_err(move |error| match store.refused() {
            Some(why) => TaskError::Data(why.into()).into_datafusion(),
            None => error,
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, typed)))
    }
}

/// The scan with what reads it from this store, where its source has kept another one.
fn reading(scan: &FileScanConfig, store: &Arc<Pinned>, runtime: &RuntimeEnv) -> Arc<dyn ExecutionPlan> {
    let Some(source) = scan.file_source().downcast_ref::<ParquetSource>() else {
        return DataSourceExec::from_data_source(scan.clone());
    };
    let footers = runtime.cache_manager.get_file_metadata_cache();
    let factory = CachedParquetFileReaderFactory::new(store.clone(), footers);
    let source = source.clone().with_parquet_file_reader_factory(Arc::new(factory));
    DataSourceExec::from_data_source(
        FileScanConfigBuilder::from(scan.clone()).with_source(Arc::new(source)).build(),
    )
}

/// The context in which there is this store alone.
fn seeing(context: &TaskContext, runtime: &RuntimeEnv, store: &Arc<Pinned>) -> Arc<TaskContext> {
    let runtime = RuntimeEnv { object_store_registry: Arc::new(Only(store.clone())), ..runtime.clone() };
    Arc::new(TaskContext::new(
        context.task_id(),
        context.session_id(),
        context.session_config().clone(),
        context.scalar_functions().clone(),
        context.higher_order_functions().clone(),
        context.aggregate_functions().clone(),
        context.window_functions().clone(),
        Arc::new(runtime),
    ))
}

impl From<Refused> for DataFusionError {
    fn from(why: Refused) -> DataFusionError {
        DataFusionError::External(Box::new(why))
    }
}
