//! Sends batches of samples, again if need be: their keys make that harmless.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use indicatif::ProgressBar;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Tally;
use super::rows::Row;
use crate::cli::lines::{note, printable};
use crate::client::Rest;
use crate::domain::characteristic::is_visible;
use crate::error_chain::error_chain;

/// The wait before the first repetition; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Knows the server, and under which id it has each characteristic.
pub struct Sender {
    rest: Rest,
    patience: Duration,
    create: bool,
    ids: HashMap<Rc<str>, Option<i64>>,
}

impl Sender {
    /// A sender that tries a server which does not answer for as long as `patience`.
    pub fn new(rest: Rest, patience: Duration, create: bool) -> Self {
        Self { rest, patience, create, ids: HashMap::new() }
    }

    /// Sends a batch and counts what became of it.
    ///
    /// # Errors
    /// If the server stays away, or refuses the whole batch.
    pub async fn send(
        &mut self,
        batch: &[Row],
        tally: &mut Tally,
        bar: &ProgressBar,
        stop: &CancellationToken,
    ) -> anyhow::Result<()> {
        let (mut sent, mut lines) = (Vec::new(), String::new());
        for row in batch {
            let Some(id) = self.id_of(row, stop).await? else {
                let what = format!(
                    "no characteristic has the key or the name {:?}; --create makes it",
                    row.characteristic
                );
                tally.complain(bar, &row.place, &what);
                continue;
            };
            let mut sample = row.sample.clone();
            sample.insert("characteristic_id".to_owned(), json!(id));
            lines += &Value::Object(sample).to_string();
            lines.push('\n');
            sent.push(row);
        }
        if sent.is_empty() {
            return Ok(());
        }
        let answer = self.call(Method::POST, "/api/v1/samples/batch", Body::Lines(lines), stop).await?;
        let results = answer["results"].as_array().context("the server's answer has no results")?;
        for (row, result) in sent.into_iter().zip(results) {
            match result["error"]["detail"].as_str() {
                Some(detail) => tally.complain(bar, &row.place, detail),
                None if result["duplicate"] == true => tally.duplicates += 1,
                None => tally.stored += 1,
            }
        }
        Ok(())
    }

    /// The characteristic of a row: by key, else by name.
    async fn id_of(&mut self, row: &Row, stop: &CancellationToken) -> anyhow::Result<Option<i64>> {
        if let Some(id) = self.ids.get(&row.characteristic) {
            return Ok(*id);
        }
        let id = match self.find(&row.characteristic, stop).await? {
            None if self.create => Some(self.define(row, stop).await?),
            found => found,
        };
        self.ids.insert(Rc::clone(&row.characteristic), id);
        Ok(id)
    }

    async fn find(&self, named: &str, stop: &CancellationToken) -> anyhow::Result<Option<i64>> {
        for (query, field) in [("key", "key"), ("q", "name")] {
            let path = format!("/api/v1/characteristics?limit=1000&{query}={}", percent_encoded(named));
            let answer = self.call(Method::GET, &path, Body::None, stop).await?;
            let items = answer["items"].as_array().context("the server's answer has no items")?;
            let mut same = items.iter().filter(|item| item[field] == *named);
            match (same.next(), same.next()) {
                (Some(item), None) => return Ok(item["id"].as_i64()),
                (Some(_), Some(_)) => bail!("several characteristics have the name {named:?}: give its key"),
                (None, _) => {}
            }
        }
        Ok(None)
    }

    async fn define(&self, row: &Row, stop: &CancellationToken) -> anyhow::Result<i64> {
        let named = &*row.characteristic;
        let mut body = json!({"name": named, "subgroup_size": row.size});
        if is_visible(named) {
            body["key"] = json!(named);
        }
        let created = self.call(Method::POST, "/api/v1/characteristics", Body::Json(body), stop).await;
        let created = created.with_context(|| format!("could not create the characteristic {named:?}"))?;
        note(&format!("created the characteristic {}", printable(named)));
        created["id"].as_i64().context("the server's answer has no id")
    }

    /// Calls the server until it answers something that it would answer again.
    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Body,
        stop: &CancellationToken,
    ) -> anyhow::Result<Value> {
        let (started, mut wait) = (Instant::now(), FIRST_WAIT);
        loop {
            let error = match self.try_call(method.clone(), path, &body).await {
                Ok(Answer::Final(answer)) => return Ok(answer),
                Ok(Answer::Refused(error)) => return Err(error),
                Ok(Answer::Later(error)) => error,
                Err(error) => anyhow!("{}", error_chain(&error)),
            };
            if started.elapsed() + wait > self.patience {
                return Err(error.context("the server stays away; start again to go on"));
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = stop.cancelled() => return Err(error.context("stopped while the server was away")),
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn try_call(&self, method: Method, path: &str, body: &Body) -> reqwest::Result<Answer> {
        let request = self.rest.request(method, path);
        let request = match body {
            Body::None => request,
            Body::Json(body) => request.json(body),
            Body::Lines(lines) => request.header("Content-Type", "application/x-ndjson").body(lines.clone()),
        };
        Answer::read(request.send().await?).await
    }
}

enum Body {
    None,
    Json(Value),
    Lines(String),
}

enum Answer {
    Final(Value),
    /// The same request may go through later.
    Later(anyhow::Error),
    Refused(anyhow::Error),
}

impl Answer {
    async fn read(response: Response) -> reqwest::Result<Self> {
        let status = response.status();
        let body: Value = serde_json::from_str(&response.text().await?).unwrap_or_default();
        if status.is_success() {
            return Ok(match passing_error(&body) {
                Some(detail) => Self::Later(anyhow!("the server said: {}", printable(detail))),
                None => Self::Final(body),
            });
        }
        let said = body["detail"].as_str().map_or_else(|| status.to_string(), printable);
        let error = anyhow!("the server said: {said}");
        Ok(if is_passing(status.as_u16().into()) { Self::Later(error) } else { Self::Refused(error) })
    }
}

fn is_passing(status: u64) -> bool {
    [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT]
        .iter()
        .any(|passing| u64::from(passing.as_u16()) == status)
}

/// What one sample of a batch was refused for that may pass. Then the whole batch is sent again: what was stored
/// of it is a duplicate, and the order stays.
fn passing_error(body: &Value) -> Option<&str> {
    let errors = body["results"].as_array()?.iter().map(|result| &result["error"]);
    let mut passing = errors.filter(|error| error["status"].as_u64().is_some_and(is_passing));
    passing.next().map(|error| error["detail"].as_str().unwrap_or("not now"))
}

/// For a query: everything but letters and digits as bytes.
fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_is_wrong() {
        let results =
            |status: u16| json!({"results": [{"error": null}, {"error": {"status": status, "detail": "x"}}]});
        assert_eq!(passing_error(&results(503)), Some("x"));
        assert_eq!(passing_error(&results(422)), None);
        assert_eq!(passing_error(&json!({"results": [{"sample_id": 1}]})), None);
        assert_eq!(passing_error(&json!({"items": []})), None);
    }
}
