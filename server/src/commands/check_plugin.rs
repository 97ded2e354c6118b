//! `hearback check-plugin`.

use std::{
    convert::Infallible,
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use hearback_adapters::webhook::{Check, CheckOptions, EventListener, settings::parse_url};
use hearback_core::{
    channel::{Address, Callback},
    clock::SystemClock,
    secret::Secret,
};
use poem::{
    Endpoint, EndpointExt, Request, Response, Server,
    endpoint::make,
    listener::{Acceptor, Listener, TcpListener},
};

use crate::{
    api::{body::BODY_MAX, callbacks},
    config::Sources,
};

/// The secret of the plug-in, where `--secret` does not give it.
pub const SECRET: &str = "HEARBACK_PLUGIN_SECRET";
/// How long one call may take, and a receipt that is called back: the hub's own setting.
const SEND_TIMEOUT: &str = "SEND_TIMEOUT";

/// A case failed.
const FAILED: u8 = 1;
/// The command line is wrong.
pub(super) const USAGE: u8 = 2;

/// How long one call may take where nothing else is set: the hub's own patience.
const TIMEOUT: u64 = 10;
/// The name of the channel in the messages.
const CHANNEL: &str = "check-plugin";
/// What a hub with that channel would be called at. Whatever is called here is taken.
const PATH: &str = "/api/channels/check-plugin/events";
/// The person at the terminal names the plug-in, which is most often on their own machine.
const EVERYWHERE: &str = "0.0.0.0/0,::/0";

/// The report's end when the address that nobody chose may be why it fails.
const HINT: &str = "Is `check-plugin` an address that it knows? `--to ADDRESS` names one.\n";

const BUILT_WRONG: &str = "this program was built wrong";

const EXAMPLES: &str = "\
Exit codes:
  0  every case passed, or does not apply
  1  a case failed
  2  the command line is wrong

Examples:
  export HEARBACK_PLUGIN_SECRET=whsec_…
  hearback check-plugin http://127.0.0.1:9000/hearback
  hearback check-plugin http://127.0.0.1:9000/hearback --to ana --answer 60
  hearback check-plugin https://plug-in.example/ --listen 0.0.0.0:8010 \\
    --callback-url http://this-machine.example:8010/

HEARBACK_PLUGIN_SECRET is also read from ./.env, and so is SEND_TIMEOUT: the seconds
that a call may take, and a receipt that is called back (10).";

/// Check that a plug-in keeps the protocol
///
/// Calls it as the hub would, and in ways that it must refuse; and listens for what it posts, whose first event it does
/// not take, to see it come again. It sends about ten test messages, and closes the questions among them.
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
    /// The address that the test messages go to: somebody may see them [default: check-plugin]
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
    /// Where to listen for what the plug-in posts; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How the plug-in reaches that, where it runs elsewhere [default: the address that is listened at]
    #[arg(
        long,
        value_name = "URL",
        value_parser = |text: &str| parse_url(text).map(String::from).map_err(|fault| fault.detail)
    )]
    callback_url: Option<String>,
    /// Wait this long for a person to answer one of the questions, and check what comes; without it, what `inbound` and
    /// `receipts` promise is not checked
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    answer: Option<u64>,
}

pub(super) async fn run(options: Options, sources: &Sources) -> ExitCode {
    match check(options, sources).await {
        Ok(passed) => {
            if passed {
                ExitCode::SUCCESS
            } else {
                FAILED.into()
            }
        }
        Err(detail) => refuse(&detail),
    }
}

/// Whether every case passed; or why none could be run.
async fn check(options: Options, sources: &Sources) -> Result<bool, String> {
    let Options { url, secret, to, listen, callback_url, answer } = options;
    let secret = secret.or_else(|| sources.variable(SECRET).map(|(secret, _)| secret.into()));
    let secret = secret.ok_or_else(|| format!("no secret: pass --secret, or set {SECRET}"))?;
    let timeout = match sources.variable(SEND_TIMEOUT) {
        None => TIMEOUT,
        Some((text, _)) => {
            let seconds = text.trim().parse().ok().filter(|seconds| (1..=3600).contains(seconds));
            seconds.ok_or_else(|| format!("{SEND_TIMEOUT} must be 1 to 3600 seconds"))?
        }
    };
    if listen.ip().is_unspecified() && callback_url.is_none() {
        return Err(format!("a plug-in cannot call {}: with --listen {listen}, pass --callback-url, too", listen.ip()));
    }
    let acceptor = TcpListener::bind(listen.to_string()).into_acceptor().await;
    let acceptor = acceptor.map_err(|error| format!("cannot listen at {listen}: {error}"))?;
    let address = acceptor.local_addr().first().and_then(|address| address.as_socket_addr().copied());
    let named = to.is_some();
    let options = CheckOptions {
        to: to.map_or_else(|| CHANNEL.parse().map_err(|_| BUILT_WRONG), Ok)?,
        channel: CHANNEL.parse().map_err(|_| BUILT_WRONG)?,
        callback_url: callback_url.unwrap_or_else(|| format!("http://{}{PATH}", address.unwrap_or(listen))),
        outbound_allow: EVERYWHERE.parse().map_err(|_| BUILT_WRONG)?,
        timeout: Duration::from_secs(timeout),
        answer: answer.map(Duration::from_secs),
    };
    // The text itself may hold a secret, as a password in a URL.
    let check = Check::new(&url, &secret, options, Arc::new(SystemClock)).map_err(|fault| fault.to_string())?;
    if let Some(answer) = answer {
        let _ = writeln!(io::stderr(), "Answer one of the questions that come. The check waits {answer} s for it.");
    }
    let listening = tokio::spawn(Server::new_with_acceptor(acceptor).run(endpoint(check.listener())));
    let report = check.run().await;
    listening.abort();
    // A reader that has seen enough closes the pipe; the exit code tells the rest.
    let hint = if report.address_unknown && !named { HINT } else { "" };
    let _ = io::stdout().write_all(format!("{report}\n{hint}").as_bytes());
    Ok(report.passed())
}

/// Hands what is posted to the check.
fn endpoint(listener: Arc<EventListener>) -> impl Endpoint<Output = Response> + 'static {
    make(move |mut request: Request| {
        let listener = listener.clone();
        async move {
            let body = request.take_body().into_bytes_limit(BODY_MAX).await?;
            let (method, headers) = (request.method().clone(), request.headers().clone());
            let call = Callback { method, tail: String::new(), query: String::new(), headers, body };
            Ok::<_, poem::Error>(callbacks::response(listener.take(&call)))
        }
    })
    .map_to_response()
}

fn refuse(detail: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "hearback: {detail}");
    USAGE.into()
}
