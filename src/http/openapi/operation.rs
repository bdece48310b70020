//! One operation: a method on a path, its handler, and what people are told about it.

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, Responder, Route, web};

use crate::http::error::Kind;
use crate::http::openapi::contract::{Answers, Contract, Takes};

/// A method on a path with its handler.
pub struct Operation {
    /// The method.
    pub method: Method,
    /// Its name for programs, unique.
    pub id: String,
    /// What it belongs to.
    pub tag: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// What else there is to know.
    pub description: &'static str,
    /// What it takes, answers and refuses.
    pub contract: Contract,
    /// Where a client may go from its answer.
    pub links: Vec<Link>,
    route: Box<dyn Fn() -> Route + Send + Sync>,
}

/// A step from an answer to another operation.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// The other operation's id.
    pub to: &'static str,
    /// Its parameter.
    pub parameter: &'static str,
    /// Where the answer holds the parameter's value: a runtime expression of OpenAPI.
    pub value: &'static str,
}

macro_rules! methods {
    ($($name:ident $method:ident;)*) => {$(
        #[doc = concat!("`", stringify!($method), "` on a path.")]
        pub fn $name<F, Args>(path: &str, id: &str, handler: F) -> Operation
        where
            F: Handler<Args, Output: Responder + Answers + 'static> + Send + Sync,
            Args: FromRequest + Takes + 'static,
        {
            Operation::new(Method::$method, path, id, handler)
        }
    )*};
}

methods! {
    get GET;
    head HEAD;
    post POST;
    put PUT;
    patch PATCH;
    delete DELETE;
}

impl Operation {
    fn new<F, Args>(method: Method, path: &str, id: &str, handler: F) -> Self
    where
        F: Handler<Args, Output: Responder + Answers + 'static> + Send + Sync,
        Args: FromRequest + Takes + 'static,
    {
        let mut contract = Contract::new(path.to_owned(), F::Output::successes());
        // The gate that every request passes.
        contract.refuses(&[Kind::OriginNotAllowed, Kind::Unavailable]);
        Args::tell(&mut contract);
        if method == Method::HEAD {
            contract.successes.iter_mut().for_each(|success| success.content = None);
        }
        let by = method.clone();
        Self {
            method,
            id: id.to_owned(),
            tag: "",
            summary: "",
            description: "",
            contract,
            links: Vec::new(),
            route: Box::new(move || web::method(by.clone()).to(handler.clone())),
        }
    }

    /// What it does: in a line, and what else there is to know.
    #[must_use]
    pub fn says(mut self, summary: &'static str, description: &'static str) -> Self {
        (self.summary, self.description) = (summary, description);
        self
    }

    /// The problems that it answers besides those that follow from what it takes.
    #[must_use]
    pub fn refuses(mut self, kinds: &[Kind]) -> Self {
        self.contract.refuses(kinds);
        self
    }

    /// It always answers, even while everything else is refused.
    #[must_use]
    pub fn always_answers(mut self) -> Self {
        self.contract.refuses_nothing();
        self
    }

    /// A step that a client may take with a value that every answer has.
    #[must_use]
    pub fn leads_to(mut self, to: &'static str, parameter: &'static str, value: &'static str) -> Self {
        self.links.push(Link { to, parameter, value });
        self
    }

    /// What it belongs to.
    #[must_use]
    pub fn tagged(mut self, tag: &'static str) -> Self {
        self.tag = tag;
        self
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.contract.path
    }

    /// The route to its handler.
    pub fn route(&self) -> Route {
        (self.route)()
    }
}
