//! What the node shows to others and judges them by: its certificate, the authorities, the revocation list and the tokens.
//! The files are read again when they change, and on SIGHUP.
//!
//! ```text
//! files ──▶ checked as a whole ──▶ in force for every new connection; connections made before are judged again
//!                    └─ unusable: an error in the log, and what was in force stays in force
//! ```
//!
//! Must always hold: a connection outlives neither the certificate that its other end has shown nor the trust in it. What is
//! in force was valid as a whole when it was read, so files that are replaced one after the other do no harm.

use std::{path::PathBuf, sync::Arc, time::Duration};

use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, UnixTime};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{Notify, watch},
    task::spawn_blocking,
    time::{interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    tls::{ClientCertificates, TlsConfigs, valid_until},
    tokens::Tokens,
};
use crate::{
    config::{TlsFiles, TokenFile},
    error::ServerError,
    identity::OwnName,
    metrics::Metrics,
};

/// How often the files are compared with what is in force.
const COMPARE_EVERY: Duration = Duration::from_secs(5);
/// How often a connection's certificate is judged again, besides at its end: a clock that was set is noticed by then.
const JUDGE_EVERY: Duration = Duration::from_secs(60);
/// A certificate that ends sooner is a warning in the log, once a day.
const WARNING_DAYS: i64 = 30;

/// The tokens in force, if tokens are configured.
pub(crate) type CurrentTokens = Arc<ArcSwapOption<Tokens>>;

/// What is in force.
pub(crate) struct Credentials {
    files: TlsFiles,
    tokens_file: Option<PathBuf>,
    own: OwnName,
    tls: ArcSwap<TlsConfigs>,
    tokens: CurrentTokens,
    /// Of the files as they were last read.
    digest: Mutex<Digest>,
    changed: watch::Sender<u64>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("own", &self.own).finish_non_exhaustive()
    }
}

type Digest = [u8; 32];

/// What reading the files again has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reloaded {
    Nothing,
    Changed,
}

impl Credentials {
    /// Reads and checks the files.
    pub(crate) fn load(
        files: &TlsFiles,
        tokens: Option<&TokenFile>,
        own: OwnName,
    ) -> Result<Self, ServerError> {
        let tokens_file = tokens.map(|tokens| tokens.file.clone());
        let digest = digest(files, tokens_file.as_ref());
        let (tls, tokens) = read(files, tokens_file.as_ref(), &own)?;
        Ok(Self {
            files: files.clone(),
            tokens_file,
            own,
            tls: ArcSwap::from_pointee(tls),
            tokens: Arc::new(ArcSwapOption::from_pointee(tokens)),
            digest: Mutex::new(digest),
            changed: watch::Sender::new(0),
        })
    }

    /// Reads the files again if they differ from what was read last.
    pub(crate) fn reload(&self) -> Result<Reloaded, ServerError> {
        let mut last = self.digest.lock();
        let found = digest(&self.files, self.tokens_file.as_ref());
        if found == *last {
            return Ok(Reloaded::Nothing);
        }
        // also of files that turn out to be unusable: the log says so once
        *last = found;
        let (tls, tokens) = read(&self.files, self.tokens_file.as_ref(), &self.own)?;
        self.tls.store(Arc::new(tls));
        self.tokens.store(tokens.map(Arc::new));
        self.changed.send_modify(|version| *version += 1);
        Ok(Reloaded::Changed)
    }

    pub(crate) fn tls(&self) -> Arc<TlsConfigs> {
        self.tls.load_full()
    }

    pub(crate) fn tokens(&self) -> CurrentTokens {
        Arc::clone(&self.tokens)
    }

    /// Incremented whenever the files were read again.
    pub(crate) fn version(&self) -> u64 {
        *self.changed.borrow()
    }

    /// Waits until another version than this is in force.
    pub(crate) async fn until_other_than(&self, version: u64) {
        let mut changed = self.changed.subscribe();
        // An error says that nothing changes any more, since the sender is gone.
        if changed.wait_for(|current| *current != version).await.is_err() {
            std::future::pending().await
        }
    }

