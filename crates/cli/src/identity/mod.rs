//! `custodia agent` and `custodia identifier`: who is calling, and what customers are known by.

mod agent;
mod identifiers;
mod report;
mod split;

pub(crate) use agent::{AgentCommand, context_text};
pub(crate) use identifiers::IdentifierCommand;
