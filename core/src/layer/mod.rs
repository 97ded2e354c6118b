//! What surrounds every channel. Outermost first: trace, metrics, guard, breaker, limit, timeout, begun.
//!
//! A layer sees every call through one method, [`Layer::around`]; [`Layered`] spells the [`Channel`] trait out once for
//! all of them, so that a new ability breaks exactly one place at compile time. `run` lives as long as the hub and
//! `reach` cannot fail, so layers leave those two alone.

mod begun;
mod breaker;
mod guard;
mod limit;
mod metrics;
mod timeout;
mod trace;

use std::{fmt, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

pub use begun::Begun;
pub use breaker::{Breaker, BreakerState, BreakerStatus};

use crate::{
    channel::{
        Address, Callback, CallbackReply, Capabilities, Channel, ChannelName, Connect, Inbox, Outbound, Reach, Receipt,
        Settlement,
    },
    clock::Clock,
    error::Result,
    secret::Secret,
};

/// Which of a channel's abilities is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`Channel::probe`].
    Probe,
    /// [`Channel::link`].
    Link,
    /// [`Channel::send`].
    Send,
    /// [`Channel::settle`].
    Settle,
    /// [`Channel::callback`].
    Callback,
}

impl Operation {
    /// The name in logs, metrics and errors.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "channel.probe",
            Self::Link => "channel.link",
            Self::Send => "channel.send",
            Self::Settle => "channel.settle",
            Self::Callback => "channel.callback",
        }
    }
}

/// One call, as a layer sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    /// What is called.
    operation: Operation,
    /// The channel below this layer.
    channel: &'a Arc<dyn Channel>,
    /// What is sent to whom, when something is.
    sending: Option<(&'a Address, &'a Outbound)>,
}

/// One concern around the calls of a channel.
pub(crate) trait Layer: fmt::Debug + Send + Sync + 'static {
    /// Makes the call `next`, or does not, and says what came of it.
    fn around<T: Send>(
        &self,
        call: Call<'_>,
        next: impl Future<Output = Result<T>> + Send,
    ) -> impl Future<Output = Result<T>> + Send;
}

/// A channel with one layer around it.
#[derive(Debug)]
struct Layered<L> {
    layer: L,
    inner: Arc<dyn Channel>,
}

impl<L: Layer> Layered<L> {
    fn call(&self, operation: Operation) -> Call<'_> {
        Call { operation, channel: &self.inner, sending: None }
    }
}

#[async_trait]
impl<L: Layer> Channel for Layered<L> {
    fn name(&self) -> &ChannelName {
        self.inner.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    async fn probe(&self) -> Result<()> {
        self.layer.around(self.call(Operation::Probe), self.inner.probe()).await
    }

    async fn reach(&self, to: &Address) -> Reach {
        self.inner.reach(to).await
    }

    fn is_personal(&self, to: &Address) -> bool {
        self.inner.is_personal(to)
    }

    async fn link(&self, code: &Secret) -> Result<String> {
        self.layer.around(self.call(Operation::Link), self.inner.link(code)).await
    }

    async fn send(&self, to: &Address, what: &Outbound) -> Result<Receipt> {
        let call = Call { sending: Some((to, what)), ..self.call(Operation::Send) };
        self.layer.around(call, self.inner.send(to, what)).await
    }

    async fn settle(&self, what: &Settlement<'_>) -> Result<()> {
        self.layer.around(self.call(Operation::Settle), self.inner.settle(what)).await
    }

    async fn run(&self, inbox: Arc<dyn Inbox>, stop: CancellationToken) -> Result<()> {
        self.inner.run(inbox, stop).await
    }

    async fn callback(&self, call: Callback, inbox: Arc<dyn Inbox>) -> Result<CallbackReply> {
        self.layer.around(self.call(Operation::Callback), self.inner.callback(call, inbox)).await
    }

    fn connect(&self) -> Option<&dyn Connect> {
        self.inner.connect()
    }
}

/// A channel with every layer around it.
#[derive(Debug)]
pub struct Surrounded {
    /// The outermost.
    pub channel: Arc<dyn Channel>,
    /// Its breaker, whose state can be read.
    pub breaker: Arc<Breaker>,
    /// Which of its sends have got as far as the channel.
    pub begun: Arc<Begun>,
}

/// Puts every layer around a channel.
#[must_use]
pub fn surround(channel: Arc<dyn Channel>, clock: &Arc<dyn Clock>, send_timeout: Duration) -> Surrounded {
    fn wrap(layer: impl Layer, inner: Arc<dyn Channel>) -> Arc<dyn Channel> {
        Arc::new(Layered { layer, inner })
    }
    let Capabilities { send_rate, address_rate, .. } = *channel.capabilities();
    let (breaker, begun) = (Arc::new(Breaker::new(clock.clone())), Arc::new(Begun::default()));
    let channel = wrap(begun::BegunLayer(begun.clone()), channel);
    let channel = wrap(timeout::Timeout::new(clock.clone(), send_timeout), channel);
    let channel = wrap(limit::Limit::new(clock.clone(), send_rate, address_rate, breaker.clone()), channel);
    let channel = wrap(breaker::BreakerLayer::new(breaker.clone()), channel);
    let channel = wrap(guard::Guard, channel);
    let channel = wrap(metrics::Metrics::new(clock.clone()), channel);
    Surrounded { channel: wrap(trace::Trace, channel), breaker, begun }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        channel::{Content, MemoryChannel},
        clock::{ManualClock, Timestamp},
    };

    pub(crate) struct Bench {
        pub clock: Arc<ManualClock>,
        pub below: Arc<MemoryChannel>,
        pub channel: Arc<dyn Channel>,
        pub breaker: Arc<Breaker>,
    }

    pub(crate) fn surrounded(capabilities: Capabilities) -> Bench {
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(0)));
        let below = Arc::new(MemoryChannel::new("memory".parse().unwrap(), capabilities));
        let shared: Arc<dyn Clock> = clock.clone();
        let Surrounded { channel, breaker, .. } = surround(below.clone(), &shared, Duration::from_secs(10));
        Bench { clock, below, channel, breaker }
    }

    pub(crate) fn notice(text: &str) -> Outbound {
        Outbound {
            id: uuid::Uuid::nil(),
            content: Content::Notice { text: text.into() },
            answer_url: None,
            thread: None,
            locale: None,
        }
    }

    pub(crate) fn address() -> Address {
        "ana".parse().unwrap()
    }
}
