//! The gateways behind a URL: every address that its host name has.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

use super::fleet::Found;

/// Time between two look-ups.
const INTERVAL: Duration = Duration::from_secs(1);

/// Follows the addresses of the URL's host until `cancel`. A name that cannot be resolved any more keeps those that it
/// had.
pub(super) fn follow(url: &str, cancel: CancellationToken) -> watch::Receiver<Found> {
    let (sender, found) = watch::channel(None);
    let target = Url::parse(url).ok().and_then(|url| match url.host()? {
        Host::Domain(host) => Some((host.to_owned(), url.port_or_known_default()?)),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    });
    let Some((host, port)) = target else {
        sender.send_replace(Some(one()));
        return found;
    };
    tokio::spawn(async move {
        let follow = async {
            loop {
                match lookup_host((host.as_str(), port)).await {
                    Ok(addresses) => tell(&sender, gateways(addresses.collect())),
                    // Whoever connects says what is wrong.
                    Err(_) if sender.borrow().is_none() => tell(&sender, one()),
                    Err(error) => tracing::debug!(host, %error, "the name of the gateway cannot be resolved now"),
                }
                tokio::time::sleep(INTERVAL).await;
            }
        };
        cancel.run_until_cancelled(follow).await;
    });
    found
}

fn tell(sender: &watch::Sender<Found>, gateways: BTreeMap<Option<SocketAddr>, bool>) {
    sender.send_if_modified(|before| {
        let now = Some(gateways);
        let changed = *before != now;
        *before = now;
        changed
    });
}

/// Whatever the URL leads to.
fn one() -> BTreeMap<Option<SocketAddr>, bool> {
    BTreeMap::from([(None, true)])
}

/// One gateway for each address of one family: a gateway with both must not be taken for two.
fn gateways(mut addresses: Vec<SocketAddr>) -> BTreeMap<Option<SocketAddr>, bool> {
    if addresses.iter().any(SocketAddr::is_ipv4) {
        addresses.retain(SocketAddr::is_ipv4);
    }
    addresses.sort();
    addresses.dedup();
    match addresses.len() {
        0 | 1 => one(),
        _ => addresses.into_iter().map(|address| (Some(address), true)).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_gateway_with_two_families_is_one() {
        let addresses = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| text.parse().unwrap())
                .collect::<Vec<SocketAddr>>()
        };
        assert_eq!(gateways(addresses(&["127.0.0.1:80", "[::1]:80"])), one());
        let two = gateways(addresses(&[
            "10.0.0.2:80",
            "[fd00::1]:80",
            "10.0.0.1:80",
            "10.0.0.2:80",
        ]));
        let expected = addresses(&["10.0.0.1:80", "10.0.0.2:80"]);
        assert_eq!(two.into_keys().flatten().collect::<Vec<_>>(), expected);
    }
}
