//! How a request ends.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Status;
use crate::{channel::ChannelName, clock::Timestamp, person::UserRef};

/// Where an outcome came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A person answered.
    Person,
    /// Nobody did; the asker had said what that should mean.
    OnExpiry,
}

/// The accepted value: who gave it, on which channel, when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// The value, valid for the question.
    pub value: Value,
    /// What the person said besides.
    pub comment: Option<String>,
    /// Who answered; nobody when the source is `on_expiry`.
    pub by: Option<UserRef>,
    /// On which channel; none when the source is `on_expiry`.
    pub channel: Option<ChannelName>,
    /// When the hub took it.
    pub at: Timestamp,
    /// Where it came from.
    pub source: Source,
}

/// How a request ended. It ends once.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// Somebody asked gave a valid answer in time.
    Answered(Outcome),
    /// The deadline passed.
    Expired {
        /// When.
        at: Timestamp,
        /// The outcome that the asker named for this case, if any; its source is [`Source::OnExpiry`].
        outcome: Option<Outcome>,
    },
    /// The asker took it back.
    Cancelled {
        /// When.
        at: Timestamp,
    },
}

impl Ending {
    /// The accepted value, if there is one.
    #[must_use]
    pub const fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Answered(outcome) => Some(outcome),
            Self::Expired { outcome, .. } => outcome.as_ref(),
            Self::Cancelled { .. } => None,
        }
    }

    /// When it ended.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Answered(outcome) => outcome.at,
            Self::Expired { at, .. } | Self::Cancelled { at } => *at,
        }
    }

    /// The status a request with this ending shows.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Answered(_) => Status::Answered,
            Self::Expired { .. } => Status::Expired,
            Self::Cancelled { .. } => Status::Cancelled,
        }
    }

    /// What is told in place of a question that was sent: with the sentence, where a text of that length is taken.
    #[must_use]
    pub fn closing(&self, text_max: Option<u32>) -> String {
        let whole = format!("This question is closed: {}.", self.sentence());
        let fits = text_max.is_none_or(|max| whole.chars().count() <= max as usize);
        if fits { whole } else { "This question is closed.".into() }
    }

    /// One sentence for the person who comes too late: who answered and where, or that it is over.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Answered(outcome) => {
                let by = outcome.by.as_ref().map_or("somebody", |user| user.username.as_str());
                let on = outcome.channel.as_ref().map(|channel| format!(" on {channel}")).unwrap_or_default();
                format!("{by} already answered{on} at {}", outcome.at)
            }
            Self::Expired { at, .. } => format!("the deadline passed at {at}"),
            Self::Cancelled { at } => format!("the asker cancelled the question at {at}"),
        }
    }
}
