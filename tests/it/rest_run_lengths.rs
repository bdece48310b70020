//! How often the rules of a characteristic give a false alarm: at once for presets, simulated for others.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{TestApp, TestAppBuilder, eventually};

/// A characteristic's path to its rules.
async fn given_rules(app: &TestApp) -> String {
    let id = app.given_a_characteristic(&json!({"name": "Bore"})).await;
    format!("/characteristics/{id}/rules")
}

/// Rules 2 with m = 64, which a fair coin shows every 2^64 points: a simulation that does not end by itself.
fn endless() -> Value {
    json!([{"rule_id": 2, "parameters": {"m": 64}}])
}

/// Shown every 2^m - 1 points.
fn short(m: u32) -> Value {
    json!([{"rule_id": 2, "parameters": {"m": m}}])
}

/// Simulates little: to within 4 % of what takes 217 points.
fn quick() -> TestAppBuilder {
    TestApp::builder().with(|s| s.services.run_length_points = 150_000)
}

#[track_caller]
fn assert_near(exact: f64, simulated: &Value) {
    let number = |name: &str| simulated[name].as_f64().expect("a number");
    let (value, error) = (number("value"), number("standard_error"));
    assert_eq!(simulated["method"], "simulation");
    assert!(error < 0.05 * exact, "{simulated}");
    assert!((value - exact).abs() < 4.0 * error, "{exact}, not {simulated}");
}

/// The run length of the rules at `path`, once it is known.
async fn known(app: &TestApp, path: &str) -> Value {
    eventually("the run length is known", async || {
        let answer = app.get(path).await["in_control_arl"].clone();
        if answer == pending() {
            return None;
        }
        Some(answer)
    })
    .await
}

fn pending() -> Value {
    json!({"pending": true})
}

#[tokio::test]
async fn presets_and_no_rules_at_all_have_their_run_length_at_once() {
    let app = TestApp::spawn().await;
    let path = given_rules(&app).await;
    for (preset, value) in
        [("nelson", 73.31), ("western_electric", 91.751), ("balanced", 109.049), ("outlier", 370.398)]
    {
        let tabulated = json!({"value": value, "standard_error": null, "method": "tabulated"});
        assert_eq!(app.set(&path, &json!({ "preset": preset })).await["in_control_arl"], tabulated);
        assert_eq!(app.get(&path).await["in_control_arl"], tabulated);
    }
    let severe = json!([{"rule_id": 1, "severity": "INFO", "requires_acknowledgement": false}]);
    assert_eq!(app.set(&path, &severe).await["in_control_arl"]["value"], 370.398);
    let never = json!({"value": null, "standard_error": null, "method": "exact"});
    assert_eq!(app.set(&path, &json!([])).await["in_control_arl"], never);
    assert_eq!(app.metric("andon_run_length_simulations_total").await, 0.0);
}

#[tokio::test]
async fn other_rules_have_theirs_simulated_while_nobody_waits() {
    let app = quick().spawn().await;
    let path = given_rules(&app).await;
    let rules = json!([{"rule_id": 1}, {"rule_id": 2}]);
    assert_eq!(app.set(&path, &rules).await["in_control_arl"], pending());
    let simulated = known(&app, &path).await;
    assert_near(216.696, &simulated);
    assert_eq!(app.set(&path, &rules).await["in_control_arl"], simulated, "and is known from then on");
}

#[tokio::test]
async fn all_who_ask_for_the_same_rules_share_one_simulation() {
    let app = quick().spawn().await;
    let (first, second) = (given_rules(&app).await, given_rules(&app).await);
    app.set(&first, &short(4)).await;
    let mut same = short(4);
    same[0]["severity"] = json!("INFO");
    app.set(&second, &same).await;
    join_all((0..20).map(|asked| app.get(if asked % 2 == 0 { &first } else { &second }))).await;
    assert_eq!(known(&app, &first).await, known(&app, &second).await);
    assert_eq!(app.metric("andon_run_length_simulations_total").await, 1.0);
}

#[tokio::test]
async fn rule_sets_wait_for_one_another() {
    let app = quick().spawn().await;
    let path = given_rules(&app).await;
    for m in [2, 3, 4] {
        assert_eq!(app.set(&path, &short(m)).await["in_control_arl"], pending());
    }
    for (m, exact) in [(2, 3.0), (3, 7.0), (4, 15.0)] {
        app.set(&path, &short(m)).await;
        assert_near(exact, &known(&app, &path).await);
    }
    assert_eq!(app.metric("andon_run_length_simulations_total").await, 3.0);
}

#[tokio::test]
async fn rules_that_find_no_place_to_wait_are_counted() {
    let app = TestApp::builder().with(|s| s.services.run_length_waiting_sets = 1).spawn().await;
    let path = given_rules(&app).await;
    // One runs, one waits, and there is no place for the third.
    for (rules, refused) in
        [(endless(), 0.0), (short(3), 0.0), (short(4), 1.0), (short(3), 1.0), (short(4), 2.0)]
    {
        assert_eq!(app.set(&path, &rules).await["in_control_arl"], pending());
        assert_eq!(app.metric("andon_run_lengths_refused_total").await, refused, "{rules}");
    }
}

#[tokio::test]
async fn a_simulation_ends_at_its_most_points_whatever_it_has_seen() {
    let app = TestApp::builder().with(|s| s.services.run_length_points = 10_000).spawn().await;
    let path = given_rules(&app).await;
    app.set(&path, &endless()).await;
    let unseen = json!({"value": null, "standard_error": null, "method": "simulation"});
    assert_eq!(known(&app, &path).await, unseen);
}

#[tokio::test]
async fn figures_not_asked_for_longest_are_forgotten_and_simulated_again() {
    let app = quick().with(|s| s.services.run_length_cached_sets = 1).spawn().await;
    let path = given_rules(&app).await;
    let mut simulated = Vec::new();
    for m in [2, 3, 2] {
        assert_eq!(app.set(&path, &short(m)).await["in_control_arl"], pending());
        simulated.push(known(&app, &path).await);
    }
    assert_eq!(simulated[0], simulated[2], "the same figure again");
    assert_eq!(app.metric("andon_run_length_simulations_total").await, 3.0);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_simulation() {
    let app = TestApp::builder().with(|s| s.services.run_length_points = u64::MAX).spawn().await;
    let path = given_rules(&app).await;
    app.set(&path, &endless()).await;
    eventually("it is being simulated", async || {
        (app.metric("andon_run_length_simulations_total").await == 1.0).then_some(())
    })
    .await;
    let asked = Instant::now();
    app.stop().await.expect("a clean stop");
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());
}
