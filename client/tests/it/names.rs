//! Results that are kept under a name: on every kind of session, and what cannot be.

use crate::support::processes_are_mine;
use tilework::prelude::*;
use tilework::{Error, Future, NameError, Session};

fn on_each(test: impl Fn(&Session)) {
    test(&Session::embedded().expect("a session"));
    let _mine = processes_are_mine();
    let session = Session::processes(2).expect("processes");
    // Other tests compute on the current session, whose tasks are counted here.
    Session::embedded().expect("a session").make_current();
    test(&session);
    Session::close_current();
}

#[test]
fn what_is_published_is_had_by_its_name_and_stays_as_long_as_somebody_has_it() {
    on_each(|session| {
        let x: Array2<f64> = tilework::random::in_chunks([30, 40]).uniform((100, 90), 0.0..1.0, 3);
        let want = x.sin().try_compute_on(session).unwrap();
        session.publish("sines", &x.sin()).unwrap();
        let n = ndarray::arr0(7i64);
        session.publish("Zahl der Köche", &Array::from_ndarray(n, 1)).unwrap();

        let listed: Vec<String> = session.list().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(listed.len(), 2);
        assert!(listed[0].starts_with("Zahl der Köche: a scalar of i64 (8 B), by "), "{}", listed[0]);
        assert!(listed[1].starts_with("sines: 100 x 90 f64 (72.0 kB), by "), "{}", listed[1]);

        let sines: Array2<f64> = session.get("sines").unwrap();
        let again: ArrayD<f64> = session.get("sines").unwrap();
        session.unpublish("sines").unwrap();
        assert_eq!(session.list().unwrap().len(), 1);
        let tasks_before = session.n_tasks_done();
        assert_eq!(sines.try_compute_on(session).unwrap(), want);
        assert_eq!(again.try_compute_on(session).unwrap(), want.clone().into_dyn());
        let t = (&sines.t() * 2.0).try_compute_on(session).unwrap();
        assert_eq!(t, &want.t() * 2.0);
        assert!(session.n_tasks_done() - tasks_before <= 12, "nothing but the products was computed");

        // The name is free, and what has it now is something else.
        session.publish("sines", &sines.slice(s![..2, ..3]).to_owned()).unwrap();
        let corner: Array2<f64> = session.get("sines").unwrap();
        assert_eq!(corner.try_compute_on(session).unwrap(), want.slice(s![..2, ..3]));
        let n: Array0<i64> = session.get("Zahl der Köche").unwrap();
        assert_eq!(n.try_compute_on(session).unwrap()[()], 7);
    });
}

#[test]
fn what_has_no_name_is_a_typed_error() {
    on_each(|session| {
        let x: Array1<f64> = Array::in_chunks(10).ones(30);
        let of = |result: tilework::Result<()>| match result {
            Err(Error::Name(error)) => error,
            other => panic!("{other:?}"),
        };
        assert!(matches!(of(session.unpublish("x")), NameError::Unknown { there, .. } if there.is_empty()));
        session.publish("x", &x).unwrap();
        let taken = of(session.publish("x", &x));
        assert!(matches!(&taken, NameError::Taken { name, .. } if name == "x"), "{taken}");
        assert!(taken.to_string().starts_with("'x' is published already, by "), "{taken}");
        for wrong in ["", "two\nlines", &"n".repeat(256)] {
            assert!(matches!(of(session.publish(wrong, &x)), NameError::Refused(_)), "{wrong:?}");
        }
        let missing = of(session.get::<Array1<f64>>("y").map(drop));
        assert_eq!(missing.to_string(), "nothing is published as 'y'; there is 'x'");
        let dtype = session.get::<Array1<f32>>("x").unwrap_err();
        assert!(matches!(dtype, Error::DType { .. }), "{dtype}");
        assert_eq!(dtype.to_string(), "'x' holds f64, expected f32");
        let dimensions = session.get::<Array2<f64>>("x").unwrap_err();
        assert!(matches!(dimensions, Error::Dimensions { got: 1, expected: 2, .. }), "{dimensions}");
        // A failed computation is published as nothing.
        let bad = x.mapv(|_| -> f64 { panic!("no value") });
        let failed = session.publish("bad", &bad).unwrap_err();
        assert!(failed.to_string().contains("no value"), "{failed}");
        assert_eq!(session.list().unwrap().len(), 1);
    });
}

