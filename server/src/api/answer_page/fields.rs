//! From a form's JSON Schema to the fields that the page can show: the same as the page at `/` shows
//! (`templates/page/question/schema.js`). What no single field can show becomes one that takes JSON: nothing that a schema
//! asks for is left out.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
};

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::posted::VALUE;

/// The deepest group within groups.
const DEPTH_MAX: usize = 8;
/// The most fields. References can make more of a small schema than anybody fills in, or than a server should draw.
const FIELDS_MAX: usize = 500;
/// A text that may be longer than this many characters gets several lines.
const LONG_TEXT: u64 = 200;

/// Keywords that change what a value must be in ways which a single field cannot show.
const BEYOND: [&str; 10] = [
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "patternProperties",
    "dependentSchemas",
    "$dynamicRef",
    "prefixItems",
    "contains",
];

type Schema = Map<String, Value>;

/// One field of a form, or a group of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    /// Its name in the form and in faults: `value.name`, or `value` for the whole.
    pub path: String,
    /// The property's name; empty for the whole.
    pub name: String,
    /// What people see.
    pub title: String,
    /// What it is about; may be empty.
    pub description: String,
    /// Whether it must be there.
    pub required: bool,
    /// Whether `null` will do.
    pub nullable: bool,
    /// What stands in it at first.
    pub default: Option<Value>,
    /// What it takes.
    pub kind: Kind,
}

/// What a field takes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// An object of these fields.
    Group(Vec<Field>),
    /// True or false; with `must`, only true.
    Tick {
        /// Whether only true will do.
        must: bool,
    },
    /// This value alone.
    Fixed(Value),
    /// One of these values.
    Select(Vec<Value>),
    /// A list of these values.
    Checks(Vec<Value>),
    /// A list of such values, one a line.
    Lines(Scalar),
    /// Such a value.
    One(Scalar),
    /// Anything, as JSON; with what it must look like.
    Json(Value),
}

/// A value that is written as a line or lines of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    /// A text of one line.
    Text,
    /// A text of several lines.
    LongText,
    /// An e-mail address.
    Email,
    /// A day.
    Date,
    /// A day and time.
    Moment,
    /// A number.
    Number,
    /// A whole number.
    Integer,
}

/// The form of a schema: a group, or one field for the whole as JSON.
pub(super) fn describe(schema: &Schema) -> Field {
    let root = Value::Object(schema.clone());
    let whole = || Field { kind: Kind::Json(root.clone()), ..field(VALUE, "", &Schema::new(), true) };
    let mut describing = Describing { root: &root, left: FIELDS_MAX, within: Vec::new() };
    let Some(top) = describing.follow(&root).filter(|top| is_object(top) && properties(top).is_some()) else {
        return whole();
    };
    // Rules across properties (if, anyOf, …) stay the hub's to check; the properties themselves can be shown.
    let group = describing.group(VALUE, "", &top.schema, true, 0);
    match group {
        Some(group) if can_be_named(&group, &mut HashSet::new()) => group,
        _ => whole(),
    }
}

/// Whether every field has a name of its own that a browser sends as it is.
fn can_be_named<'a>(field: &'a Field, names: &mut HashSet<&'a str>) -> bool {
    let children = match &field.kind {
        Kind::Group(children) => children.as_slice(),
        _ => &[],
    };
    !field.path.contains(char::is_control)
        && names.insert(&field.path)
        && children.iter().all(|child| can_be_named(child, names))
}

fn field(path: &str, name: &str, schema: &Schema, required: bool) -> Field {
    let text = |key| schema.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    Field {
        path: path.into(),
        name: name.into(),
        title: text("title").map_or_else(|| words(name), Into::into),
        description: text("description").unwrap_or_default().into(),
        required,
        nullable: false,
        default: schema.get("default").cloned(),
        kind: Kind::Json(Value::Object(schema.clone())),
    }
}

/// A schema whose references are followed, and the last one of them.
struct Followed<'s> {
    schema: Cow<'s, Schema>,
    reference: Option<String>,
}

impl std::ops::Deref for Followed<'_> {
    type Target = Schema;

    fn deref(&self) -> &Schema {
        &self.schema
    }
}

struct Describing<'s> {
    root: &'s Value,
    /// How many more fields there may be.
    left: usize,
    /// The references whose targets are being drawn: one that leads back is not drawn again.
    within: Vec<String>,
}

