//! Of a large world, the small part that decides what is said of one object.
//!
//! Ingresses are many, and what is said of one depends on few others: on those that share a host with it, whose paths
//! compete with its own; and on those whose children are named, or want an id, a port or a listen path that the object or
//! a hand-written definition wants as well. All that is no Ingress stays. So the same pure stages run over a small world,
//! once without and once with the object.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::kinds::Subject;
use super::{Settings, World};
use crate::api::names;
use crate::desired::{self, Api, Desired, Fleet};
use crate::diagnostic::ObjectRef;
use crate::nginx;
use crate::snapshot::{NamespacedName, Snapshot, StoredIngress};
use crate::stages::Made;

/// What the controller makes of the neighbours of an object.
#[derive(Debug)]
pub struct Neighbours {
    /// Without the object, or with the form of it that is to be replaced.
    pub before: Made,
    /// With it.
    pub after: Made,
    /// The Ingresses that were looked at beside it.
    pub ingresses: BTreeSet<NamespacedName>,
}

impl Neighbours {
    /// Looks at the neighbours of an object.
    pub fn of(world: &World, object: &Subject, settings: &Settings) -> Self {
        let mut keep = with_hosts_of(world, object);
        keep.extend(with_rivals(world, named(world, object)));
        loop {
            if settings.options.nginx_annotations {
                keep.extend(beside(world, &keep, nginx::is_annotated));
            }
            let mut snapshot = part(world, &keep);
            let before = settings.make(&snapshot);
            object.put(&mut snapshot);
            let after = settings.make(&snapshot);
            let rivals = Rivals { world };
            let mut more = rivals.of(&before.fleet);
            more.extend(rivals.of(&after.fleet));
            let known = keep.len();
            keep.extend(with_rivals(world, more));
            if keep.len() == known {
                return Self {
                    before,
                    after,
                    ingresses: keep,
                };
            }
        }
    }
}

/// The world with these Ingresses and their children, and without all others.
fn part(world: &World, keep: &BTreeSet<NamespacedName>) -> Snapshot {
    let snapshot = world.snapshot.as_ref();
    let children = &world.translation.children;
    let oas_children = &world.translation.oas_children;
    Snapshot {
        ingresses: chosen(&snapshot.ingresses, |name| keep.contains(name)),
        api_definitions: chosen(&snapshot.api_definitions, |name| {
            children.get(name).is_none_or(|child| keep.contains(&child.ingress))
        }),
        tyk_oas_api_definitions: chosen(&snapshot.tyk_oas_api_definitions, |name| {
            oas_children.get(name).is_none_or(|child| keep.contains(&child.ingress))
        }),
        ingress_classes: snapshot.ingress_classes.clone(),
        namespaces: snapshot.namespaces.clone(),
        services: snapshot.services.clone(),
        endpoint_slices: snapshot.endpoint_slices.clone(),
        tls_secrets: snapshot.tls_secrets.clone(),
        secrets: snapshot.secrets.clone(),
        operator_contexts: snapshot.operator_contexts.clone(),
        security_policies: snapshot.security_policies.clone(),
        tyk_streams_api_definitions: snapshot.tyk_streams_api_definitions.clone(),
        tyk_mcp_proxy_definitions: snapshot.tyk_mcp_proxy_definitions.clone(),
        sub_graphs: snapshot.sub_graphs.clone(),
        super_graphs: snapshot.super_graphs.clone(),
        api_descriptions: snapshot.api_descriptions.clone(),
        portal_api_catalogues: snapshot.portal_api_catalogues.clone(),
        portal_configs: snapshot.portal_configs.clone(),
        config_maps: snapshot.config_maps.clone(),
    }
}

fn chosen<T: Clone>(
    objects: &BTreeMap<NamespacedName, T>,
    keep: impl Fn(&NamespacedName) -> bool,
) -> Arc<BTreeMap<NamespacedName, T>> {
    let chosen = objects.iter().filter(|(name, _)| keep(name));
    let chosen = chosen.map(|(name, object)| (name.clone(), object.clone()));
    Arc::new(chosen.collect())
}

/// The Ingress that the object is or becomes, those whose children are made of it, and all that share a host with one of
/// them.
fn with_hosts_of(world: &World, object: &Subject) -> BTreeSet<NamespacedName> {
    let present = &world.snapshot.ingresses;
    let old = present.get_key_value(&object.name());
    let old = old.filter(|_| object.reference.kind == "Ingress");
    let its: Vec<_> = made_of(world, object).into_iter().chain(old).collect();
    let all = its
        .iter()
        .map(|(_, ingress)| *ingress)
        .chain(object.alone.ingresses.values());
    let hosts: BTreeSet<&str> = all.flat_map(hosts).collect();
    let mut near = sharing(world, &hosts, |_| true);
    near.extend(its.into_iter().map(|(name, _)| name.clone()));
    near
}

/// These, and those that decide which of their children there are.
fn with_rivals(world: &World, names: BTreeSet<NamespacedName>) -> BTreeSet<NamespacedName> {
    let rivals = beside(world, &names, |_| true);
    names.into_iter().chain(rivals).collect()
}

/// Ingresses that share a host with one of these. An annotation of ingress-nginx can count for every Ingress of a host, and
/// so for the paths that such an Ingress has at other hosts.
fn beside(
    world: &World,
    names: &BTreeSet<NamespacedName>,
    which: impl Fn(&StoredIngress) -> bool,
) -> BTreeSet<NamespacedName> {
    let kept = names.iter().filter_map(|name| world.snapshot.ingresses.get(name));
    let hosts = kept.flat_map(hosts).collect();
    sharing(world, &hosts, which)
}

