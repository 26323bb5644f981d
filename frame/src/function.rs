//! Functions of the user's: what a plan says of one, who calls it, and the function of a row that does. What names it is
//! bytes that only the caller understands. Must not know how functions are found again.

use crate::error::TaskError;
use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::any::Any;
use std::sync::{Arc, OnceLock};

/// A function of the user's, as plans name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Function {
    /// What names it, for the caller.
    pub bytes: Arc<[u8]>,
    /// What it is called, in the program.
    pub name: Arc<str>,
    /// The line of the program that has it called, `file:line:column`.
    pub line: Arc<str>,
}

/// Calls the function that bytes name with a record batch, or with a column, and gives what it gives; an error in words,
/// which name it.
pub type Caller = fn(&[u8], &dyn Any) -> std::result::Result<Box<dyn Any + Send>, String>;

static CALLER: OnceLock<Caller> = OnceLock::new();

/// Says who calls functions in this process, before any is called. The first one stays.
pub fn install_caller(caller: Caller) {
    // Err: there is one.
    let _ = CALLER.set(caller);
}

impl Function {
    /// What it gives for a value.
    ///
    /// # Errors
    /// [`TaskError::Function`] with the line that has it called: it panicked, gave an error or something else than is
    /// expected, or is none of this process.
    pub fn call<T: Any>(&self, input: &dyn Any) -> std::result::Result<T, TaskError> {
        let failed = |why: String| TaskError::Function { line: self.line.to_string(), why };
        let caller = CALLER.get().ok_or_else(|| failed("this process calls no functions".to_owned()))?;
        let made = caller(&self.bytes, input).map_err(failed)?;
        let other = |_| failed(format!("{} gave something else than is expected", self.name));
        made.downcast::<T>().map(|made| *made).map_err(other)
    }
}

/// A function of a value of each row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct MapElements {
    pub function: Function,
    pub takes: DataType,
    pub gives: DataType,
    signature: Signature,
}

/// What it is called in plans.
pub(crate) const MAP_ELEMENTS: &str = "map_elements";

impl MapElements {
    pub(crate) fn new(function: Function, takes: DataType, gives: DataType) -> MapElements {
        MapElements { function, takes, gives, signature: Signature::any(1, Volatility::Immutable) }
    }

    /// The function behind one that plans call, if it is one.
    pub(crate) fn of(udf: &ScalarUDF) -> Option<&MapElements> {
        let inner: &dyn Any = &**udf.inner();
        inner.downcast_ref()
    }
}

impl ScalarUDFImpl for MapElements {
    fn name(&self) -> &str {
        MAP_ELEMENTS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [got] = types else { return plan_err!("{MAP_ELEMENTS} is of one value") };
        let texts = got.is_string() && self.takes.is_string();
        if texts || crate::api::widened(got, &self.takes).as_ref() == Some(&self.takes) {
            return Ok(self.gives.clone());
        }
        let Function { name, line, .. } = &self.function;
        plan_err!("the function {name} ({line}) takes {}, and the column is {got}; `cast` it", self.takes)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let input: ArrayRef = cast(&arrays[0], &self.takes)?;
        let made: ArrayRef = self.function.call(&input).map_err(TaskError::into_datafusion)?;
        if made.len() != input.len() || made.data_type() != &self.gives {
            let (got, n) = (made.data_type(), made.len());
            let why = format!(
                "{} gave {n} values of {got}, expected {} of {}",
                self.function.name,
                input.len(),
                self.gives
            );
            return Err(TaskError::Function { line: self.function.line.to_string(), why }.into_datafusion());
        }
        Ok(ColumnarValue::Array(made))
    }
}
