//! Networks: addresses that share their first bits (RFC 4632), as limits, bans and the filter name them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::str::FromStr;

/// One address or a block of them. An IPv4-mapped IPv6 address counts as its IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    /// The first address: the bits after the prefix are 0.
    first: IpAddr,
    prefix_bits: u8,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no address or network, such as 10.0.0.0/8")]
pub struct NetworkError;

impl Network {
    /// The network that has only this address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        let first = address.to_canonical();
        Self { first, prefix_bits: bits(first) }
    }

    /// What counts as one address for limits and bans. For IPv6 this is the /64, which belongs to one customer (RFC
    /// 6177). Loopback, link-local and NAT64 (RFC 6052) addresses count singly, because peers there share their first
    /// 64 bits.
    #[must_use]
    pub fn counted_as_one(address: IpAddr) -> Self {
        const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];
        let first = address.to_canonical();
        let prefix_bits = match first {
            IpAddr::V6(v6)
                if !v6.is_loopback() && !v6.is_unicast_link_local() && v6.segments()[..6] != NAT64 =>
            {
                64
            }
            _ => bits(first),
        };
        Self { first: masked(first, prefix_bits), prefix_bits }
    }

    /// Whether the network is smaller than what counts as one address.
    #[must_use]
    pub fn is_part_of_one(&self) -> bool {
        Self::counted_as_one(self.first).prefix_bits < self.prefix_bits
    }

    /// Reads a network, or an address in any printed form, with port, brackets or scope. An address is read as [what
    /// counts as one](Self::counted_as_one).
    ///
    /// # Errors
    ///
    /// If the text is neither.
    pub fn of_printed(text: &str) -> Result<Self, NetworkError> {
        let is_port = |rest: &str| rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
        let (address, prefix) = match text.strip_prefix('[') {
            Some(inner) => match inner.split_once(']').ok_or(NetworkError)? {
                (inner, rest) if rest.is_empty() || is_port(rest) => (inner, ""),
                (inner, rest) if rest.starts_with('/') => (inner, rest),
                _ => return Err(NetworkError),
            },
            None => match text.parse::<SocketAddrV4>() {
                Ok(with_port) => return Ok(Self::counted_as_one(IpAddr::V4(*with_port.ip()))),
                Err(_) => text.split_at(text.find('/').unwrap_or(text.len())),
            },
        };
        // A scope names an interface of this machine (RFC 4007); it does not belong to the address of a peer.
        let (address, inner_prefix) = address.split_at(address.find('/').unwrap_or(address.len()));
        let address = match address.split_once('%') {
            Some((address, scope)) if !scope.is_empty() && address.contains(':') => address,
            Some(_) => return Err(NetworkError),
            None => address,
        };
        let prefix = if prefix.is_empty() { inner_prefix } else { prefix };
        if prefix.is_empty() {
            return address.parse().map(Self::counted_as_one).map_err(|_| NetworkError);
        }
        format!("{address}{prefix}").parse()
    }

    /// Whether the network has every address of its family.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.prefix_bits == 0
    }

    /// Whether `address` is in the network.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && masked(address, self.prefix_bits) == self.first
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads `10.0.0.7`, `10.0.0.0/8`, `2001:db8::/32`. Bits after the prefix are ignored.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(at, bits)| (at, Some(bits)));
        let written = address.parse::<IpAddr>().map_err(|_| NetworkError)?;
        let address = written.to_canonical();
        // The prefix of an IPv4-mapped address includes the 96 bits before it (RFC 4291, section 2.5.5.2).
        let before = bits(written) - bits(address);
        let prefix_bits = match prefix {
            None => bits(address),
            Some(text) => {
                let bits_of_all = text.parse::<u8>().ok().filter(|count| *count <= bits(written));
                bits_of_all.and_then(|count| count.checked_sub(before)).ok_or(NetworkError)?
            }
        };
        Ok(Self { first: masked(address, prefix_bits), prefix_bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix_bits == bits(self.first) {
            self.first.fmt(f)
        } else {
            write!(f, "{}/{}", self.first, self.prefix_bits)
        }
    }
}

