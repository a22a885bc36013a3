//! Certificates of one gateway: there before the APIs that use them, gone when no API uses them any more.
//!
//! Only what was uploaded from here is ever deleted. Which that is stands in the owner marks of the APIs, so that it is
//! known after a restart as well: a mark names the certificates of its API, and those that it used before until they are
//! deleted. What a process uploads and never gets to name (it ends before the write of the first API that uses it, or
//! between the deletion of the last one and that of the certificate) stays in the gateway's store. It is served by no
//! API then, and there is no safe way to tell it from the certificates of others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use data_encoding::HEXLOWER;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backoff::ObjectBackoff;
use super::tyk::Tyk;
use super::{ApiOutcome, Loaded, Observed, Outcome, Plan, mark};
use crate::desired::certificates::{organisation, references};
use crate::desired::{Certificate, Desired, Payload, Wanted, owner};
use crate::tyk::certs::{Added, Stored};
use crate::tyk::{Error, Kind};

/// Ids in one call, so that its URL stays short.
const IDS_PER_CALL: usize = 50;

/// What is known of a gateway's certificates. Hints, except for what is ours: that is read from the marks.
pub(super) struct Certificates {
    owner: String,
    /// Wanted ones that the gateway was seen to hold.
    held: BTreeSet<String>,
    /// Uploaded by this operator and not deleted since.
    ours: BTreeSet<String>,
    /// Deleted by this process; marks may still name them.
    gone: BTreeSet<String>,
    /// What APIs use that stay as they are although they cannot be made anew: a reload can lose one until the next.
    frozen: BTreeMap<String, BTreeSet<String>>,
    /// When all that is wanted was looked for, and how often that is done.
    looked: Option<Instant>,
    every: Duration,
    /// Hash of the content that was sent or compared, by id.
    known: BTreeMap<String, String>,
    backoff: ObjectBackoff,
}

/// How far the certificates are in step.
#[derive(Debug, Default)]
pub(super) struct Ensured {
    /// Wanted certificates that the gateway does not hold, and why.
    pub(super) failed: BTreeMap<String, String>,
    /// How many were missing although a loaded API uses them.
    pub(super) restored: u64,
    /// Whether the gateway may serve with another chain than it now holds.
    pub(super) replaced: bool,
}

impl Ensured {
    /// Why an API with this definition cannot work, if a certificate of it is missing.
    pub(super) fn missing_of(&self, wanted: Wanted<'_>) -> Option<String> {
        if self.failed.is_empty() {
            return None;
        }
        let definition = wanted.value();
        let mut missing = references(&definition).into_iter();
        missing.find_map(|id| Some(format!("certificate {id}: {}", self.failed.get(id)?)))
    }

    /// Takes the writes out of `plan` that would make the gateway use a missing certificate that it does not use yet, and
    /// says which and why.
    pub(super) fn hold_back(
        &self,
        plan: &mut Plan,
        desired: &Desired,
        observed: &Observed,
    ) -> BTreeMap<String, String> {
        let mut waiting = BTreeMap::new();
        if self.failed.is_empty() {
            return waiting;
        }
        plan.writes.retain(|id, _| {
            let before = observed
                .get(id)
                .map(|held| references(held.value()))
                .unwrap_or_default();
            let Some(api) = desired.api(id) else { return true };
            let payload = api.payload.value();
            let needed = references(&payload);
            let mut newly = needed.difference(&before);
            let missing = newly.find_map(|id| Some(format!("certificate {id}: {}", self.failed.get(*id)?)));
            let kept = missing.is_none();
            waiting.extend(missing.map(|message| (id.clone(), message)));
            kept
        });
        waiting
    }
}

impl Certificates {
    /// Nothing is known yet; `every` is the time after which the gateway is asked anew.
    pub(super) fn new(owner: String, every: Duration) -> Self {
        Self {
            owner,
            held: BTreeSet::new(),
            ours: BTreeSet::new(),
            gone: BTreeSet::new(),
            frozen: BTreeMap::new(),
            looked: None,
            every,
            known: BTreeMap::new(),
            backoff: ObjectBackoff::default(),
        }
    }

    /// Those of the wanted ones that the gateway does not hold.
    ///
    /// # Errors
    /// The gateway does not answer.
    pub(super) async fn missing(tyk: &Tyk, desired: &Desired) -> Result<BTreeSet<String>, Error> {
        let mut certificates = Self::new(String::new(), Duration::ZERO);
        certificates.refresh(tyk, desired).await?;
        let missing = desired
            .certificates
            .keys()
            .filter(|id| !certificates.held.contains(*id));
        Ok(missing.cloned().collect())
    }

