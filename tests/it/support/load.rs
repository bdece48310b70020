//! Callers of a process that may die at any moment: they note what they were answered.

use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// A sample that a client was told is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    pub sample_id: i64,
    pub value: f64,
    /// Names the request; no two samples have the same.
    pub operator: String,
}

/// Posters at work.
pub struct Load(JoinSet<Vec<Answered>>);

impl Load {
    /// Starts posters that measure these characteristics, every fourth of them in batches, until they are not
    /// answered any more. `name` stands before the names of their samples.
    pub fn start(address: SocketAddr, of: &[i64], posters: u64, name: &str) -> Self {
        Self::paced(address, of, posters, name, Duration::ZERO)
    }

    /// The same; each poster pauses so long between its requests.
    pub fn paced(address: SocketAddr, of: &[i64], posters: u64, name: &str, pause: Duration) -> Self {
        let mut tasks = JoinSet::new();
        for poster in 0..posters {
            let poster = Poster {
                url: format!("http://{address}/api/v1/samples"),
                of: of.to_vec(),
                name: format!("{name}-{poster}"),
                random: StdRng::seed_from_u64(poster),
                pause,
                http: reqwest::Client::new(),
            };
            tasks.spawn(poster.run(if tasks.len() % 4 == 0 { 25 } else { 1 }));
        }
        Self(tasks)
    }

    /// Everything that was answered, once nobody answers any more.
    pub async fn answered(self) -> Vec<Answered> {
        self.0.join_all().await.into_iter().flatten().collect()
    }
}

struct Poster {
    url: String,
    of: Vec<i64>,
    name: String,
    random: StdRng,
    pause: Duration,
    http: reqwest::Client,
}

impl Poster {
    async fn run(mut self, batch: usize) -> Vec<Answered> {
        let mut answered = vec![];
        for request in 0.. {
            let samples: Vec<Value> = (0..batch).map(|index| self.sample(request, index)).collect();
            let told = if batch == 1 { self.single(&samples[0]).await } else { self.batch(&samples).await };
            let Some(ids) = told else { break };
            for (sample, sample_id) in samples.iter().zip(ids) {
                answered.extend(sample_id.map(|sample_id| Answered {
                    sample_id,
                    value: sample["measurements"][0].as_f64().expect("a number"),
                    operator: sample["operator"].as_str().expect("a name").to_owned(),
                }));
            }
            if !self.pause.is_zero() {
                sleep(self.pause).await;
            }
        }
        answered
    }

    /// Coarse values around the center line: patterns and points beyond the limits are not rare.
    fn sample(&mut self, request: u64, index: usize) -> Value {
        let of = self.of[self.random.random_range(0..self.of.len())];
        let value = 10.0 + f64::from(self.random.random_range(-6..=7)) * 0.5;
        let operator = format!("{}-{request}-{index}", self.name);
        json!({"characteristic_id": of, "measurements": [value], "operator": operator})
    }

    /// `None` when nobody is there any more.
    async fn single(&self, sample: &Value) -> Option<Vec<Option<i64>>> {
        let response = self.http.post(&self.url).json(sample).send().await.ok()?;
        let status = response.status().as_u16();
        let body: Value = response.json().await.ok()?;
        match status {
            201 => Some(vec![Some(body["sample_id"].as_i64().expect("an id"))]),
            503 => Some(vec![None]),
            _ => panic!("{status}: {body}"),
        }
    }

    async fn batch(&self, samples: &[Value]) -> Option<Vec<Option<i64>>> {
        let url = format!("{}/batch", self.url);
        let response = self.http.post(&url).json(&json!({"samples": samples})).send().await.ok()?;
        let status = response.status().as_u16();
        let body: Value = response.json().await.ok()?;
        if status == 503 {
            return Some(vec![None; samples.len()]);
        }
        assert_eq!(status, 200, "{body}");
        Some(body["results"].as_array()?.iter().map(|item| item["sample_id"].as_i64()).collect())
    }
}

/// Acknowledges what nobody has answered yet, until nobody is there any more; says how many those were.
pub fn acknowledge(address: SocketAddr) -> JoinHandle<usize> {
    tokio::spawn(async move {
        let (http, url) = (reqwest::Client::new(), format!("http://{address}/api/v1/violations"));
        let mut answered = 0;
        loop {
            let open = http.get(format!("{url}?acknowledged=false&limit=5")).send().await;
            let Ok(open) = open else { return answered };
            let Ok(open) = open.json::<Value>().await else { return answered };
            for violation in open["items"].as_array().into_iter().flatten() {
                let body = json!({"reason": "Tool Change", "user": "crash test"});
                let url = format!("{url}/{}/acknowledge", violation["id"]);
                let Ok(response) = http.post(url).json(&body).send().await else { return answered };
                answered += usize::from(response.status().is_success());
            }
        }
    })
}
