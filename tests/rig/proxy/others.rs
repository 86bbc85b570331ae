//! The services beside EC2, Auto Scaling and STS: their calls go to moto byte for byte, and its answers back. What SSM has an agent
//! carry out is the agent's.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use super::Proxy;
use crate::query::Request;

/// The services whose calls the rig understands.
const OURS: [&str; 3] = ["ec2", "autoscaling", "sts"];

/// Says whether a call is of a service that the rig leaves to moto.
pub fn is_of(request: &Request) -> bool {
    !OURS.contains(&request.service.as_str())
}

/// Answers a call as moto or an agent does.
pub async fn answer(proxy: &Proxy, parts: &Parts, body: Bytes, request: &Request) -> Response<Full<Bytes>> {
    let called = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let agent = proxy.agent.borrow().clone();
    if let (Some(agent), Some(action)) = (agent, called.strip_prefix("AmazonSSM."))
        && let Some((status, answer)) = agent.answer(action, &body)
    {
        let mut response = Response::new(Full::new(Bytes::from(answer)));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        return response;
    }
    if let Some(response) = policy(proxy, parts, &body) {
        return response;
    }
    proxy.remember_object(request, &parts.method, parts.uri.path());
    match pass(proxy, parts, body).await {
        Ok(response) => response,
        Err(error) => {
            proxy.truth.violation(format!("moto does not answer {} {}: {error}", parts.method, parts.uri));
            let mut response = Response::new(Full::new(Bytes::new()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}

/// Keeps the policies of buckets. moto has every condition hold, so that one which wants encrypted connections would refuse all.
fn policy(proxy: &Proxy, parts: &Parts, body: &Bytes) -> Option<Response<Full<Bytes>>> {
    if parts.uri.query().map(|query| query.trim_end_matches('=')) != Some("policy") {
        return None;
    }
    let (bucket, mut policies) = (parts.uri.path().trim_matches('/').to_owned(), proxy.policies.borrow_mut());
    let (status, body) = match parts.method {
        Method::PUT => {
            policies.insert(bucket, body.clone());
            (StatusCode::NO_CONTENT, Bytes::new())
        }
        Method::DELETE => {
            policies.remove(&bucket);
            (StatusCode::NO_CONTENT, Bytes::new())
        }
        _ => match policies.get(&bucket) {
            Some(policy) => (StatusCode::OK, policy.clone()),
            None => (StatusCode::NOT_FOUND, Bytes::from("<Error><Code>NoSuchBucketPolicy</Code></Error>")),
        },
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    Some(response)
}

async fn pass(proxy: &Proxy, parts: &Parts, body: Bytes) -> Result<Response<Full<Bytes>>, reqwest::Error> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = parts.headers.clone();
    for own in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
        headers.remove(own);
    }
    headers.remove("expect");
    let url = format!("{}{path}", proxy.upstream);
    let answer = proxy.http.request(parts.method.clone(), url).headers(headers).body(body).send().await?;
    let mut response = Response::builder().status(answer.status());
    let lengths_of_nothing = parts.method == Method::HEAD;
    for (name, value) in answer.headers() {
        if ![TRANSFER_ENCODING, CONNECTION].contains(name) && (lengths_of_nothing || name != CONTENT_LENGTH) {
            response = response.header(name, value);
        }
    }
    Ok(response.body(Full::new(answer.bytes().await?)).unwrap())
}
