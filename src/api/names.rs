//! Names, labels, annotations and ids. They are a contract with Tyk Operator: its objects are taken over by them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// API group of the custom resources.
pub const GROUP: &str = "tyk.tyk.io";
/// The only version of the group.
pub const VERSION: &str = "v1alpha1";
/// `GROUP/VERSION`.
pub const API_VERSION: &str = "tyk.tyk.io/v1alpha1";
/// Category under which `kubectl get tyk` finds every kind.
pub const CATEGORY: &str = "tyk";

/// `spec.controller` of the IngressClasses that are ours.
pub const CONTROLLER_NAME: &str = "tyk.io/ingress-controller";
/// Field manager of children made from Ingresses.
pub const FIELD_MANAGER: &str = "tyk-ingress";
/// Field manager of status writes, apart so that an apply of one side never removes fields of the other.
pub const STATUS_FIELD_MANAGER: &str = "tyk-ingress-status";

/// On a child: name of its Ingress (as [`label_value`]).
pub const LABEL_INGRESS: &str = "tyk.io/ingress";
/// On a child: its [`child_hash`].
pub const LABEL_APIDEFINITION: &str = "tyk.io/apidefinition";
/// On a child: the operator that made it (its `--owner`, as [`label_value`]). Tyk Operator's children have none.
pub const LABEL_OPERATOR: &str = "tyk.io/operator";
/// On an ApiDefinition, with [`LABEL_TRUE`]: a template of Ingresses, not an API.
pub const LABEL_TEMPLATE: &str = "template";
/// On a TykOasApiDefinition, with [`LABEL_TRUE`]: a template of Ingresses, not an API.
pub const LABEL_INGRESS_TEMPLATE: &str = "tyk.io/ingress-template";
/// Value that switches a template label on.
pub const LABEL_TRUE: &str = "true";

/// On an Ingress: its class, in the form that came before `spec.ingressClassName`.
pub const ANNOTATION_INGRESS_CLASS: &str = "kubernetes.io/ingress.class";
/// On an IngressClass, with `true`: Ingresses without a class belong to it.
pub const ANNOTATION_DEFAULT_CLASS: &str = "ingressclass.kubernetes.io/is-default-class";
/// On an Ingress: name of the template, in the same namespace.
pub const ANNOTATION_TEMPLATE: &str = "tyk.io/template";
/// On an Ingress: kind of the template, `ApiDefinition` (default) or `TykOasApiDefinition`.
pub const ANNOTATION_TEMPLATE_KIND: &str = "tyk.io/template-kind";

/// Finalizer of an ApiDefinition that Tyk may hold.
pub const FINALIZER_API_DEFINITION: &str = "finalizers.tyk.io/apidefinition";
/// Finalizer of a TykOasApiDefinition that Tyk may hold. Tyk Operator's own is not known: its source is closed.
pub const FINALIZER_OAS_API_DEFINITION: &str = "finalizers.tyk.io/tykoasapidefinition";
/// Finalizer of a template that Ingresses may use.
pub const FINALIZER_TEMPLATE: &str = "finalizers.tyk.io/template";
/// Finalizer that Tyk Operator leaves on Ingresses. It protects nothing and is only ever removed.
pub const FINALIZER_INGRESS: &str = "finalizers.tyk.io/ingress";
/// Finalizer of a SecurityPolicy that Tyk may hold.
pub const FINALIZER_SECURITY_POLICY: &str = "finalizers.tyk.io/securitypolicy";
/// Finalizer that Tyk Operator leaves on TLS Secrets. Nothing here sets it.
pub const FINALIZER_CERTIFICATE: &str = "finalizers.tyk.io/certs";
/// Finalizer of a TykStreamsApiDefinition that Tyk may hold.
pub const FINALIZER_STREAMS_API_DEFINITION: &str = "finalizers.tyk.io/tykstreamsapidefinition";
/// Finalizer of a TykMcpProxyDefinition that Tyk may hold.
pub const FINALIZER_MCP_PROXY_DEFINITION: &str = "finalizers.tyk.io/tykmcpproxydefinition";
/// Finalizer of a SubGraph that APIs may serve.
pub const FINALIZER_SUB_GRAPH: &str = "finalizers.tyk.io/subgraph";
/// Finalizer of a SuperGraph that APIs may serve.
pub const FINALIZER_SUPER_GRAPH: &str = "finalizers.tyk.io/supergraph";
/// Finalizer of an APIDescription that the portal may show.
pub const FINALIZER_API_DESCRIPTION: &str = "finalizers.tyk.io/portalapidescription";
/// Finalizer of a PortalAPICatalogue that the portal may show.
pub const FINALIZER_PORTAL_CATALOGUE: &str = "finalizers.tyk.io/portalapicatalogue";
/// Finalizer of a PortalConfig that the portal may use.
pub const FINALIZER_PORTAL_CONFIG: &str = "finalizers.tyk.io/portalconfiguration";
/// Finalizer of an OperatorContext in use.
pub const FINALIZER_OPERATOR_CONTEXT: &str = "finalizers.tyk.io/operatorcontext";

