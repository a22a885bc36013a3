//! etcd, kube-apiserver and kube-controller-manager on free loopback ports.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use tokio::sync::{Mutex, OnceCell};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::eventually::eventually;
use crate::process::{Process, Spec};
use crate::{apply, assets, audit, pki, ports, run_dir};

/// Namespace of the product's service account in `manifests/rbac.yaml`.
pub const SYSTEM_NAMESPACE: &str = "tyk-ingress-system";

/// Name of the product's service account in `manifests/rbac.yaml`.
pub const SERVICE_ACCOUNT: &str = "tyk-ingress";

/// A cold machine with two cores needs about ten seconds.
const START_DEADLINE: Duration = Duration::from_secs(120);

/// A port can be taken by another process between its choice and its use.
const ATTEMPTS: usize = 3;

const CONTROLLERS: &str = "garbage-collector-controller,namespace-controller,serviceaccount-controller,\
                           root-ca-certificate-publisher-controller,endpointslice-controller";

static SHARED: OnceCell<Result<ControlPlane, String>> = OnceCell::const_new();

/// A running Kubernetes control plane. Dropping it ends its processes.
#[derive(Debug)]
pub struct ControlPlane {
    dir: PathBuf,
    kubeconfig: PathBuf,
    authority: String,
    url: String,
    started_in: Duration,
    // Ended in this order: who depends on another goes first.
    _controller_manager: Process,
    api_server: Mutex<ApiServer>,
    _etcd: Process,
}

/// kube-apiserver, and how to start it again.
#[derive(Debug)]
struct ApiServer {
    process: Process,
    programs: PathBuf,
    args: Vec<OsString>,
}

impl ControlPlane {
    /// The control plane that all tests of one binary share.
    ///
    /// # Errors
    /// When it could not be started; every caller gets the same error.
    pub async fn shared() -> Result<&'static Self> {
        let start = || async { Self::start().await.map_err(|error| format!("{error:#}")) };
        SHARED
            .get_or_init(start)
            .await
            .as_ref()
            .map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// Starts a control plane and applies the product's `manifests/`.
    ///
    /// # Errors
    /// With the end of the log of the process that failed.
    pub async fn start() -> Result<Self> {
        let programs = spawn_blocking(assets::locate)
            .await
            .context("the search for assets panicked")??;
        let mut attempt = 1;
        loop {
            match Self::start_in(&programs, run_dir::fresh("control-plane")?).await {
                Err(error) if attempt < ATTEMPTS && format!("{error:#}").contains("address already in use") => {
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    async fn start_in(programs: &Path, dir: PathBuf) -> Result<Self> {
        let begin = Instant::now();
        let [client_port, peer_port, api_port] = ports::free()?;
        let url = format!("https://127.0.0.1:{api_port}");
        let files = Files::write(&dir, &url)?;
        let mut etcd = spawn(programs, &dir, "etcd", etcd_args(&dir, client_port, peer_port))?;
        let args = api_server_args(&dir, client_port, api_port);
        let mut api_server = spawn(programs, &dir, "kube-apiserver", args.clone())?;
        let client = client(&files.kubeconfig).await?;
        eventually(START_DEADLINE, "kube-apiserver to be ready", async || {
            // No look at a port that belongs to somebody else by now.
            etcd.ensure_running()?;
            api_server.ensure_running()?;
            ready(&client).await.with_context(|| api_server.tail())
        })
        .await?;
        // The garbage collector looks for new kinds only every 30 s: it starts when ours are there.
        apply::product_manifests(&client).await?;
        let mut controller_manager = spawn(programs, &dir, "kube-controller-manager", manager_args(&dir))?;
        eventually(START_DEADLINE, "kube-controller-manager to work", async || {
            controller_manager.ensure_running()?;
            let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
            accounts
                .get("default")
                .await
                .map(drop)
                .with_context(|| controller_manager.tail())
        })
        .await?;
        Ok(Self {
            dir,
            kubeconfig: files.kubeconfig,
            authority: files.authority,
            url,
            started_in: begin.elapsed(),
            _controller_manager: controller_manager,
            api_server: Mutex::new(ApiServer {
                process: api_server,
                programs: programs.to_owned(),
                args,
            }),
            _etcd: etcd,
        })
    }

    /// How long the start took.
    #[must_use]
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// Folder of logs and kubeconfigs.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A kubeconfig that may do everything.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A client that may do everything.
    ///
    /// Every call makes a new one, because a client's connections end with the runtime (the test) that it was made in.
    ///
    /// # Errors
    /// When the kubeconfig cannot be read.
    pub async fn admin(&self) -> Result<Client> {
        client(&self.kubeconfig).await
    }

    /// Ends the API server with SIGKILL, and starts it again after `down`. What it had stored is there again.
    ///
    /// # Errors
    /// When it does not become ready, with the end of its log.
    pub async fn restart_api_server(&self, down: Duration) -> Result<()> {
        let mut server = self.api_server.lock().await;
        server.process.signal("KILL")?;
        server.process.wait(START_DEADLINE).await?;
        sleep(down).await;
        server.process = spawn(&server.programs, &self.dir, "kube-apiserver", server.args.clone())?;
        let client = self.admin().await?;
        eventually(START_DEADLINE, "kube-apiserver to be ready again", async || {
            server.process.ensure_running()?;
            ready(&client).await.with_context(|| server.process.tail())
        })
        .await
    }

    /// Stops the API server for a while: connections stay, and nobody answers.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn pause_api_server(&self, pause: Duration) -> Result<()> {
        let mut server = self.api_server.lock().await;
        server.process.signal("STOP")?;
        sleep(pause).await;
        server.process.signal("CONT")
    }

    /// Applies every document of a YAML text on the server side, as the admin.
    ///
    /// # Errors
    /// When a document is no Kubernetes object, its kind is unknown, or the API server refuses it.
    pub async fn apply(&self, yaml: &str) -> Result<()> {
        apply::yaml(&self.admin().await?, yaml).await
    }

    /// Writes a kubeconfig with a token of a service account and returns its path.
    ///
    /// # Errors
    /// When there is no such service account.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin().await?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(3600),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(name, &kube::api::PostParams::default(), &request)
            .await
            .with_context(|| format!("no token for the service account {namespace}/{name}"))?;
        let token = answer.status.context("a token request without an answer")?.token;
        let path = run_dir::fresh("kubeconfig")?.join("kubeconfig");
        run_dir::write_private(&path, &kubeconfig(&self.url, &self.authority, &token)?)?;
        Ok(path)
    }
}

/// A client for a kubeconfig file.
///
/// # Errors
/// When the file is no kubeconfig.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).context("not a kubeconfig")?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Client::try_from(config).context("cannot make a Kubernetes client")
}

async fn ready(client: &Client) -> Result<()> {
    let request = hyper::Request::get("/readyz").body(Vec::new())?;
    let answer = client.request_text(request).await?;
    ensure!(answer == "ok", "/readyz answers {answer:?}");
    Ok(())
}

struct Files {
    kubeconfig: PathBuf,
    authority: String,
}

impl Files {
    fn write(dir: &Path, url: &str) -> Result<Self> {
        let serving = pki::server_certificate(&["localhost", "kubernetes.default.svc"])?;
        let signing = pki::signing_key()?;
        let token = format!("{:032x}", rand::random::<u128>());
        for (name, content) in [
            ("ca.crt", &serving.authority),
            ("server.crt", &serving.certificate),
            ("server.key", &serving.key),
            ("service-account.key", &signing.private),
            ("service-account.pub", &signing.public),
            ("tokens.csv", &format!("{token},admin,admin,system:masters\n")),
            ("kubeconfig", &kubeconfig(url, &serving.authority, &token)?),
            ("audit-policy.json", &audit::policy().to_string()),
        ] {
            run_dir::write_private(&dir.join(name), content)?;
        }
        Ok(Self {
            kubeconfig: dir.join("kubeconfig"),
            authority: serving.authority,
        })
    }
}

/// A kubeconfig as JSON, which is YAML.
fn kubeconfig(url: &str, authority: &str, token: &str) -> Result<String> {
    use base64::Engine;
    let authority = base64::engine::general_purpose::STANDARD.encode(authority);
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "e2e", "cluster": {"server": url, "certificate-authority-data": authority}}],
        "users": [{"name": "e2e", "user": {"token": token}}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}],
        "current-context": "e2e",
    });
    serde_json::to_string_pretty(&config).context("cannot write a kubeconfig")
}

