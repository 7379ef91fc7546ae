//! Tests of the front against a store in this process.

mod divided;
mod local;
mod oracle;
mod secret;
mod served;
mod spoken;
mod watched;
