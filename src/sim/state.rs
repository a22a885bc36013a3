//! What the gateway holds: files, and the memory that a reload makes of them. Writes go to files, reads see memory.

use super::certs::Certs;
use super::core::Held;
use super::definition::text;
use super::spec::Spec;
use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Files, memory and certificates.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Definitions by file name, in the order in which the gateway reads its directory.
    pub files: BTreeMap<String, File>,
    pub policy_files: BTreeMap<String, Value>,
    pub apis: BTreeMap<String, Arc<Spec>>,
    pub policies: BTreeMap<String, Value>,
    /// Kept in redis by the real gateway: neither files nor memory.
    pub certs: Certs,
    /// Sessions by key, kept in the same place.
    pub keys: BTreeMap<String, Value>,
    /// File names written since a reload was asked for, for the fault that loses them.
    pub written: BTreeSet<String>,
}

/// A definition on disk; `oas` is the second file of an OAS API.
#[derive(Debug)]
pub(super) struct File {
    pub definition: Value,
    pub oas: Option<Value>,
    pub checksum: String,
}

impl File {
    /// The id of the API, which need not be the file's name.
    pub fn id(&self) -> String {
        text(&self.definition, "/api_id").to_owned()
    }
}

/// A file whose name cannot be written, because it is no single path component.
#[derive(Debug)]
pub(super) struct WriteError;

impl State {
    /// Holds this and nothing else. An id that is no file name cannot be served, so that it is left out.
    pub fn hold(&mut self, held: Held) {
        self.policy_files.clear();
        for policy in held.policies {
            let _ = self.write_policy(policy);
        }
        let mut before = std::mem::take(&mut self.files);
        for (definition, oas) in held.apis {
            let name = file_name(text(&definition, "/api_id")).unwrap_or_default();
            match before.remove(&name) {
                Some(file) if file.definition == definition && file.oas == oas => drop(self.files.insert(name, file)),
                _ => drop(self.write_api(definition, oas)),
            }
        }
        self.certs = held.certs;
    }

    /// Writes the files of an API.
    pub fn write_api(&mut self, definition: Value, oas: Option<Value>) -> Result<(), WriteError> {
        let name = file_name(text(&definition, "/api_id"))?;
        let mut hasher = Sha256::new();
        hasher.update(definition.to_string());
        hasher.update(oas.as_ref().map(Value::to_string).unwrap_or_default());
        let checksum = hex(&hasher.finalize());
        self.written.insert(name.clone());
        self.files.insert(
            name,
            File {
                definition,
                oas,
                checksum,
            },
        );
        Ok(())
    }

    /// Removes the files of an API; whether there were any.
    pub fn remove_api(&mut self, id: &str) -> bool {
        self.files.remove(&format!("{id}.json")).is_some()
    }

    /// Writes the file of a policy.
    pub fn write_policy(&mut self, policy: Value) -> Result<(), WriteError> {
        let name = file_name(text(&policy, "/id"))?;
        self.policy_files.insert(name, policy);
        Ok(())
    }

    /// Removes the file of a policy; whether there was one.
    pub fn remove_policy(&mut self, id: &str) -> bool {
        self.policy_files.remove(&format!("{id}.json")).is_some()
    }

    /// Reads the policies anew.
    pub fn load_policies(&mut self, lost: &BTreeSet<String>) {
        let kept = self.policy_files.iter().filter(|(name, _)| !lost.contains(*name));
        self.policies = kept
            .map(|(_, policy)| (text(policy, "/id").to_owned(), policy.clone()))
            .collect();
    }

    /// The loaded API that a `tyk://` address means.
    pub fn looped(&self, search: &str) -> Option<Arc<Spec>> {
        self.apis
            .get(search)
            .or_else(|| self.apis.values().find(|spec| spec.answers_to(search)))
            .cloned()
    }
}

fn file_name(id: &str) -> Result<String, WriteError> {
    if id.contains(['/', '\0']) || id.len() > 250 {
        Err(WriteError)
    } else {
        Ok(format!("{id}.json"))
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}
