//! Schedules of the prelude against PyTorch's rates, and schedules of a file.

use crate::backends::engines::{Engine, Machine, stand_in, typed};
use crate::language::lower::settings;
use sphc::autodiff::training;
use sphc::diag::render;
use sphc::interp::Tensor;
use sphc::ir::{Extern, Phase, Shape};
use sphc::pipeline;
use sphc::shape::Typed;

const STEPS: usize = 12;

fn text(definitions: &str, recipe: &str) -> String {
    format!(
        "{definitions}\n\nmodel Case {{\n    input image: u8[8, 8, 1]\n    \
         output conv(image / 16, classes, kernel: 8, pad: valid)\n}}\n\n\
         train {{\n    data digits\n    batch 2\n    iterations {STEPS}\n    loss softmax_cross_entropy\n    {recipe}\n}}\n"
    )
}

fn graph(definitions: &str, recipe: &str) -> Typed {
    let settings = stand_in([8, 8, 1], 10, 2);
    training(typed("case.sph", &text(definitions, recipe), &settings))
}

/// The rates of all steps are these.
fn check(definitions: &str, recipe: &str, wanted: &[f64]) {
    let graph = graph(definitions, recipe);
    for engine in Engine::ALL {
        let mut machine = Machine::new(engine, graph.clone());
        machine.bind(Extern::TrainImages, &Tensor::filled(Shape::from([2, 8, 8, 1]), 3.0));
        machine.bind(Extern::TrainLabels, &Tensor::filled(Shape::from([2]), 1.0));
        for (step, wanted) in wanted.iter().enumerate() {
            machine.run(Phase::Step);
            let found = machine.result(Phase::Step, "rate")[0];
            let gap = (found - wanted).abs();
            assert!(gap <= engine.tolerance(), "{recipe}, step {step} on {engine:?}: {found}, not {wanted}");
        }
    }
}

/// What the classes of `torch.optim.lr_scheduler` give: `MultiStepLR`, `ExponentialLR`, `PolynomialLR`, `CosineAnnealingLR`,
/// `LinearLR`, `OneCycleLR`, `CyclicLR`.
#[test]
fn schedules_are_those_of_pytorch() {
    let cases: &[(&str, [f64; STEPS])] = &[
        ("step(at: [3, 7], factor: 0.3)", [0.4, 0.4, 0.4, 0.12, 0.12, 0.12, 0.12, 0.036, 0.036, 0.036, 0.036, 0.036]),
        (
            "exponential(0.9)",
            [
                0.4,
                0.36000000000000004,
                0.32400000000000007,
                0.2916000000000001,
                0.26244000000000006,
                0.23619600000000007,
                0.21257640000000008,
                0.1913187600000001,
                0.1721868840000001,
                0.15496819560000008,
                0.13947137604000007,
                0.12552423843600005,
            ],
        ),
        (
            "polynomial(power: 2)",
            [
                0.4,
                0.3361111111111111,
                0.2777777777777778,
                0.22499999999999995,
                0.17777777777777776,
                0.13611111111111104,
                0.09999999999999998,
                0.06944444444444442,
                0.044444444444444446,
                0.024999999999999994,
                0.011111111111111105,
                0.00277777777777778,
            ],
        ),
        (
            "cosine",
            [
                0.4,
                0.39318516525781366,
                0.3732050807568878,
                0.3414213562373095,
                0.30000000000000004,
                0.2517638090205042,
                0.20000000000000004,
                0.1482361909794959,
                0.10000000000000006,
                0.05857864376269052,
                0.026794919243112263,
                0.0068148347421863615,
            ],
        ),
        (
            "cosine(floor: 0.05)",
            [
                0.4,
                0.39352590699492296,
                0.3745448267190434,
                0.344350288425444,
                0.305,
                0.25917561856947896,
                0.21,
                0.16082438143052108,
                0.11500000000000006,
                0.075649711574556,
                0.04545517328095665,
                0.026474093005077044,
            ],
        ),
        ("warmup(4)", [0.1, 0.2, 0.30000000000000004, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4]),
        (
            "one_cycle(rise: 0.4, start: 10, end: 100)",
            [
                0.03999999999999998,
                0.09808931710736657,
                0.23486428218501973,
                0.36204529169135086,
                0.39923970067873077,
                0.3732318756761309,
                0.3148005719829391,
                0.23489490589785272,
                0.14848795478851645,
                0.07177103558462944,
                0.01911970415007739,
                0.0004,
            ],
        ),
        (
            "triangular(3, 2, low: 0.25)",
            [
                0.1,
                0.2,
                0.3,
                0.4,
                0.25,
                0.1,
                0.20000000000000012,
                0.3,
                0.4,
                0.25000000000000017,
                0.1,
                0.20000000000000012,
            ],
        ),
        (
            "triangular(3, shrink: 0.5)",
            [
                0.0,
                0.1333333333333334,
                0.2666666666666666,
                0.4,
                0.2666666666666668,
                0.13333333333333322,
                0.0,
                0.06666666666666679,
                0.13333333333333322,
                0.2,
                0.13333333333333322,
                0.06666666666666679,
            ],
        ),
    ];
    for (schedule, wanted) in cases {
        check("", &format!("optimizer sgd(rate: 0.4)\n    schedule {schedule}"), wanted);
        // A rate that says it itself.
        check("", &format!("optimizer sgd(rate: 0.4 * {schedule})").replace("* cosine)", "* cosine())"), wanted);
    }
}

