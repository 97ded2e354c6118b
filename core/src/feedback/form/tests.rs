use serde_json::json;

use super::*;

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

/// A form's schema with these keywords besides its type.
fn form(keywords: Value) -> Map<String, Value> {
    let mut schema = object(json!({"type": "object"}));
    schema.extend(object(keywords));
    schema
}

fn refused(keywords: Value) -> FieldError {
    check_schema(&form(keywords)).unwrap_err()
}

/// The fields at fault in an answer to a schema that must be taken.
fn faults(schema: &Map<String, Value>, value: &Value) -> Vec<String> {
    check_schema(schema).unwrap();
    let found = validate(schema, value).err().unwrap_or_default();
    found.into_iter().map(|fault| fault.field).collect()
}

/// `{"c": {"c": … {}}}`, as many levels.
fn nested(levels: usize) -> Value {
    (1..levels).fold(json!({}), |inner, _| json!({"c": inner}))
}

/// `count` definitions that each apply the next one `times` times.
fn ladder(count: usize, times: usize) -> Value {
    let mut defs = Map::new();
    for step in 0..count {
        let next = json!({"$ref": format!("#/$defs/a{}", step + 1)});
        defs.insert(format!("a{step}"), json!({"allOf": vec![next; times]}));
    }
    defs.insert(format!("a{count}"), json!({}));
    json!({"$ref": "#/$defs/a0", "$defs": defs})
}

#[test]
fn an_answer_is_told_each_field_at_fault() {
    let schema = form(json!({"required": ["name"], "properties": {
        "name": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}}}));
    assert!(validate(&schema, &json!({"name": "Ana"})).is_ok());
    let faults = validate(&schema, &json!({"name": 1, "tags": ["a", 2]})).unwrap_err();
    let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, ["value.name", "value.tags[1]"]);
    assert_eq!(validate(&schema, &json!("Ana")).unwrap_err()[0].field, "value");
    assert_eq!(validate(&schema, &json!({})).unwrap_err()[0].field, "value");
}

#[test]
fn a_schema_that_is_no_form_is_refused_by_name() {
    assert_eq!(check_schema(&object(json!({"type": "string"}))).unwrap_err().field, "schema.type");
    let cases = [
        (json!({"required": 5}), "schema.required"),
        (json!({"properties": 5}), "schema.properties"),
        (json!({"properties": {"a": 5}}), "schema.properties.a"),
        (json!({"properties": {"a": {"type": "texts"}}}), "schema.properties.a.type"),
        (json!({"allOf": []}), "schema.allOf"),
        (json!({"items": [{}]}), "schema.items"),
        (json!({"properties": {"a": {"multipleOf": 0}}}), "schema.properties.a.multipleOf"),
        (json!({"properties": {"a": {"pattern": "("}}}), "schema.properties.a.pattern"),
        (json!({"properties": {"a": {"pattern": "(?=a)b"}}}), "schema.properties.a.pattern"),
        (json!({"patternProperties": {"(": {}}}), "schema.patternProperties.("),
        (json!({"title": "x".repeat(SCHEMA_MAX)}), "schema"),
    ];
    for (keywords, field) in cases {
        let fault = refused(keywords);
        assert_eq!(fault.field, field, "{fault}");
    }
}

