//! What several gateways of one Tyk say together. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ApiOutcome, Outcome, Results};
use crate::desired::{Desired, Wanted};

/// One outcome for all: an object is synced, or gone, when it is so on every gateway, and failed when it failed on one,
/// which is then named. Of an object that a gateway has not yet been asked about in its latest form nothing is said.
/// The revision is the oldest one. Counters are left at 0, and portal objects to Dashboards, of which there is one.
pub(super) fn merge(outcomes: &[&Outcome]) -> Option<Outcome> {
    let latest = outcomes.iter().max_by_key(|outcome| outcome.revision)?;
    if outcomes.len() == 1 {
        return Some(Outcome {
            drift: super::Drift::default(),
            calls: super::Calls::default(),
            gateway: String::new(),
            ..Outcome::clone(latest)
        });
    }
    let errors = outcomes.iter().filter_map(|outcome| {
        let error = outcome.endpoint_error.as_ref()?;
        Some(named(outcome, error))
    });
    let errors: Vec<_> = errors.collect();
    let endpoint_error = (!errors.is_empty()).then(|| errors.join("; "));
    let all = All {
        latest: &latest.desired,
        outcomes,
        endpoint_error: endpoint_error.as_deref(),
    };
    Some(Outcome {
        tyk: latest.tyk.clone(),
        revision: outcomes
            .iter()
            .map(|outcome| outcome.revision)
            .min()
            .unwrap_or_default(),
        took: outcomes.iter().map(|outcome| outcome.took).max().unwrap_or_default(),
        desired: latest.desired.clone(),
        apis: Arc::new(all.results(|outcome| &outcome.apis, api_form)),
        policies: all.results(|outcome| &outcome.policies, policy_form),
        certificates: all.results(
            |outcome| &outcome.certificates,
            |desired, id| (None, desired.certificates.contains_key(id)),
        ),
        altered: union(outcomes, |outcome| &outcome.altered),
        altered_policies: union(outcomes, |outcome| &outcome.altered_policies),
        endpoint_error,
        ..Outcome::default()
    })
}

struct All<'a> {
    latest: &'a Arc<Desired>,
    outcomes: &'a [&'a Outcome],
    endpoint_error: Option<&'a str>,
}

/// What is asked for under an id: a payload, or that nothing is there.
type Form<'a> = (Option<Wanted<'a>>, bool);

fn api_form<'a>(desired: &'a Desired, id: &str) -> Form<'a> {
    (
        desired.api(id).map(|api| Wanted::Packed(&api.payload)),
        desired.removals.contains(id),
    )
}

fn policy_form<'a>(desired: &'a Desired, id: &str) -> Form<'a> {
    let payload = desired.policies.get(id).map(|policy| Wanted::Whole(&policy.payload));
    (payload, desired.policy_removals.contains(id))
}

impl All<'_> {
    fn results(
        &self,
        of: for<'o> fn(&'o Outcome) -> &'o Results,
        form: for<'d> fn(&'d Desired, &str) -> Form<'d>,
    ) -> Results {
        let ids: BTreeSet<&Arc<str>> = self.outcomes.iter().flat_map(|outcome| of(outcome).keys()).collect();
        let mut results = Results::new();
        for id in ids {
            let wanted = form(self.latest, id);
            let said = self.outcomes.iter().map(|outcome| {
                let current = Arc::ptr_eq(&outcome.desired, self.latest) || form(&outcome.desired, id) == wanted;
                (*outcome, of(outcome).get(id).filter(|_| current))
            });
            let said: Vec<_> = said.collect();
            // What nobody asks for, an orphan, is only spoken of by the gateway that has it.
            let everybody = said.iter().all(|(_, result)| result.is_some()) || wanted == (None, false);
            let results_of_it = said.iter().filter_map(|(outcome, result)| Some((*outcome, (*result)?)));
            if let Some(result) = self.together(results_of_it, everybody) {
                results.insert(id.clone(), result);
            }
        }
        results
    }

    fn together<'o>(
        &self,
        said: impl Iterator<Item = (&'o Outcome, &'o ApiOutcome)>,
        everybody: bool,
    ) -> Option<ApiOutcome> {
        let (mut good, mut own, mut unreachable) = (None, Vec::new(), false);
        for (outcome, result) in said {
            match result {
                ApiOutcome::Failed(message) if Some(message) == outcome.endpoint_error.as_ref() => unreachable = true,
                ApiOutcome::Failed(message) => own.push(named(outcome, message)),
                result => good = Some(result.clone()),
            }
        }
        match self.endpoint_error {
            _ if !own.is_empty() => Some(ApiOutcome::Failed(own.join("; "))),
            // The same words, by which it is told from a failure of its own.
            Some(error) if unreachable => Some(ApiOutcome::Failed(error.to_owned())),
            _ => good.filter(|_| everybody),
        }
    }
}

