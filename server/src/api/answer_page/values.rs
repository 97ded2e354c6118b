//! From posted texts to the value that answers a question, and what is wrong with them. What the hub's own rules say of the
//! value is not said here; only what keeps a value from being made, and what would be told in words of the schema.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use hearback_core::{
    error::FieldError,
    feedback::{ChoiceOption, Question},
};
use serde_json::{Map, Number, Value};

use super::{
    fields::{Field, Kind, Scalar, describe},
    posted::{Posted, VALUE},
};

/// What a ticked box is posted as.
pub(super) const TICKED: &str = "yes";
/// The greatest whole number that JSON readers of every language keep exactly.
const EXACT_MAX: f64 = 9_007_199_254_740_991.0;

type Faults = Vec<FieldError>;

/// The value that was posted.
///
/// # Errors
///
/// Each fault at its field's name.
pub(super) fn read(question: &Question, posted: &Posted) -> Result<Value, Faults> {
    let fault = |detail: &str| Err(vec![FieldError::new(VALUE, detail)]);
    match question {
        Question::Approval if posted.is_blank(VALUE) => fault("Press one of the two buttons."),
        Question::Approval => Ok(posted.one(VALUE).into()),
        Question::Choice { options, multiple } => {
            let value = |at: &String| at.parse().ok().and_then(|at: usize| options.get(at)).map(value_of);
            match posted.all(VALUE).iter().map(value).collect::<Option<Vec<Value>>>() {
                None => fault("This is none of the options."),
                Some(chosen) if chosen.is_empty() => {
                    fault(if *multiple { "Choose at least one." } else { "Choose one." })
                }
                Some(chosen) if *multiple => Ok(chosen.into()),
                Some(mut chosen) => Ok(chosen.swap_remove(0)),
            }
        }
        Question::Input { min_length, .. } => match posted.one(VALUE) {
            "" if *min_length != Some(0) => fault("Write your answer first."),
            text => Ok(text.into()),
        },
        Question::Form { schema } => build(&describe(schema), posted).map(Option::unwrap_or_default),
    }
}

fn value_of(option: &ChoiceOption) -> Value {
    option.value.as_str().into()
}

/// The value of a field; `None` where nothing was given and nothing needs to be.
fn build(field: &Field, posted: &Posted) -> Result<Option<Value>, Faults> {
    let fail = |detail: &str| Err(vec![FieldError::new(&*field.path, detail)]);
    let missing = || match (field.required, field.nullable) {
        (true, true) => Ok(Some(Value::Null)),
        (true, false) => fail("This is needed."),
        (false, _) => Ok(None),
    };
    let text = posted.one(&field.path);
    match &field.kind {
        Kind::Group(fields) => group(field, fields, posted),
        Kind::Fixed(value) => Ok(Some(value.clone())),
        Kind::Tick { must: false } => Ok(Some((text == TICKED).into())),
        Kind::Tick { must: true } if text == TICKED => Ok(Some(true.into())),
        Kind::Tick { must: true } if field.required => fail("Tick this to go on."),
        Kind::Tick { must: true } => Ok(None),
        Kind::Select(_) if text.is_empty() => missing(),
        Kind::Select(options) => {
            option(options, text).map_or_else(|| fail("This is none of the options."), |v| Ok(Some(v)))
        }
        Kind::Checks(options) => match posted.all(&field.path).iter().map(|at| option(options, at)).collect() {
            Some(values) => Ok(list(field, values)),
            None => fail("This is none of the options."),
        },
        Kind::Lines(of) => lines(field, *of, text),
        Kind::Json(_) if text.trim().is_empty() => missing(),
        Kind::Json(_) => serde_json::from_str(text).map_or_else(|_| fail("This is not valid JSON."), |v| Ok(Some(v))),
        Kind::One(of) => {
            let empty = if is_trimmed(*of) { text.trim().is_empty() } else { text.is_empty() };
            if empty { missing() } else { scalar(*of, text).map_or_else(fail, |value| Ok(Some(value))) }
        }
    }
}

