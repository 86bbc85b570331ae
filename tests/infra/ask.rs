//! One question to moto, without an SDK.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Asks a service for something that takes no parameters, and gives its answer as it comes.
pub fn ask(endpoint: &str, service: &str, action: &str, version: &str) -> String {
    let host = endpoint.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    let body = if version.is_empty() { String::new() } else { format!("Action={action}&Version={version}") };
    let method = if body.is_empty() { "GET" } else { "POST" };
    let credential = format!("AKIAIOSFODNN7EXAMPLE/20261128/eu-central-1/{service}/aws4_request");
    write!(
        stream,
        "{method} / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n\
         content-type: application/x-www-form-urlencoded\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{action} of {service}: {answer}");
    answer
}
