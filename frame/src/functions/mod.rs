//! Functions of our own, which planners and tasks know by their names: those of DataFusion that would give a wrong result
//! without an error, done right, and those that it has none of. Must not know of plans.

pub(crate) mod datetime;
mod ewm;
mod extreme;
mod fill;
mod mode;
mod moments;
mod product;
mod scalar;
mod sum;

use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use moments::Shape;
use std::sync::{Arc, LazyLock};

static SUM: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| Arc::new(AggregateUDF::from(sum::CheckedSum)));
static MIN: LazyLock<Arc<AggregateUDF>> =
    LazyLock::new(|| Arc::new(AggregateUDF::from(extreme::Extreme::Min)));
static MAX: LazyLock<Arc<AggregateUDF>> =
    LazyLock::new(|| Arc::new(AggregateUDF::from(extreme::Extreme::Max)));
static LAST_KNOWN: LazyLock<Arc<AggregateUDF>> =
    LazyLock::new(|| Arc::new(AggregateUDF::from(fill::LastKnown::new())));
static EWM_MEAN: LazyLock<Arc<AggregateUDF>> =
    LazyLock::new(|| Arc::new(AggregateUDF::from(ewm::EwmMean::new())));
static SINCE_KNOWN: LazyLock<Arc<AggregateUDF>> =
    LazyLock::new(|| Arc::new(AggregateUDF::from(fill::RowsSinceKnown::new())));
static MODE: LazyLock<Arc<AggregateUDF>> = LazyLock::new(|| Arc::new(AggregateUDF::from(mode::Mode::new())));
static PRODUCT: LazyLock<Arc<AggregateUDF>> =
    LazyLock::new(|| Arc::new(AggregateUDF::from(product::Product::new())));
static SKEWS: LazyLock<[Arc<AggregateUDF>; 2]> = LazyLock::new(|| of_shapes([Shape::Skew, Shape::SkewOfAll]));
static KURTOSES: LazyLock<[Arc<AggregateUDF>; 2]> =
    LazyLock::new(|| of_shapes([Shape::Kurtosis, Shape::KurtosisOfAll]));
static FLOOR_DIV: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(scalar::FloorDiv::new())));
static ORDERED: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(scalar::Ordered::new())));

static TO_DATETIME: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(datetime::ToDatetime::new())));

static DRAWN: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(scalar::Drawn::new())));

/// The error of an aggregate beyond its type.
#[cold]
fn does_not_fit(what: &str, data_type: &DataType) -> DataFusionError {
    let why = format!("the {what} does not fit {data_type}; cast the column to a wider type");
    ArrowError::ArithmeticOverflow(why).into()
}

/// The sum, which is an error where it does not fit its type.
pub(crate) fn sum() -> Arc<AggregateUDF> {
    SUM.clone()
}

/// The least value; NaN is greater than all others.
pub(crate) fn min() -> Arc<AggregateUDF> {
    MIN.clone()
}

/// The greatest value; NaN is greater than all others.
pub(crate) fn max() -> Arc<AggregateUDF> {
    MAX.clone()
}

/// The last value that is not missing.
pub(crate) fn last_known() -> Arc<AggregateUDF> {
    LAST_KNOWN.clone()
}

/// The mean of values that weigh less the farther back they are.
pub(crate) fn ewm_mean() -> Arc<AggregateUDF> {
    EWM_MEAN.clone()
}

/// How many rows ago the last value was that is not missing.
pub(crate) fn rows_since_known() -> Arc<AggregateUDF> {
    SINCE_KNOWN.clone()
}

/// The value that there is most often, the least of several.
pub(crate) fn mode() -> Arc<AggregateUDF> {
    MODE.clone()
}

/// The product, which is an error where it does not fit its type.
pub(crate) fn product() -> Arc<AggregateUDF> {
    PRODUCT.clone()
}

fn of_shapes(shapes: [Shape; 2]) -> [Arc<AggregateUDF>; 2] {
    shapes.map(|shape| Arc::new(AggregateUDF::from(shape)))
}

/// How far values lean to one side; `bias` says whether of these, or an estimate of what they were drawn from.
pub(crate) fn skew(bias: bool) -> Arc<AggregateUDF> {
    SKEWS[usize::from(!bias)].clone()
}

/// How much of them lies far out, beyond what a normal distribution has there.
pub(crate) fn kurtosis(bias: bool) -> Arc<AggregateUDF> {
    KURTOSES[usize::from(!bias)].clone()
}

/// The quotient without what is after its point, rounded down.
pub(crate) fn floor_div() -> Arc<ScalarUDF> {
    FLOOR_DIV.clone()
}

/// A float as sorts take it: all NaN are one, which is the greatest, and there is no negative zero.
pub(crate) fn ordered() -> Arc<ScalarUDF> {
    ORDERED.clone()
}

/// The time that a text says.
pub(crate) fn to_datetime() -> Arc<ScalarUDF> {
    TO_DATETIME.clone()
}

/// A number from 0 to 1 for a place and a seed, always the same.
pub(crate) fn drawn() -> Arc<ScalarUDF> {
    DRAWN.clone()
}

/// Makes them known, in the place of DataFusion's where they have the same names.
pub(crate) fn register(context: &SessionContext) {
    let own = [sum(), min(), max(), last_known(), rows_since_known(), ewm_mean(), mode(), product()];
    for function in own.iter().chain(&*SKEWS).chain(&*KURTOSES) {
        context.register_udaf(function.as_ref().clone());
    }
    for function in [floor_div(), ordered(), to_datetime(), drawn()] {
        context.register_udf(function.as_ref().clone());
    }
}
