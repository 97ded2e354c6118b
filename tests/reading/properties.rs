//! What holds for every message.

use hearback_core::{
    feedback::{ChoiceOption, Question},
    reading::{Reading, hint, read},
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::json;

use crate::corpus::{Entry, entries};

/// Words that deny, limit, delay or doubt. None of them may stand in a message that approves.
const DOUBTS: &str = "no not don't never nope nah cannot won't without unless if when once until except but only \
    maybe perhaps probably possibly later tomorrow soon wait hold almost nearly hardly guess \
    suppose think unsure or reject rejected nein nicht kein keine nie niemals ohne wenn falls \
    sobald bis außer aber nur vielleicht eventuell wahrscheinlich später morgen warte eher fast \
    kaum glaube oder ablehnen abgelehnt nee nö doch jein non pas ne jamais aucun sans si quand \
    sauf mais seulement peut-être probablement demain bientôt attends attendez presque crois ou \
    refuser refusé nunca jamás ni sin cuando salvo excepto pero solo quizás quizá tal \
    probablemente mañana luego espera casi creo o rechazar rechazado tampoco нет не ни никогда \
    без если когда кроме но только может возможно наверное вероятно завтра позже потом подожди \
    почти думаю или отклонить отклонено неа нельзя";

/// Signs that ask, quote, hide, strike or doubt.
const SIGNS: [&str; 24] = [
    "?", "…", "...", "\"", "„", "“", "«", "»", "`", "~", "*", "_", ">", "<", "\u{200b}", "\u{202e}", "\u{336}", "👎",
    "❌", "🤔", "🙄", "(", "/", "1",
];

fn approving() -> Vec<Entry> {
    let approves = |entry: &Entry| entry.expected == Reading::Value(json!("approved"));
    entries().into_iter().filter(approves).collect()
}

/// What stands between words.
const BETWEEN: [&str; 5] = [" ", ", ", ". ", "\n", " - "];

fn is_yes(reading: &Reading) -> bool {
    *reading == Reading::Value(json!("approved"))
}

#[test]
fn a_reading_of_yes_never_holds_a_word_of_doubt() {
    for entry in approving() {
        let words: Vec<_> = entry.message.split(' ').collect();
        for doubt in DOUBTS.split_whitespace() {
            for at in 0..=words.len() {
                let (before, after) = (words[..at].join(" "), words[at..].join(" "));
                let between = BETWEEN[(at + doubt.len()) % BETWEEN.len()];
                for message in
                    [format!("{before} {doubt} {after}"), format!("{before}{between}{doubt}{between}{after}")]
                {
                    assert!(!is_yes(&read(&entry.question, &message)), "{message:?}");
                }
            }
        }
    }
}

#[test]
fn a_reading_of_yes_never_holds_a_sign_of_doubt() {
    for entry in approving() {
        let message = &entry.message;
        for at in (0..=message.len()).filter(|at| message.is_char_boundary(*at)) {
            let (before, after) = message.split_at(at);
            for sign in SIGNS {
                let message = format!("{before}{sign}{after}");
                assert!(!is_yes(&read(&entry.question, &message)), "{message:?}");
            }
        }
    }
}

#[test]
fn a_reading_of_yes_is_none_of_a_message_joined_with_one_that_is_not_a_yes() {
    let (yes, other): (Vec<_>, Vec<_>) = entries()
        .into_iter()
        .filter(|entry| entry.question == Question::Approval && !entry.message.trim().is_empty())
        .partition(|entry| is_yes(&entry.expected));
    // Courtesy and what seems ironic take nothing away from a clear yes beside them; a comma or a dash waits for one.
    let harmless = |entry: &&Entry| {
        ["courtesy", "takes note", "irony"].contains(&entry.category.as_str())
            || entry.message.ends_with([',', '-'])
            || entry.message.starts_with('-')
            || [".", "!", "🙏"].contains(&entry.message.as_str())
    };
    let other: Vec<_> = other.iter().filter(|entry| !harmless(entry)).collect();
    for (yes, other) in yes.iter().flat_map(|yes| other.iter().map(move |other| (yes, other))) {
        for message in [format!("{} {}", yes.message, other.message), format!("{}\n{}", other.message, yes.message)] {
            let reading = read(&Question::Approval, &message);
            assert!(!is_yes(&reading), "{message:?}");
        }
    }
}

/// Characters and words that have a meaning somewhere in the reader, and any others.
fn babble(rng: &mut StdRng, pool: &[String]) -> String {
    let mut text = String::new();
    for _ in 0..rng.random_range(0..8) {
        match rng.random_range(0..4) {
            0 => text.push(rng.random()),
            1 => text.push_str(SIGNS.choose(rng).unwrap()),
            2 => text.push_str(BETWEEN.choose(rng).unwrap()),
            _ => text.push_str(pool.choose(rng).unwrap()),
        }
    }
    text
}

fn pool() -> Vec<String> {
    let words = entries().into_iter().flat_map(|entry| {
        entry.message.split_whitespace().chain([entry.message.as_str()]).map(String::from).collect::<Vec<_>>()
    });
    words.chain((0..20).map(|number: usize| number.to_string())).collect()
}

fn babbled_choice(rng: &mut StdRng, pool: &[String]) -> Question {
    let mut options: Vec<ChoiceOption> = Vec::new();
    for _ in 0..rng.random_range(2..30) {
        let value = babble(rng, pool);
        let label = rng
            .random_bool(0.5)
            .then(|| if rng.random() { babble(rng, pool) } else { pool.choose(rng).unwrap().clone() });
        if options.iter().all(|other| other.value != value) {
            options.push(ChoiceOption { value, label });
        }
    }
    Question::Choice { options, multiple: rng.random() }
}

#[test]
fn a_reading_never_panics_and_its_value_is_always_valid() {
    let pool = pool();
    let mut rng = StdRng::seed_from_u64(0x5eed);
    let mut sure = 0;
    for _ in 0..1_000 {
        let choice = babbled_choice(&mut rng, &pool);
        for _ in 0..10 {
            let message = babble(&mut rng, &pool);
            for question in [&Question::Approval, &choice] {
                if let Reading::Value(value) = read(question, &message) {
                    sure += 1;
                    assert_eq!(question.validate(&value), Ok(()), "{question:?}: {message:?}");
                }
            }
        }
    }
    assert!(sure > 100, "only {sure} messages were understood, so little was tried");
}

#[test]
fn a_reading_of_every_reply_that_a_hint_offers_is_that_option() {
    let pool = pool();
    let mut rng = StdRng::seed_from_u64(0x417);
    for _ in 0..300 {
        let question = babbled_choice(&mut rng, &pool);
        let Question::Choice { options, multiple } = &question else { unreachable!() };
        let hint = hint(&question);
        assert!(hint.chars().count() < 4_000, "{hint}");
        let (head, lines) = hint.split_once('\n').unwrap_or((&hint, ""));
        for (index, line) in lines.lines().enumerate().filter(|(_, line)| !line.starts_with("… and ")) {
            let numbered = head.contains("number");
            let reply = if numbered { (index + 1).to_string() } else { line.into() };
            let reply = reply.split(" (for ").next().unwrap();
            let Reading::Value(value) = read(&question, reply) else { panic!("{reply:?} of {hint}") };
            assert_eq!(question.validate(&value), Ok(()));
            if numbered {
                let expected = options[index].value.as_str();
                assert_eq!(value, if *multiple { json!([expected]) } else { json!(expected) }, "{hint}");
            }
        }
    }
}

#[test]
fn a_reading_of_a_number_is_never_an_option_beside_one_that_has_this_number() {
    let ones = "v1|1GB|Q1|1.0|€1|01|1st floor|First floor|One day|Phase I|Ein Tag|Einzelzimmer|Erster Stock|Un jour|\
        Premier étage|Un día|Primer piso|Один день|Первый этаж|①";
    let twos = "v2|2GB|Q2|2.0|€2|02|2nd floor|Second floor|Two days|Phase II|Zwei Tage|Doppelzimmer|Zweiter Stock|\
        Deux jours|Deuxième étage|Dos días|Segundo piso|Два дня|Второй этаж|②";
    let messages = "1|2|1.|#2|(2)|option 1|Nummer 2|le 2|la 1|la opción 2|вариант 2|first|the 2nd|der erste|zweite|\
        le premier|la deuxième|el primero|segundo|первый|второй вариант|2 please|the 2|los 2|les 2|die 2|хочу 2";
    for (one, two) in ones.split('|').flat_map(|one| twos.split('|').map(move |two| (one, two))) {
        let option = |label: &str| ChoiceOption { value: label.to_lowercase(), label: Some(label.into()) };
        let question = Question::Choice { options: vec![option(two), option(one)], multiple: one.len() > two.len() };
        for message in messages.split('|') {
            assert_eq!(read(&question, message), Reading::Unsure, "{two}, {one}: {message:?}");
        }
    }
}
