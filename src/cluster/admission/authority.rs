//! An authority for one certificate: made when there is none, and renewed before a third of its life is left.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Life of an authority.
const AUTHORITY: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Life of a certificate.
const CERTIFICATE: Duration = Duration::from_secs(90 * 24 * 3600);
/// How far the clock of an API server may be behind.
const SKEW: Duration = Duration::from_secs(3600);

/// Authority and certificate, all PEM.
#[derive(Clone, PartialEq)]
pub struct Material {
    /// Authorities that are to be trusted, the one in use first; then the one before it, until it ends.
    pub bundle: Vec<u8>,
    /// Private key of the first authority.
    pub authority_key: Vec<u8>,
    /// Certificate of the webhook.
    pub certificate: Vec<u8>,
    /// Its private key.
    pub key: Vec<u8>,
}

/// Without the keys.
impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material").finish_non_exhaustive()
    }
}

/// What takes the place of the material now; `None` while it can be used. What cannot be read is made anew, and so is a
/// certificate for other hosts.
///
/// # Errors
/// When no key can be made.
pub fn renewed(present: Option<&Material>, hosts: &[String], now: Timestamp) -> Result<Option<Material>, String> {
    let state = present.map(|material| State::of(material, hosts, now));
    match (present, state) {
        (_, Some(State::Good)) => Ok(None),
        (Some(material), Some(State::Due)) => {
            let key = std::str::from_utf8(&material.authority_key).map_err(|error| error.to_string())?;
            let authority = KeyPair::from_pem(key).map_err(|_| "the key of the authority cannot be read")?;
            issue(&authority, material.bundle.clone(), hosts, now).map(Some)
        }
        (present, _) => {
            let before = present.and_then(|material| first_valid(&material.bundle, now));
            let authority = KeyPair::generate().map_err(|error| error.to_string())?;
            let made = authority_params(now)
                .self_signed(&authority)
                .map_err(|error| error.to_string())?;
            let bundle = made.pem() + before.as_deref().unwrap_or_default();
            issue(&authority, bundle.into_bytes(), hosts, now).map(Some)
        }
    }
}

/// What is to be done.
#[derive(Debug, PartialEq)]
enum State {
    Good,
    /// The authority signs another certificate.
    Due,
    /// Another authority is needed.
    Over,
}

impl State {
    fn of(material: &Material, hosts: &[String], now: Timestamp) -> Self {
        let authority = certificates(&material.bundle);
        let is_authority = |key: &[u8]| {
            let key = std::str::from_utf8(key)
                .ok()
                .and_then(|key| KeyPair::from_pem(key).ok());
            let own = authority
                .first()
                .and_then(|der| parse(der))
                .map(|one| one.public_key().raw.to_vec());
            key.is_some_and(|key| Some(rcgen::PublicKeyData::subject_public_key_info(&key)) == own)
        };
        if !authority.first().is_some_and(|der| is_fresh(der, now)) || !is_authority(&material.authority_key) {
            return State::Over;
        }
        let chain = certificates(&material.certificate);
        let fits = chain
            .first()
            .is_some_and(|der| is_fresh(der, now) && is_for(der, hosts));
        let signed = chain
            .first()
            .zip(authority.first())
            .is_some_and(|(leaf, authority)| is_from(leaf, authority));
        let key = PrivateKeyDer::from_pem_slice(&material.key).ok();
        let whole = key.is_some_and(|key| CertifiedKey::from_der(chain, key, &ring::default_provider()).is_ok());
        if fits && signed && whole {
            State::Good
        } else {
            State::Due
        }
    }
}

fn issue(authority: &KeyPair, bundle: Vec<u8>, hosts: &[String], now: Timestamp) -> Result<Material, String> {
    let issuer_params = authority_params(now);
    let issuer = Issuer::from_params(&issuer_params, authority);
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let mut params = CertificateParams::new(hosts.to_vec()).map_err(|error| error.to_string())?;
    params.distinguished_name = name("tyk-ingress admission webhook");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    lives(&mut params, now, CERTIFICATE);
    let certificate = params.signed_by(&key, &issuer).map_err(|error| error.to_string())?;
    Ok(Material {
        bundle,
        authority_key: authority.serialize_pem().into_bytes(),
        certificate: certificate.pem().into_bytes(),
        key: key.serialize_pem().into_bytes(),
    })
}

fn authority_params(now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name("tyk-ingress admission authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    lives(&mut params, now, AUTHORITY);
    params
}

fn name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn lives(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let now = date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
    (params.not_before, params.not_after) = (now - SKEW, now + life);
}

fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)
}

/// First moment at which it is valid, and the last one.
fn validity(der: &CertificateDer<'_>) -> Option<(Timestamp, Timestamp)> {
    let certificate = parse(der)?;
    let moment = |seconds: i64| Timestamp::from_second(seconds).ok();
    let validity = certificate.validity();
    Some((
        moment(validity.not_before.timestamp())?,
        moment(validity.not_after.timestamp())?,
    ))
}

