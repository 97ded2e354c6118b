//! Where settings are found: `hearback.toml`, then `.env`, then the environment, each over the one before.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;
use toml::Spanned;

use super::{KEYS, Key, Origin, Problem};

/// The file that is read when it exists and no other is named.
const DEFAULT_FILE: &str = "hearback.toml";
/// The file with environment names.
const DOTENV: &str = ".env";
/// A word this much like a known name was meant to be it (Jaro-Winkler, 1 is equal).
const ALIKE: f64 = 0.75;

/// Where to look for settings.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The configuration file.
    pub file: PathBuf,
    /// Whether it was asked for, and so has to be there.
    pub file_required: bool,
    /// The `.env` file, which may be missing.
    pub dotenv: PathBuf,
    /// The environment.
    pub environment: BTreeMap<OsString, OsString>,
}

/// The text of one setting, and where it was.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The settings, by their key's name; of several the strongest.
    pub(super) settings: BTreeMap<&'static str, Setting>,
    /// The `[channels.NAME]` tables.
    pub(super) channels: BTreeMap<String, (Value, Origin)>,
    /// What could not be read.
    pub(super) problems: Vec<Problem>,
}

impl Sources {
    /// The sources of this process, with the file that `--config` names.
    #[must_use]
    pub fn of_process(config: Option<PathBuf>) -> Self {
        Self {
            file_required: config.is_some(),
            file: config.unwrap_or_else(|| DEFAULT_FILE.into()),
            dotenv: DOTENV.into(),
            environment: std::env::vars_os().collect(),
        }
    }

    /// The value of `name` in the environment, else in `.env`, and where it was; for settings that are not the hub's.
    /// What is wrong with other lines of `.env` does not matter here.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<(String, Origin)> {
        let set = self.environment.get(name.as_ref() as &OsStr).and_then(|value| value.to_str());
        if let Some(value) = set.filter(|value| !value.is_empty()) {
            return Some((value.to_owned(), Origin::Environment));
        }
        let text = fs::read_to_string(&self.dotenv).ok()?;
        let pairs = dotenvy::from_read_iter(text.as_bytes()).flatten();
        let (_, value) = pairs.filter(|(key, value)| key == name && !value.is_empty()).last()?;
        Some((value, Origin::File(self.dotenv.clone(), None)))
    }

    pub(super) fn read(&self) -> Found {
        let mut found = Found::default();
        if let Some(text) = found.open(&self.file, self.file_required) {
            found.read_toml(&self.file, &text);
        }
        if let Some(text) = found.open(&self.dotenv, false) {
            found.read_dotenv(&self.dotenv, &text);
        }
        for key in KEYS {
            let Some(value) = self.environment.get(key.name.as_ref() as &OsStr) else { continue };
            match value.to_str() {
                Some("") => {}
                Some(text) => found.set(key, text.to_owned(), Origin::Environment),
                None => found.fault(key, Origin::Environment, "is not UTF-8"),
            }
        }
        found
    }
}

impl Found {
    fn set(&mut self, key: &Key, text: String, origin: Origin) {
        self.settings.insert(key.name, Setting { text, origin });
    }

    fn fault(&mut self, key: &Key, origin: Origin, detail: &str) {
        self.problems.push(Problem {
            key: Some(key.name.into()),
            origin,
            found: None,
            detail: detail.into(),
            allowed: Some(key.allowed.into()),
        });
    }

