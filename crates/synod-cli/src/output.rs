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
        let status = if error.kind() == ErrorKind::BrokenPipe { crate::OK } else { crate::UNUSABLE };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
