//! What fits, and what does not.

use hearback_core::{
    ErrorKind, Retry,
    feedback::{ChoiceOption, Question},
};

use super::{Harness, Suite};

/// A text that has the declared length arrives whole; one that is longer by a character is refused before anybody is
/// called, never cut. Length counts Unicode scalar values.
pub async fn a_text_at_the_limit_passes_and_one_over_is_refused<H: Harness>(suite: &Suite<H>) {
    if !suite.declares("`text_max`", suite.variant.text_max.is_some()) {
        return;
    }
    let max = suite.variant.text_max.unwrap_or_default() as usize;
    let bench = suite.open().await;
    let text = "ä".repeat(max);
    let fitting = bench.question(Question::Approval, &text).await;
    bench.send(&fitting).await.expect("a text at the limit is sent");
    let arrived = bench.harness.arrived();
    assert!(arrived.iter().any(|message| message.contains(&text)), "a text at the limit arrives whole: {arrived:?}");

    let reached = bench.reached();
    let long = bench.question(Question::Approval, &"ä".repeat(max + 1)).await;
    let error = bench.send(&long).await.expect_err("a text one over the limit is refused");
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Rejected, Retry::Never), "{error}");
    assert_eq!(bench.reached(), reached, "a text one over the limit reaches nobody");
}

/// The same for the options of a choice.
pub async fn a_choice_at_the_limit_passes_and_one_over_is_refused<H: Harness>(suite: &Suite<H>) {
    if !suite.declares("`choices_max`", suite.variant.choices_max.is_some()) {
        return;
    }
    let max = suite.variant.choices_max.unwrap_or_default();
    let choice = |count: u32| {
        let option = |number| ChoiceOption { value: format!("option-{number}"), label: None };
        Question::Choice { options: (0..count).map(option).collect(), multiple: false }
    };
    let bench = suite.open().await;
    let fitting = bench.question(choice(max), "Which?").await;
    bench.send(&fitting).await.expect("a choice at the limit is sent");

    let reached = bench.reached();
    let long = bench.question(choice(max + 1), "Which?").await;
    let error = bench.send(&long).await.expect_err("a choice one over the limit is refused");
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Rejected, Retry::Never), "{error}");
    assert_eq!(bench.reached(), reached, "a choice one over the limit reaches nobody");
}
