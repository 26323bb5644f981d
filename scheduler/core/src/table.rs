//! Where every task of a stage stands: pages of task states, allocated when first touched and freed when all of a
//! page's tasks are finished with.
//!
//! Knows states and counts them. Must not know plans, workers' records or what a transition entails.

use tilework_plan::{LeaseId, WorkerId};

/// Tasks of one page.
const PAGE: u64 = 1024;
/// Tasks of the pages that are kept together.
const SHEET: u64 = 1024 * PAGE;

/// Where a task, and with it the chunk that it makes, stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TaskState {
    /// Nothing was done about it yet.
    Untouched,
    /// Some of its inputs do not exist.
    Waiting {
        /// How many (an input read twice counts twice).
        missing: u32,
    },
    /// All of its inputs exist.
    Ready {
        /// The worker in whose queue it stands, once one was chosen.
        worker: Option<WorkerId>,
    },
    /// A worker has it.
    Leased {
        /// Under which lease.
        lease: LeaseId,
    },
    /// Its chunk exists.
    Held {
        /// Where; nobody has what stands for chunks of other records, which say it themselves.
        holder: Option<WorkerId>,
        /// Readings by tasks that are not done.
        pending: u32,
    },
    /// Its chunk existed and is needed no more.
    Released,
    /// It failed alone: its chunk will not exist.
    Failed,
}

impl TaskState {
    /// Whether the task is done, whatever became of its chunk.
    pub fn is_done(self) -> bool {
        matches!(self, TaskState::Held { .. } | TaskState::Released | TaskState::Failed)
    }

    /// The worker that has the chunk, where that exists under its own name.
    pub fn holder(self) -> Option<WorkerId> {
        match self {
            TaskState::Held { holder, .. } => holder,
            _ => None,
        }
    }

    /// Whether the chunk exists.
    pub fn is_held(self) -> bool {
        matches!(self, TaskState::Held { .. })
    }
}

/// How many tasks stand where.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Counts {
    pub waiting: u64,
    pub ready: u64,
    pub leased: u64,
    pub held: u64,
    pub released: u64,
    pub failed: u64,
}

impl Counts {
    fn of(&mut self, state: TaskState) -> Option<&mut u64> {
        match state {
            TaskState::Untouched => None,
            TaskState::Waiting { .. } => Some(&mut self.waiting),
            TaskState::Ready { .. } => Some(&mut self.ready),
            TaskState::Leased { .. } => Some(&mut self.leased),
            TaskState::Held { .. } => Some(&mut self.held),
            TaskState::Released => Some(&mut self.released),
            TaskState::Failed => Some(&mut self.failed),
        }
    }

    fn moved(&mut self, from: TaskState, to: TaskState) {
        if let Some(n) = self.of(from) {
            *n -= 1;
        }
        if let Some(n) = self.of(to) {
            *n += 1;
        }
    }
}

#[derive(Clone, Debug)]
enum Page {
    Untouched,
    Live {
        /// Tasks that are not released.
        left: u64,
        tasks: Box<[TaskState]>,
    },
    Retired,
}

/// The pages of neighbouring tasks; none before the first of those tasks is touched.
type Sheet = Vec<Page>;

/// The states of all tasks of one stage. What it takes of memory and time does not grow with the tasks that were not
/// touched.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    n_tasks: u64,
    /// None before the first task is touched, and once all tasks are finished with.
    sheets: Vec<Sheet>,
    /// Whether the tasks without a page are finished with.
    retired: bool,
    counts: Counts,
}

/// Pages that a table has no use for any more.
pub(crate) struct Torn {
    sheets: Vec<Sheet>,
}

impl Torn {
    pub fn is_empty(&self) -> bool {
        self.sheets.is_empty()
    }

    pub fn n_pages(&self) -> usize {
        self.sheets.iter().map(Vec::len).sum()
    }
}

impl Table {
    pub fn new(n_tasks: u64) -> Table {
        Table { n_tasks, sheets: Vec::new(), retired: false, counts: Counts::default() }
    }

