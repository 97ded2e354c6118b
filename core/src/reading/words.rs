//! What the reader understands, in each language. The lists are phrases between commas, in lower case.
//!
//! What stands here may be combined with everything else of its language, so a phrase belongs in only if no
//! combination turns it round. No phrase of consent or courtesy holds a negation ("no problem", "warum nicht").
//! Left out on purpose, and so asked back:
//!
//! - "si": in French it contradicts ("yes, it is"), in Spanish it is "if", and only "sí" is yes;
//! - German "doch", which contradicts, and "ne", which also seeks agreement;
//! - what is said grudgingly, in irony, or of a fact: "fine", "great", "right", "correct", "meinetwegen", "ладно";
//! - what with thanks declines ("that's fine", "passt", "c'est bon", "está bien") or asks for more ("please confirm");
//! - single letters: "y" is Spanish for "and".

use std::{collections::HashMap, sync::LazyLock};

/// What a phrase or a sign adds to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sense {
    /// Consent that could not be clearer: the name of the answer, or an order to go on.
    Act,
    /// A yes.
    Plain,
    /// A yes that also only takes note: with thanks or greetings and nothing else it does ("ok, thanks").
    Noted,
    /// A yes that is said easily. Beside another yes it is how irony is written ("yeah, sure", "sí, claro").
    Casual,
    /// Courtesy, which answers nothing.
    Polite,
    /// Thanks and greetings: beside a yes that may only take note, they end the talk ("ok, best regards").
    Thanks,
    /// A no.
    Refusal,
    /// A no by a negated verb or what stands for it; one at the end of it may take in the word that follows ("don't").
    Negated,
    /// The name of the answer no, which a negation before it turns round.
    Rejection,
}

