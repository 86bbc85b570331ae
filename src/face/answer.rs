//! The answer to a request: a document off what is known, or the reason why there is none.

use std::rc::Rc;

use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY, RETRY_AFTER,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde::Serialize;

use crate::event::Pass;
use crate::ids::{ClusterName, SlotName};
use crate::input::text;
use crate::time::elapsed;

use super::document::Refusal;
use super::limits::LIVES_WITHIN;
use super::page::Past;
use super::request::{Asked, Form, Refused, Route};
use super::state::Cluster;
use super::stream::Messages;
use super::{Documents, Face, metrics, openapi, page};

/// The body of an answer: all of it, or a stream of messages.
pub type Body = Either<Full<Bytes>, Messages>;

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const PROBLEM: &str = "application/problem+json";

/// Headers of every answer. Nothing is loaded from elsewhere, shown inside another page, kept, or told to the next site.
const ALWAYS: [(HeaderName, &str); 6] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

impl Face {
    /// Answers what is asked for.
    pub(super) fn answer(self: &Rc<Self>, route: &Route, form: Form) -> Response<Body> {
        self.document(route, form).unwrap_or_else(refuse)
    }

    fn document(self: &Rc<Self>, route: &Route, form: Form) -> Result<Response<Body>, Refused> {
        match route {
            Route::Home => Ok(whole(StatusCode::OK, HTML, page::fleet(&self.report(|report| report.fleet())))),
            Route::ClusterPage(name) => Ok(self.cluster_page(name)),
            Route::Style => Ok(whole(StatusCode::OK, "text/css; charset=utf-8", page::STYLE.to_owned())),
            Route::Script => Ok(whole(StatusCode::OK, "text/javascript; charset=utf-8", page::SCRIPT.to_owned())),
            Route::Icon => Ok(whole(StatusCode::OK, "image/svg+xml", page::ICON.to_owned())),
            Route::Live => self.is_alive(),
            Route::Ready => self.is_ready(),
            Route::Metrics => {
                let text = self.report(|report| self.metrics.write(report, &self.about));
                Ok(whole(StatusCode::OK, metrics::KIND, text))
            }
            Route::OpenApi => Ok(json(&openapi::document(self.about.documents))),
            Route::Fleet if form == Form::Text => Ok(screen(&self.fleet_text())),
            Route::Fleet => Ok(json(&self.report(|report| report.fleet()))),
            Route::FleetEvents { after } => Ok(json(&self.report(|report| report.events(None, *after)))),
            Route::Cluster(name) if form == Form::Text => {
                Ok(screen(&self.cluster_text(name).ok_or_else(|| unknown(name))?))
            }
            Route::Cluster(name) => Ok(json(&self.report(|report| report.cluster(name)).ok_or_else(|| unknown(name))?)),
            Route::Plan(name) => self.of_pass(name, |pass| (self.about.documents.plan)(&pass.spec, &pass.seen)),
            Route::Explain { cluster, asked } if form == Form::Text => self.explain_text(cluster, asked),
            Route::Explain { cluster, asked } => {
                self.knows_slot(cluster, asked)?;
                self.of_pass(cluster, |pass| (self.about.documents.explain)(&pass.spec, &pass.seen, asked))
            }
            Route::Events { cluster, after } => {
                self.find(cluster, |_| ())?;
                Ok(json(&self.report(|report| report.events(Some(cluster), *after))))
            }
            Route::FleetHistory => Ok(json(&self.report(|report| report.history(None)))),
            Route::History(name) => {
                self.find(name, |_| ())?;
                Ok(json(&self.report(|report| report.history(Some(name)))))
            }
            Route::Picture { cluster, rollout } => self.picture(cluster, *rollout),
            Route::FleetStream => Ok(stream(Messages::of(self, None))),
            Route::Stream(name) => {
                self.find(name, |_| ())?;
                Ok(stream(Messages::of(self, Some(name.clone()))))
            }
        }
    }

    /// Writes the page of a cluster, from the documents that programs are given.
    fn cluster_page(&self, name: &str) -> Response<Body> {
        let (cluster, events, history) = self.report(|report| {
            (report.cluster(name), report.newest(name, page::MOST_EVENTS), report.history(Some(name)))
        });
        let Some(cluster) = cluster else {
            let daemon = self.report(|report| report.daemon());
            return whole(StatusCode::NOT_FOUND, HTML, page::missing(&daemon, &format!("There is no cluster {name}.")));
        };
        let pass = self.find(name, |cluster| cluster.pass.clone()).ok().flatten();
        let Documents { plan, explain, .. } = self.about.documents;
        let plan = pass.as_ref().map(|pass| plan(&pass.spec, &pass.seen));
        let explanation = pass.as_ref().map(|pass| explain(&pass.spec, &pass.seen, &Asked::default()));
        whole(StatusCode::OK, HTML, page::cluster(&cluster, &Past { events, history }, plan, explanation))
    }

