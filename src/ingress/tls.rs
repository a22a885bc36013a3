//! Which routes are served over https, and with which Secrets.

use k8s_openapi::api::networking::v1::{IngressSpec, IngressTLS};

use super::host::Host;

/// Names of the Secrets whose certificates serve a host, entries that name the host itself first. `None` when
/// `spec.tls` does not cover the host. An entry without a Secret leaves the choice to the gateway's own certificates.
///
/// An entry without hosts covers every host of its Ingress; a wildcard covers one label, as a certificate's does.
pub fn secrets_for(spec: &IngressSpec, host: &Host) -> Option<Box<[String]>> {
    let entries = spec.tls.iter().flatten();
    let mut covering: Vec<(Cover, &IngressTLS)> =
        entries.filter_map(|entry| Some((cover(entry, host)?, entry))).collect();
    if covering.is_empty() {
        return None;
    }
    covering.sort_by_key(|(cover, _)| *cover);
    let mut secrets: Vec<String> = Vec::new();
    for (_, entry) in covering {
        if let Some(name) = entry.secret_name.as_ref().filter(|name| !name.is_empty())
            && !secrets.contains(name)
        {
            secrets.push(name.clone());
        }
    }
    Some(secrets.into())
}

/// How an entry covers a host, the closest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cover {
    Itself,
    Wildcard,
    Everything,
}

fn cover(entry: &IngressTLS, host: &Host) -> Option<Cover> {
    let hosts = entry.hosts.as_deref().unwrap_or_default();
    if hosts.is_empty() {
        return Some(Cover::Everything);
    }
    hosts
        .iter()
        .filter_map(|entry| covers(&Host::parse(Some(entry)).ok()?, host))
        .min()
}

fn covers(entry: &Host, host: &Host) -> Option<Cover> {
    match (entry, host) {
        (entry, host) if entry == host => Some(Cover::Itself),
        (Host::Wildcard(suffix), Host::Exact(name)) => {
            let (_, rest) = name.split_once('.')?;
            (rest == suffix).then_some(Cover::Wildcard)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;

    fn secrets(tls: Value, host: &str) -> Option<Vec<String>> {
        let spec: IngressSpec = serde_json::from_value(json!({"tls": tls})).unwrap();
        secrets_for(&spec, &Host::parse(Some(host)).unwrap()).map(Vec::from)
    }

    #[test]
    fn entries_cover_their_hosts() {
        let tls = json!([
            {"hosts": ["*.a.com"], "secretName": "wild"},
            {"hosts": ["b.a.com", "c.org"], "secretName": "exact"},
            {"hosts": ["d.org"]},
        ]);
        assert_eq!(
            secrets(tls.clone(), "b.a.com"),
            Some(vec!["exact".into(), "wild".into()])
        );
        assert_eq!(secrets(tls.clone(), "x.a.com"), Some(vec!["wild".into()]));
        assert_eq!(secrets(tls.clone(), "*.a.com"), Some(vec!["wild".into()]));
        assert_eq!(secrets(tls.clone(), "d.org"), Some(vec![]));
        for uncovered in ["a.com", "y.x.a.com", "other.org", ""] {
            assert_eq!(secrets(tls.clone(), uncovered), None, "{uncovered}");
        }
    }

    #[test]
    fn an_entry_without_hosts_covers_every_host() {
        let tls = json!([{"secretName": "all"}, {"secretName": "all"}, {"secretName": "more"}]);
        assert_eq!(secrets(tls.clone(), "any.org"), Some(vec!["all".into(), "more".into()]));
        assert_eq!(secrets(tls, ""), Some(vec!["all".into(), "more".into()]));
    }
}
