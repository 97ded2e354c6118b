//! The words to ask back with.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{choice::Reader, text::is_invisible};
use crate::feedback::{ChoiceOption, INPUT_MAX, Question};

/// So many options are listed; the page shows all.
const LISTED_MAX: usize = 20;
/// A longer label is cut, in Unicode scalar values.
const LABEL_MAX: usize = 60;
/// A longer pattern is left to the fault that follows.
const PATTERN_MAX: usize = 100;

pub(super) fn hint(question: &Question) -> String {
    match question {
        // Without marks around the words: who copies them too would not be understood.
        Question::Approval => "Reply with exactly one word: approve or reject.".into(),
        Question::Choice { options, multiple } => choice(options, *multiple),
        Question::Input { min_length, max_length, pattern } => input(*min_length, *max_length, pattern.as_deref()),
        Question::Form { .. } => {
            "This question is a form, which a message cannot answer: answer it on the question's page.".into()
        }
    }
}

fn input(min_length: Option<u32>, max_length: Option<u32>, pattern: Option<&str>) -> String {
    let mut hint = String::from("Reply to the question with your text and nothing else");
    if min_length.is_some() || max_length.is_some() {
        let (min, max) = (min_length.unwrap_or(1).max(1), max_length.unwrap_or(INPUT_MAX));
        let _ = write!(hint, ", {min} to {max} characters");
    }
    if let Some(pattern) = pattern.filter(|pattern| *pattern == shown(pattern, PATTERN_MAX)) {
        let _ = write!(hint, ", matching {pattern}");
        return hint;
    }
    hint + "."
}

fn choice(options: &[ChoiceOption], multiple: bool) -> String {
    let reader = Reader::new(options, multiple);
    let answers = |option: &ChoiceOption, reply: &str| {
        let value = if multiple { json!([option.value]) } else { Value::from(option.value.as_str()) };
        reader.read(reply) == Some(value)
    };
    let by_number = options.iter().enumerate().all(|(index, option)| answers(option, &(index + 1).to_string()));
    let listed = options.iter().take(LISTED_MAX).enumerate();
    let more = options.len().saturating_sub(LISTED_MAX);
    if by_number {
        let mut hint = String::from(match multiple {
            false => "Reply with exactly one number:",
            true if reader.read("1, 2").is_some() => "Reply with one number, or several as in 1, 2:",
            true => "Reply with one number, or several with commas between them:",
        });
        for (index, option) in listed {
            let _ = write!(hint, "\n{}. {}", index + 1, shown(option.label(), LABEL_MAX));
        }
        if more > 0 {
            let (next, last) = (LISTED_MAX + 1, options.len());
            let _ = write!(hint, "\n… and {more} more, {next} to {last}, which the question's page shows.");
        }
        return hint;
    }
    let mut replies = String::new();
    let mut only_on_page = more;
    let mut bracketed = "";
    for (index, option) in listed {
        let numbered = [(index + 1).to_string(), format!("option {}", index + 1)];
        let label = shown(option.label(), LABEL_MAX);
        let fits = |reply: &&str| *reply == shown(reply, LABEL_MAX) && answers(option, reply);
        match [label.as_str(), &option.value, &numbered[0], &numbered[1]].into_iter().find(fits) {
            Some(reply) if reply == label => {
                let _ = write!(replies, "\n{reply}");
            }
            Some(reply) => {
                let _ = write!(replies, "\n{reply} (for {label})");
                bracketed = ", without what is in brackets";
            }
            None => only_on_page += 1,
        }
    }
    let rest = match only_on_page {
        0 => String::new(),
        count if replies.is_empty() => format!("Choose on the question's page, which shows all {count} options."),
        count => format!("\n… and {count} more, which can be chosen on the question's page."),
    };
    match (replies.is_empty(), multiple) {
        (true, _) => rest,
        (false, false) => format!("Reply with exactly one of these{bracketed}:{replies}{rest}"),
        (false, true) => {
            format!("Reply with one of these, or several with commas between them{bracketed}:{replies}{rest}")
        }
    }
}

