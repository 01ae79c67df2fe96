//! Changes of texts by lines and by words: a plan or a manifest whose bytes are flipped is refused by its reader's grammar,
//! before anything of it is looked at.

use super::targets::{Chance, scalars};

/// Whether inputs of a target are changed by lines, so often in eight times.
pub(crate) fn by_lines(target: &str) -> usize {
    match target {
        // Plans break at once where bytes change.
        "plan" => 7,
        "manifest" | "table" | "run" => 2,
        // Texts only sometimes need whole lines moved.
        "text" | "compile" | "diff" => 2,
        _ => 0,
    }
}

/// Numbers and words that stand at the edges of what is meant.
const EDGES: [&str; 20] = [
    "0",
    "1",
    "-1",
    "2",
    "3",
    "7",
    "8",
    "64",
    "255",
    "65536",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    ".nan",
    "-.inf",
    "1e300",
    "~",
    "[]",
];

/// Another word in the place of one.
fn other(lines: &[String], word: &str, chance: &mut Chance) -> String {
    let number = word.parse::<i128>();
    match (chance.below(10), number) {
        (0, Ok(it)) => (it + 1).to_string(),
        (1, Ok(it)) => (it - 1).to_string(),
        (2, Ok(it)) => (it * 2).to_string(),
        (3, Ok(it)) => (it + 64).to_string(),
        (4, Ok(it)) => (it / 2).to_string(),
        (5 | 6, _) => EDGES[chance.below(EDGES.len())].to_owned(),
        _ => {
            let line = &lines[chance.below(lines.len())];
            let found = scalars(line);
            match found.is_empty() {
                true => EDGES[chance.below(EDGES.len())].to_owned(),
                false => {
                    let (start, end) = found[chance.below(found.len())];
                    line[start..end].to_owned()
                }
            }
        }
    }
}

/// Changes lines of a text; nothing where it is none.
pub(crate) fn lines(text: &[u8], chance: &mut Chance) -> Option<Vec<u8>> {
    let mut lines: Vec<String> = std::str::from_utf8(text).ok()?.lines().map(str::to_owned).collect();
    for _ in 0..1 + chance.below(3) {
        if lines.is_empty() {
            break;
        }
        let at = chance.below(lines.len());
        match chance.below(14) {
            0 => _ = lines.remove(at),
            1 => lines.insert(at, lines[at].clone()),
            2 if at + 1 < lines.len() => lines.swap(at, at + 1),
            3 => {
                // A few lines at another place.
                let end = (at + 1 + chance.below(8)).min(lines.len());
                let part: Vec<String> = lines[at..end].to_vec();
                let to = chance.below(lines.len());
                lines.splice(to..to, part);
            }
            4 => {
                let end = (at + 1 + chance.below(8)).min(lines.len());
                lines.drain(at..end);
            }
            _ => {
                let found = scalars(&lines[at]);
                if !found.is_empty() {
                    let (start, end) = found[chance.below(found.len())];
                    let new = other(&lines, &lines[at][start..end], chance);
                    lines[at].replace_range(start..end, &new);
                }
            }
        }
    }
    let mut res = lines.join("\n").into_bytes();
    res.push(b'\n');
    Some(res)
}
