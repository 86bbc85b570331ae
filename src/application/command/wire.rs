//! Requests to a user's program and its answers, as JSON: version 1 of the protocol.
//!
//! A request may get further fields within a version, which programs ignore. An answer has the fields below and no others: a
//! misspelt `blockers` would be a reason to hold that nobody sees.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::Error;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The version of the protocol.
pub const PROTOCOL: u32 = 1;

/// A request, on the program's standard input: one JSON document, and then the end of the input.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The version of the protocol. A program that does not know it ends with 3.
    #[schemars(extend("const" = PROTOCOL))]
    pub protocol: u32,
    /// The cluster that is asked about; absent from `describe`, for which nobody is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cluster>,
    /// The paths of the files that the desired-state file names.
    pub files: BTreeMap<String, String>,
    /// The wish.
    #[serde(flatten)]
    pub wish: Wish,
}

/// The wish of a request.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Wish {
    /// Say what kind of application this is for. Nothing is asked of any member.
    Describe,
    /// Say what the members say of themselves and of each other now.
    Membership,
    /// Let another member lead.
    Transfer {
        /// The id of the member that leads.
        from: String,
        /// The id of the member that is to lead.
        to: String,
    },
    /// Prepare a member for the stop of its instance, if the rules say that members are prepared. Nothing undoes it: the member goes on
    /// serving, and its stop may come later or not at all. Asked again, it is prepared again.
    Prepare {
        /// The id of the member.
        member: String,
        /// The address of the instance that is about to be stopped, at which the member is healthy.
        address: IpAddr,
    },
    /// Store an entry where none but hermitcrab's are, and answer once it is acknowledged as a client's data would be.
    CanaryWrite {
        /// The key: letters, digits, `-`, `_`, `.` and `:`, in parts between slashes.
        key: String,
        /// The value.
        value: String,
    },
    /// Read every such entry, and none that is stale.
    CanaryRead,
}

/// The cluster that a request is about.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// The cluster's name, e.g. `mongodb-prod`.
    pub name: String,
    /// Every slot that is declared.
    pub slots: Vec<Slot>,
}

/// A slot, and where its member can be reached.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// The slot's name, which its member should bear, e.g. `mongodb-a`.
    pub name: String,
    /// The fixed address that the file declares for it, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Ipv4Addr>,
    /// The addresses at which its running instances can be asked: none, one, or two during a replacement.
    pub addresses: Vec<IpAddr>,
}

/// The answer to `describe`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Description {
    /// The version of the protocol.
    #[schemars(extend("const" = PROTOCOL))]
    pub protocol: u32,
    /// The rules of this kind of application. They must be those of the desired-state file.
    pub rules: Rules,
}

/// The rules of a kind of application.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rules {
    /// The members that must be healthy.
    pub needed: Needed,
    /// The place of the leader in the order of replacements.
    pub leader: Leads,
    /// The addresses at which members may come back.
    pub addresses: Addresses,
    /// The distance with which a member still counts as caught up.
    pub lag_limit: Distance,
    /// The seconds for which every member must have been healthy before one is taken down.
    pub stabilization: u32,
    /// A new cluster serves only when all of its first members are there.
    pub forms_together: bool,
    /// Members are prepared for their stop, by the request `prepare`; absent where they are not.
    #[serde(default)]
    pub prepares: bool,
}

/// The members that must be healthy.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Needed {
    Quorum,
    One,
    AllButOne,
}

/// The place of the leader in the order of replacements.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Leads {
    Last,
    First,
    None,
}

/// The addresses at which members may come back.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Addresses {
    Fixed,
    Any,
}

/// A distance to the leader, or to the rest.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Distance {
    Entries(u64),
    Bytes(u64),
    /// Whole seconds; what lies between two counts as the larger one.
    Seconds(u32),
}

/// The answer to `membership`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Members {
    /// The version of the protocol.
    #[schemars(extend("const" = PROTOCOL))]
    pub protocol: u32,
    /// Every member that the cluster admits to, failed ones included.
    #[schemars(extend("maxItems" = super::MOST_MEMBERS))]
    pub members: Vec<Member>,
    /// The id of the member that leads; absent or null where nobody does now.
    #[serde(default)]
    pub leader: Option<String>,
    /// Leadership moves on request.
    pub can_transfer: bool,
    /// The version whose features the members have agreed to use, where there is such a thing.
    #[serde(default)]
    pub agreed_version: Option<String>,
    /// Reasons of the application's own why no member may be replaced now.
    #[serde(default)]
    pub blockers: Vec<Blocker>,
}

