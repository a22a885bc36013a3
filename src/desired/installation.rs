//! One Tyk: a control API and the way to reach it.

use std::fmt;

use crate::api::Mode;
use crate::secret::Secret;

/// A Tyk to configure. Contexts whose settings are the same mean the same one, so that one worker serves them all.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Installation {
    /// Which control API is spoken.
    pub mode: Mode,
    /// Base URL of the control API, without a slash at its end; empty when none is known.
    pub url: String,
    /// What lets us in.
    pub auth: Secret,
    /// Takes any certificate of the control API.
    pub insecure_skip_verify: bool,
    /// Certificates, PEM, that sign those of the control API beside the well-known ones; empty for none.
    pub ca_bundle: String,
}

impl Installation {
    /// Host and port of the control API as they stand in its URL.
    pub fn authority(&self) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = &rest[..end];
        authority.rsplit_once('@').map_or(authority, |(_, host)| host)
    }

    /// Whether it is a Tyk Dashboard rather than a gateway.
    pub fn is_dashboard(&self) -> bool {
        self.mode == Mode::Pro
    }
}

/// The URL, which is what tells one Tyk from another.
impl fmt::Display for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}
