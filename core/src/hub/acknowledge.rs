//! Noting what arrived and what was seen.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tracing::warn;

use super::{Hub, OnDrop};
use crate::{
    channel::{Address, ChannelName, Receipt},
    error::{Error, ErrorKind, Result},
    id::DeliveryId,
    store::Noted,
};

/// How many acknowledgements wait for their attempt to be written down.
const EARLY_MAX: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Acknowledgement {
    channel: ChannelName,
    address: Address,
    receipt: Receipt,
    read: bool,
}

/// Acknowledgements that came before their attempt's end was stored: a device can be faster than the hub's disk.
#[derive(Debug, Default)]
pub(super) struct Early(Mutex<VecDeque<Acknowledgement>>);

impl Hub {
    /// Notes an acknowledgement, or keeps it until the attempt that it is for has been stored.
    pub(super) async fn acknowledge(
        &self,
        channel: ChannelName,
        address: Address,
        receipt: Receipt,
        read: bool,
    ) -> Result<()> {
        let acknowledgement = Acknowledgement { channel, address, receipt, read };
        // Kept before the store is asked: whichever of the two is later finds the other.
        {
            let mut early = self.early.0.lock();
            if early.len() == EARLY_MAX {
                early.pop_front();
            }
            early.push_back(acknowledgement.clone());
        }
        let Acknowledgement { channel, address, receipt, .. } = &acknowledgement;
        if self.store.acknowledge(channel, address, receipt, read, self.clock.now()).await? {
            self.early.0.lock().retain(|kept| *kept != acknowledgement);
        }
        Ok(())
    }

    /// Notes a receipt that came by another way than the end of its attempt. One that is no news is welcome all the same.
    ///
    /// # Errors
    ///
    /// `NotFound` when the channel has no such delivery, and those of the store.
    pub(super) async fn note_receipt(
        &self,
        channel: &ChannelName,
        delivery: DeliveryId,
        receipt: &Receipt,
    ) -> Result<()> {
        let _wake = OnDrop(|| {
            self.routes_due.notify_one();
            self.settlements_due.notify_one();
        });
        let noted = self.store.note_receipt(channel, delivery, receipt, self.clock.now()).await?;
        let Some(Noted { address, .. }) = noted else {
            let detail = "there is no such delivery on this channel";
            return Err(Error::new(ErrorKind::NotFound, "hub.note_receipt", detail));
        };
        self.acknowledge_early(channel, &address, receipt).await;
        Ok(())
    }

    /// Notes what was acknowledged while its attempt was being stored.
    pub(super) async fn acknowledge_early(&self, channel: &ChannelName, address: &Address, receipt: &Receipt) {
        let of_this =
            |kept: &Acknowledgement| kept.channel == *channel && kept.address == *address && kept.receipt == *receipt;
        let read = {
            let mut early = self.early.0.lock();
            let found: Vec<bool> = early.iter().filter(|kept| of_this(kept)).map(|kept| kept.read).collect();
            early.retain(|kept| !of_this(kept));
            if found.is_empty() {
                return;
            }
            found.contains(&true)
        };
        if let Err(error) = self.store.acknowledge(channel, address, receipt, read, self.clock.now()).await {
            warn!(%error, %channel, "an acknowledgement could not be stored");
        }
    }
}
