//! Flags and environment as typed structs. Names of the environment are Tyk Operator's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{ArgAction, Args};

use crate::api::{Mode, names};
use crate::desired::GatewayService;
use crate::ingress::HttpForTlsHosts;
use crate::report::Address;
use crate::secret::Secret;
use crate::snapshot::NamespacedName;
use crate::tyk::Endpoint;
use crate::{desired, ingress, nginx};

/// What a context that does not say who may use it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CrossNamespaceContexts {
    /// Resources of every namespace, as with Tyk Operator; each is warned.
    Allow,
    /// Resources of its own namespace.
    Deny,
}

/// The Tyk that is configured.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Tyk")]
pub struct Tyk {
    /// Kind of Tyk behind the URL: `ce`, the open-source gateway, or `pro`, the Tyk Dashboard [env: TYK_MODE]
    #[arg(
        long = "tyk-mode",
        env = "TYK_MODE",
        default_value = "ce",
        hide_env = true,
        value_parser = mode
    )]
    pub mode: Mode,
    /// Base URL of the control API of the gateway or the Dashboard [env: TYK_URL]
    #[arg(long = "tyk-url", env = "TYK_URL", hide_env = true, value_parser = base_url)]
    pub url: Option<String>,
    /// Secret of the gateway, or API access key of a Dashboard's user; better given by the environment [env: TYK_AUTH]
    #[arg(long = "tyk-auth", env = "TYK_AUTH", hide_env = true, value_parser = secret)]
    pub auth: Option<Secret>,
    /// Organisation of APIs that name none [env: TYK_ORG]
    #[arg(long = "tyk-org", env = "TYK_ORG", hide_env = true, default_value = "")]
    pub org: String,
    /// Ids of users of the Dashboard that own what is created, separated by commas [env: TYK_USER_OWNERS]
    #[arg(
        long = "tyk-user-owners",
        env = "TYK_USER_OWNERS",
        hide_env = true,
        default_value = ""
    )]
    pub user_owners: String,
    /// Ids of groups of users of the Dashboard that own what is created, separated by commas [env: TYK_USER_GROUP_OWNERS]
    #[arg(
        long = "tyk-user-group-owners",
        env = "TYK_USER_GROUP_OWNERS",
        hide_env = true,
        default_value = ""
    )]
    pub user_group_owners: String,
    /// Trust any certificate of the control API [env: TYK_TLS_INSECURE_SKIP_VERIFY]
    #[arg(
        long = "tyk-tls-insecure-skip-verify",
        env = "TYK_TLS_INSECURE_SKIP_VERIFY",
        hide_env = true,
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        value_parser = insecure_skip_verify
    )]
    pub insecure_skip_verify: bool,
    /// Service whose endpoints are the gateways; without it, every address of the URL's host [env: TYK_GATEWAY_SERVICE]
    #[arg(
        long = "tyk-gateway-service",
        value_name = "NAMESPACE/NAME:PORT",
        env = "TYK_GATEWAY_SERVICE",
        hide_env = true,
        value_parser = gateway_service
    )]
    pub gateway_service: Option<GivenService>,
    /// Mark of what this operator makes; operators that share a gateway or a cluster need different ones [env: TYK_INGRESS_OWNER]
    #[arg(long, env = "TYK_INGRESS_OWNER", hide_env = true, default_value = "tyk-ingress", value_parser = owner)]
    pub owner: String,
}

/// None where the variable is empty. A name of its own, since clap gives a nested `Option` another meaning.
type GivenService = Option<GatewayService>;

impl Tyk {
    /// Where Tyk answers.
    ///
    /// # Errors
    /// When the URL or the secret is not set.
    pub fn endpoint(&self) -> anyhow::Result<Endpoint> {
        let url = self
            .url
            .clone()
            .context("TYK_URL is not set: give the base URL of the gateway's control API")?;
        let auth = self
            .secret()?
            .context("TYK_AUTH is not set: give the secret of the gateway's control API")?;
        let mut endpoint = Endpoint::new(url, auth.expose());
        endpoint.insecure_skip_verify = self.insecure_skip_verify;
        Ok(endpoint)
    }

