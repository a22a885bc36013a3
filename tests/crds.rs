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

/// Tyk Operator's CustomResourceDefinitions as lines of words, without the kind that each begins with.
fn upstream(kind: &str) -> Vec<String> {
    let text = fs::read_to_string(file("tests/data/upstream-fields.txt")).unwrap();
    let own = text.lines().filter_map(|line| line.strip_prefix(&format!("{kind} ")));
    own.map(str::to_owned).collect()
}

/// What follows `word` on the line of a kind that begins with it.
fn upstream_line(kind: &str, word: &str) -> String {
    let lines = upstream(kind);
    let line = lines.iter().find_map(|line| line.strip_prefix(word)).unwrap();
    line.trim().to_owned()
}

fn kinds() -> Vec<String> {
    all_crds().into_iter().map(|crd| crd.spec.names.kind).collect()
}

#[test]
fn every_kind_of_tyk_operator_is_here() {
    let text = fs::read_to_string(file("tests/data/upstream-fields.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut theirs: Vec<_> = lines.filter_map(|line| line.split(' ').next()).collect();
    theirs.dedup();
    assert_eq!(theirs, kinds());
}

#[test]
fn names_are_those_of_tyk_operator() {
    for crd in all_crds() {
        let names = &crd.spec.names;
        let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default().join("|");
        let ours = format!(
            "{} short:{} categories:{}",
            names.plural,
            list(&names.short_names),
            list(&names.categories)
        );
        assert_eq!(ours, upstream_line(&names.kind, "names"));
        assert_eq!(crd.metadata.name, Some(format!("{}.tyk.tyk.io", names.plural)));
        assert_eq!(
            (crd.spec.group.as_str(), crd.spec.scope.as_str()),
            ("tyk.tyk.io", "Namespaced")
        );
        let version = &crd.spec.versions[0];
        assert!(version.name == "v1alpha1" && version.served && version.storage);
        assert!(version.subresources.as_ref().is_some_and(|sub| sub.status.is_some()));
    }
}

#[test]
fn columns_are_those_of_tyk_operator_and_then_whether_it_works() {
    for crd in all_crds() {
        let kind = &crd.spec.names.kind;
        let ours = columns(&crd);
        let theirs = upstream_line(kind, "columns");
        let theirs: Vec<_> = theirs.split('|').filter(|name| !name.is_empty()).collect();
        assert_eq!(ours[..theirs.len()], theirs, "{kind}");
        assert_eq!(ours[ours.len() - 3..], ["Ready", "Message", "Age"], "{kind}");
    }
    assert_eq!(columns(&crd("OperatorContext"))[..2], ["Mode", "URL"]);
    assert_eq!(columns(&crd("SecurityPolicy"))[..4], ["Title", "State", "Active", "ID"]);
}

/// `kubectl get` is often shown around, so it never prints what can hold a credential.
#[test]
fn no_column_shows_a_credential() {
    for crd in all_crds() {
        for column in crd.spec.versions[0].additional_printer_columns.clone().unwrap() {
            let secret = ["auth", "secret", "token", "caBundle"];
            assert!(
                !secret.iter().any(|word| column.json_path.contains(word)),
                "{}",
                column.json_path
            );
        }
    }
}

#[test]
fn every_kind_reports_conditions_and_the_generation_that_they_speak_of() {
    for kind in kinds() {
        let schema = schema(&kind);
        for path in [
            "status.observedGeneration",
            "status.conditions[].type",
            "status.conditions[].observedGeneration",
        ] {
            assert!(find(&schema, path).is_some(), "{kind}: {path}");
        }
        let (conditions, _) = find(&schema, "status.conditions").unwrap();
        assert_eq!(conditions.x_kubernetes_list_map_keys, Some(vec!["type".to_owned()]));
    }
}

fn columns(crd: &CustomResourceDefinition) -> Vec<String> {
    let columns = crd.spec.versions[0].additional_printer_columns.clone();
    columns.unwrap().into_iter().map(|column| column.name).collect()
}

#[test]
fn every_field_of_tyk_operator_exists_and_takes_the_same_values() {
    let mut faults = Vec::new();
    let mut seen = 0;
    for kind in kinds() {
        let schema = schema(&kind);
        let lines = upstream(&kind);
        let fields: Vec<_> = lines
            .iter()
            .filter(|line| line.starts_with("spec") || line.starts_with("status"))
            .collect();
        seen += fields.len();
        let found = fields.iter().filter_map(|line| fault(&schema, line));
        faults.extend(found.map(|fault| format!("{kind}: {fault}")));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(seen > 1200, "{seen}");
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
    if !(ours == theirs || (theirs, ours) == ("integer", "number") || takes_all(path, field)) {
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

/// Whether a field takes values of every type, which counts as taking theirs. A structural schema cannot say "number or
/// string", so these fields have no type: they are strings for Tyk Operator, and something else in what Tyk exports.
fn takes_all(path: &str, field: &JSONSchemaProps) -> bool {
    const UNTYPED: [&str; 6] = [
        ".circuit_breakers[].threshold_percent",
        ".limit.rate",
        ".limit.per",
        ".smoothing.trigger",
        ".meta_data{}",
        ".fields{}",
    ];
    let open = field.type_.is_none() && field.x_kubernetes_preserve_unknown_fields == Some(true);
    open && UNTYPED.iter().any(|end| path.ends_with(end))
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
    for (kind, at_least) in [
        ("ApiDefinition", 50),
        ("SecurityPolicy", 20),
        ("APIDescription", 5),
        ("PortalAPICatalogue", 5),
        ("PortalConfig", 5),
    ] {
        let schema = schema(kind);
        let (spec, _) = find(&schema, "spec").unwrap();
        let mut seen = 0;
        each(spec, &mut |schema| {
            if schema.type_.as_deref() == Some("object") && schema.additional_properties.is_none() {
                seen += 1;
                assert_eq!(
                    schema.x_kubernetes_preserve_unknown_fields,
                    Some(true),
                    "{kind}: {schema:?}"
                );
            }
        });
        assert!(seen > at_least, "{kind}: {seen}");
    }
}

/// So that `kubectl explain` says something about each of them.
#[test]
fn every_field_is_described() {
    for kind in kinds() {
        each(&schema(&kind), &mut |schema| {
            for (name, field) in schema.properties.iter().flatten() {
                assert!(name == "metadata" || field.description.is_some(), "{kind}: {name}");
            }
        });
    }
}

/// The words of a rule that was broken are all that a user sees of it.
#[test]
fn every_rule_says_what_it_wants() {
    let mut rules = 0;
    for kind in kinds() {
        each(&schema(&kind), &mut |schema| {
            for rule in schema.x_kubernetes_validations.iter().flatten() {
                rules += 1;
                assert!(
                    rule.message.as_ref().is_some_and(|message| message.len() > 10),
                    "{kind}: {rule:?}"
                );
            }
        });
    }
    assert!(rules > 30, "{rules}");
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