/// Whether it is valid and has a third of its life before it.
fn is_fresh(der: &CertificateDer<'_>, now: Timestamp) -> bool {
    validity(der).is_some_and(|(begins, ends)| {
        let life: SignedDuration = ends.duration_since(begins);
        begins <= now && now.duration_since(begins) < life / 3 * 2
    })
}

fn is_for(der: &CertificateDer<'_>, hosts: &[String]) -> bool {
    let Some(certificate) = parse(der) else { return false };
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return false;
    };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(v4) => Some(std::net::IpAddr::from(v4).to_string()),
            Err(_) => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|v6| std::net::IpAddr::from(v6).to_string()),
        },
        _ => None,
    };
    let names: Vec<_> = names.value.general_names.iter().filter_map(text).collect();
    hosts.iter().all(|host| names.contains(host))
}

/// Whether the authority is the one that a certificate names: all have one name, but each its own key.
fn is_from(leaf: &CertificateDer<'_>, authority: &CertificateDer<'_>) -> bool {
    use x509_parser::extensions::ParsedExtension::{AuthorityKeyIdentifier, SubjectKeyIdentifier};
    let (Some(leaf), Some(authority)) = (parse(leaf), parse(authority)) else {
        return false;
    };
    let signer = leaf
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
            _ => None,
        });
    let own = authority
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        });
    signer.is_some() && signer == own
}

/// PEM of the first certificate, if it is still valid.
fn first_valid(bundle: &[u8], now: Timestamp) -> Option<String> {
    const END: &str = "-----END CERTIFICATE-----";
    let valid = validity(certificates(bundle).first()?).is_some_and(|(_, ends)| now < ends);
    let text = std::str::from_utf8(bundle).ok().filter(|_| valid)?;
    Some(text[..text.find(END)? + END.len()].to_owned() + "\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const DAY: i64 = 24 * 3600;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * DAY).unwrap()
    }

    fn hosts() -> Vec<String> {
        vec!["hook.ns.svc".into(), "127.0.0.1".into()]
    }

    fn first() -> Material {
        renewed(None, &hosts(), at(0)).unwrap().unwrap()
    }

    #[test]
    fn a_certificate_is_kept_for_two_thirds_of_its_life_and_then_renewed_by_the_same_authority() {
        let first = first();
        assert_eq!(renewed(Some(&first), &hosts(), at(59)).unwrap(), None);
        let second = renewed(Some(&first), &hosts(), at(61)).unwrap().unwrap();
        assert_eq!(second.bundle, first.bundle);
        assert!(second.certificate != first.certificate && second.key != first.key);
        assert_eq!(renewed(Some(&second), &hosts(), at(61 + 59)).unwrap(), None);
    }

    #[test]
    fn a_new_authority_is_trusted_beside_the_old_one() {
        let first = first();
        let second = renewed(Some(&first), &hosts(), at(2440)).unwrap().unwrap();
        let bundle = String::from_utf8(second.bundle.clone()).unwrap();
        assert_ne!(second.authority_key, first.authority_key);
        assert_eq!(certificates(&second.bundle).len(), 2);
        assert!(
            bundle.ends_with(std::str::from_utf8(&first.bundle).unwrap().trim_start()),
            "{bundle}"
        );
        let third = renewed(Some(&second), &hosts(), at(2 * 2440)).unwrap().unwrap();
        assert_eq!(certificates(&third.bundle).len(), 2);
    }

    #[test]
    fn what_does_not_fit_together_is_made_anew() {
        let (one, other) = (first(), first());
        let others_key = Material {
            key: other.key.clone(),
            ..one.clone()
        };
        assert_eq!(State::of(&others_key, &hosts(), at(1)), State::Due);
        let others_leaf = Material {
            authority_key: one.authority_key.clone(),
            bundle: one.bundle.clone(),
            ..other.clone()
        };
        assert_eq!(State::of(&others_leaf, &hosts(), at(1)), State::Due);
        let others_authority = Material {
            authority_key: other.authority_key,
            ..one.clone()
        };
        assert_eq!(State::of(&others_authority, &hosts(), at(1)), State::Over);
        let unreadable = Material {
            bundle: b"x".to_vec(),
            ..one.clone()
        };
        let made = renewed(Some(&unreadable), &hosts(), at(1)).unwrap().unwrap();
        assert_eq!(State::of(&made, &hosts(), at(1)), State::Good);
        assert_eq!(State::of(&one, &["other.ns.svc".to_owned()], at(1)), State::Due);
    }

    #[test]
    fn keys_are_not_printed() {
        assert_eq!(format!("{:?}", first()), "Material { .. }");
    }
}