    /// Draws a rollout. The picture has a style of its own, which counts when somebody looks at it alone.
    fn picture(&self, cluster: &str, rollout: u64) -> Result<Response<Body>, Refused> {
        self.find(cluster, |_| ())?;
        let picture = self.report(|report| report.picture(cluster, rollout)).ok_or_else(|| {
            let detail = format!("{cluster} has no rollout {rollout} that is remembered");
            Refused::new(StatusCode::NOT_FOUND, detail)
        })?;
        let mut response = whole(StatusCode::OK, "image/svg+xml", picture);
        let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox");
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        Ok(response)
    }

    /// Reads something off one cluster.
    pub(super) fn find<T>(&self, name: &str, read: impl FnOnce(&Cluster) -> T) -> Result<T, Refused> {
        let state = self.state.borrow();
        state.clusters.get(&ClusterName::from(name)).map(read).ok_or_else(|| unknown(name))
    }

    /// Makes a document of a cluster's latest pass: from what that pass saw, the stopping of every change included.
    fn of_pass(&self, name: &str, make: impl FnOnce(&Pass) -> serde_json::Value) -> Result<Response<Body>, Refused> {
        match self.find(name, |cluster| cluster.pass.clone())? {
            Some(pass) => Ok(json(&make(&pass))),
            None => Err(unseen(name)),
        }
    }

    /// Writes every gate of a cluster for a person, below what only the daemon knows.
    fn explain_text(&self, name: &str, asked: &Asked) -> Result<Response<Body>, Refused> {
        self.knows_slot(name, asked)?;
        let pass = self.find(name, |cluster| cluster.pass.clone())?.ok_or_else(|| unseen(name))?;
        let gates = (self.about.documents.explain_text)(&pass.spec, &pass.seen, asked);
        let beside = self.report(|report| self.find(name, |cluster| report.beside_gates(cluster)))?;
        Ok(screen(&format!("{beside}{gates}")))
    }

    /// Refuses a question about a slot that the cluster does not have.
    fn knows_slot(&self, name: &str, asked: &Asked) -> Result<(), Refused> {
        let Some(slot) = &asked.slot else { return Ok(()) };
        let is_there = |cluster: &Cluster| cluster.spec.slot(&SlotName::from(slot.as_str())).is_some();
        if self.find(name, is_there)? {
            return Ok(());
        }
        let names = |cluster: &Cluster| cluster.spec.slots.iter().map(|slot| slot.name.to_string()).collect::<Vec<_>>();
        let slots = self.find(name, names)?.join(", ");
        Err(Refused::new(StatusCode::NOT_FOUND, format!("{name} has no slot `{slot}`; it has {slots}")))
    }

    /// Says whether the loop makes passes. A daemon without the lease makes none, and lives.
    fn is_alive(&self) -> Result<Response<Body>, Refused> {
        let (state, now) = (self.state.borrow(), (self.about.now)());
        let is_late = |cluster: &&Cluster| {
            let latest = cluster.pass.as_ref().map(|pass| pass.seen.now);
            let is_attended = cluster.file != super::state::File::Orphaned && !cluster.is_broken;
            is_attended && latest.is_some_and(|latest| elapsed(now, latest) > LIVES_WITHIN)
        };
        let waits_for_lease = self.about.uses_lease && (state.lease_lost || state.started.is_none());
        match state.clusters.values().find(is_late).filter(|_| !waits_for_lease) {
            None => Ok(whole(StatusCode::OK, TEXT, "alive\n".to_owned())),
            Some(late) => {
                let detail = format!("{} has had no pass for more than 15 minutes", late.spec.name);
                Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, detail))
            }
        }
    }

    /// Says whether answers are about the world: the files were read, and every cluster was looked at. A daemon that waits
    /// for the lease is ready, because it does what it is there for.
    fn is_ready(&self) -> Result<Response<Body>, Refused> {
        let state = self.state.borrow();
        let waits_for_lease = self.about.uses_lease && state.started.is_none();
        let unseen = state.clusters.values().find(|cluster| cluster.pass.is_none());
        let has_nothing = state.source.as_ref().is_some_and(|source| source.standing.revision.is_none());
        let why = match (&state.read, unseen) {
            _ if waits_for_lease => None,
            (None, _) => Some("desired state has not been read yet".to_owned()),
            _ if has_nothing => Some("no revision of desired state was fetched yet".to_owned()),
            (Some(_), Some(unseen)) => Some(format!("{} has not been looked at yet", unseen.spec.name)),
            (Some(_), None) => None,
        };
        match why {
            None => Ok(whole(StatusCode::OK, TEXT, "ready\n".to_owned())),
            Some(why) => Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, why)),
        }
    }
}

fn unseen(name: &str) -> Refused {
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, format!("{name} has not been looked at yet"))
}

fn unknown(name: &str) -> Refused {
    Refused::new(StatusCode::NOT_FOUND, format!("there is no cluster `{name}`; /api/v1/clusters lists them"))
}

