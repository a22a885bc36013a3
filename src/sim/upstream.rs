//! Connections to upstreams, plain and TLS.

use super::reply::Body;
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, WantsVerifier,
};
use std::sync::Arc;
use std::time::Duration;

/// A pool of connections.
pub(super) type Client = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Body>;

/// Two pools: one checks certificates against the roots of the system, and one checks nothing.
#[derive(Debug)]
pub(super) struct Upstreams {
    checked: Client,
    unchecked: Client,
}

impl Upstreams {
    /// Pools without connections. Without roots on the system no certificate is trusted.
    pub fn new() -> Result<Upstreams, Error> {
        let checked = builder()?.with_native_roots();
        let checked = checked.or_else(|_| Ok::<_, Error>(builder()?.with_root_certificates(RootCertStore::empty())))?;
        let verifier = Arc::new(AnyCertificate(
            ring::default_provider().signature_verification_algorithms,
        ));
        let unchecked = builder()?.dangerous().with_custom_certificate_verifier(verifier);
        Ok(Upstreams {
            checked: client(checked),
            unchecked: client(unchecked),
        })
    }

    /// The pool for an API, by its `ssl_insecure_skip_verify`.
    pub fn client(&self, insecure: bool) -> &Client {
        if insecure { &self.unchecked } else { &self.checked }
    }
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Error> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions()
}

fn client(config: ConfigBuilder<ClientConfig, WantsClientCert>) -> Client {
    let mut plain = HttpConnector::new();
    plain.enforce_http(false);
    plain.set_nodelay(true);
    plain.set_connect_timeout(Some(Duration::from_secs(30)));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config.with_no_client_auth())
        .https_or_http()
        .enable_http1()
        .wrap_connector(plain);
    hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .http1_title_case_headers(true)
        .build(connector)
}

/// Trusts whatever certificate comes, if it can sign.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
