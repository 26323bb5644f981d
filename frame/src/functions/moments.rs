//! Skewness and kurtosis: of the powers of the distances from the mean, added up as values come and put together by
//! Pébay's formulas (P. Pébay, Sandia report SAND2008-6212, 2008). Must not know of plans.

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, ReversedUDAF, Signature, Volatility};
use std::sync::{Arc, LazyLock};

static OF_ONE: LazyLock<Signature> = LazyLock::new(|| Signature::any(1, Volatility::Immutable));

/// What is asked of the shape of a distribution: of the values, or an estimate of what they were drawn from (D. N. Joanes
/// and C. A. Gill, 1998).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Shape {
    Skew,
    SkewOfAll,
    Kurtosis,
    KurtosisOfAll,
}

impl AggregateUDFImpl for Shape {
    fn name(&self) -> &str {
        match self {
            Shape::Skew => "skew",
            Shape::SkewOfAll => "skew_of_all",
            Shape::Kurtosis => "kurtosis",
            Shape::KurtosisOfAll => "kurtosis_of_all",
        }
    }

    fn signature(&self) -> &Signature {
        &OF_ONE
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types.first() {
            Some(number) if number.is_numeric() || number.is_null() => Ok(DataType::Float64),
            other => plan_err!("{} is of numbers, not of {other:?}", self.name()),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field =
            |what: &str| Arc::new(Field::new(format!("{}[{what}]", args.name), DataType::Float64, true));
        Ok(["count", "mean", "m2", "m3", "m4"].map(field).to_vec())
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Moments { shape: *self, powers: Powers::default() }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// How many values there are, their mean, and the sums of the second to fourth powers of their distances from it.
#[derive(Debug, Clone, Copy, Default)]
struct Powers {
    n: f64,
    mean: f64,
    m2: f64,
    m3: f64,
    m4: f64,
}

impl Powers {
    fn of(value: f64) -> Powers {
        Powers { n: 1.0, mean: value, ..Powers::default() }
    }

    fn with(self, other: Powers) -> Powers {
        if self.n == 0.0 || other.n == 0.0 {
            return if self.n == 0.0 { other } else { self };
        }
        let (a, b) = (self.n, other.n);
        let n = a + b;
        let d = other.mean - self.mean;
        let step = d / n;
        let m2 = self.m2 + other.m2 + d * step * a * b;
        let m3 = self.m3
            + other.m3
            + d * step * step * a * b * (a - b)
            + 3.0 * step * (a * other.m2 - b * self.m2);
        let m4 = self.m4
            + other.m4
            + d * step * step * step * a * b * (a * a - a * b + b * b)
            + 6.0 * step * step * (a * a * other.m2 + b * b * self.m2)
            + 4.0 * step * (a * other.m3 - b * self.m3);
        Powers { n, mean: self.mean + step * b, m2, m3, m4 }
    }

    /// Absent where there are too few values.
    fn shape(self, shape: Shape) -> Option<f64> {
        let Powers { n, m2, m3, m4, .. } = self;
        let skew = n.sqrt() * m3 / m2.powf(1.5);
        let excess = n * m4 / (m2 * m2) - 3.0;
        match shape {
            Shape::Skew => (n > 0.0).then_some(skew),
            Shape::SkewOfAll => (n > 2.0).then_some(skew * (n * (n - 1.0)).sqrt() / (n - 2.0)),
            Shape::Kurtosis => (n > 0.0).then_some(excess),
            Shape::KurtosisOfAll => {
                let scale = (n - 1.0) / ((n - 2.0) * (n - 3.0));
                (n > 3.0).then_some(scale * ((n + 1.0) * excess + 6.0))
            }
        }
    }
}

#[derive(Debug)]
struct Moments {
    shape: Shape,
    powers: Powers,
}

impl Accumulator for Moments {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = cast(&values[0], &DataType::Float64)?;
        let values = values.as_primitive::<Float64Type>().iter().flatten();
        self.powers = values.fold(self.powers, |powers, value| powers.with(Powers::of(value)));
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.powers.shape(self.shape)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let Powers { n, mean, m2, m3, m4 } = self.powers;
        Ok([n, mean, m2, m3, m4].map(|part| ScalarValue::Float64(Some(part))).to_vec())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [n, mean, m2, m3, m4] = [0, 1, 2, 3, 4].map(|part| states[part].as_primitive::<Float64Type>());
        for row in 0..n.len() {
            let [n, mean, m2, m3, m4] = [n, mean, m2, m3, m4].map(|part| part.value(row));
            self.powers = self.powers.with(Powers { n, mean, m2, m3, m4 });
        }
        Ok(())
    }
}
