//! A sequence of choices that a program is made from. Shorter sequences and smaller numbers make simpler programs, so a
//! failing program is made simpler without knowing what a program is.

/// Numbers to choose by. Beyond the end all choices are the first one.
#[derive(Clone, Debug)]
pub(super) struct Choices {
    numbers: Vec<u32>,
    at: usize,
}

impl Choices {
    /// As many as any program takes.
    pub(super) fn new(seed: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u32
        };
        Self { numbers: (0..400).map(|_| next()).collect(), at: 0 }
    }

    /// A number below `count`.
    pub(super) fn below(&mut self, count: usize) -> usize {
        let number = self.numbers.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        number as usize % count
    }

    /// One of some; the first is the simplest.
    pub(super) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// Yes, once in `times`.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }
}

/// The simplest sequence found for which `fails` holds, by at most `tries` calls.
pub(super) fn simplest(mut choices: Choices, mut tries: usize, fails: &mut dyn FnMut(Choices) -> bool) -> Choices {
    choices.at = 0;
    let mut size = choices.numbers.len();
    while 0 < size && 0 < tries {
        let (mut from, mut simpler) = (0, false);
        while from < choices.numbers.len() && 0 < tries {
            let to = (from + size).min(choices.numbers.len());
            let mut cut = choices.clone();
            cut.numbers.drain(from..to);
            let mut zero = choices.clone();
            zero.numbers[from..to].fill(0);
            let changes = choices.numbers[from..to].iter().any(|it| *it != 0);
            let mut better = None;
            for candidate in [Some(cut), changes.then_some(zero)].into_iter().flatten() {
                tries = tries.saturating_sub(1);
                if better.is_none() && fails(candidate.clone()) {
                    better = Some(candidate);
                }
            }
            match better {
                Some(it) => (choices, simpler) = (it, true),
                None => from = to,
            }
        }
        if !simpler || size == 1 {
            size /= 2;
        }
    }
    choices
}

#[test]
fn the_simplest_of_what_fails_is_found() {
    // Fails where a 7 comes before a 3, among the choices of one in ten.
    let fails = |mut it: Choices| {
        let all: Vec<usize> = (0..400).map(|_| it.below(10)).collect();
        all.iter().position(|it| *it == 7).is_some_and(|at| all[at..].contains(&3))
    };
    let found = simplest(Choices::new(5), 3000, &mut { fails });
    assert!(fails(found.clone()) && found.numbers.len() <= 3, "{:?}", found.numbers);
}
