//! Rows and the rows before them in time, on workers.

use crate::kept::sessions;
use std::collections::BTreeMap;
use tilework::Session;
use tilework::dataframe::AsofOptions;
use tilework::dataframe::prelude::*;

const N: i64 = 200_000;

/// Rows in no order of their times, of three keys.
fn rows(session: &Session, step: i64) -> DataFrame {
    let at = |i: i64| i * 7919 % N * step;
    let t: Vec<i64> = (0..N).map(at).collect();
    let k: Vec<i64> = (0..N).map(|i| i % 3).collect();
    let x: Vec<f64> = t.iter().map(|t| *t as f64).collect();
    session.from_columns([("t", values(t)), ("k", values(k)), ("x", values(x))]).unwrap()
}

#[test]
fn each_row_is_joined_with_the_last_one_before_it() {
    for session in sessions() {
        let trades = rows(&session, 2).drop(["x"]).unwrap();
        let quotes = rows(&session, 3).rename([("x", "price")]).unwrap();
        let mut known: BTreeMap<(i64, i64), f64> = BTreeMap::new();
        for (t, k, price) in quotes.rows::<(i64, i64, f64)>().unwrap() {
            known.insert((k, t), price);
        }
        let before = |t: i64, k: i64| known.range((k, i64::MIN)..=(k, t)).next_back().map(|(_, p)| *p);
        let after = |t: i64, k: i64| known.range((k, t)..=(k, i64::MAX)).next().map(|(_, p)| *p);
        let joined = trades.join_asof(&quotes, "t", ["k"]).unwrap();
        let rows: Vec<(i64, i64, Option<f64>)> = joined.rows().unwrap();
        assert_eq!(rows.len() as i64, N);
        assert!(rows.iter().all(|(t, k, price)| *price == before(*t, *k)));
        let side = AsofOptions {
            side: tilework::dataframe::AsofSide::After,
            by: vec!["k".into()],
            ..AsofOptions::default()
        };
        let rows: Vec<(i64, i64, Option<f64>)> =
            trades.join_asof_with(&quotes, "t", &side).unwrap().rows().unwrap();
        assert!(rows.iter().all(|(t, k, price)| *price == after(*t, *k)));
        // Without keys the rows keep their order.
        let few = trades.head(1000).unwrap();
        let joined = few.join_asof::<&str>(&quotes.filter(col("k").eq(0)).unwrap(), "t", []).unwrap();
        let t: Vec<i64> = few.to_vec("t").unwrap();
        let rows: Vec<(i64, i64, i64, Option<f64>)> = joined.rows().unwrap();
        assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), t);
        assert!(rows.iter().all(|(t, _, _, price)| *price == before(*t, 0)));
    }
}

#[test]
fn rolling_means_are_of_a_time_and_of_keys() {
    let seconds = |text: i64| format!("2024-01-01 {:02}:{:02}:{:02}", text / 3600, text / 60 % 60, text % 60);
    for session in sessions() {
        let t: Vec<String> = (0..5000).map(|i| seconds(i * 7919 % 5000)).collect();
        let x: Vec<f64> = (0..5000).map(|i| (i * 7919 % 5000) as f64).collect();
        let k: Vec<i64> = x.iter().map(|x| *x as i64 % 2).collect();
        let df =
            session.from_columns([("t", values(t)), ("x", values(x.clone())), ("k", values(k))]).unwrap();
        let df = df.with_columns([col("t").str().to_datetime(None, true)]).unwrap();
        let sum = col("x").rolling_sum_by("t", "1m").unwrap();
        let got: Vec<f64> = df.select([sum.clone()]).unwrap().to_vec("x").unwrap();
        // The last sixty seconds, of which each has one row.
        let want = |x: f64, step: i64| {
            let x = x as i64;
            (0..60 / step).map(|i| x - i * step).filter(|x| *x >= 0).sum::<i64>() as f64
        };
        assert_eq!(got, x.iter().map(|x| want(*x, 1)).collect::<Vec<_>>());
        let of_keys = df.select([col("x"), sum.over(["k"]).alias("sum")]).unwrap();
        assert!(of_keys.rows::<(f64, f64)>().unwrap().iter().all(|(x, sum)| *sum == want(*x, 2)));
        let error = col("x").rolling_sum_by("t", "soon").unwrap_err();
        assert!(matches!(error, FrameError::Argument { .. }), "{error}");
        let hours = df.group_by_dynamic::<&str>("t", "20m", []).unwrap().agg([col("x").count()]).unwrap();
        let later =
            session.from_columns([("t", values(["2024-01-01 03:10:00"])), ("x", values([1_i64]))]).unwrap();
        let later = later.with_columns([col("t").str().to_datetime(None, true)]).unwrap();
        let all = tilework::dataframe::concat(&[hours, later]).unwrap().upsample("t", "20m").unwrap();
        let counts: Vec<Option<i64>> = all.to_vec("x").unwrap();
        assert_eq!(counts[..6], [Some(1200), Some(1200), Some(1200), Some(1200), Some(200), None]);
    }
}

#[test]
fn means_weigh_less_the_farther_back_their_rows_are() {
    for session in sessions() {
        let x: Vec<f64> = (0..200_000).map(|i| (i % 17) as f64).collect();
        let df = session.from_columns([("x", values(x.clone()))]).unwrap();
        let got: Vec<f64> = df.select([col("x").ewm_mean(0.25)]).unwrap().to_vec("x").unwrap();
        let (mut sum, mut weight) = (0.0, 0.0);
        for (x, got) in x.iter().zip(got) {
            (sum, weight) = (sum * 0.75 + x, weight * 0.75 + 1.0);
            assert_eq!(got, sum / weight);
        }
    }
}
