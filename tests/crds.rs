//! The CustomResourceDefinitions: the files in `manifests/crds`, and compatibility with Tyk Operator's.

#![allow(clippy::unwrap_used)]

use std::{fs, path::PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use tyk_ingress::api::{all_crds, crds_yaml, to_yaml};

fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn crd(kind: &str) -> CustomResourceDefinition {
    all_crds().into_iter().find(|crd| crd.spec.names.kind == kind).unwrap()
}

fn schema(kind: &str) -> JSONSchemaProps {
    let version = crd(kind).spec.versions.remove(0);
    version.schema.unwrap().open_api_v3_schema.unwrap()
}

/// `UPDATE=1 cargo test --test crds` writes the files anew.
#[test]
fn manifests_are_what_the_program_prints() {
    for crd in all_crds() {
        let path = format!("manifests/crds/{}_{}.yaml", crd.spec.group, crd.spec.names.plural);
        let text = to_yaml(&crd);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(file(&path), &text).unwrap();
        }
        let stored = fs::read_to_string(file(&path)).unwrap_or_default();
        assert!(
            stored == text,
            "{path} is out of date; run UPDATE=1 cargo test --test crds"
        );
    }
}

#[test]
fn the_printed_text_is_stable_and_reads_back_as_the_same_objects() {
    let text = crds_yaml();
    assert_eq!(text, crds_yaml());
    let read: Vec<CustomResourceDefinition> = serde_saphyr::from_multiple(&text).unwrap();
    assert_eq!(read, all_crds());
}

#[test]
fn names_and_columns_are_those_of_tyk_operator() {
    let api = crd("ApiDefinition");
    assert_eq!(api.metadata.name.as_deref(), Some("apidefinitions.tyk.tyk.io"));
    assert_eq!(api.spec.names.short_names, Some(vec!["tykapis".to_owned()]));
    assert_eq!(
        columns(&api),
        [
            "Domain",
            "ListenPath",
            "Proxy.TargetURL",
            "Enabled",
            "SyncStatus",
            "IngressTemplate",
            "Age"
        ]
    );
    let context = crd("OperatorContext");
    assert_eq!(context.metadata.name.as_deref(), Some("operatorcontexts.tyk.tyk.io"));
    assert_eq!(columns(&context), ["Mode", "URL", "Age"]);
    let oas = crd("TykOasApiDefinition");
    assert_eq!(oas.spec.names.short_names, Some(vec!["tykoas".to_owned()]));
    let theirs = [&columns(&api)[..6], &["Categories".into(), "Age".into()]].concat();
    assert_eq!(columns(&oas), theirs);
    for crd in all_crds() {
        assert_eq!(crd.spec.names.categories, Some(vec!["tyk".to_owned()]));
        assert_eq!(
            (crd.spec.group.as_str(), crd.spec.scope.as_str()),
            ("tyk.tyk.io", "Namespaced")
        );
        let version = &crd.spec.versions[0];
        assert!(version.name == "v1alpha1" && version.served && version.storage);
        assert!(version.subresources.as_ref().is_some_and(|sub| sub.status.is_some()));
    }
}

fn columns(crd: &CustomResourceDefinition) -> Vec<String> {
    let columns = crd.spec.versions[0].additional_printer_columns.clone();
    columns.unwrap().into_iter().map(|column| column.name).collect()
}

#[test]
fn every_field_of_tyk_operator_exists_and_takes_the_same_values() {
    for (kind, list) in [
        ("ApiDefinition", "tests/data/apidefinition-fields.txt"),
        ("OperatorContext", "tests/data/operatorcontext-fields.txt"),
        ("TykOasApiDefinition", "tests/data/tykoasapidefinition-fields.txt"),
    ] {
        let schema = schema(kind);
        let text = fs::read_to_string(file(list)).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let faults: Vec<String> = lines.filter_map(|line| fault(&schema, line)).collect();
        assert!(faults.is_empty(), "{kind}:\n{}", faults.join("\n"));
    }
}

