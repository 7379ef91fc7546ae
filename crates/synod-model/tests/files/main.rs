//! Model files: what is refused in them, what is said of claims that they do not put to the test, and how their runs are drawn.

mod admission;
mod drawn;
mod hollow;
mod refused;
