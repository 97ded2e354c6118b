//! The running channels and how they fare.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::OnDrop;
use crate::{
    channel::{Address, Channel, ChannelName},
    clock::{Clock, Timestamp},
    error::{Error, ErrorKind},
    layer::{Begun, Breaker, BreakerState, BreakerStatus, Surrounded, surround},
};

/// How often a channel is probed that works.
const PROBE_WELL: Duration = Duration::from_mins(5);
/// How often one is probed that does not.
const PROBE_ILL: Duration = Duration::from_secs(30);

/// How a channel fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelState {
    /// It works.
    Up,
    /// Its last call or its last probe failed, but it is still called.
    Degraded,
    /// Its breaker is open.
    Down,
    /// Its credentials are wrong: an administrator has to connect it again.
    NeedsAuth,
}

#[derive(Debug, Default)]
struct Health {
    last_error: Option<(String, Timestamp)>,
    failing: bool,
    needs_auth: bool,
}

/// A channel with its layers, its breaker and its health.
pub struct Running {
    kind: &'static str,
    channel: Arc<dyn Channel>,
    breaker: Arc<Breaker>,
    begun: Arc<Begun>,
    clock: Arc<dyn Clock>,
    health: Mutex<Health>,
    /// How many attempts have begun whose end is not stored.
    unstored: AtomicUsize,
    /// Told when it stops working, so that it is probed sooner.
    pub(super) troubled: Notify,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({:?})", self.kind, self.channel.name())
    }
}

impl Running {
    /// The kind of its adapter.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The channel, with its layers.
    #[must_use]
    pub fn channel(&self) -> &Arc<dyn Channel> {
        &self.channel
    }

    /// An address as it is compared and kept.
    #[must_use]
    pub fn usual(&self, address: Address) -> Address {
        if self.channel.capabilities().email_addresses { address.in_lower_case() } else { address }
    }

    /// Its breaker's state, and since when.
    #[must_use]
    pub fn breaker(&self) -> BreakerStatus {
        self.breaker.status()
    }

    /// Which of its sends have got as far as the channel itself.
    pub(super) fn begun(&self) -> &Begun {
        &self.begun
    }

    /// Counts an attempt whose end is not stored, until what is returned is dropped.
    pub(super) fn storing(&self) -> impl Drop + '_ {
        self.unstored.fetch_add(1, Ordering::AcqRel);
        OnDrop(|| {
            self.unstored.fetch_sub(1, Ordering::AcqRel);
        })
    }

    /// Whether something may have been sent whose receipt is not stored yet.
    pub(super) fn is_storing(&self) -> bool {
        self.unstored.load(Ordering::Acquire) > 0
    }

    /// How it fares.
    #[must_use]
    pub fn state(&self) -> ChannelState {
        let health = self.health.lock();
        match self.breaker().state {
            _ if health.needs_auth => ChannelState::NeedsAuth,
            BreakerState::Open | BreakerState::HalfOpen => ChannelState::Down,
            BreakerState::Closed if health.failing => ChannelState::Degraded,
            BreakerState::Closed => ChannelState::Up,
        }
    }

    /// Whether it takes no questions now: why, and for how long at least. A probe ends that.
    pub(super) fn refuses(&self) -> Option<(String, Duration)> {
        if self.health.lock().needs_auth {
            return Some(("the channel's credentials were refused".into(), PROBE_ILL));
        }
        self.breaker.refuses_for().map(|left| ("the channel's breaker is open".into(), left))
    }

    /// How long it goes without a probe.
    pub(super) fn probe_every(&self) -> Duration {
        if self.state() == ChannelState::Up { PROBE_WELL } else { PROBE_ILL }
    }

    /// The last fault and when it was noted, if there was one since the start.
    #[must_use]
    pub fn last_error(&self) -> Option<(String, Timestamp)> {
        self.health.lock().last_error.clone()
    }

    /// Notes how a probe went. Whatever it says, a channel whose probe fails does not work as it is configured.
    pub(super) fn note_probe(&self, result: Result<(), &Error>) {
        self.note(result);
        if result.is_err() {
            self.health.lock().failing = true;
        }
    }

    /// Notes how a call went. Only what says that the service is ill, or its credentials wrong, changes its state.
    pub(super) fn note(&self, result: Result<(), &Error>) {
        let mut health = self.health.lock();
        match result {
            Ok(()) => {
                health.failing = false;
                health.needs_auth = false;
            }
            Err(error) => {
                // That the breaker is open says nothing of why.
                if !error.is_uncalled() {
                    health.last_error = Some((error.to_string(), self.clock.now()));
                }
                health.failing |= error.is_illness();
                health.needs_auth |= error.kind() == ErrorKind::Auth;
                if health.failing {
                    self.troubled.notify_one();
                }
            }
        }
    }
}

/// The channels by name.
#[derive(Clone, Debug)]
pub struct Channels {
    by_name: Arc<BTreeMap<ChannelName, Arc<Running>>>,
}

impl Channels {
    /// Puts the layers around `channels`, each with the kind of its adapter. Names are unique: of two, the last stays.
    #[must_use]
    pub fn new(
        channels: impl IntoIterator<Item = (&'static str, Arc<dyn Channel>)>,
        clock: &Arc<dyn Clock>,
        send_timeout: Duration,
    ) -> Self {
        let by_name = channels
            .into_iter()
            .map(|(kind, channel)| {
                let Surrounded { channel, breaker, begun } = surround(channel, clock, send_timeout);
                let running = Running {
                    kind,
                    channel,
                    breaker,
                    begun,
                    clock: clock.clone(),
                    health: Mutex::default(),
                    unstored: AtomicUsize::new(0),
                    troubled: Notify::new(),
                };
                (running.channel.name().clone(), Arc::new(running))
            })
            .collect();
        Self { by_name: Arc::new(by_name) }
    }

    /// A channel by its name.
    #[must_use]
    pub fn get(&self, name: &ChannelName) -> Option<&Arc<Running>> {
        self.by_name.get(name)
    }

    /// Every channel, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Running>> {
        self.by_name.values()
    }
}
