//! The distinct views of a program by numbers, so that views are compared and composed once.
//!
//! Knows views. Must not know nodes.

use std::collections::HashMap;
use tilework_plan::View;

/// A view's number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(super) struct ViewIdx(u32);

/// All views that were met.
#[derive(Default)]
pub(super) struct Views {
    all: Vec<View>,
    by_value: HashMap<View, ViewIdx>,
    composed: HashMap<(ViewIdx, ViewIdx), ViewIdx>,
}

impl Views {
    pub fn get(&self, view: ViewIdx) -> &View {
        &self.all[view.0 as usize]
    }

    pub fn number(&mut self, view: &View) -> ViewIdx {
        if let Some(at) = self.by_value.get(view) {
            return *at;
        }
        let at = ViewIdx(self.all.len() as u32);
        self.all.push(view.clone());
        self.by_value.insert(view.clone(), at);
        at
    }

    pub fn identity(&mut self, ndim: usize) -> ViewIdx {
        self.number(&View::identity(ndim))
    }

    /// First through `outer`, then through `inner`: see [`View::after`].
    pub fn after(&mut self, inner: ViewIdx, outer: ViewIdx) -> ViewIdx {
        if let Some(at) = self.composed.get(&(inner, outer)) {
            return *at;
        }
        let view = self.get(inner).after(self.get(outer));
        let at = self.number(&view);
        self.composed.insert((inner, outer), at);
        at
    }
}
