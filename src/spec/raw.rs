//! A desired-state file exactly as written, and the source of its JSON schema.
//!
//! Everything is optional and every scalar is text with its place, so that reading stops at nothing and the checks
//! can report all that is wrong at once. What is required, of which type and with which words is said to `schemars`
//! instead; `load` holds a file to that same schema, so an editor and `validate` can never disagree about the shape.
//! The documentation comments here are what an editor shows when the mouse rests on a field.

use std::collections::BTreeMap;
use std::ops::Range;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::application;

use super::words::Word;
use super::{Approval, OnFailure, Rehearsal, Strategy, WindowKind};

/// The pattern of a KMS key.
const KMS_KEY: &str =
    "^(arn:aws[-a-z]*:kms:[-a-z0-9]+:[0-9]{12}:key/)?(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$";

/// A scalar as written, with its place; `None` where it was left out.
pub type Text = Option<Spanned>;

/// A scalar as written, with its place in the file.
#[derive(Clone, Debug, Deserialize)]
pub struct Spanned {
    pub value: String,
    start: usize,
    end: usize,
}

impl Spanned {
    /// The name under which a file's reader is asked for one.
    pub(super) const NAME: &str = "Spanned";

    /// Finds where the scalar is written, quotes included. Of an alias, that is the alias.
    pub fn bytes(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// Gives the JSON schema of a desired-state file. It is of draft 7, because the YAML language server understands that.
pub fn schema() -> serde_json::Value {
    let settings = SchemaSettings::draft07().with_transform(RecursiveTransform(drop_null_default));
    settings.into_generator().into_root_schema_for::<Cluster>().to_value()
}

/// Takes a default of `null` away: a field that is left out is not null, and an editor should not offer to write `null`.
fn drop_null_default(schema: &mut Schema) {
    if schema.get("default").is_some_and(serde_json::Value::is_null) {
        schema.remove("default");
    }
}

/// One cluster as it should be: a desired-state file of hermitcrab.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Cluster {
    /// The version of this format: always `hermitcrab/v1`.
    #[schemars(required, with = "String", extend("enum" = ["hermitcrab/v1"]))]
    pub api_version: Text,
    /// The kind of thing that the file declares: always `Cluster`.
    #[schemars(required, with = "String", extend("enum" = ["Cluster"]))]
    pub kind: Text,
    /// The cluster's name.
    #[schemars(required)]
    pub metadata: Option<Metadata>,
    /// The cluster as it should be.
    #[schemars(required)]
    pub spec: Option<Spec>,
}

/// The metadata of the cluster.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Metadata {
    /// The cluster's name, unique over all files: lower-case letters, digits and `-`, at most 63 characters.
    #[schemars(required, with = "String", extend("pattern" = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"))]
    pub name: Text,
}

