//! The user's functions on tables: of partitions, as record batches, and of the values of a column. They are named by their
//! place in the executable, as those of arrays are, and run on workers that are this program. Must not know how plans call
//! them.

use crate::closures::{Params, conjure, params_of, ship};
use crate::error::Error;
use std::any::{Any, type_name};
use std::fmt::Display;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;
use tilework_expr::DType;
use tilework_frame::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use tilework_frame::arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use tilework_frame::{DataFrame, Expr, FrameError, Function, Value};
use tilework_kernels::native::{Descriptor, Entry, Gives, OpaqueCall, Takes};
use tilework_worker_tables::{install, written_function};

type Given = std::result::Result<Box<dyn Any + Send>, String>;

/// What a function of partitions gives: a record batch, or a result of one.
pub trait GivesBatch {
    #[doc(hidden)]
    fn batch(self) -> std::result::Result<RecordBatch, String>;
}

impl GivesBatch for RecordBatch {
    fn batch(self) -> std::result::Result<RecordBatch, String> {
        Ok(self)
    }
}

impl<E: Display> GivesBatch for std::result::Result<RecordBatch, E> {
    fn batch(self) -> std::result::Result<RecordBatch, String> {
        self.map_err(|error| error.to_string())
    }
}

/// A type of values that a function of elements takes: `bool`, the integers and floats, and `String`.
pub trait Cell: Sized {
    #[doc(hidden)]
    const DATA_TYPE: DataType;
    /// The values of a column of that type; none where one is missing.
    #[doc(hidden)]
    fn cells(column: &ArrayRef) -> impl Iterator<Item = Option<Self>>;
}

macro_rules! cells {
    ($($t:ty => $data_type:ident $arrow:ident),*) => { $(
        impl Cell for $t {
            const DATA_TYPE: DataType = DataType::$data_type;
            fn cells(column: &ArrayRef) -> impl Iterator<Item = Option<$t>> {
                column.as_primitive::<$arrow>().iter()
            }
        }
    )* };
}
cells! {
    i8 => Int8 Int8Type, i16 => Int16 Int16Type, i32 => Int32 Int32Type, i64 => Int64 Int64Type,
    u8 => UInt8 UInt8Type, u16 => UInt16 UInt16Type, u32 => UInt32 UInt32Type, u64 => UInt64 UInt64Type,
    f32 => Float32 Float32Type, f64 => Float64 Float64Type
}

impl Cell for bool {
    const DATA_TYPE: DataType = DataType::Boolean;
    fn cells(column: &ArrayRef) -> impl Iterator<Item = Option<bool>> {
        column.as_boolean().iter()
    }
}

impl Cell for String {
    const DATA_TYPE: DataType = DataType::Utf8;
    fn cells(column: &ArrayRef) -> impl Iterator<Item = Option<String>> {
        column.as_string::<i32>().iter().map(|text| text.map(str::to_owned))
    }
}

/// What a function of elements gives: a value of a type of [`Cell`], or an `Option` of one, which is missing where it is
/// `None`.
pub trait GivesCell {
    #[doc(hidden)]
    type Cell: Cell;
    #[doc(hidden)]
    fn cell(self) -> Option<Self::Cell>;
}

macro_rules! gives_cells {
    ($($t:ty)*) => { $(
        impl GivesCell for $t {
            type Cell = $t;
            fn cell(self) -> Option<$t> {
                Some(self)
            }
        }

        impl GivesCell for Option<$t> {
            type Cell = $t;
            fn cell(self) -> Option<$t> {
                self
            }
        }
    )* };
}
gives_cells! { bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 String }

/// How a function `F` is called with an argument `T` and parameters `P`.
trait Calling<F, T, P> {
    type Output;
    fn call(f: &F, argument: T, params: &P) -> Self::Output;
}

/// `f(x)`
struct Alone;
/// `f(x, &params)`
struct With;

