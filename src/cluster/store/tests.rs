#![allow(clippy::unwrap_used)]
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::Event;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Failure, OUTDATED, OUTDATED_MOST, Shadow, Store, WatchId};
use crate::api::{ApiDefinition, OperatorContext, TykMcpProxyDefinition, TykOasApiDefinition, TykStreamsApiDefinition};
use crate::cluster::named;
use crate::cluster::watch::Arrival;
use crate::snapshot::{NamedSecret, NamespacedName, Snapshot, Stored, TlsSecret};

fn id(namespace: Option<&str>) -> WatchId {
    WatchId {
        kind: "ApiDefinition",
        namespace: namespace.map(str::to_owned),
        name: None,
    }
}

fn failure(message: &str) -> Failure {
    Failure {
        message: message.into(),
        unknown_kind: false,
    }
}

fn definition(namespace: &str, name: &str, rest: Value) -> ApiDefinition {
    let mut object = json!({"metadata": {"namespace": namespace, "name": name}});
    for (key, value) in rest.as_object().unwrap() {
        object[key] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn good(name: &str) -> Arrival<ApiDefinition> {
    Ok(definition("ns", name, json!({})))
}

fn malformed(name: &str) -> Arrival<ApiDefinition> {
    let object = json!({"metadata": {"namespace": "ns", "name": name}, "spec": {"contextRef": "hunter2"}});
    let guard: DeserializeGuard<ApiDefinition> = serde_json::from_value(object).unwrap();
    guard.0.map_err(Box::new)
}

/// A store and the one watch that feeds it.
struct Feed {
    store: Store,
    id: WatchId,
    shadow: Shadow<ApiDefinition>,
}

impl Feed {
    fn new() -> Self {
        let store = Store::new();
        store.expect(&id(None));
        Self {
            store,
            id: id(None),
            shadow: Shadow::default(),
        }
    }

    fn event(&mut self, event: Event<Arrival<ApiDefinition>>) -> &mut Self {
        self.store.handle(&self.id, &mut self.shadow, event);
        self
    }

    fn list(&mut self, objects: Vec<Arrival<ApiDefinition>>) -> &mut Self {
        self.event(Event::Init);
        for object in objects {
            self.event(Event::InitApply(object));
        }
        self.event(Event::InitDone)
    }

    fn names(&self) -> Option<String> {
        let (_, snapshot) = self.store.snapshot()?;
        let names: Vec<&str> = snapshot.api_definitions.keys().map(|name| name.name.as_ref()).collect();
        Some(names.join(" "))
    }

    fn revision(&self) -> u64 {
        *self.store.changes().borrow()
    }
}

fn only(snapshot: &Snapshot) -> Arc<ApiDefinition> {
    snapshot.api_definitions.values().next().unwrap().whole()
}

#[test]
fn there_is_no_world_before_every_watch_is_in_sync() {
    let mut feed = Feed::new();
    let other = WatchId {
        kind: "OperatorContext",
        namespace: Some("ns".into()),
        name: None,
    };
    feed.store.expect(&other);
    feed.list(vec![good("a")]);
    assert_eq!(feed.names(), None);
    assert_eq!(feed.store.waiting(), ["OperatorContext in ns"]);
    feed.store.failed(&other, &failure("refused"));
    assert_eq!(feed.store.waiting(), ["OperatorContext in ns: refused"]);
    let before = feed.revision();
    feed.store
        .handle::<OperatorContext>(&other, &mut Shadow::default(), Event::InitDone);
    assert_eq!(feed.names().as_deref(), Some("a"));
    assert!(feed.revision() > before, "nobody is told of the first snapshot");
    assert!(feed.store.waiting().is_empty());
}

#[test]
fn a_second_list_replaces_the_first_only_when_it_is_whole() {
    let mut feed = Feed::new();
    feed.list(vec![good("a"), good("b")]);
    feed.event(Event::Init).event(Event::InitApply(good("c")));
    assert_eq!(feed.names().as_deref(), Some("a b"));
    // Broken off, and begun anew.
    let before = feed.revision();
    feed.list(vec![good("b")]);
    assert!(feed.revision() > before, "nobody is told of what is gone");
    assert_eq!(feed.names().as_deref(), Some("b"));
    let before = feed.revision();
    feed.list(vec![good("b")]);
    assert_eq!(feed.revision(), before, "the same list is no change");
}

#[tokio::test]
async fn many_statuses_are_worth_a_translation_once_no_more_come() {
    let mut feed = Feed::new();
    feed.list(vec![good("a")]);
    let before = feed.revision();
    let is_outdated = async |feed: &Feed, within: Duration| timeout(within, feed.store.outdated()).await.is_ok();
    feed.store.take_changed();
    for number in 0..OUTDATED {
        assert!(!is_outdated(&feed, Duration::ZERO).await, "{number}");
        let status = json!({"status": {"api_id": number.to_string()}});
        feed.event(Event::Apply(Ok(definition("ns", "a", status))));
    }
    assert_eq!(feed.revision(), before, "a status is no change");
    assert!(!is_outdated(&feed, Duration::ZERO).await, "more may come");
    assert!(is_outdated(&feed, Duration::from_secs(30)).await);
    feed.store.take_changed();
    assert!(!is_outdated(&feed, Duration::ZERO).await, "a translation has begun");
    for number in 0..OUTDATED_MOST {
        assert!(!is_outdated(&feed, Duration::ZERO).await, "{number}");
        let status = json!({"status": {"api_id": number.to_string()}});
        feed.event(Event::Apply(Ok(definition("ns", "a", status))));
    }
    assert!(is_outdated(&feed, Duration::ZERO).await, "more would come");
}

#[test]
fn a_watch_of_one_namespace_leaves_the_others() {
    let store = Store::new();
    let shadow = &mut Shadow::default();
    for namespace in ["one", "two"] {
        store.expect(&id(Some(namespace)));
    }
    for namespace in ["one", "two", "one"] {
        let object = definition(namespace, "a", json!({}));
        store.handle(&id(Some(namespace)), shadow, Event::Init);
        store.handle(&id(Some(namespace)), shadow, Event::InitApply(Ok(object)));
        store.handle::<ApiDefinition>(&id(Some(namespace)), shadow, Event::InitDone);
    }
    let (_, snapshot) = store.snapshot().unwrap();
    assert_eq!(snapshot.api_definitions.len(), 2);
}

#[test]
fn only_what_a_translation_looks_at_raises_the_revision() {
    let meta = |more: Value| {
        let mut meta = json!({"namespace": "ns", "name": "a", "generation": 1});
        meta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        meta
    };
    let annotation = "kubectl.kubernetes.io/last-applied-configuration";
    let base = json!({"metadata": meta(json!({})), "spec": {"name": "a"}});
    let cases = [
        (
            false,
            json!({"metadata": meta(json!({"resourceVersion": "2"})), "spec": {"name": "a"}}),
        ),
        (
            false,
            json!({"metadata": meta(json!({"managedFields": [{"manager": "m"}]})), "spec": {"name": "a"}}),
        ),
        (
            false,
            json!({"metadata": meta(json!({"annotations": {annotation: "{}"}})), "spec": {"name": "a"}}),
        ),
        (
            false,
            json!({"metadata": meta(json!({})), "spec": {"name": "a"}, "status": {"api_id": "x"}}),
        ),
        (
            true,
            json!({"metadata": meta(json!({"annotations": {"a": "b"}})), "spec": {"name": "a"}}),
        ),
        (
            true,
            json!({"metadata": meta(json!({"finalizers": ["f"]})), "spec": {"name": "a"}}),
        ),
        (true, json!({"metadata": meta(json!({})), "spec": {"name": "b"}})),
    ];
    for (changes, object) in cases {
        let mut feed = Feed::new();
        feed.list(vec![Ok(serde_json::from_value(base.clone()).unwrap())]);
        let before = feed.revision();
        let arrived: ApiDefinition = serde_json::from_value(object.clone()).unwrap();
        feed.event(Event::Apply(Ok(arrived.clone())));
        assert_eq!(feed.revision() > before, changes, "{object}");
        let stored = only(&feed.store.snapshot().unwrap().1);
        assert_eq!(stored.status, arrived.status, "the newest object is the stored one");
        assert_eq!(stored.resource_version(), arrived.resource_version());
        assert!(stored.metadata.managed_fields.is_none() && !stored.annotations().contains_key(annotation));
    }
}

#[test]
fn a_malformed_object_keeps_its_last_good_form() {
    let mut feed = Feed::new();
    feed.list(vec![good("a"), malformed("b")]);
    assert_eq!(feed.names().as_deref(), Some("a"));
    let before = feed.revision();
    feed.event(Event::Apply(malformed("a")));
    feed.list(vec![malformed("a")]);
    assert_eq!((feed.names().as_deref(), feed.revision()), (Some("a"), before));
    feed.event(Event::Delete(malformed("a")));
    assert_eq!(feed.names().as_deref(), Some(""));
    assert!(feed.revision() > before);
}

#[test]
fn a_snapshot_does_not_change_under_its_reader() {
    let mut feed = Feed::new();
    feed.list(vec![good("a")]);
    let (revision, snapshot) = feed.store.snapshot().unwrap();
    let (same_revision, same) = feed.store.snapshot().unwrap();
    assert!(
        Arc::ptr_eq(&snapshot, &same) && revision == same_revision,
        "copied without need"
    );
    feed.event(Event::Delete(good("a")));
    assert_eq!(snapshot.api_definitions.len(), 1);
    assert!(!snapshot.api_definitions.contains_key(&NamespacedName::new("ns", "b")));
    assert_eq!(feed.names().as_deref(), Some(""));
}

#[test]
fn a_decoding_error_quotes_nothing_of_the_object() {
    let error = malformed("a").unwrap_err().error;
    assert!(error.contains("hunter2"), "{error}");
    let told = super::without_values(&error);
    assert!(told.contains("expected") && !told.contains("hunter2"), "{told}");
}

/// A definition that names the ConfigMap `ns/c`.
fn naming_a_config_map(name: &str) -> Arrival<TykOasApiDefinition> {
    let spec = json!({"tykOAS": {"configmapRef": {"name": "c", "keyName": "k"}}});
    let object = json!({"metadata": {"namespace": "ns", "name": name}, "spec": spec});
    Ok(serde_json::from_value(object).unwrap())
}

#[test]
fn the_world_waits_for_config_maps_that_are_named_and_not_for_those_that_cannot_be_read() {
    let store = Store::new();
    let definitions = WatchId {
        kind: "TykOasApiDefinition",
        namespace: None,
        name: None,
    };
    store.expect(&definitions);
    let mut shadow = Shadow::default();
    store.handle(
        &definitions,
        &mut shadow,
        Event::<Arrival<TykOasApiDefinition>>::InitDone,
    );
    let (before, _) = store.snapshot().unwrap();
    store.handle(&definitions, &mut shadow, Event::Apply(naming_a_config_map("a")));
    assert!(store.snapshot().is_none(), "the document is not there yet");
    assert_eq!(store.known().tyk_oas_api_definitions.len(), 1, "what names it is known");
    let config_maps = named::config_maps("ns");
    store.failed(&config_maps, &failure("forbidden"));
    assert!(store.snapshot().unwrap().0 > before + 1, "who waits is woken");

    let object: ConfigMap = serde_json::from_value(json!({"metadata": {"namespace": "ns", "name": "c"}})).unwrap();
    let mut shadow = Shadow::default();
    store.handle(&config_maps, &mut shadow, Event::InitApply(Ok(object)));
    store.handle(&config_maps, &mut shadow, Event::InitDone);
    assert_eq!(store.snapshot().unwrap().1.config_maps.len(), 1);
    let mut shadow = Shadow::default();
    store.handle(&definitions, &mut shadow, Event::Apply(naming_a_config_map("b")));
    assert!(store.snapshot().is_some(), "it is watched already");
    for name in ["a", "b"] {
        store.handle(&definitions, &mut shadow, Event::Delete(naming_a_config_map(name)));
    }
    assert!(
        store.snapshot().unwrap().1.config_maps.is_empty(),
        "nobody names it any more"
    );
}

#[test]
fn endpoints_count_only_where_an_ingress_asks_for_them() {
    use k8s_openapi::api::discovery::v1::EndpointSlice;
    use k8s_openapi::api::networking::v1::Ingress;

    let store = Store::new();
    let watch = WatchId {
        kind: "EndpointSlice",
        namespace: None,
        name: None,
    };
    let churn = |namespace: &str, address: &str| {
        let slice = json!({"metadata": {"namespace": namespace, "name": "web-1",
                "labels": {"kubernetes.io/service-name": "web", "mine": "x"}, "annotations": {"x": "y"}},
            "addressType": "IPv4", "endpoints": [{"addresses": [address], "nodeName": "n",
                "targetRef": {"kind": "Pod", "name": "p"}, "conditions": {"ready": true}}], "ports": [{"port": 80}]});
        let slice: EndpointSlice = serde_json::from_value(slice).unwrap();
        let before = *store.changes().borrow();
        store.handle(&watch, &mut Shadow::default(), Event::Apply(Ok(slice)));
        *store.changes().borrow() - before
    };
    assert_eq!(churn("ns", "10.0.0.1"), 0);
    let ingress =
        json!({"metadata": {"namespace": "ns", "name": "web", "annotations": {"tyk.io/upstream": "endpoints"}}});
    let ingress: Ingress = serde_json::from_value(ingress).unwrap();
    let ingresses = WatchId {
        kind: "Ingress",
        namespace: None,
        name: None,
    };
    store.handle(&ingresses, &mut Shadow::default(), Event::Apply(Ok(ingress)));
    assert_eq!(churn("ns", "10.0.0.2"), 1);
    assert_eq!(churn("ns", "10.0.0.2"), 0, "the same once more");
    assert_eq!(churn("other", "10.0.0.2"), 0, "another namespace");
    store.handle(&watch, &mut Shadow::<EndpointSlice>::default(), Event::InitDone);
    store.handle(&ingresses, &mut Shadow::<Ingress>::default(), Event::InitDone);
    let (_, snapshot) = store.snapshot().unwrap();
    assert!(snapshot.endpoint_slices.is_empty());
}

#[test]
fn a_secret_counts_when_it_comes_changes_and_goes() {
    let store = Store::new();
    let watch = WatchId {
        kind: "Secret",
        namespace: None,
        name: None,
    };
    let secret = |key: &str, version: &str| -> TlsSecret {
        serde_json::from_value(
            json!({"metadata": {"namespace": "ns", "name": "tls", "resourceVersion": version},
            "data": {"tls.crt": "YQ==", "tls.key": key}}),
        )
        .unwrap()
    };
    let raised = |event: Event<Arrival<TlsSecret>>| {
        let before = *store.changes().borrow();
        store.handle(&watch, &mut Shadow::default(), event);
        *store.changes().borrow() - before
    };
    assert_eq!(raised(Event::Apply(Ok(secret("YQ==", "1")))), 1);
    assert_eq!(raised(Event::Apply(Ok(secret("YQ==", "2")))), 0, "only its version");
    assert_eq!(raised(Event::Apply(Ok(secret("Yg==", "3")))), 1, "a rotation");
    assert_eq!(raised(Event::Delete(Ok(secret("Yg==", "4")))), 1);
}

/// A context that takes its settings from the Secret `ns/conf`.
fn naming_a_secret(name: &str) -> Arrival<OperatorContext> {
    let object = json!({"metadata": {"namespace": "ns", "name": name}, "spec": {"secretRef": {"name": "conf"}}});
    Ok(serde_json::from_value(object).unwrap())
}

fn named_secret(version: &str, value: &str) -> Arrival<NamedSecret> {
    let meta = json!({"namespace": "ns", "name": "conf", "resourceVersion": version,
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hunter2", "a": version}});
    let object = json!({"metadata": meta, "type": "Opaque", "data": {"TYK_AUTH": value}});
    Ok(serde_json::from_value(object).unwrap())
}

#[test]
fn the_world_waits_for_a_secret_that_is_named_and_keeps_it_while_it_is() {
    let store = Store::new();
    let contexts = WatchId {
        kind: "OperatorContext",
        namespace: None,
        name: None,
    };
    store.expect(&contexts);
    let list = &mut Shadow::<OperatorContext>::default();
    store.handle(&contexts, list, Event::InitDone);
    store.handle(&contexts, list, Event::Apply(naming_a_secret("a")));
    assert_eq!(store.waiting(), ["Secret conf in ns"]);
    assert!(store.snapshot().is_none(), "the settings are not there yet");

    let watch = named::secret("ns", "conf");
    let raised = |event: Event<Arrival<NamedSecret>>| {
        let before = *store.changes().borrow();
        store.handle(&watch, &mut Shadow::default(), event);
        *store.changes().borrow() - before
    };
    assert_eq!(raised(Event::InitDone), 1, "there is no such Secret");
    assert!(store.snapshot().is_some());
    assert_eq!(raised(Event::Apply(named_secret("1", "YQ=="))), 1);
    assert_eq!(raised(Event::Apply(named_secret("2", "YQ=="))), 0, "only its metadata");
    assert_eq!(raised(Event::Apply(named_secret("3", "Yg=="))), 1, "a rotation");
    let kept = Arc::clone(store.snapshot().unwrap().1.secrets.values().next().unwrap());
    assert_eq!(kept.text("TYK_AUTH"), Some("b"));
    assert!(kept.annotations().is_empty(), "kubectl keeps the data there as well");

    store.handle(&contexts, list, Event::Apply(naming_a_secret("b")));
    store.handle(&contexts, list, Event::Delete(naming_a_secret("a")));
    assert_eq!(
        store.snapshot().unwrap().1.secrets.len(),
        1,
        "one context still names it"
    );
    store.handle(&contexts, list, Event::Delete(naming_a_secret("b")));
    assert!(store.named().is_empty());
    assert!(
        store.snapshot().unwrap().1.secrets.is_empty(),
        "nobody names it any more"
    );
    assert_eq!(
        raised(Event::Apply(named_secret("4", "Yw=="))),
        0,
        "an event that comes too late"
    );
    assert!(store.snapshot().unwrap().1.secrets.is_empty());
}

#[test]
fn a_secret_that_cannot_be_read_does_not_hold_up_the_world() {
    let store = Store::new();
    let contexts = WatchId {
        kind: "OperatorContext",
        namespace: None,
        name: None,
    };
    store.handle(&contexts, &mut Shadow::default(), Event::Apply(naming_a_secret("a")));
    let before = *store.changes().borrow();
    store.failed(&named::secret("ns", "conf"), &failure("forbidden"));
    assert!(store.snapshot().unwrap().0 > before, "who waits is woken");
}

#[test]
fn the_watch_of_one_secret_leaves_the_others() {
    let store = Store::new();
    for name in ["conf", "other"] {
        let spec = json!({"secretRef": {"name": name}});
        let context = json!({"metadata": {"namespace": "ns", "name": name}, "spec": spec});
        let contexts = id(None);
        let context: OperatorContext = serde_json::from_value(context).unwrap();
        store.handle(&contexts, &mut Shadow::default(), Event::Apply(Ok(context)));
        let mut secret = named_secret("1", "YQ==").unwrap();
        secret.metadata.name = Some(name.into());
        let list = &mut Shadow::default();
        store.handle(&named::secret("ns", name), list, Event::InitApply(Ok(secret)));
        store.handle::<NamedSecret>(&named::secret("ns", name), list, Event::InitDone);
    }
    let tls = WatchId {
        kind: "Secret",
        namespace: Some("ns".into()),
        name: None,
    };
    store.handle(&tls, &mut Shadow::<TlsSecret>::default(), Event::InitDone);
    assert_eq!(store.snapshot().unwrap().1.secrets.len(), 2);
}

#[test]
fn a_kind_that_the_cluster_does_not_know_is_not_waited_for() {
    let unknown = Failure {
        message: "unknown".into(),
        unknown_kind: true,
    };
    for (kind, optional) in [
        ("SecurityPolicy", true),
        ("OperatorContext", true),
        ("ApiDefinition", false),
    ] {
        let store = Store::new();
        let watch = WatchId {
            kind,
            namespace: None,
            name: None,
        };
        store.expect(&watch);
        store.failed(&watch, &failure("no answer"));
        assert!(store.snapshot().is_none(), "{kind}: some may exist");
        let before = *store.changes().borrow();
        store.failed(&watch, &unknown);
        assert_eq!(store.snapshot().is_some(), optional, "{kind}");
        assert_eq!(*store.changes().borrow() > before, optional, "{kind}");
        store.failed(&watch, &failure("no answer"));
        assert_eq!(store.snapshot().is_some(), optional, "{kind}: what was decided stays");
    }
}

#[test]
fn documents_of_streams_and_proxies_are_waited_for_too() {
    let store = Store::new();
    let reference = json!({"configmapRef": {"name": "c", "keyNames": ["a", "b"]}});
    let object =
        |field: &str| json!({"metadata": {"namespace": field.to_lowercase(), "name": "a"}, "spec": {field: reference}});
    let watch = |kind| WatchId {
        kind,
        namespace: None,
        name: None,
    };
    let streams: TykStreamsApiDefinition = serde_json::from_value(object("tykStreams")).unwrap();
    let proxy: TykMcpProxyDefinition = serde_json::from_value(object("tykMCP")).unwrap();
    let (kind, shadow) = (watch("TykStreamsApiDefinition"), &mut Shadow::default());
    store.handle(&kind, shadow, Event::Apply(Ok(streams)));
    let (kind, shadow) = (watch("TykMcpProxyDefinition"), &mut Shadow::default());
    store.handle(&kind, shadow, Event::Apply(Ok(proxy)));
    assert_eq!(store.waiting(), ["ConfigMap in tykmcp", "ConfigMap in tykstreams"]);
}
