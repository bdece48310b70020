//! What the columns of a CSV file hold: by what the user says, else by their names.
//!
//! Long: a column names the characteristic of each row. Wide: each column of values is a characteristic of its own,
//! named after the column. One characteristic: its columns of values make up a subgroup.

use std::str::FromStr;

use anyhow::bail;
use csv::StringRecord;

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// When it was measured.
    Timestamp,
    /// The key of the characteristic.
    Characteristic,
    /// A measurement; several of them, in their order, make up a subgroup.
    Value,
    /// A measurement of the characteristic with this key.
    ValueOf(String),
    /// The sample's own key.
    Key,
    /// The production batch.
    Batch,
    /// Who measured.
    Operator,
    /// Nothing of interest.
    Ignore,
}

/// `COLUMN=WHAT`, as a user says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    column: String,
    role: Role,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((column, role)) = text.rsplit_once('=') else {
            return Err("say COLUMN=WHAT, such as when=timestamp".to_owned());
        };
        let role = match role {
            "timestamp" => Role::Timestamp,
            "characteristic" => Role::Characteristic,
            "value" => Role::Value,
            "key" => Role::Key,
            "batch" => Role::Batch,
            "operator" => Role::Operator,
            "ignore" => Role::Ignore,
            other => match other.strip_prefix('@') {
                Some(key) if !key.is_empty() => Role::ValueOf(key.to_owned()),
                _ => {
                    let known = "timestamp, characteristic, value, key, batch, operator, ignore, @KEY";
                    return Err(format!("a column holds one of: {known}; not {other:?}"));
                }
            },
        };
        Ok(Self { column: column.to_owned(), role })
    }
}

/// What all columns hold.
#[derive(Debug, PartialEq, Eq)]
pub struct Columns {
    /// By column.
    pub roles: Vec<Role>,
    /// Their names.
    pub names: Vec<String>,
    /// Whose samples they are, where no column says so.
    pub characteristic: Option<String>,
}

impl Columns {
    /// What the columns with these names hold.
    ///
    /// # Errors
    /// If a column is named that is not there, or it does not come out whose samples they are.
    pub fn new(
        headers: &StringRecord,
        assigned: &[Assignment],
        characteristic: Option<&str>,
    ) -> anyhow::Result<Self> {
        let names: Vec<String> = headers.iter().map(str::to_owned).collect();
        for Assignment { column, .. } in assigned {
            if !names.contains(column) {
                bail!("there is no column {column:?}; the file has: {}", names.join(", "));
            }
        }
        let said = |name: &String| assigned.iter().find(|a| a.column == *name).map(|a| a.role.clone());
        let mut roles: Vec<Option<Role>> =
            names.iter().map(|name| said(name).or_else(|| usual(name))).collect();
        let is_long = roles.contains(&Some(Role::Characteristic));
        if is_long && characteristic.is_some() {
            bail!(
                "a column says whose samples they are: leave --characteristic out, or map that column to ignore"
            );
        }
        // Any other column of one characteristic, or of a long file, is only looked at where it was named.
        let is_wide = characteristic.is_none() && !is_long;
        for (role, name) in roles.iter_mut().zip(&names) {
            let is_value = matches!(role, Some(Role::Value));
            if is_wide && (role.is_none() || is_value && said(name).is_none()) {
                *role = Some(Role::ValueOf(name.clone()));
            }
        }
        let roles: Vec<Role> = roles.into_iter().map(|role| role.unwrap_or(Role::Ignore)).collect();
        if is_wide && roles.contains(&Role::Value) {
            bail!(
                "it does not come out whose values they are: say --characteristic NAME, or map a column to @KEY"
            );
        }
        if !roles.iter().any(|role| matches!(role, Role::Value | Role::ValueOf(_))) {
            bail!(
                "no column holds values; say which with --map COLUMN=value; the file has: {}",
                names.join(", ")
            );
        }
        Ok(Self { roles, names, characteristic: characteristic.map(str::to_owned) })
    }
}

/// What a column of that name usually holds; `None` for any other name.
fn usual(name: &str) -> Option<Role> {
    let name = name.to_lowercase();
    let numbered = |prefix: &str| {
        let number = name.strip_prefix(prefix).map(|rest| rest.trim_start_matches('_'));
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    Some(match name.as_str() {
        "timestamp" | "time" | "date" | "datetime" | "measured_at" => Role::Timestamp,
        "characteristic" | "characteristic_key" => Role::Characteristic,
        "value" | "measurement" | "x" => Role::Value,
        "key" | "sample_key" => Role::Key,
        "batch" | "lot" => Role::Batch,
        "operator" => Role::Operator,
        "sample" | "subgroup" | "row" | "line" | "id" | "no" | "n" | "" => Role::Ignore,
        _ if ["x", "m", "value", "measurement"].into_iter().any(numbered) => Role::Value,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(names: &[&str], map: &[&str], characteristic: Option<&str>) -> Result<Vec<Role>, String> {
        let map: Vec<Assignment> = map.iter().map(|text| text.parse().expect(text)).collect();
        let columns = Columns::new(&StringRecord::from(names.to_vec()), &map, characteristic);
        columns.map(|columns| columns.roles).map_err(|error| error.to_string())
    }

    fn of(key: &str) -> Role {
        Role::ValueOf(key.to_owned())
    }

    #[test]
    fn columns_are_known_by_their_names() {
        let subgroup = columns(&["subgroup", "m1", "m2", "m3"], &[], Some("rings"));
        assert_eq!(subgroup, Ok(vec![Role::Ignore, Role::Value, Role::Value, Role::Value]));
        let long = columns(&["Time", "characteristic", "value", "remark"], &[], None);
        assert_eq!(long, Ok(vec![Role::Timestamp, Role::Characteristic, Role::Value, Role::Ignore]));
        let wide = columns(&["date", "bore", "flow"], &[], None);
        assert_eq!(wide, Ok(vec![Role::Timestamp, of("bore"), of("flow")]));
    }

    #[test]
    fn what_the_user_says_counts_more() {
        let wide = columns(&["when", "a", "b"], &["when=timestamp", "a=@bore", "b=ignore"], None);
        assert_eq!(wide, Ok(vec![Role::Timestamp, of("bore"), Role::Ignore]));
        let single = columns(&["d", "reading"], &["d=timestamp", "reading=value"], Some("bore"));
        assert_eq!(single, Ok(vec![Role::Timestamp, Role::Value]));
    }

    #[test]
    fn what_does_not_come_out_is_told_with_what_would_be_right() {
        assert!(columns(&["a"], &["b=value"], None).expect_err("no such column").contains("the file has: a"));
        assert!(columns(&["a"], &["a=value"], None).expect_err("whose").contains("--characteristic"));
        assert!(columns(&["date", "remark"], &[], Some("bore")).expect_err("no values").contains("=value"));
        assert!(columns(&["characteristic", "value"], &[], Some("x")).expect_err("twice").contains("leave"));
        assert!("a=nothing".parse::<Assignment>().expect_err("unknown").contains("@KEY"));
        assert!("a".parse::<Assignment>().is_err());
    }
}
