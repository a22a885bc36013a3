//! Keys and certificates, made anew for every control plane.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, SanType, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};

/// An authority and one server certificate that it signed, all PEM.
#[derive(Debug)]
pub struct ServerCertificate {
    /// Certificate of the authority.
    pub authority: String,
    /// Certificate of the server, for the given names and 127.0.0.1.
    pub certificate: String,
    /// Private key of the server, PKCS#8.
    pub key: String,
}

/// A key pair to sign with, both halves PEM.
#[derive(Debug)]
pub struct SigningKey {
    /// Private half, PKCS#8.
    pub private: String,
    /// Public half.
    pub public: String,
}

impl ServerCertificate {
    /// Hex SHA-256 of the certificate's DER, with which its id on a gateway ends.
    ///
    /// # Errors
    /// When the certificate is not PEM.
    pub fn fingerprint(&self) -> Result<String> {
        let der = CertificateDer::from_pem_slice(self.certificate.as_bytes()).context("not a certificate")?;
        let digest = Sha256::digest(&der);
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Makes an authority and a certificate for `names` and 127.0.0.1.
///
/// # Errors
/// When a name is not a DNS name.
pub fn server_certificate(names: &[&str]) -> Result<ServerCertificate> {
    signed(names, &make_key()?, |_| {})
}

/// The same, with a validity that ended in 2021.
///
/// # Errors
/// When a name is not a DNS name.
pub fn expired_certificate(names: &[&str]) -> Result<ServerCertificate> {
    signed(names, &make_key()?, |server| {
        server.not_before = date_time_ymd(2020, 1, 1);
        server.not_after = date_time_ymd(2021, 1, 1);
    })
}

/// The same as [`server_certificate`], with an Ed25519 key, which a gateway cannot use with TLS 1.2.
///
/// # Errors
/// When a name is not a DNS name.
pub fn ed25519_certificate(names: &[&str]) -> Result<ServerCertificate> {
    let key = KeyPair::generate_for(&PKCS_ED25519).context("cannot make a key")?;
    signed(names, &key, |_| {})
}

fn signed(names: &[&str], key: &KeyPair, adapt: impl FnOnce(&mut CertificateParams)) -> Result<ServerCertificate> {
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "e2e authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority = CertifiedIssuer::self_signed(authority, make_key()?).context("cannot sign the authority")?;

    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut server = CertificateParams::new(names).context("not a DNS name")?;
    server.distinguished_name.push(DnType::CommonName, "e2e server");
    server
        .subject_alt_names
        .push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    adapt(&mut server);
    let certificate = server
        .signed_by(key, &authority)
        .context("cannot sign the server certificate")?;
    Ok(ServerCertificate {
        authority: authority.pem(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// Makes a key pair for service account tokens.
///
/// # Errors
/// When the system has no randomness.
pub fn signing_key() -> Result<SigningKey> {
    let key = make_key()?;
    Ok(SigningKey {
        private: key.serialize_pem(),
        public: key.public_key_pem(),
    })
}

fn make_key() -> Result<KeyPair> {
    KeyPair::generate().context("cannot make a key")
}
