//! The whole product under faults: API server, operators and gateway are killed, stopped and restarted at random points of
//! a stream of changes. Afterwards the gateway must hold exactly what the cluster says, and nothing else may be touched.
//!
//! `E2E_FAULT_SEEDS=50 cargo test -p e2e --test faults -- --nocapture` runs longer, `E2E_FAULT_FIRST=7 E2E_FAULT_SEEDS=1`
//! one seed again. `tests/faults` has the many seeds that need no cluster.
#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::api_definition::keyless;
use e2e::fixtures::{prefix, rule};
use e2e::operator::binary;
use e2e::{Backend, ControlPlane, Operator, Scenario, apply, eventually};
use kube::api::DeleteParams;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::process::Command;
use tyk_ingress::sim::Failure;

const STEPS: usize = 8;
/// A change waits for an API server that is away.
const DOWN: Duration = Duration::from_secs(60);
/// Until everything is in step when the faults have ended: leases run out, and failed calls wait for their next turn.
const SETTLED: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_ends_with_exactly_what_the_cluster_says() -> Result<()> {
    let number = |name: &str, default| std::env::var(name).map_or(Ok(default), |text: String| text.parse::<u64>());
    let (first, seeds) = (number("E2E_FAULT_FIRST", 0)?, number("E2E_FAULT_SEEDS", 3)?);
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    let mut changes = 0;
    for seed in first..first + seeds {
        let run = run(seed).await.with_context(|| format!("seed {seed}"))?;
        changes += run.changes;
        for (kind, count) in run.faults {
            *faults.entry(kind).or_default() += count;
        }
    }
    println!(
        "{seeds} seeds, {changes} changes, {} faults:",
        faults.values().sum::<u64>()
    );
    for (kind, count) in faults {
        println!("  {count:4} {kind}");
    }
    println!("0 divergences");
    Ok(())
}

#[derive(Default)]
struct Run {
    changes: u64,
    faults: BTreeMap<&'static str, u64>,
}

/// What the cluster says: listen path or host and paths, and the backend behind.
#[derive(Default)]
struct Model {
    /// By name of the Ingress: host, and backend by path.
    ingresses: BTreeMap<String, (String, BTreeMap<String, usize>)>,
    /// By name of the ApiDefinition.
    definitions: BTreeMap<String, usize>,
    /// Names that are gone.
    gone: Vec<(String, String)>,
    made: u32,
}

struct World {
    scenario: Scenario,
    backends: [Backend; 2],
    operators: Vec<Operator>,
    random: StdRng,
    model: Model,
    run: Run,
    /// Whether the gateway still has what a stranger made there.
    stranger: bool,
}

