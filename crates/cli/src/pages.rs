//! Lists come in pages; commands print them whole.

use std::future::Future;

use custodia_client::ClientError;

/// Fetches page after page and joins the items. `fetch` takes a page token and gives the page's items and the
/// next token, which is empty after the last page.
///
/// # Errors
/// The first page's that fails.
pub(crate) async fn all<Item, Fetched>(fetch: impl Fn(String) -> Fetched) -> Result<Vec<Item>, ClientError>
where
    Fetched: Future<Output = Result<(Vec<Item>, String), ClientError>>,
{
    let mut items = Vec::new();
    let mut token = String::new();
    loop {
        let (page, next) = fetch(token).await?;
        items.extend(page);
        if next.is_empty() {
            return Ok(items);
        }
        token = next;
    }
}
