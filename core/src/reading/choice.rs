//! Options by label, value or number.
//!
//! Everything that a message may mean is collected: a name, a name without the courtesy around it, a number, a place,
//! for a list every way to divide it. It answers only when all of that is one and the same. A number is a place only
//! where no other option has it in any form, and what may say how many ("the 2") is no place.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use serde_json::Value;

use super::{
    approval::takes_note,
    numbers::Numbers,
    text::{is_visible, normal},
    words::{Beside, VOCABULARIES, Vocabulary, is_negation},
};
use crate::feedback::ChoiceOption;

/// A message with more commas and the like is no list of options, of which there are at most 100.
const PARTS_MAX: usize = 120;

/// A text with more ways to take courtesy off it is no name.
const FORMS_MAX: usize = 64;

/// The words that stand between the members of a list.
const AND: [&str; 6] = ["and", "plus", "und", "et", "y", "и"];

/// Reads the answers to one question.
pub(super) struct Reader<'a> {
    options: &'a [ChoiceOption],
    multiple: bool,
    /// Labels and values as they are compared, and the options that they name.
    names: HashMap<String, BTreeSet<usize>>,
    /// The numbers of each option: of its label, and of its label and value.
    numbers: Vec<[Numbers; 2]>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(options: &'a [ChoiceOption], multiple: bool) -> Self {
        let mut names: HashMap<_, BTreeSet<_>> = HashMap::new();
        for (index, option) in options.iter().enumerate() {
            for name in [option.label(), &option.value].into_iter().filter(|name| is_visible(name)) {
                names.entry(normal(name)).or_default().insert(index);
            }
        }
        let numbers = |option: &ChoiceOption| {
            let [mut label, mut both] = [Numbers::default(), Numbers::default()];
            label.add(option.label());
            both.add(option.label());
            both.add(&option.value);
            [label, both]
        };
        Self { options, multiple, names, numbers: options.iter().map(numbers).collect() }
    }

    /// The value that the message gives, if it gives one beyond doubt.
    pub(super) fn read(&self, message: &str) -> Option<Value> {
        if takes_note(message) && !self.names.contains_key(&normal(message)) {
            return None;
        }
        if self.multiple { self.list(message).map(Value::from) } else { self.one(message).map(Value::from) }
    }

    fn one(&self, message: &str) -> Option<&'a str> {
        let meant = self.meant_by(&normal(message))?;
        if meant.len() == 1 { meant.first().and_then(|index| self.value(*index)) } else { None }
    }

    fn list(&self, message: &str) -> Option<Vec<&'a str>> {
        let lines = normal(&with_commas(message));
        let mut lists = self.lists(&normal(message))?;
        lists.extend(self.lists(&lines)?);
        let list = lists.first()?;
        // "No, red" may correct what was said before.
        let mut members = self.parts(&lines).into_iter().filter_map(|part| lines.get(part.range));
        if list.len() > 1 && members.any(|member| self.denies(member)) {
            return None;
        }
        let once = list.iter().collect::<BTreeSet<_>>().len() == list.len();
        let sure = once && lists.iter().all(|other| other == list);
        if sure { list.iter().map(|index| self.value(*index)).collect() } else { None }
    }

    /// Whether a text is nothing but a no.
    fn denies(&self, text: &str) -> bool {
        let forms = VOCABULARIES.iter().filter_map(|vocabulary| self.forms(text.trim(), vocabulary));
        forms.flatten().any(|form| is_negation(form.text))
    }

    fn value(&self, index: usize) -> Option<&'a str> {
        self.options.get(index).map(|option| option.value.as_str())
    }

    /// Every option that a text may mean; `None` when it cannot be said.
    fn meant_by(&self, text: &str) -> Option<BTreeSet<usize>> {
        let mut meant = BTreeSet::new();
        for vocabulary in VOCABULARIES.iter() {
            for form in self.forms(text, vocabulary)? {
                meant.extend(self.names.get(form.text).into_iter().flatten());
                if let Some(place) = form.place(vocabulary) {
                    meant.extend(self.at(place, form.is_place()));
                }
            }
        }
        Some(meant)
    }

    /// What a place may mean: the option there, and every other one with this number, as "2" may be the second option
    /// or the one that reads "2 days". It means nothing when the option there has other numbers of its own, unless the
    /// message calls it a place: with "1 day" and "7 days", "2" may be two days.
    fn at(&self, place: usize, is_place: bool) -> BTreeSet<usize> {
        let Some([label, _]) = place.checked_sub(1).and_then(|index| self.numbers.get(index)) else {
            return BTreeSet::new();
        };
        let holds = |index: &usize| self.numbers[*index][1].may_hold(place);
        let mut meant: BTreeSet<_> = (0..self.options.len()).filter(|index| index + 1 != place).filter(holds).collect();
        if is_place || !meant.is_empty() || !label.differ_from(place) {
            meant.insert(place - 1);
        }
        meant
    }

    /// The text, and what is left of it in every way to take courtesy, articles and a stop off it.
    fn forms<'t>(&self, text: &'t str, vocabulary: &Vocabulary) -> Option<Vec<Form<'t>>> {
        // What is the name of an option is meant as one.
        let is_idle = |phrase: &str| !self.names.contains_key(phrase);
        let mut forms = vec![Form { text, before: Beside::Courtesy, after: Beside::Courtesy }];
        let mut next = 0;
        while let Some(&form) = forms.get(next) {
            let leads = vocabulary.leads.iter().filter_map(|(lead, beside)| {
                let text = without_lead(form.text, lead).filter(|_| is_idle(lead))?;
                Some(Form { text, before: form.before.then(*beside), ..form })
            });
            let trails = vocabulary.trails.iter().filter_map(|(trail, beside)| {
                let text = without_trail(form.text, trail).filter(|_| is_idle(trail))?;
                // "No one" is not "No".
                let last = text.rsplit(' ').next().map(|word| word.trim_matches(['.', '!', '¡', ',']));
                let negated = last.is_some_and(is_negation);
                let after = form.after.then(*beside);
                (*beside == Beside::Courtesy || !negated).then_some(Form { text, after, ..form })
            });
            let signs = without_stop(form.text).into_iter().chain(form.text.strip_prefix('¡'));
            for shorter in leads.chain(trails).chain(signs.map(|text| Form { text, ..form })) {
                if !forms.contains(&shorter) {
                    forms.push(shorter);
                }
            }
            if forms.len() > FORMS_MAX {
                return None;
            }
            next += 1;
        }
        Some(forms)
    }

    /// The different lists that a text may mean, two of them at most; `None` when it cannot be said.
    fn lists(&self, text: &str) -> Option<Vec<Vec<usize>>> {
        let parts = self.parts(text);
        if parts.len() > PARTS_MAX {
            return None;
        }
        // From the end on: the lists that can begin with each part.
        let mut beginning: Vec<Vec<Vec<usize>>> = vec![Vec::new(); parts.len()];
        beginning.push(vec![Vec::new()]);
        for from in (0..parts.len()).rev() {
            let mut lists: Vec<Vec<usize>> = Vec::new();
            let mut add = |first: Option<usize>, rests: &[Vec<usize>]| {
                for rest in rests {
                    let list: Vec<_> = first.iter().chain(rest).copied().collect();
                    if lists.len() < 2 && !lists.contains(&list) {
                        lists.push(list);
                    }
                }
            };
            if parts[from].inside_separator {
                add(None, &beginning[from + 1]);
            }
            // A name may have commas of its own, so a member may take several parts.
            for to in from..parts.len() {
                let member = text.get(parts[from].range.start..parts[to].range.end)?.trim();
                if !beginning[to + 1].is_empty() {
                    for first in self.meant_by(member)? {
                        add(Some(first), &beginning[to + 1]);
                    }
                }
            }
            beginning[from] = lists;
        }
        Some(beginning.swap_remove(0))
    }

    /// What stands between the separators.
    fn parts(&self, text: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut start = 0;
        let mut after_comma = false;
        for (at, c) in text.char_indices() {
            let separator = match c {
                ',' | ';' | '&' | '+' => c.len_utf8(),
                ' ' if at >= start => {
                    text.get(at + 1..).and_then(|rest| self.and(rest)).map_or(0, |word| word.len() + 1)
                }
                _ => 0,
            };
            if separator > 0 {
                let inside_separator = after_comma && start == at && c == ' ';
                parts.push(Part { range: start..at, inside_separator });
                start = at + separator;
                after_comma = c == ',';
            }
        }
        parts.push(Part { range: start..text.len(), inside_separator: false });
        parts
    }

    /// The "and" at the beginning of a text, unless an option is called so.
    fn and(&self, text: &str) -> Option<&'static str> {
        let is_next = |word: &str| text.strip_prefix(word).is_some_and(|rest| rest.starts_with(' '));
        AND.into_iter().find(|word| is_next(word) && !self.names.contains_key(*word))
    }
}

