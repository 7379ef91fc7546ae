//! The Explorer's address: stateright's server behind it, and in front of that what is known already. stateright shows a property as fallen
//! only once its own search has been there, names a model by its Rust type, and puts the state below the fold on a narrow page.

use serde_json::{Value, json};
use std::io::Read;
use std::net::SocketAddr;
use tiny_http::{Header, Method, Request, Response, Server};

/// The largest answer that is passed on, in bytes. A state of a large model takes a few thousand.
const LARGEST: u64 = 256 << 20;

/// Rules that follow those of stateright's own style sheet.
const STYLE: &str = include_str!("front.css");

/// A property that was decided before the Explorer starts.
pub struct Known {
    /// As stateright writes it: `Always`, `Sometimes` or `Eventually`.
    pub expectation: &'static str,
    /// Its name.
    pub name: String,
    /// The state that decides it, as the Explorer writes a path.
    pub path: String,
}

/// Answers for the Explorer.
pub struct Front {
    /// Where stateright's own server is.
    pub behind: SocketAddr,
    /// The model as a person calls it.
    pub model: String,
    /// What is decided.
    pub known: Vec<Known>,
}

impl Front {
    /// Serves until the process ends.
    ///
    /// # Errors
    /// The address cannot be listened on, or is lost.
    pub fn serve(&self, listen: SocketAddr) -> Result<(), String> {
        let server = Server::http(listen).map_err(|error| format!("cannot listen on {listen}: {error}"))?;
        loop {
            let request = server.recv().map_err(|error| format!("{listen}: {error}"))?;
            let response = self.answer(&request).unwrap_or_else(|error| {
                let text = format!("the Explorer's server does not answer: {error}");
                Response::from_string(text).with_status_code(502)
            });
            // Somebody who went away needs no answer.
            let _ = request.respond(response);
        }
    }

    fn answer(&self, request: &Request) -> Result<Response<std::io::Cursor<Vec<u8>>>, ureq::Error> {
        let url = format!("http://{}{}", self.behind, request.url());
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        let agent = ureq::Agent::new_with_config(config);
        let mut answer = match request.method() {
            Method::Get => agent.get(url).call()?,
            Method::Post => agent.post(url).send_empty()?,
            _ => return Ok(Response::from_data(Vec::new()).with_status_code(405)),
        };
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        answer.body_mut().with_config().limit(LARGEST).reader().read_to_end(&mut body)?;
        let kind = match request.url() {
            "/" => "text/html; charset=utf-8",
            "/app.css" => {
                body.extend_from_slice(STYLE.as_bytes());
                "text/css; charset=utf-8"
            }
            "/app.js" | "/knockout-3.5.0.js" => "text/javascript; charset=utf-8",
            url if status == 200 && url.starts_with("/.stat") => {
                if let Ok(mut json) = serde_json::from_slice(&body) {
                    self.fill_in(&mut json);
                    body = json.to_string().into_bytes();
                }
                "application/json"
            }
            _ => "text/plain; charset=utf-8",
        };
        let header = Header::from_bytes("Content-Type", kind).expect("both are ASCII");
        Ok(Response::from_data(body).with_status_code(status).with_header(header))
    }

    /// Adds what is known to a status or to states as stateright writes them.
    fn fill_in(&self, json: &mut Value) {
        match json {
            Value::Array(states) => states.iter_mut().for_each(|state| self.fill_in(state)),
            Value::Object(fields) => {
                let is_status = fields.contains_key("done");
                if is_status {
                    fields.insert("model".to_owned(), json!(self.model));
                }
                if let Some(Value::Array(properties)) = fields.get_mut("properties") {
                    self.decide(properties);
                    if is_status {
                        // What fell is what people look for: it comes first.
                        properties
                            .sort_by_key(|property| property[2].is_null() || property[0] == "Sometimes");
                    }
                }
            }
            _ => {}
        }
    }

    fn decide(&self, properties: &mut Vec<Value>) {
        for known in &self.known {
            let same = |property: &&mut Value| {
                property[0] == known.expectation && property[1] == known.name.as_str()
            };
            match properties.iter_mut().find(same) {
                // The first path that stateright's own search finds is as good.
                Some(property) if property[2].is_null() => property[2] = json!(known.path),
                Some(_) => {}
                None => properties.push(json!([known.expectation, known.name, known.path])),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn front() -> Front {
        let known =
            |expectation, name: &str| Known { expectation, name: name.to_owned(), path: "0/1/2".to_owned() };
        Front {
            behind: ([127, 0, 0, 1], 1).into(),
            model: "mine".to_owned(),
            known: vec![
                known("Always", "P2b"),
                known("Eventually", "chosen"),
                known("Sometimes", "premise of P2b"),
            ],
        }
    }

    #[test]
    fn what_is_known_is_filled_in_and_what_fell_comes_first() {
        let mut status = json!({"done": false, "model": "Browsed<A, O>", "properties": [
            ["Always", "P1", null], ["Sometimes", "premise of P2b", null], ["Always", "P2b", null]]});
        front().fill_in(&mut status);
        let expected = json!([
            ["Always", "P2b", "0/1/2"],
            ["Eventually", "chosen", "0/1/2"],
            ["Always", "P1", null],
            ["Sometimes", "premise of P2b", "0/1/2"],
        ]);
        assert_eq!((&status["properties"], &status["model"]), (&expected, &json!("mine")));
    }

    #[test]
    fn states_keep_their_order_and_a_path_that_stateright_found_stays() {
        let mut states =
            json!([{"action": "a", "properties": [["Always", "P1", null], ["Always", "P2b", "0/5"]]}]);
        front().fill_in(&mut states);
        let expected = json!([
            ["Always", "P1", null],
            ["Always", "P2b", "0/5"],
            ["Eventually", "chosen", "0/1/2"],
            ["Sometimes", "premise of P2b", "0/1/2"],
        ]);
        assert_eq!((&states[0]["properties"], &states[0]["model"]), (&expected, &Value::Null));
    }
}
