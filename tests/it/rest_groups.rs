//! The tree of groups, and how the characteristics in them stand.

use serde_json::{Value, json};

use crate::support::TestApp;

async fn given(app: &TestApp, name: &str, group: Option<&str>) -> i64 {
    app.given_a_characteristic(&json!({"name": name, "group": group, "rules": {"preset": "outlier"}})).await
}

fn states(counted: &[(&str, u64)]) -> Value {
    let mut states = json!({
        "active_unacked": 0, "active_acked": 0, "returned_unacked": 0, "no_limits": 0, "normal": 0,
    });
    for (state, count) in counted {
        states[*state] = json!(count);
    }
    states
}

#[tokio::test]
async fn the_tree_counts_what_is_in_a_group_and_below_it_by_alarm_state() {
    let app = TestApp::spawn().await;
    let none = json!({"groups": [], "ungrouped": {"characteristics": 0, "states": states(&[])}});
    assert_eq!(app.get("/groups").await, none);
    let press = given(&app, "Bore", Some("plant/line4/press")).await;
    given(&app, "Flow", Some("plant/line4")).await;
    given(&app, "Weight", Some("plant/line10")).await;
    given(&app, "Torque", Some("lab")).await;
    given(&app, "Loose", None).await;
    let limits = json!({"center_line": 10, "sigma": 1});
    app.set(&format!("/characteristics/{press}/control-limits"), &limits).await;
    let violation = app.given_a_violation_on(press).await;
    let leaf = |name: &str, path: &str, state: &str| {
        let states = states(&[(state, 1)]);
        json!({"name": name, "path": path, "characteristics": 1, "states": states, "groups": []})
    };
    let tree = |state: &str| {
        json!({
            "groups": [
                leaf("lab", "lab", "no_limits"),
                {
                    "name": "plant", "path": "plant", "characteristics": 3,
                    "states": states(&[("no_limits", 2), (state, 1)]),
                    "groups": [
                        leaf("line10", "plant/line10", "no_limits"),
                        {
                            "name": "line4", "path": "plant/line4", "characteristics": 2,
                            "states": states(&[("no_limits", 1), (state, 1)]),
                            "groups": [leaf("press", "plant/line4/press", state)],
                        },
                    ],
                },
            ],
            "ungrouped": {"characteristics": 1, "states": states(&[("no_limits", 1)])},
        })
    };
    assert_eq!(app.get("/groups").await, tree("active_unacked"));
    app.acknowledge(violation, "ann").await;
    assert_eq!(app.get("/groups").await, tree("active_acked"));
    app.measure(press, 10.0).await;
    assert_eq!(app.get("/groups").await, tree("normal"));
}

#[tokio::test]
async fn who_moves_retires_or_goes_is_counted_where_it_is_then() {
    let app = TestApp::spawn().await;
    let id = given(&app, "Bore", Some("plant/line4")).await;
    let path = format!("/characteristics/{id}");
    let change = async |change: Value| assert_eq!(app.call("PATCH", &path, Some(&change)).await.0, 200);
    let paths = async || {
        let tree = app.get("/groups").await;
        let top = tree["groups"].as_array().expect("a list").iter().map(|group| group["path"].clone());
        (top.collect::<Vec<_>>(), tree["ungrouped"]["characteristics"].clone())
    };
    assert_eq!(paths().await, (vec![json!("plant")], json!(0)));
    change(json!({"group": "lab"})).await;
    assert_eq!(paths().await, (vec![json!("lab")], json!(0)));
    change(json!({"group": null})).await;
    assert_eq!(paths().await, (vec![], json!(1)));
    change(json!({"retired": true})).await;
    assert_eq!(paths().await, (vec![], json!(0)));
    change(json!({"retired": false})).await;
    assert_eq!(paths().await, (vec![], json!(1)));
    assert_eq!(app.call("DELETE", &path, None).await.0, 204);
    assert_eq!(paths().await, (vec![], json!(0)));
}

#[tokio::test]
async fn a_list_can_be_asked_for_an_alarm_state() {
    let app = TestApp::spawn().await;
    let (bore, flow) = (app.given_a_chart("Bore").await, app.given_a_chart("Flow").await);
    app.given_a_violation_on(bore).await;
    let ids = async |query: &str| {
        let list = app.get(&format!("/characteristics?{query}")).await;
        assert_eq!(list["total"], list["items"].as_array().expect("items").len());
        list["items"].as_array().expect("items").iter().map(|item| item["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(ids("alarm_state=active_unacked").await, [bore]);
    assert_eq!(ids("alarm_state=normal").await, [flow]);
    assert!(ids("alarm_state=retired").await.is_empty());
    app.call("PATCH", &format!("/characteristics/{flow}"), Some(&json!({"retired": true}))).await;
    assert_eq!(ids("").await, [bore]);
    assert_eq!(ids("retired=false").await, [bore]);
    assert_eq!(ids("retired=true").await, [flow]);
    assert_eq!(ids("alarm_state=retired").await, [flow]);
    assert!(ids("alarm_state=normal").await.is_empty());
    assert_eq!(app.call("GET", "/characteristics?alarm_state=loud", None).await.0, 422);
}
