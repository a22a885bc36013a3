//! `/debug`, the tokens, and what they never tell.

use reqwest::Method;
use serde_json::json;

use crate::world::{SECRETS, World};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_can_be_read_holds_a_secret() {
    let world = World::start(&[], &[("RUST_LOG", "trace")]).await;
    let gateway = world.gateway.secret().to_owned();
    assert_eq!(gateway, "foo", "too short to be looked for");
    let key = std::fs::read_to_string(world.folder.path().join("manifests/tls.yaml")).unwrap();
    let key = key
        .lines()
        .skip_while(|line| !line.contains("tls.key"))
        .nth(2)
        .unwrap()
        .trim()
        .to_owned();
    let metrics = world.metrics_text().await;
    let mut texts = vec![("metrics", metrics)];
    for path in [
        "/",
        "/debug/snapshot",
        "/debug/desired",
        "/debug/plan",
        "/debug/diagnostics",
        "/debug/log-level",
    ] {
        let answer = world.get(&format!("{}{path}", world.page)).await;
        assert_eq!(answer.status(), 200, "{path}");
        texts.push((path, answer.text().await.unwrap()));
    }
    // The log holds what led here, at the finest level of every library.
    texts.push(("log", world.log()));
    for (name, text) in texts {
        assert!(!text.is_empty(), "{name}");
        for secret in SECRETS.iter().copied().chain([key.as_str()]) {
            assert!(!text.contains(secret), "{secret} in {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn debug_tells_what_is_there_and_what_is_wrong() {
    let world = World::start(&[], &[]).await;
    let snapshot = world.json("/debug/snapshot?kind=Ingress").await;
    assert_eq!(
        snapshot["Ingress"]["web/shop"]["spec"]["rules"][0]["host"],
        "shop.example.com"
    );
    let desired = world.json("/debug/desired").await;
    assert_eq!(desired["tyks"][0]["apis"].as_object().unwrap().len(), 5, "{desired:#}");
    let plan = world
        .eventually("a round without anything to do", async |world| {
            let plan = world.json("/debug/plan").await;
            (plan[0]["apis"]["write"] == json!({})).then_some(plan)
        })
        .await;
    assert_eq!(
        (&plan[0]["error"], &plan[0]["apis"]["unchanged"]),
        (&json!(null), &json!(5)),
        "{plan:#}"
    );
    let diagnostics = world.json("/debug/diagnostics").await;
    let bad = diagnostics
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["code"] == "InvalidHost")
        .unwrap();
    assert_eq!(bad["object"], "Ingress web/shop");
    assert!(bad["hint"].as_str().unwrap().ends_with('.'));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_explains_a_request() {
    let world = World::start(&[], &[("TYK_INGRESS_DEBUG_TOKEN", "planted-token")]).await;
    let explain = |token: &str, request: &str| {
        let arguments = ["explain", "--controller", &world.page, "--request", request];
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_tyk-ingress"))
            .args(arguments)
            .env("TYK_INGRESS_DEBUG_TOKEN", token)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text)
    };
    let (code, text) = explain("planted-token", "GET http://shop.example.com/api/v1");
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("answered by  Ingress web/shop spec.rules[0].http.paths[1]"),
        "{text}"
    );
    assert!(
        text.contains("second       Ingress web/shop spec.rules[0].http.paths[0]"),
        "{text}"
    );
    let (code, text) = explain("planted-token", "GET http://shop.example.com/pay/x");
    assert!(code == Some(0) && !text.contains("planted-user"), "{text}");
    let (code, text) = explain("planted-token", "GET http://nobody.example.com/");
    assert_eq!(code, Some(1), "{text}");
    let (code, text) = explain("wrong", "GET http://shop.example.com/");
    assert!(code == Some(2) && text.contains("TYK_INGRESS_DEBUG_TOKEN"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_opens_the_page_and_another_one_the_metrics() {
    let tokens = [
        ("TYK_INGRESS_DEBUG_TOKEN", "planted-token"),
        ("TYK_INGRESS_METRICS_TOKEN", "other-token"),
    ];
    let world = World::start(&[], &tokens).await;
    let metrics = format!("http://{}/metrics", world.metrics);
    let plan = format!("{}/debug/plan", world.page);
    let none = world.get(&plan).await;
    assert_eq!(none.status(), 401);
    assert!(
        none.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Basic")
    );
    let status = async |url: &str, token: &str| {
        world
            .client()
            .get(url)
            .bearer_auth(token)
            .send()
            .await
            .unwrap()
            .status()
    };
    assert_eq!(status(&plan, "planted-token").await, 200);
    assert_eq!(status(&plan, "other-token").await, 401);
    let browser = world.client().get(&world.page).basic_auth("me", Some("planted-token"));
    assert_eq!(browser.send().await.unwrap().status(), 200);
    assert_eq!(world.get(&metrics).await.status(), 401);
    assert_eq!(status(&metrics, "other-token").await, 200);
    assert!(!world.log().contains("planted-token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_a_name_of_the_web_is_refused() {
    let world = World::start(&[], &[]).await;
    let request = world.client().get(&world.page).header("host", "evil.example");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 403);
    let headers = world.get(&world.page).await.headers().clone();
    assert!(
        headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    assert_eq!(headers["cache-control"], "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_costs_only_the_page() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let world = World::start(&[], &[]).await;
    // The second operator has the same gateway; it only has to become ready.
    let metrics = crate::world::free();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_tyk-ingress"))
        .args(["run", "--owner=second", "--listen", &metrics, "--manifests"])
        .arg(world.folder.path().join("manifests"))
        .arg(format!("--debug-listen={address}"))
        .envs([
            ("TYK_URL", world.gateway.url().as_str()),
            ("TYK_AUTH", world.gateway.secret()),
        ])
        .stderr(std::fs::File::create(world.folder.path().join("second")).unwrap())
        .spawn()
        .unwrap();
    let ready = format!("http://{metrics}/livez");
    let alive = async |world: &World| {
        world
            .client()
            .get(&ready)
            .send()
            .await
            .ok()
            .map(|answer| answer.status())
    };
    let status = world.eventually("the second operator", alive).await;
    let log = std::fs::read_to_string(world.folder.path().join("second")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(status, 200);
    assert!(log.contains("there is no status page"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_level_changes_while_it_runs() {
    let world = World::start(&["--log-format=json"], &[]).await;
    let finer = |log: &str| {
        log.lines()
            .any(|line| line.contains("\"level\":\"DEBUG\"") || line.contains("\"level\":\"TRACE\""))
    };
    assert!(!finer(&world.log()));
    assert_eq!(world.text("/debug/log-level").await, "kube=warn,info\n");
    let (status, message) = world
        .send(Method::PUT, "/debug/log-level", "tyk_ingress=nonsense")
        .await;
    assert_eq!(status, 400, "{message}");
    assert_eq!(world.send(Method::PUT, "/debug/log-level", "").await.0, 400);
    assert_eq!(
        world.send(Method::PUT, "/debug/log-level", "trace").await,
        (200, "trace\n".into())
    );
    world
        .eventually("finer lines", async |world| finer(&world.log()).then_some(()))
        .await;
}
