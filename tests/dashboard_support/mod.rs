//! What the tests of the simulated Dashboard and of its client share.

use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A certificate with its key, and the id that a Tyk of the organisation `org` gives it.
pub fn certificate() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["a.example".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let digest = Sha256::digest(certificate.der());
    let id = digest
        .iter()
        .fold("org".to_owned(), |id, byte| format!("{id}{byte:02x}"));
    (format!("{}{}", key.serialize_pem(), certificate.pem()), id)
}

/// A keyless classic definition.
pub fn definition(id: &str, listen_path: &str) -> Value {
    json!({
        "api_id": id, "name": id, "active": true, "use_keyless": true,
        "version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default", "use_extended_paths": true}}},
        "proxy": {"listen_path": listen_path, "target_url": "http://127.0.0.1:1/"},
    })
}

/// An OAS document.
pub fn document(id: &str, listen_path: &str) -> Value {
    json!({
        "openapi": "3.0.3", "info": {"title": id, "version": "1"}, "paths": {},
        "x-tyk-api-gateway": {
            "info": {"id": id, "name": id, "state": {"active": true}},
            "server": {"listenPath": {"value": listen_path, "strip": true}},
            "upstream": {"url": "http://127.0.0.1:1/"},
        },
    })
}
