//! Values of annotations.

use crate::expression;

/// A type that an annotation's value can have.
pub trait Value: Sized {
    /// Reads a trimmed value.
    ///
    /// # Errors
    /// What is wrong with it, to be put after the value.
    fn read(text: &str) -> Result<Self, String>;

    /// The values allowed, as Markdown.
    fn allowed() -> String;
}

/// A type with one word for each of its values.
trait Words: Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

impl<W: Words> Value for W {
    fn read(text: &str) -> Result<Self, String> {
        let known = Self::WORDS.iter().find(|(word, _)| *word == text);
        known.map(|(_, value)| *value).ok_or_else(|| "is not known".to_owned())
    }

    fn allowed() -> String {
        let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| format!("`{word}`")).collect();
        words.join(", ")
    }
}

impl Words for bool {
    const WORDS: &'static [(&'static str, Self)] = &[("true", true), ("false", false)];
}

/// `tyk.io/template-kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateKind {
    /// A classic definition.
    ApiDefinition,
    /// An OAS definition.
    TykOasApiDefinition,
}

impl Words for TemplateKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("ApiDefinition", TemplateKind::ApiDefinition),
        ("TykOasApiDefinition", TemplateKind::TykOasApiDefinition),
    ];
}

/// `tyk.io/path-matching`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathMatching {
    /// As the Ingress specification says.
    ExactSpec,
    /// The path verbatim as listen path: a string prefix, whatever its pathType.
    Legacy,
    /// As ingress-nginx matches without expressions: an ImplementationSpecific path is a string prefix.
    Nginx,
    /// As ingress-nginx matches with expressions: every path is one, in any letter case and open at its end.
    NginxRegex,
}

impl Words for PathMatching {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("exact-spec", PathMatching::ExactSpec),
        ("legacy", PathMatching::Legacy),
        ("nginx", PathMatching::Nginx),
        ("nginx-regex", PathMatching::NginxRegex),
    ];
}

/// `tyk.io/upstream`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// The DNS name of the Service.
    Service,
    /// Its ready endpoints, in turn.
    Endpoints,
}

impl Words for Upstream {
    const WORDS: &'static [(&'static str, Self)] =
        &[("service", Upstream::Service), ("endpoints", Upstream::Endpoints)];
}

/// `tyk.io/backend-protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1. WebSockets work as well.
    Http,
    /// HTTP over TLS.
    Https,
    /// HTTP/2 without TLS.
    H2c,
    /// The same as [`Protocol::Http`] for the gateway.
    Ws,
    /// The same as [`Protocol::Https`] for the gateway.
    Wss,
}

impl Words for Protocol {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("http", Protocol::Http),
        ("https", Protocol::Https),
        ("h2c", Protocol::H2c),
        ("grpc", Protocol::H2c),
        ("grpcs", Protocol::Https),
        ("ws", Protocol::Ws),
        ("wss", Protocol::Wss),
    ];
}

impl Protocol {
    /// Reads `appProtocol` of a Service port: IANA's names, Kubernetes' own, and `grpc`. `None` for what says nothing
    /// of HTTP.
    pub fn of_app_protocol(text: &str) -> Option<Protocol> {
        let text = text.to_ascii_lowercase();
        Protocol::read(text.strip_prefix("kubernetes.io/").unwrap_or(&text)).ok()
    }

    /// Scheme of a target.
    pub fn scheme(self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::Https => "https",
            Protocol::H2c => "h2c",
            Protocol::Ws => "ws",
            Protocol::Wss => "wss",
        }
    }
}

impl Value for String {
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn allowed() -> String {
        "a name".into()
    }
}

/// A number of whole seconds, as `30` or `30s`. The gateway takes 0 for "no timeout", so it is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub u32);

impl Seconds {
    /// A day.
    const MAX: u32 = 86_400;
}

