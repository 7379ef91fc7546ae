//! Judging a model file: every complaint has its place.

use crate::file::ModelError;
use std::ops::Range;
use toml::Spanned;

/// What is in hand while a file is being judged.
pub(crate) struct Judge<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
}

impl Judge<'_> {
    pub(crate) fn error<T>(&self, span: Range<usize>, message: impl Into<String>) -> Result<T, ModelError> {
        Err(ModelError::at(self.name, self.text, span, message))
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
                    format!("no {what} is named {wanted:?}; there are {}", names.join(", ")),
                )
            }
        };
        given.get_ref().iter().map(find).collect::<Result<_, _>>().map(Some)
    }
}
