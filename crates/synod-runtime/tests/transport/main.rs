//! Datagrams between members and clients: what must pass passes, and nothing else does, whatever the network or an attacker
//! makes of it.

mod changing;
mod ends;
mod guests;
mod hostile;
mod passing;
