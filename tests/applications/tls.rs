//! Certificates made for one test, and servers that show them.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::server::{Asked, Script, connection};

/// A CA that somebody made for their servers.
pub struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    /// A new one.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes its certificate.
    pub fn write(&self, path: &Path) {
        fs::write(path, self.0.pem()).unwrap();
    }

    /// A certificate for names or addresses, with its key.
    fn issue(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        (CertificateParams::new(names).unwrap().signed_by(&key, &self.0).unwrap(), key)
    }

    /// Writes our own certificate and its key.
    pub fn write_own(&self, certificate: &Path, key: &Path) {
        self.write_issued(&["hermitcrab"], certificate, key);
    }

    /// Writes a certificate without any name, common or other, and its key.
    pub fn write_nameless(&self, certificate: &Path, key: &Path) {
        let (mut nameless, its_key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        nameless.distinguished_name = DistinguishedName::new();
        fs::write(certificate, nameless.signed_by(&its_key, &self.0).unwrap().pem()).unwrap();
        fs::write(key, its_key.serialize_pem()).unwrap();
    }

    /// Writes a certificate for names or addresses, and its key.
    pub fn write_issued(&self, names: &[&str], certificate: &Path, key: &Path) {
        let (issued, its_key) = self.issue(names);
        fs::write(certificate, issued.pem()).unwrap();
        fs::write(key, its_key.serialize_pem()).unwrap();
    }

    /// Serves with a certificate for `names`, to whom this CA has given one too.
    pub async fn serve(&self, address: IpAddr, names: &[&str], script: Script, asked: Asked) -> u16 {
        let (certificate, key) = self.issue(names);
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build().unwrap();
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, script, asked) = (acceptor.clone(), script.clone(), asked.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        connection(address, stream, script, asked).await;
                    }
                });
            }
        });
        port
    }
}
