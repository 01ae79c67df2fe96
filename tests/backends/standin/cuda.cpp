// A stand-in for NVIDIA's driver, libcuda.so.1: what `sphc` asks of it, with kernels run by the emulator. Modules are
// machine code of this computer, made by the stand-in for NVRTC beside it. It refuses what a driver refuses: a launch
// over the limits, a copy outside of an allocation, an allocation or a wait during capture. Linked with emulate.cpp.
#include "../emulate/emulate.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

extern "C" {
void* emulate_allocate(size_t bytes);
void emulate_free(void* memory, size_t bytes);
const char* emulate_launch(void (*call)(const unsigned long long*), const unsigned long long* arguments,
                           const unsigned* grid, unsigned threads, unsigned shared, unsigned seed, bool late);
}

using Result = int;
using Address = uint64_t;
using Task = std::function<Result()>;

enum : Result {
    OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, STUB = 34, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_IMAGE = 200,
    NOT_FOUND = 500, NOT_READY = 600, LAUNCH_FAILED = 719, CAPTURE_UNSUPPORTED = 900, CAPTURE_IMPLICIT = 906,
};

namespace {

constexpr int MOST_SHARED = 99 * 1024;  // of the smallest card aimed at
constexpr int PLAIN_SHARED = 48 * 1024;

struct Function { void (*call)(const unsigned long long*); int arguments; int shared = PLAIN_SHARED; std::string name; };
struct Module { void* library; };
struct Graph { std::vector<Task> tasks; };
struct Stream { Graph* capture = nullptr; };
struct Event { timespec time; int asked = 0; };

std::mutex lock;
std::map<Address, size_t> memory;
Stream plain;
int context, failed = OK, captures = 0;
thread_local void* current = nullptr;

int setting(const char* name, int otherwise) {
    const char* value = getenv(name);
    return value ? atoi(value) : otherwise;
}

Stream& stream_of(void* stream) { return (uintptr_t)stream < 3 ? plain : *(Stream*)stream; }

Result submit(void* stream, Task task) {
    Stream& s = stream_of(stream);
    if (!s.capture) return task();
    s.capture->tasks.push_back(std::move(task));
    return OK;
}

bool inside(Address start, size_t bytes) {
    std::lock_guard<std::mutex> held(lock);
    auto it = memory.upper_bound(start);
    if (it == memory.begin()) return false;
    --it;
    return start + bytes <= it->first + it->second;
}

// A copy on its way to pinned memory.
struct Late { void* to; std::vector<char> bytes; };
std::vector<Late> late;
std::map<Address, size_t> pinned;
int waits = 0;
std::map<std::string, int> loaded;

void arrive() {
    for (auto& it : late) memcpy(it.to, it.bytes.data(), it.bytes.size());
    late.clear();
}

bool is_pinned(void* to) {
    std::lock_guard<std::mutex> held(lock);
    auto it = pinned.upper_bound((Address)to);
    return it != pinned.begin() && (Address)to < (--it)->first + it->second;
}

int pooled = 0;

// Writes what tests ask about to SPHC_STANDIN_REPORT when the program ends.
struct Report {
    ~Report() {
        const char* path = getenv("SPHC_STANDIN_REPORT");
        FILE* file = path ? fopen(path, "w") : nullptr;
        if (!file) return;
        fprintf(file, "waits %d\npooled %d\n", waits, pooled);
        for (auto& it : loaded) fprintf(file, "launched %s %d\n", it.first.c_str(), it.second);
        fclose(file);
    }
} report;

size_t capacity() { return (size_t)setting("SPHC_STANDIN_MEGABYTES", 4096) << 20; }

size_t used() {
    std::lock_guard<std::mutex> held(lock);
    size_t sum = 0;
    for (auto& it : memory) sum += it.second;
    return sum;
}

}  // namespace

