#![allow(clippy::unwrap_used)]
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::json;

use super::*;

fn snapshot(uid: &str) -> Snapshot {
    let ingress = json!({"metadata": {"namespace": "ns", "name": "web", "uid": uid}});
    let mut snapshot = Snapshot::default();
    snapshot.insert(serde_json::from_value::<Ingress>(ingress).unwrap());
    snapshot
}

fn diagnostic(index: usize) -> Diagnostic {
    let object = ObjectRef::new("Ingress", "ns", "web");
    Diagnostic::new(Code::Conflict, object, format!("spec.rules[{index}]"), "taken")
}

fn take(published: &mut BTreeSet<Occurrence>, uid: &str, diagnostics: &[Diagnostic]) -> Vec<usize> {
    let news = news(published, &snapshot(uid), diagnostics);
    let sizes = news.iter().map(|group| group.diagnostics.len()).collect();
    let told = news.into_iter().flat_map(|group| group.diagnostics);
    published.extend(told.map(|diagnostic| (diagnostic, uid.to_owned())));
    sizes
}

#[test]
fn what_comes_up_together_is_one_event_and_is_told_once() {
    let mut diagnostics: Vec<_> = (0..70).map(diagnostic).collect();
    let mut published = BTreeSet::new();
    assert_eq!(take(&mut published, "u", &diagnostics), [70]);
    assert_eq!(take(&mut published, "u", &diagnostics), [0; 0]);
    diagnostics.push(diagnostic(70));
    assert_eq!(take(&mut published, "u", &diagnostics), [1], "a further one");
    assert_eq!(take(&mut published, "u", &diagnostics[1..]), [0; 0]);
    assert_eq!(take(&mut published, "u", &diagnostics), [1], "one that comes back");
    assert_eq!(take(&mut published, "later", &diagnostics[..3]), [3], "of a new object");
    assert_eq!(published.len(), 3, "what is over is kept");
}

#[test]
fn fifty_ingresses_with_one_problem_and_twenty_rounds_are_fifty_events() {
    let mut snapshot = Snapshot::default();
    let mut diagnostics = Vec::new();
    for index in 0..70 {
        let name = format!("web-{index}");
        let ingress = json!({"metadata": {"namespace": "ns", "name": name, "uid": name}});
        snapshot.insert(serde_json::from_value::<Ingress>(ingress).unwrap());
        let paths = (0..10).map(|path| format!("spec.rules[0].http.paths[{path}].backend"));
        let object = ObjectRef::new("Ingress", "ns", &name);
        diagnostics.extend(paths.map(|field| Diagnostic::new(Code::BackendNotFound, object.clone(), field, "gone")));
    }
    let mut published = BTreeSet::new();
    let rounds = (0..20).map(|_| {
        let news = news(&mut published, &snapshot, &diagnostics);
        let count = news.len();
        let told = news.into_iter().flat_map(|group| {
            let uid = group.object.uid.clone().unwrap();
            group
                .diagnostics
                .into_iter()
                .map(move |diagnostic| (diagnostic, uid.clone()))
        });
        published.extend(told);
        count
    });
    let rounds: Vec<_> = rounds.collect();
    assert_eq!((rounds[0], rounds[1], rounds[2..].iter().sum::<usize>()), (50, 20, 0));
}

#[test]
fn being_served_is_told_once_in_each_transition() {
    let mut synced = Synced::default();
    let object = || ObjectRef::new("Ingress", "ns", "web");
    let served = BTreeMap::from([(object(), "served".to_owned())]);
    for round in 0..3 {
        synced.take(&snapshot("u"), &served);
        assert_eq!(synced.pending.len(), usize::from(round == 0));
        synced.pending.clear();
    }
    synced.take(&snapshot("u"), &BTreeMap::new());
    synced.take(&snapshot("u"), &served);
    assert_eq!(synced.pending.len(), 1, "lost and served again");
}

#[test]
fn notes_and_names_fit() {
    let mut long = diagnostic(0);
    long.message = "ü".repeat(900);
    let text = note(&[long]);
    assert!(text.len() <= NOTE_MAX && text.starts_with("spec.rules[0]: ü"));
    let many: Vec<_> = (0..9).map(diagnostic).collect();
    let text = note(&many);
    assert!(
        text.starts_with("spec.rules[0]: taken. (And 8 more: spec.rules[1], "),
        "{text}"
    );
    assert!(
        text.contains("spec.rules[5], ….)") && text.ends_with(Code::Conflict.fix()),
        "{text}"
    );
    let name = event_name(&"a".repeat(253), Timestamp::MAX);
    assert!(name.len() <= 253 && name.contains("a."), "{name}");
}

#[test]
fn an_object_of_every_kind_of_ours_can_be_told_of() {
    for crd in crate::api::all_crds() {
        let kind = crd.spec.names.kind;
        let mut loader = crate::snapshot::Loader::default();
        let text = format!(
            "{{apiVersion: tyk.tyk.io/v1alpha1, kind: {kind}, metadata: {{name: a, namespace: ns}}, spec: {{tykOAS: {{}}, \
             tykStreams: {{}}, tykMCP: {{}}, schema: s, sdl: s, subgraph_refs: []}}}}"
        );
        loader.text("test", &text).unwrap();
        let loaded = loader.finish();
        let object = loaded.locations.keys().next().unwrap();
        assert!(reference(&loaded.snapshot, object).is_some(), "{kind}");
    }
}
