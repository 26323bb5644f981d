//! Data that the client provides to a program: chunks cut from an array in memory, made by a function, or fetched from
//! where an earlier run left them.

use crate::closures::FunctionError;
use crate::error::Result;
use std::any::Any;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tilework_expr::Attachment;
use tilework_kernels::{Chunk, panic_text};
use tilework_plan::{ChunkIdx, Grid, JobError, Region};

/// Gives the chunks of a literal, each as often as it is asked for (a chunk that is lost is asked for again).
pub(crate) trait Provider: Send + Sync + 'static {
    /// The elements in `region`.
    ///
    /// # Errors
    /// Elements that are where they cannot be had from any more.
    fn chunk(&self, region: &Region) -> Result<Chunk>;
    /// Whether it may wait for other literals' chunks meanwhile.
    fn waits(&self) -> bool {
        false
    }
    /// Whether the chunks are bytes that this process has all the same. Else each is made when it is asked for, and takes
    /// memory of its own.
    fn lends(&self) -> bool {
        false
    }
}

/// What hangs on a literal's expression.
pub(crate) struct Literal {
    /// Its name, unique in this process.
    pub(crate) id: u64,
    provider: Box<dyn Provider>,
    /// Where it is a function of the user's that is called here.
    function: Option<CalledHere>,
}

/// A function of the user's that this process calls in the workers' place.
pub(crate) struct CalledHere {
    /// The line of the program that asks for it.
    pub(crate) at: &'static Location<'static>,
    /// Why it does not travel; absent where it does, to workers that have it.
    pub(crate) why: Option<FunctionError>,
}

impl Literal {
    pub(crate) fn new(provider: impl Provider) -> Literal {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Literal { id, provider: Box::new(provider), function: None }
    }

    /// The same of a function of the user's.
    pub(crate) fn of_function(provider: impl Provider, function: CalledHere) -> Literal {
        Literal { function: Some(function), ..Literal::new(provider) }
    }

    /// The function that this process calls, if it is one.
    pub(crate) fn function(&self) -> Option<&CalledHere> {
        self.function.as_ref()
    }

    /// Whether making a chunk may wait for those of other literals.
    pub(crate) fn waits(&self) -> bool {
        self.provider.waits()
    }

    /// Whether its chunks are bytes that this process has all the same.
    pub(crate) fn lends(&self) -> bool {
        self.provider.lends()
    }

    /// A new name and the attachment that belongs to it.
    pub(crate) fn attach(provider: impl Provider) -> (u64, Attachment) {
        Literal::new(provider).attached()
    }

    /// Its name and the attachment that belongs to it.
    pub(crate) fn attached(self) -> (u64, Attachment) {
        (self.id, Arc::new(self))
    }

    /// The literal behind an attachment, if it is one.
    pub(crate) fn of(attachment: &Attachment) -> Option<Arc<Literal>> {
        Arc::downcast::<Literal>(Arc::clone(attachment) as Arc<dyn Any + Send + Sync>).ok()
    }

    /// The elements of a chunk, which is a region.
    ///
    /// # Errors
    /// The job's end, where the provider fails or panics.
    pub(crate) fn chunk(&self, chunk: ChunkIdx, region: &Region) -> std::result::Result<Chunk, JobError> {
        let made = catch_unwind(AssertUnwindSafe(|| self.provider.chunk(region)));
        let message = match made {
            Ok(Ok(made)) => return Ok(made),
            Ok(Err(error)) => error.to_string(),
            Err(panic) => {
                format!("panic in the function that makes the elements: {}", panic_text(&*panic))
            }
        };
        Err(JobError::Operation { operation: "literal".into(), chunk: chunk.0, message })
    }
}

/// All chunks of a grid, in memory.
pub(crate) struct InMemory {
    pub(crate) grid: Grid,
    pub(crate) chunks: Vec<Chunk>,
}

impl Provider for InMemory {
    fn chunk(&self, region: &Region) -> Result<Chunk> {
        Ok(self.chunks[chunk_at(&self.grid, region).0 as usize].clone())
    }

    fn lends(&self) -> bool {
        true
    }
}

/// The chunk of a grid that is this region.
pub(crate) fn chunk_at(grid: &Grid, region: &Region) -> ChunkIdx {
    let coords: Vec<usize> = grid.axes().iter().zip(region).map(|(a, r)| a.chunk_of(r.start)).collect();
    grid.index(&coords)
}
