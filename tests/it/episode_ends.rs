//! How episodes end, and what begins after them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use andon::clock::Clock;
use chrono::{DateTime, TimeDelta};
use serde_json::json;

use crate::episodes::{app, asking, newest, quick, told};
use crate::support::{Ledger, TestApp};

#[tokio::test]
async fn a_decision_ends_it() {
    let app = app().await;
    let bore = app.given_a_chart("Bore").await;
    let path = format!("/characteristics/{bore}");
    let mut socket = asking(&app, bore).await;
    for reason in ["new_limits", "withdrawn", "retired", "new_phase", "deleted"] {
        let answer = app.measure(bore, 99.0).await;
        assert_eq!(told(&mut socket).await.0, "opened");
        match reason {
            "new_limits" => {
                let limits = json!({"center_line": 10.0, "sigma": 1.5});
                app.set(&format!("{path}/control-limits"), &limits).await;
            }
            "withdrawn" => {
                let body = json!({"is_excluded": true, "reason": "broken gauge", "user": "ann"});
                let exclude = format!("/samples/{}/exclude", answer["sample_id"]);
                assert_eq!(app.call("PATCH", &exclude, Some(&body)).await.0, 200);
            }
            "retired" => {
                for retired in [true, false] {
                    assert_eq!(app.call("PATCH", &path, Some(&json!({"retired": retired}))).await.0, 200);
                }
            }
            "new_phase" => {
                let body =
                    json!({"chart": "xbar_r", "subgroup_size": 2, "min_measurements": 1, "new_phase": true});
                let (status, answer) = app.call("PATCH", &path, Some(&body)).await;
                assert_eq!(status, 200, "{answer}");
                app.set(&format!("{path}/control-limits"), &json!({"center_line": 10.0, "sigma": 1.0})).await;
            }
            _ => assert_eq!(app.call("DELETE", &format!("{path}?with_history=true"), None).await.0, 204),
        }
        let (change, closed) = told(&mut socket).await;
        assert_eq!((&*change, &closed["closing_reason"]), ("closed", &json!(reason)));
    }
    assert_eq!(app.get("/episodes").await["total"], 0, "of what is deleted, nobody is told");
}

#[tokio::test]
async fn what_holds_again_belongs_to_what_happens_now() {
    let app = app().await;
    let bore = app.given_a_chart("Bore").await;
    let answer = app.measure(bore, 99.0).await;
    let exclude = format!("/samples/{}/exclude", answer["sample_id"]);
    for (is_excluded, status, total) in [(true, "closed", 1), (false, "open", 2), (true, "closed", 2)] {
        let body = json!({"is_excluded": is_excluded, "reason": "gauge", "user": "ann"});
        assert_eq!(app.call("PATCH", &exclude, Some(&body)).await.0, 200);
        let list = app.get("/episodes").await;
        assert_eq!((&list["total"], &list["items"][0]["status"]), (&json!(total), &json!(status)));
    }
    let violation = &answer["violations"][0]["violation_id"];
    let violation = app.get(&format!("/violations/{violation}")).await;
    assert_eq!(violation["episode_id"], 2);
    assert_eq!(app.get("/violations?episode_id=1").await["total"], 0);
}

/// In one transaction the one must be closed before the other is opened, whatever else is written.
#[tokio::test]
async fn one_ends_and_the_next_begins_in_one_batch() {
    let app = app().await;
    let mut charts = vec![];
    for number in 0..12 {
        let chart = app.given_a_chart(&format!("No {number}")).await;
        app.given_a_violation_on(chart).await;
        charts.push(chart);
    }
    let values = [10.0, 10.0, 10.0, 99.0];
    let samples: Vec<_> = values
        .iter()
        .flat_map(|value| {
            charts.iter().map(move |id| json!({"characteristic_id": id, "measurements": [value]}))
        })
        .collect();
    let before = app.metric("andon_commits_total").await;
    let (status, answer) = app.post("/samples/batch", &json!({ "samples": samples })).await;
    assert_eq!((status, &answer["failed"]), (200, &json!(0)), "{answer}");
    let commits = app.metric("andon_commits_total").await - before;
    assert!(commits < 12.0, "none was repeated one by one: {commits} commits");
    assert_eq!(app.get("/episodes?status=open").await["total"], 12);
    assert_eq!(app.get("/episodes?status=closed").await["total"], 12);
}

#[tokio::test]
async fn what_was_not_heard_of_for_long_is_over() {
    let minutes = Arc::new(AtomicI64::new(0));
    let clock = {
        let minutes = Arc::clone(&minutes);
        Clock::new(move || DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes.load(Relaxed)))
    };
    let app = TestApp::builder().with(quick).clock(clock).spawn().await;
    let week = 7 * 24 * 60;
    // The next point is in control, or it signals; or another system tells of a violation.
    let (calm, loud) = (app.given_a_chart("Calm").await, app.given_a_chart("Loud").await);
    for chart in [calm, loud] {
        app.given_a_violation_on(chart).await;
    }
    minutes.store(week, Relaxed);
    app.measure(calm, 10.0).await;
    assert_eq!(app.get("/episodes?status=open").await["total"], 2, "not yet");
    minutes.store(2 * week + 1, Relaxed);
    let mut sockets = [asking(&app, calm).await, asking(&app, loud).await];
    app.measure(calm, 10.0).await;
    app.given_a_violation_on(loud).await;
    for socket in &mut sockets {
        let (change, closed) = told(socket).await;
        assert_eq!((&*change, &closed["closing_reason"]), ("closed", &json!("stale")));
    }
    assert_eq!(told(&mut sockets[1]).await.0, "opened");
    app.given_a_violation_on(calm).await;
    assert_eq!(
        told(&mut sockets[0]).await.0,
        "opened",
        "what a point in control came before is another matter, too"
    );
    Ledger::read(&app.database()).await.assert_sound();
}

#[tokio::test]
async fn what_is_included_again_on_a_retired_chart_stays_over() {
    let app = app().await;
    let bore = app.given_a_chart("Bore").await;
    let answer = app.measure(bore, 99.0).await;
    let exclude = async |is_excluded: bool| {
        let body = json!({"is_excluded": is_excluded, "reason": "gauge", "user": "ann"});
        let path = format!("/samples/{}/exclude", answer["sample_id"]);
        assert_eq!(app.call("PATCH", &path, Some(&body)).await.0, 200);
    };
    exclude(true).await;
    let path = format!("/characteristics/{bore}");
    assert_eq!(app.call("PATCH", &path, Some(&json!({"retired": true}))).await.0, 200);
    exclude(false).await;
    assert_eq!(newest(&app).await["closing_reason"], "retired", "no point would close it");
}
