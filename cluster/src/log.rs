//! The log of a process, on its standard error.
//!
//! Owns: which messages are written, and how a line looks. Must not know: what is told.

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Which messages are written: a level, or parts of the program and their levels, as in `RUST_LOG`
/// (`warn,tilework_worker=debug`).
pub const VARIABLE: &str = "TILEWORK_LOG";

/// Writes to standard error from now on what [`VARIABLE`] asks for, else what `default` does, in the same words. Where
/// neither says anything, or this process has a log already, nothing changes.
pub fn start(default: Option<&str>) {
    let asked = std::env::var(VARIABLE).ok().and_then(|text| text.parse::<Targets>().ok());
    let Some(filter) = asked.or_else(|| default?.parse().ok()) else { return };
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(false);
    // Err: there is a log.
    let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn levels_go_by_the_first_part_of_a_name() {
        let filter: Targets = "warn,tilework=info".parse().unwrap();
        assert!(filter.would_enable("tilework_worker::driver", &Level::INFO));
        assert!(!filter.would_enable("tilework_worker::driver", &Level::DEBUG));
        assert!(!filter.would_enable("h2", &Level::INFO) && filter.would_enable("h2", &Level::WARN));
        assert!("debug".parse::<Targets>().unwrap().would_enable("h2", &Level::DEBUG));
    }
}
