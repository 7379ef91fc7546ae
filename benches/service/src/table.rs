//! The results as tables: medians over the rounds, and in how many rounds the store was ahead.

use crate::System;
use crate::load::Measured;
use std::collections::BTreeMap;
use std::fmt;

#[derive(Default)]
pub struct Results(BTreeMap<(&'static str, usize, System), Vec<Measured>>);

impl Results {
    pub fn add(&mut self, system: System, operation: &'static str, clients: usize, measured: Measured) {
        self.0.entry((operation, clients, system)).or_default().push(measured);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl fmt::Display for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| | clients | system | per s | p50 ms | p99 ms | CPU s per 1000 | flushes per operation and node | \
             synod's rate to it | rounds won |\n|---|--:|---|--:|--:|--:|--:|--:|--:|--:|"
        )?;
        for ((operation, clients, system), rounds) in &self.0 {
            let of = |what: fn(&Measured) -> f64| median(rounds.iter().map(what).collect());
            let flushes: Option<Vec<f64>> = rounds.iter().map(|one| one.flushes).collect();
            let flushes = flushes.map_or("-".to_owned(), |all| format!("{:.3}", median(all)));
            let ours =
                self.0.get(&(*operation, *clients, System::Synod)).filter(|_| *system != System::Synod);
            let (ratio, won) = match ours {
                None => ("-".to_owned(), "-".to_owned()),
                Some(ours) => {
                    let ratios: Vec<f64> =
                        ours.iter().zip(rounds).map(|(ours, it)| ours.per_second / it.per_second).collect();
                    let won = ratios.iter().filter(|ratio| **ratio > 1.0).count();
                    (format!("{:.2}", median(ratios.clone())), format!("{won} of {}", ratios.len()))
                }
            };
            writeln!(
                f,
                "| {operation} | {clients} | {system:?} | {:.0} | {:.2} | {:.2} | {:.3} | {flushes} | {ratio} | {won} |",
                of(|one| one.per_second),
                of(|one| one.p50_ms),
                of(|one| one.p99_ms),
                of(|one| one.cpu_per_1000),
            )?;
        }
        Ok(())
    }
}