impl Value for Seconds {
    fn read(text: &str) -> Result<Self, String> {
        let digits = text.strip_suffix('s').unwrap_or(text);
        let number = digits
            .parse()
            .ok()
            .filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
        number
            .filter(|number| (1..=Self::MAX).contains(number))
            .map(Seconds)
            .ok_or_else(|| "is not such a number".to_owned())
    }

    fn allowed() -> String {
        format!("whole seconds from 1 to {}, as `30` or `30s`", Self::MAX)
    }
}

/// A listen path that the gateway's router accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenPath(pub String);

impl Value for ListenPath {
    fn read(text: &str) -> Result<Self, String> {
        match expression::check_listen_path(text) {
            Ok(()) => Ok(ListenPath(text.to_owned())),
            Err(reason) => Err(format!("cannot be used: {reason}")),
        }
    }

    fn allowed() -> String {
        "a listen path such as `/v{n:[0-9]+}`, without capture groups".into()
    }
}

/// Another Service that gets a part of the requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Name of the Service, in the namespace of the Ingress.
    pub service: String,
    /// Name or number of its port.
    pub port: String,
    /// Percentage of the requests, from 0 to 100.
    pub weight: u32,
}

impl Value for Canary {
    fn read(text: &str) -> Result<Self, String> {
        let read = || {
            let (backend, weight) = text.split_once('=')?;
            let (service, port) = backend.split_once(':')?;
            let weight = weight.trim().parse().ok().filter(|weight| *weight <= 100)?;
            let (service, port) = (service.trim().to_owned(), port.trim().to_owned());
            (!service.is_empty() && !port.is_empty()).then_some(Canary { service, port, weight })
        };
        read().ok_or_else(|| "is not of this form".to_owned())
    }

    fn allowed() -> String {
        "`SERVICE:PORT=PERCENT`, as `web-next:80=20`".into()
    }
}

/// Answers in place of the backend's: redirects of paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirects(pub Vec<Redirect>);

/// A redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The path of an Exact rule; `None` stands for every path of the Ingress.
    pub path: Option<String>,
    /// Status code, from 300 to 399.
    pub code: u16,
    /// The header `Location`.
    pub location: String,
}

impl Value for Redirects {
    fn read(text: &str) -> Result<Self, String> {
        let one = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [path, code, location] = words[..] else {
                return Err(format!("has the entry {line:?}, which is not of this form"));
            };
            let code = code.parse().ok().filter(|code| (300..400).contains(code));
            Ok(Redirect {
                path: (path != "*").then(|| path.to_owned()),
                code: code.ok_or_else(|| format!("has no code from 300 to 399 in {line:?}"))?,
                location: location.to_owned(),
            })
        };
        let lines = text.split(',').map(str::trim).filter(|line| !line.is_empty());
        let redirects: Vec<_> = lines.map(one).collect::<Result<_, _>>()?;
        match redirects.is_empty() {
            true => Err("has no redirect".into()),
            false => Ok(Redirects(redirects)),
        }
    }

    fn allowed() -> String {
        "`PATH CODE LOCATION`, separated by commas; PATH is that of an Exact rule, or `*`".into()
    }
}

/// Segment tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tags(pub Vec<String>);

/// Names of categories, without `#`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Categories(pub Vec<String>);

impl Value for Tags {
    fn read(text: &str) -> Result<Self, String> {
        list(text, |_| false).map(Tags)
    }

    fn allowed() -> String {
        "words, separated by commas".into()
    }
}

impl Value for Categories {
    fn read(text: &str) -> Result<Self, String> {
        list(text, |c| c == '#').map(Categories)
    }

    fn allowed() -> String {
        "words without `#`, separated by commas".into()
    }
}

/// Words separated by commas, each once, in the order of their first use.
fn list(text: &str, refused: fn(char) -> bool) -> Result<Vec<String>, String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split(',').map(str::trim) {
        if word.is_empty() {
            return Err("has an empty word".into());
        }
        if let Some(c) = word
            .chars()
            .find(|c| c.is_whitespace() || c.is_control() || refused(*c))
        {
            return Err(format!("has the character {c:?} in a word"));
        }
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    Ok(words)
}
