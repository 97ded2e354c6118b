//! The four kinds of question, and which values answer each.

use regex::RegexBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::form;
use crate::error::FieldError;

/// The longest answer to an input question that sets no `max_length`, in Unicode scalar values.
pub const INPUT_MAX: u32 = 10_000;

/// A compiled pattern may take this many bytes: more than any sensible one needs, less than hurts.
pub(super) const PATTERN_SIZE_MAX: usize = 1 << 20;

/// What kind of question it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Yes or no: `approved` or `rejected`.
    Approval,
    /// One of several options, or some of them with `multiple`.
    Choice,
    /// A text.
    Input,
    /// An object that satisfies a JSON Schema.
    Form,
}

/// One option of a choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChoiceOption {
    /// What the asker gets back: 1 to 200 characters, unique among the options.
    #[schemars(length(min = 1, max = 200))]
    pub value: String,
    /// What people see: 1 to 200 characters; the value when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub label: Option<String>,
}

impl ChoiceOption {
    /// What people see.
    #[must_use]
    pub fn label(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.value)
    }
}

/// A question of one kind with what that kind needs. Built by [`super::Draft::check`], so its parts fit together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Question {
    /// Answered by `approved` or `rejected`.
    Approval,
    /// Answered by one option's value, or by a list of them.
    Choice {
        /// What can be chosen, 2 to 100.
        options: Vec<ChoiceOption>,
        /// Whether the answer is a list.
        multiple: bool,
    },
    /// Answered by a text.
    Input {
        /// The least number of Unicode scalar values.
        min_length: Option<u32>,
        /// The greatest number of Unicode scalar values; 10,000 when absent.
        max_length: Option<u32>,
        /// A regular expression that the text matches somewhere (anchor it with `^` and `$`); without look-around and
        /// back-references, so that matching takes linear time.
        pattern: Option<String>,
    },
    /// Answered by an object.
    Form {
        /// JSON Schema 2020-12 of the object.
        schema: Map<String, Value>,
    },
}

impl Question {
    /// The values that answer an approval.
    pub const APPROVAL_VALUES: [&'static str; 2] = ["approved", "rejected"];

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Approval => Kind::Approval,
            Self::Choice { .. } => Kind::Choice,
            Self::Input { .. } => Kind::Input,
            Self::Form { .. } => Kind::Form,
        }
    }

    /// Checks that `value` answers this question.
    ///
    /// # Errors
    ///
    /// Every fault with its path below `value`, and the values that would do.
    pub fn validate(&self, value: &Value) -> Result<(), Vec<FieldError>> {
        match self {
            Self::Approval => one_of(value, "value", &Self::APPROVAL_VALUES).map_err(|fault| vec![fault]),
            Self::Choice { options, multiple } => validate_choice(value, options, *multiple),
            Self::Input { min_length, max_length, pattern } => {
                validate_input(value, *min_length, *max_length, pattern.as_deref()).map_err(|fault| vec![fault])
            }
            Self::Form { schema } => form::validate(schema, value),
        }
    }
}

fn one_of(value: &Value, field: &str, allowed: &[&str]) -> Result<(), FieldError> {
    if value.as_str().is_some_and(|text| allowed.contains(&text)) {
        return Ok(());
    }
    Err(FieldError::new(field, "not one of the allowed values").allowing(allowed.iter().copied()))
}

