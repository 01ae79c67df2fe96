//! The shape rules: one for each op, used by the checker and by every builder.

use super::assembly::{MOST_PARTS, covered, overlap};
use super::{
    Along, Augment, DType, Fact, Geometry, Loss, Op, Param, Random, Shape, State, Window, augment, size, work,
};

/// Why an op does not fit its operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// No window fits the input.
    Empty {
        /// Height and width.
        size: [usize; 2],
        /// The window.
        geometry: Geometry,
    },
    /// Operands do not broadcast.
    Mismatch {
        /// Position of the operand that does not fit those before it.
        operand: usize,
        /// What those before it came to.
        left: Shape,
        /// Its shape.
        right: Shape,
    },
    /// The filter was made for another number of channels.
    Channels {
        /// Channels of the input.
        input: usize,
        /// Channels the filter takes.
        filter: usize,
    },
    /// An operand of the wrong rank.
    Rank {
        /// Which operand.
        operand: usize,
        /// Axes wanted.
        expected: usize,
        /// Its shape.
        found: Shape,
    },
    /// An operand of the wrong element type.
    Type {
        /// Which operand.
        operand: usize,
        /// Wanted.
        expected: DType,
        /// Found.
        found: DType,
    },
    /// Two extents that must be equal.
    Extent {
        /// What they are.
        what: &'static str,
        /// One.
        left: usize,
        /// The other.
        right: usize,
    },
    /// Reshape to another number of elements.
    Elements {
        /// From.
        from: Shape,
        /// To.
        to: Shape,
    },
    /// More numbers than a tensor may have (`size`).
    TooLarge {
        /// Of the result.
        shape: Shape,
    },
    /// More multiplications than an operation may take.
    TooMuch {
        /// How many; `u64::MAX` stands for more.
        work: u64,
    },
}

type Result<T> = std::result::Result<T, ShapeError>;

/// What is known of an op's result. `Unknown` when an operand is.
pub fn infer(op: &Op, operands: &[&Fact], params: &[Param], states: &[State]) -> Result<Fact> {
    let Some(known) = operands
        .iter()
        .map(|it| match it {
            Fact::Known { shape, dtype } => Some((shape, *dtype)),
            Fact::Unknown => None,
        })
        .collect::<Option<Vec<(&Shape, DType)>>>()
    else {
        return Ok(Fact::Unknown);
    };
    let fact = rule(op, &Operands(&known), params, states)?;
    if let Some(shape) = fact.shape() {
        if !size::fits(shape) {
            return Err(ShapeError::TooLarge { shape: shape.clone() });
        }
        let operands: Vec<&Shape> = known.iter().map(|it| it.0).collect();
        let work = work::products(op, &operands, shape);
        if size::MOST_WORK < work {
            return Err(ShapeError::TooMuch { work });
        }
    }
    Ok(fact)
}

fn rule(op: &Op, given: &Operands<'_>, params: &[Param], states: &[State]) -> Result<Fact> {
    match op {
        Op::Input { shape, dtype, .. } => Ok(Fact::Known { shape: shape.clone(), dtype: *dtype }),
        Op::Param(id) => Ok(Fact::real(params[id.0 as usize].shape.clone())),
        Op::State(id) => {
            let state = &states[id.0 as usize];
            Ok(Fact::Known { shape: state.shape.clone(), dtype: state.dtype })
        }
        Op::Const { shape, .. } => Ok(Fact::real(shape.clone())),
        Op::Conv(geometry) => conv(given, geometry),
        Op::ConvInputGrad { geometry, size } => conv_input_grad(given, geometry, *size),
        Op::ConvFilterGrad(geometry) => conv_filter_grad(given, geometry),
        Op::MatMul { transpose_a, transpose_b } => matmul(given, *transpose_a, *transpose_b),
        Op::Map { body, int } => map(given, body.arity as usize, *int),
        Op::Reduce { axes, .. } => {
            let mut shape = given.real(0)?.clone();
            for &axis in axes {
                if shape.rank() <= axis {
                    return Err(ShapeError::Rank { operand: 0, expected: axis + 1, found: shape });
                }
                shape.0[axis] = 1;
            }
            Ok(Fact::real(shape))
        }
        Op::Broadcast(to) => {
            let from = given.real(0)?;
            match from.broadcast(to) {
                Some(both) if both == *to => Ok(Fact::real(to.clone())),
                _ => Err(ShapeError::Mismatch { operand: 0, left: to.clone(), right: from.clone() }),
            }
        }
        Op::Reshape(to) => {
            let (from, dtype) = given.0[0];
            if from.len() != to.len() {
                return Err(ShapeError::Elements { from: from.clone(), to: to.clone() });
            }
            Ok(Fact::Known { shape: to.clone(), dtype })
        }
        Op::Transpose(perm) => {
            let from = given.real(0)?;
            if from.rank() != perm.len() {
                return Err(ShapeError::Rank { operand: 0, expected: perm.len(), found: from.clone() });
            }
            Ok(Fact::real(Shape(perm.iter().map(|&it| from.0[it]).collect())))
        }
        Op::Assemble { shape, places } => assemble(given, shape, places),
        Op::Window { kind, geometry } => window(given, *kind, geometry),
        Op::Gather => gather(given),
        Op::Augment { steps } => augmented(given, steps),
        Op::Scatter { rows } => scatter(given, *rows),
        Op::AllReduce(_) => Ok(Fact::real(given.real(0)?.clone())),
        Op::Loss(kind) => loss(given, *kind),
        Op::Random { kind, shape, .. } => {
            given.typed(0, DType::Int, 0)?;
            Ok(match kind {
                Random::Uniform => Fact::real(shape.clone()),
                Random::Shuffle { .. } | Random::Sequence { .. } => Fact::int(shape.clone()),
            })
        }
        Op::Update(_) => {
            let (shape, dtype) = given.0[0];
            Ok(Fact::Known { shape: shape.clone(), dtype })
        }
    }
}