impl<F: Fn(T) -> R, T, R> Calling<F, T, ()> for Alone {
    type Output = R;
    fn call(f: &F, argument: T, (): &()) -> R {
        f(argument)
    }
}

impl<F: Fn(T, &P) -> R, T, P, R> Calling<F, T, P> for With {
    type Output = R;
    fn call(f: &F, argument: T, params: &P) -> R {
        f(argument, params)
    }
}

fn accepts<P: Params>(params: &[u8]) -> bool {
    params_of::<P>(params).is_some()
}

/// A function of partitions in the executable.
struct OfPartitions<C, F, P>(PhantomData<(C, F, P)>);

impl<C, F, P: Params> OfPartitions<C, F, P>
where
    C: Calling<F, RecordBatch, P>,
    C::Output: GivesBatch,
{
    const DESCRIPTOR: &'static Descriptor = {
        let types = (Takes::Each(&[]), Gives::Dtype(DType::U8));
        // SAFETY: `conjured` looks at the type of what it gets; it calls a function that `ship` let pass.
        &unsafe { Descriptor::new(type_name::<F>, types, accepts::<P>, Entry::Opaque(Self::conjured)) }
    };

    fn conjured(call: &OpaqueCall<'_>) -> Given {
        let params = params_of::<P>(call.params).ok_or("these are not its parameters")?;
        let batch = call.input.downcast_ref::<RecordBatch>().ok_or("it is a function of partitions")?;
        // SAFETY: only functions that passed `ship` are named, and only what is named is called.
        let f = unsafe { conjure::<F>() };
        Ok(Box::new(C::call(&f, batch.clone(), &params).batch()?))
    }
}

/// A function of elements in the executable.
struct OfElements<C, F, T, P>(PhantomData<(C, F, T, P)>);

impl<C, F, T: Cell, P: Params> OfElements<C, F, T, P>
where
    C: Calling<F, T, P>,
    C::Output: GivesCell,
    Option<<C::Output as GivesCell>::Cell>: Value,
{
    const DESCRIPTOR: &'static Descriptor = {
        let types = (Takes::Each(&[]), Gives::Dtype(DType::U8));
        // SAFETY: `conjured` looks at the type of what it gets; it calls a function that `ship` let pass.
        &unsafe { Descriptor::new(type_name::<F>, types, accepts::<P>, Entry::Opaque(Self::conjured)) }
    };

    fn conjured(call: &OpaqueCall<'_>) -> Given {
        let params = params_of::<P>(call.params).ok_or("these are not its parameters")?;
        let column = call.input.downcast_ref::<ArrayRef>().ok_or("it is a function of elements")?;
        if column.data_type() != &T::DATA_TYPE {
            return Err(format!("got a column of {}, expected {}", column.data_type(), T::DATA_TYPE));
        }
        // SAFETY: only functions that passed `ship` are named, and only what is named is called.
        let f = unsafe { conjure::<F>() };
        let cells = T::cells(column).map(|cell| cell.and_then(|cell| C::call(&f, cell, &params).cell()));
        Ok(Box::new(tilework_frame::values(cells)))
    }
}

/// What names a function in plans.
fn named<F, P: Params>(
    descriptor: &'static Descriptor,
    (f, params): (&F, &P),
    line: &Location<'_>,
) -> Result<Function, FrameError> {
    // It is called before any session is started.
    install();
    let kernel = ship(descriptor, f, Vec::new(), params);
    let kernel = kernel.map_err(|why| FrameError::executor(Error::Function(why)))?;
    let name = Arc::from(kernel.name.as_str());
    Ok(Function { bytes: written_function(&kernel).into(), name, line: line.to_string().into() })
}

