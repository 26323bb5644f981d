//! A map from tasks to values that is fast where neighbouring chunks come together: pages of a stage's chunks, by
//! page number. Ordered as [`TaskKey`] is.
//!
//! Knows keys. Must not know what the values mean.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use tilework_plan::{ChunkIdx, JobId, StageIdx, TaskKey};

/// Chunks of one page.
const PAGE: u64 = 128;
/// Empty pages that are kept beside as many as there are others.
const FREE_PAGES_MAX: usize = 8;

type PageKey = (JobId, StageIdx, u64);

#[derive(Debug)]
struct Page<T> {
    n: usize,
    slots: Box<[Option<T>]>,
}

impl<T> Page<T> {
    fn empty() -> Page<T> {
        Page { n: 0, slots: (0..PAGE).map(|_| None).collect() }
    }
}

/// Values by task.
#[derive(Debug)]
pub(crate) struct Pages<T> {
    /// Where each page is.
    places: BTreeMap<PageKey, usize>,
    pages: Vec<Page<T>>,
    /// Places of pages that are empty and nobody's.
    free: Vec<usize>,
    /// The page that was looked for last, for most look at the same one several times; absent where it is no more.
    last: Cell<Option<(PageKey, usize)>>,
    n: usize,
}

impl<T> Default for Pages<T> {
    fn default() -> Pages<T> {
        let (places, pages, free) = (BTreeMap::new(), Vec::new(), Vec::new());
        Pages { places, pages, free, last: Cell::new(None), n: 0 }
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

    fn find(&self, key: PageKey) -> Option<usize> {
        match self.last.get() {
            Some((last, at)) if last == key => Some(at),
            _ => {
                let at = *self.places.get(&key)?;
                self.last.set(Some((key, at)));
                Some(at)
            }
        }
    }

    pub fn get(&self, key: TaskKey) -> Option<&T> {
        let (page, at) = place(key);
        self.pages[self.find(page)?].slots[at].as_ref()
    }

    pub fn get_mut(&mut self, key: TaskKey) -> Option<&mut T> {
        let (page, at) = place(key);
        let page = self.find(page)?;
        self.pages[page].slots[at].as_mut()
    }

    pub fn contains(&self, key: TaskKey) -> bool {
        self.get(key).is_some()
    }

    pub fn insert(&mut self, key: TaskKey, value: T) -> Option<T> {
        let (key, at) = place(key);
        let page = self.find(key).unwrap_or_else(|| self.add(key));
        let page = &mut self.pages[page];
        let old = page.slots[at].replace(value);
        page.n += usize::from(old.is_none());
        self.n += usize::from(old.is_none());
        old
    }

    fn add(&mut self, key: PageKey) -> usize {
        let at = self.free.pop().unwrap_or_else(|| {
            self.pages.push(Page::empty());
            self.pages.len() - 1
        });
        self.places.insert(key, at);
        self.last.set(Some((key, at)));
        at
    }

    pub fn remove(&mut self, key: TaskKey) -> Option<T> {
        let (key, slot) = place(key);
        let at = self.find(key)?;
        let page = &mut self.pages[at];
        let old = page.slots[slot].take()?;
        page.n -= 1;
        self.n -= 1;
        if page.n == 0 {
            self.drop_page(key, at);
        }
        Some(old)
    }

    fn drop_page(&mut self, key: PageKey, at: usize) {
        self.places.remove(&key);
        self.last.set(None);
        self.free.push(at);
        // As many empty ones as others are kept, so that what was needed once is not for ever.
        if self.free.len() > self.places.len() + FREE_PAGES_MAX {
            self.compact();
        }
    }

    /// Gives the memory of empty pages back.
    fn compact(&mut self) {
        let mut pages: Vec<Option<Page<T>>> = std::mem::take(&mut self.pages).into_iter().map(Some).collect();
        for at in self.places.values_mut() {
            self.pages.extend(pages[*at].take());
            *at = self.pages.len() - 1;
        }
        self.free.clear();
        self.last.set(None);
    }

    fn entries_of<'a>(
        &'a self,
        (key, at): (&PageKey, &usize),
    ) -> impl Iterator<Item = (TaskKey, &'a T)> + use<'a, T> {
        entries(*key, &self.pages[*at])
    }

    pub fn iter(&self) -> impl Iterator<Item = (TaskKey, &T)> {
        self.places.iter().flat_map(|place| self.entries_of(place))
    }

    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.iter().map(|(_, v)| v)
    }

    /// The keys of a stage's range of chunks that have a value.
    pub fn keys_within(&self, job: JobId, stage: StageIdx, chunks: Range<u64>) -> Vec<TaskKey> {
        let places = self.places.range((job, stage, chunks.start / PAGE)..=(job, stage, chunks.end / PAGE));
        let keys = places.flat_map(|place| self.entries_of(place)).map(|(k, _)| k);
        keys.filter(|k| chunks.contains(&k.chunk.0)).collect()
    }

    /// The keys of a job that have a value.
    pub fn keys_of(&self, job: JobId) -> Vec<TaskKey> {
        let places = self.places.range((job, StageIdx(0), 0)..=(job, StageIdx(u32::MAX), u64::MAX));
        places.flat_map(|place| self.entries_of(place)).map(|(k, _)| k).collect()
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
            assert_eq!(pages.get(k), map.get(&k));
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

    #[test]
    fn pages_that_were_needed_once_are_given_back() {
        let key = |chunk| TaskKey { job: JobId(1), stage: StageIdx(0), chunk: ChunkIdx(chunk) };
        let mut pages = Pages::default();
        let n = 100 * PAGE;
        (0..n).for_each(|c| assert_eq!(pages.insert(key(c), c), None));
        assert_eq!(pages.pages.len(), 100);
        (0..n - 1).for_each(|c| assert_eq!(pages.remove(key(c)), Some(c)));
        assert!(pages.pages.len() <= 2 + FREE_PAGES_MAX, "{} pages for one value", pages.pages.len());
        assert_eq!((pages.get(key(n - 1)), pages.get(key(0))), (Some(&(n - 1)), None));
        assert_eq!(pages.insert(key(0), 7), None);
        assert_eq!(pages.keys_of(JobId(1)), [key(0), key(n - 1)]);
    }
}
