//! What an OperatorContext says: its `env`, and the Secret that it names.

use std::fmt;

use thiserror::Error;
use url::Url;

use super::{NamedSecret, NamespacedName, Snapshot};
use crate::api::{Mode, OperatorContextEnv};
use crate::secret::Secret;

/// The settings of one Tyk, as an OperatorContext and its Secret say them. What is absent, or an empty text, is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContextSettings {
    /// Which control API is spoken.
    pub mode: Option<Mode>,
    /// Base URL of the gateway or dashboard, http or https, without a slash at its end and without credentials.
    pub url: Option<String>,
    /// Secret of the gateway's control API, or key of a dashboard user; a header can carry it.
    pub auth: Option<Secret>,
    /// Organisation that owns what is created.
    pub org: Option<String>,
    /// Whether any certificate of the control API is accepted.
    pub insecure_skip_verify: Option<bool>,
    /// Certificates of the authorities to trust for the control API, PEM.
    pub ca_bundle: Option<String>,
    /// The Service whose endpoints are the gateways, as `NAMESPACE/NAME:PORT`.
    pub gateway_service: Option<String>,
    /// Port of http routes; 0 is the gateway's main port.
    pub http_port: Option<u16>,
    /// Port of https routes; 0 is the gateway's main port.
    pub https_port: Option<u16>,
    /// Dashboard users that own what is created.
    pub user_owners: Vec<String>,
    /// Dashboard user groups that own what is created.
    pub user_group_owners: Vec<String>,
}

/// Why a context cannot be used. Never holds a value of a Secret or of `env`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ContextProblem {
    /// There is no such OperatorContext.
    #[error(
        "OperatorContext {context} does not exist in a watched namespace; create it, or correct the name and the \
         namespace of the reference"
    )]
    Missing {
        /// The context that is named.
        context: NamespacedName,
    },
    /// The Secret that the context names is not there.
    #[error(
        "OperatorContext {context} names the Secret {secret}, which does not exist in a watched namespace; create it, or \
         correct spec.secretRef"
    )]
    SecretMissing {
        /// The context.
        context: NamespacedName,
        /// The Secret that it names.
        secret: NamespacedName,
    },
    /// A value cannot be used.
    #[error("OperatorContext {context}: {place} {expected}; correct it, or leave it out")]
    Value {
        /// The context.
        context: NamespacedName,
        /// Where the value stands.
        place: Place,
        /// What it must be: `must be …`.
        expected: &'static str,
    },
}

impl ContextProblem {
    /// The field of the OperatorContext that is to be looked at; empty when there is no such object.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "",
            Self::SecretMissing { .. } => SECRET_REF,
            Self::Value { place, .. } => match place {
                Place::Env(field) => field,
                Place::Secret { .. } => SECRET_REF,
            },
        }
    }
}

const SECRET_REF: &str = "spec.secretRef";

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A field of the OperatorContext.
    Env(&'static str),
    /// A key of the Secret that it names.
    Secret {
        /// The Secret.
        secret: Box<NamespacedName>,
        /// The key.
        key: &'static str,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(field) => f.write_str(field),
            Self::Secret { secret, key } => write!(f, "{key} in the Secret {secret}"),
        }
    }
}

impl Snapshot {
    /// The settings of the OperatorContext `name`. Values of its Secret win over those of `env`, key by key.
    ///
    /// # Errors
    /// When the context or its Secret is not there, or holds a value that cannot be used. Nothing of it counts then:
    /// a part of the settings may mean another Tyk than the whole.
    pub fn context_settings(&self, name: &NamespacedName) -> Result<ContextSettings, ContextProblem> {
        let missing = || ContextProblem::Missing { context: name.clone() };
        let context = self.operator_contexts.get(name).ok_or_else(missing)?;
        let secret = match &context.spec.secret_ref {
            None => None,
            Some(target) => {
                let secret = NamespacedName::new(target.namespace_or(&name.namespace), &target.name);
                let Some(found) = self.secrets.get(&secret) else {
                    let context = name.clone();
                    return Err(ContextProblem::SecretMissing { context, secret });
                };
                Some((secret, found.as_ref()))
            }
        };
        let env = context.spec.env.clone().unwrap_or_default();
        Sources { name, env, secret }.settings()
    }
}

/// One setting: where it stands, and what it must be.
struct Setting {
    key: &'static str,
    field: &'static str,
    expected: &'static str,
    env: fn(&OperatorContextEnv) -> Option<String>,
}

