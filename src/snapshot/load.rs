//! Manifests (files, directories, standard input) to a [`Snapshot`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::Spanned;
use thiserror::Error;

use super::{NamedSecret, Snapshot, SnapshotKind, TlsSecret};
use crate::api::{
    APIDescription, ApiDefinition, OperatorContext, PortalAPICatalogue, PortalConfig, SecurityPolicy, SubGraph,
    SuperGraph, TykMcpProxyDefinition, TykOasApiDefinition, TykStreamsApiDefinition,
};
use crate::diagnostic::{Code, Diagnostic, ObjectRef};

/// Where a manifest stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Path as the user gave it, or `<stdin>`.
    pub file: String,
    /// Line of the document's first node, from 1.
    pub line: u64,
    /// Number of the document in its file, from 1.
    pub document: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} (document {})", self.file, self.line, self.document)
    }
}

/// Why manifests could not be read. Nothing of them is used then.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file or directory cannot be read.
    #[error("cannot read {path}: {reason}")]
    Read {
        /// The path concerned.
        path: String,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// The text is not YAML.
    #[error("{file} is not valid YAML: {message}")]
    Syntax {
        /// The file concerned.
        file: String,
        /// The parser's message, with line and column.
        message: String,
    },
    /// A document is no Kubernetes object, or one of its fields has the wrong type.
    #[error("{location}: {object}: {message}")]
    Object {
        /// Where the document stands.
        location: Location,
        /// Kind and name, as far as known.
        object: String,
        /// What is wrong, with the path of the field.
        message: String,
    },
}

/// Manifests as read.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The objects of the kinds that a translation looks at.
    pub snapshot: Snapshot,
    /// Where each of them stands.
    pub locations: BTreeMap<ObjectRef, Location>,
    /// Findings about the files themselves: an object defined twice, an old apiVersion.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads manifests one after the other.
#[derive(Debug)]
pub struct Loader {
    default_namespace: String,
    loaded: Loaded,
}

impl Default for Loader {
    fn default() -> Self {
        Self {
            default_namespace: "default".into(),
            loaded: Loaded::default(),
        }
    }
}

impl Loader {
    /// Ends the reading.
    pub fn finish(self) -> Loaded {
        self.loaded
    }

    /// Reads a file, or every `.yaml`, `.yml` and `.json` file of a directory and its sub-directories.
    ///
    /// # Errors
    /// When a file cannot be read, is not YAML, or holds an object of a wrong shape.
    pub fn path(&mut self, path: &Path) -> Result<(), LoadError> {
        for file in manifest_files(path)? {
            let text = std::fs::read_to_string(&file).map_err(|reason| read_error(&file, reason))?;
            self.text(&file.display().to_string(), &text)?;
        }
        Ok(())
    }

    /// Reads the documents of one text.
    ///
    /// # Errors
    /// As [`Loader::path`].
    pub fn text(&mut self, file: &str, text: &str) -> Result<(), LoadError> {
        let documents: Vec<Spanned<Value>> = parse(file, text, false)?;
        let strict: Vec<Value> = parse(file, text, true)?;
        for (index, (document, strict)) in documents.into_iter().zip(strict).enumerate() {
            let line = document.referenced.line().max(1);
            let location = Location {
                file: file.into(),
                line,
                document: index + 1,
            };
            self.document(&location, document.value, strict)?;
        }
        Ok(())
    }

    fn document(&mut self, location: &Location, document: Value, strict: Value) -> Result<(), LoadError> {
        match document {
            Value::Null => Ok(()),
            Value::Object(object) if is_list(&object) => match (object.get("items"), strict.get("items")) {
                (Some(Value::Array(items)), Some(Value::Array(strict))) => {
                    let mut items = items.iter().cloned().zip(strict.iter().cloned());
                    items.try_for_each(|(item, strict)| self.document(location, item, strict))
                }
                (None | Some(Value::Null), _) => Ok(()),
                _ => Err(object_error(location, "List", "items: expected a list of objects")),
            },
            Value::Object(object) => self.object(location, Value::Object(object), strict),
            _ => Err(object_error(
                location,
                "document",
                "expected a Kubernetes object with apiVersion and kind",
            )),
        }
    }

