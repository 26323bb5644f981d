//! The leaf of a stage's plan that gives what an earlier stage made: the feed of a slot, in the order of the tasks that
//! made it. It declares what is known of the rows, as the operators above it were planned with: how they are divided, what
//! is constant or equal in them, and how they are sorted. Must not know how feeds come.

use crate::codec;
use crate::error::{FrameError, TaskError};
use crate::operator::leaf;
use crate::run::Feed;
use crate::stage::How;
use bytes::Bytes;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::exec_datafusion_err;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{
    AcrossPartitions, ConstExpr, EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt, TryStreamExt};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Expressions over the columns that are read.
pub(crate) type Exprs = Vec<Arc<dyn PhysicalExpr>>;

/// What is known of the rows that a reader gives.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// How they are divided, where they were divided by values.
    pub divided: Option<Partitioning>,
    /// What has one value in all of them.
    pub constants: Exprs,
    /// What is equal in each of them.
    pub equal: Vec<Exprs>,
    /// How each partition is sorted.
    pub sorted: Vec<LexOrdering>,
}

/// Reads a slot.
#[derive(Debug, Clone)]
pub(crate) struct ReadExec {
    /// While a plan is cut the reader's number, then the place among the stage's inputs.
    pub slot: usize,
    pub how: How,
    pub facts: Facts,
    properties: Arc<PlanProperties>,
}

impl ReadExec {
    pub(crate) fn new(
        slot: usize,
        how: How,
        n_partitions: usize,
        schema: SchemaRef,
        facts: Facts,
    ) -> Result<ReadExec> {
        let mut known = EquivalenceProperties::new(schema);
        let uniform = |e: &Arc<dyn PhysicalExpr>| ConstExpr::new(e.clone(), AcrossPartitions::Uniform(None));
        known.add_constants(facts.constants.iter().map(uniform))?;
        for class in &facts.equal {
            for other in class.iter().skip(1) {
                known.add_equal_conditions(class[0].clone(), other.clone())?;
            }
        }
        known.add_orderings(facts.sorted.iter().cloned());
        let divided = facts.divided.clone().unwrap_or(Partitioning::UnknownPartitioning(n_partitions));
        let properties = PlanProperties::new(known, divided, EmissionType::Incremental, Boundedness::Bounded);
        Ok(ReadExec { slot, how, facts, properties: Arc::new(properties) })
    }

    pub(crate) fn with_slot(&self, slot: usize) -> ReadExec {
        ReadExec { slot, ..self.clone() }
    }

    /// The same of rows that are in this order too.
    pub(crate) fn with_order(&self, order: LexOrdering) -> Result<ReadExec> {
        let mut facts = self.facts.clone();
        facts.sorted.push(order);
        ReadExec::new(self.slot, self.how, self.n_partitions(), self.schema(), facts)
    }

    pub(crate) fn n_partitions(&self) -> usize {
        self.properties.partitioning.partition_count()
    }
}

impl DisplayAs for ReadExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "ReadExec: slot={} {:?} partitions={}", self.slot, self.how, self.n_partitions())
    }
}

impl ExecutionPlan for ReadExec {
    fn name(&self) -> &str {
        "ReadExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    leaf!();

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let feeds = context.session_config().get_extension::<Feeds>();
        let feeds = feeds.ok_or_else(|| exec_datafusion_err!("a reader outside of a task"))?;
        let at = if self.how == How::Each { partition } else { 0 };
        let feed = feeds.take(self.slot, at).map_err(TaskError::into_datafusion)?;
        let schema = self.schema();
        let read = schema.clone();
        let batches = feed.map(move |piece| -> Result<_> {
            let piece = piece.map_err(TaskError::into_datafusion)?;
            let batches = piece.read(&read).map(|batch| batch.map_err(TaskError::into_datafusion));
            Ok(futures::stream::iter(batches))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches.try_flatten())))
    }
}

/// What a task does that gives the rows that it is fed with, through its only slot; of a stage of so many.
///
/// # Errors
/// None in practice: a reader has a form as bytes.
pub fn read_payload(schema: &SchemaRef, n_tasks: usize) -> std::result::Result<Bytes, FrameError> {
    let read: Arc<dyn ExecutionPlan> =
        Arc::new(ReadExec::new(0, How::Same, n_tasks, schema.clone(), Facts::default())?);
    codec::encode(&read)
}

/// What a task was fed with: the feeds of each slot, each of which is read once.
pub(crate) struct Feeds(Mutex<Vec<Vec<Option<Feed>>>>);

impl Feeds {
    pub(crate) fn new(feeds: Vec<Vec<Feed>>) -> Feeds {
        Feeds(Mutex::new(feeds.into_iter().map(|slot| slot.into_iter().map(Some).collect()).collect()))
    }

    pub(crate) fn take(&self, slot: usize, at: usize) -> std::result::Result<Feed, TaskError> {
        let mut feeds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let feed = feeds.get_mut(slot).and_then(|slot| slot.get_mut(at)).and_then(Option::take);
        feed.ok_or_else(|| TaskError::Payload(format!("slot {slot} has no feed {at}, or it was read")))
    }
}
