//! Which Tyk a resource goes to, and with which settings.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::{GatewayService, Installation};
use crate::api::{OperatorContext, Target};
use crate::diagnostic::{Code, Diagnostic};
use crate::snapshot::{ContextProblem, ContextSettings, NamespacedName, Snapshot, SnapshotKind};

/// What the payloads that go to one Tyk under one set of settings have in common.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    /// The OperatorContext, as `namespace/name`; empty for the operator's own settings.
    pub name: String,
    /// Organisation, empty when none is set.
    pub org: String,
    /// Value of the owner mark; two operators that share a gateway need different ones.
    pub owner: String,
    /// Where the payloads go.
    pub tyk: Arc<Installation>,
    /// Dashboard users that own what is created.
    pub user_owners: Vec<String>,
    /// Dashboard user groups that own what is created.
    pub user_group_owners: Vec<String>,
    /// Time at which certificates have to be valid; without one their dates count nothing.
    pub now: Option<Timestamp>,
}

impl Context {
    /// The own settings of an operator of which only the URL of its Tyk is known.
    pub fn at_url(url: &str) -> Self {
        let url = url.trim().trim_end_matches('/').to_owned();
        Self {
            tyk: Arc::new(Installation {
                url,
                ..Installation::default()
            }),
            ..Self::default()
        }
    }

    /// Whether the same definitions become the same payloads, certificates left aside.
    pub(super) fn makes_the_same(&self, other: &Self) -> bool {
        other.at_any_time() == self.at_any_time()
    }

    fn at_any_time(&self) -> Self {
        Self {
            now: None,
            ..self.clone()
        }
    }

    /// The same at another time.
    pub fn at(&self, now: Timestamp) -> Self {
        Self {
            now: Some(now),
            ..self.clone()
        }
    }
}

/// The operator's settings about contexts.
#[derive(Clone, Debug)]
pub struct Operator {
    /// What holds for a resource that names no context.
    pub own: Context,
    /// Whether a context that does not say who may use it serves resources of every namespace.
    pub cross_namespace: bool,
    /// Whether every context stands for the operator's own Tyk, as where there is only a simulated one.
    pub only_own: bool,
    /// What contexts were when they could last be used. It serves to take off a Tyk what is to go from there, after the
    /// Secret with its credentials has gone.
    pub last: Arc<BTreeMap<NamespacedName, Context>>,
}

impl Operator {
    /// Resources of any namespace may use any context, as with Tyk Operator.
    pub fn new(own: Context) -> Self {
        Self {
            own,
            cross_namespace: true,
            only_own: false,
            last: Arc::default(),
        }
    }
}

/// Why a context cannot be used.
struct Broken {
    field: &'static str,
    message: String,
}

/// Why a resource cannot use its context.
pub(super) type Refusal = (Code, String);

/// The contexts of a snapshot.
pub(super) struct Contexts<'a> {
    snapshot: &'a Snapshot,
    operator: &'a Operator,
    usable: BTreeMap<NamespacedName, Context>,
    broken: BTreeMap<NamespacedName, Broken>,
}

impl<'a> Contexts<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, operator: &'a Operator) -> Self {
        let (mut usable, mut broken) = (BTreeMap::new(), BTreeMap::new());
        for name in snapshot.operator_contexts.keys() {
            match resolve(name, snapshot, operator) {
                Ok(context) => drop(usable.insert(name.clone(), context)),
                Err(message) => drop(broken.insert(name.clone(), message)),
            }
        }
        Self {
            snapshot,
            operator,
            usable,
            broken,
        }
    }

    /// Whether Secrets of other namespaces may be read.
    pub(super) fn cross_namespace(&self) -> bool {
        self.operator.cross_namespace
    }

    /// The contexts that can be used.
    pub(super) fn usable(&self) -> &BTreeMap<NamespacedName, Context> {
        &self.usable
    }

    /// The context of a resource of `namespace`, and a warning about it.
    ///
    /// # Errors
    /// Why it cannot be used. A resource is never sent to another Tyk than the one that its context means.
    pub(super) fn of(&self, target: Option<&Target>, namespace: &str) -> Result<(&Context, Option<Refusal>), Refusal> {
        let Some(target) = target else {
            return Ok((&self.operator.own, None));
        };
        let name = NamespacedName::new(target.namespace_or(namespace), &target.name);
        let Some(found) = self.snapshot.operator_contexts.get(&name) else {
            return Err((Code::ContextNotFound, format!("OperatorContext {name} does not exist")));
        };
        let warning = self.permit(found, &name, namespace)?;
        match (self.usable.get(&name), self.broken.get(&name)) {
            (Some(context), _) => Ok((context, warning)),
            (None, problem) => {
                let message = problem.map(|problem| problem.message.clone());
                Err((Code::ContextNotFound, message.unwrap_or_default()))
            }
        }
    }

    /// As [`Contexts::of`], for a resource that is to go: what its context was last is enough to find its Tyk.
    pub(super) fn of_leaving(&self, target: Option<&Target>, namespace: &str) -> Option<&Context> {
        let Some(target) = target else {
            return Some(&self.operator.own);
        };
        let name = NamespacedName::new(target.namespace_or(namespace), &target.name);
        self.usable.get(&name).or_else(|| self.operator.last.get(&name))
    }

    /// Whether resources of `namespace` may use a context, with a warning when that is so only because nobody has said.
    fn permit(
        &self,
        context: &OperatorContext,
        name: &NamespacedName,
        namespace: &str,
    ) -> Result<Option<Refusal>, Refusal> {
        if *name.namespace == *namespace {
            return Ok(None);
        }
        match &context.spec.allowed_namespaces {
            Some(allowed) if allowed.contains(namespace, self.labels(namespace)) => Ok(None),
            Some(_) => {
                let message = format!(
                    "OperatorContext {name} is not for the namespace {namespace}; its spec.allowedNamespaces says who may use it"
                );
                Err((Code::ContextNotAllowed, message))
            }
            None if self.operator.cross_namespace => {
                let message = format!(
                    "OperatorContext {name} is in another namespace and does not say who may use it; name {namespace} in its spec.allowedNamespaces"
                );
                Ok(Some((Code::ContextOfOtherNamespace, message)))
            }
            None => {
                let message = format!(
                    "OperatorContext {name} is in another namespace; to allow it, name {namespace} in its spec.allowedNamespaces"
                );
                Err((Code::ContextNotAllowed, message))
            }
        }
    }

    fn labels(&self, namespace: &str) -> Option<&BTreeMap<String, String>> {
        let found = self.snapshot.namespaces.get(&NamespacedName::new("", namespace))?;
        found.metadata.labels.as_ref()
    }

    /// Findings about the contexts themselves.
    pub(super) fn diagnostics(&self) -> impl Iterator<Item = Diagnostic> + '_ {
        self.broken.iter().filter_map(|(name, problem)| {
            let object = self.snapshot.operator_contexts.get(name)?.object_ref();
            Some(Diagnostic::new(
                Code::ContextInvalid,
                object,
                problem.field,
                &problem.message,
            ))
        })
    }

    /// The Tyks, each with the names of the contexts that mean it. One that cannot be used now means the Tyk that it
    /// meant last.
    pub(super) fn installations(&self) -> BTreeMap<Arc<Installation>, BTreeSet<String>> {
        let mut found: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let before = self.broken.keys().filter_map(|name| self.operator.last.get(name));
        for context in self.usable.values().chain(before).chain([&self.operator.own]) {
            found
                .entry(context.tyk.clone())
                .or_default()
                .insert(context.name.clone());
        }
        found
    }
}

