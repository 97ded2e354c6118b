//! The answer page: what a link in a message leads to. It shows one question to the person whom the link was sent to, takes
//! the answer, and says how the question ended, without a script. Only its form's POST answers; reading never does, since
//! mail scanners open links.
//!
//! | file | what it does |
//! | --- | --- |
//! | `posted.rs` | what a browser posts |
//! | `fields.rs`, `values.rs` | a form's schema as fields, and posted texts as a value |
//! | `controls.rs`, `view.rs` | what is drawn, by the templates in `templates/answer` |
//! | `words.rs`, `markdown.rs` | how it ended, and what the asker wrote |
//! | `reply.rs` | pages as answers |

mod controls;
mod fields;
mod markdown;
mod posted;
mod reply;
mod values;
mod view;
mod words;

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hearback_core::{
    channel::ChannelName,
    error::FieldError,
    feedback::{Ending, Request, Verdict},
    hub::{Answer, Responded},
    person::UserRef,
};
use http::StatusCode;
use poem_openapi::{OpenApi, param::Path};
use serde_json::{Value, json};

use self::{
    posted::{FORM, Posted},
    reply::Page,
    view::{Ended, Notice, Question},
};
use super::{
    Tag,
    limits::Counted,
    problem::{Problem, ProblemKind},
};
use crate::{app::App, config::AnswerSignIn, digest};

/// The path of the operations, as the document writes it.
pub(super) const PATH: &str = "/answer/{token}";

/// The operations of the answer page.
pub struct AnswerPageApi(pub Arc<App>);

/// Why somebody sees no question.
enum Refusal {
    /// The token is none, or what it names is gone.
    Unknown,
    /// The hub wants a sign-in besides.
    Locked,
    /// The hub cannot say.
    Fault(Problem),
}

impl From<hearback_core::Error> for Refusal {
    fn from(error: hearback_core::Error) -> Self {
        Self::Fault(error.into())
    }
}

/// Whom a link belongs to, and what it asks.
struct Asked {
    request: Arc<Request>,
    person: UserRef,
    /// The ending, noted or not: the deadline counts from its moment on.
    ending: Option<Ending>,
}

#[OpenApi(tag = "Tag::Feedback")]
impl AnswerPageApi {
    /// Show a question to the person asked
    ///
    /// The page behind the `answer_url` of a delivery, for browsers: the question with a form, or how it ended. It changes
    /// nothing, however often it is read.
    #[oai(path = "/answer/:token", method = "get", operation_id = "show_answer_page")]
    async fn show(
        &self,
        call: &poem::Request,
        /// The link's token, which is bound to the delivery that brought it and to the deadline.
        token: Path<String>,
    ) -> Page {
        match self.asked(call, &token.0).await {
            Ok(asked) => self.page(&asked, &values::initial(&asked.request.terms.question), &[]),
            Err(refusal) => refused(refusal, &Posted::default()),
        }
    }

    /// Answer a question by its link
    ///
    /// What the page's form posts. The same form sent again shows what became of it the first time.
    #[oai(path = "/answer/:token", method = "post", operation_id = "answer_by_link")]
    async fn answer(
        &self,
        call: &poem::Request,
        /// The link's token, which is bound to the delivery that brought it and to the deadline.
        token: Path<String>,
        posted: Posted,
    ) -> Page {
        let answered = async {
            let asked = self.asked(call, &token.0).await?;
            self.take(asked, &token.0, &posted).await
        };
        answered.await.unwrap_or_else(|refusal| refused(refusal, &posted))
    }
}

impl AnswerPageApi {
    /// Reads the token, and then what it names.
    async fn asked(&self, call: &poem::Request, token: &str) -> Result<Asked, Refusal> {
        let app = &self.0;
        let claims = app.answer_tokens.read(token).ok_or(Refusal::Unknown)?;
        let delivery = app.store.delivery(claims.delivery).await?.ok_or(Refusal::Unknown)?;
        // The place that it went to may be nobody's by now, or another's.
        let at = app.hub.person_at(&delivery.channel, &delivery.address);
        let (request, at) = tokio::try_join!(app.store.request(delivery.request_id), at)?;
        let request = request.filter(|request| request.expires_at == claims.deadline).ok_or(Refusal::Unknown)?;
        let person = at.filter(|person| person.id == delivery.user_id).ok_or(Refusal::Unknown)?;
        if app.config.answer_sign_in == AnswerSignIn::Required {
            match app.auth.person_in_browser(call.method(), call.headers()).await {
                Ok(signed_in) if signed_in.user.id == person.id => {}
                Err(problem) if is_no_matter_of_who(&problem) => return Err(Refusal::Fault(problem)),
                Ok(_) | Err(_) => return Err(Refusal::Locked),
            }
        }
        let overdue = request.is_pending() && app.clock.now() >= request.expires_at;
        let ending = if overdue { Some(request.expiry()) } else { request.ending().cloned() };
        Ok(Asked { request, person, ending })
    }

