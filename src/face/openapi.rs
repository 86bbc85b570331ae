//! The interface as an OpenAPI document, made from the types that are served.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::Documents;
use super::document::{Cluster, Events, FORMAT_VERSION, Fleet, Refusal};
use super::metrics;
use super::request::HOOK;
use crate::history::rollout;

/// The name of a cluster, in a path.
const NAME: &str = "The cluster's name, e.g. `consul-prod`.";

/// Writes the document.
pub fn document(documents: Documents) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.for_serialize().into_generator();
    let refusal = generator.subschema_for::<Refusal>();
    let paths = paths(&mut generator, documents, &refusal);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hermitcrab's daemon",
            "version": FORMAT_VERSION,
            "description": "Everything that the daemon knows. Nothing can be changed here, but when its source is looked at.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:8642" }],
        "paths": paths,
        "components": { "schemas": generator.take_definitions(true) },
    })
}

fn paths(generator: &mut SchemaGenerator, documents: Documents, refusal: &Schema) -> Map<String, Value> {
    let fleet = generator.subschema_for::<Fleet>();
    let cluster = generator.subschema_for::<Cluster>();
    let events = generator.subschema_for::<Events>();
    let history = generator.subschema_for::<rollout::Document>();
    let [plan, explain] = (documents.schemas)(generator);
    let text = || json!({ "text/plain": { "schema": { "type": "string" } } });
    let stream = || json!({ "text/event-stream": { "schema": { "type": "string" } } });
    let document = |schema: &Schema| json!({ "application/json": { "schema": schema } });
    let with_text = |mut content: Value| {
        content["text/plain"] = json!({ "schema": { "type": "string" } });
        content
    };
    let mut paths = Map::new();
    let mut add = |path: &str, id: &str, summary: &str, content: Value, refusals: &[(u16, &str)]| {
        paths.insert(path.to_owned(), operation(path, id, summary, content, refusals, refusal));
    };
    let unknown = (404, "There is no cluster of that name.");
    let unseen = (503, "The cluster has not been looked at yet.");
    let bad = (400, "`after` is no number.");
    let full = (503, "The most streams are open already.");
    add("/livez", "live", "Whether the loop makes passes", text(), &[(503, "A cluster has had no pass for too long.")]);
    let ready = "Whether desired state was read and every cluster was looked at";
    add("/readyz", "ready", ready, text(), &[(503, "Not yet.")]);
    let metrics = json!({ (metrics::KIND): { "schema": { "type": "string" } } });
    add("/metrics", "metrics", "The metrics, in Prometheus's text format", metrics, &[]);
    let own = json!({ "application/json": { "schema": { "type": "object" } } });
    add("/api/v1/openapi.json", "openapi", "This document", own, &[]);
    let urgent = "The fleet, with those that need a person first";
    add("/api/v1/clusters", "clusters", urgent, with_text(document(&fleet)), &[]);
    add("/api/v1/events", "events", "The latest events, the oldest first", document(&events), &[bad]);
    let past = "The rollouts that the latest events tell of, in the order in which they began";
    add("/api/v1/history", "history", past, document(&history), &[]);
    add("/api/v1/stream", "stream", "The row of each cluster, whenever it changes", stream(), &[full]);
    let one = "/api/v1/clusters/{name}";
    let of = |part: &str| format!("{one}/{part}");
    add(one, "cluster", "Everything about one cluster", with_text(document(&cluster)), &[unknown]);
    add(&of("plan"), "plan", "The changes to come", document(&plan), &[unknown, unseen]);
    add(
        &of("explain"),
        "explain",
        "Every gate, and why nothing happens",
        with_text(document(&explain)),
        &[
            (400, "`slot` or `gates` is nothing that can be asked for."),
            (404, "There is no cluster or no slot of that name."),
            unseen,
        ],
    );
    add(&of("events"), "clusterEvents", "The cluster's latest events", document(&events), &[bad, unknown]);
    add(&of("history"), "clusterHistory", "The cluster's rollouts", document(&history), &[unknown]);
    let svg = json!({ "image/svg+xml": { "schema": { "type": "string" } } });
    let unknown_too = (404, "There is no cluster of that name, or no such rollout is remembered.");
    add(&of("history/{rollout}/picture"), "picture", "One rollout as a time line", svg, &[unknown_too]);
    add(
        &of("stream"),
        "clusterStream",
        "Everything about one cluster, whenever it changes",
        stream(),
        &[unknown, full],
    );
    paths.insert(HOOK.to_owned(), hook(refusal));
    paths
}

/// The webhook. Nothing can be changed by it but when the source is looked at.
fn hook(refusal: &Schema) -> Value {
    let problem = json!({ "application/problem+json": { "schema": refusal } });
    let header = |name: &str, description: &str| {
        let schema = json!({ "type": "string" });
        json!({ "name": name, "in": "header", "required": false, "description": description, "schema": schema })
    };
    let text = json!({ "text/plain": { "schema": { "type": "string" } } });
    json!({ "post": {
        "operationId": "hook",
        "summary": "A webhook: the next look at the repository comes soon",
        "parameters": [
            header("X-Hub-Signature-256", "GitHub's, Gitea's and Forgejo's proof: `sha256=` and the HMAC of the body."),
            header("X-Gitlab-Token", "GitLab's proof: the secret."),
        ],
        "requestBody": { "required": false, "content": { "application/json": { "schema": {} } } },
        "responses": {
            "202": { "description": "The call is taken.", "content": text },
            "403": { "description": "The proof is missing or wrong.", "content": problem },
            "404": { "description": "The daemon listens to no webhook.", "content": problem },
            "413": { "description": "The body is larger than 25 MiB.", "content": problem },
        },
    } })
}

fn operation(path: &str, id: &str, summary: &str, content: Value, refusals: &[(u16, &str)], refusal: &Schema) -> Value {
    let mut parameters = Vec::new();
    if path.contains("{name}") {
        let schema = json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$" });
        let name = json!({ "name": "name", "in": "path", "required": true, "description": NAME, "schema": schema });
        parameters.push(name);
    }
    if path.contains("{rollout}") {
        let description = "The rollout's `id`.";
        let schema = json!({ "type": "integer", "format": "uint64", "minimum": 0, "maximum": u64::MAX });
        let rollout =
            json!({ "name": "rollout", "in": "path", "required": true, "description": description, "schema": schema });
        parameters.push(rollout);
    }
    if path.ends_with("events") {
        let description = "Only events with a greater number.";
        let schema = json!({ "type": "integer", "format": "uint64", "minimum": 0, "maximum": u64::MAX });
        parameters.push(json!({ "name": "after", "in": "query", "description": description, "schema": schema }));
    }
    if path.ends_with("explain") {
        let slot = json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$" });
        let description = "The slot that is asked about; the one whose turn it is, if none is named.";
        parameters.push(json!({ "name": "slot", "in": "query", "description": description, "schema": slot }));
        let gates = json!({ "type": "string", "enum": ["all", "closed"] });
        let description = "Whether the gates that are open are left out.";
        parameters.push(json!({ "name": "gates", "in": "query", "description": description, "schema": gates }));
    }
    let mut responses = Map::from_iter([("200".to_owned(), json!({ "description": summary, "content": content }))]);
    for (status, description) in refusals {
        let content = json!({ "application/problem+json": { "schema": refusal } });
        responses.insert(status.to_string(), json!({ "description": description, "content": content }));
    }
    json!({ "get": { "operationId": id, "summary": summary, "parameters": parameters, "responses": responses } })
}
