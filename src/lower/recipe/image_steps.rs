//! The steps of `data mnist |> pad(2) |> channels(3)`, by which the images of a data set fit a model.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::ImageStep;
use crate::lower::names::options::options;
use crate::lower::recipe::Recipe;
use crate::lower::settings::DataInfo;
use crate::lower::values::value::Value;
use crate::syntax::ast::{self, ExprKind};

/// Steps in order, each with its place; `None` after a mistake in one.
type Steps = Option<Vec<(ImageStep, Span)>>;

impl Recipe<'_> {
    /// What names the data set, and the steps after it.
    pub(super) fn image_steps<'t>(&mut self, entry: &'t ast::TrainEntry) -> (Option<&'t ast::Expr>, Steps) {
        let mut name = entry.values.first();
        let mut calls = Vec::new();
        while let Some(ast::Expr { kind: ExprKind::Call(call), .. }) = name
            && let Some(piped) = &call.piped
        {
            calls.push(ast::Call { piped: None, ..call.clone() });
            name = Some(piped);
        }
        // Every mistake is told before the first one counts.
        let steps: Vec<_> = calls.iter().rev().map(|it| Some((self.image_step(it)?, it.span))).collect();
        (name, steps.into_iter().collect())
    }

    fn image_step(&mut self, call: &ast::Call) -> Option<ImageStep> {
        let args = self.chosen(&options("data", self.items), call)?;
        match args.name.as_str() {
            "resize" => {
                let (height, width) = (self.whole(&args, "height", 1), self.whole(&args, "width", 1));
                Some(ImageStep::Resize { height: height?, width: width? })
            }
            "pad" => self.whole(&args, "pixels", 1).map(ImageStep::Pad),
            "channels" => match args.get("count") {
                Some((Value::Int(it @ (1 | 3)), _)) => Some(ImageStep::Channels(*it as usize)),
                Some((Value::Int(it), span)) => {
                    self.out_of_range(*span, "the number of channels", &it.to_string(), "1 or 3");
                    None
                }
                _ => None,
            },
            other => unreachable!("`{other}` is not among the steps of `data`"),
        }
    }

    /// A data set after the steps; `None` when one cannot be done to it.
    pub(super) fn fitted(&mut self, data: DataInfo, steps: &[(ImageStep, Span)]) -> Option<DataInfo> {
        if steps.is_empty() {
            return Some(data);
        }
        let mut image = data.image.image().unwrap_or([1, 1, data.image.len()]);
        for (step, span) in steps {
            match step.shape(image) {
                Ok(shape) if shape == image => {
                    let text = self.sources.slice(*span);
                    if text.chars().any(|it| it.is_ascii_digit()) {
                        let message = format!("`{text}` leaves the images of `{}` as they are", data.name);
                        let [h, w, c] = image;
                        self.report(
                            Diagnostic::new(Code::W0203, *span, message)
                                .label(format!("they are {h}x{w}x{c} already"))
                                .help("leave the step out"),
                        );
                    }
                }
                Ok(shape) => image = shape,
                Err(cause) => {
                    let message = format!("the images of `{}` cannot be made so: {cause}", data.name);
                    self.report(Diagnostic::new(Code::E0202, *span, message).label("this step"));
                    return None;
                }
            }
        }
        Some(DataInfo { image: image.into(), ..data })
    }
}
