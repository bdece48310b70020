//! What fired: lists, filters, counts.

use serde_json::{Value, json};

use crate::support::{Answer, TestApp};

/// Two characteristics with four violations: rule 1 (twice), rule 5 and rule 1.
struct Given {
    app: TestApp,
    bore: i64,
    flow: i64,
    /// Ids, oldest first.
    violations: Vec<i64>,
}

async fn given() -> Given {
    let app = TestApp::spawn().await;
    let rules =
        json!([{"rule_id": 1}, {"rule_id": 5, "severity": "INFO", "requires_acknowledgement": false}]);
    let mut ids = vec![];
    for (name, group) in [("Bore", "plant/line4"), ("Flow", "plant/line5")] {
        let definition =
            json!({"name": name, "key": name, "group": group, "rules": rules, "unit": "mm", "decimals": 2});
        let id = app.given_a_characteristic(&definition).await;
        app.set(&format!("/characteristics/{id}/control-limits"), &json!({"center_line": 10, "sigma": 1}))
            .await;
        ids.push(id);
    }
    let (bore, flow) = (ids[0], ids[1]);
    for (id, value, day) in [(bore, 99.0, 1), (bore, 12.5, 2), (flow, 0.0, 3), (bore, 5.0, 4)] {
        let at = format!("2026-01-{day:02}T00:00:00Z");
        let body = json!({"characteristic_id": id, "measurements": [value], "timestamp": at});
        assert_eq!(app.post("/samples", &body).await.0, 201);
    }
    let all = app.get("/violations").await;
    let mut violations: Vec<i64> =
        all["items"].as_array().expect("items").iter().map(|v| v["id"].as_i64().expect("an id")).collect();
    violations.reverse();
    assert_eq!(violations.len(), 4, "{all}");
    Given { app, bore, flow, violations }
}

#[tokio::test]
async fn a_violation_says_everything_that_a_screen_shows() {
    let Given { app, bore, violations, .. } = given().await;
    let violation = app.get(&format!("/violations/{}", violations[1])).await;
    let due = json!({
        "id": violations[1], "violation_id": violations[1], "characteristic_id": bore,
        "characteristic_name": "Bore", "characteristic_key": "Bore", "group": "plant/line4", "unit": "mm",
        "decimals": 2, "chart": "location", "rule_id": 5, "rule_name": "Zone A", "severity": "INFO", "side": "upper",
        "value": 12.5, "center_line": 10.0, "ucl": 13.0, "lcl": 7.0, "sigma": 1.0, "n": 1,
        "timestamp": "2026-01-02T00:00:00.000000Z", "rejudged": false, "status": "open",
        "requires_acknowledgement": false, "acknowledged": false, "ack_user": null, "ack_reason": null,
        "ack_comment": null, "ack_timestamp": null, "source": null, "external_id": null, "external_sample_id": null,
    });
    for (name, value) in due.as_object().expect("an object") {
        assert_eq!(&violation[name], value, "{name}");
    }
    let involved = violation["involved_sample_ids"].as_array().expect("ids");
    assert_eq!((involved.len(), involved.last()), (2, Some(&violation["sample_id"])));
    assert!(violation["message"].as_str().expect("text").contains("2 of"), "{violation}");
    assert!(violation["created_at"].is_string());
}

