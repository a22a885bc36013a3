//! Categories of APIs: words in the name of a classic one, a list beside the document of an OAS one.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use crate::tyk::Error;

use super::Dashboard;

/// The categories that the name of a classic API ends in, `#a` and `#b` in `orders #a #b`.
pub fn categories_of(name: &str) -> BTreeSet<String> {
    let words = name.split_whitespace().rev();
    let suffixes = words
        .map_while(|word| word.strip_prefix('#'))
        .filter(|word| !word.is_empty());
    suffixes.map(str::to_owned).collect()
}

/// A name that ends in the categories; blanks inside of one become `-`, because they end it.
pub fn name_with_categories<'a>(name: &str, categories: impl IntoIterator<Item = &'a str>) -> String {
    let held = categories_of(name);
    let wanted: BTreeSet<String> = categories
        .into_iter()
        .map(|category| category.split_whitespace().collect::<Vec<_>>().join("-"))
        .filter(|category| !category.is_empty() && !held.contains(category))
        .collect();
    wanted.iter().fold(name.trim_end().to_owned(), |name, category| {
        format!("{name} #{category}")
    })
}

impl Dashboard {
    /// `GET /api/apis/oas/{id}/categories`; `None` if there is no such API.
    ///
    /// # Errors
    /// As for every call.
    pub async fn categories(&self, id: &str) -> Result<Option<BTreeSet<String>>, Error> {
        let found = self
            .call(Method::GET, &["apis", "oas", id, "categories"])?
            .found()
            .await?;
        let names = |found: serde_json::Value| {
            let names = found["categories"].as_array().into_iter().flatten();
            names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
        };
        Ok(found.map(names))
    }

    /// `PUT /api/apis/oas/{id}/categories`: replaces the categories of an OAS API.
    ///
    /// # Errors
    /// [`crate::tyk::Kind::NotFound`] when there is no such API, else as for every call.
    pub async fn set_categories(&self, id: &str, categories: &BTreeSet<String>) -> Result<(), Error> {
        let call = self.call(Method::PUT, &["apis", "oas", id, "categories"])?;
        call.body(&json!({"categories": categories})).done().await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_are_the_last_words_of_a_name() {
        let of = |name| categories_of(name).into_iter().collect::<Vec<_>>();
        assert_eq!(of("orders #b #a"), ["a", "b"]);
        assert_eq!(of("orders #1 of many"), Vec::<String>::new());
        assert_eq!(of("orders #"), Vec::<String>::new());
    }

    #[test]
    fn a_name_gets_each_category_once() {
        assert_eq!(name_with_categories("orders #a", ["b c", "a", ""]), "orders #a #b-c");
        assert_eq!(name_with_categories("orders", []), "orders");
    }
}
