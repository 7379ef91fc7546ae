//! `synod list`: the catalogue at a glance.

use crate::args::{Format, List, Select};
use crate::client;
use crate::client::args::{Asking, Keys};
use crate::output::{self, DIM, grouped, line, paint};
use serde_json::json;
use synod_model::{Model, Tier};

/// Runs the command: on models, or on the keys of a cluster.
pub fn run(args: &List) -> Result<u8, String> {
    if let [prefix] = args.select.paths.as_slice()
        && args.cluster.config.exists()
        && synod_model::from_path(prefix).is_err()
    {
        let format = match args.select.format {
            Format::Human => client::args::Format::Human,
            Format::Json => client::args::Format::Json,
            Format::Junit | Format::Github => return Err(FORMATS.to_owned()),
        };
        let asking = Asking { cluster: args.cluster.clone(), timeout: args.timeout, format };
        return client::keys(&Keys { prefix: prefix.clone(), stale: args.stale, asking });
    }
    models(&args.select)
}

const FORMATS: &str = "list prints --format human or json";

fn models(args: &Select) -> Result<u8, String> {
    let models = args.models(Tier::Nightly)?;
    match args.format {
        Format::Human => table(&models),
        Format::Json => models.iter().for_each(|model| line(&object(model))),
        Format::Junit | Format::Github => return Err(FORMATS.to_owned()),
    }
    Ok(crate::status::OK)
}

/// The columns that a narrow terminal does without, first to last: what can go wrong, the tier, the system, the states.
const DISPENSABLE: [usize; 4] = [2, 5, 1, 4];

fn table(models: &[Model]) {
    let rows: Vec<[String; 6]> = models.iter().map(cells).collect();
    let head = ["name", "system", "troubles", "expected", "states", "tier"].map(str::to_owned);
    let width = |column: usize| rows.iter().chain([&head]).map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let columns = fitting(&widths, output::width());
    let print = |row: &[String; 6]| {
        let cell = |index: &usize| match *index {
            4 => format!("{:>1$}", row[4], widths[4]),
            index => format!("{:1$}", row[index], widths[index]),
        };
        columns.iter().map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    line(&paint(DIM, &print(&head)));
    for row in &rows {
        line(&print(row));
    }
}

/// The columns that fit beside each other.
fn fitting(widths: &[usize; 6], terminal: Option<usize>) -> Vec<usize> {
    let mut columns: Vec<usize> = (0..widths.len()).collect();
    let length = |columns: &[usize]| columns.iter().map(|index| widths[*index] + 2).sum::<usize>() - 2;
    for column in DISPENSABLE {
        if terminal.is_none_or(|terminal| length(&columns) <= terminal) {
            break;
        }
        columns.retain(|index| *index != column);
    }
    columns
}

fn cells(model: &Model) -> [String; 6] {
    let expect = &model.file.expect;
    let expected = match (&expect.property, expect.steps) {
        (Some(property), Some(stem)) if expect.cycle.is_some() => {
            format!("violated: {property}: {stem} steps, then {} for ever", expect.cycle.unwrap_or(0))
        }
        (Some(property), Some(steps)) => format!("violated: {property} in {steps} steps"),
        (Some(property), None) => format!("violated: {property}"),
        _ => expect.verdict.to_string(),
    };
    let states = expect.unique_states.map_or_else(|| "-".to_owned(), grouped);
    [model.name.clone(), model.shape(), model.troubles(), expected, states, model.file.tier.to_string()]
}

fn object(model: &Model) -> String {
    let expect = &model.file.expect;
    json!({
        "name": model.name,
        "about": model.file.about,
        "system": model.shape(),
        "troubles": model.troubles(),
        "spec": model.file.spec,
        "expected": expect.verdict.word(),
        "property": expect.property,
        "unique_states": expect.unique_states,
        "reduces": model.reduces(),
        "tier": model.file.tier.to_string(),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_terminal_has_as_many_columns_as_fit() {
        let widths = [36, 10, 36, 24, 11, 4];
        assert_eq!(fitting(&widths, None), [0, 1, 2, 3, 4, 5]);
        assert_eq!(fitting(&widths, Some(131)), [0, 1, 2, 3, 4, 5]);
        assert_eq!(fitting(&widths, Some(130)), [0, 1, 3, 4, 5]);
        assert_eq!(fitting(&widths, Some(80)), [0, 3, 4]);
        assert_eq!(fitting(&widths, Some(10)), [0, 3], "these are what the list is for");
    }
}
