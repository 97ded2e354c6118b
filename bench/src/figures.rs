//! How figures are summed up and shown.

use std::fmt;

/// Of an even number the lower one of the two in the middle.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.into_iter().collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures[(figures.len() - 1) / 2]
}

/// A ratio and what it is to be.
pub(crate) struct Verdict {
    pub(crate) what: String,
    pub(crate) figure: f64,
    pub(crate) target: Target,
    pub(crate) unit: &'static str,
}

pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, figure, target, unit } = self;
        let (bound, target, met) = match target {
            Target::AtLeast(target) => ("least", target, figure >= target),
            Target::AtMost(target) => ("most", target, figure <= target),
        };
        let verdict = if met { "met" } else { "MISSED" };
        write!(f, "  {verdict:<6}  {what}: {figure:.1}{unit}; the target is at {bound} {target}{unit}")
    }
}

/// One line of a table: what, its unit, and a figure for each concurrency.
pub(crate) fn line(f: &mut fmt::Formatter<'_>, what: &str, unit: &str, figures: &[f64]) -> fmt::Result {
    write!(f, "    {what:<44} {unit:>6}")?;
    for figure in figures {
        let digits = if *figure < 100.0 { 2 } else { 0 };
        write!(f, " {figure:>10.digits$}")?;
    }
    writeln!(f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_one_in_the_middle() {
        assert!(median([3.0, 1.0, 2.0]) <= 2.0 && median([3.0, 1.0, 2.0]) >= 2.0);
        assert!(median([4.0, 1.0, 3.0, 2.0]) <= 2.0);
    }

    #[test]
    fn a_verdict_says_what_was_to_be() {
        let verdict = |figure, target| Verdict { what: "a".into(), figure, target, unit: " %" }.to_string();
        assert_eq!(verdict(25.0, Target::AtLeast(25.0)), "  met     a: 25.0 %; the target is at least 25 %");
        assert_eq!(verdict(24.9, Target::AtLeast(25.0)), "  MISSED  a: 24.9 %; the target is at least 25 %");
        assert_eq!(verdict(3.1, Target::AtMost(3.0)), "  MISSED  a: 3.1 %; the target is at most 3 %");
    }
}
