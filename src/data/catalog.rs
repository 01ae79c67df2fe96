//! The data sets that a model can name.

/// How a data set is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Inside this program.
    Embedded,
    /// CIFAR-10 binary: `data_batch_*.bin`, `test_batch.bin`; one label byte per record.
    Cifar10,
    /// CIFAR-100 binary: `train.bin`, `test.bin`; a coarse and a fine label byte per record.
    Cifar100,
}

/// What is known of a data set before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `cifar10`: its name in a model, and its directory's under `data/`.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// Height, width, channels of an image.
    pub image: [usize; 3],
    /// Classes.
    pub classes: usize,
    /// Examples of its usual training set.
    pub train_examples: usize,
    /// Examples of its usual test set.
    pub test_examples: usize,
    /// Storage.
    pub layout: Layout,
    /// How to get it: one sentence.
    pub source: &'static str,
}

/// Every data set.
pub const CATALOG: &[Entry] = &[
    Entry {
        name: "cifar10",
        title: "60 000 photographs in 10 classes (Krizhevsky, 2009)",
        image: [32, 32, 3],
        classes: 10,
        train_examples: 50_000,
        test_examples: 10_000,
        layout: Layout::Cifar10,
        source: "unpack https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz (162 MB)",
    },
    Entry {
        name: "cifar100",
        title: "60 000 photographs in 100 classes (Krizhevsky, 2009)",
        image: [32, 32, 3],
        classes: 100,
        train_examples: 50_000,
        test_examples: 10_000,
        layout: Layout::Cifar100,
        source: "unpack https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz (161 MB)",
    },
    Entry {
        name: "digits",
        title: "1797 handwritten digits (Alpaydin and Kaynak, 1998; CC BY 4.0)",
        image: [8, 8, 1],
        classes: 10,
        train_examples: super::digits::TRAIN,
        test_examples: super::digits::TEST,
        layout: Layout::Embedded,
        source: "part of sphc, nothing to fetch",
    },
];

/// An entry by name.
pub fn find(name: &str) -> Option<&'static Entry> {
    CATALOG.iter().find(|it| it.name == name)
}

/// `cifar10, cifar100, digits`.
pub(super) fn names() -> String {
    CATALOG.iter().map(|it| it.name).collect::<Vec<_>>().join(", ")
}