async fn run(seed: u64) -> Result<Run> {
    let mut world = World::start(seed).await?;
    for _ in 0..STEPS {
        for _ in 0..world.random.random_range(1..5) {
            world.change().await?;
            world.run.changes += 1;
        }
        let kind = world.fault().await?;
        *world.run.faults.entry(kind).or_default() += 1;
        // So that the next change strikes at another point of what this one began.
        let pause = world.random.random_range(0..300);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    world.settle().await
}

impl World {
    async fn start(seed: u64) -> Result<Self> {
        let scenario = Scenario::without_operator(&format!("faults-{seed}")).await?;
        let backends = [scenario.backend("blue").await?, scenario.backend("green").await?];
        // Nobody's business here: an API of a stranger, and a definition in another namespace.
        let stranger = foreign(&scenario);
        scenario.gateway.create_api(&stranger).await?;
        scenario.gateway.reload().await?;
        let bystander = keyless("default", scenario.namespace(), "/bystander/", "http://127.0.0.1:9");
        scenario.apply(&bystander).await?;
        let mut world = Self {
            scenario,
            backends,
            operators: Vec::new(),
            random: StdRng::seed_from_u64(seed),
            model: Model::default(),
            run: Run::default(),
            stranger: true,
        };
        for _ in 0..2 {
            world.add_operator().await?;
        }
        Ok(world)
    }

    fn cluster(&self) -> &'static ControlPlane {
        self.scenario.cluster
    }

    /// Starts those again that have lost the lease, as the kubelet does. Anything else is no reason to end.
    async fn revive(&mut self) -> Result<()> {
        let mut at = 0;
        while let Some(operator) = self.operators.get_mut(at) {
            let Some(code) = operator.exit_code()? else {
                at += 1;
                continue;
            };
            let ended = self.operators.swap_remove(at);
            ensure!(
                code == 2 && ended.log().contains(" is lost: "),
                "exit code {code}: {}",
                ended.tail()
            );
            *self
                .run
                .faults
                .entry("operator ended because it had lost the lease")
                .or_default() += 1;
            self.add_operator().await?;
        }
        Ok(())
    }

    async fn add_operator(&mut self) -> Result<()> {
        let operator = Operator::spawn(self.cluster(), self.scenario.elected_config()?).await?;
        self.operators.push(operator);
        Ok(())
    }

    /// Makes, changes or deletes one object.
    async fn change(&mut self) -> Result<()> {
        let random = &mut self.random;
        let model = &mut self.model;
        let ingresses: Vec<_> = model.ingresses.keys().cloned().collect();
        let definitions: Vec<_> = model.definitions.keys().cloned().collect();
        match (
            random.random_range(0..10),
            ingresses.choose(random),
            definitions.choose(random),
        ) {
            (0..2, Some(name), _) => {
                if let Some((host, paths)) = model.ingresses.remove(name) {
                    model.gone.extend(paths.into_keys().map(|path| (host.clone(), path)));
                }
                let name = name.clone();
                self.delete("Ingress", &name).await
            }
            (2, _, Some(name)) => {
                model.definitions.remove(name);
                let name = name.clone();
                self.delete("ApiDefinition", &name).await
            }
            (3..5, Some(name), _) => {
                let name = name.clone();
                self.put_ingress(name).await
            }
            (5, _, Some(name)) => {
                let name = name.clone();
                self.put_definition(name).await
            }
            (6, _, _) => {
                model.made += 1;
                let name = format!("api-{}", model.made);
                self.put_definition(name).await
            }
            _ => {
                model.made += 1;
                let name = format!("web-{}", model.made);
                self.put_ingress(name).await
            }
        }
    }

    async fn put_ingress(&mut self, name: String) -> Result<()> {
        let host = self.scenario.host(&name);
        let count = self.random.random_range(1..4);
        let paths: BTreeMap<_, _> = (0..count)
            .map(|_| {
                let path = ["/", "/a", "/a/b", "/c"].choose(&mut self.random).unwrap_or(&"/");
                ((*path).to_owned(), self.random.random_range(0..self.backends.len()))
            })
            .collect();
        let wanted = paths
            .iter()
            .map(|(path, backend)| prefix(path, &self.backends[*backend]));
        let spec =
            json!({"ingressClassName": self.scenario.class(), "rules": [rule(&host, &wanted.collect::<Vec<_>>())]});
        let ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": spec,
            "metadata": {"name": name, "namespace": self.scenario.namespace()}});
        self.put(&ingress).await?;
        if let Some((_, before)) = self.model.ingresses.insert(name, (host.clone(), paths.clone())) {
            let left = before.into_keys().filter(|path| !paths.contains_key(path));
            self.model.gone.extend(left.map(|path| (host.clone(), path)));
        }
        Ok(())
    }

    async fn put_definition(&mut self, name: String) -> Result<()> {
        let backend = self.random.random_range(0..self.backends.len());
        let listen_path = self.listen_path(&name);
        let url = self.backends[backend].url();
        self.put(&keyless(self.scenario.namespace(), &name, &listen_path, &url))
            .await?;
        self.model.definitions.insert(name, backend);
        Ok(())
    }

    fn listen_path(&self, name: &str) -> String {
        format!("/{}/{name}/", self.scenario.namespace())
    }

    async fn put(&self, object: &Value) -> Result<()> {
        let client = self.scenario.client();
        eventually(DOWN, "the API server to take an object", async || {
            apply::object(&client, object).await.map(drop)
        })
        .await
    }

    async fn delete(&self, kind: &str, name: &str) -> Result<()> {
        let ingresses = self.scenario.ingresses();
        let definitions = self.scenario.api_definitions();
        eventually(DOWN, "the API server to delete an object", async || {
            let params = DeleteParams::default();
            let answer = match kind {
                "Ingress" => ingresses.delete(name, &params).await.map(drop),
                _ => definitions.delete(name, &params).await.map(drop),
            };
            match answer {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                answer => Ok(answer?),
            }
        })
        .await
    }

    async fn fault(&mut self) -> Result<&'static str> {
        self.revive().await?;
        let millis = Duration::from_millis(self.random.random_range(0..1500));
        let gateway = &self.scenario.gateway;
        let faults = gateway.faults();
        match (self.random.random_range(0..10), faults) {
            (0..2, _) => {
                self.cluster().restart_api_server(millis).await?;
                Ok("API server killed and restarted")
            }
            (2, _) => {
                self.cluster().pause_api_server(millis * 2).await?;
                Ok("API server stopped for a while")
            }
            (3, _) => {
                let which = self.random.random_range(0..self.operators.len());
                // One that has just lost the lease cannot be killed.
                let _ = self.operators.swap_remove(which).kill().await;
                self.add_operator().await?;
                Ok("operator killed")
            }
            (4, _) => {
                let which = self.random.random_range(0..self.operators.len());
                stopped(&mut self.operators.swap_remove(which)).await?;
                self.add_operator().await?;
                Ok("operator restarted")
            }
            (5, Some(_)) => {
                gateway.lose_everything(self.scenario.namespace()).await?;
                self.stranger = false;
                Ok("gateway replaced by an empty one")
            }
            (6, Some(_)) => {
                let apis = gateway.list_apis().await?;
                let ours: Vec<_> = apis.iter().filter_map(|api| api["api_id"].as_str()).collect();
                let ours: Vec<_> = ours.into_iter().filter(|id| !id.ends_with("-foreign")).collect();
                if let Some(id) = ours.choose(&mut self.random) {
                    gateway.delete_api(id).await?;
                    gateway.reload().await?;
                }
                Ok("API deleted by a stranger")
            }
            (7, Some((faults, apis))) => {
                faults.fail_next(3, "POST", apis, Failure::ResetAfter);
                Ok("writes cut after they were done")
            }
            (8, Some((faults, apis))) => {
                faults.fail_next(4, "POST", apis, Failure::Delay(millis));
                Ok("writes delayed")
            }
            (_, Some((faults, _))) => {
                faults.fail_next(3, "", "", Failure::Status(503));
                Ok("calls answered 503")
            }
            (_, None) => Ok("nothing"),
        }
    }

    async fn settle(mut self) -> Result<Run> {
        if let Some((faults, _)) = self.scenario.gateway.faults() {
            faults.clear();
        }
        let settled = eventually(SETTLED, "the gateway to hold what the cluster says", async || {
            self.revive().await?;
            self.in_step().await
        });
        let settled = settled.await;
        let logs = || {
            self.operators
                .iter()
                .map(Operator::tail)
                .collect::<Vec<_>>()
                .join("\n\n")
        };
        settled.with_context(logs)?;
        let bystander = e2e::api_definition::api(self.scenario.client(), "default");
        let bystander = bystander.get(self.scenario.namespace()).await?;
        ensure!(
            bystander.metadata.generation == Some(1),
            "a definition of another namespace was changed"
        );
        ensure!(bystander.metadata.finalizers.is_none(), "it was given a finalizer");
        for mut operator in std::mem::take(&mut self.operators) {
            stopped(&mut operator).await?;
        }
        Ok(self.run)
    }

    async fn in_step(&self) -> Result<()> {
        let apis = self.scenario.gateway.list_apis().await?;
        let (foreign, ours): (Vec<_>, Vec<_>) = apis.iter().partition(|api| is_foreign(api));
        ensure!(foreign.len() == usize::from(self.stranger), "foreign: {foreign:?}");
        let paths = self.model.ingresses.values().map(|(_, paths)| paths.len());
        let expected = paths.sum::<usize>() + self.model.definitions.len();
        ensure!(ours.len() == expected, "{} APIs for {expected} routes", ours.len());
        self.diff().await?;
        for (host, paths) in self.model.ingresses.values() {
            for (path, backend) in paths {
                self.expect(host, path, Some(*backend)).await?;
            }
        }
        for (name, backend) in &self.model.definitions {
            self.expect("any.test", &self.listen_path(name), Some(*backend)).await?;
        }
        for (host, path) in &self.model.gone {
            let of_it = self.model.ingresses.values().find(|(one, _)| one == host);
            let matching = of_it.and_then(|(_, paths)| longest(paths, path));
            self.expect(host, path, matching).await?;
        }
        Ok(())
    }

    async fn expect(&self, host: &str, path: &str, backend: Option<usize>) -> Result<()> {
        let answer = self.scenario.gateway.request(host, path).await?;
        let wanted = backend.map(|number| self.backends[number].service());
        ensure!(
            e2e::scenario::served_by(&answer) == wanted,
            "{host}{path}: {answer:?}, not {wanted:?}"
        );
        Ok(())
    }

    /// The product's own comparison of the cluster with the gateway finds nothing to do.
    async fn diff(&self) -> Result<()> {
        let mut command = Command::new(binary()?);
        let kubeconfig: PathBuf = self.cluster().admin_kubeconfig().to_owned();
        command.args(["diff", "--namespace", self.scenario.namespace()]);
        command.env_clear().env("KUBECONFIG", kubeconfig);
        let config = self.scenario.elected_config()?.env;
        command.envs(config.into_iter().filter(|(name, _)| name != "WATCH_NAMESPACE"));
        let output = command.output().await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(0),
            "diff ends with {:?}: {text}",
            output.status.code()
        );
        Ok(())
    }
}

