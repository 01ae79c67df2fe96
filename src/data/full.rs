//! What makes room for a file that could not be written.

use std::io::{Error, ErrorKind};

/// What makes room for it, where the lack of room was the cause.
pub fn make_room(cause: &Error) -> Option<&'static str> {
    let kind = cause.kind();
    if kind == ErrorKind::FileTooLarge {
        Some("raise the limit for sizes of files (`ulimit -f unlimited`)")
    } else if matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        Some("free some space")
    } else {
        None
    }
}

/// What to do about a file that another disk may have room for: `elsewhere` says how to name one. A limit is the same for all.
pub(super) fn make_room_or(cause: &Error, elsewhere: &str) -> String {
    match make_room(cause) {
        Some(room) if cause.kind() == ErrorKind::FileTooLarge => room.to_owned(),
        Some(_) | None => format!("free some space there, or name {elsewhere}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_made_where_it_lacks() {
        let told = |kind: ErrorKind| make_room_or(&kind.into(), "a folder on another disk");
        assert!(told(ErrorKind::FileTooLarge).starts_with("raise the limit"));
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::PermissionDenied] {
            assert_eq!(told(kind), "free some space there, or name a folder on another disk");
        }
        assert_eq!(make_room(&ErrorKind::StorageFull.into()), Some("free some space"));
        assert_eq!(make_room(&ErrorKind::PermissionDenied.into()), None);
    }
}
