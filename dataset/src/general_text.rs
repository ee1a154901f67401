//! General English text, to estimate the Fisher information on and to measure forgetting with.
//!
//! A source is a folder of World Factbook files (one JSON file a country, one document each) or any text file
//! (its paragraphs of prose, grouped into documents). Documents come in the order of the blake3 digests of their names,
//! so the first n of them are a fair sample; the first half is for the Fisher information and the other half is held
//! out, never the same document in both. Nothing here is trained on.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Where set-up puts the World Factbook, below the cache folder.
pub const FACTBOOK: &str = "factbook";
/// Where set-up puts the Jargon File, the second register, below the cache folder.
pub const JARGON: &str = "jargon/jargon.txt";

/// A stretch of prose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// File name; for a part of a text file `name#number`.
    pub name: String,
    /// Paragraphs, one a line, without markup.
    pub text: String,
}

/// Why general text cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum GeneralTextError {
    /// A file or folder cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// What was to be read.
        path: PathBuf,
        /// Why it could not be.
        source: std::io::Error,
    },
    /// A file of the folder is not JSON.
    #[error("{path}: expected JSON, found {source}", path = path.display())]
    Json {
        /// The offending file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// There is too little prose to split.
    #[error("{path}: expected at least two documents of prose (paragraphs of 200 characters or more), found {found}", path = path.display())]
    TooFew {
        /// The file or folder.
        path: PathBuf,
        /// How many there were.
        found: usize,
    },
}

/// The half of the documents that Fisher information is estimated on.
///
/// # Errors
/// As [`documents`].
pub fn fisher_documents(path: &Path) -> Result<Vec<Document>, GeneralTextError> {
    let mut documents = documents(path)?;
    documents.truncate(documents.len() / 2);
    Ok(documents)
}

/// The other half, on which bits per byte are measured.
///
/// # Errors
/// As [`documents`].
pub fn held_out_documents(path: &Path) -> Result<Vec<Document>, GeneralTextError> {
    let mut documents = documents(path)?;
    Ok(documents.split_off(documents.len() / 2))
}

/// All documents of a folder of World Factbook files or of a text file, ordered by the blake3 of their names.
///
/// # Errors
/// When something cannot be read, a file of the folder is not JSON, or there are fewer than two documents.
pub fn documents(path: &Path) -> Result<Vec<Document>, GeneralTextError> {
    let mut documents = if path.is_dir() {
        let mut files = Vec::new();
        json_files(path, &mut files)?;
        files
            .iter()
            .map(|file| country(file))
            .collect::<Result<Vec<_>, _>>()?
    } else {
        prose(&file_name(path), &read(path)?)
    };
    documents.retain(|document| !document.text.is_empty());
    if documents.len() < 2 {
        return Err(GeneralTextError::TooFew {
            path: path.to_owned(),
            found: documents.len(),
        });
    }
    documents.sort_by_cached_key(|document| *blake3::hash(document.name.as_bytes()).as_bytes());
    Ok(documents)
}

/// The Factbook's fields that are prose, in the order in which a document has them.
const FIELDS: [(&str, &str); 7] = [
    ("Introduction", "Background"),
    ("Military and Security", "Military - note"),
    ("Communications", "Broadcast media"),
    ("Economy", "Economic overview"),
    ("Space", "Space program overview"),
    ("Geography", "Geography - note"),
    ("Geography", "Natural hazards"),
];

/// Shorter values and paragraphs are mostly names, numbers and headings.
const SHORTEST_PARAGRAPH: usize = 200;

/// Bytes after which a document of a text file ends: about 600 tokens, more than is scored of any.
const DOCUMENT_BYTES: usize = 2_400;

fn country(file: &Path) -> Result<Document, GeneralTextError> {
    let json: Value =
        serde_json::from_str(&read(file)?).map_err(|source| GeneralTextError::Json {
            path: file.to_owned(),
            source,
        })?;
    let paragraphs: Vec<String> = FIELDS
        .iter()
        .filter_map(|(section, field)| json[section][field]["text"].as_str())
        .map(plain)
        .filter(|text| text.chars().count() >= SHORTEST_PARAGRAPH)
        .collect();
    Ok(Document {
        name: file_name(file),
        text: paragraphs.join("\n"),
    })
}

