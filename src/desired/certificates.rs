//! Secrets to certificates of Tyk: every kind of reference goes through here.
//!
//! A server certificate that cannot be used costs nothing as long as the API has another one. Of what decides who is let
//! in or trusted (client certificates, pins, certificates shown to upstreams) every part counts, so one that cannot be
//! used holds the whole definition in its last good form.

mod material;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::classic::Problem;
use super::{Certificate, owner};
use crate::diagnostic::{Code, Diagnostic, ObjectRef};
use crate::snapshot::{NamespacedName, Objects, TlsSecret};
use material::Material;

/// Length of a hex SHA-256, with which every certificate id ends; what comes before is the organisation.
const FINGERPRINT: usize = 64;

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The gateway proves with it who it is, so the private key is needed.
    Identity,
    /// Others prove with it who they are.
    Trust,
    /// Upstreams have to show this public key.
    Pin,
}

/// Resolves references and collects the certificates that they name.
pub(super) struct Certificates<'a> {
    secrets: &'a Objects<TlsSecret>,
    now: Option<Timestamp>,
    read: BTreeMap<NamespacedName, Result<Material, String>>,
    resolved: BTreeMap<String, Certificate>,
    diagnostics: Vec<Diagnostic>,
}

/// What became of a definition's references.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// Findings about the definition.
    pub(super) problems: Vec<Problem>,
    /// Those that its Ingress has to be told as well, the field named as there.
    pub(super) of_ingress: Vec<Problem>,
    /// Whether the definition cannot be used as it is.
    pub(super) held: bool,
}

impl<'a> Certificates<'a> {
    /// Over these Secrets; without a time no certificate is too old or too young.
    pub(super) fn new(secrets: &'a Objects<TlsSecret>, now: Option<Timestamp>) -> Self {
        Self {
            secrets,
            now,
            read: BTreeMap::new(),
            resolved: BTreeMap::new(),
            diagnostics: Vec::new(),
        }
    }

    /// When the chain of each Secret that was asked for expires, of those that can be read.
    pub(super) fn expiries(&self) -> BTreeMap<NamespacedName, Timestamp> {
        let read = self.read.iter();
        read.filter_map(|(name, material)| Some((name.clone(), material.as_ref().ok()?.expires())))
            .collect()
    }

    /// All certificates that were resolved, and the findings about Secrets.
    pub(super) fn finish(self) -> (BTreeMap<String, Certificate>, Vec<Diagnostic>) {
        (self.resolved, self.diagnostics)
    }

