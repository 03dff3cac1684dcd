//! What a write of one customer needs of the keys: seals values, and adds the conditions without which the command could
//! leave a value that nothing opens (the rule in mod.rs).

use std::sync::Arc;

use bytes::Bytes;
use custodia_consensus::{Command, Condition, Write};
use custodia_profile::CustomerId;
use custodia_seal::{BucketId, ClusterId, CustomerKey, RandomSource, SealContext};
use custodia_store::{Key, KeyParts, ValueHeader};

use super::KeysError;

/// Seals one customer's values for one command.
#[derive(Debug)]
pub(crate) struct CustomerWriter {
    pub(super) cluster: ClusterId,
    pub(super) customer: CustomerId,
    pub(super) bucket: BucketId,
    pub(super) key: Arc<CustomerKey>,
    pub(super) random: Arc<dyn RandomSource>,
    pub(super) conditions: Vec<Condition>,
    pub(super) writes: Vec<Write>,
}

impl CustomerWriter {
    /// The write that puts `plaintext`, sealed, under `key`, one of the customer's.
    ///
    /// # Errors
    /// [`KeysError::Malformed`] when the key is not one of this customer's.
    pub(crate) fn seal(
        &self,
        key: &Key,
        revision: u64,
        guard: u64,
        plaintext: &[u8],
    ) -> Result<Write, KeysError> {
        let header = ValueHeader { revision, guard, bucket: self.bucket.get() };
        let context = context(self.cluster, self.customer, key, &header)?;
        let sealed = self.key.seal_with(&*self.random, &context, plaintext)?;
        Ok(Write { key: key.as_bytes().clone(), value: Some(header.encode(&sealed)) })
    }

    /// A value that needs no sealing, with the customer's bucket in its header.
    pub(crate) fn clear(&self, key: &Key, revision: u64, guard: u64, payload: &[u8]) -> Write {
        let header = ValueHeader { revision, guard, bucket: self.bucket.get() };
        Write { key: key.as_bytes().clone(), value: Some(header.encode(payload)) }
    }

    /// Adds the conditions, and for a new customer the key, to the command with the sealed values. A command without
    /// them must not be proposed.
    pub(crate) fn finish(self, command: &mut Command) {
        command.conditions.extend(self.conditions);
        command.writes.extend(self.writes);
    }
}

/// Where the value of `key` belongs.
pub(super) fn context<'a>(
    cluster: ClusterId,
    customer: CustomerId,
    key: &'a Key,
    header: &ValueHeader,
) -> Result<SealContext<'a>, KeysError> {
    let parts = KeyParts::parse(key.as_ref())?;
    if parts.customer != Some(customer) {
        return Err(KeysError::Malformed { what: "a key of another customer" });
    }
    Ok(SealContext {
        cluster,
        customer,
        kind: parts.kind.number(),
        suffix: parts.suffix,
        revision: header.revision,
        guard: header.guard,
    })
}

/// A value taken apart: its header, and the payload as it is sealed.
pub(super) fn split(value: &Bytes) -> Result<(ValueHeader, Bytes), KeysError> {
    Ok(ValueHeader::decode(value)?)
}
