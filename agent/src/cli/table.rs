//! Columns of text for a terminal, aligned by what letters take on the screen: Korean ones take two places.
//!
//! It knows no colours, and a table breaks no lines.

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

/// Width that a sentence is broken to: that of a terminal's window.
const WIDTH: usize = 80;

/// A sentence, broken between words, each line behind `indent` spaces.
pub(super) fn wrapped(text: &str, indent: usize) -> String {
    let (mut broken, mut column) = (String::new(), 0);
    for word in text.split_whitespace() {
        if column > 0 && column + 1 + word.width() <= WIDTH {
            broken += " ";
            column += 1;
        } else {
            broken += if column > 0 { "\n" } else { "" };
            broken += &" ".repeat(indent);
            column = indent;
        }
        broken += word;
        column += word.width();
    }
    broken + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_broken_between_words() {
        let check = |text: &str, indent, expected: &str| assert_eq!(wrapped(text, indent), expected);
        check("a b", 2, "  a b\n");
        check(
            &"계측기 ".repeat(12),
            4,
            &format!("    {}계측기\n    계측기\n", "계측기 ".repeat(10)),
        );
        check(&"x".repeat(90), 0, &format!("{}\n", "x".repeat(90)));
    }

    #[test]
    fn columns_line_up_whatever_the_letters() {
        let rows = [["기본요금", "1"], ["VAT", "1,234"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows, &[false, true]), "기본요금      1\nVAT       1,234\n");
    }
}
