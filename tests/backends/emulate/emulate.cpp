// Runs CUDA blocks on a CPU, hard on the program: every CUDA thread is a fiber; warp collectives and barriers are
// rendezvous; shared memory starts as NaN; what an asynchronous copy brings appears only at the wait that needs it, its
// destination is NaN meanwhile; warps run one after the other, as far as each gets, in an order shuffled at every
// barrier. A missing wait or barrier therefore shows as NaN or as a wrong number, a divergent collective and a deadlock
// as an error, and an access outside of a buffer (buffers end at a guard page) as an error too. Bank conflicts and speed
// are not seen.
#include "emulate.h"

#include <algorithm>
#include <csetjmp>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <vector>
#include <sys/mman.h>
#include <unistd.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

__thread Emulated emulated;

namespace {

constexpr int WARP = 32;
constexpr size_t STACK = 128 << 10;

enum class State : uint8_t { Ready, Warp, Barrier, Done };

struct Copy { void* to; const void* from; int bytes; bool valid; };

struct Lane { const void *a, *b; void* to; int mask; EmulatedOp op; };

#if defined(__x86_64__)
// Saves what a call keeps, changes stacks, restores.
extern "C" void emulate_switch(void** save, void* load);
asm(R"(
.text
.globl emulate_switch
.hidden emulate_switch
.type emulate_switch,@function
emulate_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emulate_switch, .-emulate_switch
)");
using Context = void*;
#else
using Context = ucontext_t;
#endif

// One block under way.
struct Block {
    int threads = 0, running = -1, done = 0, at_barrier = 0;
    size_t shared_bytes = 0;
    std::vector<State> state;
    std::vector<Lane> lanes;
    std::vector<int> arrived;                          // per warp, at a collective
    std::vector<int> order;                            // of warps
    std::vector<unsigned> blocks;                      // of the launch, in order
    std::vector<std::vector<Copy>> open;               // per thread: copies since its last commit
    std::vector<std::vector<std::vector<Copy>>> groups;  // per thread: committed, not waited for
    std::vector<Context> contexts;
    Context outside;
    std::mt19937 shuffle;
    bool late = true;
    void (*call)(const unsigned long long*) = nullptr;
    const unsigned long long* arguments = nullptr;
};

struct Host {
    Block block;
    unsigned char* stacks = nullptr;
    size_t stack_count = 0;
    unsigned char* shared = nullptr;
    char error[256] = "";
    sigjmp_buf escape;
    bool inside = false;
};
thread_local Host* host = nullptr;

Host& self() {
    if (!host) host = new Host;
    return *host;
}

[[noreturn]] void fail(const char* format, ...) {
    Host& h = self();
    va_list list;
    va_start(list, format);
    int used = vsnprintf(h.error, sizeof h.error, format, list);
    va_end(list);
    if (0 <= used && used < (int)sizeof h.error)
        snprintf(h.error + used, sizeof h.error - used, " (block %u,%u,%u thread %d)", emulated.block.x, emulated.block.y,
                 emulated.block.z, h.block.running);
    siglongjmp(h.escape, 1);
}

struct sigaction before;

void on_fault(int number, siginfo_t* info, void* context) {
    if (host && host->inside) fail("access outside of every buffer, at %p", info->si_addr);
    sigaction(number, &before, nullptr);  // not ours: the fault repeats and meets the handler of before
    (void)context;
}

void enter(Block& b, int thread) {
    b.running = thread;
    emulated.thread = {(unsigned)thread, 0, 0};
}

void change(Block& b, int from, int to) {
    if (from == to) return;
    enter(b, to);
#if defined(__x86_64__)
    emulate_switch(&b.contexts[from], b.contexts[to]);
#else
    swapcontext(&b.contexts[from], &b.contexts[to]);
#endif
}

// The next thread that can go on: of the same warp first, then warp by warp.
int next(const Block& b) {
    const int warp = b.running / WARP;
    for (int i = 1; i <= WARP; i++) {
        const int thread = warp * WARP + (b.running + i) % WARP;
        if (b.state[thread] == State::Ready) return thread;
    }
    size_t place = 0;
    while (b.order[place] != warp) place++;
    for (size_t i = 1; i < b.order.size(); i++) {
        const int other = b.order[(place + i) % b.order.size()];
        for (int thread = other * WARP; thread < other * WARP + WARP; thread++)
            if (b.state[thread] == State::Ready) return thread;
    }
    return -1;
}

void give_way() {
    Block& b = self().block;
    const int from = b.running, to = next(b);
    if (0 <= to) return change(b, from, to);
    if (b.done < b.threads) {
        int warp = 0, barrier = 0;
        for (State it : b.state) warp += it == State::Warp, barrier += it == State::Barrier;
        fail("deadlock: %d threads wait for their warp, %d at a barrier", warp, barrier);
    }
#if defined(__x86_64__)
    emulate_switch(&b.contexts[from], b.outside);
#else
    swapcontext(&b.contexts[from], &b.outside);
#endif
}

void release(Block& b) {
    b.at_barrier = 0;
    for (State& it : b.state)
        if (it == State::Barrier) it = State::Ready;
    std::shuffle(b.order.begin(), b.order.end(), b.shuffle);
}

void begin() {
    Block& b = self().block;
    b.call(b.arguments);
    const int thread = b.running;
    if (!b.open[thread].empty()) fail("asynchronous copies were never committed");
    for (auto& group : b.groups[thread])
        if (!group.empty()) fail("asynchronous copies were never waited for");
    b.state[thread] = State::Done;
    b.done++;
    if (b.at_barrier && b.at_barrier == b.threads - b.done) release(b);
    give_way();
    abort();
}

float bf16(uint32_t bits) { return bits_as_float(bits << 16); }

// Fragments of mma.sync as the PTX manual lays them out: group = lane / 4, t = lane % 4.
void multiply_warp(Lane* lanes, bool half) {
    const int depth = half ? 16 : 8;
    float a[16][16], b[16][8], d[16][8];
    for (int lane = 0; lane < WARP; lane++) {
        const int g = lane / 4, t = lane % 4;
        auto* left = (const uint32_t*)lanes[lane].a;
        auto* right = (const uint32_t*)lanes[lane].b;
        auto* sums = (const float*)lanes[lane].to;
        if (half)
            for (int h = 0; h < 2; h++)
                for (int k = 0; k < 2; k++) {
                    a[g][2 * t + h + 8 * k] = bf16(left[2 * k] >> 16 * h & 0xffff);
                    a[g + 8][2 * t + h + 8 * k] = bf16(left[2 * k + 1] >> 16 * h & 0xffff);
                    b[2 * t + h + 8 * k][g] = bf16(right[k] >> 16 * h & 0xffff);
                }
        else
            for (int k = 0; k < 2; k++) {
                for (uint32_t it : {left[2 * k], left[2 * k + 1], right[k]})
                    if (it & 0x1fff && (it & 0x7f800000) != 0x7f800000) fail("a tf32 factor was not rounded");
                a[g][t + 4 * k] = bits_as_float(left[2 * k]);
                a[g + 8][t + 4 * k] = bits_as_float(left[2 * k + 1]);
                b[t + 4 * k][g] = bits_as_float(right[k]);
            }
        for (int h = 0; h < 2; h++) d[g][2 * t + h] = sums[h], d[g + 8][2 * t + h] = sums[2 + h];
    }
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < depth; k++)
            for (int j = 0; j < 8; j++) d[i][j] += a[i][k] * b[k][j];
    for (int lane = 0; lane < WARP; lane++) {
        const int g = lane / 4, t = lane % 4;
        auto* sums = (float*)lanes[lane].to;
        for (int h = 0; h < 2; h++) sums[h] = d[g][2 * t + h], sums[2 + h] = d[g + 8][2 * t + h];
    }
}