#[tokio::test]
async fn each_filter_keeps_what_it_says() {
    let Given { app, bore, flow, violations } = given().await;
    app.acknowledge(violations[0], "ann").await;
    let sample = app.get(&format!("/violations/{}", violations[2])).await["sample_id"].clone();
    let at = |indices: &[usize]| indices.iter().map(|&i| violations[i]).collect::<Vec<_>>();
    for (query, newest_first) in [
        (String::new(), at(&[3, 2, 1, 0])),
        (format!("characteristic_id={bore}"), at(&[3, 1, 0])),
        (format!("characteristic_id={flow}"), at(&[2])),
        (format!("sample_id={sample}"), at(&[2])),
        ("acknowledged=true".to_owned(), at(&[0])),
        ("acknowledged=false".to_owned(), at(&[3, 2, 1])),
        ("requires_acknowledgement=true".to_owned(), at(&[3, 2, 0])),
        ("requires_acknowledgement=false".to_owned(), at(&[1])),
        ("requires_acknowledgement=true&acknowledged=false&status=open".to_owned(), at(&[3, 2])),
        ("ack_user=ann".to_owned(), at(&[0])),
        ("ack_user=ANN".to_owned(), at(&[0])),
        ("ack_user=an".to_owned(), at(&[])),
        ("ack_user=%00".to_owned(), at(&[])),
        ("status=open".to_owned(), at(&[3, 2, 1, 0])),
        ("status=withdrawn".to_owned(), at(&[])),
        ("severity=CRITICAL".to_owned(), at(&[3, 2, 0])),
        ("severity=INFO".to_owned(), at(&[1])),
        ("rule_id=5".to_owned(), at(&[1])),
        ("group=plant".to_owned(), at(&[3, 2, 1, 0])),
        ("group=plant/line5".to_owned(), at(&[2])),
        ("group=plant/line".to_owned(), at(&[])),
        ("from=2026-01-02T00:00:00Z".to_owned(), at(&[3, 2, 1])),
        ("to=2026-01-02T00:00:00Z".to_owned(), at(&[0])),
        ("from=2026-01-02T00:00:00Z&to=2026-01-04T00:00:00Z".to_owned(), at(&[2, 1])),
        (format!("severity=CRITICAL&characteristic_id={bore}&acknowledged=false"), at(&[3])),
    ] {
        let list = app.get(&format!("/violations?{query}")).await;
        let found: Vec<_> =
            list["items"].as_array().expect("items").iter().map(|v| v["id"].as_i64()).collect();
        assert_eq!(found, newest_first.iter().copied().map(Some).collect::<Vec<_>>(), "{query}");
        assert_eq!(list["total"], newest_first.len(), "{query}");
    }
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    let Given { app, violations, .. } = given().await;
    let page = app.get("/violations?limit=2&offset=1").await;
    let ids: Vec<_> = page["items"].as_array().expect("items").iter().map(|v| v["id"].clone()).collect();
    assert_eq!(json!(ids), json!([violations[2], violations[1]]));
    assert_eq!([&page["total"], &page["offset"], &page["limit"]], [4, 1, 2]);
}

#[tokio::test]
async fn a_filter_that_cannot_be_is_refused() {
    let Given { app, .. } = given().await;
    for query in [
        "severity=LOUD",
        "status=closed",
        "acknowledged=maybe",
        "requires_acknowledgement=",
        "rule_id=x",
        "rule_id=-1",
        "sample_id=0",
        "characteristic_id=1.5",
        "from=now",
        "to=2026-01-01T00:00:00",
        "limit=0",
        "limit=1001",
    ] {
        for path in ["/violations", "/violations/stats"] {
            let answer = Answer::to(app.request("GET", &format!("{path}?{query}"))).await;
            answer.expect_problem(422, "invalid_query");
        }
    }
}

#[tokio::test]
async fn a_query_that_is_not_known_is_refused_by_name() {
    let Given { app, bore, .. } = given().await;
    for path in [
        "/characteristics".to_owned(),
        "/samples".to_owned(),
        "/violations".to_owned(),
        "/violations/stats".to_owned(),
        format!("/characteristics/{bore}/chart-data"),
        format!("/characteristics/{bore}/control-limits"),
    ] {
        let answer = Answer::to(app.request("GET", &format!("{path}?limt=5"))).await;
        answer.expect_problem(422, "invalid_query");
        assert!(answer.body["detail"].as_str().expect("text").contains("limt"), "{}", answer.text);
    }
}

#[tokio::test]
async fn violations_are_counted_by_rule_and_severity() {
    let Given { app, bore, violations, .. } = given().await;
    app.acknowledge(violations[0], "ann").await;
    let stats = app.get("/violations/stats").await;
    let due = json!({
        "total": 4, "unacknowledged": 3,
        "by_rule": [
            {"rule_id": 1, "rule_name": "Outlier", "total": 3, "unacknowledged": 2},
            {"rule_id": 5, "rule_name": "Zone A", "total": 1, "unacknowledged": 1},
        ],
        "by_severity": [
            {"severity": "CRITICAL", "total": 3, "unacknowledged": 2},
            {"severity": "INFO", "total": 1, "unacknowledged": 1},
        ],
    });
    assert_eq!(stats, due);
    for (query, total) in [
        (format!("characteristic_id={bore}"), 3),
        ("group=plant/line5".to_owned(), 1),
        ("from=2026-01-02T00:00:00Z&to=2026-01-04T00:00:00Z".to_owned(), 2),
        ("group=nowhere".to_owned(), 0),
    ] {
        assert_eq!(app.get(&format!("/violations/stats?{query}")).await["total"], total, "{query}");
    }
}

#[tokio::test]
async fn a_violation_that_does_not_exist_is_not_found() {
    let app = TestApp::spawn().await;
    Answer::to(app.request("GET", "/violations/7")).await.expect_problem(404, "unknown_violation");
    let body: Value = json!({"reason": "Other", "user": "ann"});
    let answer = Answer::to(app.request("POST", "/violations/7/acknowledge").json(&body)).await;
    answer.expect_problem(404, "unknown_violation");
}
