//! How a characteristic stands, after every kind of thing that can happen to it: compared with a model that is written
//! from the words of the contract.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::support::TestApp;

/// What the contract says of one characteristic; rule 1 is the only rule.
#[derive(Debug, Clone, Default)]
struct Model {
    id: i64,
    group: Option<&'static str>,
    subgroup_size: usize,
    sigma: Option<f64>,
    rule: Rule,
    is_retired: bool,
    /// Whether the newest judged sample signalled.
    signals: Option<bool>,
    samples_collected: u64,
    /// Violations neither acknowledged nor withdrawn, and whether each waits for somebody.
    open: BTreeMap<i64, bool>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Rule {
    #[default]
    Waits,
    WaitsForNobody,
    Off,
}

impl Model {
    fn alarm_state(&self) -> &'static str {
        let is_unacked = self.open.values().any(|waits| *waits);
        match self.signals {
            _ if self.is_retired => "retired",
            Some(true) if is_unacked => "active_unacked",
            Some(true) => "active_acked",
            _ if is_unacked => "returned_unacked",
            None if self.sigma.is_none() => "no_limits",
            _ => "normal",
        }
    }

    /// Gives whether the sample is out of control, where it is judged.
    fn measure(&mut self, is_far: bool, mode: &str) -> Option<bool> {
        if mode == "store" {
            return None;
        }
        self.samples_collected += 1;
        self.sigma?;
        self.signals = Some(is_far && self.rule != Rule::Off);
        self.signals
    }

    fn begin_phase(&mut self, sigma: Option<f64>) {
        (self.sigma, self.samples_collected) = (sigma, 0);
    }
}

struct Day {
    app: TestApp,
    models: Vec<Model>,
    random: StdRng,
}

impl Day {
    async fn begin(seed: u64) -> Self {
        let (app, mut models) = (TestApp::spawn().await, vec![]);
        for group in [Some("plant/line4"), Some("plant/line9"), None] {
            let id = defined(&app, group).await;
            models.push(Model { id, group, subgroup_size: 1, ..Model::default() });
        }
        Self { app, models, random: StdRng::seed_from_u64(seed) }
    }

    /// Does something, and says what.
    async fn step(&mut self) -> String {
        let of = self.random.random_range(0..self.models.len());
        match self.random.random_range(0..25) {
            0..=11 => self.measure(of).await,
            12..=14 => self.acknowledge_one(of).await,
            15 => self.acknowledge_all(of).await,
            16..=18 => self.set_limits(of).await,
            19..=20 => self.set_rules(of).await,
            21..=22 => self.retire(of).await,
            23 => self.change_chart(of).await,
            _ => self.replace(of).await,
        }
    }

    async fn measure(&mut self, of: usize) -> String {
        let (is_far, mode) = (self.random.random_bool(0.5), self.random.random_range(0..6));
        let mode = ["live", "live", "live", "live", "history", "store"][mode];
        let model = &mut self.models[of];
        let measurements = vec![if is_far { 99.0 } else { 10.0 }; model.subgroup_size];
        let body = json!({"characteristic_id": model.id, "measurements": measurements, "mode": mode});
        let (status, answer) = self.app.post("/samples", &body).await;
        if model.is_retired {
            assert_eq!((status, &answer["type"]), (409, &json!("urn:problem:andon:retired")));
        } else {
            let is_out = model.measure(is_far, mode);
            assert_eq!((status, &answer["in_control"]), (201, &json!(is_out.map(|is_out| !is_out))));
            for violation in answer["violations"].as_array().expect("a list") {
                assert_eq!(is_out, Some(true), "{answer}");
                if mode == "live" {
                    let id = violation["violation_id"].as_i64().expect("an id");
                    model.open.insert(id, model.rule == Rule::Waits);
                }
            }
        }
        format!("measure {body}")
    }

    async fn acknowledge_one(&mut self, of: usize) -> String {
        let open = &mut self.models[of].open;
        if open.is_empty() {
            return "nothing to acknowledge".to_owned();
        }
        let chosen = self.random.random_range(0..open.len());
        let id = *open.keys().nth(chosen).expect("one of them");
        assert_eq!(self.app.acknowledge(id, "ann").await.0, 200);
        open.remove(&id);
        assert_eq!(self.app.acknowledge(id, "ann").await.0, 409);
        format!("acknowledge violation {id}, twice")
    }

    async fn acknowledge_all(&mut self, of: usize) -> String {
        let model = &mut self.models[of];
        let body =
            json!({"characteristic_id": model.id, "up_to_seq": 1_000_000, "reason": "x", "user": "ann"});
        let (_, answer) = self.app.post("/violations/batch-acknowledge", &body).await;
        assert_eq!(answer["successful"], model.open.len(), "{answer}");
        model.open.clear();
        format!("acknowledge all of {}", model.id)
    }

    async fn set_limits(&mut self, of: usize) -> String {
        let sigma = f64::from(self.random.random_range(1..3));
        let model = &mut self.models[of];
        let path = format!("/characteristics/{}/control-limits", model.id);
        self.app.set(&path, &json!({"center_line": 10, "sigma": sigma})).await;
        if model.sigma != Some(sigma) {
            model.begin_phase(Some(sigma));
        }
        format!("limits of {} with sigma {sigma}", model.id)
    }

