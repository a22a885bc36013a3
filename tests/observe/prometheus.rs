//! The dashboard and the alerts on the metrics of a running operator: in Prometheus where that is installed, else by the
//! names in their expressions.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Command, Stdio};

use regex::Regex;
use serde_json::Value;

use crate::world::{World, free, program};

const CHART: &str = "charts/tyk-ingress";

fn text(name: &str) -> String {
    std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(CHART).join(name)).unwrap()
}

/// Expressions by panel, ready to be asked.
fn panels() -> BTreeMap<String, String> {
    let dashboard: Value = serde_json::from_str(&text("files/grafana-dashboard.json")).unwrap();
    let mut expressions = BTreeMap::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let name = format!(
                "{} {}",
                panel["title"].as_str().unwrap(),
                target["refId"].as_str().unwrap()
            );
            let expression = target["expr"].as_str().unwrap();
            let expression = expression.replace("$namespace", "tyk").replace("$tyk", ".*");
            expressions.insert(name, expression.replace("$__rate_interval", "20s"));
        }
    }
    assert!(expressions.len() > 15);
    expressions
}

/// Expressions by alert.
fn alerts() -> BTreeMap<String, String> {
    let rules = text("templates/prometheusrule.yaml");
    let alert = Regex::new(r"- alert: (\w+)\n\s+expr: (.+)\n").unwrap();
    let alerts: BTreeMap<_, _> = alert
        .captures_iter(&rules)
        .map(|found| {
            (
                found[1].to_owned(),
                found[2].replace("{{- $here -}}", "namespace=\"tyk\""),
            )
        })
        .collect();
    assert_eq!(alerts.len(), rules.matches("- alert:").count());
    alerts
}

