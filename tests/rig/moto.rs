//! moto, the EC2 endpoint that somebody else wrote.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{self, Process};
use crate::servers::Servers;
use crate::{AT_MOST, until};

/// Calls that moto does not have, and what the rig does about it. Any other one fails the scenario.
const EXPLAINED: &[&str] = &[];

/// The image that others are built from, which belongs to Debian's own account.
pub const DEBIAN: &str = "ami-0deb1200000000001";

/// Starts moto with what keeps a bucket from being emptied put right: of an object that was deleted, moto 5.2.5 does not let the last
/// trace be deleted.
const WITH_BUCKETS: &str = "
from moto.s3 import models
if not hasattr(models.FakeDeleteMarker, 'dispose'):
    models.FakeDeleteMarker.dispose = lambda self: None
from moto.server import main
main(['-H', '127.0.0.1', '-p', '0'])
";

/// A running moto.
pub struct Moto {
    pub endpoint: String,
    log: PathBuf,
    _process: Process,
}

impl Moto {
    /// Starts one with nothing in it, on a port of its own; if buckets are emptied in it, with what that takes.
    pub async fn start(servers: &Servers, dir: &Path, with_buckets: bool) -> Self {
        let log = dir.join("moto.log");
        let images = dir.join("images.json");
        fs::write(&images, debian()).unwrap();
        let mut command = process::command("python3");
        let program = ["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"];
        command
            .args(if with_buckets { &["-c", WITH_BUCKETS][..] } else { &program })
            .env("PYTHONPATH", &servers.moto)
            .env("MOTO_AMIS_PATH", images)
            .env("MOTO_ENABLE_AMI_VALIDATION", "1");
        let process = Process::start(command, &log);
        let told = || fs::read_to_string(&log).ok()?.split("Running on ").nth(1)?.lines().next().map(str::to_owned);
        let endpoint = until("moto to listen", AT_MOST, async || told()).await;
        let ready =
            async || reqwest::get(format!("{endpoint}/moto-api/")).await.ok().filter(|it| it.status().is_success());
        until("moto to answer", AT_MOST, ready).await;
        Self { endpoint, log, _process: process }
    }

    /// Lists the requests that moto has no answer for.
    pub fn complaints(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let complaints = log.lines().filter(|line| line.contains("NotImplementedError"));
        complaints.filter(|line| !EXPLAINED.iter().any(|known| line.contains(known))).map(str::to_owned).collect()
    }
}

/// The list of images that are there from the start, in moto's own form.
fn debian() -> String {
    let name = "debian-12-amd64-2026";
    let debian = serde_json::json!({
        "ami_id": DEBIAN, "owner_id": "136693071363", "architecture": "x86_64", "name": name, "description": "",
        "creation_date": "2026-02-01T00:00:00.000Z", "image_location": name, "image_type": "machine", "public": true,
        "state": "available", "platform": null, "virtualization_type": "hvm", "hypervisor": "xen",
        "root_device_type": "ebs", "root_device_name": "/dev/xvda", "sriov": "simple",
    });
    serde_json::json!([debian]).to_string()
}
