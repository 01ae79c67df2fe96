//! A rank's part of a training that another one drives.

use super::ahead::Order;
use super::{TrainError, bind, recipe_of};
use crate::data::Dataset;
use crate::runtime::Session;

/// Does what the first rank asks for, to the end of the training. `shards` of a batch are this rank's.
pub fn follow(mut session: Session, data: Dataset, shards: usize) -> Result<(), TrainError> {
    let plan = session.plan.clone();
    let ahead = Order::of(&data.train.images, &plan, recipe_of(&plan)?, shards, 0);
    bind(&mut session, data)?;
    let mut ahead = ahead.and_then(Order::begin);
    Ok(session.backend.follow(&mut |step| {
        if let Some(ahead) = &mut ahead {
            ahead.ask(step);
        }
    })?)
}