fn resolve(name: &NamespacedName, snapshot: &Snapshot, operator: &Operator) -> Result<Context, Broken> {
    let own = &operator.own;
    let broken = |field, message: String| Broken {
        field,
        message: format!("OperatorContext {name}: {message}"),
    };
    // Before its Secret is asked for, which is not even read then.
    if let Some(namespace) = foreign_secret(name, snapshot).filter(|_| !operator.cross_namespace) {
        let message = format!(
            "its Secret is in the namespace {namespace}, and Secrets are read from the context's own namespace alone; move the Secret"
        );
        return Err(broken("spec.secretRef", message));
    }
    let settings = match snapshot.context_settings(name) {
        // Where nothing is sent to its Tyk, nobody needs the credentials.
        Err(ContextProblem::SecretMissing { .. }) if operator.only_own => ContextSettings::default(),
        settings => settings.map_err(|problem| Broken {
            field: problem.field(),
            message: problem.to_string(),
        })?,
    };
    let tyk = match operator.only_own {
        true => own.tyk.clone(),
        false => installation(&settings, &own.tyk).map_err(|message| broken("spec.env", message))?,
    };
    Ok(Context {
        name: name.to_string(),
        org: settings.org.unwrap_or_else(|| own.org.clone()),
        tyk,
        user_owners: settings.user_owners,
        user_group_owners: settings.user_group_owners,
        ..own.clone()
    })
}

/// The namespace of a context's Secret, when that is another than the context's.
fn foreign_secret(name: &NamespacedName, snapshot: &Snapshot) -> Option<String> {
    let reference = snapshot.operator_contexts.get(name)?.spec.secret_ref.as_ref()?;
    let namespace = reference.namespace_or(&name.namespace);
    (*namespace != *name.namespace).then(|| namespace.to_owned())
}

/// The Tyk that settings mean. What they leave out is the operator's own, except that the operator's credentials are
/// never sent to a URL that a context gives: whoever may write a context could read them there.
fn installation(settings: &ContextSettings, own: &Arc<Installation>) -> Result<Arc<Installation>, String> {
    let url = settings.url.as_ref().unwrap_or(&own.url);
    let mode = settings.mode.unwrap_or(own.mode);
    let service = match &settings.gateway_service {
        Some(text) => Some(GatewayService::parse(text).ok_or("spec.env.gatewayService must be NAMESPACE/NAME:PORT")?),
        None if settings.url.is_none() => own.service.clone(),
        None => None,
    };
    // A Service leads to addresses as a URL does.
    let same = *url == own.url && mode == own.mode && (service.is_none() || service == own.service);
    let auth = match &settings.auth {
        Some(auth) => auth.clone(),
        None if same => own.auth.clone(),
        None => {
            return Err(format!(
                "it gives the URL {url} and no credentials; set TYK_AUTH in the Secret of spec.secretRef"
            ));
        }
    };
    let found = Installation {
        mode,
        url: url.clone(),
        auth,
        insecure_skip_verify: settings
            .insecure_skip_verify
            .unwrap_or(same && own.insecure_skip_verify),
        ca_bundle: match &settings.ca_bundle {
            Some(bundle) => bundle.clone(),
            None if same => own.ca_bundle.clone(),
            None => String::new(),
        },
        service,
    };
    // One allocation for each Tyk keeps comparisons cheap.
    Ok(if found == **own { own.clone() } else { Arc::new(found) })
}

#[cfg(test)]
mod tests;
