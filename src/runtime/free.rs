//! How much memory is free, as far as the system tells.

/// What may still be allocated, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Free {
    /// Bytes.
    pub bytes: usize,
    /// What sets the bound, as the end of a sentence: `free on this machine`.
    pub bound: String,
}

/// The memory that this process can still get: what the machine has, and what its control groups and limits let it have.
/// Nothing where the system does not tell.
pub fn free_memory() -> Option<Free> {
    #[cfg(target_os = "linux")]
    return linux::free(std::path::Path::new("/"));
    #[cfg(not(target_os = "linux"))]
    return None;
}

#[cfg(target_os = "linux")]
#[allow(clippy::disallowed_methods, reason = "the system tells in files what it has")]
mod linux {
    use super::Free;
    use std::path::Path;

    /// Address space that a process comes to reserve without taking the memory: stacks of threads, and what the allocator
    /// sets aside for each of a few of them.
    const RESERVED: usize = 256 << 20;

    /// As the files below `root` say; the least of all bounds counts.
    pub(super) fn free(root: &Path) -> Option<Free> {
        let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
        let mut bounds = Vec::new();
        let machine = kilobytes(&read(&root.join("proc/meminfo")), "MemAvailable:");
        bounds.extend(machine.map(|bytes| Free { bytes, bound: "free on this machine".into() }));
        for line in read(&root.join("proc/self/cgroup")).lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
            let (top, names) = if controllers.is_empty() {
                ("sys/fs/cgroup", ["memory.max", "memory.current", "inactive_file"])
            } else if controllers.split(',').any(|it| it == "memory") {
                ("sys/fs/cgroup/memory", ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"])
            } else {
                continue;
            };
            // In a container the path may be that of the machine outside, and the top the container's own group.
            for group in Path::new(path.trim_start_matches('/')).ancestors() {
                let folder = root.join(top).join(group);
                let number = |name: &str| read(&folder.join(name)).trim().parse::<usize>().ok();
                let (Some(limit), Some(used)) = (number(names[0]), number(names[1])) else { continue };
                // The system gives up what it keeps of files that nobody reads any more.
                let idle = field(&read(&folder.join("memory.stat")), names[2]).unwrap_or(0);
                let bytes = limit.saturating_sub(used.saturating_sub(idle));
                bounds.push(Free { bytes, bound: "left by the limit of the control group".into() });
            }
        }
        let limits = read(&root.join("proc/self/limits"));
        let limit = limits.lines().find_map(|it| it.strip_prefix("Max address space"));
        let limit = limit.and_then(|it| it.split_whitespace().next()?.parse::<usize>().ok());
        let taken = kilobytes(&read(&root.join("proc/self/status")), "VmSize:");
        if let (Some(limit), Some(taken)) = (limit, taken) {
            let bytes = limit.saturating_sub(taken).saturating_sub(RESERVED);
            bounds.push(Free { bytes, bound: "left by the limit on address space (`ulimit -v`)".into() });
        }
        bounds.into_iter().min_by_key(|it| it.bytes)
    }

    fn kilobytes(text: &str, name: &str) -> Option<usize> {
        field(text, name)?.checked_mul(1024)
    }

    /// The number behind a name that starts a line.
    fn field(text: &str, name: &str) -> Option<usize> {
        let words = text.lines().find_map(|it| {
            let mut words = it.split_whitespace();
            (words.next() == Some(name)).then_some(words)
        });
        words?.next()?.parse().ok()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        fn place(files: &[(&str, &str)]) -> tempfile::TempDir {
            let root = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = root.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            root
        }

        fn found(files: &[(&str, &str)]) -> Option<(usize, String)> {
            free(place(files).path()).map(|it| (it.bytes, it.bound))
        }

        const MACHINE: (&str, &str) = ("proc/meminfo", "MemTotal: 8000 kB\nMemFree: 5 kB\nMemAvailable:    4000 kB\n");

        #[test]
        fn a_system_that_says_nothing_bounds_nothing() {
            assert_eq!(found(&[]), None);
            assert_eq!(found(&[("proc/meminfo", "MemTotal: 8000 kB\n")]), None);
        }

        #[test]
        fn the_machine_bounds_where_nothing_else_does() {
            let said = Some((4000 * 1024, "free on this machine".to_owned()));
            assert_eq!(found(&[MACHINE]), said);
            let unlimited = [
                MACHINE,
                ("proc/self/cgroup", "0::/a\n"),
                ("sys/fs/cgroup/a/memory.max", "max\n"),
                ("sys/fs/cgroup/a/memory.current", "1000\n"),
                ("proc/self/limits", "Limit  Soft Limit\nMax address space         unlimited   unlimited  bytes\n"),
                ("proc/self/status", "VmSize: 10 kB\n"),
            ];
            assert_eq!(found(&unlimited), said);
        }

        #[test]
        fn the_tightest_of_the_groups_around_the_process_counts() {
            let group = "left by the limit of the control group".to_owned();
            let second = [
                MACHINE,
                ("proc/self/cgroup", "0::/slice/unit\n"),
                ("sys/fs/cgroup/slice/memory.max", "900000\n"),
                ("sys/fs/cgroup/slice/memory.current", "500000\n"),
                ("sys/fs/cgroup/slice/memory.stat", "anon 1\ninactive_file 100000\nactive_file 7\n"),
                ("sys/fs/cgroup/slice/unit/memory.max", "max\n"),
                ("sys/fs/cgroup/slice/unit/memory.current", "5\n"),
            ];
            assert_eq!(found(&second), Some((500_000, group.clone())));
            // Version 1; the path is the machine's, the files are at the top of the container.
            let first = [
                MACHINE,
                ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/1234\n1:name=systemd:/y\n"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000000\n"),
                ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1500000\n"),
                ("sys/fs/cgroup/memory/memory.stat", "cache 5\ntotal_inactive_file 250000\n"),
            ];
            assert_eq!(found(&first), Some((750_000, group)));
        }

        #[test]
        fn a_limit_on_address_space_counts() {
            let files = [
                MACHINE,
                ("proc/self/limits", "Max address space         270000000            unlimited            bytes\n"),
                ("proc/self/status", "Name: x\nVmSize:\t     100 kB\n"),
            ];
            let said = "left by the limit on address space (`ulimit -v`)";
            assert_eq!(found(&files), Some((270_000_000 - RESERVED - 102_400, said.to_owned())));
        }
    }
}
