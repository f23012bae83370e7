//! One page of a list, as all services write it.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A thing that is listed.
pub(crate) trait Listed: DeserializeOwned {
    /// The key of the list: `servers`.
    const KEY: &'static str;

    /// Returns what the next page begins after.
    fn id(&self) -> &str;
}

/// One page. Nova and Neutron tell of the next by `servers_links`, Glance by `next`.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) has_next: bool,
}

#[derive(Deserialize)]
struct Link {
    rel: String,
}

struct PageVisitor<T>(PhantomData<T>);

impl<'de, T: Listed> Visitor<'de> for PageVisitor<T> {
    type Value = Page<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an object with `{}`", T::KEY)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Page<T>, A::Error> {
        let mut items = None;
        let mut has_next = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == T::KEY {
                items = Some(map.next_value()?);
            } else if key.strip_prefix(T::KEY) == Some("_links") {
                let links: Vec<Link> = map.next_value()?;
                has_next |= links.iter().any(|link| link.rel == "next");
            } else if key == "next" {
                has_next |= map.next_value::<Option<String>>()?.is_some();
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        let items = items.ok_or_else(|| serde::de::Error::missing_field(T::KEY))?;
        Ok(Page { items, has_next })
    }
}

impl<'de, T: Listed> Deserialize<'de> for Page<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PageVisitor(PhantomData))
    }
}
