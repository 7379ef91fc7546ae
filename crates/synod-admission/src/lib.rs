//! The rules of admission: whether a member may take part, and what its peers must remember of it before anything it says has an effect.
//!
//! An actor that forgets what it saved and goes on can break every promise it made. So a member says in its greetings which
//! data directory it is on, which start of it this is, and how many saves it has made ([`Standing`]). Each peer remembers that
//! ([`Memory`]) before anything that rests on it leaves ([`Order`]). After a start a member takes part only when enough
//! of its peers have said what they remember, and its disk has all of that ([`Admittance`], [`Mine::lacks`]).
//!
//! The functions are pure. `synod-runtime` calls them where datagrams come in and a disk is flushed, and the models of
//! `models/admission` call the same functions. `proofs-notes/disks.md` says what follows from them, and what does not.

mod admittance;
mod answer;
mod changing;
mod memory;
mod order;
mod standing;

pub use admittance::{Admission, Admittance, Reason};
pub use answer::Answer;
pub use changing::{Members, Until};
pub use memory::Memory;
pub use order::{Order, Owed, Rests};
pub use standing::{Begun, Known, Lack, MOST_STARTS, Mine, Standing};
