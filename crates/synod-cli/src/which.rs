//! The argument that names a cluster.

use clap::Args as ClapArgs;
use std::path::PathBuf;

/// Which cluster.
#[derive(Clone, ClapArgs)]
pub struct Where {
    /// The configuration file of the cluster
    #[arg(long, value_name = "FILE", default_value = "cluster.toml", env = "SYNOD_CONFIG")]
    pub config: PathBuf,
}
