//! The load: callers that go to any node, repeat what was not answered, and write down what contradicts an earlier answer.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use custodia_proto::v1::profile_service_client::ProfileServiceClient;
use custodia_proto::v1::{Profile, Recipient};
use custodia_tests::Sandbox;
use custodia_tests::actions::create_recipient;
use custodia_tests::sample::get;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use crate::decisions::{self, Consented, Suspension};
use crate::registers::{self, Register};

/// Customers that one writer each updates.
const REGISTERS: usize = 12;
/// Customers who consent and withdraw in turn.
const CONSENTED: usize = 6;
/// How long one call may take, in milliseconds. It differs, so that calls to a node that stands still begin at any time: those that
/// begin late are the ones that a stale answer would contradict.
const CALL_MS: std::ops::Range<u64> = 300..2_000;
/// Readers of each kind for each node.
const READERS: usize = 4;
/// How often a call is sent in all, with the same request id, before its outcome counts as unknown.
const TRIES: usize = 6;
/// Between two calls of one caller: the nodes need the cores too.
const PAUSE: Duration = Duration::from_millis(20);

/// Everything that the callers share.
#[derive(Debug)]
pub(crate) struct Load {
    /// To each node as somebody with every role.
    pub(crate) channels: Vec<Channel>,
    /// To each node as the application that is suspended in turn.
    pub(crate) desk: Vec<Channel>,
    pub(crate) registers: Vec<Register>,
    pub(crate) consented: Vec<Consented>,
    pub(crate) suspension: Suspension,
    counts: Mutex<BTreeMap<String, u64>>,
    wrong: Mutex<Vec<String>>,
    stop: AtomicBool,
    tasks: tokio::sync::Mutex<JoinSet<()>>,
}

impl Load {
    /// Creates the customers and starts the callers.
    pub(crate) async fn start(sandbox: &Sandbox) -> Arc<Self> {
        let (mut channels, mut desk) = (Vec::new(), Vec::new());
        for node in 0..sandbox.nodes.len() {
            channels.push(sandbox.channel(node, &sandbox.admin).await.expect("a channel"));
            desk.push(sandbox.channel_as(node, "agent", decisions::DESK).await);
        }
        let purposes = vec!["service".to_owned()];
        let recipient = Recipient { id: decisions::DESK.to_owned(), purposes, ..Recipient::default() };
        create_recipient(sandbox, 0, recipient).await;
        let (mut registers, mut consented) = (Vec::new(), Vec::new());
        for number in 0..REGISTERS {
            registers.push(Register::create(sandbox, number).await);
        }
        for _ in 0..CONSENTED {
            consented.push(Consented::create(sandbox).await);
        }
        let load = Arc::new(Self {
            channels,
            desk,
            registers,
            consented,
            suspension: Suspension::default(),
            counts: Mutex::default(),
            wrong: Mutex::default(),
            stop: AtomicBool::new(false),
            tasks: tokio::sync::Mutex::default(),
        });
        {
            let mut tasks = load.tasks.lock().await;
            for at in 0..REGISTERS {
                tasks.spawn(registers::write(Arc::clone(&load), at));
            }
            for at in 0..CONSENTED {
                tasks.spawn(decisions::decide(Arc::clone(&load), at));
                tasks.spawn(decisions::ingest_behind_a_withdrawal(Arc::clone(&load), at));
            }
            tasks.spawn(decisions::suspend_in_turn(Arc::clone(&load)));
            for node in (0..sandbox.nodes.len()).flat_map(|node| [node; READERS]) {
                tasks.spawn(registers::read(Arc::clone(&load), node));
                tasks.spawn(decisions::read(Arc::clone(&load), node));
                tasks.spawn(decisions::read_as_the_desk(Arc::clone(&load), node));
            }
        }
        load
    }

    /// Waits a moment between two calls; whether the caller goes on.
    pub(crate) async fn goes_on(&self) -> bool {
        tokio::time::sleep(PAUSE).await;
        !self.stop.load(Ordering::SeqCst)
    }

