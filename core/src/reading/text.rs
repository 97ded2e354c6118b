//! How a message becomes words, and when two texts are the same.

use unicode_normalization::UnicodeNormalization;

use super::words::{Sense, signs};

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A word, in its composed form and lower case.
    Word(String),
    /// An emoji that answers or is kind.
    Sign(Sense),
    /// A comma or a dash: something must follow.
    Comma,
    /// A full stop, or exclamation marks.
    Stop,
}

/// Takes a message apart; `None` when it holds any character that no plain answer needs. That keeps out question marks,
/// quotation marks, markup, ellipses, invisible and direction-changing characters, and letters that look like others.
pub(super) fn tokens(message: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = message;
    while let Some(first) = rest.chars().next() {
        if let Some((sense, after)) = sign(rest) {
            tokens.push(Token::Sign(sense));
            rest = after;
            continue;
        }
        let after = rest.trim_start_matches(first);
        let once = rest.strip_prefix(first)?;
        match first {
            ' ' | '\t' | '\r' | '\n' | '\u{a0}' | '\u{202f}' => rest = after,
            // Opens a Spanish exclamation.
            '¡' => rest = once,
            ',' | '-' | '–' | '—' => {
                tokens.push(Token::Comma);
                rest = once;
            }
            '.' => {
                tokens.push(Token::Stop);
                rest = once;
            }
            '!' => {
                tokens.push(Token::Stop);
                rest = after;
            }
            _ => {
                let after = rest.trim_start_matches(is_of_a_word);
                let word = rest.strip_suffix(after).filter(|word| !word.is_empty())?;
                tokens.push(Token::Word(word.nfc().flat_map(char::to_lowercase).map(straight).collect()));
                rest = after;
            }
        }
    }
    Some(tokens)
}

/// The sign at the beginning of a text, with its skin tone and its variation selector, and what follows it.
fn sign(text: &str) -> Option<(Sense, &str)> {
    let (sense, has_tone, after) =
        signs().find_map(|(sign, sense, has_tone)| Some((sense, has_tone, text.strip_prefix(sign)?)))?;
    let after = if has_tone { without_tone(after) } else { after };
    let after = after.strip_prefix(['\u{fe0e}', '\u{fe0f}']).unwrap_or(after);
    Some((sense, after))
}

fn without_tone(text: &str) -> &str {
    let named = || (2..=6).find_map(|tone| text.strip_prefix(&format!(":skin-tone-{tone}:")));
    text.strip_prefix(|c| ('\u{1f3fb}'..='\u{1f3ff}').contains(&c)).or_else(named).unwrap_or(text)
}

/// The letters of the languages that are read, composed or with combining accents. Others that only look like them, as
/// the Kelvin sign or full-width letters, are no part of a word.
fn is_of_a_word(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '\'' | '’' | '-' | 'À'..='ž' | '\u{300}'..='\u{36f}' | '\u{400}'..='\u{45f}')
}

fn straight(c: char) -> char {
    if c == '’' { '\'' } else { c }
}

/// A text as names are compared: composed, in lower case, with single spaces.
///
/// Nothing else is ignored: a name with an invisible or a look-alike character in it is another name.
pub(super) fn normal(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !normal.is_empty() {
            normal.push(' ');
        }
        normal.extend(word.nfc().flat_map(char::to_lowercase).map(straight));
    }
    normal
}

/// Whether a reader would see anything of it.
pub(super) fn is_visible(text: &str) -> bool {
    text.chars().any(|c| !c.is_whitespace() && !is_invisible(c))
}

/// Controls, and characters that show nothing or turn the direction of others.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_takes_words_signs_and_stops_apart() {
        let word = |word: &str| Token::Word(word.into());
        let yes = Token::Sign(Sense::Noted);
        assert_eq!(tokens("Vas-y, OUI !!\n"), Some(vec![word("vas-y"), Token::Comma, word("oui"), Token::Stop]));
        assert_eq!(tokens("Don’t — no."), Some(vec![word("don't"), Token::Comma, word("no"), Token::Stop]));
        assert_eq!(tokens("¡si\u{301}!"), Some(vec![word("sí"), Token::Stop]));
        assert_eq!(tokens("👍🏽👍✔️✔\u{fe0e}"), Some(vec![yes.clone(); 4]));
        assert_eq!(tokens(":+1::skin-tone-3: :thumbsup:"), Some(vec![yes; 2]));
        for strange in
            ["yes?", "yes…", "\"yes\"", "yes\u{200b}", "\u{202e}yes", "ｙｅｓ", "o\u{212a}", "✅🏽", "👍\u{200d}", "1"]
        {
            assert_eq!(tokens(strange), None, "{strange:?}");
        }
    }

    #[test]
    fn a_reading_compares_names_by_what_they_show() {
        assert_eq!(normal("  Zu\u{308}rich \u{a0}\n WEST’s "), "zürich west's");
        assert_ne!(normal("bl\u{200b}ue"), "blue");
        assert_ne!(normal("bluе"), "blue", "its last letter is Cyrillic");
        assert!(is_visible(" .") && !is_visible(" \u{200b}\u{fe0f}"));
    }
}