/// The phrases of a language.
pub(super) struct Language {
    acts: &'static str,
    plain: &'static str,
    noted: &'static str,
    casual: &'static str,
    polite: &'static str,
    thanks: &'static str,
    greetings: &'static str,
    refusals: &'static str,
    negated: &'static str,
    rejections: &'static str,
    /// What may stand before the name of an option. Before a digit it may as well count options ("the 2", "I want 2").
    leads: &'static str,
    /// The articles that go with one thing only, so they may stand before a digit too.
    singular: &'static str,
    /// The words by which the number beside them is a place.
    numbering: &'static str,
    /// What may stand after the name of an option.
    trails: &'static str,
    /// From the first on, the words for an option's place, separated by commas.
    ordinals: [&'static str; 10],
}

/// What every language shares.
const NOTED: &str = "ok, okay";

/// Words that turn what stands beside them round, in all the languages: "no option" is not the option "No".
const NEGATIONS: &str = "no, not, don't, dont, never, nope, without, nicht, kein, keine, keinen, keinem, keiner, \
    keines, keins, nein, nie, ohne, non, ne, n', pas, jamais, rien, aucun, aucune, sans, nunca, jamás, ni, ningún, \
    ningun, ninguno, ninguna, sin, не, нет, никогда, ни, никакой, никакая, никакое, никакую, ничего, без";

/// Emoji, as themselves and by the names that Slack gives them: with what they add, and whether they have skin tones.
const SIGNS: [(&str, Sense, bool); 18] = [
    ("👍", Sense::Noted, true),
    (":+1:", Sense::Noted, true),
    (":thumbsup:", Sense::Noted, true),
    ("✅", Sense::Noted, false),
    (":white_check_mark:", Sense::Noted, false),
    ("✔", Sense::Noted, false),
    (":heavy_check_mark:", Sense::Noted, false),
    ("👎", Sense::Refusal, true),
    (":-1:", Sense::Refusal, true),
    (":thumbsdown:", Sense::Refusal, true),
    ("❌", Sense::Refusal, false),
    (":x:", Sense::Refusal, false),
    ("🙏", Sense::Thanks, true),
    (":pray:", Sense::Thanks, true),
    ("😊", Sense::Polite, false),
    (":blush:", Sense::Polite, false),
    (":-)", Sense::Polite, false),
    (":)", Sense::Polite, false),
];

const ENGLISH: Language = Language {
    acts: "approve, approved, approve it, approve this, i approve, i approve it, i approve this, confirmed, \
        i confirm, go ahead, go ahead with it, go ahead and do it, go for it, do it, do so, please do, proceed, \
        you may proceed, you may go ahead, you can go ahead, permission granted, make it so, lgtm, \
        looks good to me",
    plain: "yes, of course, certainly, absolutely, definitely, agreed, i agree, by all means, with pleasure",
    noted: "sounds good, works for me, fine by me, fine with me",
    casual: "sure, sure thing, yeah, yep, yup",
    thanks: "thanks, thx, thank you, thank you very much, many thanks, cheers",
    greetings: "hi, hello, hey, good morning, good afternoon, good evening, regards, best regards, kind regards",
    polite: "please, pls, plz",
    refusals: "no, nope, nah, never, no way, absolutely not, certainly not, definitely not, of course not, \
        under no circumstances",
    negated: "don't, dont, do not, please don't, please dont, please do not, don't do it, dont do it, do not do it, \
        don't do that, do not do that, don't do this, do not do this, not approved, don't approve, dont approve, \
        do not approve, don't approve it, do not approve it, don't approve this, do not approve this, \
        i don't approve, i do not approve, i don't agree, i do not agree, don't go ahead, do not go ahead, \
        don't proceed, do not proceed",
    rejections: "reject, rejected, reject it, reject this, i reject, i reject it, i reject this",
    leads: "the, i choose, i pick, i take, i'll take, i'll go with, i want, i'd like, i would like, let's take, \
        let's go with, go with, take",
    singular: "",
    numbering: "option, number",
    trails: "one, option",
    ordinals: [
        "first, 1st",
        "second, 2nd",
        "third, 3rd",
        "fourth, 4th",
        "fifth, 5th",
        "sixth, 6th",
        "seventh, 7th",
        "eighth, 8th",
        "ninth, 9th",
        "tenth, 10th",
    ],
};

const GERMAN: Language = Language {
    acts: "genehmigt, genehmige, genehmigen, ich genehmige, ich genehmige es, ich genehmige das, freigegeben, \
        bestätigt, bestaetigt, ich bestätige, ich bestaetige, mach, mach mal, mach das, mach es, mach's, machen, \
        machen sie das, machen sie es, tu es, tu das, leg los, legen sie los, nur zu",
    plain: "ja, jawohl, natürlich, natuerlich, selbstverständlich, selbstverstaendlich, gern, gerne, sehr gern, \
        sehr gerne, einverstanden, ich bin einverstanden, auf jeden fall",
    noted: "in ordnung, geht in ordnung, geht klar",
    casual: "klar, na klar, sicher, jep, jo",
    thanks: "danke, danke schön, dankeschön, vielen dank, besten dank, herzlichen dank",
    greetings: "hallo, hi, guten morgen, guten tag, guten abend, viele grüße, liebe grüße, beste grüße, \
        mit freundlichen grüßen, gruß",
    polite: "bitte",
    refusals: "nein, nee, nö, niemals, keinesfalls, auf keinen fall, auf gar keinen fall, natürlich nicht, \
        sicher nicht, bestimmt nicht, kommt nicht in frage, kommt nicht infrage",
    negated: "bitte nicht, nicht machen, bitte nicht machen, mach das nicht, mach es nicht, mach das bitte nicht, \
        mach es bitte nicht, machen sie das nicht, machen sie das bitte nicht, tu es nicht, tu das nicht, \
        nicht genehmigt, nicht genehmigen, ich genehmige das nicht, ich genehmige es nicht, nicht freigegeben, \
        nicht einverstanden, ich bin nicht einverstanden",
    rejections: "abgelehnt, ablehnen, ich lehne ab, ich lehne das ab, ich lehne es ab",
    leads: "der, die, das, den, ich nehme, ich wähle, ich möchte, ich will, nimm, nehmen wir, wir nehmen",
    singular: "",
    numbering: "option, nummer, variante",
    trails: "option, variante",
    ordinals: [
        "erste, erster, erstes, den ersten",
        "zweite, zweiter, zweites, den zweiten",
        "dritte, dritter, drittes, den dritten",
        "vierte, vierter, viertes, den vierten",
        "fünfte, fünfter, fünftes, den fünften",
        "sechste, sechster, sechstes, den sechsten",
        "siebte, siebter, siebtes, den siebten",
        "achte, achter, achtes, den achten",
        "neunte, neunter, neuntes, den neunten",
        "zehnte, zehnter, zehntes, den zehnten",
    ],
};

const FRENCH: Language = Language {
    acts: "approuvé, approuvée, approuver, j'approuve, je l'approuve, validé, validée, je valide, confirmé, \
        je confirme, vas-y, vas y, allez-y, allez y, fais-le, faites-le",
    plain: "oui, je suis d'accord, bien sûr, bien sur, bien sûr que oui, absolument, tout à fait, volontiers, \
        avec plaisir",
    noted: "d'accord, ça marche, ca marche, ça roule",
    casual: "ouais",
    thanks: "merci, merci beaucoup, merci bien",
    greetings: "bonjour, bonsoir, salut, cordialement, bien cordialement",
    polite: "s'il te plaît, s'il te plait, s'il vous plaît, s'il vous plait, stp, svp",
    refusals: "non, jamais, certainement pas, absolument pas, surtout pas, pas du tout, bien sûr que non, \
        pas question, hors de question, en aucun cas",
    negated: "pas approuvé, pas approuvée, non approuvé, non approuvée, je n'approuve pas, n'approuve pas, \
        n'approuvez pas, ne pas approuver, je ne valide pas, ne le fais pas, ne le faites pas, ne fais pas ça, \
        ne faites pas ça, pas d'accord, je ne suis pas d'accord",
    rejections: "rejeté, rejetée, rejeter, je rejette, refusé, refusée, refuser, je refuse",
    leads: "je choisis, je prends, je veux, je voudrais, prends, prenez, on prend",
    singular: "le, la",
    numbering: "option, l'option, numéro, le numéro",
    trails: "option",
    ordinals: [
        "premier, première, 1er, 1re, 1ère",
        "deuxième, second, seconde, 2e, 2ème",
        "troisième, 3e, 3ème",
        "quatrième, 4e, 4ème",
        "cinquième, 5e, 5ème",
        "sixième, 6e, 6ème",
        "septième, 7e, 7ème",
        "huitième, 8e, 8ème",
        "neuvième, 9e, 9ème",
        "dixième, 10e, 10ème",
    ],
};

const SPANISH: Language = Language {
    acts: "aprobado, aprobada, aprobar, apruebo, lo apruebo, yo apruebo, confirmado, confirmo, adelante, procede, \
        proceda, hazlo, hágalo, hagalo",
    plain: "sí, por supuesto, desde luego, claro que sí, estoy de acuerdo, con gusto",
    noted: "de acuerdo, vale, dale",
    casual: "claro",
    thanks: "gracias, muchas gracias",
    greetings: "hola, buenos días, buenas tardes, buenas noches, saludos, un saludo",
    polite: "por favor",
    refusals: "no, nunca, jamás, jamas, claro que no, por supuesto que no, desde luego que no, de ninguna manera, \
        ni hablar, en absoluto",
    negated: "no aprobado, no aprobada, no aprobar, no apruebo, no lo apruebo, no lo apruebes, no lo apruebe, \
        no lo hagas, no lo haga, no estoy de acuerdo",
    rejections: "rechazado, rechazada, rechazar, rechazo, lo rechazo, yo rechazo",
    leads: "elijo, escojo, quiero, quisiera, tomo",
    singular: "el, la",
    numbering: "opción, opcion, la opción, la opcion, número, numero, el número",
    trails: "opción, opcion",
    ordinals: [
        "primero, primera, primer, 1º, 1ª",
        "segundo, segunda, 2º, 2ª",
        "tercero, tercera, tercer, 3º, 3ª",
        "cuarto, cuarta, 4º, 4ª",
        "quinto, quinta, 5º, 5ª",
        "sexto, sexta, 6º, 6ª",
        "séptimo, séptima, 7º, 7ª",
        "octavo, octava, 8º, 8ª",
        "noveno, novena, 9º, 9ª",
        "décimo, décima, 10º, 10ª",
    ],
};

const RUSSIAN: Language = Language {
    acts: "одобряю, я одобряю, одобрено, одобрить, одобри, одобрите, подтверждаю, подтверждено, разрешаю, делай, \
        делайте, действуй, действуйте, приступай, приступайте, выполняй, выполняйте",
    plain: "да, согласен, согласна, я согласен, я согласна, безусловно, разумеется, так точно",
    noted: "хорошо, ок, окей, давай, давайте",
    casual: "конечно, ага",
    thanks: "спасибо, большое спасибо, спасибо большое, благодарю",
    greetings: "привет, здравствуйте, добрый день, доброе утро, добрый вечер, с уважением",
    polite: "пожалуйста",
    refusals: "нет, неа, никогда, ни в коем случае, конечно нет, конечно же нет, разумеется нет",
    negated: "не надо, не нужно, не одобряю, я не одобряю, не одобрено, не одобрять, не одобряй, не одобряйте, \
        не подтверждаю, не разрешаю, не согласен, не согласна, я не согласен, я не согласна, не делай, не делайте, \
        не делай этого, не делайте этого",
    rejections: "отклонить, отклоняю, я отклоняю, отклонено, отклони, отклоните",
    leads: "выбираю, я выбираю, беру, хочу",
    singular: "",
    numbering: "вариант, номер, пункт, опция",
    trails: "вариант, пункт",
    ordinals: [
        "первый, первая, первое, первую",
        "второй, вторая, второе, вторую",
        "третий, третья, третье, третью",
        "четвёртый, четвёртая, четвёртое, четвёртую, четвертый, четвертая, четвертое, четвертую",
        "пятый, пятая, пятое, пятую",
        "шестой, шестая, шестое, шестую",
        "седьмой, седьмая, седьмое, седьмую",
        "восьмой, восьмая, восьмое, восьмую",
        "девятый, девятая, девятое, девятую",
        "десятый, десятая, десятое, десятую",
    ],
};

/// What a phrase beside an option makes of a number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beside {
    /// Nothing, as it is courtesy.
    Courtesy,
    /// It may count options.
    Amount,
    /// It is one thing.
    Singular,
    /// It is a place.
    Place,
}