/// Longest name of an object, in bytes (DNS-1123 subdomain).
const NAME_MAX: usize = 253;
/// Longest label value, in bytes.
const LABEL_MAX: usize = 63;
/// Hex digits of a [`child_hash`].
const CHILD_HASH_LEN: usize = 9;
/// Hex digits that stand for what was cut away.
const CUT_HASH_LEN: usize = 10;

/// Id on Tyk of an API or a policy that does not name one itself: base64url, without padding, of `namespace/name`.
pub fn api_id(namespace: &str, name: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{namespace}/{name}"))
}

/// Hash that tells the children of one Ingress apart: nine hex digits.
///
/// The first child of a host and path has no `variant` and so keeps the name that Tyk Operator gave it. A further one
/// (another path type, a twin on plain HTTP, the default backend) says in `variant` what sets it apart.
pub fn child_hash(host: &str, path: &str, variant: Option<&str>) -> String {
    match variant {
        None => hex(&format!("{host}{path}"), CHILD_HASH_LEN),
        Some(variant) => hex(&format!("{host}{path}\0{variant}"), CHILD_HASH_LEN),
    }
}

/// Name of a child: `<namespace>-<ingress>-<hash>`, always a valid object name for a valid namespace and Ingress.
///
/// One that would be too long keeps its beginning, a hash of the uncut name, and `hash`.
pub fn child_name(namespace: &str, ingress: &str, hash: &str) -> String {
    let name = format!("{namespace}-{ingress}-{hash}");
    if name.len() <= NAME_MAX {
        return name;
    }
    let start = cut(&name, NAME_MAX - CUT_HASH_LEN - hash.len() - 2);
    format!("{start}-{}-{hash}", hex(&name, CUT_HASH_LEN))
}

/// Field manager of the status of Ingresses: [`STATUS_FIELD_MANAGER`] for the default owner. Operators of different owners
/// are different managers, so that one that lets go of an Ingress does not take away what the other has written.
pub fn ingress_status_manager(owner: &str) -> String {
    format!("{}-status", label_value(owner))
}

/// The name as a label value: itself, or when longer than 63 bytes its beginning and a hash of the whole.
pub fn label_value(name: &str) -> String {
    if name.len() <= LABEL_MAX {
        return name.to_owned();
    }
    let start = cut(name, LABEL_MAX - CUT_HASH_LEN - 1);
    format!("{start}-{}", hex(name, CUT_HASH_LEN))
}

/// At most `max` bytes from the start of `name`, ending in a letter or digit, since a dot before a hyphen is invalid.
fn cut(name: &str, max: usize) -> &str {
    let end = (0..=max.min(name.len()))
        .rev()
        .find(|end| name.is_char_boundary(*end))
        .unwrap_or(0);
    name[..end].trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
}