/// The cluster as it should be.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Spec {
    /// The AWS region, e.g. `us-east-1`.
    #[schemars(required, with = "String", extend("pattern" = "^[a-z]{2}(-[a-z]+)+-[0-9]$"))]
    pub region: Text,
    /// The AWS account, twelve digits in quotes. A guard: with the credentials of another account nothing is done.
    #[serde(default)]
    #[schemars(with = "String", extend("pattern" = "^[0-9]{12}$"))]
    pub account: Text,
    /// The image that every instance should run. Always a literal id: what is committed is what runs.
    #[schemars(required, with = "String", extend("pattern" = "^ami-([0-9a-f]{8}|[0-9a-f]{17})$"))]
    pub image: Text,
    /// The application on the instances.
    #[schemars(required)]
    pub application: Option<application::Written>,
    /// The settings of every instance.
    #[schemars(required)]
    pub instance: Option<Instance>,
    /// Tags of everything that is made: instances with their root volumes and network interfaces, volumes, snapshots.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub tags: Option<BTreeMap<String, Spanned>>,
    /// An Auto Scaling group that the instances belong to. Left out: they belong to none.
    #[serde(default)]
    #[schemars(with = "Capacity")]
    pub capacity: Option<Capacity>,
    /// The persistent volumes of every slot. They outlive instances: a replacement is given its predecessor's.
    /// One that is declared later is not made in slots that exist: it could be a lost one.
    #[schemars(required, extend("minItems" = 1))]
    pub volumes: Option<Vec<Volume>>,
    /// The seats of the cluster, one a member. An odd number is best: 3, 5 or 7.
    #[schemars(required, extend("minItems" = 1, "maxItems" = application::MOST_SLOTS))]
    pub slots: Option<Vec<Slot>>,
    /// The way in which changes are carried out.
    #[serde(default)]
    #[schemars(with = "Rollout")]
    pub rollout: Option<Rollout>,
    /// No upgrades; healing goes on. A replacement whose old instance was stopped already is finished.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = false))]
    pub suspend: Text,
    /// Touch nothing at all: no healing either, and a replacement under way stays where it stands.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = false))]
    pub freeze: Text,
    /// The reason for `suspend` or `freeze`, for people: `status` shows it while either is true.
    #[serde(default)]
    #[schemars(with = "String")]
    pub reason: Text,
    /// Names of other clusters on which this one stands, e.g. the etcd that Patroni keeps its leader in. Neither is disrupted
    /// while the other is in motion, or not healthy.
    #[serde(default)]
    #[schemars(with = "Vec<String>", extend("default" = [], "maxItems" = 16))]
    pub depends_on: Option<Vec<Spanned>>,
    /// Names of slots, or of other clusters, that no file declares any more and that are left behind on purpose. New
    /// slots are made beside their volumes only if they are named here.
    #[serde(default)]
    #[schemars(with = "Vec<String>", extend("default" = []))]
    pub left_behind: Option<Vec<Spanned>>,
    /// While this is true, `destroy` is refused.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = true))]
    pub deletion_protection: Text,
}

/// The settings of every instance of the cluster. A difference in anything but tags replaces the instances.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Instance {
    /// The instance type, e.g. `m7i.large`.
    #[serde(rename = "type")]
    #[schemars(required, with = "String", extend("pattern" = "^[a-z0-9-]+\\.[a-z0-9-]+$"))]
    pub instance_type: Text,
    /// The name (not the ARN) of the instance profile.
    #[serde(default)]
    #[schemars(with = "String")]
    pub iam_instance_profile: Text,
    /// Ids of security groups, `sg-…`. Left out, EC2 gives the VPC's default one, and they are not compared.
    #[serde(default)]
    #[schemars(with = "Vec<String>", extend("items" = {"type": "string", "pattern": "^sg-[0-9a-z]+$"}, "maxItems" = 16))]
    pub security_groups: Option<Vec<Spanned>>,
    /// The name of the SSH key pair.
    #[serde(default)]
    #[schemars(with = "String")]
    pub key_name: Text,
    /// The place among EC2's hosts. What is left out of it is left to EC2, and not compared.
    #[serde(default)]
    #[schemars(with = "Placement")]
    pub placement: Option<Placement>,
    /// The capacity reservation that each launch may use: `none`, any `open` one that fits, or the one with that id, `cr-…`.
    /// A change replaces no instance: it counts from the next launch on. Left out, EC2 takes any open one.
    #[serde(default)]
    #[schemars(with = "String", extend("pattern" = "^(none|open|cr-[0-9a-f]{8,17})$"))]
    pub capacity_reservation: Text,
    /// The root volume, which is made with each instance and goes with it. Left out, it is as the image has it.
    #[serde(default)]
    #[schemars(with = "RootVolume")]
    pub root_volume: Option<RootVolume>,
    /// A file with the user data, relative to this file; at most 16 KiB.
    #[serde(default)]
    #[schemars(with = "String")]
    pub user_data_file: Text,
    /// Tags of the instances. A difference is mended in place; it never replaces an instance.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub tags: Option<BTreeMap<String, Spanned>>,
}

