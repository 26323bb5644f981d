//! Files of the tables, and who knows them.

use super::made::{TABLES, rows};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tilework_frame::{PlanOptions, Planner};

const SCALE: f64 = 0.01;
/// Files of each table that has as many batches.
const FILES: usize = 3;

/// The folder with a folder of Parquet files for each table, made once.
fn folder() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tpcds-{SCALE}-{FILES}"));
        if !dir.exists() {
            let unfinished = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            TABLES.iter().for_each(|table| write(&unfinished.path().join(table), table));
            // Another test program may have been faster.
            let _ = fs::rename(unfinished.path(), &dir);
        }
        dir
    })
}

fn write(dir: &Path, table: &str) {
    fs::create_dir(dir).unwrap();
    let batches = rows(table, SCALE);
    for file in 0..FILES.min(batches.len()) {
        let path = dir.join(format!("{file}.parquet"));
        let mut writer =
            ArrowWriter::try_new(File::create(path).unwrap(), batches[file].schema(), None).unwrap();
        batches.iter().skip(file).step_by(FILES).for_each(|batch| writer.write(batch).unwrap());
        writer.close().unwrap();
    }
}

async fn register(context: &SessionContext) {
    for table in TABLES {
        let path = folder().join(table);
        context
            .register_parquet(*table, path.to_str().unwrap(), ParquetReadOptions::default())
            .await
            .unwrap();
    }
}

/// DataFusion in one process.
pub async fn plain() -> SessionContext {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    register(&context).await;
    context
}

pub async fn planner(options: PlanOptions) -> Planner {
    let planner = Planner::new(options).unwrap();
    register(planner.context()).await;
    planner
}
