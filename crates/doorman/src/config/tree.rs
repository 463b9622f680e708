//! Configuration values with the place where each was written.

use super::path::{Path, Step};
use std::collections::BTreeMap;
use std::ops::Range;

/// A value and its place, in bytes of the document's text.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it was written.
    pub span: Range<usize>,
    /// What it is.
    pub value: Value,
}

/// A table's entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where the key was written.
    pub key_span: Range<usize>,
    /// The value.
    pub node: Node,
}

/// By key.
pub type Table = BTreeMap<String, Entry>;

/// TOML's types.
#[derive(Clone, Debug)]
pub enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// Nothing in a configuration is a date; kept to be refused in its place.
    Datetime,
    Array(Vec<Node>),
    Table(Table),
}

impl Node {
    /// The value below this one at `path`.
    pub fn find(&self, path: &Path) -> Option<&Node> {
        path.steps().iter().try_fold(self, |node, step| match (&node.value, step) {
            (Value::Table(table), Step::Key(key)) => table.get(key).map(|entry| &entry.node),
            (Value::Array(array), Step::Index(index)) => array.get(*index),
            _ => None,
        })
    }

    /// As [`Node::find`], to change it.
    pub fn find_mut(&mut self, path: &Path) -> Option<&mut Node> {
        path.steps().iter().try_fold(self, |node, step| match (&mut node.value, step) {
            (Value::Table(table), Step::Key(key)) => table.get_mut(key).map(|entry| &mut entry.node),
            (Value::Array(array), Step::Index(index)) => array.get_mut(*index),
            _ => None,
        })
    }

    /// Where the key at the end of `path` was written, or the value if it has no key.
    pub fn key_span(&self, path: &Path) -> Option<Range<usize>> {
        if let (Some(parent), Some(Step::Key(key))) = (path.parent(), path.steps().last())
            && let Some(Value::Table(table)) = self.find(&parent).map(|node| &node.value)
        {
            return table.get(key).map(|entry| entry.key_span.clone());
        }
        self.find(path).map(|node| node.span.clone())
    }

    /// Takes out what is at `path`; later elements of an array move up. Whether there was anything.
    pub fn remove(&mut self, path: &Path) -> bool {
        let (Some(parent), Some(last)) = (path.parent(), path.steps().last()) else { return false };
        match (self.find_mut(&parent).map(|node| &mut node.value), last) {
            (Some(Value::Table(table)), Step::Key(key)) => table.remove(key).is_some(),
            (Some(Value::Array(array)), Step::Index(index)) if *index < array.len() => {
                array.remove(*index);
                true
            }
            _ => false,
        }
    }

    /// Puts `node` at the end of `keys`, making the tables on the way.
    ///
    /// # Errors
    /// The keys up to something that is no table.
    pub fn insert(&mut self, keys: &[String], node: Node) -> Result<(), String> {
        let Some((last, above)) = keys.split_last() else { return Ok(()) };
        let span = node.span.clone();
        let mut here = self;
        for (depth, key) in above.iter().enumerate() {
            let Value::Table(table) = &mut here.value else { return Err(shown(above, depth)) };
            let entry = table.entry(key.clone()).or_insert_with(|| Entry {
                key_span: span.clone(),
                node: Node { span: span.clone(), value: Value::Table(Table::new()) },
            });
            here = &mut entry.node;
        }
        let Value::Table(table) = &mut here.value else { return Err(shown(above, above.len())) };
        table.insert(last.clone(), Entry { key_span: span, node });
        Ok(())
    }

    /// Every text at or below this value, with its path and place.
    pub fn texts(&self) -> Vec<(Path, &str, Range<usize>)> {
        let mut found = Vec::new();
        self.collect_texts(&Path::root(), &mut found);
        found
    }

    fn collect_texts<'a>(&'a self, path: &Path, found: &mut Vec<(Path, &'a str, Range<usize>)>) {
        match &self.value {
            Value::Text(text) => found.push((path.clone(), text, self.span.clone())),
            Value::Array(array) => {
                array
                    .iter()
                    .enumerate()
                    .for_each(|(index, node)| node.collect_texts(&path.index(index), found));
            }
            Value::Table(table) => {
                table.iter().for_each(|(key, entry)| entry.node.collect_texts(&path.key(key), found));
            }
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime => {}
        }
    }
}

fn shown(keys: &[String], count: usize) -> String {
    keys.iter().take(count).map(String::as_str).collect::<Vec<_>>().join(".")
}
