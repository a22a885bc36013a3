//! The harness itself, without the product: what the other tests stand on.
#![allow(clippy::unwrap_used)]

use std::io::{Write, stdout};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use e2e::http::Call;
use e2e::process::{Process, Spec};
use e2e::{
    ControlPlane, Echo, GatewayUnderTest, PATIENCE, control_plane, eventually, fixtures, gateway,
    run_dir,
};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service};
use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

async fn namespace(name: &str) -> Result<(Client, String)> {
    let cluster = ControlPlane::shared().await?;
    let yaml = format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n");
    cluster.apply(&yaml).await?;
    Ok((cluster.admin().await?, name.to_owned()))
}

fn config_map(namespace: &str, name: &str, owner: Option<&ConfigMap>) -> ConfigMap {
    let owners: Vec<Value> = owner
        .iter()
        .map(|owner| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": owner.name_any(), "uid": owner.uid()}))
        .collect();
    serde_json::from_value(json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "ownerReferences": owners}}))
    .unwrap()
}

async fn gone<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: kube::Resource + Clone + std::fmt::Debug + for<'de> serde::Deserialize<'de>,
{
    eventually(
        PATIENCE,
        &format!("{name} to be gone"),
        async || match api.get_opt(name).await? {
            None => Ok(()),
            Some(object) => bail!("it is still there: {:?}", object.meta()),
        },
    )
    .await
}

#[tokio::test]
async fn two_control_planes_run_side_by_side() -> Result<()> {
    let shared = ControlPlane::shared().await?;
    let other = ControlPlane::start().await?;
    writeln!(
        stdout(),
        "control planes started in {:?} and {:?}",
        shared.started_in(),
        other.started_in()
    )?;
    other
        .apply("{apiVersion: v1, kind: Namespace, metadata: {name: only-here}}")
        .await?;
    let here: Api<Namespace> = Api::all(other.admin().await?);
    let there: Api<Namespace> = Api::all(shared.admin().await?);
    assert!(here.get_opt("only-here").await?.is_some());
    assert!(there.get_opt("only-here").await?.is_none());

    let client = other.admin().await?;
    let etcd = other.dir().join("etcd");
    assert!(etcd.is_dir());
    drop(other);
    assert!(
        client.apiserver_version().await.is_err(),
        "the API server outlived its control plane"
    );
    assert!(!etcd.exists(), "etcd's data outlived its control plane");
    Ok(())
}

#[tokio::test]
async fn files_are_readable_by_their_owner_only() -> Result<()> {
    let dir = ControlPlane::shared().await?.dir();
    assert_eq!(dir.metadata()?.permissions().mode() & 0o777, 0o700);
    for name in [
        "server.key",
        "service-account.key",
        "tokens.csv",
        "kubeconfig",
        "kube-apiserver.log",
    ] {
        assert_eq!(
            dir.join(name).metadata()?.permissions().mode() & 0o777,
            0o600,
            "{name}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_service_account_has_the_rights_of_its_role_and_no_more() -> Result<()> {
    let (_, namespace) = namespace("rights").await?;
    let cluster = ControlPlane::shared().await?;
    cluster
        .apply(&format!(
            "{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: reader, namespace: {namespace}}}}}
---
{{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {{name: reader, namespace: {namespace}}},
  rules: [{{apiGroups: [''], resources: [configmaps], verbs: [list]}}]}}
---
{{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: reader, namespace: {namespace}}},
  roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}},
  subjects: [{{kind: ServiceAccount, name: reader, namespace: {namespace}}}]}}"
        ))
        .await?;
    let kubeconfig = cluster
        .service_account_kubeconfig(&namespace, "reader")
        .await?;
    assert_eq!(kubeconfig.metadata()?.permissions().mode() & 0o777, 0o600);
    let client = control_plane::client(&kubeconfig).await?;

    let reviews: Api<SelfSubjectReview> = Api::all(client.clone());
    let review = reviews
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await?;
    let user = review
        .status
        .and_then(|status| status.user_info)
        .and_then(|user| user.username);
    assert_eq!(
        user,
        Some(format!("system:serviceaccount:{namespace}:reader"))
    );

    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    eventually(PATIENCE, "the role to be in force", async || {
        Ok(maps.list(&ListParams::default()).await?)
    })
    .await?;
    let secrets: Api<Secret> = Api::namespaced(client, &namespace);
    let refusal = secrets
        .list(&ListParams::default())
        .await
        .map(|list| list.items.len());
    assert!(
        matches!(&refusal, Err(kube::Error::Api(status)) if status.code == 403),
        "{refusal:?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_owned_object_is_collected_with_its_owner() -> Result<()> {
    let (client, namespace) = namespace("collected").await?;
    let maps: Api<ConfigMap> = Api::namespaced(client, &namespace);
    let owner = maps
        .create(
            &PostParams::default(),
            &config_map(&namespace, "owner", None),
        )
        .await?;
    maps.create(
        &PostParams::default(),
        &config_map(&namespace, "child", Some(&owner)),
    )
    .await?;
    maps.create(
        &PostParams::default(),
        &config_map(&namespace, "stranger", None),
    )
    .await?;
    maps.delete("owner", &DeleteParams::default()).await?;
    gone(&maps, "child").await?;
    assert!(maps.get_opt("stranger").await?.is_some());
    Ok(())
}

