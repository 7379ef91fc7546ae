//! Words and colours for people: colours only where a terminal shows them, and no panic when the reader goes away.

use anstyle::{AnsiColor, Style};
use std::io::{ErrorKind, Write};
use std::time::Duration;

/// Something is wrong.
pub const RED: Style = AnsiColor::Red.on_default().bold();
/// All is well.
pub const GREEN: Style = AnsiColor::Green.on_default();
/// Cut short.
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
/// Less important.
pub const DIM: Style = Style::new().dimmed();

/// Prints a line on stdout. When whoever reads it has gone, there is nothing left to do.
pub fn line(text: &str) {
    let mut stdout = anstream::stdout().lock();
    if let Err(error) = writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        let status =
            if error.kind() == ErrorKind::BrokenPipe { crate::status::OK } else { crate::status::UNUSABLE };
        std::process::exit(i32::from(status));
    }
}

/// A text in a colour.
pub fn paint(style: Style, text: &str) -> String {
    format!("{}{text}{}", style.render(), style.render_reset())
}

/// A number with its thousands apart.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A duration as people say it.
pub fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 9.95 { format!("{seconds:.1} s") } else { format!("{seconds:.0} s") }
}

/// A size as people say it.
pub fn bytes(bytes: u64) -> String {
    bytesize::ByteSize(bytes).display().iec().to_string()
}

/// How many characters fit on a line, where stdout is a terminal.
pub fn width() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
}

/// A text in lines that fit, broken between words: the first begins after so many characters, all others after an indent.
pub fn wrapped(text: &str, after: usize, indent: usize, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    let (mut out, mut column) = (String::new(), after);
    for word in text.split(' ') {
        let length = word.chars().count();
        let is_first = out.is_empty();
        let space = usize::from(!is_first);
        if column + space + length > width && column > indent {
            out.push('\n');
            out.push_str(&" ".repeat(indent));
            column = indent + length;
        } else {
            out.push_str(&" ".repeat(space));
            column += space + length;
        }
        out.push_str(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_only_where_it_is_known_how_long_they_may_be() {
        let text = "holds (exhausted); untested: P2 P2a";
        assert_eq!(wrapped(text, 10, 2, None), text);
        assert_eq!(wrapped(text, 10, 2, Some(45)), text);
        assert_eq!(wrapped(text, 10, 2, Some(44)), "holds (exhausted); untested: P2\n  P2a");
        assert_eq!(wrapped(text, 10, 2, Some(29)), "holds (exhausted);\n  untested: P2 P2a");
        assert_eq!(wrapped(text, 40, 2, Some(30)), "\n  holds (exhausted); untested:\n  P2 P2a");
        assert_eq!(wrapped("a_long_word", 0, 2, Some(4)), "a_long_word", "there is nothing to break");
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
