//! `GET /events`: what was missed is told again, the same as it was told live, up to the end of the log.

use andon::domain::chart::ChartKind;
use andon::protocol::event::EventKind;
use andon::settings::Settings;
use andon::store::{EventFilter, Store, StoreError};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::auth::{INGEST, READ, with_tokens};
use crate::support::{Answer, Database, Ledger, TestApp, TestServices, address_of, sample};

/// What one request tells.
struct Told {
    items: Vec<Value>,
    next: String,
}

async fn told(app: &TestApp, query: &str) -> Told {
    let answer = app.get(&format!("/events?{query}")).await;
    let mut names: Vec<_> = answer.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["epoch", "head_seq", "items", "next"]);
    let next = answer["next"].as_str().expect("a position").to_owned();
    let (epoch, seq) = next.split_once('.').expect("epoch and position");
    assert_eq!(answer["epoch"], epoch);
    assert!(
        seq.parse::<u64>().expect("a number") <= answer["head_seq"].as_u64().expect("a number"),
        "{answer}"
    );
    Told { items: answer["items"].as_array().expect("a list").clone(), next }
}

fn seq(position: &str) -> u64 {
    position.split_once('.').expect("a position").1.parse().expect("a number")
}

fn seqs(items: &[Value]) -> Vec<u64> {
    items.iter().map(|item| item["seq"].as_u64().expect("a position")).collect()
}

async fn epoch(app: &TestApp) -> String {
    app.get("/events?limit=1").await["epoch"].as_str().expect("a name").to_owned()
}

/// Goes on from page to page until the end of the log.
async fn to_the_end(app: &TestApp, query: &str, after: Option<&str>) -> Vec<Value> {
    let (mut items, mut after) = (vec![], after.map(str::to_owned));
    loop {
        let position = after.as_ref().map(|after| format!("&after={after}")).unwrap_or_default();
        let page = told(app, &format!("{query}{position}")).await;
        items.extend(page.items);
        if after.as_deref() == Some(page.next.as_str()) {
            return items;
        }
        after = Some(page.next);
    }
}

/// Two charts with samples of all kinds: (1) limits, three samples one of which signals (its episode is 6), an
/// acknowledgement (with the episode's, 11); (2) limits, a live sample, one of the past.
async fn given_a_log(app: &TestApp) -> (i64, i64) {
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    app.measure(bore, 10.0).await;
    let violation = app.given_a_violation_on(bore).await;
    app.measure(flow, 10.5).await;
    let past = json!({"characteristic_id": flow, "measurements": [99.0], "mode": "history"});
    assert_eq!(app.post("/samples", &past).await.0, 201);
    assert_eq!(app.acknowledge(violation, "ann").await.0, 200);
    app.measure(bore, 11.0).await;
    (bore, flow)
}

#[tokio::test]
async fn what_is_told_later_is_word_for_word_what_was_told_live() {
    let app = TestApp::spawn().await;
    let mut socket = app.socket().await;
    let filter = json!({"types": EventKind::ALL});
    socket.send(&json!({"type": "subscribe", "all": true, "history": true, "filter": filter})).await;
    socket.next_of_type("subscribed").await;
    given_a_log(&app).await;
    let log = Ledger::read(&app.database()).await;
    let mut live = vec![];
    while live.len() < log.events.len() {
        let text = socket.next_text().await;
        if !text.contains(r#""type":"heartbeat""#) {
            live.push(text);
        }
    }
    let types = EventKind::ALL.map(EventKind::as_str).join(",");
    let path = format!("/events?history=true&limit=1000&types={types}");
    let answer = Answer::to(app.request("GET", &path)).await;
    let items = format!(r#""items":[{}]"#, live.join(","));
    assert!(answer.text.contains(&items), "{}\n{items}", answer.text);
    assert_eq!(answer.body["head_seq"], log.head);
}

#[tokio::test]
async fn a_caller_goes_on_from_page_to_page_to_the_end_and_then_finds_nothing() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.measure_all(bore, &[10.0; 24]).await;
    for limit in [1, 7, 25, 1_000] {
        let items = to_the_end(&app, &format!("limit={limit}"), None).await;
        assert_eq!(seqs(&items), (1..=25).collect::<Vec<_>>(), "in pages of {limit}");
    }
    let epoch = epoch(&app).await;
    let first = told(&app, &format!("after={epoch}.10&limit=7")).await;
    assert_eq!((seqs(&first.items), first.next), ((11..=17).collect(), format!("{epoch}.17")));
    let end = told(&app, &format!("after={epoch}.25")).await;
    assert_eq!((end.items, end.next), (vec![], format!("{epoch}.25")));
    app.measure(bore, 11.0).await;
    let news = told(&app, &format!("after={epoch}.25")).await;
    assert_eq!((seqs(&news.items), news.next), (vec![26], format!("{epoch}.26")));
}

