//! Word of due work, between servers that share a store.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicU8, Ordering},
};

use tokio::sync::Notify;

use super::Bus;

/// Work that a commit made due. As text one letter, so that word of it is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Work {
    /// Deliveries are due, or are no longer left for another server.
    Sends,
    /// Routes are due, or will be sooner than before.
    Routes,
    /// Settlements are due.
    Settlements,
    /// A new deadline may come before all others.
    Deadlines,
    /// Callbacks to askers are due.
    Callbacks,
    /// Nobody runs some channel any more.
    Runs,
}

impl Work {
    /// All of it.
    pub const ALL: [Self; 6] =
        [Self::Sends, Self::Routes, Self::Settlements, Self::Deadlines, Self::Callbacks, Self::Runs];

    const fn letter(self) -> char {
        match self {
            Self::Sends => 's',
            Self::Routes => 'r',
            Self::Settlements => 'e',
            Self::Deadlines => 'd',
            Self::Callbacks => 'c',
            Self::Runs => 'u',
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Write::write_char(f, self.letter())
    }
}

/// A text that names no work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of the letters s, r, e, d, c, u")]
pub struct WorkError;

impl FromStr for Work {
    type Err = WorkError;

    fn from_str(text: &str) -> Result<Self, WorkError> {
        let named = |work: &Self| text.chars().eq([work.letter()]);
        Self::ALL.into_iter().find(named).ok_or(WorkError)
    }
}

/// The work that nobody has taken notice of yet: word of the same work that comes twice is one word.
#[derive(Default)]
pub(super) struct Woken {
    bits: AtomicU8,
    told: Notify,
}

impl Bus {
    /// Says that there is work. Called by a store that other servers share, for what their commits made due.
    pub fn wake(&self, work: Work) {
        self.woken.bits.fetch_or(1 << work as u8, Ordering::AcqRel);
        self.woken.told.notify_one();
    }

    /// The work that there is word of since the last call; waits until there is some. One task alone calls this: the
    /// hub's.
    pub async fn woken(&self) -> Vec<Work> {
        loop {
            let bits = self.woken.bits.swap(0, Ordering::AcqRel);
            if bits != 0 {
                return Work::ALL.into_iter().filter(|work| bits & (1 << *work as u8) != 0).collect();
            }
            self.woken.told.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[test]
    fn work_reads_back_from_its_letter_and_nothing_else_does() {
        for work in Work::ALL {
            assert_eq!(work.to_string().parse(), Ok(work));
        }
        for text in ["", "x", "sr", "S"] {
            assert_eq!(text.parse::<Work>(), Err(WorkError), "{text}");
        }
    }

    #[tokio::test]
    async fn word_of_work_waits_for_its_listener_and_comes_once() {
        let bus = Bus::default();
        for work in [Work::Runs, Work::Sends, Work::Sends] {
            bus.wake(work);
        }
        assert_eq!(bus.woken().await, [Work::Sends, Work::Runs]);
        let mut next = Box::pin(bus.woken());
        assert!(poll!(&mut next).is_pending());
        bus.wake(Work::Deadlines);
        assert_eq!(next.await, [Work::Deadlines]);
    }
}
