//! What the person at the terminal, or the log of a job, sees while the question is open.

use std::{
    cell::Cell,
    fmt::Display,
    io::{self, IsTerminal, Write},
    time::Duration,
};

use hearback_core::{Clock, clock::SystemClock, feedback::RequestDocument};

/// Clears the line that a terminal shows.
const CLEAR: &str = "\r\x1b[2K";
/// How often a log is told that nothing has happened.
const LOG_EVERY: Duration = Duration::from_mins(1);

/// Standard error, and what it shows.
#[derive(Debug)]
pub(super) struct Progress {
    quiet: bool,
    terminal: bool,
    line_shown: Cell<bool>,
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet, terminal: io::stderr().is_terminal(), line_shown: Cell::new(false) }
    }

    /// How often [`Progress::tick`] has something to show.
    pub(super) fn every(&self) -> Duration {
        if self.terminal { Duration::from_secs(1) } else { LOG_EVERY }
    }

    /// Says that the hub has the question.
    pub(super) fn asked(&self, request: &RequestDocument) {
        self.note(format_args!("asked {} ({}), waiting until {}", people(request), request.id, request.expires_at));
    }

    /// Says how long there still is.
    pub(super) fn tick(&self, request: &RequestDocument) {
        let left = Duration::from_secs(request.expires_at.since(SystemClock.now()).as_secs());
        let line = format!("waiting for {}: {} left", people(request), humantime::format_duration(left));
        if self.quiet || !self.terminal {
            return self.note(line);
        }
        let _ = write!(io::stderr(), "{CLEAR}{line} (Ctrl-C leaves it open)");
        self.line_shown.set(true);
    }

    /// Says something, unless all is to be quiet.
    pub(super) fn note(&self, text: impl Display) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// Says something that has to be said.
    pub(super) fn say(&self, text: impl Display) {
        let clear = if self.line_shown.take() { CLEAR } else { "" };
        // When nobody listens any more, the outcome and the exit code still count.
        let _ = writeln!(io::stderr(), "{clear}{text}");
    }
}

fn people(request: &RequestDocument) -> String {
    let names: Vec<_> = request.terms.to.iter().map(|person| person.username.as_str()).collect();
    printable(&match names.as_slice() {
        [] => "an answer".into(),
        [first, second, third, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second}, {third} and {} more", rest.len())
        }
        names => names.join(", "),
    })
}

/// A text of somebody else's, fit for a terminal: without the control characters that move its cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_somebody_else_cannot_steer_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\rc\nd"), "a\u{fffd}[2Jb\u{fffd}c\nd");
    }
}
