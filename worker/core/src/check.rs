//! Everything that must hold between two events. Used by tests and by the simulator after each event.
//!
//! Knows all parts. Must not change any.

use crate::event::{FetchId, Source};
use crate::store::Stage;
use crate::worker::Worker;
#[cfg(any(test, feature = "planted-bugs"))]
use std::cmp::Reverse;
use std::collections::BTreeMap;
use tilework_plan::TaskKey;

impl Worker {
    /// Checks all invariants. The cost grows with the tasks admitted and the chunks held.
    ///
    /// # Panics
    /// If one does not hold.
    pub fn check(&self) {
        self.queue.check();
        self.store.check(&self.limits);
        self.check_users();
        self.check_running();
    }

    /// Checks that nothing that waits for a thread is more urgent than a task that gets one.
    ///
    /// # Panics
    /// If something is.
    #[cfg(any(test, feature = "planted-bugs"))]
    pub(crate) fn check_order(&self, priority: i32) {
        let waiting =
            self.runnable.iter().map(|&(_, job, Reverse(stage), chunk)| TaskKey { job, stage, chunk });
        let most = waiting.filter_map(|key| self.active.get(key)).map(|a| a.priority).max();
        assert!(most <= Some(priority), "a task of priority {priority} goes before one of {most:?}");
    }

    /// Not in a build that ships.
    #[cfg(not(any(test, feature = "planted-bugs")))]
    pub(crate) fn check_order(&self, _: i32) {}

    fn check_users(&self) {
        let mut held: BTreeMap<TaskKey, u32> = BTreeMap::new();
        let mut fetched: BTreeMap<FetchId, u32> = BTreeMap::new();
        let feeds = self.active.values().map(|a| &a.feeds).chain(self.stopping.values().map(|s| &s.feeds));
        for feed in feeds.flatten() {
            match feed.source {
                Source::Held(key) => *held.entry(key).or_default() += 1,
                Source::Fetched(id) => *fetched.entry(id).or_default() += 1,
            }
        }
        let chunks = self.store.chunks.iter().filter(|(_, c)| c.users > 0);
        assert!(chunks.map(|(k, c)| (k, c.users)).eq(held), "users of chunks");
        let fetches = self.store.fetches.iter().filter(|(_, f)| f.users > 0);
        assert!(fetches.map(|(id, f)| (*id, f.users)).eq(fetched), "users of transfers");
    }

    fn check_running(&self) {
        let running: Vec<_> = self.active.values().filter(|a| a.running).collect();
        assert_eq!(self.n_active_running, running.len(), "tasks running");
        assert_eq!(
            self.n_running as usize,
            self.n_active_running + self.stopping.len(),
            "tasks the driver has"
        );
        let est = running.iter().map(|a| a.est_us).chain(self.stopping.values().map(|s| s.est_us));
        assert_eq!(self.running_us, est.sum::<u64>(), "work the driver has");
        let bytes =
            self.active.values().map(|a| a.reserved).chain(self.stopping.values().map(|s| s.reserved));
        assert_eq!(self.store.bytes_reserved, bytes.sum::<u64>(), "bytes reserved");
        let grown = self.active.values().map(|a| a.grown).sum::<u64>();
        assert_eq!(self.store.bytes_grown, grown, "bytes of results that are being made");
        self.threads.check(self.active.values().filter_map(|a| a.limit_us));
        let waiting = |f: &crate::store::Fetch, key: &TaskKey| f.waiting.iter().filter(|w| *w == key).count();
        for (key, a) in self.active.iter() {
            let stopping = self.stopping.keys().any(|(_, k)| *k == key);
            let fetching: usize = self.store.fetches.values().map(|f| waiting(f, &key)).sum();
            assert_eq!(
                a.missing as usize,
                fetching + usize::from(stopping),
                "{key:?}: inputs that are coming"
            );
            let runnable = self.runnable.contains(&self.runnable_key(key, a.priority));
            assert_eq!(runnable, a.missing == 0 && !a.running, "{key:?} waits for a thread");
        }
        assert!(self.store.fetches.values().all(|f| f.stage != Stage::Here || f.waiting.is_empty()));
        // Something is under way where something is left to do.
        assert!(!self.is_idle() || self.queue.n_tasks() == 0, "tasks are queued and nothing is under way");
    }
}
