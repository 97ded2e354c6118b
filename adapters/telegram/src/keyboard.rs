//! The buttons below a question, and what they say when they are tapped.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hearback_core::{
    feedback::{ChoiceOption, Question},
    id::RequestId,
};
use teloxide_core::types::{InlineKeyboardButton, InlineKeyboardMarkup};
use url::Url;
use uuid::Uuid;

use crate::{markdown::shorten, settings::is_linkable};

/// How many options a page of a long choice has.
pub(crate) const PAGE: usize = 8;
/// The longest text of a button; the message itself has the whole label of a longer one.
pub(crate) const LABEL_MAX: usize = 40;

/// What a button says. It fits into the 64 bytes that Telegram gives it, names its question, and proves nothing: who
/// tapped does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tapped {
    /// The question.
    pub(crate) request: RequestId,
    /// What is to be done.
    pub(crate) button: Button,
}

/// What a button is for. Numbers count the question's options; an approval has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Button {
    /// Answers with this option.
    Answer(usize),
    /// Answers with this option once a comment came.
    Comment(usize),
    /// Ticks this option of many, or takes the tick away.
    Tick(usize),
    /// Turns to this page.
    Page(usize),
    /// Answers with what is ticked.
    Done,
}

impl Tapped {
    /// As it stands in a button.
    pub(crate) fn data(self) -> String {
        let (letter, number) = match self.button {
            Button::Answer(option) => ('a', Some(option)),
            Button::Comment(option) => ('c', Some(option)),
            Button::Tick(option) => ('t', Some(option)),
            Button::Page(page) => ('p', Some(page)),
            Button::Done => ('d', None),
        };
        let request = URL_SAFE_NO_PAD.encode(self.request.uuid().as_bytes());
        let number = number.map(|number| number.to_string()).unwrap_or_default();
        format!("{letter}{request}{number}")
    }

    /// Reads what a button says; `None` when it is none of ours.
    pub(crate) fn read(data: &str) -> Option<Self> {
        let (letter, rest) = (data.get(..1)?, data.get(1..23)?);
        let request: [u8; 16] = URL_SAFE_NO_PAD.decode(rest).ok()?.try_into().ok()?;
        let number = data.get(23..)?;
        let option = || number.parse::<usize>().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()));
        let button = match letter {
            "a" => Button::Answer(option()?),
            "c" => Button::Comment(option()?),
            "t" => Button::Tick(option()?),
            "p" => Button::Page(option()?),
            "d" if number.is_empty() => Button::Done,
            _ => return None,
        };
        Some(Self { request: Uuid::from_bytes(request).into(), button })
    }
}

/// Which part of a keyboard is shown, and what is ticked on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// The page, from 0.
    pub(crate) page: usize,
    /// The options that are ticked.
    pub(crate) ticked: BTreeSet<usize>,
}

/// The keyboard of a question; `None` where it has no button at all.
pub(crate) fn keyboard(
    request: RequestId,
    question: &Question,
    view: &View,
    answer_url: Option<&str>,
) -> Option<InlineKeyboardMarkup> {
    let button = |text: &str, button| InlineKeyboardButton::callback(text, Tapped { request, button }.data());
    let mut rows = match question {
        Question::Approval => vec![
            vec![button("✅ Approve", Button::Answer(0)), button("❌ Reject", Button::Answer(1))],
            vec![
                button("✅ Approve with a comment", Button::Comment(0)),
                button("❌ Reject with a comment", Button::Comment(1)),
            ],
        ],
        Question::Choice { options, multiple } => choice(options, *multiple, view, button),
        Question::Input { .. } | Question::Form { .. } => Vec::new(),
    };
    if let Some(url) = link(answer_url) {
        let text = if matches!(question, Question::Form { .. }) {
            "📝 Fill in the form"
        } else {
            "🌐 Open in the browser"
        };
        rows.push(vec![InlineKeyboardButton::url(text, url)]);
    }
    (!rows.is_empty()).then(|| InlineKeyboardMarkup::new(rows))
}

/// The answer page as a link that Telegram shows.
pub(crate) fn link(answer_url: Option<&str>) -> Option<Url> {
    answer_url.and_then(|url| Url::parse(url).ok()).filter(is_linkable)
}

