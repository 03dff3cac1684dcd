//! The page for Prometheus and the node's health, on a port of its own: plain HTTP, and nothing else.
//!
//! ```text
//! GET /metrics   the metrics                          200
//! GET /healthz   the process runs                     200
//! GET /readyz    the node is in a cluster and serves  200, else 503; a draining node has closed the port
//! ```

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use super::accept_failures::AcceptFailures;
use crate::metrics::{Metrics, UPKEEP_EVERY};

/// Readers at a time; over this limit they wait in the kernel's queue.
const READERS_MAX: usize = 16;
/// A reader that sends no request within this time is disconnected.
const READER_TIMEOUT: Duration = Duration::from_secs(10);

/// Brings the gauges up to date. May block.
pub(crate) type Refresh = Arc<dyn Fn() + Send + Sync>;

/// Whether the node serves.
pub(crate) type Readiness = Arc<dyn Fn() -> bool + Send + Sync>;

/// What is served.
#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) refresh: Refresh,
    pub(crate) readiness: Readiness,
}

/// Folds recorded durations into their buckets, so that they do not pile up when nobody reads the page.
pub(crate) async fn keep_up(metrics: Arc<Metrics>, stop: CancellationToken) {
    let handle = metrics.handle();
    let mut every = tokio::time::interval(UPKEEP_EVERY);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        handle.run_upkeep();
    }
}

/// Serves the page until `stop`.
pub(crate) async fn serve(listener: TcpListener, page: Page, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(READERS_MAX));
    let mut readers = JoinSet::new();
    let mut failures = AcceptFailures::of("metrics_listen");
    let accept = async {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _from)) => stream,
                Err(error) => {
                    failures.note(&error);
                    tokio::time::sleep(READER_TIMEOUT).await;
                    continue;
                }
            };
            let page = page.clone();
            readers.spawn(async move {
                let service = service_fn(move |request| answer(page.clone(), request));
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(READER_TIMEOUT).keep_alive(false);
                if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
                    tracing::debug!(%error, "connection to the metrics port failed");
                }
                drop(place);
            });
            while readers.try_join_next().is_some() {}
        }
    };
    let _stopped: Option<()> = stop.run_until_cancelled(accept).await;
    readers.shutdown().await;
}

async fn answer(page: Page, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = if request.method() == Method::GET { request.uri().path() } else { "" };
    Ok(match path {
        "/metrics" => metrics(page).await,
        "/healthz" => plain(StatusCode::OK, "ok\n"),
        "/readyz" if (page.readiness)() => plain(StatusCode::OK, "ready\n"),
        "/readyz" => plain(StatusCode::SERVICE_UNAVAILABLE, "not in a cluster yet\n"),
        _ => plain(StatusCode::NOT_FOUND, ""),
    })
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::new(text.to_owned()));
    *response.status_mut() = status;
    response
}

async fn metrics(Page { metrics, refresh, .. }: Page) -> Response<Body> {
    let rendered = tokio::task::spawn_blocking(move || {
        refresh();
        metrics.handle().render()
    });
    let mut response = Response::new(Body::empty());
    match rendered.await {
        Ok(text) => {
            let kind = http::HeaderValue::from_static("text/plain; version=0.0.4");
            response.headers_mut().insert(CONTENT_TYPE, kind);
            *response.body_mut() = Body::new(text);
        }
        Err(_panicked) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
}
