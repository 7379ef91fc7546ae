//! The machines of `synod-machine` as sequential objects, for the tests and the bench of the judge. The judge itself knows no machine.

pub(crate) mod kv;
mod machine;

pub(crate) use kv::KvKey;
pub(crate) use machine::OfMachine;
