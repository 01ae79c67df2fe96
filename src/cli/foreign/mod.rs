//! Flags of other programs, and what stands for them here.

mod ways;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use ways::{COMMANDS, VALUES, WAYS};

/// Says what a command, flag or value of another program is here, in place of one that is spelt alike.
pub(super) fn explained(mut error: clap::Error, words: &Command) -> clap::Error {
    if let Some(says) = way(&error, words) {
        for kind in [ContextKind::SuggestedArg, ContextKind::SuggestedValue, ContextKind::SuggestedSubcommand] {
            error.remove(kind);
        }
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![says.into()]));
    }
    error
}

fn way(error: &clap::Error, words: &Command) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(it)) => Some(it.as_str()),
        _ => None,
    };
    if let Some(name) = text(ContextKind::InvalidSubcommand) {
        return COMMANDS.iter().find(|it| it.0.contains(&name)).map(|it| it.1.to_owned());
    }
    let argument = text(ContextKind::InvalidArg)?;
    let name = argument.trim_start_matches('-');
    let command = std::env::args().nth(1).and_then(|it| words.find_subcommand(it));
    match (error.kind(), text(ContextKind::InvalidValue)) {
        (ErrorKind::UnknownArgument, _) if name == argument => {
            let before = std::env::args().take_while(|it| it != argument).last()?;
            apart(&before, argument, command)
        }
        (ErrorKind::UnknownArgument, _) => said(name.split('=').next().unwrap_or(""), command),
        (_, value) => of_value(name, value?),
    }
}

/// What a value is here; `argument` is a flag with the name of its value behind it.
fn of_value(argument: &str, value: &str) -> Option<String> {
    let flag = argument.split([' ', '=']).next().unwrap_or("");
    let found = VALUES.iter().find(|it| it.0 == flag && it.1.contains(&value.to_lowercase().as_str()));
    found.map(|it| it.2.to_owned())
}

/// What to write for a word behind a flag that takes none there.
fn apart(flag: &str, word: &str, command: Option<&Command>) -> Option<String> {
    let flag = flag.strip_prefix("--")?;
    let known = command?.get_arguments().find(|it| it.get_long() == Some(flag))?;
    if !known.is_require_equals_set() {
        return Some(format!("`--{flag}` takes no value: it is given, or left out"));
    }
    let values: Vec<String> = known.get_possible_values().iter().map(|it| it.get_name().to_owned()).collect();
    Some(match values.iter().any(|it| it == word) {
        true => format!("a value of `--{flag}` stands behind an equals sign: `--{flag}={word}`"),
        false => {
            format!("`--{flag}` is given by itself, or as `--{flag}={}`", values.join(&format!("` or `--{flag}=")))
        }
    })
}

/// What a flag is here: that of the command itself first, and if it has none, that of another.
fn said(name: &str, command: Option<&Command>) -> Option<String> {
    let ways = || WAYS.iter().filter(|it| it.names.contains(&name));
    let has = |flag: &str| command.is_some_and(|it| it.get_arguments().any(|it| it.get_long() == Some(flag)));
    if let Some(it) = ways().find(|it| it.flag.is_none_or(has)) {
        return Some(it.says.to_owned());
    }
    let other = ways().next()?;
    let here = command.map_or(String::new(), |it| format!(", which `sphc {}` has no use for", it.get_name()));
    Some(format!("{}{here}", other.says))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::words;

    #[test]
    fn what_is_said_is_of_the_command_that_was_called() {
        let words = words();
        let say = |name: &str, command: &str| said(name, words.find_subcommand(command)).unwrap_or_default();
        assert!(say("epochs", "train").starts_with("the length of a run is `--iterations N`"));
        assert!(say("batch-size", "predict").ends_with("which `sphc predict` has no use for"));
        assert!(say("pretrained", "train").contains("`--init FILE`"));
        assert!(say("pretrained", "eval").contains("`--weights FILE`"));
        assert!(say("checkpoint", "train").contains("`--run DIR --resume`"));
        assert!(say("gpu", "eval").contains("`--device cuda`"));
        assert_eq!(say("frobnicate", "train"), "");
    }

    #[test]
    fn a_word_behind_a_flag_is_told_where_it_belongs() {
        let words = words();
        let train = words.find_subcommand("train");
        let say = |flag: &str, word: &str| apart(flag, word, train).unwrap_or_default();
        assert!(say("--resume", "best").ends_with("`--resume=best`"));
        assert_eq!(say("--resume", "true"), "`--resume` is given by itself, or as `--resume=last` or `--resume=best`");
        assert!(say("--no-augment", "true").starts_with("`--no-augment` takes no value"));
        assert_eq!(say("models/digits.sph", "more"), "");
        assert!(of_value("device <DEVICE>", "gpu").unwrap().contains("`--device cuda`"));
        assert!(of_value("precision <PRECISION>", "FP16").unwrap().contains("bf16"));
        assert_eq!(of_value("device <DEVICE>", "cpuu"), None);
    }

    #[test]
    fn commands_that_are_named_exist_and_none_is_one_of_ours() {
        let words = words();
        for (names, says) in COMMANDS {
            let named = says.split("`sphc ").nth(1).and_then(|it| it.split([' ', '`']).next()).unwrap();
            assert!(words.find_subcommand(named).is_some(), "{says}");
            names.iter().for_each(|it| assert!(words.find_subcommand(it).is_none(), "{it}"));
        }
    }

    #[test]
    fn no_name_is_told_in_two_ways_without_a_flag() {
        for (at, way) in WAYS.iter().enumerate() {
            for other in WAYS[at + 1..].iter().filter(|it| it.flag == way.flag) {
                let twice = way.names.iter().find(|it| other.names.contains(it));
                assert_eq!(twice, None, "{} / {}", way.says, other.says);
            }
        }
    }

    #[test]
    fn flags_that_are_named_exist_and_none_is_a_flag_of_ours() {
        let words = words();
        let ours =
            |flag: &str| words.get_subcommands().any(|it| it.get_arguments().any(|it| it.get_long() == Some(flag)));
        for way in WAYS {
            assert!(way.flag.is_none_or(ours), "{:?}", way.flag);
            assert!(way.flag.is_none_or(|it| way.says.contains(&format!("--{it}"))), "{}", way.says);
            let train = words.find_subcommand("train").unwrap();
            for name in way.names {
                assert!(train.get_arguments().all(|it| it.get_long() != Some(*name)), "`--{name}` is a flag");
            }
        }
    }
}
