//! Tables as users write them, in 1, 3 and 5 partitions: the answers are the same, and are those of a plain loop.

#![allow(clippy::type_complexity, reason = "rows are tuples")]

use std::num::NonZeroUsize;
use std::sync::Arc;
use tilework_frame::RunnerOptions;
use tilework_frame::prelude::*;

/// Executors that plan into 1, 3 and 5 partitions.
pub fn executors() -> Vec<Arc<dyn Execute>> {
    let with = |n: usize| {
        let mut planning = Planning::default();
        planning.n_partitions = NonZeroUsize::new(n);
        planning.broadcast_bytes_max = if n == 3 { 0 } else { planning.broadcast_bytes_max };
        let spill_dir = std::env::temp_dir();
        LocalExecute::with(RunnerOptions { n_threads: 2, spill_dir, spill_bytes_max: 1 << 30 }, planning)
            .unwrap()
    };
    [1, 3, 5].map(with).into()
}

/// Keys, some of them missing, and numbers, in an order that is not theirs.
fn rows() -> Vec<(Option<String>, Option<i64>, f64)> {
    let key = |i: i64| (i % 7 != 3).then(|| format!("k{}", i * i % 5));
    (0..200).map(|i| (key(i), (i % 11 != 5).then_some(i * 37 % 101), (i * 53 % 97) as f64 / 4.0)).collect()
}

fn frame(on: &Arc<dyn Execute>) -> DataFrame {
    let rows = rows();
    let keys = values(rows.iter().map(|(k, _, _)| k.clone()));
    let xs = values(rows.iter().map(|(_, x, _)| *x));
    let ys = values(rows.iter().map(|(_, _, y)| *y));
    from_columns(on, [("k", keys), ("x", xs), ("y", ys)]).unwrap()
}

#[test]
fn rows_keep_their_order_where_nothing_is_shuffled() {
    let expected = rows();
    for on in executors() {
        let df = frame(&on);
        assert_eq!(df.rows::<(Option<String>, Option<i64>, f64)>().unwrap(), expected);
        assert_eq!(df.shape().unwrap(), (200, 3));
        let slice = df.slice(90, 30).unwrap().to_vec::<f64>("y").unwrap();
        assert_eq!(slice, expected[90..120].iter().map(|r| r.2).collect::<Vec<_>>());
        let tail = df.tail(70).unwrap().to_vec::<f64>("y").unwrap();
        assert_eq!(tail, expected[130..].iter().map(|r| r.2).collect::<Vec<_>>());
        let kept = df.filter(col("x").gt(50)).unwrap().to_vec::<i64>("x").unwrap();
        assert_eq!(kept, expected.iter().filter_map(|r| r.1).filter(|x| *x > 50).collect::<Vec<_>>());
        let numbers = df.with_row_index("n").unwrap().to_vec::<i64>("n").unwrap();
        assert_eq!(numbers, (0..200).collect::<Vec<_>>());
        let both = concat(&[df.clone(), df.select(["y", "x", "k"]).unwrap()]).unwrap();
        assert_eq!(both.slice(195, 10).unwrap().to_vec::<f64>("y").unwrap(), {
            let ys: Vec<f64> = expected.iter().map(|r| r.2).collect();
            [&ys[195..], &ys[..5]].concat()
        });
    }
}

