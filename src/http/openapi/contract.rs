//! What one operation takes, answers and refuses, gathered from the types of its handler.

use actix_web::http::StatusCode;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::path::Parameter;

use crate::http::auth::Role;
use crate::http::error::Kind;
use crate::protocol::schema::Named;

/// A part of a request, as an extractor reads it.
pub trait Takes {
    /// Tells what it reads, and what it refuses.
    fn tell(contract: &mut Contract);
}

/// What a handler answers when all is well.
pub trait Answers {
    /// Each status with its body.
    fn successes() -> Vec<Success>;
}

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Anybody.
    Anybody,
    /// Who has this role.
    With(Role),
    /// Who has this role, and who says only later who it is.
    WithLater(Role),
}

/// The body of a request.
pub struct Body {
    /// The name of its schema, as JSON.
    pub schema: String,
    /// Whether it must be there.
    pub is_required: bool,
    /// Other media types, each with what its text holds.
    pub texts: Vec<(&'static str, &'static str)>,
}

/// What one operation takes, answers and refuses.
pub struct Contract {
    /// The path with the names of its parameters in braces.
    pub path: String,
    /// Who may call.
    pub caller: Caller,
    /// Those of the path and of the query.
    pub parameters: Vec<Parameter>,
    /// The body, if there is one.
    pub body: Option<Body>,
    /// What is answered when all is well.
    pub successes: Vec<Success>,
    /// Schemas that the body and the answers name.
    pub schemas: Vec<Named>,
    kinds: Vec<Kind>,
}

impl Contract {
    /// A contract that takes nothing and never refuses.
    pub fn new(path: String, successes: Vec<Success>) -> Self {
        Self {
            path,
            caller: Caller::Anybody,
            parameters: Vec::new(),
            body: None,
            successes,
            schemas: Vec::new(),
            kinds: Vec::new(),
        }
    }

    /// Tells that these problems may be answered.
    pub fn refuses(&mut self, kinds: &[Kind]) {
        let new: Vec<_> = kinds.iter().filter(|kind| !self.kinds.contains(kind)).copied().collect();
        self.kinds.extend(new);
    }

    /// Tells that nothing is refused, whatever its parts could refuse elsewhere.
    pub fn refuses_nothing(&mut self) {
        self.kinds.clear();
    }

    /// The problems that may be answered.
    pub fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    /// Remembers a schema with all that it names, and gives its name.
    pub fn schema<T: ToSchema>(&mut self) -> String {
        named::<T>(&mut self.schemas)
    }
}

/// One status of an operation that did what it was asked for.
pub struct Success {
    /// The status.
    pub status: StatusCode,
    /// What it means.
    pub description: String,
    /// Media type and schema of the body.
    pub content: Option<(&'static str, Value)>,
    /// Headers that are always there: name and description.
    pub headers: Vec<(&'static str, &'static str)>,
    /// Schemas that the body names.
    pub schemas: Vec<Named>,
}

impl Success {
    /// A status with a JSON body.
    pub fn json<T: ToSchema>(status: StatusCode) -> Self {
        let mut schemas = Vec::new();
        let schema = reference("schemas", &named::<T>(&mut schemas));
        Self { content: Some(("application/json", schema)), schemas, ..Self::empty(status) }
    }

    /// 200 with a text.
    pub fn text(media_type: &'static str, description: &str) -> Self {
        let content = Some((media_type, json!({"type": "string"})));
        Self { content, description: description.to_owned(), ..Self::empty(StatusCode::OK) }
    }

    /// 200 with bytes that are no text.
    pub fn bytes(media_type: &'static str, description: &str) -> Self {
        Self { content: Some((media_type, json!({}))), ..Self::text(media_type, description) }
    }

    /// 200 with a JSON object of somebody else's making.
    pub fn object(description: &str) -> Self {
        let content = Some(("application/json", json!({"type": "object"})));
        Self { content, description: description.to_owned(), ..Self::empty(StatusCode::OK) }
    }

    /// A status without a body.
    pub fn empty(status: StatusCode) -> Self {
        let description = status.canonical_reason().unwrap_or("As asked").to_owned();
        Self { status, description, content: None, headers: Vec::new(), schemas: Vec::new() }
    }

    /// The same with a header that is always there.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, description: &'static str) -> Self {
        self.headers.push((name, description));
        self
    }
}

/// A reference to a component.
pub fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

fn named<T: ToSchema>(schemas: &mut Vec<Named>) -> String {
    let name = T::name().into_owned();
    schemas.push((name.clone(), T::schema()));
    T::schemas(schemas);
    name
}
