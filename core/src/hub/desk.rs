//! What channels may ask the hub: who is where, what awaits them, how much there is.

use std::{sync::Arc, time::Duration};

use tokio::{pin, select};
use tracing::warn;

use super::{Hub, Running};
use crate::{
    channel::{Address, Awaiting, ChannelName, Pending, Receipt},
    error::Result,
    feedback::{Request, Status},
    id::RequestId,
    person::{Locale, UserRef},
    store::{Counts, RequestQuery, Scope},
};

/// How long a count is shown: everybody may ask for it, and it is not free.
const COUNTS_KEPT: Duration = Duration::from_mins(1);
/// How long a reply waits for the receipt of what it may be about.
const RECEIPT_WAIT: Duration = Duration::from_secs(2);
/// The most deliveries of one request that are looked at.
const DELIVERIES_MAX: usize = 1000;

impl Hub {
    /// Who is at an address: by the account itself where the channel knows people so, else by their confirmed address.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn person_at(&self, channel: &ChannelName, from: &Address) -> Result<Option<UserRef>> {
        let by_account =
            self.channels.get(channel).is_some_and(|running| running.channel().capabilities().account_addresses);
        if by_account {
            let found = self.store.people(&[from.to_string()]).await?;
            return Ok(found
                .into_iter()
                .flatten()
                .map(|person| person.user)
                .find(|user| user.id.to_string() == from.as_str()));
        }
        self.store.person_at(channel, from).await
    }

    /// Which request a channel sent with this receipt. Whoever is quick replies before the receipt is stored: while one may be
    /// on its way there, it is waited for.
    pub(super) async fn sent_as(
        &self,
        channel: &ChannelName,
        receipt: &Receipt,
        waits: bool,
    ) -> Result<Option<RequestId>> {
        let until = self.clock.now().after(RECEIPT_WAIT);
        loop {
            let stored = self.stored.notified();
            pin!(stored);
            // From now on no word is missed, while the store is asked.
            stored.as_mut().enable();
            let storing = self.channels.get(channel).is_some_and(|running| running.is_storing());
            let found = self.store.sent_as(channel, receipt).await?;
            if found.is_some() || !storing || !waits {
                return Ok(found);
            }
            select! {
                biased;
                () = stored => {}
                () = self.clock.sleep_until(until) => return Ok(None),
            }
        }
    }

    /// What awaits whoever is at an address, newest first. What is not out there is sent there now.
    pub(super) async fn awaiting(
        &self,
        channel: &ChannelName,
        from: &Address,
        limit: usize,
    ) -> Result<Option<Pending>> {
        let Some(person) = self.person_at(channel, from).await? else { return Ok(None) };
        let query = RequestQuery { scope: Scope::Asked(person.id), status: Some(Status::Pending), before: None, limit };
        let page = self.store.requests(query).await?;
        let known = self.store.people(&[person.id.to_string()]).await?.into_iter().flatten().next();
        let locale = known.and_then(|known| known.preferences.locale);
        let mut pending = Pending { person, out: Vec::new(), sending: 0, more: page.more };
        for request in page.items {
            let mut out = self.out_at(&request, &pending.person, (channel, from), locale.clone()).await?;
            if out.is_none() {
                if self.bring(&request, &pending.person, channel, from).await? {
                    pending.sending += 1;
                    continue;
                }
                // It has arrived between the two looks, or is over.
                out = self.out_at(&request, &pending.person, (channel, from), locale.clone()).await?;
            }
            pending.out.extend(out);
        }
        if pending.sending > 0 {
            self.sends_due.notify_one();
        }
        Ok(Some(pending))
    }

    /// A request as it is out to a person at an address.
    async fn out_at(
        &self,
        request: &Arc<Request>,
        person: &UserRef,
        (channel, address): (&ChannelName, &Address),
        locale: Option<Locale>,
    ) -> Result<Option<Awaiting>> {
        let deliveries = self.store.deliveries(request.id, None, DELIVERIES_MAX).await?;
        let theirs = deliveries.items.into_iter().rev().find(|one| {
            (&one.channel, &one.address, one.user_id) == (channel, address, person.id) && one.state.receipt().is_some()
        });
        let Some(delivery) = theirs else { return Ok(None) };
        let Some(receipt) = delivery.state.receipt().cloned() else { return Ok(None) };
        Ok(Some(Awaiting { outbound: self.question(&delivery, request, locale), receipt }))
    }

    async fn bring(
        &self,
        request: &Request,
        person: &UserRef,
        channel: &ChannelName,
        address: &Address,
    ) -> Result<bool> {
        let now = self.clock.now();
        let stop = (channel.clone(), address.clone());
        self.store.bring(self.delivery(request.id, person.id, stop, now), now).await
    }

    /// How much there is; at most a minute old.
    pub(super) async fn counted(&self) -> Result<Counts> {
        let now = self.clock.now();
        if let Some((_, counts)) = self.counted.lock().filter(|(at, _)| now.since(*at) < COUNTS_KEPT) {
            return Ok(counts);
        }
        let counts = self.store.counts().await?;
        *self.counted.lock() = Some((now, counts));
        Ok(counts)
    }

    /// Whether nothing is sent to an address because its person blocked the channel there. Where that cannot be known, it is
    /// tried.
    pub(super) async fn is_blocked(&self, running: &Running, address: &Address) -> bool {
        let channel = running.channel();
        if !channel.capabilities().links {
            return false;
        }
        self.addresses.is_blocked(channel.name(), address).await.unwrap_or_else(|error| {
            warn!(%error, channel = %channel.name(), "it is not known whether an address is blocked");
            false
        })
    }

    /// Notes that an address takes nothing any more. What is out there counts as unseen.
    pub(super) async fn blocked(&self, channel: &ChannelName, address: &Address) -> Result<()> {
        let _wake = self.routes_change();
        let now = self.clock.now();
        self.addresses.block(channel, address, now).await?;
        self.store.hasten_routes(channel, address, now).await.map(drop)
    }

    /// Notes that it does again.
    pub(super) async fn unblocked(&self, channel: &ChannelName, address: &Address) -> Result<()> {
        let links = self.channels.get(channel).is_some_and(|running| running.channel().capabilities().links);
        if !links {
            return Ok(());
        }
        let _wake = self.sends_change();
        self.addresses.unblock(channel, address, self.clock.now()).await
    }
}
