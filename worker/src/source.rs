//! Files: the tasks that read a box of an array's file, and those that write one.
//!
//! Owns the open readers and writers of each job and how many of them are at work at once. Runs on blocking threads;
//! must not use the threads that compute.

use crate::crew::Running;
use crate::pool::{compute, guarded};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;
use tilework_expr::{DType, FileKind, FileRef, Lowered, StageKind};
use tilework_formats::{ArrayReader, ArraySource, ArrayWriter, FormatError, ZarrTarget, ZarrVersion};
use tilework_kernels::{Buffer, Chunk, Feed};
use tilework_plan::{Extent, JobId, Origin, Region, Steps, TaskError, TaskKey, region_len, region_shape};
use tokio::sync::Semaphore;

type Opened<T> = Arc<OnceLock<Result<T, TaskError>>>;

/// The most files of a kind that a worker keeps open: a job may read thousands, a process has about 1,000 descriptors.
const OPEN_FILES_MAX: usize = 128;

#[derive(Debug)]
struct Files<T> {
    open: Mutex<Open<T>>,
}

/// The files that are open, with the number of the last use of each.
#[derive(Debug)]
struct Open<T> {
    files: HashMap<(JobId, FileRef), (Opened<T>, u64)>,
    n_uses: u64,
}

impl<T> Default for Files<T> {
    fn default() -> Self {
        Files { open: Mutex::new(Open { files: HashMap::new(), n_uses: 0 }) }
    }
}

impl<T> Files<T> {
    /// Where a job's file is, or will be, open. The file that was used longest ago is closed where there are too many,
    /// once those who read it have done.
    fn slot(&self, job: JobId, file: &FileRef) -> Opened<T> {
        let mut open = self.open.lock().expect("nothing panics while files are looked up");
        let Open { files, n_uses } = &mut *open;
        *n_uses += 1;
        let key = (job, file.clone());
        if files.len() == OPEN_FILES_MAX && !files.contains_key(&key) {
            let oldest = files.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone());
            oldest.and_then(|key| files.remove(&key));
        }
        let (slot, used) = files.entry(key).or_insert_with(|| (Opened::default(), 0));
        *used = *n_uses;
        slot.clone()
    }

    fn forget(&self, job: Option<JobId>) {
        let mut open = self.open.lock().expect("nothing panics while files are looked up");
        open.files.retain(|(of, _), _| job.is_some_and(|job| *of != job));
    }
}

/// The open files of all jobs.
#[derive(Debug)]
pub struct Sources {
    readers: Files<ArrayReader>,
    writers: Files<ArrayWriter>,
    permits: Arc<Semaphore>,
}

impl Sources {
    /// At most `at_once` boxes are read or written at a time.
    #[must_use]
    pub fn new(at_once: usize) -> Sources {
        let permits = Arc::new(Semaphore::new(at_once.max(1)));
        Sources { readers: Files::default(), writers: Files::default(), permits }
    }

    /// Closes a job's files, or all files.
    pub(crate) fn forget(&self, job: Option<JobId>) {
        self.readers.forget(job);
        self.writers.forget(job);
    }

    /// Whether a stage's tasks are done here.
    pub(crate) fn serves(kind: &StageKind) -> bool {
        matches!(kind, StageKind::Read(_) | StageKind::Write(_))
    }

    /// Does one task, and says how long it took, microseconds. Waits for its turn.
    pub(crate) async fn perform(
        self: Arc<Self>,
        (lowered, task): (Arc<Lowered>, TaskKey),
        feeds: Vec<Feed>,
        running: Arc<Running>,
    ) -> (Result<Option<Chunk>, TaskError>, u64) {
        let permit = self.permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        let done = tokio::task::spawn_blocking(move || {
            running.begin();
            let started = Instant::now();
            let name = lowered.plan.stage(task.stage).name;
            let result = guarded(name, || self.perform_blocking(&lowered, task, &feeds));
            drop(permit);
            (result, started.elapsed().as_micros() as u64)
        });
        done.await.unwrap_or_else(|e| (Err(TaskError::Worker(e.to_string())), 0))
    }

    /// Does one task of any kind but a literal's on the calling thread, and waits for nobody. The chunk of a task that
    /// writes a file has no planes.
    ///
    /// # Errors
    /// A task that cannot be done, as a worker would report it; a panic in it is one.
    pub fn perform_here(&self, lowered: &Lowered, task: TaskKey, feeds: &[Feed]) -> Result<Chunk, TaskError> {
        let kind = &lowered.work(task.stage).kind;
        if !Sources::serves(kind) {
            return compute(lowered, task, feeds, &AtomicBool::new(false)).0;
        }
        let done = guarded(kind.name(), || self.perform_blocking(lowered, task, feeds))?;
        Ok(done.unwrap_or(Chunk { planes: Vec::new() }))
    }

