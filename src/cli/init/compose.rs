//! The text of a first desired-state file, with what a beginner wants to know beside each field.

use std::path::{Component, Path, PathBuf};

use super::draft::{Draft, Field, Slot};
use super::kind::{Kind, needed};

/// Writes the file that a whole draft declares. `path` is the place of the file.
pub fn compose(draft: &Draft, path: &Path) -> String {
    let parts = [
        header(draft, path),
        place(draft),
        application(draft),
        instance(draft),
        capacity(draft),
        volumes(draft),
        slots(draft),
        ROLLOUT.to_owned(),
    ];
    parts.concat()
}

fn header(draft: &Draft, path: &Path) -> String {
    format!(
        "\
# yaml-language-server: $schema={schema}
#
# {members}
# `hermitcrab schema` has every field.
apiVersion: hermitcrab/v1
kind: Cluster
metadata:
  # The name is written on every instance and volume, so it cannot change.
  name: {name}
",
        schema = schema_for(path),
        members = members(draft),
        name = text(draft, Field::Name),
    )
}

/// Sums up how many members there are, and how many of them may fail.
fn members(draft: &Draft) -> String {
    let (count, needed) = (draft.slots.len(), needed(draft));
    let (one, several) = Kind::of(draft).members();
    let members = if count == 1 { one } else { several };
    match count.saturating_sub(needed(count)) {
        0 => format!(
            "{count} {members}, for a try: none may fail, so none may be replaced, and upgrades are blocked. {} can be upgraded.",
            if least_with_a_spare(draft) == 2 { "Two" } else { "Three" }
        ),
        may_fail => format!("{count} {members}, of which {may_fail} may fail. To upgrade, commit another image."),
    }
}

/// Counts the members that it takes for one to be spared.
pub fn least_with_a_spare(draft: &Draft) -> usize {
    let needed = needed(draft);
    (1..).find(|count| *count > needed(*count)).unwrap_or(3)
}

fn place(draft: &Draft) -> String {
    let account = draft.text(Field::Account).map_or(String::new(), |account| {
        format!(
            "  # A guard: with credentials of another account nothing is changed. In quotes, because leading zeros matter.\n  \
             account: {}\n",
            quoted(account)
        )
    });
    format!(
        "\
spec:
  region: {region}
{account}  # Always a literal id, never `latest`: what is committed is what runs. `hermitcrab promote` writes another id here.
  image: {image}
",
        region = text(draft, Field::Region),
        image = text(draft, Field::Image),
    )
}

fn application(draft: &Draft) -> String {
    let fields = match Kind::of(draft) {
        Kind::Consul => consul(draft),
        Kind::Etcd => etcd(draft),
        Kind::Patroni => patroni(draft),
        Kind::Zookeeper => zookeeper(draft),
        Kind::Command => command(draft),
    };
    format!("\n  application:\n{fields}")
}

fn consul(draft: &Draft) -> String {
    format!(
        "    \
    # For servers that speak TLS or want a token there are `scheme`, `caFile` and `tokenFile`.
    consul:
      datacenter: {datacenter}
{version}      # Keep autopilot from removing a server while its instance is replaced.
      manageAutopilot: true
",
        datacenter = text(draft, Field::Datacenter),
        version = version(draft, "A member on the image", ""),
    )
}

fn etcd(draft: &Draft) -> String {
    format!(
        "    \
    # For members that speak TLS or want a login there are `scheme`, `caFile`, `clientCertFile`, `username` and their like.
    etcd:
{}",
        version(draft, "A member on the image", ", from one minor version to the next one")
    )
}

fn patroni(draft: &Draft) -> String {
    format!(
        "    \
    # For members that speak TLS or want a login there are `scheme`, `caFile`, `username` and their like.
    patroni:
      # As Patroni's own configuration has it.
      scope: {}
{}",
        text(draft, Field::Scope),
        version(draft, "PostgreSQL on the image", ", within one major version")
    )
}

fn zookeeper(draft: &Draft) -> String {
    format!(
        "    \
    # The AdminServer of each server is asked. Where it speaks TLS there are `scheme`, `caFile`, `clientCertFile` and their like.
    zookeeper:
{}",
        version(draft, "A member on the image", ", from one minor version to the next one")
    )
}

fn command(draft: &Draft) -> String {
    format!(
        "    \
    # Where the controller runs, `--adapters` names the folder of this program. `hermitcrab adapter check` tries it out.
    command:
      # Relative to this file. Arguments go into `args`, and paths of secrets into `files`.
      program: {}
      # The program says the same when it is asked to describe itself.
      rules:
        needed: {}
        leader: {}
        addresses: {}
        # How far behind a member may be and still count as caught up: so many `entries` or `bytes`, or for such an `age`.
        lagLimit: {{ entries: 0 }}
{}",
        text(draft, Field::Program),
        text(draft, Field::Needed),
        text(draft, Field::Leader),
        text(draft, Field::Addresses),
        version(draft, "A member on the image", "")
    )
}

/// Writes the version, if there is one. `together` says how it may change.
fn version(draft: &Draft, what: &str, together: &str) -> String {
    let line = format!(
        "      # {what} must report this version before the next slot is touched. Change both together{together}.\n      version: "
    );
    optional(draft, Field::Version, &line)
}

fn instance(draft: &Draft) -> String {
    let groups = match draft.security_groups.as_slice() {
        [] => String::new(),
        groups => {
            let groups: Vec<_> = groups.iter().map(|group| scalar(group)).collect();
            format!("    securityGroups: [{}]\n", groups.join(", "))
        }
    };
    format!(
        "
  # A difference in any of these fields but tags replaces the instances, one at a time.
  instance:
    type: {instance_type}
{profile}{groups}{tags}",
        instance_type = text(draft, Field::InstanceType),
        profile = optional(draft, Field::InstanceProfile, "    iamInstanceProfile: "),
        tags = tags(draft),
    )
}