impl Beside {
    /// With a phrase that stands nearer: courtesy takes nothing back.
    pub(super) fn then(self, nearer: Self) -> Self {
        if nearer == Self::Courtesy { self } else { nearer }
    }
}

/// A language, ready to be looked up in.
pub(super) struct Vocabulary {
    senses: HashMap<&'static str, Sense>,
    /// How many words its longest phrase has.
    longest: usize,
    /// What may stand before the name of an option.
    pub(super) leads: Vec<(&'static str, Beside)>,
    /// What may stand after the name of an option.
    pub(super) trails: Vec<(&'static str, Beside)>,
    ordinals: HashMap<&'static str, usize>,
}

impl Vocabulary {
    fn new(language: &Language) -> Self {
        let lists = [
            (language.acts, Sense::Act),
            (language.plain, Sense::Plain),
            (language.noted, Sense::Noted),
            (NOTED, Sense::Noted),
            (language.casual, Sense::Casual),
            (language.polite, Sense::Polite),
            (language.thanks, Sense::Thanks),
            (language.greetings, Sense::Thanks),
            (language.refusals, Sense::Refusal),
            (language.negated, Sense::Negated),
            (language.rejections, Sense::Rejection),
        ];
        let senses: HashMap<_, _> =
            lists.iter().flat_map(|(list, sense)| phrases(list).map(|phrase| (phrase, *sense))).collect();
        let beside = |list, beside| phrases(list).map(move |phrase| (phrase, beside));
        let courtesy = || {
            let lists = [language.polite, language.thanks, language.greetings];
            lists.into_iter().flat_map(move |list| beside(list, Beside::Courtesy))
        };
        let trail = |phrase| {
            let numbers = phrases(language.numbering).any(|number| number == phrase);
            (phrase, if numbers { Beside::Place } else { Beside::Singular })
        };
        let places = language.ordinals.iter().enumerate();
        Self {
            longest: senses.keys().map(|phrase| phrase.split(' ').count()).max().unwrap_or_default(),
            senses,
            leads: beside(language.leads, Beside::Amount)
                .chain(beside(language.singular, Beside::Singular))
                .chain(beside(language.numbering, Beside::Place))
                .chain(courtesy())
                .collect(),
            trails: phrases(language.trails).map(trail).chain(courtesy()).collect(),
            ordinals: places.flat_map(|(place, list)| phrases(list).map(move |ordinal| (ordinal, place + 1))).collect(),
        }
    }

    /// The longest phrase that these words begin with: how many of them it takes, itself, and what it says.
    pub(super) fn phrase(&self, words: &[&str]) -> Option<(usize, &'static str, Sense)> {
        (1..=self.longest.min(words.len())).rev().find_map(|count| {
            let (phrase, sense) = self.senses.get_key_value(words.get(..count)?.join(" ").as_str())?;
            Some((count, *phrase, *sense))
        })
    }

    /// The place that an ordinal names, from one.
    pub(super) fn place(&self, ordinal: &str) -> Option<usize> {
        self.ordinals.get(ordinal).copied()
    }

    /// The ordinals and their places.
    pub(super) fn places(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.ordinals.iter().map(|(ordinal, place)| (*ordinal, *place))
    }
}

pub(super) fn phrases(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split(", ").filter(|phrase| !phrase.is_empty())
}

pub(super) fn is_negation(word: &str) -> bool {
    phrases(NEGATIONS).any(|negation| negation == word)
}

/// English, German, French, Spanish and Russian.
pub(super) static VOCABULARIES: LazyLock<[Vocabulary; 5]> =
    LazyLock::new(|| LANGUAGES.map(|language| Vocabulary::new(&language)));

const LANGUAGES: [Language; 5] = [ENGLISH, GERMAN, FRENCH, SPANISH, RUSSIAN];

/// The signs, what each adds, and whether it has skin tones.
pub(super) fn signs() -> impl Iterator<Item = (&'static str, Sense, bool)> {
    SIGNS.into_iter()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        feedback::Question,
        reading::{Reading, read, text},
    };

    fn all() -> impl Iterator<Item = (&'static str, Sense)> {
        VOCABULARIES.iter().flat_map(|vocabulary| vocabulary.senses.iter().map(|(phrase, sense)| (*phrase, *sense)))
    }

    const fn says_yes(sense: Sense) -> bool {
        matches!(sense, Sense::Act | Sense::Plain | Sense::Noted | Sense::Casual)
    }

    const fn says_no(sense: Sense) -> bool {
        matches!(sense, Sense::Refusal | Sense::Negated | Sense::Rejection)
    }

    #[test]
    fn a_reading_knows_every_phrase_once_and_as_it_is_written() {
        for (language, vocabulary) in LANGUAGES.iter().zip(VOCABULARIES.iter()) {
            let lists = [
                language.acts,
                language.plain,
                language.noted,
                NOTED,
                language.casual,
                language.polite,
                language.thanks,
                language.greetings,
                language.refusals,
                language.negated,
                language.rejections,
            ];
            assert_eq!(lists.iter().flat_map(|list| phrases(list)).count(), vocabulary.senses.len(), "stands twice");
            let ordinals = language.ordinals.iter().flat_map(|list| phrases(list)).count();
            assert_eq!(ordinals, vocabulary.ordinals.len(), "stands twice");
            let beside = vocabulary.leads.iter().chain(&vocabulary.trails).map(|(phrase, _)| phrase);
            let names = beside.chain(vocabulary.ordinals.keys());
            for phrase in vocabulary.senses.keys().chain(names) {
                assert_eq!(*phrase, text::normal(phrase));
                assert!(!phrase.is_empty() && !phrase.contains(','));
            }
        }
    }

    #[test]
    fn a_reading_of_a_phrase_alone_is_what_its_list_says() {
        for (phrase, sense) in all() {
            let expected = match sense {
                yes if says_yes(yes) => Reading::Value(json!("approved")),
                Sense::Polite | Sense::Thanks => Reading::Unsure,
                _ => Reading::Value(json!("rejected")),
            };
            assert_eq!(read(&Question::Approval, phrase), expected, "{phrase}");
        }
    }

    #[test]
    fn a_reading_never_finds_a_negation_in_consent_or_courtesy() {
        for (phrase, sense) in all().filter(|(_, sense)| !says_no(*sense)) {
            let negated = phrase.split([' ', '-']).any(is_negation);
            assert!(!negated && !phrase.contains("n'a"), "{phrase}: {sense:?}");
        }
    }

    #[test]
    fn a_reading_takes_a_phrase_of_two_languages_the_same_way() {
        for (phrase, sense) in all() {
            assert!(all().all(|(other, other_sense)| phrase != other || sense == other_sense), "{phrase}");
        }
    }

    #[test]
    fn a_reading_knows_which_words_count_the_same_way_in_every_language() {
        let all = || VOCABULARIES.iter().flat_map(|vocabulary| &vocabulary.leads);
        for (lead, beside) in all() {
            assert!(all().all(|(other, other_beside)| lead != other || beside == other_beside), "{lead}");
        }
    }

    #[test]
    fn a_reading_of_a_yes_beside_a_no_is_unsure() {
        for vocabulary in VOCABULARIES.iter() {
            let of = |says: fn(Sense) -> bool| {
                let phrases = vocabulary.senses.iter().filter(move |(_, sense)| says(**sense));
                phrases.map(|(phrase, _)| *phrase)
            };
            for yes in of(says_yes) {
                for no in of(says_no) {
                    for between in [" ", ", ", "! ", "\n"] {
                        for message in [format!("{yes}{between}{no}"), format!("{no}{between}{yes}")] {
                            let reading = read(&Question::Approval, &message);
                            assert_ne!(reading, Reading::Value(json!("approved")), "{message}");
                            // "don't" and "do it" make a phrase of their own.
                            let together = vocabulary.senses.contains_key(text::normal(&message).as_str());
                            assert!(together || reading == Reading::Unsure, "{message}");
                        }
                    }
                }
            }
        }
    }
}