/// Paragraphs (separated by empty lines) that are long and end as a sentence does, grouped into documents.
fn prose(name: &str, text: &str) -> Vec<Document> {
    let mut documents: Vec<Document> = Vec::new();
    let mut full = true;
    for paragraph in text.replace("\r\n", "\n").split("\n\n") {
        // Braces mark the Jargon File's cross-references.
        let paragraph: String = paragraph
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace(['{', '}'], "");
        let sentence = paragraph.ends_with(['.', '!', '?', '"', '”', ')']);
        if !sentence || paragraph.chars().count() < SHORTEST_PARAGRAPH {
            continue;
        }
        match documents.last_mut() {
            Some(document) if !full => {
                document.text.push('\n');
                document.text.push_str(&paragraph);
            }
            _ => documents.push(Document {
                name: format!("{name}#{}", documents.len()),
                text: paragraph,
            }),
        }
        full = documents
            .last()
            .is_some_and(|document| document.text.len() >= DOCUMENT_BYTES);
    }
    documents
}

/// HTML without its tags and entities, white space collapsed.
fn plain(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(start) = rest.find(['<', '&']) {
        text.push_str(&rest[..start]);
        rest = &rest[start..];
        let (end, replacement) = match rest.strip_prefix('<') {
            Some(tag) if tag.starts_with(|c: char| c == '/' || c.is_ascii_alphabetic()) => {
                (rest.find('>').map(|end| end + 1), " ")
            }
            Some(_) => (None, ""),
            None => match ENTITIES.iter().find(|(entity, _)| rest.starts_with(entity)) {
                Some((entity, character)) => (Some(entity.len()), *character),
                None => (None, ""),
            },
        };
        match end {
            Some(end) => {
                text.push_str(replacement);
                rest = &rest[end..];
            }
            // A lone "<" or "&" stands for itself.
            None => {
                text.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    text.push_str(rest);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The entities that occur in the fields used.
const ENTITIES: [(&str, &str); 16] = [
    ("&rsquo;", "’"),
    ("&lsquo;", "‘"),
    ("&ldquo;", "“"),
    ("&rdquo;", "”"),
    ("&ndash;", "–"),
    ("&mdash;", "—"),
    ("&nbsp;", " "),
    ("&amp;", "&"),
    ("&lt;", "<"),
    ("&gt;", ">"),
    ("&eacute;", "é"),
    ("&egrave;", "è"),
    ("&ccedil;", "ç"),
    ("&Oacute;", "Ó"),
    ("&oacute;", "ó"),
    ("&uacute;", "ú"),
];

fn json_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), GeneralTextError> {
    let io = |source| GeneralTextError::Io {
        path: folder.to_owned(),
        source,
    };
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.is_dir() {
            json_files(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, GeneralTextError> {
    fs::read_to_string(path).map_err(|source| GeneralTextError::Io {
        path: path.to_owned(),
        source,
    })
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_plain_text() {
        assert_eq!(
            plain("<p>Caf&eacute;&nbsp;&amp; <b>bar</b>;  a < b &unknown; x</p>"),
            "Café & bar ; a < b &unknown; x"
        );
    }

    #[test]
    fn text_files_keep_prose_only_and_split_in_disjoint_halves() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text.txt");
        let paragraph = |i: usize| {
            format!(
                "Paragraph {i} of {{cross}}\n   references {}.\n\n",
                "and words ".repeat(40)
            )
        };
        let text: String = (0..60).map(|i| paragraph(i) + "HEADING\n\n").collect();
        fs::write(&path, &text).unwrap();
        let (all, fisher, held_out) = (
            documents(&path).unwrap(),
            fisher_documents(&path).unwrap(),
            held_out_documents(&path).unwrap(),
        );
        assert_eq!(all, [fisher.clone(), held_out.clone()].concat());
        assert!(fisher.len().abs_diff(held_out.len()) <= 1);
        assert!(
            all.iter()
                .all(|d| !d.text.contains("HEADING") && !d.text.contains('{'))
        );
        let paragraphs: usize = all.iter().map(|d| d.text.lines().count()).sum();
        assert_eq!(paragraphs, 60);
    }

    #[test]
    fn too_little_text_and_broken_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("short.txt");
        fs::write(&path, "Hello.").unwrap();
        assert!(
            documents(&path)
                .unwrap_err()
                .to_string()
                .contains("found 0")
        );
        let broken = folder.path().join("broken.json");
        fs::write(&broken, "{").unwrap();
        assert!(
            documents(folder.path())
                .unwrap_err()
                .to_string()
                .contains("broken.json")
        );
    }
}