#[test]
fn sorts_are_stable_and_put_what_is_missing_last() {
    for on in executors() {
        let df = frame(&on).with_row_index("n").unwrap();
        for descending in [false, true] {
            let key = if descending { col("k").desc() } else { col("k").asc() };
            let got = df.sort([key]).unwrap().rows::<(i64, Option<String>, Option<i64>, f64)>().unwrap();
            let mut expected: Vec<(i64, Option<String>)> =
                rows().into_iter().enumerate().map(|(n, r)| (n as i64, r.0)).collect();
            expected.sort_by(|(_, a), (_, b)| {
                let order = a.cmp(b);
                a.is_none().cmp(&b.is_none()).then(if descending { order.reverse() } else { order })
            });
            let got: Vec<(i64, Option<String>)> = got.into_iter().map(|(n, k, _, _)| (n, k)).collect();
            assert_eq!(got, expected);
        }
        let floats = from_columns(
            &on,
            [("f", values([Some(1.0), None, Some(-f64::NAN), Some(f64::INFINITY), Some(-1.0)]))],
        );
        let shown = |df: DataFrame| -> Vec<String> {
            df.to_vec::<Option<f64>>("f")
                .unwrap()
                .iter()
                .map(|f| f.map_or("null".into(), |f| f.to_string()))
                .collect()
        };
        let floats = floats.unwrap();
        assert_eq!(shown(floats.sort(["f"]).unwrap()), ["-1", "1", "inf", "NaN", "null"]);
        assert_eq!(shown(floats.sort([col("f").desc()]).unwrap()), ["NaN", "inf", "1", "-1", "null"]);
        assert_eq!(shown(floats.top_k(1, "f").unwrap()), ["NaN"]);
        assert_eq!(shown(floats.select([col("f").min(),]).unwrap()), ["-1"]);
    }
}

#[test]
fn groups_are_those_of_a_plain_loop() {
    use std::collections::BTreeMap;
    let mut groups: BTreeMap<Option<String>, Vec<(Option<i64>, f64)>> = BTreeMap::new();
    for (k, x, y) in rows() {
        groups.entry(k).or_default().push((x, y));
    }
    type Row = (Option<String>, i64, i64, i64, f64, f64, Option<i64>, f64);
    let expected: BTreeMap<Option<String>, (i64, i64, i64, f64, f64, Option<i64>, f64)> = groups
        .into_iter()
        .map(|(k, rows)| {
            let xs: Vec<i64> = rows.iter().filter_map(|r| r.0).collect();
            let least = rows.iter().map(|r| r.1).fold(f64::INFINITY, f64::min);
            let most = rows.iter().map(|r| r.1).fold(0.0, f64::max);
            let (first, last) = (rows[0].0, rows[rows.len() - 1].1);
            (k, (rows.len() as i64, xs.len() as i64, xs.iter().sum(), least, most, first, last))
        })
        .collect();
    for on in executors() {
        let aggregates = [
            len(),
            col("x").count().alias("n"),
            col("x").sum().alias("sum"),
            col("y").min().alias("least"),
            col("y").max().alias("most"),
            col("x").first().alias("first"),
            col("y").last().alias("last"),
        ];
        let got: Vec<Row> = frame(&on).group_by(["k"]).agg(aggregates).unwrap().rows().unwrap();
        let got: BTreeMap<_, _> =
            got.into_iter().map(|(k, a, b, c, d, e, f, g)| (k, (a, b, c, d, e, f, g))).collect();
        assert_eq!(got, expected);
    }
}

#[test]
fn the_first_and_the_last_of_equal_rows_are_kept() {
    for on in executors() {
        let df = frame(&on).with_row_index("n").unwrap();
        for keep in [KeepRow::First, KeepRow::Last, KeepRow::None] {
            let got = df.unique(["k"], keep).unwrap().sort(["n"]).unwrap().to_vec::<usize>("n").unwrap();
            let keys: Vec<Option<String>> = rows().into_iter().map(|r| r.0).collect();
            let of = |n: usize| {
                keys.iter().enumerate().filter(|(_, k)| **k == keys[n]).map(|(n, _)| n).collect::<Vec<_>>()
            };
            let kept = |n: &usize| match keep {
                KeepRow::First => of(*n).first() == Some(n),
                KeepRow::Last => of(*n).last() == Some(n),
                _ => of(*n).len() == 1,
            };
            assert_eq!(got, (0..200).filter(kept).collect::<Vec<_>>());
        }
        // No sort is needed for what is in the order of the rows.
        let plan = df.select([col("x").cum_sum()]).unwrap().explain().unwrap();
        assert!(!plan.contains("SortExec"), "{plan}");
    }
}

