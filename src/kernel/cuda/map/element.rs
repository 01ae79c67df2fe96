//! What a thread does with the elements of a map that it takes at once: what it loads and computes ahead of them, for rows
//! and columns; what it makes of each; and what it stores.

use super::functions::{Ending, Writer, coordinates, offset};
use super::layout::{ReductionClass, reduction};
use crate::ir::{DType, Reduction};
use crate::kernel::Store;
use crate::kernel::cuda::drawn;
use crate::kernel::cuda::expression::statements_beyond;
use crate::kernel::cuda::parted::{Along, Parted, as_roots, returned, structure};
use crate::kernel::cuda::text::{Text, element};
use std::fmt::Write;

impl Writer<'_> {
    /// `element`: what becomes of one element; what is loaded and computed ahead of it, for rows, columns and vectors; and
    /// what is stored.
    pub(super) fn element(&self, text: &mut Text, rows: &Ending, columns: &Ending, alls: &Ending) {
        let Writer { spec, layout, number, .. } = self;
        let name = number.name();
        let whole: Vec<usize> =
            (0..layout.classes.len()).filter(|&it| layout.classes[it] == ReductionClass::None).collect();
        let mut at = vec![String::new(); spec.dims.len()];
        coordinates(&spec.dims, "row", &(0..layout.outer).collect::<Vec<_>>(), &mut at);
        coordinates(&spec.dims, "column", &(layout.outer..at.len()).collect::<Vec<_>>(), &mut at);
        let mut roots = self.roots(&whole);
        for it in [rows, columns, alls] {
            roots.extend(self.roots(&it.folded));
            roots.extend(it.moments.iter().map(|it| it.root));
        }
        let parted = Parted::new(spec, layout.outer, &roots, |_| false);
        let of = |along: Along| (0..spec.inputs.len()).filter(|&it| parted.inputs[it] == along).collect::<Vec<_>>();
        let (of_columns, of_elements) = (of(Along::Column), of(Along::Both));

        text.ints([("COLUMN_VALUES", parted.columns.len())]);
        let loads = [
            ("ElementOperands", "const Arguments& args, whole row, int column", &of_elements),
            ("ColumnOperands", "const Arguments& args, int column", &of_columns),
        ];
        for (operands, parameters, inputs) in loads {
            let mut code = format!("struct {operands} {{\n");
            let mut line = |line: String| writeln!(code, "    {line}").expect("a string takes all");
            for &it in inputs {
                let input = &spec.inputs[it];
                let element = element(input.dtype);
                line(match (&input.draws, self.neighbours(it)) {
                    (Some(draws), true) => format!("{} in{it};", drawn::side(draws, input, "VECTOR", layout.vector)),
                    (Some(_), false) => format!("float in{it};"),
                    (None, true) => format!("Vector<{element}, VECTOR> in{it};"),
                    (None, false) => format!("{element} in{it};"),
                });
            }
            line(format!("__device__ __forceinline__ void load({parameters}) {{"));
            for &it in inputs {
                let place = offset(spec, it, &at);
                line(match (&spec.inputs[it].draws, self.neighbours(it)) {
                    (Some(draws), true) => {
                        format!("    in{it}.{};", drawn::into(draws, "args", &format!("in{it}"), &place))
                    }
                    (Some(_), false) => format!("    in{it} = {};", self.read(it, &at)),
                    (None, true) => format!("    in{it}.load(args.in{it} + ({place}));"),
                    (None, false) => format!("    in{it} = args.in{it}[{place}];"),
                });
            }
            line("}".to_owned());
            text.code(code + "};");
        }
        let loaded = |inputs: &[usize], input: u32| {
            let it = input as usize;
            match (inputs.contains(&it), self.neighbours(it)) {
                (false, _) => self.read(it, &at),
                (true, true) => format!("in.in{it}.at(c)"),
                (true, false) => format!("({name})in.in{it}"),
            }
        };
        let rounded = spec.rounded();
        let code = |nodes: &[usize], input: &dyn Fn(u32) -> String| {
            let code = statements_beyond(&spec.body, &rounded, &as_roots(nodes), *number, input, |_| None);
            format!("{code}{}", returned(nodes))
        };
        text.code(structure("RowValues", *number, &parted.rows));
        text.code(structure("ColumnValues", *number, &parted.columns));
        text.code(format_args!(
            "__device__ __forceinline__ RowValues row_values(const Arguments& args, whole row) {{\n{}\n}}",
            code(&parted.rows, &|input| self.read(input as usize, &at))
        ));
        text.code(format_args!(
            "__device__ __forceinline__ ColumnValues column_values(const Arguments& args, const ColumnOperands& in, int c) {{\n{}\n}}",
            code(&parted.columns, &|input| loaded(&of_columns, input))
        ));

        let fields: Vec<String> = whole.iter().map(|it| format!("{name} out{it}; ")).collect();
        text.code(format_args!("struct Values {{ {}}};", fields.concat()));
        let mut code = String::from(
            "__device__ __forceinline__ Values element(const RowValues& row, const ColumnValues& column,\n\
             \x20                                        const ElementOperands& in, int c, RowKept& rows,\n\
             \x20                                        ColumnKept& columns, AllKept& all, bool top, bool left) {\n",
        );
        let own = |input: u32| loaded(&of_elements, input);
        code += &statements_beyond(&spec.body, &rounded, &roots, *number, own, |at| parted.given(at));
        let mut values = roots.iter().map(|it| format!("v{}", it.0));
        let line = |text: &mut String, line: String| writeln!(text, "    {line}").expect("a string takes all");
        let stored: Vec<String> = whole.iter().zip(&mut values).map(|(_, value)| value).collect();
        for (name, first, ending) in [("rows", "left", rows), ("columns", "top", columns), ("all", "top && left", alls)]
        {
            for (o, (&output, value)) in ending.folded.iter().zip(&mut values).enumerate() {
                let maximum = reduction(layout.classes[output]) == Some(Reduction::Max);
                let kept = format!("{name}.sums[{o}]");
                line(&mut code, format!("{kept} = combined({maximum}, {kept}, (float){value});"));
            }
            for (o, (_, value)) in ending.moments.iter().zip(&mut values).enumerate() {
                line(&mut code, format!("take({name}.moments[{o}], {first}, (float){value});"));
            }
        }
        line(&mut code, format!("return {{{}}};", stored.join(", ")));
        // `combined` is defined in the file that follows.
        let declared = "__device__ __forceinline__ float combined(bool maximum, float a, float b);\n";
        text.code(format!("{declared}{code}}}"));

        let mut code = String::from(
            "__device__ __forceinline__ void put_whole(const Arguments& args, whole row, int column, const Values* values) {\n",
        );
        let place = if layout.columns == 1 { "row" } else { "row * COLUMNS + column" };
        for &output in &whole {
            let variance = matches!(spec.outputs[output].store, Store::Reduce { kind: Reduction::Variance, .. });
            // Of one number.
            let value = |c: &str| match variance {
                true => format!("(values[{c}].out{output} - values[{c}].out{output})"),
                false => format!("values[{c}].out{output}"),
            };
            line(
                &mut code,
                match spec.outputs[output].dtype {
                    DType::Real | DType::Bf16 => format!(
                        "put_vector<VECTOR>(args.out{output} + ({place}), [&](int c) {{ return (float){}; }});",
                        value("c")
                    ),
                    DType::Int | DType::U8 | DType::U16 => format!(
                        "for (int c = 0; c < VECTOR; c++) args.out{output}[{place} + c] = {};",
                        self.stored(output, &value("c"))
                    ),
                },
            );
        }
        text.code(code + "}");
    }

    /// Whether neighbours of a row find neighbours in this operand, as reals.
    fn neighbours(&self, input: usize) -> bool {
        let own = self.spec.inputs[input].strides.last().is_some_and(|it| *it == 1);
        1 < self.layout.vector && own
    }
}
