//! AWS's words: states, error codes and partitions as AWS's own description of its APIs has them (botocore, as pip brings it today). A
//! word that is new there fails these tests before an account meets it. `UPDATE_EXPECT=1` writes the words down, and then the tests
//! of the adapter say which of them nobody reads.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::process::Command;

use expect_test::expect_file;
use serde_json::Value;

use hermitcrab::cloud::permissions::partition_of;

#[path = "tools/fetch.rs"]
mod fetch;
#[path = "tools/left_out.rs"]
mod left_out;

use fetch::fetch;
use left_out::left_out;

/// Prints what botocore says of something; none where it cannot be had, which is said.
fn botocore(program: &str) -> Option<String> {
    let folder = match fetch(["moto"]) {
        Ok([folder]) => folder, // moto brings it
        Err(why) => {
            left_out("botocore", &why);
            return None;
        }
    };
    let said = Command::new("python3").env("PYTHONPATH", folder).args(["-c", program]).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    Some(String::from_utf8(said.stdout).unwrap())
}

const WORDS: &str = r#"
import json
from botocore.loaders import Loader
from botocore.retries import standard

loader = Loader()
ec2, scaling = (loader.load_service_model(name, "service-2")["shapes"] for name in ("ec2", "autoscaling"))
states = ["InstanceStateName", "VolumeState", "VolumeAttachmentState", "AttachmentStatus", "SnapshotState", "ImageState",
          "AvailabilityZoneState", "SummaryStatus", "VolumeStatusInfoStatus", "EventCode", "ArchitectureType",
          "InstanceTypeHypervisor", "VolumeType"]
words = {name: ec2[name]["enum"] for name in states}
words["LifecycleState"] = scaling["LifecycleState"]["enum"]
codes = {shape["error"]["code"] for shape in scaling.values() if shape.get("exception")}
codes |= set(standard.ThrottledRetryableChecker._THROTTLED_ERROR_CODES)
codes |= set(standard.TransientRetryableChecker._TRANSIENT_ERROR_CODES)
print(json.dumps({"words": words, "codes": sorted(codes)}, indent=2))
"#;

#[test]
fn no_word_of_awss_is_new() {
    let Some(words) = botocore(WORDS) else { return };
    expect_file!["aws/words.json"].assert_eq(&words);
}

#[test]
fn every_region_of_awss_lies_in_the_partition_that_we_say() {
    let list = "from botocore.loaders import Loader; import json; print(json.dumps(Loader().load_data('partitions')))";
    let Some(list) = botocore(list) else { return };
    let list: Value = serde_json::from_str(&list).unwrap();
    let partitions = list["partitions"].as_array().unwrap();
    assert!(partitions.len() >= 8, "{partitions:?}");
    for partition in partitions {
        let regions = partition["regions"].as_object().unwrap().keys();
        for region in regions.filter(|region| !region.ends_with("-global")) {
            let said = partition_of(region);
            assert_eq!(said.name, partition["id"], "{region}");
            assert_eq!(said.dns_suffix, partition["outputs"]["dnsSuffix"], "{region}");
        }
    }
}

#[test]
fn a_file_may_name_every_type_of_volume_that_ec2_has() {
    let written = std::fs::read_to_string("tests/aws/words.json").unwrap();
    let written: Value = serde_json::from_str(&written).unwrap();
    let schema = std::fs::read_to_string("schema/cluster.v1.json").unwrap();
    let types = written["words"]["VolumeType"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    let left: Vec<_> = types.filter(|word| !schema.contains(&format!("\"{word}\""))).collect();
    assert_eq!(left, [""; 0]);
}
