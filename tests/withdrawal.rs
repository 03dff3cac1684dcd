//! Once a withdrawal is acknowledged, no default read on any node serves the data, and no ingest based on it merges,
//! while leaders move (CO-3, CO-4, CO-5).
//!
//! ```text
//! customer   given ──── withdraw sent ──── acknowledged ───────────── given sent ──── acknowledged ──── …
//! epoch      even                          odd ……………………………………………… even
//! oracle     a call that began and ended within one odd epoch must see nothing and merge nothing
//! ```
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says why and stops"
)]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use custodia_client::Client;
use custodia_proto::v1::consent_service_client::ConsentServiceClient;
use custodia_proto::v1::profile_service_client::ProfileServiceClient;
use custodia_proto::v1::{
    ConsentStatus, GetConsentsRequest, IngestProfileRequest, RecordConsentRequest, RefusalReason,
};
use custodia_tests::sample::{consent, get, grant, ingest, observation, text_of, withdrawal, withheld};
use custodia_tests::{Options, Sandbox, Suite};
use tonic::Request;
use tonic::transport::Channel;

fn main() -> ExitCode {
    Suite::default()
        .alone_within(LIMIT, after_an_acknowledged_withdrawal_nothing_is_served_or_merged_on_any_node)
        .run()
}

/// Customers that are fought over at the same time.
const CUSTOMERS: usize = 8;
/// Withdrawals that must have been acknowledged before the test may end.
const RACES_MIN: u64 = 2_000;
/// Of so many decisions one stands until a call has met it: enough for what is asserted at the end, also where the last ones
/// are cut short.
const SEEN_EVERY: u64 = 3;
/// Checks of the consent state behind a withdrawal that must have been made.
const STATES_MIN: u64 = 50;
/// The limit for all of it.
const LIMIT: Duration = Duration::from_secs(600);
/// How often leaders are made to move at least.
const MOVES_MIN: usize = 6;
/// Between two reads of one reader: the nodes need the cores too, or few decisions are made.
const PAUSE: Duration = Duration::from_millis(5);
/// The longest that one call may take.
const CALL: Duration = Duration::from_secs(2);

/// One customer and what its withdrawals have reached.
struct Case {
    customer: String,
    /// Odd while an acknowledged withdrawal stands.
    epoch: AtomicU64,
    /// Calls that saw or merged the data while it was allowed, as far as the oracle knows.
    allowed: AtomicU64,
    /// Calls that lay wholly behind an acknowledged withdrawal.
    refused: AtomicU64,
}

#[derive(Default)]
struct Tally {
    races: AtomicU64,
    states: AtomicU64,
    stop: AtomicBool,
}

/// Stops the race when a task fails: what it was to do would be waited for in vain.
struct StopOnPanic(Arc<Tally>);

impl Drop for StopOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop.store(true, Ordering::SeqCst);
        }
    }
}

impl Tally {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }
}

