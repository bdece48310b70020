//! Who calls, and what they may do. One extractor for all routes; who decides is a port, [`Authorizer`].

mod tokens;

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use async_trait::async_trait;
use serde::Deserialize;

pub use tokens::{Settings, TokenAuthorizer, TokenError, TokenSettings};

use crate::http::error::{ApiError, Kind};

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Read and listen.
    Read,
    /// Send samples.
    Ingest,
    /// Read, acknowledge, set control limits.
    Operate,
    /// Everything.
    Admin,
}

impl Role {
    /// Whether who has this role may do what `needed` names.
    pub const fn includes(self, needed: Self) -> bool {
        match self {
            Self::Admin => true,
            Self::Operate => matches!(needed, Self::Read | Self::Operate),
            Self::Read => matches!(needed, Self::Read),
            Self::Ingest => matches!(needed, Self::Ingest),
        }
    }
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The name of the login; `None` where tokens are not required.
    pub name: Option<String>,
    /// What it may do.
    pub roles: Vec<Role>,
    /// Whether it may name the user it acts for, as a backend does for its operators.
    pub acts_for_users: bool,
}

impl Principal {
    /// Anybody, where tokens are not required.
    pub fn anonymous() -> Self {
        Self { name: None, roles: vec![Role::Admin], acts_for_users: true }
    }

    /// Whether it may do what `needed` names.
    pub fn may(&self, needed: Role) -> bool {
        self.roles.iter().any(|role| role.includes(needed))
    }
}

/// The token is missing or not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a valid bearer token is required")]
pub struct NotAuthenticated;

/// Decides who calls. An embedding program may bring its own.
#[async_trait]
pub trait Authorizer: Send + Sync {
    /// The caller behind a bearer token; `None`: the request has none.
    ///
    /// # Errors
    /// [`NotAuthenticated`], if a token is required and this is none.
    async fn principal(&self, token: Option<&str>) -> Result<Principal, NotAuthenticated>;
}

/// The bearer token of a request.
pub fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A role that a route needs, as a type.
pub trait Needed: 'static {
    /// The role.
    const ROLE: Role;
}

macro_rules! needed {
    ($($(#[$doc:meta])* $name:ident => $role:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name;

        impl Needed for $name {
            const ROLE: Role = Role::$role;
        }
    )*};
}

needed! {
    /// The route reads.
    Read => Read;
    /// The route takes samples.
    Ingest => Ingest;
    /// The route answers alarms or sets limits.
    Operate => Operate;
    /// The route changes what there is.
    Admin => Admin;
}

/// A caller that may do what the route needs.
pub struct Authorized<N>(pub Principal, PhantomData<N>);

impl<N: Needed> FromRequest for Authorized<N> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let authorizer = request.app_data::<Data<Arc<dyn Authorizer>>>().expect("app_data names one");
            let principal = authorizer
                .principal(bearer(&request))
                .await
                .map_err(|e| ApiError::new(Kind::NotAuthenticated, e.to_string()))?;
            if !principal.may(N::ROLE) {
                let role = N::ROLE;
                return Err(ApiError::new(
                    Kind::Forbidden,
                    format!("this needs the role {role:?}").to_lowercase(),
                ));
            }
            Ok(Self(principal, PhantomData))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_do_what_it_says_and_no_more() {
        use Role::{Admin, Ingest, Operate, Read};
        let may = |role: Role| [Read, Ingest, Operate, Admin].map(|needed| role.includes(needed));
        assert_eq!(may(Read), [true, false, false, false]);
        assert_eq!(may(Ingest), [false, true, false, false]);
        assert_eq!(may(Operate), [true, false, true, false]);
        assert_eq!(may(Admin), [true, true, true, true]);
    }
}
