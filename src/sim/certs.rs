//! The certificate store, which the real gateway keeps in redis.

use super::control::Call;
use super::core::Core;
use super::reply::{self, Body};
use super::state::hex;
use super::x509::{self, Certificate};
use hyper::{Method, Response};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Stored certificates by id.
#[derive(Debug, Default)]
pub(super) struct Certs {
    by_id: BTreeMap<String, Stored>,
    /// Whether the list without an organisation was asked for: from then on it is empty.
    listed: bool,
}

impl<'a> FromIterator<&'a Certs> for Certs {
    /// All of several stores in one.
    fn from_iter<T: IntoIterator<Item = &'a Certs>>(stores: T) -> Certs {
        let all = stores.into_iter().flat_map(|store| &store.by_id);
        Certs {
            by_id: all.map(|(id, stored)| (id.clone(), stored.clone())).collect(),
            listed: false,
        }
    }
}

impl Clone for Stored {
    fn clone(&self) -> Stored {
        Stored {
            chain: self.chain.clone(),
            key: self.key.as_ref().map(PrivateKeyDer::clone_key),
            org: self.org.clone(),
            leaf: self.leaf.clone(),
        }
    }
}

/// A chain, leaf first, and its key if one came with it.
#[derive(Debug)]
pub(super) struct Stored {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: Option<PrivateKeyDer<'static>>,
    org: String,
    leaf: Certificate,
}

impl Certs {
    /// A certificate by its id.
    pub fn get(&self, id: &str) -> Option<&Stored> {
        self.by_id.get(id)
    }

    /// Loses everything, as when redis is flushed.
    pub fn flush(&mut self) {
        *self = Certs::default();
    }

    /// Stores a certificate of an organisation; its id, or why not.
    pub fn add(&mut self, pem: &[u8], org: &str) -> Result<String, String> {
        let (chain, key) = read(pem)?;
        let public = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok();
        let (fingerprint, leaf) = match (chain.first(), public) {
            (Some(_), Some(_)) => return Err("Public keys can't be combined with certificates".to_owned()),
            (Some(first), None) => {
                let leaf = x509::parse(first).ok_or("x509: malformed certificate")?;
                (hex(&Sha256::digest(first)), leaf)
            }
            (None, Some(public)) => public_key(&public),
            (None, None) => return Err("Failed to decode certificate. It should be PEM encoded.".to_owned()),
        };
        let id = format!("{org}{fingerprint}");
        if self.by_id.contains_key(&id) {
            return Err(format!("Certificate with {id} id already exists"));
        }
        self.by_id.insert(
            id.clone(),
            Stored {
                chain,
                key,
                org: org.to_owned(),
                leaf,
            },
        );
        Ok(id)
    }

    /// Removes a certificate; whether there was one.
    pub fn remove(&mut self, id: &str) -> bool {
        self.by_id.remove(id).is_some()
    }

    /// Ids of the certificates of an organisation.
    pub fn ids(&mut self, org: &str) -> Vec<String> {
        if !org.is_empty() {
            return self
                .by_id
                .iter()
                .filter(|(_, stored)| stored.org == org)
                .map(|(id, _)| id.clone())
                .collect();
        }
        let first = !std::mem::replace(&mut self.listed, true);
        if first {
            self.by_id.keys().cloned().collect()
        } else {
            Vec::new()
        }
    }
}

/// Fingerprint of a bare public key, and the certificate that stands for it in lists.
fn public_key(der: &[u8]) -> (String, Certificate) {
    let fingerprint = hex(&Sha256::digest(der));
    let certificate = Certificate {
        subject: format!("Public Key: {fingerprint}"),
        ..Certificate::default()
    };
    (fingerprint, certificate)
}

type Pair = (Vec<CertificateDer<'static>>, Option<PrivateKeyDer<'static>>);

