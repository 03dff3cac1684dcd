//! The arguments shared by the commands that read one customer's data.

/// Whose data is read, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct CustomerQuery {
    /// Customer id (cust_…)
    pub(crate) id: String,
    /// Purpose for which you read the data
    #[arg(long)]
    pub(crate) purpose: String,
}
