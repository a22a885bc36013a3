//! What sets the kinds of documents apart.

use serde_json::{Map, Value};

use super::merge;
use crate::api::{HasDocument, TykMcpProxyDefinition, TykOasApiDefinition, TykStreamsApiDefinition};
use crate::desired::certificates::Certificates;
use crate::diagnostic::Code;
use crate::snapshot::document::{EXTENSION, Problem};
use crate::snapshot::{Snapshot, SnapshotKind};

/// The streams of a document.
const STREAMING: &str = "x-tyk-streaming";

/// Places of Tyk's part of a document that hold middleware by the name of an operation, tool, resource or prompt.
const ENDPOINTS: [&str; 4] = ["operations", "mcpTools", "mcpResources", "mcpPrompts"];

/// Middleware that an MCP proxy cannot have: each would break the exchange of JSON-RPC messages. The Dashboard refuses
/// it; the gateway leaves it out or breaks the answer.
const NOT_FOR_MCP: [&str; 7] = [
    "transformRequestMethod",
    "transformResponseBody",
    "urlRewrite",
    "internal",
    "cache",
    "validateRequest",
    "mockResponse",
];

/// A kind whose API is a document.
pub(super) trait Kind: HasDocument + SnapshotKind {
    /// What Tyk could not do with the document of this kind.
    fn check(_document: &Map<String, Value>) -> Vec<Problem> {
        Vec::new()
    }

    /// Puts what the resource says itself over its document.
    fn put_into(
        &self,
        _document: &mut Map<String, Value>,
        _snapshot: &Snapshot,
        _certificates: &mut Certificates<'_>,
    ) -> Vec<Problem> {
        Vec::new()
    }

    /// Field and namespace of a Secret that it names in another namespace.
    fn foreign_secret(&self) -> Option<(&'static str, &str)> {
        None
    }

    /// Its categories on a Dashboard.
    fn categories(&self) -> &[String] {
        &[]
    }
}

/// The field that says where the document of a kind is; `None` of kinds without one.
pub fn source_field(kind: &str) -> Option<&'static str> {
    match kind {
        TykOasApiDefinition::KIND => Some(TykOasApiDefinition::SOURCE_FIELD),
        TykStreamsApiDefinition::KIND => Some(TykStreamsApiDefinition::SOURCE_FIELD),
        TykMcpProxyDefinition::KIND => Some(TykMcpProxyDefinition::SOURCE_FIELD),
        _ => None,
    }
}

impl Kind for TykOasApiDefinition {
    fn put_into(
        &self,
        document: &mut Map<String, Value>,
        snapshot: &Snapshot,
        certificates: &mut Certificates<'_>,
    ) -> Vec<Problem> {
        merge::resource(document, self, snapshot, certificates)
    }

    fn foreign_secret(&self) -> Option<(&'static str, &str)> {
        let own = self.metadata.namespace.as_deref().unwrap_or_default();
        let reference = self.spec.upstream_request_signing.as_ref()?.secret_ref.as_ref()?;
        let namespace = reference.namespace_or(own);
        (namespace != own).then_some(("spec.upstreamRequestSigning.secretRef", namespace))
    }

    fn categories(&self) -> &[String] {
        &self.spec.categories
    }
}

impl Kind for TykStreamsApiDefinition {
    /// Without streams the gateway takes the document as that of any other API.
    fn check(document: &Map<String, Value>) -> Vec<Problem> {
        let streams = document.get(STREAMING).and_then(|streaming| streaming.get("streams"));
        if streams.is_some_and(Value::is_object) {
            return Vec::new();
        }
        let message = format!("the document has no object `{STREAMING}.streams`");
        vec![(Code::InvalidDocument, Self::SOURCE_FIELD.to_owned(), message)]
    }
}

impl Kind for TykMcpProxyDefinition {
    fn check(document: &Map<String, Value>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let middleware = document
            .get(EXTENSION)
            .and_then(|extension| extension.get("middleware"));
        for part in ENDPOINTS {
            let endpoints = middleware.and_then(|middleware| middleware.get(part)?.as_object());
            for (name, endpoint) in endpoints.into_iter().flatten() {
                for not in NOT_FOR_MCP.into_iter().filter(|not| endpoint.get(not).is_some()) {
                    let place = format!("{EXTENSION}.middleware.{part}.{name}.{not}");
                    let message = format!("an MCP proxy cannot have `{place}`; remove it");
                    problems.push((Code::InvalidDocument, Self::SOURCE_FIELD.to_owned(), message));
                }
            }
        }
        problems
    }
}