struct Operands<'a>(&'a [(&'a Shape, DType)]);

impl<'a> Operands<'a> {
    fn real(&self, at: usize) -> Result<&'a Shape> {
        let (shape, found) = self.0[at];
        if found != DType::Real {
            return Err(ShapeError::Type { operand: at, expected: DType::Real, found });
        }
        Ok(shape)
    }

    fn typed(&self, at: usize, expected: DType, rank: usize) -> Result<&'a Shape> {
        let (shape, found) = self.0[at];
        if found != expected {
            return Err(ShapeError::Type { operand: at, expected, found });
        }
        if shape.rank() != rank {
            return Err(ShapeError::Rank { operand: at, expected: rank, found: shape.clone() });
        }
        Ok(shape)
    }

    /// Extents of a real operand of rank `N`.
    fn dims<const N: usize>(&self, at: usize) -> Result<[usize; N]> {
        let shape = self.typed(at, DType::Real, N)?;
        Ok(std::array::from_fn(|axis| shape.0[axis]))
    }
}

fn equal(what: &'static str, left: usize, right: usize) -> Result<()> {
    if left == right { Ok(()) } else { Err(ShapeError::Extent { what, left, right }) }
}

fn slide(geometry: &Geometry, size: [usize; 2]) -> Result<[usize; 2]> {
    geometry.output(size).ok_or(ShapeError::Empty { size, geometry: *geometry })
}

fn conv(given: &Operands<'_>, geometry: &Geometry) -> Result<Fact> {
    let [n, h, w, c] = given.dims::<4>(0)?;
    let [kh, kw, cin, cout] = given.dims::<4>(1)?;
    if Some(c) != cin.checked_mul(geometry.groups) {
        return Err(ShapeError::Channels { input: c, filter: cin.saturating_mul(geometry.groups) });
    }
    shared_out(geometry, cout)?;
    equal("kernel height", geometry.kernel[0], kh)?;
    equal("kernel width", geometry.kernel[1], kw)?;
    let [oh, ow] = slide(geometry, [h, w])?;
    Ok(Fact::real([n, oh, ow, cout]))
}

fn conv_input_grad(given: &Operands<'_>, geometry: &Geometry, size: [usize; 2]) -> Result<Fact> {
    let [n, h, w, c] = given.dims::<4>(0)?;
    let [_, _, cin, cout] = given.dims::<4>(1)?;
    equal("channels", c, cout)?;
    shared_out(geometry, cout)?;
    let [oh, ow] = slide(geometry, size)?;
    equal("height", h, oh)?;
    equal("width", w, ow)?;
    Ok(Fact::real([n, size[0], size[1], cin.saturating_mul(geometry.groups)]))
}

fn conv_filter_grad(given: &Operands<'_>, geometry: &Geometry) -> Result<Fact> {
    let [n, h, w, cin] = given.dims::<4>(0)?;
    let [dn, dh, dw, cout] = given.dims::<4>(1)?;
    equal("images", n, dn)?;
    let [oh, ow] = slide(geometry, [h, w])?;
    equal("height", dh, oh)?;
    equal("width", dw, ow)?;
    shared_out(geometry, cin)?;
    shared_out(geometry, cout)?;
    Ok(Fact::real([geometry.kernel[0], geometry.kernel[1], cin / geometry.groups, cout]))
}

/// Each group has as many channels as any other.
fn shared_out(geometry: &Geometry, channels: usize) -> Result<()> {
    equal("channels beyond the groups' shares", channels.checked_rem(geometry.groups).unwrap_or(channels.max(1)), 0)
}

fn matmul(given: &Operands<'_>, transpose_a: bool, transpose_b: bool) -> Result<Fact> {
    let stacked = given.real(0)?.rank() == 3;
    let matrix = |operand: usize, transposed: bool| -> Result<[usize; 3]> {
        let [count, rows, columns] = if stacked {
            given.dims::<3>(operand)?
        } else {
            let [rows, columns] = given.dims::<2>(operand)?;
            [1, rows, columns]
        };
        Ok(if transposed { [count, columns, rows] } else { [count, rows, columns] })
    };
    let (a, b) = (matrix(0, transpose_a)?, matrix(1, transpose_b)?);
    equal("number of matrices", a[0], b[0])?;
    equal("summed extent", a[2], b[1])?;
    Ok(if stacked { Fact::real([a[0], a[1], b[2]]) } else { Fact::real([a[1], b[2]]) })
}

