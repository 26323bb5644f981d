//! Tables to ask, plans of queries on them, and answers as text.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tilework_frame::{PlanOptions, Planned, Planner, Ran, Runner, RunnerOptions};
use tpchgen::distribution::Distributions;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};
use tpchgen::text::TextPool;
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow,
    SupplierArrow,
};

pub const TABLES: [&str; 8] =
    ["lineitem", "orders", "customer", "part", "partsupp", "supplier", "nation", "region"];
const SCALE: f64 = 0.01;
/// Files of each of the larger tables.
pub const FILES: i32 = 3;

type Batches = Box<dyn Iterator<Item = RecordBatch>>;

/// The folder with a folder of Parquet files for each table of TPC-H, made once.
pub fn tpch() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| folder("tpch-0.01-3", &TABLES, write_table))
}

/// A folder with a folder for each table, whose files are made in it if it is not there.
pub fn folder(name: &str, tables: &[&str], write: impl Fn(&Path, &str)) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if !dir.exists() {
        let unfinished = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for table in tables {
            let dir = unfinished.path().join(table);
            std::fs::create_dir(&dir).unwrap();
            write(&dir, table);
        }
        // Another test program may have been faster.
        let _ = std::fs::rename(unfinished.path(), &dir);
    }
    dir
}

fn write_table(dir: &Path, table: &str) {
    let n_files = if matches!(table, "nation" | "region") { 1 } else { FILES };
    for file in 1..=n_files {
        let path = dir.join(format!("{file}.parquet"));
        let mut writer: Option<ArrowWriter<File>> = None;
        for batch in generated(table, file) {
            let new = || ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
            writer.get_or_insert_with(new).write(&batch).unwrap();
        }
        writer.unwrap().close().unwrap();
    }
}

fn generated(table: &str, file: i32) -> Batches {
    static TEXTS: OnceLock<TextPool> = OnceLock::new();
    let words = Distributions::static_default();
    let texts = TEXTS.get_or_init(|| TextPool::new(8 << 20, words));
    macro_rules! of {
        ($rows:ident, $generator:ident) => {
            Box::new(
                $rows::new($generator::new_with_distributions_and_text_pool(
                    SCALE, file, FILES, words, texts,
                ))
                .map(Result::unwrap),
            )
        };
    }
    match table {
        "lineitem" => of!(LineItemArrow, LineItemGenerator),
        "orders" => of!(OrderArrow, OrderGenerator),
        "customer" => of!(CustomerArrow, CustomerGenerator),
        "part" => of!(PartArrow, PartGenerator),
        "supplier" => of!(SupplierArrow, SupplierGenerator),
        "partsupp" => {
            let rows = PartSuppGenerator::new_with_text_pool(SCALE, file, FILES, texts);
            Box::new(PartSuppArrow::new(rows).map(Result::unwrap))
        }
        "nation" => {
            let rows = NationGenerator::new_with_distributions_and_text_pool(words, texts);
            Box::new(NationArrow::new(rows).map(Result::unwrap))
        }
        "region" => {
            let rows = RegionGenerator::new_with_distributions_and_text_pool(words, texts);
            Box::new(RegionArrow::new(rows).map(Result::unwrap))
        }
        other => panic!("no table {other}"),
    }
}

/// Makes the tables known.
pub async fn register(context: &SessionContext) {
    register_all(context, tpch(), &TABLES).await;
}

/// Makes tables known whose files lie in a folder of such.
pub async fn register_all(context: &SessionContext, folder: &Path, tables: &[&str]) {
    for table in tables {
        let path = folder.join(table);
        let path = path.to_str().unwrap();
        context.register_parquet(*table, path, ParquetReadOptions::default()).await.unwrap();
    }
}

/// DataFusion in one process, without tables.
pub fn alone() -> SessionContext {
    SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2))
}

/// DataFusion in one process.
pub async fn plain() -> SessionContext {
    let context = alone();
    register(&context).await;
    context
}

pub fn options(n_partitions: usize) -> PlanOptions {
    PlanOptions { n_partitions: NonZeroUsize::new(n_partitions).unwrap(), ..PlanOptions::default() }
}

pub async fn planner(options: PlanOptions) -> Planner {
    let planner = Planner::new(options).unwrap();
    register(planner.context()).await;
    planner
}

pub async fn planned(planner: &Planner, sql: &str) -> Planned {
    let query = planner.sql(sql).await.unwrap_or_else(|e| panic!("{sql}\n{e}"));
    let planned = planner.plan(query).await.unwrap_or_else(|e| panic!("{sql}\n{e}"));
    assert_eq!(planned.graph.wrong(), None, "{sql}");
    planned
}

/// A runner that spills to the system's directory.
pub fn runner() -> Runner {
    let spill_dir = std::env::temp_dir();
    Runner::new(RunnerOptions { n_threads: 2, spill_dir, spill_bytes_max: 1 << 30 }).unwrap()
}

/// The rows as text, in their order.
pub fn rows<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> Vec<String> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
        let row = |i| columns.iter().map(|c| c.value(i).to_string()).collect::<Vec<_>>().join("|");
        rows.extend((0..batch.num_rows()).map(row));
    }
    rows
}

pub fn rows_of(ran: &Ran) -> Vec<String> {
    rows(ran.partitions.iter().flatten())
}

pub fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}
