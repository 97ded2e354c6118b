//! Faults that are put into the hub on purpose: a simulation that finds none of them would prove nothing.
//!
//! They live in what surrounds the hub, so that no line of production code knows of them.

use super::invariant::Invariant;

/// Something wrong with the hub, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A valid response is accepted without asking whether the request is still pending.
    SkipTheConditionalUpdate,
    /// A settlement is written down as done, and nobody is told.
    DropASettle,
    /// What one server has claimed is given to the next claimer too.
    ForgetALease,
    /// A response is acknowledged, but not stored.
    LoseAnAcknowledgedAnswer,
    /// A request is acknowledged, but not stored.
    AcknowledgeBeforeTheCommit,
    /// A question that is over is sent once more.
    AskAfterTheEnd,
    /// A channel that is ill is called again past its breaker.
    IgnoreTheBreaker,
    /// What is held for the next round is not queued again.
    ForgetARound,
    /// An ending does not reach those who wait for it on another server.
    LoseAWakeUp,
    /// The provider's id of an event is not looked at.
    RepeatAnEvent,
    /// A deadline passes, and nobody notes it.
    ForgetADeadline,
    /// A callback is written down as taken, and nobody is called.
    DropACallback,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::SkipTheConditionalUpdate,
        Self::DropASettle,
        Self::ForgetALease,
        Self::LoseAnAcknowledgedAnswer,
        Self::AcknowledgeBeforeTheCommit,
        Self::AskAfterTheEnd,
        Self::IgnoreTheBreaker,
        Self::ForgetARound,
        Self::LoseAWakeUp,
        Self::RepeatAnEvent,
        Self::ForgetADeadline,
        Self::DropACallback,
    ];

    /// The promises of which it may break one first.
    #[must_use]
    pub const fn breaks(self) -> &'static [Invariant] {
        match self {
            Self::SkipTheConditionalUpdate => &[Invariant::OneAccepted, Invariant::FairVerdicts],
            Self::DropASettle => &[Invariant::PeopleAreTold],
            // Who was asked twice sees two questions, of which one is settled; and the next claimer may be a server that
            // its person is not connected to.
            Self::ForgetALease => &[Invariant::AskedOnce, Invariant::PeopleAreTold, Invariant::SentWhereTheyAre],
            Self::LoseAnAcknowledgedAnswer => &[Invariant::NothingAcknowledgedLost],
            // The repeated creation is stored, as another request.
            Self::AcknowledgeBeforeTheCommit => &[Invariant::NothingAcknowledgedLost, Invariant::RepeatedIsOnce],
            Self::AskAfterTheEnd => &[Invariant::NoAttemptAfterTheEnd],
            Self::IgnoreTheBreaker => &[Invariant::NoCallWhileOpen],
            Self::ForgetARound => &[Invariant::RoutesGoOn],
            Self::DropACallback => &[Invariant::AskerIsCalledBack],
            Self::LoseAWakeUp => &[Invariant::WaitersHear],
            Self::RepeatAnEvent => &[Invariant::RepeatedIsOnce],
            Self::ForgetADeadline => {
                &[Invariant::EveryRequestEnds, Invariant::SettledOrGivenUp, Invariant::DueWorkBegins]
            }
        }
    }

    /// Its name, as in `docs/simulation.md`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SkipTheConditionalUpdate => "skip-the-conditional-update",
            Self::DropASettle => "drop-a-settle",
            Self::ForgetALease => "forget-a-lease",
            Self::LoseAnAcknowledgedAnswer => "lose-an-acknowledged-answer",
            Self::AcknowledgeBeforeTheCommit => "acknowledge-before-the-commit",
            Self::AskAfterTheEnd => "ask-after-the-end",
            Self::IgnoreTheBreaker => "ignore-the-breaker",
            Self::ForgetARound => "forget-a-round",
            Self::LoseAWakeUp => "lose-a-wake-up",
            Self::RepeatAnEvent => "repeat-an-event",
            Self::ForgetADeadline => "forget-a-deadline",
            Self::DropACallback => "drop-a-callback",
        }
    }
}