    /// When one that could not be uploaded may be tried again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.backoff.next()
    }

    /// The next round asks the gateway about all of them.
    pub(super) fn doubt(&mut self) {
        self.looked = None;
    }

    /// Uploads what is wanted and missing, or there with another chain. When it is cancelled it still ends the upload
    /// that it is at, since an outdated certificate is deleted first.
    ///
    /// # Errors
    /// The gateway does not answer; a certificate that it does not want is none.
    pub(super) async fn ensure(
        &mut self,
        tyk: &Tyk,
        desired: &Desired,
        observed: &Observed,
        (cancel, outcome): (&CancellationToken, &mut Outcome),
    ) -> Result<Ensured, Error> {
        self.learn(desired, observed);
        let mut ensured = Ensured::default();
        self.refresh(tyk, desired).await?;
        let outdated = self.outdated(tyk, desired).await?;
        let mut used = None;
        for (id, certificate) in &desired.certificates {
            if cancel.is_cancelled() {
                return Ok(ensured);
            }
            let replace = outdated.contains(id);
            if replace || !self.held.contains(id) {
                match self.upload(tyk, id, certificate, replace).await? {
                    Ok(()) if replace => ensured.replaced = true,
                    Ok(()) => {
                        let used = used.get_or_insert_with(|| used_by(observed));
                        ensured.restored += u64::from(used.contains(id.as_str()));
                    }
                    Err(message) => drop(ensured.failed.insert(id.clone(), message)),
                }
            }
            let result = match ensured.failed.get(id) {
                Some(message) => ApiOutcome::Failed(message.clone()),
                None => ApiOutcome::Synced,
            };
            outcome.certificates.insert(id.as_str().into(), result);
        }
        Ok(ensured)
    }

    /// Brings what is known of the wanted ones up to date.
    async fn refresh(&mut self, tyk: &Tyk, desired: &Desired) -> Result<(), Error> {
        let wanted = &desired.certificates;
        self.held.retain(|id| wanted.contains_key(id));
        if !wanted.is_empty() && self.looked.is_none_or(|looked| looked.elapsed() >= self.every) {
            self.look(tyk, desired).await?;
            self.looked = Some(Instant::now());
        }
        let held = &self.held;
        self.backoff.keep(|id| wanted.contains_key(id) && !held.contains(id));
        Ok(())
    }

    /// Reads from the marks which ones are ours, while nobody has deleted them.
    fn learn(&mut self, desired: &Desired, observed: &Observed) {
        self.frozen.retain(|id, _| desired.held.contains(id));
        let held = desired.held.iter().filter_map(|id| Some((id, observed.get(id)?)));
        self.frozen.extend(held.map(|(id, api)| {
            (
                id.clone(),
                references(api.value()).into_iter().map(str::to_owned).collect(),
            )
        }));
        let own = observed
            .values()
            .filter(|api| api.is_ours(&self.owner, &desired.contexts));
        let named = own.flat_map(|api| owner::certificates(api.value()));
        let known = named.filter(|id| !self.gone.contains(*id)).map(str::to_owned);
        self.ours.extend(known);
    }

    /// Asks which of the wanted ones are there.
    async fn look(&mut self, tyk: &Tyk, desired: &Desired) -> Result<(), Error> {
        self.held.clear();
        let organisations: BTreeSet<_> = desired.certificates.keys().map(|id| organisation(id)).collect();
        for org in organisations {
            let mut wanted = desired.certificates.keys().filter(|id| organisation(id) == org);
            if org.is_empty() {
                for id in wanted {
                    if endpoint(tyk.certificate_exists(id).await)?.unwrap_or(false) {
                        self.held.insert(id.clone());
                    }
                }
            } else if let Ok(listed) = endpoint(tyk.list_certificates(org).await)? {
                self.held
                    .extend(wanted.by_ref().filter(|id| listed.contains(*id)).cloned());
            }
        }
        Ok(())
    }

    /// What is ours and stands there with another chain, without its key, or so that the gateway cannot read it. The id
    /// is that of the leaf alone, and the gateway takes no second one with it.
    async fn outdated(&mut self, tyk: &Tyk, desired: &Desired) -> Result<BTreeSet<String>, Error> {
        let mut outdated = BTreeSet::new();
        self.known.retain(|id, _| self.held.contains(id));
        let held = |id: &str| self.held.contains(id) && !id.contains(',');
        let hashes = desired.certificates.iter().filter(|(id, _)| held(id));
        let hashes = hashes.map(|(id, certificate)| (id.as_str(), content_hash(certificate)));
        let unknown: Vec<_> = hashes.filter(|(id, hash)| self.known.get(*id) != Some(hash)).collect();
        for chunk in unknown.chunks(IDS_PER_CALL) {
            let ids: Vec<_> = chunk.iter().map(|(id, _)| *id).collect();
            let Ok(stored) = endpoint(tyk.certificates(&ids).await)? else {
                break;
            };
            for (id, hash) in chunk {
                let same = stored
                    .get(*id)
                    .is_some_and(|stored| is_same(stored, &desired.certificates[*id]));
                if !same && self.ours.contains(*id) {
                    outdated.insert((*id).to_owned());
                    continue;
                }
                if !same {
                    tracing::warn!(certificate = %id, "somebody else uploaded it with another chain; it is left so");
                }
                self.known.insert((*id).to_owned(), hash.clone());
            }
        }
        Ok(outdated)
    }

    /// Sends one certificate; the inner error is its own fault. No look before it: a gateway remembers what it has read,
    /// and would say of one that was lost that it is there.
    async fn upload(
        &mut self,
        tyk: &Tyk,
        id: &str,
        certificate: &Certificate,
        replace: bool,
    ) -> Result<Result<(), String>, Error> {
        let now = Instant::now();
        let hash = content_hash(certificate);
        if let Some(message) = self.backoff.waits(id, &hash, now) {
            return Ok(Err(message.to_owned()));
        }
        let answer = endpoint(send(tyk, id, certificate, replace).await)?;
        self.held.remove(id);
        let message = match answer {
            Ok(Added::Stored(stored)) if stored == id => {
                tracing::info!(certificate = %id, source = %certificate.source, "certificate uploaded");
                self.ours.insert(id.to_owned());
                None
            }
            Ok(Added::Existed) => None,
            Ok(Added::Stored(stored)) => Some(format!(
                "it was stored under another id, {stored}; set TYK_ORG to the organisation of TYK_AUTH"
            )),
            Err(error) => Some(error.to_string()),
        };
        if let Some(message) = message {
            let message = format!("{}: {message}", certificate.source);
            self.backoff.failed(id, &hash, &message, now, rand::random());
            return Ok(Err(message));
        }
        if self.ours.contains(id) {
            self.known.insert(id.to_owned(), hash);
        }
        self.gone.remove(id);
        self.held.insert(id.to_owned());
        self.backoff.keep(|other| other != id);
        Ok(Ok(()))
    }

    /// Whether the gateway was seen to hold the wanted certificates that a definition names.
    pub(super) fn serve(&self, payload: &Payload, desired: &Desired) -> bool {
        let is_there = |id: &&str| self.held.contains(*id) || !desired.certificates.contains_key(*id);
        !payload.names_certificates() || references(&payload.value()).iter().all(is_there)
    }

    /// What the mark of an API that is written names: its own uploaded certificates, and what it used before and is not
    /// yet deleted.
    pub(super) fn of_api<'a>(
        &self,
        payload: &'a Value,
        held: Option<&'a Loaded>,
        desired: &Desired,
    ) -> BTreeSet<&'a str> {
        let before = held.filter(|held| held.is_ours(&self.owner, &desired.contexts));
        let before = before.into_iter().flat_map(|held| owner::certificates(held.value()));
        let before = before.filter(|id| !desired.certificates.contains_key(*id));
        let mut named: BTreeSet<_> = references(payload).into_iter().chain(before).collect();
        named.retain(|id| self.ours.contains(*id));
        named
    }

    /// Deletes what is ours, not wanted, and used by no API that the gateway holds.
    pub(super) async fn collect(&mut self, tyk: &Tyk, desired: &Desired, observed: &Observed) {
        self.learn(desired, observed);
        let unwanted = self.ours.iter().filter(|id| !desired.certificates.contains_key(*id));
        let mut garbage: BTreeSet<String> = unwanted.cloned().collect();
        if garbage.is_empty() {
            return;
        }
        let mut used = used_by(observed);
        used.extend(self.frozen.values().flatten().map(String::as_str));
        garbage.retain(|id| !used.contains(id.as_str()));
        for id in garbage {
            if let Err(error) = tyk.delete_certificate(organisation(&id), &id).await {
                tracing::warn!(certificate = %id, %error, "an unused certificate could not be deleted");
                return;
            }
            tracing::info!(certificate = %id, "unused certificate deleted");
            self.ours.remove(&id);
            self.held.remove(&id);
            self.gone.insert(id);
        }
    }
}

