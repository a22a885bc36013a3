//! A translation under way: the Ingress as it will be, its template, and what was found.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::networking::v1::Ingress;
use kube::ResourceExt;
use serde_json::{Map, Value, json};

use super::{Finding, PREFIX, Translated, Verdict};
use crate::api::{ApiDefinition, ApiDefinitionSpec, names};
use crate::ingress::annotations as ours;
use crate::ingress::{EVERY_PATH, METHODS};
use crate::snapshot::NamespacedName;

/// Longest part of a value that a report repeats, in characters.
const SHOWN: usize = 60;
/// What a part of a definition is set to.
type Field = (&'static str, Value);

/// A translation under way.
pub struct Draft {
    /// The Ingress as it will be.
    pub ingress: Ingress,
    /// Whether it behaves as ingress-nginx does also where it says nothing.
    pub whole: bool,
    /// Annotations of ingress-nginx, by their names without [`PREFIX`].
    given: BTreeMap<String, String>,
    told: BTreeSet<String>,
    definition: Map<String, Value>,
    version: Map<String, Value>,
    extended: Map<String, Value>,
    redirects: Vec<String>,
    closed: bool,
    findings: Vec<Finding>,
}

impl Draft {
    /// A draft that has said nothing yet.
    pub fn new(ingress: &Ingress, whole: bool) -> Self {
        let mut ingress = ingress.clone();
        let mut given = BTreeMap::new();
        ingress
            .annotations_mut()
            .retain(|key, value| match key.strip_prefix(PREFIX) {
                Some(name) => {
                    given.insert(name.to_owned(), value.trim().to_owned());
                    false
                }
                None => key != "kubectl.kubernetes.io/last-applied-configuration",
            });
        ingress.metadata.managed_fields = None;
        Self {
            ingress,
            whole,
            given,
            told: BTreeSet::new(),
            definition: Map::new(),
            version: Map::new(),
            extended: Map::new(),
            redirects: Vec::new(),
            closed: false,
            findings: Vec::new(),
        }
    }

    /// The value of an annotation of ingress-nginx.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    /// Whether an annotation is `true`, in one of the spellings of Go's booleans.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "t" | "1"))
    }

    /// Names of annotations that nothing was said about.
    pub fn untold(&self) -> Vec<String> {
        self.given
            .keys()
            .filter(|name| !self.told.contains(*name))
            .cloned()
            .collect()
    }

    /// Says what became of an annotation, if the Ingress has it.
    pub fn tell(&mut self, name: &str, verdict: Verdict, detail: impl Into<String>) {
        if let Some(value) = self.given.get(name) {
            let value = match name.ends_with("snippet") {
                true => String::new(),
                false => shorten(value),
            };
            self.told.insert(name.to_owned());
            self.note(name, &value, verdict, detail);
        }
    }

    /// Says what became of a field, or of a default of ingress-nginx.
    pub fn note(&mut self, subject: &str, value: &str, verdict: Verdict, detail: impl Into<String>) {
        self.findings.push(Finding {
            subject: subject.to_owned(),
            value: value.to_owned(),
            verdict,
            detail: detail.into(),
        });
    }

    /// Sets an annotation of ours, unless the Ingress has it already.
    pub fn annotate(&mut self, name: &str, value: impl Into<String>) {
        let key = format!("{}{name}", ours::PREFIX);
        self.ingress
            .annotations_mut()
            .entry(key)
            .or_insert_with(|| value.into());
    }

    /// Sets fields of the template.
    pub fn define(&mut self, fields: impl IntoIterator<Item = Field>) {
        self.definition
            .extend(fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }

    /// Sets a field of the connection to the backend.
    pub fn define_transport(&mut self, name: &str, value: Value) {
        let proxy = self
            .definition
            .entry("proxy")
            .or_insert_with(|| json!({"transport": {}}));
        proxy["transport"][name] = value;
    }

    /// Adds a header to a map of headers of the version.
    pub fn add_header(&mut self, map: &str, name: &str, value: &str) {
        self.version.entry(map).or_insert_with(|| json!({}))[name] = json!(value);
    }

    /// Sets a list of extended paths: an entry for every path and each of the methods.
    pub fn extend(&mut self, list: &str, methods: &[&str], entry: &Value) {
        let entries = METHODS
            .iter()
            .filter(|method| methods.is_empty() || methods.contains(method));
        let entries = entries.map(|method| {
            let mut entry = entry.clone();
            entry["path"] = json!(EVERY_PATH);
            entry["method"] = json!(method);
            entry
        });
        self.extended.insert(list.to_owned(), entries.collect());
    }

    /// Adds a redirect of a path (`*` for all).
    ///
    /// # Errors
    /// When its place cannot be written down.
    pub fn redirect(&mut self, path: &str, code: u16, location: &str) -> Result<(), String> {
        if path.is_empty() || location.is_empty() {
            return Err("it names no place".into());
        }
        if [path, location]
            .iter()
            .any(|text| text.contains(|c: char| c.is_whitespace() || c == ','))
        {
            return Err("it holds a blank or a comma".into());
        }
        if location.contains('$') {
            return Err("it holds a variable of nginx".into());
        }
        self.redirects.push(format!("{path} {code} {location}"));
        Ok(())
    }

    /// Keeps the Ingress from being served before somebody writes the template that it names: what guarded it is lost.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// Name of the template.
    pub fn template_name(&self) -> String {
        let name: String = self.ingress.name_any().chars().take(240).collect();
        format!("{name}-nginx")
    }

    /// Ends the translation. A canary is no Ingress of its own any more.
    pub fn finish(mut self, is_served: bool) -> Translated {
        let needed =
            self.closed || !(self.definition.is_empty() && self.version.is_empty() && self.extended.is_empty());
        let taken = self.ingress.annotations().contains_key(names::ANNOTATION_TEMPLATE);
        if needed && taken {
            let detail = "the Ingress names a template of its own; add to it what these annotations say";
            self.note("spec.template", "", Verdict::Unsupported, detail);
        }
        let template = (is_served && needed && !taken).then(|| self.template_name());
        if let Some(name) = &template {
            self.annotate("template", name.clone());
        }
        if !self.redirects.is_empty() {
            let redirects = self.redirects.join(", ");
            self.annotate("redirect", redirects);
        }
        self.findings.sort_by(|a, b| a.subject.cmp(&b.subject));
        Translated {
            name: NamespacedName::of(&self.ingress.metadata),
            template: template
                .filter(|_| !self.closed)
                .map(|name| template_of(&name, &self.ingress, self.definition, self.version, self.extended)),
            ingress: is_served.then_some(self.ingress),
            closed: self.closed,
            findings: self.findings,
        }
    }
}

fn template_of(
    name: &str,
    ingress: &Ingress,
    mut definition: Map<String, Value>,
    mut version: Map<String, Value>,
    extended: Map<String, Value>,
) -> ApiDefinition {
    version.insert("name".into(), json!("Default"));
    version.insert("use_extended_paths".into(), json!(true));
    if !extended.is_empty() {
        version.insert("extended_paths".into(), Value::Object(extended));
    }
    definition.entry("use_keyless").or_insert(json!(true));
    definition.insert("name".into(), json!(name));
    definition.insert("protocol".into(), json!("http"));
    definition.insert("active".into(), json!(true));
    let proxy = definition.entry("proxy").or_insert_with(|| json!({}));
    for (field, value) in [
        ("target_url", json!("http://replaced.invalid")),
        ("listen_path", json!("/")),
        ("strip_listen_path", json!(false)),
    ] {
        proxy[field] = value;
    }
    definition.insert(
        "version_data".into(),
        json!({"not_versioned": true, "default_version": "Default", "versions": {"Default": version}}),
    );
    let mut template = ApiDefinition::new(
        name,
        ApiDefinitionSpec {
            context_ref: None,
            definition: definition.into(),
        },
    );
    template.metadata.namespace = ingress.namespace();
    template
        .labels_mut()
        .insert(names::LABEL_TEMPLATE.into(), names::LABEL_TRUE.into());
    template
}

fn shorten(value: &str) -> String {
    let line = value.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
