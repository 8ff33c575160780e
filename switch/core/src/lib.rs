//! The core: who stands at the counter, what this holder has earned here, and, at a POS,
//! what there is to pay.
//!
//! Pure: no socket, clock, database or randomness, and `no_std` so that the compiler
//! holds that line. Time is a [`time::Moment`] handed in; memory is [`facts::Facts`] and
//! the [`ledger::Ledger`]; a decision is a function of its arguments.
//!
//! A request's way through here, in the words used everywhere: [`authenticate`],
//! [`mod@decide`], [`record`] (what is kept is in [`capsule`], what is told in [`answer`]), [`respond`]. Each step demands what only the step before
//! it makes.

#![no_std]

extern crate alloc;

pub mod ids;
pub mod money;
pub mod time;
pub mod city;
pub mod planted;
pub mod pan;
pub mod rules;
pub mod facts;
pub mod verdict;
pub mod capsule;

pub mod session;
pub mod tallies;
pub mod ledger;
pub mod register;

pub mod authenticate;
pub mod decide;
pub mod answer;
pub mod record;
pub mod follow_up;
pub mod respond;

pub mod explain;
