//! Who uses whom: what the status of a resource tells of it, and why a deletion waits.
//!
//! All of it is made anew from what the resources now say, so that protection ends by itself when a user goes. A user
//! that is being deleted keeps nobody: two that are deleted together both go. Only a context stays for as long as
//! anything names it, since without it nobody knows from where to take a resource.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{classic, graph, policy, portal};
use crate::api::Target;
use crate::diagnostic::ObjectRef;
use crate::snapshot::{NamespacedName, Snapshot, SnapshotKind, Stored};

/// Names by the resource that they are about.
type Names = BTreeMap<ObjectRef, BTreeSet<ObjectRef>>;

/// The references of a snapshot between resources that exist.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Policies by the API that they give access to.
    policies: Names,
    /// APIs by the API that they send requests to.
    callers: Names,
    /// Base APIs by the API that is a version of theirs.
    bases: Names,
    /// Everything by the context that it names.
    users: Names,
    /// What is being deleted.
    leaving: BTreeSet<ObjectRef>,
    /// Catalogues by the description or policy that they name.
    catalogues: Names,
    /// Ids of the catalogues on their Dashboard.
    catalogue_ids: BTreeMap<ObjectRef, String>,
    /// Why a SubGraph or SuperGraph stays.
    graphs: BTreeMap<ObjectRef, String>,
    /// Fields of statuses that are about graphs.
    served: BTreeMap<ObjectRef, (&'static str, Value)>,
}

impl Links {
    pub(super) fn of(snapshot: &Snapshot, edges: &graph::Edges) -> Self {
        let mut links = Self::default();
        for (name, api) in snapshot.api_definitions.iter() {
            let source = links.seen((name, api), api.spec().context_ref.as_ref());
            for link in classic::links(api, &name.namespace) {
                let target = ObjectRef::new(link.kind, &link.name.namespace, &link.name.name);
                links.callers.entry(target).or_default().insert(source.clone());
            }
        }
        for (name, api) in snapshot.tyk_oas_api_definitions.iter() {
            let source = links.seen((name, api), api.spec.context_ref.as_ref());
            let versions = api.spec.versioning.iter().flat_map(|versioning| &versioning.versions);
            for reference in versions.map(|version| &version.tyk_oas_api_definition_ref) {
                let namespace = reference.namespace_or(&name.namespace);
                let target = ObjectRef::new(source.kind, namespace, &reference.name);
                links.bases.entry(target).or_default().insert(source.clone());
            }
        }
        for (name, policy) in snapshot.security_policies.iter() {
            let source = links.seen((name, policy), policy.spec.context_ref.as_ref());
            for (kind, name) in policy::api_refs(policy) {
                let target = ObjectRef::new(kind, name.namespace, name.name);
                links.policies.entry(target).or_default().insert(source.clone());
            }
        }
        for (name, api) in snapshot.tyk_streams_api_definitions.iter() {
            links.seen((name, api), api.spec.context_ref.as_ref());
        }
        for (name, api) in snapshot.tyk_mcp_proxy_definitions.iter() {
            links.seen((name, api), api.spec.context_ref.as_ref());
        }
        for (name, catalogue) in snapshot.portal_api_catalogues.iter() {
            let source = links.seen((name, catalogue), catalogue.spec.context_ref.as_ref());
            let id = catalogue.status.as_ref().and_then(|status| status.id.clone());
            links.catalogue_ids.extend(id.map(|id| (source.clone(), id)));
            for (kind, name) in portal::references(catalogue, snapshot) {
                let target = ObjectRef::new(kind, name.namespace, name.name);
                links.catalogues.entry(target).or_default().insert(source.clone());
            }
        }
        for (name, description) in snapshot.api_descriptions.iter() {
            links.seen((name, description), description.spec.context_ref.as_ref());
        }
        for (name, config) in snapshot.portal_configs.iter() {
            links.seen((name, config), config.spec.context_ref.as_ref());
        }
        links.leaving_of(snapshot.operator_contexts.values().map(AsRef::as_ref));
        links.graphs(snapshot, edges);
        links
    }

