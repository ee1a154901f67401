//! The attributes of an element over the defaults of its class, read one by one: what nobody read is an error.

use super::xml::{Attribute, Element};
use crate::model::ModelError;

/// Attributes that only change how things look or how they are listed.
const APPEARANCE: &[&str] = &["rgba", "material", "group", "user"];

/// What is still unread of an element and its defaults.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    element: &'a Element,
    unread: Vec<&'a Attribute>,
}

impl<'a> Fields<'a> {
    /// The element's own attributes, and those of `defaults` that it does not have itself.
    pub(super) fn new(element: &'a Element, defaults: &'a [Attribute]) -> Self {
        let inherited = defaults
            .iter()
            .filter(|a| element.attribute(&a.name).is_none());
        let unread = element.attributes.iter().chain(inherited).collect();
        Self { element, unread }
    }

    /// Whether the attribute is there and unread.
    pub(super) fn has(&self, name: &str) -> bool {
        self.unread.iter().any(|attribute| attribute.name == name)
    }

    /// The attribute as text.
    pub(super) fn text(&mut self, name: &str) -> Option<&'a str> {
        self.take(name).map(|attribute| attribute.value.as_str())
    }

    /// The attribute as text, which must be there.
    pub(super) fn needed(&mut self, name: &str) -> Result<&'a str, ModelError> {
        self.text(name)
            .ok_or_else(|| self.element.wrong(format!("{name} is missing")))
    }

    /// One number.
    pub(super) fn number(&mut self, name: &str, default: f64) -> Result<f64, ModelError> {
        Ok(self.exactly::<1>(name)?.map_or(default, |[number]| number))
    }

    /// Exactly `N` numbers, or nothing.
    pub(super) fn exactly<const N: usize>(
        &mut self,
        name: &str,
    ) -> Result<Option<[f64; N]>, ModelError> {
        let Some(attribute) = self.take(name) else {
            return Ok(None);
        };
        let numbers = self.numbers_of(attribute)?;
        let wrong = |found: Vec<f64>| {
            attribute.wrong(
                self.element,
                format!("has {} numbers, expected {N}", found.len()),
            )
        };
        numbers.try_into().map(Some).map_err(wrong)
    }

    /// At most `N` numbers; those left out keep their defaults.
    pub(super) fn at_most<const N: usize>(
        &mut self,
        name: &str,
        mut default: [f64; N],
    ) -> Result<[f64; N], ModelError> {
        let Some(attribute) = self.take(name) else {
            return Ok(default);
        };
        let numbers = self.numbers_of(attribute)?;
        if numbers.len() > N {
            let reason = format!("has {} numbers, expected at most {N}", numbers.len());
            return Err(attribute.wrong(self.element, reason));
        }
        default[..numbers.len()].copy_from_slice(&numbers);
        Ok(default)
    }

    /// A whole number from 0 on.
    pub(super) fn whole(&mut self, name: &str, default: u32) -> Result<u32, ModelError> {
        let Some(attribute) = self.take(name) else {
            return Ok(default);
        };
        let Ok(number) = attribute.value.trim().parse() else {
            return Err(attribute.wrong(self.element, "is no whole number from 0 on"));
        };
        Ok(number)
    }

    /// One of a few words, by what it stands for.
    pub(super) fn word<T: Copy>(
        &mut self,
        name: &str,
        default: T,
        words: &[(&str, T)],
    ) -> Result<T, ModelError> {
        let Some(attribute) = self.take(name) else {
            return Ok(default);
        };
        let found = words.iter().find(|(word, _)| *word == attribute.value);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let reason = format!(
                "is \"{}\", and the subset knows {}",
                attribute.value,
                known.join(", ")
            );
            attribute.wrong(self.element, reason)
        })
    }

    /// Refuses each attribute whose numbers are others than these, because they would mean what the subset leaves out.
    pub(super) fn only(&mut self, allowed: &[(&str, f64)]) -> Result<(), ModelError> {
        for (name, number) in allowed {
            let Some(attribute) = self.take(name) else {
                continue;
            };
            if self
                .numbers_of(attribute)?
                .iter()
                .any(|found| found != number)
            {
                let reason = format!(
                    "is \"{}\", and the subset knows only {number}",
                    attribute.value
                );
                return Err(attribute.wrong(self.element, reason));
            }
        }
        Ok(())
    }

    /// Puts aside attributes that change nothing here.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        self.unread
            .retain(|attribute| !names.contains(&attribute.name.as_str()));
    }

    /// Whatever is still unread, other than looks, is outside the subset.
    pub(super) fn finish(mut self) -> Result<(), ModelError> {
        self.ignore(APPEARANCE);
        match self.unread.first() {
            None => Ok(()),
            Some(attribute) => Err(attribute.wrong(self.element, "is outside the subset")),
        }
    }

    fn take(&mut self, name: &str) -> Option<&'a Attribute> {
        let index = self
            .unread
            .iter()
            .position(|attribute| attribute.name == name)?;
        Some(self.unread.remove(index))
    }

    fn numbers_of(&self, attribute: &Attribute) -> Result<Vec<f64>, ModelError> {
        let words = attribute.value.split_whitespace();
        let numbers = words.map(|word| match word.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(attribute.wrong(self.element, format!("has \"{word}\", expected a number"))),
        });
        numbers.collect()
    }
}
