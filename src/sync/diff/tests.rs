#![allow(clippy::unwrap_used)]

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::desired::owner;
use crate::diagnostic::ObjectRef;
use crate::sync::batch::Sort;
use crate::sync::mark::Stamp;
use crate::sync::{compare, verify};

const OWNER: &str = "east";

fn payload(id: &str, path: &str, extra: Value) -> Value {
    let mut payload = json!({"api_id": id, "proxy": {"listen_path": path}, "extra": extra});
    owner::mark(payload.as_object_mut().unwrap(), OWNER, "ApiDefinition default/a");
    payload
}

fn desired(payloads: &[Value]) -> Desired {
    let api = |payload: &Value| Api {
        source: ObjectRef::new("ApiDefinition", "default", "a"),
        generation: 1,
        payload: payload.clone().into(),
    };
    let id = |payload: &Value| payload["api_id"].as_str().unwrap().into();
    Desired {
        apis: payloads.iter().map(|payload| (id(payload), api(payload))).collect(),
        ..Desired::default()
    }
}

/// What a gateway holds after `plan`: what was sent, with fields of its own.
fn applied(desired: &Desired, observed: &Observed, plan: &Plan) -> Observed {
    let mut after = observed.clone();
    after.retain(|id, _| !plan.deletes.contains(id));
    for id in plan.writes.keys() {
        let payload = &desired.apis[id.as_str()].payload.value();
        let mut sent = Stamp::next(payload, observed.get(id)).put(payload, OWNER, &BTreeSet::new());
        sent["added"] = json!({"by": "the gateway"});
        sent["proxy"]["added"] = json!(0);
        after.insert(id.clone(), sent.into());
    }
    after
}

/// What is held of an API of which everything was read.
fn whole<'a>(observed: &'a mut Observed, id: &str) -> &'a mut Value {
    observed.get_mut(id).and_then(Loaded::value_mut).unwrap()
}

fn held(payloads: &[Value]) -> Observed {
    let desired = desired(payloads);
    let plan = diff(&desired, &Observed::new(), OWNER);
    applied(&desired, &Observed::new(), &plan)
}

#[test]
fn added_fields_are_no_drift() {
    let payloads = [payload("1", "/a", json!(null))];
    let plan = diff(&desired(&payloads), &held(&payloads), OWNER);
    assert!(plan.is_empty() && plan.unchanged == 1, "{plan:?}");
}

#[test]
fn every_reason_is_told() {
    let before = held(&[payload("1", "/a", json!({"x": 1, "y": 2}))]);
    let reason = |wanted: Value, observed: &Observed| {
        diff(&desired(&[wanted]), observed, OWNER)
            .writes
            .remove("1")
            .map(|reason| reason.to_string())
    };
    let same = || payload("1", "/a", json!({"x": 1, "y": 2}));
    let with = |field: &str, value: Value| {
        let mut observed = before.clone();
        *whole(&mut observed, "1").pointer_mut(field).unwrap() = value;
        observed
    };
    assert_eq!(reason(same(), &before), None);
    assert_eq!(reason(same(), &Observed::new()).unwrap(), "missing");
    assert_eq!(
        reason(payload("1", "/a", json!({"x": 3, "y": 2})), &before).unwrap(),
        "changed (extra.x)"
    );
    assert_eq!(reason(payload("1", "/a", json!({"x": 1})), &before).unwrap(), "changed");
    assert_eq!(
        reason(same(), &with("/extra/x", json!(9))).unwrap(),
        "edited on the gateway (extra.x)"
    );
    assert_eq!(
        reason(same(), &with("/proxy/listen_path", json!("/a-1"))).unwrap(),
        "renamed to /a-1"
    );
    assert_eq!(
        reason(same(), &with("/proxy/listen_path", json!("/b"))).unwrap(),
        "edited on the gateway (proxy.listen_path)"
    );
    let adopted = reason(same(), &with("/config_data", json!(null))).unwrap();
    assert!(adopted.starts_with("adopted ("), "{adopted}");
    let unstamped = json!({"tyk-ingress": {"owner": OWNER, "source": "ApiDefinition default/a"}});
    assert_eq!(reason(same(), &with("/config_data", unstamped)).unwrap(), "changed");
}

