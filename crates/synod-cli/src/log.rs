//! What a member says of its life, on stderr: a line for people, or one JSON object a line.

use crate::args::{LogFormat, LogLevel};
use crate::output::{DIM, RED, YELLOW, paint};
use std::fmt::{self, Debug};
use std::io::IsTerminal;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::registry::LookupSpan;

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> LevelFilter {
        match level {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
        }
    }
}

/// Has everything from a level on printed from now on. Call it once.
pub fn start(format: LogFormat, level: LogLevel) {
    let builder =
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(LevelFilter::from(level));
    match format {
        LogFormat::Json => {
            builder
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .with_target(false)
                .init();
        }
        LogFormat::Human => {
            let choice = anstream::AutoStream::choice(&std::io::stderr());
            let colours = choice != anstream::ColorChoice::Never && std::io::stderr().is_terminal();
            builder.with_ansi(colours).event_format(Lines).init();
        }
    }
}

/// Lines that name the member first.
struct Lines;

/// The fields of a line.
#[derive(Default)]
struct Fields {
    message: String,
    member: String,
    instance: String,
    ballot: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let place = match field.name() {
            "message" => &mut self.message,
            "member" => &mut self.member,
            "instance" => &mut self.instance,
            "ballot" => &mut self.ballot,
            // The message has them.
            _ => return,
        };
        *place = format!("{value:?}");
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, tracing_subscriber::fmt::format::DefaultFields>
    for Lines
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, tracing_subscriber::fmt::format::DefaultFields>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields { message, member, instance, ballot } = fields;
        let mut place = String::new();
        if !ballot.is_empty() {
            place = format!(" (ballot {ballot}, instance {instance})");
        }
        if !out.has_ansi_escapes() {
            return writeln!(out, "member {member} {message}{place}");
        }
        let message = match *event.metadata().level() {
            Level::ERROR => paint(RED, &message),
            Level::WARN => paint(YELLOW, &message),
            _ => message,
        };
        writeln!(out, "{} {message}{}", paint(DIM, &format!("member {member}")), paint(DIM, &place))
    }
}
