//! Lists come in pages; commands print them whole.

use custodia_client::{Client, ClientError};
use custodia_proto::{rpc::Unary, v1};

/// The request of a list that comes in pages.
pub(crate) trait Listing: Unary {
    type Item;

    fn page_token(&mut self) -> &mut String;
    /// The items of a page, and the token of the next, which is empty after the last page.
    fn parts(page: &mut Self::Answer) -> (&mut Vec<Self::Item>, &mut String);
}

/// Fetches all pages and joins their items. All else in the answer is that of the last page.
pub(crate) async fn all<List: Listing>(
    client: &Client,
    mut request: List,
) -> Result<List::Answer, ClientError> {
    let mut all = Vec::new();
    loop {
        let mut page = client.call(request.clone()).await?;
        let (items, next) = List::parts(&mut page);
        all.append(items);
        if next.is_empty() {
            *items = all;
            return Ok(page);
        }
        *request.page_token() = std::mem::take(next);
    }
}

macro_rules! impl_listing {
    ($($Request:ident: $items:ident of $Item:ident;)*) => { $(
        impl Listing for v1::$Request {
            type Item = v1::$Item;

            fn page_token(&mut self) -> &mut String {
                &mut self.page_token
            }

            fn parts(page: &mut Self::Answer) -> (&mut Vec<v1::$Item>, &mut String) {
                (&mut page.$items, &mut page.next_page_token)
            }
        }
    )* };
}

impl_listing! {
    ListShardsRequest: shards of Shard;
    ListCatalogChangesRequest: changes of CatalogChange;
    ListConsentHistoryRequest: entries of ConsentHistoryEntry;
    ListJurisdictionsRequest: jurisdictions of Jurisdiction;
    ListPurposesRequest: purposes of Purpose;
    ListAttributesRequest: attributes of AttributeDefinition;
    ListRecipientsRequest: recipients of Recipient;
    ListChannelsRequest: channels of ChannelDefinition;
    ListNamespacesRequest: namespaces of Namespace;
    ListMatterTypesRequest: matter_types of MatterType;
    ListTraitsRequest: traits of TraitDefinition;
    ListDuplicatesRequest: pairs of DuplicatePair;
}
