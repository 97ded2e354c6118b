//! One answer against one schema, step by step.

use std::{collections::HashMap, ptr, rc::Rc};

use serde_json::{Map, Value, json};

use super::{Compiled, assertions, compile, index::Index, shortened};
use crate::error::FieldError;

/// The most steps. A step is one assertion's entry against one value, or one byte of a text against one light pattern, so a
/// schema whose branches multiply at every level of an answer, which is allowed and mostly harmless, ends here.
const STEPS_MAX: usize = 1_000_000;
/// How deep an evaluation recurses: far above what a sensible form needs, far below what a thread's stack holds.
const DEPTH_MAX: usize = 256;
/// The most faults that are told.
const FAULTS_MAX: usize = 100;

/// Why an evaluation ended early.
struct Stop(String);

type Fits = Result<bool, Stop>;

/// Where in the answer.
#[derive(Clone, Copy)]
enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl Path<'_> {
    fn text(&self) -> String {
        match self {
            Self::Root => "value".into(),
            Self::Field(above, name) => format!("{}.{name}", above.text()),
            Self::Item(above, place) => format!("{}[{place}]", above.text()),
        }
    }
}

/// The value at hand.
#[derive(Clone, Copy)]
struct At<'p> {
    value: &'p Value,
    path: &'p Path<'p>,
    depth: usize,
    /// Whether faults are told, or only whether it fits is asked.
    told: bool,
}

impl<'p> At<'p> {
    const fn untold(self) -> Self {
        Self { told: false, ..self }
    }

    const fn below(self, value: &'p Value, path: &'p Path<'p>) -> Self {
        Self { value, path, ..self }
    }
}

/// The evaluation of one answer.
pub(super) struct Evaluation<'a> {
    index: &'a Index<'a>,
    compiled: HashMap<*const Map<String, Value>, Rc<Assertions>>,
    patterns: HashMap<&'a str, Rc<Compiled>>,
    steps: usize,
    faults: Vec<FieldError>,
}

/// The assertions of one subschema.
struct Assertions {
    /// How many steps they take on a value.
    weight: usize,
    /// Whether they look at a text byte by byte.
    pattern: bool,
    /// Whether they look at every value of a list.
    unique: bool,
    compiled: Option<Compiled>,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(index: &'a Index<'a>) -> Self {
        Self { index, compiled: HashMap::new(), patterns: HashMap::new(), steps: 0, faults: Vec::new() }
    }

