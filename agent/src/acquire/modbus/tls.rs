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

use energy::{both, finding::Title};
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
    pub fn check(&self) -> Result<(), Title> {
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
        let config = self.client_config();
        let config = config.map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why.en))?;
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await
    }

    fn client_config(&self) -> Result<ClientConfig, Title> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| both!("TLS를 쓸 수 없습니다: {error}", "{error}"))?
            .with_root_certificates(self.authorities()?);
        let Some((certificate, key)) = &self.identity else {
            return Ok(config.with_no_client_auth());
        };
        let key_der =
            PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, ("개인 키로", "private key"), &error))?;
        config
            .with_client_auth_cert(certificates(certificate)?, key_der)
            .map_err(|error| unusable(certificate, ("이 키의 인증서로", "certificate of this key"), &error))
    }

    fn authorities(&self) -> Result<RootCertStore, Title> {
        let mut roots = RootCertStore::empty();
        match &self.ca_file {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(path) => {
                for authority in certificates(path)? {
                    roots
                        .add(authority)
                        .map_err(|error| unusable(path, ("인증 기관으로", "authority"), &error))?;
                }
            }
        }
        Ok(roots)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Title> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => {
            let path = path.display();
            Err(both!(
                "{path} 파일에 인증서가 없습니다",
                "{path} cannot be used as certificate: there is none in it"
            ))
        }
        found => found.map_err(|error| unusable(path, ("인증서로", "certificate"), &error)),
    }
}

fn unusable(path: &Path, (what_ko, what): (&str, &str), why: &dyn std::fmt::Display) -> Title {
    let path = path.display();
    Title {
        ko: format!("{path} 파일을 {what_ko} 쓸 수 없습니다: {why}"),
        en: format!("{path} cannot be used as {what}: {why}"),
    }
}
