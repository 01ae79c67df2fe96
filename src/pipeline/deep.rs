//! A stack that is deep enough for what the front end accepts. It walks trees by recursion, to a depth that `syntax` and
//! `lower` bound; how much of the caller's stack is left, nobody knows: a thread of a library may have 2 MiB.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

/// Reserved, not taken: memory is used as far as the stack grows. The deepest trees need about a tenth.
const STACK: usize = 128 << 20;

/// Reads an import, or says why not.
pub(super) type Load<'a> = &'a mut dyn FnMut(&str) -> Result<String, String>;

/// Runs `work` on a deep stack. Imports are read by the caller's thread, which `load` need not leave.
pub(super) fn on_a_deep_stack<T: Send>(load: Load<'_>, work: impl FnOnce(Load<'_>) -> T + Send) -> T {
    const ONCE: &str = "the work is done once";
    let (ask, asked) = channel::<String>();
    let (answer, answers) = channel();
    let work = Mutex::new(Some(work));
    let take = || work.lock().ok().and_then(|mut it| it.take()).expect(ONCE);
    thread::scope(|scope| {
        let run = move || {
            let mut load = |path: &str| {
                let gone = "the thread that reads files is gone";
                ask.send(path.to_owned()).map_err(|_| gone)?;
                answers.recv().map_err(|_| gone)?
            };
            take()(&mut load)
        };
        let Ok(worker) = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run) else {
            // Where no more threads can be had, what is left of this stack must do.
            return take()(load);
        };
        while let Ok(path) = asked.recv() {
            if answer.send(load(&path)).is_err() {
                break;
            }
        }
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
