//! Which routes are served over https, and with which Secrets.

use k8s_openapi::api::networking::v1::{Ingress, IngressTLS};

use super::host::Host;

/// Names of the Secrets whose certificates serve a host, entries that name the host itself first. `None` when
/// `spec.tls` does not cover the host. An entry without a Secret leaves the choice to the gateway's own certificates.
///
/// An entry without hosts covers every host of its Ingress; a wildcard covers one label, as a certificate's does.
pub fn secrets_for<'a>(ingress: &'a Ingress, host: &Host) -> Option<Vec<&'a str>> {
    let entries = ingress.spec.iter().flat_map(|spec| spec.tls.iter().flatten());
    let mut covering: Vec<(Cover, &IngressTLS)> =
        entries.filter_map(|entry| Some((cover(entry, host)?, entry))).collect();
    if covering.is_empty() {
        return None;
    }
    covering.sort_by_key(|(cover, _)| *cover);
    let mut secrets: Vec<&str> = Vec::new();
    for (_, entry) in covering {
        if let Some(name) = entry.secret_name.as_deref().filter(|name| !name.is_empty())
            && !secrets.contains(&name)
        {
            secrets.push(name);
        }
    }
    Some(secrets)
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
        let ingress: Ingress = serde_json::from_value(json!({"spec": {"tls": tls}})).unwrap();
        let found = secrets_for(&ingress, &Host::parse(Some(host)).unwrap());
        found.map(|names| names.into_iter().map(str::to_owned).collect())
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