#[test]
fn a_reference_points_at_a_subschema_of_the_form() {
    let cases = [
        (
            json!({"properties": {"a": {"anyOf": [{"$ref": "https://example.com/a"}]}}}),
            "schema.properties.a.anyOf[0].$ref",
        ),
        (json!({"$ref": "#/$defs/a"}), "schema.$ref"),
        (json!({"$ref": "#nowhere"}), "schema.$ref"),
        (json!({"$ref": "#/%zz"}), "schema.$ref"),
        (json!({"$ref": 5}), "schema.$ref"),
        // What stands there was never checked as a schema.
        (
            json!({"properties": {"a": {"enum": [{"$ref": "#"}]}, "b": {"$ref": "#/properties/a/enum/0"}}}),
            "schema.properties.b.$ref",
        ),
        (json!({"properties": {"a": {"$dynamicRef": "#a"}}}), "schema.properties.a.$dynamicRef"),
        (json!({"$dynamicAnchor": "a"}), "schema.$dynamicAnchor"),
        (json!({"$recursiveRef": "#"}), "schema.$recursiveRef"),
        (json!({"$defs": {"a": {"$anchor": "a"}, "b": {"$anchor": "a"}}}), "schema.$defs.b.$anchor"),
        (json!({"$defs": {"a": {"$id": "https://example.com"}}}), "schema.$defs.a.$id"),
        (json!({"$defs": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}}), "schema.$defs.a.$schema"),
        (json!({"$schema": 5}), "schema.$schema"),
        (json!({"unevaluatedProperties": false}), "schema.unevaluatedProperties"),
        (json!({"unevaluatedItems": false}), "schema.unevaluatedItems"),
        (json!({"dependencies": {"a": ["b"]}}), "schema.dependencies"),
    ];
    for (keywords, field) in cases {
        let fault = refused(keywords);
        assert_eq!(fault.field, field, "{fault}");
    }
}

#[test]
fn a_recursion_that_stays_on_one_value_is_refused() {
    let cases = [
        (json!({"allOf": [{"$ref": "#"}]}), "schema.allOf[0].$ref"),
        (json!({"$ref": "#"}), "schema.$ref"),
        (json!({"not": {"$ref": "#/not"}}), "schema.not.$ref"),
        (json!({"if": {}, "then": {"$ref": "#"}}), "schema.then.$ref"),
        (json!({"dependentSchemas": {"a": {"anyOf": [{"$ref": "#"}]}}}), "schema.dependentSchemas.a.anyOf[0].$ref"),
        (
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"oneOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}}),
            "schema.$defs.b.$ref",
        ),
        (json!({"properties": {"a": {"$ref": "#/properties/a"}}}), "schema.properties.a.$ref"),
    ];
    for (keywords, field) in cases {
        let schema = form(keywords);
        let fault = check_schema(&schema).unwrap_err();
        assert_eq!(fault.field, field, "{fault}");
        // A hub that took it once must not run it either, and a draft's `on_expiry` comes here all the same.
        assert_eq!(validate(&schema, &json!({"a": {}})).unwrap_err()[0].field, "value");
    }
}

#[test]
fn what_multiplies_on_one_value_is_refused() {
    for keywords in [ladder(30, 2), ladder(200, 1), json!({"anyOf": vec![json!({}); 1_000]})] {
        let schema = form(keywords);
        let fault = check_schema(&schema).unwrap_err();
        assert!(fault.field.starts_with("schema"), "{fault}");
        assert!(validate(&schema, &json!({})).is_err());
    }
    assert!(check_schema(&form(ladder(7, 2))).is_ok());
    assert!(check_schema(&form(ladder(15, 1))).is_ok());
}

#[test]
fn a_schema_is_bounded_in_size_and_depth() {
    let many = Value::Object((0..2_100).map(|name| (format!("p{name}"), json!({}))).collect());
    assert_eq!(refused(json!({"properties": many})).field, "schema");
    let deep = (0..64).fold(json!({}), |inner, _| json!({"not": inner}));
    assert_eq!(refused(deep).field, "schema");

    let patterns = |count: usize, keyword: &str| {
        let one = |name: usize| match keyword {
            "pattern" => (format!("p{name}"), json!({"pattern": "^a"})),
            _ => (format!("p{name}"), json!({"patternProperties": {"^a": {}}})),
        };
        json!({"properties": Value::Object((0..count).map(one).collect())})
    };
    for keyword in ["pattern", "patternProperties"] {
        assert!(check_schema(&form(patterns(100, keyword))).is_ok());
        let fault = refused(patterns(101, keyword));
        assert!(fault.field.ends_with(keyword) && fault.detail.contains("at most 100"), "{fault}");
    }
}

