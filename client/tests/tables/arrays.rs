//! Arrays as tables and tables as arrays.

use crate::kept::sessions;
use tilework::dataframe::{column, from_arrays, prelude::*};
use tilework::prelude::*;
use tilework::{Complex, ndarray};

#[test]
fn arrays_are_tables_in_the_job_that_makes_them() {
    for session in sessions() {
        let x: Array1<f64> = Array::in_chunks(100).linspace(0.0, 999.0, 1000);
        let noise: Array1<f64> = tilework::random::in_chunks(300).uniform(1000, 0.0..1.0, 7);
        let (y, even) = (&x * 2.0 + &noise, x.map_expr(|x| (x % 2.0).eq(0.0)));
        let y_here = y.try_compute_on(&session).unwrap();
        let n: Array1<i32> = Array::in_chunks(-1).arange(0, 1000, 1);
        let columns = [("x", column(&x)), ("y", column(&y)), ("even", column(&even)), ("n", column(&n))];
        let df = session.from_arrays(columns).unwrap();
        assert_eq!(df.planned().unwrap().graph.stages[0].n_tasks, 10);
        assert_eq!(df.shape().unwrap(), (1000, 4));
        let sums =
            df.group_by(["even"]).agg([col("x").sum(), col("n").max()]).unwrap().sort(["even"]).unwrap();
        let want = [(false, 250_000.0, 999), (true, 249_500.0, 998)];
        assert_eq!(sums.rows::<(bool, f64, i32)>().unwrap(), want);
        assert_eq!(df.to_vec::<f64>("y").unwrap(), y_here.to_vec());
        // What a query does not ask for is not computed, of a column that would fail not either.
        let bad = x.map_blocks(|_| -> ndarray::Array1<f64> { panic!("on purpose") });
        let df = session.from_arrays([("x", &x), ("bad", &bad)]).unwrap();
        assert_eq!(df.filter(col("x").lt(3.0)).unwrap().to_vec::<f64>("x").unwrap(), [0.0, 1.0, 2.0]);
        let error = df.to_vec::<f64>("bad").unwrap_err().to_string();
        assert!(error.contains("on purpose"), "{error}");
    }
}

#[test]
fn columns_become_arrays_and_arrays_columns_again() {
    for session in sessions() {
        let x: Array1<f64> = Array::in_chunks(10_000).linspace(0.0, 1.0, 400_000);
        let y = &x * &x;
        let df = session.from_arrays([("x", &x), ("y", &y)]).unwrap();
        let some = df.filter(col("x").gt(0.25)).unwrap();
        let xy = some.to_array::<f64>(["y", "x"]).unwrap();
        let n = some.shape().unwrap().0;
        assert_eq!(xy.shape(), [n, 2]);
        let sums = xy.sum_axis(Axis(0)).try_compute_on(&session).unwrap();
        let all = xy.try_compute_on(&session).unwrap();
        assert_eq!(all.column(1).to_vec(), some.to_vec::<f64>("x").unwrap());
        assert!((sums[0] - all.column(0).sum()).abs() < 1e-6);
        // A group's means, taken off an array of the same length, and a table of that.
        let groups = df.with_column("k", (col("x") * 10.0).cast(DataType::Int32)).unwrap();
        let means = groups.select([col("x"), col("x").mean().over(["k"]).alias("m")]).unwrap();
        let means = means.sort(["x"]).unwrap().col_array::<f64>("m").unwrap();
        let off = &x - &means;
        let back = session.from_arrays([("off", &off)]).unwrap();
        let mean = back.select([col("off").abs().max()]).unwrap().to_vec::<f64>("off").unwrap()[0];
        assert!(mean < 0.06, "{mean}");
        // Columns of a matrix, and other types.
        let (first, second) = (xy.column(0), xy.column(1));
        let again = session.from_arrays([("a", column(&first)), ("b", column(&second))]).unwrap();
        let roots = again.select([(col("a").sqrt() - col("b")).abs().max()]).unwrap();
        assert!(roots.rows::<(f64,)>().unwrap()[0].0 < 1e-12);
        let flags = again.select([col("a").gt(0.5)]).unwrap().col_array::<bool>("a").unwrap();
        let n_true = flags.try_compute_on(&session).unwrap().iter().filter(|flag| **flag).count();
        assert_eq!(n_true, again.filter(col("a").gt(0.5)).unwrap().shape().unwrap().0);
    }
}

#[test]
fn what_is_missing_is_an_error_or_nan() {
    for session in sessions() {
        let x = values([Some(1.5), None, Some(2.5), None]);
        let df = session.from_columns([("x", x), ("n", values([1, 2, 3, 4]))]).unwrap();
        let error = df.to_array::<f64>(["n", "x"]).unwrap_err();
        assert!(matches!(&error, FrameError::Missing { column, n: 2 } if column == "x"), "{error}");
        let filled = df.select([col("x").fill_null(0.5)]).unwrap().col_array::<f32>("x").unwrap();
        assert_eq!(filled.try_compute_on(&session).unwrap().to_vec(), [1.5, 0.5, 2.5, 0.5]);
        let nan =
            df.to_array_with::<f64>(["x", "n"], Nulls::AsNan).unwrap().try_compute_on(&session).unwrap();
        assert!(nan[[1, 0]].is_nan() && nan[[3, 1]] == 4.0);
        let error = df.col_array_with::<i64>("n", Nulls::AsNan).unwrap_err();
        assert!(matches!(error, FrameError::Argument { argument: "nulls", .. }), "{error}");
        // Nothing at all is an array too.
        let none = df.filter(col("n").gt(9)).unwrap();
        assert_eq!(none.to_array::<f64>(["x", "n"]).unwrap().shape(), [0, 2]);
    }
}

#[test]
fn arrays_that_are_no_columns_are_refused_with_the_reason() {
    let x: Array1<f64> = Array::in_chunks(10).zeros(100);
    let short: Array1<f64> = Array::in_chunks(10).zeros(99);
    let why = |df: Result<DataFrame, FrameError>| df.unwrap_err().to_string();
    let got = why(from_arrays([("x", &x), ("short", &short)]));
    assert!(got.contains("\"short\" has 99 elements, \"x\" has 100"), "{got}");
    let got = why(from_arrays([("x", &x), ("x", &x)]));
    assert!(got.contains("two columns would be called \"x\""), "{got}");
    let complex: Array1<Complex<f64>> = Array::in_chunks(10).zeros(100);
    let got = why(from_arrays([("z", &complex)]));
    assert!(got.contains("\"z\": tables have no values of"), "{got}");
    let none: [(&str, &Array1<f64>); 0] = [];
    assert!(why(from_arrays(none)).contains("there is no array"));
    let df = DataFrame::from_arrays([("x", &x)]).unwrap();
    assert!(matches!(df.to_array::<f64>(["X"]), Err(FrameError::Column { .. })));
    assert!(matches!(df.col_array::<Complex<f64>>("x"), Err(FrameError::Argument { .. })));
}