/// The root volume of every instance.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct RootVolume {
    /// The size in binary units, not below the image's, e.g. `30GiB`. Left out, it is the image's.
    #[serde(default)]
    #[schemars(with = "String", extend("pattern" = "^[0-9]+(GiB|TiB)$"))]
    pub size: Text,
    /// The volume type.
    #[serde(default, rename = "type")]
    #[schemars(with = "String", extend("enum" = ["gp3", "gp2", "io1", "io2", "standard"], "default" = "gp3"))]
    pub volume_type: Text,
    /// The I/O operations a second: for gp3, where 3000 are had anyway, and always for io1 and io2.
    #[serde(default)]
    #[schemars(with = "u32", extend("minimum" = 100, "maximum" = 256_000))]
    pub iops: Text,
    /// The throughput in MiB/s, for gp3, where 125 is had anyway.
    #[serde(default)]
    #[schemars(with = "u32", extend("minimum" = 125, "maximum" = 2_000))]
    pub throughput: Text,
    /// Encrypt, with the account's default key for EBS if no other is named. `false` leaves it to the image and the account.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = true))]
    pub encrypted: Text,
    /// The KMS key to encrypt with, by its ARN or its id. No alias: it could be another key tomorrow.
    #[serde(default)]
    #[schemars(with = "String", extend("pattern" = KMS_KEY))]
    pub kms_key: Text,
}

/// The place of the instances among EC2's hosts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Placement {
    /// `default`, on hosts that are shared with other accounts, or `dedicated`, on hosts of this account alone.
    #[serde(default)]
    #[schemars(with = "String", extend("pattern" = "^(default|dedicated)$"))]
    pub tenancy: Text,
    /// The name (not the id) of a placement group, e.g. one that spreads instances over racks.
    #[serde(default)]
    #[schemars(with = "String", extend("pattern" = "^[ -~]{1,255}$"))]
    pub group: Text,
}

/// The Auto Scaling group that the instances belong to, if any.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Capacity {
    /// The name of an Auto Scaling group to adopt. It is kept from acting during a replacement, its launch template
    /// follows this file, and what it launches by itself serves where a slot has lost its instance.
    #[schemars(required, with = "String", extend("pattern" = "^[^:]{1,255}$"))]
    pub auto_scaling_group: Text,
}

/// One persistent volume of every slot. Its size and whatever else EBS is asked for counts when it is made; a later change
/// does nothing to a volume that exists, and `plan` names it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Volume {
    /// The volume's name, unique within the slot, e.g. `data`.
    #[schemars(required, with = "String", extend("pattern" = "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"))]
    pub name: Text,
    /// The device name at attachment, `/dev/sdf` to `/dev/sdp`. Volumes that exist may be attached at others, e.g. `/dev/xvdf`.
    #[schemars(required, with = "String", extend("pattern" = "^/dev/(sd|xvd)[b-z]$"))]
    pub device: Text,
    /// The size in binary units, e.g. `20GiB` or `1TiB`.
    #[schemars(required, with = "String", extend("pattern" = "^[0-9]+(GiB|TiB)$"))]
    pub size: Text,
    /// The volume type.
    #[serde(default, rename = "type")]
    #[schemars(with = "String", extend("enum" = ["gp3", "gp2", "io1", "io2", "st1", "sc1", "standard"], "default" = "gp3"))]
    pub volume_type: Text,
    /// The I/O operations a second: for gp3, where 3000 are had anyway, and always for io1 and io2.
    #[serde(default)]
    #[schemars(with = "u32", extend("minimum" = 100, "maximum" = 256_000))]
    pub iops: Text,
    /// The throughput in MiB/s, for gp3, where 125 is had anyway.
    #[serde(default)]
    #[schemars(with = "u32", extend("minimum" = 125, "maximum" = 2_000))]
    pub throughput: Text,
    /// Encrypt, with the account's default key for EBS if no other is named.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = true))]
    pub encrypted: Text,
    /// The KMS key to encrypt with, by its ARN or its id. No alias: it could be another key tomorrow.
    #[serde(default)]
    #[schemars(with = "String", extend("pattern" = KMS_KEY))]
    pub kms_key: Text,
    /// Tags of the volume and of its snapshots, when they are made.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub tags: Option<BTreeMap<String, Spanned>>,
    /// Take a snapshot before the slot's instance is replaced: a way back for the data. `running` takes it while the old instance
    /// serves and waits until it is complete, so that nothing is down meanwhile; it holds what was written until then, as after a
    /// loss of power. `stopped` takes that one first, and another once the old instance has stopped, which holds everything and
    /// for which the move does not wait. `true` takes the last one alone.
    #[serde(default)]
    #[schemars(with = "serde_json::Value", extend("type" = ["boolean", "string"], "enum" = [false, true, "running", "stopped"], "default" = false))]
    pub snapshot_before_replace: Text,
}

