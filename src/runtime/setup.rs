//! Where CUDA's libraries are looked for. A library does not read the environment by itself: whoever runs it does.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where CUDA's libraries are looked for, and how its kernels are compiled and started. The default looks where the system
/// does, and keeps nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CudaSetup {
    /// The folder that holds driver and NVRTC, in place of every other (`SPHC_CUDA_LIB`).
    pub libraries: Option<PathBuf>,
    /// Folders in which NVRTC is looked for where the system finds none.
    pub search: Vec<PathBuf>,
    /// Where compiled kernels are kept; they are compiled at every start without (`SPHC_CACHE`).
    pub cache: Option<PathBuf>,
    /// Wait for each kernel, so that a failure names it (`SPHC_CUDA_SYNC`).
    pub synchronous: bool,
}

impl CudaSetup {
    /// What the variables of an environment say, such as `CudaSetup::of(&|name| std::env::var_os(name))`: those named above,
    /// the user's cache folder, and the wheels of a virtual environment and the toolkits that are there.
    pub fn of(variable: &dyn Fn(&str) -> Option<OsString>) -> CudaSetup {
        let path = |name: &str| variable(name).map(PathBuf::from);
        let cache = path("SPHC_CACHE").or_else(|| {
            let cache = path("XDG_CACHE_HOME").or_else(|| Some(path("HOME")?.join(".cache")));
            Some(cache?.join("sphc"))
        });
        CudaSetup {
            libraries: path("SPHC_CUDA_LIB"),
            search: usual_folders(&path),
            cache: cache.map(|it| it.join("cubins")),
            synchronous: variable("SPHC_CUDA_SYNC").is_some_and(|it| it == "1"),
        }
    }
}

fn usual_folders(path: &dyn Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for variable in ["VIRTUAL_ENV", "CONDA_PREFIX"] {
        let Some(home) = path(variable) else { continue };
        let Ok(versions) = std::fs::read_dir(home.join("lib")) else { continue };
        let mut versions: Vec<PathBuf> = versions.flatten().map(|it| it.path()).collect();
        versions.sort();
        for python in versions {
            for wheel in ["nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib"] {
                folders.push(python.join("site-packages").join(wheel));
            }
        }
    }
    for variable in ["CUDA_HOME", "CUDA_PATH"] {
        folders.extend(path(variable).map(|it| it.join("lib64")));
    }
    folders.push(Path::new("/usr/local/cuda/lib64").into());
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_go_before_what_is_usual() {
        let home = |name: &str| (name == "HOME").then(|| OsString::from("/home/me"));
        let found = CudaSetup::of(&home);
        assert_eq!(found.cache.as_deref(), Some(Path::new("/home/me/.cache/sphc/cubins")));
        assert_eq!((found.libraries, found.synchronous), (None, false));
        let all = |name: &str| Some(OsString::from(if name == "SPHC_CUDA_SYNC" { "1" } else { name }));
        let found = CudaSetup::of(&all);
        assert_eq!(found.cache.as_deref(), Some(Path::new("SPHC_CACHE/cubins")));
        assert_eq!((found.libraries.as_deref(), found.synchronous), (Some(Path::new("SPHC_CUDA_LIB")), true));
        assert!(found.search.starts_with(&["CUDA_HOME/lib64".into(), "CUDA_PATH/lib64".into()]), "{:?}", found.search);
    }
}
