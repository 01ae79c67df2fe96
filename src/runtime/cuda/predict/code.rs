//! Instructions of NVIDIA's GPUs since compute capability 7.0, as far as a count needs: 16 bytes each, whose lowest 12 bits say
//! which. NVIDIA publishes no table; the numbers here are what its disassembler calls what its assembler makes of the
//! kernels of both networks of the paper, for sm_80 and sm_90, and a test compares every instruction of these with it.

use std::ops::RangeInclusive;

/// What an instruction keeps busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Tensor cores.
    Tensor,
    /// The pipe of multiplications and additions.
    Multiply,
    /// The pipe of integers, comparisons and moves, which takes a warp every second cycle.
    Integer,
    /// Roots, reciprocals, exponentials.
    Special,
    /// Loads from global memory.
    Load,
    /// Stores there, and counters.
    Store,
    /// Copies from global to shared memory.
    Copy,
    /// Loads from shared memory of fragments of tensor cores.
    Fragments,
    /// Other accesses to shared memory, and shuffles, which share its pipe.
    Shared,
    /// Everything else: branches, barriers, what is the same for a whole warp.
    Other,
}

/// Which class an operation belongs to.
pub fn class(operation: u16) -> Class {
    match operation {
        0x23c | 0x237 => Class::Tensor,
        0x220 | 0x221 | 0x223 | 0x224 | 0x225 | 0x227 | 0x421 | 0x423 | 0x424 | 0x425 | 0x435 | 0x431 => {
            Class::Multiply
        }
        0x620 | 0x623 | 0x624 | 0x625 | 0x820 | 0x821 | 0x823 | 0x824 | 0x825 | 0x827 | 0xa24 => Class::Multiply,
        0xc20 | 0xc21 | 0xc23 | 0xc24 | 0xc25 | 0xc27 | 0xe23 | 0xe24 | 0xe25 => Class::Multiply,
        0x202 | 0x207..=0x20c | 0x210..=0x212 | 0x216 | 0x217 | 0x219 | 0x21c | 0x236 | 0x23e | 0x248 => Class::Integer,
        0x408..=0x40c | 0x410..=0x412 | 0x416 | 0x419 | 0x446 => Class::Integer,
        0x802
        | 0x803
        | 0x805
        | 0x807..=0x80c
        | 0x810..=0x812
        | 0x816
        | 0x817
        | 0x819
        | 0x81c
        | 0x836
        | 0x83e
        | 0x848 => Class::Integer,
        0xa02 | 0xa07 | 0xa0c | 0xa10..=0xa12 | 0xa19 => Class::Integer,
        0xc02 | 0xc07..=0xc0c | 0xc10..=0xc12 | 0xc16 | 0xc17 | 0xc19 | 0xc36 | 0xc3e | 0xc48 => Class::Integer,
        0x302 | 0x306..=0x308 | 0x310..=0x312 | 0x908 | 0x910..=0x912 => Class::Special,
        0x381 | 0x981 => Class::Load,
        0x386 | 0x986 | 0x9a8 | 0x3a8 | 0x98e | 0x38e => Class::Store,
        0xfae | 0x3ae | 0x9ae => Class::Copy,
        0x83b | 0x23b => Class::Fragments,
        0x384 | 0x984 | 0x388 | 0x988 | 0xf89 | 0x389 | 0x589 | 0x989 => Class::Shared,
        _ => Class::Other,
    }
}

const BRANCH: u16 = 0x947;

/// The code of an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code {
    /// Operations, in order.
    pub operations: Vec<u16>,
    /// Loops: from where a branch goes back to, to the branch.
    pub loops: Vec<RangeInclusive<usize>>,
}

impl Code {
    /// Of machine code; `split` says that the lowest byte of a branch's way lies by itself, as since compute capability 9.0.
    pub fn new(bytes: &[u8], split: bool) -> Code {
        let mut code = Code::default();
        for (at, it) in bytes.chunks_exact(16).enumerate() {
            let mut word = [0; 16];
            word.copy_from_slice(it);
            let word = u128::from_le_bytes(word);
            let operation = (word & 0xfff) as u16;
            code.operations.push(operation);
            if operation != BRANCH {
                continue;
            }
            // 48 bits, in words of four bytes, from the next instruction on.
            let high = ((word >> 34) as i64) << 16 >> 16;
            let way = if split { high << 8 | (word >> 16 & 0xff) as i64 } else { high };
            let to = usize::try_from(at as i64 + 1 + way * 4 / 16);
            if let Ok(to) = to
                && to < at
            {
                code.loops.push(to..=at);
            }
        }
        // What only fills the last line of the instruction cache.
        let end = code.operations.iter().rposition(|it| *it != 0x918 && *it != BRANCH).map_or(0, |it| it + 1);
        code.operations.truncate(end);
        code.loops.retain(|it| *it.end() < end);
        code
    }

    /// Instructions of some classes in a part of the code.
    pub fn count(&self, part: &RangeInclusive<usize>, classes: &[Class]) -> usize {
        self.operations[part.clone()].iter().filter(|it| classes.contains(&class(**it))).count()
    }

    /// The innermost loop that has most of some classes, if any has.
    pub fn busiest(&self, classes: &[Class]) -> Option<&RangeInclusive<usize>> {
        let of = |it: &&RangeInclusive<usize>| (self.count(it, classes), std::cmp::Reverse(it.end() - it.start()));
        self.loops.iter().filter(|it| self.count(it, classes) != 0).max_by_key(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_back_are_loops() {
        // As NVIDIA's disassembler shows them: two instructions, then a branch to the first of these.
        let bytes = |words: &[[u64; 2]]| words.iter().flatten().flat_map(|it| it.to_le_bytes()).collect::<Vec<u8>>();
        let multiply = [0x223, 0];
        let end = [0x94d, 0];
        let new = bytes(&[multiply, multiply, [0xffff_fffc_00f4_7947, 0x383_ffff], end]);
        assert_eq!(Code::new(&new, true).loops, [0..=2]);
        let old = bytes(&[multiply, multiply, [0xffff_ffd0_0000_7947, 0x383_ffff], end]);
        let code = Code::new(&old, false);
        assert_eq!(code.loops, [0..=2]);
        assert_eq!(code.count(&(0..=3), &[Class::Multiply]), 2);
        assert_eq!(code.busiest(&[Class::Multiply]), Some(&(0..=2)));
        assert_eq!(code.busiest(&[Class::Tensor]), None);
    }
}
