//! What `hearback ask` takes on its command line.

use std::{convert::Infallible, time::Duration};

use clap::{ArgGroup, Args};
use hearback_core::{channel::ChannelName, id::RequestId, secret::Secret};

const USAGE: &str = "hearback ask [OPTIONS] --to <NAME> <PROMPT>\n       hearback ask [OPTIONS] --resume <ID>";

const EXAMPLES: &str = "\
Exit codes:
  0  approved; for the other kinds: answered
  1  rejected
  2  expired or cancelled; the outcome of --on-expiry is printed all the same
  3  an error, or interrupted while the question stays open

Examples:
  hearback ask \"Deploy 1.4.2?\" --to ana --approval --timeout 10m
  hearback ask \"Which pool?\" --to ana,ben --choice blue=\"Blue (Frankfurt)\",green,none
  hearback ask \"Which tag?\" --to ben --input --pattern '^v[0-9.]+$' --timeout 15m
  hearback ask \"When?\" --to ana --form schema.json --context @changes.md --json
  hearback ask --resume 01a1fd70-f1c0-7cf2-bc68-87782b491044

The outcome goes to standard output: the value, several chosen ones one a line, a form
as JSON. Who answered, comments and progress go to standard error.
HEARBACK_URL and HEARBACK_TOKEN are also read from ./.env, when both are there.";

/// Ask people something and wait for the answer
///
/// The question is durable from the moment the hub took it: an interruption leaves it open, and --resume waits on.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES, override_usage = USAGE)]
pub struct Options {
    /// The question, in Markdown
    #[arg(required_unless_present = "resume")]
    pub(super) prompt: Option<String>,
    /// Wait for a question that was asked before, by its id
    #[arg(long, value_name = "ID", conflicts_with_all = ["prompt", "QuestionOptions"])]
    pub(super) resume: Option<RequestId>,
    /// Cancel the question when interrupted, instead of leaving it open
    #[arg(long)]
    pub(super) cancel_on_interrupt: bool,
    /// Print the whole request as one line of JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Print no progress, and not who answered
    #[arg(long, short)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) question: QuestionOptions,
    #[command(flatten)]
    pub(super) hub: HubOptions,
}

/// Which hub, and who asks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Hub")]
pub(super) struct HubOptions {
    #[arg(
        long,
        value_name = "URL",
        help = "The hub, with its path prefix [env: HEARBACK_URL] [default: http://127.0.0.1:8000]"
    )]
    pub(super) url: Option<String>,
    #[arg(
        long,
        value_name = "TOKEN",
        value_parser = |text: &str| Ok::<_, Infallible>(Secret::from(text)),
        help = "The service token; others on this machine can see a command line, so better set [env: HEARBACK_TOKEN]"
    )]
    pub(super) token: Option<Secret>,
}

/// What is asked, of whom, by what way.
#[expect(clippy::struct_excessive_bools, reason = "each is one switch of the command line")]
#[derive(Debug, Args)]
#[command(next_help_heading = "Question")]
#[command(group = ArgGroup::new("kind").args(["approval", "choice", "input", "form"]))]
pub(super) struct QuestionOptions {
    /// Whom to ask: a username, a confirmed e-mail or a user id; may be repeated, or a comma list
    #[arg(long, value_name = "NAME", value_delimiter = ',', required_unless_present = "resume")]
    pub(super) to: Vec<String>,
    /// Ask for approved or rejected; the default
    #[arg(long)]
    pub(super) approval: bool,
    /// Ask for one of these options; may be repeated, or a comma list
    #[arg(long, value_name = "VALUE[=LABEL]", value_delimiter = ',')]
    pub(super) choice: Vec<String>,
    /// Choice: several may be chosen
    #[arg(long, requires = "choice")]
    pub(super) multiple: bool,
    /// Ask for a text
    #[arg(long)]
    pub(super) input: bool,
    /// Input: the least number of characters
    #[arg(long, value_name = "N", requires = "input")]
    pub(super) min_length: Option<u32>,
    /// Input: the greatest number of characters
    #[arg(long, value_name = "N", requires = "input")]
    pub(super) max_length: Option<u32>,
    /// Input: a regular expression that the text matches
    #[arg(long, value_name = "REGEX", requires = "input")]
    pub(super) pattern: Option<String>,
    /// Ask for an object that satisfies the JSON Schema in this file; - reads it from standard input
    #[arg(long, value_name = "FILE")]
    pub(super) form: Option<String>,
    /// Detail in Markdown: the text, @FILE, or - for standard input
    #[arg(long, value_name = "TEXT")]
    pub(super) context: Option<String>,
    /// The route, in order; each person's own when absent; may be repeated, or a comma list
    #[arg(long = "channel", value_name = "NAME", value_delimiter = ',')]
    pub(super) channels: Vec<ChannelName>,
    /// How the route is gone: one channel after another, or all at once
    #[arg(long, value_parser = ["fallback", "broadcast"])]
    pub(super) strategy: Option<String>,
    /// Silence after which the next channel is tried, as 5m
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(super) fallback_after: Option<Duration>,
    /// How long an answer is awaited, as 10m or 2h 30m; the hub's default is 48 hours
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(super) timeout: Option<Duration>,
    /// The outcome when nobody answers in time; an approval can only become rejected. Several values of a choice are a
    /// comma list, a form's is JSON
    #[arg(long, value_name = "VALUE")]
    pub(super) on_expiry: Option<String>,
    /// Pass over quiet hours
    #[arg(long)]
    pub(super) urgent: bool,
    /// Data of your own that comes back with the request: a JSON object
    #[arg(long, value_name = "JSON")]
    pub(super) metadata: Option<String>,
}