/// One member.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Member {
    /// The member's identity, which lies on its volume; no two members have the same.
    pub id: String,
    /// The declared slot whose member this is; absent or null for one that no slot declares.
    #[serde(default)]
    pub slot: Option<String>,
    /// The address at which its peers find it; absent or null if that is not known. A member without one is never proven to be
    /// back.
    #[serde(default)]
    pub address: Option<IpAddr>,
    /// The vote or the copy of the member is needed: a voter, an in-sync replica.
    pub counts: bool,
    /// The health of the member.
    pub health: Health,
    /// The reason of any health but `healthy`.
    #[serde(default)]
    pub why: Option<String>,
    /// The distance to the leader, or to the rest, in the unit of `lagLimit`; absent or null if that is not known. Where there is no such
    /// thing, a healthy member has none to lag behind: say 0.
    #[serde(default)]
    pub lag: Option<Distance>,
    /// The version that the member reports, e.g. `7.0.5`.
    #[serde(default)]
    pub version: Option<String>,
}

/// The health of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// The member and its peers agree that it serves.
    Healthy,
    /// There is evidence that it does not.
    Unhealthy,
    /// Nobody can say.
    Unknown,
}

/// A reason why no member may be replaced now.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Blocker {
    /// The setting or alarm, and its effect.
    pub why: String,
    /// The next step for a person.
    pub hint: String,
}

/// The answer to `transfer`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Transferred {
    /// The version of the protocol.
    #[schemars(extend("const" = PROTOCOL))]
    pub protocol: u32,
    /// The outcome.
    pub outcome: Transfer,
    /// The finding that another outcome than `done` rests on.
    #[serde(default)]
    pub found: Option<String>,
}

/// The outcome of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Transfer {
    /// The request was taken. Whether the other leads is asked later.
    Done,
    /// The other leads already.
    AlreadySo,
    /// Things are not as the request says, so nothing was sent.
    Changed,
}

/// The answer to `prepare`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prepared {
    /// The version of the protocol.
    #[schemars(extend("const" = PROTOCOL))]
    pub protocol: u32,
    /// The outcome.
    pub outcome: Preparation,
    /// The finding that `changed` rests on.
    #[serde(default)]
    pub found: Option<String>,
}

/// The outcome of a preparation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preparation {
    /// The member is prepared, and serves.
    Done,
    /// Things are not as the request says, so nothing was done.
    Changed,
}

/// The answer to `canary-write`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Written {
    /// The version of the protocol.
    #[schemars(extend("const" = PROTOCOL))]
    pub protocol: u32,
    /// The application has acknowledged the entry. `false` is no answer: end with 1.
    #[schemars(extend("const" = true))]
    pub acknowledged: bool,
}

/// The answer to `canary-read`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Canaries {
    /// The version of the protocol.
    #[schemars(extend("const" = PROTOCOL))]
    pub protocol: u32,
    /// Every entry, by key.
    pub canaries: BTreeMap<String, String>,
}

/// Reads an answer: one JSON document of this version and nothing beside it.
pub fn answer<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    #[derive(Deserialize)]
    struct Head {
        protocol: u64,
    }

    if bytes.trim_ascii().is_empty() {
        return Err(serde_json::Error::custom("it has answered nothing"));
    }
    let Head { protocol } = serde_json::from_slice(bytes)?;
    if protocol != u64::from(PROTOCOL) {
        let why = format!("it speaks version {protocol} of the protocol, and not {PROTOCOL}");
        return Err(serde_json::Error::custom(why));
    }
    serde_json::from_slice(bytes)
}

/// Gives the JSON schema of requests.
pub fn request_schema() -> Value {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<Request>().to_value();
    schema["title"] = json!("A request of hermitcrab's to a program, version 1");
    schema
}

/// Gives the JSON schema of answers: one form for each request.
pub fn answer_schema() -> Value {
    let mut generator = SchemaSettings::draft07().into_generator();
    let forms = [
        generator.subschema_for::<Description>(),
        generator.subschema_for::<Members>(),
        generator.subschema_for::<Transferred>(),
        generator.subschema_for::<Prepared>(),
        generator.subschema_for::<Written>(),
        generator.subschema_for::<Canaries>(),
    ];
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "An answer of a program to hermitcrab, version 1",
        "anyOf": forms,
        "definitions": generator.take_definitions(true),
    })
}
