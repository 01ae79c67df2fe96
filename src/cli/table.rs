//! Plain tables and numbers for people.

/// Columns aligned by their widest cell; columns whose header starts with `>` are aligned right. A cell is of one line: other
/// lines of a name are shown by their sign.
pub(super) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let flat = |it: &String| it.replace('\n', "\\n").replace('\t', "\\t");
    let rows: Vec<Vec<String>> = rows.iter().map(|it| it.iter().map(flat).collect()).collect();
    let names: Vec<&str> = header.iter().map(|it| it.trim_start_matches('>')).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|it| it[column].chars().count());
        cells.chain([names[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: &[&str]| {
        let cells = cells.iter().enumerate().map(|(column, it)| {
            let width = widths[column];
            if header[column].starts_with('>') { format!("{it:>width$}") } else { format!("{it:<width$}") }
        });
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    let mut res = line(&names);
    for row in &rows {
        res += &line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    res
}

/// `1 234 567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut res = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at != 0 && (digits.len() - at).is_multiple_of(3) {
            res.push(' ');
        }
        res.push(digit);
    }
    res
}

/// `1.23 M`, with factors of a thousand.
pub(super) fn scaled(number: f64) -> String {
    let units = ["", " k", " M", " G", " T", " P"];
    let mut value = number;
    let mut at = 0;
    while value >= 999.5 && at + 1 < units.len() {
        value /= 1000.0;
        at += 1;
    }
    let digits = if at == 0 || value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    format!("{value:.digits$}{}", units[at])
}

/// `12.3 MB`.
pub(super) fn bytes(number: usize) -> String {
    let text = scaled(number as f64);
    if text.contains(' ') { format!("{text}B") } else { format!("{text} B") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_two_lines_is_one_row() {
        assert_eq!(render(&["name"], &[vec!["a\nb\tc".to_owned()]]), "name\na\\nb\\tc\n");
    }

    #[test]
    fn numbers_are_short_and_columns_aligned() {
        assert_eq!(grouped(3_859_712), "3 859 712");
        assert_eq!(grouped(12), "12");
        assert_eq!(scaled(999.0), "999");
        assert_eq!(scaled(1_234_000.0), "1.23 M");
        assert_eq!(bytes(64), "64 B");
        assert_eq!(bytes(150_000_000), "150 MB");
        let table = render(&["name", ">n"], &[vec!["a".into(), "10".into()], vec!["long".into(), "1".into()]]);
        assert_eq!(table, "name   n\na     10\nlong   1\n");
    }
}
