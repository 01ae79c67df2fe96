//! The text of a graph, deterministic to the byte: the `ir`, `typed` and `grad` dumps.

use super::{Fill, Graph, NodeId, Op, Target, augment};
use std::fmt;

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {}", self.name)?;
        for param in &self.params {
            writeln!(f, "param {} : real{} {:?} {:?}", param.path, param.shape, param.role, param.init)?;
        }
        for state in &self.states {
            writeln!(f, "state {} : {:?}{} = {}", state.path, state.dtype, state.shape, state.init)?;
        }
        for id in self.ids() {
            self.write_node(f, id)?;
        }
        for (mode, id) in &self.outputs {
            writeln!(f, "output {mode:?} = %{}", id.0)?;
        }
        for (mode, id) in &self.losses {
            writeln!(f, "loss {mode:?} = %{}", id.0)?;
        }
        for metric in &self.metrics {
            for (mode, id) in &metric.nodes {
                writeln!(f, "metric {} {mode:?} = %{}", metric.name, id.0)?;
            }
        }
        for (phase, effects) in &self.effects {
            for id in effects {
                writeln!(f, "effect {phase:?} %{}", id.0)?;
            }
        }
        for (phase, results) in &self.results {
            for (name, id) in results {
                writeln!(f, "result {phase:?} {name} = %{}", id.0)?;
            }
        }
        Ok(())
    }
}

impl Graph {
    /// What a node does, without what it works on: `conv[3x3 s1x1 pad 1,1,1,1]`.
    pub fn op_text(&self, id: NodeId) -> String {
        struct Text<'g>(&'g Graph, NodeId);
        impl fmt::Display for Text<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write_op(f, self.0.op(self.1))
            }
        }
        Text(self, id).to_string()
    }

    fn write_node(&self, f: &mut fmt::Formatter<'_>, id: NodeId) -> fmt::Result {
        write!(f, "  %{} = ", id.0)?;
        self.write_op(f, self.op(id))?;
        let operands = self.operands(id);
        if !operands.is_empty() {
            let list: Vec<String> = operands.iter().map(|it| format!("%{}", it.0)).collect();
            write!(f, " ({})", list.join(", "))?;
        }
        write!(f, " : {}", self.fact(id))?;
        let layer = &self.origin_of(self.origin_id(id)).layer;
        if layer.is_empty() { writeln!(f) } else { writeln!(f, "  // {layer}") }
    }

    fn write_op(&self, f: &mut fmt::Formatter<'_>, op: &Op) -> fmt::Result {
        match op {
            Op::Input { source, .. } => write!(f, "input {source:?}"),
            Op::Param(id) => write!(f, "param {}", self.param(*id).path),
            Op::State(id) => write!(f, "state {}", self.state(*id).path),
            Op::Const { fill: Fill::Value(value), .. } => write!(f, "const {:?}", value.0),
            Op::Const { fill: Fill::Eye, .. } => write!(f, "eye"),
            Op::Const { fill: Fill::Range, .. } => write!(f, "range"),
            Op::Const { fill: Fill::List(numbers), .. } => {
                let numbers: Vec<f64> = numbers.iter().map(|it| it.0).collect();
                write!(f, "const {numbers:?}")
            }
            Op::Conv(geometry) => write!(f, "conv{geometry}"),
            Op::ConvInputGrad { geometry, .. } => write!(f, "conv_input_grad{geometry}"),
            Op::ConvFilterGrad(geometry) => write!(f, "conv_filter_grad{geometry}"),
            Op::MatMul { transpose_a, transpose_b } => {
                let mark = |it: &bool| if *it { "^T" } else { "" };
                write!(f, "matmul a{} b{}", mark(transpose_a), mark(transpose_b))
            }
            Op::Map { body, int } => write!(f, "map{} {body}", if *int { " int" } else { "" }),
            Op::Reduce { kind, axes } => write!(f, "reduce {kind:?} {axes:?}"),
            Op::Broadcast(_) => write!(f, "broadcast"),
            Op::Reshape(_) => write!(f, "reshape"),
            Op::Assemble { shape, places } => {
                write!(f, "assemble {shape}")?;
                places.iter().try_for_each(|it| write!(f, " {}", super::assembly::text(it)))
            }
            Op::Transpose(perm) => write!(f, "transpose {perm:?}"),
            Op::Window { kind, geometry } => write!(f, "window {kind:?}{geometry}"),
            Op::Gather => write!(f, "gather"),
            Op::Augment { steps } => write!(f, "augment [{}]", augment::text(steps)),
            Op::AllReduce(kind) => write!(f, "all_reduce {kind:?}"),
            Op::Scatter { rows } => write!(f, "scatter to {rows}"),
            Op::Loss(kind) => write!(f, "loss {kind:?}"),
            Op::Random { kind, stream, first: 0, .. } => write!(f, "random {kind:?} stream={stream:016x}"),
            Op::Random { kind, stream, first, .. } => write!(f, "random {kind:?} stream={stream:016x} from {first}"),
            Op::Update(Target::Param(id)) => write!(f, "update {}", self.param(*id).path),
            Op::Update(Target::State(id)) => write!(f, "update {}", self.state(*id).path),
        }
    }
}

impl fmt::Display for super::Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, stride, before, after, dilation, groups } = self;
        write!(f, "[{}x{} s{}x{}", kernel[0], kernel[1], stride[0], stride[1])?;
        write!(f, " pad {},{},{},{}", before[0], before[1], after[0], after[1])?;
        if *dilation != [1, 1] {
            write!(f, " dilation {}x{}", dilation[0], dilation[1])?;
        }
        if *groups != 1 {
            write!(f, " groups {groups}")?;
        }
        write!(f, "]")
    }
}