    async fn set_rules(&mut self, of: usize) -> String {
        let chosen = self.random.random_range(0..3);
        let model = &mut self.models[of];
        model.rule = [Rule::Waits, Rule::WaitsForNobody, Rule::Off][chosen];
        let (is_on, waits) = (model.rule != Rule::Off, model.rule == Rule::Waits);
        let rules = json!([{"rule_id": 1, "enabled": is_on, "requires_acknowledgement": waits}]);
        self.app.set(&format!("/characteristics/{}/rules", model.id), &rules).await;
        format!("rule 1 of {}: {:?}", model.id, model.rule)
    }

    async fn retire(&mut self, of: usize) -> String {
        self.models[of].is_retired = !self.models[of].is_retired;
        self.change(of, json!({"retired": self.models[of].is_retired})).await
    }

    async fn change_chart(&mut self, of: usize) -> String {
        let model = &mut self.models[of];
        model.subgroup_size = 3 - model.subgroup_size;
        model.signals = None;
        model.begin_phase(None);
        let change = json!({"chart": null, "subgroup_size": model.subgroup_size, "new_phase": true});
        self.change(of, change).await
    }

    async fn change(&self, of: usize, change: Value) -> String {
        let path = format!("/characteristics/{}", self.models[of].id);
        let (status, answer) = self.app.call("PATCH", &path, Some(&change)).await;
        assert_eq!(status, 200, "{answer}");
        format!("change {path}: {change}")
    }

    async fn replace(&mut self, of: usize) -> String {
        let model = &mut self.models[of];
        let (gone, group) = (model.id, model.group);
        let path = format!("/characteristics/{gone}?with_history=true");
        assert_eq!(self.app.call("DELETE", &path, None).await.0, 204);
        *model = Model { id: defined(&self.app, group).await, group, subgroup_size: 1, ..Model::default() };
        format!("delete {gone}, define {}", self.models[of].id)
    }

    async fn restarted(self) -> Self {
        let directory = Arc::clone(self.app.directory());
        self.app.stop().await.expect("stopped");
        Self { app: TestApp::builder().on_database_of(&directory).spawn().await, ..self }
    }

    async fn compare(&self, done: &[String]) {
        for model in &self.models {
            let view = self.app.get(&format!("/characteristics/{}", model.id)).await;
            let told = ["alarm_state", "open_violations", "samples_collected"].map(|name| view[name].clone());
            let due = (model.alarm_state(), model.open.len(), model.samples_collected);
            assert_eq!(told, [json!(due.0), json!(due.1), json!(due.2)], "{model:?} after {done:#?}");
        }
        let tree = self.app.get("/groups").await;
        let due = |below: &str| self.counts(|group| group.is_some_and(|group| group.starts_with(below)));
        let found = |path: &str| {
            let names = path.split('/').skip(1);
            let top = tree["groups"].as_array()?.iter().find(|group| group["name"] == "plant")?;
            names.into_iter().try_fold(top, |group, name| {
                group["groups"].as_array()?.iter().find(|group| group["name"] == name)
            })
        };
        for path in ["plant", "plant/line4", "plant/line9"] {
            let (total, states) = due(path);
            match found(path) {
                Some(group) => assert_eq!([&group["characteristics"], &group["states"]], [&total, &states]),
                None => assert_eq!(total, 0, "{path} after {done:#?}"),
            }
        }
        let (total, states) = self.counts(|group| group.is_none());
        assert_eq!(tree["ungrouped"], json!({"characteristics": total, "states": states}), "{done:#?}");
        let list = self.app.get("/characteristics?alarm_state=returned_unacked").await;
        let returned = self.models.iter().filter(|model| model.alarm_state() == "returned_unacked");
        assert_eq!(list["total"], returned.count(), "after {done:#?}");
    }

    /// How many of some groups there are, and in which states; retired ones are hidden.
    fn counts(&self, is_meant: impl Fn(Option<&str>) -> bool) -> (Value, Value) {
        let visible = self.models.iter().filter(|model| !model.is_retired && is_meant(model.group));
        let mut states = json!({
            "active_unacked": 0, "active_acked": 0, "returned_unacked": 0, "no_limits": 0, "normal": 0,
        });
        let mut total = 0;
        for model in visible {
            total += 1;
            let state = &mut states[model.alarm_state()];
            *state = json!(state.as_i64().expect("a state that is listed") + 1);
        }
        (json!(total), states)
    }
}

async fn defined(app: &TestApp, group: Option<&str>) -> i64 {
    let rules = json!({"preset": "outlier"});
    app.given_a_characteristic(&json!({"name": "Bore", "group": group, "rules": rules})).await
}

#[tokio::test]
async fn a_characteristic_stands_as_the_contract_says_after_whatever_happens() {
    for seed in 0..3 {
        let mut day = Day::begin(seed).await;
        let mut done = vec![format!("seed {seed}")];
        for _ in 0..3 {
            for _ in 0..12 {
                done.push(day.step().await);
                day.compare(&done).await;
            }
            day = day.restarted().await;
            done.push("restart".to_owned());
            day.compare(&done).await;
        }
    }
}