    /// The secret of the control API, if one is set.
    ///
    /// # Errors
    /// When a header cannot carry it.
    pub fn secret(&self) -> anyhow::Result<Option<&Secret>> {
        let auth = self.auth.as_ref().filter(|auth| !auth.expose().is_empty());
        let fits = auth.is_none_or(|auth| auth.expose().chars().all(|c| c.is_ascii_graphic()));
        anyhow::ensure!(fits, "TYK_AUTH has characters that a header cannot carry");
        Ok(auth)
    }

    /// What holds for resources that name no context.
    pub fn context(&self) -> desired::Context {
        let tyk = desired::Installation {
            mode: self.mode,
            url: self.url.clone().unwrap_or_default(),
            auth: self.auth.clone().unwrap_or_default(),
            insecure_skip_verify: self.insecure_skip_verify,
            service: self.gateway_service.clone().flatten(),
            ..desired::Installation::default()
        };
        desired::Context {
            org: self.org.clone(),
            owner: self.owner.clone(),
            tyk: Arc::new(tyk),
            user_owners: ids(&self.user_owners),
            user_group_owners: ids(&self.user_group_owners),
            ..desired::Context::default()
        }
    }

    /// The same with what is said about contexts.
    pub fn operator(&self) -> desired::Operator {
        desired::Operator::new(self.context())
    }
}

/// How Ingresses are chosen and rendered.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Ingress")]
pub struct Ingress {
    /// Class of Ingresses that need no IngressClass object [env: WATCH_INGRESS_CLASS]
    #[arg(long, env = "WATCH_INGRESS_CLASS", hide_env = true, default_value = "tyk", value_parser = class)]
    pub ingress_class: String,
    /// `spec.controller` of the IngressClasses to serve
    #[arg(long, default_value = names::CONTROLLER_NAME)]
    pub controller_name: String,
    /// DNS suffix of the cluster's Services
    #[arg(long, default_value = "cluster.local")]
    pub cluster_domain: String,
    /// Port for http routes; 0 is the gateway's main port [env: TYK_HTTP_INGRESS_PORT]
    #[arg(long, env = "TYK_HTTP_INGRESS_PORT", hide_env = true, default_value = "0", value_parser = http_port)]
    pub http_ingress_port: u16,
    /// Port for https routes; 0 is the gateway's main port [env: TYK_HTTPS_INGRESS_PORT]
    #[arg(long, env = "TYK_HTTPS_INGRESS_PORT", hide_env = true, default_value = "8443", value_parser = https_port)]
    pub https_ingress_port: u16,
    /// What http serves for a host that `spec.tls` covers
    #[arg(long, value_enum, default_value = "serve")]
    pub http_for_tls_hosts: HttpForTlsHosts,
    /// Base URL at which the gateway reaches `tyk-ingress redirector`
    #[arg(long, value_name = "URL", value_parser = redirector_url)]
    pub redirector_url: Option<String>,
    /// `Server` response header of default backends without a template; empty for none
    #[arg(long, default_value = "Tyk")]
    pub server_header: String,
    /// What is done with annotations of ingress-nginx
    #[arg(long, value_enum, default_value = "ignore")]
    pub nginx_annotations: nginx::Annotations,
}

impl Ingress {
    /// The engine's options for the operator `owner`.
    pub fn options(&self, owner: &str) -> ingress::Options {
        let Self {
            ingress_class,
            controller_name,
            cluster_domain,
            http_ingress_port,
            https_ingress_port,
            http_for_tls_hosts,
            redirector_url,
            server_header,
            nginx_annotations,
        } = self.clone();
        ingress::Options {
            owner: owner.to_owned(),
            class: ingress_class,
            controller: controller_name,
            cluster_domain,
            http_port: http_ingress_port,
            https_port: https_ingress_port,
            http_for_tls_hosts,
            redirector_url,
            server_header: Some(server_header).filter(|server| !server.is_empty()),
            nginx_annotations: nginx_annotations == nginx::Annotations::Translate,
        }
    }
}

