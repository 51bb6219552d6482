//! Whom to believe of a broker's certificate, and our own certificate. Reads PEM files.
//!
//! It opens no connection. Invariant: a broker whose certificate nobody vouches for is never spoken to.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use energy::{both, finding::Title};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{Config, Identity, Trust};

/// Why a broker cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// Without a name the broker keeps no session.
    #[error("broker {broker:?}: client_id is empty; give each agent its own, the broker keeps messages under it")]
    ClientId {
        /// The broker.
        broker: String,
    },
    /// The file with the plant's authority cannot be used.
    #[error("broker {broker:?}: no certificate authority read from {path:?}: {}; a PEM file is wanted", .why.en)]
    CaFile {
        /// The broker.
        broker: String,
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        why: Box<Title>,
    },
    /// A file of our own certificate cannot be used.
    #[error("broker {broker:?}: {} cannot be read from {path:?}: {}; a PEM file is wanted", .what.1, .why.en)]
    Identity {
        /// The broker.
        broker: String,
        /// What was looked for, in Korean and in English.
        what: (&'static str, &'static str),
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        why: Box<Title>,
    },
    /// The TLS library refused.
    #[error("broker {broker:?}: TLS cannot be set up: {why}")]
    Tls {
        /// The broker.
        broker: String,
        /// What it said.
        why: String,
    },
}

impl OptionsError {
    /// In both languages, for people.
    pub fn text(&self) -> Title {
        let ko = match self {
            Self::ClientId { broker } => format!(
                "브로커 {broker:?}: client_id가 비어 있습니다. 브로커가 이 이름으로 메시지를 보관하므로 에이전트마다 다르게 쓰십시오"
            ),
            Self::CaFile { broker, path, why } => format!(
                "브로커 {broker:?}: 인증 기관 파일 \"{}\"을(를) 읽을 수 없습니다: {}. PEM 파일이어야 합니다",
                path.display(),
                why.ko
            ),
            Self::Identity {
                broker,
                what,
                path,
                why,
            } => format!(
                "브로커 {broker:?}: {} 파일 \"{}\"을(를) 읽을 수 없습니다: {}. PEM 파일이어야 합니다",
                what.0,
                path.display(),
                why.ko
            ),
            Self::Tls { broker, why } => format!("브로커 {broker:?}: TLS를 쓸 수 없습니다: {why}"),
        };
        let en = self.to_string();
        Title { ko, en }
    }
}

/// How to speak TLS to this broker; `None` for one in the clear.
pub(super) fn client(config: &Config) -> Result<Option<ClientConfig>, OptionsError> {
    let Some(trust) = &config.url.tls else { return Ok(None) };
    let roots = match trust {
        Trust::WebRoots => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
        Trust::CaFile(path) => ca_file(path).map_err(|error| OptionsError::CaFile {
            broker: config.name.clone(),
            path: path.clone(),
            why: Box::new(error),
        })?,
    };
    let refused = |error: rustls::Error| OptionsError::Tls {
        broker: config.name.clone(),
        why: error.to_string(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(refused)?.with_root_certificates(roots);
    let Some(Identity { cert_file, key_file }) = &config.identity else {
        return Ok(Some(builder.with_no_client_auth()));
    };
    let unread = |what, path: &Path, why| OptionsError::Identity {
        broker: config.name.clone(),
        what,
        path: path.to_owned(),
        why: Box::new(why),
    };
    let certificates = certificates(cert_file).map_err(|why| unread(("인증서", "a certificate"), cert_file, why))?;
    let key = PrivateKeyDer::from_pem_file(key_file);
    let key = key.map_err(|why| unread(("개인 키", "a private key"), key_file, said(why)))?;
    builder
        .with_client_auth_cert(certificates, key)
        .map(Some)
        .map_err(refused)
}

/// The files of certificates, and when each was written last.
pub(super) struct Files(Vec<(PathBuf, Option<SystemTime>)>);

impl Files {
    /// Those of a broker, as they are now.
    pub(super) fn of(config: &Config) -> Self {
        let ca_file = match &config.url.tls {
            Some(Trust::CaFile(path)) => Some(path),
            _ => None,
        };
        let own = config.identity.iter().flat_map(|own| [&own.cert_file, &own.key_file]);
        let paths = ca_file.into_iter().chain(own);
        Self(paths.map(|path| (path.clone(), written_at(path))).collect())
    }

    /// Whether one of them has been written since.
    pub(super) fn have_changed(&self) -> bool {
        self.0.iter().any(|(path, at)| written_at(path) != *at)
    }
}

fn written_at(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|file| file.modified()).ok()
}

fn ca_file(path: &Path) -> Result<RootCertStore, Title> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(said)?;
    }
    Ok(roots)
}

/// At least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Title> {
    let text = std::fs::read(path).map_err(said)?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if found.is_empty() => Err(both!("인증서가 들어 있지 않습니다", "it holds no certificate")),
        found => found.map_err(said),
    }
}

/// What a library or the system said.
fn said(why: impl std::fmt::Display) -> Title {
    Title::same(why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acquire::mqtt::link;

    fn config(client_id: &str, tls: Option<Trust>) -> Config {
        let mut config = Config::of_test();
        config.client_id = client_id.into();
        config.url.tls = tls;
        config
    }

    #[test]
    fn a_broker_is_refused_with_what_is_wrong_about_it() {
        let folder = std::env::temp_dir().join(format!("wattwarden-ca-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let empty = folder.join("empty.pem");
        std::fs::write(&empty, "no certificate here\n").unwrap();
        for (client_id, tls, expected) in [
            ("ansan-1", None, None),
            ("ansan-1", Some(Trust::WebRoots), None),
            ("", None, Some("client_id is empty")),
            ("ansan-1", Some(Trust::CaFile(empty)), Some("it holds no certificate")),
            (
                "ansan-1",
                Some(Trust::CaFile(folder.join("absent.pem"))),
                Some("absent.pem"),
            ),
        ] {
            let refused = link::open(&config(client_id, tls)).err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(refused, None),
                Some(part) => assert!(refused.as_ref().is_some_and(|text| text.contains(part)), "{refused:?}"),
            }
        }
        let mut with_key = config("ansan-1", Some(Trust::WebRoots));
        let lone = folder.join("empty.pem");
        with_key.identity = Some(Identity {
            cert_file: lone.clone(),
            key_file: lone,
        });
        let refused = client(&with_key).err().map(|error| error.to_string());
        assert!(
            refused.is_some_and(|text| text.contains("a certificate cannot be read") && text.contains("empty.pem"))
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
