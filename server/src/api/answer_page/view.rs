//! The pages: what each template in `templates/answer` is filled with.

use askama::Template;
use hearback_core::{
    Timestamp,
    error::FieldError,
    feedback::{self, Ending, Kind, Outcome, Request},
    person::UserRef,
};
use http::StatusCode;

use super::{
    controls::{Control, Controls, controls},
    markdown,
    posted::Posted,
    words,
};

/// What was asked: the upper part of a question, open or closed.
pub(super) struct Head {
    /// Who asks: the name of the service token, or of the person.
    asker: String,
    /// Whose service token it is; empty where a person asks.
    behind: String,
    /// The first letters of the asker.
    letters: String,
    prompt: String,
    context: String,
    /// Whether it is urgent, and still open.
    urgent: bool,
    /// Who answers here.
    person: String,
}

impl Head {
    fn new(request: &Request, person: &UserRef) -> Self {
        let user = &request.asker.user.username;
        let (asker, behind) = match &request.asker.token {
            Some(token) => (token.name.clone(), user.clone()),
            None => (user.clone(), String::new()),
        };
        Self {
            letters: asker.chars().filter(|letter| letter.is_alphanumeric()).take(2).collect(),
            asker,
            behind,
            prompt: markdown::render(&request.terms.prompt),
            context: request.terms.context.as_deref().map(markdown::render).unwrap_or_default(),
            urgent: request.terms.urgent,
            person: person.username.clone(),
        }
    }
}

/// A question with its form.
#[derive(Template)]
#[template(path = "question.html")]
pub(super) struct Question {
    head: Head,
    /// Whether the link alone is enough to answer.
    is_key: bool,
    /// The form's own random text.
    form: String,
    deadline: String,
    left: String,
    approval: bool,
    controls: Vec<Control>,
    comment: Control,
    at_fault: Vec<(String, String)>,
    elsewhere: Vec<String>,
}

impl Question {
    pub(super) fn new(
        request: &Request,
        person: &UserRef,
        now: Timestamp,
        form: String,
        posted: &Posted,
        faults: &[FieldError],
    ) -> Self {
        let question = &request.terms.question;
        let Controls { value, comment, at_fault, elsewhere } = controls(question, posted, faults);
        Self {
            head: Head::new(request, person),
            is_key: true,
            form,
            deadline: words::moment(request.expires_at),
            left: words::span(request.expires_at.since(now)),
            approval: question.kind() == Kind::Approval,
            controls: value,
            comment,
            at_fault,
            elsewhere,
        }
    }

    /// The same page where a sign-in is required besides.
    pub(super) fn behind_sign_in(self) -> Self {
        Self { is_key: false, ..self }
    }
}

/// What brought somebody to a closed question.
pub(super) enum Closing {
    /// Their answer closed it.
    Accepted,
    /// It was closed when they opened it.
    Before,
    /// It was closed when their answer came, which said this.
    Late(String),
}

/// A question that is over.
#[derive(Template)]
#[template(path = "ended.html")]
pub(super) struct Ended {
    head: Head,
    title: &'static str,
    accepted: bool,
    status: &'static str,
    tone: &'static str,
    sentence: String,
    value: Vec<(String, String)>,
    comment: String,
    /// What came too late; may be empty.
    sent: String,
}

impl Ended {
    pub(super) fn new(request: &Request, person: &UserRef, ending: &Ending, closing: Closing) -> Self {
        let outcome: Option<&Outcome> = ending.outcome();
        let title = match &closing {
            Closing::Accepted => "Thank you, your answer is in",
            Closing::Before => "This question is closed",
            Closing::Late(_) => "Your answer came too late",
        };
        Self {
            head: Head { urgent: false, ..Head::new(request, person) },
            title,
            accepted: matches!(closing, Closing::Accepted),
            status: feedback::Status::as_str(ending.status()),
            tone: words::tone(request, ending),
            sentence: words::sentence(request, ending, person.id),
            value: outcome.map(|outcome| words::value(&request.terms.question, outcome)).unwrap_or_default(),
            comment: outcome.and_then(|outcome| outcome.comment.clone()).unwrap_or_default(),
            sent: if let Closing::Late(sent) = closing { sent } else { String::new() },
        }
    }
}

/// A page without a question.
#[derive(Template)]
#[template(path = "notice.html")]
pub(super) struct Notice<'a> {
    title: &'static str,
    text: &'static str,
    /// Whether it leads to the sign-in, and back.
    sign_in: bool,
    /// What was sent and not taken, to be sent again.
    sent: Vec<(&'a str, &'a str)>,
}

impl<'a> Notice<'a> {
    const fn new(title: &'static str, text: &'static str) -> Self {
        Self { title, text, sign_in: false, sent: Vec::new() }
    }

    /// The token is none. The same for all, so that nobody learns which part of one was right.
    pub(super) const fn unknown() -> Self {
        Self::new(
            "This link leads to no question",
            "It may not be whole: copy all of it from the message that it came in. If the message is old, the question may be \
             gone.",
        )
    }

    /// A sign-in is wanted.
    pub(super) fn locked() -> Self {
        let text = "This hub shows a question only to the person it was sent to. Sign in as that person in this browser, then \
                    come back here.";
        Self { sign_in: true, ..Self::new("Sign in to see this question", text) }
    }

    /// The hub cannot do it.
    pub(super) const fn fault(status: StatusCode) -> Self {
        let text = match status {
            StatusCode::SERVICE_UNAVAILABLE => {
                "The hub cannot reach what it needs. Nothing is lost: try again shortly."
            }
            StatusCode::TOO_MANY_REQUESTS => {
                "You have sent too many answers within a minute, so this one was not taken. Wait a little, then send it again."
            }
            StatusCode::FORBIDDEN => {
                "Your browser does not say from which page this comes, so the hub cannot know that it is this one, and the answer \
                 was not taken. Allow it to send an Origin or a Referer here, or use another browser."
            }
            _ => "Something went wrong in the hub, and its log has more. Try again.",
        };
        Self::new("This did not work", text)
    }

    /// The same, to somebody who has sent this: they need not write it again.
    pub(super) fn keeping(self, sent: &'a Posted) -> Self {
        Self { sent: sent.fields().collect(), ..self }
    }
}