#[tokio::test]
async fn a_deleted_namespace_goes_with_its_objects() -> Result<()> {
    let (client, namespace) = namespace("goes").await?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    maps.create(
        &PostParams::default(),
        &config_map(&namespace, "inside", None),
    )
    .await?;
    let namespaces: Api<Namespace> = Api::all(client);
    namespaces
        .delete(&namespace, &DeleteParams::default())
        .await?;
    gone(&namespaces, &namespace).await?;
    assert!(maps.get_opt("inside").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn apply_makes_a_custom_kind_usable_in_the_same_text() -> Result<()> {
    let (client, namespace) = namespace("custom").await?;
    let cluster = ControlPlane::shared().await?;
    let definition = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.e2e.example}
spec:
  group: e2e.example
  scope: Namespaced
  names: {kind: Gadget, plural: gadgets}
  versions:
  - {name: v1, served: true, storage: true,
     schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
";
    let gadget = |size: u8| {
        format!(
            "---\n{{apiVersion: e2e.example/v1, kind: Gadget, metadata: {{name: g, namespace: {namespace}}}, spec: {{size: {size}}}}}"
        )
    };
    cluster.apply(&(definition.to_owned() + &gadget(1))).await?;
    cluster.apply(&gadget(2)).await?;
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("e2e.example", "v1", "Gadget"));
    let gadgets: Api<DynamicObject> = Api::namespaced_with(client, &namespace, &kind);
    assert_eq!(gadgets.get("g").await?.data["spec"]["size"], 2);

    let refused = cluster
        .apply("{apiVersion: v1, kind: Namespace, metadata: {name: Not_A_Name}}")
        .await;
    assert!(format!("{:#}", refused.unwrap_err()).contains("Namespace Not_A_Name"));
    Ok(())
}

#[tokio::test]
async fn an_external_name_service_may_be_a_loopback_address_and_leads_to_an_echo() -> Result<()> {
    let (client, namespace) = namespace("external").await?;
    let echo = Echo::start("blue").await?;
    e2e::apply::object(
        &client,
        &fixtures::external_service("blue", &namespace, echo.port()),
    )
    .await?;
    let services: Api<Service> = Api::namespaced(client, &namespace);
    let spec = services.get("blue").await?.spec.unwrap();
    let url = format!(
        "http://{}:{}",
        spec.external_name.unwrap(),
        spec.ports.unwrap()[0].port
    );

    let mut call = Call::get(&url, "/a%2Fb//c/../d?x=1");
    call.headers.push(("host", "shop.example".to_owned()));
    let answer = call.send().await?;
    assert_eq!(e2e::scenario::served_by(&answer), Some("blue"));
    let seen = answer.json()?;
    assert_eq!(
        (&seen["path"], &seen["headers"]["host"]),
        (&"/a%2Fb//c/../d?x=1".into(), &"shop.example".into())
    );
    Ok(())
}

#[tokio::test]
async fn the_gateway_serves_lists_and_forgets_an_api() -> Result<()> {
    let mark = format!("{}harness", gateway::MARK);
    let gateway = GatewayUnderTest::start().await?;
    let echo = Echo::start("blue").await?;
    let host = format!("{mark}.test");
    let api = json!({
        "api_id": mark, "name": mark, "org_id": "e2e", "active": true, "use_keyless": true, "domain": host,
        "version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default"}}},
        "proxy": {"listen_path": "/", "target_url": format!("http://127.0.0.1:{}", echo.port())},
    });
    gateway.create_api(&api).await?;
    gateway.reload().await?;
    assert_eq!(
        e2e::scenario::served_by(&gateway.request(&host, "/x").await?),
        Some("blue")
    );
    assert_eq!(gateway.request("other.test", "/x").await?.status, 404);
    assert_eq!(gateway.list_marked(&mark).await?.len(), 1);
    gateway.clear(&mark).await?;
    assert_eq!(gateway.request(&host, "/x").await?.status, 404);
    gateway.create_api(&api).await?;
    gateway.reload().await?;
    gateway.lose_everything(&mark).await?;
    assert!(gateway.list_marked(&mark).await?.is_empty());
    assert!(gateway.delete_api(&mark).await.is_err());
    Ok(())
}

fn shell(script: &str) -> Result<Process> {
    let dir = run_dir::fresh("shell")?;
    let args = vec!["-c".into(), script.into()];
    Process::spawn(Spec {
        program: "/bin/sh".into(),
        args,
        log: dir.join("log"),
        ..Spec::default()
    })
}

#[tokio::test]
async fn a_process_gets_its_signals_and_its_exit_code_comes_back() -> Result<()> {
    let mut process = shell("trap 'exit 7' TERM; sleep 60 & echo up; wait")?;
    eventually(PATIENCE, "the trap to be set", async || {
        ensure!(
            process.log().contains("up"),
            "the log is {:?}",
            process.log()
        );
        Ok(())
    })
    .await?;
    process.signal("TERM")?;
    assert_eq!(process.wait(PATIENCE).await?, 7);

    let mut failing = shell("echo why; exit 3")?;
    assert_eq!(failing.wait(PATIENCE).await?, 3);
    assert!(format!("{:#}", failing.ensure_running().unwrap_err()).contains("why"));
    Ok(())
}

#[tokio::test]
async fn a_dropped_process_is_killed() -> Result<()> {
    let process = shell("trap '' TERM; echo $$; while :; do sleep 1; done")?;
    let pid = eventually(PATIENCE, "the process to tell its id", async || {
        Ok(process.log().trim().parse::<u32>()?)
    })
    .await?;
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    drop(process);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    Ok(())
}

#[tokio::test]
async fn waiting_ends_with_what_and_the_last_observation() {
    let mut count = 0;
    let result: Result<()> = eventually(Duration::from_millis(200), "the impossible", async || {
        count += 1;
        bail!("look {count}")
    })
    .await;
    let message = format!("{:#}", result.unwrap_err());
    assert!(
        message.contains("the impossible") && message.contains("look"),
        "{message}"
    );
}
