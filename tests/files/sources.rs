//! Files of several sources meet in one person: each row reaches who is known by its key, or by what else it names (ID-3, IN-1).

use std::fs;

use custodia_proto::v1;
use custodia_tests::{Sandbox, Suite, custodia};
use serde_json::{Value, json};

use crate::{ALL, Import, PARTLY_REFUSED, WRONG_INPUT, known, namespace, stored};

pub(crate) fn tests(suite: Suite) -> Suite {
    suite
        .shared(the_files_of_two_sources_meet_in_one_person)
        .shared(rows_of_one_file_with_one_new_address_are_one_customer)
        .shared(a_row_that_names_two_customers_is_proposed_and_a_decision_is_kept)
        .shared(a_row_that_names_two_customers_merges_them_where_the_namespace_wants_it)
        .shared(a_key_that_is_nobodys_costs_its_own_row_alone)
        .shared(a_namespace_that_cannot_serve_is_told_before_the_first_row)
}

/// A mapping with a mail address and a telephone number, in namespaces of these names.
fn contacts(mail: &str, mobile: &str) -> String {
    let of = |id: &str, kind: &str| namespace(id, kind);
    format!(
        "[attributes]\ngiven_name = \"name\"\n[identifiers]\n{mail} = \"mail\"\n{mobile} = \"tel\"\n{}{}default_region = \"DE\"\n",
        of(mail, "email"),
        of(mobile, "phone")
    )
}

fn import<'s>(sandbox: &'s Sandbox, source: &'s str, mapping: &'s str) -> Import<'s> {
    Import { mapping, ..Import::csv(sandbox, source) }
}

/// The counts of customers: created, merged and proposed to be merged.
fn people(counts: &Value) -> [&Value; 3] {
    ["customers_created", "customers_merged", "merges_proposed"].map(|name| &counts[name])
}

async fn the_files_of_two_sources_meet_in_one_person(sandbox: &Sandbox) {
    let mapping = contacts("mail", "mobile");
    let crm = import(sandbox, "crm", &mapping);
    let shop = import(sandbox, "shop", &mapping);
    let of_crm = "id,name,mail,tel\n\
                  17,Ada,ada@example.org,030 901820\n\
                  18,Bo,bo@example.org,\n\
                  19,Cy,,+49 30 901821\n";
    let first = crm.load("crm.csv", of_crm, &[]);
    assert_eq!(first.counted(ALL), (3, 3, json!({})));
    assert_eq!(people(&first.counts), [&json!(3), &json!(0), &json!(0)]);
    // Other spellings; the key 17 is another customer's here; and one who is new.
    let of_shop = "id,name,mail,tel\n\
                   A-1,Ada,ADA@Example.ORG,\n\
                   17,Bo,Bo@example.org,\n\
                   A-3,Cy,cy@example.org,0049 30/901821\n\
                   A-4,Di,di@example.org,\n";
    let second = shop.load("shop.csv", of_shop, &[]);
    assert_eq!(second.counted(ALL), (4, 4, json!({})));
    assert_eq!(people(&second.counts), [&json!(1), &json!(0), &json!(0)]);
    for (of_crm, of_shop) in [("17", "a-1"), ("18", "17"), ("19", "A-3")] {
        assert_eq!(first.customer(of_crm).await, second.customer(of_shop).await, "{of_crm}");
    }
    assert_eq!(known(sandbox, "mail", "cy@example.org").await, Some(first.customer("19").await));
    let di = second.customer("A-4").await;
    // Again, under another name, and after the state of the first import is lost: the same customers, and no other.
    for (name, options) in [("shop.csv", &["--restart"][..]), ("again.csv", &[])] {
        let again = shop.load(name, of_shop, options);
        assert_eq!(again.counted(ALL), (4, 4, json!({})));
        assert_eq!(people(&again.counts), [&json!(0), &json!(0), &json!(0)]);
        assert_eq!(again.customer("A-4").await, di);
    }
    fs::remove_dir_all(&second.state).unwrap();
    let lost = shop.load("shop.csv", of_shop, &[]);
    assert_eq!(people(&lost.counts), [&json!(0), &json!(0), &json!(0)]);
    // What changed is found by the key.
    let moved = shop.load("moved.csv", "id,name,mail,tel\nA-4,Dina,dina@example.org,\n", &[]);
    assert_eq!(moved.counted(ALL), (1, 1, json!({})));
    assert_eq!(known(sandbox, "mail", "dina@example.org").await.as_ref(), Some(&di));
    assert_eq!(stored(sandbox, &di, "given_name").await.as_deref(), Some("Dina"));
}

