//! `respond(s, x_norm, w_norm, operator: cosine)`: an operator of the angle of two vectors, of which the product and the norms
//! are given, however they came about. What cancels is not computed, and the cosine is bounded, as in a layer.

use crate::ir::expr::Pool;
use crate::ir::{Binary, ExprNode, Op, Scalar, ScalarFn, Unary};
use crate::lower::network::response::monomial::{FIRST_FREE, GEOMETRY, of_product};
use crate::lower::scalar::building::{Angle, Building};
use crate::lower::unfold::Unfold;
use crate::lower::values::args::Args;
use crate::lower::values::value::{Tensor, Value};

/// How far from 1 a cosine may be by rounding.
const ROUNDING: f64 = 1e-5;

/// The same where numbers that are given are those of an angle. Beyond, where there is none, an angle has no slope.
fn bounded(body: &ScalarFn) -> ScalarFn {
    ScalarFn::build(body.arity, |pool, inputs| {
        let mut made: Vec<Scalar> = Vec::with_capacity(body.nodes.len());
        for node in &*body.nodes {
            let at = |it: &Scalar| made[it.0 as usize];
            let node = match node {
                ExprNode::Const(it) => pool.constant(it.0),
                ExprNode::Input(it) => inputs[*it as usize],
                ExprNode::Unary(op @ (Unary::Acos | Unary::Asin), a) => {
                    let [low, high] = [-1.0 - ROUNDING, 1.0 + ROUNDING].map(|it| pool.constant(it));
                    let above = pool.binary(Binary::Max, at(a), low);
                    let inside = pool.binary(Binary::Min, above, high);
                    pool.unary(*op, inside)
                }
                ExprNode::Unary(op, a) => pool.unary(*op, at(a)),
                ExprNode::Binary(op, a, b) => pool.binary(*op, at(a), at(b)),
                ExprNode::Select(c, a, b) => pool.select(at(c), at(a), at(b)),
            };
            made.push(node);
        }
        made[body.roots[0].0 as usize]
    })
}

impl Unfold<'_> {
    pub(super) fn respond_to_product(&mut self, args: &Args) -> Value {
        let operator = match args.get("operator") {
            Some((Value::Operator(it), _)) => Some(it.clone()),
            Some(_) => None,
            None => self.items.usual("cosine"),
        };
        let given = |name: &str| match args.get(name) {
            Some((Value::Tensor(it), _)) => Some(it.clone()),
            _ => None,
        };
        let (Some(operator), Some(s), Some(x), Some(w)) = (operator, given("s"), given("x_norm"), given("w_norm"))
        else {
            return self.lost(args.span);
        };
        let span = self.users_place(args.span);
        self.enter_call(span);
        self.check_operator(&operator, Some(span));
        let mut pool = Pool::new();
        let geometry = Angle::of_arguments(&mut pool, false);
        let outer = (self.pool.replace(pool), self.building.replace(Building::new(&operator, None, geometry)));
        let root = self.value_of(&operator);
        let pool = std::mem::replace(&mut self.pool, outer.0);
        let building = std::mem::replace(&mut self.building, outer.1);
        self.leave_call();
        let (Some(root), Some(pool), Some(building)) = (root, pool, building) else { return self.lost(span) };
        let arity = FIRST_FREE + building.extra.len() as u32;
        let body = bounded(&of_product(&pool.finish(arity, &[root]).simplify_with(GEOMETRY)));
        // The product gives the extents, whether the operator reads it or not.
        let mut operands: Vec<Tensor> = vec![s];
        let mut places = vec![0; arity as usize];
        for (at, tensor) in [x, w].into_iter().chain(building.extra).enumerate() {
            if body.used_inputs().contains(&(at as u32 + 1)) {
                places[at + 1] = operands.len() as u32;
                operands.push(tensor);
            }
        }
        let body = ScalarFn::build(operands.len() as u32, |pool, inputs| {
            let args: Vec<_> = places.iter().map(|it| inputs[*it as usize]).collect();
            pool.inline(&body, &args)[0]
        });
        let operands = self.aligned(operands, span);
        let operands: Vec<&Tensor> = operands.iter().collect();
        Value::Tensor(self.node(Op::Map { body, int: false }, &operands, span))
    }
}
