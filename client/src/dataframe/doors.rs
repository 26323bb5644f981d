//! The ways into tables, each as a function for the current session and as a method of [`Session`]. Must not know what is
//! read or built.

use super::execute::OnSession;
use crate::session::Session;
use std::sync::Arc;
use tilework_frame::arrow::array::{ArrayRef, RecordBatch};
use tilework_frame::{DataFrame, Execute, FrameError};

type Result<T> = std::result::Result<T, FrameError>;

fn on(session: Option<&Session>) -> Arc<dyn Execute> {
    Arc::new(OnSession(session.cloned()))
}

macro_rules! doors {
    ($($(#[$doc:meta])* fn $name:ident $([$($generics:tt)*])? ($($arg:ident: $ty:ty),*);)*) => {
        $(
            $(#[$doc])*
            pub fn $name $(<$($generics)*>)? ($($arg: $ty),*) -> Result<DataFrame> {
                tilework_frame::$name(&on(None), $($arg),*)
            }
        )*

        /// Tables that are computed by this session, whichever is the current one.
        impl Session {
            $(
                #[doc = concat!("As [`", stringify!($name), "`](crate::dataframe::", stringify!($name), "), on this session.")]
                ///
                /// # Errors
                /// As there.
                pub fn $name $(<$($generics)*>)? (&self, $($arg: $ty),*) -> Result<DataFrame> {
                    tilework_frame::$name(&on(Some(self)), $($arg),*)
                }
            )*
        }
    };
}

doors! {
    /// A table of columns, which are equally long. They stay in this process until a query reads them.
    ///
    /// # Errors
    /// Columns of different lengths, or of one name.
    ///
    /// ```
    /// use tilework::dataframe::{from_columns, prelude::*};
    ///
    /// let df = from_columns([("x", values([1, 2, 3])), ("y", values([Some("a"), None, Some("c")].map(|y| y.unwrap_or("-"))))])?;
    /// assert_eq!(df.shape()?, (3, 2));
    /// # Ok::<(), FrameError>(())
    /// ```
    fn from_columns[N: AsRef<str>](columns: impl IntoIterator<Item = (N, ArrayRef)>);

    /// A table of Arrow's record batches, which all have the first one's schema.
    ///
    /// # Errors
    /// No batches, or batches of different schemas.
    fn from_record_batches(batches: impl IntoIterator<Item = RecordBatch>);

    /// The rows that a query in SQL asks for. Files can be its tables by their paths.
    ///
    /// # Errors
    /// A query that is wrong, with its position.
    ///
    /// ```
    /// use tilework::dataframe::{prelude::*, sql};
    ///
    /// let df = sql("select 6 * 7 as answer")?;
    /// assert_eq!(df.to_vec::<i64>("answer")?, [42]);
    /// # Ok::<(), FrameError>(())
    /// ```
    fn sql(query: &str);

    /// The same, of tables that it calls by these names.
    ///
    /// # Errors
    /// A query that is wrong, with its position.
    ///
    /// ```
    /// use tilework::dataframe::{from_columns, prelude::*, sql_on};
    ///
    /// let t = from_columns([("k", values(["a", "b", "a"])), ("v", values([1, 2, 3]))])?;
    /// let sums = sql_on("select k, sum(v) as v from t group by k order by k", &[("t", &t)])?;
    /// assert_eq!(sums.to_vec::<i64>("v")?, [4, 2]);
    /// # Ok::<(), FrameError>(())
    /// ```
    fn sql_on(query: &str, tables: &[(&str, &DataFrame)]);
}
