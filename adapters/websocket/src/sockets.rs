//! Who is connected.

use std::{collections::HashMap, fmt, sync::Arc};

use hearback_core::{event::EventId, person::Reader};
use parking_lot::Mutex;
use tokio::sync::watch;

/// How many sockets there may be; 0 is any number.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of one person or service token.
    pub per_reader: usize,
    /// In all.
    pub total: usize,
}

/// Why a socket is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// This reader has its share.
    #[error("you have {0} sockets open, which is the limit: close one first")]
    PerReader(usize),
    /// The hub has its share.
    #[error("the hub has {0} sockets open, which is its limit: try again later")]
    Total(usize),
}

#[derive(Debug)]
struct Entry {
    count: usize,
    /// The newest event up to which at least one of the reader's sockets has been written.
    written: watch::Sender<EventId>,
}

#[derive(Debug, Default)]
struct Inner {
    total: usize,
    readers: HashMap<Reader, Entry>,
}

/// The open sockets.
#[derive(Debug)]
pub struct Sockets {
    limits: Limits,
    inner: Mutex<Inner>,
}

impl Sockets {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, inner: Mutex::default() })
    }

    /// Admits a socket, before the upgrade, so that a refusal is an HTTP answer.
    ///
    /// # Errors
    ///
    /// Which limit is reached.
    pub(crate) fn admit(self: &Arc<Self>, reader: Reader) -> Result<Ticket, AdmissionError> {
        let mut inner = self.inner.lock();
        let Limits { per_reader, total } = self.limits;
        if total > 0 && inner.total >= total {
            return Err(AdmissionError::Total(total));
        }
        let entry =
            inner.readers.entry(reader).or_insert_with(|| Entry { count: 0, written: watch::Sender::default() });
        if per_reader > 0 && entry.count >= per_reader {
            return Err(AdmissionError::PerReader(per_reader));
        }
        entry.count += 1;
        let written = entry.written.clone();
        inner.total += 1;
        Ok(Ticket { sockets: self.clone(), reader, written })
    }

    /// How far at least one of the reader's sockets has been written; `None` when there is no socket.
    pub(crate) fn progress(&self, reader: Reader) -> Option<watch::Receiver<EventId>> {
        self.inner.lock().readers.get(&reader).map(|entry| entry.written.subscribe())
    }

    fn leave(&self, reader: Reader) {
        let mut inner = self.inner.lock();
        inner.total -= 1;
        if let Some(entry) = inner.readers.get_mut(&reader) {
            entry.count -= 1;
            if entry.count == 0 {
                inner.readers.remove(&reader);
            }
        }
    }
}

/// A socket's place among the open ones; dropping it leaves.
pub struct Ticket {
    sockets: Arc<Sockets>,
    pub(crate) reader: Reader,
    written: watch::Sender<EventId>,
}

impl Ticket {
    /// Notes that this socket has been written up to `event`.
    pub(crate) fn wrote(&self, event: EventId) {
        self.written.send_if_modified(|newest| {
            let newer = event > *newest;
            *newest = event.max(*newest);
            newer
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.sockets.leave(self.reader);
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({:?})", self.reader)
    }
}
