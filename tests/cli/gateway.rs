//! A simulated gateway beside the program under test, and the calls that an administrator of it would make.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::runtime::Runtime;
use tyk_ingress::sim;
use tyk_ingress::tyk::Endpoint;
use tyk_ingress::tyk::gateway::Gateway;

use crate::program::{Ended, command, ended, runtime};

/// Secret of the control API.
pub const SECRET: &str = "gateway-hunter2";

/// A gateway that ends with the test.
pub struct Tyk {
    runtime: Runtime,
    sim: sim::Gateway,
    client: Gateway,
}

impl Tyk {
    pub fn start() -> Self {
        let runtime = runtime();
        let config = sim::Config {
            secret: SECRET.into(),
            reload_interval: Duration::from_millis(20),
            ..Default::default()
        };
        let sim = runtime.block_on(sim::Gateway::start(config)).unwrap();
        let client = Gateway::new(Endpoint::new(sim.url(), SECRET)).unwrap();
        Self { runtime, sim, client }
    }

    /// Writes APIs, documents and policies, and loads them.
    pub fn fill(&self, apis: &[Value], documents: &[Value], policies: &[Value]) {
        self.runtime.block_on(async {
            for api in apis {
                self.client.put_api(api).await.unwrap();
            }
            for document in documents {
                self.client.put_oas(document).await.unwrap();
            }
            for policy in policies {
                self.client.put_policy(policy).await.unwrap();
            }
            self.client.reload().await.unwrap();
        });
    }

    /// All that it holds: APIs, documents, policies.
    pub fn held(&self) -> [BTreeMap<String, Value>; 3] {
        self.runtime.block_on(async {
            [
                self.client.list_apis().await.unwrap(),
                self.client.list_oas().await.unwrap(),
                self.client.list_policies().await.unwrap(),
            ]
        })
    }

    /// The calls that changed something.
    pub fn writes(&self) -> usize {
        self.sim.calls().iter().filter(|call| call.method != "GET").count()
    }

    /// Runs the program to its end against this gateway.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = command();
        command
            .env("TYK_URL", self.sim.url())
            .env("TYK_AUTH", SECRET)
            .args(arguments);
        ended(&mut command)
    }

    /// Runs the controller on a folder until `diff` finds nothing left to do.
    pub fn apply(&self, folder: &str) {
        self.apply_under("", folder);
    }

    /// The same for an organisation.
    pub fn apply_under(&self, org: &str, folder: &str) {
        let diff = ["diff", "--tyk-org", org, "-f", folder];
        let mut command = command();
        let command = command
            .env("TYK_URL", self.sim.url())
            .env("TYK_AUTH", SECRET)
            .args([
                "run",
                "--tyk-org",
                org,
                "--manifests",
                folder,
                "--listen",
                "127.0.0.1:0",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut controller = command.spawn().unwrap();
        let start = Instant::now();
        let mut last = self.run(&diff);
        while last.code != Some(0) && start.elapsed() < Duration::from_secs(30) {
            last = self.run(&diff);
        }
        controller.kill().unwrap();
        controller.wait().unwrap();
        assert_eq!(last.code, Some(0), "{}{}", last.out, last.err);
    }
}