    /// Takes in an object with its reference to a context.
    fn seen<S>(&mut self, (name, object): (&NamespacedName, &S), context: Option<&Target>) -> ObjectRef
    where
        S: Stored<Object: SnapshotKind>,
    {
        let source = name.object(S::Object::KIND);
        if object.is_leaving() {
            self.leaving.insert(source.clone());
        }
        if let Some(context) = context {
            let context = ObjectRef::new(
                "OperatorContext",
                context.namespace_or(&source.namespace),
                &context.name,
            );
            self.users.entry(context).or_default().insert(source.clone());
        }
        source
    }

    fn leaving_of<'a, K: SnapshotKind + 'a>(&mut self, objects: impl IntoIterator<Item = &'a K>) {
        let leaving = objects
            .into_iter()
            .filter(|object| object.meta().deletion_timestamp.is_some());
        self.leaving
            .extend(leaving.map(|object| SnapshotKind::object_ref(object)));
    }

    fn graphs(&mut self, snapshot: &Snapshot, edges: &graph::Edges) {
        self.leaving_of(snapshot.sub_graphs.values().map(AsRef::as_ref));
        self.leaving_of(snapshot.super_graphs.values().map(AsRef::as_ref));
        for (name, sub_graph) in snapshot.sub_graphs.iter() {
            let object = SnapshotKind::object_ref(sub_graph.as_ref());
            self.graphs
                .extend(edges.keeps_sub_graph(name).map(|reason| (object.clone(), reason)));
            if let Some(api) = edges.server(name) {
                let id = snapshot.api_definitions.get(api).map(|api| api.whole().api_id());
                self.served.insert(object, ("linked_by_api", json!(id)));
                let api = ObjectRef::new("ApiDefinition", &api.namespace, &api.name);
                self.served.insert(api, ("linked_to_subgraph", json!(name.name)));
            }
        }
        for (name, super_graph) in snapshot.super_graphs.iter() {
            let object = SnapshotKind::object_ref(super_graph.as_ref());
            self.graphs
                .extend(edges.keeps_super_graph(name).map(|reason| (object, reason)));
        }
    }

    /// What is being deleted.
    pub(super) fn leaving(&self) -> &BTreeSet<ObjectRef> {
        &self.leaving
    }

    /// Why the deletion of a resource waits, for each that waits; in the words of Tyk Operator where it has any.
    pub(super) fn refusals(&self) -> BTreeMap<ObjectRef, String> {
        let leaving = self.leaving.iter();
        leaving
            .filter_map(|object| Some((object.clone(), self.refusal(object)?)))
            .collect()
    }

    fn refusal(&self, object: &ObjectRef) -> Option<String> {
        let living = |names: &Names| {
            let users = names.get(object).into_iter().flatten();
            let users = users.filter(|user| !self.leaving.contains(*user) && *user != object);
            let users: Vec<_> = users.map(|user| format!("{}/{}", user.namespace, user.name)).collect();
            (!users.is_empty()).then(|| users.join(", "))
        };
        if let Some(policies) = living(&self.policies) {
            return Some(format!(
                "unable to delete api due to security policy dependency={policies}"
            ));
        }
        if let Some(apis) = living(&self.callers) {
            return Some(format!("unable to delete api due to being depended by ={apis}"));
        }
        if let Some(bases) = living(&self.bases) {
            return Some(format!("unable to delete api due to being a version of ={bases}"));
        }
        let mut catalogues = self.catalogues.get(object).into_iter().flatten();
        if let Some(catalogue) = catalogues.find(|catalogue| !self.leaving.contains(*catalogue)) {
            let name = format!("{}/{}", catalogue.namespace, catalogue.name);
            return Some(match object.kind {
                "SecurityPolicy" => {
                    let id = self.catalogue_ids.get(catalogue).unwrap_or(&name);
                    format!("cannot delete policy due to catalogue \"{id}\" dependency")
                }
                _ => format!("Unable to delete api description due to portal catalogue dependency \"{name}\""),
            });
        }
        if self.users.contains_key(object) {
            let text = "Operator context is used by other resources.Please check operator context status to find exact \
                        list of resources";
            return Some(text.to_owned());
        }
        self.graphs.get(object).cloned()
    }

