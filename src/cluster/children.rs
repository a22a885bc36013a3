//! The children of Ingresses, as they are rendered, into the cluster.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Client, Error};
use serde_json::json;

use super::{Published, all, api, message, status_code};
use crate::api::{Generated, names};
use crate::snapshot::{NamespacedName, Snapshot, SnapshotKind, Stored};

/// Whose children are whose.
#[derive(Clone, Copy, Debug)]
pub struct Ours<'a> {
    /// This operator.
    pub owner: &'a str,
    /// The Ingresses of its classes, sorted.
    pub ingresses: &'a [NamespacedName],
}

/// One write of a rendered child.
#[derive(Debug, PartialEq)]
enum Action<C> {
    /// Of an object that is not there.
    Create(C),
    /// Of the object with this uid.
    Update { uid: String, child: C },
    /// Of the object with this uid.
    Delete { uid: Option<String> },
}

/// A child as it is rendered.
pub trait Rendered<K: SnapshotKind>: Clone {
    /// Its object.
    fn definition(&self) -> K;

    /// Whether it can be seen at once that the cluster has it so. If not, the objects are compared.
    fn is_plainly(&self, stored: &K::Form) -> bool;
}

/// What there is to write.
#[derive(Debug)]
pub struct Plan<C> {
    actions: Vec<(NamespacedName, Action<C>)>,
    errors: Vec<(NamespacedName, String)>,
}

/// Creates, updates and deletes children until the cluster has exactly the rendered ones and the held ones. Children of
/// other operators are left alone, as are those of Tyk Operator (they have no operator's label) whose Ingress is not ours.
///
/// Nothing is planned for a child that the snapshot holds as it is rendered.
pub fn plan<K: Published, C: Rendered<K>>(
    snapshot: &Snapshot,
    rendered: &BTreeMap<NamespacedName, C>,
    held: &BTreeSet<NamespacedName>,
    ours: Ours<'_>,
) -> Plan<C> {
    let (mut actions, mut errors) = (Vec::new(), Vec::new());
    for (name, child) in rendered {
        match action_for::<K, C>(K::all(snapshot).get(name), child, ours.owner) {
            Ok(action) => actions.extend(action.map(|action| (name.clone(), action))),
            Err(error) => errors.push((name.clone(), error)),
        }
    }
    let stale = K::all(snapshot).iter().filter(|(name, existing)| {
        ours.include(&name.namespace, *existing)
            && !existing.is_leaving()
            && !rendered.contains_key(name)
            && !held.contains(name)
    });
    let delete = |existing: &K::Form| Action::Delete {
        uid: existing.whole().uid(),
    };
    actions.extend(stale.map(|(name, existing)| (name.clone(), delete(existing))));
    Plan { actions, errors }
}

impl<C> Plan<C> {
    /// Number of writes.
    pub fn writes(&self) -> usize {
        self.actions.len()
    }

    /// Writes. The errors come back by child; one child's error keeps no other from being written.
    pub async fn run<K: Published>(self, client: &Client) -> Vec<(NamespacedName, String)>
    where
        C: Rendered<K>,
    {
        let calls = self.actions.into_iter().map(|(name, action)| async move {
            let result = action.run(client, &name).await;
            (name, result)
        });
        let results = all(calls).await;
        let failed = results
            .into_iter()
            .filter_map(|(name, result)| Some((name, result.err()?)));
        let mut errors: Vec<_> = self.errors.into_iter().chain(failed).collect();
        errors.sort();
        errors
    }
}

impl Ours<'_> {
    /// Whether an object is a child that this operator prunes.
    pub fn include(&self, namespace: &str, definition: &impl Generated) -> bool {
        match definition.operator() {
            _ if !definition.is_child() => false,
            Some(operator) => *operator == names::label_value(self.owner),
            None => definition.ingress().is_some_and(|name| {
                let ingress = NamespacedName::new(namespace, name);
                self.ingresses.binary_search(&ingress).is_ok()
            }),
        }
    }
}

fn action_for<K: Published, C: Rendered<K>>(
    existing: Option<&K::Form>,
    rendered: &C,
    owner: &str,
) -> Result<Option<Action<C>>, String> {
    let Some(existing) = existing else {
        return Ok(Some(Action::Create(rendered.clone())));
    };
    if rendered.is_plainly(existing) {
        return Ok(None);
    }
    let (existing, child) = (existing.whole(), rendered.definition());
    let existing = existing.as_ref();
    if !existing.is_child() && !same_owner(existing, &child) {
        return Err(taken(K::KIND));
    }
    if existing.is_of_another(owner) {
        return Err(of_another(existing));
    }
    if existing.meta().deletion_timestamp.is_some() || is_as(existing, &child) {
        return Ok(None);
    }
    let uid = existing.uid().unwrap_or_default();
    match owner_uid(child.meta()).is_some() && !same_owner(existing, &child) {
        // Of an earlier Ingress of the same name. An object has one controller, so it makes room for a new one.
        true => Ok(Some(Action::Delete { uid: Some(uid) })),
        false => Ok(Some(Action::Update {
            uid,
            child: rendered.clone(),
        })),
    }
}

