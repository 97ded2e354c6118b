//! One request, to one person, over one channel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    channel::{Address, ChannelName, Receipt},
    clock::Timestamp,
    id::{DeliveryId, RequestId, UserId},
};

/// The state of a delivery, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Waits for its attempt.
    Queued,
    /// An attempt has begun.
    Sending,
    /// The provider took it.
    Sent,
    /// It reached the person's device.
    Delivered,
    /// The person saw it.
    Read,
    /// It was given up.
    Failed,
    /// The person is not connected; it is sent when they are.
    Skipped,
    /// It may or may not have been sent.
    Unknown,
    /// The person was told how the request ended, or there was nothing to tell.
    Settled,
}

/// Why the end of a request leaves a delivery unknown that was to be attempted again.
pub const IN_DOUBT: &str = "an earlier attempt may have arrived";

/// The state of a delivery with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Waits for its attempt.
    Queued {
        /// Not before this.
        due: Timestamp,
        /// Why it is to be attempted again, where it is.
        reason: Option<String>,
    },
    /// It failed in a way that may pass: the next round of the person's route tries it again.
    Held {
        /// Why.
        reason: String,
        /// Not before this.
        until: Timestamp,
    },
    /// An attempt has begun; it counts as dead when the lease runs out.
    Sending {
        /// When the lease runs out.
        lease: Timestamp,
    },
    /// The provider took it.
    Sent {
        /// The provider's id for it.
        receipt: Receipt,
    },
    /// It reached the person's device.
    Delivered {
        /// The provider's id for it.
        receipt: Receipt,
    },
    /// The person saw it.
    Read {
        /// The provider's id for it.
        receipt: Receipt,
    },
    /// It was given up.
    Failed {
        /// Why.
        reason: String,
    },
    /// The person is not connected.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It may or may not have been sent.
    Unknown {
        /// Why.
        reason: String,
    },
    /// Nothing is left to tell.
    Settled,
}

impl DeliveryState {
    /// The state's name.
    #[must_use]
    pub const fn status(&self) -> DeliveryStatus {
        match self {
            Self::Queued { .. } | Self::Held { .. } => DeliveryStatus::Queued,
            Self::Sending { .. } => DeliveryStatus::Sending,
            Self::Sent { .. } => DeliveryStatus::Sent,
            Self::Delivered { .. } => DeliveryStatus::Delivered,
            Self::Read { .. } => DeliveryStatus::Read,
            Self::Failed { .. } => DeliveryStatus::Failed,
            Self::Skipped { .. } => DeliveryStatus::Skipped,
            Self::Unknown { .. } => DeliveryStatus::Unknown,
            Self::Settled => DeliveryStatus::Settled,
        }
    }

    /// The provider's id for what was sent, while the person still sees the question.
    #[must_use]
    pub const fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Sent { receipt } | Self::Delivered { receipt } | Self::Read { receipt } => Some(receipt),
            _ => None,
        }
    }

    /// Whether an attempt goes on, or its end is not known.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Sending { .. } | Self::Unknown { .. })
    }

    /// What the person's device or the person did with it. Never goes back, and says nothing about what was not sent.
    #[must_use]
    pub fn acknowledged(self, read: bool) -> Self {
        match self {
            Self::Sent { receipt } | Self::Delivered { receipt } if read => Self::Read { receipt },
            Self::Sent { receipt } => Self::Delivered { receipt },
            other => other,
        }
    }

    /// Why it is not on its way, where it is not.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Queued { reason, .. } => reason.as_deref(),
            Self::Held { reason, .. }
            | Self::Failed { reason }
            | Self::Skipped { reason }
            | Self::Unknown { reason } => Some(reason),
            _ => None,
        }
    }

    /// What the end of the request makes of it: what nobody saw has nothing to settle; what was sent keeps its state
    /// until its channel has told the person; what failed stays failed, with its reason. What is `in_doubt` may be seen,
    /// but without a receipt its person cannot be told.
    #[must_use]
    pub fn ended(self, in_doubt: bool) -> Self {
        match self {
            Self::Queued { .. } | Self::Held { .. } | Self::Skipped { .. } if in_doubt => {
                Self::Unknown { reason: IN_DOUBT.into() }
            }
            Self::Queued { .. } | Self::Held { .. } | Self::Skipped { .. } => Self::Settled,
            other => other,
        }
    }
}

/// One try of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// Counts from 1.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// What went wrong, if anything did.
    pub error: Option<String>,
}

/// One request, to one person, over one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// What is delivered.
    pub request_id: RequestId,
    /// To whom.
    pub user_id: UserId,
    /// Over which channel.
    pub channel: ChannelName,
    /// Where the person is reached there.
    pub address: Address,
    /// Where it stands.
    pub state: DeliveryState,
    /// Whether the end of an attempt is not known, so that the person may see it although no receipt is there.
    pub in_doubt: bool,
    /// Every try, oldest first.
    pub attempts: Vec<Attempt>,
}

/// A delivery as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Delivery")]
pub struct DeliveryDocument {
    /// Its id.
    pub id: DeliveryId,
    /// To whom.
    pub user_id: UserId,
    /// Over which channel.
    pub channel: ChannelName,
    /// Where the person is reached there.
    pub address: Address,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Why it is not on its way: what failed and is tried again or not, why it was skipped, why its end is unknown.
    pub reason: Option<String>,
    /// Every try, oldest first.
    pub attempts: Vec<Attempt>,
    /// When the next try is due, while one is.
    pub next_attempt_at: Option<Timestamp>,
}

impl From<Delivery> for DeliveryDocument {
    fn from(delivery: Delivery) -> Self {
        let next_attempt_at = match delivery.state {
            DeliveryState::Queued { due, .. } => Some(due),
            _ => None,
        };
        Self {
            id: delivery.id,
            user_id: delivery.user_id,
            channel: delivery.channel,
            address: delivery.address,
            status: delivery.state.status(),
            reason: delivery.state.reason().map(Into::into),
            attempts: delivery.attempts,
            next_attempt_at,
        }
    }
}
