//! What is told of certificates that the gateway takes, and to whom.

use super::*;
use crate::diagnostic::Severity;
use crate::ingress::Child;

#[test]
fn hosts_and_dates_are_watched() {
    let wildcard = good(&["*.example"]);
    let soon = {
        let mut params = params(&["a.example", "127.0.0.1"], (2020, 2040));
        params.not_after = date_time_ymd(2026, 6, 10);
        signed(params, &KeyPair::generate().unwrap())
    };
    for (pair, domain, expected) in [
        (&wildcard, "a.example", &[] as &[&str]),
        (&wildcard, "A.Example:8443", &[]),
        (&wildcard, "", &[]),
        (&wildcard, "{h:[^.]+}.other", &[]),
        (&wildcard, "a.b.example", &["CertificateHostMismatch"]),
        (&wildcard, "example", &["CertificateHostMismatch"]),
        (&soon, "a.example", &["CertificateExpiring"]),
        (&soon, "127.0.0.1", &["CertificateExpiring"]),
        (&soon, "127.0.0.2", &["CertificateExpiring", "CertificateHostMismatch"]),
    ] {
        let mut snapshot = Snapshot::default();
        secret(&mut snapshot, "s", &pair.certificate, &pair.key);
        snapshot.insert(definition(json!({"certificate_secret_names": ["s"], "domain": domain})));
        let (desired, diagnostics) = built(&snapshot);
        assert_eq!(codes(&diagnostics, "ApiDefinition"), expected, "{domain}");
        assert_eq!(desired.apis.len(), 1);
        assert!(
            diagnostics
                .iter()
                .all(|diagnostic| diagnostic.severity() == Severity::Warning)
        );
        assert_eq!(
            codes(&diagnostics, "Secret").len(),
            usize::from(std::ptr::eq(pair, &soon))
        );
    }
}

#[test]
fn an_ingress_is_told_of_its_children() {
    let pair = good(&["*.b.example"]);
    let child = |host: &str, name: &str| {
        let definition =
            definition(json!({"certificate_secret_names": ["s"], "domain": "{h:[^.]+}.x", "api_id": name}));
        let child = Child {
            spec: definition.spec,
            ingress: NamespacedName::new("default", "shop"),
            uid: None,
            created: None,
            hash: name.into(),
            operator: "tyk-ingress".into(),
            field: "spec.rules[0].http.paths[0]".into(),
            host: host.into(),
            path: "/".into(),
            path_type: "Prefix",
            alone: false,
        };
        (NamespacedName::new("default", name), child.into())
    };
    let translation = Translation {
        children: [
            child("*.b.example", "1"),
            child("c.example", "2"),
            child("c.example", "3"),
        ]
        .into(),
        ..Translation::default()
    };
    let mut snapshot = Snapshot::default();
    let (_, diagnostics) = build(&snapshot, &translation, &context());
    assert_eq!(codes(&diagnostics, "Ingress"), ["CertificateNotFound"]);
    let of_ingress = diagnostics
        .iter()
        .find(|diagnostic| diagnostic.object.kind == "Ingress")
        .unwrap();
    assert_eq!(
        (of_ingress.field.as_str(), of_ingress.object.name.as_ref()),
        ("spec.tls", "shop")
    );
    secret(&mut snapshot, "s", &pair.certificate, &pair.key);
    let (_, diagnostics) = build(&snapshot, &translation, &context());
    assert_eq!(codes(&diagnostics, "Ingress"), ["CertificateHostMismatch"]);
    assert!(
        diagnostics
            .iter()
            .all(|diagnostic| !diagnostic.message.contains("*.b.example"))
    );
}
