//! What makes images fit a model.

/// The text of steps that lead from images of one shape to another: ` |> pad(2) |> channels(3)`. Borders are made
/// wider with `pad` where that is wanted, and else by scaling.
pub fn steps_between([h, w, c]: [usize; 3], to: &[usize], pad: bool) -> Option<String> {
    let &[height, width, channels] = to else { return None };
    let mut res = String::new();
    if (h, w) != (height, width) {
        res += &if pad && height > h && height - h == width.saturating_sub(w) && (height - h).is_multiple_of(2) {
            format!(" |> pad({})", (height - h) / 2)
        } else {
            format!(" |> resize({height}, {width})")
        };
    }
    if c != channels {
        res += &format!(" |> channels({channels})");
    }
    let fits = matches!((c, channels), (1, 3) | (3, 1)) || c == channels;
    (fits && !res.is_empty()).then_some(res)
}