    /// Waits until the certificates that the other end of a connection has shown, its own first, are no longer valid: they
    /// have ended, are revoked, or their authority is no longer trusted. For ever where it has shown none.
    pub(crate) async fn until_refused(&self, shown: &[CertificateDer<'static>]) -> rustls::Error {
        let [own, intermediates @ ..] = shown else { return std::future::pending().await };
        let until = valid_until(own).unwrap_or_default();
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            let (tls, now) = (self.tls(), UnixTime::now());
            if let Err(error) = tls.clients.verify_client_cert(own, intermediates, now) {
                return error;
            }
            let left = u64::try_from(until).unwrap_or_default().saturating_sub(now.as_secs());
            let next = JUDGE_EVERY.min(Duration::from_secs(left.saturating_add(1)));
            tokio::select! {
                () = sleep(next) => {}
                _changed = changed.changed() => {}
            }
        }
    }

    /// Follows the files until `stop`: compares them from time to time, and when `reload` asks for it.
    pub(crate) async fn keep_up(
        self: Arc<Self>,
        metrics: Arc<Metrics>,
        reload: Arc<Notify>,
        stop: CancellationToken,
    ) {
        let mut every = interval(COMPARE_EVERY);
        let mut warned = None;
        loop {
            self.report_days_left(&metrics, &mut warned);
            tokio::select! {
                () = stop.cancelled() => return,
                () = reload.notified() => tracing::info!("reading certificates and tokens again: asked to"),
                _tick = every.tick() => {}
            }
            let credentials = Arc::clone(&self);
            match spawn_blocking(move || credentials.reload()).await {
                Ok(Ok(Reloaded::Nothing)) => {}
                Ok(Ok(Reloaded::Changed)) => {
                    metrics.credentials_read.increment(1);
                    warned = None;
                    tracing::info!("certificates, revocation list and tokens are those of the changed files");
                }
                Ok(Err(error)) => {
                    metrics.credentials_unusable.increment(1);
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(%error, cause, "changed files are unusable: what was read before stays in force");
                }
                Err(error) => tracing::error!(%error, "the task that reads certificates and tokens failed"),
            }
        }
    }

    /// Warns once for each day that a certificate has left, near its end.
    fn report_days_left(&self, metrics: &Metrics, warned: &mut Option<i64>) {
        const DAY: i64 = 24 * 3_600;
        let tls = self.tls.load();
        let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
        let days = |until: i64| until.saturating_sub(now).div_euclid(DAY);
        let (own, authorities) = (days(tls.own_until), days(tls.authorities_until));
        metrics.set_certificate_days(own, authorities);
        let fewest = own.min(authorities);
        if fewest < WARNING_DAYS && *warned != Some(fewest) {
            *warned = Some(fewest);
            tracing::warn!(days_left = own, authority_days_left = authorities, "a certificate ends soon");
        }
    }
}

fn read(
    files: &TlsFiles,
    tokens_file: Option<&PathBuf>,
    own: &OwnName,
) -> Result<(TlsConfigs, Option<Tokens>), ServerError> {
    let tokens = tokens_file.map(|path| Tokens::load(path)).transpose()?;
    let clients = if tokens.is_some() { ClientCertificates::Optional } else { ClientCertificates::Required };
    Ok((TlsConfigs::load(files, own, clients)?, tokens))
}

/// Of all files; one that cannot be read counts as empty here, and is an error when it is read.
fn digest(files: &TlsFiles, tokens_file: Option<&PathBuf>) -> Digest {
    let mut all = Sha256::new();
    let paths = [Some(&files.ca), Some(&files.certificate), Some(&files.key)];
    for path in paths.into_iter().chain([files.revocation_list.as_ref(), tokens_file]).flatten() {
        all.update(Sha256::digest(std::fs::read(path).unwrap_or_default()));
    }
    all.finalize().into()
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
