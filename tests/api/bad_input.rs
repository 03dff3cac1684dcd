//! Each kind of bad input gets its own clear error that names the field, and changes nothing.

use custodia_proto::BytesCodec;
use custodia_proto::v1::value::Kind;
use custodia_proto::v1::{
    AppendEventsRequest, BatchGetProfilesRequest, IngestProfileRequest, ListEventsRequest, Observation,
    RefusalReason, Value,
};
use custodia_tests::sample::{
    event, fault, get, grant, ingest, integer, new_customer, now, observation, text,
};
use custodia_tests::{Sandbox, Suite};
use tonic::Code;
use tonic_types::StatusExt as _;

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(every_malformed_request_is_told_its_field)
        .shared(values_that_break_the_catalogue_are_refused_one_by_one)
        .shared(reads_are_checked_as_strictly_as_writes)
        .shared(bytes_that_are_no_message_are_refused)
}

async fn bytes_that_are_no_message_are_refused(sandbox: &Sandbox) {
    for node in 0..3 {
        for path in ["/custodia.v1.ProfileService/GetProfile", "/custodia.v1.CatalogService/CreatePurpose"] {
            let channel = sandbox.channel(node, &sandbox.admin).await.expect("a channel");
            let mut grpc = tonic::client::Grpc::new(channel);
            grpc.ready().await.expect("a connection");
            let request = tonic::Request::new(SECRET.as_bytes().into());
            let path = tonic::codegen::http::uri::PathAndQuery::from_static(path);
            let refused = grpc.unary(request, path, BytesCodec).await.expect_err("no message");
            let expected = (Code::InvalidArgument, "REQUEST_MALFORMED".to_owned(), String::new());
            assert_eq!(fault(&refused), expected, "node {node}");
            assert!(!format!("{refused:?}").contains(SECRET));
        }
    }
}

/// A value that must never come back in an error.
const SECRET: &str = "Zaphod-Beeblebrox-42";

/// What is wrong, the field to blame, the request.
fn malformed() -> Vec<(&'static str, &'static str, IngestProfileRequest)> {
    let change = |edit: &dyn Fn(&mut IngestProfileRequest)| {
        let mut request = ingest("", vec![observation("given_name", SECRET)]);
        edit(&mut request);
        request
    };
    vec![
        ("missing purpose", "purpose", change(&|r| r.purpose.clear())),
        ("unknown purpose", "purpose", change(&|r| r.purpose = "no-such-purpose".into())),
        ("malformed purpose", "purpose", change(&|r| r.purpose = "No Such Purpose!".into())),
        ("missing source", "source", change(&|r| r.source.clear())),
        ("malformed source", "source", change(&|r| r.source = format!("{SECRET} !"))),
        ("malformed id", "customer_id", change(&|r| r.customer_id = format!("cust_{SECRET}"))),
        (
            "wrong id prefix",
            "customer_id",
            change(&|r| r.customer_id = "user_01h455vb4pex5vsknk084sn02q".into()),
        ),
        ("malformed request id", "request_id", change(&|r| r.request_id = SECRET.into())),
        ("malformed etag", "etag", change(&|r| r.etag = SECRET.into())),
        (
            "too many observations",
            "observations",
            change(&|r| r.observations = vec![observation("email", "x"); 257]),
        ),
        (
            "too many events",
            "events",
            change(&|r| r.events = (0..257).map(|n| event(&n.to_string(), n)).collect()),
        ),
        ("too many consents", "consents", change(&|r| r.consents = vec![grant("service"); 33])),
        ("value missing", "observations[0].value", change(&|r| r.observations[0].value = None)),
        (
            "infinite decimal",
            "observations[0].value",
            change(&|r| r.observations[0].value = Some(Value { kind: Some(Kind::Decimal(f64::INFINITY)) })),
        ),
        (
            "no calendar date",
            "observations[0].value",
            change(&|r| {
                r.observations[0].value = Some(Value { kind: Some(Kind::Date("2026-02-30".into())) })
            }),
        ),
        (
            "consent without notice",
            "consents[0].notice_version",
            change(&|r| r.consents[0].notice_version.clear()),
        ),
        ("consent without method", "consents[0].method", change(&|r| r.consents[0].method = 0)),
        ("event without id", "events[0].event_id", change(&|r| r.events = vec![event("", 0)])),
        (
            "event without time",
            "events[0].occurred_at",
            change(&|r| {
                let mut one = event("e", 0);
                one.occurred_at = None;
                r.events = vec![one];
            }),
        ),
    ]
}

