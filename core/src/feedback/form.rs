//! The form kind: its schema and the answers to it, over the `jsonschema` crate.

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value};

use crate::error::FieldError;

/// The largest schema, in bytes of JSON.
pub(super) const SCHEMA_MAX: usize = 64 * 1024;

/// Checks that `schema` can be a form: an object's schema, valid, small enough and complete in itself.
pub(super) fn check_schema(schema: &Map<String, Value>) -> Result<(), FieldError> {
    let fault = |detail: String| Err(FieldError::new("schema", detail));
    let size = serde_json::to_string(schema).map_or(usize::MAX, |text| text.len());
    if size > SCHEMA_MAX {
        return fault(format!("has {size} bytes, at most {SCHEMA_MAX} are taken"));
    }
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err(FieldError::new("schema.type", "a form's schema describes an object").allowing(["object"]));
    }
    if let Some((path, target)) = remote_reference(schema, "schema") {
        return Err(FieldError::new(
            path,
            format!("refers to `{target}`: only references that start with # are taken"),
        ));
    }
    match compile(schema) {
        Ok(_) => Ok(()),
        Err(detail) => fault(format!("is not a valid JSON Schema 2020-12: {detail}")),
    }
}

/// Checks an answer, naming each field at fault.
pub(super) fn validate(schema: &Map<String, Value>, value: &Value) -> Result<(), Vec<FieldError>> {
    if !value.is_object() {
        return Err(vec![FieldError::new("value", "expected an object")]);
    }
    let validator = compile(schema).map_err(|detail| vec![FieldError::new("value", detail)])?;
    let faults: Vec<_> = validator
        .iter_errors(value)
        .map(|error| FieldError::new(field_path(&error.instance_path.to_string()), error.to_string()))
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn compile(schema: &Map<String, Value>) -> Result<Validator, String> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        // The asker's patterns run on the hub: the linear-time engine, not the one that backtracks.
        .with_pattern_options(PatternOptions::regex())
        .build(&Value::Object(schema.clone()))
        .map_err(|error| error.to_string())
}

/// The first reference that leaves the document, with its path.
fn remote_reference(schema: &Map<String, Value>, path: &str) -> Option<(String, String)> {
    schema.iter().find_map(|(key, value)| {
        let path = format!("{path}.{key}");
        match value {
            Value::String(target) if matches!(key.as_str(), "$ref" | "$dynamicRef") && !target.starts_with('#') => {
                Some((path, target.clone()))
            }
            Value::Object(inner) => remote_reference(inner, &path),
            Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
                item.as_object().and_then(|inner| remote_reference(inner, &format!("{path}[{index}]")))
            }),
            _ => None,
        }
    })
}

/// A JSON Pointer below the answer as the path of a field: `/items/0/name` is `value.items[0].name`.
fn field_path(pointer: &str) -> String {
    pointer.split('/').skip(1).fold(String::from("value"), |path, part| {
        if part.parse::<usize>().is_ok() {
            format!("{path}[{part}]")
        } else {
            format!("{path}.{}", part.replace("~1", "/").replace("~0", "~"))
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_answer_is_told_each_field_at_fault() {
        let schema = object(json!({"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}}}));
        assert!(validate(&schema, &json!({"name": "Ana"})).is_ok());
        let faults = validate(&schema, &json!({"name": 1, "tags": ["a", 2]})).unwrap_err();
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["value.name", "value.tags[1]"]);
        assert_eq!(validate(&schema, &json!("Ana")).unwrap_err()[0].field, "value");
    }

    #[test]
    fn a_schema_that_is_no_form_is_refused_by_name() {
        let field = |schema| check_schema(&object(schema)).unwrap_err().field;
        assert_eq!(field(json!({"type": "string"})), "schema.type");
        assert_eq!(field(json!({"type": "object", "required": 5})), "schema");
        assert_eq!(
            field(json!({"type": "object", "properties": {"a": {"anyOf": [{"$ref": "https://example.com/a"}]}}})),
            "schema.properties.a.anyOf[0].$ref"
        );
        assert_eq!(field(json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}})), "schema");
        assert_eq!(field(json!({"type": "object", "title": "x".repeat(SCHEMA_MAX)})), "schema");
        assert!(
            check_schema(&object(json!({"type": "object", "$defs": {"a": {"type": "string"}},
            "properties": {"a": {"$ref": "#/$defs/a"}}})))
            .is_ok()
        );
    }
}