#[test]
fn only_what_is_ours_is_deleted() {
    let mut observed = held(&[payload("ours", "/a", json!(null))]);
    let mut west = observed["ours"].value().clone();
    west["config_data"]["tyk-ingress"]["owner"] = json!("west");
    observed.insert("west".into(), west.into());
    observed.insert(
        "plain".into(),
        json!({"api_id": "plain", "config_data": {"tyk-ingress": "ours"}}).into(),
    );
    let plan = diff(&Desired::default(), &observed, OWNER);
    assert_eq!(plan.deletes.into_iter().collect::<Vec<_>>(), ["ours"]);

    let plan = diff(&desired(&[payload("west", "/w", json!(null))]), &observed, OWNER);
    assert_eq!((plan.writes.len(), plan.foreign["west"].as_str()), (0, "west"));
}

#[test]
fn what_cannot_be_used_now_stays_as_it_is() {
    let observed = held(&[payload("a", "/a", json!({})), payload("b", "/b", json!({}))]);
    let mut now = desired(&[payload("b", "/b", json!({}))]);
    now.held.insert("a".into());
    assert!(diff(&now, &observed, OWNER).is_empty());
    now.held.clear();
    assert_eq!(diff(&now, &observed, OWNER).deletes.len(), 1);
}

#[test]
fn a_route_of_others_is_left_to_them() {
    let theirs = |path: &str, domain: &str| {
        let held = json!({"api_id": "theirs", "domain": domain, "proxy": {"listen_path": path}});
        Observed::from([("theirs".to_owned(), held.into())])
    };
    let wanted = desired(&[payload("1", "/a", json!(null))]);
    let rival = |observed: &Observed| diff(&wanted, observed, OWNER).rivals.remove("1");
    assert_eq!(rival(&theirs("/a", "")).as_deref(), Some("theirs"));
    assert_eq!(rival(&theirs("/a", "b.com")), None);
    assert_eq!(rival(&theirs("/a-theirs", "")), None, "that can be its own path");

    let mut both = theirs("/a-theirs", "");
    both.extend(held(&[payload("1", "/a", json!(null))]));
    whole(&mut both, "1")["proxy"]["listen_path"] = json!("/a-1");
    assert_eq!(rival(&both).as_deref(), Some("theirs"), "both were renamed");
}

#[test]
fn an_api_that_cannot_move_keeps_its_route() {
    // 1 wants the route of another owner's API and stays at /a, so 2 cannot have that.
    let mut observed = held(&[payload("1", "/a", json!(null)), payload("2", "/b", json!(null))]);
    observed.insert(
        "theirs".into(),
        json!({"api_id": "theirs", "proxy": {"listen_path": "/t"}}).into(),
    );
    let wanted = desired(&[payload("1", "/t", json!(null)), payload("2", "/a", json!(null))]);
    let plan = diff(&wanted, &observed, OWNER);
    let rivals: Vec<_> = plan
        .rivals
        .iter()
        .map(|(id, rival)| (id.as_str(), rival.as_str()))
        .collect();
    assert_eq!(rivals, [("1", "theirs"), ("2", "1")]);
    assert!(plan.is_empty(), "{plan:?}");
}

#[test]
fn our_own_route_can_be_handed_over() {
    let observed = held(&[payload("old", "/a", json!(null))]);
    let plan = diff(&desired(&[payload("new", "/a", json!(null))]), &observed, OWNER);
    assert_eq!((plan.writes.len(), plan.deletes.len(), plan.rivals.len()), (1, 1, 0));
}

#[test]
fn what_the_gateway_reads_otherwise_is_no_drift_until_it_changes() {
    let wanted = [payload("1", "/a", json!({"timeout": "60s", "unknown": 1}))];
    let mut observed = held(&wanted);
    whole(&mut observed, "1")["extra"] = json!({"timeout": "1m0s"});
    let edited = diff(&desired(&wanted), &observed, OWNER);
    assert_eq!(
        edited.writes["1"].to_string(),
        "edited on the gateway (extra.timeout, extra.unknown)"
    );

    let fields = [("extra.timeout", json!("1m0s")), ("extra.unknown", json!(null))];
    let fields = fields
        .into_iter()
        .map(|(field, value)| (field.to_owned(), mark::hash(&value)))
        .collect();
    let reading = Reading {
        hash: mark::hash(&wanted[0]),
        fields,
    };
    let readings = Readings::from([("1".to_owned(), reading)]);
    assert!(diff_read(&desired(&wanted), &observed, OWNER, &readings).is_empty());
    whole(&mut observed, "1")["extra"]["timeout"] = json!("2m0s");
    let plan = diff_read(&desired(&wanted), &observed, OWNER, &readings);
    assert_eq!(plan.writes["1"].to_string(), "edited on the gateway (extra.timeout)");
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        (-2.0_f64..2.0).prop_map(Value::from),
        "[ab]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map("[abc]", inner, 0..3).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// APIs with few ids, so that two worlds share some; each has a path of its own.
fn world() -> impl Strategy<Value = Vec<Value>> {
    btree_map("[1-6]", json_value(), 0..5).prop_map(|apis| {
        apis.into_iter()
            .map(|(id, extra)| payload(&id, &format!("/{id}"), extra))
            .collect()
    })
}

/// Adds fields everywhere and leaves out zero values, as a gateway does.
fn reread(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields
                .iter()
                .filter(|(_, value)| !matches!(value, Value::Null | Value::Bool(false)));
            let mut read: serde_json::Map<_, _> = kept.map(|(key, value)| (key.clone(), reread(value))).collect();
            read.insert("added".to_owned(), json!(true));
            Value::Object(read)
        }
        Value::Array(items) => items.iter().map(reread).collect(),
        other => other.clone(),
    }
}

