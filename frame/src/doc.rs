//! What the examples of this crate's pages use in the place of a session: the ways in, for tables of this process. The crate
//! `tilework` has functions of these names, whose tables are computed by its sessions.

/// What a program that works with tables imports.
pub mod prelude {
    use crate::arrow::array::{ArrayRef, RecordBatch};
    pub use crate::prelude::*;

    type Result<T> = std::result::Result<T, FrameError>;

    macro_rules! doors {
        ($(fn $name:ident $([$($generics:tt)*])? ($($arg:ident: $ty:ty),*);)*) => {$(
            #[doc = concat!("As [`", stringify!($name), "`](crate::", stringify!($name), "), for this process.")]
            ///
            /// # Errors
            /// As there.
            pub fn $name $(<$($generics)*>)? ($($arg: $ty),*) -> Result<DataFrame> {
                crate::$name(&LocalExecute::shared()?, $($arg),*)
            }
        )*};
    }
    doors! {
        fn from_columns[N: AsRef<str>](columns: impl IntoIterator<Item = (N, ArrayRef)>);
        fn from_record_batches(batches: impl IntoIterator<Item = RecordBatch>);
        fn date_range(name: &str, start: &str, end: &str, every: &str);
        fn read_csv(paths: impl Paths, options: &CsvOptions);
        fn read_parquet(paths: impl Paths);
        fn read_json(paths: impl Paths);
        fn read_ipc(paths: impl Paths);
        fn read_parquet_with(paths: impl Paths, options: &ReadOptions);
        fn read_json_with(paths: impl Paths, options: &ReadOptions);
        fn read_ipc_with(paths: impl Paths, options: &ReadOptions);
        fn sql(query: &str);
        fn sql_on(query: &str, tables: &[(&str, &DataFrame)]);
    }
}