/// Functions of the user's of partitions. With this in scope (the prelude has it) tables have these methods.
///
/// A function is a `fn` or a closure that captures nothing: values of this process go as parameters beside it, in the
/// methods that end in `with`. It runs on workers that are this program, as functions of arrays do
/// (`tilework worker --program`); other workers are passed over, and where there are only such, the query fails and says so.
/// It must give the same for the same rows, for a task may run again.
pub trait MapPartitions {
    /// What `f` gives for each partition of the rows, all of which it gets at once as a record batch, in their order. It is
    /// called here once, with a batch without rows, to see which columns it gives; partitions without rows come to it too.
    /// A task must be able to hold its partition twice.
    ///
    /// ```
    /// use tilework::dataframe::arrow::array::{Array, RecordBatch};
    /// use tilework::dataframe::{from_columns, prelude::*};
    ///
    /// let df = from_columns([("x", values([Some(1), None, Some(3)]))])?;
    /// let counts = df.map_partitions(|rows: RecordBatch| {
    ///     let missing = rows.column(0).null_count() as u64;
    ///     RecordBatch::try_from_iter([("rows", values([rows.num_rows() as u64])), ("missing", values([missing]))])
    /// })?;
    /// let all = counts.select([col("rows").sum(), col("missing").sum()])?;
    /// assert_eq!(all.rows::<(u64, u64)>()?, [(3, 1)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    ///
    /// # Errors
    /// [`FrameError::Function`] where it fails for no rows, [`FrameError::Duplicate`] for two columns of one name that it
    /// gives, a function that captures variables. A panic or an error of its own for rows is the query's, and names the
    /// function and the line.
    #[track_caller]
    fn map_partitions<F, R>(&self, f: F) -> Result<DataFrame, FrameError>
    where
        F: Fn(RecordBatch) -> R,
        R: GivesBatch;

    /// As [`map_partitions`](MapPartitions::map_partitions), for a function with parameters, which travel with it.
    ///
    /// ```
    /// use tilework::dataframe::arrow::array::RecordBatch;
    /// use tilework::dataframe::{from_columns, prelude::*};
    ///
    /// let df = from_columns([("x", values([1, 2, 3, 4]))])?;
    /// let n = 2;
    /// let firsts = df.map_partitions_with(n, |rows: RecordBatch, n: &usize| rows.slice(0, (*n).min(rows.num_rows())))?;
    /// assert_eq!(firsts.to_vec::<i64>("x")?, [1, 2]);
    /// # Ok::<(), FrameError>(())
    /// ```
    ///
    /// # Errors
    /// As there; parameters of more than 64 KiB.
    #[track_caller]
    fn map_partitions_with<F, P, R>(&self, params: P, f: F) -> Result<DataFrame, FrameError>
    where
        F: Fn(RecordBatch, &P) -> R,
        P: Params,
        R: GivesBatch;

    /// As [`map_partitions`](MapPartitions::map_partitions), for a function that gives these columns: it is not called here.
    ///
    /// # Errors
    /// As there. Other columns that it gives are an error when rows are asked for.
    #[track_caller]
    fn map_partitions_to<F, R>(&self, schema: SchemaRef, f: F) -> Result<DataFrame, FrameError>
    where
        F: Fn(RecordBatch) -> R,
        R: GivesBatch;
}

impl MapPartitions for DataFrame {
    #[track_caller]
    fn map_partitions<F, R>(&self, f: F) -> Result<DataFrame, FrameError>
    where
        F: Fn(RecordBatch) -> R,
        R: GivesBatch,
    {
        let descriptor = OfPartitions::<Alone, F, ()>::DESCRIPTOR;
        self.mapped(named(descriptor, (&f, &()), Location::caller())?, None)
    }

    #[track_caller]
    fn map_partitions_with<F, P, R>(&self, params: P, f: F) -> Result<DataFrame, FrameError>
    where
        F: Fn(RecordBatch, &P) -> R,
        P: Params,
        R: GivesBatch,
    {
        let descriptor = OfPartitions::<With, F, P>::DESCRIPTOR;
        self.mapped(named(descriptor, (&f, &params), Location::caller())?, None)
    }

