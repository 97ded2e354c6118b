//! A question as a message: who asks, what, until when, and how it ended.

use hearback_core::{
    Timestamp,
    feedback::{Ending, Question, Request},
};
use serde_json::Value;

use crate::{
    html::{self, bold, escape},
    keyboard::{is_numbered, link},
    markdown::{Text, shorten, units},
};

/// The longest text of a message, in UTF-16 code units and without the tags (Bot API, `sendMessage`).
pub(crate) const TEXT_MAX: usize = 4096;
/// This much of an answer in words is shown where a question is settled.
const ANSWER_SHOWN: usize = 300;
/// This much of a question is repeated where something else is about it.
const TITLE_MAX: usize = 120;

/// The text of a question, as HTML. In a group it names the people asked.
pub(crate) fn asked(request: &Request, in_group: bool, answer_url: Option<&str>) -> String {
    let mut footer = vec![how(&request.terms.question, answer_url)];
    footer.push(format!("⏳ Answer by {}.", minute(request.expires_at)));
    message(request, in_group, answer_url, &footer.join("\n"))
}

/// The text of a question that is over, as HTML.
pub(crate) fn settled(request: &Request, in_group: bool, ending: &Ending) -> String {
    message(request, in_group, None, &closing(&request.terms.question, ending))
}

/// A question in a few words, as plain text.
pub(crate) fn title(request: &Request) -> String {
    let line = request.terms.prompt.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    shorten(line.trim(), TITLE_MAX)
}

/// An answer as people read it, as plain text.
pub(crate) fn shown(question: &Question, value: &Value) -> String {
    let one = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        let options = if let Question::Choice { options, .. } = question { options.as_slice() } else { &[] };
        let option = options.iter().find(|option| option.value == text);
        option.map_or(text, |option| option.label()).to_owned()
    };
    match (question, value) {
        (Question::Approval, Value::String(text)) if text == "approved" => "Approved".into(),
        (Question::Approval, Value::String(text)) if text == "rejected" => "Rejected".into(),
        (Question::Choice { .. }, Value::Array(values)) if values.is_empty() => "nothing".into(),
        (Question::Choice { .. }, Value::Array(values)) => {
            shorten(&values.iter().map(one).collect::<Vec<_>>().join(", "), ANSWER_SHOWN)
        }
        (Question::Form { .. }, _) => "the form".into(),
        (_, value) => shorten(&one(value), ANSWER_SHOWN),
    }
}

/// A moment to the minute, in UTC.
pub(crate) fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    let minute: String = text.chars().take(16).collect();
    format!("{} UTC", minute.replace('T', " "))
}

/// How it is answered, as HTML.
fn how(question: &Question, answer_url: Option<&str>) -> String {
    let words = match question {
        Question::Approval => "Tap a button, or reply with “approve” or “reject”.",
        Question::Choice { multiple: false, .. } => "Tap a button, or reply with your choice.",
        Question::Choice { multiple: true, .. } => "Tick what you choose, then tap Done.",
        Question::Input { .. } => "✍️ Reply to this message with your answer.",
        Question::Form { .. } => "📝 Fill in the form in the browser.",
    };
    match (link(answer_url), answer_url) {
        (Some(url), _) if matches!(question, Question::Input { .. }) => {
            // A message that forces a reply has no buttons.
            format!("{words} {}", html::link(&url, "Or in the browser."))
        }
        // Telegram links to no such address, but it can be copied.
        (None, Some(url)) => format!("{words}\n🌐 {}", escape(url)),
        _ => words.into(),
    }
}

/// How it ended, as HTML.
fn closing(question: &Question, ending: &Ending) -> String {
    let value = |value| bold(&shown(question, value));
    match ending {
        Ending::Answered(outcome) => {
            let by = outcome.by.as_ref().map_or("somebody", |user| user.username.as_str());
            let on = outcome.channel.as_ref().map(|channel| format!(" on {channel}")).unwrap_or_default();
            let head = format!("✔️ {}{} answered: {}", escape(by), escape(&on), value(&outcome.value));
            let comment = outcome.comment.as_deref().filter(|comment| !comment.is_empty());
            let comment = comment.map(|comment| format!("\n💬 {}", escape(&shorten(comment, ANSWER_SHOWN))));
            format!("{head}{}\n{}", comment.unwrap_or_default(), minute(outcome.at))
        }
        Ending::Expired { at, outcome } => {
            let head = format!("⌛ Nobody answered by {}.", minute(*at));
            match outcome {
                Some(outcome) => format!("{head} The asker had said what that means: {}.", value(&outcome.value)),
                None => head,
            }
        }
        Ending::Cancelled { at } => format!("🚫 The asker took the question back at {}.", minute(*at)),
    }
}

/// Who asks what, and the footer below it, all of which fits.
fn message(request: &Request, in_group: bool, answer_url: Option<&str>, footer: &str) -> String {
    let asker = request.asker.token.as_ref().map_or(&request.asker.user.username, |token| &token.name);
    let names: Vec<_> = request.terms.to.iter().map(|person| person.username.as_str()).collect();
    let whom = if in_group { format!(" {}", shorten(&names.join(", "), TITLE_MAX)) } else { String::new() };
    let urgent = if request.terms.urgent { "🔴 " } else { "" };
    let head = format!("{urgent}{} asks{whom}:", shorten(asker, TITLE_MAX));
    let cut = match (link(answer_url), answer_url) {
        (Some(url), _) => format!("✂️ Shortened. {}", html::link(&url, "Read the whole.")),
        (None, Some(_)) => "✂️ Shortened. The whole is at the address below.".into(),
        (None, None) => "✂️ Shortened.".into(),
    };
    let length = |html: &str| units(&plain(html));
    let around = length(&head) + length(footer) + length(&cut) + "\n\n".len() * 3;
    let mut body = Text::new(TEXT_MAX.saturating_sub(around));
    body.render(&request.terms.prompt);
    if let Some(context) = request.terms.context.as_deref().filter(|context| !context.trim().is_empty()) {
        body.say("\n\n");
        body.render(context);
    }
    if let Question::Choice { options, .. } = &request.terms.question
        && is_numbered(options)
    {
        body.say("\n");
        for (at, option) in options.iter().enumerate() {
            body.say(&format!("\n{}. {}", at + 1, option.label()));
        }
    }
    let cut = if body.is_cut() { format!("\n\n{cut}") } else { String::new() };
    format!("{}\n\n{}{cut}\n\n{footer}", bold(&head), body.into_html())
}

/// HTML of ours without its tags, as it is counted.
fn plain(html: &str) -> String {
    let (mut text, mut in_tag) = (String::new(), false);
    for c in html.chars() {
        match c {
            '<' => in_tag = true,
            '>' => in_tag = false,
            c if !in_tag => text.push(c),
            _ => {}
        }
    }
    text
}