fn validate_choice(value: &Value, options: &[ChoiceOption], multiple: bool) -> Result<(), Vec<FieldError>> {
    let allowed: Vec<&str> = options.iter().map(|option| option.value.as_str()).collect();
    if !multiple {
        return one_of(value, "value", &allowed).map_err(|fault| vec![fault]);
    }
    let Some(chosen) = value.as_array() else {
        return Err(vec![FieldError::new("value", "expected a list of the chosen options' values").allowing(allowed)]);
    };
    if chosen.is_empty() {
        return Err(vec![FieldError::new("value", "choose at least one option").allowing(allowed)]);
    }
    let mut faults = Vec::new();
    for (index, one) in chosen.iter().enumerate() {
        let field = format!("value[{index}]");
        if let Err(fault) = one_of(one, &field, &allowed) {
            faults.push(fault);
        } else if chosen[..index].contains(one) {
            faults.push(FieldError::new(field, "this option is chosen twice"));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn validate_input(
    value: &Value,
    min_length: Option<u32>,
    max_length: Option<u32>,
    pattern: Option<&str>,
) -> Result<(), FieldError> {
    let Some(text) = value.as_str() else {
        return Err(FieldError::new("value", "expected a text"));
    };
    let length = text.chars().count();
    let min = min_length.unwrap_or(0) as usize;
    let max = max_length.unwrap_or(INPUT_MAX) as usize;
    if length < min || length > max {
        let detail = format!("has {length} characters, expected {min} to {max}");
        return Err(FieldError::new("value", detail));
    }
    if let Some(pattern) = pattern
        && !compile_pattern(pattern).is_ok_and(|pattern| pattern.is_match(text))
    {
        return Err(FieldError::new("value", format!("does not match the pattern {pattern}")));
    }
    Ok(())
}

/// Compiles a pattern of the asker's, bounded in size; the engine matches in linear time.
pub(super) fn compile_pattern(pattern: &str) -> Result<regex::Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(PATTERN_SIZE_MAX).build()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(faults: Result<(), Vec<FieldError>>) -> Vec<String> {
        faults.unwrap_err().into_iter().map(|fault| fault.field).collect()
    }

    #[test]
    fn an_approval_takes_its_two_words_and_nothing_like_them() {
        assert!(Question::Approval.validate(&json!("approved")).is_ok());
        assert!(Question::Approval.validate(&json!("rejected")).is_ok());
        for value in [json!("Approved"), json!("yes"), json!(true), json!(null), json!(["approved"]), json!("")] {
            let faults = Question::Approval.validate(&value).unwrap_err();
            assert_eq!(faults[0].allowed, ["approved", "rejected"], "{value}");
        }
    }

    #[test]
    fn a_choice_takes_one_value_or_a_list_of_different_ones() {
        let option = |value: &str| ChoiceOption { value: value.into(), label: None };
        let one = Question::Choice { options: vec![option("blue"), option("red")], multiple: false };
        assert!(one.validate(&json!("blue")).is_ok());
        assert_eq!(one.validate(&json!("green")).unwrap_err()[0].allowed, ["blue", "red"]);
        assert!(one.validate(&json!(["blue"])).is_err());

        let many = Question::Choice { options: vec![option("blue"), option("red")], multiple: true };
        assert!(many.validate(&json!(["red", "blue"])).is_ok());
        assert_eq!(fields(many.validate(&json!(["red", "green"]))), ["value[1]"]);
        assert_eq!(fields(many.validate(&json!(["red", "red"]))), ["value[1]"]);
        assert_eq!(fields(many.validate(&json!([]))), ["value"]);
        assert_eq!(fields(many.validate(&json!("red"))), ["value"]);
    }

    #[test]
    fn an_input_counts_scalar_values_and_matches_its_pattern() {
        let input = |min, max, pattern: Option<&str>| Question::Input {
            min_length: min,
            max_length: max,
            pattern: pattern.map(Into::into),
        };
        assert!(input(Some(2), Some(2), None).validate(&json!("äé")).is_ok());
        assert!(input(Some(3), None, None).validate(&json!("äé")).is_err());
        assert!(input(None, Some(1), None).validate(&json!("äé")).is_err());
        assert!(input(None, None, Some("^[A-Z]+$")).validate(&json!("ABC")).is_ok());
        assert!(input(None, None, Some("^[A-Z]+$")).validate(&json!("abc")).is_err());
        assert!(input(None, None, None).validate(&json!(5)).is_err());
        assert!(input(None, None, None).validate(&json!("x".repeat(10_001))).is_err());
    }
}
