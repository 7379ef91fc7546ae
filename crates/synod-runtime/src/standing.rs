//! What a member is at, and what others know of it.

pub use synod_admission::{Known, Standing};