async fn every_malformed_request_is_told_its_field(sandbox: &Sandbox) {
    let mut profiles = sandbox.profiles(0).await;
    for (what, expected, request) in malformed() {
        let status = profiles.ingest_profile(request).await.expect_err(what);
        assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status:?}");
        assert_eq!(fault(&status).2, expected, "{what}: {}", status.message());
        assert!(!format!("{status:?}").contains(SECRET), "{what} tells the value: {status:?}");
        assert!(
            !status.get_error_details().error_info().expect(what).reason.is_empty(),
            "{what} has a reason"
        );
    }
    for node in &sandbox.nodes {
        assert!(!node.log_after(0).is_empty(), "node {} logs", node.id);
        assert!(!node.log_after(0).join("\n").contains(SECRET), "no value in the log of node {}", node.id);
    }
}

async fn values_that_break_the_catalogue_are_refused_one_by_one(sandbox: &Sandbox) {
    // GO-3, GO-5
    let mut profiles = sandbox.profiles(0).await;
    let now = i64::try_from(now().as_secs()).unwrap();
    let future = Some(custodia_proto::Timestamp { seconds: now + 3_600, nanos: 0 });
    let observations = vec![
        observation("given_name", "kept"),
        Observation { attribute: "points".into(), value: text("many"), observed_at: None },
        Observation { attribute: "given_name".into(), value: integer(7), observed_at: None },
        observation("phone", &"1".repeat(33)),
        Observation { attribute: "email".into(), value: text("a@b.example"), observed_at: future },
        observation("shoe_size", "38"),
        observation("interest", "chess"),
    ];
    let answer = profiles.ingest_profile(ingest("", observations)).await.unwrap().into_inner();
    let reasons: Vec<_> = answer.attributes.iter().map(|outcome| outcome.refusal()).collect();
    assert_eq!(
        reasons,
        [
            RefusalReason::Unspecified,
            RefusalReason::WrongType,
            RefusalReason::WrongType,
            RefusalReason::ValueTooLong,
            RefusalReason::ObservedInFuture,
            RefusalReason::UnknownAttribute,
            RefusalReason::PurposeNotAllowed,
        ]
    );
    let profile = profiles.get_profile(get(&answer.customer_id, "service")).await.unwrap().into_inner();
    assert_eq!(profile.attributes.len(), 1);
}

async fn reads_are_checked_as_strictly_as_writes(sandbox: &Sandbox) {
    let mut profiles = sandbox.profiles(1).await;
    let answer =
        profiles.ingest_profile(ingest("", vec![observation("email", "a@b.example")])).await.unwrap();
    let customer = answer.into_inner().customer_id;

    let status = profiles.get_profile(get("", "service")).await.unwrap_err();
    assert_eq!((status.code(), fault(&status).2.as_str()), (Code::InvalidArgument, "customer_id"));
    let status = profiles.get_profile(get(&customer, "")).await.unwrap_err();
    assert_eq!((status.code(), fault(&status).2.as_str()), (Code::InvalidArgument, "purpose"));
    let status = profiles.get_profile(get(&new_customer(), "service")).await.unwrap_err();
    assert_eq!(fault(&status).1, "CUSTOMER_NOT_FOUND");

    let many = BatchGetProfilesRequest {
        customer_ids: vec![customer.clone(); 501],
        purpose: "service".into(),
        ..Default::default()
    };
    let status = profiles.batch_get_profiles(many).await.unwrap_err();
    assert_eq!((status.code(), fault(&status).2.as_str()), (Code::InvalidArgument, "customer_ids"));
    assert!(status.message().contains("500"), "the limit is named: {}", status.message());

    let events = ListEventsRequest {
        customer_id: customer.clone(),
        purpose: "service".into(),
        page_size: 501,
        page_token: String::new(),
    };
    let status = profiles.list_events(events.clone()).await.unwrap_err();
    assert_eq!((status.code(), fault(&status).2.as_str()), (Code::InvalidArgument, "page_size"));
    let torn = ListEventsRequest { page_size: 5, page_token: "torn token".into(), ..events };
    let status = profiles.list_events(torn).await.unwrap_err();
    assert_eq!((status.code(), fault(&status).2.as_str()), (Code::InvalidArgument, "page_token"));

    let empty = AppendEventsRequest {
        customer_id: customer.clone(),
        purpose: "service".into(),
        source: "shop".into(),
        ..Default::default()
    };
    let status = profiles.append_events(empty).await.unwrap_err();
    assert_eq!((status.code(), fault(&status).2.as_str()), (Code::InvalidArgument, "events"));

    // a message beyond the size limit
    let mut huge = ingest(&customer, vec![]);
    huge.observations = vec![observation("email", &"x".repeat(64 << 10)); 200];
    let status = profiles.ingest_profile(huge).await.unwrap_err();
    assert!(matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted), "{status:?}");

    // an expired deadline
    let mut hurried = tonic::Request::new(get(&customer, "service"));
    hurried.metadata_mut().insert("grpc-timeout", "0n".parse().unwrap());
    let status = profiles.get_profile(hurried).await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
}