fn choice(
    options: &[ChoiceOption],
    multiple: bool,
    view: &View,
    button: impl Fn(&str, Button) -> InlineKeyboardButton,
) -> Vec<Vec<InlineKeyboardButton>> {
    let pages = options.len().div_ceil(PAGE).max(1);
    let page = view.page.min(pages - 1);
    let numbered = is_numbered(options);
    let shown = options.iter().enumerate().skip(page * PAGE).take(PAGE);
    let mut rows: Vec<_> = shown
        .map(|(at, option)| {
            let number = if numbered { format!("{}. ", at + 1) } else { String::new() };
            let label = format!("{number}{}", shorten(option.label(), LABEL_MAX));
            let (label, tap) = match (multiple, view.ticked.contains(&at)) {
                (false, _) => (label, Button::Answer(at)),
                (true, true) => (format!("☑ {label}"), Button::Tick(at)),
                (true, false) => (format!("☐ {label}"), Button::Tick(at)),
            };
            vec![button(&label, tap)]
        })
        .collect();
    if pages > 1 {
        let (before, after) = ((page + pages - 1) % pages, (page + 1) % pages);
        rows.push(vec![
            button("◀", Button::Page(before)),
            button(&format!("{} / {pages}", page + 1), Button::Page(page)),
            button("▶", Button::Page(after)),
        ]);
    }
    if multiple {
        rows.push(vec![button(&format!("✔ Done ({} chosen)", view.ticked.len()), Button::Done)]);
    }
    rows
}

/// Whether a label is too long for its button, so that the message lists all of them with numbers.
pub(crate) fn is_numbered(options: &[ChoiceOption]) -> bool {
    options.iter().any(|option| shorten(option.label(), LABEL_MAX) != option.label())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: Uuid = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_00ff);

    fn options(count: usize) -> Vec<ChoiceOption> {
        (0..count).map(|number| ChoiceOption { value: format!("value-{number}"), label: None }).collect()
    }

    fn texts(question: &Question, view: &View) -> Vec<Vec<String>> {
        let keyboard = keyboard(REQUEST.into(), question, view, None).unwrap();
        keyboard.inline_keyboard.iter().map(|row| row.iter().map(|button| button.text.clone()).collect()).collect()
    }

    #[test]
    fn a_button_says_its_question_within_64_bytes() {
        for button in [Button::Answer(0), Button::Comment(1), Button::Tick(99), Button::Page(12), Button::Done] {
            let tapped = Tapped { request: REQUEST.into(), button };
            let data = tapped.data();
            assert!(data.len() <= 64, "{data}");
            assert_eq!(Tapped::read(&data), Some(tapped));
        }
        let data = Tapped { request: REQUEST.into(), button: Button::Tick(1) }.data();
        for bad in [
            "",
            "a",
            "x",
            data.split_at(10).0,
            &data.replacen('t', "z", 1),
            &format!("{data}x"),
            &format!("+{data}"),
            "ääää",
        ] {
            assert_eq!(Tapped::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_long_choice_has_pages_that_go_round() {
        let question = Question::Choice { options: options(20), multiple: false };
        let first = texts(&question, &View::default());
        assert_eq!((first.len(), first[8].join(" ")), (9, "◀ 1 / 3 ▶".into()));
        let last = texts(&question, &View { page: 2, ..View::default() });
        assert_eq!((last.len(), last[0][0].as_str(), last[4].join(" ")), (5, "value-16", "◀ 3 / 3 ▶".into()));
        let beyond = texts(&question, &View { page: 9, ..View::default() });
        assert_eq!(beyond, last);
    }

    #[test]
    fn what_is_ticked_is_seen_and_counted() {
        let question = Question::Choice { options: options(3), multiple: true };
        let shown = texts(&question, &View { page: 0, ticked: [1].into() });
        assert_eq!(shown.concat(), ["☐ value-0", "☑ value-1", "☐ value-2", "✔ Done (1 chosen)"]);
    }

    #[test]
    fn a_label_that_does_not_fit_has_a_number() {
        let mut long = options(2);
        long[1].label = Some("x".repeat(60));
        let shown = texts(&Question::Choice { options: long, multiple: false }, &View::default());
        assert_eq!(shown[0][0], "1. value-0");
        assert_eq!(shown[1][0], format!("2. {}…", "x".repeat(LABEL_MAX - 1)));
    }
}