#[test]
fn what_is_made_of_other_rows_is_in_the_order_of_the_rows() {
    let xs: Vec<Option<i64>> = rows().into_iter().map(|r| r.1).collect();
    let shifted: Vec<Option<i64>> = (0..200).map(|i| if i == 0 { None } else { xs[i - 1] }).collect();
    let filled: Vec<Option<i64>> =
        (0..200).map(|i| xs[..=i].iter().rev().flatten().next().copied()).collect();
    let filled_back: Vec<Option<i64>> = (0..200).map(|i| xs[i..].iter().flatten().next().copied()).collect();
    let sums: Vec<i64> = (0..200).map(|i| xs[..=i].iter().flatten().sum()).collect();
    for on in executors() {
        let made = frame(&on).select([
            col("x"),
            col("x").shift(1).alias("shifted"),
            col("x").forward_fill().alias("filled"),
            col("x").backward_fill().alias("back"),
            col("x").cum_sum().alias("sum"),
            col("x").rank(RankMethod::Min).alias("rank"),
        ]);
        let made: Vec<(Option<i64>, Option<i64>, Option<i64>, Option<i64>, i64, Option<i64>)> =
            made.unwrap().rows().unwrap();
        assert_eq!(made.iter().map(|r| r.0).collect::<Vec<_>>(), xs);
        assert_eq!(made.iter().map(|r| r.1).collect::<Vec<_>>(), shifted);
        assert_eq!(made.iter().map(|r| r.2).collect::<Vec<_>>(), filled);
        assert_eq!(made.iter().map(|r| r.3).collect::<Vec<_>>(), filled_back);
        assert_eq!(made.iter().map(|r| r.4).collect::<Vec<_>>(), sums);
        let rank =
            |x: Option<i64>| x.map(|x| 1 + xs.iter().flatten().filter(|other| **other < x).count() as i64);
        assert_eq!(
            made.iter().map(|r| r.5).collect::<Vec<_>>(),
            xs.iter().map(|x| rank(*x)).collect::<Vec<_>>()
        );
    }
}

#[test]
fn joins_of_all_kinds_have_their_keys_once() {
    for on in executors() {
        let a = from_columns(
            &on,
            [("k", values([Some(1), Some(2), Some(2), None])), ("x", values([10, 20, 21, 30]))],
        )
        .unwrap();
        let b =
            from_columns(&on, [("k", values([Some(2_i64), Some(3), None])), ("x", values(["b", "c", "n"]))])
                .unwrap();
        let join = |how: JoinHow| {
            let joined = a.join(&b, ["k"], how).unwrap();
            let mut rows: Vec<(Option<i64>, Option<i64>, Option<String>)> = joined.rows().unwrap();
            rows.sort();
            rows.into_iter()
                .map(|(k, x, y)| format!("{k:?} {x:?} {y:?}").replace("Some", ""))
                .collect::<Vec<_>>()
        };
        let both = ["(2) (20) (\"b\")", "(2) (21) (\"b\")"];
        assert_eq!(join(JoinHow::Inner), both);
        assert_eq!(join(JoinHow::Left), ["None (30) None", "(1) (10) None", both[0], both[1]]);
        assert_eq!(join(JoinHow::Right), ["None None (\"n\")", both[0], both[1], "(3) None (\"c\")"]);
        let full =
            ["None None (\"n\")", "None (30) None", "(1) (10) None", both[0], both[1], "(3) None (\"c\")"];
        assert_eq!(join(JoinHow::Full), full);
        let one_side = |how| a.join(&b, ["k"], how).unwrap().sort(["x"]).unwrap().to_vec::<i64>("x").unwrap();
        assert_eq!(one_side(JoinHow::Semi), [20, 21]);
        assert_eq!(one_side(JoinHow::Anti), [10, 30]);
        let options = JoinOptions { left_on: vec!["k".into()], nulls_equal: true, ..JoinOptions::default() };
        assert_eq!(a.join_with(&b, &options).unwrap().shape().unwrap(), (3, 3));
        assert_eq!(
            a.cross_join(&b.select([col("k").alias("other")]).unwrap()).unwrap().shape().unwrap(),
            (12, 3)
        );
    }
}