#[test]
fn schedules_are_multiplied_and_ones_own() {
    let steps = |of: &dyn Fn(f64) -> f64| -> Vec<f64> { (0..STEPS).map(|it| of(it as f64)).collect() };
    let cosine = |t: f64| (1.0 + (std::f64::consts::PI * t / 12.0).cos()) / 2.0;
    let warm = |t: f64| ((t + 1.0) / 4.0).min(1.0);
    check("", "optimizer sgd(rate: 0.5)\n    schedule warmup(4) * cosine", &steps(&|t| 0.5 * warm(t) * cosine(t)));
    check("", "optimizer sgd(rate: 0.5)\n    schedule 1 / (1 + step / 4)", &steps(&|t| 0.5 / (1.0 + t / 4.0)));
    check("", "optimizer sgd(rate: 0.5)\n    schedule constant", &steps(&|_| 0.5));
    // Made of another one, of a function, and over a name of the prelude.
    let own = "
fn tenth(x) = x / 10
schedule warmup(steps, power = 2) = min((step + 1) / steps, 1) ^ power
schedule mine(n: int) = tenth(warmup(n) * cosine(floor: 0.5))
";
    let mine = |t: f64| 0.5 * warm(t).powi(2) * (0.5 + 0.5 * cosine(t)) / 10.0;
    check(own, "optimizer sgd(rate: 0.5)\n    schedule mine(4)", &steps(&mine));
    // A name of a schedule is no name elsewhere.
    let apart = "param cosine = 4\nschedule sgd() = cosine(floor: 0.5)";
    check(apart, "optimizer sgd(rate: 0.5 * sgd())\n    seed cosine", &steps(&|t| 0.5 * (0.5 + 0.5 * cosine(t))));
}

/// Whether a schedule depends on the length of the run is seen from what it reads.
#[test]
fn a_schedule_says_whether_it_depends_on_the_length_of_the_run() {
    let own = "schedule halved() = 1 / 2 ^ div(step, 5)\nschedule late() = if step < iterations - 2 { 1 } else { 0.1 }";
    for (recipe, depends) in [
        ("optimizer sgd(rate: 0.1)", false),
        ("optimizer sgd(rate: 0.1)\n    schedule step(at: [4])", false),
        ("optimizer sgd(rate: 0.1)\n    schedule halved", false),
        ("optimizer sgd(rate: 0.1)\n    schedule late", true),
        ("optimizer sgd(rate: 0.1 * late())", true),
        ("optimizer sgd(rate: 0.1)\n    schedule warmup(3) * polynomial", true),
    ] {
        let own = if recipe.contains("late") { own.replace("halved", "_halved") } else { own.replace("late", "_late") };
        let graph = graph(&own, recipe);
        assert_eq!(graph.recipe.as_ref().unwrap().length_matters, depends, "{recipe}");
    }
}

