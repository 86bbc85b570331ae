//! The rig's motos: what each of them has in it, and what it may not be asked.

use std::path::Path;
use std::sync::OnceLock;
use std::{fs, io};

use crate::motos::{Moto, Motos};
use crate::servers::Servers;

/// Calls that moto does not have, and what the rig does about it. Any other one fails the scenario.
const EXPLAINED: &[&str] = &[];

/// The image that others are built from, which belongs to Debian's own account.
pub const DEBIAN: &str = "ami-0deb1200000000001";

/// The process that the motos of all scenarios are copies of.
static MOTOS: OnceLock<Motos> = OnceLock::new();

/// Starts one for a scenario whose files lie in a folder.
pub fn start(servers: &Servers, dir: &Path, with_buckets: bool) -> Moto {
    let motos = MOTOS.get_or_init(|| begin(&servers.moto).unwrap());
    motos.one(&dir.join("moto.log"), with_buckets).unwrap()
}

fn begin(folder: &str) -> io::Result<Motos> {
    let images = tempfile::NamedTempFile::new()?;
    fs::write(&images, debian())?;
    let settings =
        [("MOTO_AMIS_PATH", images.path().to_str().unwrap_or_default()), ("MOTO_ENABLE_AMI_VALIDATION", "1")];
    Motos::begin(folder, "us-east-1", &["ec2", "autoscaling", "sts"], &settings).map_err(io::Error::other)
}

/// Lists the requests that moto has no answer for.
pub fn complaints(moto: &Moto) -> Vec<String> {
    let complaints = moto.complaints().into_iter();
    complaints.filter(|line| !EXPLAINED.iter().any(|known| line.contains(known))).collect()
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
