//! Functions of our own, which planners and tasks know by their names: those of DataFusion that would give a wrong result
//! without an error, done right, and those that it has none of. Must not know of plans.

pub(crate) mod datetime;
mod ewm;
mod extreme;
mod fill;
mod scalar;
mod sum;

use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
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
static FLOOR_DIV: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(scalar::FloorDiv::new())));
static ORDERED: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(scalar::Ordered::new())));

static TO_DATETIME: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::from(datetime::ToDatetime::new())));

static DRAWN: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(scalar::Drawn::new())));

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
    for function in [sum(), min(), max(), last_known(), ewm_mean()] {
        context.register_udaf(function.as_ref().clone());
    }
    for function in [floor_div(), ordered(), to_datetime(), drawn()] {
        context.register_udf(function.as_ref().clone());
    }
}
