//! Where a request comes from: the peer, or what proxies that are trusted say of it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{FORWARDED, HeaderMap, HeaderName, X_FORWARDED_FOR};
use ipnet::IpNet;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A proxy, or a network of them, that is believed when it says where a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxy(IpNet);

/// A text that is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address nor a network: say for example 10.0.0.7 or 10.0.0.0/8")]
pub struct NoNetwork(String);

impl TryFrom<String> for TrustedProxy {
    type Error = NoNetwork;

    fn try_from(text: String) -> Result<Self, NoNetwork> {
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map(Self).map_err(|_| NoNetwork(text))
    }
}

impl<'de> Deserialize<'de> for TrustedProxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Those addresses that count as one: an IPv4 address, or the /64 that a subscriber to IPv6 is given at least, in
/// which each of its machines may have as many addresses as it likes (RFC 6177).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix(IpAddr);

impl Prefix {
    /// The one that holds an address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        })
    }
}

/// Where a request comes from: the peer; or, if that is a trusted proxy, the last address on the way to it that is
/// none. What stands before that one, anybody may have written.
pub fn address_of(request: &HttpRequest, proxies: &[TrustedProxy]) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    let is_trusted = |address: IpAddr| proxies.iter().any(|proxy| proxy.0.contains(&address));
    if !is_trusted(peer) {
        return Some(peer);
    }
    let client = |hops: &mut dyn Iterator<Item = Option<IpAddr>>| {
        let mut nearest = peer;
        for hop in hops {
            let Some(hop) = hop else { break }; // hidden: the proxy that says so is as far as one can see
            nearest = hop;
            if !is_trusted(nearest) {
                break;
            }
        }
        nearest
    };
    let by_list = client(&mut backwards(request.headers(), &X_FORWARDED_FOR).map(address));
    let by_pairs = client(&mut backwards(request.headers(), &FORWARDED).map(forwarded_for));
    // A proxy that writes one of the two lets the other pass as it came: then that one proves nothing.
    Some(match (by_list == peer, by_pairs == peer) {
        (false, true) => by_list,
        (true, false) => by_pairs,
        _ if by_list == by_pairs => by_list,
        _ => peer,
    })
}

/// The elements of a header that may come in several lines, the last one first.
fn backwards<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines: Vec<_> = headers.get_all(name).collect();
    lines.into_iter().rev().flat_map(|line| line.to_str().unwrap_or("").rsplit(','))
}

/// `for=` of an element (RFC 7239, section 4).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    address(node.trim().trim_matches('"'))
}

