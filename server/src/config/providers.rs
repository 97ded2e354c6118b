//! Settings of providers that have names of their own in the environment: together they are the channel that is called as its
//! kind, as `[channels.telegram]` would be.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{KEYS, Key, Origin, Problem, sources::Setting};

/// What a setting of a provider stands for in a channel's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfChannel {
    /// The kind, which is the channel's name too.
    pub kind: &'static str,
    /// The field of its table.
    pub field: &'static str,
    /// Whether it is what makes the channel. What does not goes for every channel of the kind that says nothing else.
    pub makes: bool,
}

/// The channels' tables, each with where it was found.
type Tables = BTreeMap<String, (Value, Origin)>;

/// Puts the settings of providers into the channels' tables. A setting from the environment is stronger than the table's.
pub(super) fn put(settings: &BTreeMap<&'static str, Setting>, tables: &mut Tables) -> Vec<Problem> {
    let mut problems = Vec::new();
    let of_channels = KEYS.iter().filter_map(|key| Some((key, key.of_channel?)));
    let given: Vec<_> = of_channels.filter_map(|(key, of)| Some((key, of, settings.get(key.name)?))).collect();
    for (key, of, setting) in given.iter().filter(|(_, of, _)| of.makes) {
        let made = || (json!({"kind": of.kind}), setting.origin.clone());
        let (table, origin) = tables.entry(of.kind.into()).or_insert_with(made);
        if table["kind"] != of.kind {
            problems.push(other_kind(key, of.kind, origin.clone()));
            continue;
        }
        table[of.field] = setting.text.clone().into();
    }
    for (_, of, setting) in given.iter().filter(|(_, of, _)| !of.makes) {
        let of_kind = |table: &Value| table["kind"] == of.kind;
        for (name, (table, _)) in tables.iter_mut().filter(|(_, (table, _))| of_kind(table)) {
            if name == of.kind || table[of.field].is_null() {
                table[of.field] = setting.text.clone().into();
            }
        }
    }
    problems
}

/// The setting that gave a table this field, by the field's path.
pub(super) fn key_of(path: &str, settings: &BTreeMap<&'static str, Setting>) -> Option<&'static Key> {
    KEYS.iter().find(|key| {
        let of = key.of_channel.filter(|_| settings.contains_key(key.name));
        of.is_some_and(|of| path == format!("channels.{}.{}", of.kind, of.field))
    })
}

fn other_kind(key: &Key, kind: &str, origin: Origin) -> Problem {
    let detail = format!("{} means the channel of this name: give the table another name", key.name);
    let allowed = Some(format!("kind = \"{kind}\""));
    Problem { key: Some(format!("channels.{kind}")), origin, found: None, detail, allowed }
}
