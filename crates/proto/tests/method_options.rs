//! A method that lacks its options, or contradicts them, fails the build; the generated table has every method.
#![expect(clippy::expect_used, reason = "a test stops at the first surprise")]

#[path = "../build/methods.rs"]
mod methods;

use std::fs;

use custodia_proto::rpc::{Answerer, METHODS, RetrySafety, Role, Unary as _};
use custodia_proto::v1;

/// Generates the code of a service with this one method, whose request has these fields.
fn generated(method: &str, fields: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "syntax = \"proto3\";\npackage custodia.v1;\nimport \"custodia/v1/options.proto\";\n\
         service TestService {{ {method} }}\nmessage TestRequest {{ {fields} }}\nmessage TestResponse {{}}\n"
    );
    fs::write(folder.path().join("test.proto"), text).expect("written");
    let mut compiler = protox::Compiler::new([folder.path(), "../../proto".as_ref()]).expect("folders");
    compiler.include_imports(true).include_source_info(true).open_file("test.proto").expect("compiles");
    methods::generate(&compiler.descriptor_pool())
}

const RULE: &str = "option (rule) = {roles: [ROLE_AGENT], answered_by: ANSWERER_CUSTOMER_LEADER};";
const READ: &str = "option idempotency_level = NO_SIDE_EFFECTS;";
const WRITE: &str = "option idempotency_level = IDEMPOTENT;";

fn method(options: &str) -> String {
    format!("rpc Test(TestRequest) returns (TestResponse) {{ {options} }}")
}

#[test]
fn a_method_without_its_options_fails_the_build() {
    let fields = "string customer_id = 1; string purpose = 2; string request_id = 3;";
    for (options, fields, problem) in [
        (String::new(), fields, "lacks the option (custodia.v1.rule)"),
        (READ.to_owned(), fields, "lacks the option (custodia.v1.rule)"),
        ("option (rule) = {answered_by: ANSWERER_ANY_NODE};".to_owned(), fields, "names no roles"),
        ("option (rule) = {roles: [ROLE_AGENT]};".to_owned(), fields, "has no answered_by"),
        (
            format!("{READ} {RULE}"),
            "string customer_id = 1;",
            "a read about a customer needs a field purpose",
        ),
        (format!("{WRITE} {RULE}"), "string customer_id = 1;", "needs a field request_id"),
        (format!("{READ} {RULE}"), "string purpose = 1;", "the request has no field customer_id"),
        (
            format!("{WRITE} {}", RULE.replace("};", ", dated_field: \"at\"};")),
            fields,
            "the request has no field at",
        ),
    ] {
        let refused = generated(&method(&options), fields).expect_err(problem);
        assert!(refused.starts_with("custodia.v1.TestService.Test: "), "{refused}");
        assert!(refused.contains(problem), "{refused}");
    }
    for options in [format!("{READ} {RULE}"), format!("{WRITE} {RULE}")] {
        let code = generated(&method(&options), fields).expect("complete");
        assert!(code.contains("impl AboutCustomer for v1::TestRequest"), "{code}");
    }
}

#[test]
fn the_table_matches_the_options() {
    let get = v1::GetProfileRequest::METHOD;
    assert_eq!(get.path, "/custodia.v1.ProfileService/GetProfile");
    assert_eq!(get.roles, [Role::Agent, Role::Ingest, Role::Privacy]);
    assert_eq!((get.answered_by, get.retry), (Answerer::CustomerLeader, RetrySafety::Safe));
    assert!(get.brief && !get.is_streaming);
    let create = v1::CreatePurposeRequest::METHOD;
    assert_eq!((create.answered_by, create.retry), (Answerer::DirectoryLeader, RetrySafety::Unsafe));
    assert_eq!(v1::RecordConsentRequest::METHOD.retry, RetrySafety::ByRequestId);
    let named = |path: &str| METHODS.iter().filter(|method| method.path == path).count();
    assert!(METHODS.iter().all(|method| named(method.path) == 1), "no path appears twice");
}

#[test]
fn a_request_finds_its_customer_in_any_field() {
    let customer_id = "cust_x".to_owned();
    let get = v1::GetProfileRequest { customer_id: customer_id.clone(), ..Default::default() };
    assert_eq!(get.customer(), Some("cust_x"));
    let preferences = Some(v1::Preferences { customer_id, ..Default::default() });
    let update = v1::UpdatePreferencesRequest { preferences, ..Default::default() };
    assert_eq!(update.customer(), Some("cust_x"));
    assert_eq!(v1::UpdatePreferencesRequest::default().customer(), None);
    assert_eq!(v1::ListPurposesRequest::default().customer(), None);
}
