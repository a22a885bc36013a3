//! Why a call to Tyk failed, and what follows from it.

use std::time::Duration;

/// A call to Tyk that failed. Its text names the call and the way out, never the secret nor a request's body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call}: {detail}")]
pub struct Error {
    kind: Kind,
    call: String,
    detail: String,
    status: Option<u16>,
    retry_after: Option<Duration>,
}

/// The way out when the gateway does not let us in.
pub(super) const CHECK_SECRET: &str = "; check TYK_AUTH";

/// What a failed call means for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// No connection, or it broke.
    Unreachable,
    /// No whole answer in time; the call may have had its effect.
    Timeout,
    /// 401, and 403 of a gateway: the secret is wrong.
    Unauthorized,
    /// The Dashboard knows the key, and its user may not do this.
    Forbidden,
    /// The Dashboard's licence does not cover this.
    Unlicensed,
    /// The other side says that there is no such object.
    NotFound,
    /// Another object has the id, the address or the name, or depends on this one.
    Conflict,
    /// The other side does not want what was sent.
    Rejected,
    /// 5xx or 429: not now.
    Unavailable,
    /// An answer that this API never gives.
    Malformed,
}

impl Kind {
    /// Lower-case word, for metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Unreachable => "unreachable",
            Kind::Timeout => "timeout",
            Kind::Unauthorized => "unauthorized",
            Kind::Forbidden => "forbidden",
            Kind::Unlicensed => "unlicensed",
            Kind::Conflict => "conflict",
            Kind::NotFound => "not_found",
            Kind::Rejected => "rejected",
            Kind::Unavailable => "unavailable",
            Kind::Malformed => "malformed",
        }
    }
}

impl Error {
    /// A failed `call` (method and path).
    pub(super) fn new(kind: Kind, call: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            kind,
            call: call.into(),
            detail: detail.into(),
            status: None,
            retry_after: None,
        }
    }

    /// Adds the status of the answer and how long the gateway asks to be left alone.
    pub(super) fn answered(mut self, status: u16, wait: Option<Duration>) -> Self {
        self.status = Some(status);
        self.retry_after = wait;
        self
    }

    /// A refusal that looks like one of the caller but is one of what was sent.
    pub(super) fn rejected(mut self) -> Self {
        self.kind = Kind::Rejected;
        if let Some(said) = self.detail.strip_suffix(CHECK_SECRET) {
            self.detail = said.to_owned();
        }
        self
    }

    /// Adds the way out.
    pub(super) fn with_way_out(mut self, way_out: &str) -> Self {
        self.detail.push_str(way_out);
        self
    }

    /// A list that is not there says nothing of its objects.
    pub(super) fn unavailable(mut self) -> Self {
        self.kind = Kind::Unavailable;
        self
    }

    /// What the failure means.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the gateway or the connection said, without the call.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// HTTP status of the refusal, if there was one.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// How long the gateway asks to be left alone, from `Retry-After`.
    pub fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Whether the same call may work later although nothing is changed here.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, Kind::Unreachable | Kind::Timeout | Kind::Unavailable)
    }
}
