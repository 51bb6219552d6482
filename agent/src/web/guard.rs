//! What keeps other sites' pages out while there is no sign-in: names of the host, marks of our own page, headers.
//!
//! It knows no user. Invariants: a request under another host's name (DNS rebinding) gets nothing; a request that
//! changes something carries a header that no foreign page can send without asking first.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::error::ApiError;

/// The header of requests that change something.
pub(crate) const OWN_PAGE: &str = "x-wattwarden";

/// Scripts and styles only from here, nothing may frame us, nothing leaves the gateway.
const POLICY: &str =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A printed report carries its style and runs nothing.
pub(crate) const REPORT_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Refuses foreign host names, and marks every answer.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let mut response = if is_own_host(request.headers()) {
        next.run(request).await
    } else {
        let help = "open the page as http://127.0.0.1 or http://localhost with its port";
        ApiError::foreign("the page answers only to names of this machine", help).into_response()
    };
    let headers = response.headers_mut();
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(POLICY));
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn is_own_host(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(is_loopback_name)
}

/// Whether `host`, with or without a port, is a name of this machine. Any port: a tunnel may change it.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|digit| digit.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || name.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

/// Lets only our own page change something.
pub(crate) fn own_page(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let origin = text(header::ORIGIN.as_str()).map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
    if text(OWN_PAGE) != Some("1") {
        let help = "send the header X-Wattwarden: 1 with every request that changes something";
        return Err(ApiError::foreign("the header X-Wattwarden is missing", help));
    }
    if origin.is_some_and(|origin| !is_loopback_name(origin)) {
        return Err(ApiError::foreign(
            "the request comes from another site's page",
            "use the page of this agent",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, expected: bool) {
        assert_eq!(is_loopback_name(host), expected, "{host}");
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for own in [
            "localhost",
            "LOCALHOST:8420",
            "127.0.0.1:1",
            "127.8.0.1",
            "[::1]",
            "[::1]:8420",
            "::1",
        ] {
            check(own, true);
        }
        for foreign in [
            "",
            "evil.example",
            "evil.example:8420",
            "localhost.evil.example",
            "0.0.0.0",
            "10.0.0.1:80",
            "127.0.0.1.evil:1",
        ] {
            check(foreign, false);
        }
    }

    #[test]
    fn only_our_own_page_changes_something() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            let pair = |&(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value));
            pairs.iter().map(pair).collect()
        };
        for (pairs, expected) in [
            (&[("x-wattwarden", "1")][..], true),
            (&[("x-wattwarden", "1"), ("origin", "http://127.0.0.1:8420")], true),
            (&[("x-wattwarden", "1"), ("origin", "http://evil.example")], false),
            (&[("x-wattwarden", "1"), ("origin", "null")], false),
            (&[("origin", "http://127.0.0.1:8420")], false),
            (&[], false),
        ] {
            assert_eq!(own_page(&headers(pairs)).is_ok(), expected, "{pairs:?}");
        }
    }
}
