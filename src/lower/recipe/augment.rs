//! The `augment` entry: steps that are done to training images at random, in the order of the text. Mirrors, which
//! exchange with every other step, come last.

use crate::diag::{Code, Diagnostic, Span};
use crate::ir::augment::after;
use crate::ir::op::Scalar64;
use crate::ir::recipe::{Mix, Views};
use crate::ir::{Augment, Border, DType, Mode, Shape};
use crate::lower::network::basis::Basis;
use crate::lower::recipe::Recipe;
use crate::lower::settings::DataInfo;
use crate::lower::values::args::Args;
use crate::lower::values::value::Value;
use crate::syntax::ast;

/// Areas and ratios of a resized crop, unless told.
const SCALE: [f64; 2] = [0.08, 1.0];

const RATIO: [f64; 2] = [0.75, 4.0 / 3.0];

/// What an entry asks for.
#[derive(Debug, Default)]
pub(super) struct Augmented {
    /// Without those that cannot be done.
    pub(in crate::lower) steps: Vec<Augment>,
    /// Whether an image that is mirrored in one epoch is not in the next.
    pub(in crate::lower) alternate: bool,
    /// How images are mixed after the steps.
    pub(in crate::lower) mix: Option<(Mix, Span)>,
}

impl Recipe<'_> {
    /// What the entry does to training images.
    pub(super) fn augment(&mut self, entry: &ast::TrainEntry, data: Option<&DataInfo>) -> Augmented {
        let mut alternate = false;
        let mut mix: Option<(Mix, Span)> = None;
        let mut found: Vec<(Augment, Span)> = Vec::new();
        let mut seen: Vec<(String, Span)> = Vec::new();
        for value in &entry.values {
            let Some(args) = self.choice("augment", value) else { continue };
            let way = match args.name.as_str() {
                "crop" => "keep one of them; with a larger `pad` it moves the images further",
                _ => "keep one of them",
            };
            if !self.is_first("augment", &args.name, value.span, &mut seen, way) {
                continue;
            }
            if matches!(args.name.as_str(), "mixup" | "cutmix") {
                if let Some((other, first)) = mix {
                    let message = format!("`{}` beside `{}`: images are mixed once", args.name, other.word());
                    let report = Diagnostic::new(Code::E0103, value.span, message)
                        .label("mixes them again")
                        .also(first, "mixed here")
                        .help("keep one of them");
                    self.report(report);
                    continue;
                }
                let alpha = self.float(&args, "alpha", 1.0, |it| (0.01..=100.0).contains(&it), "from 0.01 to 100");
                let of = |alpha| if args.name == "mixup" { Mix::Images { alpha } } else { Mix::Boxes { alpha } };
                mix = alpha.map(|it| (of(it), value.span));
                continue;
            }
            alternate |= matches!(args.get("alternate"), Some((Value::Bool(true), _)));
            let so_far: Vec<Augment> = found.iter().map(|it| it.0).collect();
            let image = data.and_then(|it| after(&so_far, it.image.image()?).ok());
            if let Some(step) = self.augmentation(&args, image) {
                if data.is_some_and(|data| !self.takes_step(step, value.span, data)) {
                    continue;
                }
                found.push((step, value.span));
                if data.is_some_and(|data| !self.moves_targets(&found, data)) {
                    found.pop();
                }
            }
        }
        let mirrors = |it: &(Augment, Span)| matches!(it.0, Augment::FlipHorizontal | Augment::FlipVertical);
        found.sort_by_key(mirrors);
        while let Some(data) = data
            && let Some([h, w, c]) = data.image.image()
            && let Err((at, cause)) = after(&found.iter().map(|it| it.0).collect::<Vec<_>>(), [h, w, c])
        {
            let (step, span) = found.remove(at);
            let message = format!("`{}` cannot be done: {cause}", step.word());
            self.report(
                Diagnostic::new(Code::E0202, span, message)
                    .label("this step")
                    .note(format!("the images of `{}` are {h}x{w}x{c}", data.name)),
            );
        }
        Augmented { steps: found.into_iter().map(|it| it.0).collect(), alternate, mix }
    }

    /// Whether a step can be done to examples as they are; else it is told.
    fn takes_step(&mut self, step: Augment, span: Span, data: &DataInfo) -> bool {
        let (word, input) = (step.word(), data.input());
        let message = format!("`{word}` cannot be done to `{input}`");
        let told = format!("the {}s of `{}` are {input}", data.noun(), data.name);
        let report = if data.image.image().is_none() {
            Diagnostic::new(Code::E0202, span, message)
                .label("takes images, which have height, width and channels")
                .note(told)
                .help("leave it out")
        } else if !step.takes(data.dtype) {
            let (label, help) = match step {
                Augment::ColorJitter { .. } => (
                    "knows black, white and grey of bytes",
                    "leave it out; in a block, `if training { x * (1 + 0.2 * (uniform([1, 1, 1]) - 0.5)) } else { x }` varies numbers",
                ),
                _ => (
                    "makes numbers between pixels, which ids do not have",
                    "use `crop`, `flip_horizontal` or `flip_vertical`, which move them",
                ),
            };
            Diagnostic::new(Code::E0202, span, message).label(label).note(told).help(help)
        } else {
            return true;
        };
        self.report(report);
        false
    }

    /// Whether the images of a batch have partners, in each of its parts.
    pub(super) fn may_be_mixed(&mut self, mix: Mix, span: Span, basis: &Basis) {
        let (word, part) = (mix.word(), basis.batch / basis.accumulate);
        if let Some(data) = basis.data.as_ref().filter(|it| !it.target.is_class()) {
            let told = format!("the targets of `{}` are {}", data.name, data.target.describe(data.classes));
            let report = Diagnostic::new(Code::E0202, span, format!("`{word}` mixes the classes of two images"))
                .label("images have no single class here")
                .note(told)
                .help("leave it out");
            self.report(report);
        } else if let Some(data) = basis.data.as_ref().filter(|it| match mix {
            Mix::Images { .. } => it.dtype == DType::Int,
            Mix::Boxes { .. } => it.image.image().is_none(),
        }) {
            let label = match mix {
                Mix::Images { .. } => "makes means, which ids do not have",
                Mix::Boxes { .. } => "takes boxes of images, which have height and width",
            };
            let message = format!("`{word}` cannot be done to `{}`", data.input());
            let report = Diagnostic::new(Code::E0202, span, message).label(label).help("leave it out");
            self.report(report);
        } else if basis.batch == 1 && self.settings.batch.is_none() {
            let report = Diagnostic::new(Code::W0203, span, format!("`{word}` has no effect on a batch of one image"))
                .label("mixes the images of a batch")
                .help("give a larger `batch`, or leave it out");
            self.report(report);
        } else if 1 < basis.accumulate && !part.is_multiple_of(2) {
            let message = format!("`{word}` mixes images in pairs, and the parts of a batch have {part}");
            let report = Diagnostic::new(Code::E0108, span, message)
                .label("needs parts of an even number of images")
                .help(format!("write `batch {}`, or another number of parts", basis.accumulate * (part + 1)));
            self.report(report);
        }
    }

    /// `views flip_horizontal, shift(1)`: what evaluation takes the mean over.
    pub(super) fn views(&mut self, entry: &ast::TrainEntry) -> Views {
        let mut views = Views::default();
        if let Some(data) = self.data.clone().filter(|it| it.target.of_pixels()) {
            let told = format!("the targets of `{}` are {}", data.name, data.target.describe(data.classes));
            let message = "the mean over views would mix scores of different pixels";
            let report = Diagnostic::new(Code::E0202, entry.span, message)
                .label("moves the image, and not its targets")
                .note(told)
                .help("leave the line out");
            self.report(report);
            return views;
        }
        if let Some(data) = self.data.clone().filter(|it| it.image.image().is_none()) {
            let message = format!("there are no views of `{}`", data.input());
            let report = Diagnostic::new(Code::E0202, entry.span, message)
                .label("takes images, which have height, width and channels")
                .help("leave the line out");
            self.report(report);
            return views;
        }
        let output = self.graph.outputs.get(&Mode::Evaluate).and_then(|it| self.graph.fact(*it).shape());
        if let Some([_, height, width, _]) = output.map(Shape::dims)
            && 1 < height * width
        {
            let message = "the mean over views would mix what the output has for different pixels";
            let report = Diagnostic::new(Code::E0202, entry.span, message)
                .label("moves the image, and what the output is compared with stays")
                .note(format!("the output has {height}x{width} positions"))
                .help("leave the line out");
            self.report(report);
            return views;
        }
        let mut seen: Vec<(String, Span)> = Vec::new();
        for value in &entry.values {
            let Some(args) = self.choice("views", value) else { continue };
            if !self.is_first("views", &args.name, value.span, &mut seen, "keep one of them") {
                continue;
            }
            match args.name.as_str() {
                "flip_horizontal" => views.mirror = true,
                "shift" => {
                    let border = match args.get("mode") {
                        Some((Value::Str(it), _)) => Border::find(it),
                        Some(_) => None,
                        None => Some(Border::Reflect),
                    };
                    let Some((pixels, border)) = self.whole(&args, "pixels", 1).zip(border) else { continue };
                    let input = self.graph.inputs.get(&Mode::Evaluate).and_then(|it| self.graph.fact(*it).shape());
                    let least = input.and_then(|it| it.dims().get(1..3)?.iter().min().copied());
                    match least {
                        Some(least) if least <= pixels => {
                            let allowed = format!("less than the image, which is {least} pixels");
                            let span = args.get("pixels").map_or(value.span, |it| it.1);
                            self.out_of_range(span, "`pixels` of `shift`", &pixels.to_string(), &allowed);
                        }
                        // Without an input there is a report of that.
                        Some(_) => views.shift = Some((pixels, border)),
                        None => {}
                    }
                }
                other => unreachable!("`{other}` is not among the words of `views`"),
            }
        }
        views
    }

    /// One step, for images of so many rows, columns and channels, where that is known.
    fn augmentation(&mut self, args: &Args, image: Option<[usize; 3]>) -> Option<Augment> {
        match args.name.as_str() {
            "flip_horizontal" => Some(Augment::FlipHorizontal),
            "flip_vertical" => Some(Augment::FlipVertical),
            "crop" => self.crop(args, image),
            "random_resized_crop" => {
                let (height, width) = (self.whole(args, "height", 1), self.whole(args, "width", 1));
                let areas = self.bounds(args, "scale", SCALE, |it| 0.0 < it && it <= 1.0, "above 0 and at most 1");
                let ratios = self.bounds(args, "ratio", RATIO, |it| (1e-3..=1e3).contains(&it), "from 0.001 to 1000");
                let (areas, ratios) = (areas?, ratios?);
                Some(Augment::ResizedCrop { size: [height?, width?], areas, ratios, centre: false })
            }
            "rotate" => {
                let degrees =
                    self.float(args, "degrees", 0.0, |it| 0.0 < it && it <= 180.0, "above 0 and at most 180")?;
                if let Some((_, span)) = args.get("degrees").filter(|_| degrees < 1.0) {
                    let meant = (degrees.to_degrees() * 10.0).round() / 10.0;
                    let report = Diagnostic::new(
                        Code::W0203,
                        *span,
                        format!("`rotate` turns images by less than {degrees} degrees"),
                    )
                    .label("an angle in degrees, and too small to be seen");
                    let why = format!("as radians it is {meant} degrees");
                    self.report(self.instead(report, why, *span, meant.to_string()));
                }
                Some(Augment::Rotate { degrees: Scalar64(degrees) })
            }
            "cutout" => {
                let size = self.whole(args, "size", 1);
                let value = match args.get("value") {
                    Some((Value::Int(it), span)) => match u8::try_from(*it) {
                        Ok(it) => Some(it),
                        Err(_) => {
                            self.out_of_range(*span, "`value` of `cutout`", &it.to_string(), "a byte, from 0 to 255");
                            None
                        }
                    },
                    Some(_) => None,
                    None => Some(0),
                };
                // From a pixel in one corner such a square reaches the other one.
                if let (Some(size), Some([height, width, _])) = (size, image)
                    && 2 * height.max(width) <= size
                {
                    let report = Diagnostic::new(
                        Code::E0202,
                        args.span,
                        format!("`cutout({size})` leaves nothing of any image"),
                    )
                    .label(format!("the images are {height}x{width}"))
                    .help(format!("give a part of them: `cutout({})`", (height.min(width) / 2).max(1)));
                    self.report(report);
                    return None;
                }
                Some(Augment::Cutout { size: size?, value: value? })
            }
            "color_jitter" => {
                let share = |it: f64| (0.0..=1.0).contains(&it);
                let mut all = [Scalar64(0.0); 3];
                let mut good = true;
                for (to, name) in all.iter_mut().zip(["brightness", "contrast", "saturation"]) {
                    match self.float(args, name, 0.0, share, "from 0 to 1") {
                        Some(it) => *to = Scalar64(it),
                        None => good = false,
                    }
                }
                let [brightness, contrast, saturation] = all;
                if good && all.iter().all(|it| it.0 == 0.0) {
                    self.report(
                        Diagnostic::new(Code::W0203, args.span, "`color_jitter` without a factor changes nothing")
                            .label("all three are 0")
                            .help("write for example `color_jitter(brightness: 0.2)`"),
                    );
                    return None;
                }
                good.then_some(Augment::ColorJitter { brightness, contrast, saturation })
            }
            other => unreachable!("`{other}` is not among the steps of `augment`"),
        }
    }

    /// `crop(pad: 4)` keeps the size, `crop(28, 28)` changes it.
    fn crop(&mut self, args: &Args, image: Option<[usize; 3]>) -> Option<Augment> {
        let given = |name: &str| args.get(name).is_some();
        if given("height") != given("width") {
            let (there, missing) = if given("height") { ("height", "width") } else { ("width", "height") };
            self.report(
                Diagnostic::new(Code::E0105, args.span, format!("`crop` has a {there}, but no {missing}"))
                    .label(format!("missing `{missing}`"))
                    .help("write both, as in `crop(28, 28)`, or neither, as in `crop(pad: 4)`"),
            );
            return None;
        }
        if !given("height") && !given("pad") {
            self.report(
                Diagnostic::new(Code::E0105, args.span, "`crop` needs a border or a size")
                    .label("nothing to crop")
                    .help("write `crop(pad: 4)`, which keeps the size, or `crop(28, 28)`"),
            );
            return None;
        }
        let border = match args.get("mode") {
            Some((Value::Str(it), _)) => Border::find(it),
            Some(_) => None,
            None => Some(Border::Symmetric),
        };
        let pad = match given("pad") {
            true => self.whole(args, "pad", if given("height") { 0 } else { 1 }),
            false => Some(0),
        };
        let size = if given("height") {
            let (height, width) = (self.whole(args, "height", 1), self.whole(args, "width", 1));
            height.zip(width).map(|it| [it.0, it.1])
        } else {
            image.map(|it| [it[0], it[1]])
        };
        let (size, pad) = (size?, pad?);
        if pad == 0 && image.is_some_and(|it| it[..2] == size) {
            self.in_vain(
                args.span,
                "this `crop` has no effect".to_owned(),
                "takes the whole image",
                "give it a border: `crop(pad: 4)`",
            );
        }
        Some(Augment::Crop { size, pad, border: border?, centre: false })
    }

    /// A list of two numbers, the lower first.
    fn bounds(
        &mut self,
        args: &Args,
        name: &str,
        default: [f64; 2],
        fits: fn(f64) -> bool,
        allowed: &str,
    ) -> Option<[Scalar64; 2]> {
        let Some((value, span)) = args.get(name) else { return Some(default.map(Scalar64)) };
        let Value::List(items) = value else { return None };
        let numbers: Vec<f64> = items.iter().filter_map(Value::number).collect();
        match numbers[..] {
            [low, high] if low <= high && fits(low) && fits(high) => Some([Scalar64(low), Scalar64(high)]),
            _ => {
                let what = format!("`{name}` of `{}`", args.name);
                let allowed = format!("two numbers {allowed}, the lower first");
                self.out_of_range(*span, &what, &value.to_string(), &allowed);
                None
            }
        }
    }

    /// The steps without chance: what is done to images that are evaluated, which must have the same size.
    pub(super) fn steady(steps: &[Augment], data: &DataInfo) -> Vec<Augment> {
        let mut res = Vec::new();
        let Some(mut image) = data.image.image() else { return res };
        for step in steps.iter().filter_map(Augment::steady) {
            let Ok(next) = step.shape(image) else { continue };
            // In the middle of a border, the image is.
            let same = matches!(step, Augment::Crop { .. }) && next == image;
            res.extend((!same).then_some(step));
            image = next;
        }
        res
    }
}
