//! The one trace grammar: a run as text, a step a line, that reads the same whoever wrote it.
//!
//! ```text
//! # synod trace 1
//! # model: two acceptors and a crash
//! deliver C1 -> P1  Request(x)
//! timeout P1  Retry
//! crash A1
//! recover A1
//! tick
//! drop P1 -> A2  Prepare(1.1)
//! cycle
//! random P1  key choice
//! ```
//!
//! The first line is fixed. Lines `# key: value` before the first step are headers, other lines that begin
//! with `#` are prose, and blank lines are left out. Messages, timers and choices are written as their `Debug`
//! form, in one line. The number of blanks between words does not matter, nor does the order of elements in braces, which differs for a
//! hash set each time.
//!
//! If several possible steps have the same words, as the `Debug` form of a message hides something, the line ends with a
//! number, such as `#2`: the place of the step among them, in the order in which they are possible there. Without it, such a line is refused.
//!
//! After a line `cycle` the steps repeat for ever: the run ends in the very state that it is in at that line. If
//! no step follows, the run stands still.

use crate::observer::Observer;
use crate::property::Expectation;
use crate::report::Status;
use crate::state::State;
use crate::system::System;
use crate::watch::Watch;
use crate::words::{canonical, words};
use crate::{Action, Subject, panics};
use std::fmt::{self, Display, Formatter, Write};

const FIRST_LINE: &str = "# synod trace 1";
/// The line of the word `cycle`.
const CYCLE: &str = "cycle";

/// A trace as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceText {
    /// The headers of the trace: key and value.
    pub headers: Vec<(String, String)>,
    /// The steps, in order.
    pub steps: Vec<Line>,
    /// The number of steps before the cycle, if there is one.
    pub cycle: Option<usize>,
}

/// A step as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The line it is on, from 1.
    pub line: usize,
    /// The column of its first character, from 1.
    pub column: usize,
    /// The step.
    pub text: String,
}

/// An error in a trace, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// The error in words.
    pub message: String,
}

impl Display for TraceError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for TraceError {}

/// A trace with the actions it stands for.
pub struct Resolved<A: Subject, O: Observer<A>> {
    /// The actions, in order.
    pub actions: Vec<Action<A>>,
    /// The states before, between and after them: one more than there are actions.
    pub states: Vec<State<A, O>>,
    /// The number of actions before the cycle, if there is one. The last state is then the first one of the cycle.
    pub cycle: Option<usize>,
}

/// The status of a property along a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Its name.
    pub property: &'static str,
    /// The expectation.
    pub expectation: Expectation,
    /// The status, as far as the trace goes.
    pub status: Status,
    /// After how many steps it was decided.
    pub step: Option<usize>,
    /// The breach, in words.
    pub detail: Option<String>,
}

/// Why a run could not be done again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayError {
    /// The step, from 1; 0 for the start.
    pub step: usize,
    /// The error in words.
    pub message: String,
}

impl Display for ReplayError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}", self.step, self.message)
    }
}

impl std::error::Error for ReplayError {}

/// Reads a trace.
///
/// # Errors
/// If a line is not in the grammar.
pub fn parse(text: &str) -> Result<TraceText, TraceError> {
    let mut trace = TraceText::default();
    let mut lines = (1..).zip(text.lines());
    if lines.next().is_none_or(|(_, first)| words(first) != FIRST_LINE) {
        let message = format!("a trace begins with the line {FIRST_LINE:?}");
        return Err(TraceError { line: 1, column: 1, message });
    }
    for (line, raw) in lines {
        let text = raw.trim();
        if let Some(comment) = text.strip_prefix('#') {
            let header = comment.split_once(':').map(|(key, value)| (key.trim(), value.trim()));
            if let Some((key, value)) = header
                && trace.steps.is_empty()
                && !key.is_empty()
                && !key.contains(char::is_whitespace)
            {
                trace.headers.push((key.to_owned(), value.to_owned()));
            }
        } else if text == CYCLE {
            if trace.cycle.is_some() {
                let (column, message) = (1, "a run has one cycle, and it began above".to_owned());
                return Err(TraceError { line, column, message });
            }
            trace.cycle = Some(trace.steps.len());
        } else if !text.is_empty() {
            let column = 1 + raw.chars().take_while(|c| c.is_whitespace()).count();
            check_grammar(text).map_err(|(offset, message)| TraceError {
                line,
                column: column + offset,
                message,
            })?;
            trace.steps.push(Line { line, column, text: text.to_owned() });
        }
    }
    Ok(trace)
}

