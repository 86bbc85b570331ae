//! moto, the EC2 endpoint that somebody else wrote, with the images that a test gives it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// A running moto. It ends with the test.
pub struct Endpoint {
    pub url: String,
    process: Child,
}

impl Endpoint {
    /// Starts one that has these images, in moto's own form.
    pub fn start(moto: &Path, folder: &Path, images: &Value) -> Self {
        let list = folder.join("images.json");
        fs::write(&list, images.to_string()).unwrap();
        let mut process = Command::new("python3")
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"])
            .env("PYTHONPATH", moto)
            .env("MOTO_AMIS_PATH", &list)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let (tell, told) = mpsc::channel();
        // It reads on for as long as moto speaks, or moto would stand still.
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if let Some((_, url)) = line.split_once("Running on ") {
                    let _ = tell.send(url.trim().to_owned());
                }
            }
        });
        match told.recv_timeout(Duration::from_secs(90)) {
            Ok(url) => Self { url, process },
            Err(_) => {
                process.kill().ok();
                panic!("moto does not listen");
            }
        }
    }

    /// An image as it describes it, on one line.
    pub fn image(&self, id: &str) -> String {
        let asked = format!("{}/?Action=DescribeImages&Version=2016-11-15&ImageId.1={id}", self.url);
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

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