void shuffle_warp(Lane* lanes) {
    uint32_t values[WARP];
    for (int lane = 0; lane < WARP; lane++) {
        const int from = lane ^ lanes[lane].mask;
        if (from < 0 || WARP <= from) fail("a shuffle from lane %d", from);
        memcpy(&values[lane], lanes[from].a, 4);
    }
    for (int lane = 0; lane < WARP; lane++) memcpy(lanes[lane].to, &values[lane], 4);
}

// ldmatrix: matrix j has its rows where lanes 8 j .. 8 j + 7 say. Rows of a matrix that meet in a bank are an error: they
// would be right, and slow.
void matrices_warp(Lane* lanes, bool transposed) {
    const Block& b = self().block;
    uint32_t found[WARP][4];
    for (int j = 0; j < 4; j++) {
        const uint16_t* rows[8];
        unsigned banks = 0;
        for (int i = 0; i < 8; i++) {
            rows[i] = (const uint16_t*)lanes[8 * j + i].a;
            const size_t offset = (const unsigned char*)rows[i] - emulated.shared;
            if (b.shared_bytes < offset + 16) fail("a matrix is read from outside of shared memory");
            if (offset % 16) fail("a matrix is read from a misaligned row");
            banks |= 1u << offset / 16 % 8;
        }
        if (banks != 0xff) fail("rows of a matrix meet in a bank");
        for (int lane = 0; lane < WARP; lane++) {
            const int row = lane / 4, column = lane % 4 * 2;
            const uint32_t low = transposed ? rows[column][row] : rows[row][column];
            const uint32_t high = transposed ? rows[column + 1][row] : rows[row][column + 1];
            found[lane][j] = low | high << 16;
        }
    }
    for (int lane = 0; lane < WARP; lane++) memcpy(lanes[lane].to, found[lane], 16);
}

