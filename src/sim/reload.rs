//! A reload: from files to memory to routes, in the order and with the side effects of the real gateway.

use super::router::{Registration, Router, Table};
use super::spec::Spec;
use super::state::State;
use super::template::{Kind, Template, TemplateError, listen_path_length};
use super::tls::Identity;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a reload needs to know of the gateway's own configuration.
pub(super) struct Setup {
    pub main_port: u16,
    pub control_port: u16,
    pub custom_domains: bool,
    pub strict_routes: bool,
}

/// The definition that ends the process.
#[derive(Debug)]
pub(super) struct Crash(pub String);

/// Loads the files; those in `lost` are half-written and count as absent. `None`: nothing before and nothing now.
pub(super) fn load(state: &mut State, setup: &Setup, lost: &BTreeSet<String>) -> Result<Option<Table>, Crash> {
    state.load_policies(lost);
    let mut specs = read(state, lost)?;
    if specs.is_empty() && state.apis.is_empty() {
        return Ok(None);
    }
    // Equal lengths come in no sure order from the real gateway; here they stay in the order of the files.
    specs.sort_by_key(|candidate| {
        let spec = candidate.spec();
        (
            spec.domain.is_empty(),
            std::cmp::Reverse(listen_path_length(&spec.listen_path)),
        )
    });
    let mut used: BTreeMap<String, usize> = BTreeMap::new();
    for candidate in &specs {
        *used.entry(place(candidate.spec())).or_default() += 1;
    }
    let mut table = Table {
        loaded: true,
        ..Table::default()
    };
    table.ports.insert(setup.control_port, Router::new("http"));
    let mut memory = BTreeMap::new();
    for candidate in specs {
        let spec = register(candidate, state, setup, &used, &mut table);
        memory.insert(spec.id.clone(), spec);
    }
    state.apis = memory;
    Ok(Some(table))
}

/// An API to load: as it is in memory, or read anew.
enum Candidate {
    Kept(Arc<Spec>),
    Fresh(Box<Spec>),
}

impl Candidate {
    fn into_spec(self) -> Arc<Spec> {
        match self {
            Candidate::Kept(spec) => spec,
            Candidate::Fresh(spec) => Arc::new(*spec),
        }
    }

    fn spec(&self) -> &Spec {
        match self {
            Candidate::Kept(spec) => spec,
            Candidate::Fresh(spec) => spec,
        }
    }
}

fn read(state: &State, lost: &BTreeSet<String>) -> Result<Vec<Candidate>, Crash> {
    let mut candidates = Vec::new();
    for (name, file) in &state.files {
        if name.ends_with("-oas.json") || lost.contains(name) {
            continue;
        }
        if let Some(kept) = state.apis.get(&file.id()).filter(|spec| spec.checksum == file.checksum) {
            candidates.push(Candidate::Kept(kept.clone()));
            continue;
        }
        let spec = Spec::new(file.definition.clone(), file.oas.clone(), file.checksum.clone());
        if spec.template.is_some() {
            candidates.push(Candidate::Fresh(Box::new(spec)));
            continue;
        }
        if let Err(TemplateError::CaptureGroup(_)) = Template::compile(&spec.listen_path, Kind::Prefix) {
            return Err(Crash(format!(
                "API {}: listen path {} holds a capture group",
                spec.id, spec.listen_path
            )));
        }
    }
    Ok(candidates)
}

/// The text by which listen paths collide; the port is no part of it.
fn place(spec: &Spec) -> String {
    format!("{}{}", spec.active_domain(), spec.listen_path)
}

