//! The `[liveness]` section of a model file. [`crate::liveness`] says what it means.

use serde::Deserialize;
use toml::Spanned;

/// The properties that must come about, and the assumptions; see [`crate::liveness`].
// Fields: one for each key that the table can have.
#[allow(clippy::struct_excessive_bools, reason = "each assumption is a switch of its own")]
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LivenessFile {
    /// `chosen`: some value is; `learned`: every learner that is up knows which; `led`: all proposers that are up follow one of them,
    /// which may begin ballots, and nobody else may, in the end and for ever; `answered`: every client has the answer to its command or question;
    /// `governed`: another set of members than the first governs.
    pub properties: Spanned<Vec<String>>,
    /// The distinguished proposer; the first one if left out.
    pub distinguished: Option<Spanned<String>>,
    /// Proposers for which 2 to 4 are assumed; the distinguished one alone if left out.
    pub served: Option<Spanned<Vec<String>>>,
    /// The quorum for which 3 and 4 are assumed; all acceptors if left out.
    pub quorum: Option<Spanned<Vec<String>>>,
    /// Assumption 1.
    #[serde(default = "yes")]
    pub alone: bool,
    /// Assumption 2.
    #[serde(default = "yes")]
    pub retries: bool,
    /// Assumption 3.
    #[serde(default = "yes")]
    pub asked: bool,
    /// Assumption 4.
    #[serde(default = "yes")]
    pub answered: bool,
    /// Assumption 5.
    #[serde(default = "yes")]
    pub patient: bool,
    /// Instead of 1: from some point on nobody else begins a ballot while something about the distinguished proposer's can still
    /// arrive.
    #[serde(default)]
    pub holds_off: bool,
    /// An assumption on elections: from some point on nobody suspects a process that is up.
    pub accurate: Option<Spanned<bool>>,
    /// An assumption on elections: a process that is down is suspected.
    pub complete: Option<Spanned<bool>>,
    /// An assumption on elections: heartbeats are sent, and arrive.
    pub beats: Option<Spanned<bool>>,
    /// Servers that hear no other server, though they are heard.
    pub deaf: Option<Spanned<Vec<String>>>,
}

fn yes() -> bool {
    true
}
