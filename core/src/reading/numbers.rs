//! The numbers that the name of an option holds, in any form: "v2", "2nd floor", "Second floor", "Zwei Tage", "II".
//!
//! A person who answers with a number may mean any of them, so one too many costs a question back and one too few may
//! cost a wrong answer.

use std::{
    collections::{BTreeSet, HashMap},
    sync::LazyLock,
};

use unicode_normalization::UnicodeNormalization;

use super::words::{VOCABULARIES, Vocabulary, phrases};

/// From one on, the words for a number in all the languages, besides the ordinals.
const WORDS: [&str; 10] = [
    "one, once, single, ein, eins, eine, einen, einem, einer, eines, einmal, einzel, un, une, uno, una, один, одна, \
        одно, одну, одного, одной, первого, первой, первом, первые",
    "two, twice, double, both, couple, pair, zwei, beide, zwo, doppel, paar, deux, dos, doble, ambos, ambas, два, \
        две, оба, обе, обоих, пара, пару, двух, двумя, двой, двое, второго, втором, вторые",
    "three, thrice, triple, drei, dreifach, trois, tres, три, трёх, трех, тремя, трой, трое, треть",
    "four, quadruple, vier, quatre, cuatro, четыре, четырёх, четырех, четвёрт, четверт",
    "five, fünf, fuenf, cinq, cinco, пять, пяти, пятого, пятой, пятом",
    "six, sechs, seis, шесть, шести, шестого, шестом",
    "seven, sieben, sept, siete, семь, семи, седьмого, седьмом",
    "eight, acht, huit, ocho, восемь, восьми, восьмого, восьмом",
    "nine, neun, neuf, nueve, девять, девяти, девятого, девятом",
    "ten, zehn, dix, diez, десять, десяти, десятого, десятом",
];

const ROMAN: [&str; 10] = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"];

/// A word of so many letters also counts at the beginning of a longer one ("Zweibettzimmer", "двухместный").
const STEM_MIN: usize = 4;

static NUMBERS: LazyLock<HashMap<&'static str, usize>> = LazyLock::new(|| {
    let words = WORDS.into_iter().zip(1..).flat_map(|(list, number)| phrases(list).map(move |word| (word, number)));
    words.chain(VOCABULARIES.iter().flat_map(Vocabulary::places)).collect()
});

/// What one option holds.
#[derive(Default)]
pub(super) struct Numbers {
    clear: BTreeSet<usize>,
    /// What may as well be an article, a pronoun or a letter: words for one inside the name, "I", "V" and "X".
    possible: BTreeSet<usize>,
}

impl Numbers {
    pub(super) fn add(&mut self, name: &str) {
        let name: String = name.nfkc().flat_map(char::to_lowercase).nfc().collect();
        for digits in name.split(|c: char| !c.is_numeric()).filter(|digits| !digits.is_empty()) {
            // A number too long or in other digits is none of the places.
            self.clear.insert(digits.parse().unwrap_or(usize::MAX));
        }
        let words = name.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
        for (index, number) in words.enumerate().flat_map(|(index, word)| in_word(word).map(move |n| (index, n))) {
            let is_clear = number > 1 || index == 0;
            if is_clear { &mut self.clear } else { &mut self.possible }.insert(number);
        }
        let mut words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).peekable();
        while let Some(word) = words.next() {
            let Some(index) = ROMAN.iter().position(|roman| *roman == word) else { continue };
            if word.len() > 1 {
                self.clear.insert(index + 1);
            } else if words.peek().is_none() {
                self.possible.insert(index + 1);
            }
        }
    }

    pub(super) fn may_hold(&self, number: usize) -> bool {
        self.clear.contains(&number) || self.possible.contains(&number)
    }

    /// Whether it has numbers, and surely not this one.
    pub(super) fn differ_from(&self, number: usize) -> bool {
        !self.clear.is_empty() && !self.may_hold(number)
    }
}

/// The numbers that a word is or begins with.
fn in_word(word: &str) -> impl Iterator<Item = usize> {
    let ends = word.char_indices().map(|(at, _)| at).skip(STEM_MIN).chain([word.len()]);
    ends.filter_map(|end| NUMBERS.get(word.get(..end)?).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_finds_the_number_of_a_name_in_every_form() {
        let forms = "v2|2GB|Q2|02|2.0|1.4.2|2,000 EUR|2nd floor|Second floor|two-day|Zwei Tage|Zweibettzimmer|\
            zweitens|Doppelzimmer|la deuxième|Dos días|segundas|второго|Двухместный|Phase II|Ⅱ|②|２|\
            a²|½|2️⃣|TWICE";
        for name in forms.split('|') {
            let mut numbers = Numbers::default();
            numbers.add(name);
            assert!(numbers.may_hold(2) && numbers.differ_from(7), "{name}");
        }
        for name in ["200", "12", "22", "Blue", "twofold", "вторник", "I agree", "dosis", "٢"] {
            let mut numbers = Numbers::default();
            numbers.add(name);
            assert!(!numbers.may_hold(2) && !numbers.may_hold(1), "{name}");
        }
        for (name, is_clear) in [
            ("One day", true),
            ("Einzelzimmer", true),
            ("Wait for one", false),
            ("Phase I", false),
            ("Mit einer Pause", false),
        ] {
            let mut numbers = Numbers::default();
            numbers.add(name);
            assert!(numbers.may_hold(1) && numbers.differ_from(2) == is_clear, "{name}");
        }
    }

    #[test]
    fn a_reading_knows_every_word_for_a_number_once() {
        let words: Vec<_> = WORDS.iter().flat_map(|list| phrases(list)).collect();
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), words.len(), "stands twice");
        for vocabulary in VOCABULARIES.iter() {
            for (ordinal, place) in vocabulary.places() {
                assert_eq!(NUMBERS[ordinal], place, "{ordinal}");
            }
        }
    }
}
