// A stand-in for NVRTC: compiles a text with g++ against the emulator's header. HEADER and DRIVER, the paths of
// emulate.h and of the stand-in driver, are given when this file is compiled.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <unistd.h>

namespace {

struct Program { std::string text, log, image; };

std::string contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream all;
    all << file.rdbuf();
    return all.str();
}

// Names of the entries: what follows `__global__ void`, after launch bounds if any.
std::set<std::string> entries(const std::string& text) {
    std::set<std::string> names;
    const std::string mark = "extern \"C\" __global__ void";
    for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) {
        size_t from = at + mark.size();
        const size_t bounds = text.find("__launch_bounds__(", from), open = text.find('(', from);
        if (bounds < open) from = text.find(')', open) + 1;
        from = text.find_first_not_of(" \n", from);
        names.insert(text.substr(from, text.find('(', from) - from));
    }
    return names;
}

}  // namespace

extern "C" {

int nvrtcVersion(int* major, int* minor) {
    const char* other = getenv("SPHC_STANDIN_NVRTC");
    return *major = other ? atoi(other) : 13, *minor = 99, 0;
}
int nvrtcCreateProgram(Program** to, const char* text, const char*, int, const char**, const char**) {
    *to = new Program{text, "", ""};
    return 0;
}
int nvrtcDestroyProgram(Program** program) { return delete *program, *program = nullptr, 0; }
int nvrtcCompileProgram(Program* program, int, const char**) {
    char folder[] = "/tmp/sphc-nvrtc-XXXXXX";
    if (!mkdtemp(folder)) return 1;
    const std::string base = folder, source = base + "/kernel.cpp", library = base + "/kernel.so", log = base + "/log";
    std::string text = program->text;
    for (auto& name : entries(text)) text += "EMULATE_ENTRY(" + name + ")\n";
    std::ofstream(source) << text;
    const std::string command = "g++ -std=c++17 -O1 -shared -fPIC -w -include '" HEADER "' -o " + library + " " + source +
                                " '" DRIVER "' 2> " + log;
    const int status = system(command.c_str());
    program->log = contents(log);
    if (status == 0) {
        const std::string image = contents(library);
        const uint64_t header[2] = {0x5350484354414e44ull, image.size()};
        program->image = std::string((const char*)header, sizeof header) + image;
        // As the assembler speaks. Entries of a text that holds SPHC_STANDIN_SPILL spill; all have a stack frame.
        const char* part = getenv("SPHC_STANDIN_SPILL");
        const bool spills = part && program->text.find(part) != std::string::npos;
        for (auto& name : entries(program->text))
            program->log += "ptxas info    : Compiling entry function '" + name + "' for 'sm_80'\n" +
                            "ptxas         .     32 bytes stack frame, " + (spills ? "24" : "0") +
                            " bytes spill stores, " + (spills ? "40" : "0") + " bytes spill loads\n";
    }
    for (auto& it : {source, library, log}) unlink(it.c_str());
    rmdir(folder);
    return status ? 6 : 0;
}
int nvrtcGetProgramLogSize(Program* program, size_t* size) { return *size = program->log.size() + 1, 0; }
int nvrtcGetProgramLog(Program* program, char* to) { return memcpy(to, program->log.c_str(), program->log.size() + 1), 0; }
int nvrtcGetCUBINSize(Program* program, size_t* size) { return *size = program->image.size(), 0; }
int nvrtcGetCUBIN(Program* program, char* to) { return memcpy(to, program->image.data(), program->image.size()), 0; }
// As a text: digits of the image behind a mark that the stand-in driver knows.
static std::string digits(const Program* program) {
    std::string text = "// PTX ";
    char two[3];
    for (unsigned char it : program->image) snprintf(two, sizeof two, "%02x", it), text += two;
    return text;
}
int nvrtcGetPTXSize(Program* program, size_t* size) { return *size = digits(program).size() + 1, 0; }
int nvrtcGetPTX(Program* program, char* to) {
    const std::string text = digits(program);
    return memcpy(to, text.c_str(), text.size() + 1), 0;
}
int nvrtcGetNumSupportedArchs(int* count) { return *count = 2, 0; }
int nvrtcGetSupportedArchs(int* to) { return to[0] = 80, to[1] = 90, 0; }
const char* nvrtcGetErrorString(int) { return "the stand-in cannot compile"; }

}  // extern "C"
