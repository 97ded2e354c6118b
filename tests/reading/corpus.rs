//! `corpus.tsv`: how each message is to be read.

use std::collections::BTreeMap;

use hearback_core::{
    feedback::{ChoiceOption, Question},
    reading::{Reading, read},
};
use serde_json::{Map, Value, json};

/// A line of the corpus.
pub struct Entry {
    pub line: usize,
    pub language: String,
    pub category: String,
    pub question: Question,
    pub message: String,
    pub expected: Reading,
}

pub fn entries() -> Vec<Entry> {
    let mut questions = BTreeMap::from([("approval", Question::Approval)]);
    let mut entries = Vec::new();
    for (line, text) in (1..).zip(include_str!("corpus.tsv").lines()) {
        let columns: Vec<_> = text.split('\t').collect();
        if let Some(name) = columns[0].strip_prefix('@') {
            questions.insert(name, question(&columns[1..]));
        } else if !text.is_empty() && !text.starts_with('#') {
            let [language, category, question, expected, message] = columns[..] else {
                panic!("line {line} has not five columns: {text}");
            };
            let question = questions.get(question).unwrap_or_else(|| panic!("line {line}: no question {question}"));
            entries.push(Entry {
                line,
                language: language.into(),
                category: category.into(),
                question: question.clone(),
                message: unescaped(message),
                expected: expectation(question, expected),
            });
        }
    }
    entries
}

fn question(columns: &[&str]) -> Question {
    let option = |column: &&str| match column.split_once('=') {
        Some((value, label)) => ChoiceOption { value: value.into(), label: Some(label.into()) },
        None => ChoiceOption { value: (*column).into(), label: None },
    };
    match columns[0] {
        "input" => Question::Input { min_length: None, max_length: None, pattern: None },
        "form" => Question::Form { schema: Map::new() },
        kind => Question::Choice { options: columns[1..].iter().map(option).collect(), multiple: kind == "many" },
    }
}

fn expectation(question: &Question, expected: &str) -> Reading {
    match (question, expected) {
        (_, "unsure") => Reading::Unsure,
        (Question::Approval, "yes") => Reading::Value(json!("approved")),
        (Question::Approval, "no") => Reading::Value(json!("rejected")),
        _ => {
            let value = unescaped(expected.strip_prefix('=').unwrap_or_else(|| panic!("no reading: {expected}")));
            let several = matches!(question, Question::Choice { multiple: true, .. });
            Reading::Value(if several { value.split('+').collect() } else { Value::from(value) })
        }
    }
}

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        plain.push(match c {
            '\\' => match rest.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('\\') => '\\',
                Some('u') => {
                    let digits: String = rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
                    u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap()
                }
                other => panic!("no escape: {other:?} in {text}"),
            },
            c => c,
        });
    }
    plain
}

#[test]
fn every_message_of_the_corpus_has_its_expected_reading() {
    let mut wrong = 0;
    for entry in entries() {
        let found = read(&entry.question, &entry.message);
        if found != entry.expected {
            wrong += 1;
            let Entry { line, language, category, message, expected, .. } = entry;
            println!("corpus.tsv:{line} ({language}, {category}): {message:?} reads {found:?}, expected {expected:?}");
        }
    }
    assert_eq!(wrong, 0, "messages are read wrongly");
}

#[test]
fn the_corpus_of_readings_is_large_enough_and_says_nothing_twice() {
    let entries = entries();
    let (mut languages, mut categories) = (BTreeMap::new(), BTreeMap::new());
    for (index, entry) in entries.iter().enumerate() {
        *languages.entry(entry.language.as_str()).or_insert(0) += 1;
        *categories.entry(entry.category.as_str()).or_insert(0) += 1;
        let same = |other: &&Entry| other.question == entry.question && other.message == entry.message;
        // One spelling may be a word of two languages.
        let earlier = entries[..index].iter().filter(|other| other.language == entry.language).find(same);
        assert!(earlier.is_none(), "line {} stands twice", entry.line);
    }
    assert!(entries.len() >= 220);
    for language in ["en", "de", "fr", "es", "ru"] {
        assert!(languages[language] >= 30, "{language}: {languages:?}");
    }
    assert!(categories.values().all(|count| *count >= 3), "{categories:?}");
}
