//! Manifests (files, directories, standard input) to a [`Snapshot`].

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::Spanned;
use thiserror::Error;

use super::{Snapshot, SnapshotKind};
use crate::api::{ApiDefinition, OperatorContext};
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
    #[error("cannot read {path}: {source}")]
    Read {
        /// The path concerned.
        path: String,
        /// The system's reason.
        source: std::io::Error,
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
        Self { default_namespace: "default".into(), loaded: Loaded::default() }
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
            let text = std::fs::read_to_string(&file).map_err(|source| read_error(&file, source))?;
            self.text(&file.display().to_string(), &text)?;
        }
        Ok(())
    }

    /// Reads the documents of one text.
    ///
    /// # Errors
    /// As [`Loader::path`].
    pub fn text(&mut self, file: &str, text: &str) -> Result<(), LoadError> {
        let options = serde_saphyr::options! { budget: None, with_snippet: false };
        let documents: Vec<Spanned<Value>> = serde_saphyr::from_multiple_with_options(text, options)
            .map_err(|e| LoadError::Syntax { file: file.into(), message: e.to_string() })?;
        for (index, document) in documents.into_iter().enumerate() {
            let line = document.referenced.line().max(1);
            let location = Location { file: file.into(), line, document: index + 1 };
            self.document(&location, document.value)?;
        }
        Ok(())
    }

    fn document(&mut self, location: &Location, document: Value) -> Result<(), LoadError> {
        match document {
            Value::Null => Ok(()),
            Value::Object(mut object) if is_list(&object) => match object.remove("items") {
                Some(Value::Array(items)) => items.into_iter().try_for_each(|item| self.document(location, item)),
                None | Some(Value::Null) => Ok(()),
                Some(_) => Err(object_error(location, "List", "items: expected a list of objects")),
            },
            Value::Object(object) => self.object(location, Value::Object(object)),
            _ => Err(object_error(location, "document", "expected a Kubernetes object with apiVersion and kind")),
        }
    }

    fn object(&mut self, location: &Location, object: Value) -> Result<(), LoadError> {
        let api_version = object["apiVersion"].as_str().unwrap_or_default();
        let (group, kind) = (api_version.rsplit_once('/').map_or("", |(group, _)| group), object["kind"].as_str());
        match (group, kind) {
            (_, None) => Err(object_error(location, "document", "the field `kind` is missing")),
            ("networking.k8s.io" | "extensions", Some("Ingress")) => self.typed::<Ingress>(location, object),
            ("networking.k8s.io", Some("IngressClass")) => self.typed::<IngressClass>(location, object),
            ("", Some("Service")) => self.typed::<Service>(location, object),
            ("tyk.tyk.io", Some("ApiDefinition")) => self.typed::<ApiDefinition>(location, object),
            ("tyk.tyk.io", Some("OperatorContext")) => self.typed::<OperatorContext>(location, object),
            _ => Ok(()),
        }
    }

    fn typed<K: SnapshotKind + DeserializeOwned>(&mut self, location: &Location, object: Value) -> Result<(), LoadError> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let label = format!("{} {}", K::KIND, if name.is_empty() { "without a name" } else { &name });
        if name.is_empty() {
            return Err(object_error(location, &label, "the field `metadata.name` is missing"));
        }
        let api_version = object["apiVersion"].as_str().unwrap_or_default().to_owned();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or(&self.default_namespace).to_owned();
        let namespace = if K::NAMESPACED { namespace } else { String::new() };
        let object_ref = ObjectRef::new(K::KIND, namespace.clone(), name);
        if api_version != K::API_VERSION {
            let message = format!("apiVersion {api_version:?} is not read; write it as {:?}", K::API_VERSION);
            self.loaded.diagnostics.push(Diagnostic::new(Code::UnsupportedVersion, object_ref, "apiVersion", message));
            return Ok(());
        }
        let mut typed: K = decode(object).map_err(|message| object_error(location, &label, &message))?;
        typed.meta_mut().namespace = K::NAMESPACED.then_some(namespace);
        self.insert(location, object_ref, typed);
        Ok(())
    }

    fn insert<K: SnapshotKind>(&mut self, location: &Location, object_ref: ObjectRef, object: K) {
        self.loaded.snapshot.insert(object);
        if let Some(first) = self.loaded.locations.insert(object_ref.clone(), location.clone()) {
            let message = format!("defined at {first} and again at {location}");
            self.loaded.diagnostics.push(Diagnostic::new(Code::DuplicateObject, object_ref, "", message));
        }
    }
}

fn is_list(object: &serde_json::Map<String, Value>) -> bool {
    object.get("kind").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("List"))
}

fn decode<K: DeserializeOwned>(object: Value) -> Result<K, String> {
    serde_path_to_error::deserialize(object).map_err(|error| {
        let path = error.path().to_string();
        format!("{path}: {}", error.into_inner())
    })
}

fn object_error(location: &Location, object: &str, message: &str) -> LoadError {
    LoadError::Object { location: location.clone(), object: object.into(), message: message.into() }
}

fn read_error(path: &Path, source: std::io::Error) -> LoadError {
    LoadError::Read { path: path.display().to_string(), source }
}

/// The manifest files below `path`, in the order of their names; a file that is named outright is read whatever it is called.
fn manifest_files(path: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let metadata = std::fs::metadata(path).map_err(|source| read_error(path, source))?;
    if !metadata.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries = std::fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>())
        .map_err(|source| read_error(path, source))?;
    entries.sort();
    let mut files = Vec::new();
    for entry in entries {
        if entry.is_dir() {
            files.extend(manifest_files(&entry)?);
        } else if entry.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json") {
            files.push(entry);
        }
    }
    Ok(files)
}
