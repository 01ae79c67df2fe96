//! Every pass, once, in order.
