//! What the bot says, as plain text unless said otherwise.

use hearback_core::{
    channel::{Pending, Recorded},
    error::{Error, Retry},
    feedback::{Question, Request, Verdict},
    hub::Responded,
    limits::whole_seconds,
    person::{Linked, UserRef},
    store::Counts,
};
use serde_json::Value;

use crate::{
    html::{bold, escape},
    markdown::shorten,
    question::{shown, title},
};

/// The longest answer to a tap, in UTF-16 code units (Bot API, `answerCallbackQuery`).
const TAP_MAX: usize = 200;

pub(crate) const UNKNOWN: &str = "This question is not known here any more.";
pub(crate) const NO_BUTTON: &str = "This button is none of mine any more.";
pub(crate) const NOT_ASKED: &str = "You are not asked here: your answer does not count.";
pub(crate) const NOT_LINKED: &str =
    "I do not know who you are: link this account to yours on the hub first. /help says how.";
pub(crate) const COMMENT: &str = "Reply to my next message with your comment.";
pub(crate) const NO_REPLY: &str = "I take answers by a tap on a button, or by a reply to the question itself: hold the \
                                   question and choose Reply. /pending shows what awaits you.";
pub(crate) const ONLY_TEXT: &str = "I read text only. Reply with words, or tap a button.";
pub(crate) const PRIVATELY: &str = "Write that to me in a private chat: it is nobody else's business.";
pub(crate) const NOTHING: &str = "Nothing awaits you. 🎉";
pub(crate) const NOT_HERE: &str = "This chat was linked to nobody: there is nothing to stop.";

/// What is said to a tap, with no more than may be said.
pub(crate) fn for_tap(text: &str) -> String {
    shorten(text, TAP_MAX)
}

/// What became of an answer.
pub(crate) fn verdict(responded: &Responded) -> String {
    let Recorded { response, request, .. } = &responded.recorded;
    let question = &request.terms.question;
    match response.verdict {
        Verdict::Accepted => {
            let answer = shown(question, &response.value);
            let comment = if response.comment.is_some() { " Your comment is kept with it." } else { "" };
            match question {
                Question::Input { .. } => format!("Taken as your answer: “{answer}”"),
                _ => format!("Your answer: {answer}.{comment}"),
            }
        }
        Verdict::Late => match request.ending() {
            Some(ending) => format!("Too late: {}.", ending.sentence()),
            None => "Too late: the question is over.".into(),
        },
        Verdict::Refused if response.by.is_none() => NOT_LINKED.into(),
        Verdict::Refused => NOT_ASKED.into(),
        Verdict::Invalid => {
            let faults: Vec<_> = responded.faults.iter().map(|fault| fault.detail.as_str()).collect();
            let why = match faults.as_slice() {
                [] => response.reason.clone().unwrap_or_default(),
                _ => faults.join("; "),
            };
            format!("That does not answer the question yet: {why}")
        }
    }
}

/// What is said where somebody does more than they may.
pub(crate) fn too_much(error: &Error) -> String {
    match error.retry() {
        Retry::After(wait) => format!("Not so fast: try again in {} s. Nothing was done.", whole_seconds(wait)),
        Retry::Never | Retry::Backoff => "Not so fast: nothing was done. Try again in a minute.".into(),
    }
}

/// What became of a link.
pub(crate) fn linked(linked: &Linked, hub: &str) -> String {
    match linked {
        Linked::To(user) => format!(
            "✅ This chat is linked to {} on {hub}. Questions for {0} come here, and what you answer here counts as theirs. Is \
             that not you? Send /stop.",
            user.username
        ),
        Linked::Stale => {
            "This link is good no more: it was used, a newer one took its place, or its 10 minutes are over. Make \
                          another one on the hub and open it."
                .into()
        }
        Linked::Taken => {
            "This Telegram account is linked to another account of the hub. Send /stop to end that, make a new \
                          link, and open it."
                .into()
        }
    }
}

/// What became of `/stop`.
pub(crate) fn unlinked(user: Option<&UserRef>) -> String {
    match user {
        Some(user) => format!(
            "Done: this chat is linked to {} no more. Nothing more comes here, and what is tapped here does not count. A new link \
             from the hub brings it back.",
            user.username
        ),
        None => NOT_HERE.into(),
    }
}

/// What `/start` says without a code.
pub(crate) fn start(person: Option<&UserRef>, hub: &str) -> String {
    match person {
        Some(person) => {
            format!("Hello! This chat is linked to {} on {hub}. /pending shows what awaits you.", person.username)
        }
        None => format!(
            "Hello! I bring you questions from {hub}, and take your answers. To link this chat to your account there, get a link \
             from the hub and open it (POST /api/me/addresses with this channel's name). /help says more."
        ),
    }
}

/// What awaits somebody, in a sentence.
pub(crate) fn pending(pending: &Pending) -> String {
    let Pending { out, sending, more, .. } = pending;
    let count = out.len() + sending;
    let more = if *more { " These are the newest; the page shows all." } else { "" };
    match count {
        0 => NOTHING.into(),
        1 => "One question awaits you:".into(),
        count => format!("{count} questions await you:{more}"),
    }
}

/// What `/info` says, as HTML.
pub(crate) fn info(counts: Counts, page: &str, docs: &str) -> String {
    let Counts { people, pending } = counts;
    format!(
        "<b>Hearback</b> carries questions from programs and AI agents to people, and their answers back.\n\nPeople: \
         {people}\nQuestions that wait for an answer: {pending}\n\nPage: {}\nAPI: {}",
        escape(page),
        escape(docs)
    )
}

/// What asks for a comment, as HTML. In a group it names the person whose reply is meant, so that their app alone asks for it.
pub(crate) fn prompt(request: &Request, value: &Value, of: Option<i64>) -> String {
    let whom = of.map(|user| format!("<a href=\"tg://user?id={user}\">👤</a> ")).unwrap_or_default();
    format!(
        "{whom}💬 Reply to this message with your comment. With it you answer {} to “{}”.",
        bold(&shown(&request.terms.question, value)),
        escape(&title(request))
    )
}