/// One seat of the cluster; instances pass through it, its volumes stay.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Slot {
    /// The slot's name, unique within the cluster. It is the member's node name.
    #[schemars(required, with = "String", extend("pattern" = "^[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?$"))]
    pub name: Text,
    /// The availability zone of its volumes, and so of its instances. It can never change.
    #[schemars(required, with = "String")]
    pub zone: Text,
    /// The subnet of its instances, in that zone.
    #[schemars(required, with = "String", extend("pattern" = "^subnet-[0-9a-z-]+$"))]
    pub subnet: Text,
    /// The fixed private IPv4 address of its member, e.g. `10.0.1.10`: a secondary one, which moves to each new instance
    /// with the volumes. All slots have one, or none has. Another address makes the slot's instance outdated.
    #[serde(default)]
    #[schemars(with = "String", extend("format" = "ipv4"))]
    pub address: Text,
    /// The CIDR block of the subnet, e.g. `10.0.1.0/24`. Nothing but a check: `address` must be in it, and be none that EC2 keeps.
    #[serde(default)]
    #[schemars(with = "String", extend("pattern" = "^[0-9.]+/(1[6-9]|2[0-8])$"))]
    pub cidr: Text,
}

/// The way in which changes are carried out.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Rollout {
    /// `surge` launches and checks the replacement before the old instance stops; `recreate` stops the old one first.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = Strategy::words(), "default" = Strategy::WORDS[0].0))]
    pub strategy: Text,
    /// The time for which a new member must stay healthy before its old instance is terminated, e.g. `60s`.
    #[serde(default)]
    #[schemars(with = "String", extend("default" = "60s"))]
    pub bake_time: Text,
    /// The time in which a member must come back once it has its volumes, e.g. `10m`; after that `onFailure` applies.
    #[serde(default)]
    #[schemars(with = "String", extend("default" = "10m"))]
    pub join_deadline: Text,
    /// `rollback` gives the volumes back to the old instance; `hold` leaves all as it is and waits for a person.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = OnFailure::words(), "default" = OnFailure::WORDS[0].0))]
    pub on_failure: Text,
    /// The approvals that a rollout needs: none, one after the first slot, or one before every slot.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = Approval::words(), "default" = Approval::WORDS[0].0))]
    pub approval: Text,
    /// The id of the plan that was agreed to, as printed by `plan`.
    #[serde(default)]
    #[schemars(with = "String")]
    pub approved: Text,
    /// `required`: nothing is replaced before `rehearse` has brought a throw-away copy to just that generation.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = Rehearsal::words(), "default" = Rehearsal::WORDS[0].0))]
    pub rehearsal: Text,
    /// The windows in which a replacement may begin, if it is expected to fit in. Without windows: always. `deny` wins over `allow`.
    #[serde(default)]
    #[schemars(with = "Vec<Window>", extend("default" = []))]
    pub windows: Option<Vec<Window>>,
    /// While the new member of a slot is waited for, the replacement of the next one is launched and checked, under `surge`. `false`: only when its turn has come.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = true))]
    pub launch_ahead: Text,
}

/// A stretch of time that returns by a schedule.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub struct Window {
    /// Changes may begin only in an `allow` window, if there is any, and never in a `deny` window.
    #[schemars(required, with = "String", extend("enum" = WindowKind::words()))]
    pub kind: Text,
    /// The times at which the window opens, as five cron fields: minute, hour, day of month, month, day of week.
    /// Days that either field of days names count; the first Saturday is `6#1`, e.g. `0 2 * * 6#1`.
    #[schemars(required, with = "String")]
    pub schedule: Text,
    /// The time for which the window stays open, at most seven days, e.g. `4h`.
    #[schemars(required, with = "String")]
    pub duration: Text,
    /// The IANA name of the time zone in which the schedule is read, e.g. `Europe/Berlin`.
    #[serde(default)]
    #[schemars(with = "String", extend("default" = "UTC"))]
    pub time_zone: Text,
}
