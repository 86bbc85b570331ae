//! The calls of everybody but the person, each with the tags that its resources bore when it was sent: for the question whether the
//! policies in force allow them.

use std::collections::BTreeMap;

use hyper::Method;

use super::Proxy;
use crate::ec2::PERSON;
use crate::query::Request;
use crate::recorded::{Recorded, is_id};
use crate::world::Machine;
use crate::xml;

impl Proxy {
    /// Records every call from now on.
    pub fn record_calls(&self) {
        *self.recorded.borrow_mut() = Some(Vec::new());
    }

    /// Returns the calls that were recorded.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.recorded.borrow().clone().unwrap_or_default()
    }

    /// Remembers a call that is about to be carried out. One with DryRun changes nothing.
    pub(super) async fn remember(&self, request: &Request) {
        if self.recorded.borrow().is_none() || request.who == PERSON || request.is_dry_run() {
            return;
        }
        let mut tags = BTreeMap::new();
        if request.is_mutating() {
            let ids = request.params.values().filter(|value| is_id(value));
            for id in ids {
                tags.insert(id.clone(), self.tags_of(id).await);
            }
        }
        let (who, action) = (request.who.clone(), format!("{}:{}", request.service, request.action));
        let recorded = Recorded { who, action, params: request.clone(), tags, object: None };
        self.recorded.borrow_mut().as_mut().unwrap().push(recorded);
    }

    async fn tags_of(&self, id: &str) -> BTreeMap<String, String> {
        let instance = || {
            let world = self.world.borrow();
            let is_its = |(_, machine): &(&String, &Machine)| machine.interface.id == id;
            world.machines.iter().find(is_its).map(|(instance, _)| instance.clone())
        };
        if let Some(tags) = instance().and_then(|instance| self.interfaces.borrow().get(&instance).cloned()) {
            return tags;
        }
        let asked = [("Filter.1.Name", "resource-id"), ("Filter.1.Value.1", id)];
        let told = self.moto.call("DescribeTags", &asked).await.unwrap_or_else(|refused| panic!("{id}: {refused}"));
        let document = xml::parse(&told).unwrap();
        let items = xml::items(document.root_element(), &["tagSet"]).into_iter();
        items.map(|item| (xml::text(item, &["key"]).to_owned(), xml::text(item, &["value"]).to_owned())).collect()
    }

    /// Remembers what is done with an object of a bucket, or with the bucket.
    pub(super) fn remember_object(&self, request: &Request, method: &Method, path: &str) {
        if request.service != "s3" || request.who == PERSON {
            return;
        }
        let path = path.trim_matches('/');
        if method == Method::POST && request.body.contains("<Delete") {
            let keys = request.body.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
            for (key, _) in keys {
                self.remember_object(request, &Method::DELETE, &format!("{path}/{key}"));
            }
            return;
        }
        let action = match (method.as_str(), path.contains('/')) {
            ("GET" | "HEAD", false) => "s3:ListBucket",
            ("GET" | "HEAD", true) => "s3:GetObject",
            ("DELETE", true) => "s3:DeleteObject",
            (_, true) => "s3:PutObject",
            (method, false) => return self.truth.violation(format!("{} does {method} with {path}", request.who)),
        };
        if let Some(recorded) = self.recorded.borrow_mut().as_mut() {
            recorded.push(Recorded {
                who: request.who.clone(),
                action: action.to_owned(),
                params: request.clone(),
                tags: BTreeMap::new(),
                object: Some(path.to_owned()),
            });
        }
    }
}
