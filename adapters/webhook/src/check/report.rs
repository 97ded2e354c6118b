//! What a check found.

use std::fmt;

use crate::settings::Declared;

/// How one case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it must. The note may be empty.
    Passed(String),
    /// Not as it must: what was expected, and what came.
    Failed(String),
    /// It does not apply: why.
    Skipped(String),
}

/// One case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What the plug-in must do.
    pub name: &'static str,
    /// How it went.
    pub outcome: Outcome,
}

/// Every case, in the order they were run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The cases.
    pub cases: Vec<Case>,
    /// What the plug-in declares, where it could be asked.
    pub declared: Option<Declared>,
    /// The capabilities that were declared and not checked, and why.
    pub unchecked: Vec<(&'static str, &'static str)>,
    /// Whether a sending was refused with 404: the plug-in may not know the address.
    pub address_unknown: bool,
}

impl Report {
    /// Whether no case failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.cases.iter().any(|case| matches!(case.outcome, Outcome::Failed(_)))
    }

    pub(super) fn note(&mut self, name: &'static str, outcome: Result<String, String>) {
        let outcome = outcome.map_or_else(Outcome::Failed, Outcome::Passed);
        self.cases.push(Case { name, outcome });
    }

    /// Notes a case whose end shows later, and returns its place for [`Self::end`].
    pub(super) fn begin(&mut self, name: &'static str) -> usize {
        self.skip(name, "the check ended before it");
        self.cases.len() - 1
    }

    pub(super) fn end(&mut self, case: usize, outcome: Result<String, String>) {
        self.cases[case].outcome = outcome.map_or_else(Outcome::Failed, Outcome::Passed);
    }

    pub(super) fn leave_out(&mut self, capability: &'static str, why: &'static str) {
        self.unchecked.push((capability, why));
    }

    pub(super) fn skip(&mut self, name: &'static str, why: &str) {
        self.cases.push(Case { name, outcome: Outcome::Skipped(why.into()) });
    }
}

/// One line.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, text) = match &self.outcome {
            Outcome::Passed(text) => ("ok", text),
            Outcome::Failed(text) => ("FAILED", text),
            Outcome::Skipped(text) => ("skipped", text),
        };
        let separator = if text.is_empty() { "" } else { ": " };
        write!(f, "{word:7}  {}{separator}{text}", self.name)
    }
}

/// One line a case, how many of each there are, what to write into the configuration when all is well, and what of it was
/// not checked.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.cases {
            writeln!(f, "{case}")?;
        }
        let count = |which: fn(&Outcome) -> bool| self.cases.iter().filter(|case| which(&case.outcome)).count();
        let passed = count(|outcome| matches!(outcome, Outcome::Passed(_)));
        let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        write!(f, "{passed} ok, {failed} FAILED, {skipped} skipped")?;
        if let Some(declared) = self.declared.filter(|_| failed == 0) {
            write!(f, "\nFor hearback.toml: {}", declared.toml())?;
        }
        self.unchecked.iter().try_for_each(|(capability, why)| write!(f, "\nNot checked: {capability}: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_its_line_and_only_a_sound_plug_in_gets_its_settings() {
        let mut report = Report { declared: Some(Declared::default()), ..Report::default() };
        report.note("one", Ok(String::new()));
        report.skip("two", "it cannot do that");
        report.note("three", Err("expected 401, got 200".into()));
        assert_eq!(
            report.to_string(),
            "ok       one\nskipped  two: it cannot do that\nFAILED   three: expected 401, got 200\n\
             1 ok, 1 FAILED, 1 skipped"
        );
        report.cases.pop();
        assert!(report.to_string().ends_with("1 ok, 0 FAILED, 1 skipped\nFor hearback.toml: capabilities = {  }"));
        report.leave_out("inbound", "nobody was to answer");
        assert!(report.to_string().ends_with("capabilities = {  }\nNot checked: inbound: nobody was to answer"));
    }
}