fn read(pem: &[u8]) -> Result<Pair, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
    let keys: Vec<_> = PrivateKeyDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
    if keys.len() > 1 {
        return Err("Found multiple private keys".to_owned());
    }
    let now = x509::now();
    for der in &chain {
        let certificate = x509::parse(der).ok_or("x509: malformed certificate")?;
        if certificate.not_after < now {
            return Err("certificate is expired".to_owned());
        }
    }
    let key = keys.into_iter().next();
    if let (Some(key), false) = (&key, chain.is_empty()) {
        let signer =
            rustls::crypto::ring::sign::any_supported_type(key).map_err(|_| "tls: failed to parse private key")?;
        let pair = rustls::sign::CertifiedKey::new(chain.clone(), signer);
        if pair.keys_match().is_err() {
            return Err("tls: private key does not match public key".to_owned());
        }
    }
    Ok((chain, key))
}

/// Answers `/tyk/certs` and `/tyk/certs/{id}`.
pub(super) fn answer(core: &Core, call: &Call, id: Option<&str>) -> Response<Body> {
    let certs = &mut core.state().certs;
    let org = call.parameter("org_id");
    match (&call.method, id) {
        (&Method::POST, _) => match certs.add(&call.body, &org) {
            Ok(id) => reply::json(200, &json!({"id": id, "status": "ok", "message": "Certificate added"})),
            Err(message) => reply::error(403, &message),
        },
        (&Method::DELETE, Some(id)) => {
            certs.remove(id);
            reply::ok("removed")
        }
        (_, None | Some("")) => {
            let ids = certs.ids(&org);
            reply::json(
                200,
                &json!({"certs": listing(certs, &ids, call.parameter("mode") == "detailed")}),
            )
        }
        (_, Some(ids)) if ids.contains(',') => {
            let details = ids
                .split(',')
                .map(|id| certs.get(id).map_or(Value::Null, |stored| stored.meta(id)));
            reply::json(200, &Value::Array(details.collect()))
        }
        (_, Some(id)) => match certs.get(id) {
            Some(stored) => reply::json(200, &stored.meta(id)),
            None => reply::error(404, "Certificate with given SHA256 fingerprint not found"),
        },
    }
}

fn listing(certs: &Certs, ids: &[String], detailed: bool) -> Value {
    if detailed {
        return ids
            .iter()
            .filter_map(|id| certs.get(id).map(|stored| stored.basics(id)))
            .collect();
    }
    if ids.is_empty() { Value::Null } else { json!(ids) }
}

impl Stored {
    /// Common name and alternative names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [&self.leaf.subject]
            .into_iter()
            .chain(&self.leaf.dns_names)
            .map(String::as_str)
    }

    fn basics(&self, id: &str) -> Value {
        let leaf = &self.leaf;
        json!({"id": id, "issuer_cn": leaf.issuer, "subject_cn": leaf.subject, "dns_names": names(&leaf.dns_names),
            "has_private": self.key.is_some(), "not_before": x509::rfc3339(leaf.not_before),
            "not_after": x509::rfc3339(leaf.not_after), "is_ca": leaf.is_ca})
    }

    /// What is told of a single certificate.
    pub fn meta(&self, id: &str) -> Value {
        let leaf = &self.leaf;
        let fingerprint = self
            .chain
            .last()
            .map(|der| hex(&Sha256::digest(der)))
            .unwrap_or_default();
        let mut meta = json!({"id": id, "fingerprint": fingerprint, "has_private": self.key.is_some(),
            "issuer": {"CommonName": leaf.issuer}, "subject": {"CommonName": leaf.subject},
            "not_before": x509::rfc3339(leaf.not_before), "not_after": x509::rfc3339(leaf.not_after), "is_ca": leaf.is_ca});
        if !leaf.dns_names.is_empty() {
            meta["dns_names"] = json!(leaf.dns_names);
        }
        meta
    }
}

fn names(names: &[String]) -> Value {
    if names.is_empty() { Value::Null } else { json!(names) }
}
