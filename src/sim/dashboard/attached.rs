//! Gateways that serve what a Dashboard stores.

use std::sync::Arc;

use serde_json::Value;

use super::server::Server;
use super::store::{Api, State};
use crate::sim::core::Core;
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
            let (apis, policies) = served(&self.state());
            gateway.hold(apis, policies).await;
        }
    }

    /// Gives a gateway the certificate that a call has stored; a gateway and its Dashboard share one store.
    pub async fn share_certificate(&self, org: &str, pem: &[u8]) {
        for gateway in self.gateways.lock().await.iter() {
            // One that it has already is no news.
            let _ = gateway.state().certs.add(pem, org);
        }
    }
}

/// The active APIs of all organisations, with the documents of OAS ones, and their policies.
fn served(state: &State) -> (Vec<(Value, Option<Value>)>, Vec<Value>) {
    let apis = state.orgs.values().flat_map(|org| org.apis.values());
    let active = apis.filter(|api| flag(&api.definition, "/active"));
    let apis = active
        .map(|api: &Api| (api.definition.clone(), api.document.clone()))
        .collect();
    let policies = state.orgs.values().flat_map(|org| org.policies.values());
    (apis, policies.cloned().collect())
}
