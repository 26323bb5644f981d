//! A map from tasks to values that is fast where neighbouring chunks come together: pages of a stage's chunks, by
//! page number. Ordered as [`TaskKey`] is.
//!
//! Knows keys. Must not know what the values mean.

use std::collections::BTreeMap;
use std::ops::Range;
use tilework_plan::{ChunkIdx, JobId, StageIdx, TaskKey};

/// Chunks of one page.
const PAGE: u64 = 128;

type PageKey = (JobId, StageIdx, u64);

#[derive(Debug)]
struct Page<T> {
    n: usize,
    slots: Box<[Option<T>]>,
}

/// Values by task.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    pages: BTreeMap<PageKey, Page<T>>,
    n: usize,
}

impl<T> Default for Pages<T> {
    fn default() -> Pages<T> {
        Pages { pages: BTreeMap::new(), n: 0 }
    }
}

fn place(key: TaskKey) -> (PageKey, usize) {
    ((key.job, key.stage, key.chunk.0 / PAGE), (key.chunk.0 % PAGE) as usize)
}

impl<T> Pages<T> {
    pub fn len(&self) -> usize {
        self.n
    }

    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    pub fn get(&self, key: TaskKey) -> Option<&T> {
        let (page, at) = place(key);
        self.pages.get(&page)?.slots[at].as_ref()
    }

    pub fn get_mut(&mut self, key: TaskKey) -> Option<&mut T> {
        let (page, at) = place(key);
        self.pages.get_mut(&page)?.slots[at].as_mut()
    }

    pub fn contains(&self, key: TaskKey) -> bool {
        self.get(key).is_some()
    }

    pub fn insert(&mut self, key: TaskKey, value: T) -> Option<T> {
        let (page, at) = place(key);
        let page =
            self.pages.entry(page).or_insert_with(|| Page { n: 0, slots: (0..PAGE).map(|_| None).collect() });
        let old = page.slots[at].replace(value);
        page.n += usize::from(old.is_none());
        self.n += usize::from(old.is_none());
        old
    }

    pub fn remove(&mut self, key: TaskKey) -> Option<T> {
        let (key, at) = place(key);
        let page = self.pages.get_mut(&key)?;
        let old = page.slots[at].take()?;
        page.n -= 1;
        self.n -= 1;
        if page.n == 0 {
            self.pages.remove(&key);
        }
        Some(old)
    }

    pub fn iter(&self) -> impl Iterator<Item = (TaskKey, &T)> {
        self.pages.iter().flat_map(|(key, page)| entries(*key, page))
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.iter().map(|(_, v)| v)
    }

    /// The keys of a stage's range of chunks that have a value.
    pub fn keys_within(&self, job: JobId, stage: StageIdx, chunks: Range<u64>) -> Vec<TaskKey> {
        let pages = self.pages.range((job, stage, chunks.start / PAGE)..=(job, stage, chunks.end / PAGE));
        let keys = pages.flat_map(|(key, page)| entries(*key, page)).map(|(k, _)| k);
        keys.filter(|k| chunks.contains(&k.chunk.0)).collect()
    }

    /// The keys of a job that have a value.
    pub fn keys_of(&self, job: JobId) -> Vec<TaskKey> {
        let pages = self.pages.range((job, StageIdx(0), 0)..=(job, StageIdx(u32::MAX), u64::MAX));
        pages.flat_map(|(key, page)| entries(*key, page)).map(|(k, _)| k).collect()
    }
}

fn entries<T>((job, stage, page): PageKey, p: &Page<T>) -> impl Iterator<Item = (TaskKey, &T)> {
    p.slots.iter().enumerate().filter_map(move |(i, slot)| {
        Some((TaskKey { job, stage, chunk: ChunkIdx(page * PAGE + i as u64) }, slot.as_ref()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_map() {
        let key =
            |job, stage, chunk| TaskKey { job: JobId(job), stage: StageIdx(stage), chunk: ChunkIdx(chunk) };
        let mut pages = Pages::default();
        let mut map = BTreeMap::new();
        for i in 0..2000u64 {
            let k = key(i % 3, (i % 2) as u32, i * 7919 % 600);
            if i % 5 == 4 {
                assert_eq!(pages.remove(k), map.remove(&k));
            } else {
                assert_eq!(pages.insert(k, i), map.insert(k, i));
            }
            assert_eq!(pages.len(), map.len());
        }
        assert!(pages.iter().map(|(k, v)| (k, *v)).eq(map.iter().map(|(k, v)| (*k, *v))));
        let within: Vec<TaskKey> = map
            .keys()
            .copied()
            .filter(|k| (k.job.0, k.stage.0) == (1, 1) && (100..300).contains(&k.chunk.0))
            .collect();
        assert_eq!(pages.keys_within(JobId(1), StageIdx(1), 100..300), within);
        assert_eq!(pages.keys_of(JobId(2)).len(), map.keys().filter(|k| k.job == JobId(2)).count());
    }
}