#[tokio::test]
async fn only_what_is_asked_for_is_told_and_acknowledgements_to_everybody() {
    let app = TestApp::spawn().await;
    let (bore, flow) = given_a_log(&app).await;
    let keyed = app.given_a_characteristic(&json!({"name": "Ring", "key": "P7:ring"})).await;
    app.measure(keyed, 1.0).await;
    let types = async |query: &str| -> Vec<String> {
        let items = told(&app, query).await.items;
        items.iter().map(|item| item["type"].as_str().expect("a type").to_owned()).collect()
    };
    // Of the past are flow's second sample and its violation.
    assert_eq!(seqs(&told(&app, "").await.items), [1, 2, 3, 4, 5, 7, 10, 12, 13]);
    assert_eq!(seqs(&told(&app, "history=true").await.items), [1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13]);
    assert_eq!(seqs(&told(&app, "types=episode").await.items), [6, 11]);
    let of_flow = format!("characteristic_ids={flow}");
    assert_eq!(types(&of_flow).await, ["control_limits", "sample", "ack_update"]);
    assert_eq!(seqs(&told(&app, &format!("{of_flow}&history=true")).await.items), [2, 7, 8, 9, 10]);
    assert_eq!(types(&format!("{of_flow}&types=sample")).await, ["sample"]);
    assert_eq!(types(&format!("{of_flow}&types=sample,ack_update")).await, ["sample", "ack_update"]);
    let of_both = format!("characteristic_ids={bore},{flow}&types=control_limits,violation");
    assert_eq!(types(&of_both).await, ["control_limits", "control_limits", "violation"]);
    assert_eq!(types("characteristic_keys=P7:ring").await, ["ack_update", "sample"]);
    let of_all = format!("characteristic_keys=P7:ring&characteristic_ids={bore},{flow}&types=sample");
    assert_eq!(seqs(&told(&app, &of_all).await.items), [3, 4, 7, 12, 13]);
    // Ids that do not exist are fine, as in a subscription.
    assert_eq!(types("characteristic_ids=99").await, ["ack_update"]);
    for query in [of_flow, of_both, "types=violation".to_owned()] {
        let paged = to_the_end(&app, &format!("{query}&limit=1"), None).await;
        assert_eq!(paged, told(&app, &query).await.items, "{query}");
    }
}

/// A search that finds nothing ends all the same, and tells how far it got.
#[tokio::test]
async fn one_call_looks_at_so_many_events_and_tells_where_it_stopped() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    for _ in 0..2 {
        app.measure_all(bore, &[10.0; 6_000]).await;
    }
    app.given_a_violation_on(bore).await;
    let first = told(&app, "types=violation").await;
    assert_eq!((first.items.len(), seq(&first.next)), (0, 10_000));
    let second = told(&app, &format!("types=violation&after={}", first.next)).await;
    assert_eq!((seqs(&second.items), seq(&second.next)), (vec![12_003], 12_004));
    let unchosen = told(&app, "limit=1000").await;
    assert_eq!((unchosen.items.len(), seq(&unchosen.next)), (1_000, 1_000));
}

