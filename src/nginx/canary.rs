//! Canaries: a second Ingress of the same host and path, which becomes a share of the first one's requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress};
use kube::ResourceExt;

use super::PREFIX;
use super::Verdict::{Differs, Exact, Unsupported};
use super::draft::Draft;

/// Namespace, host and path.
type Place = (String, String, String);

/// The canaries of all Ingresses.
pub struct Canaries<'a> {
    by_place: BTreeMap<Place, (&'a Ingress, &'a HTTPIngressPath)>,
    mains: BTreeSet<Place>,
}

impl<'a> Canaries<'a> {
    /// Finds them.
    pub fn of(ingresses: &'a [Arc<Ingress>]) -> Self {
        let (mut by_place, mut mains) = (BTreeMap::new(), BTreeSet::new());
        for ingress in ingresses.iter().map(AsRef::as_ref) {
            for (place, path) in places(ingress) {
                match is_canary(ingress) {
                    true => drop(by_place.entry(place).or_insert((ingress, path))),
                    false => drop(mains.insert(place)),
                }
            }
        }
        Self { by_place, mains }
    }

    /// Whether an Ingress is one.
    pub fn is_canary(&self, ingress: &Ingress) -> bool {
        is_canary(ingress)
    }

    /// Says of a canary what becomes of it.
    pub fn report(&self, draft: &mut Draft) {
        let alone = !places(&draft.ingress)
            .iter()
            .any(|(place, _)| self.mains.contains(place));
        let by_request = [
            "canary-by-header",
            "canary-by-header-value",
            "canary-by-header-pattern",
            "canary-by-cookie",
        ];
        let chosen = by_request.iter().any(|name| draft.get(name).is_some());
        for name in by_request {
            let detail = "no choice by a request's header; write a template with `url_rewrites[].triggers` and a `tyk://` target";
            draft.tell(name, Unsupported, detail);
        }
        match (alone, chosen, weight(&|name| draft.get(name))) {
            (true, ..) => draft.tell(
                "canary",
                Unsupported,
                "no other Ingress has its host and path, so nothing is served for it, as in nginx",
            ),
            (_, true, _) => draft.tell(
                "canary",
                Differs,
                "only its weight counts, also for requests that a header would choose",
            ),
            (.., Some(_)) => draft.tell(
                "canary",
                Exact,
                "a share of the Ingress with its host and path, by `tyk.io/canary`",
            ),
            (.., None) => draft.tell(
                "canary",
                Unsupported,
                "its weight is no number between 0 and the total; correct it",
            ),
        }
        match weight(&|name| draft.get(name)) {
            Some((_, true)) => draft.tell("canary-weight", Exact, "of 100 requests exactly so many, taken in turn"),
            Some((percent, false)) => {
                let detail = format!("rounded down to {percent} of 100 requests");
                draft.tell("canary-weight", Differs, detail);
            }
            None => draft.tell(
                "canary-weight",
                Unsupported,
                "no number between 0 and the total; correct it",
            ),
        }
        draft.tell("canary-weight-total", Exact, "weights are shares of it");
        for name in draft.untold() {
            draft.tell(
                &name,
                Exact,
                "ingress-nginx takes it from the Ingress beside the canary, and so does this one",
            );
        }
    }

    /// Gives an Ingress the share of its canary.
    pub fn join(&self, draft: &mut Draft) {
        draft.tell("canary", Exact, "no canary");
        let own = places(&draft.ingress);
        let found: Vec<_> = own
            .iter()
            .map(|(place, _)| self.by_place.get(place).and_then(share))
            .collect();
        let shares: BTreeSet<&String> = found.iter().flatten().collect();
        let (Some(share), None) = (shares.first(), shares.iter().nth(1)) else {
            if shares.len() > 1 {
                let detail = "its paths have canaries of several Services or weights; make an Ingress of each";
                draft.note(
                    "spec.rules",
                    "",
                    Unsupported,
                    format!("{detail}; no request goes to a canary"),
                );
            }
            return;
        };
        if found.iter().any(Option::is_none) {
            let detail = "only some of its paths have a canary; make an Ingress of each; no request goes to the canary";
            return draft.note("spec.rules", "", Unsupported, detail);
        }
        let share = (*share).clone();
        draft.annotate("canary", share.clone());
        draft.note(
            "spec.rules",
            &share,
            Exact,
            "shares its requests with its canary, by `tyk.io/canary`",
        );
    }
}

fn is_canary(ingress: &Ingress) -> bool {
    given(ingress, "canary").is_some_and(|value| value.trim() == "true")
}

fn places(ingress: &Ingress) -> Vec<(Place, &HTTPIngressPath)> {
    let rules = ingress.spec.iter().flat_map(|spec| spec.rules.iter().flatten());
    let namespace = ingress.namespace().unwrap_or_default();
    let of_rule = rules.flat_map(|rule| {
        let host = rule.host.clone().unwrap_or_default();
        let paths = rule.http.iter().flat_map(|http| &http.paths);
        paths.map(move |path| (host.clone(), path.path.clone().unwrap_or_default(), path))
    });
    of_rule
        .map(|(host, text, path)| ((namespace.clone(), host, text), path))
        .collect()
}

/// The value of `tyk.io/canary`.
fn share((ingress, path): &(&Ingress, &HTTPIngressPath)) -> Option<String> {
    let service = path.backend.service.as_ref()?;
    let port = service.port.as_ref()?;
    let port = port
        .name
        .clone()
        .filter(|name| !name.is_empty())
        .or(port.number.map(|number| number.to_string()))?;
    Some(format!(
        "{}:{port}={}",
        service.name,
        weight(&|name| given(ingress, name))?.0
    ))
}

/// The weight as a percentage, rounded down, and whether nothing was cut off.
fn weight<'a>(given: &dyn Fn(&str) -> Option<&'a str>) -> Option<(u64, bool)> {
    let number = |name: &str, default: u64| match given(name) {
        Some(value) => value.trim().parse().ok(),
        None => Some(default),
    };
    let (weight, total) = (number("canary-weight", 0)?, number("canary-weight-total", 100)?);
    (weight <= total && total > 0).then_some(())?;
    let percent = weight.checked_mul(100)?;
    Some((percent / total, percent % total == 0))
}

fn given<'a>(ingress: &'a Ingress, name: &str) -> Option<&'a str> {
    ingress
        .annotations()
        .get(&format!("{PREFIX}{name}"))
        .map(String::as_str)
}
