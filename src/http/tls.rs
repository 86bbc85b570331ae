//! Trust between us and the servers: which certificates are believed, and which one is shown.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme, version::TLS12,
    version::TLS13,
};

use super::Unusable;
use crate::input::file;

/// The way in which servers are trusted, and know us.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    /// No trust: nothing is encrypted.
    Plain,
    /// Trust by certificates.
    Tls(Tls),
}

/// The files by which certificates are checked, and our own one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tls {
    /// A PEM file with the only CAs that are trusted; without one, the system's are.
    pub ca_file: Option<String>,
    /// PEM files with our own certificate and its key.
    pub own_files: Option<(String, String)>,
    /// A name that a server's certificate may bear in place of its address: servers that come and go with their
    /// addresses share one.
    pub shared_name: Option<String>,
}

/// The content of the files.
#[derive(PartialEq)]
pub(super) struct Material {
    ca: Option<Vec<u8>>,
    own: Option<(Vec<u8>, Vec<u8>)>,
}

impl Trust {
    pub(super) fn read(&self) -> Result<Material, Unusable> {
        let Self::Tls(tls) = self else { return Ok(Material { ca: None, own: None }) };
        let read = |path: &String| {
            file::read(Path::new(path), file::CERTIFICATES)
                .map_err(|source| Unusable::File { path: path.clone(), source })
        };
        let ca = tls.ca_file.as_ref().map(read).transpose()?;
        let own = match &tls.own_files {
            Some((certificate, key)) => Some((read(certificate)?, read(key)?)),
            None => None,
        };
        Ok(Material { ca, own })
    }

    /// Makes the client's half of an encryption by certificates, for a protocol other than HTTP. Its files are read each time.
    pub fn config(&self) -> Result<Arc<ClientConfig>, Unusable> {
        Ok(Arc::new(self.config_of(&self.read()?)?))
    }

    pub(super) fn config_of(&self, material: &Material) -> Result<ClientConfig, Unusable> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(Unusable::Tls)?;
        let Self::Tls(tls) = self else {
            return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
        };
        let verifier = tls.verifier(material, provider)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let (Some((certificate, key)), Some((certificate_path, key_path))) = (&material.own, &tls.own_files) else {
            return Ok(builder.with_no_client_auth());
        };
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| content(key_path, "private key"))?;
        builder.with_client_auth_cert(certificates(certificate_path, certificate)?, key).map_err(Unusable::Tls)
    }
}

impl Tls {
    fn verifier(&self, material: &Material, provider: Arc<CryptoProvider>) -> Result<Verifier, Unusable> {
        let mut roots = RootCertStore::empty();
        match (&material.ca, &self.ca_file) {
            (Some(pem), Some(path)) => {
                for certificate in certificates(path, pem)? {
                    roots.add(certificate).map_err(Unusable::Tls)?;
                }
            }
            _ => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        }
        let any = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build();
        let inner = any.map_err(|_| Unusable::NoCa)?;
        let name = |name: &String| ServerName::try_from(name.clone()).map_err(|_| Unusable::Address(name.clone()));
        Ok(Verifier { inner, shared_name: self.shared_name.as_ref().map(name).transpose()? })
    }
}

fn certificates(path: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    certificates.ok().filter(|certificates| !certificates.is_empty()).ok_or_else(|| content(path, "certificate"))
}

fn content(path: &str, what: &'static str) -> Unusable {
    Unusable::Content { path: path.to_owned(), what }
}

/// The usual check of a certificate, with one name more: one that is for another address may be for the shared name.
#[derive(Debug)]
struct Verifier {
    inner: Arc<WebPkiServerVerifier>,
    shared_name: Option<ServerName<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify = |name: &ServerName<'_>| self.inner.verify_server_cert(certificate, between, name, ocsp, now);
        let result = verify(name);
        match (&result, &self.shared_name) {
            (Err(Error::InvalidCertificate(why)), Some(shared)) if is_about_the_name(why) => {
                // If neither name fits, the address is the one to complain about.
                verify(shared).or(result)
            }
            _ => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn is_about_the_name(why: &CertificateError) -> bool {
    matches!(why, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })
}