fn register(
    candidate: Candidate,
    state: &State,
    setup: &Setup,
    used: &BTreeMap<String, usize>,
    table: &mut Table,
) -> Arc<Spec> {
    let spec = candidate.spec();
    if matches!(spec.protocol.as_str(), "tcp" | "tls") {
        return settle(candidate, state, used);
    }
    let protocol = if spec.protocol.is_empty() {
        "http"
    } else {
        &spec.protocol
    };
    let port = if spec.port == 0 { setup.main_port } else { spec.port };
    let mut unreachable = Router::default();
    let router = table.ports.entry(port).or_insert_with(|| Router::new(protocol));
    let router = if router.protocol == protocol {
        router
    } else {
        &mut unreachable
    };
    router.identities.extend(identities(spec, state));
    match router.host(spec, setup.custom_domains) {
        Ok(host) => {
            let spec = settle(candidate, state, used);
            if !spec.skip {
                let registration = Registration {
                    strict_routes: setup.strict_routes,
                    spec: &spec,
                };
                router.add(host, &registration);
            }
            spec
        }
        Err(_) => candidate.into_spec(),
    }
}

fn identities(spec: &Spec, state: &State) -> Vec<Identity> {
    if spec.domain_disabled || spec.protocol != "https" {
        return Vec::new();
    }
    let stored = spec.certificates.iter().filter_map(|id| state.certs.get(id));
    stored.filter_map(Identity::new).collect()
}

/// Settles what is decided once per change of a definition: whether it can be routed, and its listen path.
fn settle(candidate: Candidate, state: &State, used: &BTreeMap<String, usize>) -> Arc<Spec> {
    let mut spec = match candidate {
        Candidate::Kept(spec) => return spec,
        Candidate::Fresh(spec) => *spec,
    };
    spec.skip = spec.internal || spec.is_invalid();
    if spec.is_invalid() {
        return Arc::new(spec);
    }
    let mut renamed = false;
    while used.get(&place(&spec)).is_some_and(|&count| count > 1) {
        let keeps = state
            .apis
            .get(&spec.id)
            .is_some_and(|loaded| loaded.listen_path == spec.listen_path);
        if !renamed && keeps {
            break;
        }
        let suffix = if renamed {
            "_".to_owned()
        } else {
            format!("-{}", spec.id)
        };
        spec.rename(format!("{}{suffix}", spec.listen_path));
        renamed = true;
    }
    Arc::new(spec)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sim::definition;
    use proptest::prelude::*;
    use serde_json::json;

    const SETUP: Setup = Setup {
        main_port: 8080,
        control_port: 8080,
        custom_domains: true,
        strict_routes: true,
    };

    fn written(apis: &[(&str, &str, &str)]) -> State {
        let mut state = State::default();
        for (id, domain, listen_path) in apis {
            let posted = json!({"api_id": id, "domain": domain, "proxy": {"listen_path": listen_path}});
            state.write_api(definition::api(posted).unwrap(), None).unwrap();
        }
        state
    }

    #[test]
    fn unchanged_apis_are_kept_as_they_are() {
        let mut state = written(&[("a", "", "/a"), ("b", "", "/b")]);
        load(&mut state, &SETUP, &BTreeSet::new()).unwrap();
        let before = state.apis["a"].clone();
        state.write_api(state.files["a.json"].definition.clone(), None).unwrap();
        load(&mut state, &SETUP, &BTreeSet::new()).unwrap();
        assert!(Arc::ptr_eq(&before, &state.apis["a"]));
    }

    #[test]
    fn nothing_before_and_nothing_now_is_no_reload() {
        let mut state = State::default();
        assert!(load(&mut state, &SETUP, &BTreeSet::new()).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn no_definition_panics(paths in proptest::collection::vec("[/a{}:()|^$.\\[\\]*?é -]{0,12}", 3), hosts in proptest::collection::vec("[a.{}:()|?-]{0,8}", 3), request in "/[a/{}é]{0,8}") {
            let ids = ["a", "b", "{x}"];
            let apis: Vec<_> = (0..3).map(|at| (ids[at], hosts[at].as_str(), paths[at].as_str())).collect();
            let mut state = written(&apis);
            if let Ok(Some(table)) = load(&mut state, &SETUP, &BTreeSet::new()) {
                for host in &hosts {
                    let _ = table.ports[&8080].find(host, &request);
                }
            }
            for spec in state.apis.values() {
                prop_assert!(spec.strip(request.as_bytes()).starts_with(b"/"));
            }
        }
    }
}
