//! Gateways that serve what a Dashboard stores.

use std::sync::Arc;

use super::server::Server;
use super::store::{Api, State};
use crate::sim::core::{Core, Held};
use crate::sim::definition::flag;

impl Server {
    /// Lets a gateway serve the stored APIs from now on.
    pub async fn attach(&self, gateway: Arc<Core>) {
        self.gateways.lock().await.push(gateway);
        self.publish().await;
    }

    /// Tells every gateway what is stored now.
    pub async fn publish(&self) {
        // Held until all have loaded, so that an older state never comes after a newer one.
        let gateways = self.gateways.lock().await;
        for gateway in gateways.iter() {
            let held = served(&self.state());
            gateway.hold(held).await;
        }
    }
}

/// The active APIs of all organisations, with the documents of OAS ones, their policies and their certificates.
fn served(state: &State) -> Held {
    let orgs = || state.orgs.values();
    let apis = orgs().flat_map(|org| org.apis.values());
    let active = apis.filter(|api| flag(&api.definition, "/active"));
    Held {
        apis: active
            .map(|api: &Api| (api.definition.clone(), api.document.clone()))
            .collect(),
        policies: orgs().flat_map(|org| org.policies.values()).cloned().collect(),
        certs: orgs().map(|org| &org.certs).collect(),
    }
}
