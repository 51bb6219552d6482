//! Modbus/TCP Security: the same frames inside TLS, where both sides show certificates.
//!
//! It knows no frames. Invariants: a device whose certificate cannot be followed to an authority that is trusted is not
//! talked to; no secret is kept longer than the call that reads it; files are read at each connection, so that renewed
//! certificates take effect by themselves.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Whom to trust, and who we are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM file of the authorities that may vouch for the device; `None` = those that browsers believe.
    pub ca_file: Option<PathBuf>,
    /// PEM files of our certificate, with those between it and its authority, and of its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// Whether the files can be used: read, and of one certificate and its key.
    pub fn check(&self) -> io::Result<()> {
        self.client_config().map(drop)
    }

    /// TLS on an open connection to `host`, which is also the name that its certificate must have.
    pub(super) async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{host:?} can be in no certificate"),
            )
        })?;
        let connector = TlsConnector::from(Arc::new(self.client_config()?));
        connector.connect(name, stream).await
    }

    fn client_config(&self) -> io::Result<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(self.authorities()?);
        let Some((certificate, key)) = &self.identity else {
            return Ok(config.with_no_client_auth());
        };
        let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, "private key", &error))?;
        config
            .with_client_auth_cert(certificates(certificate)?, key_der)
            .map_err(|error| unusable(certificate, "certificate of this key", &error))
    }

    fn authorities(&self) -> io::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        match &self.ca_file {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(path) => {
                for authority in certificates(path)? {
                    roots
                        .add(authority)
                        .map_err(|error| unusable(path, "authority", &error))?;
                }
            }
        }
        Ok(roots)
    }
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(unusable(path, "certificate", &"there is none in it")),
        found => found.map_err(|error| unusable(path, "certificate", &error)),
    }
}

fn unusable(path: &Path, what: &str, why: &dyn std::fmt::Display) -> io::Error {
    let message = format!("{} cannot be used as {what}: {why}", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
