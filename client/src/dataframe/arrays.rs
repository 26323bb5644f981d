//! Arrays as columns of tables and columns as arrays, without leaving the workers. Must not know how queries are planned.

use super::execute::OnSession;
use super::program::terms;
use super::stored::{ArrayColumn, OnWorkers};
use crate::array::{Array, Source};
use crate::literal::{InMemory, Literal};
use crate::session::Session;
use ndarray::{Ix1, Ix2};
use std::any::Any;
use std::sync::Arc;
use tilework_expr::{AUTO_CHUNK_BYTES, Chunks, DType, Element, Expr, TableRead, TableStage};
use tilework_frame::arrow::datatypes::DataType;
use tilework_frame::{
    DataFrame, Execute, Facts, FrameError, IntoColumn, Kept, Stored, col, from_stored, lit, read_payload,
};
use tilework_kernels::Chunk;
use tilework_plan::{AxisGrid, Grid};
use tilework_worker_tables::{data_type_of, elements};

type Result<T> = std::result::Result<T, FrameError>;

/// Bytes that a task which makes a chunk may hold, beside what it reads and makes.
const GRANT_BYTES: u64 = 16 << 20;
/// Partitions that follow one another become one chunk as long as it has fewer bytes than this.
const CHUNK_BYTES_MIN: u64 = 1 << 20;

/// An array as a column of a table: see [`column()`].
#[derive(Debug)]
pub struct TableColumn(crate::Result<Expr>);

/// An array of one axis as a column of a table: ours or ndarray's, lazy or not, or a view as `matrix.column(0)` gives it.
///
/// ```
/// use tilework::dataframe::{column, from_arrays, prelude::*};
/// use tilework::prelude::*;
///
/// let x = Array::from_vec_chunked(vec![1.5, 2.5, 3.5], 2);
/// let n = arr1(&[1_i64, 2, 3]);
/// let df = from_arrays([("x", column(&x)), ("n", column(&n))])?;
/// assert_eq!(df.filter(col("n").gt(1))?.to_vec::<f64>("x")?, [2.5, 3.5]);
/// # Ok::<(), FrameError>(())
/// ```
pub fn column<A, T: Source<A, Ix1> + ?Sized>(array: &T) -> TableColumn {
    TableColumn(array.leaf())
}

impl<A: Element, S: crate::Data<Elem = A>> From<&crate::ArrayBase<S, Ix1, A>> for TableColumn {
    fn from(array: &crate::ArrayBase<S, Ix1, A>) -> TableColumn {
        column(array)
    }
}

/// A table whose columns are arrays of one axis, which are equally long. Nothing runs and nothing is copied: the tasks of a
/// query read the chunks of those arrays that it needs, where these are made, in the same job. Its partitions are the
/// chunks of the array that has most; the others are read on that array's grid. [`column()`] is for arrays of several types.
///
/// ```
/// use tilework::dataframe::{from_arrays, prelude::*};
/// use tilework::prelude::*;
///
/// let x: Array1<f64> = Array::in_chunks(1000).linspace(0.0, 1.0, 10_000);
/// let y = &x * &x;
/// let df = from_arrays([("x", &x), ("y", &y)])?;
/// let least = df.filter(col("x").gt(0.5))?.select([col("y").min()])?.to_vec::<f64>("y")?;
/// assert!(least[0] > 0.25 && least[0] < 0.2501);
/// # Ok::<(), FrameError>(())
/// ```
///
/// # Errors
/// [`FrameError::Argument`] for no arrays, other lengths, or complex elements; [`FrameError::Duplicate`] for two columns
/// of one name.
pub fn from_arrays<N: AsRef<str>, C: Into<TableColumn>>(
    columns: impl IntoIterator<Item = (N, C)>,
) -> Result<DataFrame> {
    of_arrays(Arc::new(OnSession(None)), columns)
}

/// Tables of arrays, computed by this session.
impl Session {
    /// As [`from_arrays`](crate::dataframe::from_arrays), on this session.
    ///
    /// # Errors
    /// As there.
    pub fn from_arrays<N: AsRef<str>, C: Into<TableColumn>>(
        &self,
        columns: impl IntoIterator<Item = (N, C)>,
    ) -> Result<DataFrame> {
        of_arrays(Arc::new(OnSession(Some(self.clone()))), columns)
    }
}

