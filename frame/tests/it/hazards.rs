//! What goes wrong without an error where partitions run alone, each as a query that showed it.

use crate::data;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use datafusion::prelude::SessionContext;
use std::sync::Arc;
use tilework_frame::{FrameError, Keep, PlanOptions, Planned, run_local};

/// Small tables with nulls, texts and floats.
const SMALL: &str = "
    create table a as select column1 as k, column2 as v, column3 as t from (values
        (1, 10, 'one'), (2, null, 'two'), (null, 30, 'none'), (4, 40, 'four'), (5, 50, null), (1, 11, 'uno'), (7, null, 'seven'));
    create table b as select column1 as k, column2 as w from (values
        (1, 1.5), (2, 2.5), (null, 3.5), (2, 2.25), (9, 9.5));
    create table c as select column1 as k from (values (1), (4));";

async fn small(context: &SessionContext) {
    for statement in SMALL.split(';').filter(|s| !s.trim().is_empty()) {
        context.sql(statement).await.unwrap().collect().await.unwrap();
    }
}

/// Plans a query and compares what its tasks give with DataFusion in one process.
async fn check(sql: &str, options: PlanOptions) -> Planned {
    let (plain, planner) = (data::plain().await, data::planner(options.clone()).await);
    small(&plain).await;
    small(planner.context()).await;
    let planned = data::planned(&planner, sql).await;
    let expected = data::rows(&plain.sql(sql).await.unwrap().collect().await.unwrap());
    for keep in [Keep::Batches, Keep::Encoded] {
        let ran = run_local(&planned.graph, &planned.schema, &data::runner(), keep, 2).await;
        let got =
            data::rows_of(&ran.unwrap_or_else(|e| panic!("{sql}\n{e}\n{}", planned.stages_shown.join("\n"))));
        let (got, expected) = (data::sorted(got), data::sorted(expected.clone()));
        assert_eq!(got, expected, "{sql}\n{options:?}\n{}", planned.stages_shown.join("\n"));
    }
    planned
}

async fn refused(sql: &str) -> String {
    let planner = data::planner(data::options(3)).await;
    small(planner.context()).await;
    let query = planner.sql(sql).await.unwrap();
    match planner.plan(query).await {
        Err(FrameError::Unsupported { what, .. }) => what,
        other => panic!("{sql}: {other:?}"),
    }
}

#[tokio::test]
async fn a_task_reads_its_own_files_and_not_its_siblings() {
    let planned = check("select count(*), sum(l_quantity) from lineitem", data::options(3)).await;
    assert_eq!(planned.graph.stages[0].n_tasks, 3);
}

#[tokio::test]
async fn window_functions_that_ignore_nulls_are_aggregates_or_refused() {
    for f in ["last_value", "first_value"] {
        let sql = format!(
            "select k, v, {f}(v) ignore nulls over (partition by k > 3 order by t, v \
             rows between unbounded preceding and current row) as filled from a"
        );
        check(&sql, data::options(3)).await;
    }
    for call in ["lag(v)", "lead(v)", "nth_value(v, 2)"] {
        let what = refused(&format!("select {call} ignore nulls over (order by k) from a")).await;
        assert!(what.contains(call.split('(').next().unwrap()), "{what}");
    }
}

#[tokio::test]
async fn no_filter_waits_for_what_another_task_learns() {
    let sql = "select o_orderkey, o_totalprice from orders join customer on o_custkey = c_custkey \
               where c_acctbal < 0 order by o_totalprice desc limit 5";
    let planned = check(sql, data::options(3)).await;
    let shown = planned.stages_shown.join("\n");
    assert!(shown.contains("SortExec: TopK") && !shown.contains("DynamicFilter"), "{shown}");
}

#[tokio::test]
async fn scalar_subqueries_are_joins() {
    let planned = check("select k, v from a where v > (select avg(w) from b) + 10", data::options(3)).await;
    // Of the same name as an aggregate beside it.
    let sql = "select k, avg(v), (select avg(v) from a) as m from a group by k having avg(v) > 0.5 * (select avg(v) from a)";
    check(sql, data::options(3)).await;
    assert!(!planned.stages_shown.join("\n").contains("ScalarSubquery"));
}

