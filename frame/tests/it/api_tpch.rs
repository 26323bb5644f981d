//! Queries of TPC-H as calls, against DataFusion's answers to their SQL.

use crate::api::executors;
use crate::data;
use std::sync::Arc;
use tilework_frame::prelude::*;

type Query = fn(&Tables) -> Result<DataFrame, FrameError>;

struct Tables(Arc<dyn Execute>);

impl Tables {
    fn read(&self, table: &str) -> DataFrame {
        read_parquet(&self.0, data::tpch().join(table).to_str().unwrap()).unwrap()
    }
}

fn day(text: &str) -> Expr {
    lit(text).cast(DataType::Date32)
}

fn join(left: &DataFrame, right: &DataFrame, left_on: &str, right_on: &str) -> Result<DataFrame, FrameError> {
    let (left_on, right_on) = (vec![left_on.to_owned()], vec![right_on.to_owned()]);
    left.join_with(right, &JoinOptions { left_on, right_on, ..JoinOptions::default() })
}

fn revenue() -> Expr {
    col("l_extendedprice") * (lit(1) - col("l_discount"))
}

fn pricing(t: &Tables) -> Result<DataFrame, FrameError> {
    t.read("lineitem")
        .filter(col("l_shipdate").lt_eq(day("1998-09-02")))?
        .group_by(["l_returnflag", "l_linestatus"])
        .agg([
            col("l_quantity").sum().alias("sum_qty"),
            col("l_extendedprice").sum().alias("sum_base_price"),
            revenue().sum().alias("sum_disc_price"),
            (revenue() * (lit(1) + col("l_tax"))).sum().alias("sum_charge"),
            col("l_quantity").mean().alias("avg_qty"),
            col("l_extendedprice").mean().alias("avg_price"),
            col("l_discount").mean().alias("avg_disc"),
            len().alias("count_order"),
        ])?
        .sort(["l_returnflag", "l_linestatus"])
}

fn shipping(t: &Tables) -> Result<DataFrame, FrameError> {
    let customers = t.read("customer").filter(col("c_mktsegment").eq("BUILDING"))?;
    let orders = t.read("orders").filter(col("o_orderdate").lt(day("1995-03-15")))?;
    let lines = t.read("lineitem").filter(col("l_shipdate").gt(day("1995-03-15")))?;
    let all =
        join(&lines, &join(&orders, &customers, "o_custkey", "c_custkey")?, "l_orderkey", "o_orderkey")?;
    all.group_by(["l_orderkey", "o_orderdate", "o_shippriority"])
        .agg([revenue().sum().alias("revenue")])?
        .sort([col("revenue").desc(), col("o_orderdate").asc()])?
        .head(10)?
        .select(["l_orderkey", "revenue", "o_orderdate", "o_shippriority"])
}

fn local_suppliers(t: &Tables) -> Result<DataFrame, FrameError> {
    let asia = t.read("region").filter(col("r_name").eq("ASIA"))?;
    let nations = join(&t.read("nation"), &asia, "n_regionkey", "r_regionkey")?;
    let suppliers = join(&t.read("supplier"), &nations, "s_nationkey", "n_nationkey")?;
    let in_1994 = col("o_orderdate").gt_eq(day("1994-01-01")).and(col("o_orderdate").lt(day("1995-01-01")));
    let orders = join(&t.read("orders").filter(in_1994)?, &t.read("customer"), "o_custkey", "c_custkey")?;
    let lines = join(&t.read("lineitem"), &orders, "l_orderkey", "o_orderkey")?;
    join(&lines, &suppliers, "l_suppkey", "s_suppkey")?
        .filter(col("c_nationkey").eq(col("s_nationkey")))?
        .group_by(["n_name"])
        .agg([revenue().sum().alias("revenue")])?
        .sort([col("revenue").desc()])
}

fn forecast(t: &Tables) -> Result<DataFrame, FrameError> {
    let in_1994 = col("l_shipdate").gt_eq(day("1994-01-01")).and(col("l_shipdate").lt(day("1995-01-01")));
    let discount = DataType::Decimal128(15, 2);
    let few = col("l_discount").between(lit("0.05").cast(discount.clone()), lit("0.07").cast(discount));
    t.read("lineitem").filter(in_1994.and(few).and(col("l_quantity").lt(24)))?.select([(col(
        "l_extendedprice",
    ) * col(
        "l_discount",
    ))
    .sum()
    .alias("revenue")])
}

