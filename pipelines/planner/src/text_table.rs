//! Rows of text in columns, as the shell and DESCRIBE print them.

/// Columns as wide as their widest cell; a line under the head. `None` cells are written as `NULL`.
pub fn text_table(head: &[String], rows: &[Vec<Option<String>>]) -> String {
    let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "NULL".into());
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join(" | ").trim_end().to_owned() + "\n"
    };
    let mut text = line(head);
    let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    text.push_str(&rules.join("-+-"));
    text.push('\n');
    rows.iter().for_each(|row| text.push_str(&line(row)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_one_another() {
        let head = ["n".to_owned(), "name".to_owned()];
        let rows = [vec![Some("10".into()), None], vec![Some("1".into()), Some("é".into())]];
        assert_eq!(text_table(&head, &rows), "n  | name\n---+-----\n10 | NULL\n1  | é\n");
    }
}
