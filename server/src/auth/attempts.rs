//! Log-in attempts: those that fail are slowed, by the name that is tried and by the address it is tried from.
//!
//! A name counts whether anybody has it or not, and a username apart from the e-mail of the same account: otherwise the limit
//! would tell which accounts there are. An attempt counts before it is known whether it fails, so that many at once get
//! no further; one that succeeds is taken back.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use hearback_core::{Clock, id::UserId, limits::whole_seconds, network::Networks};
use http::HeaderMap;
use poem::Request;

use crate::{
    api::{
        limits::rate_headers,
        problem::{Problem, ProblemKind},
    },
    config::Config,
    limits::{Cell, Counts, Taken},
};

/// Counts failed log-ins.
pub struct Attempts {
    counts: Arc<dyn Counts>,
    clock: Arc<dyn Clock>,
    per_minute: u32,
    proxies: Networks,
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attempts({} a minute)", self.per_minute)
    }
}

impl Attempts {
    /// Counts by a configuration.
    #[must_use]
    pub fn new(config: &Config, counts: Arc<dyn Counts>, clock: Arc<dyn Clock>) -> Self {
        let (per_minute, proxies) = (config.rate_limit_login, config.trusted_proxies.clone());
        Self { counts, clock, per_minute, proxies }
    }

    /// Verifies a password by `verify`, unless too many attempts of this name, or from this address, have failed lately.
    ///
    /// # Errors
    ///
    /// `too_many_requests`; and those of `verify`, after which nothing is counted.
    pub(super) async fn guarded(
        &self,
        login: &str,
        from: Option<IpAddr>,
        verify: impl Future<Output = Result<bool, Problem>>,
    ) -> Result<bool, Problem> {
        let name = Cell::new("log-in name", login, self.per_minute);
        let cells: Vec<_> = name.into_iter().chain(self.cell_of(from)).collect();
        self.counted(&cells, verify).await
    }

    /// Verifies the present password of somebody who is signed in. It counts apart from log-ins, so that nobody else keeps them
    /// from changing it.
    ///
    /// # Errors
    ///
    /// As for [`Attempts::guarded`].
    pub(super) async fn guarded_for(
        &self,
        person: UserId,
        verify: impl Future<Output = Result<bool, Problem>>,
    ) -> Result<bool, Problem> {
        let cell = Cell::new("present password", person, self.per_minute);
        self.counted(cell.as_slice(), verify).await
    }

    /// Looks whether the names of a registration are free. That one is taken tells which accounts there are, so it counts as
    /// a log-in that failed.
    ///
    /// # Errors
    ///
    /// `too_many_requests` after too many from this address, whether they are free or not; else those of `look`.
    pub(super) async fn guarded_names(
        &self,
        from: Option<IpAddr>,
        look: impl Future<Output = Result<bool, Problem>>,
    ) -> Result<bool, Problem> {
        self.counted(self.cell_of(from).as_slice(), look).await
    }

    fn cell_of(&self, from: Option<IpAddr>) -> Option<Cell> {
        from.and_then(|from| Cell::new("log-in address", network(from), self.per_minute))
    }

    async fn counted(
        &self,
        cells: &[Cell],
        verify: impl Future<Output = Result<bool, Problem>>,
    ) -> Result<bool, Problem> {
        if cells.is_empty() {
            return verify.await;
        }
        if let Taken::Refused { index, wait } = self.counts.take(cells, self.clock.now()).await? {
            let detail = format!("Too many attempts have failed. Try again in {} s.", whole_seconds(wait));
            let problem = Problem::new(ProblemKind::TooManyRequests, detail).with_retry_after(wait);
            return Err(rate_headers(problem, cells[index].per_minute.get(), 0, cells[index].reset(wait)));
        }
        let verified = verify.await;
        if !matches!(verified, Ok(false))
            && let Err(error) = self.counts.give_back(cells, self.clock.now()).await
        {
            // It counts as one that failed, for a few seconds.
            tracing::warn!(%error, "an attempt that succeeded stays counted");
        }
        verified
    }

    /// The address that a call comes from: what the connection says, or, where that is a trusted proxy, what it says in
    /// `X-Forwarded-For`. What a caller writes there before the proxy adds to it counts for nothing.
    #[must_use]
    pub fn address(&self, call: &Request) -> Option<IpAddr> {
        let remote = call.remote_addr().as_socket_addr()?.ip();
        Some(self.behind_proxies(remote, call.headers()))
    }

    fn behind_proxies(&self, remote: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut address = remote.to_canonical();
        let values = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<_> = values.flat_map(|text| text.split(',')).map(str::trim).collect();
        for hop in hops.into_iter().rev() {
            if !self.proxies.include(address) {
                break;
            }
            let Some(before) = forwarded(hop) else { break };
            address = before;
        }
        address
    }
}

/// An address as proxies write it: with a port or without.
fn forwarded(hop: &str) -> Option<IpAddr> {
    let address = hop.parse().ok().or_else(|| hop.parse().ok().map(|address: std::net::SocketAddr| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// Whoever has one address of IPv6 has the 64 bits below it too.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use hearback_core::{Timestamp, clock::ManualClock};

    use super::*;
    use crate::limits::MemoryCounts;

    fn attempts(proxies: &str) -> Attempts {
        let config = Config { trusted_proxies: proxies.parse().unwrap(), ..Config::default() };
        Attempts::new(&config, Arc::new(MemoryCounts::default()), Arc::new(ManualClock::at(Timestamp::from_micros(0))))
    }

    #[test]
    fn only_what_trusted_proxies_add_is_believed() {
        let address = |proxies: &str, remote: &str, forwarded: &[&str]| {
            let name = http::HeaderName::from_static("x-forwarded-for");
            let headers = forwarded.iter().map(|value| (name.clone(), value.parse().unwrap())).collect();
            attempts(proxies).behind_proxies(remote.parse().unwrap(), &headers).to_string()
        };
        let (proxy, public) = ("127.0.0.1", "203.0.113.7");
        assert_eq!(address("", proxy, &[public]), "127.0.0.1", "nobody is trusted by default");
        assert_eq!(address("127.0.0.0/8", proxy, &[public]), public);
        assert_eq!(address("127.0.0.0/8", proxy, &["198.51.100.1, 203.0.113.7"]), public, "the caller wrote the first");
        assert_eq!(address("127.0.0.0/8", proxy, &["198.51.100.1", public]), public);
        assert_eq!(address("127.0.0.0/8,10.0.0.0/8", proxy, &["203.0.113.7, 10.1.1.1"]), public);
        assert_eq!(address("127.0.0.0/8", proxy, &["203.0.113.7:4711"]), public);
        assert_eq!(address("127.0.0.0/8", proxy, &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(address("127.0.0.0/8", proxy, &["unknown"]), "127.0.0.1");
        assert_eq!(address("127.0.0.0/8", proxy, &[]), "127.0.0.1");
        assert_eq!(address("127.0.0.0/8", "203.0.113.9", &[public]), "203.0.113.9");
    }

    #[test]
    fn addresses_of_one_network_of_ipv6_count_together() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), network("2001:db8:1:2:ffff::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("203.0.113.7"), "203.0.113.7");
    }
}