fn content_hash(certificate: &Certificate) -> String {
    mark::hash(&certificate.pem.expose().into())
}

fn is_same(stored: &Stored, certificate: &Certificate) -> bool {
    let pem = certificate.pem.expose();
    let last = CertificateDer::pem_slice_iter(pem.as_bytes())
        .filter_map(Result::ok)
        .last();
    let last = last.map(|der| HEXLOWER.encode(&Sha256::digest(der)));
    (stored.last.is_empty() || stored.last == last.unwrap_or_default())
        && (stored.has_key || !pem.contains("PRIVATE KEY"))
}

async fn send(tyk: &Tyk, id: &str, certificate: &Certificate, replace: bool) -> Result<Added, Error> {
    let org = organisation(id);
    if replace {
        tyk.delete_certificate(org, id).await?;
    }
    tyk.add_certificate(org, certificate).await
}

fn used_by(observed: &Observed) -> BTreeSet<&str> {
    observed.values().flat_map(|held| references(held.value())).collect()
}

/// Separates a gateway that does not answer, or does not let us in, from one that does not want this certificate. A
/// 5xx is of the latter kind: the store of certificates can be down while definitions are taken.
fn endpoint<T>(answer: Result<T, Error>) -> Result<Result<T, Error>, Error> {
    match answer {
        Err(error) if matches!(error.kind(), Kind::Unreachable | Kind::Timeout | Kind::Unauthorized) => Err(error),
        Err(error) if error.status() == Some(429) => Err(error),
        answer => Ok(answer),
    }
}