/// What is kept of a list while it is read.
fn shortened(wanted: &Desired, observed: &Observed) -> Observed {
    let looked_at = compare::looked_at();
    let short = |(id, held): (&String, &Loaded)| {
        let short = form::shorten(id, wanted.apis.get(id.as_str()), &looked_at, held.value().clone());
        (id.clone(), short)
    };
    observed.iter().map(short).collect()
}

#[test]
fn what_is_as_wanted_is_kept_short() {
    let wanted = [payload("1", "/a", json!({"x": 1})), payload("2", "/b", json!({"x": 2}))];
    let mut observed = held(&wanted);
    whole(&mut observed, "2")["extra"]["x"] = json!(3);
    let short = shortened(&desired(&wanted), &observed);
    assert!(matches!(short["1"], Loaded::AsWanted(_)));
    assert_eq!(short["2"], observed["2"]);
    let plan = diff(&desired(&wanted), &short, OWNER);
    assert_eq!((plan.unchanged, plan.writes.len()), (1, 1), "{plan:?}");
}

proptest! {
    #[test]
    fn a_short_list_says_what_a_whole_one_says(before in world(), after in world(), renamed in "[1-6]") {
        let wanted = desired(&after);
        for mut whole in [held(&before), held(&after)] {
            let all = whole.values_mut().filter_map(Loaded::value_mut);
            all.for_each(|held| *held = reread(held));
            if let Some(held) = whole.get_mut(&renamed).and_then(Loaded::value_mut) {
                held["proxy"]["listen_path"] = json!(format!("/{renamed}-{renamed}"));
            }
            let short = shortened(&wanted, &whole);
            prop_assert_eq!(diff(&wanted, &short, OWNER), diff(&wanted, &whole, OWNER));
            for (id, whole) in &whole {
                let facts = |held: &Loaded| {
                    let (domain, path) = held.route();
                    let ours = held.is_ours(OWNER, &wanted.contexts);
                    (domain.to_owned(), path.to_owned(), held.owner().map(str::to_owned), ours)
                };
                prop_assert_eq!(facts(&short[id]), facts(whole));
            }
            for (id, payload) in wanted.payloads() {
                let stamp = whole.get(id).and_then(Loaded::stamp);
                prop_assert_eq!(&short.get(id).and_then(Loaded::stamp), &stamp);
                if let Some(stamp) = stamp {
                    let seen = |list| verify::written(Sort::Api, id, payload, &stamp, list);
                    prop_assert_eq!(seen(&short), seen(&whole));
                }
            }
        }
    }

    #[test]
    fn nothing_is_left_after_a_plan_is_applied(before in world(), after in world()) {
        let (observed, wanted) = (held(&before), desired(&after));
        let plan = diff(&wanted, &observed, OWNER);
        let again = diff(&wanted, &applied(&wanted, &observed, &plan), OWNER);
        prop_assert!(again.is_empty(), "{:?}", again);
        prop_assert_eq!(again.unchanged, wanted.apis.len());
    }

    #[test]
    fn what_a_gateway_rereads_is_unchanged(apis in world()) {
        let observed = held(&apis).iter().map(|(id, held)| (id.clone(), reread(held.value()).into())).collect();
        let plan = diff(&desired(&apis), &observed, OWNER);
        prop_assert!(plan.is_empty(), "{:?}", plan);
    }

    #[test]
    fn another_value_is_seen(extra in json_value(), other in json_value()) {
        let (one, two) = (payload("1", "/1", extra.clone()), payload("1", "/1", other.clone()));
        let plan = diff(&desired(&[two]), &held(&[one]), OWNER);
        prop_assert_eq!(plan.is_empty(), mark::hash(&extra) == mark::hash(&other));
    }
}