/// The controller's own behaviour.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Controller")]
pub struct Controller {
    /// Namespaces to watch, separated by commas; all when empty [env: WATCH_NAMESPACE]
    #[arg(long, env = "WATCH_NAMESPACE", hide_env = true, default_value = "")]
    pub watch_namespace: String,
    /// Service, as NAMESPACE/NAME, whose addresses the status of served Ingresses shows
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = service)]
    pub publish_service: Option<NamespacedName>,
    /// IP address or host name that the status of served Ingresses shows; may be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub publish_address: Vec<Address>,
    /// Address of /metrics, /healthz, /livez and /readyz
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Address of the status page and of /debug; off for none
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8082", value_parser = optional_address)]
    pub debug_listen: OptionalAddress,
    /// Token that /metrics asks for; better given by the environment [env: TYK_INGRESS_METRICS_TOKEN]
    #[arg(long, env = "TYK_INGRESS_METRICS_TOKEN", hide_env = true, value_parser = secret)]
    pub metrics_token: Option<Secret>,
    /// Token that the status page and /debug ask for; better given by the environment [env: TYK_INGRESS_DEBUG_TOKEN]
    #[arg(long, env = "TYK_INGRESS_DEBUG_TOKEN", hide_env = true, value_parser = secret)]
    pub debug_token: Option<Secret>,
    /// Whether an OperatorContext without `spec.allowedNamespaces` serves resources of other namespaces
    #[arg(long, value_enum, default_value = "allow")]
    pub cross_namespace_contexts: CrossNamespaceContexts,
    /// How often the gateway is compared with what is wanted, for example 30s
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub resync_interval: Duration,
    /// How long to wait for more changes before the first one is applied, for example 50ms; one that comes alone waits half
    /// as long
    #[arg(long, default_value = "50ms", value_parser = duration)]
    pub debounce: Duration,
    /// Which of several processes works.
    #[command(flatten)]
    pub election: Election,
    /// Whether objects are judged before they come in.
    #[command(flatten)]
    pub admission: Admission,
}

/// Whether objects are judged before they come in.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Admission")]
pub struct Admission {
    /// Address of the admission webhook; off for none [env: TYK_INGRESS_ADMISSION_LISTEN]
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "TYK_INGRESS_ADMISSION_LISTEN",
        hide_env = true,
        default_value = "off",
        value_parser = optional_address
    )]
    pub admission_listen: OptionalAddress,
    /// Name of the webhook's Service, of its Secret and of its ValidatingWebhookConfiguration
    #[arg(long, value_name = "NAME", default_value = "tyk-ingress-admission")]
    pub admission_name: String,
}

/// Which of several processes works.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "High availability")]
pub struct Election {
    /// Work only while holding a Lease, so that several processes may run; without a cluster nothing is elected
    #[arg(long, default_value = "true", default_missing_value = "true", num_args = 0..=1, action = ArgAction::Set)]
    pub leader_elect: bool,
    /// Namespace of the Lease; that of the pod or of the kubeconfig when not set [env: POD_NAMESPACE]
    #[arg(long, value_name = "NAMESPACE", env = "POD_NAMESPACE", hide_env = true)]
    pub leader_election_namespace: Option<String>,
    /// How long a Lease must stand unchanged until another process takes it
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = duration)]
    pub leader_election_lease_duration: Duration,
    /// How long the leader goes on when it cannot renew its Lease
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub leader_election_renew_deadline: Duration,
    /// Time between two renewals, or between two looks at the Lease of another
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub leader_election_retry_period: Duration,
}

impl Election {
    /// The times in the order that keeps two processes from working at once.
    ///
    /// # Errors
    /// When they are not: retry period < renew deadline < lease duration.
    pub fn check(&self) -> anyhow::Result<()> {
        let times = [
            self.leader_election_retry_period,
            self.leader_election_renew_deadline,
            self.leader_election_lease_duration,
        ];
        anyhow::ensure!(
            times.is_sorted_by(|one, next| one < next) && !times[0].is_zero(),
            "the retry period of the leader election must be shorter than its renew deadline, and that shorter than its \
             lease duration (--leader-election-retry-period, -renew-deadline, -lease-duration)"
        );
        Ok(())
    }
}

/// An address to listen on, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalAddress(pub Option<SocketAddr>);

impl Controller {
    /// The namespaces to watch; `None` stands for all.
    pub fn namespaces(&self) -> Option<Vec<String>> {
        let mut names: Vec<String> = self
            .watch_namespace
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        (!names.is_empty()).then_some(names)
    }
}

fn ids(text: &str) -> Vec<String> {
    let ids = text.split(',').map(str::trim).filter(|id| !id.is_empty());
    ids.map(str::to_owned).collect()
}

fn mode(text: &str) -> Result<Mode, String> {
    match text.trim() {
        "" | "ce" => Ok(Mode::Ce),
        "pro" => Ok(Mode::Pro),
        other => Err(format!(
            "TYK_MODE must be ce, the open-source gateway, or pro, the Tyk Dashboard; {other:?} is neither"
        )),
    }
}

