// A ring of buffers in shared memory that asynchronous copies fill while the block computes.

// Passes stages `first` to `last` (excluded) through STAGES buffers of BYTES each. `load(buffer, stage)` starts this
// thread's copies of a stage, `use(buffer)` computes with it.
template <int STAGES, int BYTES, class Load, class Use>
__device__ __forceinline__ void each_stage(int first, int last, Load load, Use use) {
    SHARED_MEMORY(memory);
#pragma unroll
    for (int ahead = 0; ahead < STAGES - 1; ahead++) {
        if (first + ahead < last) load(memory + ahead * BYTES, first + ahead);
        copy_commit();
    }
    int here = 0, free = STAGES - 1;
    // One stage at a time: many at once would want more registers than there are.
#pragma unroll 1
    for (int stage = first; stage < last; stage++) {
        copy_wait<STAGES - 2>();
        __syncthreads();  // this stage has arrived for all, and all are done with the one before: its buffer is free
        if (stage + STAGES - 1 < last) load(memory + free * BYTES, stage + STAGES - 1);
        copy_commit();
        use(memory + here * BYTES);
        here = here + 1 == STAGES ? 0 : here + 1;
        free = free + 1 == STAGES ? 0 : free + 1;
    }
}
