// A ring of buffers in shared memory that asynchronous copies fill while the block computes.

// Passes stages `first` to `last` (excluded) through STAGES buffers of BYTES each. `load(at, ahead, stage)` starts this
// thread's copies of a stage into the buffer that lies `at` bytes into shared memory, `use(at)` computes with it. Both are
// called for one stage after the other.
//
// Stages are taken PERIOD at a time, and then `turn()` is called. `ahead` counts a load's stages from the last turn on, up
// to PERIOD + STAGES - 2; it is known at compile time, and so is `at` if PERIOD is a multiple of STAGES. WHOLE says that all
// stages make up whole periods.
template <int STAGES, int BYTES, int PERIOD, bool WHOLE, class Load, class Use, class Turn>
__device__ __forceinline__ void each_stage(int first, int last, Load load, Use use, Turn turn) {
#pragma unroll
    for (int ahead = 0; ahead < STAGES - 1; ahead++) {
        if (first + ahead < last) load(ahead * BYTES, ahead, first + ahead);
        copy_commit();
    }
    constexpr bool FIXED = PERIOD % STAGES == 0;  // where a stage lies
    int here = 0, free = STAGES - 1;
    // One period at a time: more would want more registers than there are.
#pragma unroll 1
    for (int stage = first; stage < last; stage += PERIOD) {
#pragma unroll
        for (int step = 0; step < PERIOD; step++) {
            if (!WHOLE && 0 < step && last <= stage + step) return;
            copy_wait<STAGES - 2>();
            __syncthreads();  // this stage has arrived for all, and all are done with the one before: its buffer is free
            if (FIXED) here = step % STAGES, free = (step + STAGES - 1) % STAGES;
            // Within a whole period there is always a next stage.
            if ((WHOLE && step + STAGES - 1 < PERIOD) || stage + step + STAGES - 1 < last)
                load(free * BYTES, step + STAGES - 1, stage + step + STAGES - 1);
            copy_commit();
            use(here * BYTES);
            here = here + 1 == STAGES ? 0 : here + 1;
            free = free + 1 == STAGES ? 0 : free + 1;
        }
        turn();
    }
}
