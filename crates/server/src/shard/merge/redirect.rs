//! Follows a call from a customer who was merged to the survivor, and back where a merge turns out not to be in force.

use custodia_profile::CustomerId;

use crate::{
    propose::TRIES_MAX,
    routing::{Call, Redirect},
    shard::ShardContext,
    wire::{Redirection, ServiceError},
};

/// How often a call is redirected at most: as often as customers can be merged one into another, and back.
pub(crate) const REDIRECTS_MAX: usize = 2 * custodia_profile::limits::MERGED_CUSTOMERS_MAX;

/// The way of one call.
#[derive(Debug)]
pub(crate) struct Trail {
    named: CustomerId,
    followed: Vec<Redirect>,
    steps: usize,
}

impl Trail {
    /// The way of a call about this customer.
    pub(crate) const fn of(named: CustomerId) -> Self {
        Self { named, followed: Vec::new(), steps: 0 }
    }

    /// The customer whom the call is about next, and the call to make. Another error is given back.
    pub(crate) async fn follow(
        &mut self,
        context: &ShardContext,
        call: &Call,
        error: ServiceError,
    ) -> Result<(CustomerId, Call), ServiceError> {
        self.steps += 1;
        match error.redirection() {
            None => return Err(error),
            Some(_) if self.steps > REDIRECTS_MAX => {
                return Err(ServiceError::Contended { tries: TRIES_MAX });
            }
            Some(Redirection::Merged { survivor, merge }) => {
                self.followed.push(Redirect { named: self.named, survivor, merge });
            }
            Some(Redirection::NotInForce) => {
                self.followed.pop();
                context.settle_merge(self.at(), call.deadline).await?;
            }
        }
        let redirects = self.followed.last().copied().into_iter().collect();
        Ok((self.at(), Call { redirects, ..call.clone() }))
    }

    fn at(&self) -> CustomerId {
        self.followed.last().map_or(self.named, |redirect| redirect.survivor)
    }
}