/// An error of this text, which nothing was run for.
fn refused(made: Result<DataFrame, FrameError>, contains: &str) {
    let error = made.unwrap_err().to_string();
    assert!(error.contains(contains), "{error:?} does not contain {contains:?}");
}

#[test]
fn mistakes_are_found_where_they_are_made() {
    let on = executors().remove(1);
    let df = frame(&on).with_column("Price", lit(1.5)).unwrap();
    refused(df.select(["price"]), "there is no column \"price\"; did you mean \"Price\"?");
    refused(df.filter(col("nothing at all").gt(1)), "there is no column \"nothing at all\"");
    refused(df.drop(["z"]), "there is no column \"z\"");
    refused(df.select([col("x"), col("y").alias("x")]), "two columns would be called \"x\"");
    refused(df.rename([("x", "y")]), "two columns would be called \"y\"");
    refused(df.group_by(["k"]).agg([col("x") + col("y").sum()]), "column \"x\" has many values in a group");
    refused(
        df.join(&df.rename([("x", "k"), ("k", "x")]).unwrap(), ["x"], JoinHow::Inner),
        "key \"x\": Int64 and",
    );
    refused(df.join(&df, Vec::<&str>::new(), JoinHow::Inner), "keys: a join needs some");
    let texts = df.select([col("k").alias("x")]).unwrap();
    refused(concat(&[df.select(["x"]).unwrap(), texts]), "column \"x\" of tables one below another");
    refused(sql(&on, "selec 1"), "Line: 1, Column: 1");
    refused(sql_on(&on, "select nothing from t", &[("t", &df)]), "nothing");
    refused(df.filter_sql("x >"), "Expected");
}

#[test]
fn what_does_not_fit_is_an_error_and_never_wrapped() {
    let failed = |df: Result<DataFrame, FrameError>, contains: &str| {
        let error = df.unwrap().collect().unwrap_err().to_string();
        assert!(error.to_lowercase().contains(contains), "{error:?} does not contain {contains:?}");
    };
    for on in executors() {
        let df = from_columns(&on, [("x", values([i64::MAX, 1, 0])), ("k", values([1, 1, 2]))]).unwrap();
        failed(df.select([col("x") + lit(1_i64)]), "overflow");
        failed(df.select([lit(-2_i64) - col("x")]), "overflow");
        failed(df.select([col("x") * lit(2_i64)]), "overflow");
        failed(df.select([lit(i64::MAX) + lit(1_i64)]), "overflow");
        failed(sql(&on, "select 2147483647 * 9223372036854775807 - 1"), "overflow");
        failed(df.select([col("x").sum()]), "overflow");
        failed(df.group_by(["k"]).agg([col("x").sum()]), "overflow");
        failed(df.select([col("x").cum_sum()]), "overflow");
        failed(df.select([lit(1_i64).floor_div(col("x"))]), "divide by zero");
        failed(sql_on(&on, "select sum(x) from t", &[("t", &df)]), "overflow");
        assert_eq!(
            df.select([lit(1.0) / col("x")]).unwrap().to_vec::<f64>("literal").unwrap_or_default().len(),
            0
        );
        let rows = df.select([(lit(1) / col("x")).alias("q")]).unwrap().to_vec::<f64>("q").unwrap();
        assert!(rows[2].is_infinite());
    }
}

#[test]
fn nan_is_the_greatest_wherever_it_is_asked_for() {
    for on in executors() {
        let df = from_columns(&on, [("k", values([1, 1, 1])), ("f", values([1.0, -f64::NAN, 0.5]))]).unwrap();
        let most = |df: Result<DataFrame, FrameError>| df.unwrap().to_vec::<f64>("f").unwrap();
        assert!(most(df.select([col("f").max()]))[0].is_nan());
        assert!(most(df.group_by(["k"]).agg([col("f").max()]))[0].is_nan());
        assert!(most(df.select([col("f").max().over(["k"])]))[0].is_nan());
        assert!(most(df.select([col("f").rolling_max(2)]).unwrap().drop_nulls(["f"]))[0].is_nan());
        assert_eq!(most(df.group_by(["k"]).agg([col("f").min()])), [0.5]);
    }
}

