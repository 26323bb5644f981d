//! The queries, by name. Must not know who answers them.

use super::here::read_by;
use crate::{tpcds, tpch};
use anyhow::bail;
use std::fmt;
use std::str::FromStr;

/// The least that has scans, a shuffle of text and arithmetic in it: what a scan of `lineitem` is asked for.
const SCANNED: &str = "select count(*) as n, sum(l_quantity) as q, sum(l_extendedprice * l_discount) as d, \
                       max(l_comment) as c, min(l_shipdate) as s from ";

/// The directory of TPC-DS's files: it too has a table of customers.
pub(super) const TPCDS: &str = "tpcds";

/// A query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Query {
    /// One of TPC-H's.
    Tpch(usize),
    /// One of TPC-DS's, by its place among them.
    Tpcds(usize),
    /// One pass over `lineitem` as Parquet.
    ScanParquet,
    /// One pass over `lineitem` as CSV.
    ScanCsv,
    /// A group-by over a thousand rows.
    Small,
    /// One of the group-bys of the H2O database benchmark, by its number there: 1, 3, 5, 7 or 10.
    Group(usize),
}

impl Query {
    /// All that are asked where nothing is said, in order.
    #[must_use]
    pub fn usual() -> Vec<Query> {
        let others = [Query::ScanParquet, Query::ScanCsv, Query::Small];
        let groups = [1, 3, 5, 7, 10].map(Query::Group);
        tpch::QUERIES.map(Query::Tpch).chain(others).chain(groups).collect()
    }

    /// All of them, in order.
    #[must_use]
    pub fn all() -> Vec<Query> {
        Query::usual().into_iter().chain((0..tpcds::QUERIES.len()).map(Query::Tpcds)).collect()
    }

    /// The query in SQL.
    #[must_use]
    pub fn sql(self) -> String {
        let group = |keys: &str, what: &str| format!("select {keys}, {what} from h2o group by {keys}");
        match self {
            Query::Tpch(n) => tpch::query(n).to_owned(),
            Query::Tpcds(at) => tpcds::QUERIES[at].1.to_owned(),
            Query::ScanParquet => format!("{SCANNED} lineitem"),
            Query::ScanCsv => format!("{SCANNED} lineitem_csv"),
            Query::Small => "select l_returnflag, count(*) as n, sum(l_quantity) as q from small \
                             group by l_returnflag order by l_returnflag"
                .to_owned(),
            Query::Group(1) => group("id1", "sum(v1) as v1"),
            Query::Group(3) => group("id3", "sum(v1) as v1, avg(v3) as v3"),
            Query::Group(5) => group("id6", "sum(v1) as v1, sum(v2) as v2, sum(v3) as v3"),
            Query::Group(7) => group("id3", "max(v1) - min(v2) as range"),
            Query::Group(_) => group("id1, id2, id3, id4, id5, id6", "sum(v3) as v3, count(*) as n"),
        }
    }

    /// The tables that it reads: the directory of their files, if they have one of their own, and their names.
    #[must_use]
    pub fn tables(self) -> (&'static str, Vec<&'static str>) {
        let tables = match self {
            Query::Tpch(_) => tpch::TABLES.to_vec(),
            Query::Tpcds(at) => return (TPCDS, read_by(tpcds::QUERIES[at].1, tpcds::TABLES)),
            Query::ScanParquet => vec!["lineitem"],
            Query::ScanCsv => vec!["lineitem_csv"],
            Query::Small => vec!["small"],
            Query::Group(_) => vec!["h2o"],
        };
        ("", tables)
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Query::Tpch(n) => write!(f, "q{n}"),
            Query::Tpcds(at) => write!(f, "ds{}", tpcds::QUERIES[*at].0.trim_start_matches('0')),
            Query::ScanParquet => f.write_str("scan-parquet"),
            Query::ScanCsv => f.write_str("scan-csv"),
            Query::Small => f.write_str("small"),
            Query::Group(n) => write!(f, "group-{n}"),
        }
    }
}

impl FromStr for Query {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Query> {
        match Query::all().into_iter().find(|query| query.to_string() == text) {
            Some(query) => Ok(query),
            None => bail!(
                "got {text:?}, expected q1 to q22, scan-parquet, scan-csv, small, group-1, 3, 5, 7 or 10, or ds1 to ds99 \
                 (ds14a, ds14b, and so 23, 24 and 39)"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_survive_the_way_through_text() {
        for query in Query::all() {
            assert_eq!(query.to_string().parse::<Query>().unwrap(), query);
        }
        assert!("q23".parse::<Query>().unwrap_err().to_string().contains("\"q23\""));
    }
}