    /// The id under which Tyk knows the certificate of a Secret.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) fn id(&mut self, name: &NamespacedName, org: &str, purpose: Purpose) -> Result<String, (Code, String)> {
        let Some(secret) = self.secrets.get(name) else {
            let message = format!("Secret {name} of type kubernetes.io/tls does not exist");
            return Err((Code::CertificateNotFound, message));
        };
        let source = ObjectRef::new("Secret", &name.namespace, &name.name);
        let material = self.read.entry(name.clone()).or_insert_with(|| Material::read(secret));
        let material = match usable(material, purpose, self.now) {
            Ok(material) => material,
            Err(message) => {
                let finding = Diagnostic::new(Code::CertificateInvalid, source, "data", message.clone());
                self.diagnostics.push(finding);
                return Err((Code::CertificateInvalid, format!("Secret {name}: {message}")));
            }
        };
        if purpose == Purpose::Pin {
            let id = format!("{}{}", pin_organisation(org), material.key_fingerprint);
            let pem = material.key_pem.clone();
            self.resolved.entry(id.clone()).or_insert(Certificate { source, pem });
            return Ok(id);
        }
        if let Some(end) = self.now.and_then(|now| material.expires_soon(now)) {
            let message = format!("the certificate expires at {end}");
            self.diagnostics.push(Diagnostic::new(
                Code::CertificateExpiring,
                source.clone(),
                "data",
                message,
            ));
        }
        let id = format!("{org}{}", material.fingerprint);
        let certificate = Certificate {
            source,
            pem: material.pem.clone(),
        };
        // Of several Secrets with one leaf, one with the key has to win, whatever it is first asked for.
        match self.resolved.get(&id) {
            Some(_) if !material.has_key => {}
            Some(known) if known.pem.expose().contains("PRIVATE KEY") => {}
            _ => drop(self.resolved.insert(id.clone(), certificate)),
        }
        Ok(id)
    }

    /// Puts the ids of all that a classic definition refers to into it, beside those that the user wrote there.
    /// `host` is what clients ask for, when that is known better than by the definition's domain.
    pub(super) fn resolve(
        &mut self,
        definition: &mut Map<String, Value>,
        (namespace, org): (&str, &str),
        host: Option<&str>,
    ) -> Resolved {
        let mut resolved = Resolved::default();
        let scope = (namespace, org);
        self.servers(definition, scope, host, &mut resolved);
        if definition.get("use_mutual_tls_auth") == Some(&Value::Bool(true)) {
            self.clients(definition, scope, &mut resolved);
        }
        for (refs, ids, purpose) in [
            ("upstream_certificate_refs", "upstream_certificates", Purpose::Identity),
            ("pinned_public_keys_refs", "pinned_public_keys", Purpose::Pin),
        ] {
            self.by_domain(definition, scope, (refs, ids, purpose), &mut resolved);
        }
        resolved
    }

    fn servers(
        &mut self,
        definition: &mut Map<String, Value>,
        (namespace, org): (&str, &str),
        host: Option<&str>,
        resolved: &mut Resolved,
    ) {
        const FIELD: &str = "certificate_secret_names";
        let names = names(definition, FIELD, namespace, resolved);
        if names.is_empty() {
            return;
        }
        let explicit = !texts(definition.get("certificates")).is_empty();
        let mut ids = Vec::new();
        let mut failures = Vec::new();
        let mut usable = Vec::new();
        for name in names {
            match self.id(&name, org, Purpose::Identity) {
                Ok(id) => {
                    resolved.expiring(self, &name, FIELD);
                    ids.push(id);
                    usable.push(name);
                }
                Err(failure) => failures.push(failure),
            }
        }
        let lost = ids.is_empty() && !explicit;
        for (code, message) in failures {
            resolved.of_ingress.push((code, "spec.tls".into(), message.clone()));
            // An error would say of the whole definition that it is not used.
            let code = if lost { code } else { Code::CertificateSkipped };
            resolved.problems.push((code, format!("spec.{FIELD}"), message));
        }
        resolved.held |= lost;
        let host = host.or_else(|| literal_domain(definition)).map(str::to_ascii_lowercase);
        if let Some(host) = host.filter(|_| !explicit && !lost) {
            self.check_host(&host, &usable, resolved);
        }
        append(definition, "certificates", ids);
    }

    fn check_host(&self, host: &str, names: &[NamespacedName], resolved: &mut Resolved) {
        let covers = |name: &NamespacedName| matches!(self.read.get(name), Some(Ok(material)) if material.covers(host));
        if names.iter().any(covers) {
            return;
        }
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let message = format!("no certificate of Secret {} is for host {host:?}", names.join(", "));
        resolved.warn(Code::CertificateHostMismatch, "certificate_secret_names", message);
    }

    fn clients(
        &mut self,
        definition: &mut Map<String, Value>,
        (namespace, org): (&str, &str),
        resolved: &mut Resolved,
    ) {
        const FIELD: &str = "client_certificate_refs";
        let mut ids = Vec::new();
        for name in names(definition, FIELD, namespace, resolved) {
            match self.id(&name, org, Purpose::Trust) {
                Ok(id) => {
                    resolved.expiring(self, &name, FIELD);
                    ids.push(id);
                }
                Err(failure) => resolved.fail(failure, FIELD),
            }
        }
        append(definition, "client_certificates", ids);
    }

    fn by_domain(
        &mut self,
        definition: &mut Map<String, Value>,
        (namespace, org): (&str, &str),
        (refs, field, purpose): (&str, &str, Purpose),
        resolved: &mut Resolved,
    ) {
        let Some(wanted) = definition.get(refs).and_then(Value::as_object).cloned() else {
            return;
        };
        for (domain, name) in wanted {
            let Some(name) = name.as_str() else {
                resolved.malformed(refs);
                continue;
            };
            let name = NamespacedName::new(namespace, name);
            match self.id(&name, org, purpose) {
                Ok(id) => {
                    if purpose != Purpose::Pin {
                        resolved.expiring(self, &name, refs);
                    }
                    insert(definition, field, domain, id, purpose);
                }
                Err(failure) => resolved.fail(failure, refs),
            }
        }
    }
}

impl Resolved {
    /// A reference without which the definition cannot be used.
    fn fail(&mut self, (code, message): (Code, String), field: &str) {
        self.held = true;
        self.warn(code, field, message);
    }

    fn malformed(&mut self, field: &str) {
        self.fail((Code::InvalidDefinition, "not the name of a Secret".into()), field);
    }

