//! Ingresses written for ingress-nginx, as Ingresses of ours: what each annotation becomes, and what is different then.
//!
//! Pure. `migrate` writes the result down; with `--nginx-annotations=translate` the engine gets it in place of the
//! Ingresses as they are.

mod access;
mod canary;
mod cors;
mod draft;
mod paths;
mod redirects;
mod rewrite;
mod table;
mod upstream;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::api::networking::v1::Ingress;
use kube::ResourceExt;
use serde::Serialize;

use crate::api::ApiDefinition;
use crate::diagnostic::{Code, Diagnostic};
use crate::ingress::{Classes, Options};
use crate::snapshot::{NamespacedName, Snapshot, Stored, StoredIngress};
use draft::Draft;

/// What every annotation of ingress-nginx begins with.
pub const PREFIX: &str = "nginx.ingress.kubernetes.io/";

/// `spec.controller` of ingress-nginx's IngressClasses.
const CONTROLLER: &str = "k8s.io/ingress-nginx";

/// What the engine does with annotations of ingress-nginx.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Annotations {
    /// Nothing
    #[default]
    Ignore,
    /// Honour the ones that `tyk-ingress migrate` can translate
    Translate,
}

/// How well an annotation is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Requests are answered as by ingress-nginx.
    Exact,
    /// They are answered with a difference, which is named.
    Differs,
    /// It cannot be kept; the nearest way is named.
    Unsupported,
}

impl Verdict {
    /// Lower-case word, as printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Exact => "exact",
            Verdict::Differs => "differs",
            Verdict::Unsupported => "unsupported",
        }
    }
}

/// What becomes of one annotation, or of one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Name of the annotation without [`PREFIX`], or of a field such as `spec.rules[0].http.paths[1]`.
    pub subject: String,
    /// Its value, shortened; empty where it could hold a secret.
    pub value: String,
    /// How well it is kept.
    pub verdict: Verdict,
    /// What it becomes, what is different, or the nearest way.
    pub detail: String,
}

/// One Ingress of ingress-nginx, translated.
#[derive(Clone, Debug)]
pub struct Translated {
    /// Its name.
    pub name: NamespacedName,
    /// The Ingress of ours; `None` for a canary, which becomes a part of the Ingress beside it.
    pub ingress: Option<Ingress>,
    /// The template that the Ingress names, for what annotations of ours cannot say.
    pub template: Option<ApiDefinition>,
    /// Whether it is not served as long as somebody guards it otherwise, because a guard of it cannot be translated.
    pub closed: bool,
    /// What became of its annotations, sorted by subject.
    pub findings: Vec<Finding>,
}

impl Translated {
    /// The worst of its verdicts.
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.findings.iter().map(|finding| finding.verdict);
        verdicts.max().unwrap_or(Verdict::Exact)
    }
}

/// Translates every Ingress that ingress-nginx serves, into the class `class`: those of its class or of an IngressClass
/// of its controller, and those with an annotation of it or without any class.
pub fn translate(snapshot: &Snapshot, class: &str) -> Vec<Translated> {
    let ours = |ingress: &StoredIngress| is_of_nginx(ingress, snapshot);
    let mut all = translate_those(snapshot, &ours, &|_| true);
    for translated in &mut all {
        if let Some(ingress) = &mut translated.ingress {
            ingress.annotations_mut().remove("kubernetes.io/ingress.class");
            ingress.spec.get_or_insert_default().ingress_class_name = Some(class.to_owned());
        }
    }
    all
}

/// The snapshot for the engine: translated when the options say so.
pub fn prepared<'a>(snapshot: &'a Snapshot, options: &Options) -> (Cow<'a, Snapshot>, Vec<Diagnostic>) {
    match options.nginx_annotations {
        false => (Cow::Borrowed(snapshot), Vec::new()),
        true => {
            let (snapshot, diagnostics) = apply(snapshot, options);
            (Cow::Owned(snapshot), diagnostics)
        }
    }
}

