//! Keeps webhooks out of networks that are nobody's business but their own: whoever may write an address into the settings
//! shall not reach what only this machine can.
//!
//! What a name means is looked at after it was resolved, and what was looked at is what is connected to; a name that
//! means something else the next moment changes nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::task::spawn_blocking;

/// Resolves names, and leaves out what is not on the internet.
#[derive(Debug, Clone, Copy)]
pub struct OnlyPublic;

impl Resolve for OnlyPublic {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = spawn_blocking(move || (name.as_str(), 0).to_socket_addrs()).await??;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                let text = "its name means no address on the internet, and allow_private is not set";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text).into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address says in numbers that it is not on the internet; names are looked at when they are resolved.
pub fn is_private_literal(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    literal.is_ok_and(|ip| !is_public(ip))
}

/// Whether an address is on the internet.
///
/// Source: the IANA registries of special-purpose addresses for IPv4 and IPv6.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let is_special = match a {
        0 | 10 | 127 | 224..=255 => true,
        100 => (64..=127).contains(&b), // carriers' own
        169 => b == 254,
        172 => (16..=31).contains(&b),
        192 => b == 168 || (b == 0 && matches!(c, 0 | 2)) || (b == 88 && c == 99),
        198 => matches!(b, 18 | 19) || (b == 51 && c == 100),
        203 => b == 0 && c == 113,
        _ => false,
    };
    !is_special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let embedded = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        [0, 0, 0, 0, 0, 0 | 0xFFFF, high, low] => embedded(high, low) && segments[5] == 0xFFFF,
        [0x64, 0xFF9B, 0, 0, 0, 0, high, low] => embedded(high, low), // translated to IPv4
        [0x2002, high, low, ..] => embedded(high, low),               // tunnelled to IPv4
        [0x2001, 0..=0x1FF, ..] | [0x2001, 0xDB8, ..] => false,       // protocols, and examples
        [first, ..] => (0x2000..0x4000).contains(&first) && first != 0x3FFF,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_on_the_internet_is_known() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "2001:db8::1",
        ] {
            assert!(!is_public(private.parse().expect("an address")), "{private}");
        }
        for public in [
            "1.1.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::",
            "2a00:1450::1",
        ] {
            assert!(is_public(public.parse().expect("an address")), "{public}");
        }
    }

    #[test]
    fn numbers_are_looked_at_however_they_are_written() {
        for private in [
            "http://127.0.0.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://[::1]:80/",
            "http://[::ffff:7f00:1]/",
        ] {
            assert!(is_private_literal(&private.parse().expect("an address")), "{private}");
        }
        for other in ["http://1.1.1.1/", "http://localhost/"] {
            assert!(!is_private_literal(&other.parse().expect("an address")), "{other}");
        }
    }

    #[tokio::test]
    async fn a_name_that_means_this_machine_is_not_resolved() {
        let Err(refused) = OnlyPublic.resolve("localhost".parse().expect("a name")).await else {
            panic!("refused")
        };
        assert!(refused.to_string().contains("allow_private"), "{refused}");
    }
}
