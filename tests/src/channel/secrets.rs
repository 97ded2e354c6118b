//! Looking for secrets: as they are, in base64 and in hex.

use std::{error::Error as StdError, fmt::Write};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use hearback_core::Error;

/// Everything that an error can be printed as, with what lies below it.
#[must_use]
pub fn all_texts(error: &Error) -> String {
    let mut texts = format!("{error} {error:?} {error:#?} {}", error.detail());
    let mut below: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(source) = below {
        // Writing to a string does not fail.
        let _ = write!(texts, " {source} {source:?} {source:#?}");
        below = source.source();
    }
    texts
}

/// The form in which one of these secrets stands in a text: what was found, and in which form.
#[must_use]
pub fn find<'a>(secrets: &'a [String], text: &[u8]) -> Option<(&'a str, &'static str)> {
    let lower = text.to_ascii_lowercase();
    let holds = |haystack: &[u8], needle: &str| {
        !needle.is_empty() && haystack.windows(needle.len()).any(|part| part == needle.as_bytes())
    };
    secrets.iter().find_map(|secret| {
        let hex = hex(secret);
        let form = if holds(text, secret) {
            "as it is"
        } else if holds(&lower, &hex) {
            "in hex"
        } else if base64_forms(secret).iter().any(|form| holds(text, form)) {
            "in base64"
        } else {
            return None;
        };
        Some((secret.as_str(), form))
    })
}

fn hex(secret: &str) -> String {
    let digits = secret.bytes().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// What a secret looks like within the base64 of something longer. That depends on where in three bytes it begins, so
/// there are three forms for each alphabet, without the characters at both ends that its neighbours have a part in.
fn base64_forms(secret: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let bytes = [vec![0; before], secret.as_bytes().to_vec()].concat();
        let (begin, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            forms.extend(encoded.get(begin..end).map(str::to_owned));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearback_core::ErrorKind;

    const SECRET: &str = "xoxb-?~secret-of-a-test";

    fn found(text: &str) -> Option<&'static str> {
        find(&[SECRET.into()], text.as_bytes()).map(|(_, form)| form)
    }

    #[test]
    fn a_secret_is_found_in_every_form_and_place() {
        assert_eq!(found("nothing here"), None);
        assert_eq!(found(&format!("<{SECRET}>")), Some("as it is"));
        assert_eq!(hex("az~"), "617a7e");
        assert_eq!(found(&format!("x{}x", hex(SECRET))), Some("in hex"));
        assert_eq!(found(&format!("x{}x", hex(SECRET).to_uppercase())), Some("in hex"));
        for user in ["", "a", "an", "ana", "anas"] {
            let basic = format!("{user}:{SECRET}:and more");
            assert_eq!(found(&STANDARD_NO_PAD.encode(&basic)), Some("in base64"), "{user}");
            assert_eq!(found(&URL_SAFE_NO_PAD.encode(&basic)), Some("in base64"), "{user}");
        }
    }

    #[test]
    fn what_lies_below_an_error_is_among_its_texts() {
        let below = Error::new(ErrorKind::Unexpected, "test.below", "deep").with_source(SECRET.to_owned());
        let error = Error::new(ErrorKind::Unavailable, "test.call", "shallow").with_source(below);
        assert!(all_texts(&error).contains("deep"));
        assert_eq!(found(&all_texts(&error)), Some("as it is"));
    }
}
