//! The text of a first desired-state file, with what a beginner wants to know beside each field.

use std::path::{Component, Path};

use super::draft::{Draft, Field, Slot};

/// The file that a whole draft declares. `path` is where it will lie.
pub fn compose(draft: &Draft, path: &Path) -> String {
    let text = |field| scalar(draft.text(field).unwrap_or_default());
    let optional = |field, line: &str| draft.text(field).map_or(String::new(), |_| format!("{line}{}\n", text(field)));
    let account = draft.text(Field::Account).map_or(String::new(), |account| {
        format!(
            "  # A guard: with the credentials of another account nothing is done. In quotes, or leading zeros are lost.\n  \
             account: {}\n",
            quoted(account)
        )
    });
    let version = optional(
        Field::Version,
        "      # A member on the image must report this version before the next slot is touched. Change them together.\n      \
         version: ",
    );
    let groups = match draft.security_groups.as_slice() {
        [] => String::new(),
        groups => {
            format!("    securityGroups: [{}]\n", groups.iter().map(|g| scalar(g)).collect::<Vec<_>>().join(", "))
        }
    };
    let capacity = optional(
        Field::AutoScalingGroup,
        "\n  # The group that the instances belong to. It is kept still while one of them is replaced.\n  \
         capacity:\n    autoScalingGroup: ",
    );
    format!(
        "\
# yaml-language-server: $schema={schema}
#
# {servers}
# `hermitcrab schema` has every field.
apiVersion: hermitcrab/v1
kind: Cluster
metadata:
  # It is written on every instance and volume, so it cannot change.
  name: {name}
spec:
  region: {region}
{account}  # Always a literal id, never `latest`: what is committed is what runs. `hermitcrab promote` writes another one here.
  image: {image}

  application:
    # For servers that speak TLS or want a token there are `scheme`, `caFile` and `tokenFile`.
    consul:
      datacenter: {datacenter}
{version}      # Keep autopilot from pruning a server that is only being replaced.
      manageAutopilot: true

  # A difference in any of these but tags replaces the instances, one at a time.
  instance:
    type: {instance_type}
{profile}{groups}    tags:
      # Images may read them: so many servers must have met before one may lead, and so their datacenter is called.
      consul-servers: \"{count}\"
      consul-datacenter: {datacenter}
{capacity}
  # Volumes outlive instances: a replacement is given its predecessor's, with the member's data and identity on it.
  volumes:
    - name: data
      device: /dev/sdf
      size: {size}
{key}      encrypted: true
      # A way back for the data, should a new version spoil it.
      snapshotBeforeReplace: true

  # A slot's name is its member's node name. Zones never change, because volumes cannot leave theirs.
  slots:
{slots}
  # These are the defaults.
  rollout:
    strategy: surge # the replacement is launched and checked before the old instance stops
    bakeTime: 60s # how long a new member must stay healthy before its old instance goes
    joinDeadline: 10m # how long a member may be down before `onFailure` applies
    onFailure: rollback # the volumes go back to the old instance, which is kept until then

  # While this is true, `destroy` is refused.
  deletionProtection: true
",
        schema = schema_for(path),
        servers = servers(draft.slots.len()),
        name = text(Field::Name),
        region = text(Field::Region),
        image = text(Field::Image),
        datacenter = text(Field::Datacenter),
        instance_type = text(Field::InstanceType),
        profile = optional(Field::InstanceProfile, "    iamInstanceProfile: "),
        count = draft.slots.len(),
        size = text(Field::VolumeSize),
        key = key(draft),
        slots = draft.slots.iter().map(slot).collect::<String>(),
    )
}

/// What the file begins with.
fn servers(count: usize) -> String {
    let servers = if count == 1 { "server" } else { "servers" };
    match count - crate::spec::quorum(count).min(count) {
        0 => format!(
            "{count} Consul {servers}, for a try: none can be replaced while a quorum stays, so upgrades are blocked. With three they are not."
        ),
        may_fail => {
            format!("{count} Consul {servers}, of which {may_fail} may fail. To upgrade, commit another image.")
        }
    }
}

/// The file names no key: EBS encrypts with the account's default one.
fn key(draft: &Draft) -> String {
    draft.text(Field::KmsKey).map_or(String::new(), |key| {
        format!(
            "      # With the account's default key for EBS in this region. To have it be Terraform's:\n      \
             # aws ec2 modify-ebs-default-kms-key-id --kms-key-id {}\n",
            key.escape_default()
        )
    })
}

fn slot(slot: &Slot) -> String {
    let Slot { name, zone, subnet } = slot;
    format!("    - {{ name: {}, zone: {}, subnet: {} }}\n", scalar(name), scalar(zone), scalar(subnet))
}

/// Where an editor finds the schema: beside the folder `desired-state`, else beside the folder that the path begins in.
pub fn schema_for(path: &Path) -> String {
    let folders = path.parent().unwrap_or(Path::new("")).components();
    let folders: Vec<_> = folders.filter(|part| matches!(part, Component::Normal(_))).collect();
    let root = folders.iter().rposition(|part| part.as_os_str() == "desired-state").unwrap_or(0);
    let depth = if path.is_absolute() && folders.get(root).is_none_or(|part| part.as_os_str() != "desired-state") {
        0
    } else {
        folders.len() - root
    };
    "../".repeat(depth) + "schema/cluster.v1.json"
}

/// A text as YAML: as it is where every reader takes it for text, else in quotes.
fn scalar(text: &str) -> String {
    const NO_TEXT: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !NO_TEXT.contains(&&*text.to_lowercase());
    let is_size = text.ends_with("iB") && text.trim_end_matches(char::is_alphabetic).parse::<u32>().is_ok();
    if plain || is_size { text.to_owned() } else { quoted(text) }
}

/// JSON's strings are YAML's too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_found_from_where_the_file_lies() {
        for (path, schema) in [
            ("desired-state/consul.yaml", "../schema/cluster.v1.json"),
            ("desired-state/prod/consul.yaml", "../../schema/cluster.v1.json"),
            ("/srv/ops/desired-state/prod/consul.yaml", "../../schema/cluster.v1.json"),
            ("clusters/consul.yaml", "../schema/cluster.v1.json"),
            ("consul.yaml", "schema/cluster.v1.json"),
            ("/tmp/x/consul.yaml", "schema/cluster.v1.json"),
        ] {
            assert_eq!(schema_for(Path::new(path)), schema, "{path}");
        }
    }
}
