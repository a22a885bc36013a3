//! What the user is told about their objects: one catalogue of codes that the CLI, events, conditions, metrics and
//! the docs derive from.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// Names one Kubernetes object; cluster-scoped kinds have an empty namespace. A copy shares its texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectRef {
    /// Kind, for example `Ingress`.
    pub kind: &'static str,
    /// Namespace, empty for a cluster-scoped object.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl ObjectRef {
    /// A reference to a namespaced object.
    pub fn new(kind: &'static str, namespace: impl AsRef<str>, name: impl AsRef<str>) -> Self {
        Self {
            kind,
            namespace: namespace.as_ref().into(),
            name: name.as_ref().into(),
        }
    }
}

impl Ord for ObjectRef {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_kind = self.kind.cmp(other.kind);
        let by_namespace = || compare(&self.namespace, &other.namespace);
        by_kind
            .then_with(by_namespace)
            .then_with(|| compare(&self.name, &other.name))
    }
}

impl PartialOrd for ObjectRef {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of two texts, which are often the same one.
pub(crate) fn compare(one: &Arc<str>, other: &Arc<str>) -> Ordering {
    match Arc::ptr_eq(one, other) {
        true => Ordering::Equal,
        false => one.cmp(other),
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_ref() {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {}/{}", self.kind, namespace, self.name),
        }
    }
}

impl Serialize for ObjectRef {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How much a diagnostic costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is not served as the object asks.
    Error,
    /// It is served, but probably not as meant.
    Warning,
}

impl Severity {
    /// Lower-case word, as printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

macro_rules! catalogue {
    ($($code:ident $severity:ident $summary:literal $fix:literal;)*) => {
        /// Every kind of diagnostic. The name is also the event reason and the metric label.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $summary] $code,)* }

        impl Code {
            /// The whole catalogue, in the order of declaration.
            pub const ALL: &'static [Code] = &[$(Code::$code,)*];

            /// The code's name, for example `Conflict`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$code => stringify!($code),)* }
            }

            /// Severity of every diagnostic with this code.
            pub fn severity(self) -> Severity {
                match self { $(Code::$code => Severity::$severity,)* }
            }

            /// One sentence: what the code means.
            pub fn summary(self) -> &'static str {
                match self { $(Code::$code => $summary,)* }
            }

            /// One sentence: how to get rid of it.
            pub fn fix(self) -> &'static str {
                match self { $(Code::$code => $fix,)* }
            }
        }
    };
}

