//! The Tyk at the other end: a gateway, which has to be told to load what was written, or a Dashboard, which tells its
//! gateways itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde_json::Value;

use super::dashboard::{self, Dashboard};
use super::seen::Seen;
use super::{Calls, Observed, compare, form};
use crate::desired::{Api, Certificate, Desired, oas};
use crate::tyk::certs::{Added, Stored};
use crate::tyk::dashboard::DocumentKind;
use crate::tyk::gateway::Gateway;
use crate::tyk::list::{Keep, Shape};
use crate::tyk::{Error, Kind, dashboard as wire};

/// A client of the control API of one Tyk.
#[derive(Clone, Debug)]
pub enum Tyk {
    /// An open-source gateway.
    Gateway(Gateway),
    /// A Tyk Dashboard, as a user of one organisation sees it.
    Dashboard(wire::Dashboard),
}

impl From<Gateway> for Tyk {
    fn from(gateway: Gateway) -> Self {
        Self::Gateway(gateway)
    }
}

impl From<wire::Dashboard> for Tyk {
    fn from(dashboard: wire::Dashboard) -> Self {
        Self::Dashboard(dashboard)
    }
}

impl Tyk {
    /// Host and port, for logs and metrics.
    pub(super) fn authority(&self) -> String {
        match self {
            Self::Gateway(gateway) => gateway.authority(),
            Self::Dashboard(dashboard) => dashboard.authority(),
        }
    }

    /// Whether it is a Dashboard.
    pub(super) fn is_dashboard(&self) -> bool {
        matches!(self, Self::Dashboard(_))
    }

    /// Whether an API is there: loaded by the gateway, or known to the Dashboard.
    pub(super) async fn has_api(&self, id: &str) -> Result<bool, Error> {
        match self {
            Self::Gateway(gateway) => gateway.has_api(id).await,
            Self::Dashboard(dashboard) => Ok(dashboard.api(id).await?.is_some()),
        }
    }

    /// Ok as soon as it answers at all.
    pub(super) async fn answers(&self) -> Result<(), Error> {
        match self {
            Self::Gateway(gateway) => gateway.hello().await.map(drop),
            // Its contract has no call for this; it says that there is no such API.
            Self::Dashboard(dashboard) => dashboard.api("0").await.map(drop),
        }
    }

    /// Loads what was written, where that has to be asked for.
    pub(super) async fn load(&self, calls: &mut Calls) -> Result<(), Error> {
        match self {
            Self::Gateway(gateway) => {
                calls.reloads += 1;
                gateway.reload().await
            }
            Self::Dashboard(_) => Ok(()),
        }
    }

    /// What `keep` asks for of all APIs, by id in classic form, with the documents of those that `desired` wants as
    /// documents. Where `keep` is empty it is what a comparison with `desired` needs, if any element has to be read.
    pub(super) async fn list_apis(
        &self,
        desired: &Desired,
        (keep, seen): (&OnceLock<Keep>, &mut Seen),
        calls: &mut Calls,
    ) -> Result<Observed, Error> {
        calls.lists += 1;
        match self {
            Self::Gateway(gateway) => {
                let looked_at = compare::looked_at();
                seen.begin();
                let read = |element: &[u8]| {
                    let print = Seen::print(element);
                    if let Some(found) = seen.recall(&print, desired) {
                        return Ok(Some(found));
                    }
                    let keep = keep.get_or_init(|| compare::kept(desired));
                    let read = Gateway::read_api(element, keep)?;
                    Ok(read.map(|(id, held)| match keep.shape {
                        // Somebody wants to see all of it.
                        Shape::Whole => (id, held.into()),
                        Shape::Fields(_) => {
                            let made = form::shorten(&id, desired.apis.get(id.as_str()), &looked_at, held);
                            seen.remember(print, &id, &made, desired);
                            (id, made)
                        }
                    }))
                };
                let mut apis = gateway.list_apis_by(read).await?;
                if form::needs_documents(&desired.oas, &apis, form::is_oas) {
                    calls.lists += 1;
                    form::add_documents(&mut apis, &desired.oas, gateway.list_oas().await?);
                }
                if form::needs_documents(&desired.mcps, &apis, form::is_mcp) {
                    calls.lists += 1;
                    form::add_documents(&mut apis, &desired.mcps, gateway.list_mcps().await?);
                }
                Ok(apis)
            }
            Self::Dashboard(client) => Dashboard(client).list_apis(desired).await.map(whole),
        }
    }

    /// All policies by id.
    pub(super) async fn list_policies(&self, desired: &Desired) -> Result<Observed, Error> {
        match self {
            Self::Gateway(gateway) => Ok(whole(gateway.list_policies().await?)),
            Self::Dashboard(client) => Dashboard(client).list_policies(desired).await.map(whole),
        }
    }

