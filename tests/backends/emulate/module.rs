//! CUDA text as machine code of this computer: compiled by g++ against `emulate.h`, run by `emulate.cpp`.

use libloading::Library;
use sha2::{Digest, Sha256};
use sphc::kernel::cuda::{Argument, CudaSource};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const HEADER: &str = include_str!("emulate.h");
const RUNTIME: &str = include_str!("emulate.cpp");

type Launch = unsafe extern "C" fn(
    call: *const std::ffi::c_void,
    arguments: *const u64,
    grid: *const u32,
    threads: u32,
    shared: u32,
    seed: u32,
    late: bool,
) -> *const std::ffi::c_char;

/// What the emulator is to do to a program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stress {
    /// Of the order of warps.
    pub(crate) seed: u32,
    /// Whether asynchronous copies arrive as late as they may, or at once.
    pub(crate) late: bool,
}

/// The device to run cases on, when it is not the emulator that shall run them.
pub(crate) fn device() -> Option<String> {
    std::env::var("SPHC_TEST_DEVICE").ok()
}

/// Whether there is a compiler to emulate with, or a device in its place. CI sets `SPHC_REQUIRE_EMULATOR`, so that nothing is skipped there.
pub(crate) fn available() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        if device().is_some() {
            return true;
        }
        let found = Command::new("g++").arg("--version").output().is_ok_and(|it| it.status.success());
        assert!(found || std::env::var_os("SPHC_REQUIRE_EMULATOR").is_none(), "g++ is needed to emulate kernels");
        if !found {
            eprintln!("skipped: there is no g++ to emulate kernels with");
        }
        found
    })
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulate");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|it| hasher.update(it.as_bytes()));
    hasher.finalize().iter().take(12).map(|it| format!("{it:02x}")).collect()
}

/// A folder that `make` fills, once per content of `parts`, and a folder beside it to keep things in. What `make` writes
/// may name the folder, so it is locked while it is made.
#[cfg(feature = "cuda")]
pub(crate) fn build(name: &str, parts: &[&str], make: impl FnOnce(&Path)) -> (PathBuf, PathBuf) {
    let id = hash(parts);
    let (made, kept) = (folder().join(format!("{name}-{id}")), folder().join(format!("{name}-{id}-kept")));
    std::fs::create_dir_all(&made).unwrap();
    let lock = std::fs::File::create(made.join("lock")).unwrap();
    lock.lock().unwrap();
    if !made.join("done").exists() {
        make(&made);
        std::fs::write(made.join("done"), "").unwrap();
    }
    (made, kept)
}

/// Compiles once per text; another process may do the same at the same time.
fn compile(name: &str, text: &str, flags: &[&str]) -> PathBuf {
    let folder = folder();
    let id = hash(&[text, HEADER, RUNTIME, &flags.join(" ")]);
    let library = folder.join(format!("{name}-{id}.so"));
    if library.exists() {
        return library;
    }
    let header = folder.join(format!("emulate-{}", hash(&[HEADER]))).join("emulate.h");
    std::fs::create_dir_all(header.parent().unwrap()).unwrap();
    let put = |path: &Path, text: &str| {
        let unfinished = tempfile::NamedTempFile::new_in(path.parent().unwrap()).unwrap();
        std::fs::write(unfinished.path(), text).unwrap();
        unfinished.persist(path).unwrap();
    };
    if !header.exists() {
        put(&header, HEADER);
    }
    let source = folder.join(format!("{name}-{id}.cpp"));
    put(&source, text);
    let unfinished = tempfile::NamedTempFile::new_in(&folder).unwrap();
    let output = Command::new("g++")
        .args(["-std=c++17", "-shared", "-fPIC", "-w", "-include"])
        .arg(&header)
        .arg("-I")
        .arg(header.parent().unwrap())
        .args(["-o".as_ref(), unfinished.path()])
        .arg(&source)
        .args(flags)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}\n{}", source.display(), String::from_utf8_lossy(&output.stderr));
    unfinished.persist(&library).unwrap();
    library
}

fn runtime() -> &'static (PathBuf, Library) {
    static RUNTIME_LIBRARY: OnceLock<(PathBuf, Library)> = OnceLock::new();
    RUNTIME_LIBRARY.get_or_init(|| {
        let path = compile("runtime", RUNTIME, &["-O2"]);
        // SAFETY: the library is our own and has no initialisers that do harm.
        let library = unsafe { Library::new(&path) }.unwrap();
        (path, library)
    })
}