/// Ingresses with one of these hosts.
fn sharing(world: &World, wanted: &BTreeSet<&str>, which: impl Fn(&StoredIngress) -> bool) -> BTreeSet<NamespacedName> {
    if wanted.is_empty() {
        return BTreeSet::new();
    }
    let shares = |ingress: &StoredIngress| hosts(ingress).any(|host| wanted.contains(host));
    let all = world.snapshot.ingresses.iter();
    all.filter(|(_, ingress)| which(ingress) && shares(ingress))
        .map(|(name, _)| name.clone())
        .collect()
}

/// Hosts of the rules, those that an annotation of ingress-nginx adds to them, and the empty text for all hosts.
fn hosts(ingress: &StoredIngress) -> impl Iterator<Item = &str> {
    let alias = ingress.annotation(&format!("{}server-alias", nginx::PREFIX));
    let aliases = alias.unwrap_or_default().split([',', ' ']).map(str::trim);
    ingress.hosts().chain(aliases.filter(|alias| !alias.is_empty()))
}

/// Ingresses whose children a definition or a policy names.
fn named(world: &World, object: &Subject) -> BTreeSet<NamespacedName> {
    let translation = &world.translation;
    let mut found = BTreeSet::new();
    let mut see = |kind: &str, name: &NamespacedName| {
        found.extend(translation.origin(kind, name).map(|(ingress, _)| ingress.clone()));
    };
    for snapshot in [world.snapshot.as_ref(), &object.alone] {
        // What a child names is in its template as well.
        let written = snapshot.api_definitions.iter();
        for (own, api) in written.filter(|(name, _)| !translation.children.contains_key(name)) {
            for link in desired::links(api, &own.namespace) {
                see(link.kind, &link.name);
            }
        }
        for (own, api) in snapshot.tyk_oas_api_definitions.iter() {
            let versions = api.spec.versioning.iter().flat_map(|versioning| &versioning.versions);
            for reference in versions.map(|version| &version.tyk_oas_api_definition_ref) {
                let name = NamespacedName::new(reference.namespace_or(&own.namespace), &reference.name);
                see("TykOasApiDefinition", &name);
            }
        }
        for policy in snapshot.security_policies.values() {
            for (kind, name) in desired::policy::api_refs(policy) {
                see(kind, &name);
            }
        }
    }
    found
}

/// Ingresses whose children are made of the object while it is served itself, so that they may compete with it.
fn made_of<'a>(world: &'a World, object: &Subject) -> Vec<(&'a NamespacedName, &'a StoredIngress)> {
    let own = object.name();
    let classic = object.alone.api_definitions.values().any(|api| !api.is_template());
    let oas = object
        .alone
        .tyk_oas_api_definitions
        .values()
        .any(|api| !api.is_template());
    let ingresses = world.snapshot.ingresses.iter().filter(|(name, ingress)| {
        let template = ingress.annotation(names::ANNOTATION_TEMPLATE);
        (classic || oas) && name.namespace == own.namespace && template == Some(&*own.name)
    });
    ingresses.collect()
}

/// Who has in the whole world what somebody has in the small one.
struct Rivals<'a> {
    world: &'a World,
}

impl Rivals<'_> {
    /// Ingresses with a child that stands in the way of something that the small world serves.
    fn of(&self, small: &Fleet) -> BTreeSet<NamespacedName> {
        let tyks = small.tyks.iter();
        let both = tyks.filter_map(|(tyk, desired)| Some((desired, self.world.fleet.tyks.get(tyk)?)));
        both.flat_map(|(small, whole)| self.of_tyk(small, whole)).collect()
    }

    fn of_tyk(&self, small: &Desired, whole: &Desired) -> BTreeSet<NamespacedName> {
        // What is served in both has no rivals there.
        let new = small.wanted().filter(|(id, api)| {
            let served = whole.api(id);
            served.is_none_or(|served| served.source != api.source || served.payload != api.payload)
        });
        let new: Vec<_> = new.collect();
        let holders = new.iter().flat_map(|(id, api)| {
            let of_id = whole.api(id).map(|api| &api.source);
            let of_port = api.payload.claims().port.and_then(|(port, family)| {
                let (spoken, first) = whole.ports.get(&port)?;
                (*spoken != family).then_some(first)
            });
            [of_id, of_port]
        });
        let routes = new.iter().filter_map(|(_, api)| route_of(api)).collect();
        holders
            .flatten()
            .chain(holders_of(&routes, whole))
            .filter_map(|source| self.ingress(source).cloned())
            .collect()
    }

    /// The Ingress that a child is made of; `None` for what is no child.
    fn ingress(&self, source: &ObjectRef) -> Option<&NamespacedName> {
        let name = NamespacedName::new(&source.namespace, &source.name);
        let origin = self.world.translation.origin(source.kind, &name);
        origin.map(|(ingress, _)| ingress)
    }
}

fn route_of(api: &Api) -> Option<&str> {
    api.payload.claims().route.as_deref()
}

/// Who has these routes at a Tyk.
fn holders_of<'a>(routes: &BTreeSet<&str>, whole: &'a Desired) -> Vec<&'a ObjectRef> {
    if routes.is_empty() {
        return Vec::new();
    }
    let holders = whole
        .wanted()
        .filter(|(_, api)| route_of(api).is_some_and(|route| routes.contains(route)));
    holders.map(|(_, api)| &api.source).collect()
}
