//! One call of a service that speaks the query protocol, as it stands on the wire.

use std::collections::BTreeMap;

/// A call of a service that speaks the query protocol.
#[derive(Clone, Debug)]
pub struct Request {
    /// The access key of whoever sends it.
    pub who: String,
    /// `ec2`, `autoscaling` or `sts`, from the credential scope.
    pub service: String,
    pub action: String,
    pub params: BTreeMap<String, String>,
    /// As it came, to be sent on.
    pub body: String,
    pub authorization: String,
}

impl Request {
    pub fn read(authorization: &str, body: String) -> Self {
        let scope = authorization.split("Credential=").nth(1).unwrap_or_default();
        let mut scope = scope.split([',', ' ']).next().unwrap_or_default().split('/');
        let who = scope.next().unwrap_or_default().to_owned();
        let service = scope.nth(2).unwrap_or_default().to_owned();
        let mut params = decode(&body);
        let action = params.remove("Action").unwrap_or_default();
        params.remove("Version");
        Self { who, service, action, params, body, authorization: authorization.to_owned() }
    }

    /// A parameter, empty if it is not there.
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Says whether the request changes something, or may.
    pub fn is_mutating(&self) -> bool {
        !["Describe", "Get", "List"].iter().any(|prefix| self.action.starts_with(prefix))
    }

    pub fn is_dry_run(&self) -> bool {
        self.param("DryRun") == "true"
    }

    /// The members of a list, `InstanceId.1`, `InstanceId.2` …
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let numbered = move |key: &str| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        self.params.iter().filter(move |(key, _)| numbered(key)).map(|(_, value)| value.as_str())
    }

    /// The tags that it specifies for a kind of resource which it makes, e.g. `volume`.
    pub fn tags_of_kind(&self, kind: &str) -> BTreeMap<String, String> {
        let of = |(key, value): (&String, &String)| {
            key.strip_suffix(".ResourceType").filter(|_| value == kind).map(str::to_owned)
        };
        let specification = self.params.iter().find_map(of);
        specification.map(|specification| self.tags_below(&format!("{specification}.Tag."))).unwrap_or_default()
    }

    /// The tags below a parameter, e.g. `Tag.`.
    pub fn tags_below(&self, parameter: &str) -> BTreeMap<String, String> {
        let keys = self.params.iter().filter_map(|(name, key)| {
            let number = name.strip_prefix(parameter)?.strip_suffix(".Key")?;
            Some((key.clone(), self.param(&format!("{parameter}{number}.Value")).to_owned()))
        });
        keys.collect()
    }

    /// Names the resource that the request is about, for a person.
    pub fn subject(&self) -> String {
        let tags = self.params.iter().filter(|(key, _)| {
            key.starts_with("Tag.") && key.ends_with(".Key") // of CreateTags: which ones says what it is for
        });
        let named = [
            "VolumeId",
            "InstanceId",
            "SnapshotId",
            "ImageId",
            "AutoScalingGroupName",
            "NetworkInterfaceId",
            "PrivateIpAddress",
        ];
        let ids = named.iter().flat_map(|name| {
            let one = self.params.get(*name).map(String::as_str);
            one.into_iter().chain(self.list(name)).collect::<Vec<_>>()
        });
        ids.chain(self.list("ResourceId")).chain(tags.map(|(_, value)| value.as_str())).collect::<Vec<_>>().join(" ")
    }
}

/// The names and values of a form, decoded.
pub fn decode(body: &str) -> BTreeMap<String, String> {
    let pairs = body.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (unescape(key), unescape(value)))
        .collect()
}

fn unescape(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
