//! The proxy's HTTP side.

use std::io;
use std::rc::Rc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::{Proxy, others};
use crate::query::Request;

/// Accepts connections for as long as the scenario lasts.
pub async fn serve(listener: TcpListener, proxy: Rc<Proxy>) {
    while let Ok((stream, _)) = listener.accept().await {
        let proxy = proxy.clone();
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| answer(&proxy, request));
            // A client that goes away in mid-call is what some scenarios are about.
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}

async fn answer(proxy: &Rc<Proxy>, request: hyper::Request<Incoming>) -> io::Result<hyper::Response<Full<Bytes>>> {
    let authorization = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let authorization = authorization.unwrap_or_default().to_owned();
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let request = Request::read(&authorization, String::from_utf8_lossy(&body).into_owned());
    if others::is_of(&request) {
        return Ok(others::answer(proxy, &parts, body, &request).await);
    }
    // In a task of its own: what was begun is carried out even if the caller hangs up.
    let proxy = proxy.clone();
    let answered = tokio::task::spawn_local(async move { proxy.answer(request).await });
    match answered.await {
        Ok(Some((status, body))) => {
            let response = hyper::Response::builder().status(status).header(CONTENT_TYPE, "text/xml;charset=UTF-8");
            response.body(Full::new(Bytes::from(body))).map_err(io::Error::other)
        }
        _ => Err(io::Error::other("the answer is lost")),
    }
}
