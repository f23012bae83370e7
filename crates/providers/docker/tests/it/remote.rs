//! An engine on the other side of TLS: a forwarder with certificates before
//! the real engine's socket.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::net::{TcpListener, UnixStream};
use tokio_rustls::TlsAcceptor;
use zenekar_base::{ErrorClass, ResourceState};
use zenekar_provider::{LogSource, Provider};
use zenekar_provider_docker::DockerProvider;

use crate::bench::{Bench, eventually, settings};

fn openssl(folder: &Path, line: &str) {
    let done = Command::new("openssl")
        .args(line.split(' '))
        .current_dir(folder)
        .output()
        .expect("openssl is there");
    assert!(done.status.success(), "{done:?}");
}

/// Makes an authority, and keys and certificates of both sides.
fn certificates(folder: &Path) {
    openssl(
        folder,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority -keyout ca-key.pem -out ca.pem",
    );
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n")
        .expect("a fresh certificate and a free port");
    for side in ["server", "client"] {
        let key = if side == "client" {
            "key.pem"
        } else {
            "server-key.pem"
        };
        let certificate = if side == "client" {
            "cert.pem"
        } else {
            "server.pem"
        };
        openssl(
            folder,
            &format!(
                "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={side} -keyout {key} -out {side}.csr"
            ),
        );
        openssl(
            folder,
            &format!(
                "x509 -req -in {side}.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile names -out {certificate}"
            ),
        );
    }
}

fn server(folder: &Path) -> TlsAcceptor {
    let read = |name: &str| -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(folder.join(name))
            .expect("a fresh certificate and a free port")
            .collect::<Result<_, _>>()
            .expect("a fresh certificate and a free port")
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(read("ca.pem"));
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .expect("a fresh certificate and a free port");
    let key = PrivateKeyDer::from_pem_file(folder.join("server-key.pem"))
        .expect("a fresh certificate and a free port");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("a fresh certificate and a free port")
        .with_client_cert_verifier(verifier)
        .with_single_cert(read("server.pem"), key)
        .expect("a fresh certificate and a free port");
    TlsAcceptor::from(Arc::new(config))
}

/// Starts the forwarder, and returns its address.
fn forward(runtime: &tokio::runtime::Runtime, acceptor: TlsAcceptor) -> String {
    let listener = runtime
        .block_on(TcpListener::bind("127.0.0.1:0"))
        .expect("a fresh certificate and a free port");
    let address = listener
        .local_addr()
        .expect("a fresh certificate and a free port");
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut outside) = acceptor.accept(stream).await else {
                    return;
                };
                if let Ok(mut engine) = UnixStream::connect("/var/run/docker.sock").await {
                    let _ = tokio::io::copy_bidirectional(&mut outside, &mut engine).await;
                }
            });
        }
    });
    format!("https://{address}")
}

#[test]
fn an_engine_behind_tls_takes_those_with_a_certificate() {
    let Some(local) = Bench::new() else { return };
    let folder = TempDir::new().unwrap();
    certificates(folder.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let endpoint = forward(&runtime, server(folder.path()));
    let with = |certificates: PathBuf| {
        let mut settings = settings(&local.image);
        settings.endpoint = Some(endpoint.clone());
        settings.certificates = Some(certificates);
        settings
    };

    let bench = Bench::with(with(folder.path().to_owned()), local.image.clone());
    let mut request = bench.request("vm", 1, Vec::new());
    request.rendered.user_data = Some("#!/bin/sh\necho over TLS\n".to_owned());
    let view = bench.create(&request);
    assert_eq!(view.state, ResourceState::Running);
    eventually("output", || {
        bench
            .log(&view, LogSource::Contextualisation)
            .contains("over TLS")
            .then_some(())
    });
    bench.delete(&view);
    assert_eq!(bench.all(), []);

    // An authority that nobody knows, and no certificate at all.
    let strange = TempDir::new().unwrap();
    certificates(strange.path());
    let empty = TempDir::new().unwrap();
    for wrong in [strange.path(), empty.path()] {
        let provider = DockerProvider::open(with(wrong.to_owned())).unwrap();
        let error = runtime.block_on(provider.identity()).unwrap_err();
        assert_eq!(error.class, ErrorClass::Auth, "{error}");
        assert!(error.message.contains("cannot reach the engine"), "{error}");
    }
}