async fn rows_of_one_file_with_one_new_address_are_one_customer(sandbox: &Sandbox) {
    let mapping = contacts("mail-at-once", "mobile-at-once");
    let import = import(sandbox, "at-once", &mapping);
    let rows: String =
        (0..60).map(|row| format!("r{row},Ada,{}@example.org,\n", ["ada", "bo", "cy"][row % 3])).collect();
    let file = format!("id,name,mail,tel\n{rows}");
    for (options, created) in [(&[][..], 3), (&["--restart"], 0)] {
        let done = import.load("a.csv", &file, options);
        // A customer has at most 16 keys of one namespace.
        assert_eq!(done.counted(PARTLY_REFUSED), (60, 60, json!({ "identifier-limit": 12 })));
        assert_eq!(people(&done.counts), [&json!(created), &json!(0), &json!(0)]);
    }
    assert!(known(sandbox, "mail-at-once", "bo@example.org").await.is_some());
}

/// The pairs of the queue as the command prints them.
fn queue(sandbox: &Sandbox, options: &[&str]) -> Vec<Value> {
    let client = sandbox.client_file();
    let list = ["--output", "json", "--client", &client, "duplicates", "list", "--purpose", "service"];
    let (code, output, errors) = custodia(&[&list[..], options].concat());
    assert_eq!(code, Some(ALL), "{errors}");
    let answer: Value = serde_json::from_str(&output).unwrap();
    answer["pairs"].as_array().unwrap().clone()
}

async fn a_row_that_names_two_customers_is_proposed_and_a_decision_is_kept(sandbox: &Sandbox) {
    let mapping = contacts("mail-proposed", "mobile-proposed");
    let import = import(sandbox, "proposed", &mapping);
    let known =
        import.load("known.csv", "id,name,mail,tel\n1,Ada,one@example.org,\n2,Ada,,030 901823\n", &[]);
    assert_eq!(known.counted(ALL).0, 2);
    // No namespace has a priority here, so the key decides.
    let both = "id,name,mail,tel\n3,Bo,,\n2,Ada,one@example.org,030 901823\n4,Cy,,\n";
    for (name, options) in [("both.csv", &[][..]), ("both.csv", &["--restart"]), ("copy.csv", &[])] {
        let done = import.load(name, both, options);
        assert_eq!(done.counted(PARTLY_REFUSED), (3, 3, json!({ "identifier-taken": 1 })));
        assert_eq!(people(&done.counts)[1..], [&json!(0), &json!(1)]);
        let refused = &done.refused()[0];
        assert_eq!((&refused["row"], &refused["refused"][0]["item"]), (&json!(2), &json!("mail-proposed")));
    }
    let customers = [known.customer("1").await, known.customer("2").await];
    let is_of = |pair: &&Value| {
        let of = [&pair["customer_id"], &pair["other_customer_id"]].map(|id| id.as_str().unwrap().to_owned());
        customers.iter().all(|customer| of.contains(customer))
    };
    let pairs = queue(sandbox, &[]);
    let of_both: Vec<_> = pairs.iter().filter(is_of).collect();
    assert_eq!(of_both.len(), 1, "{pairs:?}");
    let conflict = &of_both[0]["conflicts"][0];
    let said = (&conflict["namespace"], &conflict["holder_customer_id"]);
    assert_eq!(said, (&json!("mail-proposed"), &json!(customers[0])));
    assert!(!of_both[0].to_string().contains("one@"), "the namespace, never the value");
    let client = sandbox.client_file();
    let review = ["--client", &client, "duplicates", "review", &customers[0], &customers[1], "different"];
    let (code, output, errors) = custodia(&[&review[..], &["--purpose", "service"]].concat());
    assert_eq!(code, Some(ALL), "{errors}");
    assert!(output.contains("mail-proposed of") && output.contains("different"), "{output}");
    import.load("later.csv", both, &[]);
    assert!(!queue(sandbox, &[]).iter().any(|pair| is_of(&pair)), "two people, a person said");
    assert!(queue(sandbox, &["--decided"]).iter().any(|pair| is_of(&pair)));
}