/// Why the schema refuses something that Tyk Operator's field, described by `line`, takes.
fn fault(schema: &JSONSchemaProps, line: &str) -> Option<String> {
    let mut words = line.split(' ');
    let (path, theirs) = (words.next()?, words.next()?);
    let rest: Vec<&str> = words.collect();
    let Some((field, required)) = find(schema, path) else {
        return Some(format!("{path}: missing"));
    };
    let ours = field.type_.as_deref().unwrap_or("any");
    if !(ours == theirs || (theirs, ours) == ("integer", "number") || untyped(path)) {
        return Some(format!("{path}: {theirs} became {ours}"));
    }
    if required && !rest.contains(&"required") {
        return Some(format!("{path}: became required"));
    }
    if rest.contains(&"nullable") && field.nullable != Some(true) {
        return Some(format!("{path}: no longer nullable"));
    }
    let enum_ = field.enum_.as_deref().unwrap_or_default();
    let allowed: Vec<String> = enum_.iter().map(|value| plain(&value.0)).collect();
    let wanted = rest.iter().find_map(|word| word.strip_prefix("enum:"));
    match wanted {
        None if !allowed.is_empty() => Some(format!("{path}: became an enum")),
        Some(wanted) if !allowed.is_empty() => wanted
            .split('|')
            .find(|value| !allowed.iter().any(|allowed| allowed == value))
            .map(|value| format!("{path}: lost the value {value:?}")),
        _ => None,
    }
}

/// The one field without a type, since it takes a number and a string.
fn untyped(path: &str) -> bool {
    path.ends_with(".circuit_breakers[].threshold_percent")
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The schema at a path such as `spec.a.b[].c{}`, and whether its parent requires it.
fn find<'a>(schema: &'a JSONSchemaProps, path: &str) -> Option<(&'a JSONSchemaProps, bool)> {
    let spaced = path.replace("[]", ".[]").replace("{}", ".{}");
    spaced
        .split('.')
        .try_fold((schema, false), |(parent, _), step| match step {
            "[]" => match parent.items.as_ref()? {
                JSONSchemaPropsOrArray::Schema(items) => Some((items.as_ref(), false)),
                JSONSchemaPropsOrArray::Schemas(_) => None,
            },
            "{}" => match parent.additional_properties.as_ref()? {
                JSONSchemaPropsOrBool::Schema(values) => Some((values.as_ref(), false)),
                JSONSchemaPropsOrBool::Bool(_) => None,
            },
            name => {
                let required = parent.required.iter().flatten().any(|required| required == name);
                Some((parent.properties.as_ref()?.get(name)?, required))
            }
        })
}

#[test]
fn every_object_of_a_definition_keeps_unknown_fields() {
    let schema = schema("ApiDefinition");
    let (spec, _) = find(&schema, "spec").unwrap();
    let mut seen = 0;
    each(spec, &mut |schema| {
        if schema.type_.as_deref() == Some("object") && schema.additional_properties.is_none() {
            seen += 1;
            assert_eq!(schema.x_kubernetes_preserve_unknown_fields, Some(true), "{schema:?}");
        }
    });
    assert!(seen > 50, "{seen}");
}

#[test]
fn every_field_is_described() {
    for kind in ["ApiDefinition", "OperatorContext", "TykOasApiDefinition"] {
        each(&schema(kind), &mut |schema| {
            for (name, field) in schema.properties.iter().flatten() {
                assert!(name == "metadata" || field.description.is_some(), "{kind}: {name}");
            }
        });
    }
}

fn each(schema: &JSONSchemaProps, visit: &mut impl FnMut(&JSONSchemaProps)) {
    visit(schema);
    schema
        .properties
        .iter()
        .flatten()
        .for_each(|(_, field)| each(field, visit));
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        each(items, visit);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        each(values, visit);
    }
}