const MODE: Setting = Setting {
    key: "TYK_MODE",
    field: "spec.env.mode",
    expected: "must be `ce` or `pro`",
    env: |env| {
        env.mode.map(|mode| match mode {
            Mode::Ce => "ce".into(),
            Mode::Pro => "pro".into(),
        })
    },
};
const URL: Setting = Setting {
    key: "TYK_URL",
    field: "spec.env.url",
    expected: "must be a URL such as http://gateway.tyk.svc:8080, without a user name, a password, a query or a fragment",
    env: |env| env.url.clone(),
};
const AUTH: Setting = Setting {
    key: "TYK_AUTH",
    field: "spec.env.auth",
    expected: "must be of printable ASCII characters without blanks, as a header can carry them",
    env: |env| env.auth.clone(),
};
const ORG: Setting = Setting {
    key: "TYK_ORG",
    field: "spec.env.org",
    expected: "must be a text",
    env: |env| env.org.clone(),
};
const INSECURE_SKIP_VERIFY: Setting = Setting {
    key: "TYK_TLS_INSECURE_SKIP_VERIFY",
    field: "spec.env.insecureSkipVerify",
    expected: "must be `true` or `false`",
    env: |env| env.insecure_skip_verify.map(|skip| skip.to_string()),
};
const CA_BUNDLE: Setting = Setting {
    key: "TYK_TLS_CA_BUNDLE",
    field: "spec.env.caBundle",
    expected: "must be certificates in PEM form, each from `-----BEGIN CERTIFICATE-----` to `-----END CERTIFICATE-----`",
    env: |env| env.ca_bundle.clone(),
};
const GATEWAY_SERVICE: Setting = Setting {
    key: "TYK_GATEWAY_SERVICE",
    field: "spec.env.gatewayService",
    expected: "must be NAMESPACE/NAME:PORT, for example tyk/gateway:8080",
    env: |env| env.gateway_service.clone(),
};
const HTTP_PORT: Setting = Setting {
    key: "TYK_HTTP_INGRESS_PORT",
    field: "spec.env.ingress.httpPort",
    expected: "must be a number from 0 to 65535",
    env: |env| env.ingress?.http_port.map(|port| port.to_string()),
};
const HTTPS_PORT: Setting = Setting {
    key: "TYK_HTTPS_INGRESS_PORT",
    field: "spec.env.ingress.httpsPort",
    expected: "must be a number from 0 to 65535",
    env: |env| env.ingress?.https_port.map(|port| port.to_string()),
};
const USER_OWNERS: Setting = Setting {
    key: "TYK_USER_OWNERS",
    field: "spec.env.user_owners",
    expected: "must be ids of users, separated by commas",
    env: |env| Some(env.user_owners.join(",")),
};
const USER_GROUP_OWNERS: Setting = Setting {
    key: "TYK_USER_GROUP_OWNERS",
    field: "spec.env.user_group_owners",
    expected: "must be ids of user groups, separated by commas",
    env: |env| Some(env.user_group_owners.join(",")),
};

/// Where the settings of a context come from.
struct Sources<'a> {
    name: &'a NamespacedName,
    env: OperatorContextEnv,
    secret: Option<(NamespacedName, &'a NamedSecret)>,
}

impl Sources<'_> {
    fn settings(&self) -> Result<ContextSettings, ContextProblem> {
        Ok(ContextSettings {
            mode: self.read(&MODE, mode)?,
            url: self.read(&URL, url)?,
            auth: self.read(&AUTH, auth)?,
            org: self.read(&ORG, text)?,
            insecure_skip_verify: self.read(&INSECURE_SKIP_VERIFY, flag)?,
            ca_bundle: self.read(&CA_BUNDLE, certificates)?,
            gateway_service: self.read(&GATEWAY_SERVICE, text)?,
            http_port: self.read(&HTTP_PORT, port)?,
            https_port: self.read(&HTTPS_PORT, port)?,
            user_owners: self.read(&USER_OWNERS, list)?.unwrap_or_default(),
            user_group_owners: self.read(&USER_GROUP_OWNERS, list)?.unwrap_or_default(),
        })
    }

    fn read<T>(&self, setting: &Setting, read: fn(&str) -> Option<T>) -> Result<Option<T>, ContextProblem> {
        let problem = |place| ContextProblem::Value {
            context: self.name.clone(),
            place,
            expected: setting.expected,
        };
        if let Some((name, secret)) = &self.secret {
            let text = secret.text(setting.key);
            if secret.has(setting.key) && text != Some("") {
                let place = || Place::Secret {
                    secret: Box::new(name.clone()),
                    key: setting.key,
                };
                return text.and_then(read).map(Some).ok_or_else(|| problem(place()));
            }
        }
        match (setting.env)(&self.env).as_deref().map(str::trim) {
            None | Some("") => Ok(None),
            Some(text) => read(text).map(Some).ok_or_else(|| problem(Place::Env(setting.field))),
        }
    }
}

fn mode(text: &str) -> Option<Mode> {
    match text {
        "ce" => Some(Mode::Ce),
        "pro" => Some(Mode::Pro),
        _ => None,
    }
}

/// Credentials are refused because the URL is shown where a Tyk is named.
fn url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let plain = url.username().is_empty() && url.password().is_none();
    let whole = url.query().is_none() && url.fragment().is_none();
    let ours = matches!(url.scheme(), "http" | "https") && url.has_host();
    (ours && plain && whole).then(|| text.trim_end_matches('/').to_owned())
}

fn auth(text: &str) -> Option<Secret> {
    text.chars().all(|c| c.is_ascii_graphic()).then(|| Secret::new(text))
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// What Tyk Operator takes (Go's `strconv.ParseBool`), and the words that the operator's own setting takes.
fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" | "yes" | "on" => Some(true),
        "false" | "f" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn certificates(text: &str) -> Option<String> {
    let [begins, ends] =
        ["-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"].map(|mark| text.matches(mark).count());
    (begins > 0 && begins == ends).then(|| text.to_owned())
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok()
}

fn list(text: &str) -> Option<Vec<String>> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    Some(items.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests;