fn returned(t: &Tables) -> Result<DataFrame, FrameError> {
    let quarter = col("o_orderdate").gt_eq(day("1993-10-01")).and(col("o_orderdate").lt(day("1994-01-01")));
    let customers = join(&t.read("customer"), &t.read("nation"), "c_nationkey", "n_nationkey")?;
    let orders = join(&t.read("orders").filter(quarter)?, &customers, "o_custkey", "c_custkey")?;
    let lines = t.read("lineitem").filter(col("l_returnflag").eq("R"))?;
    join(&lines, &orders, "l_orderkey", "o_orderkey")?
        .rename([("o_custkey", "c_custkey")])?
        .group_by(["c_custkey", "c_name", "c_acctbal", "c_phone", "n_name", "c_address", "c_comment"])
        .agg([revenue().sum().alias("revenue")])?
        .top_k(20, "revenue")?
        .select([
            "c_custkey",
            "c_name",
            "revenue",
            "c_acctbal",
            "n_name",
            "c_address",
            "c_phone",
            "c_comment",
        ])
}

fn modes(t: &Tables) -> Result<DataFrame, FrameError> {
    let dates = col("l_commitdate")
        .lt(col("l_receiptdate"))
        .and(col("l_shipdate").lt(col("l_commitdate")))
        .and(col("l_receiptdate").gt_eq(day("1994-01-01")))
        .and(col("l_receiptdate").lt(day("1995-01-01")));
    let lines = t.read("lineitem").filter(col("l_shipmode").is_in(["MAIL", "SHIP"]).and(dates))?;
    let urgent = col("o_orderpriority").is_in(["1-URGENT", "2-HIGH"]);
    join(&lines, &t.read("orders"), "l_orderkey", "o_orderkey")?
        .group_by(["l_shipmode"])
        .agg([
            when(urgent.clone(), 1).otherwise(0).sum().alias("high_line_count"),
            when(!urgent, 1).otherwise(0).sum().alias("low_line_count"),
        ])?
        .sort(["l_shipmode"])
}

fn large_orders(t: &Tables) -> Result<DataFrame, FrameError> {
    let large =
        t.read("lineitem").group_by(["l_orderkey"]).agg([col("l_quantity").sum().alias("quantity")])?;
    let large = large.filter(col("quantity").gt(300))?;
    let orders = join(&t.read("orders"), &t.read("customer"), "o_custkey", "c_custkey")?;
    join(
        &join(&orders, &large, "o_orderkey", "l_orderkey")?,
        &t.read("lineitem"),
        "o_orderkey",
        "l_orderkey",
    )?
    .rename([("o_custkey", "c_custkey")])?
    .group_by(["c_name", "c_custkey", "o_orderkey", "o_orderdate", "o_totalprice"])
    .agg([col("l_quantity").sum()])?
    .sort([col("o_totalprice").desc(), col("o_orderdate").asc()])?
    .head(100)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_give_the_answers_of_sql() {
    let queries: [(&str, Query); 7] = [
        ("q01", pricing),
        ("q03", shipping),
        ("q05", local_suppliers),
        ("q06", forecast),
        ("q10", returned),
        ("q12", modes),
        ("q18", large_orders),
    ];
    let plain = data::plain().await;
    for (name, query) in queries {
        let path = format!("{}/tests/queries/{name}.sql", env!("CARGO_MANIFEST_DIR"));
        let sql = std::fs::read_to_string(path).unwrap();
        let expected = data::rows(&plain.sql(&sql).await.unwrap().collect().await.unwrap());
        assert!(!expected.is_empty(), "{name}");
        for on in executors() {
            let df = query(&Tables(on)).unwrap_or_else(|e| panic!("{name}: {e}"));
            let got = df.collect().unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(data::rows(&got), expected, "{name}");
            assert_eq!(df.planned().unwrap().graph.wrong(), None);
        }
    }
}