#[tokio::test]
async fn joins_that_give_rows_of_the_side_they_collect_give_each_once() {
    let queries = [
        "select * from a left join b on a.k = b.k",
        "select * from a right join b on a.k = b.k",
        "select * from a full join b on a.k = b.k",
        "select * from a full join b on a.k < b.k",
        "select * from a left join b on a.k < b.k and b.w > 2",
        "select * from a, b",
        "select * from a where k in (select k from b)",
        "select * from a where k not in (select k from c)",
        "select * from a where k not in (select k from b)",
        "select * from a where not exists (select 1 from b where b.k = a.k)",
        "select * from a where v > 30 or k in (select k from b)",
        "select c_custkey from customer where c_custkey not in (select o_custkey from orders)",
        "select c_custkey, o_orderkey from customer left join orders on c_custkey = o_custkey and o_totalprice > 300000",
        "select n_name, s_name from nation left join supplier on n_nationkey = s_nationkey and s_acctbal > 9000",
        "select n_name from nation where exists (select 1 from supplier where s_nationkey = n_nationkey and s_acctbal > 9000)",
        "select n_name from nation where not exists (select 1 from supplier where s_nationkey = n_nationkey and s_acctbal > 9000)",
        "select n_name, s_name from nation full join supplier on n_nationkey = s_nationkey and s_acctbal > n_regionkey * 4000",
    ];
    for sql in queries {
        check(sql, data::options(3)).await;
        check(sql, PlanOptions { broadcast_bytes_max: 0, ..data::options(3) }).await;
    }
}

#[tokio::test]
async fn what_has_no_form_as_tasks_is_named() {
    let recursive =
        "with recursive n as (select 1 as i union all select i + 1 from n where i < 5) select * from n";
    assert!(refused(recursive).await.contains("recursive"));
    let planner = data::planner(data::options(2)).await;
    let mine = |_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(ScalarValue::Int64(Some(1))));
    let mine =
        create_udf("mine", vec![DataType::Int64], DataType::Int64, Volatility::Immutable, Arc::new(mine));
    planner.context().register_udf(mine);
    let query = planner.sql("select mine(o_orderkey) from orders").await.unwrap();
    let error = planner.plan(query).await.unwrap_err();
    assert!(matches!(&error, FrameError::Unsupported { what, .. } if what.ends_with("mine")), "{error}");
    assert!(refused("select k, random() from a").await.contains("random"));
    assert!(
        refused("select uuid() from a where k in (select k from b where uuid() <> '')")
            .await
            .contains("uuid")
    );
}

#[tokio::test]
async fn readers_declare_what_an_exchange_knows() {
    // Else the interleaving of groups that are divided alike refuses them.
    let interleaved = "select k, sum(n) from (select o_custkey as k, count(*) as n from orders group by o_custkey \
                       union all select c_custkey, count(*) from customer group by c_custkey) group by k";
    let planned = check(interleaved, data::options(3)).await;
    assert!(planned.stages_shown.join("\n").contains("InterleaveExec"));
    // Else a window whose rows are sorted by what is constant does.
    let windows = "select * from (select c_nationkey, c_mktsegment, year, n, \
                       avg(n) over (partition by c_nationkey, c_mktsegment, year) as mean, \
                       rank() over (partition by c_nationkey, c_mktsegment order by year) as place \
                   from (select c_nationkey, c_mktsegment, extract(year from o_orderdate) as year, count(*) as n \
                         from customer, orders where c_custkey = o_custkey group by 1, 2, 3)) \
                   where year = 1995 and n > 2";
    check(windows, data::options(3)).await;
    let sorted_by_less = [
        "select c_custkey, sum(c_acctbal) over (partition by c_mktsegment, c_nationkey order by c_custkey) \
         from customer where c_mktsegment = 'BUILDING'",
        "select o_orderkey, row_number() over (partition by c_custkey, o_custkey order by o_orderkey) \
         from customer, orders where c_custkey = o_custkey",
        "select k, v, sum(v) over (partition by k order by v, t) from a where t = 'one' or k = 1",
    ];
    for sql in sorted_by_less {
        check(sql, data::options(3)).await;
    }
}

/// Where a union reads exchanges, each is read by all tasks of a stage of its own.
#[tokio::test]
async fn unions_of_what_is_divided_by_values_read_it_by_stages() {
    let queries = [
        "select o_custkey as k, count(*) as n from orders group by o_custkey union all select c_custkey, 1 from customer",
        "select k, n from (select o_custkey as k, count(*) as n from orders group by o_custkey) where n > 2 union all \
         select max(c_custkey), count(*) from customer union all select c_nationkey, count(*) from customer group by 1",
        "select n, count(*) from (select count(*) as n from orders group by o_custkey union all \
         select count(*) from customer group by c_nationkey union all select k from c) group by n",
        "select o_orderkey from orders join customer on o_custkey = c_custkey and c_acctbal < 0 union all select k from a",
        "select o_custkey from orders group by o_custkey union all (select c_custkey from customer order by 1 limit 3)",
    ];
    for sql in queries {
        for n in [1, 3] {
            check(sql, PlanOptions { broadcast_bytes_max: 0, ..data::options(n) }).await;
        }
    }
}