void finish(const Copy& it) {
    if (it.valid)
        memcpy(it.to, it.from, it.bytes);
    else
        memset(it.to, 0, it.bytes);
}

}  // namespace

extern "C" {

void emulate_barrier() {
    Block& b = self().block;
    b.state[b.running] = State::Barrier;
    if (++b.at_barrier == b.threads - b.done) release(b);
    give_way();
}

void emulate_collective(EmulatedOp op, const void* a, const void* b, void* to, int mask) {
    Block& block = self().block;
    const int thread = block.running, warp = thread / WARP;
    block.lanes[thread] = {a, b, to, mask, op};
    block.state[thread] = State::Warp;
    if (++block.arrived[warp] < WARP) return give_way();
    block.arrived[warp] = 0;
    Lane* lanes = &block.lanes[warp * WARP];
    for (int lane = 0; lane < WARP; lane++)
        if (lanes[lane].op != op) fail("lanes of a warp meet at different collectives: %d and %d", op, lanes[lane].op);
    if (op == EMULATED_SHUFFLE)
        shuffle_warp(lanes);
    else if (op == EMULATED_MATRICES || op == EMULATED_TRANSPOSED)
        matrices_warp(lanes, op == EMULATED_TRANSPOSED);
    else
        multiply_warp(lanes, op == EMULATED_BF16);
    for (int lane = 0; lane < WARP; lane++) block.state[warp * WARP + lane] = State::Ready;
}

void emulate_copy(void* to, const void* from, int bytes, bool valid) {
    Block& b = self().block;
    auto offset = (unsigned char*)to - emulated.shared;
    if (offset < 0 || b.shared_bytes < (size_t)offset + bytes) fail("an asynchronous copy to outside of shared memory");
    if ((uintptr_t)to % bytes || (uintptr_t)from % bytes) fail("a misaligned asynchronous copy");
    const Copy copy = {to, from, bytes, valid};
    if (!b.late) return finish(copy);
    memset(to, 0xff, bytes);
    b.open[b.running].push_back(copy);
}

void emulate_commit() {
    Block& b = self().block;
    b.groups[b.running].push_back(std::move(b.open[b.running]));
    b.open[b.running].clear();
}

void emulate_wait(int groups) {
    Block& b = self().block;
    auto& mine = b.groups[b.running];
    while ((int)mine.size() > groups) {
        for (const Copy& it : mine.front()) finish(it);
        mine.erase(mine.begin());
    }
}

// Memory that ends at a page nobody may touch, filled with NaN; starts at a multiple of 16.
void* emulate_allocate(size_t bytes) {
    const size_t page = sysconf(_SC_PAGESIZE), body = (bytes + 15) / 16 * 16, pages = (body + page - 1) / page * page;
    auto* base = (unsigned char*)mmap(nullptr, pages + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return nullptr;
    mprotect(base + page, pages, PROT_READ | PROT_WRITE);
    memset(base + page, 0xff, pages);
    return base + page + pages - body;
}

void emulate_free(void* memory, size_t bytes) {
    const size_t page = sysconf(_SC_PAGESIZE), body = (bytes + 15) / 16 * 16, pages = (body + page - 1) / page * page;
    munmap((unsigned char*)memory + body - pages - page, pages + 2 * page);
}

// Runs a grid; null, or what went wrong. `late` delays asynchronous copies to their waits.
const char* emulate_launch(void (*call)(const unsigned long long*), const unsigned long long* arguments,
                           const unsigned* grid, unsigned threads, unsigned shared, unsigned seed, bool late) {
    static const bool handled = [] {
        struct sigaction action = {};
        action.sa_sigaction = on_fault;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
        return sigaction(SIGSEGV, &action, &before) == 0;
    }();
    (void)handled;
    Host& h = self();
    Block& b = h.block;
    if (threads == 0 || threads % WARP || 1024 < threads) return "a block is one to 32 whole warps";
    if (h.stack_count < threads) {
        if (h.stacks) munmap(h.stacks, h.stack_count * STACK);
        h.stacks = (unsigned char*)mmap(nullptr, threads * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        h.stack_count = threads;
    }
    // Shared memory ends at a guard page too.
    h.shared = (unsigned char*)emulate_allocate(shared);
    if (sigsetjmp(h.escape, 1)) {
        h.inside = false;
        emulate_free(h.shared, shared);
        return h.error;
    }
    h.inside = true;
    b.threads = (int)threads, b.call = call, b.arguments = arguments, b.shared_bytes = shared, b.late = late;
    b.shuffle.seed(seed);
    emulated.threads = {threads, 1, 1}, emulated.blocks = {grid[0], grid[1], grid[2]}, emulated.shared = h.shared;
    b.order.resize(threads / WARP);
    for (unsigned i = 0; i < threads / WARP; i++) b.order[i] = (int)i;
    b.contexts.resize(threads);
    // Blocks come in any order; what one leaves for another must not depend on it.
    b.blocks.resize((size_t)grid[0] * grid[1] * grid[2]);
    for (size_t i = 0; i < b.blocks.size(); i++) b.blocks[i] = (unsigned)i;
    std::shuffle(b.blocks.begin(), b.blocks.end(), b.shuffle);
    for (unsigned block : b.blocks) {
        emulated.block = {block % grid[0], block / grid[0] % grid[1], block / grid[0] / grid[1]};
        b.done = b.at_barrier = 0;
        b.state.assign(threads, State::Ready);
        b.lanes.assign(threads, {});
        b.arrived.assign(threads / WARP, 0);
        b.open.assign(threads, {});
        b.groups.assign(threads, {});
        memset(h.shared, 0xff, shared);
        std::shuffle(b.order.begin(), b.order.end(), b.shuffle);
        for (unsigned t = 0; t < threads; t++) {
#if defined(__x86_64__)
            auto** top = (void**)(h.stacks + (t + 1) * STACK);
            *--top = nullptr;         // keeps the stack aligned as after a call
            *--top = (void*)begin;    // where the first switch returns to
            for (int i = 0; i < 6; i++) *--top = nullptr;
            b.contexts[t] = top;
#else
            getcontext(&b.contexts[t]);
            b.contexts[t].uc_stack.ss_sp = h.stacks + t * STACK;
            b.contexts[t].uc_stack.ss_size = STACK;
            makecontext(&b.contexts[t], (void (*)())begin, 0);
#endif
        }
        const int first = b.order[0] * WARP;
        enter(b, first);
#if defined(__x86_64__)
        emulate_switch(&b.outside, b.contexts[first]);
#else
        swapcontext(&b.outside, &b.contexts[first]);
#endif
    }
    h.inside = false;
    emulate_free(h.shared, shared);
    return nullptr;
}

}  // extern "C"
