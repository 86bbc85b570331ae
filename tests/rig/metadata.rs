//! The metadata of each instance, as IMDSv2 gives them: what EC2 itself says of the instance now.

use std::convert::Infallible;
use std::rc::Rc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::proxy::Proxy;
use crate::world::Machine;

/// Begins to answer, and says where: an instance's own service is below that, at the instance's id.
pub async fn start(proxy: Rc<Proxy>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let proxy = proxy.clone();
            tokio::task::spawn_local(async move {
                let service = service_fn(async |request| Ok::<_, Infallible>(answer(&proxy, &request)));
                // Whoever asked may be gone.
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
            });
        }
    });
    url
}

fn answer(proxy: &Proxy, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let (instance, path) = request.uri().path().trim_start_matches('/').split_once('/').unwrap_or_default();
    let token = format!("token-of-{instance}");
    let (status, body) = if *request.method() == Method::PUT && path == "latest/api/token" {
        match header("x-aws-ec2-metadata-token-ttl-seconds") {
            Some(_) => (200, token),
            None => (400, String::new()),
        }
    } else if header("x-aws-ec2-metadata-token") != Some(&*token) {
        (401, String::new())
    } else {
        let world = proxy.world.borrow();
        let machine = world.machines.get(instance);
        let value = machine.and_then(|machine| value(machine, path.strip_prefix("latest/meta-data/")?));
        value.map_or((404, String::new()), |value| (200, value))
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap();
    response
}

fn value(machine: &Machine, path: &str) -> Option<String> {
    match path {
        "local-ipv4" => Some(machine.address.clone()),
        "mac" => Some(machine.interface.mac.clone()),
        "placement/region" => Some(machine.zone.trim_end_matches(|last: char| last.is_ascii_lowercase()).to_owned()),
        _ if path == format!("network/interfaces/macs/{}/local-ipv4s", machine.interface.mac) => {
            Some([std::slice::from_ref(&machine.address), &machine.interface.secondary].concat().join("\n"))
        }
        _ => machine.tags.get(path.strip_prefix("tags/instance/")?).filter(|_| machine.tells_tags).cloned(),
    }
}
