//! The configuration that plans are made with and tasks run with: which of DataFusion's switches must be off, so that a
//! partition can run alone and gives the same bits whenever and wherever it does. Must not know of plans.

use crate::error::FrameError;
use crate::forget::ForgetBeforeSets;
use crate::functions;
use crate::nodes::OwnNodes;
use crate::objects::Stores;
use crate::sorts::KeepSorts;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::config::SessionConfig;
use datafusion::execution::context::{QueryPlanner, SessionContext};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use std::sync::Arc;

/// Rows of a batch.
pub(crate) const BATCH_ROWS: usize = 8192;

/// Options without which results are wrong or differ between runs, with the values that they must have.
const REQUIRED: &[(&str, &str)] = &[
    // A partition that runs alone would read its siblings' files too.
    ("datafusion.execution.enable_file_stream_work_stealing", "false"),
    // Filters that one task learns and another waits for.
    ("datafusion.optimizer.enable_dynamic_filter_pushdown", "false"),
    ("datafusion.optimizer.enable_topk_dynamic_filter_pushdown", "false"),
    ("datafusion.optimizer.enable_join_dynamic_filter_pushdown", "false"),
    ("datafusion.optimizer.enable_aggregate_dynamic_filter_pushdown", "false"),
    // Results of subqueries that tasks would share in memory.
    ("datafusion.optimizer.enable_physical_uncorrelated_scalar_subquery", "false"),
    // Which batch goes where would depend on which came first.
    ("datafusion.optimizer.enable_round_robin_repartition", "false"),
    // Joins that look into both sides at once, for streams without end.
    ("datafusion.optimizer.allow_symmetric_joins_without_pruning", "false"),
    ("datafusion.optimizer.enable_piecewise_merge_join", "false"),
    // A hint that is lost on the way to the tasks, and buffers that no grant counts.
    ("datafusion.optimizer.enable_sort_pushdown", "false"),
    // A rule that fails is an error, not another plan.
    ("datafusion.optimizer.skip_failed_rules", "false"),
    // Plans must not depend on the machine they are made on.
    ("datafusion.execution.planning_concurrency", "1"),
    ("datafusion.execution.batch_size", "8192"),
    ("datafusion.execution.sort_in_place_threshold_bytes", "1048576"),
    ("datafusion.execution.spill_compression", "uncompressed"),
    ("datafusion.execution.time_zone", "+00:00"),
];

/// The configuration of tasks, and what that of a planner starts from.
pub(crate) fn config(n_partitions: usize) -> Result<SessionConfig, FrameError> {
    with(SessionConfig::new().with_target_partitions(n_partitions), REQUIRED)
}

/// A context with this configuration and with what is our own: functions, the planning of our nodes, a rule,
/// and the stores that URLs name.
pub(crate) fn context(config: SessionConfig) -> SessionContext {
    let own: [Arc<dyn PhysicalOptimizerRule + Send + Sync>; 2] =
        [Arc::new(ForgetBeforeSets), Arc::new(KeepSorts)];
    let runtime = RuntimeEnv { object_store_registry: Arc::new(Stores::default()), ..RuntimeEnv::default() };
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(Arc::new(runtime))
        .with_default_features()
        .with_query_planner(Arc::new(WithOwnNodes))
        .with_physical_optimizer_rules(own.into_iter().chain(PhysicalOptimizer::new().rules).collect())
        .build();
    let context = SessionContext::new_with_state(state);
    functions::register(&context);
    context
}

/// DataFusion's planner, and that of our nodes.
#[derive(Debug)]
struct WithOwnNodes;

#[async_trait]
impl QueryPlanner for WithOwnNodes {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(OwnNodes)]);
        planner.create_physical_plan(plan, session).await
    }
}

/// A configuration with these options, each of which is known to DataFusion and has taken.
pub(crate) fn with(mut config: SessionConfig, options: &[(&str, &str)]) -> Result<SessionConfig, FrameError> {
    for (name, value) in options {
        let failed = |reason: String| FrameError::Option {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
            reason,
        };
        config.options_mut().set(name, value).map_err(|e| failed(e.strip_backtrace()))?;
    }
    let entries = config.options().entries();
    for (name, value) in options {
        let got = entries.iter().find(|entry| entry.key == *name).and_then(|entry| entry.value.clone());
        if got.as_deref() != Some(*value) {
            let reason = format!("it is {}", got.as_deref().unwrap_or("not listed"));
            return Err(FrameError::Option { name: (*name).to_owned(), value: (*value).to_owned(), reason });
        }
    }
    Ok(config)
}

/// Whether the DataFusion that this was built with knows every option that results depend on. Planners and runners ask
/// before they start.
///
/// # Errors
/// [`FrameError::Option`] names the first that it does not know.
pub fn self_test() -> Result<(), FrameError> {
    config(1).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_switches_are_known_and_an_unknown_one_is_named() {
        self_test().unwrap();
        let gone = ("datafusion.optimizer.enable_nothing_of_the_kind", "false");
        let error = with(SessionConfig::new(), &[gone]).unwrap_err();
        assert!(matches!(&error, FrameError::Option { name, .. } if name == gone.0), "{error}");
        let error = with(SessionConfig::new(), &[("datafusion.execution.batch_size", "many")]).unwrap_err();
        assert!(matches!(error, FrameError::Option { value, .. } if value == "many"));
    }

    #[test]
    fn batches_have_the_rows_that_the_writers_count_on() {
        assert_eq!(config(3).unwrap().batch_size(), BATCH_ROWS);
        assert_eq!(config(3).unwrap().target_partitions(), 3);
    }
}