async fn after_an_acknowledged_withdrawal_nothing_is_served_or_merged_on_any_node() {
    let mut sandbox = Sandbox::start_with(Options::default()).await;
    let client = sandbox.client();
    let tally = Arc::new(Tally::default());
    let (mut cases, mut tasks) = (Vec::new(), Vec::new());
    let moves = Arc::new(AtomicUsize::new(0));
    for number in 0..CUSTOMERS {
        let case = Arc::new(new_case(&client).await);
        cases.push(Arc::clone(&case));
        tasks.push(tokio::spawn(decide(
            client.clone(),
            Arc::clone(&case),
            Arc::clone(&tally),
            Arc::clone(&moves),
        )));
        for node in 0..3 {
            let channel = sandbox.channel(node, &sandbox.admin).await.expect("a channel");
            tasks.push(tokio::spawn(read(channel.clone(), Arc::clone(&case), Arc::clone(&tally))));
            if number % 3 == node {
                tasks.push(tokio::spawn(write(channel, Arc::clone(&case), Arc::clone(&tally))));
            } else if (number + 1) % 3 == node {
                tasks.push(tokio::spawn(read_state(channel, Arc::clone(&case), Arc::clone(&tally))));
            }
        }
    }
    move_leaders(&mut sandbox, &tally, &moves).await;
    for task in tasks {
        task.await.expect("no oracle was contradicted");
    }
    let races = tally.races.load(Ordering::SeqCst);
    let sum =
        |of: fn(&Case) -> &AtomicU64| cases.iter().map(|case| of(case).load(Ordering::SeqCst)).sum::<u64>();
    let (refused, allowed) = (sum(|case| &case.refused), sum(|case| &case.allowed));
    assert!(races >= RACES_MIN, "{races} withdrawals");
    assert!(refused > RACES_MIN / 4, "{refused} calls lay behind a withdrawal");
    assert!(allowed > RACES_MIN / 4, "{allowed} calls were answered with the data");
    let states = tally.states.load(Ordering::SeqCst);
    assert!(states >= STATES_MIN, "{states} consent states were checked behind a withdrawal");
}

async fn new_case(client: &Client) -> Case {
    let request = IngestProfileRequest {
        purpose: "marketing".into(),
        consents: vec![grant("marketing")],
        ..ingest("", vec![observation("interest", "sailing")])
    };
    let answer = client.ingest_profile(request).await.expect("a customer is created");
    assert!(answer.attributes[0].merged);
    Case {
        customer: answer.customer_id,
        epoch: AtomicU64::new(0),
        allowed: AtomicU64::new(0),
        refused: AtomicU64::new(0),
    }
}

/// Leaders stand still beyond their lease and wake, and nodes drain and come back, in turn.
async fn move_leaders(sandbox: &mut Sandbox, tally: &Tally, moves: &AtomicUsize) {
    for round in 0_usize.. {
        if tally.stop.load(Ordering::SeqCst) {
            break;
        }
        let victim = round % 3;
        if round % 2 == 0 {
            sandbox.nodes[victim].pause();
            tokio::time::sleep(Duration::from_millis(1_200)).await;
            sandbox.nodes[victim].resume();
        } else {
            assert_eq!(sandbox.nodes[victim].terminate(), Some(0), "a drain ends well");
            sandbox.nodes[victim].start();
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
        moves.fetch_add(1, Ordering::SeqCst);
    }
}

fn within<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL);
    request
}

/// Withdraws and gives consent in turn, until enough races were run and leaders have moved often enough.
async fn decide(client: Client, case: Arc<Case>, tally: Arc<Tally>, moves: Arc<AtomicUsize>) {
    let _stop = StopOnPanic(Arc::clone(&tally));
    let client = client.with_deadline(Duration::from_secs(60));
    while tally.goes_on() {
        let withdrawn = client.withdraw_consent(withdrawal(&case.customer, "marketing")).await;
        let mut consent_revision = withdrawn.expect("a withdrawal").consent_revision;
        case.epoch.fetch_add(1, Ordering::SeqCst);
        let races = tally.races.fetch_add(1, Ordering::SeqCst) + 1;
        if races >= RACES_MIN && moves.load(Ordering::SeqCst) >= MOVES_MIN {
            tally.stop.store(true, Ordering::SeqCst);
        }
        linger(races % 23, races, &case.refused, &tally).await;
        case.epoch.fetch_add(1, Ordering::SeqCst);
        let given = |consent_revision| RecordConsentRequest {
            consent_revision,
            ..consent(&case.customer, "marketing")
        };
        while let Err(error) = client.record_consent(given(consent_revision)).await {
            // A repetition of the withdrawal that was long on its way is a no of its own, which the consent must have seen.
            assert_eq!(error.reason(), Some("CONSENT_REVISION_STALE"), "{error}");
            let read =
                GetConsentsRequest { customer_id: case.customer.clone(), purpose: "privacy-requests".into() };
            consent_revision = client.get_consents(read).await.expect("consents").consent_revision;
        }
        linger(races % 7, races, &case.allowed, &tally).await;
    }
}

