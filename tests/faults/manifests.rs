//! Random manifests.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use serde_json::{Value, json};
use tyk_ingress::snapshot::{Loader, Snapshot};

const HOSTS: [&str; 4] = ["a.test", "b.test", "*.a.test", ""];
const PATHS: [&str; 5] = ["/", "/a", "/a/b", "/c", "/c/d"];
const INGRESSES: u32 = 6;
const APIS: u32 = 6;
const POLICIES: u32 = 3;

/// Certificates of the two Secrets, made once: a key is slow to make.
static SECRETS: LazyLock<[Value; 2]> = LazyLock::new(|| {
    [0, 1].map(|number| {
        let made = rcgen::generate_simple_self_signed([format!("c{number}.test")]).unwrap();
        let (certificate, key) = (
            STANDARD.encode(made.cert.pem()),
            STANDARD.encode(made.signing_key.serialize_pem()),
        );
        json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": format!("tls{number}"), "namespace": "default"},
            "data": {"tls.crt": certificate, "tls.key": key}})
    })
});

/// The objects of a cluster.
#[derive(Clone, Default)]
pub struct Manifests {
    objects: BTreeMap<String, Value>,
    generation: i64,
}

impl Manifests {
    pub fn new() -> Self {
        let mut manifests = Self::default();
        for (number, secret) in SECRETS.iter().enumerate() {
            manifests.objects.insert(format!("secret{number}"), secret.clone());
        }
        manifests
    }

    /// Makes, changes or deletes one object.
    pub fn change(&mut self, random: &mut StdRng) {
        self.generation += 1;
        let name = match random.random_range(0..10) {
            0..4 => format!("ingress{}", random.random_range(0..INGRESSES)),
            4..9 => format!("api{}", random.random_range(0..APIS)),
            _ => format!("policy{}", random.random_range(0..POLICIES)),
        };
        if random.random_ratio(1, 4) {
            self.objects.remove(&name);
            return;
        }
        let mut object = match &name[..3] {
            "ing" => ingress(random),
            "api" => api(&name, random),
            _ => policy(&name, random),
        };
        object["metadata"] = json!({"name": name, "namespace": "default", "generation": self.generation,
            "creationTimestamp": "2026-01-01T00:00:00Z"});
        self.objects.insert(name, object);
    }

    pub fn snapshot(&self) -> Snapshot {
        let mut loader = Loader::default();
        for (name, object) in &self.objects {
            loader.text(name, &object.to_string()).unwrap();
        }
        loader.finish().snapshot
    }
}

fn ingress(random: &mut StdRng) -> Value {
    let rules = (0..random.random_range(1..4)).map(|_| {
        let kind = ["Prefix", "Exact"].choose(random).unwrap();
        let port = random.random_range(80..83);
        let path = json!({"path": PATHS.choose(random).unwrap(), "pathType": kind,
            "backend": {"service": {"name": "echo", "port": {"number": port}}}});
        match *HOSTS.choose(random).unwrap() {
            "" => json!({"http": {"paths": [path]}}),
            host => json!({"host": host, "http": {"paths": [path]}}),
        }
    });
    let rules: Vec<_> = rules.collect();
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": {"ingressClassName": "tyk", "rules": rules}})
}

fn api(name: &str, random: &mut StdRng) -> Value {
    let path = format!("/{name}/{}", random.random_range(0..3));
    let mut spec = json!({"name": name, "use_keyless": false, "use_standard_auth": true,
        "auth": {"auth_header_name": "authorization"}, "protocol": "http", "active": true,
        "proxy": {"target_url": format!("http://127.0.0.1:{}", random.next_u32() % 1000 + 1), "listen_path": path,
            "strip_listen_path": true},
        "version_data": {"default_version": "Default", "not_versioned": true,
            "versions": {"Default": {"name": "Default"}}}});
    if random.random_ratio(1, 3) {
        spec["certificate_secret_names"] = json!([format!("tls{}", random.random_range(0..2))]);
    }
    json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "ApiDefinition", "spec": spec})
}

fn policy(name: &str, random: &mut StdRng) -> Value {
    let right = json!({"name": format!("api{}", random.random_range(0..APIS)), "namespace": "default",
        "versions": ["Default"]});
    json!({"apiVersion": "tyk.tyk.io/v1alpha1", "kind": "SecurityPolicy", "spec": {"name": name, "active": true,
        "state": "active", "rate": random.random_range(1..100), "per": 60, "access_rights_array": [right]}})
}
