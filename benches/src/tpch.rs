//! TPC-H: its tables, made here row by row, and its queries.

use crate::tables::Here;
use std::ops::RangeInclusive;
use std::sync::OnceLock;
use tilework::Session;
use tilework::dataframe::arrow::array::RecordBatch;
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

/// The numbers of its queries.
pub const QUERIES: RangeInclusive<usize> = 1..=22;

/// Its tables.
pub const TABLES: [&str; 8] =
    ["lineitem", "orders", "customer", "part", "partsupp", "supplier", "nation", "region"];

macro_rules! queries {
    ($($n:literal)*) => {
        [$(include_str!(concat!("../../frame/tests/queries/q", $n, ".sql"))),*]
    };
}

/// A query in SQL.
///
/// # Panics
/// If there is none of this number.
#[must_use]
pub fn query(n: usize) -> &'static str {
    let all = queries!("01" "02" "03" "04" "05" "06" "07" "08" "09" "10" "11" "12" "13" "14" "15" "16" "17" "18"
        "19" "20" "21" "22");
    all[n - 1]
}

/// The rows of a table of this scale: of 1 they are a gigabyte in all.
///
/// # Panics
/// If there is no such table.
#[must_use]
pub fn rows(table: &str, scale: f64) -> Vec<RecordBatch> {
    let words = Distributions::static_default();
    static TEXTS: OnceLock<TextPool> = OnceLock::new();
    let texts = TEXTS.get_or_init(|| TextPool::new(8 << 20, words));
    macro_rules! of {
        ($rows:ident, $generator:expr) => {
            $rows::new($generator).map(|rows| rows.expect("rows that are made here")).collect()
        };
    }
    macro_rules! scaled {
        ($generator:ident) => {
            $generator::new_with_distributions_and_text_pool(scale, 1, 1, words, texts)
        };
    }
    match table {
        "lineitem" => of!(LineItemArrow, scaled!(LineItemGenerator)),
        "orders" => of!(OrderArrow, scaled!(OrderGenerator)),
        "customer" => of!(CustomerArrow, scaled!(CustomerGenerator)),
        "part" => of!(PartArrow, scaled!(PartGenerator)),
        "supplier" => of!(SupplierArrow, scaled!(SupplierGenerator)),
        "partsupp" => of!(PartSuppArrow, PartSuppGenerator::new_with_text_pool(scale, 1, 1, texts)),
        "nation" => {
            of!(NationArrow, NationGenerator::new_with_distributions_and_text_pool(words, texts))
        }
        "region" => {
            of!(RegionArrow, RegionGenerator::new_with_distributions_and_text_pool(words, texts))
        }
        other => panic!("TPC-H has no table {other}"),
    }
}

/// Its tables of this scale on a session.
///
/// # Panics
/// If they cannot be made.
#[must_use]
pub fn on(session: &Session, scale: f64) -> Here {
    Here::on(session, &TABLES, |table| rows(table, scale))
}