#[test]
fn mistakes_in_schedules_are_told() {
    let plain = "optimizer sgd(rate: 0.1)";
    let cases: &[(&str, &str, &str)] = &[
        ("", "schedule cosin", "did you mean `cosine`?"),
        ("", "schedule warmup(5) * cosin(floor: 0)", "unknown schedule `cosin`"),
        ("", "schedule 3", "the schedule is the int 3"),
        ("", "schedule true", "the schedule is the bool true"),
        ("", "schedule step", "the schedule `step` needs the argument `at`"),
        ("", "schedule cosine(flor: 0)", "the schedule `cosine` has no argument `flor`"),
        ("", "schedule step(at: [4, 2])", "an iteration of `step` is 2 after 4"),
        ("", "schedule warmup(0)", "`steps` of `warmup` is 0"),
        ("", "schedule 1 / step", "the rate of `sgd` at step 0 is inf"),
        ("", "schedule 3 - step", "the rate of `sgd` at step 4 is"),
        ("", "schedule cosine * dense(3)", "the layer `dense` cannot be used in a schedule"),
        ("schedule a() = b()\nschedule b() = a()", "schedule a", "contain each other without end"),
        ("schedule a() = value", "schedule a", "undefined name `value`"),
        ("schedule a() = 1 - step / iterations", "schedule cosine", "the schedule `a` is never used"),
        ("schedule a(n) = 1 - step / iterations", "schedule a(3)", "`n` is never used"),
        ("schedule a() = true", "schedule a", "gives a bool, not a number"),
        ("schedule a() = 1\nschedule a() = 2", "schedule a", "`a` is defined twice"),
        ("", "schedule step(at: [3, 20])", "the schedule's step at 20 is never reached"),
        ("", "schedule warmup(100) * cosine", "the schedule's rise to 1 is never finished"),
        ("", "schedule cosine * 0", "the rate of `sgd` at every step is 0"),
        ("schedule off() = 0", "schedule off", "the rate of `sgd` at every step is 0"),
        ("", "schedule step(at: [3], factor: 1)", "this schedule has no effect"),
        ("", "average ema(0)", "this average has no effect"),
        ("", "average mean(from: 100)", "this average has no effect"),
    ];
    let said = |definitions: &str, recipe: &str| {
        let mut none = |path: &str| Err(format!("{path} is not there"));
        let checked = pipeline::check("case.sph", &text(definitions, recipe), &mut none, &settings(&[]));
        render::render(&checked.diagnostics, &checked.sources, false)
    };
    for (definitions, schedule, wanted) in cases {
        let said = said(definitions, &format!("{plain}\n    {schedule}"));
        assert!(said.contains(wanted), "{definitions} {schedule}\nwanted: {wanted}\n{said}");
    }
    let both = said("", "optimizer sgd(rate: 0.1 * warmup(3))\n    schedule cosine");
    assert!(both.contains("the rate of `sgd` has a schedule already"), "{both}");
    let late = said("", "optimizer sgd(rate: 0.1 * step(at: [600]))");
    assert!(late.contains("the schedule's step at 600 is never reached"), "{late}");
    let word = said("", "optimizer sgd(rate: true)");
    assert!(word.contains("argument `rate` of `sgd` must be a float"), "{word}");
    let other = said("", "optimizer sgd(rate: 0.1, momentum: cosine())");
    assert!(other.contains("`momentum` of `sgd` cannot change with the steps"), "{other}");
}