#[test]
fn a_pattern_is_bounded_in_what_it_compiles_to() {
    let one = |pattern: &str| json!({"properties": {"a": {"pattern": pattern}}});
    assert_eq!(refused(one(r"\p{L}{1000}")).field, "schema.properties.a.pattern");
    assert_eq!(
        refused(json!({"patternProperties": {r"\p{L}{1000}": {}}})).field,
        r"schema.patternProperties.\p{L}{1000}"
    );
    for pattern in [r"^\d{4}-\d{2}-\d{2}$", r"^[\p{L}' -]{1,10}$", r"^[^@\s]+@[^@\s]+$"] {
        assert!(check_schema(&form(one(pattern))).is_ok(), "{pattern}");
    }
    // The bound is one for all of them: a hundred may not each take what one may.
    let large = r"\p{L}{20}";
    assert!(check_schema(&form(one(large))).is_ok());
    let many = (0..100).map(|name| (format!("p{name}"), json!({"pattern": large}))).collect();
    assert!(check_schema(&form(json!({"properties": Value::Object(many)}))).is_err());
}

#[test]
fn an_answer_is_bounded_in_size_depth_and_steps() {
    let open = form(json!({}));
    assert!(faults(&open, &nested(32)).is_empty());
    assert!(validate(&open, &nested(33)).unwrap_err()[0].detail.contains("32 levels"));
    assert!(validate(&open, &json!({"a": "x".repeat(ANSWER_MAX)})).unwrap_err()[0].detail.contains("at most 65536"));

    // Every level applies the next one twice: taken, for a real answer is shallow, and stopped where it hurts.
    let doubling = form(json!({"allOf": [{"properties": {"c": {"$ref": "#"}}}, {"properties": {"c": {"$ref": "#"}}}]}));
    assert!(faults(&doubling, &nested(8)).is_empty());
    let stopped = validate(&doubling, &nested(32)).unwrap_err();
    assert!(stopped[0].detail.contains("steps"), "{stopped:?}");

    // The longest chain that is taken, at each of the most levels that are taken.
    let mut defs = ladder(14, 1);
    defs["$defs"]["a14"] = json!({"properties": {"c": {"$ref": "#"}}});
    let deep = form(defs);
    let stopped = faults(&deep, &nested(32));
    assert_eq!(stopped, ["value"]);
    assert!(faults(&deep, &nested(4)).is_empty());
}

#[test]
fn a_hundred_faults_are_told_at_a_length_for_people() {
    let schema = form(json!({"properties": {"a": {"items": {"type": "string"}}, "b": {"type": "string"}}}));
    assert_eq!(faults(&schema, &json!({"a": vec![1; 5_000]})).len(), 100);
    let told = validate(&schema, &json!({"b": vec![1; 5_000]})).unwrap_err();
    assert!(told[0].detail.chars().count() < 400, "{told:?}");
}

#[test]
fn extreme_numbers_neither_panic_nor_stall() {
    let numbers =
        ["5e-324", "1e-308", "1.7976931348623157e308", "0.1", "18446744073709551615", "1e19", "123456789.000001"];
    for limit in numbers {
        let limit: Value = serde_json::from_str(limit).unwrap();
        for keyword in ["multipleOf", "maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum"] {
            let schema = form(json!({"properties": {"a": {keyword: limit}}}));
            for value in numbers.into_iter().chain(["-9223372036854775808", "0", "-0.0"]) {
                let value: Value = serde_json::from_str(value).unwrap();
                let _ = faults(&schema, &json!({"a": value}));
            }
        }
        for keyword in
            ["maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties", "minContains"]
        {
            let schema = form(json!({"properties": {"a": {"contains": {}, keyword: limit}}}));
            if check_schema(&schema).is_ok() {
                for value in [json!("text"), json!([1, 2]), json!({"b": 1}), json!(1)] {
                    let _ = validate(&schema, &json!({"a": value}));
                }
            }
        }
    }
    assert!(faults(&form(json!({"properties": {"a": {"enum": []}}})), &json!({"a": 1})) == ["value.a"]);
    let unique = form(json!({"properties": {"a": {"uniqueItems": true}}}));
    assert!(faults(&unique, &json!({"a": (0..10_000).collect::<Vec<_>>()})).is_empty());
}