/// A text without what stood beside it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Form<'t> {
    text: &'t str,
    before: Beside,
    after: Beside,
}

impl Form<'_> {
    /// The place that it names, from one. Digits that may say how many are none.
    fn place(&self, vocabulary: &Vocabulary) -> Option<usize> {
        let counts = self.before == Beside::Amount && !is_marked(self.text);
        number(self.text).filter(|_| !counts).or_else(|| vocabulary.place(self.text))
    }

    /// Whether it can be nothing but a place.
    fn is_place(&self) -> bool {
        [self.before, self.after].contains(&Beside::Place) || is_marked(self.text)
    }
}

/// A part of a list.
struct Part {
    range: Range<usize>,
    /// It is nothing but the middle of ", and".
    inside_separator: bool,
}

/// The message with its lines as the members of a list. A comma at the very end promises more, so it stays.
fn with_commas(message: &str) -> String {
    let lines: Vec<_> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let Some((last, before)) = lines.split_last() else { return String::new() };
    before.iter().map(|line| line.strip_suffix(',').unwrap_or(line)).chain([*last]).collect::<Vec<_>>().join(", ")
}

fn without_lead<'t>(text: &'t str, lead: &str) -> Option<&'t str> {
    let rest = text.strip_prefix(lead)?;
    rest.strip_prefix([',', '.', '!']).unwrap_or(rest).strip_prefix(' ')
}

