//! Who serves a host and path that several rules ask for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use super::host::Host;
use super::memo::Slot;
use super::path::PathType;
use super::route::Route;
use crate::diagnostic::{Code, Diagnostic};
use crate::snapshot::NamespacedName;

/// Keeps one route for each host and path, in the order in which they come, and tells the others who won.
pub fn settle<'a>(mut routes: Vec<&'a Slot>, diagnostics: &mut Vec<Diagnostic>) -> Vec<&'a Slot> {
    // Numbers are sorted much sooner than texts that lie all over the memory, and most claims are nobody else's.
    let mut prints: Vec<_> = routes
        .iter()
        .enumerate()
        .map(|(number, slot)| (slot.print, number))
        .collect();
    prints.sort_unstable();
    let shared = prints
        .chunk_by(|one, other| one.0 == other.0)
        .filter(|chunk| chunk.len() > 1);
    let mut contested: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for &(_, number) in shared.flatten() {
        contested
            .entry(claimed(&routes[number].route))
            .or_default()
            .push(number);
    }
    let mut lost = BTreeSet::new();
    for mut claims in contested.into_values() {
        claims.sort_by_cached_key(|&number| precedence(&routes[number].route));
        let winner = &routes[claims[0]].route;
        let losers = claims.split_off(1);
        diagnostics.extend(losers.iter().map(|&loser| told(&routes[loser].route, winner)));
        lost.extend(losers);
    }
    let mut numbers = 0..;
    routes.retain(|_| numbers.next().is_none_or(|number| !lost.contains(&number)));
    routes
}

/// What only one route can have. Annotations can give two paths one listen path, and the gateway tells APIs apart by its
/// text.
fn claimed(route: &Route) -> (&Host, &str) {
    (&route.host, &route.listen_path)
}

/// A number that is the same for the same claim, and seldom for others.
pub fn print_of(route: &Route) -> u64 {
    let mut hasher = DefaultHasher::new();
    claimed(route).hash(&mut hasher);
    hasher.finish()
}

/// A path that is written out before a default backend; then the oldest Ingress, by creation, namespace and name (one
/// that is not created yet is the youngest); within one Ingress the longest path text, as Kubernetes documents it for
/// `/foo` and `/foo/`, then the pathType. The sort is stable, so what is left is the order of the rules.
type Precedence = (
    bool,
    bool,
    Option<Timestamp>,
    NamespacedName,
    Reverse<usize>,
    Option<PathType>,
);

fn precedence(route: &Route) -> Precedence {
    let created = route.ingress.created();
    (
        route.path_type.is_none(),
        created.is_none(),
        created,
        route.ingress.name().clone(),
        Reverse(route.path_text.len()),
        route.path_type,
    )
}

fn told(loser: &Route, winner: &Route) -> Diagnostic {
    let what = match loser.path_type {
        Some(path_type) => format!(
            "{} path {:?} of {}",
            path_type.as_str(),
            loser.path_text,
            host_text(&loser.host)
        ),
        None => format!("the default backend of {}", host_text(&loser.host)),
    };
    let (code, by) = match loser.object() == winner.object() {
        true => (Code::PathShadowed, winner.field.clone()),
        false => (
            Code::Conflict,
            format!("{} ({})", winner.ingress.object_ref(), winner.field),
        ),
    };
    Diagnostic::new(
        code,
        loser.object(),
        loser.field.clone(),
        format!("{what} is served by {by}"),
    )
}

fn host_text(host: &Host) -> String {
    match host {
        Host::Any => "all hosts".into(),
        host => format!("host {host}"),
    }
}
