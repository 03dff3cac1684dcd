//! The page for Prometheus, on a port of its own: plain HTTP, `GET /metrics`, nothing else.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use crate::metrics::{Metrics, UPKEEP_EVERY};

/// Readers at a time; over this limit they wait in the kernel's queue.
const READERS_MAX: usize = 16;
/// A reader that sends no request within this time is disconnected.
const READER_TIMEOUT: Duration = Duration::from_secs(10);

/// Brings the gauges up to date. May block.
pub(crate) type Refresh = Arc<dyn Fn() + Send + Sync>;

/// Folds recorded durations into their buckets, so that they do not pile up when nobody reads the page.
pub(crate) async fn keep_up(metrics: Arc<Metrics>, stop: CancellationToken) {
    let handle = metrics.handle();
    let mut every = tokio::time::interval(UPKEEP_EVERY);
    while stop.run_until_cancelled(every.tick()).await.is_some() {
        handle.run_upkeep();
    }
}

/// Serves the page until `stop`.
pub(crate) async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    refresh: Refresh,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(READERS_MAX));
    let mut readers = JoinSet::new();
    let accept = async {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _from)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections to the metrics port");
                    tokio::time::sleep(READER_TIMEOUT).await;
                    continue;
                }
            };
            let (metrics, refresh) = (Arc::clone(&metrics), Arc::clone(&refresh));
            readers.spawn(async move {
                let service =
                    service_fn(move |request| page(Arc::clone(&metrics), Arc::clone(&refresh), request));
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

async fn page(
    metrics: Arc<Metrics>,
    refresh: Refresh,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    if request.method() != Method::GET || request.uri().path() != "/metrics" {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    }
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
    Ok(response)
}
