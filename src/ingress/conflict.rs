//! Who serves a host and path that several rules ask for.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::host::Host;
use super::memo::Slot;
use super::path::PathType;
use super::route::Route;
use crate::diagnostic::{Code, Diagnostic};
use crate::snapshot::{NamespacedName, SnapshotKind};

/// Keeps one route for each host and path, and tells the others who won. What is kept is sorted by host and listen path.
pub fn settle<'a>(mut routes: Vec<&'a Slot>, diagnostics: &mut Vec<Diagnostic>) -> Vec<&'a Slot> {
    // Annotations can give two paths one listen path, and the gateway tells APIs apart by its text.
    let claimed = |slot: &'a Slot| (&slot.route.host, slot.route.listen_path.as_str());
    routes.sort_by(|one, other| claimed(one).cmp(&claimed(other)));
    let claims = routes.chunk_by(|one, other| claimed(one) == claimed(other));
    claims.filter_map(|claims| winner(claims, diagnostics)).collect()
}

fn winner<'a>(claims: &[&'a Slot], diagnostics: &mut Vec<Diagnostic>) -> Option<&'a Slot> {
    if let [alone] = claims {
        return Some(*alone);
    }
    let mut claims = claims.to_vec();
    claims.sort_by_cached_key(|slot| precedence(&slot.route));
    let mut claims = claims.into_iter();
    let winner = claims.next()?;
    diagnostics.extend(claims.map(|loser| lost(&loser.route, &winner.route)));
    Some(winner)
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
    let metadata = &route.ingress.metadata;
    let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
    (
        route.path_type.is_none(),
        created.is_none(),
        created,
        NamespacedName::of(metadata),
        Reverse(route.path_text.len()),
        route.path_type,
    )
}

fn lost(loser: &Route, winner: &Route) -> Diagnostic {
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
