//! One engine, asked one query after another in a process of its own. Must not know other engines' results.

use super::{Data, Query};
use crate::SessionKind;
use crate::child::{self, Runs};
use crate::memory::{PeakOfTree, cpu_seconds};
use crate::timing::Timing;
use clap::Parser;
use datafusion::arrow::array::{Array, Float64Array, RecordBatch};
use datafusion::arrow::compute;
use datafusion::arrow::datatypes::DataType;
use datafusion::prelude::{CsvReadOptions, ParquetReadOptions, SessionConfig, SessionContext};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;
use tilework::Session;
use tilework::dataframe::{CsvOptions, DataFrame};
use tokio::runtime::Runtime;

/// The first argument of a program that shall ask one engine and do nothing else.
const MEASURE: &str = "measure-tables";

/// Who answers queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// DataFusion in one process, on all processors.
    DataFusion,
    /// Tilework.
    Tilework(SessionKind),
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Engine::DataFusion => f.write_str("datafusion"),
            Engine::Tilework(session) => session.fmt(f),
        }
    }
}

impl FromStr for Engine {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Engine> {
        if text == "datafusion" { Ok(Engine::DataFusion) } else { Ok(Engine::Tilework(text.parse()?)) }
    }
}

/// What is asked of a process.
#[derive(Debug, Parser)]
struct Request {
    #[arg(long)]
    engine: Engine,
    #[arg(long, value_delimiter = ',')]
    queries: Vec<Query>,
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    repeats: usize,
}

/// What an engine made of the queries.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answers {
    /// Each query in turn: what it took, or why there is no answer.
    pub queries: Vec<Result<Reading, String>>,
    /// Memory at its peak over all of them, of all processes.
    pub peak_bytes: u64,
}

/// What a query took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reading {
    /// Its runs. The value is the sum of all numbers in the answer, and of its rows.
    pub timing: Timing,
    /// Seconds of processor time of one run, of all processes.
    pub cpu_seconds: f64,
}

/// Where this process was started to ask an engine: does so.
#[must_use]
pub fn serve_if_asked() -> Option<anyhow::Result<()>> {
    let asked = std::env::args().nth(1).is_some_and(|a| a == MEASURE);
    asked.then(|| serve(&Request::parse_from(std::env::args().skip(1))))
}

/// Asks an engine in a new process of this program.
///
/// # Errors
/// As [`child::run`].
pub fn measure(engine: Engine, queries: &[Query], data: &str, runs: &Runs) -> Result<Answers, String> {
    let program = std::env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;
    let mut command = Command::new(program);
    command.args([MEASURE, "--engine", &engine.to_string(), "--queries", &crate::comma_separated(queries)]);
    command.args(["--data", data, "--repeats", &runs.repeats.to_string()]);
    let (answers, peak_bytes) = child::run::<Answers>(command, runs.timeout)?;
    Ok(Answers { peak_bytes: answers.peak_bytes.max(peak_bytes), ..answers })
}

fn serve(request: &Request) -> anyhow::Result<()> {
    let data = Data::of(&request.data);
    let asked = Asked::open(request.engine)?;
    let mut peak = PeakOfTree::default();
    let mut queries = Vec::new();
    for &query in &request.queries {
        queries.push(asked.measure(query, &data, request.repeats).map_err(|e| format!("{e:#}")));
        peak.sample(std::process::id());
    }
    println!("{}", serde_json::to_string(&Answers { queries, peak_bytes: peak.bytes() })?);
    Session::close_current();
    Ok(())
}

/// An engine that is there.
enum Asked {
    DataFusion(Runtime),
    Tilework(Session),
}

impl Asked {
    fn open(engine: Engine) -> anyhow::Result<Asked> {
        Ok(match engine {
            Engine::DataFusion => Asked::DataFusion(Runtime::new()?),
            Engine::Tilework(session) => Asked::Tilework(session.open()?),
        })
    }

    fn measure(&self, query: Query, data: &Data, repeats: usize) -> anyhow::Result<Reading> {
        let mut spent = Vec::new();
        let timing = Timing::measure(repeats, || {
            let before = cpu_seconds(std::process::id());
            let value = value(&self.ask(query, data)?)?;
            spent.push(cpu_seconds(std::process::id()) - before);
            Ok(value)
        })?;
        // The first run warmed up.
        Ok(Reading { timing, cpu_seconds: spent[1..].iter().sum::<f64>() / (spent.len() - 1) as f64 })
    }

    fn ask(&self, query: Query, data: &Data) -> anyhow::Result<Vec<RecordBatch>> {
        match self {
            Asked::DataFusion(runtime) => runtime.block_on(by_datafusion(query, data)),
            Asked::Tilework(session) => by_tilework(session, query, data),
        }
    }
}

async fn by_datafusion(query: Query, data: &Data) -> anyhow::Result<Vec<RecordBatch>> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(threads));
    let (within, tables) = query.tables();
    for table in tables {
        let path = data.path(within, table);
        let path = path.to_string_lossy();
        if table.ends_with("_csv") {
            context.register_csv(table, &*path, CsvReadOptions::new()).await?;
        } else {
            context.register_parquet(table, &*path, ParquetReadOptions::default()).await?;
        }
    }
    Ok(context.sql(&query.sql()).await?.collect().await?)
}

fn by_tilework(session: &Session, query: Query, data: &Data) -> anyhow::Result<Vec<RecordBatch>> {
    let (within, tables) = query.tables();
    let read = |table: &'static str| -> anyhow::Result<(&'static str, DataFrame)> {
        let path = data.path(within, table);
        let path = path.to_string_lossy();
        let read = match table.ends_with("_csv") {
            true => session.read_csv(&path, &CsvOptions::default()),
            false => session.read_parquet(&path),
        };
        Ok((table, read?))
    };
    let tables = tables.into_iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let tables: Vec<(&str, &DataFrame)> = tables.iter().map(|(name, table)| (*name, table)).collect();
    Ok(session.sql_on(&query.sql(), &tables)?.collect()?)
}

/// The sum of all numbers in some rows, and of how many rows they are: equal answers have about equal ones.
fn value(batches: &[RecordBatch]) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for batch in batches {
        sum += batch.num_rows() as f64;
        for column in batch.columns().iter().filter(|column| column.data_type().is_numeric()) {
            let column = compute::cast(column, &DataType::Float64)?;
            let floats = column.as_any().downcast_ref::<Float64Array>().expect("cast to floats");
            sum += floats.iter().flatten().sum::<f64>();
        }
    }
    Ok(sum)
}
