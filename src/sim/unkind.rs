//! Everything unkind: faults by chance, accidents that are arranged, and what people and AWS do.

pub mod accident;
pub mod amends;
pub mod befall;
pub mod by_hand;
pub mod fate;
pub mod faults;
pub mod further;
pub mod inject;
pub mod interfere;
pub mod standing;
