//! The form kind: its schema and the answers to it.
//!
//! The schema is the asker's, the answer a stranger's, and both meet on the hub. So the hub goes through schema and
//! answer together itself ([`evaluate`]), counting every step, over references that it resolved and bounded when the
//! question was asked ([`index`]). The `jsonschema` crate judges one value by one subschema's own assertions and never
//! sees a reference or a nested schema: on those it recurses without a limit, and compiles them anew at every use.

mod evaluate;
mod index;
#[cfg(test)]
mod tests;

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value};

use self::{evaluate::Evaluation, index::Index};
use super::question::PATTERN_SIZE_MAX;
use crate::error::FieldError;

/// The largest schema, in bytes of JSON.
pub(super) const SCHEMA_MAX: usize = 64 * 1024;
/// The deepest nesting of a schema's JSON: what walks it may recurse.
const SCHEMA_DEPTH_MAX: usize = 64;
/// The largest answer, in bytes of JSON.
const ANSWER_MAX: usize = 64 * 1024;
/// The deepest nesting of an answer. With [`index::IN_PLACE_DEPTH_MAX`] it bounds how deep an evaluation recurses.
const ANSWER_DEPTH_MAX: usize = 32;
/// All patterns of a schema together may take this many bytes, compiled.
const PATTERNS_SIZE_MAX: usize = 8 * PATTERN_SIZE_MAX;

/// A pattern up to this many bytes, compiled, is light: a step for a byte of text.
const PATTERN_SIZE_LIGHT: usize = 4 * 1024;

/// The keywords that judge a value alone, without a schema below them; `jsonschema` evaluates these.
const ASSERTIONS: [&str; 18] = [
    "type",
    "enum",
    "const",
    "multipleOf",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "maxProperties",
    "minProperties",
    "required",
    "dependentRequired",
];

/// Checks that `schema` can be a form: an object's schema, valid, complete in itself, and bounded in what it costs.
pub(super) fn check_schema(schema: &Map<String, Value>) -> Result<(), FieldError> {
    let size = serde_json::to_string(schema).map_or(usize::MAX, |text| text.len());
    if size > SCHEMA_MAX {
        return Err(FieldError::new("schema", format!("has {size} bytes, at most {SCHEMA_MAX} are taken")));
    }
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err(FieldError::new("schema.type", "a form's schema describes an object").allowing(["object"]));
    }
    let schema = Value::Object(schema.clone());
    let index = Index::build(&schema)?;
    index.check_keywords()
}

/// Checks an answer, naming each field at fault. Bounded for any schema, also one that [`check_schema`] refuses.
pub(super) fn validate(schema: &Map<String, Value>, value: &Value) -> Result<(), Vec<FieldError>> {
    let fault = |detail: String| Err(vec![FieldError::new("value", detail)]);
    if !value.is_object() {
        return fault("expected an object".into());
    }
    if exceeds_depth(value, ANSWER_DEPTH_MAX) {
        return fault(format!("is nested deeper than {ANSWER_DEPTH_MAX} levels, which a form does not take"));
    }
    let size = serde_json::to_string(value).map_or(usize::MAX, |text| text.len());
    if size > ANSWER_MAX {
        return fault(format!("has {size} bytes of JSON, at most {ANSWER_MAX} are taken"));
    }
    let schema = Value::Object(schema.clone());
    match Index::build(&schema) {
        Ok(index) => Evaluation::new(&index).run(&schema, value),
        Err(unsound) => fault(format!("cannot be checked, since the form's own schema is unsound: {unsound}")),
    }
}

/// One subschema's own assertions, or one pattern for names, ready to judge.
struct Compiled {
    validator: Validator,
    /// How many steps a pattern takes on one byte of a text. A large one may look at all of itself at every byte.
    heft: usize,
}

/// Compiles what [`assertions`] left of a subschema of a schema with as many patterns.
fn compile(assertions: &Value, patterns: usize) -> Result<Compiled, String> {
    let max = PATTERN_SIZE_MAX.min(PATTERNS_SIZE_MAX / patterns.max(1));
    let mut heft = 1;
    loop {
        let size = max.min(heft * PATTERN_SIZE_LIGHT);
        // The asker's patterns run on the hub: the linear-time engine, not the one that backtracks, and bounded.
        let built = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(PatternOptions::regex().size_limit(size).dfa_size_limit(max))
            .build(assertions);
        match built {
            Ok(validator) => return Ok(Compiled { validator, heft }),
            Err(error) if size == max => return Err(shortened(&error.to_string())),
            Err(_) => heft *= 4,
        }
    }
}

/// The part of a subschema that [`compile`] takes.
fn assertions(schema: &Map<String, Value>) -> Value {
    let own = schema.iter().filter(|(keyword, _)| ASSERTIONS.contains(&keyword.as_str()));
    Value::Object(own.map(|(keyword, value)| (keyword.clone(), value.clone())).collect())
}

fn exceeds_depth(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(|item| exceeds_depth(item, levels - 1)),
        Value::Object(fields) => levels == 0 || fields.values().any(|field| exceeds_depth(field, levels - 1)),
        _ => false,
    }
}

/// A fault's text, which may quote the whole answer, at a length for people.
fn shortened(text: &str) -> String {
    const MAX: usize = 300;
    match text.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.into(),
    }
}