/// A snapshot for the engine in which the Ingresses of our classes are translated, and what is not kept of them.
fn apply(snapshot: &Snapshot, options: &Options) -> (Snapshot, Vec<Diagnostic>) {
    let classes = Classes::new(&snapshot.ingress_classes, options);
    let all = translate_those(snapshot, &|ingress| classes.own(ingress), &is_annotated);
    let (mut snapshot, mut diagnostics) = (snapshot.clone(), Vec::new());
    for translated in all {
        let Some(before) = snapshot.remove::<Ingress>(&translated.name) else {
            continue;
        };
        diagnostics.extend(
            translated
                .findings
                .iter()
                .filter_map(|finding| diagnostic(&before, finding)),
        );
        if let Some(ingress) = translated.ingress {
            snapshot.insert(ingress);
        }
        // A template that somebody wrote under this name is what they want.
        let wanted = |template: &ApiDefinition| {
            !snapshot
                .api_definitions
                .contains_key(&NamespacedName::of(&template.metadata))
        };
        if let Some(template) = translated.template.filter(wanted) {
            snapshot.insert(template);
        }
    }
    (snapshot, diagnostics)
}

/// `is_meant` chooses the Ingresses; those that are `whole` behave as ingress-nginx does also where they say nothing.
fn translate_those(
    snapshot: &Snapshot,
    is_meant: &dyn Fn(&StoredIngress) -> bool,
    whole: &dyn Fn(&StoredIngress) -> bool,
) -> Vec<Translated> {
    let meant = snapshot.ingresses.values().filter(|ingress| is_meant(ingress));
    let (meant, whole): (Vec<_>, Vec<_>) = meant.map(|ingress| (ingress.whole(), whole(ingress))).unzip();
    let regex_hosts = paths::regex_hosts(&meant);
    let canaries = canary::Canaries::of(&meant);
    let one = |(ingress, whole): (&Arc<Ingress>, bool)| one(ingress, snapshot, &regex_hosts, &canaries, whole);
    meant.iter().zip(whole).map(one).collect()
}

fn one(
    ingress: &Ingress,
    snapshot: &Snapshot,
    regex_hosts: &BTreeSet<String>,
    canaries: &canary::Canaries<'_>,
    whole: bool,
) -> Translated {
    let mut draft = Draft::new(ingress, whole);
    if canaries.is_canary(ingress) {
        canaries.report(&mut draft);
        return draft.finish(false);
    }
    redirects::translate(&mut draft);
    cors::translate(&mut draft);
    access::translate(&mut draft);
    upstream::translate(&mut draft, snapshot);
    canaries.join(&mut draft);
    table::translate(&mut draft);
    paths::translate(&mut draft, regex_hosts);
    draft.finish(true)
}

/// Whether an Ingress has an annotation of ingress-nginx.
pub fn is_annotated(ingress: &StoredIngress) -> bool {
    ingress.annotations().any(|(key, _)| key.starts_with(PREFIX))
}

fn is_of_nginx(ingress: &StoredIngress, snapshot: &Snapshot) -> bool {
    let field = ingress.class();
    let class = field.or_else(|| ingress.annotation("kubernetes.io/ingress.class"));
    let Some(class) = class else { return true };
    let found = snapshot.ingress_classes.get(&NamespacedName::new("", class));
    match found.and_then(|found| found.spec.as_ref()?.controller.as_deref()) {
        Some(controller) => controller == CONTROLLER,
        None => class == "nginx" || is_annotated(ingress),
    }
}

fn diagnostic(ingress: &StoredIngress, finding: &Finding) -> Option<Diagnostic> {
    let code = match finding.verdict {
        Verdict::Exact => return None,
        Verdict::Differs => Code::NginxAnnotationDiffers,
        Verdict::Unsupported => Code::NginxAnnotationUnsupported,
    };
    let field = match finding.subject.starts_with("spec.") {
        true => finding.subject.clone(),
        false => format!("metadata.annotations[{PREFIX}{}]", finding.subject),
    };
    Some(Diagnostic::new(
        code,
        ingress.object_ref(),
        field,
        finding.detail.clone(),
    ))
}
