//! Paths: expressions, string prefixes, rewrites, missing slashes, and hosts by another name.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressRule};
use kube::ResourceExt;
use serde_json::json;

use super::Verdict::{Differs, Exact, Unsupported};
use super::draft::Draft;
use super::redirects::add_exact_path;
use super::{PREFIX, rewrite};
use crate::ingress::pattern;

/// Hosts whose paths are all expressions: one Ingress that has them makes them so for every Ingress of its hosts.
pub fn regex_hosts(ingresses: &[Arc<Ingress>]) -> BTreeSet<String> {
    let given = |ingress: &Ingress, name: &str| ingress.annotations().get(&format!("{PREFIX}{name}")).cloned();
    let wants = |ingress: &&Arc<Ingress>| {
        given(ingress, "use-regex").is_some_and(|value| value.trim() == "true")
            || given(ingress, "rewrite-target").is_some_and(|target| rewrites(ingress, &target))
    };
    let hosts = ingresses.iter().filter(wants).flat_map(|ingress| rules(ingress));
    hosts.map(|rule| rule.host.clone().unwrap_or_default()).collect()
}

/// Whether a target changes any path: nginx leaves one alone that is its own target.
fn rewrites(ingress: &Ingress, target: &str) -> bool {
    let mut paths = rules(ingress).flat_map(paths_of);
    !target.is_empty() && paths.any(|path| path.path.as_deref() != Some(target))
}

/// Translates the paths. All else is known by now.
pub fn translate(draft: &mut Draft, regex_hosts: &BTreeSet<String>) {
    let hosts: Vec<String> = rules(&draft.ingress)
        .map(|rule| rule.host.clone().unwrap_or_default())
        .collect();
    let in_regex = hosts.iter().filter(|host| regex_hosts.contains(*host)).count();
    aliases(draft);
    if in_regex > 0 {
        as_expressions(draft, in_regex < hosts.len());
    } else {
        if draft.whole {
            as_prefixes(draft);
        }
        draft.tell("use-regex", Exact, "paths are no expressions");
        draft.tell(
            "rewrite-target",
            Exact,
            "the target is the path itself, which nginx leaves alone",
        );
    }
}

fn as_expressions(draft: &mut Draft, mixed: bool) {
    draft.annotate("path-matching", "nginx-regex");
    let detail =
        "every path of the host is an expression in any letter case and open at its end, by `tyk.io/path-matching`";
    match mixed {
        true => draft.tell(
            "use-regex",
            Differs,
            format!("{detail}; here also those of its other hosts: make two Ingresses"),
        ),
        false => draft.tell("use-regex", Exact, detail),
    }
    if draft.get("use-regex").is_none() && draft.get("rewrite-target").is_none() {
        draft.note(
            "spec.rules",
            "",
            Exact,
            format!("another Ingress of the host has expressions, so {detail}"),
        );
    }
    let mut bad = Vec::new();
    for (index, rule) in rules(&draft.ingress).enumerate() {
        for (number, path) in paths_of(rule).enumerate() {
            let text = path.path.as_deref().filter(|text| !text.is_empty()).unwrap_or("/");
            if let Err(why) = pattern::expression(text) {
                bad.push((
                    format!("spec.rules[{index}].http.paths[{number}]"),
                    text.to_owned(),
                    why,
                ));
            }
        }
    }
    for (field, text, why) in &bad {
        draft.note(
            field,
            text,
            Unsupported,
            format!("{why}; write it without, or as several paths; it is not served"),
        );
    }
    let Some(target) = draft
        .get("rewrite-target")
        .filter(|target| !target.is_empty())
        .map(str::to_owned)
    else {
        return;
    };
    let texts: BTreeSet<String> = rules(&draft.ingress)
        .flat_map(paths_of)
        .filter_map(|path| path.path.clone())
        // Those of redirects never reach the backend.
        .filter(|text| !bad.iter().any(|(_, bad, _)| bad == text))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    match rewrite::rewrite(&texts, &target) {
        Ok(rewrite) => {
            let entry = json!({"match_pattern": rewrite.pattern, "rewrite_to": rewrite.to});
            draft.extend("url_rewrites", &[], &entry);
            draft.tell("rewrite-target", Exact, "`url_rewrites` of the template");
        }
        Err(why) => {
            let way = "use `tyk.io/strip-path`, or `url_rewrites` of a template";
            draft.tell(
                "rewrite-target",
                Unsupported,
                format!("{why}; {way}; the path is not rewritten"),
            );
        }
    }
}

/// Without expressions, an ImplementationSpecific path is a string prefix, and one that ends in a slash is redirected to
/// where its slash is missing.
fn as_prefixes(draft: &mut Draft) {
    let specific = |path: &&HTTPIngressPath| path.path_type == "ImplementationSpecific";
    let texts: BTreeSet<String> = rules(&draft.ingress)
        .flat_map(paths_of)
        .filter(specific)
        .filter_map(|path| path.path.clone())
        .filter(|text| !matches!(text.as_str(), "" | "/"))
        .collect();
    if texts.is_empty() {
        return;
    }
    draft.annotate("path-matching", "nginx");
    for text in &texts {
        match pattern::string_prefix(text) {
            Ok(_) => draft.note(
                "spec.rules",
                text,
                Exact,
                "a string prefix, as in nginx, by `tyk.io/path-matching`",
            ),
            Err(why) => draft.note("spec.rules", text, Unsupported, format!("{why}; it is not served")),
        }
        let Some(bare) = text.strip_suffix('/') else { continue };
        if texts.contains(bare) || draft.redirect(bare, 301, text).is_err() {
            continue;
        }
        add_exact_path(draft, bare, |others| {
            others.contains(&text.as_str()) && !others.contains(&bare)
        });
        let detail = format!("{bare} is redirected to it, as in nginx, but without the query of the request");
        draft.note("spec.rules", text, Differs, detail);
    }
}

/// One more rule for each other name of a host.
fn aliases(draft: &mut Draft) {
    let Some(given) = draft.get("server-alias").map(str::to_owned) else {
        return;
    };
    let (names, expressions): (Vec<&str>, Vec<&str>) = given
        .split([',', ' '])
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .partition(|name| !name.starts_with('~'));
    let rules = draft.ingress.spec.as_mut().and_then(|spec| spec.rules.as_mut());
    let Some(rules) = rules else { return };
    let Some(first) = rules.iter().find(|rule| rule.host.is_some()).cloned() else {
        return;
    };
    for name in &names {
        if !rules.iter().any(|rule| rule.host.as_deref() == Some(name)) {
            rules.push(IngressRule {
                host: Some((*name).to_owned()),
                ..first.clone()
            });
        }
    }
    match expressions.is_empty() {
        true => draft.tell("server-alias", Exact, "a rule for each of them"),
        false => draft.tell(
            "server-alias",
            Unsupported,
            format!(
                "{} is an expression; name the hosts in `spec.rules`, with `*.` for one label",
                expressions.join(", ")
            ),
        ),
    }
}

fn rules(ingress: &Ingress) -> impl Iterator<Item = &IngressRule> {
    ingress.spec.iter().flat_map(|spec| spec.rules.iter().flatten())
}

fn paths_of(rule: &IngressRule) -> impl Iterator<Item = &HTTPIngressPath> {
    rule.http.iter().flat_map(|http| &http.paths)
}
