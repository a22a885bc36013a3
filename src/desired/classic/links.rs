//! Looping: the other APIs of the same Tyk that a definition sends requests to, by the names of their resources.

use std::fmt;

use serde_json::{Map, Value, json};

use super::fields::{endpoints_field, object, objects, text, versions};
use super::{Problem, Target};
use crate::api::{REWRITE_INTERNAL, TARGET_INTERNAL};
use crate::diagnostic::Code;
use crate::snapshot::{NamespacedName, StoredDefinition};

/// Kind of a target that names none.
pub(super) const CLASSIC: &str = "ApiDefinition";
const OAS: &str = "TykOasApiDefinition";

/// An API that a definition sends requests to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// `ApiDefinition` or `TykOasApiDefinition`.
    pub kind: &'static str,
    /// Name of the resource.
    pub name: NamespacedName,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// The resources that the definition of an API in `namespace` loops to, sorted, each once. Ids that stand in a `tyk://` URL that the
/// user wrote name no resource and are not among them.
pub fn links(api: &StoredDefinition, namespace: &str) -> Vec<Link> {
    if !api.may_name_others() {
        return Vec::new();
    }
    let definition = api.spec().definition.fields();
    let targets = places(&definition);
    let mut links: Vec<_> = targets
        .iter()
        .filter_map(|place| link(place.internal(&definition)?, namespace).ok())
        .collect();
    links.sort();
    links.dedup();
    links
}

/// Replaces every name by the `tyk://` URL of its API.
pub(super) fn resolve(
    definition: &mut Map<String, Value>,
    namespace: &str,
    find: impl Fn(&Link) -> Result<Target, String>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for place in places(definition) {
        let field = format!("spec.{}.{}", place.field, place.from);
        let url = match place.internal(definition) {
            // As good as absent.
            None => None,
            Some(internal) => match url(internal, namespace, &find) {
                Ok((url, target)) => {
                    problems.extend(target.map(|message| (Code::TargetInactive, field, message)));
                    Some(url)
                }
                Err((code, message)) => {
                    problems.push((code, field, message));
                    None
                }
            },
        };
        if let Some(holder) = place.holder_mut(definition) {
            holder.remove(place.from);
            if let Some(url) = url {
                holder.insert(place.to.into(), json!(url));
            }
        }
    }
    problems
}

/// The URL of a target, and what the user should know of it.
fn url(
    internal: &Map<String, Value>,
    namespace: &str,
    find: &impl Fn(&Link) -> Result<Target, String>,
) -> Result<(String, Option<String>), (Code, String)> {
    let link = link(internal, namespace).map_err(|message| (Code::InvalidDefinition, message))?;
    let Target { id, inactive } = find(&link).map_err(|message| (Code::TargetNotFound, message))?;
    // The gateway reads the id as the host of a URL.
    if !id.chars().all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c)) {
        let message = format!("{link} has the API id {id:?}, which cannot stand in a URL");
        return Err((Code::InvalidDefinition, message));
    }
    let path = text(internal, "path").trim_start_matches('/');
    let query = text(internal, "query").trim_start_matches('?');
    let mut url = format!("tyk://{id}");
    for (separator, part) in [('/', path), ('?', query)] {
        if part.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err((Code::InvalidDefinition, format!("{part:?} contains a space")));
        }
        if !part.is_empty() {
            url.push(separator);
            url.push_str(part);
        }
    }
    let inactive = inactive.then(|| format!("{link} is inactive"));
    Ok((url, inactive))
}

fn link(internal: &Map<String, Value>, namespace: &str) -> Result<Link, String> {
    let empty = Map::new();
    let target = object(internal, "target").unwrap_or(&empty);
    let kind = match text(target, "kind") {
        "" | CLASSIC => CLASSIC,
        OAS => OAS,
        other => return Err(format!("target.kind {other:?} is neither {CLASSIC} nor {OAS}")),
    };
    let namespace = match text(target, "namespace") {
        "" => namespace,
        given => given,
    };
    match text(target, "name") {
        "" => Err("target.name is empty".into()),
        name => Ok(Link {
            kind,
            name: NamespacedName::new(namespace, name),
        }),
    }
}

/// A place that can hold a target.
struct Place {
    /// First part of the way to the object around it, then the rest as a JSON pointer.
    head: &'static str,
    pointer: String,
    /// The same for people.
    field: String,
    from: &'static str,
    /// The field beside it that the gateway knows.
    to: &'static str,
}

impl Place {
    /// The target there; one without anything in it counts as absent.
    fn internal<'a>(&self, definition: &'a Map<String, Value>) -> Option<&'a Map<String, Value>> {
        let holder = definition.get(self.head)?.pointer(&self.pointer)?;
        holder
            .get(self.from)?
            .as_object()
            .filter(|internal| !internal.is_empty())
    }

    fn holder_mut<'a>(&self, definition: &'a mut Map<String, Value>) -> Option<&'a mut Map<String, Value>> {
        definition
            .get_mut(self.head)?
            .pointer_mut(&self.pointer)?
            .as_object_mut()
    }
}

