//! The only place that knows actors, observers and properties: it runs handlers, asks properties, and gives every value a number.

pub(crate) mod alike;
mod ask;
mod doorway;
pub(crate) mod retrace;
mod sample;
pub(crate) mod steps;
pub(crate) mod values;
