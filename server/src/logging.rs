//! The log: to standard error, for people or as JSON, each line with the spans around it and so with the id of the
//! HTTP request that it belongs to.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Config, LogFormat};

/// Starts the log as `config` says. A second call in one process changes nothing.
pub fn start(config: &Config) {
    // The level was checked when the configuration was read; one that was not says the usual.
    let filter = EnvFilter::try_new(&config.log_level).unwrap_or_else(|_| EnvFilter::new("info"));
    // What the HTTP library says of its start and end, the hub says itself. A level for it still counts.
    let filter = match (config.log_level.contains("poem"), "poem::server=warn".parse()) {
        (false, Ok(quieter)) if !config.log_level.eq_ignore_ascii_case("off") => filter.add_directive(quieter),
        _ => filter,
    };
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(io::stderr);
    // An error says that a log runs already: in a process that runs several hubs the first one's counts.
    let _ = match config.log_format {
        LogFormat::Text => registry.with(lines.with_ansi(io::stderr().is_terminal())).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_current_span(false)).try_init(),
    };
}