/// The number of bits of an address.
const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with all bits after the prefix set to 0.
fn masked(address: IpAddr, prefix_bits: u8) -> IpAddr {
    let after = u32::from(bits(address) - prefix_bits);
    match address {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & u32::MAX.checked_shl(after).unwrap_or(0)).into(),
        IpAddr::V6(v6) => {
            Ipv6Addr::from_bits(v6.to_bits() & u128::MAX.checked_shl(after).unwrap_or(0)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_holds_the_addresses_with_its_first_bits() {
        for (network, address, is_in) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.9.9.9/8", "10.255.0.1", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.6", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "203.0.113.9", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("192.0.2.0/24", "::ffff:192.0.2.9", true),
        ] {
            assert_eq!(net(network).holds(address.parse().unwrap()), is_in, "{network} {address}");
        }
    }

    #[test]
    fn a_network_is_read_and_written_with_its_prefix() {
        for (typed, written) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("::1", "::1"),
            ("2001:db8::7/64", "2001:db8::/64"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7/120", "192.0.2.0/24"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(net(typed).to_string(), written);
        }
        for wrong in [
            "",
            "bob",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0.0/8/8",
            "::ffff:0:0/95",
        ] {
            assert_eq!(wrong.parse::<Network>(), Err(NetworkError), "{wrong}");
        }
    }

    #[test]
    fn an_address_is_read_in_every_printed_form() {
        for (printed, meant) in [
            ("10.9.9.2", "10.9.9.2"),
            ("10.9.9.2:36216", "10.9.9.2"),
            ("10.9.9.2/8", "10.0.0.0/8"),
            ("fd00::1", "fd00::/64"),
            ("[fd00::1]", "fd00::/64"),
            ("[fd00::1]:77", "fd00::/64"),
            ("fd00::1/128", "fd00::1"),
            ("[fd00::1]/128", "fd00::1"),
            ("[fd00::1/48]", "fd00::/48"),
            ("fd00::1%eth0", "fd00::/64"),
            ("[fd00::1%2]:77", "fd00::/64"),
            ("fe80::1%eth0", "fe80::1"),
            ("[fe80::1%eth0]:9", "fe80::1"),
            ("fe80::1%eth0/64", "fe80::/64"),
            ("::1", "::1"),
            ("[::1]:5000", "::1"),
            ("64:ff9b::192.0.2.7", "64:ff9b::c000:207"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("[::ffff:192.0.2.7]:80", "192.0.2.7"),
        ] {
            assert_eq!(
                Network::of_printed(printed).map(|network| network.to_string()),
                Ok(meant.to_owned()),
                "{printed}"
            );
        }
        for wrong in [
            "",
            "bob",
            "[",
            "[]",
            "[::1",
            "[::1]x",
            "[::1]:70000",
            "10.0.0.1:",
            "10.0.0.1%eth0",
            "::1%",
            "unix",
        ] {
            assert_eq!(Network::of_printed(wrong), Err(NetworkError), "{wrong}");
        }
    }

    #[test]
    fn one_address_is_an_ipv4_address_or_an_ipv6_64() {
        let site = |text: &str| Network::counted_as_one(text.parse().unwrap()).to_string();
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::/64"),
            ("2001:db8::ffff:1", "2001:db8::/64"),
            ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
            ("::1", "::1"),
            ("fe80::1", "fe80::1"),
            ("febf:ffff::2", "febf:ffff::2"),
            ("fec0::2", "fec0::/64"),
            ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
            ("64:ff9b:1::192.0.2.1", "64:ff9b:1::/64"),
        ] {
            assert_eq!(site(address), expected, "{address}");
        }
    }

    fn addresses() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).into()),
            any::<u128>().prop_map(|bits| Ipv6Addr::from_bits(bits).into()),
        ]
    }

    proptest! {
        #[test]
        fn a_network_holds_its_addresses_and_reads_back(address in addresses(), prefix in 0_u8..=128) {
            let prefix = prefix.min(bits(address.to_canonical()));
            let network: Network = format!("{}/{prefix}", address.to_canonical()).parse().unwrap();
            prop_assert!(network.holds(address));
            prop_assert_eq!(network.to_string().parse(), Ok(network));
            let one = Network::counted_as_one(address);
            prop_assert!(one.holds(address) && !one.is_part_of_one());
            prop_assert_eq!(Network::of_printed(&address.to_string()), Ok(one));
            prop_assert_eq!(Network::of(address).to_string(), address.to_canonical().to_string());
        }
    }
}