    fn object(&mut self, location: &Location, object: Value, strict: Value) -> Result<(), LoadError> {
        let api_version = object["apiVersion"].as_str().unwrap_or_default();
        let (group, kind) = (
            api_version.rsplit_once('/').map_or("", |(group, _)| group),
            object["kind"].as_str(),
        );
        match (group, kind) {
            (_, None) => Err(object_error(location, "document", "the field `kind` is missing")),
            ("networking.k8s.io" | "extensions", Some("Ingress")) => self.typed::<Ingress>(location, object, strict),
            ("networking.k8s.io", Some("IngressClass")) => self.typed::<IngressClass>(location, object, strict),
            ("", Some("Namespace")) => self.typed::<Namespace>(location, object, strict),
            ("", Some("ConfigMap")) => self.typed::<ConfigMap>(location, object, strict),
            ("", Some("Service")) => self.typed::<Service>(location, object, strict),
            ("", Some("Secret")) if object["type"] == "kubernetes.io/tls" => {
                self.typed::<TlsSecret>(location, object, strict)
            }
            ("", Some("Secret")) => self.typed::<NamedSecret>(location, object, strict),
            ("discovery.k8s.io", Some("EndpointSlice")) => self.typed::<EndpointSlice>(location, object, strict),
            ("tyk.tyk.io", Some("ApiDefinition")) => self.typed::<ApiDefinition>(location, object, strict),
            ("tyk.tyk.io", Some("OperatorContext")) => self.typed::<OperatorContext>(location, object, strict),
            ("tyk.tyk.io", Some("TykOasApiDefinition")) => self.typed::<TykOasApiDefinition>(location, object, strict),
            ("tyk.tyk.io", Some("SecurityPolicy")) => self.typed::<SecurityPolicy>(location, object, strict),
            ("tyk.tyk.io", Some("TykStreamsApiDefinition")) => {
                self.typed::<TykStreamsApiDefinition>(location, object, strict)
            }
            ("tyk.tyk.io", Some("TykMcpProxyDefinition")) => {
                self.typed::<TykMcpProxyDefinition>(location, object, strict)
            }
            ("tyk.tyk.io", Some("SubGraph")) => self.typed::<SubGraph>(location, object, strict),
            ("tyk.tyk.io", Some("SuperGraph")) => self.typed::<SuperGraph>(location, object, strict),
            ("tyk.tyk.io", Some("APIDescription")) => self.typed::<APIDescription>(location, object, strict),
            ("tyk.tyk.io", Some("PortalAPICatalogue")) => self.typed::<PortalAPICatalogue>(location, object, strict),
            ("tyk.tyk.io", Some("PortalConfig")) => self.typed::<PortalConfig>(location, object, strict),
            _ => Ok(()),
        }
    }

