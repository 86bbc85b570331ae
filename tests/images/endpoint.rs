//! moto, with the images that a test gives it.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::moto::Moto;

/// An EC2 endpoint. It ends with the test.
pub struct Endpoint {
    moto: Moto,
}

impl Endpoint {
    /// Starts one that has these images, in moto's own form.
    pub fn start(moto: &str, folder: &Path, images: &Value) -> Self {
        let list = folder.join("images.json");
        fs::write(&list, images.to_string()).unwrap();
        Self { moto: Moto::start(moto, &[("MOTO_AMIS_PATH", list.to_str().unwrap())]).unwrap() }
    }

    pub fn url(&self) -> &str {
        &self.moto.url
    }

    /// An image as it describes it, on one line.
    pub fn image(&self, id: &str) -> String {
        let asked = format!("{}/?Action=DescribeImages&Version=2016-11-15&ImageId.1={id}", self.url());
        let signed =
            "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/ec2/aws4_request, SignedHeaders=host, Signature=0";
        rustls::crypto::ring::default_provider().install_default().ok(); // for reqwest, which has none of its own
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(async {
            let answer = reqwest::Client::new().get(&asked).header("Authorization", signed).send().await.unwrap();
            assert!(answer.status().is_success(), "{id}: {}", answer.status());
            answer.text().await.unwrap()
        });
        answer.lines().map(str::trim).collect()
    }
}
