//! The errors of a model file. Each has its place.

use crate::file::{ModelError, ModelFile};
use crate::near::meant;
use std::ops::Range;
use synod::Instance;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The name and the text of a file that is being judged.
pub(crate) struct Judge<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
}

impl Judge<'_> {
    pub(crate) fn error<T>(&self, span: Range<usize>, message: impl Into<String>) -> Result<T, ModelError> {
        Err(ModelError::at(self.name, self.text, span, message))
    }

    /// The place of a key's value, such as that of `["faults", "down"]`. If the key is left out, the place of its section, or where that would be.
    pub(crate) fn place(&self, path: &[&str]) -> Range<usize> {
        let Ok(table) = DeTable::parse(self.text) else { return 0..0 };
        let (mut table, mut found) = (table.get_ref(), 0..0);
        for key in path {
            let Some((_, value)) = table.iter().find(|(name, _)| name.get_ref() == key) else { break };
            found = value.span();
            let DeValue::Table(below) = value.get_ref() else { break };
            table = below;
        }
        found
    }

    /// A count that must lie within bounds.
    pub(crate) fn count(
        &self,
        what: &str,
        given: &Spanned<i64>,
        least: i64,
        most: i64,
    ) -> Result<usize, ModelError> {
        let count = *given.get_ref();
        if count < least || count > most {
            return self.error(given.span(), format!("{what} = {count}: must be from {least} to {most}"));
        }
        Ok(usize::try_from(count).expect("checked to be small and not negative"))
    }

    /// The instance that each of so many clients asks about.
    pub(crate) fn instances(&self, file: &ModelFile, clients: usize) -> Result<Vec<Instance>, ModelError> {
        let Some(given) = &file.system.instances else { return Ok(vec![Instance::FIRST; clients]) };
        if file.log.is_some() {
            let message =
                "instances: servers that keep a log choose the instance of each command; leave it out";
            return self.error(given.span(), message);
        }
        if given.get_ref().len() != clients {
            let message =
                format!("instances: there are {clients} clients, readers included; name one for each");
            return self.error(given.span(), message);
        }
        Ok(given.get_ref().iter().copied().map(Instance).collect())
    }

    /// Names that must be known.
    pub(crate) fn known<T>(
        &self,
        what: &str,
        given: Option<&Spanned<Vec<String>>>,
        all: &'static [T],
        name: fn(&T) -> &'static str,
    ) -> Result<Option<Vec<&'static T>>, ModelError> {
        let Some(given) = given else { return Ok(None) };
        let find = |wanted: &String| match all.iter().find(|one| name(one) == wanted) {
            Some(one) => Ok(one),
            None => {
                let names: Vec<_> = all.iter().map(name).collect();
                self.error(
                    given.span(),
                    format!(
                        "no {what} is named {wanted:?}; there are {}{}",
                        names.join(", "),
                        meant(wanted, names.iter().copied())
                    ),
                )
            }
        };
        given.get_ref().iter().map(find).collect::<Result<_, _>>().map(Some)
    }
}
