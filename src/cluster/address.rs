//! The addresses at which the gateway is reached, as they now are.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Service;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use tokio::sync::watch::{Receiver, Sender};
use tokio_util::sync::CancellationToken;

use super::watch::each;
use super::{Told, send_changed};
use crate::report::{Address, addresses_of};
use crate::snapshot::NamespacedName;

/// Addresses; `None` while they are not known.
pub type Addresses = Option<BTreeSet<Address>>;

/// Follows the addresses until `cancel`: the fixed ones and those of `service`, which may lie outside the watched
/// namespaces and so has a watch of its own. A Service that does not exist has none.
///
/// # Panics
/// When called outside a tokio runtime.
pub fn follow(
    client: Client,
    fixed: BTreeSet<Address>,
    service: Option<NamespacedName>,
    cancel: CancellationToken,
) -> Receiver<Addresses> {
    let Some(service) = service else {
        let (sender, receiver) = tokio::sync::watch::channel(Some(fixed));
        tokio::spawn(async move {
            // Held open, so that whoever waits for a change waits on.
            cancel.cancelled().await;
            drop(sender);
        });
        return receiver;
    };
    let (sender, receiver) = tokio::sync::watch::channel(None);
    let api: Api<Service> = Api::namespaced(client, &service.namespace);
    let only = watcher::Config::default().fields(&format!("metadata.name={}", service.name));
    let mut pump = Pump {
        service,
        fixed,
        sender,
        list: None,
        logged: Told::default(),
    };
    each(api, only, cancel, move |event| pump.handle(event));
    receiver
}

struct Pump {
    service: NamespacedName,
    fixed: BTreeSet<Address>,
    sender: Sender<Addresses>,
    /// The Service in a list that has not ended.
    list: Option<Service>,
    logged: Told,
}

impl Pump {
    fn handle(&mut self, event: watcher::Result<Event<Service>>) {
        match event {
            Ok(Event::Init) => self.list = None,
            Ok(Event::InitApply(service)) => self.list = Some(service),
            Ok(Event::InitDone) => {
                let service = self.list.take();
                if service.is_none() {
                    tracing::warn!(service = %self.service, "the Service of --publish-service does not exist");
                }
                self.tell(service.as_ref());
            }
            Ok(Event::Apply(service)) => self.tell(Some(&service)),
            Ok(Event::Delete(_)) => self.tell(None),
            Err(error) => self.log(&error),
        }
    }

    fn tell(&self, service: Option<&Service>) {
        let mut addresses = self.fixed.clone();
        addresses.extend(service.into_iter().flat_map(addresses_of));
        let addresses = Some(addresses);
        send_changed(&self.sender, addresses);
    }

    fn log(&mut self, error: &watcher::Error) {
        if self.logged.is_due() {
            tracing::warn!(service = %self.service, %error, "cannot watch the Service of --publish-service; retrying");
        }
    }
}
