//! `hearback check-plugin`.

use std::{
    convert::Infallible,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use hearback_adapters::webhook::{CheckOptions, check_plugin};
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
  export HEARBACK_PLUGIN_SECRET=whsec_…
  hearback check-plugin http://127.0.0.1:9000/hearback

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
            let _ = io::stdout().write_all(format!("{report}\n").as_bytes());
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