fn of_arrays<N: AsRef<str>, C: Into<TableColumn>>(
    on: Arc<dyn Execute>,
    columns: impl IntoIterator<Item = (N, C)>,
) -> Result<DataFrame> {
    let wrong = |reason: String| FrameError::Argument { argument: "columns", reason };
    let (mut names, mut arrays) = (Vec::new(), Vec::new());
    for (name, array) in columns {
        let TableColumn(array) = array.into();
        names.push(name.as_ref().to_owned());
        arrays.push(array.map_err(FrameError::executor)?);
    }
    // The first of those with most chunks.
    let leader = arrays.iter().rev().max_by_key(|array| array.grid().n_chunks());
    let Some(grid) = leader.map(|array| array.grid().clone()) else {
        return Err(wrong("there is no array".to_owned()));
    };
    let other = names.iter().zip(&arrays).find(|(_, array)| array.len() != arrays[0].len());
    if let Some((name, array)) = other {
        let (first, expected) = (&names[0], arrays[0].len());
        return Err(wrong(format!("{name:?} has {} elements, {first:?} has {expected}", array.len())));
    }
    let lens = (0..grid.n_chunks()).map(|chunk| grid.region(tilework_plan::ChunkIdx(chunk))[0].len() as u64);
    let row_bytes: u64 = arrays.iter().map(|array| array.dtype().size() as u64).sum();
    let facts = lens.map(|rows| Facts { rows, bytes: rows * row_bytes, ..Facts::default() }).collect();
    let column = |(name, array): (String, Expr)| {
        let dtype = array.dtype();
        let data_type = data_type_of(dtype);
        let data_type =
            data_type.ok_or_else(|| wrong(format!("{name:?}: tables have no values of {dtype}")))?;
        let array = array.on_grid(grid.clone()).map_err(FrameError::executor)?;
        Ok((name, data_type, Arc::new(ArrayColumn::new(array)) as Arc<dyn Stored>))
    };
    let columns = names.into_iter().zip(arrays).map(column).collect::<Result<Vec<_>>>()?;
    from_stored(&on, columns, facts)
}

/// What becomes of values that are missing where a column becomes an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Nulls {
    /// They are an error.
    #[default]
    Refuse,
    /// They are NaN, in arrays of floats.
    AsNan,
}

/// What tables and arrays are to each other. With this in scope (the prelude has it) tables have these methods.
pub trait TableArrays: Sized {
    /// As [`from_arrays`].
    ///
    /// # Errors
    /// As there.
    fn from_arrays<N: AsRef<str>, C: Into<TableColumn>>(
        columns: impl IntoIterator<Item = (N, C)>,
    ) -> Result<Self>;

    /// Runs the query and returns these columns as the columns of an array of this type. The rows stay on the workers, and
    /// so do the elements, which are made when a computation reads them: copied from columns to rows, and into the chunk.
    /// Partitions become chunks: small ones that follow one another become one of a mebibyte.
    ///
    /// ```
    /// use tilework::dataframe::{from_columns, prelude::*};
    /// use tilework::prelude::*;
    ///
    /// let df = from_columns([("x", values([1.0, 2.0])), ("y", values([10.0, 20.0])), ("s", values([0.0, 0.0]))])?;
    /// let xy: Array2<f64> = df.to_array(["x", "y"])?;
    /// assert_eq!(xy.dot(&xy.t()), array![[101.0, 202.0], [202.0, 404.0]]);
    /// # Ok::<(), FrameError>(())
    /// ```
    ///
    /// # Errors
    /// As [`collect`](DataFrame::collect); [`FrameError::Missing`] for values that are missing, which `fill_null` gives
    /// others or [`to_array_with`](TableArrays::to_array_with) makes NaN; [`FrameError::Argument`] for complex elements, or
    /// no columns.
    fn to_array<A: Element>(
        &self,
        columns: impl IntoIterator<Item = impl IntoColumn>,
    ) -> Result<Array<A, Ix2>> {
        self.to_array_with(columns, Nulls::Refuse)
    }