    /// Hands the answer to the hub, and says what became of it.
    async fn take(&self, asked: Asked, token: &str, posted: &Posted) -> Result<Page, Refusal> {
        Counted::of_link(&self.0, asked.person.id).await.map_err(Refusal::Fault)?;
        let read = values::read(&asked.request.terms.question, posted);
        let read = if posted.is_blank(FORM) {
            Err(vec![FieldError::new(FORM, "This was not sent by the form of this page. Send it by the button below.")])
        } else {
            read
        };
        let value = match read {
            Ok(value) => value,
            // What the page can tell by itself does not leave it, as on the page at `/`.
            Err(faults) if asked.ending.is_none() => return Ok(self.page(&asked, posted, &faults)),
            Err(_) => posted.raw_value(),
        };
        let comment = posted.comment();
        let answer = Answer {
            request: asked.request.id,
            by: Some(asked.person.clone()),
            channel: ChannelName::WEB.parse().map_err(|_| Refusal::Fault(Problem::internal()))?,
            event: Some(event(token, posted.one(FORM), &value, comment.as_deref())),
            value,
            comment,
        };
        let Responded { recorded, faults } = self.0.hub.respond(answer).await?.ok_or(Refusal::Unknown)?;
        let asked = Asked { ending: recorded.request.ending().cloned(), request: recorded.request, ..asked };
        match (recorded.response.verdict, &asked.ending) {
            (Verdict::Invalid, None) => Ok(self.page(&asked, posted, &faults)),
            (Verdict::Accepted, Some(ending)) => {
                let ended = Ended::new(&asked.request, &asked.person, ending, view::Closing::Accepted);
                Ok(Page::new(StatusCode::OK, &ended))
            }
            (Verdict::Late | Verdict::Invalid, Some(ending)) => {
                let status = match ending {
                    Ending::Expired { .. } => StatusCode::GONE,
                    Ending::Answered(_) | Ending::Cancelled { .. } => StatusCode::CONFLICT,
                };
                let late = view::Closing::Late(words::sent(&asked.request.terms.question, posted));
                Ok(Page::new(status, &Ended::new(&asked.request, &asked.person, ending, late)))
            }
            // Who is asked stays asked, and an answer that is accepted or late has an ending.
            (Verdict::Refused, _) | (Verdict::Accepted | Verdict::Late, None) => Err(Refusal::Unknown),
        }
    }

    /// The question with a new form, or how it ended.
    fn page(&self, asked: &Asked, posted: &Posted, faults: &[FieldError]) -> Page {
        let Asked { request, person, ending } = asked;
        if let Some(ending) = ending {
            return Page::new(StatusCode::OK, &Ended::new(request, person, ending, view::Closing::Before));
        }
        let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        let form = digest::random_text();
        let question = Question::new(request, person, self.0.clock.now(), form, posted, faults);
        let question = match self.0.config.answer_sign_in {
            AnswerSignIn::Off => question,
            AnswerSignIn::Required => question.behind_sign_in(),
        };
        Page::new(status, &question)
    }
}

/// The event by which a repetition is known: the same answer by the same form. One that was corrected after going back to an
/// old form is another.
fn event(token: &str, form: &str, value: &Value, comment: Option<&str>) -> String {
    let hash = digest::sha256(json!([token, form, value, comment]).to_string().as_bytes());
    format!("answer:{}", URL_SAFE_NO_PAD.encode(hash))
}

/// Whether another sign-in would not help.
fn is_no_matter_of_who(problem: &Problem) -> bool {
    matches!(problem.kind(), ProblemKind::Internal | ProblemKind::Unavailable | ProblemKind::Origin)
}

/// The page that says why, with what was sent: only a link that leads nowhere loses it.
fn refused(refusal: Refusal, sent: &Posted) -> Page {
    match refusal {
        Refusal::Unknown => Page::new(StatusCode::NOT_FOUND, &Notice::unknown()),
        Refusal::Locked => Page::new(StatusCode::FORBIDDEN, &Notice::locked().keeping(sent)),
        Refusal::Fault(problem) => {
            let status = match problem.kind() {
                ProblemKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                ProblemKind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
                ProblemKind::Origin => StatusCode::FORBIDDEN,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            Page::new(status, &Notice::fault(status).keeping(sent)).with_headers_of(&problem)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_answer_by_the_same_form_is_the_same_event_and_any_other_is_not() {
        let one = || event("token", "form", &json!("approved"), Some("so"));
        assert_eq!(one(), one());
        assert!(one().len() <= 255);
        let others = [
            event("other", "form", &json!("approved"), Some("so")),
            event("token", "other", &json!("approved"), Some("so")),
            event("token", "form", &json!("rejected"), Some("so")),
            event("token", "form", &json!("approved"), None),
            event("token", "form", &json!("approved"), Some("so it is")),
        ];
        assert!(others.iter().all(|other| *other != one()));
    }
}
