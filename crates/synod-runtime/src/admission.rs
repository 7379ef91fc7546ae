//! Whether this process may take part: the rule of `synod-admission`, as the loop follows it.

pub use synod_admission::{Admission, Admittance, Answer, Memory, Mine, Order, Reason};