#[tokio::test]
async fn limits_unions_and_sorts_over_partitions() {
    let queries = [
        "select o_orderkey from orders order by o_orderkey limit 7 offset 3",
        "select count(*) from (select l_orderkey from lineitem limit 4000)",
        "select count(*) from (select * from (select l_orderkey from lineitem limit 10) union all select o_orderkey from orders)",
        "(select k from a order by k limit 2) union all select k from b union all (select c_custkey from customer order by 1 limit 3)",
        "select distinct c_nationkey from customer",
        "select sum(n) from (select count(distinct l_suppkey) as n from lineitem group by l_shipmode)",
        "select k, count(*) over () from a",
        "select k, row_number() over (order by k, v, t) from a",
        "select 1 where false",
        "select * from (values (1, 'x'), (2, null)) as t(i, s)",
        "select grouping(k), k, sum(v) from a group by rollup (k)",
        "select k, unnest(vs) from (select k, array_agg(v) as vs from a group by k)",
        "select * from a intersect select * from a where k > 1",
        "select k from a except select k from b",
    ];
    for sql in queries {
        for n in [1, 4] {
            check(sql, data::options(n)).await;
        }
    }
}

#[tokio::test]
async fn a_sort_is_in_order_over_all_partitions() {
    let (planner, runner) = (data::planner(data::options(4)).await, data::runner());
    let planned =
        data::planned(&planner, "select o_totalprice, o_orderkey from orders order by 1 desc, 2").await;
    let ran = run_local(&planned.graph, &planned.schema, &runner, Keep::Batches, 2).await.unwrap();
    let plain = data::plain().await;
    let expected = plain.sql("select o_totalprice, o_orderkey from orders order by 1 desc, 2").await.unwrap();
    assert_eq!(data::rows_of(&ran), data::rows(&expected.collect().await.unwrap()));
}

/// A sort of all rows gives as many partitions as it reads, none of which holds all; what is above it sees one.
#[tokio::test]
async fn a_sort_is_divided_by_ranges_of_its_keys() {
    let (planner, runner) = (data::planner(data::options(4)).await, data::runner());
    let by = "order by l_shipmode desc, l_extendedprice, l_orderkey, l_linenumber";
    let queries = [
        format!("select l_orderkey, l_shipmode from lineitem {by}"),
        format!("select l_orderkey + 1 as k, upper(l_shipmode) as s from lineitem {by}"),
    ];
    let plain = data::plain().await;
    for sql in queries {
        let planned = data::planned(&planner, &sql).await;
        let ran = run_local(&planned.graph, &planned.schema, &runner, Keep::Encoded, 2).await.unwrap();
        assert_eq!(ran.partitions.len(), 4, "{}", planned.stages_shown.join("\n"));
        let rows: Vec<u64> = ran.sizes.iter().map(|(rows, _)| *rows).collect();
        let all: u64 = rows.iter().sum();
        assert!(rows.iter().all(|n| (all / 5..all / 3).contains(n)), "{rows:?}");
        let expected = plain.sql(&sql).await.unwrap().collect().await.unwrap();
        assert!(data::rows_of(&ran) == data::rows(&expected), "{sql}");
    }
    for sql in [
        &format!("select l_orderkey, sum(l_quantity) over ({by}) as s from lineitem {by}"),
        &format!("select count(*), max(n) from (select row_number() over ({by}) as n from lineitem)"),
        &format!("select l_orderkey from lineitem {by} limit 20 offset 7"),
        "select * from (select l_orderkey from lineitem order by 1) limit 10",
        // Rows of groups are merged.
        "select l_shipmode, count(*) from lineitem group by l_shipmode order by 2, 1",
        "select l_comment from lineitem where l_quantity > 1000 order by 1",
    ] {
        check(sql, data::options(4)).await;
    }
}

/// DataFusion takes what a filter fixes, and columns that are equal, for such in the groups of sets without them too.
#[tokio::test]
async fn groups_of_sets_of_keys_are_given_once_and_in_order() {
    let fixed = "from lineitem where l_linestatus = 'F'";
    let same = "from (select l_partkey as k, l_partkey as j from lineitem)";
    let queries = [
        (
            format!(
                "select l_partkey, l_linestatus, count(*) {fixed} group by rollup (l_partkey, l_linestatus)"
            ),
            format!(
                "select l_partkey, 'F' as s, count(*) {fixed} group by 1 union all \
                 select l_partkey, null, count(*) {fixed} group by 1 union all select null, null as j, count(*) {fixed}"
            ),
        ),
        (
            format!("select k, j, count(*) {same} group by cube (k, j)"),
            format!(
                "select k, k as j, count(*) {same} group by 1 union all select k, null, count(*) {same} group by 1 \
                 union all select null, j, count(*) {same} group by 2 union all select null, null as j, count(*) {same}"
            ),
        ),
    ];
    let (plain, runner) = (data::plain().await, data::runner());
    for (sets, spelled_out) in queries {
        // The limit keeps the sort above the union.
        let expected = format!("select * from ({spelled_out} limit 1000000) order by 1, 2");
        let expected = data::rows(&plain.sql(&expected).await.unwrap().collect().await.unwrap());
        for n in [1, 3] {
            let planner = data::planner(data::options(n)).await;
            let planned = data::planned(&planner, &format!("{sets} order by 1, 2")).await;
            let ran = run_local(&planned.graph, &planned.schema, &runner, Keep::Encoded, 2).await.unwrap();
            assert!(data::rows_of(&ran) == expected, "{sets}\n{}", planned.stages_shown.join("\n"));
        }
    }
}