catalogue! {
    AnnotationWithoutEffect Warning "An annotation has no effect here."
        "Remove the annotation, or change what the message names.";
    ApiIdConflict Error "Another resource already uses this Tyk API id."
        "Give each resource its own `spec.api_id`, or leave it out.";
    BackendNotFound Warning "The Service of a backend does not exist, so the gateway answers its path with an error."
        "Create the Service, or correct `backend.service.name`.";
    CertificateExpiring Warning "A certificate expires within 14 days."
        "Renew the certificate in the Secret.";
    CertificateHostMismatch Warning "None of the certificates of a host is for this host, so clients refuse the connection."
        "Use a certificate whose subject alternative names cover the host.";
    CertificateInvalid Error "The gateway cannot use the certificate of a Secret; what it served before is still served."
        "Put a valid certificate and its RSA or ECDSA key into `tls.crt` and `tls.key`.";
    CertificateNotFound Error "The Secret of a certificate does not exist."
        "Create a Secret of type `kubernetes.io/tls` in the namespace of the object, or correct the name.";
    CertificateSkipped Warning "One of several certificates cannot be used; the others are."
        "Read the message, and correct the Secret that it names.";
    Conflict Error "Another Ingress already serves this host and path; the oldest wins."
        "Remove the path from one of the two, or change its host or path.";
    ContextInvalid Error "The settings of an OperatorContext cannot be used, so nothing is sent to the Tyk that it means."
        "Correct what the message names in `spec.env` or in the Secret of `spec.secretRef`.";
    ContextNotAllowed Error "The OperatorContext that the resource names is not for its namespace."
        "Ask whoever owns the OperatorContext to name the namespace in its `spec.allowedNamespaces`.";
    ContextNotFound Error "The OperatorContext that the resource names cannot be used."
        "Create the OperatorContext, complete its `spec.env`, or correct `spec.contextRef`.";
    ContextOfOtherNamespace Warning "The OperatorContext of a resource is in another namespace and does not say who may use it."
        "Name the namespace in `spec.allowedNamespaces` of the OperatorContext; then `--cross-namespace-contexts=deny` can be set.";
    DocumentNotFound Error "The document of the resource does not exist, so it is not sent."
        "Create the ConfigMap and key that `configmapRef` names, or set `document` in its place.";
    DuplicateObject Warning "The same object is defined more than once; the last definition is used."
        "Keep one definition.";
    EndpointsNotReady Warning "No endpoint of the Service is ready, so the gateway answers its path with an error."
        "Wait for a pod of the Service to become ready, or correct its selector or readiness probe.";
    GraphInUse Error "Another ApiDefinition already serves this SubGraph; the oldest does."
        "Remove `graphql.graph_ref` from one of the two, or give it a SubGraph of its own.";
    GraphNotFound Error "A SubGraph or SuperGraph does not exist, or no API serves it."
        "Create what the message names, or correct `graphql.graph_ref` or `spec.subgraph_refs`.";
    InvalidAnnotation Error "The value of an annotation cannot be used, so its default is in force."
        "Set one of the values that the message names.";
    InvalidBackend Error "A backend does not name exactly one Service and one port."
        "Set `backend.service.name` and either `port.number` or `port.name`.";
    InvalidDefinition Error "The gateway cannot serve this definition, so it is not sent."
        "Correct the field that the message names.";
    InvalidDocument Error "The document cannot be read or lacks a part, so it is not sent."
        "Correct the document as the message says.";
    InvalidGraph Error "A GraphQL schema cannot be read or merged, so it is not sent."
        "Correct the schema at the place that the message names.";
    InvalidHost Error "The host is not a DNS name, nor a wildcard of the form `*.example.com`."
        "Use lower-case letters, digits, `-` and `.`; a wildcard only as the whole first label.";
    InvalidManifest Error "The API server refuses the object, because it breaks the schema of its kind."
        "Correct the field that the message names; `tyk-ingress crds` prints the schemas.";
    InvalidPath Error "The path is not one that Kubernetes accepts for its pathType."
        "Start it with `/`; leave out `//`, `/./`, `/../` and `%2F`.";
    InvalidPathType Error "The pathType is none of Exact, Prefix and ImplementationSpecific."
        "Set `pathType` to Exact, Prefix or ImplementationSpecific.";
    ListenPathCollision Error "Another API has the same domain and listen path; the gateway would rename both."
        "Change the listen path or the domain of one of the two.";
    NeedsDashboard Error "Only a Tyk Dashboard can hold this kind of resource."
        "Name an OperatorContext with `mode: pro` in `spec.contextRef`, or delete the resource.";
    NginxAnnotationDiffers Warning "An annotation of ingress-nginx is honoured with a difference."
        "Read the message; write the Ingress with annotations of ours once the difference does not matter.";
    NginxAnnotationUnsupported Error "An annotation of ingress-nginx cannot be honoured."
        "Take the nearest way, which the message names, and remove the annotation.";
    OperationsSkipped Warning "The gateway does not find the operations of the document, so validateRequest and mockResponse do nothing."
        "Use a listen path without an expression.";
    PathShadowed Warning "Another path of the same Ingress answers every request that this one matches."
        "Remove one of the two.";
    PathUnreachable Warning "The gateway redirects such a path to its cleaned form, so the cleaned form is served."
        "Write the path without `//`, `/./` and `/../`.";
    PolicyIdConflict Error "Another resource already uses this Tyk policy id; the oldest wins."
        "Give each resource its own `spec.id`, or leave it out.";
    PolicyNotFound Warning "A SecurityPolicy that the API names does not exist; the gateway refuses tokens that need it."
        "Create the SecurityPolicy, or correct the reference `namespace/name`.";
    PolicyWaits Error "An API that the policy gives access to cannot be used, so keys have no access to it yet."
        "Create or correct the resource that the message names, or remove the entry.";
    PortNotFound Error "The Service does not have the port that the backend names, so the gateway answers its path with an error."
        "Correct `backend.service.port`, or add the port to the Service.";
    PortalConflict Error "Another resource already describes this part of the organisation's portal; the oldest wins."
        "Leave one PortalAPICatalogue and one PortalConfig for each organisation.";
    PortalReferenceNotFound Error "The catalogue names a description or a policy that cannot be used, so it stays as it was."
        "Create the APIDescription or SecurityPolicy that the field names, or correct the reference.";
    RedirectorMissing Warning "A redirect to https is asked for, but there is no redirect responder."
        "Start `tyk-ingress redirector` and give its address by --redirector-url, or remove the annotation.";
    ResourceBackendUnsupported Error "A backend names a resource; only Services can be served, so the gateway answers its path with an error."
        "Use `backend.service`.";
    ResourceInUse Warning "The resource is to be deleted, but others still use it, so it stays until the last of them is gone."
        "Remove the references that the message names, or delete those resources.";
    RuleWithoutPaths Warning "A rule has no paths and the Ingress no default backend, so nothing is served for it."
        "Add `http.paths` to the rule, or `spec.defaultBackend` to the Ingress.";
    SecretNotFound Error "A Secret that the resource names cannot be used."
        "Create the Secret and the key that the message names, or correct the reference.";
    SettingWithoutEffect Warning "The gateway leaves out a part of the definition."
        "Correct the field that the message names, or remove it.";
    SyncFailed Error "Tyk did not take the definition; what it served before is still served."
        "Read the message; the operator tries again by itself.";
    TargetInactive Warning "The API that the definition sends requests to is inactive, so the gateway answers them with an error."
        "Set `active: true` on the other API, or name another one.";
    TargetNotFound Error "The API that the definition sends requests to does not exist, so the definition is not sent."
        "Create the ApiDefinition or TykOasApiDefinition that the field names, or correct its name, namespace or kind.";
    TemplateInUse Warning "The template is to be deleted, but Ingresses still use it, so it stays until the last of them is gone."
        "Remove the annotation `tyk.io/template` from the Ingresses that the message names, or delete them.";
    TemplateNotFound Error "The template that the annotation `tyk.io/template` names does not exist."
        "Create the ApiDefinition in the namespace of the Ingress, or correct the annotation.";
    UnknownAnnotation Warning "An annotation that begins with `tyk.io/` is not known."
        "Correct its name, or remove it.";
    UnknownField Warning "The schema of the kind does not have this field, so the API server drops it."
        "Correct its name, or remove it.";
    UnsupportedVersion Warning "This apiVersion of the object is not read."
        "Write the object with the apiVersion that the message names.";
    VersionNotFound Warning "A version of the API names a TykOasApiDefinition that does not exist."
        "Create it, or correct `spec.versioning.versions`.";
}

