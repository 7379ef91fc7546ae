//! The arguments of `synod member`.

use crate::which::Where;
use crate::words;
use clap::{Args as ClapArgs, Subcommand};
use std::net::SocketAddr;
use std::time::Duration;

#[derive(ClapArgs)]
#[command(after_help = "\
Asks a member of this machine by the socket in its data directory, so whoever owns that may change the members. It needs a [members] table in the configuration, with which the cluster was made.
Exit status: 0 done, 1 refused, with no effect now or later, 2 no member of this machine was reached, 3 it may or may not have taken effect, or what it leads to was not seen in time.

Examples:
  synod member list
  synod member add 3 --address 10.0.0.4:7100
  synod member replace 1 4 --address 10.0.0.5:7100     also where the disk of member 1 is lost
  synod member remove 3
  synod member set-address 2 10.0.0.9:7100")]
pub struct Member {
    #[command(subcommand)]
    pub what: What,
}

#[derive(Subcommand)]
pub enum What {
    /// Says who the members are, as one of them knows it
    List(List),
    /// Adds a new member: it learns what is stored, and joins once it has caught up
    Add(Add),
    /// Removes a member, or one that has not joined yet
    Remove(Remove),
    /// Puts a new member in the place of another one
    Replace(Replace),
    /// Says where a member is found that has moved
    SetAddress(SetAddress),
}

/// Which member is asked.
#[derive(Clone, ClapArgs)]
pub struct Asked {
    #[command(flatten)]
    pub cluster: Where,
    /// The member that is asked [default: the first of the configuration that answers on this machine]
    #[arg(id = "asked", long = "id", value_name = "N", value_parser = words::number)]
    pub id: Option<u64>,
}

/// Which member is asked, how long, and on which configuration the change rests.
#[derive(Clone, ClapArgs)]
pub struct Changing {
    #[command(flatten)]
    pub asked: Asked,
    /// The number of the configuration that is changed, as `synod member list` has it; on another one, the change is refused [default: the present one]
    #[arg(long, value_name = "K", value_parser = words::number)]
    pub on: Option<u64>,
    /// How long to wait until it is done, such as 30s or 10m; a member waits for the log for 10m at most
    #[arg(long, value_parser = words::duration, default_value = "1m")]
    pub timeout: Duration,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  synod member list
  synod member list --id 2 --json")]
pub struct List {
    #[command(flatten)]
    pub asked: Asked,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(ClapArgs)]
#[command(after_help = "\
An id is used once in the life of a cluster. Start the new member with an empty data directory, before or after this.

Examples:
  synod member add 3 --address 10.0.0.4:7100")]
pub struct Add {
    /// The id of the new member, from 0 to 127
    #[arg(value_parser = words::number)]
    pub id: u64,
    /// Where the others find it [default: the address in its [[member]] table]
    #[arg(long, value_name = "ADDR", value_parser = words::address)]
    pub address: Option<SocketAddr>,
    #[command(flatten)]
    pub changing: Changing,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Waits until the removed member may be switched off: until a majority of the others has on its disks all that it took part in.

Examples:
  synod member remove 1")]
pub struct Remove {
    /// The member
    #[arg(value_parser = words::number)]
    pub id: u64,
    #[command(flatten)]
    pub changing: Changing,
}

#[derive(ClapArgs)]
#[command(after_help = "\
The new member learns what is stored, and takes the place of the other one in the step in which it joins. So a member whose disk is lost is replaced by itself under a new id, with an empty data directory.

Examples:
  synod member replace 1 4 --address 10.0.0.5:7100")]
pub struct Replace {
    /// The member that leaves
    #[arg(value_parser = words::number)]
    pub old: u64,
    /// The id of the new one, from 0 to 127
    #[arg(value_parser = words::number)]
    pub new: u64,
    /// Where the others find it [default: the address in its [[member]] table]
    #[arg(long, value_name = "ADDR", value_parser = words::address)]
    pub address: Option<SocketAddr>,
    #[command(flatten)]
    pub changing: Changing,
}

#[derive(ClapArgs)]
#[command(after_help = "\
Examples:
  synod member set-address 2 10.0.0.9:7100")]
pub struct SetAddress {
    /// The member
    #[arg(value_parser = words::number)]
    pub id: u64,
    /// Where the others find it from now on
    #[arg(value_parser = words::address)]
    pub address: SocketAddr,
    #[command(flatten)]
    pub changing: Changing,
}