    fn typed<K>(&mut self, location: &Location, object: Value, strict: Value) -> Result<(), LoadError>
    where
        K: SnapshotKind + DeserializeOwned,
    {
        let name = strict["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let label = format!("{} {}", K::KIND, if name.is_empty() { "without a name" } else { &name });
        if name.is_empty() {
            return Err(object_error(location, &label, "the field `metadata.name` is missing"));
        }
        let api_version = object["apiVersion"].as_str().unwrap_or_default().to_owned();
        let namespace = strict["metadata"]["namespace"]
            .as_str()
            .unwrap_or(&self.default_namespace)
            .to_owned();
        let namespace = if K::NAMESPACED { namespace } else { String::new() };
        let object_ref = ObjectRef::new(K::KIND, namespace.clone(), name);
        if api_version != K::API_VERSION {
            let message = format!(
                "apiVersion {api_version:?} is not read; write it as {:?}",
                K::API_VERSION
            );
            self.loaded.diagnostics.push(Diagnostic::new(
                Code::UnsupportedVersion,
                object_ref,
                "apiVersion",
                message,
            ));
            return Ok(());
        }
        let decoded = decode(object).or_else(|message| decode(strict).map_err(|_| message));
        let mut typed: K = decoded.map_err(|message| object_error(location, &label, &without_value::<K>(message)))?;
        typed.meta_mut().namespace = K::NAMESPACED.then_some(namespace);
        self.insert(location, object_ref, typed);
        Ok(())
    }

    fn insert<K: SnapshotKind>(&mut self, location: &Location, object_ref: ObjectRef, object: K) {
        self.loaded.snapshot.insert(object);
        if let Some(first) = self.loaded.locations.insert(object_ref.clone(), location.clone()) {
            let message = format!("defined at {first} and again at {location}");
            self.loaded
                .diagnostics
                .push(Diagnostic::new(Code::DuplicateObject, object_ref, "", message));
        }
    }
}

/// Reads YAML as kubectl does, where a plain `y` or `on` is a boolean, or strictly, where it is a text. An object that
/// cannot be read in the first way is read in the second: YAML 1.2 tools print a name such as `y` without quotes.
/// Excerpts of the text are kept out of errors, for they may hold secrets.
fn parse<T: DeserializeOwned>(file: &str, text: &str, strict_booleans: bool) -> Result<Vec<T>, LoadError> {
    let options = serde_saphyr::options! {
        budget: None,
        legacy_octal_numbers: true,
        strict_booleans: strict_booleans,
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| LoadError::Syntax {
        file: file.into(),
        message: error.to_string(),
    })
}

fn is_list(object: &serde_json::Map<String, Value>) -> bool {
    object
        .get("kind")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.ends_with("List"))
}

fn decode<K: DeserializeOwned>(object: Value) -> Result<K, String> {
    serde_path_to_error::deserialize(object).map_err(|error| {
        let path = error.path().to_string();
        format!("{path}: {}", error.into_inner())
    })
}

/// Serde's messages quote the value they refuse; of a Secret only the field is named.
fn without_value<K: SnapshotKind>(message: String) -> String {
    match (K::KIND, message.split_once(": ")) {
        ("Secret", Some((field, _))) => format!("{field}: the value has the wrong type"),
        _ => message,
    }
}

fn object_error(location: &Location, object: &str, message: &str) -> LoadError {
    LoadError::Object {
        location: location.clone(),
        object: object.into(),
        message: message.into(),
    }
}

fn read_error(path: &Path, reason: std::io::Error) -> LoadError {
    LoadError::Read {
        path: path.display().to_string(),
        reason,
    }
}

