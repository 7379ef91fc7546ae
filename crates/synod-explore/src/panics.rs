//! Panics of user code are caught, silently and with their place; all other panics are reported as usual.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, resume_unwind};
use std::sync::Once;

thread_local! {
    static CAPTURING: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `f`; if it panics, returns the message and the place instead.
pub(crate) fn capture<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    let (mut f, mut result) = (Some(f), None);
    capture_erased(&mut || result = f.take().map(|f| f()))?;
    Ok(result.expect("it ran to its end"))
}

/// Does the work of [`capture`]. It knows no types, so that it is compiled once and not at each call.
fn capture_erased(f: &mut dyn FnMut()) -> Result<(), String> {
    install_hook();
    let outer = CAPTURING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    CAPTURING.set(outer);
    result.map_err(|payload| {
        let message = payload
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned());
        match PLACE.take() {
            Some(place) => format!("{message} (at {place})"),
            None => message,
        }
    })
}

/// Panics with a message that needs no place, as it is not the code around this call that is at fault.
pub(crate) fn reject(message: String) -> ! {
    resume_unwind(Box::new(message))
}

/// The hook is process-wide, so it is installed once and leaves alone every thread that is not capturing.
fn install_hook() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            if CAPTURING.get() {
                PLACE.set(info.location().map(ToString::to_string));
            } else {
                previous(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message_and_place() {
        let message = capture(|| panic!("no {}", "way")).unwrap_err();
        assert!(message.starts_with("no way (at ") && message.contains("panics.rs"), "{message}");
    }

    #[test]
    fn a_rejection_has_no_place() {
        let first: Result<(), _> = capture(|| panic!("one"));
        assert!(first.is_err());
        let message = capture(|| reject("two".to_owned())).unwrap_err();
        assert_eq!(message, "two");
    }

    #[test]
    fn nested_captures_keep_capturing() {
        let outer = capture(|| {
            let inner: Result<(), _> = capture(|| panic!("inner"));
            assert!(inner.is_err());
            panic!("outer")
        });
        let message: String = match outer {
            Err(message) => message,
            Ok(()) => unreachable!(),
        };
        assert!(message.starts_with("outer"), "{message}");
    }
}