#[test]
fn deep_expressions_and_plans_need_no_large_stack() {
    let on = executors().remove(1);
    let df = from_columns(&on, [("x", values([1_i64, 2]))]).unwrap();
    let sum = (0..200).fold(col("x"), |sum, _| sum + col("x"));
    let condition = (0..300).fold(col("x").lt(0), |any, i| any.or(col("x").eq(i)));
    let summed = df.filter(condition).unwrap().select([sum]).unwrap();
    assert_eq!(summed.to_vec::<i64>("x").unwrap(), [201, 402]);
    // One within another, of which protobuf reads no more than some fifty.
    let nested =
        |n: i64| (1..n).fold(col("x"), |inner, i| when(col("x").gt(i + 1000), lit(i)).otherwise(inner));
    let cases = df.select([nested(600)]).unwrap();
    assert_eq!(cases.to_vec::<i64>("x").unwrap(), [1, 2]);
    let error = df.select([nested(1002)]).unwrap_err();
    assert!(
        matches!(&error, FrameError::Unsupported { what, .. } if what.contains("levels deep")),
        "{error}"
    );
    let many = (0..60).fold(df, |df, i| df.with_column(format!("c{i}"), col("x") + i).unwrap());
    assert_eq!(many.shape().unwrap(), (2, 61));
}

#[tokio::test]
async fn plans_are_made_and_run_from_within_a_runtime_too() {
    let on = executors().remove(1);
    assert_eq!(frame(&on).select([col("x").count()]).unwrap().to_vec::<i64>("x").unwrap(), [182]);
}

#[test]
fn spans_of_time_and_ranges_of_them() {
    for on in executors() {
        let times = ["2024-01-30", "2024-02-01 23:59", "2024-02-29", "2024-04-01", "2024-12-31 10:00"];
        let df = from_columns(&on, [("t", values(times)), ("x", values([1, 2, 3, 4, 5]))]).unwrap();
        let df = df.with_columns([col("t").str().to_datetime(None, true)]).unwrap();
        let sums = |every: &str| -> Vec<(String, i64)> {
            let sums = df.group_by_dynamic::<&str>("t", every, []).unwrap().agg([col("x").sum()]).unwrap();
            sums.sort(["t"]).unwrap().with_columns([col("t").dt().format("%m-%d")]).unwrap().rows().unwrap()
        };
        let expect = |of: &[(&str, i64)]| of.iter().map(|(t, n)| ((*t).to_owned(), *n)).collect::<Vec<_>>();
        assert_eq!(sums("1mo"), expect(&[("01-01", 1), ("02-01", 5), ("04-01", 4), ("12-01", 5)]));
        assert_eq!(sums("1q"), expect(&[("01-01", 6), ("04-01", 4), ("10-01", 5)]));
        assert_eq!(sums("1w"), expect(&[("01-29", 3), ("02-26", 3), ("04-01", 4), ("12-30", 5)]));
        assert_eq!(sums("1y"), expect(&[("01-01", 15)]));
        let months = date_range(&on, "t", "2024-01-01", "2024-06-01", "1mo").unwrap();
        let by_month = df.group_by_dynamic::<&str>("t", "1mo", []).unwrap().agg([col("x").sum()]).unwrap();
        let all = months.join(&by_month, ["t"], JoinHow::Left).unwrap().sort(["t"]).unwrap();
        assert_eq!(all.to_vec::<Option<i64>>("x").unwrap(), [Some(1), Some(5), None, Some(4), None, None]);
        refused(
            df.group_by_dynamic::<&str>("t", "1 fortnight", []).map(|_| df.clone()),
            "\"1 fortnight\" is none of",
        );
        refused(df.group_by_dynamic::<&str>("x", "1h", []).map(|_| df.clone()), "Int32 and a time");
        refused(date_range(&on, "t", "yesterday", "2024-01-01", "1d"), "\"yesterday\" is no time");
    }
}

