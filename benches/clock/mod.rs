//! What benchmarks measure with: processor time, and what one core can do at most.

use std::hint::black_box;

/// Processor time of this process in seconds; elapsed time where it cannot be had.
pub(crate) fn clock() -> f64 {
    #[cfg(target_os = "linux")]
    {
        #[repr(C)]
        struct Time {
            seconds: i64,
            nanoseconds: i64,
        }
        unsafe extern "C" {
            fn clock_gettime(clock: i32, time: *mut Time) -> i32;
        }
        const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;
        let mut time = Time { seconds: 0, nanoseconds: 0 };
        // SAFETY: `time` is as the C library lays it out on 64-bit machines.
        if unsafe { clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &mut time) } == 0 {
            return time.seconds as f64 + time.nanoseconds as f64 * 1e-9;
        }
    }
    std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |it| it.as_secs_f64())
}

/// Operations a second of independent fused multiply-adds that stay in registers.
pub(crate) fn peak() -> f64 {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::*;
        #[target_feature(enable = "avx512f")]
        #[inline(never)]
        fn avx512(rounds: usize) -> f32 {
            let (a, b) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(0.001)));
            let mut sums = [_mm512_set1_ps(black_box(1.0)); 16];
            for _ in 0..rounds {
                for sum in &mut sums {
                    *sum = _mm512_fmadd_ps(*sum, a, b);
                }
            }
            sums.iter().map(|it| _mm512_reduce_add_ps(*it)).sum()
        }
        if is_x86_feature_detected!("avx512f") {
            let rounds = 4_000_000;
            let mut best = 0.0f64;
            for _ in 0..5 {
                let start = clock();
                // SAFETY: the feature is there.
                black_box(unsafe { avx512(black_box(rounds)) });
                best = best.max((rounds * 16 * 32) as f64 / (clock() - start));
            }
            return best;
        }
    }
    f64::NAN
}
