//! What users get wrong, and what they are told.

use tilework::dataframe::prelude::*;
use tilework::dataframe::{from_columns, sql};
use tilework::{EmbeddedOptions, Session};

#[test]
fn data_that_cannot_be_worked_on_are_named_with_their_stage_on_each_session() {
    let two = EmbeddedOptions { workers: 2, ..EmbeddedOptions::default() };
    for session in [Session::embedded_with(&two).unwrap(), Session::processes(2).unwrap()] {
        let query = |text: &str| {
            let df =
                session.from_columns([("x", values([1, 0, 3])), ("t", values(["1", "x", "3"]))]).unwrap();
            session.sql_on(text, &[("t", &df)]).and_then(|df| df.collect()).unwrap_err().to_string()
        };
        let error = query("select 10 / x as y from t");
        assert!(error.contains("Divide by zero"), "{error}");
        let error = query("select cast(t as bigint) as y from t");
        assert!(error.contains("Cannot cast string 'x'"), "{error}");
        // The session goes on.
        let df = session.from_columns([("x", values([1, 2]))]).unwrap();
        assert_eq!(df.shape().unwrap(), (2, 1));
    }
}

#[test]
fn mistakes_in_queries_are_found_when_they_are_built() {
    let df = from_columns([("price", values([1.5, 2.5]))]).unwrap();
    let error = df.select(["Price"]).unwrap_err().to_string();
    assert!(error.contains("\"Price\"") && error.contains("did you mean \"price\""), "{error}");
    let error = sql("select from").unwrap_err().to_string();
    assert!(error.contains("Expected: identifier, found: EOF"), "{error}");
    assert!(Session::started().is_none_or(|session| session.n_tasks_done() == 0));
}
