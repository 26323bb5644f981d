//! What is printed, for people or for programs.
//!
//! Owns stdout; what goes on is logged to stderr. Must not know where it comes from.

use crate::args::Format;
use crate::pages::{self, Column};
use crate::settings::Settings;
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::Print;
use crossterm::terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{execute, queue};
use serde_json::json;
use std::io::IsTerminal;
use tilework_scheduler::ClusterState;
use tilework_worker::process::Prints;

/// The way to stdout.
pub struct Output {
    format: Format,
}

impl Output {
    pub fn new(format: Format) -> Output {
        Output { format }
    }

    /// What is logged to stderr, if the environment does not say otherwise.
    pub fn log(&self) -> &'static str {
        if self.format == Format::Quiet { "error" } else { "warn,tilework=info" }
    }

    /// Logs to stderr from now on.
    pub fn start_log(&self) {
        tilework_cluster::log::start(Some(self.log()));
    }

    /// What a worker prints.
    pub fn prints(&self) -> Prints {
        match self.format {
            Format::Human => Prints::Text,
            Format::Json => Prints::Json,
            Format::Quiet => Prints::Nothing,
        }
    }

    /// Prints text for people, or the value for programs.
    pub fn say(&self, text: impl AsRef<str>, value: &serde_json::Value) {
        match self.format {
            Format::Human => print(text.as_ref()),
            Format::Json => print(&value.to_string()),
            Format::Quiet => {}
        }
    }

    pub fn version(&self) {
        let version = env!("CARGO_PKG_VERSION");
        self.say(format!("tilework {version}"), &json!({ "version": version }));
    }

    pub fn settings(&self, settings: &Settings) {
        let mut rows = Vec::new();
        let mut values = serde_json::Map::new();
        for (key, value, origin) in settings.all() {
            rows.push(vec![key.to_owned(), value.to_owned(), origin.to_string()]);
            values.insert(key.into(), json!({ "value": value, "from": origin.to_string() }));
        }
        let head = [("setting", Column::Text), ("value", Column::Text), ("from", Column::Text)];
        self.say(pages::table(&head, rows, None), &values.into());
    }

    /// Prints a page of a cluster for people, or all of it for programs.
    pub fn page(&self, page: Page, state: &ClusterState, at: &str) {
        self.say(page.text(state, at, width()), &pages::state_json(state, at));
    }

    /// A place for pages that follow one another.
    pub fn screen(&self) -> Screen {
        Screen {
            is_terminal: self.format == Format::Human && std::io::stdout().is_terminal(),
            is_open: false,
        }
    }
}

/// What of a cluster is shown to people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page {
    State,
    Jobs,
    Workers,
}

impl Page {
    fn text(self, state: &ClusterState, at: &str, width: Option<u16>) -> String {
        match self {
            Page::State => pages::state(state, at, width),
            Page::Jobs => pages::jobs(state, width),
            Page::Workers => pages::workers(state, width),
        }
    }
}

/// Pages that take one another's place on a terminal, and follow one another elsewhere. The terminal is as it was when
/// this is dropped.
pub struct Screen {
    is_terminal: bool,
    is_open: bool,
}

impl Screen {
    pub fn show(
        &mut self,
        output: &Output,
        page: Page,
        state: &ClusterState,
        at: &str,
    ) -> std::io::Result<()> {
        if !self.is_terminal {
            output.page(page, state, at);
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        if !self.is_open {
            execute!(out, EnterAlternateScreen, Hide)?;
            self.is_open = true;
        }
        let (columns, rows) = terminal::size()?;
        queue!(out, MoveTo(0, 0))?;
        let text = page.text(state, at, Some(columns));
        for (i, line) in text.lines().take(rows.into()).enumerate() {
            let line: String = line.chars().take(columns.into()).collect();
            queue!(out, MoveTo(0, i as u16), Print(line), Clear(ClearType::UntilNewLine))?;
        }
        queue!(out, Clear(ClearType::FromCursorDown))?;
        std::io::Write::flush(&mut out)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_open {
            // A terminal that is gone needs no order.
            let _ = execute!(std::io::stdout(), Show, LeaveAlternateScreen);
        }
    }
}

/// Columns of the terminal, where stdout is one.
fn width() -> Option<u16> {
    let is_terminal = std::io::stdout().is_terminal();
    is_terminal.then(terminal::size).and_then(Result::ok).map(|(columns, _)| columns).filter(|&c| c > 0)
}

/// A line to stdout. A reader that has gone (`| head`) is no error.
fn print(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}
