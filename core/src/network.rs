//! Which addresses of the network the hub may call on somebody's word: public ones, and private ones that its operator
//! has allowed.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A list of networks in CIDR notation (`127.0.0.0/8,10.0.0.0/8`); empty by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    prefix: u8,
}

/// A text that is no list of networks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network in CIDR notation, like 127.0.0.0/8 or fd00::/8")]
pub struct NetworkError(String);

impl Networks {
    /// Whether the hub may connect to `address`: it is public, or in one of these networks. An IPv6 address that carries
    /// an IPv4 one is judged by that.
    #[must_use]
    pub fn permit(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.0.iter().any(|network| network.contains(address))
    }
}

impl Networks {
    /// Whether `address` lies in one of these networks. An IPv6 address that carries an IPv4 one is judged by that.
    #[must_use]
    pub fn include(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }
}

impl FromStr for Networks {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || NetworkError(text.into());
        let (base, prefix) = text.split_once('/').ok_or_else(error)?;
        let base: IpAddr = base.parse().map_err(|_| error())?;
        let prefix: u8 = prefix.parse().map_err(|_| error())?;
        if prefix > if base.is_ipv4() { 32 } else { 128 } {
            return Err(error());
        }
        Ok(Self { base, prefix })
    }
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        let same = |one: u128, other: u128, width: u32| {
            let shift = width - u32::from(self.prefix);
            one.checked_shr(shift).unwrap_or(0) == other.checked_shr(shift).unwrap_or(0)
        };
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => same(base.to_bits().into(), address.to_bits().into(), 32),
            (IpAddr::V6(base), IpAddr::V6(address)) => same(base.to_bits(), address.to_bits(), 128),
            _ => false,
        }
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}/{}", network.base, network.prefix)?;
        }
        Ok(())
    }
}

/// Whether an address is none of those that the registries of special addresses (RFC 6890) keep from the public network.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let protocol = a == 192 && b == 0 && c == 0;
    let benchmarking = a == 198 && (18..20).contains(&b);
    !(a == 0
        || a >= 224
        || shared
        || protocol
        || benchmarking
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation())
}

/// Global unicast is `2000::/3`. Within it, what translates or tunnels IPv4 could hide a private address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let documentation = (a == 0x2001 && b == 0x0db8) || (a == 0x3fff && b < 0x1000);
    let teredo_and_protocols = a == 0x2001 && b < 0x0200;
    let six_to_four = a == 0x2002;
    (0x2000..0x4000).contains(&a) && !(documentation || teredo_and_protocols || six_to_four)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_in_every_disguise_are_refused_unless_allowed() {
        let none = Networks::default();
        for private in [
            "127.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
        ] {
            assert!(!none.permit(private.parse().unwrap()), "{private}");
        }
        for public in ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"] {
            assert!(none.permit(public.parse().unwrap()), "{public}");
        }
        let some: Networks = "127.0.0.0/8, fd00::/8".parse().unwrap();
        assert!(some.permit("127.9.9.9".parse().unwrap()) && some.permit("::ffff:127.0.0.1".parse().unwrap()));
        assert!(some.permit("fdff::1".parse().unwrap()) && !some.permit("10.0.0.1".parse().unwrap()));
        assert!("0.0.0.0/0".parse::<Networks>().unwrap().permit("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_list_reads_as_it_is_written_and_a_bad_one_is_named() {
        assert_eq!("127.0.0.0/8,fd00::/8".parse::<Networks>().unwrap().to_string(), "127.0.0.0/8,fd00::/8");
        for bad in ["127.0.0.1", "127.0.0.0/33", "localhost/8", "::1/129"] {
            let error = bad.parse::<Networks>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`{bad}` is not a network in CIDR notation, like 127.0.0.0/8 or fd00::/8")
            );
        }
    }
}
