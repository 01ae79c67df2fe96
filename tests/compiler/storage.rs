//! Which buffers of a plan hold 16 bits, and that kernels and buffers agree on it.

use sphc::fuse::fuse;
use sphc::ir::{DType, Phase, Precision};
use sphc::kernel::{ConvKind, KernelSpec, MapKernel};
use sphc::plan::{Buffer, BufferId, BufferKind, Config, Launch, Plan, from_yaml, plan, to_yaml};

fn compiled(text: &str, precision: Precision) -> Plan {
    let typed = crate::backends::engines::typed("model.sph", text, &crate::language::lower::settings(&[]));
    let config = Config { precision, hash: String::new(), source: String::new(), line: &|_| String::new() };
    plan(&fuse(sphc::autodiff::training(typed)), &config)
}

/// Channels 1, 16, 16, 12, 16, 16, 10: some convolutions cannot read 16 bits.
fn model(operator: &str) -> String {
    let layer = |at: usize, filters: usize| {
        format!("x = sphere_conv(x, {filters}, kernel: 3, operator: {operator}) |> batch_norm |> relu as \"c{at}\"\n")
    };
    let layers: String = [16, 16, 12, 16, 16].iter().enumerate().map(|(at, filters)| layer(at, *filters)).collect();
    format!(
        r#"
        model Uneven {{
            input image: u8[8, 8, 1]
            x = image / 16
            {layers}
            x = max_pool(x, 2)
            output conv(global_avg_pool(x), classes, kernel: 1) as "score"
        }}
        train {{
            data       digits
            batch      4
            iterations 1
            loss       softmax_cross_entropy()
            optimizer  adam()
        }}
        "#
    )
}

fn buffers<'p>(plan: &'p Plan, ids: &[BufferId]) -> Vec<&'p Buffer> {
    ids.iter().map(|it| &plan.buffers[it.0 as usize]).collect()
}

/// What a launch's kernel says of its operands and results; nothing where it says nothing, which is reals of 32 bits.
fn said(spec: &KernelSpec, launch: &Launch) -> (Vec<DType>, Vec<DType>) {
    let of_map = |map: &MapKernel| -> (Vec<DType>, Vec<DType>) {
        (map.inputs.iter().map(|it| it.dtype).collect(), map.outputs.iter().map(|it| it.dtype).collect())
    };
    let all = |reads: DType, writes: DType| (vec![reads; launch.inputs.len()], vec![writes; launch.outputs.len()]);
    match spec {
        KernelSpec::Conv(conv) => all(conv.reads, conv.writes),
        KernelSpec::ConvMap { conv, map } => {
            let (inputs, outputs) = of_map(map);
            ([vec![conv.reads; 2], inputs[1..].to_vec()].concat(), outputs)
        }
        KernelSpec::Map(map) => of_map(map),
        KernelSpec::Window { reads, writes, .. } => all(*reads, *writes),
        KernelSpec::Maps(maps) => {
            let all: Vec<_> = maps.iter().map(of_map).collect();
            (all.iter().flat_map(|it| it.0.clone()).collect(), all.iter().flat_map(|it| it.1.clone()).collect())
        }
        KernelSpec::Transpose { dtype, .. } => all(*dtype, *dtype),
        KernelSpec::Assemble { dtype, parts, .. } => (vec![*dtype; parts.len()], vec![*dtype]),
        _ => (Vec::new(), Vec::new()),
    }
}

#[test]
fn kernels_and_buffers_agree_on_what_is_in_memory() {
    for operator in ["none", "cosine", "lr_sigmoid"] {
        let plan = compiled(&model(operator), Precision::Bf16);
        for launch in plan.phases.values().flat_map(|it| &it.launches) {
            let spec = &plan.kernels[launch.kernel];
            let (inputs, outputs) = said(spec, launch);
            for (said, ids) in [(inputs, &launch.inputs), (outputs, &launch.outputs)] {
                let found: Vec<DType> = buffers(&plan, ids).iter().map(|it| it.dtype).collect();
                assert!(said == found || (said.is_empty() && !found.contains(&DType::Bf16)), "{spec}\n{found:?}");
            }
        }
        let text = to_yaml(&plan).unwrap();
        assert_eq!(from_yaml("plan.yaml", &text).unwrap(), plan);
    }
}

#[test]
fn convolutions_over_eights_read_16_bits_and_the_others_32() {
    for operator in ["none", "cosine"] {
        let plan = compiled(&model(operator), Precision::Bf16);
        let (mut short, mut long) = (0, 0);
        for launch in &plan.phases[&Phase::Step].launches {
            let (KernelSpec::Conv(conv) | KernelSpec::ConvMap { conv, .. }) = &plan.kernels[launch.kernel] else {
                continue;
            };
            let eights = [conv.input[2], conv.output[2]].iter().all(|it| it.is_multiple_of(8));
            assert_eq!(conv.reads == DType::Bf16, eights, "{conv:?}");
            if conv.kind == ConvKind::FilterGrad {
                assert_eq!(conv.writes, DType::Real);
            }
            *if eights { &mut short } else { &mut long } += 1;
        }
        // Layers 1 and 4 have three products in 16 bits; layers 0, 2, 3 and the head have eleven others.
        assert_eq!((short, long), (6, 11), "{operator}");
        // What is kept, and what is per channel or per pixel, is never short.
        for buffer in plan.buffers.iter().filter(|it| it.dtype == DType::Bf16) {
            assert!(matches!(buffer.kind, BufferKind::Arena { .. }), "{}", buffer.name);
            assert!(buffer.shape.rank() == 4 && buffer.shape.0[3].is_multiple_of(8), "{}", buffer.name);
        }
    }
}

#[test]
fn other_precisions_have_no_16_bits() {
    for precision in [Precision::F32, Precision::Tf32, Precision::F64] {
        assert!(compiled(&model("cosine"), precision).buffers.iter().all(|it| it.dtype != DType::Bf16));
    }
}

#[test]
fn activations_in_16_bits_halve_the_arena() {
    let text = std::fs::read_to_string("models/spherenet9.sph").unwrap();
    let arena = |precision| compiled(&text, precision).arena_bytes as f64;
    let share = arena(Precision::Bf16) / arena(Precision::F32);
    assert!((0.5..0.53).contains(&share), "{share}");
}
