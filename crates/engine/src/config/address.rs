//! Addresses to listen on, as Prometheus takes them: `127.0.0.1:9476`, `localhost:9476`, `[::1]:9476`, `:9476`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Where to listen. Parsed without asking a name server: a host is an IP address or `localhost`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenAddress {
    /// None is "any address of this machine" for probes, and loopback for the API.
    host: Option<IpAddr>,
    port: u16,
}

/// Why a text isn't an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid address {text:?}: {why}; write it as 127.0.0.1:9476, localhost:9476, [::1]:9476 or :9476")]
pub(crate) struct AddressError {
    text: String,
    why: &'static str,
}

impl ListenAddress {
    /// For the API, which has no authentication: loopback, or nothing.
    pub(crate) fn for_api(&self) -> Option<SocketAddr> {
        let host = self.host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        host.is_loopback().then_some(SocketAddr::new(host, self.port))
    }

    /// For probes and metrics: any address. Without a host all of them, IPv6 first, since that takes IPv4 as well where the
    /// machine has both.
    pub(crate) fn for_probes(&self) -> Vec<SocketAddr> {
        let hosts = match self.host {
            Some(host) => vec![host],
            None => vec![IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
        };
        hosts.into_iter().map(|host| SocketAddr::new(host, self.port)).collect()
    }
}

impl FromStr for ListenAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = |why| AddressError { text: text.to_owned(), why };
        let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("there is no port"))?;
        let port = port.parse().map_err(|_| wrong("the port must be a number from 0 to 65535"))?;
        let host = match host {
            "" => None,
            "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            host => {
                let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
                let ip = match inner {
                    Some(inner) => inner.parse().map(IpAddr::V6).ok(),
                    None => host.parse().map(IpAddr::V4).ok(),
                };
                Some(ip.ok_or_else(|| wrong("the host must be an IP address or localhost"))?)
            }
        };
        Ok(Self { host, port })
    }
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host {
            Some(host) => write!(f, "{}", SocketAddr::new(host, self.port)),
            None => write!(f, ":{}", self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(text: &str) -> Option<String> {
        text.parse::<ListenAddress>().expect(text).for_api().map(|address| address.to_string())
    }

    #[test]
    fn addresses_are_written_as_for_prometheus() {
        assert_eq!(api("127.0.0.1:9476").as_deref(), Some("127.0.0.1:9476"));
        assert_eq!(api("localhost:9476").as_deref(), Some("127.0.0.1:9476"));
        assert_eq!(api("[::1]:9476").as_deref(), Some("[::1]:9476"));
        assert_eq!(api(":9476").as_deref(), Some("127.0.0.1:9476"), "the API never leaves loopback");
        for elsewhere in ["0.0.0.0:9476", "[::]:9476", "10.0.0.1:9476"] {
            assert_eq!(api(elsewhere), None, "{elsewhere}");
        }
    }

    #[test]
    fn probes_may_be_on_any_address() {
        let probes = |text: &str| text.parse::<ListenAddress>().expect(text).for_probes();
        let shown: Vec<String> = probes(":9477").iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["[::]:9477", "0.0.0.0:9477"]);
        assert_eq!(probes("10.0.0.1:9477").len(), 1);
    }

    #[test]
    fn what_is_no_address_is_told_what_one_looks_like() {
        for text in ["", "9476", "127.0.0.1", "127.0.0.1:port", "::1:9476", "example.org:9476", "127.0.0.1:70000"] {
            let error = text.parse::<ListenAddress>().expect_err(text).to_string();
            assert!(error.contains("127.0.0.1:9476"), "{error}");
        }
    }
}
