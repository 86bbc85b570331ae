//! Stands between the adapter and moto, and records every call with the tags that its resources bear.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::query::Request;
use crate::recorded::{Recorded, is_id};
use crate::relay::relay;

/// The record, and where the adapter is to send its calls.
pub struct Recorder {
    pub url: String,
    calls: Arc<Mutex<Vec<Recorded>>>,
}

impl Recorder {
    /// Passes everything on to moto.
    pub fn start(moto: &str) -> Self {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (kept, upstream) = (Arc::clone(&calls), moto.to_owned());
        let answers = move |authorization: &str, body: &str| {
            let request = Request::read(authorization, body.to_owned());
            if !request.is_dry_run() {
                let mut kept = kept.lock().unwrap();
                let call = recorded(&upstream, request, &kept);
                kept.push(call);
            }
            None
        };
        Self { url: relay(moto, Arc::new(answers)), calls }
    }

    /// Takes out the calls since it was last asked.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }
}

fn recorded(moto: &str, request: Request, before: &[Recorded]) -> Recorded {
    let ids = request.params.values().filter(|value| request.is_mutating() && is_id(value));
    let bears = |id: &String| {
        let tags = tags_of(moto, id);
        // moto gives interfaces no tags when it launches their instances.
        if tags.is_empty() && id.starts_with("eni-") { tags_at_launch(before) } else { tags }
    };
    let tags = ids.map(|id| (id.clone(), bears(id))).collect();
    let action = format!("{}:{}", request.service, request.action);
    Recorded { who: request.who.clone(), action, params: request, tags, object: None }
}

/// The tags that the latest launch gave to its interface.
fn tags_at_launch(before: &[Recorded]) -> BTreeMap<String, String> {
    let launch = before.iter().rev().find(|call| call.action == "ec2:RunInstances");
    launch.map(|call| call.params.tags_of_kind("network-interface")).unwrap_or_default()
}

/// Asks moto for the tags of a resource. The relay has a thread for each of its connections, so it may wait.
fn tags_of(moto: &str, id: &str) -> BTreeMap<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let text = runtime.block_on(async {
        let request = reqwest::Client::new()
            .post(moto)
            .header("authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/ec2/aws4_request")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("Action=DescribeTags&Version=2016-11-15&Filter.1.Name=resource-id&Filter.1.Value.1={id}"));
        request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
    });
    let document = roxmltree::Document::parse(&text).unwrap();
    let items = document.descendants().filter(|node| node.has_tag_name("item"));
    let told = |item: roxmltree::Node, name: &str| {
        let child = item.children().find(|child| child.has_tag_name(name));
        child.and_then(|child| child.text()).unwrap_or_default().to_owned()
    };
    items.map(|item| (told(item, "key"), told(item, "value"))).collect()
}