/// Ends it. It may lose the lease at the same moment, or not have begun.
async fn stopped(operator: &mut Operator) -> Result<()> {
    let code = operator.end().await?;
    let lost = code == 2 && operator.log().contains(" is lost: ");
    let unborn = code == 128 + 15 && !operator.log().contains("starting");
    ensure!(code == 0 || lost || unborn, "exit code {code}: {}", operator.tail());
    Ok(())
}

/// The backend of the longest prefix of `path`, segment by segment.
fn longest(paths: &BTreeMap<String, usize>, path: &str) -> Option<usize> {
    let matches = |prefix: &str| prefix == "/" || path == prefix || path.starts_with(&format!("{prefix}/"));
    let found = paths.iter().filter(|(prefix, _)| matches(prefix));
    found
        .max_by_key(|(prefix, _)| prefix.len())
        .map(|(_, backend)| *backend)
}

fn foreign(scenario: &Scenario) -> Value {
    json!({"api_id": format!("{}-foreign", scenario.namespace()), "name": "foreign", "org_id": "theirs", "active": true,
        "use_keyless": true, "tags": ["as", "it", "was"],
        "proxy": {"listen_path": format!("/{}/foreign/", scenario.namespace()), "target_url": "http://127.0.0.1:9"},
        "version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default"}}}})
}

/// As it was made: nobody has written to it.
fn is_foreign(api: &Value) -> bool {
    api["name"] == "foreign" && api["org_id"] == "theirs" && api["tags"] == json!(["as", "it", "was"])
}
