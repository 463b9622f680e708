//! A private certificate authority and certificates of every kind a test needs, as PEM files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

/// Why a certificate could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificate could not be made.
    #[error(transparent)]
    Made(#[from] rcgen::Error),
    /// The file could not be written.
    #[error(transparent)]
    Written(#[from] std::io::Error),
    /// The file could not be read back.
    #[error(transparent)]
    Read(#[from] rustls_pki_types::pem::Error),
    /// TLS refuses it.
    #[error(transparent)]
    Refused(#[from] rustls::Error),
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate.
    pub cert: PathBuf,
    /// Its private key (PKCS#8).
    pub key: PathBuf,
}

/// A certificate authority whose files go when it is dropped.
pub struct Ca {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
    issued: AtomicU32,
}

impl Ca {
    /// A new authority that nobody else trusts.
    pub fn new() -> Result<Self, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Doorman test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let dir = TempDir::new()?;
        fs::write(dir.path().join("ca.pem"), params.self_signed(&key)?.pem())?;
        Ok(Self { dir, issuer: Issuer::new(params, key), issued: AtomicU32::new(0) })
    }

    /// The authority's own certificate.
    pub fn cert(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The directory of all files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A server certificate for DNS names and IP addresses. For a wrong name, ask for another than is connected to.
    pub fn server(&self, names: &[&str]) -> Result<Pair, Error> {
        self.issue(params(names, ExtendedKeyUsagePurpose::ServerAuth)?)
    }

    /// A server certificate that ended long ago.
    pub fn expired_server(&self, names: &[&str]) -> Result<Pair, Error> {
        let mut params = params(names, ExtendedKeyUsagePurpose::ServerAuth)?;
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.issue(params)
    }

    /// A client certificate whose common name and DNS name are `name`.
    pub fn client(&self, name: &str) -> Result<Pair, Error> {
        self.issue(params(&[name], ExtendedKeyUsagePurpose::ClientAuth)?)
    }

    /// A client configuration that trusts this authority alone and shows `identity` if asked.
    pub fn client_config(&self, identity: Option<&Pair>) -> Result<Arc<ClientConfig>, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.cert())?)?;
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        Ok(Arc::new(match identity {
            None => builder.with_no_client_auth(),
            Some(Pair { cert, key }) => builder.with_client_auth_cert(
                vec![CertificateDer::from_pem_file(cert)?],
                PrivateKeyDer::from_pem_file(key)?,
            )?,
        }))
    }

    fn issue(&self, params: CertificateParams) -> Result<Pair, Error> {
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let key = KeyPair::generate()?;
        let pair = Pair {
            cert: self.dir.path().join(format!("{number}.pem")),
            key: self.dir.path().join(format!("{number}-key.pem")),
        };
        fs::write(&pair.cert, params.signed_by(&key, &self.issuer)?.pem())?;
        fs::write(&pair.key, key.serialize_pem())?;
        Ok(pair)
    }
}

fn params(names: &[&str], purpose: ExtendedKeyUsagePurpose) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or("nobody"));
    params.extended_key_usages = vec![purpose];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}
