//! The controls of a form: one for each field of a question, with what stands in it and what is wrong with it.

use std::collections::HashSet;

use askama::Template;
use hearback_core::{
    error::FieldError,
    feedback::{ChoiceOption, Question},
};
use serde_json::Value;

use super::{
    fields::{Field, Kind, Scalar, describe},
    posted::{COMMENT, Posted, VALUE},
    values::{self, TICKED},
};

/// An input that takes more characters than this gets several lines.
const ONE_LINE: u32 = 120;

/// A control, as `field.html` draws it.
#[derive(Debug, Template)]
#[template(path = "field.html")]
pub(super) struct Control {
    pub id: String,
    pub name: String,
    pub title: String,
    /// What it is about; may be empty.
    pub about: String,
    /// What it takes; may be empty.
    pub hint: String,
    /// Whether it says that it may stay empty.
    pub optional: bool,
    /// What stands in it.
    pub text: String,
    /// What is wrong with it; may be empty.
    pub error: String,
    pub shape: Shape,
}

/// How a control looks.
#[derive(Debug)]
pub(super) enum Shape {
    /// Controls with a frame, or, for the whole form, without.
    Group { framed: bool, controls: Vec<Control> },
    /// One box.
    Tick { ticked: bool },
    /// A value that cannot be changed.
    Fixed,
    /// A list to choose one from.
    Select { options: Vec<Choice> },
    /// Round or square boxes.
    Boxes { round: bool, options: Vec<Choice> },
    /// Several lines; `code` is not for prose, and comes with what it must look like.
    Area { rows: u8, code: bool, schema: String },
    /// One line.
    Line { kind: &'static str, mode: &'static str },
}

/// Something to choose.
#[derive(Debug)]
pub(super) struct Choice {
    pub label: String,
    pub chosen: bool,
}

impl Control {
    /// The ids of what describes it, for those who do not see it beside it.
    fn described(&self) -> String {
        let parts = [("about", &self.about), ("hint", &self.hint), ("error", &self.error)];
        let ids = parts.iter().filter(|(_, text)| !text.is_empty()).map(|(part, _)| format!("{}-{part}", self.id));
        ids.collect::<Vec<_>>().join(" ")
    }
}

/// The controls of a question.
pub(super) struct Controls {
    /// Those of its value; none for an approval, which has buttons.
    pub value: Vec<Control>,
    /// The comment's.
    pub comment: Control,
    /// The id and title of each control at fault.
    pub at_fault: Vec<(String, String)>,
    /// What is wrong and belongs to no control.
    pub elsewhere: Vec<String>,
}

/// Draws a question with what was posted, and each fault at its field or the nearest one around it.
pub(super) fn controls(question: &Question, posted: &Posted, faults: &[FieldError]) -> Controls {
    let form = if let Question::Form { schema } = question { Some(describe(schema)) } else { None };
    let mut places = HashSet::from([COMMENT]);
    match &form {
        Some(form) => collect(form, &mut places),
        None if *question == Question::Approval => {}
        None => drop(places.insert(VALUE)),
    }
    let (mut told, mut elsewhere) = (Vec::new(), Vec::new());
    for fault in faults {
        match nearest(&places, &fault.field) {
            Some(place) => told.push((place, wording(fault))),
            None => elsewhere.push(wording(fault)),
        }
    }
    let mut drawing = Drawing { posted, told, drawn: 0, at_fault: Vec::new() };
    let value = match question {
        Question::Approval => Vec::new(),
        Question::Choice { options, multiple } => vec![drawing.choice(options, *multiple)],
        Question::Input { min_length, max_length, pattern } => {
            vec![drawing.input(*min_length, *max_length, pattern.as_deref())]
        }
        Question::Form { .. } => form.iter().map(|form| drawing.field(form)).collect(),
    };
    let area = Shape::Area { rows: 2, code: false, schema: String::new() };
    let comment = Control { optional: true, ..drawing.control(COMMENT, "Comment", area) };
    Controls { value, comment, at_fault: drawing.at_fault, elsewhere }
}

fn collect<'a>(field: &'a Field, places: &mut HashSet<&'a str>) {
    // Of a group that is the whole form, the faults stand above it.
    match &field.kind {
        Kind::Group(fields) => {
            if field.path != VALUE {
                places.insert(&field.path);
            }
            for field in fields {
                collect(field, places);
            }
        }
        _ => drop(places.insert(&field.path)),
    }
}

/// `value.items[0].name` belongs to itself, else to `value.items[0]`, `value.items` or `value`.
fn nearest<'a>(places: &HashSet<&'a str>, mut path: &str) -> Option<&'a str> {
    loop {
        if let Some(place) = places.get(path) {
            return Some(place);
        }
        path = path.get(..path.rfind(['.', '['])?)?;
    }
}

/// What is wrong, with the allowed values where the hub lists them.
fn wording(fault: &FieldError) -> String {
    if fault.allowed.is_empty() {
        return fault.detail.clone();
    }
    format!("{} (allowed: {})", fault.detail, fault.allowed.join(", "))
}

struct Drawing<'a> {
    posted: &'a Posted,
    /// What is wrong, with the name of the control where it is told.
    told: Vec<(&'a str, String)>,
    drawn: usize,
    at_fault: Vec<(String, String)>,
}