#[test]
fn definitions_and_anchors_are_reused() {
    let schema = form(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/form",
        "$defs": {"a/b~c d": {"type": "string"}, "n": {"$anchor": "number", "type": "number"}},
        "properties": {
            "one": {"$ref": "#/$defs/a~1b~0c%20d"}, "two": {"$ref": "#/%24defs/a~1b~0c%20d"},
            "three": {"$ref": "#number", "maximum": 5}, "four": {"$ref": "#/properties/three"}}}));
    assert!(faults(&schema, &json!({"one": "x", "two": "y", "three": 4, "four": 5})).is_empty());
    let wrong = json!({"one": 1, "two": 2, "three": 6, "four": "x"});
    assert_eq!(faults(&schema, &wrong), ["value.four", "value.one", "value.three", "value.two"]);
}

#[test]
fn a_tree_is_a_form() {
    let schema = form(json!({
        "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}},
            "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "required": ["name"], "additionalProperties": false}));
    let leaf = json!({"name": "leaf", "next": null});
    let tree = (0..12).fold(leaf, |inner, _| json!({"name": "n", "children": [inner, {"name": "m"}]}));
    assert!(faults(&schema, &tree).is_empty());
    let wrong = json!({"name": "a", "children": [{"name": "b", "children": [{"name": 5, "x": 1}]}], "next": {}});
    assert_eq!(
        faults(&schema, &wrong),
        ["value.children[0].children[0].name", "value.children[0].children[0].x", "value.next"]
    );
    // Two ways down at every level, as generators write unions.
    let list = json!({"type": "array", "items": {"$ref": "#"}});
    let union = form(json!({"anyOf": [
        {"properties": {"kind": {"const": "and"}, "of": list}, "required": ["kind"]},
        {"properties": {"kind": {"const": "or"}, "of": list}, "required": ["kind"]}]}));
    let deep = (0..6).fold(json!({"kind": "or"}), |inner, _| json!({"kind": "and", "of": [inner]}));
    assert!(faults(&union, &deep).is_empty());
}

/// What `jsonschema` says of harmless schemas is what is said here.
#[test]
fn every_keyword_means_what_the_standard_says() {
    let schemas = [
        json!({"if": {"properties": {"a": {"const": 1}}, "required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["c"]}}),
        json!({"if": {"required": ["a"]}, "then": false}),
        json!({"then": false}),
        json!({"patternProperties": {"^a": {"type": "integer"}, "b$": {"minimum": 2}}, "additionalProperties": {"type": "string"}}),
        json!({"properties": {"a": true}, "patternProperties": {"^b": true}, "additionalProperties": false}),
        json!({"propertyNames": {"maxLength": 1}}),
        json!({"propertyNames": {"pattern": "^[ab]"}}),
        json!({"dependentSchemas": {"a": {"required": ["b"]}}, "dependentRequired": {"c": ["d"]}}),
        json!({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}),
        json!({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
        json!({"allOf": [{"required": ["a"]}, {"required": ["b"]}]}),
        json!({"not": {"required": ["a"]}}),
        json!({"properties": {"l": {"prefixItems": [{"type": "string"}], "items": {"type": "integer"}}}}),
        json!({"properties": {"l": {"prefixItems": [{"type": "string"}], "items": false}}}),
        json!({"properties": {"l": {"items": {"type": "integer"}, "uniqueItems": true, "maxItems": 2}}}),
        json!({"properties": {"l": {"contains": {"type": "integer"}}}}),
        json!({"properties": {"l": {"contains": {"type": "integer"}, "minContains": 2, "maxContains": 3}}}),
        json!({"properties": {"l": {"contains": {"type": "integer"}, "minContains": 0}}}),
        json!({"properties": {"l": {"contains": {"type": "integer"}, "maxContains": 1}}}),
        json!({"properties": {"l": {"minContains": 2}}}),
        json!({"minProperties": 2, "maxProperties": 2}),
        json!({"properties": {"a": false, "b": {"enum": [1, "x", null]}}}),
        json!({"properties": {"a": {"pattern": r"^\d+$", "minLength": 2}, "b": {"multipleOf": 0.5}}}),
        json!({"properties": {"a": {"format": "email", "contentSchema": {"type": "number"}}}}),
        json!({"allOf": [{"properties": {"a": {"$ref": "#/$defs/t"}}}], "$defs": {"t": {"type": ["integer", "null"]}}}),
        json!({"properties": {"a": {"$ref": "#"}}, "maxProperties": 2}),
    ];
    let answers = [
        json!({}),
        json!({"a": 1}),
        json!({"a": 1, "b": 2}),
        json!({"a": "1", "b": 1.5}),
        json!({"a": "12"}),
        json!({"a": null, "b": null}),
        json!({"b": "x"}),
        json!({"b": 1.3}),
        json!({"c": 3}),
        json!({"c": "x", "d": 4}),
        json!({"ab": 1}),
        json!({"ab": 2, "xb": 2}),
        json!({"a": {"a": {"b": 1, "c": 2, "d": 3}}}),
        json!({"l": []}),
        json!({"l": ["a", 1]}),
        json!({"l": ["a", 1, 2]}),
        json!({"l": ["a", 1, 2, 3, 4]}),
        json!({"l": [1, 1]}),
        json!({"l": ["a"]}),
        json!({"l": 5}),
    ];
    for keywords in schemas {
        let schema = form(keywords);
        check_schema(&schema).unwrap_or_else(|fault| panic!("{schema:?}: {fault}"));
        let standard =
            jsonschema::options().with_draft(Draft::Draft202012).build(&Value::Object(schema.clone())).unwrap();
        for answer in &answers {
            let found = validate(&schema, answer);
            assert_eq!(found.is_ok(), standard.is_valid(answer), "{schema:?} {answer}: {found:?}");
            assert!(found.err().is_none_or(|faults| !faults.is_empty()), "{schema:?} {answer}");
        }
    }
}

#[test]
fn a_hostile_draft_is_refused_whatever_lapses() {
    use crate::feedback::Draft;

    for keywords in [json!({"allOf": [{"$ref": "#"}]}), ladder(30, 2), json!({"unevaluatedProperties": {"$ref": "#"}})]
    {
        let draft =
            json!({"kind": "form", "prompt": "?", "to": ["ana"], "schema": form(keywords), "on_expiry": {"a": 1}});
        let draft: Draft = serde_json::from_value(draft).unwrap();
        let faults = draft.check().unwrap_err();
        assert!(faults[0].field.starts_with("schema"), "{faults:?}");
        assert!(faults.iter().any(|fault| fault.field == "on_expiry"), "{faults:?}");
    }
}

#[test]
fn a_large_pattern_over_a_long_text_is_stopped() {
    for pattern in ["[ab]*a[ab]{4000}c", "(?:(?:a|b|ab)*a){3000}c"] {
        let costly = form(json!({"properties": {"a": {"pattern": pattern}}, "patternProperties": {pattern: {}}}));
        let stopped = validate(&costly, &json!({"a": "ab".repeat(32_000)})).unwrap_err();
        assert!(stopped[0].detail.contains("steps"), "{stopped:?}");
        let stopped = validate(&costly, &json!({"ab".repeat(32_000): 1})).unwrap_err();
        assert!(stopped[0].detail.contains("steps"), "{stopped:?}");
        assert_eq!(faults(&costly, &json!({"a": "abc"})), ["value.a"]);
    }
    let light = form(json!({"properties": {"a": {"pattern": r"^[^@\s]+@[^@\s]+$"}, "b": {"pattern": "^[a-z ]+$"}}}));
    assert!(faults(&light, &json!({"a": "ana@example.com", "b": "many words ".repeat(5_000)})).is_empty());
}

#[test]
fn a_validator_for_every_subschema_is_not_too_many() {
    let wide = Value::Object((0..1_900).map(|name| (format!("p{name}"), json!({"type": "null"}))).collect());
    let answer = Value::Object((0..1_900).map(|name| (format!("p{name}"), Value::Null)).collect());
    assert!(faults(&form(json!({"properties": wide})), &answer).is_empty());
}
