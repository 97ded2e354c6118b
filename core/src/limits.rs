//! How much a person may do in a minute (DESIGN.md, section 8): what counts, and the port that counts it.
//!
//! What counts: answers, changes of addresses and preferences, messages to an agent, sessions opened and closed. What an agent
//! asks does not, nor what the hub does by itself.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{channel::ChannelName, error::Result, id::UserId};

/// Something that a person does, and that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Who.
    pub user: UserId,
    /// The channel it came by.
    pub channel: ChannelName,
    /// The session that it belongs to, where it belongs to one.
    pub session: Option<String>,
}

/// What a limit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum LimitName {
    /// All that a person does.
    User,
    /// What a person does in one session.
    Session,
    /// What a person does over one channel.
    Channel,
}

/// How a limit stands for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Which limit.
    pub name: LimitName,
    /// How much it allows in a minute, and at once after a pause.
    pub limit: u32,
    /// How much it allows at once now.
    pub remaining: u32,
    /// How long until it allows all of it again, when nothing more is done.
    pub reset: Duration,
}

/// A limit as callers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RateLimit {
    /// `user`: all that you do; `channel`: what you do over the channel that this call came by; `session`: in one session.
    pub name: LimitName,
    /// How much it allows in a minute, and at once after a pause.
    pub limit: u32,
    /// How much it allows at once now.
    pub remaining: u32,
    /// Seconds until it allows all of it again, when nothing more is done.
    pub reset: u64,
}

impl From<Allowance> for RateLimit {
    fn from(Allowance { name, limit, remaining, reset }: Allowance) -> Self {
        Self { name, limit, remaining, reset: whole_seconds(reset) }
    }
}

/// A limit is reached. What was tried is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The limit.
    pub allowance: Allowance,
    /// How long until it allows one more.
    pub retry_after: Duration,
}

impl Exceeded {
    /// What is said to the person.
    #[must_use]
    pub fn sentence(&self) -> String {
        let of = match self.allowance.name {
            LimitName::User => "",
            LimitName::Session => " in this session",
            LimitName::Channel => " over this channel",
        };
        let (limit, seconds) = (self.allowance.limit, whole_seconds(self.retry_after));
        format!("more than {limit} a minute{of}: nothing was done, try again in {seconds} s")
    }
}

/// A span in whole seconds, rounded up: whoever waits for so long has waited long enough.
#[must_use]
pub fn whole_seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

/// Counts what people do.
#[async_trait]
pub trait Limits: fmt::Debug + Send + Sync + 'static {
    /// Counts one act against every limit that is on, or against none when one of them is reached. Says how those limits
    /// stand, the tightest first.
    ///
    /// # Errors
    ///
    /// `Unavailable` when what servers share does not answer.
    async fn count(&self, act: &Act) -> Result<std::result::Result<Vec<Allowance>, Exceeded>>;

    /// How the limits stand for such an act, the tightest first. Counts nothing.
    ///
    /// # Errors
    ///
    /// As for [`Limits::count`].
    async fn standing(&self, act: &Act) -> Result<Vec<Allowance>>;
}

/// No limits at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlimited;

#[async_trait]
impl Limits for Unlimited {
    async fn count(&self, _: &Act) -> Result<std::result::Result<Vec<Allowance>, Exceeded>> {
        Ok(Ok(Vec::new()))
    }

    async fn standing(&self, _: &Act) -> Result<Vec<Allowance>> {
        Ok(Vec::new())
    }
}
