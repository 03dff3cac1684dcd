//! ReportIdentifiers: one page of a report on the quality of identifiers (GO-4, ID-5).

use custodia_profile::{IdentifierFault, limits::STALE_DAYS_MAX};
use custodia_proto::v1;

use crate::{
    api::{duplicate::check_purpose, handler::ShardLeadersCall},
    routing::Call,
    shard::{ReportPosition, ReportQuestion, ShardContext},
    wire::{
        FieldFault, Listing, PageSize, ServiceError, page_start, page_token,
        parse::{chosen, named},
    },
};

/// Findings after which a page ends.
const PAGE: PageSize = PageSize { default: 100, max: 1_000 };

impl ShardLeadersCall for v1::ReportIdentifiersRequest {
    async fn answer(self, context: &ShardContext, call: &Call) -> Result<Self::Answer, ServiceError> {
        check_purpose(context, call, &self.purpose).await?;
        let question = question(&self)?;
        if !question.namespace.is_empty() {
            let view = context.catalogue().current_view(call.deadline).await?;
            if view.catalogue.namespace(&question.namespace).is_none() {
                return Err(ServiceError::field("namespace", FieldFault::NamespaceUnknown));
            }
        }
        let at = page_start(Listing::IdentifierReport, &self.page_token, ReportPosition::from_bytes)?;
        let page = Box::pin(context.report_step(at, &question, call.deadline)).await?;
        let next = page.next.map(|next| page_token(Listing::IdentifierReport, &next.to_bytes()));
        Ok(v1::ReportIdentifiersResponse {
            namespaces: page.step.namespaces,
            findings: page.step.findings,
            customers: page.step.customers,
            restricted_customers: page.step.restricted_customers,
            done: page.done,
            next_page_token: next.unwrap_or_default(),
        })
    }
}

fn question(request: &v1::ReportIdentifiersRequest) -> Result<ReportQuestion, ServiceError> {
    if request.stale_after_days > STALE_DAYS_MAX {
        return Err(ServiceError::invalid("stale_after_days", format!("expected at most {STALE_DAYS_MAX}")));
    }
    let findings_max = PAGE.parse(request.page_size)?;
    Ok(ReportQuestion {
        namespace: request.namespace.clone(),
        stale_after_days: Some(request.stale_after_days).filter(|days| *days > 0),
        list: chosen(request.list, IdentifierFault::from_number).map_err(named("list"))?,
        findings_max,
    })
}
