//! The one reader of plain-language answers, for every adapter.
//!
//! People trust the hub with decisions that cannot be taken back, so an answer counts only when the whole message is
//! understood: [`read`] takes a message apart into phrases it knows, and one that it does not know, one quotation mark
//! or one question mark more makes it [`Reading::Unsure`]. It never searches for words. Who is unsure asks back with
//! [`hint`].
//!
//! What a person means by a word must not depend on the question, which the reader does not know. "Cancel", "stop",
//! "decline" or "accept" may be what the question proposes ("Cancel the order?"), so they answer nothing; "approve" and
//! "reject" do, since they are the names of the two answers.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `approval` | the grammar of yes and no |
//! | `choice` | options by label, value or number |
//! | `hint` | the words to ask back with |
//! | `numbers` | the numbers that the name of an option holds |
//! | `text` | how a message becomes words, and when two texts are the same |
//! | `words` | what the reader understands, in each language |

mod approval;
mod choice;
mod hint;
mod numbers;
mod text;
mod words;

use serde_json::Value;

use crate::feedback::Question;

/// A longer message, in Unicode scalar values, answers no approval and no choice: it says more than the answer.
const MESSAGE_MAX: usize = 500;

/// What a message says about a question.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Reading {
    /// The whole message says this. For an approval and a choice it is a valid answer; the text for an input is still
    /// to be validated by the question.
    Value(Value),
    /// It does not say one thing beyond doubt: ask back with [`hint`].
    Unsure,
}

/// Reads a message that is bound to this one question as an answer to it.
///
/// A text for an input is taken as it is, without the white space around it, so the message must be an explicit reply
/// to the question. A form is never answered by a message.
///
/// The work is bounded for an approval and a choice, whatever the message.
pub fn read(question: &Question, message: &str) -> Reading {
    let value = match question {
        Question::Approval => bounded(message).and_then(approval::read),
        Question::Choice { options, multiple } => {
            bounded(message).and_then(|message| choice::Reader::new(options, *multiple).read(message))
        }
        Question::Input { .. } => Some(message.trim()).filter(|text| text::is_visible(text)).map(Value::from),
        Question::Form { .. } => None,
    };
    value.map_or(Reading::Unsure, Reading::Value)
}

/// The exact words to answer with, for asking back: plain text without markup, in English, bounded in length.
///
/// What it offers as a reply is read as the answer it is offered for.
#[must_use]
pub fn hint(question: &Question) -> String {
    hint::hint(question)
}

fn bounded(message: &str) -> Option<&str> {
    (message.chars().nth(MESSAGE_MAX).is_none()).then_some(message)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn a_reading_of_an_input_is_its_text() {
        let input = Question::Input { min_length: None, max_length: None, pattern: Some("^[A-Z]+$".into()) };
        assert_eq!(read(&input, "  Anna's\ncat? \r\n"), Reading::Value(json!("Anna's\ncat?")));
        assert_eq!(read(&input, &"x".repeat(20_000)), Reading::Value(json!("x".repeat(20_000))));
        for nothing in ["", " \r\n\t", "\u{200b}\u{feff}", "\u{202e} \u{2800}"] {
            assert_eq!(read(&input, nothing), Reading::Unsure, "{nothing:?}");
        }
    }

    #[test]
    fn a_reading_of_a_form_is_never_sure() {
        let form = Question::Form { schema: Map::new() };
        for message in ["yes", "{}", "approved", "1"] {
            assert_eq!(read(&form, message), Reading::Unsure);
        }
    }

    #[test]
    fn a_reading_of_a_long_message_is_unsure() {
        let padded = |padding: usize| format!("yes{}", " ".repeat(padding));
        assert_eq!(read(&Question::Approval, &padded(MESSAGE_MAX - 3)), Reading::Value(json!("approved")));
        assert_eq!(read(&Question::Approval, &padded(MESSAGE_MAX - 2)), Reading::Unsure);
    }
}