fn spawn(programs: &Path, dir: &Path, name: &str, args: Vec<OsString>) -> Result<Process> {
    let program = programs.join(name);
    if !program.is_file() {
        bail!("{} is missing", program.display());
    }
    let remove = (name == "etcd").then(|| dir.join("etcd"));
    Process::spawn(Spec {
        program,
        args,
        env: Vec::new(),
        log: dir.join(format!("{name}.log")),
        remove,
    })
}

fn etcd_args(dir: &Path, client_port: u16, peer_port: u16) -> Vec<OsString> {
    let client = format!("http://127.0.0.1:{client_port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    vec![
        flag("--data-dir", dir.join("etcd")),
        flag("--listen-client-urls", &client),
        flag("--advertise-client-urls", &client),
        flag("--listen-peer-urls", &peer),
        flag("--initial-advertise-peer-urls", &peer),
        flag("--initial-cluster", format!("default={peer}")),
        // The data lives as long as the test.
        "--unsafe-no-fsync".into(),
        flag("--log-level", "warn"),
    ]
}

fn api_server_args(dir: &Path, etcd_port: u16, port: u16) -> Vec<OsString> {
    vec![
        flag("--etcd-servers", format!("http://127.0.0.1:{etcd_port}")),
        flag("--bind-address", "127.0.0.1"),
        flag("--advertise-address", "127.0.0.1"),
        flag("--secure-port", port.to_string()),
        flag("--tls-cert-file", dir.join("server.crt")),
        flag("--tls-private-key-file", dir.join("server.key")),
        flag("--token-auth-file", dir.join("tokens.csv")),
        flag("--authorization-mode", "RBAC"),
        // As on OpenShift: whoever names an owner that blocks must have the right to.
        flag("--enable-admission-plugins", "OwnerReferencesPermissionEnforcement"),
        flag("--service-account-issuer", "https://kubernetes.default.svc"),
        flag("--service-account-key-file", dir.join("service-account.pub")),
        flag("--service-account-signing-key-file", dir.join("service-account.key")),
        flag("--service-cluster-ip-range", "10.0.0.0/24"),
        flag("--audit-policy-file", dir.join("audit-policy.json")),
        flag("--audit-log-path", dir.join(audit::LOG)),
        // Endpoints may not be loopback addresses, and nothing here runs in a pod.
        flag("--endpoint-reconciler-type", "none"),
    ]
}

fn manager_args(dir: &Path) -> Vec<OsString> {
    vec![
        flag("--kubeconfig", dir.join("kubeconfig")),
        flag("--controllers", CONTROLLERS),
        flag("--root-ca-file", dir.join("ca.crt")),
        flag("--leader-elect", "false"),
        flag("--secure-port", "0"),
    ]
}

fn flag(name: &str, value: impl Into<OsString>) -> OsString {
    let mut flag = OsString::from(name);
    flag.push("=");
    flag.push(value.into());
    flag
}
