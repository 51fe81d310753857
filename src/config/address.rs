//! The address of a listener as written in the configuration, and the addresses that it resolves to.
//!
//! Reading is pure; only [`Endpoint::resolve`] asks the system for the addresses of names.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::settings::{ListenAddr, too_long_for_a_socket};
use super::value::{Setting, describe, quoted, text};

/// An address whose host may still be a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Known(ListenAddr),
    /// A name to look up.
    Named {
        /// Neither empty nor an address.
        host: String,
        /// 0 for any free one.
        port: u16,
    },
}

impl Endpoint {
    /// Reads `host:port`, `[v6]:port` or `unix:/path`.
    ///
    /// # Errors
    ///
    /// Says what is missing and how to write it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix(path);
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return tcp(address).map(Self::Known);
        }
        if text.starts_with(['/', '.']) {
            return Err(format!("{text:?} looks like a path: write \"unix:{text}\" for a Unix socket"));
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(format!("{text:?}: an IPv6 address goes in brackets, such as \"[::1]:6677\""));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(format!(
                "{text:?} is no HOST:PORT, such as \"127.0.0.1:6677\", and no \"unix:/path\""
            ));
        };
        let port = port.parse::<u16>().map_err(|_| format!("{port:?} is no port: 0 to 65535"))?;
        Ok(Self::Named { host: host_name(host)?.to_owned(), port })
    }

    /// The same with a relative path of a Unix socket resolved against `base`.
    pub(super) fn within(self, base: &Path) -> Self {
        match self {
            Self::Known(ListenAddr::Unix(path)) => Self::Known(ListenAddr::Unix(base.join(path))),
            other => other,
        }
    }

    /// The addresses to listen on. Of a name with several, all that this machine can bind, IPv4 first; with port 0 only
    /// the first, because each would get a different port.
    ///
    /// # Errors
    ///
    /// If a name is not found, or a path is too long for a socket.
    pub(super) fn resolve(&self) -> Result<Vec<ListenAddr>, String> {
        match self {
            Self::Known(ListenAddr::Unix(path)) => match too_long_for_a_socket(path) {
                Some(why) => Err(format!("{} {why}: choose a shorter one", path.display())),
                None => Ok(vec![ListenAddr::Unix(path.clone())]),
            },
            Self::Known(address) => Ok(vec![address.clone()]),
            Self::Named { host, port } => look_up(host, *port),
        }
    }
}

impl Setting for Endpoint {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let Some(text) = text(value) else {
            return Err(format!("must be a \"HOST:PORT\" or \"unix:/path\", not {}", describe(value)));
        };
        Self::parse(text)
    }

    fn write(&self) -> String {
        quoted(&match self {
            Self::Known(address) => address.to_string(),
            Self::Named { host, port } => format!("{host}:{port}"),
        })
    }
}

/// An IPv4-mapped address means the IPv4 address (RFC 4291, section 2.5.5.2). A link-local address needs an interface
/// (RFC 4007, section 6).
fn tcp(address: SocketAddr) -> Result<ListenAddr, String> {
    match address {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0 => {
            let (ip, port) = (v6.ip(), v6.port());
            Err(format!("{ip} is a link-local address: name its interface, such as \"[{ip}%eth0]:{port}\""))
        }
        _ => match address.ip().to_canonical() {
            ip @ IpAddr::V4(_) => Ok(ListenAddr::Tcp(SocketAddr::new(ip, address.port()))),
            IpAddr::V6(_) => Ok(ListenAddr::Tcp(address)),
        },
    }
}

/// Whether one process cannot listen on both: they are equal, or one takes the connections of the other.
pub(super) fn collide(a: &ListenAddr, b: &ListenAddr) -> bool {
    match (a, b) {
        (ListenAddr::Tcp(a), ListenAddr::Tcp(b)) if a.port() == b.port() && a.port() != 0 => {
            a.ip() == b.ip() || covers(a.ip(), b.ip()) || covers(b.ip(), a.ip())
        }
        (ListenAddr::Unix(a), ListenAddr::Unix(b)) => a == b,
        _ => false,
    }
}

/// `0.0.0.0` takes every IPv4 address, `[::]` every address (ipv6(7), `IPV6_V6ONLY` off).
fn covers(wide: IpAddr, other: IpAddr) -> bool {
    wide.is_unspecified() && (wide.is_ipv6() || other.is_ipv4())
}

fn unix(path: &str) -> Result<Endpoint, String> {
    if path.is_empty() || path.contains('\0') {
        return Err("a Unix socket needs a path, such as \"unix:/run/chatops.sock\"".to_owned());
    }
    Ok(Endpoint::Known(ListenAddr::Unix(PathBuf::from(OsStr::from_bytes(path.as_bytes())))))
}

/// The host, without the brackets of an IPv6 address with a zone, such as `[fe80::1%eth0]`.
fn host_name(host: &str) -> Result<&str, String> {
    if matches!(host, "" | "*") {
        return Err("a host is missing: 127.0.0.1 for this machine only, [::] for all addresses".to_owned());
    }
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Ok(inner);
    }
    if host.contains(':') && !host.contains('/') {
        return Err(format!("{host:?}: an IPv6 address goes in brackets, such as \"[::1]:6677\""));
    }
    if host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return Ok(host);
    }
    Err(format!("{host:?} is no host: write a name or an address, such as \"127.0.0.1:6677\""))
}

