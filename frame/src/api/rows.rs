//! Rows and values as types of the program, by serde. Must not know where batches come from.

use super::Result;
use crate::error::FrameError;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Fields, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::ScalarValue;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt;

/// Each row as a value.
pub(crate) fn rows<T: DeserializeOwned>(batches: &[RecordBatch]) -> Result<Vec<T>> {
    let mut rows = Vec::new();
    for batch in batches {
        rows.append(&mut rows_from(batch, rows.len())?);
    }
    Ok(rows)
}

/// Each row of a batch, before which there are so many, as a value.
pub(crate) fn rows_from<T: DeserializeOwned>(batch: &RecordBatch, before: usize) -> Result<Vec<T>> {
    let (schema, columns) = (batch.schema(), plain(batch)?);
    let row = |at| {
        let row = Row { fields: schema.fields(), columns: &columns, at };
        T::deserialize(row).map_err(|e| e.in_row(before + at))
    };
    (0..batch.num_rows()).map(row).collect()
}

/// Each value of the first column.
pub(crate) fn values<T: DeserializeOwned>(batches: &[RecordBatch]) -> Result<Vec<T>> {
    let mut values = Vec::new();
    for batch in batches {
        let columns = plain(batch)?;
        for at in 0..batch.num_rows() {
            let cell = Cell { array: &columns[0], at };
            values.push(T::deserialize(cell).map_err(|e| e.of(batch.schema_ref(), 0).in_row(values.len()))?);
        }
    }
    Ok(values)
}

/// Each value of the first column as DataFusion's.
pub(crate) fn scalars(batches: &[RecordBatch]) -> Result<Vec<ScalarValue>> {
    let all = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch.column(0), row)));
    Ok(all
        .map(|(column, row)| ScalarValue::try_from_array(column, row))
        .collect::<std::result::Result<_, _>>()?)
}

/// The first row, whose columns are floats.
pub(crate) fn floats(batches: &[RecordBatch]) -> Vec<Option<f64>> {
    let batch = batches.iter().find(|batch| batch.num_rows() > 0);
    let value = |column: &ArrayRef| {
        let floats = column.as_primitive_opt::<Float64Type>()?;
        floats.is_valid(0).then(|| floats.value(0))
    };
    batch.map_or_else(Vec::new, |batch| batch.columns().iter().map(value).collect())
}

/// The columns with the values of dictionaries in their place.
fn plain(batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
    let column = |array: &ArrayRef| match array.data_type() {
        DataType::Dictionary(_, values) => Ok(cast(array, values)?),
        _ => Ok(array.clone()),
    };
    batch.columns().iter().map(column).collect()
}

/// Why a value is not of a type.
#[derive(Debug)]
struct Wrong {
    column: Option<String>,
    reason: String,
}

impl Wrong {
    fn of(self, schema: &SchemaRef, column: usize) -> Wrong {
        Wrong { column: Some(schema.field(column).name().clone()), ..self }
    }

    fn in_row(self, row: usize) -> FrameError {
        FrameError::Row { row, reason: self.to_string() }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            Some(column) => write!(f, "column {column:?}: {}", self.reason),
            None => write!(f, "{}", self.reason),
        }
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(reason: T) -> Wrong {
        Wrong { column: None, reason: reason.to_string() }
    }
}

/// A row, or a value of fields.
#[derive(Clone, Copy)]
struct Row<'a> {
    fields: &'a Fields,
    columns: &'a [ArrayRef],
    at: usize,
}

/// A value.
#[derive(Clone, Copy)]
struct Cell<'a> {
    array: &'a ArrayRef,
    at: usize,
}

/// Goes over the columns of a row.
struct Walk<'a> {
    row: Row<'a>,
    next: usize,
}

impl<'de> Deserializer<'de> for Row<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Wrong> {
        visitor.visit_map(Walk { row: self, next: 0 })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Wrong> {
        visitor.visit_seq(Walk { row: self, next: 0 })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        n: usize,
        visitor: V,
    ) -> std::result::Result<V::Value, Wrong> {
        let has = self.columns.len();
        if n != has {
            return Err(de::Error::custom(format!("{has} columns, where {n} values are asked for")));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        n: usize,
        visitor: V,
    ) -> std::result::Result<V::Value, Wrong> {
        self.deserialize_tuple(n, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> std::result::Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Wrong> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        map struct enum identifier
    }
}

impl<'de> MapAccess<'de> for Walk<'_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> std::result::Result<Option<K::Value>, Wrong> {
        let Some(field) = self.row.fields.get(self.next) else { return Ok(None) };
        seed.deserialize(StrDeserializer::<Wrong>::new(field.name())).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> std::result::Result<S::Value, Wrong> {
        self.next += 1;
        self.value(self.next - 1, seed)
    }
}

impl<'de> SeqAccess<'de> for Walk<'_> {
    type Error = Wrong;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> std::result::Result<Option<S::Value>, Wrong> {
        if self.next == self.row.columns.len() {
            return Ok(None);
        }
        self.next += 1;
        self.value(self.next - 1, seed).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.row.columns.len() - self.next)
    }
}