extern "C" {

Result cuInit(unsigned) {
    if (setting("SPHC_STANDIN_STUB", 0)) return STUB;
    return setting("SPHC_STANDIN_DEVICES", 1) < 0 ? NO_DEVICE : OK;
}
Result cuDriverGetVersion(int* version) { return *version = setting("SPHC_STANDIN_VERSION", 13000), OK; }
Result cuDeviceGetCount(int* count) { return *count = setting("SPHC_STANDIN_DEVICES", 1), OK; }
Result cuDeviceGet(int* device, int ordinal) {
    if (ordinal < 0 || setting("SPHC_STANDIN_DEVICES", 1) <= ordinal) return INVALID_DEVICE;
    return *device = ordinal, OK;
}
Result cuDeviceGetName(char* name, int size, int) { return snprintf(name, size, "emulated device"), OK; }
Result cuDeviceGetAttribute(int* value, int attribute, int) {
    switch (attribute) {
        case 16: *value = 4; break;                                      // multiprocessors
        case 75: *value = setting("SPHC_STANDIN_CAPABILITY", 8); break;  // major
        case 76: *value = 0; break;                                      // minor
        case 13: *value = 1000000; break;                                // clock, kHz
        case 36: *value = 1000000; break;                                // of memory
        case 37: *value = 512; break;                                    // bits of its bus
        case 97: *value = MOST_SHARED; break;
        case 115: *value = setting("SPHC_STANDIN_POOLS", 1); break;      // memory pools
        default: *value = 0;
    }
    return OK;
}
Result cuDeviceTotalMem_v2(size_t* bytes, int) { return *bytes = capacity(), OK; }
Result cuDevicePrimaryCtxRetain(void** to, int) { return *to = &context, OK; }
Result cuDevicePrimaryCtxRelease_v2(int) { return OK; }
Result cuCtxSetCurrent(void* to) { return current = to, OK; }
Result cuCtxGetCurrent(void** to) { return *to = current, OK; }
Result cuCtxSynchronize() { return arrive(), waits++, captures ? CAPTURE_UNSUPPORTED : failed; }
Result cuMemGetInfo_v2(size_t* free, size_t* total) { return *total = capacity(), *free = *total - used(), OK; }

Result cuMemAlloc_v2(Address* to, size_t bytes) {
    if (captures) return CAPTURE_UNSUPPORTED;
    if (capacity() - used() < bytes) return OUT_OF_MEMORY;
    void* allocated = emulate_allocate(bytes);
    if (!allocated) return OUT_OF_MEMORY;
    std::lock_guard<std::mutex> held(lock);
    memory[(Address)allocated] = bytes;
    return *to = (Address)allocated, OK;
}
Result cuMemFree_v2(Address address) {
    std::lock_guard<std::mutex> held(lock);
    auto it = memory.find(address);
    if (it == memory.end()) return INVALID_VALUE;
    emulate_free((void*)address, it->second);
    memory.erase(it);
    return OK;
}
// Of a memory pool, in order of a stream: as every device since compute capability 6.0 has it.
Result cuMemAllocAsync(Address* to, size_t bytes, void* stream) {
    if (!setting("SPHC_STANDIN_POOLS", 1)) return INVALID_VALUE;
    if (stream_of(stream).capture) return CAPTURE_UNSUPPORTED;
    return pooled++, cuMemAlloc_v2(to, bytes);
}
Result cuMemFreeAsync(Address address, void* stream) {
    if (stream_of(stream).capture) return CAPTURE_UNSUPPORTED;
    return cuMemFree_v2(address);
}
Result cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, void* stream) {
    if (!inside(to, bytes)) return INVALID_VALUE;
    return submit(stream, [=] { return memcpy((void*)to, from, bytes), OK; });
}
Result cuMemHostAlloc(void** to, size_t bytes, unsigned flags) {
    if (flags & 4) return INVALID_VALUE;  // write-combined: slow to read
    if (posix_memalign(to, 64, bytes)) return OUT_OF_MEMORY;
    std::lock_guard<std::mutex> held(lock);
    return pinned[(Address)*to] = bytes, OK;
}
Result cuMemFreeHost(void* memory) {
    arrive();
    std::lock_guard<std::mutex> held(lock);
    if (!pinned.erase((Address)memory)) return INVALID_VALUE;
    return free(memory), OK;
}
Result cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, void* stream) {
    if (!inside(from, bytes)) return INVALID_VALUE;
    if (is_pinned(to)) {
        // Copies to pinned memory take their time: they arrive when somebody waits, or asks for the second time.
        late.push_back({to, std::vector<char>((char*)from, (char*)from + bytes)});
        return memset(to, 0xff, bytes), OK;
    }
    return submit(stream, [=] { return memcpy(to, (void*)from, bytes), failed; });
}

Result cuStreamCreate(void** to, unsigned) { return *to = new Stream, OK; }
Result cuStreamDestroy_v2(void* stream) { return delete (Stream*)stream, OK; }
Result cuStreamSynchronize(void* stream) { return arrive(), waits++, stream_of(stream).capture ? CAPTURE_UNSUPPORTED : failed; }
Result cuStreamWaitEvent(void*, void*, unsigned) { return OK; }
Result cuStreamBeginCapture_v2(void* stream, int) {
    if ((uintptr_t)stream < 3) return CAPTURE_IMPLICIT;
    stream_of(stream).capture = new Graph;
    captures++;
    return OK;
}
Result cuStreamEndCapture(void* stream, void** graph) {
    Stream& s = stream_of(stream);
    *graph = s.capture;
    s.capture = nullptr;
    captures--;
    return OK;
}
Result cuStreamIsCapturing(void* stream, int* status) { return *status = stream_of(stream).capture != nullptr, OK; }
Result cuGraphInstantiateWithFlags(void** to, void* graph, unsigned long long) { return *to = new Graph(*(Graph*)graph), OK; }
Result cuGraphUpload(void*, void*) { return OK; }
Result cuGraphLaunch(void* graph, void*) {
    for (auto& task : ((Graph*)graph)->tasks)
        if (Result result = task()) return result;
    return OK;
}
Result cuGraphDestroy(void* graph) { return delete (Graph*)graph, OK; }
Result cuGraphExecDestroy(void* graph) { return delete (Graph*)graph, OK; }

