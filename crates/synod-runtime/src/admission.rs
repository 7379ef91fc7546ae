//! The rule of `synod-admission`, by which the loop decides whether this process takes part.

pub use synod_admission::{
    Admission, Admittance, Answer, Members, Memory, Mine, Order, Owed, Reason, Rests, Until,
};