impl Walk<'_> {
    fn value<'de, S: DeserializeSeed<'de>>(
        &self,
        at: usize,
        seed: S,
    ) -> std::result::Result<S::Value, Wrong> {
        let cell = Cell { array: &self.row.columns[at], at: self.row.at };
        seed.deserialize(cell).map_err(|wrong| Wrong {
            column: Some(wrong.column.unwrap_or_else(|| self.row.fields[at].name().clone())),
            reason: wrong.reason,
        })
    }
}

/// Goes over the elements of a list.
struct Elements<'a> {
    values: &'a ArrayRef,
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Wrong;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> std::result::Result<Option<S::Value>, Wrong> {
        if self.next == self.values.len() {
            return Ok(None);
        }
        self.next += 1;
        seed.deserialize(Cell { array: self.values, at: self.next - 1 }).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len() - self.next)
    }
}

impl Cell<'_> {
    fn text(&self) -> std::result::Result<String, Wrong> {
        let formatter = ArrayFormatter::try_new(self.array.as_ref(), &FormatOptions::default());
        Ok(formatter.map_err(de::Error::custom)?.value(self.at).to_string())
    }

    fn list<'de, O: OffsetSizeTrait, V: Visitor<'de>>(
        &self,
        visitor: V,
    ) -> std::result::Result<V::Value, Wrong> {
        let values = self.array.as_list::<O>().value(self.at);
        visitor.visit_seq(Elements { values: &values, next: 0 })
    }
}

impl<'de> Deserializer<'de> for Cell<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Wrong> {
        let Cell { array, at } = self;
        if array.is_null(at) || array.data_type().is_null() {
            return visitor.visit_none();
        }
        match array.data_type() {
            DataType::Boolean => visitor.visit_bool(array.as_boolean().value(at)),
            DataType::Int8 => visitor.visit_i8(array.as_primitive::<Int8Type>().value(at)),
            DataType::Int16 => visitor.visit_i16(array.as_primitive::<Int16Type>().value(at)),
            DataType::Int32 => visitor.visit_i32(array.as_primitive::<Int32Type>().value(at)),
            DataType::Int64 => visitor.visit_i64(array.as_primitive::<Int64Type>().value(at)),
            DataType::UInt8 => visitor.visit_u8(array.as_primitive::<UInt8Type>().value(at)),
            DataType::UInt16 => visitor.visit_u16(array.as_primitive::<UInt16Type>().value(at)),
            DataType::UInt32 => visitor.visit_u32(array.as_primitive::<UInt32Type>().value(at)),
            DataType::UInt64 => visitor.visit_u64(array.as_primitive::<UInt64Type>().value(at)),
            DataType::Float32 => visitor.visit_f32(array.as_primitive::<Float32Type>().value(at)),
            DataType::Float64 => visitor.visit_f64(array.as_primitive::<Float64Type>().value(at)),
            DataType::Utf8 => visitor.visit_str(array.as_string::<i32>().value(at)),
            DataType::LargeUtf8 => visitor.visit_str(array.as_string::<i64>().value(at)),
            DataType::Utf8View => visitor.visit_str(array.as_string_view().value(at)),
            DataType::Binary => visitor.visit_bytes(array.as_binary::<i32>().value(at)),
            DataType::LargeBinary => visitor.visit_bytes(array.as_binary::<i64>().value(at)),
            DataType::BinaryView => visitor.visit_bytes(array.as_binary_view().value(at)),
            DataType::List(_) => self.list::<i32, V>(visitor),
            DataType::LargeList(_) => self.list::<i64, V>(visitor),
            DataType::FixedSizeList(_, _) => {
                let values = array.as_fixed_size_list().value(at);
                visitor.visit_seq(Elements { values: &values, next: 0 })
            }
            DataType::Struct(fields) => {
                let row = Row { fields, columns: array.as_struct().columns(), at };
                visitor.visit_map(Walk { row, next: 0 })
            }
            // Dates, times and decimals, as they are written.
            _ => visitor.visit_string(self.text()?),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Wrong> {
        if self.array.data_type().is_decimal() && self.array.is_valid(self.at) {
            return visitor.visit_f64(self.text()?.parse().map_err(de::Error::custom)?);
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Wrong> {
        match self.array.is_null(self.at) || self.array.data_type().is_null() {
            true => visitor.visit_none(),
            false => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> std::result::Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, Wrong> {
        StrDeserializer::<Wrong>::new(&self.text()?).deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}
