//! Clients of a process that may die at any moment: they note what they were answered and what they heard.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// A sample that a client was told is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    pub sample_id: i64,
    pub value: f64,
    /// Names the request; no two samples have the same.
    pub operator: String,
}

/// What one listener heard before its connection ended.
#[derive(Debug, Default)]
pub struct Heard {
    pub events: BTreeMap<i64, Value>,
    pub close_code: Option<u16>,
}

/// Posters at work.
pub struct Load(JoinSet<Vec<Answered>>);

impl Load {
    /// Starts posters that measure these characteristics, every fourth of them in batches, until they are not
    /// answered any more. `name` stands before the names of their samples.
    pub fn start(address: SocketAddr, of: &[i64], posters: u64, name: &str) -> Self {
        let mut tasks = JoinSet::new();
        for poster in 0..posters {
            let poster = Poster {
                url: format!("http://{address}/api/v1/samples"),
                of: of.to_vec(),
                name: format!("{name}-{poster}"),
                random: StdRng::seed_from_u64(poster),
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

/// Listens to everything until the connection ends.
pub async fn listen(address: SocketAddr) -> JoinHandle<Heard> {
    let url = format!("ws://{address}/api/v1/ws");
    let (mut stream, _) = connect_async(url).await.expect("a handshake");
    let subscribe = json!({"type": "subscribe", "all": true}).to_string();
    stream.send(Message::text(subscribe)).await.expect("sent");
    tokio::spawn(async move {
        let mut heard = Heard::default();
        while let Some(Ok(message)) = stream.next().await {
            match message {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).expect("JSON");
                    if let Some(seq) = message["revision"].as_i64().and(message["seq"].as_i64()) {
                        let newest = heard.events.keys().next_back().copied();
                        assert!(
                            newest.is_none_or(|newest| newest + 1 == seq),
                            "no gap and no repeat at {seq}"
                        );
                        heard.events.insert(seq, message);
                    }
                }
                Message::Close(frame) => heard.close_code = frame.map(|frame| frame.code.into()),
                _ => {}
            }
        }
        heard
    })
}
