//! The fenced blocks of a page.

use crate::pages::text;

/// One fenced block.
pub struct Block {
    /// The words after the fence: the language and what the tests are told, as `yaml wrong`.
    pub info: String,
    /// What is in it.
    pub text: String,
    /// The page, and the line of the fence.
    pub place: String,
}

impl Block {
    /// Its language.
    pub fn language(&self) -> &str {
        self.info.split(' ').next().unwrap_or_default()
    }

    /// The name of the file that its first line gives it, as `# shop.yaml`.
    pub fn file(&self) -> Option<&str> {
        let name = self.text.lines().next()?.strip_prefix("# ")?;
        let is_name = !name.contains([' ', '/']) && name.ends_with(".yaml");
        is_name.then_some(name)
    }
}

/// The blocks of a page.
pub fn of(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<Block> = None;
    // A block of a list is indented with it.
    let mut indent = 0;
    for (number, line) in text(page).lines().enumerate() {
        let inner = line.trim_start();
        match (inner.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) => {
                indent = line.len() - inner.len();
                open = Some(Block {
                    info: info.to_owned(),
                    text: String::new(),
                    place: format!("{page}:{}", number + 1),
                });
            }
            (None, Some(block)) => {
                block.text.push_str(line.get(indent..).unwrap_or_default());
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{page}: a block has no end");
    blocks
}