fn named(outcome: &Outcome, message: &str) -> String {
    format!("gateway {}: {message}", outcome.gateway)
}

fn union(
    outcomes: &[&Outcome],
    of: fn(&Outcome) -> &BTreeMap<String, BTreeSet<String>>,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (id, fields) in outcomes.iter().flat_map(|outcome| of(outcome)) {
        all.entry(id.clone()).or_default().extend(fields.iter().cloned());
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::desired::Api;
    use crate::diagnostic::ObjectRef;

    fn desired(apis: &[(&str, u64)]) -> Arc<Desired> {
        let api = |form: u64| Api {
            source: ObjectRef::new("ApiDefinition", "default", "a"),
            generation: 1,
            payload: json!({"form": form}).into(),
        };
        let apis = apis.iter().map(|(id, form)| ((*id).into(), api(*form))).collect();
        Arc::new(Desired {
            apis,
            ..Desired::default()
        })
    }

    fn outcome(gateway: &str, revision: u64, desired: &Arc<Desired>, apis: &[(&str, ApiOutcome)]) -> Outcome {
        Outcome {
            gateway: gateway.into(),
            revision,
            desired: desired.clone(),
            apis: Arc::new(apis.iter().map(|(id, result)| ((*id).into(), result.clone())).collect()),
            ..Outcome::default()
        }
    }

    fn failed(message: &str) -> ApiOutcome {
        ApiOutcome::Failed(message.into())
    }

    #[test]
    fn all_have_to_hold_it_and_the_one_that_does_not_is_named() {
        use ApiOutcome::Synced;
        let wanted = desired(&[("1", 0), ("2", 0)]);
        let a = outcome("a", 1, &wanted, &[("1", Synced), ("2", Synced)]);
        let b = outcome("b", 1, &wanted, &[("1", Synced), ("2", failed("no"))]);
        let all = merge(&[&a, &b]).unwrap();
        assert_eq!(all.apis["1"], Synced);
        assert_eq!(all.apis["2"], failed("gateway b: no"));
        assert_eq!(all.gateway, "");
    }

    #[test]
    fn nothing_is_said_before_every_gateway_was_asked() {
        use ApiOutcome::Synced;
        let (before, now) = (desired(&[("1", 0), ("2", 0)]), desired(&[("1", 0), ("2", 1)]));
        let a = outcome("a", 2, &now, &[("1", Synced), ("2", Synced)]);
        let b = outcome("b", 1, &before, &[("1", Synced), ("2", Synced)]);
        let all = merge(&[&a, &b]).unwrap();
        assert_eq!(
            (all.revision, all.apis.get("1"), all.apis.get("2")),
            (1, Some(&Synced), None)
        );
    }

    #[test]
    fn a_silent_gateway_is_told_from_a_failed_api() {
        use ApiOutcome::Synced;
        let wanted = desired(&[("1", 0), ("2", 0)]);
        let a = outcome("a", 1, &wanted, &[("1", Synced), ("2", failed("bad"))]);
        let mut b = outcome("b", 1, &wanted, &[("1", failed("away")), ("2", failed("away"))]);
        b.endpoint_error = Some("away".into());
        let all = merge(&[&a, &b]).unwrap();
        assert_eq!(all.endpoint_error.as_deref(), Some("gateway b: away"));
        assert_eq!(all.apis["1"], failed("gateway b: away"));
        assert_eq!(all.apis["2"], failed("gateway a: bad"));
    }

    #[test]
    fn an_orphan_is_spoken_of_by_the_gateway_that_had_it() {
        let wanted = desired(&[]);
        let a = outcome("a", 1, &wanted, &[("old", ApiOutcome::Gone)]);
        let b = outcome("b", 1, &wanted, &[]);
        assert_eq!(merge(&[&a, &b]).unwrap().apis["old"], ApiOutcome::Gone);
    }
}
