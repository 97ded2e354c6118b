//! What holds whatever dies, by name.

/// A promise of the hub's that the clients hold it to. `docs/crash-test.md` says each in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    AcknowledgedIsThere,
    OneKeyAsksOnce,
    OneAccepted,
    EndedStaysEnded,
    FeedsAreWhole,
    AskedOnce,
    SentIsNotSentAgain,
    BegunIsWrittenDown,
    DeliveriesComeToRest,
    ShownIsSettled,
    WaitersHear,
    AskersAreCalled,
    AnswersAreDocumented,
    HubStartsAgain,
}

impl Promise {
    pub const ALL: [Self; 14] = [
        Self::AcknowledgedIsThere,
        Self::OneKeyAsksOnce,
        Self::OneAccepted,
        Self::EndedStaysEnded,
        Self::FeedsAreWhole,
        Self::AskedOnce,
        Self::SentIsNotSentAgain,
        Self::BegunIsWrittenDown,
        Self::DeliveriesComeToRest,
        Self::ShownIsSettled,
        Self::WaitersHear,
        Self::AskersAreCalled,
        Self::AnswersAreDocumented,
        Self::HubStartsAgain,
    ];

    /// Its name, as in `docs/crash-test.md`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AcknowledgedIsThere => "acknowledged-is-there",
            Self::OneKeyAsksOnce => "one-key-asks-once",
            Self::OneAccepted => "one-accepted",
            Self::EndedStaysEnded => "ended-stays-ended",
            Self::FeedsAreWhole => "feeds-are-whole",
            Self::AskedOnce => "asked-once",
            Self::SentIsNotSentAgain => "sent-is-not-sent-again",
            Self::BegunIsWrittenDown => "begun-is-written-down",
            Self::DeliveriesComeToRest => "deliveries-come-to-rest",
            Self::ShownIsSettled => "shown-is-settled",
            Self::WaitersHear => "waiters-hear",
            Self::AskersAreCalled => "askers-are-called",
            Self::AnswersAreDocumented => "answers-are-documented",
            Self::HubStartsAgain => "hub-starts-again",
        }
    }
}
