//! The columns of an object, where DataFusion's way of finding them fails, or fetches all of it. Must not know what becomes of
//! them.

use crate::api::Result;
use crate::error::FrameError;
use crate::objects::{ObjectReader, Pin};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::{FileReader, StreamReader};
use datafusion::arrow::json::reader::infer_json_schema;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use std::io::{BufRead, BufReader, Seek};
use std::sync::Arc;

/// Lines of JSON that are looked at, as DataFusion does of files.
const LINES_MAX: usize = 1000;

type Found = std::result::Result<SchemaRef, ArrowError>;

/// The columns of an object of this format, if they are not DataFusion's to find.
pub(super) async fn schema_of(format: &dyn FileFormat, url: &str, pin: Pin) -> Option<Result<SchemaRef>> {
    let find = if format.is::<ArrowFormat>() {
        of_ipc
    } else if format.is::<JsonFormat>() {
        of_json
    } else {
        return None;
    };
    Some(read(url, pin, find).await)
}

async fn read(url: &str, pin: Pin, find: fn(BufReader<ObjectReader>) -> Found) -> Result<SchemaRef> {
    let object = BufReader::new(ObjectReader::open(url, pin)?);
    let found = tokio::task::spawn_blocking(move || find(object)).await;
    let failed = |error: ArrowError| FrameError::file(url, error);
    found.map_err(|e| FrameError::file(url, e))?.map_err(failed)
}

/// They stand at the end. DataFusion looks behind the first 8 bytes for them, where Arrow's own files have 64.
fn of_ipc(mut object: BufReader<ObjectReader>) -> Found {
    let file = FileReader::try_new(&mut object, None).map(|file| file.schema());
    file.or_else(|of_file| {
        object.rewind()?;
        StreamReader::try_new(&mut object, None).map(|stream| stream.schema()).map_err(|_| of_file)
    })
}

/// They are in the first lines. DataFusion fetches all of an object for them.
fn of_json(mut object: BufReader<ObjectReader>) -> Found {
    // What the store says keeps its type.
    object.fill_buf()?;
    Ok(Arc::new(infer_json_schema(object, Some(LINES_MAX))?.0))
}