#[test]
fn many_names_are_listed_in_their_order() {
    let session = Session::embedded().unwrap();
    for i in 0..200 {
        session.publish(&format!("{i:03}"), &Array1::from_elem(1, i)).unwrap();
    }
    let names: Vec<String> = session.list().unwrap().into_iter().map(|n| n.name).collect();
    assert_eq!(names, (0..200).map(|i| format!("{i:03}")).collect::<Vec<_>>());
    for i in 0..200 {
        let x: Array1<i32> = session.get(&format!("{i:03}")).unwrap();
        assert_eq!(x.try_compute_on(&session).unwrap()[0], i);
    }
}

#[test]
fn a_published_value_is_the_future_of_others_and_an_argument_of_their_tasks() {
    on_each(|session| {
        let words: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let lens = session.map(|n: usize| vec![n; 3], [1, 2, 3]).unwrap();
        session.publish("lens", &lens[1]).unwrap();
        session.publish("words", &session.scatter(words.clone()).unwrap()).unwrap();
        drop(lens);
        let listed: Vec<String> = session.list().unwrap().iter().map(ToString::to_string).collect();
        assert!(listed[0].starts_with("lens: a value, by "), "{listed:?}");

        let lens: Future<Vec<usize>> = session.get("lens").unwrap();
        let again: Future<Vec<usize>> = session.get("lens").unwrap();
        let got: Future<Vec<String>> = session.get("words").unwrap();
        session.unpublish("lens").unwrap();
        session.unpublish("words").unwrap();
        let sum = session.submit(|all: Vec<usize>| all.iter().sum::<usize>(), (&lens,)).unwrap();
        assert_eq!(sum.result().unwrap(), 6);
        assert_eq!(lens.result().unwrap(), [2; 3]);
        drop(lens);
        assert_eq!(again.result().unwrap(), [2; 3]);
        let joined = session.submit(|words: Vec<String>| words.concat(), (&got,)).unwrap();
        assert_eq!((joined.result().unwrap(), got.result().unwrap()), ("abc".to_owned(), words));
        assert!(session.list().unwrap().is_empty());
    });
}

#[test]
fn a_value_that_is_none_is_not_published_and_one_of_another_type_says_so() {
    on_each(|session| {
        let bad = session.try_submit(|n: u32| n.checked_sub(1).ok_or("none is left"), (0,)).unwrap();
        let failed = session.publish("bad", &bad).unwrap_err().to_string();
        assert!(failed.contains("none is left"), "{failed}");
        let one = session.submit(|n: u32| n + 1, (0,)).unwrap();
        session.publish("one", &one).unwrap();
        let x: Array1<u32> = Array::in_chunks(10).ones(30);
        session.publish("x", &x).unwrap();
        let array = session.get::<Array1<u32>>("one").unwrap_err();
        assert!(matches!(array, Error::Kind { .. }), "{array}");
        assert_eq!(array.to_string(), "'one' is a value, expected an array");
        let value = session.get::<Future<u32>>("x").unwrap_err();
        assert_eq!(value.to_string(), "'x' is an array, expected a value");
        let text: Future<String> = session.get("one").unwrap();
        let text = text.result().unwrap_err().to_string();
        assert!(text.contains("String"), "{text}");
        assert_eq!(session.get::<Future<u32>>("one").unwrap().result().unwrap(), 1);
        assert_eq!(session.list().unwrap().len(), 2);
    });
}