/// Medians of values that are sorted are those of values that are gathered.
#[tokio::test]
async fn medians_of_sorted_values_are_the_same() {
    let queries = [
        "select l_returnflag, median(l_extendedprice) from lineitem group by l_returnflag",
        "select median(l_extendedprice) from lineitem",
        "select median(l_quantity), count(*), median(l_orderkey) + 1 as m from lineitem where l_quantity > 1000",
        "select k, sum(v), median(v) as m, median(k) from a group by k",
        "select k, median(v) filter (where v > 1), median(distinct v), max(t) from a group by k order by k",
        "select k % 2, median(cast(v as double) / 3) from a group by k % 2 having median(v) is not null",
        "select * from a where v > (select median(v) from a)",
        "select l_suppkey, l_linenumber, median(l_tax) from lineitem group by 1, 2",
    ];
    for sql in queries {
        let options = PlanOptions { gather_medians: false, prefer_hash_join: false, ..data::options(3) };
        check(sql, options).await;
    }
    let options = PlanOptions { gather_medians: false, ..data::options(3) };
    let planned = data::planned(&data::planner(options).await, queries[0]).await;
    assert!(planned.stages_shown.join("\n").contains("WindowAggExec"));
}

#[tokio::test]
async fn plans_of_many_files_stay_small() {
    let planner = data::planner(data::options(3)).await;
    let planned =
        data::planned(&planner, "select l_orderkey, max(l_comment) from lineitem group by l_orderkey").await;
    let bytes: Vec<usize> = planned.graph.stages.iter().map(|s| s.payload.len()).collect();
    assert!(bytes.iter().all(|n| *n < 4096), "{bytes:?}");
}

/// Rows that a merge finds equal come from the first partition that has them, and not from each in turn.
#[tokio::test]
async fn a_merge_takes_equal_rows_in_the_order_of_the_partitions() {
    let (planner, runner) = (data::planner(data::options(3)).await, data::runner());
    let planned = data::planned(
        &planner,
        "select c_nationkey, c_custkey from customer order by c_nationkey limit 1000000",
    )
    .await;
    assert!(planned.stages_shown.join("\n").contains("SortPreservingMergeExec"));
    let ran = run_local(&planned.graph, &planned.schema, &runner, Keep::Batches, 2).await.unwrap();
    let place = |row: &String| {
        let (nation, customer) = row.split_once('|').unwrap();
        // Each of three files has 500 customers, and each file is a partition.
        (nation.parse::<usize>().unwrap(), (customer.parse::<usize>().unwrap() - 1) / 500)
    };
    let places: Vec<_> = data::rows_of(&ran).iter().map(place).collect();
    assert!(places.is_sorted());
    assert_eq!(places.windows(2).filter(|w| w[0] != w[1]).count(), 25 * 3 - 1);
}

#[tokio::test]
async fn what_is_no_query_is_an_error_of_the_query() {
    let planner = data::planner(data::options(2)).await;
    for sql in [
        "select nothing from orders",
        "selec 1",
        "create table x as select 1",
        "insert into orders select * from orders",
        "select * from gone",
    ] {
        assert!(matches!(planner.sql(sql).await, Err(FrameError::Query(_))), "{sql}");
    }
}

/// On a thread with a large stack: who plans needs one, as who runs tasks has.
#[test]
fn deep_expressions_reach_the_tasks() {
    let sum = (0..200).map(|i| if i % 2 == 0 { "k" } else { "v" }).collect::<Vec<_>>().join(" + ");
    let any = (0..300).map(|i| format!("k = {i} and v > {i}")).collect::<Vec<_>>().join(" or ");
    let nested =
        (0..40).fold("v".to_owned(), |inner, i| format!("case when k = {i} then {i} else {inner} end"));
    let unions =
        (0..30).map(|i| format!("select k + {i} as k from a")).collect::<Vec<_>>().join(" union all ");
    let queries = [
        format!("select {sum} from a"),
        format!("select k from a where {any}"),
        format!("select {nested} from a"),
        format!("select k, count(*) from ({unions}) group by k"),
    ];
    let all = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for sql in queries {
            runtime.block_on(check(&sql, data::options(2)));
        }
    };
    std::thread::Builder::new().stack_size(256 << 20).spawn(all).unwrap().join().unwrap();
}
