//! Lists come in pages; commands print them whole.

use custodia_client::ClientError;

/// Fetches all pages and joins their items. `fetch` takes a page token and returns the page's items and the next token,
/// which is empty after the last page.
pub(crate) async fn all<Item>(
    fetch: impl AsyncFn(String) -> Result<(Vec<Item>, String), ClientError>,
) -> Result<Vec<Item>, ClientError> {
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