fn group(field: &Field, fields: &[Field], posted: &Posted) -> Result<Option<Value>, Faults> {
    // An optional group that nobody touched is left out, whatever it would need inside.
    if !field.required && is_untouched(field, posted) {
        return Ok(None);
    }
    let (mut object, mut faults) = (Map::new(), Vec::new());
    for each in fields {
        match build(each, posted) {
            Ok(value) => object.extend(value.map(|value| (each.name.clone(), value))),
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() { Ok(Some(object.into())) } else { Err(faults) }
}

fn is_untouched(field: &Field, posted: &Posted) -> bool {
    match &field.kind {
        Kind::Group(fields) => fields.iter().all(|field| is_untouched(field, posted)),
        _ => posted.is_blank(&field.path),
    }
}

fn option(options: &[Value], at: &str) -> Option<Value> {
    at.parse().ok().and_then(|at: usize| options.get(at)).cloned()
}

fn list(field: &Field, values: Vec<Value>) -> Option<Value> {
    if values.is_empty() && !field.required { None } else { Some(values.into()) }
}

fn lines(field: &Field, of: Scalar, text: &str) -> Result<Option<Value>, Faults> {
    let (mut values, mut faults) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match scalar(of, line) {
            Ok(value) => values.push(value),
            Err(detail) => faults.push(FieldError::new(&*field.path, format!("Line {}: {detail}", number + 1))),
        }
    }
    if faults.is_empty() { Ok(list(field, values)) } else { Err(faults) }
}

/// Whether spaces around such a value mean nothing.
const fn is_trimmed(of: Scalar) -> bool {
    !matches!(of, Scalar::Text | Scalar::LongText)
}

/// Whether a text is such a value.
pub(super) fn fits(of: Scalar, text: &str) -> bool {
    scalar(of, text).is_ok()
}

fn scalar(of: Scalar, text: &str) -> Result<Value, &'static str> {
    let trimmed = text.trim();
    match of {
        Scalar::Text | Scalar::LongText => Ok(text.into()),
        Scalar::Email => match trimmed.split_once('@') {
            Some((name, host)) if !name.is_empty() && !host.is_empty() && !trimmed.contains(char::is_whitespace) => {
                Ok(trimmed.into())
            }
            _ => Err("This is not an e-mail address."),
        },
        Scalar::Date => match NaiveDate::parse_from_str(trimmed, "%Y-%m-%d") {
            Ok(date) => Ok(date.to_string().into()),
            Err(_) => Err("Write the date as 2026-01-31."),
        },
        Scalar::Moment => moment(trimmed).map(Into::into).ok_or("Write the date and time as 2026-01-31 09:30, in UTC."),
        Scalar::Number => number(trimmed, false).map(Value::Number),
        Scalar::Integer => number(trimmed, true).map(Value::Number),
    }
}

/// A day and time in UTC, as a browser's own field has it, or with a zone.
fn moment(text: &str) -> Option<String> {
    let shown = |moment: DateTime<Utc>| moment.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(shown(moment.to_utc()));
    }
    let text = text.replacen(' ', "T", 1);
    let formats = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%.f"];
    let naive = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok())?;
    Some(shown(naive.and_utc()))
}

fn number(text: &str, whole: bool) -> Result<Number, &'static str> {
    const TOO_LARGE: &str = "This number is too large to be sent exactly.";
    if !is_number(text) {
        return Err(if whole { "Write a number, such as 12." } else { "Write a number, such as 12 or 12.5." });
    }
    if !text.contains(['.', 'e', 'E']) {
        let signed = text.parse::<i64>().map(Number::from);
        return signed.or_else(|_| text.parse::<u64>().map(Number::from)).map_err(|_| TOO_LARGE);
    }
    let number: f64 = text.parse().map_err(|_| TOO_LARGE)?;
    if number.fract() != 0.0 {
        return if whole { Err("Write a whole number.") } else { Number::from_f64(number).ok_or(TOO_LARGE) };
    }
    // As JSON, 12.0 and 1.2e1 are 12.
    match format!("{number:.0}").parse::<i64>() {
        Ok(exact) if number.abs() <= EXACT_MAX => Ok(exact.into()),
        _ => Err(TOO_LARGE),
    }
}

/// Whether it is a decimal number: digits with at most one point, and an exponent.
fn is_number(text: &str) -> bool {
    let unsigned = |text: &str| text.strip_prefix(['+', '-']).unwrap_or(text).to_owned();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let text = unsigned(text);
    let (mantissa, exponent) =
        text.split_once(['e', 'E']).map_or((&*text, None), |(before, after)| (before, Some(after)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = exponent.map(unsigned);
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(&exponent))
}

/// What stands in the form before anybody touched it: the defaults of its schema.
pub(super) fn initial(question: &Question) -> Posted {
    let mut posted = Posted::default();
    if let Question::Form { schema } = question {
        let form = describe(schema);
        fill(&form, form.default.as_ref(), &mut posted);
    }
    posted
}

fn fill(field: &Field, given: Option<&Value>, posted: &mut Posted) {
    let path = &field.path;
    let position =
        |options: &[Value], value| options.iter().position(|option| option == value).map(|at| at.to_string());
    if let Kind::Group(fields) = &field.kind {
        for each in fields {
            let own = given.and_then(|given| given.get(&each.name));
            fill(each, own.or(each.default.as_ref()), posted);
        }
        return;
    }
    let Some(given) = given else { return };
    let plain = || given.as_str().map_or_else(|| given.to_string(), str::to_owned);
    let items = || given.as_array().into_iter().flatten();
    match &field.kind {
        Kind::Tick { .. } if *given == Value::Bool(true) => posted.add(path, TICKED),
        Kind::Group(_) | Kind::Fixed(_) | Kind::Tick { .. } => {}
        Kind::Select(options) => position(options, given).into_iter().for_each(|at| posted.add(path, at)),
        Kind::Checks(options) => {
            items().filter_map(|item| position(options, item)).for_each(|at| posted.add(path, at));
        }
        Kind::Lines(_) => {
            let lines = items().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned));
            posted.add(path, lines.collect::<Vec<_>>().join("\n"));
        }
        Kind::Json(_) => posted.add(path, serde_json::to_string_pretty(given).unwrap_or_default()),
        Kind::One(_) if given.is_null() => {}
        // A browser's own field for a day and time takes it without a zone.
        Kind::One(Scalar::Moment) => {
            let moment = given.as_str().and_then(moment).unwrap_or_default();
            posted.add(path, moment.trim_end_matches('Z'));
        }
        Kind::One(_) => posted.add(path, plain()),
    }
}

#[cfg(test)]
mod tests;