    /// Makes or replaces an API; `definition` is that of `api` with its whole mark, `held` what is there.
    pub(super) async fn write_api(&self, api: &Api, definition: Value, held: Option<&Value>) -> Result<(), Error> {
        match self {
            Self::Gateway(gateway) if !oas::is_document(&definition) => gateway.put_api(&definition).await,
            Self::Gateway(gateway) => match dashboard::document_kind(api) {
                DocumentKind::Mcp => gateway.put_mcp(&definition).await,
                DocumentKind::Oas | DocumentKind::Streams => gateway.put_oas(&definition).await,
            },
            Self::Dashboard(client) => Dashboard(client).write_api(api, definition, held).await,
        }
    }

    /// Removes an API; `held` is what is there.
    pub(super) async fn delete_api(&self, id: &str, held: Option<&Value>) -> Result<(), Error> {
        match self {
            // 404 is also said of a file that is not loaded, 500 of an API whose file is gone.
            Self::Gateway(gateway) => {
                let answer = match held.is_some_and(form::is_mcp) {
                    true => gateway.delete_mcp(id).await,
                    false => gateway.delete_api(id).await,
                };
                unless(answer, &[404, 500])
            }
            Self::Dashboard(client) => Dashboard(client).delete_api(id, held).await,
        }
    }

    /// Makes or replaces a policy; `definition` is that of the resource with its whole mark, `held` what is there.
    pub(super) async fn write_policy(&self, definition: Value, held: Option<&Value>) -> Result<(), Error> {
        match self {
            Self::Gateway(gateway) => gateway.put_policy(&definition).await,
            Self::Dashboard(client) => Dashboard(client).write_policy(definition, held).await,
        }
    }

    /// Removes a policy; `held` is what is there.
    pub(super) async fn delete_policy(&self, id: &str, held: Option<&Value>) -> Result<(), Error> {
        match self {
            // 500 is also said of one whose file is gone.
            Self::Gateway(gateway) => unless(gateway.delete_policy(id).await, &[404, 500]),
            Self::Dashboard(client) => Dashboard(client).delete_policy(held).await,
        }
    }

    /// Whether a call about one object failed by that object's own fault, so that the next one may be tried.
    pub(super) fn blames_object(&self, error: &Error) -> bool {
        match error.kind() {
            Kind::Rejected | Kind::Malformed | Kind::Conflict | Kind::Unlicensed | Kind::Forbidden => true,
            // It went away between two calls.
            Kind::NotFound => self.is_dashboard(),
            _ => false,
        }
    }

    /// Ids of the certificates of an organisation.
    pub(super) async fn list_certificates(&self, org: &str) -> Result<BTreeSet<String>, Error> {
        match self {
            Self::Gateway(gateway) => gateway.list_certificates(org).await,
            Self::Dashboard(client) => client.list_certificates().await,
        }
    }

    /// Whether it can read this certificate.
    pub(super) async fn certificate_exists(&self, id: &str) -> Result<bool, Error> {
        match self {
            Self::Gateway(gateway) => gateway.certificate_exists(id).await,
            Self::Dashboard(client) => Ok(client.certificate(id).await?.is_some()),
        }
    }

    /// Those of these certificates that it can read.
    pub(super) async fn certificates(&self, ids: &[&str]) -> Result<BTreeMap<String, Stored>, Error> {
        match self {
            Self::Gateway(gateway) => gateway.certificates(ids).await,
            Self::Dashboard(client) => Dashboard(client).certificates(ids).await,
        }
    }

    /// Stores a certificate.
    pub(super) async fn add_certificate(&self, org: &str, certificate: &Certificate) -> Result<Added, Error> {
        match self {
            Self::Gateway(gateway) => gateway.add_certificate(org, &certificate.pem).await,
            Self::Dashboard(client) => client.add_certificate(&certificate.pem).await,
        }
    }

    /// Removes a certificate.
    pub(super) async fn delete_certificate(&self, org: &str, id: &str) -> Result<(), Error> {
        match self {
            Self::Gateway(gateway) => gateway.delete_certificate(org, id).await,
            Self::Dashboard(client) => client.delete_certificate(id).await.map(drop),
        }
    }

    /// What is to be changed of a wanted API beside its definition, as the names of the fields.
    pub(super) fn lacks(&self, api: &Api, held: &Value) -> Vec<String> {
        match self {
            Self::Gateway(_) => Vec::new(),
            Self::Dashboard(_) => dashboard::lacks(api, held),
        }
    }
}

fn whole(objects: BTreeMap<String, Value>) -> Observed {
    objects.into_iter().map(|(id, object)| (id, object.into())).collect()
}

fn unless(answer: Result<(), Error>, fine: &[u16]) -> Result<(), Error> {
    match answer {
        Err(error) if error.status().is_some_and(|status| fine.contains(&status)) => Ok(()),
        answer => answer,
    }
}
