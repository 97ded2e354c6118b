//! `hearback check-plugin`.

use std::{
    convert::Infallible,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use hearback_adapters::webhook::{CheckOptions, Outcome, Report, check::Case, check_plugin};
use hearback_core::{channel::Address, clock::SystemClock, secret::Secret};

use crate::config::Sources;

/// The secret of the plug-in, where `--secret` does not give it.
pub const SECRET: &str = "HEARBACK_PLUGIN_SECRET";

/// A case failed.
const FAILED: u8 = 1;
/// The command line is wrong.
pub(super) const USAGE: u8 = 2;

/// How long one call may take: the hub's own patience, unless it is set to another.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The name of the channel in the messages, and an address where no hub ever answers.
const CHANNEL: &str = "check-plugin";
const CALLBACK_URL: &str = "https://hub.invalid/api/channels/check-plugin/events";
/// The person at the terminal names the plug-in, which is most often on their own machine.
const EVERYWHERE: &str = "0.0.0.0/0,::/0";

const EXAMPLES: &str = "\
Exit codes:
  0  every case passed, or does not apply
  1  a case failed
  2  the command line is wrong

Example:
  hearback check-plugin http://127.0.0.1:9000/hearback --secret whsec_…

HEARBACK_PLUGIN_SECRET is also read from ./.env.";

/// Check that a plug-in keeps the protocol
///
/// Calls it as the hub would, and in ways that it must refuse. It sends about ten test messages, and closes the questions
/// among them.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Options {
    /// Where the plug-in listens
    url: String,
    #[arg(
        long,
        value_name = "WHSEC",
        value_parser = |text: &str| Ok::<_, Infallible>(Secret::from(text)),
        help = "What both sides sign with, whsec_…; others on this machine can see a command line, so better set \
                [env: HEARBACK_PLUGIN_SECRET]"
    )]
    secret: Option<Secret>,
    /// The address that the test messages go to: somebody may see them
    #[arg(long, value_name = "ADDRESS", default_value = CHANNEL)]
    to: Address,
}

pub(super) async fn run(options: Options, sources: &Sources) -> ExitCode {
    let Options { url, secret, to } = options;
    let Some(secret) = secret.or_else(|| sources.variable(SECRET).map(|(secret, _)| secret.into())) else {
        return refuse(&format!("no secret: pass --secret, or set {SECRET}"));
    };
    let (Ok(channel), Ok(outbound_allow)) = (CHANNEL.parse(), EVERYWHERE.parse()) else {
        return refuse("this program was built wrong");
    };
    let options = CheckOptions { to, channel, callback_url: CALLBACK_URL.into(), outbound_allow, timeout: TIMEOUT };
    match check_plugin(&url, &secret, options, Arc::new(SystemClock)).await {
        Ok(report) => {
            // A reader that has seen enough closes the pipe; the exit code tells the rest.
            let _ = io::stdout().write_all(listing(&report).as_bytes());
            if report.passed() { ExitCode::SUCCESS } else { FAILED.into() }
        }
        // The text itself may hold a secret, as a password in a URL.
        Err(fault) => refuse(&fault.to_string()),
    }
}

fn refuse(detail: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "hearback: {detail}");
    USAGE.into()
}

/// One line a case, how many of each there are, and what to write into the configuration when all is well.
fn listing(report: &Report) -> String {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    let line = |case: &Case| {
        let (word, text, count) = match &case.outcome {
            Outcome::Passed(text) => ("ok", text, &mut passed),
            Outcome::Failed(text) => ("FAILED", text, &mut failed),
            Outcome::Skipped(text) => ("skipped", text, &mut skipped),
        };
        *count += 1;
        let separator = if text.is_empty() { "" } else { ": " };
        format!("{word:7}  {}{separator}{text}\n", case.name)
    };
    let cases: String = report.cases.iter().map(line).collect();
    let settings = match &report.declared {
        Some(declared) if report.passed() => format!("For hearback.toml: {}\n", declared.toml()),
        _ => String::new(),
    };
    format!("{cases}{passed} ok, {failed} FAILED, {skipped} skipped\n{settings}")
}

#[cfg(test)]
mod tests {
    use hearback_adapters::webhook::settings::Declared;

    use super::*;

    #[test]
    fn every_case_has_its_line_and_only_a_sound_plug_in_gets_its_settings() {
        let case = |name, outcome| Case { name, outcome };
        let mut report = Report {
            cases: vec![
                case("one", Outcome::Passed(String::new())),
                case("two", Outcome::Skipped("it cannot do that".into())),
                case("three", Outcome::Failed("expected 401, got 200".into())),
            ],
            declared: Some(Declared::default()),
        };
        assert_eq!(
            listing(&report),
            "ok       one\nskipped  two: it cannot do that\nFAILED   three: expected 401, got 200\n\
             1 ok, 1 FAILED, 1 skipped\n"
        );
        report.cases.pop();
        assert!(listing(&report).ends_with("1 ok, 0 FAILED, 1 skipped\nFor hearback.toml: capabilities = {  }\n"));
    }
}
