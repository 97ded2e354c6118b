//! `hearback ask`: puts a question from a shell or a CI job, waits, and ends with a code that a script can use.

mod client;
mod draft;
mod interrupt;
mod options;
mod outcome;
mod patience;
mod progress;

use std::{future::Future, process::ExitCode, sync::Arc};

use hearback_core::{
    clock::SystemClock,
    feedback::{RequestDocument, Status},
    id::{Ids, RequestId},
    secret::Secret,
};
use tokio::time::{Instant, interval_at};
use uuid::Uuid;

use client::{Answer, Client, Fault};
use interrupt::Interrupt;
use progress::Progress;

pub use options::Options;

use crate::config::Sources;

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
    /// The process was told to stop.
    Interrupted,
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
    let ended = match ask(options, sources, &progress).await {
        Ok(answer) => outcome::tell(&answer, json, &progress).map_err(|error| format!("cannot print the outcome: {error}")),
        Err(detail) => Err(detail),
    };
    ended.unwrap_or_else(|detail| {
        progress.say(format_args!("hearback: {detail}"));
        ERROR
    }).into()
}

async fn ask(options: Options, sources: &Sources, progress: &Progress) -> Result<Answer, String> {
    let resume_with = resume_command(&options);
    let client = client(&options, sources)?;
    let mut interrupt = Interrupt::listen().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let cancels = options.cancel_on_interrupt;
    let (id, known) = match options.resume {
        Some(id) => (id, None),
        None => {
            let draft = draft::draft(options.prompt.unwrap_or_default(), options.question)?;
            let key = Ids::random(Arc::new(SystemClock)).next::<Uuid>().to_string();
            let created = patience::create(&client, &draft, &key, progress);
            let answer = tokio::select! {
                answer = created => answer?,
                () = interrupt.next() => {
                    return Err(format!(
                        "interrupted before the hub confirmed the question; whether it was asked, {} tells",
                        client.base()
                    ));
                }
            };
            (answer.request.id, Some(answer.request))
        }
    };
    match wait(&client, id, known, &mut interrupt, progress).await {
        Ok(answer) => Ok(answer),
        Err(Stop::Interrupted) if cancels => cancel(&client, id, &mut interrupt).await,
        Err(Stop::Interrupted) => Err(format!("still open; take it up again with: {resume_with} {id}")),
        Err(Stop::Fault(detail)) => Err(format!("{detail}\nThe question was not withdrawn; wait again with: {resume_with} {id}")),
    }
}