fn taken(kind: &str) -> String {
    format!(
        "another {kind} of this name exists that was not made from the Ingress; it is left alone, so rename or delete it"
    )
}

fn of_another(existing: &impl Generated) -> String {
    format!(
        "the operator {:?} has made an ApiDefinition of this name and has not let go of it yet",
        existing.operator().unwrap_or_default()
    )
}

fn owner_uid(meta: &ObjectMeta) -> Option<&str> {
    let mut owners = meta.owner_references.iter().flatten();
    owners
        .find(|owner| owner.controller == Some(true))
        .map(|owner| owner.uid.as_str())
}

fn same_owner<K: Published>(one: &K, other: &K) -> bool {
    let uid = owner_uid(one.meta());
    uid.is_some() && uid == owner_uid(other.meta())
}

/// Whether nothing needs to be written. What others added to the metadata is theirs.
fn is_as<K: Published>(existing: &K, child: &K) -> bool {
    existing.spec() == child.spec()
        && child
            .labels()
            .iter()
            .all(|(key, value)| existing.labels().get(key) == Some(value))
        && child
            .owner_references()
            .iter()
            .all(|owner| existing.owner_references().contains(owner))
        && existing.finalizers().iter().any(|finalizer| finalizer == K::FINALIZER)
}

/// A child as it is sent.
fn complete<K: Published>(mut child: K) -> K {
    child.meta_mut().finalizers = Some(vec![K::FINALIZER.to_owned()]);
    child.clear_status();
    child
}

impl<C> Action<C> {
    /// Writes. Objects are made when their turn comes: thousands that wait would be more than all that is known of them.
    async fn run<K: Published>(self, client: &Client, name: &NamespacedName) -> Result<(), String>
    where
        C: Rendered<K>,
    {
        let result = match self {
            Self::Create(child) => create(client, name, &complete(child.definition())).await,
            Self::Update { uid, child } => update(client, name, uid, complete(child.definition())).await,
            Self::Delete { uid } => delete::<K>(client, name, uid).await,
        };
        match result {
            Err(error) if !is_ending(&error) => Err(message(&error)),
            _ => Ok(()),
        }
    }
}

/// Not by server-side apply, which would take over an object that somebody made a moment ago. Of one that is there
/// already the watch will tell, be it our own or not.
async fn create<K: Published>(client: &Client, name: &NamespacedName, child: &K) -> Result<(), Error> {
    let params = PostParams {
        field_manager: Some(names::FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    match api::<K>(client, name).create(&params, child).await {
        Err(error) if status_code(&error) == Some(409) => Ok(()),
        result => result.map(drop),
    }
}

async fn update<K: Published>(client: &Client, name: &NamespacedName, uid: String, mut child: K) -> Result<(), Error> {
    let api = api::<K>(client, name);
    // With it the API server refuses to make an object anew that is gone.
    child.meta_mut().uid = Some(uid.clone());
    let params = PatchParams::apply(names::FIELD_MANAGER).force();
    let applied = match api.patch(&name.name, &params, &Patch::Apply(&child)).await {
        // Gone or replaced, of which the watch will tell.
        Err(error) if status_code(&error) == Some(409) => return Ok(()),
        result => result?,
    };
    if applied.spec() == child.spec() {
        return Ok(());
    }
    // An apply leaves fields that another manager added; in a child nothing but the rendered fields may stand.
    let patch = json!([
        {"op": "test", "path": "/metadata/uid", "value": uid},
        {"op": "replace", "path": "/spec", "value": child.spec()},
    ]);
    let patch = Patch::Json::<()>(serde_json::from_value(patch).map_err(Error::SerdeError)?);
    let params = PatchParams {
        field_manager: Some(names::FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    api.patch(&name.name, &params, &patch).await.map(drop)
}

async fn delete<K: Published>(client: &Client, name: &NamespacedName, uid: Option<String>) -> Result<(), Error> {
    let params = DeleteParams {
        preconditions: uid.map(|uid| Preconditions {
            uid: Some(uid),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match api::<K>(client, name).delete(&name.name, &params).await {
        Err(error) if matches!(status_code(&error), Some(404 | 409)) => Ok(()),
        result => result.map(drop),
    }
}

/// Whether the namespace goes or is gone, and everything in it.
fn is_ending(error: &Error) -> bool {
    let Error::Api(status) = error else { return false };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    status.code == 404 || causes.into_iter().any(|cause| cause.reason == "NamespaceTerminating")
}

#[cfg(test)]
mod tests;
