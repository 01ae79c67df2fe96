//! A plan whose buffers in the arena lie apart from each other, with bytes between them that nobody may touch. What a
//! phase reads of those, or of what nothing has written, is NaN.

use sphc::ir::{DType, Shape};
use sphc::plan::{Buffer, BufferId, BufferKind, Plan};
use sphc::runtime::{RuntimeError, Session};
use std::ops::Range;

const FENCE: usize = 64;
const BYTE: u8 = 0xff;

/// What lies between the buffers of a plan.
pub(super) struct Fences {
    arena: BufferId,
    between: Vec<Range<usize>>,
}

/// The plan with fences; one more buffer is all of its arena.
pub(super) fn fenced(mut plan: Plan) -> (Plan, Fences) {
    let mut between = Vec::new();
    let mut end = FENCE;
    between.push(0..FENCE);
    for buffer in &mut plan.buffers {
        let bytes = buffer.shape.len() * plan.precision.bytes(buffer.dtype);
        if let BufferKind::Arena { offset } = &mut buffer.kind {
            *offset = end;
            let next = (end + bytes).next_multiple_of(FENCE) + FENCE;
            between.push(end + bytes..next);
            end = next;
        }
    }
    let arena = BufferId(plan.buffers.len() as u32);
    plan.arena_bytes = end;
    plan.buffers.push(Buffer {
        name: "all of the arena".into(),
        kind: BufferKind::Arena { offset: 0 },
        shape: Shape(vec![end]),
        dtype: DType::U8,
        line: String::new(),
    });
    (plan, Fences { arena, between })
}

impl Fences {
    pub(super) fn put_up(&self, session: &mut Session) -> Result<(), RuntimeError> {
        let bytes = vec![BYTE; session.plan.arena_bytes];
        session.backend.write(self.arena, &bytes)
    }

    /// What was written between buffers, if anything.
    pub(super) fn trespass(&self, session: &Session) -> Result<Option<String>, RuntimeError> {
        let bytes = session.backend.read(self.arena)?;
        let found = self.between.iter().flat_map(Range::clone).find(|it| bytes[*it] != BYTE);
        Ok(found.map(|at| {
            let before =
                session.plan.buffers.iter().filter(|it| it.dtype != DType::U8 || it.shape.len() != bytes.len());
            let before = before.filter_map(|it| match it.kind {
                BufferKind::Arena { offset } if offset <= at => Some((offset, it.name.as_str())),
                _ => None,
            });
            format!("a write at byte {at} of the arena, behind {:?}", before.max())
        }))
    }
}