    /// One call on a channel. A bare error of the server itself is wrong, whatever the fault was.
    pub(crate) async fn call<M, T, Answer>(
        &self,
        channel: &Channel,
        message: M,
        call: impl FnOnce(Channel, Request<M>) -> Answer,
    ) -> Result<T, Status>
    where
        Answer: Future<Output = Result<Response<T>, Status>>,
    {
        let mut request = Request::new(message);
        request.set_timeout(Duration::from_millis(fastrand::u64(CALL_MS)));
        match call(channel.clone(), request).await {
            Ok(answer) => {
                self.count("answered");
                Ok(answer.into_inner())
            }
            Err(status) => {
                self.count(&format!("{:?}", status.code()));
                if matches!(status.code(), Code::Internal | Code::DataLoss) && !is_of_the_transport(&status) {
                    self.is_wrong(format!("an answer {status:?}"));
                }
                Err(status)
            }
        }
    }

    /// Everything of a customer for a purpose.
    pub(crate) async fn get(
        &self,
        channel: &Channel,
        customer: &str,
        purpose: &str,
    ) -> Result<Profile, Status> {
        let call =
            |channel, request| async move { ProfileServiceClient::new(channel).get_profile(request).await };
        self.call(channel, get(customer, purpose), call).await
    }

    pub(crate) fn any_node(&self) -> &Channel {
        &self.channels[fastrand::usize(..self.channels.len())]
    }

    /// Sends a request to one node after another until one answers.
    pub(crate) async fn persist<M: Clone, T, Answer>(
        &self,
        message: &M,
        call: impl Fn(Channel, Request<M>) -> Answer,
    ) -> Result<T, Status>
    where
        Answer: Future<Output = Result<Response<T>, Status>>,
    {
        let mut last = Status::unavailable("not tried");
        for _ in 0..TRIES {
            match self.call(self.any_node(), message.clone(), &call).await {
                Ok(answer) => return Ok(answer),
                Err(status) => last = status,
            }
            if !is_for_now(&last) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(fastrand::u64(20..200))).await;
        }
        Err(last)
    }

    /// The same until it is answered or the soak ends.
    pub(crate) async fn insist<M: Clone, T, Answer>(
        &self,
        message: &M,
        call: impl Fn(Channel, Request<M>) -> Answer,
    ) -> Option<T>
    where
        Answer: Future<Output = Result<Response<T>, Status>>,
    {
        loop {
            match self.persist(message, &call).await {
                Ok(answer) => return Some(answer),
                Err(status) if is_for_now(&status) => {}
                Err(status) => {
                    self.is_wrong(format!("refused: {status:?}"));
                    return None;
                }
            }
            if !self.goes_on().await {
                return None;
            }
        }
    }

    pub(crate) fn count(&self, what: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(what.to_owned()).or_default() += 1;
    }

    /// Something must not be so.
    pub(crate) fn is_wrong(&self, what: String) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    pub(crate) fn anything_wrong(&self) -> bool {
        !self.wrong().is_empty()
    }

    pub(crate) fn wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until every writer has had another write acknowledged, and every customer another decision.
    pub(crate) async fn gets_on(&self, deadline: Instant) -> Result<(), String> {
        let progress = || {
            let writes = self.registers.iter().map(|register| register.acknowledged.load(Ordering::SeqCst));
            let decisions = self.consented.iter().map(|consented| consented.epoch.load(Ordering::SeqCst));
            writes.chain(decisions).collect::<Vec<u64>>()
        };
        let before = progress();
        while progress().iter().zip(&before).any(|(now, before)| now <= before) {
            if self.anything_wrong() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("no progress since {before:?}: {:?}", progress()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Ends the callers, and checks what is stored in the end.
    pub(crate) async fn finish(self: &Arc<Self>) {
        self.stop.store(true, Ordering::SeqCst);
        let mut tasks = self.tasks.lock().await;
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                self.is_wrong(format!("a caller failed: {error}"));
            }
        }
        for register in &self.registers {
            registers::check_events(self, register).await;
        }
    }

    /// What was counted.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        for (what, count) in self.counts.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            writeln!(text, "{count:>9} {what}").expect("text grows");
        }
        text
    }
}

/// Whether a later try may be answered otherwise.
pub(crate) fn is_for_now(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Aborted
            | Code::ResourceExhausted
            | Code::Unknown
    ) || is_of_the_transport(status)
}

/// Whether the client itself made this status, of a connection that broke.
fn is_of_the_transport(status: &Status) -> bool {
    std::error::Error::source(status).is_some() || status.message().starts_with("h2 protocol error")
}

/// A number that only rises.
pub(crate) fn raise(number: &AtomicU64, to: u64) {
    number.fetch_max(to, Ordering::SeqCst);
}
