//! Watch streams of the API server into the store.

use std::fmt::Debug;
use std::future;
use std::sync::Arc;

use futures::{Stream, StreamExt};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::store::{Failure, Scope, Shadow, Store, WatchId, Watched};
use crate::api::{
    APIDescription, ApiDefinition, OperatorContext, PortalAPICatalogue, PortalConfig, SecurityPolicy, SubGraph,
    SuperGraph, TykMcpProxyDefinition, TykOasApiDefinition, TykStreamsApiDefinition,
};
use crate::snapshot::{SnapshotKind, TlsSecret};

/// An object as it arrives, or why it cannot be decoded.
pub(super) type Arrival<K> = Result<K, Box<InvalidObject>>;

/// Starts one watch for each kind, and for a kind in namespaces one for each namespace of the scope.
pub(super) fn start_all(store: &Arc<Store>, client: &Client, scope: &Scope, cancel: &CancellationToken) {
    let starter = Starter { store, client, cancel };
    starter.start::<IngressClass, _>(None, Api::all(client.clone()), all(), Ok);
    if scope.namespaces.is_none() {
        starter.start::<Namespace, _>(None, Api::all(client.clone()), all(), Ok);
    }
    let namespaces = match &scope.namespaces {
        None => vec![None],
        Some(names) => names.iter().map(|name| Some(name.as_str())).collect(),
    };
    for namespace in namespaces {
        starter.namespaced::<Ingress, _>(namespace, all(), Ok);
        starter.namespaced::<Service, _>(namespace, all(), Ok);
        starter.namespaced::<EndpointSlice, _>(namespace, all(), Ok);
        starter.namespaced::<TlsSecret, _>(namespace, all().fields("type=kubernetes.io/tls"), Ok);
        starter.own::<ApiDefinition>(namespace);
        starter.own::<OperatorContext>(namespace);
        starter.own::<TykOasApiDefinition>(namespace);
        starter.own::<SecurityPolicy>(namespace);
        starter.own::<TykStreamsApiDefinition>(namespace);
        starter.own::<TykMcpProxyDefinition>(namespace);
        starter.own::<SubGraph>(namespace);
        starter.own::<SuperGraph>(namespace);
        starter.own::<APIDescription>(namespace);
        starter.own::<PortalAPICatalogue>(namespace);
        starter.own::<PortalConfig>(namespace);
    }
}

fn all() -> watcher::Config {
    watcher::Config::default()
}

struct Starter<'a> {
    store: &'a Arc<Store>,
    client: &'a Client,
    cancel: &'a CancellationToken,
}

impl Starter<'_> {
    /// A kind of ours. The schemas are loose, so that an object that cannot be decoded may exist.
    fn own<K>(&self, namespace: Option<&str>)
    where
        K: Watched + DeserializeOwned + Debug + Send + Sync + 'static,
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        self.namespaced::<K, DeserializeGuard<K>>(namespace, all(), |guard| guard.0.map_err(Box::new));
    }

    fn namespaced<K, W>(&self, namespace: Option<&str>, selected: watcher::Config, decode: fn(W) -> Arrival<K>)
    where
        K: Watched + Send + Sync + 'static,
        W: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
        W: Resource<Scope = NamespaceResourceScope>,
    {
        let api = match namespace {
            None => Api::all(self.client.clone()),
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
        };
        self.start(namespace, api, selected, decode);
    }

    fn start<K, W>(&self, namespace: Option<&str>, api: Api<W>, selected: watcher::Config, decode: fn(W) -> Arrival<K>)
    where
        K: Watched + Send + Sync + 'static,
        W: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    {
        let id = WatchId {
            kind: <K as SnapshotKind>::KIND,
            namespace: namespace.map(str::to_owned),
            name: None,
        };
        // Before the task runs, so that no snapshot is taken without this watch.
        self.store.expect(&id);
        let events = watch(api, selected).default_backoff();
        let end = self.cancel.clone().cancelled_owned();
        tokio::spawn(pump(Arc::clone(self.store), id, events.take_until(end), decode));
    }
}

/// Hands over each event of a watch outside the store, until `cancel`.
pub(super) fn each<K>(
    api: Api<K>,
    selected: watcher::Config,
    cancel: CancellationToken,
    mut handle: impl FnMut(watcher::Result<Event<K>>) + Send + 'static,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    tokio::spawn(async move {
        let events = watch(api, selected)
            .default_backoff()
            .take_until(cancel.cancelled_owned());
        let handle = |event| {
            handle(event);
            future::ready(())
        };
        events.for_each(handle).await;
    });
}

/// Delivers the events of a watch to the store until they end.
pub(super) async fn pump<K, W>(
    store: Arc<Store>,
    id: WatchId,
    events: impl Stream<Item = watcher::Result<Event<W>>>,
    decode: fn(W) -> Arrival<K>,
) where
    K: Watched,
{
    let mut shadow = Shadow::default();
    let handle = |event| {
        match event {
            Ok(event) => store.handle(&id, &mut shadow, decoded(event, decode)),
            Err(error) => store.failed(&id, &explain(&id, &error)),
        }
        future::ready(())
    };
    events.for_each(handle).await;
}

fn decoded<K, W>(event: Event<W>, decode: fn(W) -> Arrival<K>) -> Event<Arrival<K>> {
    match event {
        Event::Apply(object) => Event::Apply(decode(object)),
        Event::Delete(object) => Event::Delete(decode(object)),
        Event::InitApply(object) => Event::InitApply(decode(object)),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}

/// What a watch's error means for whoever runs the operator.
fn explain(id: &WatchId, error: &watcher::Error) -> Failure {
    use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
    let code = match error {
        InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => super::status_code(error),
        WatchError(_) | NoResourceVersion => None,
    };
    let message = match error {
        InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => match code {
            Some(404) => format!(
                "the API server does not know the kind {}; install its CustomResourceDefinition (`tyk-ingress crds`)",
                id.kind
            ),
            Some(403) => format!("not allowed: {}", super::message(error)),
            _ => super::message(error),
        },
        WatchError(status) => format!("{} ({})", status.message, status.code),
        NoResourceVersion => error.to_string(),
    };
    Failure {
        message,
        unknown_kind: code == Some(404),
    }
}