    /// As [`to_array`](TableArrays::to_array), with what is missing as it is said.
    ///
    /// ```
    /// use tilework::dataframe::{from_columns, prelude::*};
    ///
    /// let df = from_columns([("x", values([Some(1.0), None]))])?;
    /// assert!(df.to_array::<f64>(["x"]).is_err());
    /// let x = df.to_array_with::<f64>(["x"], Nulls::AsNan)?;
    /// assert!(x[[0, 0]] == 1.0 && x[[1, 0]].is_nan());
    /// # Ok::<(), FrameError>(())
    /// ```
    ///
    /// # Errors
    /// As there; [`FrameError::Argument`] for NaN in an array of integers.
    fn to_array_with<A: Element>(
        &self,
        columns: impl IntoIterator<Item = impl IntoColumn>,
        nulls: Nulls,
    ) -> Result<Array<A, Ix2>>;

    /// Runs the query and returns a column as an array, as [`to_array`](TableArrays::to_array) does several.
    ///
    /// ```
    /// use tilework::dataframe::{from_columns, prelude::*};
    ///
    /// let df = from_columns([("k", values(["a", "b", "a"])), ("x", values([1, 2, 3]))])?;
    /// let sums = df.group_by(["k"]).agg([col("x").sum()])?.col_array::<f64>("x")?;
    /// assert_eq!(sums.sum(), 6.0);
    /// # Ok::<(), FrameError>(())
    /// ```
    ///
    /// # Errors
    /// As there.
    fn col_array<A: Element>(&self, column: impl IntoColumn) -> Result<Array<A, Ix1>> {
        self.col_array_with(column, Nulls::Refuse)
    }

    /// As [`col_array`](TableArrays::col_array), with what is missing as it is said.
    ///
    /// # Errors
    /// As [`to_array_with`](TableArrays::to_array_with).
    fn col_array_with<A: Element>(&self, column: impl IntoColumn, nulls: Nulls) -> Result<Array<A, Ix1>>;
}

impl TableArrays for DataFrame {
    fn from_arrays<N: AsRef<str>, C: Into<TableColumn>>(
        columns: impl IntoIterator<Item = (N, C)>,
    ) -> Result<DataFrame> {
        from_arrays(columns)
    }

    fn to_array_with<A: Element>(
        &self,
        columns: impl IntoIterator<Item = impl IntoColumn>,
        nulls: Nulls,
    ) -> Result<Array<A, Ix2>> {
        let kept = of_dtype(&self.select(columns)?, A::DTYPE, nulls)?;
        let n = kept.schema.fields().len();
        Ok(Array::of_expr(array_of(&kept, A::DTYPE, Some(n))?))
    }

    fn col_array_with<A: Element>(&self, column: impl IntoColumn, nulls: Nulls) -> Result<Array<A, Ix1>> {
        let kept = of_dtype(&self.select([column])?, A::DTYPE, nulls)?;
        Ok(Array::of_expr(array_of(&kept, A::DTYPE, None)?))
    }
}

/// The rows of a table whose columns all become of a dtype, none of whose values is missing.
fn of_dtype(df: &DataFrame, dtype: DType, nulls: Nulls) -> Result<Kept> {
    let wrong = |argument, reason: String| FrameError::Argument { argument, reason };
    let data_type = data_type_of(dtype).ok_or_else(|| {
        wrong("elements", format!("columns are no {dtype}: tables have no complex numbers"))
    })?;
    if df.columns().is_empty() {
        return Err(wrong("columns", "there is none".to_owned()));
    }
    if nulls == Nulls::AsNan && !data_type.is_floating() {
        return Err(wrong("nulls", format!("there is no NaN among {dtype}")));
    }
    let column = |name: String| {
        let cast = col(&name).cast(data_type.clone());
        let filled = match (nulls, &data_type) {
            (Nulls::AsNan, DataType::Float32) => cast.fill_null(lit(f32::NAN)),
            (Nulls::AsNan, _) => cast.fill_null(lit(f64::NAN)),
            (Nulls::Refuse, _) => cast,
        };
        filled.alias(name)
    };
    let kept = df.select(df.columns().into_iter().map(column))?.kept(true)?;
    for (at, field) in kept.schema.fields().iter().enumerate() {
        let n = kept.facts.iter().filter_map(|facts| facts.nulls.get(at)).sum();
        if n > 0 {
            return Err(FrameError::Missing { column: field.name().clone(), n });
        }
    }
    Ok(kept)
}