/// Memory of the emulator, which ends at a page that nobody may touch; starts as NaN.
pub(crate) struct Memory {
    address: *mut u8,
    bytes: usize,
}

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        // SAFETY: the signature is that of emulate.cpp.
        let address = unsafe {
            let allocate = runtime().1.get::<unsafe extern "C" fn(usize) -> *mut u8>(b"emulate_allocate").unwrap();
            allocate(bytes)
        };
        assert!(!address.is_null());
        Self { address, bytes }
    }

    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut memory = Self::new(bytes.len());
        memory.bytes_mut().copy_from_slice(bytes);
        memory
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the allocation holds this many bytes, all written at least once.
        unsafe { std::slice::from_raw_parts(self.address, self.bytes) }
    }

    /// Whether the bytes between this and the pages that nobody may touch are as they were.
    fn is_intact(&self) -> bool {
        let before = self.address as usize % 4096;
        let after = self.bytes.next_multiple_of(16) - self.bytes;
        // SAFETY: the allocation is of whole pages and ends at a multiple of 16 bytes; all of it was written once.
        let around = unsafe {
            let from = self.address.sub(before);
            [std::slice::from_raw_parts(from, before), std::slice::from_raw_parts(self.address.add(self.bytes), after)]
        };
        around.iter().all(|it| it.iter().all(|it| *it == 0xff))
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.address, self.bytes) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated by the counterpart with the same size.
        unsafe {
            let free = runtime().1.get::<unsafe extern "C" fn(*mut u8, usize)>(b"emulate_free").unwrap();
            free(self.address, self.bytes);
        }
    }
}

/// A compiled unit.
pub(crate) struct Module {
    library: Library,
    source: CudaSource,
}

impl Module {
    pub(crate) fn new(name: &str, source: &CudaSource) -> Self {
        let mut text = source.text.clone();
        let mut entries: Vec<&str> = source.launches.iter().map(|it| it.entry).collect();
        entries.sort_unstable();
        entries.dedup();
        for entry in entries {
            text += &format!("EMULATE_ENTRY({entry})\n");
        }
        let path = compile(name, &text, &["-O1", runtime().0.to_str().unwrap()]);
        // SAFETY: as in `runtime`.
        let library = unsafe { Library::new(path) }.unwrap();
        Self { library, source: source.clone() }
    }

    /// Runs all launches.
    pub(crate) fn run(&self, inputs: &[&Memory], outputs: &[&Memory], seed: u64, stress: Stress) -> Result<(), String> {
        self.run_part(&self.source, inputs, outputs, seed, stress)
    }

    /// Runs the launches of one of several sources whose texts are together in this one.
    pub(crate) fn run_part(
        &self,
        source: &CudaSource,
        inputs: &[&Memory],
        outputs: &[&Memory],
        seed: u64,
        stress: Stress,
    ) -> Result<(), String> {
        let scratch = Memory::new(source.scratch);
        let counters = Memory::of(&vec![0; source.counters * 4]);
        for launch in &source.launches {
            let arguments: Vec<u64> = launch
                .arguments
                .iter()
                .map(|it| match *it {
                    Argument::Input(at) => inputs[at].address as u64,
                    Argument::Output(at) => outputs[at].address as u64,
                    Argument::Scratch(offset) => scratch.address as u64 + offset as u64,
                    Argument::Counters => counters.address as u64,
                    Argument::Seed => seed,
                    Argument::Null => 0,
                })
                .collect();
            // SAFETY: the names and types are those of emulate.h and emulate.cpp; the entry's number of arguments is
            // checked; what it does to memory is what the test is about, and guard pages stop it.
            let error = unsafe {
                let count =
                    self.library.get::<*const i32>(format!("emulate_count_{}", launch.entry).as_bytes()).unwrap();
                assert_eq!(**count as usize, arguments.len(), "`{}` takes another number of arguments", launch.entry);
                let call = self
                    .library
                    .get::<unsafe extern "C" fn(*const u64)>(format!("emulate_call_{}", launch.entry).as_bytes())
                    .unwrap();
                let launcher = runtime().1.get::<Launch>(b"emulate_launch").unwrap();
                let error = launcher(
                    *call as *const std::ffi::c_void,
                    arguments.as_ptr(),
                    launch.grid.as_ptr(),
                    launch.block,
                    launch.shared,
                    stress.seed,
                    stress.late,
                );
                (!error.is_null()).then(|| std::ffi::CStr::from_ptr(error).to_string_lossy().into_owned())
            };
            if let Some(error) = error {
                return Err(format!("{}: {error}", launch.entry));
            }
            if !inputs.iter().chain(outputs).chain([&&scratch, &&counters]).all(|it| it.is_intact()) {
                return Err(format!("{} writes beside a buffer", launch.entry));
            }
            if counters.bytes().iter().any(|it| *it != 0) {
                return Err(format!("{} leaves counters that are not 0", launch.entry));
            }
        }
        Ok(())
    }
}
