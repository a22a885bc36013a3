//! The annotations of an Ingress: one table that the parser, the warning about unknown names and
//! `docs/annotations.md` derive from.

mod value;

use crate::diagnostic::Code;
use crate::snapshot::StoredIngress;
use value::Value;

pub use value::{
    Canary, Categories, ListenPath, PathMatching, Protocol, Redirect, Redirects, Seconds, Tags, TemplateKind, Upstream,
};

/// What every annotation here begins with.
pub const PREFIX: &str = "tyk.io/";

/// Longest part of a value that a message repeats, in characters.
const SHOWN: usize = 80;

/// A finding about an annotation: its code, the field, the message.
pub type Problem = (Code, String, String);

/// One annotation, as documented.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Name without [`PREFIX`].
    pub name: &'static str,
    /// The values it may have.
    pub values: fn() -> String,
    /// What is in force without it.
    pub default: &'static str,
    /// One sentence: what it does.
    pub doc: &'static str,
    /// The fields of the definition that it sets.
    pub sets: &'static str,
}

macro_rules! annotations {
    ($($field:ident: $kind:ty, $name:literal, $default:literal, $doc:literal, $sets:literal;)*) => {
        /// What the annotations of one Ingress say; `None` where one is absent or its value cannot be used.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Annotations { $(#[doc = $doc] pub $field: Option<$kind>,)* }

        /// Every annotation, in the order of their names.
        pub const TABLE: &[Entry] = &[$(Entry {
            name: $name,
            values: <$kind>::allowed,
            default: $default,
            doc: $doc,
            sets: $sets,
        },)*];

        impl Annotations {
            /// Reads one value; `None` for a name that is not in the table.
            fn set(&mut self, name: &str, value: &str) -> Option<Result<(), String>> {
                match name {
                    $($name => Some(<$kind>::read(value).map(|value| self.$field = Some(value))),)*
                    _ => None,
                }
            }
        }
    };
}

annotations! {
    backend_protocol: Protocol, "backend-protocol", "`appProtocol` of the Service port, else `http`",
        "How the gateway speaks to the backend; `grpc` is `h2c`, `grpcs` is `https`.",
        "the scheme of `proxy.target_url` and `proxy.target_list`";
    backend_tls_verify: bool, "backend-tls-verify", "the template's, else `true`",
        "Whether the certificate of an https backend is verified.",
        "`proxy.transport.ssl_insecure_skip_verify`";
    canary: Canary, "canary", "none",
        "Another Service that gets this part of the requests; it is used by its name, as is the backend then.",
        "`proxy.target_list` and `proxy.enable_load_balancing`";
    categories: Categories, "categories", "none",
        "Categories of the API in the Dashboard.",
        "a suffix ` #category` of `name` for each";
    listen_path: ListenPath, "listen-path", "the path",
        "A Tyk listen path, expressions included, for the paths of type ImplementationSpecific.",
        "`proxy.listen_path`";
    path_matching: PathMatching, "path-matching", "`exact-spec`",
        "Whether paths match as the Ingress specification says, as a string prefix as Tyk Operator matched them, or as \
         ingress-nginx matches them.",
        "`proxy.listen_path`";
    preserve_host: bool, "preserve-host", "the template's, else `true`",
        "Whether the backend gets the Host header of the request, rather than its own name.",
        "`proxy.preserve_host_header`";
    redirect: Redirects, "redirect", "none",
        "Redirects in place of answers of the backend.",
        "`extended_paths.mock_response` of each version";
    ssl_redirect: bool, "ssl-redirect", "the setting `--http-for-tls-hosts`",
        "Whether http requests for hosts that `spec.tls` covers are redirected to https.",
        "the target of the http child";
    strip_path: bool, "strip-path", "the template's, else `false`",
        "Whether the part of the path that the rule matches is cut off before the backend gets it.",
        "`proxy.strip_listen_path`";
    tags: Tags, "tags", "the template's, else none",
        "Segment tags: gateways that a Dashboard configures load the API only when they have one of them.",
        "`tags`";
    template: String, "template", "none, the API is keyless",
        "Name of the definition, in the namespace of the Ingress, that the children are made from.",
        "the whole definition, save host, path, backend and what an annotation sets";
    template_kind: TemplateKind, "template-kind", "`ApiDefinition`",
        "Kind of the template.",
        "the kind of the children";
    timeout: Seconds, "timeout", "the template's, else the gateway's `proxy_default_timeout`",
        "How long the gateway waits for the whole response before it answers 504.",
        "`extended_paths.hard_timeouts` of each version";
    upstream: Upstream, "upstream", "`service`",
        "Whether requests go to the Service by its DNS name, or to its ready endpoints in turn.",
        "`proxy.target_list` and `proxy.enable_load_balancing`";
}

impl Annotations {
    /// Reads the annotations of an Ingress. A value that cannot be used leaves the default in force.
    pub fn parse(ingress: &StoredIngress) -> (Annotations, Vec<Problem>) {
        let mut annotations = Annotations::default();
        let mut problems = Vec::new();
        for (key, value) in ingress.annotations() {
            let Some(name) = key.strip_prefix(PREFIX) else { continue };
            let problem = match annotations.set(name, value.trim()) {
                Some(Ok(())) => continue,
                Some(Err(reason)) => (Code::InvalidAnnotation, invalid(name, value, &reason)),
                None => (Code::UnknownAnnotation, unknown(name)),
            };
            problems.push((problem.0, field(name), problem.1));
        }
        (annotations, problems)
    }
}

/// Path of an annotation, named without [`PREFIX`], in its Ingress.
pub fn field(name: &str) -> String {
    format!("metadata.annotations[{PREFIX}{name}]")
}

fn invalid(name: &str, value: &str, reason: &str) -> String {
    let shown: String = value.chars().take(SHOWN).collect();
    let (allowed, default) = TABLE
        .iter()
        .find(|entry| entry.name == name)
        .map_or_else(Default::default, |entry| ((entry.values)(), entry.default));
    format!("{shown:?} {reason}; allowed: {allowed}; in force: {default}").replace('`', "")
}

fn unknown(name: &str) -> String {
    let near = TABLE
        .iter()
        .map(|entry| (strsim::osa_distance(entry.name, &name.to_ascii_lowercase()), entry.name))
        .min()
        .filter(|(distance, near)| distance * 3 <= near.len().max(6));
    let shown: String = name.chars().take(SHOWN).collect();
    match near {
        Some((_, near)) => format!("{PREFIX}{shown} is not known; did you mean {PREFIX}{near}?"),
        None => format!("{PREFIX}{shown} is not known, so it has no effect"),
    }
}

#[cfg(test)]
mod tests;
