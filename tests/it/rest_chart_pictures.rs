//! Control charts as pictures.

use serde_json::json;

use crate::support::{Answer, TestApp};

async fn picture(app: &TestApp, path: &str) -> Answer {
    Answer::to(app.request("GET", path)).await
}

#[tokio::test]
async fn a_chart_is_drawn_with_its_limits_and_signals() {
    let app = TestApp::builder()
        .with(|settings| settings.site.time_zone = "Asia/Kolkata".parse().expect("a zone"))
        .spawn()
        .await;
    let definition =
        json!({"name": "Bore <script>alert(1)</script>", "key": "P7:bore", "unit": "mm", "decimals": 1});
    let id = app.given_a_characteristic(&definition).await;
    let limits = json!({"center_line": 10, "sigma": 1});
    app.set(&format!("/characteristics/{id}/control-limits"), &limits).await;
    app.measure_all(id, &[10.0, 10.5, 9.5, 13.5]).await;

    let svg = picture(&app, &format!("/characteristics/{id}/chart.svg")).await;
    assert_eq!((svg.status, svg.header("content-type")), (200, "image/svg+xml"));
    assert_eq!(svg.header("content-security-policy"), "default-src 'none'; sandbox");
    for words in [
        ">UCL 13.00<",
        ">LCL 7.00<",
        "newest value 13.5 mm, signals rule 1,",
        " +05:30, Asia/Kolkata",
        "moving ranges",
    ] {
        assert!(svg.text.contains(words), "{words} in {}", svg.text);
    }
    assert!(svg.text.contains("Bore &lt;script&gt;") && !svg.text.contains("<script"), "{}", svg.text);
    let by_key = picture(&app, "/characteristics/by-key/P7:bore/chart.svg").await;
    assert_eq!(by_key.text, svg.text);

    let png =
        app.request("GET", &format!("/characteristics/{id}/chart.png")).send().await.expect("an answer");
    assert_eq!(
        (png.status().as_u16(), &png.headers()["content-type"]),
        (200, &"image/png".parse().expect("text"))
    );
    let png = png.bytes().await.expect("a body");
    // The signature, then the size of the first chunk: 1440 by 1120.
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "{:?}", &png[..8]);
    assert_eq!((&png[16..20], &png[20..24]), (&1_440u32.to_be_bytes()[..], &1_120u32.to_be_bytes()[..]));
    let by_key = picture(&app, "/characteristics/by-key/P7:bore/chart.png").await;
    assert_eq!((by_key.status, by_key.header("content-type")), (200, "image/png"));
}

#[tokio::test]
async fn a_picture_shows_as_many_samples_as_it_is_asked_for() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let path = format!("/characteristics/{bore}/chart.svg");
    assert!(picture(&app, &path).await.text.contains("no samples"));
    app.measure_all(bore, &[10.0, 99.0, 10.0, 10.1]).await;
    // Each sample is a circle; the second one signals and is a diamond.
    let shown =
        async |query: &str| picture(&app, &format!("{path}?{query}")).await.text.matches("<circle").count();
    assert_eq!((shown("limit=1").await, shown("limit=2").await), (2, 4)); // with the moving ranges
    for query in ["limit=0", "limit=201", "limit=x", "from=yesterday", "scale=9"] {
        picture(&app, &format!("{path}?{query}")).await.expect_problem(422, "invalid_query");
    }
    for path in ["/characteristics/99/chart.png", "/characteristics/by-key/nobody/chart.svg"] {
        picture(&app, path).await.expect_problem(404, "unknown_characteristic");
    }
}

#[tokio::test]
async fn what_was_excluded_or_answered_is_told_apart() {
    let app = TestApp::spawn().await;
    let bore = app.given_a_chart("Bore").await;
    let path = format!("/characteristics/{bore}/chart.svg");
    app.measure(bore, 10.0).await;
    let violation = app.given_a_violation_on(bore).await;
    assert!(picture(&app, &path).await.text.contains(">signal, rule<"));
    app.acknowledge(violation, "ann").await;
    let answered = picture(&app, &path).await.text;
    assert!(answered.contains(">acknowledged<") && !answered.contains(">signal, rule<"), "{answered}");
    let sample = app.get(&format!("/violations/{violation}")).await["sample_id"].clone();
    let excluded = json!({"is_excluded": true, "reason": "wrong gauge"});
    let (status, answer) = app.call("PATCH", &format!("/samples/{sample}/exclude"), Some(&excluded)).await;
    assert_eq!(status, 200, "{answer}");
    let excluded = picture(&app, &path).await.text;
    assert!(excluded.contains(">excluded<") && !excluded.contains(">acknowledged<"), "{excluded}");
}

#[tokio::test]
async fn samples_of_a_chart_that_was_replaced_are_not_drawn_as_those_of_the_present_one() {
    let app = TestApp::spawn().await;
    let id = app.given_a_characteristic(&json!({"name": "Bore", "subgroup_size": 3, "usl": 12})).await;
    let subgroup = json!({"characteristic_id": id, "measurements": [9.0, 10.0, 11.0]});
    assert_eq!(app.post("/samples", &subgroup).await.0, 201);
    let path = format!("/characteristics/{id}/chart.svg");
    let means = picture(&app, &path).await.text;
    assert!(
        means.contains(">ranges<") && means.contains("newest value 10,") && !means.contains("USL"),
        "{means}"
    );
    let individuals = json!({"chart": "i_mr", "subgroup_size": 1, "min_measurements": 1, "new_phase": true});
    let (status, changed) = app.call("PATCH", &format!("/characteristics/{id}"), Some(&individuals)).await;
    assert_eq!(status, 200, "{changed}");
    assert!(picture(&app, &path).await.text.contains("no samples"));
    app.measure_all(id, &[10.5, 11.5]).await;
    let individuals = picture(&app, &path).await.text;
    assert!(individuals.contains(">moving ranges<") && individuals.contains("USL 12"), "{individuals}");
    assert_eq!(
        individuals.matches("<circle").count(),
        4,
        "two values, one moving range, and the legend: {individuals}"
    );
}
