//! Servers on loopback addresses that answer what they are told to, and note what they were asked.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The answers of servers: by method and path, with or without its query, a status and a body. Any other request is answered
/// 404. A test may change it while the servers run.
pub type Script = Arc<Mutex<BTreeMap<String, (u16, Value)>>>;

/// The requests: address of the server, method and path with query, the token, the body.
pub type Asked = Arc<Mutex<Vec<(IpAddr, String, Option<String>, String)>>>;

/// Listeners at all of the addresses, at one port.
pub async fn listen(addresses: &[IpAddr]) -> (u16, Vec<TcpListener>) {
    'ports: loop {
        let first = TcpListener::bind(SocketAddr::new(addresses[0], 0)).await.unwrap();
        let port = first.local_addr().unwrap().port();
        let mut listeners = vec![first];
        for address in &addresses[1..] {
            match TcpListener::bind(SocketAddr::new(*address, port)).await {
                Ok(listener) => listeners.push(listener),
                Err(_) => continue 'ports,
            }
        }
        return (port, listeners);
    }
}

/// Answers every request by the script, for as long as the test runs.
pub async fn serve(listener: TcpListener, script: Script, asked: Asked) {
    let address = listener.local_addr().unwrap().ip();
    while let Ok((stream, _)) = listener.accept().await {
        let (script, asked) = (script.clone(), asked.clone());
        tokio::spawn(connection(address, stream, script, asked));
    }
}

/// Answers every request that comes over one connection.
pub async fn connection<S>(address: IpAddr, stream: S, script: Script, asked: Asked)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let service = service_fn(|request: Request<Incoming>| {
        let (script, asked) = (script.clone(), asked.clone());
        async move {
            let call = format!("{} {}", request.method(), request.uri());
            let token = request.headers().get("x-consul-token").map(|token| token.to_str().unwrap().to_owned());
            let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            asked.lock().unwrap().push((address, call.clone(), token, String::from_utf8_lossy(&body).into_owned()));
            Ok::<_, Infallible>(answer(&script.lock().unwrap(), &call))
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

fn answer(script: &BTreeMap<String, (u16, Value)>, call: &str) -> Response<Full<Bytes>> {
    let bare = call.split('?').next().unwrap();
    let (status, body) = script.get(call).or_else(|| script.get(bare)).cloned().unwrap_or((404, json!("")));
    let mut response = Response::builder().status(status);
    if (300..400).contains(&status) {
        let leads = body.as_str().and_then(|place| HeaderValue::from_str(place).ok());
        response = response.header("location", leads.unwrap_or_else(|| HeaderValue::from_static("")));
    }
    // Consul's errors and everybody's metrics are bare text.
    let text = match &body {
        Value::String(text) if status >= 300 || bare == "GET /metrics" => text.clone(),
        body => body.to_string(),
    };
    response.body(Full::new(Bytes::from(text))).unwrap()
}