    /// Evaluates `schema`, which is the one that was indexed.
    pub(super) fn run(mut self, schema: &'a Value, value: &Value) -> Result<(), Vec<FieldError>> {
        match self.fits(schema, At { value, path: &Path::Root, depth: 0, told: true }) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.faults),
            Err(Stop(detail)) => Err(vec![FieldError::new("value", detail)]),
        }
    }

    fn fits(&mut self, schema: &'a Value, at: At<'_>) -> Fits {
        self.spend(1)?;
        if at.depth == DEPTH_MAX {
            return Err(Stop("cannot be checked: answer and schema together are nested too deeply".into()));
        }
        let at = At { depth: at.depth + 1, ..at };
        let Value::Object(fields) = schema else {
            return Ok(*schema != Value::Bool(false) || self.fault(at, "nothing is allowed here"));
        };
        let mut fits = self.asserted(fields, at)?;
        if let Some(target) = self.index.target(schema)
            && (fits || at.told)
        {
            fits &= self.fits(target, at)?;
        }
        for step in [Self::combined, Self::conditional, Self::fields, Self::names, Self::items, Self::contained] {
            if !fits && !at.told {
                break;
            }
            fits &= step(self, fields, at)?;
        }
        Ok(fits)
    }

    fn asserted(&mut self, fields: &'a Map<String, Value>, at: At<'_>) -> Fits {
        let own = if let Some(own) = self.compiled.get(&ptr::from_ref(fields)) {
            Rc::clone(own)
        } else {
            let own = Rc::new(self.compile(fields)?);
            self.compiled.insert(ptr::from_ref(fields), Rc::clone(&own));
            own
        };
        let Some(Compiled { validator, heft }) = &own.compiled else { return Ok(true) };
        self.spend(own.weight)?;
        match at.value {
            Value::String(text) => {
                self.spend(if own.pattern { text.len().saturating_mul(*heft) } else { text.len() / 64 })?;
            }
            Value::Array(_) if own.unique => self.spend(weight(at.value))?,
            _ => {}
        }
        if !at.told {
            return Ok(validator.is_valid(at.value));
        }
        let mut fits = true;
        for error in validator.iter_errors(at.value).take(FAULTS_MAX) {
            fits = self.fault(at, &shortened(&error.to_string()));
        }
        Ok(fits)
    }

    fn compile(&self, fields: &Map<String, Value>) -> Result<Assertions, Stop> {
        let own = assertions(fields);
        let weight = weight(&own);
        let compiled = if weight == 1 {
            None
        } else {
            Some(compile(&own, self.index.patterns()).map_err(|detail| Stop(format!("cannot be checked: {detail}")))?)
        };
        let pattern = fields.contains_key("pattern");
        Ok(Assertions { weight, pattern, unique: fields.contains_key("uniqueItems"), compiled })
    }

    fn combined(&mut self, fields: &'a Map<String, Value>, at: At<'_>) -> Fits {
        let mut fits = true;
        for schema in list(fields, "allOf") {
            fits &= self.fits(schema, at)?;
            if !fits && !at.told {
                return Ok(false);
            }
        }
        if fields.contains_key("anyOf") {
            let mut any = false;
            for schema in list(fields, "anyOf") {
                any = any || self.fits(schema, at.untold())?;
            }
            fits &= any || self.fault(at, "fits none of the forms that are allowed here");
        }
        if fields.contains_key("oneOf") {
            let mut found = 0;
            for schema in list(fields, "oneOf") {
                found += usize::from(self.fits(schema, at.untold())?);
            }
            fits &= match found {
                0 => self.fault(at, "fits none of the forms that are allowed here"),
                1 => true,
                _ => self.fault(at, "fits several of the forms that are allowed here, expected exactly one"),
            };
        }
        if let Some(schema) = fields.get("not") {
            fits &= !self.fits(schema, at.untold())? || self.fault(at, "has a form that is ruled out here");
        }
        Ok(fits)
    }

    fn conditional(&mut self, fields: &'a Map<String, Value>, at: At<'_>) -> Fits {
        let mut fits = true;
        if let Some(condition) = fields.get("if") {
            let branch = if self.fits(condition, at.untold())? { "then" } else { "else" };
            if let Some(schema) = fields.get(branch) {
                fits = self.fits(schema, at)?;
            }
        }
        for (name, schema) in map(fields, "dependentSchemas") {
            if at.value.as_object().is_some_and(|value| value.contains_key(name)) {
                fits &= self.fits(schema, at)?;
            }
        }
        Ok(fits)
    }

    fn fields(&mut self, fields: &'a Map<String, Value>, at: At<'_>) -> Fits {
        let Some(value) = at.value.as_object() else { return Ok(true) };
        let properties = fields.get("properties").and_then(Value::as_object);
        let additional = fields.get("additionalProperties");
        let patterns: Vec<_> = map(fields, "patternProperties").collect();
        if properties.is_none() && additional.is_none() && patterns.is_empty() {
            return Ok(true);
        }
        let mut fits = true;
        for (name, field) in value {
            self.spend(1)?;
            let path = Path::Field(at.path, name);
            let below = at.below(field, &path);
            let named = properties.and_then(|properties| properties.get(name));
            if let Some(schema) = named {
                fits &= self.fits(schema, below)?;
            }
            let mut known = named.is_some();
            for &(pattern, schema) in &patterns {
                if self.matches(pattern, name)? {
                    known = true;
                    fits &= self.fits(schema, below)?;
                }
            }
            match additional {
                Some(Value::Bool(false)) if !known => fits = self.fault(below, "is no field of this form"),
                Some(schema) if !known => fits &= self.fits(schema, below)?,
                _ => {}
            }
            if !fits && !at.told {
                break;
            }
        }
        Ok(fits)
    }

    fn names(&mut self, fields: &'a Map<String, Value>, at: At<'_>) -> Fits {
        let (Some(schema), Some(value)) = (fields.get("propertyNames"), at.value.as_object()) else { return Ok(true) };
        let mut fits = true;
        for name in value.keys() {
            let path = Path::Field(at.path, name);
            fits &= self.fits(schema, at.below(&Value::String(name.clone()), &path).untold())?
                || self.fault(at.below(at.value, &path), "has a name that is not allowed here");
        }
        Ok(fits)
    }

    fn items(&mut self, fields: &'a Map<String, Value>, at: At<'_>) -> Fits {
        let Some(value) = at.value.as_array() else { return Ok(true) };
        let prefix = fields.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let rest = fields.get("items");
        let mut fits = true;
        for (place, item) in value.iter().enumerate() {
            let Some(schema) = prefix.get(place).or(rest) else { break };
            let path = Path::Item(at.path, place);
            fits &= self.fits(schema, at.below(item, &path))?;
            if !fits && !at.told {
                break;
            }
        }
        Ok(fits)
    }

    fn contained(&mut self, fields: &'a Map<String, Value>, at: At<'_>) -> Fits {
        let (Some(schema), Some(value)) = (fields.get("contains"), at.value.as_array()) else { return Ok(true) };
        let mut found = 0_u32;
        for (place, item) in value.iter().enumerate() {
            let path = Path::Item(at.path, place);
            found += u32::from(self.fits(schema, at.below(item, &path).untold())?);
        }
        let limit = |keyword| fields.get(keyword).and_then(Value::as_f64);
        let (min, max) = (limit("minContains").unwrap_or(1.0), limit("maxContains").unwrap_or(f64::INFINITY));
        let enough = (min..=max).contains(&f64::from(found));
        Ok(enough || self.fault(at, &format!("has {found} items of the form asked for, expected {min} to {max}")))
    }

    fn matches(&mut self, pattern: &'a str, name: &str) -> Fits {
        let compiled = if let Some(compiled) = self.patterns.get(pattern) {
            Rc::clone(compiled)
        } else {
            let compiled = compile(&json!({"pattern": pattern}), self.index.patterns());
            let compiled = Rc::new(compiled.map_err(|detail| Stop(format!("cannot be checked: {detail}")))?);
            self.patterns.insert(pattern, Rc::clone(&compiled));
            compiled
        };
        self.spend(1 + name.len().saturating_mul(compiled.heft))?;
        Ok(compiled.validator.is_valid(&Value::String(name.into())))
    }

    fn spend(&mut self, steps: usize) -> Result<(), Stop> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > STEPS_MAX {
            return Err(Stop(format!(
                "takes more than {STEPS_MAX} steps to check against the form: send a smaller one"
            )));
        }
        Ok(())
    }

    /// Tells a fault, if it is to be told. Always `false`: it does not fit.
    fn fault(&mut self, at: At<'_>, detail: &str) -> bool {
        if at.told && self.faults.len() < FAULTS_MAX {
            self.faults.push(FieldError::new(at.path.text(), detail));
        }
        false
    }
}

fn list<'a>(fields: &'a Map<String, Value>, keyword: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    fields.get(keyword).and_then(Value::as_array).into_iter().flatten()
}

fn map<'a>(fields: &'a Map<String, Value>, keyword: &str) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
    let held = fields.get(keyword).and_then(Value::as_object).into_iter().flatten();
    held.map(|(name, schema)| (name.as_str(), schema))
}

/// How many values there are in a value, itself included.
fn weight(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(weight).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(weight).sum::<usize>(),
        _ => 1,
    }
}
