//! Traces: the spans of passes, sent to an OpenTelemetry collector by a thread of its own.
//!
//! A pass never waits for it. Where there is no room for a span it is dropped and counted, and so is one that the collector
//! does not take; the log says how many.

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor};
use tokio::runtime::Runtime;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};

use super::Failure;
use super::logging::Sink;
use crate::controller::spans::TARGET;
use crate::http::{Http, Tls, Trust};
use crate::input::text;

/// The spans that may wait to be sent.
const ROOM: usize = 2048;
/// The most spans of one message.
const MOST: usize = 512;
/// The silence after which what has gathered is sent.
const PAUSE: Duration = Duration::from_millis(500);
/// The time that the process gives what is not sent yet at its end.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// The path of traces below the address of a collector.
const PATH: &str = "/v1/traces";

/// OpenTelemetry's own variables: the address for traces, and that of the collector.
const FOR_TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const FOR_ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// The variable with the file of the CAs that a collector's certificate is checked against.
const CA_FILE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
/// The variable that turns everything of OpenTelemetry off.
const DISABLED: &str = "OTEL_SDK_DISABLED";

/// The receiver of traces.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Send a trace of each pass to this OpenTelemetry collector, by OTLP over HTTP, e.g. `http://127.0.0.1:4318`; without it,
    /// to where the variable OTEL_EXPORTER_OTLP_ENDPOINT says, if it is set
    #[arg(long, value_name = "URL")]
    traces: Option<String>,
}

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

impl Args {
    /// Makes the layer that takes spans, where somebody wants them.
    pub(super) fn begin(&self) -> Result<Option<Sink>, Failure> {
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let below = |address: &str| format!("{}{PATH}", address.trim_end_matches('/'));
        let address = match &self.traces {
            Some(address) => Some(below(address)),
            None => variable(FOR_TRACES).or_else(|| variable(FOR_ALL).map(|address| below(&address))),
        };
        let is_disabled = variable(DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let Some(address) = address.filter(|_| !is_disabled) else { return Ok(None) };
        let resource = Resource::builder()
            .with_service_name("hermitcrab")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let post = Post::start(exporter(&address, variable(CA_FILE), &resource)?)?;
        let provider = SdkTracerProvider::builder().with_resource(resource).with_span_processor(post).build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("hermitcrab"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_level(false)
            .with_target(false);
        let _ = PROVIDER.set(provider);
        let ours = filter_fn(|told| told.is_span() && told.target() == TARGET).with_max_level_hint(LevelFilter::INFO);
        Ok(Some(layer.with_filter(ours).boxed()))
    }
}

/// Sends what is not sent yet, for a while.
pub(super) fn finish() {
    if let Some(provider) = PROVIDER.get() {
        let _ = provider.shutdown_with_timeout(LAST_WORDS);
    }
}

fn exporter(address: &str, ca_file: Option<String>, resource: &Resource) -> Result<SpanExporter, Failure> {
    let unusable = |why: String| {
        let address = text::without_passwords(&text::argument(address));
        Failure::new(format!("traces cannot be sent to {address}: {why}"))
            .hint("name a collector that takes OTLP over HTTP, e.g. `http://127.0.0.1:4318`")
    };
    let trust = match address.split_once("://") {
        Some(("https", _)) => Trust::Tls(Tls { ca_file, ..Tls::default() }),
        Some(("http", _)) => Trust::Plain,
        _ => return Err(unusable("it is no HTTP address".to_owned())),
    };
    let client = Http::default().client(&trust).map_err(|error| unusable(crate::ports::chain(&error)))?;
    let builder = SpanExporter::builder().with_http().with_http_client(client.inner()).with_endpoint(address);
    let mut exporter = builder.build().map_err(|error| unusable(text::clean(&error.to_string()).into_owned()))?;
    exporter.set_resource(resource);
    Ok(exporter)
}

/// A job of the thread that sends.
enum Job {
    Send(Box<SpanData>),
    /// Send what has gathered, and answer.
    End(SyncSender<()>),
}

/// The way from a span's end to the thread that sends it.
#[derive(Debug)]
struct Post {
    jobs: SyncSender<Job>,
    dropped: Arc<AtomicU64>,
}

impl Post {
    fn start(exporter: SpanExporter) -> Result<Self, Failure> {
        let (jobs, todo) = sync_channel(ROOM);
        let dropped = Arc::<AtomicU64>::default();
        let mut sender = Sender { exporter, dropped: dropped.clone(), is_failing: false };
        let runtime = super::runtime::start()?;
        thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || while sender.batch(runtime, &todo) {})
            .map_err(|error| Failure::new(format!("no thread can be had for traces: {error}")))?;
        Ok(Self { jobs, dropped })
    }
}

impl SpanProcessor for Post {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.jobs.try_send(Job::Send(Box::new(span))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let (done, waited) = sync_channel(1);
        self.jobs.try_send(Job::End(done)).map_err(|_| OTelSdkError::Timeout(timeout))?;
        waited.recv_timeout(timeout).map_err(|_| OTelSdkError::Timeout(timeout))
    }
}

/// The thread's own part.
struct Sender {
    exporter: SpanExporter,
    dropped: Arc<AtomicU64>,
    /// Whether the last message was not taken.
    is_failing: bool,
}

impl Sender {
    /// Gathers spans and sends them. Answers whether there may be more.
    fn batch(&mut self, runtime: &Runtime, todo: &Receiver<Job>) -> bool {
        let (mut spans, mut end, mut is_over) = (Vec::new(), None, false);
        let mut next = todo.recv().map_err(|_| RecvTimeoutError::Disconnected);
        loop {
            match next {
                Ok(Job::Send(span)) => spans.push(*span),
                Ok(Job::End(done)) => end = Some(done),
                Err(why) => {
                    is_over = why == RecvTimeoutError::Disconnected;
                    break;
                }
            }
            if end.is_some() || spans.len() >= MOST {
                break;
            }
            next = todo.recv_timeout(PAUSE);
        }
        self.send(runtime, spans);
        match end {
            Some(done) => {
                let _ = done.try_send(());
                false
            }
            None => !is_over,
        }
    }

    fn send(&mut self, runtime: &Runtime, spans: Vec<SpanData>) {
        let number = spans.len() as u64;
        if number > 0 {
            match runtime.block_on(self.exporter.export(spans)) {
                Ok(()) => self.is_failing = false,
                Err(error) => {
                    self.dropped.fetch_add(number, Ordering::Relaxed);
                    if !std::mem::replace(&mut self.is_failing, true) {
                        let why = text::without_passwords(&text::clean(&error.to_string()));
                        tracing::warn!(why, "traces: the collector does not take spans");
                    }
                }
            }
        }
        let dropped = if self.is_failing { 0 } else { self.dropped.swap(0, Ordering::Relaxed) };
        if dropped > 0 {
            tracing::warn!(dropped, "traces: spans were dropped");
        }
    }
}
