//! Which edit is in force. Only the copy below `target/guards` has this file.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

const UNKNOWN: usize = usize::MAX;
const RECORDING: usize = usize::MAX - 1;
const MOST: usize = 8192;

static EDIT: AtomicUsize = AtomicUsize::new(UNKNOWN);
static REACHED: [AtomicBool; MOST] = [const { AtomicBool::new(false) }; MOST];

fn edit() -> usize {
    match EDIT.load(Relaxed) {
        UNKNOWN => {
            let named = std::env::var("SYNOD_GUARD").ok().and_then(|text| text.parse().ok());
            EDIT.store(named.unwrap_or(0), Relaxed);
            named.unwrap_or(0)
        }
        known => known,
    }
}

/// Nothing is edited from now on, and it is noted which edits would have made a difference.
pub fn record() {
    REACHED.iter().for_each(|it| it.store(false, Relaxed));
    EDIT.store(RECORDING, Relaxed);
}

/// The edits that would have made a difference where they stand since recording began.
pub fn reached() -> Vec<usize> {
    (1..MOST).filter(|edit| REACHED[*edit].load(Relaxed)).collect()
}

fn reach(edit: usize) {
    if !REACHED[edit].load(Relaxed) {
        REACHED[edit].store(true, Relaxed);
    }
}

pub fn truth(yes: usize, no: usize, value: bool) -> bool {
    match edit() {
        0 => value,
        RECORDING => {
            reach(if value { no } else { yes });
            value
        }
        edit if edit == yes => true,
        edit if edit == no => false,
        _ => value,
    }
}

pub fn edge(at: usize, value: bool, other: bool) -> bool {
    let edit = edit();
    if edit == RECORDING && value != other {
        reach(at);
    }
    if edit == at { other } else { value }
}

pub fn on(at: usize) -> bool {
    let edit = edit();
    if edit == RECORDING {
        reach(at);
    }
    edit == at
}

pub fn unless(at: usize) -> bool {
    !on(at)
}

pub fn number<T>(more: usize, less: usize, value: T) -> T
where
    T: From<u8> + std::ops::Add<Output = T> + std::ops::Sub<Output = T>,
{
    match edit() {
        RECORDING => {
            reach(more);
            reach(less);
            value
        }
        edit if edit == more => value + T::from(1),
        edit if edit == less && less > 0 => value - T::from(1),
        _ => value,
    }
}