async fn a_row_that_names_two_customers_merges_them_where_the_namespace_wants_it(sandbox: &Sandbox) {
    let merge = "on_conflict = \"merge\"\n";
    let mapping = format!("{}{merge}", contacts("mail-merged", "mobile-merged"));
    let import = import(sandbox, "merged", &mapping);
    let known =
        import.load("known.csv", "id,name,mail,tel\n1,Ada,one@example.org,\n2,Ada,,030 901824\n", &[]);
    let (one, two) = (known.customer("1").await, known.customer("2").await);
    assert_ne!(one, two);
    let both = "id,name,mail,tel\n1,Ada,one@example.org,030 901824\n";
    let done = import.load("both.csv", both, &[]);
    assert_eq!(done.counted(ALL), (1, 1, json!({})));
    assert_eq!(people(&done.counts), [&json!(0), &json!(1), &json!(0)]);
    assert_eq!(done.customer("2").await, one, "the key of the other leads to the survivor");
    let again = import.load("again.csv", both, &[]);
    assert_eq!(people(&again.counts), [&json!(0), &json!(0), &json!(0)]);
}

async fn a_key_that_is_nobodys_costs_its_own_row_alone(sandbox: &Sandbox) {
    let mapping = contacts("mail-keys", "mobile-keys");
    let import = import(sandbox, "keys", &mapping);
    let file = "id,name,mail,tel\n\
                1,Ada,,\n\
                0000,Bo,bo@example.org,\n\
                a  b,Cy,,\n\
                n/a,Di,,\n\
                5,Ed,test@example.org,\n";
    for options in [&[][..], &["--restart"]] {
        let done = import.load("a.csv", file, options);
        let refused = json!({ "identifier-blocked": 3, "identifier-invalid": 1 });
        assert_eq!(done.counted(PARTLY_REFUSED), (5, 2, refused));
        let told: Vec<_> = done
            .refused()
            .iter()
            .map(|line| {
                (line["row"].as_u64().unwrap(), line["refused"][0]["item"].as_str().unwrap().to_owned())
            })
            .collect();
        let row = "row".to_owned();
        assert_eq!(told, [(2, row.clone()), (3, row.clone()), (4, row), (5, "mail-keys".to_owned())]);
    }
    assert_eq!(known(sandbox, "mail-keys", "bo@example.org").await, None, "nothing of its row is stored");
    assert!(known(sandbox, "keys", "5").await.is_some());
}

async fn a_namespace_that_cannot_serve_is_told_before_the_first_row(sandbox: &Sandbox) {
    let folder = sandbox.path().join("namespaces");
    fs::create_dir_all(&folder).unwrap();
    let at = |name: &str| folder.join(name).display().to_string();
    fs::write(at("a.csv"), "id,name\n1,Ada\n").unwrap();
    let shared = v1::Namespace {
        id: "household".to_owned(),
        kind: v1::NamespaceKind::Text.into(),
        shared: true,
        purposes: vec!["service".to_owned()],
        ..Default::default()
    };
    let other = v1::Namespace {
        id: "ads".to_owned(),
        shared: false,
        purposes: vec!["marketing".to_owned()],
        ..shared.clone()
    };
    for namespace in [shared, other] {
        let request = v1::CreateNamespaceRequest { namespace: Some(namespace), validate_only: false };
        sandbox.catalog(0).await.create_namespace(request).await.unwrap();
    }
    let client = sandbox.client_file();
    let (file, map) = (at("a.csv"), at("a.toml"));
    for (key, identifiers, named) in [
        ("nowhere", "", "customer.namespace: the catalogue has no namespace `nowhere`"),
        ("household", "", "is no key"),
        ("ads", "", "customer.namespace: the namespace `ads` is not for the purpose `service`"),
        ("crm-told", "[identifiers]\nads = \"name\"\n", "identifiers.ads: the namespace `ads` is not for"),
        ("crm-told", "[identifiers]\nnowhere = \"name\"\n", "identifiers.nowhere"),
    ] {
        let text = format!(
            "[customer]\nkey = [\"id\"]\nnamespace = \"{key}\"\n{identifiers}[attributes]\ngiven_name = \"name\"\n{}",
            namespace("crm-told", "text")
        );
        fs::write(&map, text).unwrap();
        let import = ["--client", &client, "import", &file, "--mapping", &map, "--define"];
        let (code, _, errors) =
            custodia(&[&import[..], &["--purpose", "service", "--source", "told"]].concat());
        assert!(code == Some(WRONG_INPUT) && errors.contains(named), "{named}: {code:?} {errors}");
    }
}