fn insecure_skip_verify(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "" | "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("TYK_TLS_INSECURE_SKIP_VERIFY must be true or false".into()),
    }
}

/// Takes every text, because clap's message about a refused one would repeat it; [`Tyk::secret`] checks it.
pub(crate) fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text.trim()))
}

/// The owner is the value of a label.
fn owner(text: &str) -> Result<String, String> {
    let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inner = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    match inner && outer(text.chars().next()) && outer(text.chars().last()) && text.len() <= 63 {
        true => Ok(text.into()),
        false => Err("must be 1 to 63 letters, digits, `-`, `_` or `.`, with a letter or digit at both ends".into()),
    }
}

fn optional_address(text: &str) -> Result<OptionalAddress, String> {
    match text.trim() {
        "off" => Ok(OptionalAddress(None)),
        address => match address.parse() {
            Ok(address) => Ok(OptionalAddress(Some(address))),
            Err(_) => Err("must be off, or an IP address and a port such as 127.0.0.1:8082".into()),
        },
    }
}

fn service(text: &str) -> Result<NamespacedName, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(NamespacedName::new(namespace, name))
        }
        _ => Err("must be NAMESPACE/NAME, for example tyk/gateway".into()),
    }
}

/// An empty text is none.
fn gateway_service(text: &str) -> Result<Option<GatewayService>, String> {
    match GatewayService::parse(text) {
        None if !text.trim().is_empty() => Err("must be NAMESPACE/NAME:PORT, for example tyk/gateway:8080".into()),
        found => Ok(found),
    }
}

fn address(text: &str) -> Result<Address, String> {
    Address::parse(text)
        .ok_or_else(|| "must be an IP address or a host name in lower case, without a port or a scheme".into())
}

fn base_url(text: &str) -> Result<String, String> {
    http_url(text).ok_or_else(|| "TYK_URL must be a URL such as http://gateway.tyk.svc:8080".into())
}

fn redirector_url(text: &str) -> Result<String, String> {
    http_url(text).ok_or_else(|| "must be a URL such as http://redirector.tyk-ingress-system.svc:8080".into())
}

fn http_url(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('/');
    let url: reqwest::Url = text.parse().ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then(|| text.to_owned())
}

fn class(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Ok("tyk".into()),
        class => Ok(class.into()),
    }
}

fn http_port(text: &str) -> Result<u16, String> {
    port(text, 0, "TYK_HTTP_INGRESS_PORT")
}

fn https_port(text: &str) -> Result<u16, String> {
    port(text, 8443, "TYK_HTTPS_INGRESS_PORT")
}

/// Reads a port; an empty text is the default.
fn port(text: &str, default: u16, name: &str) -> Result<u16, String> {
    match text.trim() {
        "" => Ok(default),
        text => text
            .parse()
            .map_err(|_| format!("{name} must be a number from 0 to 65535")),
    }
}

/// Reads a span of time such as `250ms`, `30s` or `5m`.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u64 = number
        .parse()
        .map_err(|_| "must be a number with a unit: 250ms, 30s, 5m".to_owned())?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err("must be a number with a unit: 250ms, 30s, 5m".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert!(duration("5").is_err() && duration("s").is_err() && duration("").is_err());
    }

    #[test]
    fn an_empty_environment_variable_is_none() {
        assert_eq!(http_port(""), Ok(0));
        assert_eq!(class(" "), Ok("tyk".into()));
        assert!(http_port("abc").is_err_and(|message| message.contains("TYK_HTTP_INGRESS_PORT")));
        assert!(base_url("gateway:8080").is_err());
    }

    #[test]
    fn what_kubernetes_would_refuse_ends_the_start() {
        assert!(owner("east-1").is_ok() && owner("east/1").is_err() && owner("-").is_err() && owner("").is_err());
        assert_eq!(service("tyk/gateway"), Ok(NamespacedName::new("tyk", "gateway")));
        assert!(service("gateway").is_err() && service("/gateway").is_err() && service("a/b/c").is_err());
        for good in ["192.0.2.80", "2001:db8::1", "localhost", "gw.example.com"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in [
            "gw.local:8080",
            "http://gw",
            "GW.example.com",
            "192.0.2.80:80",
            "",
            "a..b",
            "-a",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", secret("hunter2")), "Ok(***)");
    }
}
