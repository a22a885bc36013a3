//! One manifest with what a reader should know of it.

use serde_json::{Value, json};

use super::links::Link;

/// A resource, or the ConfigMap of one.
#[derive(Clone, PartialEq)]
pub struct Manifest {
    /// What it is.
    pub link: Link,
    /// Everything but `apiVersion`, `kind` and `metadata`.
    pub body: (&'static str, Value),
    /// Lines before it.
    pub notes: Vec<String>,
}

impl Manifest {
    /// The text of the manifest, notes first.
    ///
    /// # Errors
    /// It cannot be written as YAML.
    pub fn yaml(&self) -> anyhow::Result<String> {
        let Link { kind, namespace, name } = &self.link;
        let api_version = if *kind == "ConfigMap" {
            "v1"
        } else {
            "tyk.tyk.io/v1alpha1"
        };
        let (field, body) = &self.body;
        let object = json!({
            "apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, *field: body,
        });
        let mut text: String = self
            .notes
            .iter()
            .map(|note| format!("# {}\n", note.replace(['\n', '\r'], " ")))
            .collect();
        text.push_str(&serde_saphyr::to_string(&object)?);
        Ok(text)
    }

    /// Name of its file.
    pub fn file(&self) -> String {
        format!("{}-{}.yaml", self.link.kind.to_ascii_lowercase(), self.link.name)
    }

    /// Its place among others: what others name goes first.
    pub fn order(&self) -> (usize, String, String) {
        let kinds = ["ConfigMap", "TykOasApiDefinition", "ApiDefinition"];
        let place = kinds.iter().position(|kind| *kind == self.link.kind);
        (
            place.unwrap_or(kinds.len()),
            self.link.namespace.clone(),
            self.link.name.clone(),
        )
    }
}