/// A text on one line, without what cannot be seen, cut visibly.
fn shown(text: &str, max: usize) -> String {
    let visible: String = text.chars().filter(|c| c.is_whitespace() || !is_invisible(*c)).collect();
    let line = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().nth(max).is_none() { line } else { line.chars().take(max - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use crate::{
        feedback::{ChoiceOption, Question},
        reading::{Reading, hint, read},
    };

    fn question(names: &[(&str, &str)], multiple: bool) -> Question {
        let option =
            |(value, label): &(&str, &str)| ChoiceOption { value: (*value).into(), label: Some((*label).into()) };
        Question::Choice { options: names.iter().map(option).collect(), multiple }
    }

    #[test]
    fn a_reading_understands_the_words_of_its_hint() {
        assert_eq!(hint(&Question::Approval), "Reply with exactly one word: approve or reject.");
        assert_eq!(read(&Question::Approval, "approve"), Reading::Value("approved".into()));
        assert_eq!(read(&Question::Approval, "reject"), Reading::Value("rejected".into()));
    }

    #[test]
    fn the_hint_of_a_reading_lists_numbers_and_labels() {
        let names = [("b", "Blue\u{202e}\n sky"), ("r", "Red")];
        assert_eq!(hint(&question(&names, false)), "Reply with exactly one number:\n1. Blue sky\n2. Red");
        let several = "Reply with one number, or several as in 1, 2:\n1. Blue sky\n2. Red";
        assert_eq!(hint(&question(&names, true)), several);
    }

    #[test]
    fn the_hint_of_a_reading_names_labels_where_numbers_are_ambiguous() {
        let swapped = question(&[("a", "2 days"), ("b", "1 day"), ("c", "Never")], false);
        assert_eq!(hint(&swapped), "Reply with exactly one of these:\n2 days\n1 day\nNever");
        let versions = question(&[("new", "Version 2"), ("old", "Version 1")], false);
        assert_eq!(hint(&versions), "Reply with exactly one of these:\nVersion 2\nVersion 1");
        let places = question(&[("1a", "1a"), ("1b", "1b"), ("2", "2")], false);
        let expected = "Reply with exactly one of these, without what is in brackets:\n1a\n1b\noption 3 (for 2)";
        assert_eq!(hint(&places), expected);
        let twice = question(&[("v2", "2"), ("v1", "1"), ("x", "Same"), ("y", "Same")], true);
        let expected = "Reply with one of these, or several with commas between them, without what is in brackets:\n\
            v2 (for 2)\nv1 (for 1)\nx (for Same)\ny (for Same)";
        assert_eq!(hint(&twice), expected);
    }

    #[test]
    fn the_hint_of_a_reading_is_bounded_and_says_what_it_leaves_out() {
        let long = "é".repeat(200);
        let options =
            (1..=100).map(|n| ChoiceOption { value: format!("{n:03}"), label: Some(format!("{n:03}{long}")) });
        let hint = hint(&Question::Choice { options: options.collect(), multiple: false });
        assert!(hint.chars().count() < 1_500, "{hint}");
        assert!(hint.contains(&format!("\n20. 020{}…\n", "é".repeat(56))), "{hint}");
        assert!(hint.ends_with("\n… and 80 more, 21 to 100, which the question's page shows."), "{hint}");
    }

    #[test]
    fn the_hint_of_a_reading_leaves_to_the_page_what_no_message_can_say() {
        let names = [("2", "1"), ("1", "2"), ("Blue", "blue")];
        let expected =
            "Reply with exactly one of these:\nblue\n… and 2 more, which can be chosen on the question's page.";
        assert_eq!(hint(&question(&names, false)), expected);
        let hopeless = question(&names[..2], false);
        assert_eq!(hint(&hopeless), "Choose on the question's page, which shows all 2 options.");
        let form = Question::Form { schema: serde_json::Map::new() };
        assert!(hint(&form).contains("question's page"));
    }

    #[test]
    fn the_hint_of_a_reading_tells_what_bounds_a_text() {
        let input = |min_length, max_length, pattern: Option<&str>| {
            hint(&Question::Input { min_length, max_length, pattern: pattern.map(Into::into) })
        };
        assert_eq!(input(None, None, None), "Reply to the question with your text and nothing else.");
        assert_eq!(
            input(None, Some(5), Some("^[A-Z]+$")),
            "Reply to the question with your text and nothing else, 1 to 5 characters, matching ^[A-Z]+$"
        );
        assert!(!input(Some(2), None, Some(&"ж".repeat(200))).contains('ж'));
    }
}
