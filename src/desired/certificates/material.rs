//! What a TLS Secret holds, read and checked as the gateway will read it. No error text holds any of it.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::secret::Secret;
use crate::snapshot::TlsSecret;

const RSA: &str = "1.2.840.113549.1.1.1";
const ECDSA: &str = "1.2.840.10045.2.1";
/// P-256 and P-384, whose keys can be compared with their certificate here.
const CURVES: [&str; 2] = ["1.2.840.10045.3.1.7", "1.3.132.0.34"];
/// RSA keys of these many bits can be compared with their certificate here.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
/// How far the clock of whoever issues certificates may be ahead of ours.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);
/// From when on an end is announced.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A certificate chain that the gateway takes, with its key if it has one.
pub(super) struct Material {
    /// Hex SHA-256 of the leaf's DER.
    pub(super) fingerprint: String,
    /// Key, then chain, the leaf first.
    pub(super) pem: Secret,
    pub(super) has_key: bool,
    /// Hex SHA-256 of the DER of the leaf's public key.
    pub(super) key_fingerprint: String,
    /// The leaf's public key.
    pub(super) key_pem: Secret,
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    /// First moment at which the whole chain is valid, and the last one.
    validity: (Timestamp, Timestamp),
}

impl Material {
    /// Reads a Secret.
    ///
    /// # Errors
    /// Why the gateway could not use it, apart from time.
    pub(super) fn read(secret: &TlsSecret) -> Result<Self, String> {
        if secret.certificate().is_empty() {
            return Err("it has no tls.crt".into());
        }
        let chain: Vec<_> = CertificateDer::pem_slice_iter(secret.certificate())
            .collect::<Result<_, _>>()
            .map_err(|_| "tls.crt is not valid PEM")?;
        let parsed: Vec<_> = chain.iter().map(|der| parse(der)).collect::<Result<_, _>>()?;
        let leaf = parsed.first().ok_or("tls.crt holds no PEM certificate")?;
        let public = leaf.public_key();
        let key = private_key(secret.private_key())?;
        if key.is_some() && ![RSA, ECDSA].contains(&public.algorithm.algorithm.to_id_string().as_str()) {
            return Err("the gateway can only read keys of the kinds RSA and ECDSA back".into());
        }
        if let Some(key) = &key {
            check_pair(key, public)?;
        }
        let mut pem = key.as_ref().map(key_pem).unwrap_or_default();
        pem.extend(chain.iter().map(|der| block("CERTIFICATE", der)));
        let (names, addresses) = alternative_names(leaf);
        Ok(Self {
            fingerprint: hex(&chain[0]),
            pem: Secret::new(pem),
            has_key: key.is_some(),
            key_fingerprint: hex(public.raw),
            key_pem: Secret::new(block("PUBLIC KEY", public.raw)),
            names,
            addresses,
            validity: validity(&parsed)?,
        })
    }

    /// Whether the gateway takes the chain at this time: it refuses one of which any certificate has expired.
    pub(super) fn check_time(&self, now: Timestamp) -> Result<(), String> {
        let (start, end) = self.validity;
        if end < now {
            return Err(format!("a certificate of the chain expired at {end}"));
        }
        if start > now.saturating_add(CLOCK_SKEW).unwrap_or(now) {
            return Err(format!("a certificate of the chain is not valid before {start}"));
        }
        Ok(())
    }

    /// When the first certificate of the chain expires.
    pub(super) fn expires(&self) -> Timestamp {
        self.validity.1
    }

    /// When the chain expires, if that is soon.
    pub(super) fn expires_soon(&self, now: Timestamp) -> Option<Timestamp> {
        let end = self.expires();
        (end < now.saturating_add(SOON).unwrap_or(now)).then_some(end)
    }

    /// Whether clients that ask for `host`, a name, an address or `*.` and a name, take the certificate.
    pub(super) fn covers(&self, host: &str) -> bool {
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.addresses.contains(&address);
        }
        let wildcard = host.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        self.names
            .iter()
            .any(|name| name == host || Some(name) == wildcard.as_ref())
    }
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok((_, certificate)) => Ok(certificate),
        Err(_) => Err("tls.crt holds a certificate that is not X.509".into()),
    }
}

/// The key; `None` when there is nothing at all, as in Secrets that only hold what to trust.
fn private_key(pem: &[u8]) -> Result<Option<PrivateKeyDer<'static>>, String> {
    if pem.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    if pem.windows(9).any(|text| text == b"ENCRYPTED") {
        return Err("tls.key is encrypted; the gateway has no password for it".into());
    }
    let keys: Vec<_> = PrivateKeyDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| "tls.key is not valid PEM")?;
    match keys.len() {
        0 => Err("tls.key holds no PEM private key".into()),
        1 => Ok(keys.into_iter().next()),
        _ => Err("tls.key holds more than one private key".into()),
    }
}

/// Whether a key belongs to a certificate. Kinds of keys that cannot be compared here are compared by the gateway.
fn check_pair(key: &PrivateKeyDer<'_>, public: &SubjectPublicKeyInfo<'_>) -> Result<(), String> {
    match any_supported_type(key) {
        Ok(signer) if signer.public_key().is_some_and(|own| own.as_ref() == public.raw) => Ok(()),
        Ok(_) => Err("tls.key does not belong to the first certificate of tls.crt".into()),
        Err(_) if is_comparable(public) => Err("tls.key holds no key that belongs to tls.crt".into()),
        Err(_) => Ok(()),
    }
}

fn is_comparable(public: &SubjectPublicKeyInfo<'_>) -> bool {
    let algorithm = &public.algorithm;
    if algorithm.algorithm.to_id_string() == RSA {
        return public.parsed().is_ok_and(|key| RSA_BITS.contains(&key.key_size()));
    }
    let curve = algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    curve.is_some_and(|curve| CURVES.contains(&curve.to_id_string().as_str()))
}

fn validity(chain: &[X509Certificate<'_>]) -> Result<(Timestamp, Timestamp), String> {
    let (mut start, mut end) = (Timestamp::MIN, Timestamp::MAX);
    for certificate in chain {
        let validity = certificate.validity();
        let time = |seconds| Timestamp::from_second(seconds).map_err(|_| "a certificate has no valid dates");
        start = start.max(time(validity.not_before.timestamp())?);
        end = end.min(time(validity.not_after.timestamp())?);
    }
    Ok((start, end))
}

fn alternative_names(leaf: &X509Certificate<'_>) -> (Vec<String>, Vec<IpAddr>) {
    let extension = leaf.subject_alternative_name().ok().flatten();
    let general = extension
        .map(|names| names.value.general_names.as_slice())
        .unwrap_or_default();
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    for name in general {
        match name {
            GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => addresses.extend(address(bytes)),
            _ => {}
        }
    }
    (names, addresses)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

fn key_pem(key: &PrivateKeyDer<'_>) -> String {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    block(label, key.secret_der())
}

/// One PEM section that ends in a newline.
fn block(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for (index, character) in text.chars().enumerate() {
        if index > 0 && index % 64 == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str(&format!("\n-----END {label}-----\n"));
    pem
}

fn hex(der: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(der))
}
