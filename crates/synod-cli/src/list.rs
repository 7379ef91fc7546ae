//! `synod list`: the catalogue at a glance.

use crate::args::{Format, Select};
use crate::output::{DIM, grouped, line, paint};
use serde_json::json;
use synod_model::{Model, Tier};

/// Runs the command.
pub fn run(args: &Select) -> Result<u8, String> {
    let models = args.models(Tier::Nightly)?;
    match args.format {
        Format::Human => table(&models),
        Format::Json => models.iter().for_each(|model| line(&object(model))),
        Format::Junit | Format::Github => return Err("list prints --format human or json".to_owned()),
    }
    Ok(crate::OK)
}

fn table(models: &[Model]) {
    let rows: Vec<[String; 6]> = models.iter().map(cells).collect();
    let head = ["name", "system", "troubles", "expected", "states", "tier"].map(str::to_owned);
    let width = |column: usize| rows.iter().chain([&head]).map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let print = |row: &[String; 6]| {
        let cell = |(index, text): (usize, &String)| {
            if index == 4 {
                format!("{text:>0$}", widths[index])
            } else {
                format!("{text:0$}", widths[index])
            }
        };
        row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    line(&paint(DIM, &print(&head)));
    for row in &rows {
        line(&print(row));
    }
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
