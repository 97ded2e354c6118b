//! The log: to standard error, for people or as JSON, each line with the spans around it and so with the id of the
//! HTTP request that it belongs to.

use std::{
    fmt,
    io::{self, IsTerminal},
};

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer, layer},
    layer::SubscriberExt,
    registry::LookupSpan,
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
        LogFormat::Text => {
            let ansi = io::stderr().is_terminal();
            registry.with(lines.with_ansi(ansi).event_format(OneLine::new(ansi))).try_init()
        }
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_current_span(false)).try_init(),
    };
}

/// Lines for people, each of them one line whatever is in it: a text from outside must not look like a line of the hub's.
struct OneLine {
    line: tracing_subscriber::fmt::format::Format,
    ansi: bool,
}

impl OneLine {
    fn new(ansi: bool) -> Self {
        Self { line: tracing_subscriber::fmt::format().with_ansi(ansi), ansi }
    }
}

impl<S, N> FormatEvent<S, N> for OneLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.line.format_event(context, Writer::new(&mut line), event)?;
        for letter in line.trim_end_matches('\n').chars() {
            // Colours are the line's own: those in what it tells are escaped already.
            match letter {
                '\u{1b}' if self.ansi => writer.write_char(letter)?,
                control if control.is_control() => write!(writer, "{}", control.escape_default())?,
                letter => writer.write_char(letter)?,
            }
        }
        writer.write_char('\n')
    }
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
            let lines = layer().with_ansi(ansi).with_writer(move || writer.clone()).event_format(OneLine::new(ansi));
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