fn without_trail<'t>(text: &'t str, trail: &str) -> Option<&'t str> {
    let rest = text.strip_suffix(trail)?.strip_suffix(' ')?;
    Some(rest.strip_suffix(',').unwrap_or(rest))
}

/// Without the full stop or the exclamation marks at the end; dots that trail off are not taken away.
fn without_stop(text: &str) -> Option<&str> {
    let rest = match text.strip_suffix('.') {
        Some(rest) => rest,
        None => text.strip_suffix('!')?.trim_end_matches('!'),
    };
    (!rest.ends_with(['.', '!', '?', ','])).then_some(rest.trim_end())
}

/// The number that a text is, as "2", "#2", "2)" or "(2)".
fn number(text: &str) -> Option<usize> {
    let bare = text.strip_prefix(['#', '№']).map(str::trim_start);
    let bracketed = text.strip_suffix(')').map(|rest| rest.strip_prefix('(').unwrap_or(rest));
    let digits = bare.or(bracketed).unwrap_or(text);
    let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}

/// Whether a number is written as that of a list.
fn is_marked(text: &str) -> bool {
    text.starts_with(['#', '№']) || text.ends_with(')')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options(names: &[(&str, &str)]) -> Vec<ChoiceOption> {
        let option = |(value, label): &(&str, &str)| ChoiceOption {
            value: (*value).into(),
            label: (!label.is_empty()).then(|| (*label).into()),
        };
        names.iter().map(option).collect()
    }

    fn one(names: &[(&str, &str)], message: &str) -> Option<Value> {
        Reader::new(&options(names), false).read(message)
    }

    fn many(names: &[(&str, &str)], message: &str) -> Option<Value> {
        Reader::new(&options(names), true).read(message)
    }

    #[test]
    fn a_reading_of_what_two_options_may_mean_is_unsure() {
        let swapped = [("2", "Two"), ("1", "One")];
        assert_eq!(one(&swapped, "2"), None);
        assert_eq!(one(&swapped, "two"), Some(json!("2")));
        let crossed = [("red", "Blue"), ("blue", "Red"), ("green", "Green")];
        assert_eq!(one(&crossed, "red"), None);
        assert_eq!(one(&crossed, "3"), Some(json!("green")));
        let days = [("a", "2 days"), ("b", "1 day")];
        assert_eq!(one(&days, "2"), None);
        assert_eq!(one(&days, "2 Days."), Some(json!("a")));
        let floors = [("a", "Second floor"), ("b", "First floor")];
        assert_eq!(one(&floors, "the second"), None);
        assert_eq!(one(&[("a", "The first"), ("b", "Other")], "the first"), Some(json!("a")));
        assert_eq!(one(&[("a", "Other"), ("b", "The first")], "the first"), None);
        assert_eq!(one(&[("a", "Blue"), ("b", "blue")], "Blue"), None);
        assert_eq!(one(&[("a", "Red"), ("b", "The red")], "the red"), None);
    }

    #[test]
    fn a_reading_of_a_number_beyond_the_list_is_a_name_or_nothing() {
        let sizes = [("5", ""), ("10", ""), ("20", "")];
        assert_eq!(one(&sizes, "20"), Some(json!("20")));
        assert_eq!(one(&sizes, "2"), None, "nobody offered two");
        assert_eq!(one(&sizes, "option 2"), Some(json!("10")));
        assert_eq!(one(&sizes, "4"), None);
        assert_eq!(one(&sizes, "0"), None);
        assert_eq!(one(&sizes, "02"), None);
        assert_eq!(one(&sizes, "99999999999999999999999999"), None);
        assert_eq!(one(&[("1.4.1", ""), ("1.4.2", "")], "2"), Some(json!("1.4.2")));
    }

    #[test]
    fn a_reading_takes_no_name_for_courtesy_or_for_a_separator() {
        let polite = [("please", "Please"), ("blue", "Blue")];
        assert_eq!(one(&polite, "please"), Some(json!("please")));
        assert_eq!(one(&polite, "blue please"), None);
        let letters = [("x", "X"), ("y", "Y"), ("z", "Z")];
        assert_eq!(many(&letters, "x y z"), None);
        assert_eq!(many(&letters, "x, y and z"), Some(json!(["x", "y", "z"])));
        assert_eq!(one(&[("la", "LA"), ("ny", "NY")], "LA"), Some(json!("la")));
    }

    #[test]
    fn a_reading_of_nothing_names_no_option() {
        let blank = [("a", " "), ("b", "\u{200b}"), ("c", "C")];
        for message in ["", " ", "\u{200b}", ".", "!"] {
            assert_eq!((one(&blank, message), many(&blank, message)), (None, None), "{message:?}");
        }
        assert_eq!(one(&blank, "1"), Some(json!("a")));
    }

    #[test]
    fn a_reading_of_names_with_commas_tries_every_division() {
        let dishes = [("sp", "Salt, pepper"), ("r", "R&D"), ("rice", "Rice"), ("c", "C++")];
        assert_eq!(many(&dishes, "salt, pepper, and R&D"), Some(json!(["sp", "r"])));
        assert_eq!(many(&dishes, "Rice\nC++\n"), Some(json!(["rice", "c"])));
        assert_eq!(one(&dishes, "salt, pepper"), Some(json!("sp")));
        let both = [("b", "Red and blue"), ("red", "Red"), ("blue", "Blue")];
        assert_eq!(many(&both, "red and blue"), None);
        assert_eq!(many(&both, "blue and red"), Some(json!(["blue", "red"])));
        assert_eq!(one(&both, "red and blue"), Some(json!("b")));
        assert_eq!(many(&both, "red, red"), None);
        assert_eq!(many(&both, "red, 2"), None);
    }

    #[test]
    fn a_reading_of_separators_alone_is_unsure_and_soon_done() {
        let all: Vec<_> = (1..=100).map(|n| ChoiceOption { value: format!("v{n}"), label: None }).collect();
        let reader = Reader::new(&all, true);
        for message in
            [",", ", and", " and ", "1,", ",1", "1,,2", "and 1", "1 and", "", &",".repeat(500), &"1,".repeat(119)]
        {
            assert_eq!(reader.read(message), None, "{message}");
        }
        assert_eq!(reader.read(&"the ".repeat(120)), None);
        let numbers: Vec<_> = (1..=100).map(|n: usize| n.to_string()).collect();
        let values: Vec<_> = (1..=100).map(|n| format!("v{n}")).collect();
        assert_eq!(reader.read(&numbers.join(",")), Some(json!(values)));
    }
}
