//! Loads the sample's customers. Every request has a fixed id, so loading again changes nothing.

use custodia_client::{Client, ClientError};
use custodia_proto::v1;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::dev::customers::SampleCustomer;
use crate::error::CliError;

/// Maximum number of requests in flight.
const WINDOW: usize = 128;

/// What was loaded.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) values: usize,
    pub(crate) events: usize,
    pub(crate) decisions: usize,
}

/// Loads customers.
pub(crate) async fn load<'c>(
    client: &Client,
    customers: impl IntoIterator<Item = &'c SampleCustomer>,
) -> Result<Loaded, CliError> {
    let mut loaded = Loaded::default();
    let (mut subjects, mut ingests) = (Vec::new(), Vec::new());
    let (mut refusals, mut preferences) = (Vec::new(), Vec::new());
    for customer in customers {
        subjects.push(customer.subject());
        ingests.extend(customer.ingests());
        refusals.extend(customer.refusals());
        preferences.push(customer.preferences());
    }
    loaded.decisions = refusals.len() + ingests.iter().map(|request| request.consents.len()).sum::<usize>();
    each(subjects, |subject| client.update_data_subject(subject)).await?;
    stream(client, ingests, &mut loaded).await?;
    each(refusals, |refusal| client.record_consent(refusal)).await?;
    each(preferences, |preferences| client.update_preferences(preferences)).await?;
    Ok(loaded)
}

/// Sends all requests, many at a time.
async fn each<Request, Answer, Sent: Future<Output = Result<Answer, ClientError>>>(
    requests: Vec<Request>,
    send: impl Fn(Request) -> Sent,
) -> Result<(), ClientError> {
    futures::stream::iter(requests)
        .map(send)
        .buffer_unordered(WINDOW)
        .try_for_each(async |_answer| Ok(()))
        .await
}

async fn stream(
    client: &Client,
    ingests: Vec<v1::IngestProfileRequest>,
    loaded: &mut Loaded,
) -> Result<(), ClientError> {
    let (mut sender, mut receiver) = client.ingest_profiles(WINDOW);
    let send = async move {
        for request in ingests {
            sender.send(request).await?;
        }
        Ok::<(), ClientError>(())
    };
    let receive = async {
        while let Some(outcome) = receiver.next().await {
            let answer = outcome.result?;
            loaded.values += answer.attributes.iter().filter(|one| one.merged).count();
            loaded.events += answer.events.iter().filter(|one| one.appended).count();
        }
        Ok::<(), ClientError>(())
    };
    futures::try_join!(send, receive).map(|((), ())| ())
}