impl Code {
    /// Whether it says that something is not there which somebody may still bring: applied in another order, the same
    /// manifests would be without it. An admission review only warns of it.
    pub fn may_come_later(self) -> bool {
        use Code::*;
        matches!(
            self,
            BackendNotFound
                | CertificateInvalid
                | CertificateNotFound
                | ContextNotFound
                | DocumentNotFound
                | EndpointsNotReady
                | GraphNotFound
                | PolicyNotFound
                | PolicyWaits
                | PortNotFound
                | PortalReferenceNotFound
                | SecretNotFound
                | SyncFailed
                | TargetNotFound
                | TemplateNotFound
                | VersionNotFound
        )
    }

    /// Whether it says that another object has what this one wants.
    pub fn is_conflict(self) -> bool {
        use Code::*;
        matches!(
            self,
            ApiIdConflict | Conflict | GraphInUse | ListenPathCollision | PolicyIdConflict | PortalConflict
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One finding about one object. Ordered by object, then field, so that a list of them is deterministic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Diagnostic {
    /// The object to change.
    pub object: ObjectRef,
    /// Path of the field, for example `spec.rules[0].http.paths[1].backend`; empty for the object as a whole.
    pub field: String,
    /// Kind of finding.
    pub code: Code,
    /// What is wrong, with the values concerned. Never a secret.
    pub message: String,
}

impl Diagnostic {
    /// A finding about `field` of `object`.
    pub fn new(code: Code, object: ObjectRef, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            object,
            field: field.into(),
            code,
            message: message.into(),
        }
    }

    /// Severity, as the catalogue says.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }
}

impl Serialize for Diagnostic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut out = serializer.serialize_struct("Diagnostic", 6)?;
        out.serialize_field("code", &self.code)?;
        out.serialize_field("severity", &self.severity())?;
        out.serialize_field("object", &self.object)?;
        out.serialize_field("field", &self.field)?;
        out.serialize_field("message", &self.message)?;
        out.serialize_field("hint", self.code.fix())?;
        out.end()
    }
}

/// Whether any of them is an error.
pub fn any_error(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|d| d.severity() == Severity::Error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_explained() {
        let names: Vec<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(names, sorted);
        for code in Code::ALL {
            assert!(code.summary().ends_with('.') && code.fix().ends_with('.'), "{code}");
        }
    }
}
