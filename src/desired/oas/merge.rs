//! What a resource says itself, put over its document: it wins.

use kube::ResourceExt;
use serde_json::{Map, Value, json};

use super::identity;
use crate::api::{JwtAuth, KeyRef, ScopePolicy, Target, TykOasApiDefinition, Versioning, names};
use crate::desired::certificates::{Certificates, Purpose};
use crate::desired::classic::policy_id;
use crate::diagnostic::Code;
use crate::snapshot::document::{EXTENSION, Problem};
use crate::snapshot::{NamespacedName, Snapshot};

/// What a resource names and only a TLS Secret holds. The answer is an id on Tyk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// TLS Secret with a certificate that the gateway shows, so that its private key is needed.
    Identity(&'a str),
    /// TLS Secret with a certificate that others show.
    Trust(&'a str),
    /// TLS Secret with a public key that upstreams show.
    Pin(&'a str),
}

/// Finds what references stand for.
pub trait Resolve {
    /// The id that `reference` stands for in an object of namespace `own` and organisation `org`.
    ///
    /// # Errors
    /// Why there is none, for the user and without a secret.
    fn resolve(&mut self, own: &str, org: &str, reference: Reference<'_>) -> Result<String, (Code, String)>;
}

impl Resolve for Certificates<'_> {
    fn resolve(&mut self, own: &str, org: &str, reference: Reference<'_>) -> Result<String, (Code, String)> {
        let (name, purpose) = match reference {
            Reference::Identity(name) => (name, Purpose::Identity),
            Reference::Trust(name) => (name, Purpose::Trust),
            Reference::Pin(name) => (name, Purpose::Pin),
        };
        self.id(&NamespacedName::new(own, name), org, purpose)
    }
}

/// Puts the settings of `resource` into its document.
pub(super) fn resource(
    document: &mut Map<String, Value>,
    resource: &TykOasApiDefinition,
    snapshot: &Snapshot,
    resolve: &mut dyn Resolve,
) -> Vec<Problem> {
    let mut merger = Merger {
        document,
        namespace: resource.namespace().unwrap_or_default(),
        snapshot,
        resolve,
        problems: Vec::new(),
    };
    merger.server(resource);
    merger.upstream(resource);
    if let Some(versioning) = &resource.spec.versioning {
        merger.versioning(versioning);
    }
    if let Some(jwt) = &resource.spec.jwt_auth {
        merger.jwt(jwt);
    }
    merger.problems
}

/// The object at `path`, made if there is none.
pub(super) fn object<'a>(fields: &'a mut Map<String, Value>, path: &[&str]) -> &'a mut Map<String, Value> {
    let mut fields = fields;
    for key in path {
        let value = fields.entry(*key).or_insert_with(|| json!({}));
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        fields = match value {
            Value::Object(inner) => inner,
            _ => unreachable!("made an object above"),
        };
    }
    fields
}

struct Merger<'a> {
    document: &'a mut Map<String, Value>,
    namespace: String,
    snapshot: &'a Snapshot,
    resolve: &'a mut dyn Resolve,
    problems: Vec<Problem>,
}

