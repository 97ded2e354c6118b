//! Texts that must not be found, and the search for them in everything that they may have been turned into.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use regex::bytes::Regex;

/// A secret that was planted.
pub struct Canary {
    /// Which field it was planted in.
    pub field: &'static str,
    bytes: Vec<u8>,
}

/// What was found: which canary, how it was written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub field: &'static str,
    pub written: String,
    pub place: String,
    pub around: String,
}

impl Canary {
    pub fn new(field: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let is_code = bytes.len() >= 8 && bytes.iter().all(u8::is_ascii_digit);
        assert!(is_code || bytes.len() >= 12, "{field}: too short to be told from chance");
        Self { field, bytes }
    }

    /// Every way to write it that is looked for, by name.
    fn written(&self) -> Vec<(String, Vec<u8>)> {
        let hex = self.bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let percent = |all: bool| -> String {
            let plain = |byte: u8| !all && (byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
            let one = |byte: &u8| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
            self.bytes.iter().map(one).collect()
        };
        let decimal: Vec<_> = self.bytes.iter().map(ToString::to_string).collect();
        let escaped = self.bytes.escape_ascii().to_string();
        let mut written = vec![
            ("raw".into(), self.bytes.clone()),
            ("hex".into(), hex.clone().into_bytes()),
            ("HEX".into(), hex.to_uppercase().into_bytes()),
            ("percent".into(), percent(false).into_bytes()),
            ("percent, every byte".into(), percent(true).into_bytes()),
            ("percent, every byte, small".into(), percent(true).to_lowercase().into_bytes()),
            ("a list of numbers".into(), decimal.join(", ").into_bytes()),
            ("a list of numbers, close".into(), decimal.join(",").into_bytes()),
            ("escaped".into(), escaped.clone().into_bytes()),
            ("escaped as Bytes are".into(), escaped.replace("\\x00", "\\0").into_bytes()),
        ];
        for (name, engine) in [("base64", STANDARD_NO_PAD), ("base64 for URLs", URL_SAFE_NO_PAD)] {
            for before in 0..3 {
                // What stands before it shares its first letters, and what comes after its last one.
                let text = engine.encode([vec![0; before], self.bytes.clone()].concat());
                let own = (before * 8).div_ceil(6)..(before + self.bytes.len()) * 8 / 6;
                written.push((format!("{name}, {before} further"), text.as_bytes()[own].to_vec()));
            }
        }
        written
    }
}

/// The search for many canaries at once.
pub struct Search {
    needles: Vec<(&'static str, String, Vec<u8>)>,
    pattern: Regex,
}

impl Search {
    pub fn new(canaries: &[Canary]) -> Self {
        let needles: Vec<_> = canaries
            .iter()
            .flat_map(|canary| canary.written().into_iter().map(|(how, bytes)| (canary.field, how, bytes)))
            .collect();
        let escaped = needles.iter().map(|(_, _, bytes)| {
            let literal = |byte: &u8| format!("\\x{byte:02x}");
            let literals: String = bytes.iter().map(literal).collect();
            // A few digits stand in many a longer number, too.
            if bytes.len() < 12 && bytes.iter().all(u8::is_ascii_digit) {
                format!("\\b{literals}\\b")
            } else {
                literals
            }
        });
        let pattern = format!("(?s-u){}", escaped.collect::<Vec<_>>().join("|"));
        let pattern = regex::bytes::RegexBuilder::new(&pattern).size_limit(1 << 28).build().unwrap();
        Self { needles, pattern }
    }

    /// Every canary that `bytes` hold, from `place`.
    pub fn look(&self, place: &str, bytes: &[u8]) -> Vec<Finding> {
        let found = self.pattern.find_iter(bytes).map(|found| {
            let (field, written, _) = self.needles.iter().find(|(.., needle)| needle == found.as_bytes()).unwrap();
            let around = &bytes[found.start().saturating_sub(80)..(found.end() + 40).min(bytes.len())];
            let around = String::from_utf8_lossy(around).into_owned();
            Finding { field, written: written.clone(), place: place.into(), around }
        });
        found.collect()
    }
}

#[test]
fn a_canary_is_found_however_it_is_written() {
    let planted: Vec<u8> = b"a canary? ".iter().chain(&[0xff, 0xfe, 0xfb, b'+', b'/', 0]).copied().collect();
    let search = Search::new(&[Canary::new("field", planted.clone())]);
    let around = |text: &[u8]| [b"xyz ".as_slice(), text, b" and more"].concat();
    let in_base64 = |before: &str, engine: &base64::engine::GeneralPurpose| {
        engine.encode([before.as_bytes(), &planted, b" tail"].concat()).into_bytes()
    };
    let hex = planted.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let mut written = vec![planted.clone(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
    for before in ["", "x", "xy", "xyz", "user:"] {
        written.push(in_base64(before, &STANDARD_NO_PAD));
        written.push(in_base64(before, &URL_SAFE_NO_PAD));
    }
    written
        .push(percent_encoding::percent_encode(&planted, percent_encoding::NON_ALPHANUMERIC).to_string().into_bytes());
    written.push(format!("{planted:?}").into_bytes());
    written.push(serde_json::to_vec(&planted).unwrap());
    written.push(format!("{:?}", bytes::Bytes::from(planted.clone())).into_bytes());
    for text in written {
        let found = search.look("here", &around(&text));
        assert_eq!(found.len(), 1, "{}", String::from_utf8_lossy(&text));
        assert_eq!((found[0].field, &*found[0].place), ("field", "here"));
    }
    assert_eq!(search.look("here", &around(b"a canary? no")), []);
}

#[test]
fn a_few_digits_are_found_but_not_within_a_longer_number() {
    let search = Search::new(&[Canary::new("code", "12345678")]);
    for text in [
        "12345678",
        "{\"code\":\"12345678\"}",
        "code=12345678&",
        "a-3132333435363738f",
        "xMTIzNDU2Nzg=",
        "code: 12345678\n",
    ] {
        assert_eq!(search.look("here", text.as_bytes()).len(), 1, "{text}");
    }
    for text in ["912345678", "123456780", "1795312345678000"] {
        assert_eq!(search.look("here", text.as_bytes()), [], "{text}");
    }
}