    fn perform_blocking(
        &self,
        lowered: &Lowered,
        task: TaskKey,
        feeds: &[Feed],
    ) -> Result<Option<Chunk>, TaskError> {
        let (stage, work) = (lowered.plan.stage(task.stage), lowered.work(task.stage));
        match (&work.kind, &stage.origin) {
            (StageKind::Read(file), Origin::File(extent)) => {
                let slot = self.readers.slot(task.job, file);
                let reader = slot.get_or_init(|| source_of(file).open().map_err(of_format)).as_ref();
                let reader = reader.map_err(Clone::clone)?;
                check_unchanged((file, extent), reader, work.dtype())?;
                let region = stage.out_grid.region(task.chunk);
                read(reader, work.dtype(), (&region, &extent.steps_of(&region))).map(Some)
            }
            (StageKind::Write(file), _) => {
                let slot = self.writers.slot(task.job, file);
                let writer = slot.get_or_init(|| target_of(file)?.open().map_err(of_format)).as_ref();
                let writer = writer.map_err(Clone::clone)?;
                write(writer, feeds, &stage.grid.region(task.chunk)).map(|()| None)
            }
            _ => Err(TaskError::Operation(format!("a {} task reads and writes no file", stage.name))),
        }
    }
}

fn source_of(file: &FileRef) -> ArraySource {
    match file.kind {
        FileKind::Npy => ArraySource::npy(&file.path),
        FileKind::Npz => ArraySource::npz(&file.path, &*file.member),
        FileKind::Zarr2 | FileKind::Zarr3 => ArraySource::zarr(&file.path, &*file.member),
        FileKind::Netcdf => ArraySource::netcdf(&file.path, &*file.member),
    }
}

fn target_of(file: &FileRef) -> Result<ZarrTarget, TaskError> {
    let version = match file.kind {
        FileKind::Zarr2 => ZarrVersion::V2,
        FileKind::Zarr3 => ZarrVersion::V3,
        FileKind::Npy | FileKind::Npz | FileKind::Netcdf => {
            let why = format!("{}: several workers cannot write one file; expected a Zarr store", file.path);
            return Err(TaskError::Operation(why));
        }
    };
    Ok(ZarrTarget { path: Path::new(&file.path).to_owned(), array: file.member.clone(), version })
}

/// The file may have been replaced since the program was built.
fn check_unchanged(
    (file, extent): (&FileRef, &Extent),
    reader: &ArrayReader,
    dtype: DType,
) -> Result<(), TaskError> {
    let meta = reader.meta();
    if meta.shape == extent.shape && meta.dtype == dtype {
        return Ok(());
    }
    Err(TaskError::Operation(format!(
        "{}: got shape {:?} of {}, expected {:?} of {dtype}: the file has changed",
        file.path, meta.shape, meta.dtype, extent.shape
    )))
}

/// The chunk of a box, which lies at these positions in the file.
fn read(
    reader: &ArrayReader,
    dtype: DType,
    (region, steps): (&Region, &[Steps]),
) -> Result<Chunk, TaskError> {
    let mut buffer = Buffer::zeroed(region_len(region) * dtype.size());
    reader.read_steps(steps, buffer.as_mut_slice()).map_err(of_format)?;
    Chunk::from_buffer(dtype, &region_shape(region), buffer.freeze())
        .map_err(|e| TaskError::Operation(e.to_string()))
}

fn write(writer: &ArrayWriter, feeds: &[Feed], region: &Region) -> Result<(), TaskError> {
    let [Feed { chunk, region: of, .. }] = feeds else {
        return Err(TaskError::Operation(format!("got {} chunks to write, expected one", feeds.len())));
    };
    if of != region {
        return Err(TaskError::Operation(format!("got box {of:?} to write, expected {region:?}")));
    }
    let plane = chunk.planes[0].to_contiguous();
    let bytes = plane.contiguous_bytes().expect("the plane was made contiguous");
    writer.write_chunk(region, bytes).map_err(of_format)
}

/// A failing disk, or network, is this worker's trouble; a file that is not what it should be is everybody's.
fn of_format(error: FormatError) -> TaskError {
    match &error {
        FormatError::Io { .. } | FormatError::Unreachable { .. } | FormatError::Object { .. } => {
            TaskError::Worker(error.to_string())
        }
        _ => TaskError::Operation(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_used_last_stay_open() {
        let files = Files::<usize>::default();
        let file = |i: usize| FileRef { kind: FileKind::Npy, path: i.to_string(), member: String::new() };
        let open = |i: usize| {
            let slot = files.slot(JobId(1), &file(i));
            let fresh = slot.get().is_none();
            slot.get_or_init(|| Ok(i));
            fresh
        };
        assert!((0..10 * OPEN_FILES_MAX).all(|i| {
            let fresh = open(i);
            fresh && (i == 0 || !open(i - 1))
        }));
        assert_eq!(files.open.lock().unwrap().files.len(), OPEN_FILES_MAX);
        assert!(open(0));
        files.forget(Some(JobId(1)));
        assert!(files.open.lock().unwrap().files.is_empty());
    }
}