fn look_up(host: &str, port: u16) -> Result<Vec<ListenAddr>, String> {
    let found = (host, port).to_socket_addrs().map_err(|error| {
        format!(
            "no address is known for the host {host:?} ({error}): correct it, or write the address itself"
        )
    })?;
    let mut addresses: Vec<SocketAddr> = found.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.dedup();
    if addresses.len() > 1 {
        let bindable: Vec<SocketAddr> = addresses.iter().copied().filter(is_ours).collect();
        if !bindable.is_empty() {
            addresses = bindable;
        }
    }
    if port == 0 {
        addresses.truncate(1);
    }
    Ok(addresses.into_iter().map(ListenAddr::Tcp).collect())
}

/// Whether this machine has the address: a hosts file may name `::1` on a machine without IPv6. A datagram socket is
/// bound for the test, so that the TCP port stays free.
fn is_ours(address: &SocketAddr) -> bool {
    UdpSocket::bind((address.ip(), 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::settings::UNIX_PATH_MAX;
    use super::*;

    fn at(text: &str) -> ListenAddr {
        ListenAddr::Tcp(text.parse().unwrap())
    }

    #[test]
    fn addresses_are_read() {
        assert_eq!(Endpoint::parse("127.0.0.1:6677"), Ok(Endpoint::Known(at("127.0.0.1:6677"))));
        assert_eq!(Endpoint::parse("[::ffff:127.0.0.1]:6677"), Ok(Endpoint::Known(at("127.0.0.1:6677"))));
        assert_eq!(Endpoint::parse("[fe80::1%2]:6677"), Ok(Endpoint::Known(at("[fe80::1%2]:6677"))));
        assert_eq!(Endpoint::parse("[::]:0"), Ok(Endpoint::Known(at("[::]:0"))));
        assert_eq!(
            Endpoint::parse("unix:/run/c.sock"),
            Ok(Endpoint::Known(ListenAddr::Unix("/run/c.sock".into())))
        );
        assert_eq!(
            Endpoint::parse("chat.example:6677"),
            Ok(Endpoint::Named { host: "chat.example".to_owned(), port: 6677 })
        );
        assert_eq!(
            Endpoint::parse("[fe80::1%lo]:6677"),
            Ok(Endpoint::Named { host: "fe80::1%lo".to_owned(), port: 6677 })
        );
    }

    #[test]
    fn a_text_that_is_no_address_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "is no HOST:PORT"),
            ("6677", "is no HOST:PORT"),
            ("localhost", "is no HOST:PORT"),
            (":6677", "a host is missing"),
            ("*:6677", "a host is missing"),
            ("[fe80::1]:6677", "name its interface, such as \"[fe80::1%eth0]:6677\""),
            ("::1:6677", "goes in brackets"),
            ("fe80::1%lo:6677", "goes in brackets"),
            ("localhost:65536", "is no port"),
            ("localhost:", "is no port"),
            ("localhost:-1", "is no port"),
            ("http://localhost:80", "is no host"),
            ("a b:80", "is no host"),
            ("/run/c.sock", "write \"unix:/run/c.sock\""),
            ("unix:", "needs a path"),
        ] {
            let error = Endpoint::parse(text).unwrap_err();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused() {
        let longest = format!("unix:/{}", "a".repeat(UNIX_PATH_MAX - 1));
        assert!(Endpoint::parse(&longest).unwrap().resolve().is_ok());
        let error = Endpoint::parse(&format!("{longest}a")).unwrap().resolve().unwrap_err();
        assert!(error.contains("has 108 bytes"), "{error}");
    }

    #[test]
    fn localhost_is_every_loopback_address_of_the_machine() {
        let found = Endpoint::parse("localhost:6677").unwrap().resolve().unwrap();
        assert!(found.contains(&at("127.0.0.1:6677")), "{found:?}");
        assert_eq!(found.contains(&at("[::1]:6677")), {
            let hosts: Vec<SocketAddr> = ("localhost", 6677).to_socket_addrs().unwrap().collect();
            hosts.iter().any(SocketAddr::is_ipv6) && is_ours(&"[::1]:0".parse().unwrap())
        });
        assert_eq!(Endpoint::parse("localhost:0").unwrap().resolve().unwrap(), [at("127.0.0.1:0")]);
    }

    #[test]
    fn listeners_that_exclude_each_other_collide() {
        let unix = |path: &str| ListenAddr::Unix(path.into());
        for (a, b, expected) in [
            (at("127.0.0.1:1"), at("127.0.0.1:1"), true),
            (at("127.0.0.1:1"), at("127.0.0.1:2"), false),
            (at("127.0.0.1:0"), at("127.0.0.1:0"), false),
            (at("127.0.0.1:1"), at("[::1]:1"), false),
            (at("0.0.0.0:1"), at("127.0.0.1:1"), true),
            (at("0.0.0.0:1"), at("[::1]:1"), false),
            (at("[::]:1"), at("127.0.0.1:1"), true),
            (unix("/a"), unix("/a"), true),
            (unix("/a"), unix("/b"), false),
        ] {
            assert_eq!(collide(&a, &b), expected, "{a} {b}");
            assert_eq!(collide(&b, &a), expected, "{b} {a}");
        }
    }
}
