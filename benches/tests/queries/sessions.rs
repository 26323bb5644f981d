//! The same queries on each kind of session give the same bits.

use tilework::dataframe::arrow::array::RecordBatch;
use tilework::{EmbeddedOptions, Session};
use tilework_benches::tpch::{QUERIES, on, query};

#[test]
fn all_queries_give_the_same_bits_in_one_process_and_on_three() {
    let one = Session::embedded().unwrap();
    let two = Session::embedded_with(&EmbeddedOptions { workers: 2, ..EmbeddedOptions::default() }).unwrap();
    let three = Session::processes(3).unwrap();
    let tables = [&one, &two, &three].map(|session| (session, on(session, 0.01)));
    let mut n_rows = 0;
    for n in QUERIES {
        let [want, rest @ ..] =
            tables.each_ref().map(|(session, tables)| tables.ask(session, query(n)).unwrap());
        for got in rest {
            assert_eq!(got, want, "query {n}");
        }
        n_rows += want.iter().map(RecordBatch::num_rows).sum::<usize>();
    }
    assert!(n_rows > 500, "{n_rows}");
}