impl Merger<'_> {
    fn at(&mut self, path: &[&str]) -> &mut Map<String, Value> {
        object(object(self.document, &[EXTENSION]), path)
    }

    fn server(&mut self, resource: &TykOasApiDefinition) {
        if let Some(domain) = &resource.spec.custom_domain {
            let refs = domain.certificates_ref.iter().map(|name| Reference::Identity(name));
            let found = self.all(refs, "spec.customDomain.certificatesRef");
            let certificates: Vec<_> = domain.certificates.iter().cloned().chain(found).collect();
            let fields = self.at(&["server", "customDomain"]);
            fields.insert("enabled".into(), json!(domain.enabled));
            fields.insert("name".into(), json!(domain.name));
            if !certificates.is_empty() {
                fields.insert("certificates".into(), json!(certificates));
            }
        }
        if let Some(client) = &resource.spec.client_certificate {
            let refs = client.allowlist.iter().map(|name| Reference::Trust(name));
            let allowlist = self.all(refs, "spec.clientCertificate.allowlist");
            let fields = self.at(&["server", "clientCertificates"]);
            fields.extend(client.enabled.map(|enabled| ("enabled".to_owned(), json!(enabled))));
            fields.entry("enabled").or_insert(json!(false));
            if !allowlist.is_empty() {
                fields.insert("allowlist".into(), json!(allowlist));
            }
        }
    }

    fn upstream(&mut self, resource: &TykOasApiDefinition) {
        if let Some(pinning) = &resource.spec.certificate_pinning {
            const FIELD: &str = "spec.certificatePinning.domainToPublicKeysMapping";
            let mut mapping = Vec::new();
            for pinned in &pinning.domain_to_public_keys_mapping {
                let refs = pinned.public_key_refs.iter().map(|name| Reference::Pin(name));
                let found = self.all(refs, FIELD);
                let keys: Vec<_> = pinned.public_keys.iter().cloned().chain(found).collect();
                // The gateway reads an empty list as one empty key.
                if !keys.is_empty() {
                    mapping.push(json!({"domain": pinned.domain, "publicKeys": keys}));
                }
            }
            let fields = self.at(&["upstream", "certificatePinning"]);
            fields.insert("enabled".into(), json!(pinning.enabled));
            fields.insert("domainToPublicKeysMapping".into(), json!(mapping));
        }
        if let Some(mutual) = &resource.spec.mutual_tls {
            let mut mapping = Vec::new();
            for pair in &mutual.domain_to_certificate_mapping {
                let refs = pair.certificate_ref.iter().map(|name| Reference::Identity(name));
                let found = self.all(refs, "spec.mutualTLS.domainToCertificateMapping").pop();
                let certificate = found.or_else(|| pair.certificate_id.clone()).unwrap_or_default();
                mapping.push(json!({"domain": pair.domain, "certificate": certificate}));
            }
            let fields = self.at(&["upstream", "mutualTLS"]);
            fields.insert("enabled".into(), json!(mutual.enabled));
            fields.insert("domainToCertificateMapping".into(), json!(mapping));
        }
        self.request_signing(resource);
    }

    fn request_signing(&mut self, resource: &TykOasApiDefinition) {
        let Some(signing) = &resource.spec.upstream_request_signing else {
            return;
        };
        let secret = signing.secret_ref.as_ref().and_then(|reference| self.secret(reference));
        let certificate = signing.certificate_ref.iter().map(|name| Reference::Identity(name));
        let certificate = self
            .all(certificate, "spec.upstreamRequestSigning.certificateRef")
            .pop();
        let given = [
            ("algorithm", signing.algorithm.clone()),
            ("keyId", signing.key_id.clone()),
            ("secret", secret),
            ("certificateId", certificate),
        ];
        self.at(&["upstream", "authentication"])
            .insert("enabled".into(), json!(true));
        let fields = self.at(&["upstream", "authentication", "requestSigning"]);
        fields.insert("enabled".into(), json!(true));
        fields.extend(
            given
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), json!(value?)))),
        );
    }

    /// The shared secret of a signature. Never to be printed, see [`super::without_secrets`].
    fn secret(&mut self, reference: &KeyRef) -> Option<String> {
        let name = NamespacedName::new(reference.namespace_or(&self.namespace), &reference.name);
        let key = &reference.key_name;
        let problem = match self.snapshot.secrets.get(&name) {
            None => format!("Secret {name} does not exist in a watched namespace"),
            Some(secret) => match secret.text(key) {
                Some(text) if !text.is_empty() => return Some(text.to_owned()),
                Some(_) => format!("the key {key} of Secret {name} is empty"),
                None if secret.has(key) => format!("the key {key} of Secret {name} is not a text"),
                None => format!("Secret {name} has no key {key}"),
            },
        };
        let field = "spec.upstreamRequestSigning.secretRef".to_owned();
        self.problems.push((Code::SecretNotFound, field, problem));
        None
    }

    fn versioning(&mut self, versioning: &Versioning) {
        let mut versions = Vec::new();
        for version in &versioning.versions {
            let id = self.version_id(&version.tyk_oas_api_definition_ref);
            versions.push(json!({"name": version.name, "id": id}));
        }
        let given = [
            ("enabled", Some(json!(versioning.enabled))),
            ("name", versioning.name.as_ref().map(|name| json!(name))),
            ("default", versioning.default.as_ref().map(|name| json!(name))),
            ("location", versioning.location.as_ref().map(|location| json!(location))),
            ("key", versioning.key.as_ref().map(|key| json!(key))),
            (
                "fallbackToDefault",
                versioning.fallback_to_default.map(|flag| json!(flag)),
            ),
            (
                "stripVersioningData",
                versioning.strip_versioning_data.map(|flag| json!(flag)),
            ),
            (
                "urlVersioningPattern",
                versioning.url_versioning_pattern.as_ref().map(|pattern| json!(pattern)),
            ),
        ];
        let fields = self.at(&["info", "versioning"]);
        fields.extend(
            given
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value?))),
        );
        let before = fields
            .get("versions")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let replaced = |old: &Value| versions.iter().any(|new| new["name"] == old["name"]);
        let mut all: Vec<_> = before.into_iter().filter(|old| !replaced(old)).collect();
        all.extend(versions);
        fields.insert("versions".into(), json!(all));
    }

    fn version_id(&mut self, target: &Target) -> String {
        let name = NamespacedName::new(target.namespace_or(&self.namespace), &target.name);
        if let Some(version) = self.snapshot.tyk_oas_api_definitions.get(&name) {
            return identity(self.snapshot, version.as_ref()).id;
        }
        let message = format!("TykOasApiDefinition {name} does not exist");
        self.problems
            .push((Code::VersionNotFound, "spec.versioning.versions".into(), message));
        names::api_id(&name.namespace, &name.name)
    }

    fn jwt(&mut self, jwt: &JwtAuth) {
        let defaults = jwt.default_policies_ref.iter().enumerate();
        let defaults: Vec<_> = defaults
            .map(|(index, target)| self.policy(target, format!("defaultPoliciesRef[{index}]")))
            .collect();
        let scopes = jwt.scopes.as_ref().map(|scopes| {
            let pairs = scopes.scope_to_policy_mapping.iter().enumerate();
            let mut pair = |(index, pair): (usize, &ScopePolicy)| {
                let field = format!("scopes.scopeToPolicyMapping[{index}].policyRef");
                let id = pair.policy_ref.as_ref().map(|target| self.policy(target, field));
                json!({"scope": pair.scope, "policyId": id})
            };
            (scopes.claim_name.clone(), pairs.map(&mut pair).collect::<Vec<_>>())
        });
        let schemes = jwt_schemes(self.document);
        if schemes.is_empty() {
            let message = "the document has no security scheme of JSON Web Tokens".to_owned();
            self.problems
                .push((Code::InvalidDocument, "spec.jwtAuth".into(), message));
        }
        for scheme in schemes {
            let fields = self.at(&["server", "authentication", "securitySchemes", &scheme]);
            if !defaults.is_empty() {
                fields.insert("defaultPolicies".into(), json!(defaults));
            }
            if let Some((claim, mapping)) = &scopes {
                let fields = object(fields, &["scopes"]);
                fields.extend(claim.iter().map(|claim| ("claimName".to_owned(), json!(claim))));
                fields.insert("scopeToPolicyMapping".into(), json!(mapping));
            }
        }
    }

    /// The id of the SecurityPolicy that `field` below `spec.jwtAuth` names.
    fn policy(&mut self, target: &Target, field: String) -> String {
        let name = NamespacedName::new(target.namespace_or(&self.namespace), &target.name);
        let (id, missing) = policy_id(self.snapshot, &name);
        let field = format!("spec.jwtAuth.{field}");
        self.problems
            .extend(missing.map(|message| (Code::PolicyNotFound, field, message)));
        id
    }

    /// What each reference stands for; what cannot be found is reported and left out.
    fn all<'r>(&mut self, references: impl Iterator<Item = Reference<'r>>, field: &str) -> Vec<String> {
        let org = self
            .at(&["info"])
            .get("orgId")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let mut found = Vec::new();
        for reference in references {
            match self.resolve.resolve(&self.namespace, &org, reference) {
                Ok(value) => found.push(value),
                Err((code, message)) => self.problems.push((code, field.to_owned(), message)),
            }
        }
        found
    }
}

/// Security schemes that the document declares as JWT and that Tyk's part uses.
fn jwt_schemes(document: &Map<String, Value>) -> Vec<String> {
    let declared = document
        .get("components")
        .and_then(|components| components.get("securitySchemes"));
    let used = document
        .get(EXTENSION)
        .and_then(|extension| extension.pointer("/server/authentication/securitySchemes")?.as_object());
    let is_jwt = |name: &String| {
        let format = declared.and_then(|declared| declared.get(name)?.get("bearerFormat")?.as_str());
        format.is_some_and(|format| format.eq_ignore_ascii_case("jwt"))
    };
    used.into_iter()
        .flat_map(Map::keys)
        .filter(|name| is_jwt(name))
        .cloned()
        .collect()
}
