use serde_json::json;

use super::*;

fn question(terms: Value) -> Question {
    serde_json::from_value(terms).unwrap()
}

fn form(properties: Value, required: &[&str]) -> Question {
    let mut schema = json!({"type": "object", "required": required});
    schema["properties"] = properties;
    question(json!({"kind": "form", "schema": schema}))
}

fn posted(pairs: &[(&str, &str)]) -> Posted {
    let mut posted = Posted::default();
    for (name, value) in pairs {
        posted.add(name, *value);
    }
    posted
}

fn told(question: &Question, pairs: &[(&str, &str)]) -> Vec<String> {
    read(question, &posted(pairs)).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn approvals_choices_and_inputs() {
    let approval = question(json!({"kind": "approval"}));
    assert_eq!(read(&approval, &posted(&[("value", "rejected")])), Ok(json!("rejected")));
    assert_eq!(told(&approval, &[("comment", "so")]), ["value: Press one of the two buttons."]);

    let options = json!([{"value": "e u", "label": "Europe"}, {"value": "\r\n"}]);
    let one = question(json!({"kind": "choice", "options": options, "multiple": false}));
    assert_eq!(read(&one, &posted(&[("value", "1")])), Ok(json!("\r\n")), "whatever a browser makes of a value");
    assert_eq!(told(&one, &[]), ["value: Choose one."]);
    for wrong in ["2", "-1", "e u", ""] {
        assert_eq!(told(&one, &[("value", wrong)]), ["value: This is none of the options."]);
    }
    let many = question(json!({"kind": "choice", "options": options, "multiple": true}));
    assert_eq!(read(&many, &posted(&[("value", "1"), ("value", "0")])), Ok(json!(["\r\n", "e u"])));
    assert_eq!(told(&many, &[]), ["value: Choose at least one."]);

    let input = question(json!({"kind": "input"}));
    assert_eq!(read(&input, &posted(&[("value", " two\nlines ")])), Ok(json!(" two\nlines ")));
    assert_eq!(told(&input, &[("value", "")]), ["value: Write your answer first."]);
    let may_be_empty = question(json!({"kind": "input", "min_length": 0}));
    assert_eq!(read(&may_be_empty, &posted(&[])), Ok(json!("")));
}

#[test]
fn a_form_becomes_an_object_of_the_schemas_types() {
    let question = form(
        json!({
            "name": {"type": "string"}, "note": {"type": "string", "maxLength": 999},
            "mail": {"type": "string", "format": "email"}, "day": {"type": "string", "format": "date"},
            "at": {"type": "string", "format": "date-time"}, "count": {"type": "integer"}, "share": {"type": "number"},
            "sure": {"type": "boolean"}, "terms": {"const": true}, "version": {"const": 2},
            "size": {"enum": ["s", 7]}, "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}},
            "hosts": {"type": "array", "items": {"type": "string"}}, "ports": {"type": "array", "items": {"type": "integer"}},
            "more": {"anyOf": [{"type": "string"}, {"type": "number"}]},
            "who": {"type": "object", "properties": {"first": {"type": "string"}}, "required": ["first"]},
        }),
        &["name"],
    );
    let given = posted(&[
        ("value.name", "Ana"),
        ("value.note", "two\nlines"),
        ("value.mail", " a@b.example "),
        ("value.day", "2026-11-24"),
        ("value.at", "2026-11-24T09:30"),
        ("value.count", "12"),
        ("value.share", "0.25"),
        ("value.sure", TICKED),
        ("value.terms", TICKED),
        ("value.size", "1"),
        ("value.tags", "2"),
        ("value.tags", "0"),
        ("value.hosts", "one\n\n two \n"),
        ("value.ports", "80\n443"),
        ("value.more", "{\"x\": [1]}"),
        ("value.who.first", "Ben"),
    ]);
    let expected = json!({
        "name": "Ana", "note": "two\nlines", "mail": "a@b.example", "day": "2026-11-24", "at": "2026-11-24T09:30:00Z",
        "count": 12, "share": 0.25, "sure": true, "terms": true, "version": 2, "size": 7, "tags": ["c", "a"],
        "hosts": ["one", " two "], "ports": [80, 443], "more": {"x": [1]}, "who": {"first": "Ben"},
    });
    assert_eq!(read(&question, &given), Ok(expected));
    let least = json!({"name": "Ana", "sure": false, "version": 2});
    assert_eq!(read(&question, &posted(&[("value.name", "Ana")])), Ok(least), "what is not given is left out");
}

#[test]
fn what_keeps_a_value_from_being_made_is_told_at_its_field() {
    let needed = form(
        json!({
            "name": {"type": "string"}, "terms": {"const": true}, "size": {"enum": ["s"]}, "any": {},
            "maybe": {"type": ["integer", "null"]}, "tags": {"type": "array", "items": {"enum": [1]}},
        }),
        &["name", "terms", "size", "any", "maybe", "tags"],
    );
    let expected = [
        "value.any: This is needed.",
        "value.name: This is needed.",
        "value.size: This is needed.",
        "value.terms: Tick this to go on.",
    ];
    assert_eq!(told(&needed, &[]), expected, "null will do for one, and no tag for the other");
    let wrong = form(
        json!({
            "count": {"type": "integer"}, "share": {"type": "number"}, "mail": {"type": "string", "format": "email"},
            "day": {"type": "string", "format": "date"}, "at": {"type": "string", "format": "date-time"},
            "ports": {"type": "array", "items": {"type": "integer"}}, "any": {}, "size": {"enum": ["s"]},
        }),
        &[],
    );
    let given = [
        ("value.count", "3.5"),
        ("value.share", "1,5"),
        ("value.mail", "ana"),
        ("value.day", "24.11.2026"),
        ("value.at", "tomorrow"),
        ("value.ports", "80\nhttps"),
        ("value.any", "{"),
        ("value.size", "9"),
    ];
    let expected = [
        "value.any: This is not valid JSON.",
        "value.at: Write the date and time as 2026-01-31 09:30, in UTC.",
        "value.count: Write a whole number.",
        "value.day: Write the date as 2026-01-31.",
        "value.mail: This is not an e-mail address.",
        "value.ports: Line 2: Write a number, such as 12.",
        "value.share: Write a number, such as 12 or 12.5.",
        "value.size: This is none of the options.",
    ];
    assert_eq!(told(&wrong, &given), expected);
}

#[test]
fn an_optional_group_that_nobody_touched_is_left_out() {
    let who = json!({
        "type": "object", "required": ["first"],
        "properties": {"first": {"type": "string"}, "sure": {"type": "boolean"}, "tags": {"type": "array", "items": {"enum": [1]}}},
    });
    let question = form(json!({"who": who}), &[]);
    assert_eq!(read(&question, &posted(&[("value.who.first", "")])), Ok(json!({})));
    assert_eq!(told(&question, &[("value.who.sure", TICKED)]), ["value.who.first: This is needed."]);
    let required = form(json!({"who": who}), &["who"]);
    assert_eq!(told(&required, &[]), ["value.who.first: This is needed."]);
}

#[test]
fn numbers_are_those_that_json_keeps_exactly() {
    let cases = [
        ("12", json!(12)),
        ("-0", json!(0)),
        ("+7", json!(7)),
        ("12.0", json!(12)),
        ("1.2e1", json!(12)),
        (".5", json!(0.5)),
        ("5.", json!(5)),
        ("-2.5E-1", json!(-0.25)),
        ("9223372036854775807", json!(i64::MAX)),
        ("18446744073709551615", json!(u64::MAX)),
    ];
    for (text, value) in cases {
        assert_eq!(number(text, false).map(Value::Number), Ok(value), "{text}");
    }
    for text in ["", ".", "e5", "1e", "1e+", "0x10", "1_000", "١٢", "inf", "NaN", "--1", "1.2.3", "1 2"] {
        assert_eq!(number(text, false), Err("Write a number, such as 12 or 12.5."), "{text}");
    }
    for text in ["18446744073709551616", "1e999", "1e17", "9007199254740993.0"] {
        assert_eq!(number(text, false), Err("This number is too large to be sent exactly."), "{text}");
    }
    assert_eq!(number("1e3", true), Ok(1000.into()));
}

#[test]
fn moments_are_in_utc_unless_they_name_a_zone() {
    let cases = [
        ("2026-11-24T09:30", Some("2026-11-24T09:30:00Z")),
        ("2026-11-24 09:30:15", Some("2026-11-24T09:30:15Z")),
        ("2026-11-24T09:30:15.5", Some("2026-11-24T09:30:15.500Z")),
        ("2026-11-24T10:30:00+01:00", Some("2026-11-24T09:30:00Z")),
        ("2026-11-24", None),
        ("2026-02-30T09:30", None),
    ];
    for (text, expected) in cases {
        assert_eq!(moment(text).as_deref(), expected, "{text}");
    }
}

#[test]
fn defaults_stand_in_the_form_and_give_themselves_back() {
    let properties = json!({
        "name": {"type": "string", "default": "Ana"}, "count": {"type": "integer", "default": 3},
        "sure": {"type": "boolean", "default": true}, "size": {"enum": ["s", "m"], "default": "m"},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "default": ["b"]},
        "hosts": {"type": "array", "items": {"type": "string"}, "default": ["one", "two"]},
        "at": {"type": "string", "format": "date-time", "default": "2026-11-24T10:30:00+01:00"},
        "any": {"default": {"x": 1}}, "gone": {"type": ["string", "null"], "default": null},
        "odd": {"enum": ["s"], "default": "xl"},
        "who": {"type": "object", "properties": {"first": {"type": "string", "default": "A"}}, "default": {"first": "B"}},
    });
    let question = form(properties, &[]);
    let expected = json!({
        "name": "Ana", "count": 3, "sure": true, "size": "m", "tags": ["b"], "hosts": ["one", "two"],
        "at": "2026-11-24T09:30:00Z", "any": {"x": 1}, "who": {"first": "B"},
    });
    assert_eq!(read(&question, &initial(&question)), Ok(expected));
    let whole = question_with_whole_default();
    assert_eq!(read(&whole, &initial(&whole)), Ok(json!({"a": "top"})));
}

fn question_with_whole_default() -> Question {
    question(json!({"kind": "form", "schema": {
        "type": "object", "properties": {"a": {"type": "string", "default": "own"}}, "default": {"a": "top"},
    }}))
}