    #[track_caller]
    fn map_partitions_to<F, R>(&self, schema: SchemaRef, f: F) -> Result<DataFrame, FrameError>
    where
        F: Fn(RecordBatch) -> R,
        R: GivesBatch,
    {
        let descriptor = OfPartitions::<Alone, F, ()>::DESCRIPTOR;
        self.mapped(named(descriptor, (&f, &()), Location::caller())?, Some(schema))
    }
}

/// Functions of the user's of the values of a column. With this in scope (the prelude has it) expressions have these
/// methods.
pub trait MapElements: Sized {
    /// What `f` gives for each value; what is missing stays so, and `f` does not see it. Its argument and what it gives are
    /// `bool`, integers, floats or `String`; it may give an `Option`. The column is of the argument's type, or of a number
    /// that fits it. Which functions travel, and where they run: see [`MapPartitions`].
    ///
    /// ```
    /// use tilework::dataframe::{from_columns, prelude::*};
    ///
    /// fn collatz(n: u64) -> u32 {
    ///     std::iter::successors(Some(n), |n| (*n != 1).then(|| if n % 2 == 0 { n / 2 } else { 3 * n + 1 })).count() as u32
    /// }
    ///
    /// let df = from_columns([("n", values([Some(6_u64), None, Some(27)]))])?;
    /// let steps = df.select([col("n").map_elements(collatz)?])?;
    /// assert_eq!(steps.to_vec::<Option<u32>>("n")?, [Some(9), None, Some(112)]);
    /// # Ok::<(), FrameError>(())
    /// ```
    ///
    /// # Errors
    /// A function that captures variables. That a column is of another type is found when the expression is put into a
    /// table; a panic when rows are asked for, with the function and the line.
    #[track_caller]
    fn map_elements<F, T, R>(self, f: F) -> Result<Expr, FrameError>
    where
        F: Fn(T) -> R,
        T: Cell,
        R: GivesCell,
        Option<R::Cell>: Value;

    /// As [`map_elements`](MapElements::map_elements), for a function with parameters, which travel with it.
    ///
    /// ```
    /// use tilework::dataframe::{from_columns, prelude::*};
    ///
    /// let df = from_columns([("x", values([1.0, 4.0]))])?;
    /// let scale = 10.0;
    /// let scaled = df.select([col("x").map_elements_with(scale, |x: f64, by: &f64| x.sqrt() * by)?])?;
    /// assert_eq!(scaled.to_vec::<f64>("x")?, [10.0, 20.0]);
    /// # Ok::<(), FrameError>(())
    /// ```
    ///
    /// # Errors
    /// As there; parameters of more than 64 KiB.
    #[track_caller]
    fn map_elements_with<F, T, P, R>(self, params: P, f: F) -> Result<Expr, FrameError>
    where
        F: Fn(T, &P) -> R,
        T: Cell,
        P: Params,
        R: GivesCell,
        Option<R::Cell>: Value;
}

impl MapElements for Expr {
    #[track_caller]
    fn map_elements<F, T, R>(self, f: F) -> Result<Expr, FrameError>
    where
        F: Fn(T) -> R,
        T: Cell,
        R: GivesCell,
        Option<R::Cell>: Value,
    {
        let descriptor = OfElements::<Alone, F, T, ()>::DESCRIPTOR;
        let function = named(descriptor, (&f, &()), Location::caller())?;
        Ok(self.mapped(function, T::DATA_TYPE, R::Cell::DATA_TYPE))
    }

    #[track_caller]
    fn map_elements_with<F, T, P, R>(self, params: P, f: F) -> Result<Expr, FrameError>
    where
        F: Fn(T, &P) -> R,
        T: Cell,
        P: Params,
        R: GivesCell,
        Option<R::Cell>: Value,
    {
        let descriptor = OfElements::<With, F, T, P>::DESCRIPTOR;
        let function = named(descriptor, (&f, &params), Location::caller())?;
        Ok(self.mapped(function, T::DATA_TYPE, R::Cell::DATA_TYPE))
    }
}
