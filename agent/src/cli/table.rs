//! Columns of text for a terminal, aligned by what letters take on the screen: Korean ones take two places.
//!
//! It knows no colours and breaks no lines.

use unicode_width::UnicodeWidthStr;

/// Rows as aligned lines; of `right`, a column that is true stands to the right. Spaces at a line's end are left out.
pub(super) fn table(rows: &[Vec<String>], right: &[bool]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..right.len()).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let space = " ".repeat(widths.get(column).map_or(0, |width| width.saturating_sub(cell.width())));
            let gap = if column == 0 { "" } else { "  " };
            line += gap;
            line += &if right.get(column) == Some(&true) {
                space + cell
            } else {
                cell.clone() + &space
            };
        }
        text += line.trim_end();
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_letters() {
        let rows = [["기본요금", "1"], ["VAT", "1,234"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows, &[false, true]), "기본요금      1\nVAT       1,234\n");
    }
}
