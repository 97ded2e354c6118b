//! The rule that new passwords keep.

use std::{collections::HashSet, sync::LazyLock};

use hearback_core::error::FieldError;

const LENGTH_MIN: usize = 8;
const LENGTH_MAX: usize = 256;

/// Passwords that keep the rule and are tried first by whoever guesses, in lower case.
static WORST: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("worst_passwords.txt").lines().collect());

/// Checks the rule for new passwords: 8 to 256 characters, one of them a digit, and none of the worst.
#[must_use]
pub fn fault(field: &'static str, password: &str) -> Option<FieldError> {
    let length = password.chars().count();
    if length < LENGTH_MIN || !password.chars().any(char::is_numeric) {
        return Some(FieldError::new(field, "expected at least 8 characters with a number"));
    }
    if length > LENGTH_MAX {
        return Some(FieldError::new(field, "expected at most 256 characters"));
    }
    let worst = WORST.contains(password.to_lowercase().as_str());
    worst.then(|| FieldError::new(field, "is one of the passwords that are guessed first: expected another"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_eight_characters_with_a_number_and_none_of_the_worst() {
        for good in ["a green lamp 7", "1234567ä", &"x1".repeat(128)] {
            assert_eq!(fault("password", good), None, "{good}");
        }
        for bad in ["", "short 1", "no number here", &"x1".repeat(129), "password1", "PassWord123", "12345678"] {
            assert!(fault("password", bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn the_list_of_the_worst_holds_only_what_the_rule_lets_through() {
        assert!(WORST.len() > 150);
        for worst in WORST.iter() {
            let kept = worst.chars().count() >= LENGTH_MIN && worst.chars().any(char::is_numeric);
            assert!(kept && *worst == worst.to_lowercase(), "{worst}");
        }
    }
}
