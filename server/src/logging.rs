//! The log: to standard error, for people or as JSON, each line with the spans around it and so with the id of the
//! HTTP request that it belongs to.

use std::{
    fmt::{self, Debug},
    io::{self, IsTerminal},
};

use tracing::field::Field;
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt,
    fmt::{
        FormatFields,
        format::{Writer, debug_fn},
        layer,
    },
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

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
    let lines = layer().with_writer(io::stderr);
    // An error says that a log runs already: in a process that runs several hubs the first one's counts.
    let _ = match config.log_format {
        LogFormat::Text => registry.with(lines.with_ansi(io::stderr().is_terminal()).fmt_fields(fields())).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_current_span(false)).try_init(),
    };
}

/// What a line for people tells. A text from outside stays within its line, and cannot command the terminal.
fn fields() -> impl for<'w> FormatFields<'w> + Send + Sync + 'static {
    debug_fn(field).delimited(" ")
}

fn field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    if field.name() != "message" {
        write!(writer, "{field}=")?;
    }
    for letter in format!("{value:?}").chars() {
        if letter.is_control() {
            write!(writer, "{}", letter.escape_default())?;
        } else {
            writer.write_char(letter)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// However a value is logged, and whether it is an event's or a span's.
    #[test]
    fn nothing_that_is_logged_makes_a_line_of_its_own() {
        let forged = "x\r\n2026-11-22T09:30:00Z ERROR hearback: forged \u{1b}[31m \u{0}\u{85}\u{9b}";
        for ansi in [false, true] {
            let kept = Kept::default();
            let writer = kept.clone();
            let lines = layer().with_ansi(ansi).with_writer(move || writer.clone()).fmt_fields(fields());
            tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
                let _span = tracing::info_span!("request", shown = %forged, told = ?forged, text = forged).entered();
                tracing::info!(shown = %forged, told = ?forged, text = forged, "{forged}");
            });
            let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
            assert_eq!(text.lines().count(), 1, "{text}");
            assert_eq!(text.matches("hearback: forged").count(), 7, "{text}");
            let own = |letter: char| letter == '\n' || (ansi && letter == '\u{1b}');
            assert!(!text.chars().any(|letter| letter.is_control() && !own(letter)), "{text:?}");
            assert!(!text.contains("\u{1b}[31m"), "{text:?}");
        }
    }
}