    /// Fields of the status of each resource that say who uses it and whom it uses.
    pub(super) fn statuses(&self, snapshot: &Snapshot) -> BTreeMap<ObjectRef, Map<String, Value>> {
        let mut found: BTreeMap<ObjectRef, Map<String, Value>> = BTreeMap::new();
        let mut put = |object: &ObjectRef, key: &str, value: Value| {
            found.entry(object.clone()).or_default().insert(key.to_owned(), value);
        };
        for (api, policies) in &self.policies {
            let key = if api.kind == "ApiDefinition" {
                "linked_by_policies"
            } else {
                "linkedByPolicies"
            };
            put(api, key, policies.iter().map(target).collect());
        }
        for (api, callers) in self.callers.iter().filter(|(api, _)| api.kind == "ApiDefinition") {
            put(api, "linked_by_apis", callers.iter().map(target).collect());
        }
        for (caller, apis) in inverted(&self.callers) {
            let apis = apis.iter().filter(|api| api.kind == "ApiDefinition");
            put(&caller, "linked_to_apis", apis.map(target).collect());
        }
        for (policy, apis) in inverted(&self.policies) {
            put(&policy, "linked_apis", apis.iter().map(kind_and_target).collect());
        }
        for (object, (key, value)) in &self.served {
            put(object, key, value.clone());
        }
        for (context, users) in &self.users {
            for (kind, key) in CONTEXT_FIELDS {
                let users: Vec<_> = users.iter().filter(|user| user.kind == kind).map(target).collect();
                if !users.is_empty() {
                    put(context, key, json!(users));
                }
            }
        }
        for (api, status) in self.versions(snapshot) {
            put(&api, "versioningStatus", status);
        }
        found
    }

    /// `versioningStatus` of every base API and of every version.
    fn versions(&self, snapshot: &Snapshot) -> BTreeMap<ObjectRef, Value> {
        let mut found = BTreeMap::new();
        for (version, bases) in &self.bases {
            let Some(base) = bases.first() else { continue };
            let name = NamespacedName::new(&base.namespace, &base.name);
            let base_api = snapshot.tyk_oas_api_definitions.get(&name);
            let versioning = base_api.and_then(|api| api.spec.versioning.as_ref());
            let default = versioning.and_then(|versioning| versioning.default.as_deref());
            let own = versioning.into_iter().flat_map(|versioning| &versioning.versions);
            let is_default = own.filter(|one| Some(one.name.as_str()) == default);
            let mut is_default = is_default.map(|one| &one.tyk_oas_api_definition_ref);
            let names_it = |target: &Target| {
                *target.name == *version.name && *target.namespace_or(&base.namespace) == *version.namespace
            };
            let status = json!({
                "isVersionedAPI": true,
                "isDefaultVersion": is_default.any(names_it),
                "baseAPIVersionContextRef": target(base),
            });
            found.insert(version.clone(), status);
        }
        for (name, api) in snapshot.tyk_oas_api_definitions.iter() {
            let Some(versioning) = api.spec.versioning.as_ref().filter(|versioning| versioning.enabled) else {
                continue;
            };
            let own_name = versioning.name.as_deref();
            let is_default = versioning
                .default
                .as_deref()
                .is_none_or(|default| Some(default) == own_name || default == "self");
            let object = ObjectRef::new("TykOasApiDefinition", &name.namespace, &name.name);
            found
                .entry(object)
                .or_insert_with(|| json!({"isVersionedAPI": true, "isDefaultVersion": is_default}));
        }
        found
    }
}

/// Lists of users in the status of a context, by the kind of the users.
const CONTEXT_FIELDS: [(&str, &str); 8] = [
    ("APIDescription", "linked_api_descriptions"),
    ("PortalAPICatalogue", "linked_portal_catalogues"),
    ("PortalConfig", "linked_portal_configs"),
    ("ApiDefinition", "linked_api_definitions"),
    ("SecurityPolicy", "linked_security_policies"),
    ("TykMcpProxyDefinition", "linked_tyk_mcp_proxy_definition"),
    ("TykOasApiDefinition", "linked_tyk_oas_api_definition"),
    ("TykStreamsApiDefinition", "linked_tyk_streams_api_definition"),
];

fn inverted(names: &Names) -> Names {
    let mut inverted = Names::new();
    for (used, users) in names {
        for user in users {
            inverted.entry(user.clone()).or_default().insert(used.clone());
        }
    }
    inverted
}

fn target(object: &ObjectRef) -> Value {
    json!({"name": object.name, "namespace": object.namespace})
}

fn kind_and_target(object: &ObjectRef) -> Value {
    json!({"kind": object.kind, "name": object.name, "namespace": object.namespace})
}

#[cfg(test)]
mod tests;