#[tokio::test]
async fn a_position_that_the_log_does_not_hold_is_gone_and_where_to_go_on_is_told() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.measure_all(bore, &[10.0; 19]).await;
    let (epoch, directory) = (epoch(&app).await, app.directory().clone());
    app.stop().await.expect("stops");
    let settings =
        andon::store::Settings { url: address_of(&directory.path().join("andon.db")), ..Default::default() };
    let (store, _handover) = Store::open(&settings).await.expect("opens");
    let mut transaction = store.begin().await.expect("free");
    assert_eq!(transaction.remove_log(DateTime::<Utc>::MAX_UTC, 8).await.expect("removed"), 8);
    transaction.commit().await.expect("committed");
    store.close().await;

    let app = TestApp::builder().on_database_of(&directory).spawn().await;
    let gone = async |after: &str| {
        let answer = Answer::to(app.request("GET", &format!("/events?after={after}"))).await;
        answer.expect_problem(410, "log_passed");
        assert_eq!(answer.body["log"], json!({"epoch": epoch, "floor_seq": 8, "head_seq": 20}));
        answer.body["detail"].as_str().expect("a sentence").to_owned()
    };
    for passed in [0, 1, 7] {
        let detail = gone(&format!("{epoch}.{passed}")).await;
        assert!(
            detail.contains("up to 8 were removed") && detail.contains(&format!("{epoch}.8")),
            "{detail}"
        );
    }
    let another = gone("0123456789abcdef.12").await;
    assert!(another.contains("another log") && another.ends_with(&format!("{epoch}.20")), "{another}");
    let beyond = gone(&format!("{epoch}.21")).await;
    assert!(beyond.contains("ends before") && beyond.ends_with(&format!("{epoch}.20")), "{beyond}");

    // Where it says that one can go on, one can.
    let rest: Vec<_> = (9..=20).collect();
    assert_eq!(seqs(&told(&app, &format!("after={epoch}.8")).await.items), rest);
    assert_eq!(seqs(&told(&app, "").await.items), rest);
    assert_eq!(told(&app, &format!("after={epoch}.20")).await.items, Vec::<Value>::new());
    app.stop().await.expect("stops");

    // The log renewed, as after a restore: the same positions mean nothing any more.
    andon::app::renew_epoch(&settings).await.expect("renewed");
    let app = TestApp::builder().on_database_of(&directory).spawn().await;
    let answer = Answer::to(app.request("GET", &format!("/events?after={epoch}.20"))).await;
    answer.expect_problem(410, "log_passed");
    assert_ne!(answer.body["log"]["epoch"], json!(epoch));
    app.stop().await.expect("stops");
}

#[tokio::test]
async fn an_empty_log_has_an_end_to_go_on_from() {
    let app = TestApp::spawn().await;
    let nothing = told(&app, "").await;
    assert_eq!((nothing.items.len(), seq(&nothing.next)), (0, 0));
    app.given_a_chart("Bore").await;
    assert_eq!(seqs(&told(&app, &format!("after={}", nothing.next)).await.items), [1]);
}

