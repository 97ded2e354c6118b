//! A schema taken apart: its subschemas, where its references point, and the bounds of both.

use std::{collections::HashMap, ptr};

use serde_json::{Map, Value};

use super::{SCHEMA_DEPTH_MAX, assertions, compile, exceeds_depth, shortened};
use crate::error::FieldError;

/// The most subschemas.
const SUBSCHEMAS_MAX: usize = 2_000;
/// The most patterns, of `pattern` and `patternProperties` together.
const PATTERNS_MAX: usize = 100;
/// The most subschemas that a schema applies to one and the same value, references followed.
const IN_PLACE_MAX: usize = 1_000;
/// The longest chain of them.
pub(super) const IN_PLACE_DEPTH_MAX: usize = 32;
/// What `$schema` may say.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// How a keyword holds the schemas below it.
#[derive(Clone, Copy)]
enum Holds {
    One,
    List,
    Map,
}

/// To what a keyword applies the schemas below it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Applies {
    /// To the same value.
    InPlace,
    /// To the value's fields, their names, or its items.
    Below,
    /// To nothing: they stand there to be referred to.
    Apart,
}

const APPLICATORS: [(&str, Holds, Applies); 18] = [
    ("allOf", Holds::List, Applies::InPlace),
    ("anyOf", Holds::List, Applies::InPlace),
    ("oneOf", Holds::List, Applies::InPlace),
    ("not", Holds::One, Applies::InPlace),
    ("if", Holds::One, Applies::InPlace),
    ("then", Holds::One, Applies::InPlace),
    ("else", Holds::One, Applies::InPlace),
    ("dependentSchemas", Holds::Map, Applies::InPlace),
    ("properties", Holds::Map, Applies::Below),
    ("patternProperties", Holds::Map, Applies::Below),
    ("additionalProperties", Holds::One, Applies::Below),
    ("propertyNames", Holds::One, Applies::Below),
    ("prefixItems", Holds::List, Applies::Below),
    ("items", Holds::One, Applies::Below),
    ("contains", Holds::One, Applies::Below),
    ("$defs", Holds::Map, Applies::Apart),
    ("definitions", Holds::Map, Applies::Apart),
    ("contentSchema", Holds::One, Applies::Apart),
];

/// Keywords that no form may use, and what to do instead.
const REFUSED: [(&str, &str); 7] = [
    ("$dynamicRef", "only `$ref` is taken"),
    ("$dynamicAnchor", "only `$anchor` is taken"),
    ("$recursiveRef", "only `$ref` is taken"),
    ("$recursiveAnchor", "only `$anchor` is taken"),
    ("unevaluatedProperties", "is not taken: use `additionalProperties`"),
    ("unevaluatedItems", "is not taken: use `items`"),
    ("dependencies", "is no longer in 2020-12: use `dependentSchemas` or `dependentRequired`"),
];

/// The subschemas of one schema. A subschema is known by where it lies in memory, since the schema stays borrowed.
pub(super) struct Index<'a> {
    subschemas: Vec<Subschema<'a>>,
    by_place: HashMap<*const Value, usize>,
    anchors: HashMap<&'a str, usize>,
    patterns: usize,
}

struct Subschema<'a> {
    schema: &'a Value,
    path: String,
    /// The subschemas that apply to the same value, by their numbers; the target of `$ref` among them.
    in_place: Vec<usize>,
    target: Option<usize>,
}

impl<'a> Index<'a> {
    /// Takes a schema apart.
    ///
    /// # Errors
    ///
    /// The first keyword or reference that a form may not use, or the first limit that is passed.
    pub(super) fn build(root: &'a Value) -> Result<Self, FieldError> {
        if exceeds_depth(root, SCHEMA_DEPTH_MAX) {
            let detail = format!("is nested deeper than {SCHEMA_DEPTH_MAX} levels, which is the most that is taken");
            return Err(FieldError::new("schema", detail));
        }
        let mut index = Self { subschemas: Vec::new(), by_place: HashMap::new(), anchors: HashMap::new(), patterns: 0 };
        index.add(root, "schema")?;
        index.resolve(root)?;
        index.bound()?;
        Ok(index)
    }

    /// How many patterns there are.
    pub(super) const fn patterns(&self) -> usize {
        self.patterns
    }