#[test]
fn what_has_no_form_as_tasks_is_refused_before_it_runs() {
    let on = executors().remove(0);
    let recursive =
        "with recursive n as (select 1 as i union all select i + 1 from n where i < 5) select * from n";
    let error = sql(&on, recursive).unwrap().collect().unwrap_err();
    assert!(matches!(error, FrameError::Unsupported { .. }), "{error}");
    let error = sql(&on, "select random()").unwrap().collect().unwrap_err();
    assert!(matches!(error, FrameError::Unsupported { .. }), "{error}");
    assert!(sql(&on, "create table t as select 1").is_err());
}

#[test]
fn graphs_of_tables_in_memory_can_be_scheduled() {
    for on in executors() {
        let df = frame(&on);
        let sums = df.group_by(["k"]).agg([col("x").sum()]).unwrap();
        let both = concat(&[sums.clone(), df.select(["k", "x"]).unwrap()]).unwrap();
        let joined = both.join(&sums, ["k"], JoinHow::Left).unwrap().sort(["x"]).unwrap();
        for made in [&df, &sums, &both, &joined] {
            let graph = made.planned().unwrap().graph;
            assert_eq!(graph.wrong(), None);
            // The same table is one source for each set of columns.
            assert!(graph.sources.len() <= 2, "{}", graph.sources.len());
            let bytes: usize = graph.stages.iter().map(|stage| stage.payload.len()).sum();
            assert!(bytes < 30_000, "rows do not travel in plans: {bytes}");
        }
    }
}

/// Skewness and excess kurtosis of values, and both as estimates, by the definitions.
fn shapes(values: &[f64]) -> [f64; 4] {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let m = |power| values.iter().map(|x| (x - mean).powi(power)).sum::<f64>() / n;
    let (skew, excess) = (m(3) / m(2).powf(1.5), m(4) / m(2).powi(2) - 3.0);
    let of_all = (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * excess + 6.0);
    [skew, skew * (n * (n - 1.0)).sqrt() / (n - 2.0), excess, of_all]
}

#[test]
fn shapes_products_and_modes_of_groups_are_those_of_a_loop() {
    for on in executors() {
        let y = || col("y");
        let asked = [
            y().skew(true),
            y().skew(false),
            y().kurtosis(true, true),
            y().kurtosis(true, false),
            (y() / 10.0).product(),
            col("x").mode(),
        ];
        let named = asked.into_iter().zip(["a", "b", "c", "d", "p", "m"]).map(|(e, name)| e.alias(name));
        let got = frame(&on).group_by(["k"]).agg(named).unwrap().sort(["k"]).unwrap();
        type Row = (Option<String>, f64, f64, f64, f64, f64, Option<i64>);
        let got = got.rows::<Row>().unwrap();
        assert_eq!(got.len(), 4);
        for (k, a, b, c, d, product, mode) in got {
            let of: Vec<_> = rows().into_iter().filter(|row| row.0 == k).collect();
            let ys: Vec<f64> = of.iter().map(|row| row.2).collect();
            for (got, expected) in [a, b, c, d].into_iter().zip(shapes(&ys)) {
                assert!((got - expected).abs() < 1e-9 * expected.abs().max(1.0), "{k:?}: {got} {expected}");
            }
            let expected: f64 = ys.iter().map(|y| y / 10.0).product();
            assert!((product - expected).abs() <= 1e-9 * expected.abs(), "{product} {expected}");
            let count = |x: i64| of.iter().filter(|row| row.1 == Some(x)).count();
            let most = (0..101).map(count).max();
            assert_eq!(mode, (0..101).find(|x| Some(count(*x)) == most));
        }
    }
}

