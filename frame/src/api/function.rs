//! Functions of the user's on tables, for whoever names them. Must not know how they are named.

use super::Result;
use super::expr::Expr;
use super::frame::DataFrame;
use crate::error::FrameError;
use crate::function::{Function, MapElements};
use crate::map::mapped;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::logical_expr::ScalarUDF;
use std::sync::Arc;

impl DataFrame {
    /// What a function gives for each partition, a record batch of these columns; where they are not said, those that it
    /// gives for a batch without rows, with which it is called at once.
    ///
    /// # Errors
    /// [`FrameError::Function`] if that call fails, [`FrameError::Duplicate`] for two columns of one name.
    #[doc(hidden)]
    pub fn mapped(&self, function: Function, schema: Option<SchemaRef>) -> Result<DataFrame> {
        let schema = match schema {
            Some(schema) => schema,
            None => {
                let none = RecordBatch::new_empty(self.schema());
                let made = function.call::<RecordBatch>(&none);
                made.map_err(|error| FrameError::Function(Arc::new(error)))?.schema()
            }
        };
        super::resolve::check_unique(schema.fields().iter().map(|field| field.name().as_str()))?;
        let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        self.made(0, |plan| Ok(mapped(plan.clone(), function, schema)?))
    }
}

impl Expr {
    /// What a function gives for the values of a type, a column of another type.
    #[doc(hidden)]
    #[must_use]
    pub fn mapped(self, function: Function, takes: DataType, gives: DataType) -> Expr {
        let function = Arc::new(ScalarUDF::from(MapElements::new(function, takes, gives)));
        self.map(|e| function.call(vec![e]))
    }
}
