//! A softmax by hand: that its maps run as one, and when they do not.

use super::find;
use crate::ir::expr::{ScalarFn, Unary};
use crate::ir::{DType, Extern, Phase, Precision, Reduction, Shape};
use crate::kernel::{KernelSpec, MapInput, MapKernel, MapOutput, Store};
use crate::plan::{Buffer, BufferId, BufferKind, FORMAT, Launch, PhasePlan, Plan};
use crate::runtime::Backend;
use crate::runtime::cpu::CpuBackend;
use std::collections::BTreeMap;
use std::sync::Arc;

const ROWS: usize = 2000;
const WIDE: usize = 70;

/// A softmax of `[2000, 70]`, and sums of it over the rows: `x`, the maxima, the sums, the result, sums of its columns.
fn softmax(offsets: [usize; 4]) -> Plan {
    let whole = MapInput::new(vec![WIDE, 1], DType::Real);
    let row = MapInput::new(vec![1, 0], DType::Real);
    let reduce = |kind, over: [bool; 2]| Store::Reduce { kind, over: over.to_vec() };
    let kernel = |inputs: &[&MapInput], body: ScalarFn, store: Store| {
        KernelSpec::Map(MapKernel {
            dims: vec![ROWS, WIDE],
            inputs: inputs.iter().map(|it| (*it).clone()).collect(),
            body,
            outputs: vec![MapOutput { store, dtype: DType::Real }],
        })
    };
    let same = || ScalarFn::build(1, |_, x| x[0]);
    let raised = ScalarFn::build(2, |pool, x| {
        let gap = pool.sub(x[0], x[1]);
        pool.unary(Unary::Exp, gap)
    });
    let share = ScalarFn::build(3, |pool, x| {
        let gap = pool.sub(x[0], x[1]);
        let raised = pool.unary(Unary::Exp, gap);
        pool.div(raised, x[2])
    });
    let kernels = vec![
        kernel(&[&whole], same(), reduce(Reduction::Max, [false, true])),
        kernel(&[&whole, &row], raised, reduce(Reduction::Sum, [false, true])),
        kernel(&[&whole, &row, &row], share, Store::Full),
        kernel(&[&whole], same(), reduce(Reduction::Mean, [true, false])),
    ];
    let buffer = |kind: BufferKind, shape: &[usize]| Buffer {
        name: String::new(),
        kind,
        shape: Shape(shape.to_vec()),
        dtype: DType::Real,
        line: String::new(),
    };
    let [maxima, sums, result, columns] = offsets.map(|offset| BufferKind::Arena { offset });
    let launch = |kernel: usize, inputs: &[u32], output: u32| Launch {
        kernel,
        inputs: inputs.iter().map(|it| BufferId(*it)).collect(),
        outputs: vec![BufferId(output)],
        layer: String::new(),
    };
    let launches = vec![launch(0, &[0], 1), launch(1, &[0, 1], 2), launch(2, &[0, 1, 2], 3), launch(3, &[3], 4)];
    Plan {
        format: FORMAT,
        name: "softmax".to_owned(),
        hash: String::new(),
        source: String::new(),
        precision: Precision::F32,
        seed: 0,
        training: None,
        arena_bytes: 1 << 20,
        buffers: vec![
            buffer(BufferKind::Extern(Extern::Named("x".to_owned())), &[ROWS, WIDE]),
            buffer(maxima, &[ROWS]),
            buffer(sums, &[ROWS]),
            buffer(result, &[ROWS, WIDE]),
            buffer(columns, &[WIDE]),
        ],
        kernels,
        phases: [(Phase::Step, PhasePlan { launches, results: BTreeMap::new() })].into(),
    }
}

/// What the results hold after a run.
fn results(plan: &Arc<Plan>, threads: usize, joined: bool) -> Vec<Vec<u8>> {
    let mut backend = CpuBackend::new(plan.clone(), Some(threads)).unwrap();
    let x: Vec<u8> = (0..ROWS * WIDE).flat_map(|it| ((it * 7919 % 1000) as f32 * 0.01).to_ne_bytes()).collect();
    backend.write(BufferId(0), &x).unwrap();
    if joined {
        backend.run(Phase::Step).unwrap();
    } else {
        (0..4).for_each(|it| assert!(backend.run_one(Phase::Step, it).unwrap()));
    }
    (1..5).map(|it| backend.read(BufferId(it)).unwrap()).collect()
}

#[test]
fn maps_over_the_same_rows_run_as_one_and_give_the_same_bits() {
    let plan = Arc::new(softmax([0, 8064, 16384, 16064]));
    let found = find::<f32>(&plan, &plan.phases[&Phase::Step].launches);
    assert_eq!(found.iter().map(|it| it.launches.clone()).collect::<Vec<_>>(), vec![0..4]);
    assert!(1 < found[0].tasks && found[0].block * found[0].tasks < ROWS, "{} {}", found[0].tasks, found[0].block);
    // Exponentials are left where the result will be.
    assert_eq!(
        found[0].operands.iter().map(|it| it.each_ref().map(Vec::len)).collect::<Vec<_>>(),
        [[1, 1], [2, 2], [2, 1], [1, 1]]
    );
    let apart = results(&plan, 1, false);
    for threads in [1, 3] {
        assert_eq!(results(&plan, threads, true), apart);
    }
}

#[test]
fn what_is_overwritten_by_other_rows_runs_apart() {
    // The result lies where the maxima were, which others of its rows still need.
    let plan = Arc::new(softmax([16384, 8064, 0, 600_000 / 64 * 64]));
    let mut launches = plan.phases[&Phase::Step].launches.clone();
    let found = find::<f32>(&plan, &launches);
    assert_eq!(found.iter().map(|it| it.launches.clone()).collect::<Vec<_>>(), vec![0..2]);
    // Sums over the rows are there when all rows are done.
    launches.truncate(1);
    launches.push(Launch { kernel: 3, inputs: vec![BufferId(0)], outputs: vec![BufferId(4)], layer: String::new() });
    launches.push(Launch {
        kernel: 1,
        inputs: vec![BufferId(0), BufferId(4)],
        outputs: vec![BufferId(2)],
        layer: String::new(),
    });
    assert!(find::<f32>(&plan, &launches).iter().all(|it| it.launches.end <= 2));
}
