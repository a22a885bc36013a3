#![allow(clippy::unwrap_used)]

mod warnings;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use sha2::{Digest, Sha256};

use super::*;
use crate::api::ApiDefinition;
use crate::desired::{Context, Desired, build};
use crate::ingress::Translation;
use crate::snapshot::Snapshot;

const ORG: &str = "5e9d9544a1dcd60001d0ed20";
const NOW: &str = "2026-06-01T00:00:00Z";

struct Pair {
    certificate: String,
    key: String,
}

fn params(names: &[&str], years: (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    params
}

fn signed(params: CertificateParams, key: &KeyPair) -> Pair {
    Pair {
        certificate: params.self_signed(key).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

fn good(names: &[&str]) -> Pair {
    signed(params(names, (2020, 2040)), &KeyPair::generate().unwrap())
}

fn dated(from: i32, to: i32) -> Pair {
    signed(params(&["a.example"], (from, to)), &KeyPair::generate().unwrap())
}

/// A leaf and the authority that signed it, which is valid until `end`.
fn chained(end: i32) -> Pair {
    let mut authority = params(&[], (2020, end));
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = params(&["a.example"], (2020, 2040))
        .signed_by(&key, &authority)
        .unwrap();
    Pair {
        // No newline between the two, as when files are put together carelessly.
        certificate: format!("{}{}", leaf.pem().trim_end(), authority.pem()).replace("----------", "-----\n-----"),
        key: key.serialize_pem(),
    }
}

fn secret(snapshot: &mut Snapshot, name: &str, certificate: &str, key: &str) {
    let object = json!({
        "metadata": {"name": name, "namespace": "default"}, "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": certificate, "tls.key": key},
    });
    snapshot.insert::<TlsSecret>(serde_json::from_value(object).unwrap());
}

fn definition(more: Value) -> ApiDefinition {
    let mut spec = json!({
        "api_id": "1", "name": "a", "protocol": "https", "domain": "a.example", "use_keyless": true,
        "proxy": {"listen_path": "/", "target_url": "http://a"},
    });
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    serde_json::from_value(json!({"metadata": {"name": "a", "namespace": "default"}, "spec": spec})).unwrap()
}

fn context() -> Context {
    Context {
        org: ORG.into(),
        owner: "east".into(),
        now: Some(NOW.parse().unwrap()),
        ..Context::default()
    }
}

fn built(snapshot: &Snapshot) -> (Desired, Vec<Diagnostic>) {
    build(snapshot, &Translation::default(), &context())
}

fn codes(diagnostics: &[Diagnostic], kind: &str) -> Vec<&'static str> {
    let of_kind = diagnostics.iter().filter(|diagnostic| diagnostic.object.kind == kind);
    of_kind.map(|diagnostic| diagnostic.code.as_str()).collect()
}

fn fingerprint(der: &[u8]) -> String {
    Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn leaf(pair: &Pair) -> String {
    fingerprint(&CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap())
}

/// One API that is served with this Secret.
fn served(certificate: &str, key: &str) -> (Desired, Vec<Diagnostic>) {
    let mut snapshot = Snapshot::default();
    secret(&mut snapshot, "s", certificate, key);
    snapshot.insert(definition(json!({"certificate_secret_names": ["s"]})));
    built(&snapshot)
}

#[test]
fn a_certificate_is_sent_as_key_and_chain_under_its_fingerprint() {
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    for (pair, length) in [
        (good(&["a.example"]), 1),
        (chained(2040), 2),
        (signed(params(&["*.example"], (2020, 2040)), &p384), 1),
    ] {
        // What tools write around a certificate, and no newline at the end.
        let certificate = format!("Certificate:\n  Data: x\n{}", pair.certificate.trim_end());
        let (desired, diagnostics) = served(&certificate, pair.key.trim_end());
        assert_eq!(diagnostics, []);
        let id = format!("{ORG}{}", leaf(&pair));
        assert_eq!(desired.apis["1"].payload.value()["certificates"], json!([id]));
        assert_eq!(desired.apis["1"].payload.value()["org_id"], ORG);
        assert_eq!(desired.apis["1"].payload.get("certificate_secret_names"), None);
        let pem = desired.certificates[&id].pem.expose().as_bytes();
        assert!(pem.starts_with(b"-----BEGIN PRIVATE KEY-----\n"));
        let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).map(Result::unwrap).collect();
        assert_eq!((chain.len(), fingerprint(&chain[0])), (length, leaf(&pair)));
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        assert_eq!(PrivateKeyDer::from_pem_slice(pem).unwrap(), key);
        assert_eq!(desired.certificates[&id].source.to_string(), "Secret default/s");
    }
}

#[test]
fn what_the_gateway_cannot_use_is_told_and_holds_the_api() {
    let (one, other) = (good(&["a.example"]), good(&["a.example"]));
    let ed25519 = signed(
        params(&["a.example"], (2020, 2040)),
        &KeyPair::generate_for(&PKCS_ED25519).unwrap(),
    );
    let (expired, young, old_chain) = (dated(2020, 2026), dated(2027, 2040), chained(2025));
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let junk_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let cut = &one.certificate[..one.certificate.len() / 2];
    for (certificate, key, reason) in [
        ("", one.key.as_str(), "no tls.crt"),
        (one.certificate.as_str(), "", "no tls.key"),
        ("hello", &one.key, "no PEM certificate"),
        (cut, &one.key, "PEM"),
        (junk, &one.key, "not X.509"),
        (&one.certificate, "hello", "no PEM private key"),
        (&one.certificate, junk_key, "no key that belongs"),
        (&one.certificate, encrypted, "encrypted"),
        (&one.certificate, &format!("{}{}", one.key, other.key), "more than one"),
        (&one.certificate, &other.key, "does not belong"),
        (&ed25519.certificate, &ed25519.key, "RSA and ECDSA"),
        (&expired.certificate, &expired.key, "expired at 2026-01-01"),
        (&young.certificate, &young.key, "not valid before 2027-01-01"),
        (&old_chain.certificate, &old_chain.key, "expired at 2025-01-01"),
    ] {
        let (desired, diagnostics) = served(certificate, key);
        let shown = format!("{diagnostics:?} {desired:?}");
        assert!(shown.contains(reason), "{reason}: {shown}");
        assert_eq!(codes(&diagnostics, "Secret"), ["CertificateInvalid"], "{reason}");
        assert_eq!(codes(&diagnostics, "ApiDefinition"), ["CertificateInvalid"], "{reason}");
        assert!(desired.apis.is_empty() && desired.held.contains("1"), "{reason}");
        assert!(desired.certificates.is_empty(), "{reason}");
    }
}

#[test]
fn no_key_material_is_ever_shown() {
    let pair = good(&["a.example"]);
    let middle = pair.key.lines().nth(1).unwrap();
    for (certificate, key) in [
        (pair.certificate.as_str(), pair.key.clone()),
        (
            &pair.certificate,
            pair.key.replace("PRIVATE KEY-----\n", "PRIVATE KEY-----\n!"),
        ),
        (&pair.certificate, format!("{}{}", pair.key, pair.key)),
        (&pair.key, pair.key.clone()),
    ] {
        let shown = format!("{:?}", served(certificate, &key));
        assert!(!shown.contains(middle) && !shown.contains("BEGIN"), "{shown}");
    }
}

#[test]
fn a_missing_secret_holds_the_api() {
    let mut snapshot = Snapshot::default();
    snapshot.insert(definition(json!({"certificate_secret_names": ["s"]})));
    let (desired, diagnostics) = built(&snapshot);
    assert_eq!(codes(&diagnostics, "ApiDefinition"), ["CertificateNotFound"]);
    assert_eq!((desired.apis.len(), desired.held.contains("1")), (0, true));
}

#[test]
fn of_several_server_certificates_the_good_ones_are_used() {
    let (one, two) = (good(&["a.example"]), good(&["b.example"]));
    let mut snapshot = Snapshot::default();
    secret(&mut snapshot, "one", &one.certificate, &one.key);
    secret(&mut snapshot, "two", &two.certificate, &two.key);
    secret(&mut snapshot, "bad", &one.certificate, &two.key);
    snapshot.insert(definition(
        json!({"certificate_secret_names": ["one", "bad", "gone", "two"]}),
    ));
    let (desired, diagnostics) = built(&snapshot);
    let ids = [&one, &two].map(|pair| format!("{ORG}{}", leaf(pair)));
    assert_eq!(desired.apis["1"].payload.value()["certificates"], json!(ids));
    assert_eq!(desired.certificates.len(), 2);
    assert_eq!(codes(&diagnostics, "Secret"), ["CertificateInvalid"]);
    assert_eq!(codes(&diagnostics, "ApiDefinition"), ["CertificateSkipped"; 2]);

    let by_hand = json!({"certificate_secret_names": ["gone"], "certificates": ["mine"]});
    snapshot.insert(definition(by_hand));
    assert_eq!(
        built(&snapshot).0.apis["1"].payload.value()["certificates"],
        json!(["mine"])
    );
    let both = json!({"certificate_secret_names": ["one"], "certificates": ["mine", ids[0]]});
    snapshot.insert(definition(both));
    assert_eq!(
        built(&snapshot).0.apis["1"].payload.value()["certificates"],
        json!(["mine", ids[0]])
    );
}

#[test]
fn an_allow_list_never_shrinks() {
    let ed25519 = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let (one, two) = (signed(params(&["client"], (2020, 2040)), &ed25519), good(&["client"]));
    let mut snapshot = Snapshot::default();
    // What others prove themselves with needs no key here, so every kind will do.
    secret(&mut snapshot, "one", &one.certificate, "");
    secret(&mut snapshot, "two", &two.certificate, &two.key);
    let refs = json!({
        "use_mutual_tls_auth": true, "client_certificate_refs": ["one", "two"], "client_certificates": ["mine"],
    });
    snapshot.insert(definition(refs));
    let (desired, diagnostics) = built(&snapshot);
    assert_eq!(diagnostics, []);
    let ids = [&one, &two].map(|pair| format!("{ORG}{}", leaf(pair)));
    let all = json!(["mine", ids[0], ids[1]]);
    assert_eq!(desired.apis["1"].payload.value()["client_certificates"], all);
    assert!(!desired.certificates[&ids[0]].pem.expose().contains("PRIVATE"));

    secret(&mut snapshot, "two", "", "");
    let (desired, diagnostics) = built(&snapshot);
    assert_eq!((desired.apis.len(), desired.held.contains("1")), (0, true));
    assert_eq!(codes(&diagnostics, "ApiDefinition"), ["CertificateInvalid"]);

    for refs in [json!("one"), json!([1]), json!({})] {
        let refs = json!({"use_mutual_tls_auth": true, "client_certificate_refs": refs});
        snapshot.insert(definition(refs));
        assert!(built(&snapshot).0.held.contains("1"));
    }
    snapshot.insert(definition(json!({"client_certificate_refs": ["two"]})));
    assert_eq!(built(&snapshot).1, [], "without mutual TLS nothing is asked of clients");
}

#[test]
fn upstream_certificates_and_pins_are_found_by_domain() {
    let pair = good(&["up.example"]);
    let mut snapshot = Snapshot::default();
    secret(&mut snapshot, "s", &pair.certificate, &pair.key);
    let refs = json!({
        "upstream_certificate_refs": {"up.example": "s"}, "upstream_certificates": {"other": "mine"},
        "pinned_public_keys_refs": {"up.example": "s", "*": "s"}, "pinned_public_keys": {"up.example": "mine"},
    });
    snapshot.insert(definition(refs.clone()));
    let (desired, diagnostics) = built(&snapshot);
    assert_eq!(diagnostics, []);
    let key = KeyPair::from_pem(&pair.key).unwrap().public_key_pem();
    let public = fingerprint(&SubjectPublicKeyInfoDer::from_pem_slice(key.as_bytes()).unwrap());
    let (shown, pin) = (format!("{ORG}{}", leaf(&pair)), format!("{ORG}{public}"));
    let payload = &desired.apis["1"].payload.value();
    assert_eq!(
        payload["upstream_certificates"],
        json!({"other": "mine", "up.example": shown})
    );
    let pins = json!({"up.example": format!("mine,{pin}"), "*": pin});
    assert_eq!(payload["pinned_public_keys"], pins);
    assert_eq!(
        desired.certificates.keys().collect::<BTreeSet<_>>(),
        BTreeSet::from([&shown, &pin])
    );
    assert_eq!(
        desired.certificates[&pin].pem.expose().trim(),
        key.replace("\r\n", "\n").trim()
    );

    // The gateway looks for a file of this name unless the whole id is hexadecimal.
    let odd = Context {
        org: "acme".into(),
        ..context()
    };
    let (desired, _) = build(&snapshot, &Translation::default(), &odd);
    assert_eq!(
        desired.apis["1"].payload.value()["pinned_public_keys"]["*"],
        json!(public)
    );

    secret(&mut snapshot, "s", "", "");
    let (desired, diagnostics) = built(&snapshot);
    assert!(desired.held.contains("1"));
    assert_eq!(codes(&diagnostics, "ApiDefinition"), ["CertificateInvalid"; 2]);
    assert_eq!(codes(&diagnostics, "Secret"), ["CertificateInvalid"]);
}

#[test]
fn the_key_is_sent_when_any_use_of_a_leaf_needs_it() {
    let pair = good(&["a.example"]);
    for (first, second) in [("public", "pair"), ("pair", "public")] {
        let mut snapshot = Snapshot::default();
        secret(&mut snapshot, "public", &pair.certificate, "");
        secret(&mut snapshot, "pair", &pair.certificate, &pair.key);
        let refs = json!({"use_mutual_tls_auth": true, "client_certificate_refs": [first, second]});
        snapshot.insert(definition(refs));
        let (desired, _) = built(&snapshot);
        let certificate = &desired.certificates[&format!("{ORG}{}", leaf(&pair))];
        assert_eq!(&*certificate.source.name, "pair");
    }
}

#[test]
fn the_organisation_is_the_apis_own() {
    let pair = good(&["a.example"]);
    let mut snapshot = Snapshot::default();
    secret(&mut snapshot, "s", &pair.certificate, &pair.key);
    snapshot.insert(definition(json!({"certificate_secret_names": ["s"], "org_id": "acme"})));
    let (desired, _) = built(&snapshot);
    let id = desired.certificates.keys().next().unwrap();
    assert_eq!((organisation(id), desired.certificates.len()), ("acme", 1));
}

#[test]
fn an_id_is_known_wherever_it_stands() {
    let id = |c: &str| format!("{ORG}{}", c.repeat(64));
    let definition = json!({
        "certificates": [id("1"), "/etc/file.pem"], "upstream_certificates": {"x": id("2")},
        "pinned_public_keys": {"x": format!("{},{}", id("3"), id("4"))},
        "config_data": {"tyk-ingress": {"certificates": [id("5")]}}, "name": "ü".repeat(64),
    });
    let expected = ["1", "2", "3", "4"].map(id);
    assert_eq!(references(&definition).into_iter().collect::<Vec<_>>(), expected);
}
