//! The grammar of yes and no.
//!
//! A message is a row of phrases of one language and of signs, with at most one comma, dash or stop between two of them
//! and a stop at the end. It is a yes when phrases of consent stand in it and none of refusal, and a no the other way
//! round. So whatever limits, delays, asks or denies is an unknown phrase or one of the other side, and both end in
//! doubt.

use serde_json::Value;

use super::{
    text::{self, Token},
    words::{Sense, VOCABULARIES, Vocabulary},
};
use crate::feedback::Question;

pub(super) fn read(message: &str) -> Option<Value> {
    let tokens = text::tokens(message)?;
    let mut verdicts = VOCABULARIES.iter().filter_map(|vocabulary| tally(&tokens, vocabulary)?.verdict());
    let verdict = verdicts.next()?;
    let [approved, rejected] = Question::APPROVAL_VALUES;
    verdicts.all(|other| other == verdict).then(|| Value::from(if verdict { approved } else { rejected }))
}

/// Whether the message may say no more than that it was seen ("ok, thanks"), which is no choice of "OK" either.
pub(super) fn takes_note(message: &str) -> bool {
    let Some(tokens) = text::tokens(message) else { return false };
    let mut tallies = VOCABULARIES.iter().filter_map(|vocabulary| tally(&tokens, vocabulary));
    tallies.any(|tally| tally.noes == 0 && tally.takes_note())
}

/// What the message says in one language; `None` when it is not of that language alone.
fn tally(tokens: &[Token], vocabulary: &Vocabulary) -> Option<Tally> {
    let mut tally = Tally::default();
    let mut rest = tokens;
    let mut after_phrase = false;
    while let Some(token) = rest.first() {
        let mut taken = 1;
        match token {
            Token::Comma | Token::Stop => {
                let ends = rest.len() == 1;
                if !after_phrase || (ends && *token == Token::Comma) {
                    return None;
                }
                tally.refused = None;
            }
            Token::Sign(sense) => tally.sign(*sense)?,
            Token::Word(_) => {
                let words: Vec<&str> = rest.iter().map_while(word).collect();
                let (count, phrase, sense) = vocabulary.phrase(&words)?;
                tally.phrase(phrase, sense)?;
                taken = count;
            }
        }
        after_phrase = !matches!(token, Token::Comma | Token::Stop);
        rest = rest.get(taken..)?;
    }
    Some(tally)
}

fn word(token: &Token) -> Option<&str> {
    if let Token::Word(word) = token { Some(word) } else { None }
}

/// What was said so far.
#[derive(Default)]
struct Tally {
    acts: usize,
    plain: usize,
    noted: usize,
    casual: usize,
    signs: usize,
    thanks: usize,
    noes: usize,
    /// The phrase before.
    last: Option<&'static str>,
    /// The no since the last comma, dash or stop.
    refused: Option<Sense>,
}

impl Tally {
    fn phrase(&mut self, phrase: &'static str, sense: Sense) -> Option<()> {
        let again = self.last.replace(phrase) == Some(phrase);
        match sense {
            // "Ja, ja" and "yeah yeah" wave the question away.
            Sense::Act | Sense::Plain | Sense::Noted | Sense::Casual if again => return None,
            Sense::Refusal | Sense::Negated | Sense::Rejection => {
                // "Don't reject", "non rejeté": a no may deny another, unless it is an answer of its own before a
                // negated verb ("no, don't").
                let denied = match self.refused {
                    None => false,
                    Some(Sense::Refusal) => sense == Sense::Rejection,
                    Some(_) => true,
                };
                if denied {
                    return None;
                }
                self.refused = Some(sense);
            }
            _ => {}
        }
        self.count(sense);
        Some(())
    }

    fn sign(&mut self, sense: Sense) -> Option<()> {
        // "Don't ❌" may deny the sign.
        if sense == Sense::Refusal && self.refused == Some(Sense::Negated) {
            return None;
        }
        self.last = None;
        if sense == Sense::Noted {
            self.signs += 1;
        } else {
            self.count(sense);
        }
        Some(())
    }

    fn count(&mut self, sense: Sense) {
        match sense {
            Sense::Act => self.acts += 1,
            Sense::Plain => self.plain += 1,
            Sense::Noted => self.noted += 1,
            Sense::Casual => self.casual += 1,
            Sense::Polite => {}
            Sense::Thanks => self.thanks += 1,
            Sense::Refusal | Sense::Negated | Sense::Rejection => self.noes += 1,
        }
    }

    /// The words of consent.
    fn words(&self) -> usize {
        self.acts + self.plain + self.noted + self.casual
    }

    fn takes_note(&self) -> bool {
        self.words() == self.noted && self.noted + self.signs > 0 && self.thanks > 0
    }

    fn verdict(&self) -> Option<bool> {
        match (self.words() + self.signs, self.noes) {
            (0, 1..) => Some(false),
            (1.., 0) => {
                let ironic = self.casual > 1 || (self.casual == 1 && self.words() > 1 && self.acts == 0);
                (!ironic && !self.takes_note()).then_some(true)
            }
            _ => None,
        }
    }
}