/// The manifest files below `path`, in the order of their names. Hidden entries are left out, among them the links of a
/// mounted ConfigMap; a file that is named outright is read whatever it is called.
pub fn manifest_files(path: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let metadata = std::fs::metadata(path).map_err(|reason| read_error(path, reason))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries = std::fs::read_dir(path)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|e| e.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(|reason| read_error(path, reason))?;
    entries.retain(|entry| {
        entry
            .file_name()
            .is_some_and(|name| !name.to_string_lossy().starts_with('.'))
    });
    entries.sort();
    let mut files = Vec::new();
    for entry in entries {
        if entry.is_dir() {
            files.extend(manifest_files(&entry)?);
        } else if entry
            .extension()
            .is_some_and(|e| e == "yaml" || e == "yml" || e == "json")
        {
            files.push(entry);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::snapshot::NamespacedName;

    const INGRESS: &str = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\n";

    fn load(text: &str) -> Result<Loaded, LoadError> {
        let mut loader = Loader::default();
        loader.text("a.yaml", text)?;
        Ok(loader.finish())
    }

    #[test]
    fn documents_lists_and_comments_are_read() {
        let service = "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: b}}";
        let text =
            format!("# first\n---\n{INGRESS}---\n# nothing\n---\napiVersion: v1\nkind: List\nitems: [{service}]\n");
        let loaded = load(&text).unwrap();
        assert!(
            loaded
                .snapshot
                .ingresses
                .contains_key(&NamespacedName::new("default", "web"))
        );
        assert!(loaded.snapshot.services.contains_key(&NamespacedName::new("b", "a")));
        assert_eq!(loaded.locations[&ObjectRef::new("Ingress", "default", "web")].line, 3);
    }

    #[test]
    fn errors_name_file_document_line_and_field() {
        let text = format!("{INGRESS}---\n{INGRESS}spec: {{rules: [{{http: {{paths: 3}}}}]}}\n");
        let error = load(&text).unwrap_err().to_string();
        for part in ["a.yaml:5 (document 2)", "Ingress web", "spec.rules[0].http.paths"] {
            assert!(error.contains(part), "{error}");
        }
        let error = load("a: [1\nb: }").unwrap_err().to_string();
        assert!(
            error.starts_with("a.yaml is not valid YAML") && error.contains("line 2"),
            "{error}"
        );
        assert!(
            load("- 1\n")
                .unwrap_err()
                .to_string()
                .contains("expected a Kubernetes object")
        );
        assert!(
            load("kind: Ingress\napiVersion: networking.k8s.io/v1\n")
                .unwrap_err()
                .to_string()
                .contains("metadata.name")
        );
    }

    #[test]
    fn booleans_are_those_of_kubectl_where_they_fit() {
        let definition =
            "apiVersion: tyk.tyk.io/v1alpha1\nkind: ApiDefinition\nmetadata: {name: api}\nspec: {use_keyless: yes}\n";
        let loaded = load(&format!("{definition}---\n{INGRESS}spec: {{ingressClassName: y}}\n")).unwrap();
        let api = &loaded.snapshot.api_definitions[&NamespacedName::new("default", "api")];
        assert_eq!(api.spec().definition.get("use_keyless"), Some(true.into()));
        let ingress = &loaded.snapshot.ingresses[&NamespacedName::new("default", "web")];
        assert_eq!(ingress.class(), Some("y"));
    }

    #[test]
    fn the_last_of_two_definitions_counts_and_is_reported() {
        let loaded = load(&format!("{INGRESS}---\n{INGRESS}spec: {{ingressClassName: tyk}}\n")).unwrap();
        assert_eq!(loaded.diagnostics[0].code, Code::DuplicateObject);
        let loaded = load("apiVersion: networking.k8s.io/v1beta1\nkind: Ingress\nmetadata: {name: old}\n").unwrap();
        assert_eq!(loaded.diagnostics[0].code, Code::UnsupportedVersion);
    }
    #[test]
    fn secrets_are_told_apart_by_their_type() {
        let secret = |name: &str, rest: &str| {
            format!("---\n{{apiVersion: v1, kind: Secret, metadata: {{name: {name}}}, {rest}}}\n")
        };
        let tls = secret("tls", "type: kubernetes.io/tls");
        let conf = secret("conf", "stringData: {TYK_AUTH: hunter2, PORT: 80}");
        let sealed = secret("sealed", "type: Opaque, data: {password: 'ENC[hunter2]'}");
        let loaded = load(&format!("{tls}{conf}{sealed}")).unwrap();
        let names = |names: Vec<&NamespacedName>| names.iter().map(|name| name.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(loaded.snapshot.tls_secrets.keys().collect()), ["tls"]);
        assert_eq!(names(loaded.snapshot.secrets.keys().collect()), ["conf", "sealed"]);
        let error = load(&secret("bad", "data: hunter2")).unwrap_err().to_string();
        assert!(
            error.contains("Secret bad: data") && !error.contains("hunter2"),
            "{error}"
        );
    }
}
