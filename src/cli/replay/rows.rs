//! The rows of a CSV file as samples, each with its place in the file.

use std::fmt;
use std::fs::File;
use std::rc::Rc;

use anyhow::Context as _;
use csv::{Reader, StringRecord};
use serde_json::{Map, Value, json};

use super::columns::{Columns, Role};
use crate::domain::sample::Mode;

/// A key has at most so many characters.
const MAX_KEY_CHARS: usize = 128;

/// Where a sample stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    line: u64,
    column: Option<Rc<str>>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        match &self.column {
            Some(column) => write!(f, ", column {column}"),
            None => Ok(()),
        }
    }
}

/// A sample as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub place: Place,
    /// Whose it is: by key, or as the user named it.
    pub characteristic: Rc<str>,
    /// How many measurements it has.
    pub size: usize,
    /// Everything but the characteristic.
    pub sample: Map<String, Value>,
}

/// Reads a file row by row.
pub struct Rows {
    reader: Reader<File>,
    columns: Columns,
    names: Vec<Rc<str>>,
    prefix: String,
    mode: Mode,
    bytes_read: u64,
    /// Samples of a row that did not fit into the batch before.
    left_over: Vec<Row>,
}

impl Rows {
    pub fn new(reader: Reader<File>, columns: Columns, prefix: String, mode: Mode) -> Self {
        let names = columns.names.iter().map(|name| name.as_str().into()).collect();
        let visible = |c: char| if c.is_whitespace() || c.is_control() { '_' } else { c };
        let prefix = prefix.chars().map(visible).collect();
        Self { reader, columns, names, prefix, mode, bytes_read: 0, left_over: Vec::new() }
    }

    /// How far the file was read.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// The next samples; none at the end. What is wrong with a row is told to `complain`; the next rows go on.
    ///
    /// # Errors
    /// If the file cannot be read any further.
    pub fn next_batch(
        &mut self,
        most: usize,
        mut complain: impl FnMut(&Place, &str),
    ) -> anyhow::Result<Vec<Row>> {
        let mut batch = std::mem::take(&mut self.left_over);
        let mut record = StringRecord::new();
        while batch.len() < most {
            match self.reader.read_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if error.is_io_error() => return Err(error).context("cannot read on"),
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    complain(&Place { line, column: None }, &error.to_string());
                    continue;
                }
            }
            self.bytes_read = self.reader.position().byte();
            let line = record.position().map_or(0, csv::Position::line);
            for row in self.samples(line, &record) {
                match row {
                    Ok(row) => batch.push(row),
                    Err((place, what)) => complain(&place, &what),
                }
            }
        }
        self.left_over = batch.split_off(batch.len().min(most));
        Ok(batch)
    }

    /// The samples of a row: one, or of a wide file one for each column that has a value.
    fn samples(&self, line: u64, record: &StringRecord) -> Vec<Result<Row, (Place, String)>> {
        let at = |index: usize| Place { line, column: Some(Rc::clone(&self.names[index])) };
        let cells =
            || self.columns.roles.iter().enumerate().zip(record.iter()).filter(|(_, cell)| !cell.is_empty());
        let number = |index: usize, cell: &str| match cell.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err((at(index), format!("{cell:?} is no number"))),
        };
        let mut common = Map::new();
        let (mut named, mut values, mut wide) = (None, Vec::new(), Vec::new());
        for ((index, role), cell) in cells() {
            match role {
                Role::Timestamp => drop(common.insert("timestamp".to_owned(), json!(cell))),
                Role::Batch => drop(common.insert("batch".to_owned(), json!(cell))),
                Role::Operator => drop(common.insert("operator".to_owned(), json!(cell))),
                Role::Key => drop(common.insert("key".to_owned(), json!(cell))),
                Role::Characteristic => named = Some(cell),
                Role::Ignore => {}
                Role::Value => match number(index, cell) {
                    Ok(value) => values.push(value),
                    Err(wrong) => return vec![Err(wrong)],
                },
                Role::ValueOf(key) => {
                    wide.push(number(index, cell).map(|value| (index, key.as_str(), value)))
                }
            }
        }
        if self.mode != Mode::Live {
            common.insert("mode".to_owned(), json!(self.mode));
        }
        let own_key = common.remove("key");
        let key = own_key.unwrap_or_else(|| json!(self.key(line)));
        let sample = |measurements: Value| {
            let mut sample = common.clone();
            sample.insert("key".to_owned(), key.clone());
            sample.insert("measurements".to_owned(), measurements);
            sample
        };
        let mut rows: Vec<_> = wide
            .into_iter()
            .map(|value| {
                let (index, characteristic, value) = value?;
                let characteristic = characteristic.into();
                Ok(Row { place: at(index), characteristic, size: 1, sample: sample(json!([value])) })
            })
            .collect();
        let place = Place { line, column: None };
        match named.or(self.columns.characteristic.as_deref()) {
            _ if values.is_empty() => {}
            Some(characteristic) => {
                let (size, sample) = (values.len(), sample(json!(values)));
                rows.push(Ok(Row { place, characteristic: characteristic.into(), size, sample }));
            }
            None => rows.push(Err((place, "it does not say whose values they are".to_owned()))),
        }
        rows
    }

    /// The key of a line; the end of a long prefix tells files apart better than its beginning.
    fn key(&self, line: u64) -> String {
        let number = format!(":{line}");
        let room = MAX_KEY_CHARS - number.len();
        let surplus = self.prefix.chars().count().saturating_sub(room);
        self.prefix.chars().skip(surplus).chain(number.chars()).collect()
    }
}