    pub fn n_tasks(&self) -> u64 {
        self.n_tasks
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Tasks that are done, whatever became of their chunks.
    pub fn n_done(&self) -> u64 {
        self.counts.held + self.counts.released + self.counts.failed
    }

    fn without_page(&self) -> TaskState {
        if self.retired { TaskState::Released } else { TaskState::Untouched }
    }

    pub fn get(&self, chunk: u64) -> TaskState {
        let sheet = self.sheets.get((chunk / SHEET) as usize);
        match sheet.and_then(|pages| pages.get((chunk % SHEET / PAGE) as usize)) {
            None => self.without_page(),
            Some(Page::Untouched) => TaskState::Untouched,
            Some(Page::Live { tasks, .. }) => tasks[(chunk % PAGE) as usize],
            Some(Page::Retired) => TaskState::Released,
        }
    }

    /// The page of a task, which is made if there was none.
    fn page(&mut self, chunk: u64) -> &mut Page {
        let without = if self.retired { Page::Retired } else { Page::Untouched };
        if self.sheets.is_empty() {
            self.sheets.resize_with(self.n_tasks.div_ceil(SHEET) as usize, Vec::new);
        }
        let sheet = &mut self.sheets[(chunk / SHEET) as usize];
        if sheet.is_empty() {
            let n_tasks = (self.n_tasks - chunk / SHEET * SHEET).min(SHEET);
            sheet.resize(n_tasks.div_ceil(PAGE) as usize, without);
        }
        &mut sheet[(chunk % SHEET / PAGE) as usize]
    }

    /// Moves a task and returns where it stood.
    pub fn set(&mut self, chunk: u64, to: TaskState) -> TaskState {
        let n_in_page = (self.n_tasks - chunk / PAGE * PAGE).min(PAGE);
        let page = self.page(chunk);
        match page {
            Page::Untouched => {
                let tasks = vec![TaskState::Untouched; n_in_page as usize].into();
                *page = Page::Live { left: n_in_page, tasks };
            }
            Page::Retired => {
                *page = Page::Live { left: 0, tasks: vec![TaskState::Released; n_in_page as usize].into() };
            }
            Page::Live { .. } => {}
        }
        let Page::Live { left, tasks } = page else { return TaskState::Released };
        let from = std::mem::replace(&mut tasks[(chunk % PAGE) as usize], to);
        *left = *left + u64::from(from == TaskState::Released) - u64::from(to == TaskState::Released);
        if *left == 0 {
            *page = Page::Retired;
        }
        self.counts.moved(from, to);
        from
    }

    /// Marks every task as finished with.
    pub fn retire_all(&mut self) -> Torn {
        self.retired = true;
        self.counts = Counts { released: self.n_tasks, ..Counts::default() };
        Torn { sheets: std::mem::take(&mut self.sheets) }
    }

    /// All tasks on pages that are in use, with their states.
    pub fn live(&self) -> impl Iterator<Item = (u64, TaskState)> + '_ {
        let sheets = self.sheets.iter().zip(0u64..);
        let pages = sheets.flat_map(|(pages, i)| pages.iter().zip((i * SHEET..).step_by(PAGE as usize)));
        pages.flat_map(|(page, first)| {
            let tasks: &[TaskState] = match page {
                Page::Live { tasks, .. } => tasks,
                _ => &[],
            };
            tasks.iter().zip(first..).map(|(&state, chunk)| (chunk, state))
        })
    }

    /// Whether the counts are those of the states.
    pub fn check(&self) {
        let mut counts = Counts::default();
        let mut n_paged = 0;
        for (i, pages) in self.sheets.iter().enumerate().filter(|(_, pages)| !pages.is_empty()) {
            let n_tasks = (self.n_tasks - i as u64 * SHEET).min(SHEET);
            n_paged += n_tasks;
            for (p, page) in pages.iter().enumerate() {
                match page {
                    Page::Untouched => {}
                    Page::Retired => counts.released += (n_tasks - p as u64 * PAGE).min(PAGE),
                    Page::Live { left, tasks } => {
                        tasks.iter().for_each(|&s| counts.moved(TaskState::Untouched, s));
                        let want = tasks.iter().filter(|s| **s != TaskState::Released).count() as u64;
                        assert_eq!(*left, want, "tasks left on page {p}");
                        assert!(want > 0, "page {p} is finished with and kept");
                    }
                }
            }
        }
        counts.released += if self.retired { self.n_tasks - n_paged } else { 0 };
        assert_eq!(self.counts, counts, "counts of a stage");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_come_and_go() {
        let mut t = Table::new(1030);
        assert_eq!(t.get(1029), TaskState::Untouched);
        for c in 1024..1030 {
            t.set(c, TaskState::Ready { worker: None });
        }
        assert_eq!(t.live().count(), 6);
        for c in 1024..1030 {
            t.set(c, TaskState::Released);
            t.check();
        }
        assert_eq!((t.live().count(), t.get(1026), t.n_done()), (0, TaskState::Released, 6));
        t.set(1025, TaskState::Waiting { missing: 1 });
        assert_eq!((t.get(1025), t.get(1024)), (TaskState::Waiting { missing: 1 }, TaskState::Released));
        t.check();
    }

    #[test]
    fn tasks_that_nobody_touches_take_nothing() {
        let mut t = Table::new(1 << 32);
        assert_eq!((t.get(1 << 31), t.sheets.capacity()), (TaskState::Untouched, 0));
        t.set((1 << 32) - 1, TaskState::Ready { worker: None });
        t.set(5, TaskState::Released);
        t.check();
        let pages: usize = t.sheets.iter().map(Vec::len).sum();
        assert_eq!((t.sheets.len(), pages, t.live().count()), (4096, 2048, 2048));
        assert_eq!(t.live().last(), Some(((1 << 32) - 1, TaskState::Ready { worker: None })));
        drop(t.retire_all());
        assert_eq!(
            (t.get(5), t.get(1 << 31), t.n_done()),
            (TaskState::Released, TaskState::Released, 1 << 32)
        );
        t.check();
        // One that is to be made again after all.
        t.set(1 << 31, TaskState::Waiting { missing: 1 });
        t.check();
        assert_eq!(
            (t.get((1 << 31) + 1), t.get(7), t.live().count()),
            (TaskState::Released, TaskState::Released, 1024)
        );
    }

    #[test]
    fn a_state_is_sixteen_bytes() {
        assert_eq!(size_of::<TaskState>(), 16);
    }
}
