//! Hosts of rules, and the Tyk domains that match them.
//!
//! Domains are matched without regard to letter case and to a trailing dot (RFC 9110 section 4.2.3, RFC 1034
//! section 3.1). The gateway ignores the port of the Host header only while the expression holds no `:`, so no
//! `(?:` stands in it; the alternatives of a wildcard need no group because each variable is one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Host of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// No host: every request that no rule with a host takes.
    Any,
    /// One DNS name, lower case.
    Exact(String),
    /// `*.suffix`: exactly one more label before the suffix.
    Wildcard(String),
}

impl Host {
    /// Reads `spec.rules[].host` with the API server's own rules.
    ///
    /// # Errors
    /// What is wrong with the host.
    pub fn parse(host: Option<&str>) -> Result<Host, String> {
        let Some(host) = host.filter(|host| !host.is_empty()) else {
            return Ok(Host::Any);
        };
        let (name, wildcard) = host.strip_prefix("*.").map_or((host, false), |suffix| (suffix, true));
        if host.parse::<std::net::IpAddr>().is_ok() {
            return Err(format!("host {host:?} is an IP address, not a DNS name"));
        }
        if !is_dns_name(name) {
            return Err(format!(
                "host {host:?} is not a DNS name in lower case, nor one whose first label is `*`"
            ));
        }
        Ok(if wildcard {
            Host::Wildcard(name.into())
        } else {
            Host::Exact(name.into())
        })
    }

    /// The Tyk domain of an https twin: the same hosts in another text, for the gateway renames two APIs of one domain
    /// and listen path, whatever their ports. `literal` keeps the name of an exact host as it is, because the gateway
    /// finds the client certificates of mutual TLS by it (read in its source).
    pub fn domain_for_https(&self, exact: &BTreeSet<&str>, literal: bool) -> String {
        match self {
            Host::Exact(name) if literal => name.clone(),
            host => host.domain(exact).replacen("{tykhost:", "{tykshost:", 1),
        }
    }

    /// The Tyk domain; empty for [`Host::Any`]. A wildcard leaves out the labels of `exact`, because the gateway does
    /// not prefer an exact host to a wildcard.
    pub fn domain(&self, exact: &BTreeSet<&str>) -> String {
        match self {
            Host::Any => String::new(),
            Host::Exact(name) => format!("{{tykhost:(?i){}[.]?}}", escape(name)),
            Host::Wildcard(suffix) if exact.is_empty() => format!("{{tykhost:(?i)[^.]+\\.{}[.]?}}", escape(suffix)),
            Host::Wildcard(suffix) => {
                format!(
                    "{{tykhost:(?i){}}}{{tyksuffix:(?i)\\.{}[.]?}}",
                    labels_except(exact),
                    escape(suffix)
                )
            }
        }
    }
}

/// As written in a manifest; `*` stands for every host.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Any => f.write_str("*"),
            Host::Exact(name) => f.write_str(name),
            Host::Wildcard(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

/// RFC 1123 subdomain in lower case, as the API server wants it.
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

fn escape(name: &str) -> String {
    name.replace('.', "\\.")
}

/// Labels as a tree of characters.
#[derive(Default)]
struct Trie {
    next: BTreeMap<char, Trie>,
    ends: bool,
}

/// An expression without groups for every label but the given ones: at each point of the tree it may end where no
/// given label ends, or go on with a character with which none goes on.
fn labels_except(labels: &BTreeSet<&str>) -> String {
    let mut root = Trie::default();
    for label in labels {
        let node = label.chars().fold(&mut root, |node, c| node.next.entry(c).or_default());
        node.ends = true;
    }
    let mut alternatives = Vec::new();
    add_alternatives(&root, &mut String::new(), &mut alternatives);
    alternatives.join("|")
}

fn add_alternatives(node: &Trie, prefix: &mut String, alternatives: &mut Vec<String>) {
    let known: String = node
        .next
        .keys()
        .map(|c| if *c == '-' { "\\-".to_owned() } else { c.to_string() })
        .collect();
    alternatives.push(format!("{prefix}[^{known}.][^.]*"));
    if !node.ends && !prefix.is_empty() {
        alternatives.push(prefix.clone());
    }
    for (c, child) in &node.next {
        prefix.push(*c);
        add_alternatives(child, prefix, alternatives);
        prefix.pop();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    /// The gateway's reading of a domain: each variable is a group, the whole is anchored.
    fn matches(domain: &str, host: &str) -> bool {
        let pattern = domain
            .replace("{tykhost:", "(")
            .replace("{tyksuffix:", "(")
            .replace('}', ")");
        Regex::new(&format!("^{pattern}$")).unwrap().is_match(host)
    }

    #[test]
    fn hosts_are_read_as_the_api_server_reads_them() {
        for bad in [
            "*",
            "*.*.foo.com",
            "a*.foo.com",
            "foo.com:80",
            "1.2.3.4",
            "FOO.com",
            "foo.com.",
            "-a.com",
            "a..b",
        ] {
            assert!(Host::parse(Some(bad)).is_err(), "{bad}");
        }
        for good in ["*.com", "localhost", "xn--bcher-kva.example"] {
            assert!(Host::parse(Some(good)).is_ok(), "{good}");
        }
        assert_eq!(Host::parse(Some("")), Ok(Host::Any));
    }

    #[test]
    fn letter_case_and_a_trailing_dot_do_not_matter() {
        let domain = Host::Exact("foo.bar.com".into()).domain(&BTreeSet::new());
        assert_eq!(domain, r"{tykhost:(?i)foo\.bar\.com[.]?}");
        assert!(matches(&domain, "FOO.bar.COM."));
        assert!(!matches(&domain, "fooxbar.com"));
    }

    #[test]
    fn a_wildcard_is_one_label_and_leaves_the_exact_hosts_to_themselves() {
        let wildcard = Host::Wildcard("foo.com".into());
        let domain = wildcard.domain(&BTreeSet::from(["api", "ap", "x-y"]));
        for (host, expected) in [
            ("b.foo.com", true),
            ("a.foo.com", true),
            ("apis.foo.com", true),
            ("x.foo.com", true),
            ("x-.foo.com", true),
            ("B.FOO.COM.", true),
            ("api.foo.com", false),
            ("API.foo.com", false),
            ("ap.foo.com", false),
            ("x-y.foo.com", false),
            ("foo.com", false),
            (".foo.com", false),
            ("a.b.foo.com", false),
        ] {
            assert_eq!(matches(&domain, host), expected, "{host} by {domain}");
        }
    }

    proptest! {
        #[test]
        fn the_complement_matches_all_labels_but_the_given(
            given in prop::collection::btree_set("[a-c-]{1,4}", 1..6), label in "[a-d-]{1,5}",
        ) {
            let exact: BTreeSet<&str> = given.iter().map(String::as_str).collect();
            let domain = Host::Wildcard("t".into()).domain(&exact);
            prop_assert!(!domain.contains("(?:"));
            prop_assert_eq!(matches(&domain, &format!("{label}.t")), !given.contains(&label));
        }
    }
}
