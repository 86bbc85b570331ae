//! An account and a region with a cluster, and the names of what lies there.

use serde_json::{Map, Value, json};

use crate::iam::Request;

pub const ACCOUNT: &str = "123456789012";
pub const CLUSTER: &str = "consul-example";
pub const TEMPLATE: &str = "lt-0aaaaaaaaaaaaaaaa";

/// A region, with its partition's peculiarities.
#[derive(Clone, Copy)]
pub struct Place {
    pub region: &'static str,
    partition: &'static str,
    suffix: &'static str,
}

impl Place {
    /// One in each partition that anybody can have an account in.
    pub const ALL: [Self; 3] = [
        Self { region: "us-east-1", partition: "aws", suffix: "amazonaws.com" },
        Self { region: "cn-north-1", partition: "aws-cn", suffix: "amazonaws.com.cn" },
        Self { region: "us-gov-west-1", partition: "aws-us-gov", suffix: "amazonaws.com" },
    ];

    /// The desired-state file: infra's example here, in an Auto Scaling group instead of fixed addresses, and with one volume that
    /// is never copied before a replacement.
    pub fn file(&self) -> String {
        let without = |line: &str| match line.split_once(", address: ") {
            Some((slot, _)) => format!("{slot} }}\n"),
            None => format!("{line}\n"),
        };
        let plain: String = self.file_with_addresses().lines().map(without).collect();
        plain.replacen("spec:\n", "spec:\n  capacity: { autoScalingGroup: consul-example }\n", 1)
    }

    /// Makes the cluster's file in no group, with a fixed address for each slot, as infra's example has it.
    pub fn file_with_addresses(&self) -> String {
        let text = std::fs::read_to_string("infra/example.yaml").unwrap();
        text.replace("us-east-1", self.region).replace(", snapshotBeforeReplace: true", "")
    }

    /// The ARN of something of EC2's. Images and snapshots bear no account.
    pub fn arn(&self, kind: &str, id: &str) -> String {
        let account = if ["image", "snapshot"].contains(&kind) { "" } else { ACCOUNT };
        format!("arn:{}:ec2:{}:{account}:{kind}/{id}", self.partition, self.region)
    }

    /// The ARN of a bucket, or of an object in one.
    pub fn bucket(&self, path: &str) -> String {
        format!("arn:{}:s3:::{path}", self.partition)
    }

    pub fn group(&self, name: &str) -> String {
        let id = "11111111-2222-3333-4444-555555555555";
        let (partition, region) = (self.partition, self.region);
        format!("arn:{partition}:autoscaling:{region}:{ACCOUNT}:autoScalingGroup:{id}:autoScalingGroupName/{name}")
    }

    pub fn role(&self, name: &str) -> String {
        format!("arn:{}:iam::{ACCOUNT}:role/{name}", self.partition)
    }

    pub fn key(&self) -> String {
        let id = "00000000-0000-0000-0000-000000000000";
        format!("arn:{}:kms:{}:{ACCOUNT}:key/{id}", self.partition, self.region)
    }

    /// A service's name in the place where AWS calls it, e.g. `ec2.us-east-1.amazonaws.com`.
    pub fn endpoint(&self, service: &str) -> String {
        format!("{service}.{}.{}", self.region, self.suffix)
    }

    pub fn service(&self, service: &str) -> String {
        format!("{service}.{}", self.suffix)
    }

    pub fn request(&self, action: &str, resource: &str, context: Value) -> Request {
        Request::of_role(&self.role("hermitcrab"), action, resource, context)
    }
}

/// Tags of a resource, as they are said of one that is there, or in a request that makes it.
#[derive(Clone, Default)]
pub struct Tags(Vec<(&'static str, String)>);

impl Tags {
    /// Tags of something of a cluster's, with its slot.
    pub fn of(cluster: &str) -> Self {
        Self::default()
            .with("hermitcrab:cluster", cluster)
            .with("hermitcrab:slot", "consul-1")
            .with("hermitcrab:owner", "hermitcrab")
    }

    /// Sets a tag.
    pub fn with(mut self, key: &'static str, value: &str) -> Self {
        self.0.retain(|(known, _)| *known != key);
        self.0.push((key, value.to_owned()));
        self
    }

    /// Leaves a tag out.
    pub fn without(mut self, key: &str) -> Self {
        self.0.retain(|(known, _)| *known != key);
        self
    }

    /// Says these tags of a resource that is there.
    pub fn there(&self) -> Value {
        self.context("aws:ResourceTag", false)
    }

    /// Says these tags of a resource that a request makes, or tags.
    pub fn requested(&self) -> Value {
        self.context("aws:RequestTag", true)
    }

    fn context(&self, prefix: &str, keys: bool) -> Value {
        let mut context: Map<_, _> =
            self.0.iter().map(|(key, value)| (format!("{prefix}/{key}"), json!(value))).collect();
        if keys && !self.0.is_empty() {
            context.insert("aws:TagKeys".to_owned(), self.0.iter().map(|(key, _)| *key).collect());
        }
        Value::Object(context)
    }
}

/// Puts two contexts together.
pub fn both(one: Value, other: Value) -> Value {
    let (Value::Object(mut one), Value::Object(other)) = (one, other) else { unreachable!("a context is an object") };
    one.extend(other);
    Value::Object(one)
}
