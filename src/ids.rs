//! Names as types, so that a volume id can never stand where an instance id belongs.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::input::text;

/// Declares a name: cheap to clone, ordered, printed and stored as the bare string.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes over the text of an equal name among those, and with it its memory; or else joins them.
            pub fn share(&mut self, known: &mut Texts) {
                known.share(&mut self.0);
            }
        }

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Arc::from(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Servers and people write names too, and one must steer nothing wherever it is shown.
                f.pad(&text::clean(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::from)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                String::schema_name()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                String::json_schema(generator)
            }
        }
    };
}

/// Texts of names of whatever kind, each of them kept once.
#[derive(Debug, Default)]
pub struct Texts(BTreeSet<Arc<str>>);

impl Texts {
    fn share(&mut self, text: &mut Arc<str>) {
        match self.0.get(&**text) {
            Some(known) => *text = known.clone(),
            None => _ = self.0.insert(text.clone()),
        }
    }
}

name! {
    /// A declared cluster, e.g. `consul-prod`. Unique over all desired-state files.
    ClusterName
}
name! {
    /// A stable seat in a cluster. The member's node name is pinned to it.
    SlotName
}
name! {
    /// A volume's name within its slot, e.g. `data`.
    VolumeName
}
name! {
    /// An EC2 instance, `i-…`.
    InstanceId
}
name! {
    /// An EBS volume, `vol-…`.
    VolumeId
}
name! {
    /// An EBS snapshot, `snap-…`.
    SnapshotId
}
name! {
    /// A network interface, `eni-…`.
    InterfaceId
}
name! {
    /// An AMI, `ami-…`: always a literal id.
    ImageId
}
name! {
    /// An availability zone, e.g. `us-east-1a`.
    Zone
}
name! {
    /// A member as its peers know it (for Consul the node id, which lives on the data volume).
    MemberId
}
name! {
    /// A versioned hash of all in a spec that makes an instance what it is.
    Generation
}

impl Generation {
    /// Names a generation together with something of one slot's, e.g. `v1-803a6edaed58c3bf@subnet-0a1b2c3d`: what failed
    /// may be either.
    pub fn together_with(&self, own: &str) -> Self {
        Self::from([self, "@", own].concat())
    }
}

name! {
    /// A hash of a spec and of the facts that matter to its rollout. Approval is given to it.
    PlanId
}
name! {
    /// The controller that owns a resource; the value of its `hermitcrab:owner` tag.
    Owner
}

impl Owner {
    /// The owner where nobody names another one.
    pub const DEFAULT: &str = "hermitcrab";
}

name! {
    /// A client token: the same call sent twice has the effect of one.
    Token
}

impl Token {
    /// Makes the token of a call from the parts that make it another call: the same parts give the same token, and it is
    /// short enough for EC2 (64 characters).
    pub fn of(parts: &[&str]) -> Self {
        Self::from(format!("hermitcrab-{}", digest(parts.join("\n").as_bytes())))
    }
}

/// The first 16 hexadecimal digits of the SHA-256 of `bytes`.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Counts the launches made for a cluster. It never goes back, so no token is ever used for two
/// different launches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(pub u32);

impl Attempt {
    /// The attempt after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
