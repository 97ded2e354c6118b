//! The suite that every [`Channel`](hearback_core::channel::Channel) passes. [`crate::channel_conformance!`] makes one
//! test of each case, so that a failure names it.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`harness`] | what an adapter brings: its channel, a fake of its provider, and faults to order |
//! | [`mod@bench`] | one channel with its layers, called as the hub calls it; every error is searched for secrets |
//! | [`inbox`] | an inbox that keeps what it is given, fails and waits as it is told |
//! | [`secrets`] | the forms that a secret is looked for in |
//! | [`limits`], [`faults`], [`inbound`], [`abilities`], [`life`] | the cases |
//! | [`completeness`] | that every kind has a harness and a README |
//!
//! Every case runs on every variant of the capabilities that a harness can build, and what a variant declares decides
//! what is asked of it. What does not apply to any variant is printed with the harness's reason, never passed over in
//! silence. Nothing here sleeps: time is a clock that the cases move.

pub mod abilities;
pub mod bench;
pub mod completeness;
pub mod faults;
pub mod harness;
pub mod inbound;
pub mod inbox;
pub mod life;
pub mod limits;
pub mod secrets;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    marker::PhantomData,
    sync::{Arc, Mutex},
    time::Duration,
};

use hearback_core::channel::Capabilities;

pub use bench::Bench;
pub use harness::{Applies, Event, Fault, Harness, Heard, Outcome, Proof, call_back};

/// Makes one test of each case of the suite, for a type that is a [`Harness`], and names its kind in `SUITE`.
#[macro_export]
macro_rules! channel_conformance {
    ($harness:ty) => {
        /// The kind that is put through the suite here.
        pub const SUITE: &str = <$harness as $crate::channel::Harness>::KIND;

        $crate::channel_conformance! { $harness;
            limits::a_text_at_the_limit_passes_and_one_over_is_refused,
            limits::a_choice_at_the_limit_passes_and_one_over_is_refused,
            faults::a_401_is_auth,
            faults::a_404_is_not_found,
            faults::a_429_is_rate_limited_until_the_provider_says,
            faults::a_500_is_unavailable,
            faults::a_hang_ends_and_is_ambiguous_unless_sending_twice_is_harmless,
            faults::a_cut_connection_is_ambiguous_unless_sending_twice_is_harmless,
            faults::no_error_text_holds_a_secret,
            inbound::a_repeated_event_is_stored_once,
            inbound::a_bad_signature_is_refused,
            inbound::a_failing_inbox_prevents_the_acknowledgement,
            inbound::nothing_is_acknowledged_before_it_is_stored,
            inbound::a_call_that_nobody_signed_is_not_stored,
            abilities::every_undeclared_ability_is_unsupported,
            abilities::every_declared_ability_works,
            abilities::an_undeclared_answer_is_not_taken,
            abilities::a_link_carries_its_code_or_is_unsupported,
            abilities::other_contents_are_sent_or_unsupported,
            life::building_calls_nobody,
            life::a_probe_leaves_nothing_behind,
            life::stopping_ends_run,
        }
    };
    ($harness:ty; $($module:ident::$case:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() {
                $crate::channel::run::<$harness>(stringify!($case), $crate::channel::$module::$case).await;
            }
        )*
    };
}

/// How long a case may take by the machine's clock, so that one that hangs fails and says so.
const CASE_MAX: Duration = Duration::from_secs(30);

/// One case on one variant of a channel.
#[derive(Debug)]
pub struct Suite<H> {
    /// What the channel of this run declares.
    pub variant: Capabilities,
    tally: Arc<Tally>,
    harness: PhantomData<fn() -> H>,
}

/// What was checked, and what was left out for which reason.
#[derive(Debug, Default)]
struct Tally(Mutex<(BTreeSet<String>, BTreeMap<String, String>)>);

impl<H: Harness> Suite<H> {
    /// A new channel on a new fake of its provider.
    pub async fn open(&self) -> Bench<H> {
        Bench::open(self.variant).await
    }

    /// What applies; what does not is noted with its reason, and `None`.
    pub fn applies<T>(&self, what: &str, applies: Applies<T>) -> Option<T> {
        match applies {
            Applies::Yes(value) => {
                self.tally.0.lock().unwrap().0.insert(what.into());
                Some(value)
            }
            Applies::No(reason) => {
                self.tally.0.lock().unwrap().1.insert(what.into(), reason.into());
                None
            }
        }
    }

    /// Notes that something is checked on every variant.
    pub fn checks(&self, what: &str) {
        self.applies(what, Applies::Yes(()));
    }

    /// Whether this variant declares what a case is about.
    #[must_use]
    pub fn declares(&self, what: &str, declared: bool) -> bool {
        let applies = if declared { Applies::Yes(()) } else { Applies::No("no variant declares it") };
        self.applies(what, applies).is_some()
    }
}

/// Runs one case on every variant of a harness.
#[expect(clippy::print_stderr, reason = "libtest shows it with a failure, which then names its variant")]
pub async fn run<H: Harness>(case: &str, body: impl AsyncFn(&Suite<H>)) {
    let tally = Arc::new(Tally::default());
    let variants = H::variants();
    assert!(!variants.is_empty(), "{}: a harness builds at least one variant of its channel", H::KIND);
    for variant in variants {
        eprintln!("{} with {variant:?}", H::KIND);
        let suite = Suite { variant, tally: tally.clone(), harness: PhantomData };
        let within = tokio::time::timeout(CASE_MAX, body(&suite)).await;
        assert!(within.is_ok(), "{}, {case}: not over within {CASE_MAX:?}, so something hangs", H::KIND);
    }
    let (checked, left_out) = std::mem::take(&mut *tally.0.lock().unwrap());
    assert!(!checked.is_empty() || !left_out.is_empty(), "{case} checks nothing and does not say why");
    for (what, reason) in left_out.iter().filter(|(what, _)| !checked.contains(*what)) {
        // Straight to the stream: what a test prints is shown only when it fails. Where that is closed nobody reads it.
        let _ = writeln!(std::io::stderr(), "{}, {case}, not asked of {what}: {reason}", H::KIND);
    }
}