    /// What the `$ref` of a subschema refers to.
    pub(super) fn target(&self, schema: &Value) -> Option<&'a Value> {
        let number = self.by_place.get(&ptr::from_ref(schema))?;
        self.subschemas[*number].target.map(|target| self.subschemas[target].schema)
    }

    /// Checks every keyword's own value: against the metaschema, and whether the patterns compile.
    ///
    /// One subschema at a time, without those below it: the metaschema's own validator compiles a piece of itself for
    /// every new path of nested keywords and keeps it for good, about a megabyte each.
    pub(super) fn check_keywords(&self) -> Result<(), FieldError> {
        for Subschema { schema, path, .. } in &self.subschemas {
            let Value::Object(fields) = schema else {
                if schema.is_boolean() {
                    continue;
                }
                return Err(FieldError::new(path, "is not a schema: expected an object, true or false"));
            };
            if let Err(error) = jsonschema::draft202012::meta::validate(&emptied(fields)) {
                let at = error
                    .instance_path
                    .to_string()
                    .split('/')
                    .skip(1)
                    .fold(path.clone(), |at, part| join(&at, &part.replace("~1", "/").replace("~0", "~")));
                let detail = format!("is not valid JSON Schema 2020-12: {}", shortened(&error.to_string()));
                return Err(FieldError::new(at, detail));
            }
            let texts = fields.get("pattern").and_then(Value::as_str).map(|text| (format!("{path}.pattern"), text));
            let names = fields.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
            let names = names.map(|(name, _)| (format!("{path}.patternProperties.{name}"), name.as_str()));
            for (at, pattern) in texts.into_iter().chain(names) {
                compile(&serde_json::json!({"pattern": pattern}), self.patterns).map_err(|_| {
                    let detail = "is not a regular expression that the hub reads: none with look-around or \
                                  back-references, and none that grows too large";
                    FieldError::new(at, detail)
                })?;
            }
            compile(&assertions(fields), self.patterns).map_err(|detail| FieldError::new(path, detail))?;
        }
        Ok(())
    }

    fn add(&mut self, schema: &'a Value, path: &str) -> Result<usize, FieldError> {
        let number = self.subschemas.len();
        if number == SUBSCHEMAS_MAX {
            let detail = format!("has more than {SUBSCHEMAS_MAX} subschemas, which is the most that is taken");
            return Err(FieldError::new("schema", detail));
        }
        if let Some(fields) = schema.as_object() {
            self.check_identity(fields, path, number)?;
        }
        self.by_place.insert(ptr::from_ref(schema), number);
        self.subschemas.push(Subschema { schema, path: path.into(), in_place: Vec::new(), target: None });
        for (child, at, applies) in schema.as_object().into_iter().flat_map(children) {
            let child = self.add(child, &format!("{path}.{at}"))?;
            if applies == Applies::InPlace {
                self.subschemas[number].in_place.push(child);
            }
        }
        Ok(number)
    }

    /// Checks what names a subschema or changes how it is read, and counts its patterns.
    fn check_identity(&mut self, fields: &'a Map<String, Value>, path: &str, number: usize) -> Result<(), FieldError> {
        for (keyword, instead) in REFUSED {
            if fields.contains_key(keyword) {
                return Err(FieldError::new(format!("{path}.{keyword}"), instead));
            }
        }
        if number > 0 && fields.contains_key("$id") {
            let detail = "would change what references mean: only the schema itself may have one; use `$anchor`";
            return Err(FieldError::new(format!("{path}.$id"), detail));
        }
        if fields
            .get("$schema")
            .is_some_and(|found| found.as_str().is_none_or(|name| name.trim_end_matches('#') != DIALECT))
        {
            return Err(FieldError::new(format!("{path}.$schema"), "is another dialect").allowing([DIALECT]));
        }
        if let Some(name) = fields.get("$anchor").and_then(Value::as_str)
            && self.anchors.insert(name, number).is_some()
        {
            return Err(FieldError::new(
                format!("{path}.$anchor"),
                format!("`{name}` stands twice: anchors are unique"),
            ));
        }
        self.patterns += usize::from(fields.contains_key("pattern"));
        self.patterns += fields.get("patternProperties").and_then(Value::as_object).map_or(0, Map::len);
        if self.patterns > PATTERNS_MAX {
            let detail = format!("is one pattern too many: at most {PATTERNS_MAX} are taken in one schema");
            let keyword = if fields.contains_key("pattern") { "pattern" } else { "patternProperties" };
            return Err(FieldError::new(format!("{path}.{keyword}"), detail));
        }
        Ok(())
    }

    /// Finds what every reference points at.
    fn resolve(&mut self, root: &'a Value) -> Result<(), FieldError> {
        for number in 0..self.subschemas.len() {
            let Subschema { schema, path, .. } = &self.subschemas[number];
            let Some(reference) = schema.get("$ref") else { continue };
            let fault = |detail: String| Err(FieldError::new(format!("{path}.$ref"), detail));
            let Some(reference) = reference.as_str() else {
                return fault("expected a text that starts with #".into());
            };
            let Some(fragment) = reference.strip_prefix('#') else {
                return fault(format!("refers to `{reference}`: only references that start with # are taken"));
            };
            let Some(target) = self.find(root, fragment) else {
                let detail = "which is no subschema here: `#`, `#/` with a path such as `$defs/name`, and `#` with an \
                              `$anchor` are taken";
                return fault(format!("refers to `{reference}`, {detail}"));
            };
            self.subschemas[number].target = Some(target);
            self.subschemas[number].in_place.push(target);
        }
        Ok(())
    }

    fn find(&self, root: &Value, fragment: &str) -> Option<usize> {
        let fragment = percent_decoded(fragment)?;
        if fragment.is_empty() || fragment.starts_with('/') {
            // Only what was walked as a schema counts: an entry of an `enum`, say, was never checked as one.
            return self.by_place.get(&ptr::from_ref(root.pointer(&fragment)?)).copied();
        }
        self.anchors.get(fragment.as_str()).copied()
    }

    /// Bounds what applies to one value: no cycles, no more than so many subschemas, no chain longer than so many.
    fn bound(&self) -> Result<(), FieldError> {
        let mut known = vec![Reach::Unknown; self.subschemas.len()];
        for number in 0..self.subschemas.len() {
            self.reach(number, &self.subschemas[number].path, &mut known)?;
        }
        Ok(())
    }

    /// How many subschemas apply where this one does, itself included, and how long their longest chain is. `came_by`
    /// is the reference that was followed last: every cycle has one, so it lies on the cycle that is found.
    fn reach(&self, number: usize, came_by: &str, known: &mut [Reach]) -> Result<(usize, usize), FieldError> {
        match known[number] {
            Reach::Known(count, depth) => return Ok((count, depth)),
            Reach::Open => {
                let detail =
                    "leads back to itself on the same value: a recursion has to pass through a field or an item";
                return Err(FieldError::new(came_by, detail));
            }
            Reach::Unknown => known[number] = Reach::Open,
        }
        let subschema = &self.subschemas[number];
        let (mut count, mut depth) = (1_usize, 1);
        for (place, &next) in subschema.in_place.iter().enumerate() {
            let by_reference = subschema.target.is_some() && place + 1 == subschema.in_place.len();
            let (more, deeper) = if by_reference {
                self.reach(next, &format!("{}.$ref", subschema.path), known)?
            } else {
                self.reach(next, came_by, known)?
            };
            count = count.saturating_add(more);
            depth = depth.max(deeper + 1);
        }
        if count > IN_PLACE_MAX {
            let detail =
                format!("applies {count} subschemas to one value, references followed: at most {IN_PLACE_MAX}");
            return Err(FieldError::new(&subschema.path, detail));
        }
        if depth > IN_PLACE_DEPTH_MAX {
            let detail = format!("is a chain of more than {IN_PLACE_DEPTH_MAX} references and combinations");
            return Err(FieldError::new(&subschema.path, detail));
        }
        known[number] = Reach::Known(count, depth);
        Ok((count, depth))
    }
}

