//! Networks: addresses that share their first bits (RFC 4632), as the filter and bans name them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// One address or a block of them. Addresses of either family are in their own form: an IPv4 address that came through
/// IPv6 is an IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    /// Its first address: the bits behind the prefix are 0.
    first: IpAddr,
    prefix_bits: u8,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no address or network, such as 10.0.0.0/8")]
pub struct NetworkError;

impl Network {
    /// The network of this address alone.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        let first = address.to_canonical();
        Self { first, prefix_bits: bits(first) }
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && masked(address, self.prefix_bits) == self.first
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads `10.0.0.7`, `10.0.0.0/8`, `2001:db8::/32`. Bits behind the prefix do not matter.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(at, bits)| (at, Some(bits)));
        let written = address.parse::<IpAddr>().map_err(|_| NetworkError)?;
        let address = written.to_canonical();
        // The prefix of an IPv4 address in its IPv6 form counts the 96 bits before it (RFC 4291, section 2.5.5.2).
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

/// The bits of an address.
const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with all bits behind the prefix at 0.
fn masked(address: IpAddr, prefix_bits: u8) -> IpAddr {
    let behind = u32::from(bits(address) - prefix_bits);
    match address {
        IpAddr::V4(v4) => {
            Ipv4Addr::from_bits(v4.to_bits() & u32::MAX.checked_shl(behind).unwrap_or(0)).into()
        }
        IpAddr::V6(v6) => {
            Ipv6Addr::from_bits(v6.to_bits() & u128::MAX.checked_shl(behind).unwrap_or(0)).into()
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
    fn a_network_holds_what_shares_its_first_bits() {
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
    fn a_network_reads_as_it_is_written() {
        for (typed, told) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("::1", "::1"),
            ("2001:db8::7/64", "2001:db8::/64"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7/120", "192.0.2.0/24"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(net(typed).to_string(), told);
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
            prop_assert_eq!(Network::of(address).to_string(), address.to_canonical().to_string());
        }
    }
}
