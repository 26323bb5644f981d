//! Data that the client provides to a program: chunks cut from an array in memory, or made by a function.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tilework_expr::{Attachment, Region};
use tilework_kernels::Chunk;

/// Gives the chunks of a literal, each as often as it is asked for (a chunk that is lost is asked for again).
pub(crate) trait Provider: Send + Sync + 'static {
    /// The elements in `region`.
    fn chunk(&self, region: &Region) -> Chunk;
}

/// What hangs on a literal's expression.
pub(crate) struct Literal(pub(crate) Box<dyn Provider>);

impl Literal {
    /// A new name, unique in this process, and the attachment that belongs to it.
    pub(crate) fn attach(provider: impl Provider) -> (u64, Attachment) {
        (Literal::new_id(), Arc::new(Literal(Box::new(provider))))
    }

    /// A new name, unique in this process.
    pub(crate) fn new_id() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// The literal behind an attachment, if it is one.
    pub(crate) fn of(attachment: &Attachment) -> Option<Arc<Literal>> {
        Arc::downcast::<Literal>(Arc::clone(attachment) as Arc<dyn Any + Send + Sync>).ok()
    }
}