#[derive(Clone, Copy)]
enum Reach {
    Unknown,
    Open,
    Known(usize, usize),
}

/// The schemas right below one, with their paths from there.
fn children(fields: &Map<String, Value>) -> impl Iterator<Item = (&Value, String, Applies)> {
    APPLICATORS.into_iter().flat_map(move |(keyword, holds, applies)| {
        let held = fields.get(keyword);
        let one = held.filter(|_| matches!(holds, Holds::One)).map(|schema| (schema, keyword.to_owned()));
        let list = held.filter(|_| matches!(holds, Holds::List)).and_then(Value::as_array);
        let list = list.into_iter().flatten().enumerate();
        let map = held.filter(|_| matches!(holds, Holds::Map)).and_then(Value::as_object);
        one.into_iter()
            .chain(list.map(move |(place, schema)| (schema, format!("{keyword}[{place}]"))))
            .chain(map.into_iter().flatten().map(move |(name, schema)| (schema, format!("{keyword}.{name}"))))
            .map(move |(schema, at)| (schema, at, applies))
    })
}

/// A subschema without the schemas below it. What does not hold schemas as it should stays, to be refused.
fn emptied(fields: &Map<String, Value>) -> Value {
    let emptied = |(keyword, value): (&String, &Value)| {
        let holds = APPLICATORS.iter().find(|(name, ..)| name == keyword).map(|(_, holds, _)| holds);
        match (holds, value) {
            (Some(Holds::List), Value::Array(list)) if !list.is_empty() => None,
            (Some(Holds::One), _) | (Some(Holds::Map), Value::Object(_)) => None,
            _ => Some((keyword.clone(), value.clone())),
        }
    };
    Value::Object(fields.iter().filter_map(emptied).collect())
}

fn join(path: &str, part: &str) -> String {
    if part.parse::<usize>().is_ok() { format!("{path}[{part}]") } else { format!("{path}.{part}") }
}

/// A fragment with its `%XX` decoded.
fn percent_decoded(fragment: &str) -> Option<String> {
    let mut bytes = fragment.bytes();
    let mut decoded = Vec::with_capacity(fragment.len());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            u8::try_from(digit()? * 16 + digit()?).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(decoded).ok()
}