impl Describing<'_> {
    /// A group of the properties of a schema; `None` when there are too many.
    fn group(&mut self, path: &str, name: &str, schema: &Schema, required: bool, depth: usize) -> Option<Field> {
        let named = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let needed: BTreeSet<_> = named.collect();
        let properties = properties(schema)?;
        let mut fields = Vec::new();
        for (key, property) in properties {
            let required = needed.contains(key.as_str());
            fields.push(self.property(&format!("{path}.{key}"), key, property, required, depth + 1)?);
        }
        // A name that is required but not described still needs a place to be filled in.
        for key in needed.into_iter().filter(|key| !properties.contains_key(*key)) {
            self.left = self.left.checked_sub(1)?;
            fields.push(field(&format!("{path}.{key}"), key, &Schema::new(), true));
        }
        Some(Field { kind: Kind::Group(fields), ..field(path, name, schema, required) })
    }

    fn property(&mut self, path: &str, name: &str, property: &Value, required: bool, depth: usize) -> Option<Field> {
        self.left = self.left.checked_sub(1)?;
        let own = property.as_object().cloned().unwrap_or_default();
        let Some(followed) = self.follow(property) else {
            return Some(field(path, name, &own, required));
        };
        let schema = &followed.schema;
        let (kind, nullable) = one_type(schema);
        let base = Field { nullable, ..field(path, name, schema, required) };
        if depth > DEPTH_MAX || BEYOND.iter().any(|word| schema.contains_key(*word)) {
            return Some(base);
        }
        let kind = if let Some(value) = schema.get("const") {
            if *value == Value::Bool(true) { Kind::Tick { must: true } } else { Kind::Fixed(value.clone()) }
        } else if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            Kind::Select(values.iter().filter(|value| !(nullable && value.is_null())).cloned().collect())
        } else if kind == Some("boolean") {
            Kind::Tick { must: false }
        } else if kind == Some("array") {
            match self.list(schema) {
                Some(list) => list,
                None => return Some(base),
            }
        } else if let Some(scalar) = kind.and_then(|kind| scalar(kind, schema)) {
            Kind::One(scalar)
        } else if is_object(schema) && properties(schema).is_some() && !nullable {
            let entered = followed.reference.clone();
            self.within.extend(entered.clone());
            let group = self.group(path, name, schema, required, depth);
            self.within.truncate(self.within.len() - usize::from(entered.is_some()));
            return group;
        } else {
            return Some(base);
        };
        Some(Field { kind, ..base })
    }

    fn list(&self, schema: &Schema) -> Option<Kind> {
        let items = self.follow(schema.get("items")?)?;
        if BEYOND.iter().any(|word| items.contains_key(*word)) {
            return None;
        }
        // Checkboxes can only say each value once.
        if let Some(values) = items.get("enum").and_then(Value::as_array) {
            return Some(Kind::Checks(values.clone()));
        }
        match one_type(&items) {
            (Some(kind), false) if !items.contains_key("const") => scalar(kind, &items).map(Kind::Lines),
            _ => None,
        }
    }

    /// The schema that references lead to, with what stands beside them; `None` when they lead back, or nowhere.
    fn follow<'a>(&self, schema: &'a Value) -> Option<Followed<'a>> {
        let mut schema = Cow::Borrowed(schema.as_object()?);
        let mut walked = Vec::new();
        while let Some(reference) = schema.get("$ref").and_then(Value::as_str).map(str::to_owned) {
            if walked.contains(&reference) || self.within.contains(&reference) {
                return None;
            }
            let pointer = percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?;
            let mut target = self.root.pointer(&pointer)?.as_object()?.clone();
            let beside = schema.iter().filter(|(key, _)| *key != "$ref");
            target.extend(beside.map(|(key, value)| (key.clone(), value.clone())));
            schema = Cow::Owned(target);
            walked.push(reference);
        }
        Some(Followed { schema, reference: walked.pop() })
    }
}

fn scalar(kind: &str, schema: &Schema) -> Option<Scalar> {
    match kind {
        "number" => Some(Scalar::Number),
        "integer" => Some(Scalar::Integer),
        "string" => Some(match schema.get("format").and_then(Value::as_str) {
            Some("email") => Scalar::Email,
            Some("date") => Scalar::Date,
            Some("date-time") => Scalar::Moment,
            Some("textarea") => Scalar::LongText,
            _ if schema.get("maxLength").and_then(Value::as_u64).is_some_and(|max| max > LONG_TEXT) => Scalar::LongText,
            _ => Scalar::Text,
        }),
        _ => None,
    }
}

/// The one type of a schema, and whether null may stand beside it.
fn one_type(schema: &Schema) -> (Option<&str>, bool) {
    match schema.get("type") {
        Some(Value::String(kind)) => (Some(kind), false),
        Some(Value::Array(kinds)) => {
            let types: Vec<_> = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect();
            let one = if let [one] = types.as_slice() { Some(*one) } else { None };
            (one, types.len() < kinds.len())
        }
        _ => (None, false),
    }
}

fn is_object(schema: &Schema) -> bool {
    match schema.get("type") {
        Some(kind) => kind == "object",
        None => schema.contains_key("properties"),
    }
}

fn properties(schema: &Schema) -> Option<&Schema> {
    schema.get("properties").and_then(Value::as_object)
}

/// `releaseNotes_url` becomes "Release notes url".
fn words(name: &str) -> String {
    let mut spaced = String::with_capacity(name.len() + 4);
    let mut after_small = false;
    for letter in name.chars() {
        if after_small && letter.is_ascii_uppercase() {
            spaced.push(' ');
        }
        after_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        spaced.push(if matches!(letter, '_' | '-') { ' ' } else { letter });
    }
    let lower = spaced.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ").to_lowercase();
    let mut letters = lower.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