#[tokio::test]
async fn what_makes_no_query_is_refused_by_name() {
    let app = TestApp::spawn().await;
    let many = vec!["1"; 1_001].join(",");
    for (query, named) in [
        ("after=12", "after"),
        ("after=", "after"),
        ("after=abc.-1", "after"),
        ("after=abc.9007199254740992", "after"),
        ("characteristic_ids=", "characteristic_ids"),
        ("characteristic_ids=1,,2", "characteristic_ids"),
        ("characteristic_ids=1,x", "characteristic_ids"),
        ("characteristic_ids=0", "characteristic_ids"),
        ("characteristic_ids=1.0", "characteristic_ids"),
        (&format!("characteristic_ids={many}"), "at most 1000"),
        (&format!("characteristic_keys={many}"), "at most 25"),
        (&format!("types={}", ["sample"; 9].join(",")), "at most 8"),
        ("types=", "types"),
        ("types=sample,signal", "characteristic_update"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("history=perhaps", ""),
        ("since=abc.1", "since"),
        ("after=a.1&after=a.2", "after"),
    ] {
        let answer = Answer::to(app.request("GET", &format!("/events?{query}"))).await;
        answer.expect_problem(422, "invalid_query");
        assert!(
            answer.body["detail"].as_str().expect("a sentence").contains(named),
            "{query}: {}",
            answer.text
        );
    }
    let unknown = Answer::to(app.request("GET", "/events?characteristic_keys=nobody")).await;
    unknown.expect_problem(404, "unknown_characteristic");
}

#[tokio::test]
async fn who_may_read_may_catch_up() {
    let app = with_tokens().spawn().await;
    Answer::to(app.request("GET", "/events")).await.expect_problem(401, "not_authenticated");
    let app = app.with_token(INGEST);
    Answer::to(app.request("GET", "/events")).await.expect_problem(403, "forbidden");
    let app = app.with_token(READ);
    assert_eq!(told(&app, "").await.items.len(), 0);
}

#[tokio::test]
async fn what_is_removed_while_the_server_runs_is_never_passed_over() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    app.measure_all(bore, &[10.0; 19]).await;
    let epoch = epoch(&app).await;
    let mut other = Database::open(&app.database()).await;
    other.run("DELETE FROM events WHERE seq <= 15").await;
    other.run("UPDATE log_head SET floor = 15").await;
    other.close().await;
    let answer = Answer::to(app.request("GET", &format!("/events?after={epoch}.10"))).await;
    answer.expect_problem(410, "log_passed");
    assert_eq!(seqs(&told(&app, "").await.items), (16..=20).collect::<Vec<_>>());
}

/// Retention removes faster than is read: a search ends with what it has, or says what was removed.
#[tokio::test]
async fn a_search_that_retention_overtakes_has_no_hole() {
    let directory = TempDir::new().expect("a temporary directory");
    let running = TestServices::open(directory.path(), &Settings::default()).await;
    let id = running.services.given(ChartKind::IMr, 1..=1).await;
    let mut queued = vec![];
    for number in 0..6_000 {
        queued.push(
            running.services.engine.queue(sample(id, vec![f64::from(number)], None)).await.expect("queued"),
        );
    }
    for sample in queued {
        sample.recorded().await.expect("committed").expect("taken");
    }
    let store = running.store.clone();
    let removing = tokio::spawn(async move {
        for _ in 0..60 {
            let mut transaction = store.begin().await.expect("free");
            transaction.remove_log(DateTime::<Utc>::MAX_UTC, 100).await.expect("removed");
            transaction.commit().await.expect("committed");
        }
    });
    // All kinds, but as a choosy search: page by page.
    let filter = EventFilter { kinds: Some(EventKind::ALL.to_vec()), ..EventFilter::default() };
    let (mut whole, mut gone) = (0, 0);
    while !removing.is_finished() {
        let floor = running.store.head().await.expect("a head").floor;
        for after in [None, Some(floor)] {
            match running.store.search_log(after, &filter, 10_000).await {
                Ok(found) => {
                    let first = found.up_to - found.events.len() as u64;
                    assert!(
                        first >= after.unwrap_or(floor),
                        "it begins where it was asked to, or where the log did"
                    );
                    assert!(
                        found.events.iter().map(|event| event.seq).eq(first + 1..=found.up_to),
                        "no hole"
                    );
                    whole += 1;
                }
                Err(StoreError::Removed { floor: now }) => {
                    assert!(after.is_some_and(|after| now > after), "only a position can be passed");
                    gone += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    removing.await.expect("does not panic");
    assert!(whole > 0, "{whole} found, {gone} too late");
    running.stop().await;
}