/// Says why there is no answer.
pub fn refuse(refused: Refused) -> Response<Body> {
    let Refused { status, detail, allow } = refused;
    let title = status.canonical_reason().unwrap_or_default().to_owned();
    let refusal = Refusal { title, status: status.as_u16(), detail };
    let mut response = whole(status, PROBLEM, written(&refusal));
    let more = match status {
        StatusCode::METHOD_NOT_ALLOWED => Some((ALLOW, allow)),
        StatusCode::SERVICE_UNAVAILABLE => Some((RETRY_AFTER, "5")),
        _ => None,
    };
    response.headers_mut().extend(more.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

/// Says that a call of the webhook is taken.
pub fn accepted() -> Response<Body> {
    whole(StatusCode::ACCEPTED, TEXT, "the source is looked at soon\n".to_owned())
}

fn json(document: &impl Serialize) -> Response<Body> {
    whole(StatusCode::OK, JSON, written(document))
}

/// Writes a document in which nothing steers a terminal.
pub fn written(document: &impl Serialize) -> String {
    let written = serde_json::to_string(document);
    text::clean_json(&written.unwrap_or_else(|error| format!("{{\"error\":{:?}}}", error.to_string())))
}

/// Answers with text for a terminal, in which nothing of others steers it.
fn screen(written: &str) -> Response<Body> {
    whole(StatusCode::OK, TEXT, text::clean_screen(written).into_owned())
}

fn stream(messages: Messages) -> Response<Body> {
    with_headers(StatusCode::OK, "text/event-stream", Either::Right(messages))
}

fn whole(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    with_headers(status, kind, Either::Left(Full::new(Bytes::from(text))))
}

fn with_headers(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.extend(ALWAYS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::Value;

    use super::*;
    use crate::cli::cloud::Environment;
    use crate::event::{Event, EventKind, Listener};
    use crate::face::About;
    use crate::history::latest::Latest;
    use crate::plan::plan;
    use crate::sim::{FaultLevel, World};
    use crate::spec::load::load;
    use crate::status::status;
    use crate::time::{Timestamp, after};

    const DOCUMENTS: Documents = Documents {
        plan: |_, _| Value::Null,
        explain: |_, _, _| Value::Null,
        status_text: |_| String::new(),
        explain_text: |_, _, _| String::new(),
        schemas: |generator| [generator.subschema_for::<bool>(), generator.subschema_for::<bool>()],
    };

    /// A face at a moment that can be set.
    fn face(now: &Rc<Cell<Timestamp>>, uses_lease: bool) -> Rc<Face> {
        let now = now.clone();
        let about = About {
            now: Rc::new(move || now.get()),
            uses_lease,
            notifications: None,
            calls: None,
            documents: DOCUMENTS,
            hook: None,
        };
        Rc::new(Face::new(about, Latest::default()))
    }

    fn pass() -> Rc<Pass> {
        let spec = load(&["desired-state/prod/consul.yaml".into()]).specs().next().unwrap().1.clone();
        let world = World::new(0, FaultLevel::None);
        world.settle(&spec);
        let seen = Environment::simulated(vec![spec.clone()], world, None).look(&spec);
        let plan = plan(&spec, &seen);
        let status = Rc::new(status(&spec, &seen, &plan, None));
        Rc::new(Pass { spec: Arc::new(spec), seen, plan, status, is_new: true })
    }

    #[test]
    fn a_cluster_that_has_had_no_pass_for_a_quarter_of_an_hour_is_no_sign_of_life() {
        for uses_lease in [false, true] {
            let pass = pass();
            let now = Rc::new(Cell::new(pass.seen.now));
            let face = face(&now, uses_lease);
            let tell = |kind| face.hear(&Event { at: now.get(), cluster: Some(pass.spec.name.clone()), kind });
            let code = |route: Route| face.answer(&route, Form::Json).status().as_u16();
            assert_eq!((code(Route::Live), code(Route::Ready)), (200, if uses_lease { 200 } else { 503 }));
            tell(EventKind::Started { source: "here".to_owned(), observe_only: false });
            tell(EventKind::DesiredRead(Rc::default()));
            tell(EventKind::DesiredChanged(pass.spec.clone()));
            assert_eq!((code(Route::Live), code(Route::Ready)), (200, 503), "the cluster was not looked at");
            tell(EventKind::Planned(pass.clone()));
            assert_eq!((code(Route::Live), code(Route::Ready)), (200, 200));
            now.set(after(pass.seen.now, Duration::from_secs(14 * 60)));
            assert_eq!(code(Route::Live), 200);
            now.set(after(pass.seen.now, Duration::from_secs(16 * 60)));
            assert_eq!(code(Route::Live), 503);
            tell(EventKind::LeaseLost);
            assert_eq!(code(Route::Live), if uses_lease { 200 } else { 503 });
        }
    }
}