    fn open(&mut self, path: &Path, required: bool) -> Option<String> {
        match fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !required => None,
            Err(error) => {
                let origin = Origin::File(path.into(), None);
                self.problems.push(Problem::of_file(origin, format!("cannot be read: {error}")));
                None
            }
        }
    }

    fn read_toml(&mut self, path: &Path, text: &str) {
        let at = |offset: usize| {
            let before = text.as_bytes().iter().take(offset);
            Origin::File(path.into(), Some(before.filter(|byte| **byte == b'\n').count() + 1))
        };
        let entries = match toml::from_str::<BTreeMap<Spanned<String>, Spanned<toml::Value>>>(text) {
            Ok(entries) => entries,
            Err(error) => {
                // Its message alone: the error as a whole quotes the line, which may hold a secret.
                let origin = error.span().map_or(Origin::File(path.into(), None), |span| at(span.start));
                self.problems.push(Problem::of_file(origin, format!("is not TOML: {}", error.message())));
                return;
            }
        };
        for (name, value) in entries {
            let origin = at(name.span().start);
            let name = name.into_inner();
            if name == "channels" {
                self.read_channels(path, text, value.into_inner(), &origin);
            } else if let Some(key) = KEYS.iter().find(|key| key.name.to_ascii_lowercase() == name) {
                match setting_text(key, value.into_inner()) {
                    Some(text) => self.set(key, text, origin),
                    None => self.fault(key, origin, "has the wrong type"),
                }
            } else {
                self.problems.push(unknown(name, origin));
            }
        }
    }

    fn read_channels(&mut self, path: &Path, text: &str, value: toml::Value, origin: &Origin) {
        let toml::Value::Table(tables) = value else {
            let detail = "has the wrong type: channels are tables, as [channels.team]";
            self.problems.push(Problem { key: Some("channels".into()), ..Problem::of_file(origin.clone(), detail) });
            return;
        };
        for (name, table) in tables {
            // Tables below tables carry no place of their own; people write them with this header.
            let header = format!("[channels.{name}]");
            let line = text.lines().position(|line| line.trim_start().starts_with(&header)).map(|index| index + 1);
            let origin = Origin::File(path.into(), line);
            match serde_json::to_value(table) {
                Ok(table) => {
                    self.channels.insert(name, (table, origin));
                }
                Err(error) => self.problems.push(Problem {
                    key: Some(format!("channels.{name}")),
                    ..Problem::of_file(origin, format!("cannot be read: {error}"))
                }),
            }
        }
    }

    fn read_dotenv(&mut self, path: &Path, text: &str) {
        let line_of = |is_it: &dyn Fn(&str) -> bool| {
            let last = text.lines().enumerate().filter(|(_, line)| is_it(line.trim())).last();
            Origin::File(path.into(), last.map(|(index, _)| index + 1))
        };
        for pair in dotenvy::from_read_iter(text.as_bytes()) {
            match pair {
                Ok((name, value)) => {
                    let Some(key) = KEYS.iter().find(|key| key.name == name) else { continue };
                    let sets = |line: &str| {
                        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
                        line.strip_prefix(&name).is_some_and(|rest| rest.trim_start().starts_with('='))
                    };
                    if !value.is_empty() {
                        self.set(key, value, line_of(&sets));
                    }
                }
                Err(error) => {
                    // The error quotes the line, which may hold a secret.
                    let origin = match &error {
                        dotenvy::Error::LineParse(quoted, _) => line_of(&|line| line == quoted.trim()),
                        _ => Origin::File(path.into(), None),
                    };
                    self.problems.push(Problem::of_file(
                        origin,
                        "is not a line of the form NAME=VALUE; quote values with spaces",
                    ));
                }
            }
        }
    }
}

/// The text of a value in the file, if its type is one that the key takes.
fn setting_text(key: &Key, value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Array(items) if key.list => {
            let texts: Option<Vec<_>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
            texts.map(|texts| texts.join(","))
        }
        _ => None,
    }
}

fn unknown(name: String, origin: Origin) -> Problem {
    let known = KEYS.iter().map(|key| key.name.to_ascii_lowercase()).chain(["channels".into()]);
    let (likeness, nearest) = known
        .map(|known| (strsim::jaro_winkler(&name.to_ascii_lowercase(), &known), known))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .unwrap_or_default();
    let mut problem = Problem::of_file(origin, "is not a known setting");
    if likeness >= ALIKE {
        problem.detail = format!("is not a known setting; did you mean {nearest}?");
    } else {
        let names: Vec<_> = KEYS.iter().map(|key| key.name.to_ascii_lowercase()).collect();
        problem.allowed = Some(format!("{}, and [channels.NAME] tables", names.join(", ")));
    }
    problem.key = Some(name);
    problem
}
