//! The limits of people: what DESIGN.md, section 8, counts.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use hearback_core::{
    Clock, Result,
    limits::{Act, Allowance, Exceeded, LimitName, Limits},
};

use super::{Cell, Counts, Standing, Taken};
use crate::config::Config;

/// Counts what people do, by the limits of a configuration.
pub struct PersonLimits {
    counts: Arc<dyn Counts>,
    clock: Arc<dyn Clock>,
    user: u32,
    session: u32,
    channel: u32,
}

impl fmt::Debug for PersonLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, session, channel, .. } = self;
        write!(f, "PersonLimits({user} a person, {session} a session, {channel} a channel)")
    }
}

impl PersonLimits {
    /// The limits of a configuration, counted by `counts`.
    #[must_use]
    pub fn new(config: &Config, counts: Arc<dyn Counts>, clock: Arc<dyn Clock>) -> Self {
        let (user, session) = (config.rate_limit_user, config.rate_limit_session);
        Self { counts, clock, user, session, channel: config.rate_limit_channel }
    }

    /// Every limit that is on for such an act.
    fn cells(&self, act: &Act) -> (Vec<LimitName>, Vec<Cell>) {
        let Act { user, channel, session } = act;
        let session = session.as_ref().and_then(|session| Cell::new("session", session, self.session));
        let cells = [
            (LimitName::User, Cell::new("user", user, self.user)),
            (LimitName::Session, session),
            (LimitName::Channel, Cell::new("channel", format_args!("{user}|{channel}"), self.channel)),
        ];
        cells.into_iter().filter_map(|(name, cell)| Some((name, cell?))).unzip()
    }
}

fn allowances(names: &[LimitName], cells: &[Cell], standings: &[Standing]) -> Vec<Allowance> {
    let mut all: Vec<_> = names
        .iter()
        .zip(cells)
        .zip(standings)
        .map(|((name, cell), standing)| Allowance {
            name: *name,
            limit: cell.per_minute.get(),
            remaining: standing.remaining,
            reset: standing.reset,
        })
        .collect();
    all.sort_by_key(|allowance| (allowance.remaining, allowance.limit));
    all
}

#[async_trait]
impl Limits for PersonLimits {
    async fn count(&self, act: &Act) -> Result<std::result::Result<Vec<Allowance>, Exceeded>> {
        let (names, cells) = self.cells(act);
        if cells.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let now = self.clock.now();
        match self.counts.take(&cells, now).await? {
            Taken::Allowed(standings) => Ok(Ok(allowances(&names, &cells, &standings))),
            Taken::Refused { index, wait } => {
                let reset = cells[index].reset(wait);
                let allowance =
                    Allowance { name: names[index], limit: cells[index].per_minute.get(), remaining: 0, reset };
                Ok(Err(Exceeded { allowance, retry_after: wait }))
            }
        }
    }

    async fn standing(&self, act: &Act) -> Result<Vec<Allowance>> {
        let (names, cells) = self.cells(act);
        if cells.is_empty() {
            return Ok(Vec::new());
        }
        let standings = self.counts.look(&cells, self.clock.now()).await?;
        Ok(allowances(&names, &cells, &standings))
    }
}
