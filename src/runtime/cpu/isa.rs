//! Which vector instructions to use: picked once at start. Code is written once, as an inlined
//! generic, and instantiated under each set of target features.

/// Sets of vector instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    /// What the target guarantees.
    Plain,
    /// AVX2 with FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// Work that is compiled for each [`Isa`]. Implementations of `run` must be `#[inline(always)]`, and
/// so must what they call in their loops.
pub(super) trait Job {
    /// What it gives.
    type Output;
    /// Does it; `FMA` tells whether a fused multiply-add is one instruction.
    fn run<const FMA: bool>(self) -> Self::Output;
}

impl Isa {
    /// The best this machine has.
    pub(super) fn detect() -> Isa {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            if avx2 && avx512 {
                return Isa::Avx512;
            }
            if avx2 {
                return Isa::Avx2;
            }
        }
        Isa::Plain
    }

    /// Its name for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Isa::Plain if cfg!(target_arch = "aarch64") => "neon",
            Isa::Plain => "plain",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
        }
    }

    /// Runs a job as compiled for this set.
    #[inline]
    pub(super) fn run<J: Job>(self, job: J) -> J::Output {
        match self {
            // On AArch64 the fused multiply-add is part of the base.
            Isa::Plain => job.run::<{ cfg!(target_arch = "aarch64") }>(),
            // SAFETY: `detect` made this value, so the features are there.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2(job) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { avx512(job) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<J: Job>(job: J) -> J::Output {
    job.run::<true>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn avx512<J: Job>(job: J) -> J::Output {
    job.run::<true>()
}
