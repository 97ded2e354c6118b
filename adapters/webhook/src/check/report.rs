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

    pub(super) fn skip(&mut self, name: &'static str, why: &str) {
        self.cases.push(Case { name, outcome: Outcome::Skipped(why.into()) });
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, text) = match &self.outcome {
            Outcome::Passed(text) => ("pass", text),
            Outcome::Failed(text) => ("FAIL", text),
            Outcome::Skipped(text) => ("skip", text),
        };
        let separator = if text.is_empty() { "" } else { ": " };
        write!(f, "{word}  {}{separator}{text}", self.name)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.cases {
            writeln!(f, "{case}")?;
        }
        let count = |which: fn(&Outcome) -> bool| self.cases.iter().filter(|case| which(&case.outcome)).count();
        let passed = count(|outcome| matches!(outcome, Outcome::Passed(_)));
        let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
        let skipped = count(|outcome| matches!(outcome, Outcome::Skipped(_)));
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")?;
        match &self.declared {
            Some(declared) if failed == 0 => write!(f, "\nfor hearback.toml:  {}", declared.toml()),
            _ => Ok(()),
        }
    }
}