Result cuModuleLoadData(void** to, const void* image) {
    // PTX is the image as digits.
    std::string bytes;
    const char* text = (const char*)image;
    if (!strncmp(text, "// PTX ", 7)) {
        for (text += 7; text[0] && text[1]; text += 2) {
            const char two[3] = {text[0], text[1], 0};
            bytes += (char)strtoul(two, nullptr, 16);
        }
        image = bytes.data();
    }
    // The stand-in for NVRTC puts the length in front; anything else is no image of ours.
    uint64_t header[2];
    memcpy(header, image, sizeof header);
    if (header[0] != 0x5350484354414e44ull) return INVALID_IMAGE;
    // A driver knows nothing of compilers that came after it.
    if (setting("SPHC_STANDIN_VERSION", 13000) < 13000) return INVALID_IMAGE;
    const int file = memfd_create("module", 0);
    if (write(file, (const char*)image + sizeof header, header[1]) != (ssize_t)header[1]) return INVALID_IMAGE;
    void* library = dlopen(("/proc/self/fd/" + std::to_string(file)).c_str(), RTLD_NOW | RTLD_LOCAL);
    // The file stays open: the loader takes equal names for the same library.
    if (!library) return fprintf(stderr, "stand-in driver: %s\n", dlerror()), INVALID_IMAGE;
    return *to = new Module{library}, OK;
}
Result cuModuleUnload(void* module) { return delete (Module*)module, OK; }
Result cuModuleGetFunction(void** to, void* module, const char* name) {
    void* library = ((Module*)module)->library;
    auto call = (void (*)(const unsigned long long*))dlsym(library, (std::string("emulate_call_") + name).c_str());
    auto count = (const int*)dlsym(library, (std::string("emulate_count_") + name).c_str());
    if (!call || !count) return NOT_FOUND;
    return *to = new Function{call, *count, PLAIN_SHARED, name}, OK;
}
Result cuFuncSetAttribute(void* function, int attribute, int value) {
    if (attribute != 8) return OK;  // the most dynamic shared memory
    if (MOST_SHARED < value) return INVALID_VALUE;
    return ((Function*)function)->shared = value, OK;
}
Result cuFuncGetAttribute(int* value, int attribute, void*) {
    // Every function has a little local memory, as those with a sine have.
    return *value = attribute == 3 ? 32 : 0, OK;
}

Result cuLaunchKernel(void* function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                      unsigned shared, void* stream, void** parameters, void**) {
    auto& f = *(Function*)function;
    loaded[f.name + " " + std::to_string(shared)]++;
    if (!gx || !gy || !gz || 65535 < gy || 65535 < gz || 0x7fffffffu < gx) return INVALID_VALUE;
    if (!bx || 1024 < bx || by != 1 || bz != 1 || f.shared < (int)shared) return INVALID_VALUE;
    std::vector<unsigned long long> arguments(f.arguments);  // taken at the launch, as a driver does
    for (int i = 0; i < f.arguments; i++) memcpy(&arguments[i], parameters[i], 8);
    return submit(stream, [=, call = f.call, name = f.name]() -> Result {
        // Which run of which entry fails: `window 3`. It shows when somebody waits.
        static std::map<std::string, int> runs;
        const char* broken = getenv("SPHC_STANDIN_BROKEN");
        if (broken && name + " " + std::to_string(++runs[name]) == broken) return failed = LAUNCH_FAILED, OK;
        const unsigned grid[3] = {gx, gy, gz};
        static unsigned seed = 1;
        const char* error = emulate_launch(call, arguments.data(), grid, bx, shared, seed++, true);
        if (!error) return OK;
        fprintf(stderr, "stand-in driver: %s: %s\n", name.c_str(), error);
        return failed = LAUNCH_FAILED;
    });
}

Result cuEventCreate(void** to, unsigned) { return *to = new Event{}, OK; }
Result cuEventRecord(void* event, void*) {
    // Work is done when it was asked for.
    clock_gettime(CLOCK_MONOTONIC, &((Event*)event)->time);
    return OK;
}
Result cuEventElapsedTime(float* milliseconds, void* from, void* to) {
    const timespec a = ((Event*)from)->time, b = ((Event*)to)->time;
    return *milliseconds = 1e3f * (b.tv_sec - a.tv_sec) + 1e-6f * (b.tv_nsec - a.tv_nsec), OK;
}
Result cuEventSynchronize(void*) { return arrive(), waits++, failed; }
Result cuEventQuery(void* event) {
    if (((Event*)event)->asked++ % 2 == 0) return NOT_READY;
    return arrive(), failed;
}
Result cuEventDestroy_v2(void* event) { return delete (Event*)event, OK; }
Result cuGetErrorName(int error, const char** name) {
    static thread_local char text[32];
    return snprintf(text, sizeof text, "CUDA error %d", error), *name = text, OK;
}
Result cuGetErrorString(int error, const char** text) { return cuGetErrorName(error, text); }

}  // extern "C"