/// Checks that a step is in the grammar. If not, returns the place of the error, and the reason.
fn check_grammar(text: &str) -> Result<(), (usize, String)> {
    let mut rest = Words { text, at: 0 };
    let verb = rest.next().unwrap_or_default();
    let needs_actor = |rest: &mut Words<'_>| {
        let at = rest.ahead();
        let missing = || (at, format!("{verb} what? The name of an actor is missing"));
        rest.next().map(|_| ()).ok_or_else(missing)
    };
    let needs_more = |rest: &mut Words<'_>, what: &str| {
        let at = rest.ahead();
        rest.next().map(|_| ()).ok_or((at, format!("{what} is missing")))
    };
    match verb {
        "deliver" | "drop" => {
            needs_actor(&mut rest)?;
            let at = rest.ahead();
            if rest.next() != Some("->") {
                return Err((at, format!("expected '->', as in '{verb} A -> B  message'")));
            }
            needs_actor(&mut rest)?;
            needs_more(&mut rest, "the message")
        }
        "timeout" => {
            needs_actor(&mut rest)?;
            needs_more(&mut rest, "the timer")
        }
        "crash" | "recover" => {
            needs_actor(&mut rest)?;
            let at = rest.ahead();
            rest.next().map_or(Ok(()), |word| Err((at, format!("nothing is expected here, but {word:?}"))))
        }
        "tick" => {
            let at = rest.ahead();
            rest.next().map_or(Ok(()), |word| Err((at, format!("nothing is expected here, but {word:?}"))))
        }
        "random" => {
            needs_actor(&mut rest)?;
            needs_more(&mut rest, "the key of the choice")?;
            needs_more(&mut rest, "the choice")
        }
        _ => Err((
            0,
            format!("{verb:?} is no step: deliver, drop, timeout, crash, recover, random or tick is"),
        )),
    }
}

/// The words of a text, each with its start.
struct Words<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Words<'t> {
    /// The start of the next word, in characters.
    fn ahead(&self) -> usize {
        let blank = self.text[self.at..].len() - self.text[self.at..].trim_start().len();
        self.text[..self.at + blank].chars().count()
    }

    fn next(&mut self) -> Option<&'t str> {
        let rest = self.text[self.at..].trim_start();
        let start = self.text.len() - rest.len();
        let end = start + rest.find(char::is_whitespace).unwrap_or(rest.len());
        self.at = end;
        (end > start).then(|| &self.text[start..end])
    }
}

impl TraceText {
    /// Writes a run down. It is done again for that, as far as it can be, to see which words name more than one step.
    pub fn record<A: Subject, O: Observer<A>>(system: &System<A, O>, actions: &[Action<A>]) -> Self {
        let mut state = panics::capture(|| system.initial()).ok();
        let line = |(line, action): (usize, &Action<A>)| {
            let mut text = line_of(system, action);
            let at = state.take();
            let is_possible = |at: &State<A, O>| system.is_possible(at, action);
            if let Some(at) = at.filter(|at| panics::capture(|| is_possible(at)) == Ok(true)) {
                let like = alike(system, &at, &canonical(&words(&text)));
                if let Some(number) = like.iter().position(|other| other == action).filter(|_| like.len() > 1)
                {
                    // Writing to a string does not fail.
                    let _ = write!(text, " #{}", number + 1);
                }
                state =
                    panics::capture(|| system.take(&at, action)).ok().map(|taken| taken.next.unwrap_or(at));
            }
            Line { line, column: 1, text }
        };
        Self { headers: Vec::new(), steps: (2..).zip(actions).map(line).collect(), cycle: None }
    }

    /// Marks the start of the cycle, after so many steps.
    #[must_use]
    pub fn with_cycle(mut self, after: Option<usize>) -> Self {
        self.cycle = after;
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((key.into(), value.into()));
        self
    }

