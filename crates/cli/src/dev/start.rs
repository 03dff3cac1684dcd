//! Turns running node processes into a cluster that answers.

use std::time::{Duration, Instant};

use custodia_client::{Client, ClientError};
use custodia_proto::v1;

use crate::catalog;
use crate::cluster::ready;
use crate::connection::ClientFile;
use crate::dev::catalogue;
use crate::dev::customers::SampleCustomer;
use crate::dev::folder::DevFolder;
use crate::dev::sample;
use crate::error::CliError;

/// How long the cluster may take until it answers.
const READY_MAX: Duration = Duration::from_secs(60);

/// Pause before a node that does not answer yet is polled again.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Deadline of one poll.
const POLL_DEADLINE: Duration = Duration::from_millis(500);

/// Deadline of a call while leaders are being elected.
const CALL_DEADLINE: Duration = Duration::from_secs(30);

/// Shards of a development cluster.
const SHARDS: u32 = 16;

/// Replicas of each shard, if there are enough nodes.
const REPLICAS: u32 = 3;

/// A cluster that answers.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) status: v1::ClusterStatus,
    pub(crate) phone: String,
    pub(crate) context: v1::AgentContext,
    pub(crate) first_answer: Duration,
    /// What was loaded, in words, if anything was.
    pub(crate) loading: Option<String>,
}

/// Starts the cluster and loads what is not loaded yet.
pub(crate) async fn start_cluster(folder: &DevFolder, began: Instant) -> Result<Started, CliError> {
    let customers = folder.customers_wanted();
    let client = client(folder, "admin")?.with_deadline(CALL_DEADLINE);
    let nodes: Vec<_> = folder.addresses().iter().map(|address| client.only_at(address)).collect();
    for node in &nodes {
        wait_for(node).await?;
    }
    init(folder, &nodes).await?;
    catalog::create_missing(&client, &catalogue::entries()?).await?;
    let first = SampleCustomer::new(0, folder.first_day());
    if folder.customers_loaded() == 0 {
        sample::load(&client, std::iter::once(&first)).await?;
    }
    let context = as_agent(folder, &first).await?;
    let first_answer = began.elapsed();
    let mut loading = None;
    if folder.customers_loaded() < customers {
        let started = Instant::now();
        let customer = |number| SampleCustomer::new(number, folder.first_day());
        let all: Vec<_> = (folder.customers_loaded()..customers).map(customer).collect();
        let loaded = sample::load(&client, &all).await?;
        folder.set_customers_loaded(customers)?;
        loading = Some(format!(
            "loaded {} sample customers in {:.1} s: {} values merged, {} events, {} consent decisions",
            all.len(),
            started.elapsed().as_secs_f64(),
            loaded.values,
            loaded.events,
            loaded.decisions,
        ));
    }
    let status = client.get_cluster_status(v1::GetClusterStatusRequest {}).await?;
    // What is shown is a cluster that is whole.
    let status = match ready(&client, status).await {
        // A replica that does not run is no reason to stop the others.
        Err(CliError::NotReady { .. }) => client.get_cluster_status(v1::GetClusterStatusRequest {}).await?,
        whole @ (Ok(_) | Err(_)) => whole?,
    };
    Ok(Started { status, phone: first.phone(), context, first_answer, loading })
}

/// A client with one of the folder's certificates.
fn client(folder: &DevFolder, name: &str) -> Result<Client, CliError> {
    let mut options = ClientFile::read(&folder.client_file(name))?.options()?;
    // A starting cluster is unavailable at first, so only the deadline counts.
    options.unavailable_rounds_max = u32::MAX;
    Ok(Client::new(&options)?)
}

/// Waits until a node answers.
async fn wait_for(node: &Client) -> Result<v1::ClusterStatus, CliError> {
    let node = node.with_deadline(POLL_DEADLINE);
    let until = Instant::now() + READY_MAX;
    loop {
        match node.get_cluster_status(v1::GetClusterStatusRequest {}).await {
            Ok(status) => return Ok(status),
            Err(error) if Instant::now() >= until => {
                return Err(CliError::NotReady { seconds: READY_MAX.as_secs(), last: error.to_string() });
            }
            Err(error) if is_not_up(&error) => tokio::time::sleep(POLL_INTERVAL).await,
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_not_up(error: &ClientError) -> bool {
    matches!(error.code(), tonic::Code::Unavailable | tonic::Code::DeadlineExceeded)
}

/// Creates the cluster, unless a node is in one already.
async fn init(folder: &DevFolder, nodes: &[Client]) -> Result<(), CliError> {
    let mut is_new = true;
    for node in nodes {
        is_new &= wait_for(node).await?.cluster_id.is_empty();
    }
    let (true, Some(first)) = (is_new, nodes.first()) else { return Ok(()) };
    let endpoints: Vec<_> = folder
        .nodes()
        .zip(folder.addresses())
        .map(|(node_id, address)| v1::NodeEndpoint { node_id, address })
        .collect();
    let replicas = if endpoints.len() < 3 { 1 } else { REPLICAS };
    first.init_cluster(v1::InitClusterRequest { nodes: endpoints, shards: SHARDS, replicas }).await?;
    Ok(())
}

/// What an agent sees when the customer calls. In a large sample several customers have one number; then it is asked about this one.
async fn as_agent(folder: &DevFolder, customer: &SampleCustomer) -> Result<v1::AgentContext, CliError> {
    let agent = client(folder, "agent")?.with_deadline(CALL_DEADLINE);
    let request = v1::GetAgentContextRequest {
        identifier: Some(v1::Identifier { namespace: "phone".into(), value: customer.phone() }),
        purpose: "service".into(),
        ..v1::GetAgentContextRequest::default()
    };
    let context = agent.get_agent_context(request.clone()).await?;
    if context.profile.is_some() {
        return Ok(context);
    }
    let chosen = v1::GetAgentContextRequest { customer_id: customer.id().to_string(), ..request };
    Ok(agent.get_agent_context(chosen).await?)
}
