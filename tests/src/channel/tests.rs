//! The suite itself: a channel without a flaw passes all of it, and every flaw fails the case that is about it.

mod toy;

use super::run;
use toy::{Flaw, Toy};

mod without_a_flaw {
    use super::{Flaw, Toy};

    crate::channel_conformance!(Toy<{ Flaw::NONE }>);

    #[test]
    fn its_kind_is_named_for_the_list() {
        assert_eq!(SUITE, "toy");
    }
}

macro_rules! caught {
    ($($test:ident: $flaw:ident, $module:ident::$case:ident, $words:literal;)*) => {$(
        #[tokio::test]
        #[should_panic(expected = $words)]
        async fn $test() {
            run::<Toy<{ Flaw::$flaw }>>(stringify!($case), super::$module::$case).await;
        }
    )*};
}

caught! {
    a_text_that_is_cut_is_caught:
        CUTS, limits::a_text_at_the_limit_passes_and_one_over_is_refused, "arrives whole";
    a_wrong_kind_is_caught:
        WRONG_KIND, faults::a_401_is_auth, "Rejected";
    a_forgotten_retry_after_is_caught:
        FORGETS_RETRY_AFTER, faults::a_429_is_rate_limited_until_the_provider_says, "Backoff";
    a_second_try_is_caught:
        TRIES_AGAIN, faults::a_500_is_unavailable, "calls once";
    an_unknown_end_that_is_said_to_be_none_is_caught:
        SURE_OF_A_CUT, faults::a_cut_connection_is_ambiguous_unless_sending_twice_is_harmless, "Unavailable";
    a_secret_in_base64_below_an_error_is_caught:
        LEAKS, faults::no_error_text_holds_a_secret, "in base64";
    a_code_in_an_error_is_caught:
        TELLS_THE_CODE, faults::no_error_text_holds_a_secret, "holds the secret code-";
    a_channel_that_prints_its_secret_is_caught:
        SHOWS_ITSELF, life::building_calls_nobody, "debug output holds the secret";
    an_event_without_its_id_is_caught:
        DROPS_EVENT_IDS, inbound::a_repeated_event_is_stored_once, "stored once";
    an_unverified_signature_is_caught:
        BELIEVES, inbound::a_bad_signature_is_refused, "a bad signature is refused";
    an_unsigned_call_that_is_believed_is_caught:
        BELIEVES, inbound::a_call_that_nobody_signed_is_not_stored, "Acknowledged";
    an_acknowledgement_of_what_failed_is_caught:
        ACKNOWLEDGES_ANYWAY, inbound::a_failing_inbox_prevents_the_acknowledgement, "prevents the acknowledgement";
    an_early_acknowledgement_is_caught:
        ACKNOWLEDGES_EARLY, inbound::nothing_is_acknowledged_before_it_is_stored, "before it was stored";
    an_early_acknowledgement_fails_with_the_inbox_too:
        ACKNOWLEDGES_EARLY, inbound::a_failing_inbox_prevents_the_acknowledgement, "prevents the acknowledgement";
    a_deaf_run_is_caught:
        NEVER_STOPS, life::stopping_ends_run, "bounded time";
    a_probe_that_is_seen_is_caught:
        PROBES_ALOUD, life::a_probe_leaves_nothing_behind, "leaves nothing behind";
    building_that_calls_is_caught:
        CALLS_AT_BUILDING, life::building_calls_nobody, "building calls nobody";
    a_settlement_that_sends_is_caught:
        SETTLES_ALOUD, abilities::every_declared_ability_works, "settling edits";
    an_undeclared_settlement_below_the_guard_is_caught:
        SETTLES_ANYWAY, abilities::every_undeclared_ability_is_unsupported, "an undeclared ability is refused";
    an_undeclared_answer_that_is_taken_is_caught:
        HEARS_ANYBODY, abilities::an_undeclared_answer_is_not_taken, "an undeclared answer is refused";
    another_content_that_fails_otherwise_is_caught:
        REJECTS_CODES, abilities::other_contents_are_sent_or_unsupported, "a code";
}

/// A case that asks nothing and gives no reason is a fault of the suite's.
#[tokio::test]
#[should_panic(expected = "checks nothing")]
async fn a_case_that_checks_nothing_is_caught() {
    run::<Toy<{ Flaw::NONE }>>("nothing", async |_: &super::Suite<_>| {}).await;
}