/// The first `digits` hex digits of the SHA-256 of `text`.
fn hex(text: &str, digits: usize) -> String {
    let mut hex = HEXLOWER.encode(&Sha256::digest(text));
    hex.truncate(digits);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_tyk_operator() {
        assert_eq!(api_id("default", "httpbin"), "ZGVmYXVsdC9odHRwYmlu");
        assert_eq!(api_id("default", "proxy-api"), "ZGVmYXVsdC9wcm94eS1hcGk");
        assert_eq!(api_id("default", "petstore"), "ZGVmYXVsdC9wZXRzdG9yZQ");
    }

    #[test]
    fn hashes_are_those_of_tyk_operator() {
        for (host, path, hash) in [
            ("", "/httpbin", "78acd160d"),
            ("foo.com", "/httpbin22222", "c09b5928e"),
            ("httpbin.ahmet", "/", "a1863f096"),
            ("httpbin.ahmet", "/httpbin", "d33713b8b"),
            ("", "/pathonly", "00254eeb0"),
            ("*.foo.com", "/httpbin", "3af1fef04"),
        ] {
            assert_eq!(child_hash(host, path, None), hash, "{host}{path}");
        }
    }

    #[test]
    fn a_variant_is_another_child() {
        let plain = child_hash("a.com", "/", None);
        let exact = child_hash("a.com", "/", Some("Exact"));
        assert_eq!(exact.len(), plain.len());
        assert_ne!(exact, plain);
        assert_ne!(exact, child_hash("a.com", "/", Some("")));
        assert_ne!(exact, child_hash("a.com", "/Exact", None));
    }

    #[test]
    fn short_child_names_are_those_of_tyk_operator() {
        assert_eq!(
            child_name("default", "httpbin", "78acd160d"),
            "default-httpbin-78acd160d"
        );
        let ingress = "i".repeat(NAME_MAX - "ns-".len() - "-78acd160d".len());
        let name = child_name("ns", &ingress, "78acd160d");
        assert_eq!((name.len(), name), (NAME_MAX, format!("ns-{ingress}-78acd160d")));
    }

    /// Names of 252 bytes. Dots and hyphens stand at every place in one of them, so also where a name is cut.
    fn long_names() -> impl Iterator<Item = String> {
        let units = ["i", "i.", "i-"].into_iter();
        units.flat_map(|unit| ["xy", "x"].map(|start| format!("{start}{}i", unit.repeat(249 / unit.len()))))
    }

    #[test]
    fn long_child_names_are_cut_and_stay_valid_and_distinct() {
        for ingress in long_names() {
            let name = child_name("ns", &ingress, "78acd160d");
            assert!(name.len() <= NAME_MAX && name.ends_with("-78acd160d"), "{name}");
            assert!(name.split('.').all(is_dns_label), "{name}");
            assert_ne!(name, child_name("ns", &format!("{ingress}z"), "78acd160d"));
        }
    }

    #[test]
    fn label_values_are_cut_only_when_too_long() {
        let fits = "n".repeat(LABEL_MAX);
        assert_eq!(label_value(&fits), fits);
        for long in long_names() {
            let value = label_value(&long);
            let start = &value[..value.len() - CUT_HASH_LEN - 1];
            assert!(value.len() <= LABEL_MAX && long.starts_with(start), "{value}");
            assert!(start.ends_with(|c: char| c.is_ascii_alphanumeric()), "{value}");
            assert_ne!(value, label_value(&format!("{long}n")));
        }
        let long = "n".repeat(LABEL_MAX + 1);
        assert_eq!(
            label_value(&long),
            format!("{}-{}", "n".repeat(52), hex(&long, CUT_HASH_LEN))
        );
    }

    #[test]
    fn the_default_owner_has_the_common_status_manager() {
        assert_eq!(ingress_status_manager("tyk-ingress"), STATUS_FIELD_MANAGER);
    }

    #[test]
    fn text_that_is_not_a_name_does_not_panic() {
        assert!(label_value(&"\u{e9}".repeat(64)).len() <= LABEL_MAX);
    }

    fn is_dns_label(label: &str) -> bool {
        let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        outer(label.chars().next())
            && outer(label.chars().last())
            && label
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    }
}
