//! TPC-DS: its tables, made row by row, and its queries by number. Four of them are two queries each, which have a letter.
//! Must not know who answers them: tests and benchmarks read this file.

use datafusion::arrow::array::{AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::Int32Type;
use std::collections::HashSet;
use tpcdsgen::config::SessionBuilder;
use tpcdsgen_arrow as made;

/// Rows of a batch.
const BATCH_ROWS: usize = 4096;
/// The table that has 1.9 million rows, whatever the scale: below 1 only those that others name are kept.
const DEMOGRAPHICS: &str = "customer_demographics";
/// The tables that name rows of it, by how they end.
const NAMING: [&str; 3] = ["_sales", "_returns", "customer"];
/// How their columns do.
const NAMES_DEMOGRAPHICS: &str = "_cdemo_sk";

macro_rules! queries {
    ($($n:literal)*) => {
        /// The names of its queries, and these in SQL.
        pub const QUERIES: &[(&str, &str)] =
            &[$(($n, include_str!(concat!("../../queries/ds/q", $n, ".sql")))),*];
    };
}

queries! {
    "01" "02" "03" "04" "05" "06" "07" "08" "09" "10" "11" "12" "13" "14a" "14b" "15" "16" "17" "18" "19" "20"
    "21" "22" "23a" "23b" "24a" "24b" "25" "26" "27" "28" "29" "30" "31" "32" "33" "34" "35" "36" "37" "38"
    "39a" "39b" "40" "41" "42" "43" "44" "45" "46" "47" "48" "49" "50" "51" "52" "53" "54" "55" "56" "57" "58"
    "59" "60" "61" "62" "63" "64" "65" "66" "67" "68" "69" "70" "71" "72" "73" "74" "75" "76" "77" "78" "79"
    "80" "81" "82" "83" "84" "85" "86" "87" "88" "89" "90" "91" "92" "93" "94" "95" "96" "97" "98" "99"
}

macro_rules! tables {
    ($($name:literal $rows:ident)*) => {
        /// Its tables.
        pub const TABLES: &[&str] = &[$($name),*];

        fn all_rows(table: &str, scale: f64) -> Vec<RecordBatch> {
            let session = SessionBuilder::new().with_scale_factor(scale).build();
            let session = session.expect("a scale above nothing");
            match table {
                $($name => {
                    let rows = made::$rows::new(session).with_batch_size(BATCH_ROWS);
                    rows.map(|rows| rows.expect("rows that are made here")).collect()
                })*
                other => panic!("TPC-DS has no table {other}"),
            }
        }
    };
}

tables! {
    "call_center" CallCenterArrow
    "catalog_page" CatalogPageArrow
    "catalog_returns" CatalogReturnsArrow
    "catalog_sales" CatalogSalesArrow
    "customer" CustomerArrow
    "customer_address" CustomerAddressArrow
    "customer_demographics" CustomerDemographicsArrow
    "date_dim" DateDimArrow
    "household_demographics" HouseholdDemographicsArrow
    "income_band" IncomeBandArrow
    "inventory" InventoryArrow
    "item" ItemArrow
    "promotion" PromotionArrow
    "reason" ReasonArrow
    "ship_mode" ShipModeArrow
    "store" StoreArrow
    "store_returns" StoreReturnsArrow
    "store_sales" StoreSalesArrow
    "time_dim" TimeDimArrow
    "warehouse" WarehouseArrow
    "web_page" WebPageArrow
    "web_returns" WebReturnsArrow
    "web_sales" WebSalesArrow
    "web_site" WebSiteArrow
}

/// The rows of a table of this scale: of 1 they are a gigabyte in all.
///
/// # Panics
/// If there is no such table.
#[must_use]
pub fn rows(table: &str, scale: f64) -> Vec<RecordBatch> {
    let all = all_rows(table, scale);
    if table != DEMOGRAPHICS || scale >= 1.0 {
        return all;
    }
    let named = named_demographics(scale);
    let kept = |batch: RecordBatch| {
        let keys = batch.column(0).as_primitive::<Int32Type>();
        let chosen: BooleanArray =
            keys.iter().map(|key| Some(key.is_some_and(|k| named.contains(&k)))).collect();
        filter_record_batch(&batch, &chosen).expect("a choice for each row")
    };
    all.into_iter().map(kept).filter(|batch| batch.num_rows() > 0).collect()
}

/// The demographics that rows of other tables name.
fn named_demographics(scale: f64) -> HashSet<i32> {
    let mut named = HashSet::new();
    let naming = TABLES.iter().filter(|table| NAMING.iter().any(|end| table.ends_with(end)));
    for batch in naming.flat_map(|table| all_rows(table, scale)) {
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns());
        for (_, column) in columns.filter(|(field, _)| field.name().ends_with(NAMES_DEMOGRAPHICS)) {
            named.extend(column.as_primitive::<Int32Type>().iter().flatten());
        }
    }
    named
}
