//! Takes out of answers what was secret in their requests.
//!
//! Words of a service go into messages, journals and logs, and some services
//! and gateways repeat in them what they were sent.

use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};

/// What stands in a secret's place.
const MASK: &[u8] = b"***";

/// Values of headers shorter than this stay: dates and hosts are signed, and
/// marked as sensitive, together with tokens, and messages about them are needed.
const HEADER_BYTES_MIN: usize = 20;

/// Values of other secrets shorter than this stay: they would be found everywhere.
const SECRET_BYTES_MIN: usize = 3;

/// The secrets of one request, in all ways in which an answer may repeat them.
pub(crate) struct Echoes {
    forms: Vec<Vec<u8>>,
}

impl Echoes {
    /// Takes note of a request's secrets: its sensitive headers, and those that
    /// its maker has named.
    pub(crate) fn of(headers: &HeaderMap, secrets: &[SecretString]) -> Self {
        let sensitive = headers
            .values()
            .filter(|value| value.is_sensitive() && value.len() >= HEADER_BYTES_MIN)
            .map(|value| value.as_bytes().to_vec());
        let mut forms: Vec<Vec<u8>> = sensitive.collect();
        for secret in secrets {
            let text = secret.expose_secret();
            if text.len() < SECRET_BYTES_MIN {
                continue;
            }
            for form in [
                text.to_owned(),
                text.replace('\\', "\\\\").replace('"', "\\\""),
                text.replace('&', "&amp;")
                    .replace('<', "&lt;")
                    .replace('>', "&gt;"),
            ] {
                if !forms.contains(&form.clone().into_bytes()) {
                    forms.push(form.into_bytes());
                }
            }
        }
        // Longer ones first: one may be a part of another.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        Self { forms }
    }

    /// Returns a body without them.
    pub(crate) fn mask(&self, body: Vec<u8>) -> Vec<u8> {
        self.forms
            .iter()
            .fold(body, |body, form| replace(body, form))
    }
}

fn replace(body: Vec<u8>, form: &[u8]) -> Vec<u8> {
    let mut masked = Vec::new();
    let mut from = 0;
    let mut at = 0;
    while at + form.len() <= body.len() {
        if &body[at..at + form.len()] == form {
            masked.extend_from_slice(&body[from..at]);
            masked.extend_from_slice(MASK);
            at += form.len();
            from = at;
        } else {
            at += 1;
        }
    }
    if from == 0 {
        return body;
    }
    masked.extend_from_slice(&body[from..]);
    masked
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn what_was_secret_is_taken_out_however_it_is_repeated() {
        let mut headers = HeaderMap::new();
        let mut token = HeaderValue::from_static("a-token-of-some-length");
        token.set_sensitive(true);
        headers.insert("x-auth-token", token);
        let mut date = HeaderValue::from_static("20260101T000000Z");
        date.set_sensitive(true);
        headers.insert("x-amz-date", date);
        headers.insert("host", HeaderValue::from_static("cloud.some.example.org"));
        let echoes = Echoes::of(&headers, &["p\"w&1".into(), "x".into()]);
        let masked = |text: &str| String::from_utf8(echoes.mask(text.as_bytes().to_vec())).unwrap();
        assert_eq!(
            masked("p\"w&1 p\\\"w&1 p\"w&amp;1: a-token-of-some-length, 20260101T000000Z x"),
            "*** *** ***: ***, 20260101T000000Z x"
        );
        assert_eq!(
            masked("at cloud.some.example.org"),
            "at cloud.some.example.org"
        );
        assert_eq!(masked(""), "");
    }
}