/// The array of so many columns, or of the only one, of rows that are kept.
fn array_of(kept: &Kept, dtype: DType, n_columns: Option<usize>) -> Result<Expr> {
    let n_rows: u64 = kept.facts.iter().map(|facts| facts.rows).sum();
    let grid_of =
        |rows: AxisGrid| Grid::new([rows].into_iter().chain(n_columns.map(AxisGrid::whole)).collect());
    let any: &dyn Any = &*kept.rows;
    let on_workers = any.downcast_ref::<OnWorkers>().filter(|_| n_rows > 0);
    let Some(OnWorkers { values, .. }) = on_workers else {
        return here(kept, dtype, &grid_of(AxisGrid::whole(n_rows as usize)));
    };
    let row_bytes = (n_columns.unwrap_or(1) * dtype.size()) as u64;
    let (ends, lens) = runs(&kept.facts, row_bytes);
    let stage = TableStage {
        payload: read_payload(&kept.schema, ends.len())?.as_ref().into(),
        gives: 0,
        reads: [TableRead::runs(ends)].into(),
        bytes_guess: 0,
        name: "array of columns".into(),
        terms: Some(Arc::new(terms(GRANT_BYTES))),
        kernel: None,
    };
    let grid = grid_of(AxisGrid::explicit(&lens));
    Expr::table_array(stage, (grid, dtype), std::slice::from_ref(values)).map_err(FrameError::executor)
}

/// Runs of partitions that become chunks: where each ends, and its rows. None is empty.
fn runs(facts: &[Facts], row_bytes: u64) -> (Vec<u64>, Vec<usize>) {
    let (mut ends, mut lens, mut rows) = (Vec::new(), Vec::new(), 0);
    for (at, facts) in facts.iter().enumerate() {
        let full = |rows: u64| rows * row_bytes >= CHUNK_BYTES_MIN;
        if rows > 0 && (full(rows) || (rows + facts.rows) * row_bytes > AUTO_CHUNK_BYTES as u64) {
            ends.push(at as u64);
            lens.push(rows as usize);
            rows = 0;
        }
        rows += facts.rows;
    }
    if rows > 0 {
        ends.push(facts.len() as u64);
        lens.push(rows as usize);
    }
    (ends, lens)
}

/// The same of rows that are in this process, as one chunk.
fn here(kept: &Kept, dtype: DType, grid: &Grid) -> Result<Expr> {
    let failed = |error| FrameError::Task { stage: "array of columns".to_owned(), task: 0, error };
    let mut batches = Vec::new();
    for partition in 0..kept.rows.n_partitions() {
        batches.extend(kept.rows.piece(partition)?.batches(&kept.schema).map_err(failed)?);
    }
    let shape = grid.shape();
    let chunk = Chunk::from_bytes(&[dtype], &shape, &elements(&batches, dtype).map_err(failed)?);
    let chunks = vec![chunk.map_err(FrameError::executor)?];
    let (id, data) = Literal::attach(InMemory { grid: grid.clone(), chunks });
    Expr::literal(&shape, &Chunks::from(-1), dtype, id, data).map_err(FrameError::executor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_partitions_become_one_chunk_and_none_is_empty() {
        let of = |rows: &[u64]| -> Vec<Facts> {
            rows.iter().map(|&rows| Facts { rows, ..Facts::default() }).collect()
        };
        // Rows of a mebibyte.
        let mib = 1_u64 << 17;
        assert_eq!(runs(&of(&[3, 0, 4, 0]), 8), (vec![4], vec![7]));
        assert_eq!(runs(&of(&[0, mib, 5, mib, 0]), 8), (vec![2, 4], vec![mib as usize, mib as usize + 5]));
        assert_eq!(runs(&of(&[1, 40 * mib, 1]), 8), (vec![1, 2, 3], vec![1, 40 * mib as usize, 1]));
        assert_eq!(runs(&of(&[0, 0]), 8), (vec![], vec![]));
    }
}
