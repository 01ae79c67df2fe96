//! (Unstable.) YAML that people write: what is wrong in it is told in one line.

use serde::de::DeserializeOwned;

/// Reads `text`.
///
/// # Errors
///
/// What is wrong and where, in one line and without options of the library that reads it.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_yaml::from_str(text)
        .map_err(|it| it.without_snippet().render_with_formatter(&serde_yaml::UserMessageFormatter))
}

#[cfg(test)]
mod tests {
    use super::super::Manifest;
    use super::read;

    #[test]
    fn mistakes_are_told_in_one_line_of_the_users_words() {
        let wrong = [
            "name: pets\nformat: imagse\n",
            "name: pets\n",
            "name: pets\nformat: npz\nimage: [a, b]\n",
            "name: [\n",
            "name: pets\nname: pets\nformat: npz\n",
            "name: pets\nformat: npz\ncolour: red\n",
            "*unknown",
            "",
        ];
        for text in wrong {
            let told = read::<Manifest>(text).expect_err(text);
            assert!(!told.trim().is_empty() && told.lines().count() == 1, "{text:?}: {told}");
            assert!(!told.contains("Options") && !told.contains("-->"), "{text:?}: {told}");
        }
    }
}
