//! A small client of the EC2 query protocol, for whoever in the rig is not the controller: a person at a console, and
//! the hypervisor, which asks moto itself.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use roxmltree::Node;

use crate::xml;

/// The access key of a person, by which calls are told apart from the controller's.
pub const PERSON: &str = "person";

/// An endpoint, and who calls it.
#[derive(Clone)]
pub struct Ec2 {
    http: reqwest::Client,
    endpoint: String,
    key: String,
}

/// A call that was refused, or not answered.
#[derive(Clone, Debug)]
pub struct Refused {
    pub code: String,
    pub message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl Ec2 {
    pub fn new(endpoint: &str, key: &str) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        Self { http, endpoint: endpoint.to_owned(), key: key.to_owned() }
    }

    /// One call of EC2. Parameters are named as on the wire, `InstanceId.1`.
    pub async fn call(&self, action: &str, params: &[(&str, &str)]) -> Result<String, Refused> {
        self.call_service("ec2", "2016-11-15", action, params).await
    }

    /// One call of a service that speaks the query protocol.
    pub async fn call_service(
        &self,
        service: &str,
        version: &str,
        action: &str,
        params: &[(&str, &str)],
    ) -> Result<String, Refused> {
        let form = [("Action", action), ("Version", version)].into_iter().chain(params.iter().copied());
        let body = form.map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect::<Vec<_>>().join("&");
        // Nobody checks signatures here, but moto takes region and service from where they stand in one.
        let scope = format!("Credential={}/20260101/us-east-1/{service}/aws4_request", self.key);
        let sent = self
            .http
            .post(&self.endpoint)
            .header("authorization", format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        let lost = |error: reqwest::Error| Refused { code: "NoAnswer".into(), message: error.to_string() };
        let answer = sent.send().await.map_err(lost)?;
        let fine = answer.status().is_success();
        let body = answer.text().await.map_err(lost)?;
        if fine { Ok(body) } else { Err(refusal(&body)) }
    }

    /// One call that must succeed, and the first text of an element in its answer.
    pub async fn make(&self, action: &str, params: &[(&str, &str)], element: &str) -> String {
        let body = self.call(action, params).await.unwrap_or_else(|refused| panic!("{action}: {refused}"));
        let found = xml::parse(&body).and_then(|document| {
            let mut elements = document.descendants();
            elements.find(|node| node.has_tag_name(element)).and_then(|node| node.text()).map(str::to_owned)
        });
        found.unwrap_or_else(|| panic!("{action} answered no {element}: {body}"))
    }

    /// All instances and volumes as the endpoint has them.
    pub async fn inventory(&self) -> Result<Inventory, Refused> {
        let instances = self.call("DescribeInstances", &[("MaxResults", "1000")]).await?;
        let volumes = self.call("DescribeVolumes", &[]).await?;
        Ok(Inventory {
            instances: rows(&instances, "instancesSet", instance),
            volumes: rows(&volumes, "volumeSet", volume),
        })
    }
}

/// The resources that exist.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    pub instances: Vec<Instance>,
    pub volumes: Vec<Volume>,
}

#[derive(Clone, Debug)]
pub struct Instance {
    pub id: String,
    pub state: String,
    pub image: String,
    pub zone: String,
    pub address: String,
    pub interface: Interface,
    pub tags: BTreeMap<String, String>,
    /// Whether the instance's metadata show its tags.
    pub tells_tags: bool,
}

/// An instance's primary network interface.
#[derive(Clone, Debug, Default)]
pub struct Interface {
    pub id: String,
    pub subnet: String,
    pub mac: String,
    /// The addresses that it has beside the instance's own.
    pub secondary: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Volume {
    pub id: String,
    pub zone: String,
    pub tags: BTreeMap<String, String>,
    /// Instances and device names.
    pub attachments: Vec<(String, String)>,
}

fn rows<T>(body: &str, list: &str, row: fn(Node<'_, '_>) -> T) -> Vec<T> {
    let Some(document) = xml::parse(body) else { return Vec::new() };
    let lists = document.descendants().filter(|node| node.has_tag_name(list));
    lists
        .flat_map(|node| node.children().filter(|child| child.has_tag_name("item")).map(row).collect::<Vec<_>>())
        .collect()
}

fn instance(node: Node<'_, '_>) -> Instance {
    let tags: BTreeMap<_, _> = xml::tags(node).collect();
    // moto's groups launch without the metadata options of their template.
    let of_group = tags.contains_key("aws:autoscaling:groupName");
    Instance {
        tells_tags: of_group || xml::text(node, &["metadataOptions", "instanceMetadataTags"]) == "enabled",
        id: xml::text(node, &["instanceId"]).to_owned(),
        state: xml::text(node, &["instanceState", "name"]).to_owned(),
        image: xml::text(node, &["imageId"]).to_owned(),
        zone: xml::text(node, &["placement", "availabilityZone"]).to_owned(),
        address: xml::text(node, &["privateIpAddress"]).to_owned(),
        interface: xml::items(node, &["networkInterfaceSet"]).into_iter().next().map(interface).unwrap_or_default(),
        tags,
    }
}

fn interface(node: Node<'_, '_>) -> Interface {
    let own = xml::text(node, &["privateIpAddress"]);
    let all = xml::items(node, &["privateIpAddressesSet"]);
    let addresses = all.into_iter().map(|item| xml::text(item, &["privateIpAddress"]).to_owned());
    Interface {
        id: xml::text(node, &["networkInterfaceId"]).to_owned(),
        subnet: xml::text(node, &["subnetId"]).to_owned(),
        mac: xml::text(node, &["macAddress"]).to_owned(),
        secondary: addresses.filter(|address| address != own).collect(),
    }
}

fn volume(node: Node<'_, '_>) -> Volume {
    let attachment = |item| (xml::text(item, &["instanceId"]).to_owned(), xml::text(item, &["device"]).to_owned());
    Volume {
        id: xml::text(node, &["volumeId"]).to_owned(),
        zone: xml::text(node, &["availabilityZone"]).to_owned(),
        tags: xml::tags(node).collect(),
        attachments: xml::items(node, &["attachmentSet"]).into_iter().map(attachment).collect(),
    }
}

fn refusal(body: &str) -> Refused {
    let document = xml::parse(body);
    let find = |name: &str| {
        let mut nodes = document.as_ref()?.descendants();
        nodes.find(|node| node.has_tag_name(name)).and_then(|node| node.text()).map(str::to_owned)
    };
    Refused {
        code: find("Code").unwrap_or_else(|| "NotXml".into()),
        message: find("Message").unwrap_or_else(|| body.chars().take(200).collect()),
    }
}

/// Percent-encodes one name or value of a form.
pub fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
