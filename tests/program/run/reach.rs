//! How git reaches a server: with a token over TLS, and by ssh with the keys that were named and no others.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::source::Origin;
use super::{Daemon, PATIENCE, Place};

/// A server that asks everybody for a password, and then has nothing. Answers with its port, and with what it was told.
fn server(certificate: &Path) -> (u16, Receiver<String>) {
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(certificate, own.pem()).unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![own.der().clone()];
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    let (sender, told) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if let Some(proof) = answer(config.clone(), stream)
                && sender.send(proof).is_err()
            {
                return;
            }
        }
    });
    (port, told)
}

/// Answers one request, and tells what it brought in the place of a password.
fn answer(config: Arc<ServerConfig>, stream: TcpStream) -> Option<String> {
    let mut tls = BufReader::new(StreamOwned::new(ServerConnection::new(config).ok()?, stream));
    let mut proof = None;
    loop {
        let mut line = String::new();
        tls.read_line(&mut line).ok().filter(|read| *read > 0)?;
        if line == "\r\n" {
            break;
        }
        proof = line.strip_prefix("Authorization: ").map(|given| given.trim().to_owned()).or(proof);
    }
    let status =
        if proof.is_some() { "404 Not Found" } else { "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"" };
    let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    tls.get_mut().write_all(response.as_bytes()).ok()?;
    proof
}

/// Goes once by a repository at that port, with a token, known by these certificates. Answers with what is said of it.
fn refused(place: &Place, port: u16, ca: &str) -> String {
    fs::write(place.path("token"), "hunter2\n").unwrap();
    let source = format!("git+https://127.0.0.1:{port}/org/state.git");
    let mut command = place.run(&["--source", &source, "--state", "state", "--once"]);
    let output = command.args(["--source-token-file", "token", "--source-ca-file", ca]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("Unreachable") && !said.contains("hunter2"), "{said}");
    said
}

#[test]
fn a_token_is_sent_to_the_server_that_asks_for_it() {
    let place = Place::new();
    let (port, told) = server(&place.path("ca.pem"));
    let said = refused(&place, port, "ca.pem");
    assert!(said.contains("not found"), "{said}");
    // The words `x-access-token:hunter2`, as HTTP has them.
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "Basic eC1hY2Nlc3MtdG9rZW46aHVudGVyMg==");
}

#[test]
fn a_server_that_nobody_vouches_for_is_told_nothing() {
    let place = Place::new();
    let (port, told) = server(&place.path("ca.pem"));
    let (_, other) = server(&place.path("other.pem"));
    let said = refused(&place, port, "other.pem");
    assert!(said.contains("certificate"), "{said}");
    assert!(told.try_recv().is_err() && other.try_recv().is_err());
}

/// A program in the place of ssh, which notes what it is called with and then does what a server would.
const SSH: &str = "#!/bin/sh\necho \"$@\" >>\"$0.called\"\nfor last; do :; done\nexec sh -c \"$last\"\n";

#[test]
fn ssh_is_given_the_keys_that_were_named_and_no_settings_of_this_machine() {
    let origin = Origin::new();
    let folder = origin.place.path("bin");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("ssh"), SSH).unwrap();
    fs::set_permissions(folder.join("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(origin.place.path("key"), "a key\n").unwrap();
    fs::write(origin.place.path("known"), "a host\n").unwrap();
    let source = format!("git+ssh://git@git.example.com{}//clusters", origin.bare().display());
    let mut command = origin.place.run(&["--source", &source, "--state", "state"]);
    command.args(["--source-ssh-key", "key", "--source-known-hosts", "known"]);
    command.env("PATH", format!("{}:{}", folder.display(), std::env::var("PATH").unwrap()));
    let daemon = Daemon::start(command);
    daemon.until_message("revision in force");
    daemon.until_message("settled");
    let called = fs::read_to_string(folder.join("ssh.called")).unwrap();
    let (known, key) = (origin.place.path("known"), origin.place.path("key"));
    for words in [
        "-F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=/dev/null",
        &format!("-o UserKnownHostsFile={} ", known.display()),
        &format!("-i {} ", key.display()),
        "git@git.example.com git-upload-pack",
    ] {
        assert!(called.contains(words), "{words}: {called}");
    }
}
