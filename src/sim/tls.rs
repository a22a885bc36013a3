//! HTTPS listeners: the certificates of all APIs of a port in one list, chosen by the name that the client asks for.

use super::certs::Stored;
use super::core::Core;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::{Arc, Weak};
use tokio_rustls::TlsAcceptor;

/// A certificate with its key and the names it is for.
#[derive(Debug)]
pub(super) struct Identity {
    names: Vec<String>,
    key: Arc<CertifiedKey>,
}

impl Identity {
    /// A stored certificate, if its key came with it and can sign.
    pub fn new(stored: &Stored) -> Option<Identity> {
        let signer = rustls::crypto::ring::sign::any_supported_type(stored.key.as_ref()?).ok()?;
        let mut names: Vec<String> = stored.names().map(str::to_ascii_lowercase).collect();
        names.retain(|name| !name.is_empty());
        Some(Identity {
            names,
            key: Arc::new(CertifiedKey::new(stored.chain.clone(), signer)),
        })
    }

    fn serves(&self, name: &str) -> bool {
        let wildcard = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        self.names
            .iter()
            .any(|own| own == name || Some(own) == wildcard.as_ref())
    }
}

/// Chooses by the table of the latest reload.
#[derive(Debug)]
struct Resolver {
    core: Weak<Core>,
    port: u16,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let table = self.core.upgrade()?.table();
        let identities = &table.ports.get(&self.port)?.identities;
        let name = hello.server_name().unwrap_or_default().to_ascii_lowercase();
        // Of several for one name the last one counts; without any the first one is as good as another.
        let chosen = identities
            .iter()
            .rev()
            .find(|identity| identity.serves(&name))
            .or_else(|| identities.first())?;
        Some(chosen.key.clone())
    }
}

/// What makes the connections of a port TLS; 1.2 only, like a real gateway without further options.
pub(super) fn acceptor(core: &Arc<Core>, port: u16) -> Option<TlsAcceptor> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        rustls::ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS12]);
    let resolver = Arc::new(Resolver {
        core: Arc::downgrade(core),
        port,
    });
    let config = versions.ok()?.with_no_client_auth().with_cert_resolver(resolver);
    Some(TlsAcceptor::from(Arc::new(config)))
}
