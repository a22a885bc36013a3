//! A resource as a report sees it, whatever its kind.

use std::any::Any;
use std::cell::OnceCell;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::ReportInput;
use crate::api::{Generated, names};
use crate::desired::Place;
use crate::diagnostic::ObjectRef;
use crate::snapshot::{NamespacedName, Snapshot, SnapshotKind, Stored};

/// What becomes of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// An API on a Tyk.
    Api,
    /// A policy on a Tyk.
    Policy,
    /// The catalogue or the configuration of a Dashboard's portal.
    Portal,
    /// Ingresses copy it; it is never sent itself.
    Template,
    /// Other resources use it; it is never sent itself.
    Part,
    /// A Tyk to configure.
    Context,
}

/// One resource.
pub(super) struct Subject<'a> {
    pub(super) object: ObjectRef,
    /// `metadata.generation`.
    pub(super) generation: Option<i64>,
    is_leaving: bool,
    is_kept: bool,
    /// The same object wherever nothing of it has changed.
    pub(super) held: Arc<dyn Any + Send + Sync>,
    told: &'a dyn Told,
    status: OnceCell<Map<String, Value>>,
    pub(super) role: Role,
    /// Name of the Ingress that it is a child of.
    pub(super) ingress: Option<&'a str>,
}

impl Subject<'_> {
    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    /// Whether a finalizer of ours keeps it.
    pub(super) fn is_kept(&self) -> bool {
        self.is_kept
    }

    pub(super) fn place<'a>(&self, input: &ReportInput<'a>) -> Option<&'a Place> {
        input.fleet.places.get(&self.object)
    }

    /// Its status in the cluster, with the fields of others. Read when it is asked for: those of all resources at once
    /// would be more than all else that a report is made from.
    pub(super) fn status(&self) -> &Map<String, Value> {
        self.status.get_or_init(|| self.told.fields())
    }

    pub(super) fn name(&self) -> NamespacedName {
        NamespacedName::new(&self.object.namespace, &self.object.name)
    }
}

/// A status of any kind.
trait Told {
    fn fields(&self) -> Map<String, Value>;
}

impl<S: Serialize> Told for S {
    fn fields(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(status)) => status,
            _ => Map::new(),
        }
    }
}

/// Every resource of ours that has a status.
pub(super) fn all<'a>(input: &ReportInput<'a>) -> Vec<Subject<'a>> {
    let snapshot = input.snapshot;
    let mut found = Vec::new();
    for (name, object) in snapshot.api_definitions.iter() {
        let role = if object.is_template() {
            Role::Template
        } else {
            Role::Api
        };
        let finalizers = &[names::FINALIZER_API_DEFINITION, names::FINALIZER_TEMPLATE];
        found.extend(generated(input, (name, object), object.status(), (role, finalizers)));
    }
    for (name, object) in snapshot.tyk_oas_api_definitions.iter() {
        let role = if object.is_template() {
            Role::Template
        } else {
            Role::Api
        };
        let finalizers = &[names::FINALIZER_OAS_API_DEFINITION, names::FINALIZER_TEMPLATE];
        found.extend(generated(input, (name, object), &object.status, (role, finalizers)));
    }
    macro_rules! add {
        ($($field:ident $role:ident $finalizer:ident;)*) => {
            $(for (name, object) in snapshot.$field.iter() {
                found.push(written((name, object), &object.status, (Role::$role, &[names::$finalizer])));
            })*
        };
    }
    add! {
        tyk_streams_api_definitions Api FINALIZER_STREAMS_API_DEFINITION;
        tyk_mcp_proxy_definitions Api FINALIZER_MCP_PROXY_DEFINITION;
        security_policies Policy FINALIZER_SECURITY_POLICY;
        sub_graphs Part FINALIZER_SUB_GRAPH;
        super_graphs Part FINALIZER_SUPER_GRAPH;
        operator_contexts Context FINALIZER_OPERATOR_CONTEXT;
        api_descriptions Part FINALIZER_API_DESCRIPTION;
        portal_api_catalogues Portal FINALIZER_PORTAL_CATALOGUE;
        portal_configs Portal FINALIZER_PORTAL_CONFIG;
    }
    found
}

fn generated<'a, S: Stored<Object: SnapshotKind> + Generated>(
    input: &ReportInput<'_>,
    (name, object): (&NamespacedName, &'a S),
    status: &'a impl Serialize,
    kept: (Role, &'static [&'static str]),
) -> Option<Subject<'a>> {
    (!is_foreign(input, &name.namespace, object)).then(|| Subject {
        ingress: object.ingress(),
        ..written((name, object), status, kept)
    })
}

fn written<'a, S: Stored<Object: SnapshotKind>>(
    (name, object): (&NamespacedName, &'a S),
    status: &'a impl Serialize,
    (role, finalizers): (Role, &'static [&'static str]),
) -> Subject<'a> {
    Subject {
        object: name.object(S::Object::KIND),
        generation: object.generation(),
        is_leaving: object.is_leaving(),
        is_kept: object.has_finalizer(finalizers),
        held: object.held(),
        told: status,
        status: OnceCell::new(),
        role,
        ingress: None,
    }
}

/// Whether an object is a child that another operator answers for: it bears that one's label, or it is one of Tyk
/// Operator whose Ingress lives and is not ours.
fn is_foreign(input: &ReportInput<'_>, namespace: &Arc<str>, object: &impl Generated) -> bool {
    if object.operator().is_some() {
        return object.is_of_another(input.owner);
    }
    object.ingress().is_some_and(|name| {
        let ingress = NamespacedName::new(namespace, name);
        let ours = input.translation.ingresses.binary_search(&ingress).is_ok();
        lives(input.snapshot, &ingress) && !ours
    })
}

/// Whether an Ingress is there and not being deleted.
pub(super) fn lives(snapshot: &Snapshot, name: &NamespacedName) -> bool {
    snapshot.ingresses.get(name).is_some_and(|found| !found.is_leaving())
}
