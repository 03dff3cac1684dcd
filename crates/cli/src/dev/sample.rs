//! Loads the sample's customers. Every request has its fixed id, so loading again changes nothing.

use custodia_client::{Client, ClientError};
use custodia_proto::v1;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::dev::customers::SampleCustomer;
use crate::error::CliError;

/// Requests on their way at a time.
const WINDOW: usize = 128;

/// What was loaded.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) values: usize,
    pub(crate) events: usize,
    pub(crate) decisions: usize,
}

/// Loads customers.
///
/// # Errors
/// The first request's that fails.
pub(crate) async fn load<'c>(
    client: &Client,
    customers: impl IntoIterator<Item = &'c SampleCustomer>,
) -> Result<Loaded, CliError> {
    let mut loaded = Loaded::default();
    let mut ingests = Vec::new();
    let mut refusals = Vec::new();
    for customer in customers {
        ingests.extend(customer.ingests());
        refusals.extend(customer.refusals());
    }
    loaded.decisions = refusals.len() + ingests.iter().map(|request| request.consents.len()).sum::<usize>();
    stream(client, ingests, &mut loaded).await?;
    futures::stream::iter(refusals)
        .map(|request| client.record_consent(request))
        .buffer_unordered(WINDOW)
        .try_for_each(async |_state| Ok(()))
        .await?;
    Ok(loaded)
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