impl Drawing<'_> {
    /// A control with what was posted under its name.
    fn control(&mut self, name: &str, title: &str, shape: Shape) -> Control {
        self.drawn += 1;
        let id = format!("field-{}", self.drawn);
        let told = self.told.iter().filter(|(place, _)| *place == name).map(|(_, told)| told.as_str());
        let error = told.collect::<Vec<_>>().join(" ");
        if !error.is_empty() {
            self.at_fault.push((id.clone(), title.to_owned()));
        }
        Control {
            id,
            name: name.into(),
            title: title.into(),
            about: String::new(),
            hint: String::new(),
            optional: false,
            text: self.posted.one(name).into(),
            error,
            shape,
        }
    }

    fn choices(&self, name: &str, labels: impl Iterator<Item = String>) -> Vec<Choice> {
        let chosen: HashSet<&str> = self.posted.all(name).iter().map(String::as_str).collect();
        let labels = labels.enumerate();
        labels.map(|(at, label)| Choice { label, chosen: chosen.contains(at.to_string().as_str()) }).collect()
    }

    fn choice(&mut self, options: &[ChoiceOption], multiple: bool) -> Control {
        let options = self.choices(VALUE, options.iter().map(|option| option.label().to_owned()));
        let control = self.control(VALUE, "Your choice", Shape::Boxes { round: !multiple, options });
        Control { title: if multiple { "Choose one or more" } else { "Choose one" }.into(), ..control }
    }

    fn input(&mut self, min: Option<u32>, max: Option<u32>, pattern: Option<&str>) -> Control {
        let long = pattern.is_none() && max.is_none_or(|max| max > ONE_LINE);
        let shape = if long {
            Shape::Area { rows: 4, code: false, schema: String::new() }
        } else {
            Shape::Line { kind: "text", mode: "" }
        };
        let characters = |count: u32| if count == 1 { "character" } else { "characters" };
        let length = match (min.filter(|min| *min > 0), max) {
            (Some(min), Some(max)) => format!("{min} to {max} {}", characters(max)),
            (Some(min), None) => format!("At least {min} {}", characters(min)),
            (None, Some(max)) => format!("At most {max} {}", characters(max)),
            (None, None) => String::new(),
        };
        let hint = match (pattern, length.as_str()) {
            (Some(pattern), "") => format!("Must match {pattern}"),
            (Some(pattern), length) => format!("{length}; must match {pattern}"),
            (None, _) => length,
        };
        Control { hint, ..self.control(VALUE, "Your answer", shape) }
    }

    fn field(&mut self, field: &Field) -> Control {
        let name = &field.path;
        let title = if field.title.is_empty() && field.name.is_empty() { "Answer" } else { &field.title };
        let (mut hint, mut text) = (String::new(), None);
        let shape = match &field.kind {
            Kind::Group(fields) => {
                let root = field.path == VALUE;
                let mut group = self.control(name, &field.title, Shape::Fixed);
                let controls = fields.iter().map(|field| self.field(field)).collect();
                group.shape = Shape::Group { framed: !root, controls };
                return Control { about: field.description.clone(), optional: !field.required, ..group };
            }
            Kind::Tick { .. } => Shape::Tick { ticked: self.posted.one(name) == TICKED },
            Kind::Fixed(value) => {
                text = Some(label(value));
                Shape::Fixed
            }
            Kind::Select(options) => Shape::Select { options: self.choices(name, options.iter().map(label)) },
            Kind::Checks(options) => {
                Shape::Boxes { round: false, options: self.choices(name, options.iter().map(label)) }
            }
            Kind::Lines(_) => {
                hint = "One a line.".into();
                Shape::Area { rows: 3, code: false, schema: String::new() }
            }
            Kind::Json(schema) => {
                hint = "Written as JSON.".into();
                let known = schema.as_object().is_some_and(|schema| !schema.is_empty());
                let schema = known.then(|| serde_json::to_string_pretty(schema).unwrap_or_default());
                Shape::Area { rows: 4, code: true, schema: schema.unwrap_or_default() }
            }
            Kind::One(Scalar::LongText) => Shape::Area { rows: 4, code: false, schema: String::new() },
            Kind::One(of) => {
                if *of == Scalar::Moment {
                    hint = "In UTC.".into();
                }
                line(*of, self.posted.one(name))
            }
        };
        let optional = !field.required && !matches!(field.kind, Kind::Fixed(_) | Kind::Tick { .. });
        let control = self.control(name, title, shape);
        let text = text.unwrap_or_else(|| control.text.clone());
        Control { about: field.description.clone(), hint, optional, text, ..control }
    }
}

fn line(of: Scalar, text: &str) -> Shape {
    // A browser's own field drops what it cannot read, and what was typed is to stay.
    let own = |kind| if text.is_empty() || values::fits(of, text) { kind } else { "text" };
    let (kind, mode) = match of {
        Scalar::Email => ("email", ""),
        Scalar::Date => (own("date"), ""),
        Scalar::Moment => (own("datetime-local"), ""),
        Scalar::Number => ("text", "decimal"),
        Scalar::Integer => ("text", "numeric"),
        Scalar::Text | Scalar::LongText => ("text", ""),
    };
    Shape::Line { kind, mode }
}

fn label(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;
