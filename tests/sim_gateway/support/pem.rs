//! Certificates with their keys, made anew for each run.

use std::sync::LazyLock;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

/// For `a.example` and one label below `b.example`.
pub static A: LazyLock<String> = LazyLock::new(|| pem(&["a.example", "*.b.example"]));
/// For `other.example`.
pub static OTHER: LazyLock<String> = LazyLock::new(|| pem(&["other.example"]));

/// The certificate, then its key; the first name is also the subject.
fn pem(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names.clone()).unwrap();
    params.distinguished_name.push(DnType::CommonName, names[0].clone());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    format!("{}{}", certificate.pem(), key.serialize_pem())
}