    /// Finds the actions a trace stands for by doing it again, step by step.
    ///
    /// An action that is possible and ignored is allowed, and does not change the state.
    ///
    /// # Errors
    /// If a step is not possible at its place, with the possible ones; if it leads to a state that cannot be
    /// rewritten; if a cycle does not return to its first state; or if user code panics.
    pub fn resolve<A: Subject, O: Observer<A>>(
        &self,
        system: &System<A, O>,
    ) -> Result<Resolved<A, O>, TraceError> {
        let initial = panics::capture(|| system.initial()).map_err(|message| TraceError {
            line: 1,
            column: 1,
            message,
        })?;
        let mut state = initial.clone();
        let mut resolved = Resolved { actions: Vec::new(), states: vec![initial], cycle: self.cycle };
        for step in &self.steps {
            let error = |message| TraceError { line: step.line, column: step.column, message };
            let asked = words(&step.text);
            let action = find(system, &state, &asked).map_err(error)?;
            let taken = panics::capture(|| system.take(&state, &action)).map_err(error)?;
            if taken.cut {
                return Err(error(out_of_bounds(system, &asked)));
            }
            state = taken.next.unwrap_or(state);
            resolved.actions.push(action);
            resolved.states.push(state.clone());
        }
        if let Some(first) = self.cycle.and_then(|after| resolved.states.get(after))
            && *first != state
        {
            let message =
                "the cycle does not come back: after this step the state is not the one in which it begins";
            let (line, column) = self.steps.last().map_or((1, 1), |last| (last.line, last.column));
            return Err(TraceError { line, column, message: message.to_owned() });
        }
        Ok(resolved)
    }

    /// The same of a trace whose last step panics: what comes before it, the step, and what the panic said. `None` if that is not how it
    /// ends.
    pub fn resolve_panic<A: Subject, O: Observer<A>>(
        &self,
        system: &System<A, O>,
    ) -> Option<(Resolved<A, O>, Action<A>, String)> {
        let (last, before) = self.steps.split_last()?;
        let before = Self { headers: Vec::new(), steps: before.to_vec(), cycle: None };
        let run = before.resolve(system).ok()?;
        let state = run.states.last()?;
        let action = find(system, state, &words(&last.text)).ok()?;
        let message = panics::capture(|| system.take(state, &action)).err()?;
        Some((run, action, message))
    }
}

impl Display for TraceText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        for (key, value) in &self.headers {
            writeln!(f, "# {key}: {}", words(value))?;
        }
        for (before, step) in self.steps.iter().enumerate() {
            if self.cycle == Some(before) {
                writeln!(f, "{CYCLE}")?;
            }
            writeln!(f, "{}", step.text)?;
        }
        if self.cycle == Some(self.steps.len()) { writeln!(f, "{CYCLE}") } else { Ok(()) }
    }
}

/// A run as text.
pub fn render<A: Subject, O: Observer<A>>(system: &System<A, O>, actions: &[Action<A>]) -> String {
    TraceText::record(system, actions).to_string()
}

/// An action as a line of a trace.
pub fn line_of<A: Subject, O: Observer<A>>(system: &System<A, O>, action: &Action<A>) -> String {
    let name = |id| system.name(id);
    match action {
        Action::<A>::Deliver { src, dst, msg } => {
            format!("deliver {} -> {}  {}", name(*src), name(*dst), words(&format!("{msg:?}")))
        }
        Action::<A>::Drop(e) => {
            format!("drop {} -> {}  {}", name(e.src), name(e.dst), words(&format!("{:?}", e.msg)))
        }
        Action::<A>::Timeout(id, timer) => format!("timeout {}  {}", name(*id), words(&format!("{timer:?}"))),
        Action::<A>::Crash(id) => format!("crash {}", name(*id)),
        Action::<A>::Recover(id) => format!("recover {}", name(*id)),
        Action::<A>::Tick => "tick".to_owned(),
        Action::<A>::SelectRandom { actor, key, random } => {
            format!("random {}  {} {}", name(*actor), words(key), words(&format!("{random:?}")))
        }
    }
}

/// The possible actions that certain words name, each once, in order.
fn alike<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    state: &State<A, O>,
    canonical_words: &str,
) -> Vec<Action<A>> {
    let mut named = Vec::new();
    for action in system.possible(state) {
        let is_named = canonical(&words(&line_of(system, &action))) == canonical_words;
        if is_named && !named.contains(&action) {
            named.push(action);
        }
    }
    named
}