/// An address as proxies write it: with a port or without, and in brackets, if it is one of IPv6.
fn address(node: &str) -> Option<IpAddr> {
    let node = node.trim();
    let bare = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(node);
    let address = bare.parse().ok().or_else(|| node.parse::<SocketAddr>().ok().map(|it| it.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const PROXY: &str = "10.0.0.7:4711";

    fn seen(peer: &str, headers: &[(&str, &str)]) -> String {
        let proxies = ["10.0.0.0/8", "fd00::1"].map(|text| text.to_owned().try_into().expect("a proxy"));
        let mut request = TestRequest::default().peer_addr(peer.parse().expect("an address"));
        for header in headers {
            request = request.append_header(*header);
        }
        address_of(&request.to_http_request(), &proxies).expect("it has a peer").to_string()
    }

    #[test]
    fn a_stranger_is_not_believed() {
        let says = [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")];
        assert_eq!(seen("203.0.113.9:80", &says), "203.0.113.9");
        assert_eq!(seen("[::ffff:203.0.113.9]:80", &says), "203.0.113.9");
    }

    #[test]
    fn a_trusted_proxy_is_believed_about_the_last_address_that_is_no_trusted_proxy() {
        assert_eq!(seen(PROXY, &[]), "10.0.0.7");
        assert_eq!(seen(PROXY, &[("X-Forwarded-For", "192.0.2.1")]), "192.0.2.1");
        assert_eq!(seen("[::ffff:10.0.0.7]:1", &[("X-Forwarded-For", "192.0.2.1")]), "192.0.2.1");
        assert_eq!(seen("[fd00::1]:1", &[("X-Forwarded-For", "2001:db8::5")]), "2001:db8::5");
        // What the client itself had written stands in front.
        assert_eq!(seen(PROXY, &[("X-Forwarded-For", "127.0.0.1, 192.0.2.1, 10.1.1.1")]), "192.0.2.1");
        let lines = [("X-Forwarded-For", "198.51.100.1, 192.0.2.1"), ("X-Forwarded-For", "10.1.1.1")];
        assert_eq!(seen(PROXY, &lines), "192.0.2.1");
        assert_eq!(seen(PROXY, &[("X-Forwarded-For", "10.9.9.9, 10.1.1.1")]), "10.9.9.9");
    }

    #[test]
    fn addresses_come_with_ports_brackets_and_quotes() {
        for (header, value, expected) in [
            ("X-Forwarded-For", "192.0.2.1:5000", "192.0.2.1"),
            ("X-Forwarded-For", "[2001:db8::5]:5000", "2001:db8::5"),
            ("X-Forwarded-For", "[2001:db8::5]", "2001:db8::5"),
            ("X-Forwarded-For", "::ffff:192.0.2.1", "192.0.2.1"),
            ("Forwarded", "for=192.0.2.1;proto=https;by=10.0.0.7", "192.0.2.1"),
            ("Forwarded", "proto=https; For=\"[2001:db8::5]:5000\"", "2001:db8::5"),
            ("Forwarded", "for=198.51.100.1, for=192.0.2.1, for=10.1.1.1", "192.0.2.1"),
        ] {
            assert_eq!(seen(PROXY, &[(header, value)]), expected, "{header}: {value}");
        }
    }

    #[test]
    fn what_is_hidden_or_nonsense_leads_no_further_than_to_who_says_it() {
        for value in ["unknown", "", "192.0.2.1, ,", "192.0.2.1, nonsense", "1.2.3.4.5"] {
            assert_eq!(seen(PROXY, &[("X-Forwarded-For", value)]), "10.0.0.7", "{value}");
        }
        assert_eq!(seen(PROXY, &[("X-Forwarded-For", "192.0.2.1, unknown, 10.1.1.1")]), "10.1.1.1");
        for value in ["for=_hidden", "for=unknown", "by=192.0.2.1", "for=192.0.2.1, for=x"] {
            assert_eq!(seen(PROXY, &[("Forwarded", value)]), "10.0.0.7", "{value}");
        }
        // A quote that a client opens does not swallow what the proxy adds.
        assert_eq!(seen(PROXY, &[("Forwarded", "for=\"198.51.100.1, for=192.0.2.1")]), "192.0.2.1");
    }

    #[test]
    fn two_headers_that_contradict_each_other_prove_nothing() {
        let both = |pairs| seen(PROXY, &[("X-Forwarded-For", "192.0.2.1"), ("Forwarded", pairs)]);
        assert_eq!(both("for=192.0.2.1"), "192.0.2.1");
        assert_eq!(both("for=198.51.100.1"), "10.0.0.7");
    }

    #[test]
    fn whoever_is_given_a_network_of_ipv6_counts_as_one() {
        let prefix = |text: &str| Prefix::of(text.parse().expect("an address"));
        assert_eq!(prefix("2001:db8:0:1::1"), prefix("2001:db8:0:1:ffff::2"));
        assert_ne!(prefix("2001:db8:0:1::1"), prefix("2001:db8:0:2::1"));
        assert_eq!(prefix("::ffff:192.0.2.1"), prefix("192.0.2.1"));
        assert_ne!(prefix("192.0.2.1"), prefix("192.0.2.2"));
    }

    #[test]
    fn a_proxy_is_named_by_its_address_or_its_network() {
        let is_one = |text: &str| TrustedProxy::try_from(text.to_owned()).is_ok();
        assert!(["10.0.0.7", "10.0.0.0/8", "fd00::/8", "::1"].into_iter().all(is_one));
        assert!(!["", "10.0.0.0/33", "10.0.0", "proxy.example", "*"].into_iter().any(is_one));
    }
}