#[test]
fn of_few_or_equal_values_shapes_say_so() {
    for on in executors() {
        let df = from_columns(&on, [("x", values([Some(2), Some(2), None]))]).unwrap();
        let asked = [col("x").skew(true).alias("a"), col("x").skew(false).alias("b")];
        let got = df.select(asked).unwrap().rows::<(Option<f64>, Option<f64>)>().unwrap();
        assert!(got[0].0.unwrap().is_nan() && got[0].1.is_none(), "{got:?}");
        let none = df.filter(col("x").gt(2)).unwrap();
        let asked = [
            col("x").skew(true).alias("a"),
            col("x").kurtosis(false, true).alias("b"),
            col("x").product().cast(DataType::Float64).alias("c"),
            col("x").mode().cast(DataType::Float64).alias("d"),
        ];
        let got = none.select(asked).unwrap();
        type Row = (Option<f64>, Option<f64>, Option<f64>, Option<f64>);
        assert_eq!(got.rows::<Row>().unwrap(), [(None, None, None, None)]);
        let text = from_columns(&on, [("s", values(["a"]))]).unwrap();
        let error = text.select([col("s").skew(true)]).unwrap_err().to_string();
        assert!(error.contains("skew is of numbers"), "{error}");
    }
}

#[test]
fn what_is_missing_lies_on_the_line_between_its_neighbours() {
    // Runs of missing values of all lengths, across partitions.
    let known = |i: usize| (3..190).contains(&i) && (i * i) % 17 < 4;
    let x: Vec<Option<i64>> = (0..200).map(|i| known(i).then_some((i * i % 91) as i64)).collect();
    let line = |i: usize| {
        let before = (0..=i).rev().find(|i| known(*i))?;
        let after = (i..200).find(|i| known(*i))?;
        let (a, b) = (x[before]? as f64, x[after]? as f64);
        Some(if before == after { a } else { a + (b - a) * ((i - before) as f64 / (after - before) as f64) })
    };
    let expected: Vec<Option<f64>> = (0..200).map(line).collect();
    let key: Vec<i64> = (0..200).map(|i| i % 2).collect();
    for on in executors() {
        let df = from_columns(&on, [("k", values(key.clone())), ("x", values(x.clone()))]).unwrap();
        let all = df.select([col("x").interpolate()]).unwrap().to_vec::<Option<f64>>("x").unwrap();
        assert_eq!(all, expected);
        let odd =
            df.with_row_index("n").unwrap().with_column("x", col("x").interpolate().over(["k"])).unwrap();
        let odd =
            odd.filter(col("k").eq(1)).unwrap().sort(["n"]).unwrap().to_vec::<Option<f64>>("x").unwrap();
        let alone = df.filter(col("k").eq(1)).unwrap().select([col("x").interpolate()]).unwrap();
        assert_eq!(odd, alone.to_vec::<Option<f64>>("x").unwrap());
    }
}

#[test]
fn intervals_of_equally_many_values_have_quantiles_for_bounds() {
    for on in executors() {
        let df = frame(&on).filter(col("y").lt(24)).unwrap();
        let cut = df.with_qcut("q", "y", 4).unwrap();
        let counts = cut.group_by(["q"]).agg([len().alias("n"), col("y").max().alias("most")]).unwrap();
        let counts = counts.sort(["most"]).unwrap().rows::<(String, i64, f64)>().unwrap();
        let quartile = |share| df.select([col("y").quantile(share)]).unwrap().to_vec::<f64>("y").unwrap()[0];
        let bounds = [0.0, 0.25, 0.5, 0.75, 1.0].map(quartile);
        for (i, (text, n, most)) in counts.iter().enumerate() {
            let open = if i == 0 { '[' } else { '(' };
            assert_eq!(*text, format!("{open}{}, {}]", bounds[i], bounds[i + 1]));
            assert!(*most <= bounds[i + 1]);
            assert!((45..=52).contains(n), "{n}");
        }
        assert_eq!(counts.len(), 4);
        let missing =
            from_columns(&on, [("x", values([Some(1.0), None, Some(f64::NAN), Some(2.0)]))]).unwrap();
        let halves = missing.with_qcut("q", "x", 2).unwrap().to_vec::<Option<String>>("q").unwrap();
        assert_eq!(halves, [Some("[1, 1.5]".into()), None, None, Some("(1.5, 2]".into())]);
        let error = |n| missing.with_qcut("q", "x", n).unwrap_err().to_string();
        assert!(error(0).contains("expected at least 1"), "{}", error(0));
        let same = from_columns(&on, [("x", values([1, 1, 1, 5]))]).unwrap();
        let text = same.with_qcut("q", "x", 3).unwrap_err().to_string();
        assert!(text.contains("'x' cannot be divided into 3 intervals: two bounds are 1"), "{text}");
        let none = same.filter(col("x").gt(9)).unwrap().with_qcut("q", "x", 3).unwrap_err().to_string();
        assert!(none.contains("'x' has no values"), "{none}");
        assert!(same.with_qcut("q", "y", 3).unwrap_err().to_string().contains('y'));
    }
}