/// Every place of a definition that holds a target, be it null.
fn places(definition: &Map<String, Value>) -> Vec<Place> {
    let mut places = Vec::new();
    if object(definition, "proxy").is_some_and(|proxy| proxy.contains_key(TARGET_INTERNAL)) {
        places.push(Place {
            head: "proxy",
            pointer: String::new(),
            field: "proxy".into(),
            from: TARGET_INTERNAL,
            to: "target_url",
        });
    }
    let rewrite = |pointer: String, field: String| Place {
        head: "version_data",
        pointer,
        field,
        from: REWRITE_INTERNAL,
        to: "rewrite_to",
    };
    for (key, version) in versions(definition) {
        let Some(paths) = object(version, "extended_paths") else {
            continue;
        };
        for (index, endpoint) in objects(paths, "url_rewrites") {
            let pointer = format!("/versions/{}/extended_paths/url_rewrites/{index}", escape(key));
            let field = format!("{}.url_rewrites[{index}]", endpoints_field(key));
            if endpoint.contains_key(REWRITE_INTERNAL) {
                places.push(rewrite(pointer.clone(), field.clone()));
            }
            for (index, trigger) in objects(endpoint, "triggers") {
                if trigger.contains_key(REWRITE_INTERNAL) {
                    places.push(rewrite(
                        format!("{pointer}/triggers/{index}"),
                        format!("{field}.triggers[{index}]"),
                    ));
                }
            }
        }
    }
    places
}

/// One part of a JSON pointer.
fn escape(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::api::ApiDefinitionSpec;
    use crate::ingress::ChildSpec as _;
    use crate::snapshot::Stored as _;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use std::sync::Arc;

    fn definition() -> Map<String, Value> {
        let rewrite = json!({
            "path": "/a", "method": "GET", "match_pattern": "(.*)",
            "rewrite_to_internal": {"target": {"name": "b", "namespace": "other"}, "path": "x/$1", "query": "a=1&b=$2"},
            "triggers": [
                {"on": "all", "rewrite_to": "/kept"},
                {"on": "any", "rewrite_to_internal": {"target": {"name": "c", "kind": "TykOasApiDefinition"}}},
            ],
        });
        let definition = json!({
            "proxy": {"listen_path": "/", "target_url": "http://old", "target_internal": {
                "target": {"name": "a"}, "path": "/p", "query": "?q"}},
            "version_data": {"versions": {"v~1/x": {"extended_paths": {"url_rewrites": [rewrite]}}}},
        });
        definition.as_object().unwrap().clone()
    }

    fn find(link: &Link) -> Result<Target, String> {
        let target = Target {
            id: format!("{}.{}", link.name.namespace, link.name.name),
            inactive: &*link.name.name == "idle",
        };
        if &*link.name.name == "gone" {
            Err(format!("{link} does not exist"))
        } else {
            Ok(target)
        }
    }

    #[test]
    fn names_become_urls() {
        let mut definition = definition();
        assert_eq!(resolve(&mut definition, "own", find), []);
        assert_eq!(
            json!(definition["proxy"]),
            json!({"listen_path": "/", "target_url": "tyk://own.a/p?q"})
        );
        let rewrite = &definition["version_data"]["versions"]["v~1/x"]["extended_paths"]["url_rewrites"][0];
        assert_eq!(rewrite["rewrite_to"], "tyk://other.b/x/$1?a=1&b=$2");
        assert_eq!(rewrite["triggers"][0]["rewrite_to"], "/kept");
        assert_eq!(
            rewrite["triggers"][1],
            json!({"on": "any", "rewrite_to": "tyk://own.c"})
        );
        assert!(!json!(definition).to_string().contains("_internal"));
    }

    fn stored(definition: Map<String, Value>) -> StoredDefinition {
        let spec = ApiDefinitionSpec {
            context_ref: None,
            definition: definition.into(),
        };
        let api = spec.with(ObjectMeta::default());
        StoredDefinition::of(Arc::new(api), &NamespacedName::new("own", "a"))
    }

    #[test]
    fn links_name_each_target_once() {
        let mut definition = definition();
        definition["proxy"]["target_internal"]["target"] = json!({"name": "b", "namespace": "other"});
        let names: Vec<_> = links(&stored(definition), "own")
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["ApiDefinition other/b", "TykOasApiDefinition own/c"]);
        assert_eq!(links(&stored(Map::new()), "own"), []);
    }

    #[test]
    fn a_target_that_cannot_be_used_is_told_by_field() {
        for (target, code, message) in [
            (
                json!({"name": "gone"}),
                Code::TargetNotFound,
                "ApiDefinition own/gone does not exist",
            ),
            (
                json!({"name": "idle"}),
                Code::TargetInactive,
                "ApiDefinition own/idle is inactive",
            ),
            (json!({}), Code::InvalidDefinition, "target.name is empty"),
            (
                json!({"name": "a", "kind": "Service"}),
                Code::InvalidDefinition,
                "target.kind \"Service\" is neither ApiDefinition nor TykOasApiDefinition",
            ),
        ] {
            let mut definition = definition();
            definition["proxy"]["target_internal"]["target"] = target;
            let problems = resolve(&mut definition, "own", find);
            let field = "spec.proxy.target_internal".to_owned();
            assert_eq!(problems, [(code, field, message.to_owned())]);
        }
        let odd = |_: &Link| {
            let (id, inactive) = ("a b".to_owned(), false);
            Ok(Target { id, inactive })
        };
        assert_eq!(resolve(&mut definition(), "own", odd).len(), 3);
    }

    #[test]
    fn an_empty_target_is_as_good_as_none() {
        for empty in [json!(null), json!({})] {
            let mut definition = definition();
            definition["proxy"]["target_internal"] = empty;
            assert_eq!(resolve(&mut definition, "own", find), []);
            assert_eq!(definition["proxy"]["target_url"], "http://old");
            assert!(definition["proxy"].get("target_internal").is_none());
        }
    }
}
