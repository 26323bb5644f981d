//! Files of the tables, and who knows them.

use super::made::{TABLES, rows};
use crate::data::{alone, folder, register_all};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::SessionContext;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tilework_frame::{PlanOptions, Planner};

const SCALE: f64 = 0.01;
/// Files of each table that has as many batches.
const FILES: usize = 3;

fn write(dir: &Path, table: &str) {
    let batches = rows(table, SCALE);
    for file in 0..FILES.min(batches.len()) {
        let path = dir.join(format!("{file}.parquet"));
        let mut writer =
            ArrowWriter::try_new(File::create(path).unwrap(), batches[file].schema(), None).unwrap();
        batches.iter().skip(file).step_by(FILES).for_each(|batch| writer.write(batch).unwrap());
        writer.close().unwrap();
    }
}

/// Makes the tables known. Their folder is made once.
async fn register(context: &SessionContext) {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    let dir = DIR.get_or_init(|| folder(&format!("tpcds-{SCALE}-{FILES}"), TABLES, write));
    register_all(context, dir, TABLES).await;
}

/// DataFusion in one process.
pub async fn plain() -> SessionContext {
    let context = alone();
    register(&context).await;
    context
}

pub async fn planner(options: PlanOptions) -> Planner {
    let planner = Planner::new(options).unwrap();
    register(planner.context()).await;
    planner
}