/// Writes the instance tags that the images of a kind read when a cluster begins.
fn tags(draft: &Draft) -> String {
    match Kind::of(draft) {
        Kind::Consul => format!(
            "    tags:
      # Images may read these tags: how many servers meet before one may lead, and the name of their datacenter.
      consul-servers: \"{}\"
      consul-datacenter: {}
",
            draft.slots.len(),
            text(draft, Field::Datacenter)
        ),
        Kind::Etcd => {
            let member = |slot: &Slot| Some(format!("{}={}", slot.name, slot.address.as_ref()?));
            let members: Vec<_> = draft.slots.iter().filter_map(member).collect();
            format!(
                "    tags:\n      # Images may read this tag: the members with whom a cluster begins.\n      etcd-members: {}\n",
                quoted(&members.join(" "))
            )
        }
        Kind::Zookeeper => {
            let addresses = draft.slots.iter().filter_map(|slot| slot.address.as_ref()).zip(1..);
            let members: Vec<_> = addresses.map(|(address, number)| format!("{number}={address}")).collect();
            format!(
                "    tags:\n      # Images may read this tag: the number and the address of every server.\n      zookeeper-members: {}\n",
                quoted(&members.join(" "))
            )
        }
        Kind::Patroni | Kind::Command => String::new(),
    }
}

fn capacity(draft: &Draft) -> String {
    optional(
        draft,
        Field::AutoScalingGroup,
        "\n  # The group that the instances belong to. Its processes are suspended while an instance is replaced.\n  \
         capacity:\n    autoScalingGroup: ",
    )
}

fn volumes(draft: &Draft) -> String {
    format!(
        "
  # Volumes outlive instances: a replacement is given its predecessor's, with the member's data and identity.
  volumes:
    - name: data
      device: /dev/sdf
      size: {size}
      encrypted: true
{key}      # A way back for the data, if a new version spoils them.
      snapshotBeforeReplace: stopped
",
        size = text(draft, Field::VolumeSize),
        key = optional(draft, Field::KmsKey, "      kmsKey: "),
    )
}

fn slots(draft: &Draft) -> String {
    let has_addresses = draft.slots.iter().any(|slot| slot.address.is_some());
    let addresses = if has_addresses {
        "  # An address is a secondary one of the slot's instance, and moves to each new one with the volumes.\n"
    } else {
        ""
    };
    format!(
        "
  # A slot's name is {name}. Zones never change, because a volume cannot leave its zone.
{addresses}  slots:
{slots}",
        name = Kind::of(draft).slot_name(),
        slots = draft.slots.iter().map(slot).collect::<String>()
    )
}

fn slot(slot: &Slot) -> String {
    let Slot { name, zone, subnet, address, cidr } = slot;
    let cidr = cidr.as_ref().map_or(String::new(), |cidr| format!(", cidr: {}", scalar(cidr)));
    let address = address.as_ref().map_or(String::new(), |address| format!(", address: {}{cidr}", scalar(address)));
    format!("    - {{ name: {}, zone: {}, subnet: {}{address} }}\n", scalar(name), scalar(zone), scalar(subnet))
}

const ROLLOUT: &str = "
  # These are the defaults.
  rollout:
    strategy: surge # the replacement is launched and checked before the old instance stops
    bakeTime: 60s # how long a new member must stay healthy before its old instance is terminated
    joinDeadline: 10m # how long a member may be down before `onFailure` applies
    onFailure: rollback # the volumes go back to the old instance, which is kept until then

  # While this is true, `destroy` is refused.
  deletionProtection: true
";

/// Writes the field's value.
fn text(draft: &Draft, field: Field) -> String {
    scalar(draft.text(field).unwrap_or_default())
}

/// Writes a line for a field that has a value, and nothing for one that has none.
fn optional(draft: &Draft, field: Field, line: &str) -> String {
    draft.text(field).map_or(String::new(), |_| format!("{line}{}\n", text(draft, field)))
}

/// Finds the schema's own path, as it would be typed where the file's path is.
pub fn schema_beside(path: &Path) -> PathBuf {
    let mut folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let relative = schema_for(path);
    let mut rest = relative.as_str();
    while let Some(below) = rest.strip_prefix("../") {
        rest = below;
        folder.pop();
    }
    folder.join(rest)
}

/// Finds the schema from the file: beside the folder `desired-state`, else beside the folder that the path begins in.
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

/// Writes a text as YAML: without quotes where every reader takes it for text, else in quotes.
fn scalar(text: &str) -> String {
    const NO_TEXT: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        && !NO_TEXT.contains(&&*text.to_lowercase());
    let is_size = text.ends_with("iB") && text.trim_end_matches(char::is_alphabetic).parse::<u32>().is_ok();
    if plain || is_size { text.to_owned() } else { quoted(text) }
}

/// Writes a text in quotes. JSON's strings are also YAML's.
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

    #[test]
    fn the_schema_is_named_as_it_would_be_typed() {
        for (path, schema) in [
            ("desired-state/prod/consul.yaml", "schema/cluster.v1.json"),
            ("consul.yaml", "schema/cluster.v1.json"),
            ("/srv/ops/desired-state/prod/consul.yaml", "/srv/ops/schema/cluster.v1.json"),
        ] {
            assert_eq!(schema_beside(Path::new(path)), Path::new(schema), "{path}");
        }
    }
}
