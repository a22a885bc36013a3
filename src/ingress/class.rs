//! Which Ingresses are ours.

use std::collections::BTreeSet;

use k8s_openapi::api::networking::v1::IngressClass;
use kube::ResourceExt;

use super::Options;
use crate::api::names;
use crate::snapshot::{Objects, StoredIngress};

/// The classes that we serve.
#[derive(Clone, Debug)]
pub struct Classes {
    ours: BTreeSet<String>,
    foreign: BTreeSet<String>,
    class: String,
    /// The default class, if it is ours.
    default: Option<String>,
}

impl Classes {
    /// Reads the IngressClasses. The newest default class counts, then the first by name, as the API server's
    /// `DefaultIngressClass` admission decides.
    pub fn new(classes: &Objects<IngressClass>, options: &Options) -> Self {
        let is_ours = |class: &IngressClass| controller_of(class) == Some(options.controller.as_str());
        let names = |keep: bool| {
            classes
                .values()
                .filter(|c| is_ours(c) == keep)
                .map(|c| c.name_any())
                .collect()
        };
        let mut defaults: Vec<_> = classes.values().filter(|class| is_default(class)).collect();
        defaults.sort_by_key(|class| std::cmp::Reverse(class.metadata.creation_timestamp.clone()));
        Self {
            ours: names(true),
            foreign: names(false),
            class: options.class.clone(),
            default: defaults
                .first()
                .filter(|class| is_ours(class))
                .map(|class| class.name_any()),
        }
    }

    /// Whether an Ingress is of one of our classes. The field goes before the annotation; an Ingress with neither
    /// belongs to the default class.
    pub fn own(&self, ingress: &StoredIngress) -> bool {
        match class_name(ingress) {
            Some(name) if self.ours.contains(name) => true,
            Some(name) => name == self.class && !self.foreign.contains(name),
            None => self.default.is_some(),
        }
    }

    /// Name of the class of an Ingress that is ours; there need not be an IngressClass of that name.
    pub fn name_of<'a>(&'a self, ingress: &'a StoredIngress) -> Option<&'a str> {
        class_name(ingress).or(self.default.as_deref())
    }
}

fn class_name(ingress: &StoredIngress) -> Option<&str> {
    let field = ingress.class();
    field.or_else(|| ingress.annotation(names::ANNOTATION_INGRESS_CLASS))
}

fn controller_of(class: &IngressClass) -> Option<&str> {
    class.spec.as_ref()?.controller.as_deref()
}

fn is_default(class: &IngressClass) -> bool {
    class
        .annotations()
        .get(names::ANNOTATION_DEFAULT_CLASS)
        .is_some_and(|value| value == "true")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use k8s_openapi::api::networking::v1::Ingress;
    use serde_json::{Value, json};

    use super::*;
    use crate::snapshot::NamespacedName;

    fn class(name: &str, controller: &str, default: bool, created: &str) -> IngressClass {
        serde_json::from_value(json!({
            "metadata": {"name": name, "creationTimestamp": created,
                "annotations": {"ingressclass.kubernetes.io/is-default-class": default.to_string()}},
            "spec": {"controller": controller}
        }))
        .unwrap()
    }

    fn ingress(field: Option<&str>, annotation: Option<&str>) -> StoredIngress {
        let annotations: Value = annotation.map_or(json!({}), |a| json!({"kubernetes.io/ingress.class": a}));
        let ingress = json!({"metadata": {"annotations": annotations}, "spec": {"ingressClassName": field}});
        serde_json::from_value::<Ingress>(ingress).unwrap().into()
    }

    fn classes(list: Vec<IngressClass>) -> Classes {
        let objects = list
            .into_iter()
            .map(|c| (NamespacedName::of(&c.metadata), Arc::new(c)))
            .collect();
        Classes::new(&objects, &Options::default())
    }

    const OURS: &str = "tyk.io/ingress-controller";

    #[test]
    fn the_controller_of_the_class_decides_not_its_name() {
        let classes = classes(vec![
            class("edge", OURS, false, "2026-01-01T00:00:00Z"),
            class("tyk", "example.com/other", false, "2026-01-01T00:00:00Z"),
        ]);
        assert!(classes.own(&ingress(Some("edge"), None)));
        assert!(classes.own(&ingress(None, Some("edge"))));
        assert!(!classes.own(&ingress(Some("tyk"), None)));
        assert!(!classes.own(&ingress(None, Some("tyk"))));
    }

    #[test]
    fn without_an_ingress_class_the_watched_name_is_ours() {
        let classes = classes(vec![]);
        assert!(classes.own(&ingress(Some("tyk"), None)));
        assert!(classes.own(&ingress(None, Some("tyk"))));
        assert!(!classes.own(&ingress(Some("nginx"), None)));
        assert!(!classes.own(&ingress(None, None)));
    }

    #[test]
    fn the_field_goes_before_the_annotation() {
        let classes = classes(vec![]);
        assert!(classes.own(&ingress(Some("tyk"), Some("nginx"))));
        assert!(!classes.own(&ingress(Some("nginx"), Some("tyk"))));
    }

    #[test]
    fn the_newest_default_class_takes_what_names_no_class() {
        let older = class("other", "example.com/other", true, "2026-01-01T00:00:00Z");
        let newer = class("edge", OURS, true, "2026-01-02T00:00:00Z");
        assert!(classes(vec![older.clone(), newer.clone()]).own(&ingress(None, None)));
        let newest = class("third", "example.com/other", true, "2026-01-03T00:00:00Z");
        assert!(!classes(vec![older, newer, newest]).own(&ingress(None, None)));
    }
}
