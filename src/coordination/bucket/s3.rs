//! The way to a bucket of S3: the account's own keys, and the same client as for everything else.

use std::sync::Arc;

use async_trait::async_trait;
use http_body_util::{BodyExt, Limited};
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{ClientOptions, CredentialProvider, Error, ObjectStore, RetryConfig};

use super::answer::Refused;
use crate::coordination::place::{self, Account, Keys};
use crate::http::{Client, Http, Tls, Trust};
use crate::ports::{ErrorKind, PortError};

/// Opens a bucket. Nothing is repeated by itself: what brought no answer may have been done, and the next look shows it.
pub(super) fn open(place: &place::Bucket, account: Option<&Account>) -> Result<Arc<dyn ObjectStore>, PortError> {
    let failed = |why: String| PortError::new(format!("open the claims in {place}"), ErrorKind::Invalid, why);
    let account = account.ok_or_else(|| failed("there is no account to reach it with".to_owned()))?;
    let endpoint = account.endpoint.as_deref();
    let trust = match endpoint {
        Some(endpoint) if endpoint.starts_with("http:") => Trust::Plain,
        _ => Trust::Tls(Tls::default()),
    };
    let client = Http::default().client(&trust).map_err(|error| failed(error.to_string()))?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&place.name)
        .with_region(place.region.as_ref().unwrap_or(&account.region))
        .with_credentials(Arc::new(Provider(account.keys.clone())))
        .with_http_connector(Connector(client))
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
    if let Some(endpoint) = endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(trust == Trust::Plain);
    }
    builder.build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>).map_err(|error| failed(error.to_string()))
}

/// The longest refusal that is read, in bytes.
const REFUSAL: usize = 64 << 10;
/// The statuses that the library itself knows what to do with: not changed, not there, taken meanwhile, not as expected.
const UNDERSTOOD: [u16; 4] = [304, 404, 409, 412];

/// The client that this program's other requests are made with.
#[derive(Debug)]
struct Connector(Client);

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Listener(HttpClient::new(self.0.inner()))))
    }
}

/// A client that hears what S3 says when it refuses. That there is no such bucket looks to the library as if there were no
/// such object.
#[derive(Debug)]
struct Listener(HttpClient);

#[async_trait]
impl HttpService for Listener {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = self.0.execute(request).await?;
        let status = response.status().as_u16();
        if response.status().is_success() {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        let read = Limited::new(body, REFUSAL).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let document = String::from_utf8_lossy(&read);
        let code = part(&document, "Code");
        if UNDERSTOOD.contains(&status) && code != Some("NoSuchBucket") {
            return Ok(HttpResponse::from_parts(head, HttpResponseBody::from(read)));
        }
        let code = code.map_or_else(|| format!("status {status}"), str::to_owned);
        let message = part(&document, "Message").unwrap_or("no message").to_owned();
        Err(HttpError::new(HttpErrorKind::Unknown, Refused { status, code, message }))
    }
}

/// Reads an element of S3's short documents.
fn part<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(part, _)| part)
}

/// The account's keys, asked for with each request; whoever has them keeps them for as long as they last.
#[derive(Debug)]
struct Provider(Arc<dyn Keys>);

#[async_trait]
impl CredentialProvider for Provider {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let generic = |why: String| Error::Generic { store: "S3", source: why.into() };
        let key = self.0.key().await.map_err(generic)?;
        Ok(Arc::new(AwsCredential {
            key_id: key.id,
            secret_key: key.secret.reveal().to_owned(),
            token: key.session.map(|token| token.reveal().to_owned()),
        }))
    }
}
