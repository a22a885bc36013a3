//! The admission webhook: the controller's own rules, asked before an object comes in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;
use kube::Client;
use kube::api::DynamicObject;
use kube::core::admission::AdmissionReview;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::engine::Translated;
use super::lead::Lead;
use super::{TaskEnd, named};
use crate::admission::{self, World};
use crate::cluster::Store;
use crate::cluster::admission::Place;
use crate::http::Health;
use crate::http::admission::{Answer, Identity, serve};
use crate::settings;
use crate::snapshot::NamespacedName;

/// Time between two looks at the certificate.
const LOOK: Duration = Duration::from_secs(10);
/// The same while there is none.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// The webhook before it serves.
pub struct Webhook {
    listener: TcpListener,
    place: Place,
}

impl Webhook {
    /// Binds the address; `None` when there is to be no webhook.
    ///
    /// # Errors
    /// When the address is in use.
    pub async fn bind(settings: &settings::Admission, namespace: &str) -> anyhow::Result<Option<Self>> {
        let Some(address) = settings.admission_listen.0 else {
            return Ok(None);
        };
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("cannot listen on {address} (--admission-listen)"))?;
        let place = Place {
            secret: NamespacedName::new(namespace, &settings.admission_name),
            configuration: settings.admission_name.clone(),
            hosts: hosts(&settings.admission_name, namespace, address),
        };
        tracing::info!(%address, "the admission webhook is served");
        Ok(Some(Self { listener, place }))
    }

    /// Starts to serve, and to keep the certificate.
    pub fn spawn(
        self,
        tasks: &mut JoinSet<TaskEnd>,
        rules: Rules,
        (client, lead): (Client, Lead),
        cancel: CancellationToken,
    ) {
        let identity = Arc::new(Identity::default());
        let served = serve(self.listener, identity.clone(), rules.answer(), cancel.clone());
        tasks.spawn(named("admission", served));
        let keeper = Keeper {
            client,
            lead,
            place: self.place,
            identity,
            told: None,
        };
        tasks.spawn(named("admission certificate", keeper.run(cancel)));
    }
}

/// Names of the Service, and the address if it is only one.
fn hosts(name: &str, namespace: &str, address: SocketAddr) -> Vec<String> {
    let service = [
        format!("{name}.{namespace}.svc"),
        format!("{name}.{namespace}.svc.cluster.local"),
    ];
    let own = Some(address.ip()).filter(|ip| !ip.is_unspecified());
    service.into_iter().chain(own.map(|ip| ip.to_string())).collect()
}

/// What objects are judged by.
pub struct Rules {
    /// What is there.
    pub store: Arc<Store>,
    /// What was made of it last.
    pub latest: watch::Receiver<Option<Arc<Translated>>>,
    /// The controller's settings.
    pub settings: admission::Settings,
    /// Where the time of each answer is counted.
    pub health: Arc<Health>,
}

impl Rules {
    fn answer(self) -> Answer {
        Arc::new(move |body| {
            let start = Instant::now();
            let review: AdmissionReview<DynamicObject> = serde_json::from_slice(body).ok()?;
            let name = review.request.as_ref().map(|request| {
                let namespace = request.namespace.as_deref().unwrap_or_default();
                format!("{} {namespace}/{}", request.kind.kind, request.name)
            });
            let mut settings = self.settings.clone();
            settings.operator.own = settings.operator.own.at(Timestamp::now());
            let response = admission::answer(review, self.world().as_ref(), &settings);
            if !response.allowed {
                let (object, reason) = (name.unwrap_or_default(), &response.result.message);
                tracing::info!(object, reason, "refused an object");
            }
            let allowed = response.allowed;
            let answer = serde_json::to_vec(&response.into_review()).ok();
            self.health.metrics.reviewed(allowed, start.elapsed());
            answer
        })
    }

    /// The newest objects, and the translation that was made last.
    fn world(&self) -> Option<World> {
        let (_, snapshot) = self.store.snapshot()?;
        let translated = self.latest.borrow().clone()?;
        Some(World {
            snapshot,
            translation: translated.translation.clone(),
            fleet: translated.fleet.clone(),
        })
    }
}

struct Keeper {
    client: Client,
    lead: Lead,
    place: Place,
    identity: Arc<Identity>,
    /// The trouble that was told last, so that it is told once.
    told: Option<String>,
}

impl Keeper {
    async fn run(mut self, cancel: CancellationToken) -> anyhow::Result<()> {
        loop {
            let done = self.look().await;
            let pause = if done.is_ok() { LOOK } else { FIRST_LOOK };
            let trouble = done.err();
            if let Some(trouble) = trouble.as_ref().filter(|_| trouble != self.told) {
                tracing::warn!(
                    trouble,
                    "the certificate of the admission webhook is not settled; it is tried again"
                );
            }
            self.told = trouble;
            let leads = self.lead.is_held();
            let wait = async {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = self.lead.held(), if !leads => {}
                }
            };
            if cancel.run_until_cancelled(wait).await.is_none() {
                return Ok(());
            }
        }
    }

    async fn look(&self) -> Result<(), String> {
        let Self { client, place, .. } = self;
        let material = match self.lead.is_held() {
            true => crate::cluster::admission::keep(client, place, Timestamp::now()).await?,
            false => crate::cluster::admission::read(client, place)
                .await?
                .ok_or_else(|| format!("there is no Secret {} yet", place.secret))?,
        };
        let set = self.identity.set(&material.certificate, &material.key);
        set.map_err(|reason| format!("Secret {}: {reason}", place.secret))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_certificate_is_for_the_service_and_for_an_address_that_is_one() {
        let of = |address: &str| hosts("hook", "ns", address.parse().unwrap());
        assert_eq!(of("0.0.0.0:9443"), ["hook.ns.svc", "hook.ns.svc.cluster.local"]);
        assert_eq!(of("[::]:9443"), of("0.0.0.0:9443"));
        assert_eq!(of("127.0.0.1:9443")[2], "127.0.0.1");
    }
}
