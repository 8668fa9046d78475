//! Statements cut out of a text at their semicolons.

/// The length of the first statement with its semicolon; `None` where it does not end yet.
/// Semicolons in quotes and comments end nothing, and those within a STATEMENT SET only with its
/// END.
pub fn next_statement(text: &str) -> Option<usize> {
    let mut words: Vec<String> = vec![];
    let mut word = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c.is_alphanumeric() || c == '_' {
            word.extend(c.to_uppercase());
            continue;
        }
        if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        match (c, chars.peek().map(|(_, next)| *next)) {
            ('\'' | '"' | '`', _) => {
                chars.by_ref().find(|(_, end)| *end == c)?;
                words.push(String::new());
            }
            ('-', Some('-')) => {
                chars.by_ref().find(|(_, end)| *end == '\n')?;
            }
            ('/', Some('*')) => {
                let rest = text[at + 2..].find("*/")?;
                while chars.next_if(|(next, _)| *next < at + 2 + rest + 2).is_some() {}
            }
            (';', _) if !is_open_set(&words) => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn is_open_set(words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let set = matches!(words.as_slice(), ["EXECUTE" | "BEGIN", "STATEMENT", "SET", ..]);
    set && words.last() != Some(&"END")
}

/// The statement's words without comments, in upper case, at most `count`.
pub fn first_words(text: &str, count: usize) -> Vec<String> {
    let mut rest = text.trim_start();
    loop {
        let skipped = if let Some(comment) = rest.strip_prefix("--") {
            comment.find('\n').map_or("", |end| &comment[end..])
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.find("*/").map_or("", |end| &comment[end + 2..])
        } else {
            break;
        };
        rest = skipped.trim_start();
    }
    rest.split(|c: char| c.is_whitespace() || c == ';')
        .filter(|word| !word.is_empty())
        .take(count)
        .map(str::to_uppercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_in_quotes_and_comments_end_nothing() {
        assert_eq!(next_statement("SELECT ';' -- ;\n, `;` /* ; */;rest"), Some(30));
        assert_eq!(next_statement("SELECT 1"), None);
        assert_eq!(next_statement("SELECT 'a"), None);
    }

    #[test]
    fn a_statement_set_ends_with_its_end() {
        let set =
            "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO b SELECT 2; END;";
        assert_eq!(next_statement(set), Some(set.len()));
        assert_eq!(next_statement("BEGIN STATEMENT SET; INSERT INTO a SELECT 1;"), None);
    }

    #[test]
    fn the_first_words_are_not_of_comments() {
        assert_eq!(first_words("-- a\n /* b */ show jobs;", 2), ["SHOW", "JOBS"]);
    }
}
