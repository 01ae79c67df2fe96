//! Arguments that are said in vain. Only what stands in the text as a number counts: what a param gives, another `--set` may
//! change.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::Geometry;
use crate::lower::report::Reports;
use crate::lower::values::args::Args;

/// Whether a text is a number, a list of numbers or a word of a layer's: nothing that a param decides.
pub(in crate::lower) fn is_written(text: &str) -> bool {
    matches!(text, "same" | "valid") || text.chars().all(|it| it.is_ascii_digit() || "[], _.e-+".contains(it))
}

impl Reports<'_> {
    /// Proposes another value in the place of one: an exact edit of what is written out, advice about what is computed, or a
    /// param's.
    pub(in crate::lower) fn instead(
        &self,
        report: Diagnostic,
        why: impl Into<String>,
        span: Span,
        by: impl Into<String>,
    ) -> Diagnostic {
        let text = self.sources.slice(span);
        match is_written(text) || text.starts_with('"') {
            true => report.fix(why, span, by),
            false => report.help(why),
        }
    }

    pub(in crate::lower) fn in_vain(&self, span: Span, message: String, label: &str, help: &str) {
        self.report(Diagnostic::new(Code::W0203, span, message).label(label).help(help));
    }

    /// A variance over `count` values of each channel, which a normalisation divides by.
    pub(in crate::lower) fn varies(&self, path: &str, span: Span, count: usize) {
        if self.items.trains.is_empty() || self.settings.evaluates || count != 1 {
            return;
        }
        let report = self
            .at(Code::W0304, span, format!("`{path}` would normalise each channel over one value"))
            .label("a batch of one image, and one position")
            .note("the variance of one value is 0, so the result would be `beta`, whatever the image is")
            .help("give a larger `batch`, or normalise where the images still have positions");
        self.report(report);
    }

    /// Whether an argument is a number in the user's text, which no param changes.
    pub(in crate::lower) fn is_fixed(&self, args: &Args, name: &str) -> bool {
        args.get(name).is_some_and(|it| it.1.file != self.items.prelude && is_written(self.sources.slice(it.1)))
    }

    /// Arguments of a window that change nothing. `usual` is the stride that it has by itself; `fixed` tells that its size is
    /// a number in the text.
    pub(in crate::lower) fn vain_window(
        &self,
        args: &Args,
        size: [usize; 2],
        made: &Geometry,
        usual: [usize; 2],
        fixed: bool,
    ) {
        let [stride, pad, dilation] = ["stride", "pad", "dilation"]
            .map(|name| args.get(name).map(|it| it.1).filter(|_| self.is_fixed(args, name)));
        let one = made.kernel == [1, 1] && fixed;
        let word = pad.filter(|it| matches!(self.sources.slice(*it), "same" | "valid"));
        if one && args.get("size").is_some() && made.stride == [1, 1] {
            self.in_vain(
                self.users_place(args.span),
                format!("`{}` over windows of 1x1 changes nothing", self.users_callee(&args.name)),
                "each window is one number",
                "remove it, or give a larger size",
            );
            return;
        }
        if let Some(span) = word.filter(|_| one) {
            let message = format!("{} has no effect", args.what("pad"));
            self.in_vain(span, message, "a kernel of 1x1 never reaches beyond the image", "leave it out");
        }
        if let Some(span) = dilation.filter(|_| made.kernel == [1, 1] && made.dilation != [1, 1]) {
            let message = format!("{} has no effect", args.what("dilation"));
            self.in_vain(span, message, "a kernel of 1x1 has one tap", "leave it out");
        }
        let plain = Geometry { stride: usual, ..*made };
        if let Some(span) = stride.filter(|_| made.stride != usual)
            && made.output(size).is_some()
            && made.output(size) == plain.output(size)
            && made.output(size) == Some([1, 1])
        {
            let message = format!("{} has no effect", args.what("stride"));
            self.in_vain(span, message, "there is one position, and so no next one", "leave it out");
        }
    }
}
