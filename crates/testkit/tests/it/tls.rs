//! The private authority, with TLS handshakes over its certificates.

use std::sync::Arc;

use doorman_testkit::raw::RawClient;
use doorman_testkit::tls::{Ca, Pair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{ANY, DEADLINE};

/// Whether a request gets through to a server with this certificate that demands one of the client.
async fn gets_through(ca: &Ca, server: &Pair, client: Option<&Pair>) -> bool {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca.cert()).unwrap()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_file(&server.cert).unwrap()],
            PrivateKeyDer::from_pem_file(&server.key).unwrap(),
        )
        .unwrap();
    let listener = TcpListener::bind(ANY).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(stream).await else { return };
        let _ = stream.read_u8().await;
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    };
    let ask = async {
        let config = ca.client_config(client).unwrap();
        let mut connection = RawClient::connect_tls(addr, "service.test", config).await.ok()?;
        connection.send(b"GET / HTTP/1.1\r\n\r\n").await.ok()?;
        Some(connection.read_answer(DEADLINE).await.status())
    };
    tokio::join!(serve, ask).1 == Some(204)
}

#[tokio::test]
async fn good_certificates_are_trusted_and_others_are_not() {
    let (ca, stranger) = (Ca::new().unwrap(), Ca::new().unwrap());
    let names = ["service.test", "127.0.0.1"];
    let (server, client) = (ca.server(&names).unwrap(), ca.client("api").unwrap());
    assert!(gets_through(&ca, &server, Some(&client)).await);
    assert!(!gets_through(&ca, &server, None).await);
    assert!(!gets_through(&ca, &server, Some(&stranger.client("api").unwrap())).await);
    assert!(!gets_through(&ca, &ca.expired_server(&names).unwrap(), Some(&client)).await);
    assert!(!gets_through(&ca, &ca.server(&["other.test"]).unwrap(), Some(&client)).await);
    assert!(!gets_through(&ca, &stranger.server(&names).unwrap(), Some(&client)).await);
}