/// Leaves a decision standing for some milliseconds; some until a call has met it, however slow the machine is.
async fn linger(milliseconds: u64, race: u64, met: &AtomicU64, tally: &Tally) {
    let before = met.load(Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    while race.is_multiple_of(SEEN_EVERY) && met.load(Ordering::SeqCst) == before && tally.goes_on() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Whether a call that began in one epoch and ended in another lay wholly behind an acknowledged withdrawal.
const fn behind_a_withdrawal(began: u64, ended: u64) -> bool {
    began == ended && began % 2 == 1
}

async fn read(channel: Channel, case: Arc<Case>, tally: Arc<Tally>) {
    let _stop = StopOnPanic(Arc::clone(&tally));
    let mut profiles = ProfileServiceClient::new(channel);
    while tally.goes_on() {
        let began = case.epoch.load(Ordering::SeqCst);
        let answer = profiles.get_profile(within(get(&case.customer, "marketing"))).await;
        let ended = case.epoch.load(Ordering::SeqCst);
        // While its leader is on the move a node may say that it is not available; it may never say too much.
        let Ok(profile) = answer.map(tonic::Response::into_inner) else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        if behind_a_withdrawal(began, ended) {
            assert_eq!(text_of(&profile, "interest"), None, "served after an acknowledged withdrawal");
            assert_eq!(withheld(&profile, "interest"), Some(RefusalReason::ConsentWithdrawn));
            case.refused.fetch_add(1, Ordering::SeqCst);
        } else if text_of(&profile, "interest").is_some() {
            case.allowed.fetch_add(1, Ordering::SeqCst);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn write(channel: Channel, case: Arc<Case>, tally: Arc<Tally>) {
    let _stop = StopOnPanic(Arc::clone(&tally));
    let mut profiles = ProfileServiceClient::new(channel);
    for number in 0_u64.. {
        if !tally.goes_on() {
            break;
        }
        let request = IngestProfileRequest {
            purpose: "marketing".into(),
            consents: Vec::new(),
            ..ingest(&case.customer, vec![observation("interest", &format!("topic {number}"))])
        };
        let began = case.epoch.load(Ordering::SeqCst);
        let answer = profiles.ingest_profile(within(request)).await;
        let ended = case.epoch.load(Ordering::SeqCst);
        let Ok(answer) = answer.map(tonic::Response::into_inner) else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let outcome = &answer.attributes[0];
        if behind_a_withdrawal(began, ended) {
            assert!(!outcome.merged, "merged after an acknowledged withdrawal");
            assert_eq!(outcome.refusal(), RefusalReason::ConsentWithdrawn);
            case.refused.fetch_add(1, Ordering::SeqCst);
        } else if outcome.merged {
            case.allowed.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Every node tells the state itself as the decisions have left it.
async fn read_state(channel: Channel, case: Arc<Case>, tally: Arc<Tally>) {
    let _stop = StopOnPanic(Arc::clone(&tally));
    let mut consents = ConsentServiceClient::new(channel);
    while tally.goes_on() {
        let request =
            GetConsentsRequest { customer_id: case.customer.clone(), purpose: "privacy-requests".into() };
        let began = case.epoch.load(Ordering::SeqCst);
        let states = consents.get_consents(within(request)).await;
        let ended = case.epoch.load(Ordering::SeqCst);
        if let Ok(states) = states
            && behind_a_withdrawal(began, ended)
        {
            let states = states.into_inner().consents;
            let state = states.iter().find(|state| state.purpose == "marketing").expect("a state");
            assert_eq!(state.status(), ConsentStatus::Withdrawn);
            tally.states.fetch_add(1, Ordering::SeqCst);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
