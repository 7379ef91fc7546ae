//! The state that a member announces, and what others know of it.

pub use synod_admission::{Known, Standing};
