use serde_json::json;

use super::*;

fn of(schema: &Value) -> Field {
    describe(schema.as_object().unwrap())
}

fn fields(field: &Field) -> &[Field] {
    match &field.kind {
        Kind::Group(fields) => fields,
        other => panic!("{other:?}"),
    }
}

/// The field of one property.
fn one(property: &Value) -> Field {
    fields(&of(&json!({"type": "object", "properties": {"p": property}})))[0].clone()
}

#[test]
fn each_property_becomes_the_field_that_fits_it() {
    let cases = [
        (json!({"type": "string"}), Kind::One(Scalar::Text)),
        (json!({"type": "string", "maxLength": 201}), Kind::One(Scalar::LongText)),
        (json!({"type": "string", "format": "textarea"}), Kind::One(Scalar::LongText)),
        (json!({"type": "string", "format": "email"}), Kind::One(Scalar::Email)),
        (json!({"type": "string", "format": "date"}), Kind::One(Scalar::Date)),
        (json!({"type": "string", "format": "date-time"}), Kind::One(Scalar::Moment)),
        (json!({"type": ["null", "number"]}), Kind::One(Scalar::Number)),
        (json!({"type": "integer"}), Kind::One(Scalar::Integer)),
        (json!({"type": "boolean"}), Kind::Tick { must: false }),
        (json!({"const": true}), Kind::Tick { must: true }),
        (json!({"const": "v2"}), Kind::Fixed(json!("v2"))),
        (json!({"enum": ["a", 1, null]}), Kind::Select(vec![json!("a"), json!(1), json!(null)])),
        (json!({"type": ["string", "null"], "enum": ["a", null]}), Kind::Select(vec![json!("a")])),
        (json!({"type": "array", "items": {"enum": [1, 2]}}), Kind::Checks(vec![json!(1), json!(2)])),
        (json!({"type": "array", "items": {"type": "string"}}), Kind::Lines(Scalar::Text)),
        (json!({"type": "array", "items": {"type": "integer"}}), Kind::Lines(Scalar::Integer)),
    ];
    for (property, kind) in cases {
        assert_eq!(one(&property).kind, kind, "{property}");
    }
}

#[test]
fn what_no_field_can_show_takes_json() {
    for property in [
        json!({}),
        json!({"type": ["string", "number"]}),
        json!({"type": "object"}),
        json!({"type": ["object", "null"], "properties": {"a": {}}}),
        json!({"anyOf": [{"type": "string"}, {"type": "number"}]}),
        json!({"type": "array"}),
        json!({"type": "array", "items": {"type": "array"}}),
        json!({"type": "array", "items": {"type": ["string", "null"]}}),
        json!({"type": "array", "items": true}),
        json!({"$ref": "#/nowhere"}),
        json!(true),
    ] {
        assert!(matches!(one(&property).kind, Kind::Json(_)), "{property}");
    }
    let odd = of(&json!({"type": "object", "properties": {"a": {}}, "required": ["a", "b"]}));
    assert_eq!(fields(&odd)[1], Field { path: "value.b".into(), ..field("", "b", &Schema::new(), true) });
    for whole in [json!({"type": "object"}), json!({"type": "object", "additionalProperties": {"type": "string"}})] {
        let field = of(&whole);
        assert_eq!((field.path.as_str(), field.kind), ("value", Kind::Json(whole)));
    }
}

#[test]
fn names_become_words_and_titles_win() {
    let form = of(&json!({
        "type": "object", "title": "Report", "description": "What happened",
        "properties": {"releaseNotes_url": {}, "x": {"title": "Y", "description": "about", "default": 1}},
        "required": ["x"],
    }));
    assert_eq!((form.title.as_str(), form.description.as_str()), ("Report", "What happened"));
    let [notes, x] = fields(&form) else { panic!("{form:?}") };
    assert_eq!((notes.title.as_str(), notes.required), ("Release notes url", false));
    assert_eq!((x.title.as_str(), x.description.as_str(), x.required), ("Y", "about", true));
    assert_eq!((x.path.as_str(), &x.default), ("value.x", &Some(json!(1))));
}

#[test]
fn references_are_followed_and_those_that_lead_back_end_as_json() {
    let form = of(&json!({
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/tree", "title": "A"}, "b": {"$ref": "#/$defs/size%20x"}},
        "$defs": {
            "size x": {"$ref": "#/$defs/size"},
            "size": {"enum": ["s", "m"]},
            "tree": {"type": "object", "title": "T", "properties": {"left": {"$ref": "#/$defs/tree"}, "n": {"type": "integer"}}},
            "loop": {"$ref": "#/$defs/loop"},
        },
    }));
    let [a, b] = fields(&form) else { panic!("{form:?}") };
    assert_eq!(b.kind, Kind::Select(vec![json!("s"), json!("m")]));
    let [left, n] = fields(a) else { panic!("{a:?}") };
    assert_eq!((a.title.as_str(), &n.kind), ("A", &Kind::One(Scalar::Integer)));
    assert!(matches!(left.kind, Kind::Json(_)) && left.path == "value.a.left");
}

#[test]
fn a_schema_that_unfolds_into_too_much_is_one_field() {
    let level = |next: u32| {
        let properties: Schema =
            (0..40).map(|n| (format!("p{n}"), json!({"$ref": format!("#/$defs/l{next}")}))).collect();
        json!({"type": "object", "properties": properties})
    };
    let mut schema = level(0);
    schema["$defs"] = (0..6).map(|n| (format!("l{n}"), level(n + 1))).collect::<Schema>().into();
    assert!(matches!(of(&schema).kind, Kind::Json(_)));
    // So is one whose properties would not be told apart, or not come back as they were sent.
    let nested = json!({"type": "object", "properties": {"b": {"type": "string"}}});
    let twice = json!({"type": "object", "properties": {"a.b": {"type": "string"}, "a": nested}});
    let broken = json!({"type": "object", "properties": {"a\nb": {"type": "string"}}});
    assert!(matches!(of(&twice).kind, Kind::Json(_)) && matches!(of(&broken).kind, Kind::Json(_)));
}
