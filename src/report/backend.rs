//! What is missing in a Service, told where its owner looks.

use k8s_openapi::api::networking::v1::{Ingress, IngressBackend};
use kube::ResourceExt;

use super::ReportInput;
use crate::diagnostic::{Code, Diagnostic, ObjectRef};
use crate::snapshot::{NamespacedName, Stored};

/// For every missing port that an Ingress was told of, the same for the Service, when there is one.
pub(super) fn of_services(input: &ReportInput<'_>) -> Vec<Diagnostic> {
    let missing = input
        .diagnostics
        .iter()
        .filter(|found| found.code == Code::PortNotFound);
    let found = missing.filter_map(|diagnostic| {
        let object = &diagnostic.object;
        let name = NamespacedName::new(&object.namespace, &object.name);
        let ingress = input
            .snapshot
            .ingresses
            .get(&name)
            .filter(|_| object.kind == "Ingress")?;
        let ingress = ingress.whole();
        let service = &backend_at(&ingress, &diagnostic.field)?.service.as_ref()?.name;
        let key = NamespacedName::new(&object.namespace, service);
        input.snapshot.services.get(&key)?;
        let message = format!(
            "Ingress {} at {}: {}",
            ingress.name_any(),
            diagnostic.field,
            diagnostic.message
        );
        let service = ObjectRef::new("Service", &object.namespace, service);
        Some(Diagnostic::new(Code::PortNotFound, service, "spec.ports", message))
    });
    found.collect()
}

fn backend_at<'a>(ingress: &'a Ingress, field: &str) -> Option<&'a IngressBackend> {
    let spec = ingress.spec.as_ref()?;
    let default = spec
        .default_backend
        .iter()
        .map(|backend| ("spec.defaultBackend".to_owned(), backend));
    let rules = spec.rules.iter().flatten().enumerate().flat_map(|(rule, found)| {
        let paths = found.http.iter().flat_map(|http| &http.paths).enumerate();
        paths.map(move |(path, found)| {
            let field = format!("spec.rules[{rule}].http.paths[{path}].backend");
            (field, &found.backend)
        })
    });
    let mut backends = default.chain(rules);
    backends
        .find(|(at, _)| field.starts_with(at.as_str()))
        .map(|(_, backend)| backend)
}
