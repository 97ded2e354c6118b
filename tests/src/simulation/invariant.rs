//! What holds after every schedule, by name.

/// A promise of the hub's that every schedule is checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// A request has at most one accepted response, and that one is its outcome.
    OneAccepted,
    /// What a caller heard `Ok` for is there afterwards, as the caller heard it.
    NothingAcknowledgedLost,
    /// Every request ends, once, and its events say so once.
    EveryRequestEnds,
    /// Every delivery of an ended request is settled, or given up with a reason.
    SettledOrGivenUp,
    /// Where a delivery is settled, the person who got the question was told how it ended.
    PeopleAreTold,
    /// No attempt begins after the end, and nobody is asked what is over.
    NoAttemptAfterTheEnd,
    /// No channel is called while its breaker is not closed.
    NoCallWhileOpen,
    /// A repeated event is one response, a repeated creation one request.
    RepeatedIsOnce,
    /// Where asking twice shows twice, nobody is asked twice.
    AskedOnce,
    /// With a fallback no stop of a route begins before those begun have failed, or have been silent for long enough.
    PatienceIsKept,
    /// The asker is told, once, that nobody was reached where that is so, and never while a question is out.
    UndeliverableIsTold,
    /// The agent hears of every ending that it wants to hear of, as it was, under one id.
    AskerIsCalledBack,
    /// Once nothing goes wrong any more, every open request gets as far as its route leads.
    RoutesGoOn,
    /// A receipt that a server got is stored, if the server lives, however the store fails meanwhile.
    ReceiptsAreKept,
    /// Where nothing slows a server down, due work begins at once, not when somebody looks again after a while.
    DueWorkBegins,
    /// Everybody who waits for an ending hears it.
    WaitersHear,
    /// A verdict follows the rules: bystanders are refused, what is late is late, what is invalid is not accepted.
    FairVerdicts,
    /// Whoever is connected to any living server is not taken for gone.
    NobodyPresentIsGone,
    /// What is asked of somebody who is connected to another server is sent there.
    SentWhereTheyAre,
    /// Of several servers one runs a channel at a time.
    OneRun,
    /// The hub does not panic.
    NoPanic,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::OneAccepted,
        Self::NothingAcknowledgedLost,
        Self::EveryRequestEnds,
        Self::SettledOrGivenUp,
        Self::PeopleAreTold,
        Self::NoAttemptAfterTheEnd,
        Self::NoCallWhileOpen,
        Self::RepeatedIsOnce,
        Self::AskedOnce,
        Self::PatienceIsKept,
        Self::UndeliverableIsTold,
        Self::AskerIsCalledBack,
        Self::RoutesGoOn,
        Self::ReceiptsAreKept,
        Self::DueWorkBegins,
        Self::WaitersHear,
        Self::FairVerdicts,
        Self::NobodyPresentIsGone,
        Self::SentWhereTheyAre,
        Self::OneRun,
        Self::NoPanic,
    ];

    /// Its name, as in `docs/simulation.md`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneAccepted => "one-accepted",
            Self::NothingAcknowledgedLost => "nothing-acknowledged-lost",
            Self::EveryRequestEnds => "every-request-ends",
            Self::SettledOrGivenUp => "settled-or-given-up",
            Self::PeopleAreTold => "people-are-told",
            Self::NoAttemptAfterTheEnd => "no-attempt-after-the-end",
            Self::NoCallWhileOpen => "no-call-while-open",
            Self::RepeatedIsOnce => "repeated-is-once",
            Self::AskedOnce => "asked-once",
            Self::PatienceIsKept => "patience-is-kept",
            Self::UndeliverableIsTold => "undeliverable-is-told",
            Self::AskerIsCalledBack => "asker-is-called-back",
            Self::RoutesGoOn => "routes-go-on",
            Self::ReceiptsAreKept => "receipts-are-kept",
            Self::DueWorkBegins => "due-work-begins",
            Self::WaitersHear => "waiters-hear",
            Self::FairVerdicts => "fair-verdicts",
            Self::NobodyPresentIsGone => "nobody-present-is-gone",
            Self::SentWhereTheyAre => "sent-where-they-are",
            Self::OneRun => "one-run",
            Self::NoPanic => "no-panic",
        }
    }
}
