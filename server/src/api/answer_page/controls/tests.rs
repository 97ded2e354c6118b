use serde_json::json;

use super::*;

fn question(terms: Value) -> Question {
    serde_json::from_value(terms).unwrap()
}

#[test]
fn a_fault_stands_at_its_field_or_the_nearest_one_around_it() {
    let who = json!({"type": "object", "properties": {"first": {"type": "string"}}});
    let schema =
        json!({"type": "object", "properties": {"who": who, "tags": {"type": "array", "items": {"enum": [1]}}}});
    let form = question(json!({"kind": "form", "schema": schema}));
    let faults = [
        FieldError::new("value.who.first", "one"),
        FieldError::new("value.who.other", "two"),
        FieldError::new("value.tags[3]", "three").allowing(["1"]),
        FieldError::new("value.unknown", "four"),
        FieldError::new("comment", "five"),
        FieldError::new("form", "six"),
    ];
    let controls = controls(&form, &Posted::default(), &faults);
    let titles: Vec<_> = controls.at_fault.iter().map(|(_, title)| title.as_str()).collect();
    assert_eq!(titles, ["Tags", "Who", "First", "Comment"]);
    assert_eq!(controls.elsewhere, ["four", "six"]);
    let html = controls.value[0].render().unwrap();
    assert!(html.contains("three (allowed: 1)"), "{html}");
}

#[test]
fn what_askers_and_people_write_is_escaped() {
    let evil = "\"><script>alert(1)</script>";
    let schema = json!({"type": "object", "properties": {evil: {
        "type": "string", "title": evil, "description": evil, "maxLength": 999,
    }, "x": {"enum": [evil]}, "y": {"const": evil}, "z": {"title": evil, "not": {}}}});
    let form = question(json!({"kind": "form", "schema": schema}));
    let mut posted = Posted::default();
    posted.add(&format!("value.{evil}"), "</textarea><script>");
    posted.add("value.z", evil);
    let faults = [FieldError::new(format!("value.{evil}"), evil)];
    let html = controls(&form, &posted, &faults).value[0].render().unwrap();
    assert!(!html.contains("<script") && html.contains("&#60;script&#62;"), "{html}");
    assert_eq!(html.matches("</textarea>").count(), 2, "{html}");
}

#[test]
fn a_day_that_cannot_be_read_stays_to_be_mended() {
    let schema = json!({"type": "object", "properties": {"d": {"type": "string", "format": "date"}}});
    let form = question(json!({"kind": "form", "schema": schema}));
    for (text, kind) in [("2026-11-24", "date"), ("", "date"), ("tomorrow", "text")] {
        let mut posted = Posted::default();
        posted.add("value.d", text);
        let html = controls(&form, &posted, &[]).value[0].render().unwrap();
        assert!(html.contains(&format!("type=\"{kind}\"")) && html.contains(&format!("value=\"{text}\"")), "{html}");
    }
}

#[test]
fn limits_are_told_in_words() {
    let hint = |terms: Value| controls(&question(terms), &Posted::default(), &[]).value[0].hint.clone();
    assert_eq!(hint(json!({"kind": "input"})), "");
    assert_eq!(hint(json!({"kind": "input", "min_length": 2, "max_length": 9})), "2 to 9 characters");
    assert_eq!(hint(json!({"kind": "input", "min_length": 1})), "At least 1 character");
    assert_eq!(
        hint(json!({"kind": "input", "max_length": 1, "pattern": "^a$"})),
        "At most 1 character; must match ^a$"
    );
    assert_eq!(hint(json!({"kind": "input", "pattern": "^a$"})), "Must match ^a$");
}