    fn warn(&mut self, code: Code, field: &str, message: String) {
        let of_ingress = match field {
            "certificate_secret_names" => "spec.tls".to_owned(),
            // Only a template brings in the other ones.
            _ => format!("metadata.annotations[{}]", crate::api::names::ANNOTATION_TEMPLATE),
        };
        self.of_ingress.push((code, of_ingress, message.clone()));
        self.problems.push((code, format!("spec.{field}"), message));
    }

    fn expiring(&mut self, certificates: &Certificates<'_>, name: &NamespacedName, field: &str) {
        let Some(Ok(material)) = certificates.read.get(name) else {
            return;
        };
        if let Some(end) = certificates.now.and_then(|now| material.expires_soon(now)) {
            let message = format!("Secret {name}: the certificate expires at {end}");
            self.warn(Code::CertificateExpiring, field, message);
        }
    }
}

/// Checks what depends on the purpose; the dates of a certificate count nothing for its bare key.
fn usable(material: &Result<Material, String>, purpose: Purpose, now: Option<Timestamp>) -> Result<&Material, String> {
    let material = material.as_ref().map_err(Clone::clone)?;
    if purpose == Purpose::Identity && !material.has_key {
        return Err("it has no tls.key".into());
    }
    match now {
        Some(now) if purpose != Purpose::Pin => material.check_time(now).map(|()| material),
        _ => Ok(material),
    }
}

/// The gateway takes the id of a pinned key for a file name unless all of it is hexadecimal (read in its source), so
/// any other organisation has to be left out.
fn pin_organisation(org: &str) -> &str {
    let hex = org.len().is_multiple_of(2) && org.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hex { org } else { "" }
}

fn names(
    definition: &Map<String, Value>,
    field: &str,
    namespace: &str,
    resolved: &mut Resolved,
) -> Vec<NamespacedName> {
    let Some(value) = definition.get(field).filter(|value| !value.is_null()) else {
        return Vec::new();
    };
    let names = texts(Some(value));
    if value.as_array().is_none_or(|items| items.len() != names.len()) {
        resolved.malformed(field);
    }
    names
        .into_iter()
        .map(|name| NamespacedName::new(namespace, name))
        .collect()
}

fn texts(value: Option<&Value>) -> Vec<&str> {
    let items = value.and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The domain, when it is a host name and no expression.
fn literal_domain(definition: &Map<String, Value>) -> Option<&str> {
    let domain = definition.get("domain")?.as_str()?;
    let host = domain.rsplit_once(':').map_or(domain, |(host, _)| host);
    (!host.is_empty() && !host.contains(['{', '('])).then_some(host)
}

fn append(definition: &mut Map<String, Value>, field: &str, ids: Vec<String>) {
    if ids.is_empty() {
        return;
    }
    let list = definition.entry(field).or_insert_with(|| json!([]));
    let mut all: Vec<String> = texts(Some(list)).into_iter().map(str::to_owned).collect();
    for id in ids {
        if !all.contains(&id) {
            all.push(id);
        }
    }
    *list = json!(all);
}

fn insert(definition: &mut Map<String, Value>, field: &str, domain: String, id: String, purpose: Purpose) {
    let map = definition.entry(field).or_insert_with(|| json!({}));
    if !map.is_object() {
        *map = json!({});
    }
    let before = map[&domain].as_str().filter(|before| !before.is_empty());
    // Several keys may be pinned for a domain; to an upstream only one certificate is shown.
    let value = match before {
        Some(before) if purpose == Purpose::Pin => format!("{before},{id}"),
        _ => id,
    };
    map[&domain] = json!(value);
}

/// The organisation in a certificate id.
pub fn organisation(id: &str) -> &str {
    id.len()
        .checked_sub(FINGERPRINT)
        .and_then(|end| id.get(..end))
        .unwrap_or_default()
}

/// Whatever looks like a certificate id in a definition, wherever it stands, without our own mark.
pub fn references(definition: &Value) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    collect(definition, &mut found);
    found
}

fn collect<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::String(text) => found.extend(ids(text)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(key, _)| !owner::is_mark(key));
            fields.for_each(|(_, value)| collect(value, found));
        }
        _ => {}
    }
}

/// Whether a text of a definition names certificates.
pub fn is_reference(text: &str) -> bool {
    ids(text).next().is_some()
}

fn ids(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|text| is_id(text))
}

fn is_id(text: &str) -> bool {
    let start = text.len().checked_sub(FINGERPRINT);
    let fingerprint = start.and_then(|start| text.get(start..)).unwrap_or_default();
    !fingerprint.is_empty() && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit())
}
