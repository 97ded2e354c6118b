//! `hearback ask`: puts a question from a shell or a CI job, waits, and ends with a code that a script can use.

mod client;
mod draft;
mod interrupt;
mod options;
mod outcome;
mod patience;
mod progress;

use std::{process::ExitCode, sync::Arc};

use hearback_core::{
    clock::SystemClock,
    feedback::{RequestDocument, Status},
    id::Ids,
};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use uuid::Uuid;

use client::{Answer, Client, Fault};
use interrupt::Interrupt;
use options::HubOptions;
use progress::Progress;

pub use options::Options;

use crate::config::{Origin, Sources};

/// The exit code of an error, a wrong command line or an interruption.
pub const ERROR: u8 = 3;

/// The variable that names the hub.
pub const URL: &str = "HEARBACK_URL";
/// The variable that holds the service token.
pub const TOKEN: &str = "HEARBACK_TOKEN";

const DEFAULT_URL: &str = "http://127.0.0.1:8000";

/// Why the command ends without an outcome.
enum Stop {
    /// Something failed.
    Fault(String),
    /// It was told to stop, and this is how to go on.
    Interrupted(String),
}

impl From<String> for Stop {
    fn from(detail: String) -> Self {
        Self::Fault(detail)
    }
}

/// Runs the command. `sources` hold the variables.
pub async fn run(options: Options, sources: &Sources) -> ExitCode {
    let progress = Progress::new(options.quiet);
    let json = options.json;
    let told = match ask(options, sources, &progress).await {
        Ok(answer) => outcome::tell(&answer, json, &progress)
            .map_err(|error| Stop::Fault(format!("cannot print the outcome: {error}"))),
        Err(stop) => Err(stop),
    };
    match told {
        Ok(code) => code.into(),
        Err(stop) => {
            match stop {
                Stop::Fault(detail) => progress.say(format_args!("error: {detail}")),
                Stop::Interrupted(how_to_go_on) => progress.say(how_to_go_on),
            }
            ERROR.into()
        }
    }
}

async fn ask(options: Options, sources: &Sources, progress: &Progress) -> Result<Answer, Stop> {
    let client = client(&options.hub, sources)?;
    let mut interrupt = Interrupt::listen().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let resume = |id| match &options.hub.url {
        Some(_) => format!("hearback ask --resume {id} --url {}", client.base()),
        None => format!("hearback ask --resume {id}"),
    };
    let begun = if let Some(id) = options.resume {
        tokio::select! {
            found = patience::find(&client, id, progress) => found?,
            () = interrupt.next() => return Err(still_open(&resume(id))),
        }
    } else {
        let draft = draft::draft(options.prompt.unwrap_or_default(), options.question)?;
        let key = Ids::random(Arc::new(SystemClock)).next::<Uuid>().to_string();
        tokio::select! {
            created = patience::create(&client, &draft, &key, progress) => created?,
            () = interrupt.next() => return Err(Stop::Interrupted(format!(
                "interrupted before the hub confirmed the question; see {} whether it was asked",
                client.base(),
            ))),
        }
    };
    if begun.request.status != Status::Pending {
        return Ok(begun);
    }
    let request = begun.request;
    tokio::select! {
        ended = wait(&client, &request, progress) => Ok(ended.map_err(|detail| {
            format!("{detail}\nThe question was not taken back; wait for it again with: {}", resume(request.id))
        })?),
        () = interrupt.next() => {
            if !options.cancel_on_interrupt {
                return Err(still_open(&resume(request.id)));
            }
            // Who insists is not kept waiting for a hub that does not answer.
            tokio::select! {
                cancelled = cancel(&client, &request) => Ok(cancelled.map_err(|detail| {
                    format!("{detail}\nThe question could not be cancelled: {}", resume(request.id))
                })?),
                () = interrupt.next() => Err(still_open(&resume(request.id))),
            }
        }
    }
}

fn client(hub: &HubOptions, sources: &Sources) -> Result<Client, String> {
    let url = hub.url.clone().map(|url| (url, None));
    let url = url.or_else(|| sources.variable(URL).map(|(url, origin)| (url, Some(origin))));
    let (url, url_origin) = url.unwrap_or_else(|| (DEFAULT_URL.into(), None));
    // The URL comes first: it is printed from here on, and what is wrong with it may be a token in it.
    let base = client::check_url(&url)?;
    let token = hub.token.clone().map(|token| (token, None));
    let token = token.or_else(|| sources.variable(TOKEN).map(|(token, origin)| (token.into(), Some(origin))));
    let (token, token_origin) = token.ok_or_else(|| {
        format!("no service token: make one on the hub's page ({base}) and set {TOKEN} to it (or pass --token)")
    })?;
    // A job often runs in a folder that somebody else filled, and has its token from elsewhere.
    match url_origin {
        Some(Origin::File(..)) if url_origin != token_origin => Err(format!(
            "{URL} stands in .env and the token does not: a folder's .env may not say where your token goes. Set {URL} \
             in the environment, or both in .env"
        )),
        _ => Client::new(base, &token),
    }
}

fn still_open(resume: &str) -> Stop {
    Stop::Interrupted(format!("still open; take it up again with: {resume}"))
}

/// Waits for the ending, showing how long there still is.
async fn wait(client: &Client, request: &RequestDocument, progress: &Progress) -> Result<Answer, String> {
    progress.asked(request);
    let ended = patience::ending(client, request, progress);
    tokio::pin!(ended);
    let mut ticks = interval_at(Instant::now() + progress.every(), progress.every());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            ended = &mut ended => return ended,
            _ = ticks.tick() => progress.tick(request),
        }
    }
}

/// Takes the question back; when it is over already, that is the ending.
async fn cancel(client: &Client, request: &RequestDocument) -> Result<Answer, String> {
    if let Ok(answer) = client.cancel(request.id).await {
        return Ok(answer);
    }
    match client.read(request.id).await {
        Ok(answer) if answer.request.status != Status::Pending => Ok(answer),
        Ok(_) => Err("the hub did not take the question back".into()),
        Err(Fault::Passing { detail, .. } | Fault::Lasting(detail)) => Err(detail),
    }
}
