//! Enums whose every variant is a word: in the language, in plans, in checkpoints, in the log.

/// Declares such an enum. What is written and read of it is the word alone, which stands here once.
macro_rules! words {
    ($(#[$of_all:meta])* $vis:vis enum $name:ident { $($(#[$of_one:meta])* $variant:ident: $word:literal,)* }) => {
        $(#[$of_all])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ::serde::Serialize, ::serde::Deserialize)]
        $vis enum $name {
            $($(#[$of_one])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every one, in the order of their declaration.
            pub const ALL: [$name; [$($word),*].len()] = [$($name::$variant),*];

            /// Its word.
            pub fn word(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }

            /// The one that a word stands for.
            pub fn of(word: &str) -> Option<$name> {
                Self::ALL.into_iter().find(|it| it.word() == word)
            }
        }
    };
}

pub(crate) use words;
