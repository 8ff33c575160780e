//! Where the city is kept, and how it is held in memory.
//!
//! * [`store`]: the central store, a database; whatever more than one process may see.
//! * [`journal`]: a node's record of what it answered.
//! * [`register`]: which records stand, the same for all nodes.
//! * [`city_folder`]: the CSV files an office hands over, in and out.
//! * [`city`]: all of it in memory, for a node that answers swipes without asking a database.
//! * [`card_table`]: the part of that which is large.
//! * [`vault`]: secrets at rest.
//! * [`identifiers`]: the check characters of 身份证 and 统一社会信用代码.
//!
//! What must not know what: the store knows no CSV, the city knows no file, and nothing here
//! decides anything about a swipe.

pub mod store;
pub mod journal;
pub mod register;
pub mod city_folder;
pub mod city;
pub mod card_table;
pub mod vault;
pub mod identifiers;

mod benefit_text;
mod sql;

pub use city::{City, CityTerminal, Feed, News};
pub use store::{Store, StoreError};