#[test]
fn what_depends_on_the_order_of_rows_sees_a_sort_before_it() {
    let dir = tempfile::tempdir().unwrap();
    for (p, on) in executors().into_iter().enumerate() {
        let ordered = frame(&on).sort([col("y").desc(), col("x").asc()]).unwrap();
        let mut expected = rows();
        // What is missing comes last, and equal ones stay in their order.
        expected
            .sort_by(|a, b| b.2.total_cmp(&a.2).then(a.1.is_none().cmp(&b.1.is_none())).then(a.1.cmp(&b.1)));
        let ys: Vec<f64> = expected.iter().map(|row| row.2).collect();
        let xs: Vec<Option<i64>> = expected.iter().map(|row| row.1).collect();
        let y_of = |df: DataFrame| df.to_vec::<f64>("y").unwrap();

        let numbered = ordered.with_row_index("n").unwrap().rows::<(i64, Option<String>, Option<i64>, f64)>();
        let numbered: Vec<(i64, f64)> = numbered.unwrap().into_iter().map(|row| (row.0, row.3)).collect();
        assert_eq!(numbered, (0..).zip(ys.iter().copied()).collect::<Vec<_>>());
        let third = ordered.with_row_index("n").unwrap().filter(col("n").eq(3)).unwrap();
        assert_eq!(y_of(third), [ys[3]]);

        let sums = ordered.select([col("y").cum_sum()]).unwrap();
        let running = ys.iter().scan(0.0, |sum, y| {
            *sum += y;
            Some(*sum)
        });
        assert_eq!(y_of(sums), running.collect::<Vec<_>>());
        let before = ordered.select([col("y").shift(1)]).unwrap().to_vec::<Option<f64>>("y").unwrap();
        assert_eq!(before[1..], ys[..199].iter().copied().map(Some).collect::<Vec<_>>());
        let filled = ordered.select([col("x").forward_fill()]).unwrap().to_vec::<Option<i64>>("x").unwrap();
        let last = xs.iter().scan(None, |last, x| {
            *last = x.or(*last);
            Some(*last)
        });
        assert_eq!(filled, last.collect::<Vec<_>>());

        assert_eq!(y_of(ordered.tail(7).unwrap()), ys[193..]);
        assert_eq!(y_of(ordered.slice(20, 9).unwrap()), ys[20..29]);
        assert_eq!(y_of(ordered.select([col("y").first()]).unwrap()), [ys[0]]);
        let firsts = ordered.group_by(["k"]).agg([col("y").first()]).unwrap().sort(["k"]).unwrap();
        for (k, y) in firsts.rows::<(Option<String>, f64)>().unwrap() {
            assert_eq!(Some(y), expected.iter().find(|row| row.0 == k).map(|row| row.2));
        }
        // A second sort leaves those that are equal in the order of the first.
        let again = ordered.sort(["k"]).unwrap().rows::<(Option<String>, Option<i64>, f64)>().unwrap();
        let mut twice = expected.clone();
        twice.sort_by(|a, b| a.0.is_none().cmp(&b.0.is_none()).then(a.0.cmp(&b.0)));
        assert_eq!(again, twice);

        let path = dir.path().join(format!("{p}.parquet"));
        ordered.write_parquet(&path, &WriteOptions::default()).unwrap();
        let read = read_parquet(&on, path.to_str().unwrap()).unwrap();
        assert_eq!(y_of(read), ys);
    }
}