fn map(given: &Operands<'_>, arity: usize, int: bool) -> Result<Fact> {
    equal("operands of the expression", given.0.len(), arity)?;
    let mut shape = Shape::scalar();
    for (operand, (right, _)) in given.0.iter().enumerate() {
        shape = shape.broadcast(right).ok_or_else(|| ShapeError::Mismatch {
            operand,
            left: shape.clone(),
            right: (*right).clone(),
        })?;
    }
    Ok(Fact::Known { shape, dtype: if int { DType::Int } else { DType::Real } })
}

fn assemble(given: &Operands<'_>, shape: &Shape, places: &[Vec<Along>]) -> Result<Fact> {
    equal("parts", given.0.len(), places.len())?;
    if MOST_PARTS < places.len() {
        return Err(ShapeError::Extent { what: "parts", left: places.len(), right: MOST_PARTS });
    }
    let mut boxes = Vec::new();
    for (operand, place) in places.iter().enumerate() {
        let part = given.real(operand)?;
        if part.rank() != shape.rank() {
            return Err(ShapeError::Rank { operand, expected: shape.rank(), found: part.clone() });
        }
        equal("places of a part", place.len(), part.rank())?;
        boxes.push(covered(shape.dims(), part.dims(), place));
    }
    match overlap(&boxes) {
        Some([left, right]) => Err(ShapeError::Extent { what: "parts, which overlap", left, right }),
        None => Ok(Fact::real(shape.clone())),
    }
}

fn window(given: &Operands<'_>, kind: Window, geometry: &Geometry) -> Result<Fact> {
    let [n, h, w, c] = given.dims::<4>(0)?;
    equal("groups of a window", geometry.groups, 1)?;
    match kind {
        Window::Sum | Window::Max => {
            let [oh, ow] = slide(geometry, [h, w])?;
            Ok(Fact::real([n, oh, ow, c]))
        }
        Window::SumGrad { size } => {
            let [oh, ow] = slide(geometry, size)?;
            equal("height", h, oh)?;
            equal("width", w, ow)?;
            Ok(Fact::real([n, size[0], size[1], c]))
        }
        Window::MaxGrad => {
            let [_, dh, dw, dc] = given.dims::<4>(1)?;
            let [oh, ow] = slide(geometry, [h, w])?;
            equal("height", dh, oh)?;
            equal("width", dw, ow)?;
            equal("channels", dc, c)?;
            Ok(Fact::real([n, h, w, c]))
        }
    }
}

fn gather(given: &Operands<'_>) -> Result<Fact> {
    let (source, dtype) = given.0[0];
    let index = given.typed(1, DType::Int, 1)?;
    if source.rank() == 0 {
        return Err(ShapeError::Rank { operand: 0, expected: 1, found: source.clone() });
    }
    let mut shape = source.clone();
    shape.0[0] = index.0[0];
    Ok(Fact::Known { shape, dtype })
}

fn augmented(given: &Operands<'_>, steps: &[Augment]) -> Result<Fact> {
    let (source, dtype) = given.0[0];
    let index = given.typed(1, DType::Int, 1)?;
    if !steps.iter().all(|it| it.takes(dtype)) {
        return Err(ShapeError::Type { operand: 0, expected: DType::U8, found: dtype });
    }
    let &[_, height, width, channels] = given.typed(0, dtype, 4)?.dims() else { unreachable!("four axes") };
    let draws = augment::draws(steps);
    if 0 < draws {
        let [n, found] = given.dims::<2>(2)?;
        equal("images", n, index.0[0])?;
        equal("random numbers per image", found, draws)?;
    }
    let Ok([rows, columns, _]) = augment::after(steps, [height, width, channels]) else {
        return Err(ShapeError::Rank { operand: 0, expected: 4, found: source.clone() });
    };
    Ok(Fact::Known { shape: Shape::from([index.0[0], rows, columns, channels]), dtype })
}

fn scatter(given: &Operands<'_>, rows: usize) -> Result<Fact> {
    let index = given.typed(0, DType::Int, 1)?;
    let mut shape = given.real(1)?.clone();
    let Some(first) = shape.0.first_mut() else {
        return Err(ShapeError::Rank { operand: 1, expected: 1, found: shape });
    };
    equal("picks", index.0[0], *first)?;
    *first = rows;
    Ok(Fact::real(shape))
}

fn loss(given: &Operands<'_>, kind: Loss) -> Result<Fact> {
    let [n, classes] = given.dims::<2>(0)?;
    let labels = given.typed(1, DType::Int, 1)?;
    equal("examples", n, labels.0[0])?;
    match kind {
        Loss::CrossEntropy { .. } | Loss::Correct => Ok(Fact::real([n])),
        Loss::CrossEntropyGrad { .. } => {
            let [g] = given.dims::<1>(2)?;
            equal("examples", n, g)?;
            Ok(Fact::real([n, classes]))
        }
    }
}