/// Names of the metrics in an expression, and of the labels that it asks for by value.
fn selectors(expression: &str) -> Vec<(String, BTreeSet<String>)> {
    let metric = Regex::new(r"(tyk_ingress_\w+)(?:\{([^}]*)\})?").unwrap();
    let label = Regex::new(r#"(\w+)\s*(?:=~|!=|!~|=)\s*""#).unwrap();
    metric
        .captures_iter(expression)
        .map(|found| {
            let labels = found.get(2).map_or("", |labels| labels.as_str());
            (
                found[1].to_owned(),
                label.captures_iter(labels).map(|label| label[1].to_owned()).collect(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn expressions_name_metrics_and_labels_that_there_are() {
    let world = World::start(&[], &[]).await;
    let metrics = world.metrics_text().await;
    for (name, expression) in panels().into_iter().chain(alerts()) {
        for (metric, labels) in selectors(&expression) {
            let line = metrics
                .lines()
                .find(|line| line.starts_with(&format!("{metric}{{")) || line.starts_with(&format!("{metric} ")));
            let line = line.unwrap_or_else(|| panic!("{name}: there is no {metric} in\n{metrics}"));
            for label in labels.iter().filter(|label| *label != "namespace") {
                assert!(
                    line.contains(&format!("{label}=\"")),
                    "{name}: {metric} has no label {label}"
                );
            }
        }
    }
    let expiry =
        r#"tyk_ingress_certificate_expiry_timestamp_seconds{secret="shop-tls",secret_namespace="web"} 2208988800"#;
    assert!(metrics.contains(expiry), "{metrics}");
}

/// A running Prometheus that reads one operator.
struct Prometheus {
    url: String,
    child: Child,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    fn start(program: &std::path::Path, world: &World) -> Self {
        let (address, folder) = (free(), world.folder.path());
        let rules: String = alerts().into_iter().fold(
            "groups:\n- name: all\n  rules:\n".into(),
            |rules, (name, expression)| {
                format!(
                    "{rules}  - alert: {name}\n    expr: '{}'\n",
                    expression.replace('\'', "''")
                )
            },
        );
        std::fs::write(folder.join("rules.yaml"), rules).unwrap();
        let config = format!(
            "global: {{scrape_interval: 500ms, evaluation_interval: 1s}}\nrule_files: [rules.yaml]\nscrape_configs:\n\
             - job_name: tyk-ingress\n  static_configs: [{{targets: ['{}'], labels: {{namespace: tyk}}}}]\n",
            world.metrics
        );
        std::fs::write(folder.join("prometheus.yaml"), config).unwrap();
        let log = std::fs::File::create(folder.join("prometheus.log")).unwrap();
        let child = Command::new(program)
            .arg(format!("--config.file={}", folder.join("prometheus.yaml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        Self {
            url: format!("http://{address}"),
            child,
        }
    }

    /// The values that an expression has now, by their labels.
    async fn query(&self, world: &World, expression: &str) -> Option<BTreeMap<String, f64>> {
        let mut url = reqwest::Url::parse(&format!("{}/api/v1/query", self.url)).unwrap();
        url.query_pairs_mut().append_pair("query", expression);
        let answer = world.client().get(url).send().await.ok()?;
        let answer: Value = answer.json().await.ok()?;
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let all = answer["data"]["result"].as_array().unwrap().iter();
        Some(
            all.map(|one| {
                (
                    one["metric"].to_string(),
                    one["value"][1].as_str().unwrap().parse().unwrap(),
                )
            })
            .collect(),
        )
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_shows_data_and_alerts_fire() {
    let Some(program) = program(&["prometheus"]) else {
        eprintln!("no Prometheus: expressions are only checked by their names");
        return;
    };
    let world = World::start(&[], &[]).await;
    let prometheus = Prometheus::start(&program, &world);
    let mut left = panels();
    let mut shown = BTreeMap::new();
    for change in 0..200 {
        // Something has to change for there to be a latency to show, and somebody else has to meddle for drift.
        world.write("more.yaml", &more(change));
        meddle(&world).await;
        let mut still = BTreeMap::new();
        for (name, expression) in std::mem::take(&mut left) {
            let values = prometheus.query(&world, &expression).await.unwrap_or_default();
            match !values.is_empty() && values.values().all(|value| value.is_finite()) {
                true => drop(shown.insert(name, values)),
                false => drop(still.insert(name, expression)),
            }
        }
        left = still;
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    for (name, values) in &shown {
        println!("{name}: {values:?}");
    }
    assert!(left.is_empty(), "no data: {left:?}");
    // What is well must not alert, and the bad host must; what was meddled with is put right first.
    for (name, expression) in alerts() {
        let as_it_should = |values: &BTreeMap<String, f64>| match name.as_str() {
            "TykIngressNotServed" => values.keys().any(|labels| labels.contains("InvalidHost")),
            "TykIngressDrift" => true,
            _ => values.is_empty(),
        };
        world
            .eventually(&name, async |world| {
                let values = prometheus.query(world, &expression).await?;
                as_it_should(&values).then_some(())
            })
            .await;
    }
    world
        .gateway
        .faults()
        .fail_next(1000, "GET", "/tyk/apis", tyk_ingress::sim::Failure::Status(500));
    let down = &alerts()["TykIngressTykDown"];
    world
        .eventually("an alert", async |world| {
            let values = prometheus.query(world, down).await?;
            (!values.is_empty()).then_some(())
        })
        .await;
}

fn more(change: usize) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: more, namespace: web}}\nspec:\n  \
         ingressClassName: tyk\n  rules:\n  - host: more-{change}.example.com\n    http: {{paths: [{{path: /, pathType: \
         Prefix, backend: {{service: {{name: shop, port: {{number: 80}}}}}}}}]}}\n"
    )
}

/// Takes an API off the gateway, as a person would.
async fn meddle(world: &World) {
    let base = world.gateway.url();
    let with = |request: reqwest::RequestBuilder| request.header("x-tyk-authorization", world.gateway.secret());
    let listed = with(world.client().get(format!("{base}/tyk/apis")))
        .send()
        .await
        .unwrap();
    let apis: Vec<Value> = listed.json().await.unwrap_or_default();
    let Some(mut api) = apis.into_iter().find(|api| api["name"] == "pay") else {
        return;
    };
    api["proxy"]["target_url"] = "http://elsewhere.example.com".into();
    let id = api["api_id"].as_str().unwrap().to_owned();
    let put = with(world.client().put(format!("{base}/tyk/apis/{id}"))).json(&api);
    put.send().await.unwrap();
    with(world.client().get(format!("{base}/tyk/reload/?block=true")))
        .send()
        .await
        .unwrap();
}