/// The possible action that a line names.
fn find<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    state: &State<A, O>,
    asked: &str,
) -> Result<Action<A>, String> {
    let named = alike(system, state, &canonical(asked));
    if let [action] = named.as_slice() {
        return Ok(action.clone());
    }
    if !named.is_empty() {
        // Actions that differ only in the order of their words, such as a list in braces, are distinguished by it.
        let mut exact = named.iter().filter(|action| words(&line_of(system, action)) == asked);
        return match (exact.next(), exact.next()) {
            (Some(action), None) => Ok(action.clone()),
            _ => Err(format!(
                "{} steps that are possible here have these words: {asked}\nsay which, from \"{asked} #1\" to \"#{}\"",
                named.len(),
                named.len()
            )),
        };
    }
    let numbered =
        asked.rsplit_once(" #").and_then(|(asked, number)| Some((asked, number.parse::<usize>().ok()?)));
    if let Some((asked, number)) = numbered {
        let mut named = alike(system, state, &canonical(asked));
        let steps = named.len();
        if (1..=steps).contains(&number) {
            return Ok(named.swap_remove(number - 1));
        }
        if steps > 0 {
            return Err(format!(
                "no step here is number {number} of those with these words, of which there are {steps}: {asked}"
            ));
        }
    }
    let possible = system.possible(state);
    Err(not_possible(asked, possible.iter().map(|action| words(&line_of(system, action))).collect()))
}

/// The most possible actions that an error about an impossible one lists.
const SHOWN: usize = 6;

fn out_of_bounds<A: Subject, O: Observer<A>>(system: &System<A, O>, asked: &str) -> String {
    format!("out of bounds ({}): {asked}", system.describe_bounds())
}

fn not_possible(asked: &str, mut possible: Vec<String>) -> String {
    let mut message = format!("not possible here: {asked}");
    if possible.is_empty() {
        message.push_str("\nnothing is possible here");
        return message;
    }
    possible.sort_by_cached_key(|text| distance(asked, text));
    message.push_str("\npossible here, the closest first:");
    for text in possible.iter().take(SHOWN) {
        message.push_str("\n  ");
        message.push_str(text);
    }
    if possible.len() > SHOWN {
        // Writing to a string does not fail.
        let _ = write!(message, "\n  and {} more", possible.len() - SHOWN);
    }
    message
}

/// The edit distance between two texts, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Does a run again and asks every property at every state, and about every step that was noted.
///
/// One answer a property, in order.
///
/// # Errors
/// If an action is not possible at its place, or user code panics.
pub fn judge<A: Subject, O: Observer<A>>(
    system: &System<A, O>,
    actions: &[Action<A>],
) -> Result<Vec<Judged>, ReplayError> {
    let failed = |step| move |message| ReplayError { step, message };
    let mut watch = Watch::new(system);
    let mut state = panics::capture(|| system.initial()).map_err(failed(0))?;
    panics::capture(|| watch.see(0, &state, None)).map_err(failed(0))?;
    for (step, action) in (1..).zip(actions) {
        if !system.is_possible(&state, action) {
            return Err(failed(step)(format!("not possible here: {}", system.describe(action))));
        }
        let taken = panics::capture(|| system.take(&state, action)).map_err(failed(step))?;
        if taken.cut {
            return Err(failed(step)(out_of_bounds(system, &system.describe(action))));
        }
        state = taken.next.unwrap_or(state);
        panics::capture(|| watch.see(step, &state, taken.note.as_ref())).map_err(failed(step))?;
    }
    let asked = system.properties.iter().zip(watch.decided).filter(|(property, _)| !property.is_premise());
    let judged = asked.map(|(property, decided)| Judged {
        property: property.name,
        expectation: property.expectation,
        status: match &decided {
            Some(_) => property.expectation.decided(),
            None => property.expectation.undecided(),
        },
        step: decided.as_ref().map(|decided| decided.step),
        detail: decided.map(|decided| decided.detail).filter(|detail| !detail.is_empty()),
    });
    Ok(judged.collect())
}
